import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from ltr_twotower import Cells
from ltr_twotower.overlap import feature_overlap

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=60, deadline=None)


def one_document_per_rank(n_queries, k):
    """A deterministic ranker: pair q * k + j stands at rank j."""
    docs = np.arange(n_queries * k).reshape(n_queries, k)
    return Cells.from_log(ClickLog(np.arange(n_queries), docs, np.zeros(docs.shape)))


def standardised(X):
    scale = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(scale > 0, scale, 1)


def brute_overlap(cells, X, caliper):
    Z = standardised(X)
    expected = np.zeros((cells.n_ranks, cells.n_ranks))
    for a in range(cells.n_ranks):
        for b in range(cells.n_ranks):
            here, there = (cells.pair[cells.rank == rank] for rank in (a, b))
            if len(here) and len(there):
                distance = np.linalg.norm(Z[here][:, None] - Z[there][None], axis=2).min(axis=1)
                expected[a, b] = (distance <= caliper + 1e-12).mean()
    return expected


@quick
@given(seed=seeds, caliper=st.floats(0, 3))
def test_overlap_is_the_share_of_pairs_with_a_neighbour_at_the_other_rank(seed, caliper, random_log):
    cells = Cells.from_log(random_log(seed))
    X = np.random.default_rng(seed).normal(size=(cells.n_pairs, 2))
    np.testing.assert_allclose(feature_overlap(cells, X, caliper), brute_overlap(cells, X, caliper))


@quick
@given(seed=seeds)
def test_the_default_caliper_is_the_median_distance_to_the_nearest_neighbour(seed, random_log):
    cells = Cells.from_log(random_log(seed))
    X = np.random.default_rng(seed).normal(size=(cells.n_pairs, 2))
    if cells.n_pairs < 2:
        return
    Z = standardised(X)
    distance = np.linalg.norm(Z[:, None] - Z[None], axis=2) + np.diag(np.full(len(Z), np.inf))
    caliper = float(np.median(distance.min(axis=1)))
    np.testing.assert_allclose(feature_overlap(cells, X), feature_overlap(cells, X, caliper))


@quick
@given(seed=seeds)
def test_the_scale_and_the_mean_of_a_feature_do_not_matter(seed, random_log):
    cells = Cells.from_log(random_log(seed))
    X = np.random.default_rng(seed).normal(size=(cells.n_pairs, 3))
    other = X * np.array([1e6, 1e-6, 4.0]) + np.array([5.0, -7.0, 1e3])
    np.testing.assert_allclose(feature_overlap(cells, other, 0.5), feature_overlap(cells, X, 0.5))


def test_shown_ranks_overlap_with_themselves_and_others_with_nothing():
    cells = Cells.from_log(ClickLog([0], [[0, -1, 1]], [[0, 0, 1]]))
    overlap = feature_overlap(cells, np.array([[0.0], [1.0]]), 0.0)
    assert overlap.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 1]]


def test_overlap_need_not_be_mutual():
    """Every document at rank 1 has a twin at rank 2, one in four of those at rank 2 has one at rank 1."""
    cells = one_document_per_rank(4, 2)
    X = np.array([0, 0, 0, 10, 0, 20, 0, 30], dtype=float)[:, None]
    assert feature_overlap(cells, X, 0.01).tolist() == [[1, 1], [0.25, 1]]


@pytest.mark.parametrize("X", [np.ones((8, 2)), np.zeros((8, 0)), np.full((8, 1), 1e9)])
def test_features_that_tell_nothing_apart_overlap_everywhere(X):
    assert feature_overlap(one_document_per_rank(4, 2), X).tolist() == [[1, 1], [1, 1]]


def test_a_caliper_of_zero_asks_for_equal_features():
    cells = one_document_per_rank(2, 2)
    X = np.array([[1.0], [1.0], [2.0], [3.0]])
    assert feature_overlap(cells, X, 0.0).tolist() == [[1, 0.5], [0.5, 1]]


def test_an_infinite_caliper_joins_everything():
    cells = one_document_per_rank(3, 3)
    X = np.random.default_rng(0).normal(size=(9, 2))
    assert (feature_overlap(cells, X, np.inf) == 1).all()


def test_one_document_has_no_neighbour_and_no_trouble():
    cells = Cells.from_log(ClickLog([0], [[0]], [[1]]))
    assert feature_overlap(cells, np.array([[3.0]])).tolist() == [[1]]


@pytest.mark.parametrize("caliper", [-1, -1e-9, float("nan")])
def test_a_caliper_below_zero_is_refused(caliper):
    with pytest.raises(ArgumentError, match="expected a distance of at least 0"):
        feature_overlap(one_document_per_rank(2, 2), np.zeros((4, 1)), caliper)


def test_a_sample_of_the_pairs_estimates_the_overlap_of_all():
    n = 3000
    cells = one_document_per_rank(n, 2)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2 * n, 1))
    X[1::2] += 5 * (rng.random((n, 1)) < 0.4)  # two in five documents at rank 2 lie apart
    whole = feature_overlap(cells, X, 0.05, max_pairs=n)
    sample = feature_overlap(cells, X, 0.05, max_pairs=1000)
    np.testing.assert_allclose(sample, whole, atol=0.06)
    np.testing.assert_array_equal(sample, feature_overlap(cells, X, 0.05, max_pairs=1000))
    assert (sample != feature_overlap(cells, X, 0.05, max_pairs=1000, seed=1)).any()
