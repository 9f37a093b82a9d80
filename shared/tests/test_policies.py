import math
import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from irworks.errors import ArgumentError
from irworks.simulate import (
    EpsilonGreedy,
    PlackettLucePolicy,
    SwapPolicy,
    enumerate_rankings,
    estimate_placement,
    log_prob,
    mix_scores,
)

SIZES = (4, 1, 3, 2)
OFFSETS = np.concatenate(([0], np.cumsum(SIZES)))
SCORES = np.array([0.5, 2.0, -1.0, 0.5, 3.0, 0.0, 1.0, -np.inf, 0.2, 0.1])
K = 3


def policies():
    greedy = EpsilonGreedy(SCORES, OFFSETS, 0.4, K)
    return {
        "epsilon-greedy": greedy,
        "deterministic": EpsilonGreedy(SCORES, OFFSETS, 0.0, K),
        "uniform": EpsilonGreedy(SCORES, OFFSETS, 1.0, K),
        "plackett-luce": PlackettLucePolicy(SCORES, OFFSETS, K, temperature=0.7),
        "adjacent swaps": SwapPolicy(greedy, "adjacent", 0.6),
        "pivot swaps": SwapPolicy(EpsilonGreedy(SCORES, OFFSETS, 0.0, K), "pivot", 0.9),
        "swaps of plackett-luce": SwapPolicy(PlackettLucePolicy(SCORES, OFFSETS, K), [(1, 3)], 0.3),
    }


every_policy = pytest.mark.parametrize("name", list(policies()))


def all_lists(query):
    """Every complete list that could be shown for a query."""
    rows = np.arange(OFFSETS[query], OFFSETS[query + 1])
    rows = rows[np.isfinite(SCORES[rows])]
    chosen = enumerate_rankings(len(rows), K)
    lists = np.full((len(chosen), K), -1)
    lists[:, : chosen.shape[1]] = rows[chosen]
    return lists


@every_policy
def test_probabilities_of_all_lists_of_a_query_sum_to_one(name):
    for query in range(len(SIZES)):
        lists = all_lists(query)
        probabilities = np.exp(policies()[name].log_prob(np.full(len(lists), query), lists))
        assert probabilities.sum() == pytest.approx(1.0, abs=1e-12)


@every_policy
def test_placement_is_the_sum_over_lists(name):
    policy = policies()[name]
    expected = np.zeros((len(SCORES), K))
    for query in range(len(SIZES)):
        lists = all_lists(query)
        probabilities = np.exp(policy.log_prob(np.full(len(lists), query), lists))
        for rank in range(K):
            shown = lists[:, rank] >= 0
            np.add.at(expected[:, rank], lists[shown, rank], probabilities[shown])
    np.testing.assert_allclose(policy.placement(), expected, rtol=0, atol=1e-12)


@every_policy
def test_sampled_lists_follow_log_prob(name):
    policy = policies()[name]
    query = np.tile(np.arange(len(SIZES)), 20_000)
    docs = policy.sample(query, np.random.default_rng(11))
    assert docs.shape == (80_000, K)
    assert docs.dtype == np.int32
    for q in range(len(SIZES)):
        lists = all_lists(q)
        expected = 20_000 * np.exp(policy.log_prob(np.full(len(lists), q), lists))
        code = {tuple(row): i for i, row in enumerate(lists.tolist())}
        counts = np.bincount([code[tuple(row)] for row in docs[query == q].tolist()], minlength=len(lists))
        possible = expected > 0
        assert counts[~possible].sum() == 0
        if possible.sum() > 1:
            assert stats.chisquare(counts[possible], expected[possible]).pvalue > 1e-3


@every_policy
def test_counting_agrees_with_exact_placement_within_its_standard_errors(name):
    policy = policies()[name]
    estimate = estimate_placement(policy, 5_000, np.random.default_rng(3))
    z = (estimate.probabilities - policy.placement()) / estimate.standard_errors
    assert estimate.probabilities.shape == (len(SCORES), K)
    assert np.abs(z).max() < 4.5
    assert (estimate.standard_errors > 0).all()


