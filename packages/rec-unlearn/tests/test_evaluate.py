"""Measures of recommendations against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions, Split
from rec_unlearn.evaluate import log_probability, ndcg, overlap, rank_of, recall, share_shown, top_k


class Table:
    """A model that is a table of scores."""

    def __init__(self, scores):
        self.table = np.asarray(scores, dtype=np.float64)

    def scores(self, log, users):
        return self.table[users]


def log_of(rows, n_users, n_items):
    user, item = np.array(sorted(set(rows)), dtype=np.int32).reshape(-1, 2).T
    return Interactions(user, item, user, np.zeros(len(user), np.int32), np.arange(n_users), np.arange(n_items))


TABLES = st.integers(0, 1000).map(lambda seed: np.random.default_rng(seed).integers(0, 4, (5, 7)))


@given(TABLES, st.integers(1, 7))
def test_the_top_is_that_of_a_stable_sort(table, k):
    log = log_of([(0, 0)], 5, 7)
    expected = np.argsort(-table, axis=1, kind="stable")[:, :k]
    assert np.array_equal(top_k(Table(table), log, np.arange(5), k), expected)


@given(TABLES, st.sets(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1), st.integers(1, 9))
def test_ndcg_and_recall_are_what_they_say(table, relevant, k):
    split = Split(log_of([(0, 0)], 5, 7), log_of(relevant, 5, 7))
    users = sorted({user for user, _ in relevant})
    for place, user in enumerate(users):
        order = np.argsort(-table[user], kind="stable")[:k]
        wanted = {item for owner, item in relevant if owner == user}
        gains = [1 / np.log2(rank + 2) for rank, item in enumerate(order) if item in wanted]
        best = [1 / np.log2(rank + 2) for rank in range(min(k, len(wanted)))]
        assert ndcg(Table(table), split, k=k)[place] == pytest.approx(sum(gains) / sum(best))
        assert recall(Table(table), split, k=k)[place] == pytest.approx(len(gains) / len(wanted))


def test_what_was_taken_is_left_out_where_nobody_takes_it_twice():
    log = log_of([(0, 0), (0, 1), (1, 2)], 2, 4)
    model = Table([[4.0, 3, 2, 1], [1, 2, 9, 3]])
    assert top_k(model, log, [0, 1], 2, exclude_seen=True).tolist() == [[2, 3], [3, 1]]
    split = Split(log, log_of([(0, 2), (1, 1)], 2, 4))
    assert recall(model, split, k=2, exclude_seen=True).tolist() == [1, 1]
    assert recall(model, split, k=2).tolist() == [0, 0]


@given(TABLES, TABLES, st.integers(1, 7))
def test_overlap_is_the_share_of_items_in_both(first, second, k):
    log = log_of([(0, 0)], 5, 7)
    found = overlap(Table(first), Table(second), log, np.arange(5), k)
    tops = [np.argsort(-table, axis=1, kind="stable")[:, :k] for table in (first, second)]
    assert found.tolist() == [len(set(a) & set(b)) / k for a, b in zip(*tops, strict=True)]


def test_targets_are_looked_at_by_share_probability_and_rank():
    model, log = Table([[3.0, 2, 1], [1, 2, 3]]), log_of([(0, 0)], 2, 3)
    assert share_shown(model, log, [0, 1], [0], k=1) == 0.5
    assert rank_of(model, log, [0, 1], 1).tolist() == [2, 2]
    softmax = np.exp([3, 2, 1]) / np.exp([3, 2, 1]).sum()
    assert log_probability(model, log, [0], [0, 2]) == pytest.approx(np.log(softmax[0] + softmax[2]))
    assert log_probability(Table([[-np.inf, 0, 0]]), log, [0], [0]) == -np.inf
    with pytest.raises(ArgumentError, match="k=4; expected 1 to 3"):
        top_k(model, log, [0], 4)
