from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, Interactions, resolve
from rec_unlearn.models.base import NotFittedError
from rec_unlearn.models.counting import first_k
from rec_unlearn.models.markov import Markov
from rec_unlearn.models.popularity import Popularity

SEEDS = st.integers(0, 2**32 - 1)
BOTH = st.sampled_from([Popularity, Markov])


def everybody(log):
    return np.arange(log.n_users, dtype=np.int32)


def assert_is_refit(model, log):
    fresh = type(model)().fit(log)
    mine, theirs = model.state(), fresh.state()
    assert mine.keys() == theirs.keys()
    for name, values in mine.items():
        np.testing.assert_array_equal(values, theirs[name])
    np.testing.assert_array_equal(model.scores(log, everybody(log)), fresh.scores(log, everybody(log)))


def baskets(rows):
    return Interactions.from_pandas(pd.DataFrame(rows, columns=["user", "basket", "item"]), basket="basket")


@given(SEEDS, BOTH)
@settings(max_examples=50)
def test_whatever_is_removed_the_counts_are_those_of_what_is_left(small_log, removals, seed, kind):
    log = small_log(seed)
    model = kind().fit(log)
    for removal in removals(log, seed, 6):
        model.remove(removal)
        log = removal.after
    assert_is_refit(model, log)


def test_a_hundred_requests_on_movielens(unlearn_folder, removals):
    start = Interactions.read(unlearn_folder / "ml-100k" / "train.csv", user="uid", item="iid")
    for kind in (Popularity, Markov):
        model, log = kind().fit(start), start
        for removal in removals(log, 3, 100):
            model.remove(removal)
            log = removal.after
        assert_is_refit(model, log)


def test_popular_items_are_those_with_many_rows():
    log = baskets([("u", 1, "a"), ("u", 2, "a"), ("v", 1, "a"), ("v", 1, "b")])
    assert Popularity().fit(log).scores(log, everybody(log)).tolist() == [[3, 1], [3, 1]]


@given(SEEDS)
@settings(max_examples=40)
def test_transitions_are_those_counted_by_hand(small_log, seed):
    log = small_log(seed)
    counts = np.zeros((log.n_items, log.n_items))
    expected = np.zeros((log.n_users, log.n_items))
    last = {}
    for user in range(log.n_users):
        rows = log.rows_of([user])
        for sequence in np.unique(log.sequence[rows]):
            inside = rows[log.sequence[rows] == sequence]
            steps = [set(log.item[inside][log.step[inside] == step].tolist()) for step in np.unique(log.step[inside])]
            for before, after in pairwise(steps):
                counts[np.ix_(list(before), list(after))] += 1
            last[user] = steps[-1]
    for user, items in last.items():
        for item in items:
            expected[user] += counts[item] / max(counts[item].sum(), 1) / len(items)
    model = Markov().fit(log)
    np.testing.assert_array_equal(model.counts_.toarray(), counts)
    np.testing.assert_allclose(model.scores(log, everybody(log)), expected, atol=1e-15)


def test_where_a_step_is_emptied_the_steps_around_it_become_neighbours():
    log = baskets([("u", 1, "a"), ("u", 2, "b"), ("u", 3, "c")])
    model = Markov().fit(log)
    model.remove(resolve(DeletionRequest(user="u", items=["b"]), log))
    assert model.counts_.toarray().tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("kind", [Popularity, Markov])
def test_an_item_whose_last_user_left_is_never_shown(kind):
    log = baskets([("u", 1, "a"), ("u", 2, "b"), ("v", 1, "a"), ("v", 2, "rare")])
    model = kind().fit(log)
    model.remove(resolve(DeletionRequest(user="v"), log))
    assert np.isneginf(model.scores(log, everybody(log))[:, log.item_code("rare")]).all()


@pytest.mark.parametrize("kind", [Popularity, Markov])
def test_a_removal_that_was_served_already_is_refused(kind):
    log = baskets([("u", 1, "a"), ("u", 2, "b"), ("v", 1, "b")])
    model = kind().fit(log)
    removal = resolve(DeletionRequest(user="u"), log)
    model.remove(removal)
    with pytest.raises(ArgumentError, match="does not hold"):
        model.remove(removal)
    assert_is_refit(model, removal.after)


@pytest.mark.parametrize("kind", [Popularity, Markov])
def test_before_fit_there_is_nothing_to_ask(kind, small_log):
    with pytest.raises(NotFittedError, match="is not fitted yet"):
        kind().scores(small_log(8), np.array([0]))


@given(st.lists(st.lists(st.integers(0, 3), min_size=5, max_size=5), max_size=6), st.integers(1, 5))
def test_the_first_k_are_those_of_a_stable_sort(rows, k):
    values = np.array(rows, dtype=float).reshape(-1, 5)
    columns, found = first_k(values, k)
    expected = np.argsort(-values, axis=1, kind="stable")[:, :k]
    np.testing.assert_array_equal(columns, expected)
    np.testing.assert_array_equal(found, np.take_along_axis(values, expected, axis=1))
