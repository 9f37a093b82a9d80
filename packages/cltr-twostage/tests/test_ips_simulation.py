"""Exposure and item-position IPS on many simulated logs: coverage, standard errors, mixed logs, Monte Carlo."""

import numpy as np
import pytest

from cltr_twostage import ExposureIPS, ItemPositionIPS, Pool, RankerOnlyIPS, TwoStagePolicy, enumerate_two_stage
from irworks.simulate import PositionBased, simulate_clicks

UNBIASED = [ExposureIPS, ItemPositionIPS]


# -- one log ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", UNBIASED)
@pytest.mark.parametrize("self_normalized", [False, True])
def test_intervals_cover_the_truth(cls, self_normalized, two_query_world, thousand_logs, on_trial):
    world = two_query_world
    estimator = cls(world.examination, self_normalized=self_normalized, method="exact")
    trials = on_trial(
        lambda log: estimator.fit(log, world.logging).value(world.target), thousand_logs[:400], world.truth()
    )
    assert trials.standard_errors_off(world.truth()) < 4
    assert 0.91 <= trials.coverage <= 0.98
    assert 0.9 <= trials.inflation <= 1.1


def test_the_joint_estimator_covers_the_truth_in_two_thousand_logs(two_query_world, on_trial):
    world = two_query_world
    # A log of 500 sessions is a draw of counts from all sessions that can happen: no list has to be drawn.
    log, chance = enumerate_two_stage(world.logging).log(world.relevance, world.examination)
    counts = np.random.default_rng(11).multinomial(500, chance / chance.sum(), size=2_000)
    estimator = ExposureIPS(world.examination, method="exact")
    truth = enumerate_two_stage(world.target).value(world.relevance, world.examination)
    trials = on_trial(lambda one: estimator.fit(log, world.logging, weights=one).value(world.target), counts, truth)
    assert trials.standard_errors_off(truth) < 4
    assert 0.92 <= trials.coverage <= 0.98
    assert 0.95 <= trials.inflation <= 1.05


def test_ignoring_the_first_stage_misses_the_truth(two_query_world, thousand_logs, on_trial):
    world = two_query_world
    estimator = RankerOnlyIPS(world.examination, method="exact")
    trials = on_trial(
        lambda log: estimator.fit(log, world.logging).value(world.target), thousand_logs[:100], world.truth()
    )
    assert trials.standard_errors_off(world.truth()) > 20
    assert trials.coverage < 0.8


@pytest.mark.parametrize("cls", UNBIASED)
def test_a_counted_log_gives_intervals_that_are_neither_too_wide_nor_too_narrow(
    cls, two_query_world, thousand_logs, on_trial
):
    world = two_query_world
    estimator = cls(world.examination, method="exact")

    def counted(log):
        return estimator.fit(log, "counts", pool=world.pool).value(world.target)

    trials = on_trial(counted, thousand_logs[:600], world.truth())
    # Counting is a ratio estimate in each cell: its bias is of the order of 1 / n, well below a standard error.
    assert abs(trials.values.mean() - world.truth()) < 0.2 * trials.values.std()
    assert 0.91 <= trials.coverage <= 0.98
    assert 0.9 <= trials.inflation <= 1.1


def test_the_standard_errors_are_those_of_the_bootstrap(two_query_world, resampled):
    world, log = two_query_world, two_query_world.simulate(800, 0)
    for cls in UNBIASED:
        for options in ({}, {"clip": 0.4}, {"clip": 1.3, "self_normalized": True}):
            estimator = cls(world.examination, world.dcg, method="exact", **options)
            for logging in (world.logging, "counts"):

                def estimate(log, weights=None, estimator=estimator, logging=logging):
                    return estimator.fit(log, logging, pool=world.pool, weights=weights).value(world.target)

                assert estimate(log).stderr == pytest.approx(resampled(estimate, log, 200), rel=0.15)


# -- several logs -----------------------------------------------------------------------------------------------------


def opposites(pool):
    """Two policies that show opposite documents, and a log from each with other shares of the queries."""
    scores = np.tile([2.0, 0.0, -2.0], 2)
    return (TwoStagePolicy(sign * scores, np.zeros(6), 2, 1, pool=pool) for sign in (1, -1))


def test_several_logs_are_weighed_by_the_mixture_that_was_used(tiny_world):
    world = tiny_world(6, sizes=(4, 5), n_candidates=3, k=2)
    other = world.target.replace(ranker=-world.target.ranker_scores)
    logs = [world.simulate(120, 0), world.simulate(300, 1, policy=other)]
    fitted = ExposureIPS(world.examination, method="exact").fit(logs, [world.logging, other])
    counts = np.stack([np.bincount(log.query, minlength=2) for log in logs])
    rho_0 = [policy.exposure(world.examination, "exact").value for policy in (world.logging, other)]
    owner = world.pool.owner()
    mixed = (counts[0][owner] * rho_0[0] + counts[1][owner] * rho_0[1]) / counts.sum(axis=0)[owner]
    np.testing.assert_allclose(fitted.logging_exposure_, mixed, rtol=1e-12)
    rho = world.target.exposure(world.examination, "exact").value
    total = sum((rho / mixed)[log.docs[log.clicks]].sum() for log in logs)
    assert fitted.value(world.target).value == pytest.approx(total / 420, rel=1e-12)


