import numpy as np
import pytest

from cltr_twostage import ClickLog, DirectMethod, DoublyRobust, ExposureIPS, ItemPositionIPS, SlateIPS, TwoStagePolicy
from irworks.errors import ArgumentError

EVERY = [
    (ExposureIPS, {}),
    (ExposureIPS, {"self_normalized": True}),
    (ItemPositionIPS, {"clip": 1.5}),
    (SlateIPS, {}),
    (DirectMethod, {}),
    (DoublyRobust, {}),
]


@pytest.fixture(scope="module")
def world(tiny_world):
    return tiny_world(31, sizes=(5, 4), n_candidates=3, k=2, scale=0.6)


@pytest.fixture(scope="module")
def log(world):
    return world.simulate(600, 0)


def near(policy, step=0.1):
    return policy.replace(ranker=policy.ranker_scores + step * np.arange(policy.pool.n_rows))


@pytest.mark.parametrize(("cls", "options"), EVERY)
def test_a_difference_is_that_of_the_values_with_a_tighter_interval(cls, options, world, log):
    fitted = cls(world.examination, method="exact", **options).fit(log, world.logging)
    old, new = fitted.values([world.target, near(world.target)])
    difference = fitted.difference(near(world.target), world.target)
    assert difference.value == pytest.approx(new.value - old.value, abs=1e-12)
    assert difference.ci.estimate == difference.value
    assert 0 < difference.stderr < 0.5 * np.hypot(new.stderr, old.stderr)


@pytest.mark.parametrize(("cls", "options"), EVERY)
def test_a_policy_does_not_differ_from_itself(cls, options, world, log):
    fitted = cls(world.examination, method="exact", **options).fit(log, world.logging)
    difference = fitted.difference(world.target, world.target)
    assert (difference.value, difference.stderr) == (0, 0)


def test_monte_carlo_errors_that_policies_share_cancel_in_their_difference(world, log):
    fitted = ExposureIPS(world.examination, method="mc", n_samples=16).fit(log, world.logging)
    same = world.target.replace()
    assert fitted.difference(same, world.target).stderr == 0
    exact = ExposureIPS(world.examination, method="exact").fit(log, world.logging)
    drawn = fitted.difference(near(world.target), world.target)
    truth = exact.difference(near(world.target), world.target)
    assert abs(drawn.value - truth.value) < 0.5 * truth.stderr
    assert drawn.stderr < 1.5 * truth.stderr


@pytest.mark.parametrize(("cls", "options"), [(ExposureIPS, {}), (ExposureIPS, {"self_normalized": True})])
def test_the_error_of_a_difference_is_that_of_the_bootstrap(cls, options, world, log, resampled):
    other = near(world.target, 0.5)

    def estimate(log, weights=None):
        fitted = cls(world.examination, method="exact", **options).fit(log, world.logging, weights=weights)
        return fitted.difference(other, world.target)

    assert estimate(log).stderr == pytest.approx(resampled(estimate, log, 200), rel=0.15)


def test_contrasts_are_linear(world, log):
    fitted = ExposureIPS(world.examination, method="exact").fit(log, world.logging)
    policies = [world.target, near(world.target), world.logging]
    values = [one.value for one in fitted.values(policies)]
    found = fitted.contrasts(policies, {"mean": [1 / 3] * 3, "second": [0, 1, 0]})
    assert found["mean"].value == pytest.approx(np.mean(values))
    assert found["second"] == fitted.value(policies[1]) or found["second"].value == pytest.approx(values[1])
    assert fitted.combine(policies, [2, 0, -1]).value == pytest.approx(2 * values[0] - values[2])
    with pytest.raises(ArgumentError, match="mean has 2 coefficients for 3 policies"):
        fitted.contrasts(policies, {"mean": [1, 1]})


def test_diagnostics_of_a_combination_are_those_of_its_worst_part(world, log):
    fitted = ExposureIPS(world.examination, clip=1.5, method="exact").fit(log, world.logging)
    parts = fitted.values([world.target, world.logging])
    difference = fitted.difference(world.target, world.logging)
    assert difference.ess == min(part.ess for part in parts)
    assert difference.max_weight == max(part.max_weight for part in parts)
    assert difference.clipped == max(part.clipped for part in parts)


def test_the_level_of_confidence_is_that_of_the_interval(world, log):
    narrow, wide = (
        ExposureIPS(world.examination, level=level, method="exact").fit(log, world.logging).value(world.target)
        for level in (0.5, 0.99)
    )
    assert narrow.stderr == wide.stderr
    assert narrow.ci.width / 2 == pytest.approx(0.6744898 * narrow.stderr)
    assert wide.ci.width / 2 == pytest.approx(2.5758293 * wide.stderr)
    assert wide.ci.level == 0.99


def test_an_estimate_reads_as_its_interval(world, log):
    estimate = ExposureIPS(world.examination, method="exact").fit(log, world.logging).value(world.target)
    assert str(estimate) == f"{estimate.value:.3f} [{estimate.ci.low:.3f}, {estimate.ci.high:.3f}]"
    assert f"{estimate:.1f}" == f"{estimate.value:.1f} [{estimate.ci.low:.1f}, {estimate.ci.high:.1f}]"


