from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cltr_twostage.learning.gradients import (
    candidate_credit,
    candidate_reinforce,
    leave_one_out,
    ranker_plrank,
    ranker_reinforce,
)
from cltr_twostage.learning.objective import GradientEstimator
from cltr_twostage.learning.races import blocks, exposures, list_values, race
from irworks.errors import ArgumentError
from irworks.simulate import enumerate_rankings, log_prob, placement_probabilities

ALPHA = 1 / np.log2(np.arange(2, 12))


def exact_utility(candidate, ranker, relevance, alpha, n_candidates):
    """Every candidate set, and in it the exact placement: no code shared with the sampled estimators."""
    lists = enumerate_rankings(len(candidate), n_candidates)
    sets, which = np.unique(np.sort(lists, axis=1), axis=0, return_inverse=True)
    probability = np.bincount(which.ravel(), np.exp(log_prob(candidate, lists)))
    inside = (sets[:, :, None] == np.arange(len(candidate))).any(axis=1)
    scores = np.where(inside, ranker, -np.inf)
    some = np.isfinite(scores).any(axis=1)
    return probability[some] @ (relevance @ placement_probabilities(scores[some], len(alpha)) @ alpha)


def inclusion_utility(candidate, relevance, n_candidates):
    return relevance @ placement_probabilities(candidate, n_candidates).sum(axis=1)


def slopes(function, scores, step=1e-4):
    """Central differences; 0 for a score of -inf, which has none."""
    out = np.zeros(len(scores))
    for j in np.flatnonzero(np.isfinite(scores)):
        nudge = np.where(np.arange(len(scores)) == j, step, 0.0)
        out[j] = (function(scores + nudge) - function(scores - nudge)) / (2 * step)
    return out


class World:
    def __init__(self, seed, n_docs=6, n_candidates=3, k=2):
        rng = np.random.default_rng(seed)
        self.candidate, self.ranker = rng.normal(size=(2, n_docs))
        self.relevance = rng.normal(0.5, 0.7, size=n_docs)
        self.alpha, self.n_candidates = ALPHA[:k], n_candidates

    def draws(self, n_samples, rng, copies=1):
        block = [np.tile(scores, (copies, 1)) for scores in (self.candidate, self.ranker)]
        return race(*block, self.n_candidates, n_samples, rng), np.tile(self.relevance, (copies, 1))

    def utility(self, candidate=None, ranker=None):
        candidate = self.candidate if candidate is None else candidate
        ranker = self.ranker if ranker is None else ranker
        return exact_utility(candidate, ranker, self.relevance, self.alpha, self.n_candidates)

    def candidate_slopes(self):
        return slopes(lambda scores: self.utility(candidate=scores), self.candidate)

    def ranker_slopes(self):
        return slopes(lambda scores: self.utility(ranker=scores), self.ranker)


ESTIMATORS = {
    "candidate credit": lambda world, draws, r: candidate_credit(draws, r, world.alpha),
    "candidate reinforce": lambda world, draws, r: candidate_reinforce(draws, list_values(draws, r, world.alpha)),
    "ranker plrank": lambda world, draws, r: ranker_plrank(draws, r, world.alpha),
    "ranker reinforce": lambda world, draws, r: ranker_reinforce(
        draws, list_values(draws, r, world.alpha), len(world.alpha)
    ),
}


def estimates(name, world, rng, *, n_samples=10, copies=10_000):
    """Independent estimates [copies, n_docs], each from `n_samples` lists."""
    draws, relevance = world.draws(n_samples, rng, copies)
    return ESTIMATORS[name](world, draws, relevance)


def assert_mean_is(expected, sampled, errors=3.0):
    error = sampled.std(axis=0, ddof=1) / np.sqrt(len(sampled))
    np.testing.assert_array_less(np.abs(sampled.mean(axis=0) - expected), errors * error + 1e-7)
    return error


# -- against the exact utility ----------------------------------------------------------------------------------------

SHAPES = [(6, 3, 2), (5, 4, 3), (5, 2, 2), (6, 3, 1), (4, 1, 1), (5, 5, 3), (4, 6, 5)]


