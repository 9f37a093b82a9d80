"""Monte Carlo exposure: right on average, honest about its error, never zero, and better than counting."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cltr_twostage import TwoStagePolicy, enumerate_two_stage, sampling
from cltr_twostage.sampling import BATCHES, sampled_placement
from irworks.simulate import estimate_placement

WEIGHTS = 1 / np.log2(np.arange(2, 12))


def policy_of(rng: np.random.Generator, sizes, n_candidates: int, k: int, scale: float = 1.0) -> TwoStagePolicy:
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    candidate, ranker = scale * rng.normal(size=(2, offsets[-1]))
    return TwoStagePolicy(candidate, ranker, n_candidates, k, pool=offsets)


def sums(policy: TwoStagePolicy, value: np.ndarray) -> np.ndarray:
    return np.add.reduceat(value, policy.offsets[:-1], axis=0)


# -- right on average -------------------------------------------------------------------------------------------------


def test_sampled_cells_agree_with_enumeration_within_five_reported_errors():
    rng = np.random.default_rng(0)
    ratio, n_reachable, n_zero = [], 0, 0
    for _ in range(25):
        n_candidates = int(rng.integers(1, 6))
        policy = policy_of(rng, rng.integers(1, 7, 10), n_candidates, int(rng.integers(1, n_candidates + 1)), scale=1.5)
        every, weights = enumerate_two_stage(policy), WEIGHTS[: policy.k]
        placement, exposure = (
            policy.placement("mc", n_samples=256, rng=rng),
            policy.exposure(weights, "mc", n_samples=256, rng=rng),
        )
        for found, truth in ((placement, every.placement()), (exposure, every.exposure(weights))):
            ratio.append(np.abs(found.value - truth).ravel() / np.maximum(found.stderr.ravel(), 1e-9))
            reachable = truth.ravel() > 1e-12
            n_reachable += reachable.sum()
            n_zero += (found.value.ravel()[reachable] <= 0).sum()
    ratio = np.concatenate(ratio)
    assert len(ratio) > 2000
    assert (ratio <= 5).mean() >= 0.99
    # Errors that were too large would pass too.
    large = ratio[ratio > 1e-6]
    assert 0.5 < np.sqrt(np.mean(np.minimum(large, 5) ** 2)) < 1.3
    assert n_zero == 0


def copies_of_a_query(n_copies: int, n_docs: int = 7) -> tuple[TwoStagePolicy, TwoStagePolicy]:
    """A policy for one query, and for many of its kind: estimates for the copies are as many independent runs."""
    scores = np.random.default_rng(3).normal(size=(2, n_docs))
    one = TwoStagePolicy(scores[0], scores[1], 4, 3, pool=[0, n_docs])
    many = np.tile(scores, n_copies)
    return one, TwoStagePolicy(many[0], many[1], 4, 3, pool=np.arange(n_copies + 1) * n_docs)


def test_the_mean_over_many_runs_is_the_truth_and_their_spread_the_reported_error():
    one, many = copies_of_a_query(3000)
    weights = np.array([1.0, 0.5, 0.7])
    truth = enumerate_two_stage(one).exposure(weights)
    found = many.exposure(weights, "mc", n_samples=32)
    values = found.value.reshape(3000, -1)
    spread = values.std(axis=0, ddof=1)
    assert np.abs((values.mean(axis=0) - truth) / (spread / 3000**0.5)).max() < 4.5
    reported = np.sqrt((found.stderr.reshape(3000, -1) ** 2).mean(axis=0))
    np.testing.assert_allclose(reported, spread, rtol=0.1)


def test_the_spread_of_the_batches_is_the_error_of_a_policys_value():
    one, many = copies_of_a_query(3000)
    relevance = np.random.default_rng(5).random(7)
    batches = many.exposure(WEIGHTS, "mc", n_samples=64).batches.reshape(BATCHES, 3000, 7) @ relevance
    values = batches.mean(axis=0)
    truth = enumerate_two_stage(one).exposure(WEIGHTS) @ relevance
    assert abs(values.mean() - truth) < 4.5 * values.std() / 3000**0.5
    variances = batches.var(axis=0, ddof=1) / BATCHES
    assert np.mean(variances) ** 0.5 == pytest.approx(values.std(), rel=0.1)


def test_batches_average_to_the_value():
    policy = policy_of(np.random.default_rng(4), [9, 3], 4, 3)
    for found in (policy.placement("mc"), policy.exposure(WEIGHTS, "mc")):
        assert len(found.batches) == BATCHES
        np.testing.assert_allclose(found.batches.mean(axis=0), found.value, atol=1e-14)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.0, 30.0, 1e4]))
def test_exposures_sum_to_the_weights_of_the_filled_ranks(seed, scale):
    rng = np.random.default_rng(seed)
    n_candidates = int(rng.integers(1, 9))
    policy = policy_of(rng, rng.integers(1, 12, 3), n_candidates, int(rng.integers(1, n_candidates + 1)), scale)
    weights = rng.random(policy.k)
    filled = np.arange(policy.k) < policy.pool.sizes[:, None]
    placement, exposure = (
        policy.placement("mc", n_samples=16, rng=rng),
        policy.exposure(weights, "mc", n_samples=16, rng=rng),
    )
    np.testing.assert_allclose(sums(policy, placement.value), filled, atol=1e-6)
    np.testing.assert_allclose(sums(policy, exposure.value), filled @ weights, atol=1e-6)
    assert (exposure.value >= 0).all()
    assert (placement.value >= 0).all()
    assert np.isfinite(exposure.stderr).all()


def test_where_the_number_of_filled_ranks_varies_sums_are_right_on_average():
    ranker = np.array([0.0, 1.0, -np.inf, -np.inf, 0.5])
    policy = TwoStagePolicy(np.array([0.3, 0.0, 0.5, 1.0, -0.5]), ranker, 3, 2, pool=[0, 5])
    truth = enumerate_two_stage(policy).placement()
    assert truth.sum(axis=0)[0] == pytest.approx(1.0)
    assert 0.3 < truth.sum(axis=0)[1] < 0.6
    found = policy.placement("mc", n_samples=4096)
    assert (np.abs(found.value - truth) <= 5 * found.stderr + 1e-9).all()
    assert found.value[:, 0].sum() == pytest.approx(1.0, abs=1e-9)
    assert not found.value[2:4].any()


# -- hard numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("n_candidates", "k"), [(1, 1), (4, 2), (4, 4), (60, 3)])
@pytest.mark.parametrize(
    "kind", ["equal", "enormous", "two groups", "far apart", "never", "one document", "low temperature"]
)
def test_hard_scores_give_finite_probabilities_that_are_right(kind, n_candidates, k):
    n = 1 if kind == "one document" else 50
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(2, n))
    if kind == "equal":
        scores[:] = 1e12
    elif kind == "enormous":
        scores *= 1e4
    elif kind == "two groups":
        scores += np.where(np.arange(n) % 2, 1e4, -1e4)
    elif kind == "far apart":
        scores = np.array([rng.permutation(n), rng.permutation(n)]) * 1e9
    elif kind == "never":
        scores[0, 10:20], scores[1, 15:30] = -np.inf, -np.inf
    elif kind == "low temperature":
        scores /= 1e-6
    policy = TwoStagePolicy(scores[0], scores[1], n_candidates, k, pool=[0, n])
    found = policy.placement("mc", n_samples=1024)
    assert np.isfinite(found.value).all()
    assert np.isfinite(found.stderr).all()
    possible = np.isfinite(scores).all(axis=0)
    assert not found.value[~possible].any()
    if n_candidates >= n:
        # Every document is a candidate: the core's exact integral of one stage.
        exact = policy.placement("exact").value
        # Slack for what happens less often than draws can tell.
        assert (np.abs(found.value - exact) <= 5 * found.stderr + 3e-4).mean() > 0.99
    counted = estimate_placement(policy, 4000, rng)
    assert (np.abs(found.value - counted.probabilities) <= 5 * (found.stderr + counted.standard_errors)).all()
    if kind in ("enormous", "far apart"):
        # Only one list is possible.
        best = np.argsort(-scores[0])[:n_candidates]
        shown = best[np.argsort(-scores[1, best])][:k]
        assert found.value[shown, np.arange(k)] == pytest.approx(1.0, abs=1e-3)


def test_a_document_that_is_hardly_ever_shown_gets_the_right_tiny_chance():
    scores = np.array([0.0, 0.0, 0.0, -60.0])
    by_ranker = TwoStagePolicy(np.zeros(4), scores, 4, 1, pool=[0, 4]).placement("mc").value
    by_generator = TwoStagePolicy(scores, np.zeros(4), 1, 1, pool=[0, 4]).placement("mc").value
    expected = np.exp(-60.0) / 3
    # The ranker's gaps are cut at 40, where a chance is below rounding; it is not zero.
    assert 0 < by_ranker[3, 0] < 1e-16
    assert by_generator[3, 0] == pytest.approx(expected, rel=0.2)


def test_weights_that_rise_and_fall_are_no_problem():
    policy = policy_of(np.random.default_rng(0), [6], 4, 3)
    for weights in ([0.0, 0.0, 1.0], [0.1, 2.0, 0.0], [0.0, 0.0, 0.0]):
        truth = enumerate_two_stage(policy).exposure(weights)
        found = policy.exposure(weights, "mc", n_samples=512)
        assert (np.abs(found.value - truth) <= 5 * found.stderr + 1e-9).all()
        assert (found.value >= 0).all()


def test_rates_and_their_logarithms_give_the_same_placement(monkeypatch):
    policy = policy_of(np.random.default_rng(2), [9, 9, 4], 5, 3, scale=2.0)
    by_rates = policy.placement("mc", n_samples=64)
    monkeypatch.setattr(sampling, "MAX_SPAN", 0.0)
    by_logarithms = policy.placement("mc", n_samples=64)
    np.testing.assert_allclose(by_logarithms.value, by_rates.value, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("few", [0, 1000])
def test_sorting_all_and_sorting_the_first_give_the_same_placement(monkeypatch, few):
    policy = policy_of(np.random.default_rng(2), [40], 5, 3)
    before = policy.placement("mc").value
    monkeypatch.setattr(sampling, "FEW", few)
    assert np.array_equal(policy.placement("mc").value, before)


# -- efficiency -------------------------------------------------------------------------------------------------------


def test_the_error_is_smaller_than_that_of_counting_as_many_lists():
    policy = policy_of(np.random.default_rng(0), [30] * 4, 10, 4)
    found = policy.exposure(WEIGHTS, "mc", n_samples=256)
    placement = policy.placement("mc", n_samples=4096).value
    moments = placement @ WEIGHTS[: policy.k] ** 2 - (placement @ WEIGHTS[: policy.k]) ** 2
    counted = np.sqrt(moments / 256)
    assert np.median(found.stderr / counted) < 0.25
    assert (found.stderr < counted).mean() > 0.95


def test_the_value_of_a_policy_has_a_fraction_of_the_error_of_counting_as_many_lists():
    _, many = copies_of_a_query(200, n_docs=30)
    relevance = np.random.default_rng(1).random(30)
    found = many.exposure(WEIGHTS, "mc", n_samples=64).value.reshape(200, 30) @ relevance
    counted = estimate_placement(many, 64, np.random.default_rng(0)).probabilities @ WEIGHTS[:3]
    assert np.std(found) < 0.2 * np.std(counted.reshape(200, 30) @ relevance)


def test_policies_share_their_draws_so_that_their_difference_is_precise():
    rng = np.random.default_rng(0)
    one = policy_of(rng, [30] * 3, 10, 4)
    other = one.replace(ranker=one.ranker_scores + 0.05 * rng.normal(size=90))
    relevance = rng.random(90)
    both = [p.exposure(WEIGHTS, "mc", n_samples=64).batches @ relevance for p in (one, other)]
    assert (both[1] - both[0]).std() < 0.3 * both[0].std()


def test_a_seed_gives_the_same_numbers_and_another_seed_others():
    policy = policy_of(np.random.default_rng(0), [9, 4], 4, 3)
    one, same, other = (policy.exposure(WEIGHTS, "mc", rng=np.random.default_rng(s)).value for s in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_query_larger_than_a_block_is_drawn_in_parts(monkeypatch):
    policy = policy_of(np.random.default_rng(0), [7, 5], 4, 3)
    monkeypatch.setattr(sampling, "BLOCK", 20)
    truth = enumerate_two_stage(policy).exposure(WEIGHTS)
    batches, stderr = sampled_placement(policy, 1000, np.random.default_rng(0), WEIGHTS[:3])
    assert (np.abs(batches.mean(axis=0) - truth) <= 5 * stderr).all()
    assert (stderr < 0.02).all()


def test_exposures_of_eighty_queries_take_no_longer_than_a_moment():
    policy = policy_of(np.random.default_rng(0), [30] * 80, 10, 4)
    policy.exposure(WEIGHTS, "mc")
    times = []
    for _ in range(5):
        begin = time.process_time()
        policy.exposure(WEIGHTS, "mc")
        times.append(time.process_time() - begin)
    # About 0.025 s on a core of its own; this only catches what is several times slower.
    assert min(times) < 0.15