@every_policy
def test_the_same_seed_shows_the_same_lists(name):
    query = np.random.default_rng(0).integers(len(SIZES), size=500)
    one = policies()[name].sample(query, np.random.default_rng(7))
    np.testing.assert_array_equal(one, policies()[name].sample(query, np.random.default_rng(7)))


@every_policy
def test_each_list_holds_documents_of_its_query_once(name):
    query = np.random.default_rng(0).integers(len(SIZES), size=2_000)
    docs = policies()[name].sample(query, np.random.default_rng(1))
    shown = docs >= 0
    candidates = np.array([np.isfinite(SCORES[OFFSETS[q] : OFFSETS[q + 1]]).sum() for q in range(len(SIZES))])
    np.testing.assert_array_equal(shown.sum(axis=1), np.minimum(candidates[query], K))
    assert (np.diff(shown.astype(int), axis=1) <= 0).all()
    assert (docs >= OFFSETS[query][:, None])[shown].all()
    assert (docs < OFFSETS[query + 1][:, None])[shown].all()
    assert all(len(set(row[row >= 0])) == (row >= 0).sum() for row in docs)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), temperature=st.floats(0, 1), k=st.integers(1, 6))
def test_epsilon_greedy_placement_has_its_closed_form(seed, temperature, k):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 8, size=5)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    scores = rng.permutation(offsets[-1]).astype(float)
    placement = EpsilonGreedy(scores, offsets, temperature, k).placement()
    for begin, end in pairwise(offsets):
        n = end - begin
        order = np.argsort(-scores[begin:end])
        for rank in range(k):
            expected = np.zeros(n)
            if rank < n:
                expected[:] = temperature / n
                expected[order[rank]] += 1 - temperature
            np.testing.assert_allclose(placement[begin:end, rank], expected, rtol=0, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), temperature=st.floats(0.01, 1))
def test_placement_never_leaves_the_unit_interval(seed, temperature):
    rng = np.random.default_rng(seed)
    offsets = np.concatenate(([0], np.cumsum(rng.integers(1, 4, size=20))))
    scores = 5 * rng.normal(size=offsets[-1])
    greedy = EpsilonGreedy(scores, offsets, temperature, 3)
    for policy in (
        greedy,
        PlackettLucePolicy(scores, offsets, 3, temperature),
        SwapPolicy(greedy, "pivot", temperature),
    ):
        placement = policy.placement()
        assert placement.min() >= 0.0
        assert placement.max() <= 1.0


def test_temperature_zero_always_sorts_and_equal_scores_keep_row_order():
    policy = EpsilonGreedy([1.0, 2.0, 1.0, 2.0, 1.0], [0, 5], 0.0, 5)
    docs = policy.sample(np.zeros(50, dtype=int), np.random.default_rng(0))
    assert (docs == [1, 3, 0, 2, 4]).all()


def test_temperature_one_shows_every_permutation_equally_often():
    policy = EpsilonGreedy(np.arange(4.0), [0, 4], 1.0, 4)
    docs = policy.sample(np.zeros(48_000, dtype=int), np.random.default_rng(0))
    _, counts = np.unique(docs, axis=0, return_counts=True)
    assert len(counts) == math.factorial(4)
    assert stats.chisquare(counts).pvalue > 1e-3


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 7))
def test_ragged_plackett_luce_is_plackett_luce_query_by_query(seed, k):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 8, size=6)
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    scores = rng.normal(size=offsets[-1])
    policy = PlackettLucePolicy(scores, offsets, k, temperature=2.0)
    query = rng.integers(6, size=40)
    docs = policy.sample(query, rng)
    expected = [
        log_prob(scores[offsets[q] : offsets[q + 1]] / 2.0, np.where(row >= 0, row - offsets[q], -1))
        for q, row in zip(query, docs, strict=True)
    ]
    np.testing.assert_allclose(policy.log_prob(query, docs), expected, rtol=0, atol=1e-12)


def test_inclusion_is_certain_when_every_document_fits():
    policy = PlackettLucePolicy(SCORES, OFFSETS, 4)
    np.testing.assert_allclose(policy.inclusion(), np.isfinite(SCORES).astype(float), rtol=0, atol=1e-12)
    np.testing.assert_allclose(PlackettLucePolicy(SCORES, OFFSETS, 2).inclusion()[:4].sum(), 2.0, rtol=0, atol=1e-12)


