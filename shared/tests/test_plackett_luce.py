import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from irworks.errors import ArgumentError
from irworks.simulate import (
    enumerate_rankings,
    gumbel,
    log_prob,
    placement_probabilities,
    sample_rankings,
)

score_lists = st.integers(1, 6).flatmap(
    lambda n: arrays(np.float64, n, elements=st.floats(-8, 8, allow_subnormal=False))
)


def product_of_shares(scores, ranking):
    """The definition, literally: each document's share of the weights that are left."""
    weights = dict(enumerate(np.exp(scores)))
    probability = 1.0
    for doc in ranking:
        probability *= weights[doc] / sum(weights.values())
        del weights[doc]
    return probability


def placement_by_enumeration(scores, k):
    rankings = enumerate_rankings(len(scores), k)
    probabilities = np.exp(log_prob(scores, rankings))
    out = np.zeros((len(scores), k))
    for rank in range(rankings.shape[1]):
        np.add.at(out[:, rank], rankings[:, rank], probabilities)
    return out


@given(scores=score_lists, k=st.integers(1, 6))
def test_probabilities_of_all_rankings_sum_to_one(scores, k):
    rankings = enumerate_rankings(len(scores), k)
    assert np.exp(log_prob(scores, rankings)).sum() == pytest.approx(1.0, abs=1e-10)


@given(scores=score_lists, k=st.integers(1, 6))
def test_log_prob_is_the_product_of_shares(scores, k):
    rankings = enumerate_rankings(len(scores), k)[:20]
    expected = [product_of_shares(scores, ranking) for ranking in rankings.tolist()]
    np.testing.assert_allclose(np.exp(log_prob(scores, rankings)), expected, rtol=1e-9)


@given(scores=score_lists, shift=st.floats(-1e4, 1e4))
def test_adding_a_constant_to_the_scores_changes_nothing(scores, shift):
    rankings = enumerate_rankings(len(scores), 3)
    np.testing.assert_allclose(log_prob(scores + shift, rankings), log_prob(scores, rankings), rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        placement_probabilities(scores + shift, 3),
        placement_probabilities(scores, 3),
        rtol=0,
        atol=1e-10,
    )


@given(scores=score_lists, seed=st.integers(0, 100))
def test_renaming_the_documents_renames_their_probabilities(scores, seed):
    order = np.random.default_rng(seed).permutation(len(scores))
    np.testing.assert_allclose(placement_probabilities(scores[order], 4), placement_probabilities(scores, 4)[order])


def test_a_shorter_list_is_the_beginning_of_longer_ones():
    scores = np.array([0.3, -1.0, 2.0, 0.0])
    full = enumerate_rankings(4, 4)
    starts_with = (full[:, 0] == 2) & (full[:, 1] == 0)
    padded = np.array([2, 0, -1, -1])
    assert np.exp(log_prob(scores, padded)) == pytest.approx(np.exp(log_prob(scores, full[starts_with])).sum())


def test_the_empty_list_is_certain():
    assert log_prob([0.0, 1.0], [-1, -1]) == 0.0


def test_enumeration_takes_numpy_integers():
    np.testing.assert_array_equal(enumerate_rankings(np.int64(3), np.int64(2)), enumerate_rankings(3, 2))


def test_enumeration_lists_every_ordered_choice_once():
    rankings = enumerate_rankings(5, 3)
    assert rankings.shape == (60, 3)
    assert len({tuple(row) for row in rankings.tolist()}) == 60
    assert all(len(set(row)) == 3 for row in rankings.tolist())


def test_sampled_rankings_follow_log_prob():
    scores = np.array([1.0, 0.0, -0.5, 0.7])
    rankings = enumerate_rankings(4, 3)
    sampled = sample_rankings(scores, 3, 60_000, np.random.default_rng(1))
    code = {tuple(row): i for i, row in enumerate(rankings.tolist())}
    counts = np.bincount([code[tuple(row)] for row in sampled.tolist()], minlength=len(rankings))
    assert stats.chisquare(counts, 60_000 * np.exp(log_prob(scores, rankings))).pvalue > 1e-3


def test_short_lists_are_the_tops_of_long_ones_for_the_same_seed():
    scores = np.random.default_rng(0).normal(size=(3, 60))
    short = sample_rankings(scores, 4, 50, np.random.default_rng(2))
    whole = sample_rankings(scores, 60, 50, np.random.default_rng(2))
    assert short.shape == (50, 3, 4)
    np.testing.assert_array_equal(short, whole[..., :4])


def test_a_document_of_weight_zero_is_never_drawn_and_lists_are_padded():
    scores = np.array([0.0, -np.inf, 1.0])
    sampled = sample_rankings(scores, 4, 200, np.random.default_rng(0))
    assert set(np.unique(sampled[:, :2])) == {0, 2}
    assert (sampled[:, 2:] == -1).all()
    assert log_prob(scores, [0, 1]) == -np.inf
    assert log_prob(scores, [2, 0, -1]) == pytest.approx(np.log(np.e / (1 + np.e)))


def test_scores_far_apart_stay_finite_and_sort():
    scores = np.array([-1e4, 1e4, 0.0, -np.inf])
    sampled = sample_rankings(scores, 3, 100, np.random.default_rng(0))
    assert (sampled == [1, 2, 0]).all()
    assert log_prob(scores, [1, 2, 0]) == 0.0
    assert log_prob(scores, [0, 1, 2]) == pytest.approx(-2e4)
    expected = np.zeros((4, 4))
    expected[[1, 2, 0], [0, 1, 2]] = 1.0
    np.testing.assert_allclose(placement_probabilities(scores, 4), expected, rtol=0, atol=1e-12)


