"""Exact placement and log-probabilities of two-stage policies: against sums over sets, samples and each other."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cltr_twostage.quadrature.placement import two_stage_cost, two_stage_log_prob, two_stage_placement
from irworks.errors import ArgumentError
from irworks.simulate import log_prob, placement_probabilities, sample_rankings


def sets_by_brute_force(candidate: np.ndarray, n_candidates: int) -> dict[frozenset[int], float]:
    """Log-probability of every candidate set, drawing one document after the other."""
    log_p = {frozenset[int](): 0.0}
    for _ in range(min(n_candidates, int(np.isfinite(candidate).sum()))):
        grown: dict[frozenset[int], float] = {}
        for members, so_far in log_p.items():
            free = [d for d in range(len(candidate)) if d not in members and np.isfinite(candidate[d])]
            for d, step in zip(free, candidate[free] - np.logaddexp.reduce(candidate[free]), strict=True):
                key = members | {d}
                grown[key] = float(np.logaddexp(grown.get(key, -np.inf), so_far + step))
        log_p = grown
    return log_p


def lists_by_brute_force(
    candidate: np.ndarray, ranker: np.ndarray, n_candidates: int, k: int
) -> dict[tuple[int, ...], float]:
    """Log-probability of every list that can be shown, padded with -1."""
    out: dict[tuple[int, ...], float] = {}
    for members, of_set in sets_by_brute_force(candidate, n_candidates).items():
        can = [d for d in members if np.isfinite(ranker[d])]
        shown = min(k, len(can))
        for ranking in permutations(can, shown):
            within = 0.0
            for place, d in enumerate(ranking):
                left = [ranker[e] for e in can if e not in ranking[:place]]
                within += ranker[d] - np.logaddexp.reduce(left)
            key = ranking + (-1,) * (k - shown)
            out[key] = float(np.logaddexp(out.get(key, -np.inf), of_set + within))
    return out


def placement_by_brute_force(candidate: np.ndarray, ranker: np.ndarray, n_candidates: int, k: int) -> np.ndarray:
    out = np.zeros((len(candidate), k))
    for ranking, log_p in lists_by_brute_force(candidate, ranker, n_candidates, k).items():
        for rank, d in enumerate(ranking):
            if d >= 0:
                out[d, rank] += np.exp(log_p)
    return out


@st.composite
def problems(draw: st.DrawFn, apart: float = 1e4) -> tuple[np.ndarray, np.ndarray, int, int]:
    n = draw(st.integers(1, 6))
    n_candidates = draw(st.integers(1, 6))
    k = draw(st.integers(1, min(n_candidates, 3)))
    tables = []
    for _ in range(2):
        spread = draw(st.sampled_from([0.0, 1.0, 3.0, 10.0, apart]))
        score = st.floats(-1, 1, allow_subnormal=False).map(lambda x, spread=spread: x * spread)
        tables.append(draw(st.lists(st.one_of(score, score, score, st.just(-np.inf)), min_size=n, max_size=n)))
    candidate, ranker = map(np.array, tables)
    if not np.isfinite(candidate).any():
        candidate[0] = 0.0
    return candidate, ranker, n_candidates, k


def scores(n: int, seed: int = 0, n_queries: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shape = n if n_queries is None else (n_queries, n)
    return rng.normal(size=shape), rng.normal(size=shape)


@settings(max_examples=120, deadline=None)
@given(problems())
def test_placement_equals_the_sum_over_candidate_sets_and_lists(
    problem: tuple[np.ndarray, np.ndarray, int, int],
) -> None:
    placement = two_stage_placement(*problem)

    np.testing.assert_allclose(placement, placement_by_brute_force(*problem), atol=1e-9)


@settings(max_examples=70, deadline=None)
@given(problems(apart=30.0))
def test_log_prob_equals_the_sum_over_candidate_sets_for_every_list(
    problem: tuple[np.ndarray, np.ndarray, int, int],
) -> None:
    candidate, ranker, n_candidates, k = problem
    expected = lists_by_brute_force(candidate, ranker, n_candidates, k)

    got = two_stage_log_prob(candidate, ranker, np.array(list(expected)), n_candidates)

    np.testing.assert_allclose(got, list(expected.values()), rtol=2e-8, atol=2e-8)
    assert np.exp(got).sum() == pytest.approx(1.0, abs=1e-9)


def test_candidates_of_all_documents_leave_the_ranker_alone() -> None:
    candidate, ranker = scores(12, n_queries=3)

    expected = placement_probabilities(ranker, 4)

    np.testing.assert_allclose(two_stage_placement(candidate, ranker, 12, 4), expected, atol=1e-12)
    np.testing.assert_allclose(two_stage_placement(candidate, ranker, 99, 4), expected, atol=1e-12)


@pytest.mark.parametrize("n_candidates", [1, 5, 24])
def test_as_many_ranks_as_candidates_show_every_candidate(n_candidates: int) -> None:
    candidate, ranker = scores(25)

    shown = two_stage_placement(candidate, ranker, n_candidates, n_candidates).sum(axis=-1)

    expected = placement_probabilities(candidate, n_candidates).sum(axis=-1)
    np.testing.assert_allclose(shown, expected, atol=1e-9)


def test_a_ranker_without_preferences_spreads_the_inclusion_over_the_ranks() -> None:
    candidate, _ = scores(40)

    placement = two_stage_placement(candidate, np.zeros(40), 12, 3)

    inclusion = placement_probabilities(candidate, 12).sum(axis=-1)
    np.testing.assert_allclose(placement, np.repeat(inclusion[:, None] / 12, 3, axis=1), atol=1e-10)


def test_adding_a_constant_to_the_scores_changes_nothing() -> None:
    candidate, ranker = scores(20)

    moved = two_stage_placement(candidate + 5000.0, ranker - 700.0, 6, 3)

    np.testing.assert_allclose(moved, two_stage_placement(candidate, ranker, 6, 3), atol=1e-9)


@pytest.mark.parametrize(("n", "n_candidates", "k"), [(30, 10, 4), (100, 20, 5), (60, 57, 2)])
def test_every_rank_is_filled_exactly_once(n: int, n_candidates: int, k: int) -> None:
    candidate, ranker = scores(n, seed=n)

    placement = two_stage_placement(candidate, ranker, n_candidates, k)

    np.testing.assert_allclose(placement.sum(axis=0), 1.0, atol=1e-9)
    assert (placement >= 0).all()


def test_queries_of_a_batch_do_not_touch_each_other() -> None:
    candidate, ranker = scores(9, n_queries=70)
    candidate[3] *= 500.0
    ranker[5] *= 500.0

    together = two_stage_placement(candidate.reshape(7, 10, 9), ranker.reshape(7, 10, 9), 4, 3)

    alone = [two_stage_placement(c, r, 4, 3) for c, r in zip(candidate, ranker, strict=True)]
    assert together.shape == (7, 10, 9, 3)
    np.testing.assert_allclose(together.reshape(70, 9, 3), alone, atol=1e-9)


def test_scores_far_apart_decide_the_list() -> None:
    candidate = np.array([1e4, -1e4, 5e3, 0.0, -5e3])
    ranker = np.array([-1e4, 1e4, 0.0, 1e4, 3.0])

    placement = two_stage_placement(candidate, ranker, 3, 3)

    expected = np.zeros((5, 3))
    expected[[3, 2, 0], [0, 1, 2]] = 1.0
    np.testing.assert_allclose(placement, expected, atol=1e-9)


def test_a_ranker_without_doubt_shows_its_favourite_whenever_it_is_a_candidate() -> None:
    candidate, _ = scores(40)

    placement = two_stage_placement(candidate, 1e4 * np.arange(40), 10, 2)

    inclusion = placement_probabilities(candidate, 10).sum(axis=-1)
    assert placement[39, 0] == pytest.approx(inclusion[39], abs=1e-10)
    assert placement[38].sum() == pytest.approx(inclusion[38], abs=1e-10)
    np.testing.assert_allclose(placement.sum(axis=0), 1.0, atol=1e-10)


def test_a_tie_between_extremes_is_split() -> None:
    placement = two_stage_placement([1e4, 0.0, 0.0, -1e4], [0.0, 9e3, 9e3, 1e4], 2, 1)

    np.testing.assert_allclose(placement[:, 0], [0.0, 0.5, 0.5, 0.0], atol=1e-9)


def test_a_candidate_of_ranker_score_minus_infinity_takes_a_place_and_is_never_shown() -> None:
    placement = two_stage_placement(np.zeros(4), [-np.inf, -np.inf, 0.0, 0.0], 2, 2)

    # One pair in six holds no document that can be shown, and one holds two.
    np.testing.assert_allclose(placement[2:].sum(axis=0), [5 / 6, 1 / 6], atol=1e-9)
    assert (placement[:2] == 0).all()
    assert (two_stage_placement(np.zeros(4), np.full(4, -np.inf), 2, 2) == 0).all()


def test_placement_agrees_with_sampled_lists() -> None:
    candidate, ranker = scores(60, seed=3)
    rng = np.random.default_rng(0)
    n_samples = 40_000

    chosen = sample_rankings(candidate, 15, n_samples, rng)
    order = sample_rankings(ranker[chosen], 5, 1, rng)[0]
    lists = np.take_along_axis(chosen, order, axis=1)

    placement = two_stage_placement(candidate, ranker, 15, 5)
    sampled = np.stack([np.bincount(column, minlength=60) for column in lists.T], axis=1) / n_samples
    stderr = np.sqrt(placement * (1 - placement) / n_samples)
    assert (np.abs(sampled - placement) <= 5 * stderr + 1e-12).all()
    assert np.abs(sampled - placement).max() > 0


def test_log_prob_of_short_beginnings_adds_up_to_the_placement_of_a_large_query() -> None:
    candidate, ranker = scores(30, seed=1)
    placement = two_stage_placement(candidate, ranker, 10, 2)

    first = np.exp(two_stage_log_prob(candidate, ranker, np.arange(30)[:, None], 10))
    ahead_of_seven = np.array([[d, 7] for d in range(30) if d != 7])
    second = np.exp(two_stage_log_prob(candidate, ranker, ahead_of_seven, 10)).sum()

    np.testing.assert_allclose(first, placement[:, 0], rtol=1e-8)
    assert second == pytest.approx(placement[7, 1], rel=1e-8)


def test_log_prob_is_plackett_luce_where_all_documents_are_candidates() -> None:
    candidate, ranker = scores(5)
    lists = np.array(list(permutations(range(5), 3)))

    np.testing.assert_allclose(two_stage_log_prob(candidate, ranker, lists, 5), log_prob(ranker, lists), atol=1e-12)


def test_unlikely_lists_keep_their_digits() -> None:
    candidate, ranker = np.array([9.0, 8.0, 7.0, -30.0, -40.0]), np.array([0.0, -60.0, 3.0, 25.0, -90.0])
    expected = lists_by_brute_force(candidate, ranker, 3, 3)

    got = two_stage_log_prob(candidate, ranker, np.array(list(expected)), 3)

    assert min(expected.values()) < -150
    np.testing.assert_allclose(got, list(expected.values()), atol=1e-9)


# Its integrand falls slowly to one side: cut off too early, it lost the sixth digit.
SKEWED = (
    np.array([-7.345274680880217, -8.393600079993224, -8.681893481174743, -11.657329124761084, -2.713458371131635]),
    np.array([-10.65563946605482, 8.534712931668594, 5.06713949196871, 3.6386854983450974, 0.15697518232227736]),
)


def test_a_list_has_nine_digits_whatever_stands_in_the_batch_with_it() -> None:
    expected = lists_by_brute_force(*SKEWED, 4, 2)
    lists = np.array(list(expected))
    together = two_stage_log_prob(*SKEWED, lists, 4)
    alone = np.array([two_stage_log_prob(*SKEWED, lists[i : i + 1], 4)[0] for i in range(len(lists))])
    np.testing.assert_allclose(together, list(expected.values()), rtol=0, atol=1e-9)
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-9)


def test_lists_of_extreme_scores_have_finite_log_probabilities() -> None:
    candidate, ranker = np.array([1e4, 0.0, -1e4, 1e4]), np.array([0.0, 1e4, -1e4, 0.0])
    expected = lists_by_brute_force(candidate, ranker, 2, 2)

    got = two_stage_log_prob(candidate, ranker, np.array(list(expected)), 2)

    assert np.isfinite(got).all()
    np.testing.assert_allclose(got, list(expected.values()), rtol=1e-6, atol=1e-9)


def test_lists_that_cannot_be_shown_have_probability_zero() -> None:
    candidate, ranker = np.array([0.0, 0.0, 0.0, -np.inf]), np.array([0.0, 1.0, -np.inf, 0.0])

    # A document that is never shown, one that is never drawn, and a list that ends too early.
    assert (two_stage_log_prob(candidate, ranker, [[2, 0], [3, 0]], 2) == -np.inf).all()
    assert two_stage_log_prob(np.zeros(3), np.zeros(3), [[0, -1]], 2)[0] == -np.inf
    assert two_stage_log_prob(candidate, ranker, [[0, -1]], 2)[0] == pytest.approx(np.log(1 / 3), abs=1e-9)
    assert two_stage_log_prob(candidate, ranker, np.empty((0, 2), dtype=int), 2).shape == (0,)


def test_the_cost_grows_with_the_problem_and_is_small_without_a_choice_of_candidates() -> None:
    sizes = [(6, 4, 3), (30, 10, 4), (100, 20, 5), (200, 50, 10), (1000, 200, 10)]
    seconds = [two_stage_cost(*size) for size in sizes]

    assert seconds == sorted(seconds)
    assert seconds[1] < 0.1
    assert seconds[-1] > 10
    assert two_stage_cost(200, 200, 10) < 0.1 * two_stage_cost(200, 50, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0, 1.0], [0.0], 1, 1), r"shape \(2,\)"),
        (([0.0, np.nan], [0.0, 1.0], 1, 1), "nan"),
        (([0.0, 1.0], [0.0, np.inf], 1, 1), "inf"),
        (([0.0, 1.0], [0.0, 1.0], 0, 1), "n_candidates=0"),
        (([0.0, 1.0], [0.0, 1.0], 1, 0), "k=0"),
        (([0.0, 1.0], [0.0, 1.0], 1, 2), "k=2 with n_candidates=1"),
        (([-np.inf, -np.inf], [0.0, 1.0], 1, 1), "row 0 of candidate_scores is all -inf"),
    ],
)
def test_placement_says_what_is_wrong_with_its_arguments(arguments: tuple, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        two_stage_placement(*arguments)


@pytest.mark.parametrize(
    ("lists", "n_candidates", "message"),
    [
        ([[0, 0]], 2, "expected each document once"),
        ([[0, 3]], 2, "holds 3; expected indices from 0 to 2"),
        ([[-1, 0]], 2, "expected -1 only after its last document"),
        ([[0, 1]], 1, "holds 2 documents; expected at most n_candidates=1"),
        ([0, 1], 2, r"shape \(2,\)"),
        ([[0.0, 1.0]], 2, "float64"),
        ([[0, 1]], 0, "n_candidates=0"),
    ],
)
def test_log_prob_says_what_is_wrong_with_its_lists(lists: list, n_candidates: int, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        two_stage_log_prob(np.zeros(3), np.zeros(3), lists, n_candidates)


def test_log_prob_says_what_is_wrong_with_its_scores() -> None:
    with pytest.raises(ArgumentError, match=r"shape \(1, 2\)"):
        two_stage_log_prob([[0.0, 1.0]], [0.0, 1.0], [[0]], 1)
    with pytest.raises(ArgumentError, match="all -inf"):
        two_stage_log_prob([-np.inf, -np.inf], [0.0, 1.0], [[0]], 1)


def test_the_cost_needs_whole_numbers() -> None:
    with pytest.raises(ArgumentError, match="n=0"):
        two_stage_cost(0, 1, 1)