def test_plackett_luce_at_extreme_scores_sorts_without_overflow():
    policy = PlackettLucePolicy([1e4, -1e4, 0.0, -np.inf], [0, 4], 3, temperature=0.5)
    assert (policy.sample(np.zeros(20, dtype=int), np.random.default_rng(0)) == [0, 2, 1]).all()
    np.testing.assert_allclose(policy.placement()[[0, 2, 1], [0, 1, 2]], 1.0)


def test_a_list_with_an_impossible_document_has_probability_zero():
    query, docs = np.array([2, 2, 2]), np.array([[5, 7, -1], [7, 5, 6], [5, 6, -1]])
    for policy in (PlackettLucePolicy(SCORES, OFFSETS, K), EpsilonGreedy(SCORES, OFFSETS, 0.5, K)):
        values = policy.log_prob(query, docs)
        assert (values[:2] == -np.inf).all()
        assert np.isfinite(values[2])


def test_a_list_longer_than_the_policy_shows_has_probability_zero():
    docs = np.array([[1, 0, 3, 2]])
    assert EpsilonGreedy(SCORES, OFFSETS, 0.5, K).log_prob([0], docs)[0] == -np.inf
    assert PlackettLucePolicy(SCORES, OFFSETS, K).log_prob([0], docs)[0] == -np.inf


def test_the_beginning_of_a_list_sums_over_its_ends():
    for policy in (EpsilonGreedy(SCORES, OFFSETS, 0.4, K), PlackettLucePolicy(SCORES, OFFSETS, K)):
        lists = all_lists(0)
        ends = lists[(lists[:, 0] == 1)]
        whole = np.exp(policy.log_prob(np.zeros(len(ends), dtype=int), ends)).sum()
        assert np.exp(policy.log_prob([0], [[1, -1, -1]])[0]) == pytest.approx(whole)


def test_certain_swaps_exchange_exactly_the_pair():
    base = EpsilonGreedy([3.0, 2.0, 1.0, 9.0], [0, 3, 4], 0.0, 3)
    swapped = SwapPolicy(base, [(1, 3)], 1.0)
    docs = swapped.sample(np.array([0, 1]), np.random.default_rng(0))
    np.testing.assert_array_equal(docs, [[2, 1, 0], [3, -1, -1]])
    np.testing.assert_array_equal(swapped.placement()[:3], np.eye(3)[::-1])


def test_adjacent_swaps_reach_the_rank_next_door_only():
    base = EpsilonGreedy(np.arange(5.0)[::-1], [0, 5], 0.0, 5)
    placement = SwapPolicy(base, "adjacent", 0.8).placement()
    assert np.count_nonzero(placement) == 5 + 2 * 4
    np.testing.assert_allclose(np.diag(placement, 1), 0.8 / 4)
    np.testing.assert_allclose(placement.sum(axis=0), 1.0)


def test_swapping_leaves_the_base_policy_untouched():
    base = EpsilonGreedy([3.0, 2.0, 1.0], [0, 3], 0.0, 3)
    SwapPolicy(base, "adjacent", 1.0).sample(np.zeros(10, dtype=int), np.random.default_rng(0))
    np.testing.assert_array_equal(base.sample([0], np.random.default_rng(0)), [[0, 1, 2]])


def test_mixed_scores_are_expert_random_and_inverse_rankers():
    scores = np.array([0.0, 4.0, 2.0, 3.0])
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(mix_scores(scores, 1.0, rng), scores)
    np.testing.assert_array_equal(np.argsort(mix_scores(scores, -1.0, rng)), np.argsort(-scores))
    noise = mix_scores(np.full(10_000, 100.0), 0.0, rng, low=1.0, high=3.0)
    assert 1.0 <= noise.min() < 1.01
    assert 2.99 < noise.max() <= 3.0
    half = mix_scores(np.full(10_000, 100.0), -0.5, rng)
    assert half.mean() == pytest.approx(-50.0 + 0.5 * 2.0, abs=0.05)