def test_leading_dimensions_broadcast():
    scores = np.random.default_rng(0).normal(size=(5, 4))
    rankings = sample_rankings(scores, 3, 7, np.random.default_rng(0))
    together = log_prob(scores, rankings)
    assert together.shape == (7, 5)
    assert together[6, 2] == pytest.approx(log_prob(scores[2], rankings[6, 2]))
    assert log_prob(scores[0], rankings[:, 0]).shape == (7,)


def test_gumbel_noise_has_the_known_moments():
    noise = gumbel((200, 1000), np.random.default_rng(0))
    assert noise.shape == (200, 1000)
    assert noise.mean() == pytest.approx(np.euler_gamma, abs=4 * np.pi / np.sqrt(6 * noise.size))
    assert noise.var() == pytest.approx(np.pi**2 / 6, rel=0.02)


@settings(max_examples=40, deadline=None)
@given(scores=score_lists, k=st.integers(1, 6))
def test_placement_equals_enumeration(scores, k):
    np.testing.assert_allclose(
        placement_probabilities(scores, k), placement_by_enumeration(scores, k), rtol=0, atol=1e-12
    )


def test_placement_equals_enumeration_on_scores_of_every_scale():
    rng = np.random.default_rng(3)
    for scale in (1e-3, 1.0, 20.0, 300.0, 5e3):
        scores = scale * rng.normal(size=6)
        np.testing.assert_allclose(
            placement_probabilities(scores, 4), placement_by_enumeration(scores, 4), rtol=0, atol=1e-11
        )


def test_placement_of_many_documents_is_doubly_stochastic_and_starts_with_softmax():
    scores = np.random.default_rng(0).normal(size=120) * 2
    whole = placement_probabilities(scores, 120)
    np.testing.assert_allclose(whole.sum(axis=0), 1.0, rtol=0, atol=1e-10)
    np.testing.assert_allclose(whole.sum(axis=1), 1.0, rtol=0, atol=1e-10)
    np.testing.assert_allclose(whole[:, 0], np.exp(scores) / np.exp(scores).sum(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(whole[:, :10], placement_probabilities(scores, 10), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 5), (100, 10), (700, 3), (60, 60)])
def test_equal_scores_are_placed_uniformly(n, k):
    placement = placement_probabilities(np.full(n, 2.5), k)
    np.testing.assert_allclose(placement[:, : min(n, k)], 1 / n, rtol=0, atol=1e-12)
    assert (placement[:, n:] == 0).all()


def test_placement_of_a_hundred_documents_agrees_with_counting():
    scores = np.random.default_rng(5).normal(size=100) * 1.5
    n_samples = 20_000
    sampled = sample_rankings(scores, 8, n_samples, np.random.default_rng(6))
    exact = placement_probabilities(scores, 8)
    counted = np.stack([np.bincount(sampled[:, rank], minlength=100) for rank in range(8)], axis=1) / n_samples
    z = (counted - exact) / np.sqrt(exact * (1 - exact) / n_samples)
    assert np.abs(z[exact > 1e-3]).max() < 4.5
    assert z[exact > 1e-3].std() == pytest.approx(1.0, abs=0.15)


def test_placement_works_row_by_row_on_stacked_scores():
    scores = np.random.default_rng(0).normal(size=(3, 40, 5)) * [[[1.0]], [[10.0]], [[1000.0]]]
    stacked = placement_probabilities(scores, 3)
    assert stacked.shape == (3, 40, 5, 3)
    for i in range(3):
        np.testing.assert_allclose(stacked[i, 7], placement_probabilities(scores[i, 7], 3), rtol=0, atol=1e-12)


def test_placement_of_a_hundred_documents_takes_well_under_a_second():
    scores = np.random.default_rng(0).normal(size=(10, 100))
    begin = time.perf_counter()
    placement_probabilities(scores, 10)
    assert time.perf_counter() - begin < 5.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_prob([0.0, np.nan], [0]), r"scores\[1\] is nan"),
        (lambda: log_prob([0.0, np.inf], [0]), r"scores\[1\] is inf"),
        (lambda: log_prob([0.0, 1.0], [0, 0]), r"ranking 0 is \[0, 0\]; expected each document once"),
        (lambda: log_prob([0.0, 1.0], [-1, 0]), "-1 only after its last document"),
        (lambda: log_prob([0.0, 1.0], [2]), "rankings holds 2; expected indices from 0 to 1"),
        (lambda: log_prob([0.0, 1.0], [0.5]), "expected integers"),
        (lambda: log_prob([], [0]), r"scores has shape \(0,\)"),
        (lambda: sample_rankings([0.0], 0, 1, np.random.default_rng(0)), "k=0"),
        (lambda: sample_rankings([0.0], 1, 0, np.random.default_rng(0)), "n_samples=0"),
        (lambda: placement_probabilities([[0.0, 1.0], [-np.inf, -np.inf]], 1), "row 1 of scores is all -inf"),
        (lambda: placement_probabilities([1e13, 0.0], 1), "within"),
        (lambda: enumerate_rankings(20, 10), "expected at most 1,000,000"),
        (lambda: enumerate_rankings(True, 1), "n=True"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