def test_logs_are_strata(world, log):
    other = world.simulate(400, 1)
    both = ExposureIPS(world.examination, method="exact").fit([log, other], [world.logging] * 2).value(world.target)
    first, second = (
        ExposureIPS(world.examination, method="exact").fit(one, world.logging).value(world.target)
        for one in (log, other)
    )
    assert both.value == pytest.approx(0.6 * first.value + 0.4 * second.value)
    assert both.stderr == pytest.approx(np.hypot(0.6 * first.stderr, 0.4 * second.stderr), rel=0.02)


def shown_at_random(n, rng):
    """A log of `n` sessions of one of three documents, each clicked half the time."""
    return ClickLog(np.zeros(n, int), rng.integers(3, size=(n, 1)), rng.random((n, 1)) < 0.5, doc_ids=[0, 1, 2])


UNIFORM = TwoStagePolicy(np.zeros(3), np.zeros(3), 2, 1, pool=[0, 3])


@pytest.mark.parametrize("sizes", [[3] * 20, [2] + [1] * 9, [1] * 12, [1, 40], [4]])
def test_the_variance_of_short_logs_is_not_too_small(sizes):
    rng = np.random.default_rng(5)
    estimator, variances = ExposureIPS([1.0], method="exact"), []
    for _ in range(200):
        logs = [shown_at_random(n, rng) for n in sizes]
        variances.append(estimator.fit(logs, [UNIFORM] * len(logs)).value(UNIFORM).stderr ** 2)
    # The policy is valued by its own log: by the mean of clicks that come half the time.
    assert np.mean(variances) == pytest.approx(0.25 / sum(sizes), rel=0.06)


def test_one_log_has_the_textbook_standard_error_of_a_mean():
    log = shown_at_random(7, np.random.default_rng(0))
    estimate = ExposureIPS([1.0], method="exact").fit(log, UNIFORM).value(UNIFORM)
    assert estimate.stderr == pytest.approx(log.clicks.std(ddof=1) / np.sqrt(7), rel=1e-9)


@pytest.mark.parametrize(
    ("weights", "finite"),
    [([1, 0, 0], False), ([0.5, 0.3, 0.2], False), ([2, 0, 0], True), ([1000, 0, 0], True), ([0.7, 0.7, 0], True)],
)
def test_weights_say_how_many_sessions_there_are_not_rows(weights, finite):
    log = ClickLog([0, 0, 0], [[0], [1], [2]], [[1], [0], [1]], doc_ids=[0, 1, 2])
    estimate = ExposureIPS([1.0], method="exact").fit(log, UNIFORM, weights=weights).value(UNIFORM)
    assert np.isfinite(estimate.stderr) == finite


def test_one_row_that_stands_for_a_thousand_sessions_is_a_thousand_sessions():
    row, rows = (
        ClickLog(np.zeros(n, int), np.zeros((n, 1), int), np.ones((n, 1)), doc_ids=[0, 1, 2]) for n in (1, 1000)
    )
    weighted = ExposureIPS([1.0], method="exact").fit(row, UNIFORM, weights=[1000]).value(UNIFORM)
    assert weighted == ExposureIPS([1.0], method="exact").fit(rows, UNIFORM).value(UNIFORM)
    assert weighted.stderr == 0


@pytest.mark.parametrize("self_normalized", [False, True])
def test_a_target_that_shows_nothing_of_the_log_has_no_finite_interval(self_normalized):
    rare = TwoStagePolicy([0, 0, -12.0], np.zeros(3), 1, 1, pool=[0, 3])
    other = TwoStagePolicy([-np.inf, -np.inf, 0.0], np.zeros(3), 1, 1, pool=[0, 3])
    log = ClickLog(np.zeros(4, int), [[0], [1], [0], [1]], [[1], [0], [0], [1]], doc_ids=[0, 1, 2])
    fitted = ExposureIPS([1.0], self_normalized=self_normalized, method="exact").fit(log, rare)
    estimate = fitted.value(other)
    assert (estimate.value, estimate.ess, estimate.stderr) == (0, 0, np.inf)
    assert fitted.difference(other, rare).stderr == np.inf
    assert np.isfinite(fitted.value(rare).stderr)


def test_a_log_of_weight_zero_among_others_does_not_count(world, log):
    other = world.simulate(100, 1)
    estimator = ExposureIPS(world.examination, method="exact")
    alone = estimator.fit(log, world.logging).value(world.target)
    weights = [np.ones(len(log)), np.zeros(len(other))]
    both = estimator.fit([log, other], [world.logging, world.target], weights=weights).value(world.target)
    assert both.value == pytest.approx(alone.value, rel=1e-12)
    assert both.stderr == pytest.approx(alone.stderr, rel=1e-12)


def test_many_policies_are_valued_by_several_processes_as_by_one(world, log):
    fitted = ExposureIPS(world.examination, method="mc", n_samples=16).fit(log, world.logging)
    policies = [world.target, near(world.target), world.logging]
    alone, shared = fitted.values(policies), fitted.values(policies, jobs=2)
    assert [one.value for one in shared] == [one.value for one in alone]
    assert [one.stderr for one in shared] == [one.stderr for one in alone]
    foreign = TwoStagePolicy([0.0, 1.0], [0.0, 1.0], 1, 1, pool=[0, 2])
    with pytest.raises(ArgumentError, match="different pools"):
        fitted.values([foreign], jobs=2)
