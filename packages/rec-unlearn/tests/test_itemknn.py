import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, Interactions, resolve
from rec_unlearn.models.itemknn import ItemKNN

SEEDS = st.integers(0, 2**32 - 1)


def everybody(log):
    return np.arange(log.n_users, dtype=np.int32)


def assert_is_refit(model, log):
    fresh = ItemKNN(**model.settings()).fit(log)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(model.counts_, name), getattr(fresh.counts_, name))
    for mine, theirs in zip(model.neighbours(), fresh.neighbours(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    np.testing.assert_array_equal(model.scores(log, everybody(log)), fresh.scores(log, everybody(log)))


def by_hand(log, k, shrink, similarity):
    """Neighbours as a list of (code, weight) an item, by sets and loops."""
    users = [set(log.user[log.item == item].tolist()) for item in range(log.n_items)]
    lists = []
    for one in range(log.n_items):
        found = []
        for other in range(log.n_items):
            both, either = len(users[one] & users[other]), len(users[one] | users[other])
            if other != one and both:
                size = (len(users[one]) * len(users[other])) ** 0.5 if similarity == "cosine" else either
                found.append((other, both / (size + shrink)))
        lists.append(sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k])
    return lists


@given(SEEDS, st.integers(1, 12), st.sampled_from([0.0, 2.5]), st.sampled_from(["cosine", "jaccard"]))
@settings(max_examples=40)
def test_neighbours_and_scores_are_those_found_by_hand(small_log, seed, k, shrink, similarity):
    log = small_log(seed)
    model = ItemKNN(k, shrink=shrink, similarity=similarity).fit(log)
    lists = by_hand(log, k, shrink, similarity)
    codes, weights = model.neighbours()
    for item, found in enumerate(lists):
        filled = codes[item] >= 0
        np.testing.assert_array_equal(codes[item][filled], [other for other, _ in found])
        np.testing.assert_allclose(weights[item], np.append([w for _, w in found], np.zeros((~filled).sum())), 1e-14)
    expected = np.zeros((log.n_users, log.n_items))
    for user in range(log.n_users):
        for item in log.items_of(user):
            for other, weight in lists[item]:
                expected[user, other] += weight
    np.testing.assert_allclose(model.scores(log, everybody(log)), expected, atol=1e-12)


@given(SEEDS, st.integers(1, 12), st.sampled_from(["cosine", "jaccard"]), st.booleans())
@settings(max_examples=50)
def test_whatever_is_removed_the_model_is_bit_for_bit_that_of_what_is_left(
    small_log, removals, seed, k, similarity, look
):
    log = small_log(seed)
    model = ItemKNN(k, similarity=similarity).fit(log)
    for removal in removals(log, seed, 6):
        model.remove(removal)
        log = removal.after
        if look:
            model.scores(log, everybody(log)[:1])
    assert_is_refit(model, log)


def test_a_hundred_requests_on_movielens(unlearn_folder, removals):
    log = Interactions.read(unlearn_folder / "ml-100k" / "train.csv", user="uid", item="iid")
    model = ItemKNN(50).fit(log)
    model.neighbours()
    for removal in removals(log, 1, 100, at_once=2):
        model.remove(removal)
        log = removal.after
    assert_is_refit(model, log)


def test_of_neighbours_that_are_as_near_the_smaller_code_is_kept():
    rows = [("u", item) for item in "abcd"] + [("v", item) for item in "abcd"]
    log = Interactions.from_pandas(pd.DataFrame(rows, columns=["user", "item"]))
    codes, weights = ItemKNN(2).fit(log).neighbours()
    assert codes.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]
    assert (weights == 1).all()


def test_neighbours_are_forgotten_where_a_count_behind_them_changed_and_only_there():
    rows = [("u", "a"), ("u", "b"), ("v", "a"), ("v", "b"), ("w", "y"), ("w", "z")]
    log = Interactions.from_pandas(pd.DataFrame(rows, columns=["user", "item"]))
    model = ItemKNN(3).fit(log)
    model.neighbours()
    changed = model.remove(resolve(DeletionRequest(user="v"), log))
    assert changed == 4 + 2 * 3
    assert model.remove(resolve(DeletionRequest(user="w"), log.without(users=["v"]))) == 4 + 2 * 3
    assert (model.neighbours(log.item_code("z"))[0] == -1).all()


def test_no_trace_of_a_pair_that_only_one_user_had_is_stored():
    rows = [("u", "a"), ("u", "b"), ("v", "b"), ("v", "c"), ("w", "a"), ("w", "c")]
    log = Interactions.from_pandas(pd.DataFrame(rows, columns=["user", "item"]))
    model = ItemKNN().fit(log)
    model.remove(resolve(DeletionRequest(user="u"), log))
    assert (model.counts_.data > 0).all()
    assert log.item_code("b") not in model.counts_[[log.item_code("a")]].indices


def test_a_removal_that_was_served_already_is_refused_and_changes_nothing(small_log):
    log = small_log(8)
    model = ItemKNN().fit(log)
    removal = resolve([DeletionRequest(user=user) for user in log.user_ids[log.active_users[:-1]]], log)
    model.remove(removal)
    with pytest.raises(ArgumentError, match="does not hold"):
        model.remove(removal)
    assert_is_refit(model, removal.after)


def test_what_is_asked_for_must_make_sense():
    with pytest.raises(ArgumentError, match="k=0"):
        ItemKNN(0)
    with pytest.raises(ArgumentError, match="expected one of: cosine, jaccard"):
        ItemKNN(similarity="pearson")