def test_a_million_lists_of_ten_are_drawn_in_seconds():
    rng = np.random.default_rng(0)
    scores, offsets = rng.normal(size=6_000), np.arange(0, 6_001, 10)
    query = rng.integers(600, size=1_000_000)
    begin = time.perf_counter()
    EpsilonGreedy(scores, offsets, 0.5, 10).sample(query, rng)
    PlackettLucePolicy(scores, offsets, 10).sample(query, rng)
    assert time.perf_counter() - begin < 10.0


def test_no_session_is_no_list():
    for policy in policies().values():
        assert policy.sample(np.zeros(0, dtype=int), np.random.default_rng(0)).shape == (0, K)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: EpsilonGreedy([0.0, np.nan], [0, 2], 0.1, 1), r"scores\[1\] is nan"),
        (lambda: EpsilonGreedy([0.0, 1.0], [0, 2], 1.1, 1), "temperature=1.1"),
        (lambda: EpsilonGreedy([0.0, 1.0], [0, 2], math.nan, 1), "temperature=nan"),
        (lambda: EpsilonGreedy([0.0, 1.0], [0, 2], 0.1, 0), "k=0"),
        (lambda: EpsilonGreedy([[0.0, 1.0]], [0, 1], 0.1, 1), r"shape \(1, 2\); expected \[n_docs\]"),
        (lambda: EpsilonGreedy([0.0, 1.0], [0, 3], 0.1, 1), "offsets run from 0 to 3; expected from 0 to 2"),
        (lambda: EpsilonGreedy([0.0, 1.0], [0, 2, 1, 2], 0.1, 1), "offsets fall from 2 to 1 at query 1"),
        (lambda: EpsilonGreedy([0.0, 1.0], [0.0, 2.0], 0.1, 1), "expected integers"),
        (lambda: EpsilonGreedy([0.0, 1.0], [0, 0, 2], 0.1, 1), "query 0 has 0 documents"),
        (lambda: PlackettLucePolicy([0.0, -np.inf], [0, 1, 2], 1), "query 1 has 1 documents, none with a score above"),
        (lambda: PlackettLucePolicy([0.0, 1.0], [0, 2], 1, temperature=0.0), "temperature=0.0"),
        (lambda: PlackettLucePolicy([0.0, 1.0], [0, 2], 1, temperature=1e-320), r"scores\[1\] is"),
        (lambda: policies()["uniform"].sample([0, 4], np.random.default_rng(0)), "query holds 4; expected codes from"),
        (lambda: policies()["uniform"].sample([0.5], np.random.default_rng(0)), "expected integers"),
        (lambda: policies()["uniform"].log_prob([0], [[4, -1, -1]]), "holds document 4; expected documents of query 0"),
        (lambda: policies()["plackett-luce"].log_prob([0], [[1, 1, -1]]), "expected each document once"),
        (lambda: policies()["plackett-luce"].log_prob([0, 1], [[1, 0, 2]]), "a list per query code"),
        (lambda: SwapPolicy(policies()["uniform"], [(1, 4)]), r"pairs holds \[1, 4\]; expected two different ranks"),
        (lambda: SwapPolicy(policies()["uniform"], [(2, 2)]), r"pairs holds \[2, 2\]"),
        (lambda: SwapPolicy(policies()["uniform"], []), "at least one pair"),
        (lambda: SwapPolicy(policies()["uniform"], "random"), "pairs='random'"),
        (lambda: SwapPolicy(policies()["uniform"], "adjacent", -0.1), "probability=-0.1"),
        (lambda: SwapPolicy(EpsilonGreedy([0.0], [0, 1], 0.0, 1)), "k=1 leaves no two ranks"),
        (lambda: policies()["adjacent swaps"].log_prob([0], [[1, 0]]), "complete lists"),
        (lambda: estimate_placement(policies()["uniform"], 0, np.random.default_rng(0)), "n_samples=0"),
        (lambda: mix_scores([0.0], 1.5, np.random.default_rng(0)), "strength=1.5"),
        (lambda: mix_scores([0.0], 0.5, np.random.default_rng(0), low=2.0, high=1.0), "low=2.0, high=1.0"),
        (lambda: mix_scores([np.nan], 0.5, np.random.default_rng(0)), "scores holds nan"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