@pytest.mark.parametrize(("n_docs", "n_candidates", "k"), SHAPES)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_each_gradient_is_that_of_the_exact_utility(name, n_docs, n_candidates, k):
    world = World(n_docs, n_docs, n_candidates, k)
    exact = world.candidate_slopes() if name.startswith("candidate") else world.ranker_slopes()
    error = assert_mean_is(exact, estimates(name, world, np.random.default_rng(1)))
    # The comparison says something: the error is small beside the gradient, where there is one.
    assert error.max() < 0.1 * np.abs(exact).max() or np.abs(exact).max() < 1e-8


@pytest.mark.parametrize("name", ESTIMATORS)
def test_gradients_are_right_where_some_documents_are_never_drawn_or_never_shown(name):
    world = World(11, 6, 3, 2)
    world.candidate[1], world.ranker[2], world.ranker[4] = -np.inf, -np.inf, -np.inf
    exact = world.candidate_slopes() if name.startswith("candidate") else world.ranker_slopes()
    sampled = estimates(name, world, np.random.default_rng(2))
    assert_mean_is(exact, sampled)
    gone = 1 if name.startswith("candidate") else 2
    assert (sampled[:, gone] == 0).all()


@pytest.mark.parametrize("estimator", ["credit", "reinforce"])
def test_alone_the_candidate_stage_earns_the_relevance_of_its_candidates(estimator):
    world = World(3, 6, 3, 2)
    exact = slopes(lambda scores: inclusion_utility(scores, world.relevance, 3), world.candidate)
    estimator = GradientEstimator(world.alpha, 3, 500, candidate=estimator, objective="single_stage")
    assert_mean_is(exact, flat_estimates(estimator, world, "candidate"))


@pytest.mark.parametrize("estimator", ["plrank", "reinforce"])
def test_alone_the_ranker_ranks_all_documents(estimator):
    world = World(4, 6, 3, 2)
    everything = slopes(lambda scores: world.relevance @ placement_probabilities(scores, 2) @ world.alpha, world.ranker)
    estimator = GradientEstimator(world.alpha, 3, 500, ranker=estimator, objective="single_stage")
    assert_mean_is(everything, flat_estimates(estimator, world, "ranker"))


def flat_estimates(estimator, world, stage, n=200):
    rng = np.random.default_rng(5)
    arrays = (world.candidate, world.ranker, world.relevance, [0, len(world.relevance)])
    return np.array([estimator.estimate(*arrays, rng, stages=(stage,)).gradients[stage] for _ in range(n)])


# -- variance ---------------------------------------------------------------------------------------------------------


def test_credit_has_far_less_variance_than_reinforce_and_the_more_so_the_more_candidates_there_are():
    ratios = []
    for n_candidates in (5, 20, 80):
        rng = np.random.default_rng(0)
        world = World(1, 4 * n_candidates, n_candidates, 4)
        credit, reinforce = (
            estimates(name, world, rng, n_samples=16, copies=100).var(axis=0).sum()
            for name in ("candidate credit", "candidate reinforce")
        )
        ratios.append(reinforce / credit)
    assert ratios[0] > 5
    assert all(larger > 1.5 * smaller for smaller, larger in pairwise(ratios))


def test_plrank_has_less_variance_than_reinforce():
    world = World(2, 30, 10, 4)
    rng = np.random.default_rng(0)
    plrank, reinforce = (
        estimates(name, world, rng, copies=1000).var(axis=0).sum() for name in ("ranker plrank", "ranker reinforce")
    )
    assert plrank < 0.5 * reinforce


def test_relevance_that_all_documents_share_adds_no_variance_to_plrank():
    world = World(2, 30, 10, 4)
    before = estimates("ranker plrank", world, np.random.default_rng(0), copies=10)
    world.relevance = world.relevance + 100.0
    np.testing.assert_allclose(
        estimates("ranker plrank", world, np.random.default_rng(0), copies=10), before, atol=1e-9
    )