def test_one_log_in_two_halves_is_one_log(tiny_world):
    world = tiny_world(6, sizes=(4, 5), n_candidates=3, k=2)
    log = world.simulate(400, 0)
    halves = [log.select(slice(0, 150)), log.select(slice(150, None))]
    for cls in UNBIASED:
        whole = cls(world.examination, method="exact").fit(log, world.logging).value(world.target)
        parts = cls(world.examination, method="exact").fit(halves, [world.logging] * 2).value(world.target)
        assert parts.value == pytest.approx(whole.value, rel=1e-12)
        assert parts.stderr == pytest.approx(whole.stderr, rel=0.03)


@pytest.fixture(scope="module")
def opposite_logs():
    """The policies of two logs, 400 pairs of logs, a target, and its value."""
    pool = Pool([0, 3, 6])
    policies = list(opposites(pool))
    target = TwoStagePolicy(np.zeros(6), np.zeros(6), 2, 1, pool=pool)
    relevance = np.array([0.9, 0.2, 0.05, 0.1, 0.2, 0.95])
    logits, shares = np.log(relevance / (1 - relevance)), np.array([[0.5, 0.5], [0.7, 0.3]])

    def draw(number):
        rng = np.random.default_rng(number)
        return [
            simulate_clicks(policy, PositionBased([1.0]), logits, n, rng, query_weights=share)
            for policy, n, share in zip(policies, (200, 300), shares, strict=True)
        ]

    truth = float((np.array([0.4, 0.6]) @ shares) @ relevance.reshape(2, 3).mean(axis=1))
    return policies, [draw(number) for number in range(400)], target, truth


@pytest.mark.parametrize("cls", UNBIASED)
@pytest.mark.parametrize("self_normalized", [False, True])
def test_estimates_from_several_logs_cover_the_truth(cls, self_normalized, opposite_logs, on_trial):
    policies, logs, target, truth = opposite_logs
    estimator = cls([1.0], method="exact", self_normalized=self_normalized)
    trials = on_trial(lambda pair: estimator.fit(pair, policies).value(target), logs, truth)
    assert trials.standard_errors_off(truth) < 4
    assert 0.91 <= trials.coverage <= 0.98
    assert 0.9 <= trials.inflation <= 1.1


# -- Monte Carlo exposures --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", UNBIASED)
@pytest.mark.parametrize("options", [{}, {"clip": 0.4}, {"self_normalized": True, "clip": 1.5}])
def test_the_standard_error_has_the_error_of_monte_carlo_exposures(cls, options, two_query_world):
    world = two_query_world
    log = world.simulate(4000, 0)
    exact = cls(world.examination, method="exact", **options).fit(log, world.logging).value(world.target)
    z, added = [], []
    for seed in range(45):
        estimator = cls(world.examination, method="mc", n_samples=16, seed=seed, **options).fit(log, world.logging)
        estimate = estimator.value(world.target)
        extra = np.sqrt(estimate.stderr**2 - exact.stderr**2)
        z.append((estimate.value - exact.value) / extra)
        added.append(extra)
    assert np.mean(added) > 0.2 * exact.stderr
    assert 0.75 <= np.std(z) <= 1.35
    assert abs(np.mean(z)) < 0.5


def test_sampled_logging_exposures_are_in_the_standard_error(two_query_world):
    world = two_query_world
    log = world.simulate(4000, 0)
    exact = ExposureIPS(world.examination, method="exact").fit(log, world.logging).value(world.target)

    class Sampled(ExposureIPS):
        """Samples the logging policy as little as the target."""

        def _logging_table(self, policy):
            drawn = policy.exposure(self.examination, "mc", n_samples=64, rng=self._logging_rng())
            return drawn.value, drawn.batches

    z = []
    for seed in range(45):
        estimate = Sampled(world.examination, method="exact", seed=seed).fit(log, world.logging).value(world.target)
        z.append((estimate.value - exact.value) / np.sqrt(estimate.stderr**2 - exact.stderr**2))
    assert 0.75 <= np.std(z) <= 1.35


def test_seeds_repeat_monte_carlo_estimates(two_query_world):
    world, log = two_query_world, two_query_world.simulate(300, 0)

    def estimate(seed):
        return ExposureIPS(world.examination, method="mc", seed=seed).fit(log, world.logging).value(world.target)

    assert estimate(3) == estimate(3)
    assert estimate(3).value != estimate(4).value
