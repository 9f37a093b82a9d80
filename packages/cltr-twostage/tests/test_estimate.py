import numpy as np
import pytest

from cltr_twostage import DirectMethod, DoublyRobust, ExposureIPS, ItemPositionIPS, SlateIPS, TwoStagePolicy
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