def test_the_baseline_is_the_mean_of_the_other_samples():
    values = np.array([[1.0], [2.0], [6.0]])
    np.testing.assert_allclose(leave_one_out(values), [[1 - 4], [2 - 3.5], [6 - 1.5]])


# -- structure --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([-1e4, -30.0, 0.0, 0.5, 1.0, 800.0, 1e4, -np.inf]), min_size=1, max_size=7),
    st.lists(st.sampled_from([-1e4, -1.0, 0.0, 2.0, 1e4, -np.inf]), min_size=7, max_size=7),
    st.integers(1, 5),
    st.integers(1, 4),
    st.integers(0, 2**32 - 1),
)
def test_gradients_are_finite_for_extreme_scores(candidate, ranker, n_candidates, k, seed):
    rng = np.random.default_rng(seed)
    n_docs = len(candidate)
    draws = race(np.array([candidate]), np.array([ranker[:n_docs]]), n_candidates, 4, rng)
    relevance, alpha = rng.normal(size=(1, n_docs)), ALPHA[: min(k, n_candidates)]
    with np.errstate(all="raise", under="ignore"):
        values = list_values(draws, relevance, alpha)
        credit = candidate_credit(draws, relevance, alpha)
        alone = candidate_credit(draws, relevance, None)
        plrank = ranker_plrank(draws, relevance, alpha)
        exact_zero_sum = [candidate_reinforce(draws, values), ranker_reinforce(draws, values, len(alpha))]
    for gradient in (values, credit, alone, plrank, *exact_zero_sum):
        assert np.isfinite(gradient).all()
    # Every sample says that a constant added to all scores changes nothing.
    for gradient in exact_zero_sum:
        assert abs(gradient.sum()) < 1e-9
    for gradient in (credit, alone, plrank, *exact_zero_sum):
        assert (gradient[0, np.isneginf(candidate)] == 0).all()


def test_a_constant_added_to_the_scores_changes_nothing():
    world = World(7, 6, 3, 2)
    for name in ESTIMATORS:
        before = estimates(name, world, np.random.default_rng(0), copies=3)
        shifted = World(7, 6, 3, 2)
        shifted.candidate, shifted.ranker = world.candidate + 100.0, world.ranker - 50.0
        after = estimates(name, shifted, np.random.default_rng(0), copies=3)
        np.testing.assert_allclose(after, before, atol=1e-9)


def test_nothing_is_gained_by_choosing_when_all_documents_are_candidates():
    world = World(8, 4, 4, 2)
    draws, relevance = world.draws(8, np.random.default_rng(0))
    assert (candidate_credit(draws, relevance, world.alpha) == 0).all()


def test_padding_does_not_change_an_estimate_in_expectation():
    world = World(9, 5, 2, 2)
    exact = world.candidate_slopes()
    world.candidate = np.append(world.candidate, [-np.inf, -np.inf])
    world.ranker = np.append(world.ranker, [3.0, -np.inf])
    world.relevance = np.append(world.relevance, [9.0, 9.0])
    sampled = estimates("candidate credit", world, np.random.default_rng(3))
    assert_mean_is(np.append(exact, [0, 0]), sampled)


def test_lists_are_drawn_as_the_two_stages_say():
    world = World(10, 5, 3, 2)
    draws, relevance = world.draws(1, np.random.default_rng(0), copies=20_000)
    values = list_values(draws, relevance, world.alpha)[0]
    assert abs(values.mean() - world.utility()) < 4 * values.std() / np.sqrt(len(values))
    exposure = exposures(draws, world.alpha)
    np.testing.assert_allclose(exposure.sum(axis=1), world.alpha.sum())
    np.testing.assert_allclose((exposure * relevance).sum(axis=1), values)


# -- the flat table ---------------------------------------------------------------------------------------------------


