import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, Interactions, resolve
from rec_unlearn.models.tifuknn import TIFUKNN

SEEDS = st.integers(0, 2**32 - 1)


def everybody(log):
    return np.arange(log.n_users, dtype=np.int32)


def assert_is_refit(model, log):
    fresh = TIFUKNN(**model.settings()).fit(log)
    for name in ("data", "indices", "indptr"):
        np.testing.assert_array_equal(getattr(model.vectors_, name), getattr(fresh.vectors_, name))
    np.testing.assert_array_equal(model.distances_, fresh.distances_)
    np.testing.assert_array_equal(model.neighbours_, fresh.neighbours_)
    np.testing.assert_array_equal(model.scores(log, everybody(log)), fresh.scores(log, everybody(log)))


def vectors_by_hand(log, model):
    """User vectors as in section 4.2 of the paper, by loops."""
    vectors = np.zeros((log.n_users, log.n_items))
    for user in range(log.n_users):
        rows = log.rows_of([user])
        steps = sorted({(log.sequence[row], log.step[row]) for row in rows})
        baskets = [{int(log.item[r]) for r in rows if (log.sequence[r], log.step[r]) == step} for step in steps]
        groups = []
        while baskets:
            groups.insert(0, baskets[-model.group_size :])
            baskets = baskets[: -model.group_size]
        for place, group in enumerate(groups):
            mean = np.zeros(log.n_items)
            for number, basket in enumerate(group):
                mean[list(basket)] += model.within ** (len(group) - 1 - number) / len(group)
            vectors[user] += model.between ** (len(groups) - 1 - place) * mean / len(groups)
    return vectors


@given(SEEDS, st.integers(1, 14), st.integers(1, 4))
@settings(max_examples=40)
def test_vectors_neighbours_and_scores_are_those_found_by_hand(small_log, seed, k, group_size):
    log = small_log(seed)
    model = TIFUKNN(k, group_size=group_size, within=0.8, between=0.6, alpha=0.3).fit(log)
    vectors = vectors_by_hand(log, model)
    np.testing.assert_allclose(model.vectors_.toarray(), vectors, atol=1e-15)
    scores = model.scores(log, everybody(log))
    for user in range(log.n_users):
        others = np.setdiff1d(log.active_users, [user])
        distance = ((vectors[others] - vectors[user]) ** 2).sum(axis=1)
        listed = model.neighbours_[user][model.neighbours_[user] >= 0]
        assert len(listed) == min(k, len(others))
        # Which of two that are as near is listed is another test's question.
        np.testing.assert_allclose(
            ((vectors[listed] - vectors[user]) ** 2).sum(axis=1), np.sort(distance)[: len(listed)], atol=1e-12
        )
        theirs = vectors[listed].mean(axis=0) if len(listed) else np.zeros(log.n_items)
        np.testing.assert_allclose(scores[user], 0.3 * vectors[user] + 0.7 * theirs, atol=1e-14)


def test_the_vector_of_three_baskets_in_groups_of_two():
    frame = pd.DataFrame({"user": "u", "item": ["a", "b", "a", "c"], "basket": [1, 2, 3, 3]})
    log = Interactions.from_pandas(frame, basket="basket")
    model = TIFUKNN(group_size=2, within=0.9, between=0.5).fit(log)
    # The group of {a} is half as heavy as that of {b}, {a, c}; each counts for half.
    np.testing.assert_allclose(model.vectors_.toarray()[0], [0.5 * 0.5 + 0.5 * 0.5, 0.9 * 0.25, 0.25])


@given(SEEDS, st.integers(1, 14), st.integers(1, 4))
@settings(max_examples=50)
def test_whatever_is_removed_the_model_is_bit_for_bit_that_of_what_is_left(small_log, removals, seed, k, group_size):
    log = small_log(seed)
    model = TIFUKNN(k, group_size=group_size).fit(log)
    for removal in removals(log, seed, 6):
        model.remove(removal)
        log = removal.after
        assert_is_refit(model, log)


def test_a_hundred_requests_on_movielens(unlearn_folder, removals):
    log = Interactions.read(unlearn_folder / "ml-100k" / "train.csv", user="uid", item="iid")
    model = TIFUKNN(20).fit(log)
    for removal in removals(log, 2, 100, at_once=2):
        model.remove(removal)
        log = removal.after
    assert_is_refit(model, log)


def test_of_users_that_are_as_near_the_smaller_code_is_listed():
    rows = [(user, item) for user in "pqrs" for item in ("a", "b")]
    log = Interactions.from_pandas(pd.DataFrame(rows, columns=["user", "item"]))
    assert TIFUKNN(2).fit(log).neighbours_.tolist() == [[1, 2], [0, 2], [0, 1], [0, 1]]


def test_a_corrected_user_enters_the_lists_of_those_it_has_come_nearer_to():
    rows = [("near", "a"), ("far", "a"), ("far", "y"), ("far", "z"), ("other", "a"), ("other", "y")]
    frame = pd.DataFrame(rows, columns=["user", "item"]).assign(basket=1)
    log = Interactions.from_pandas(frame, basket="basket")
    model = TIFUKNN(1).fit(log)
    near, far, other = (log.user_code(user) for user in ("near", "far", "other"))
    assert model.neighbours_[near].tolist() == [other]
    removal = resolve(DeletionRequest(user="far", items=["y", "z"]), log)
    model.remove(removal)
    assert model.neighbours_[near].tolist() == [far]
    assert_is_refit(model, removal.after)


def test_asked_with_another_history_a_user_gets_the_neighbours_of_that(small_log):
    log = small_log(8)
    user = int(log.active_users[0])
    less = log.without(pairs=[(log.user_ids[user], log.item_ids[log.items_of(user)[0]])])
    model = TIFUKNN(2).fit(log)
    asked = model.scores(less, np.array([user], dtype=np.int32))[0]
    own = TIFUKNN(2).fit(less).vectors_.toarray()[user]
    stored = model.vectors_.toarray()
    others = np.setdiff1d(log.active_users, [user])
    order = others[np.argsort(((stored[others] - own) ** 2).sum(axis=1), kind="stable")][:2]
    np.testing.assert_allclose(asked, 0.7 * own + 0.3 * stored[order].mean(axis=0), atol=1e-12)


def test_what_is_stored_of_users_is_said(small_log):
    told = TIFUKNN().fit(small_log(8)).stored_copies()
    assert "a row for each user" in told[0]
    assert "a list for each user" in told[1]


def test_a_removal_that_was_served_already_is_refused_and_changes_nothing(small_log):
    log = small_log(8)
    model = TIFUKNN(3).fit(log)
    removal = resolve(DeletionRequest(user=log.user_ids[log.user[0]]), log)
    model.remove(removal)
    with pytest.raises(ArgumentError, match="does not hold"):
        model.remove(removal)
    assert_is_refit(model, removal.after)


def test_what_is_asked_for_must_make_sense(small_log):
    with pytest.raises(ArgumentError, match="group_size=0"):
        TIFUKNN(group_size=0)
    with pytest.raises(ArgumentError, match=r"within=1\.5"):
        TIFUKNN(within=1.5)