def test_queries_of_all_sizes_get_their_own_gradient():
    rng = np.random.default_rng(0)
    sizes = [1, 2, 7, 3, 9, 4]
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    candidate, ranker, relevance = rng.normal(size=(3, offsets[-1]))
    share = rng.dirichlet(np.ones(len(sizes)))
    estimator = GradientEstimator(ALPHA[:2], 2, 4000)
    result = estimator.estimate(candidate, ranker, relevance, offsets, rng, query_weights=share)
    value, found = 0.0, []
    for query, rows in enumerate(map(slice, offsets[:-1], offsets[1:])):
        parts = candidate[rows], ranker[rows], relevance[rows]
        n_candidates = min(2, sizes[query])
        value += share[query] * exact_utility(*parts, ALPHA[:n_candidates], n_candidates)
        exact = slopes(lambda s, p=parts, n=n_candidates: exact_utility(s, *p[1:], ALPHA[:n], n), parts[0])
        found.append(np.abs(result.gradients["candidate"][rows] - share[query] * exact).max())
    assert abs(result.value - value) < 0.03
    assert max(found) < 0.01
    filled = np.repeat([ALPHA[: min(2, size)].sum() for size in sizes], 1)
    np.testing.assert_allclose(np.add.reduceat(result.exposure, offsets[:-1]), filled)


def test_blocks_hold_every_row_once_and_are_at_least_half_full(monkeypatch):
    monkeypatch.setattr("cltr_twostage.learning.races.BLOCK", 200)
    sizes = np.random.default_rng(0).integers(1, 60, size=50)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    parts = list(blocks(offsets, 4))
    rows = np.concatenate([rows[rows >= 0] for _, rows in parts])
    np.testing.assert_array_equal(np.sort(rows), np.arange(offsets[-1]))
    assert all((rows >= 0).mean() >= 0.5 for _, rows in parts)
    assert all(len(queries) == 1 or rows.size * 4 <= 400 for queries, rows in parts)


def test_the_same_seed_gives_the_same_gradient():
    world = World(12)
    arrays = (world.candidate, world.ranker, world.relevance, [0, 2, 6])
    estimator = GradientEstimator(ALPHA[:2], 3)
    first, second, other = (estimator.estimate(*arrays, np.random.default_rng(seed)) for seed in (0, 0, 1))
    for stage in ("candidate", "ranker"):
        np.testing.assert_array_equal(first.gradients[stage], second.gradients[stage])
        assert not np.array_equal(first.gradients[stage], other.gradients[stage])


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_candidates": 1}, "n_candidates=1; expected at least k=2"),
        ({"n_samples": 0}, "n_samples=0"),
        ({"n_samples": 1, "ranker": "reinforce"}, "at least 2 for REINFORCE"),
        ({"candidate": "plrank"}, "candidate='plrank'; expected one of 'credit', 'reinforce'"),
        ({"objective": "both"}, "objective='both'"),
        ({"rank_weights": [1.0, np.nan]}, "rank_weights"),
        ({"rank_weights": []}, "rank_weights"),
    ],
)
def test_a_bad_setting_is_named(change, message):
    with pytest.raises(ArgumentError, match=message):
        GradientEstimator(**({"rank_weights": ALPHA[:2], "n_candidates": 3} | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"candidate": [0.0, 1.0]}, r"candidate has shape \(2,\); expected \[3\]"),
        ({"ranker": [0.0, np.nan, 1.0]}, "nan"),
        ({"relevance": [0.0, np.inf, 1.0]}, "relevance holds inf"),
        ({"query_weights": [1.0]}, r"query_weights has shape \(1,\); expected \[2\]"),
        ({"query_weights": [1.0, np.nan]}, "query_weights holds nan"),
        ({"offsets": [0, 3, 2]}, "offsets"),
    ],
)
def test_a_bad_array_is_named(change, message):
    arrays = {"candidate": np.zeros(3), "ranker": np.zeros(3), "relevance": np.zeros(3), "offsets": [0, 1, 3]}
    with pytest.raises(ArgumentError, match=message):
        GradientEstimator(ALPHA[:2], 2).estimate(**(arrays | change), rng=np.random.default_rng(0))


def test_a_baseline_needs_two_samples():
    with pytest.raises(ArgumentError, match="at least 2"):
        leave_one_out(np.zeros((1, 3)))
