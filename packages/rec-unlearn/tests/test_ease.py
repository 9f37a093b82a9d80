import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, Interactions, resolve
from rec_unlearn.models.base import NotFittedError
from rec_unlearn.models.ease import EASE
from rec_unlearn.unlearn import unlearn

SEEDS = st.integers(0, 2**32 - 1)


def everybody(log):
    return np.arange(log.n_users, dtype=np.int32)


def assert_like_refit(model, log, within=1e-8):
    fresh = EASE(model.l2).fit(log)
    np.testing.assert_allclose(model.inverse_, fresh.inverse_, rtol=0, atol=within)
    np.testing.assert_array_equal(model.inverse_, model.inverse_.T)
    np.testing.assert_array_equal(model.gone_, fresh.gone_)
    np.testing.assert_allclose(
        model.scores(log, everybody(log)), fresh.scores(log, everybody(log)), rtol=0, atol=within
    )


def ratings(rows):
    return Interactions.from_pandas(pd.DataFrame(rows, columns=["user", "item"]))


@given(SEEDS)
@settings(max_examples=40)
def test_scores_are_the_history_times_the_weights_of_the_paper(small_log, seed):
    log = small_log(seed)
    X = np.zeros((log.n_users, log.n_items))
    X[log.user, log.item] = 1
    P = np.linalg.inv(X.T @ X + 3.0 * np.eye(log.n_items))
    B = -P / np.diag(P)
    np.fill_diagonal(B, 0)
    np.testing.assert_allclose(EASE(3.0).fit(log).scores(log, everybody(log)), X @ B, rtol=0, atol=1e-12)


@given(SEEDS, st.sampled_from([0.5, 50.0]), st.booleans())
@example(seed=93, l2=0.5, look=True)
@settings(max_examples=40)
def test_whatever_is_removed_the_model_is_that_of_what_is_left(small_log, removals, seed, l2, look):
    log = small_log(seed)
    model = EASE(l2).fit(log)
    for removal in removals(log, seed, 6):
        model.remove(removal)
        log = removal.after
        if look:
            assert_like_refit(model, log)
    assert_like_refit(model, log)


def test_a_hundred_requests_on_movielens(unlearn_folder, removals):
    log = Interactions.read(unlearn_folder / "ml-100k" / "train.csv", user="uid", item="iid")
    model = EASE(500.0).fit(log)
    for removal in removals(log, 0, 100):
        model.remove(removal)
        log = removal.after
    assert model.refits_ == 0
    assert_like_refit(model, log, 1e-12)


def test_users_at_once_are_users_one_by_one(small_log):
    log = small_log(93)
    users = log.user_ids[log.active_users[:4]].tolist()
    together, one_by_one = EASE(2.0).fit(log), EASE(2.0).fit(log)
    together.remove(resolve([DeletionRequest(user=user) for user in users], log))
    for user in users:
        removal = resolve(DeletionRequest(user=user), log)
        one_by_one.remove(removal)
        log = removal.after
    assert together.refits_ == one_by_one.refits_ == 0
    np.testing.assert_allclose(together.inverse_, one_by_one.inverse_, rtol=0, atol=1e-14)


def test_an_item_whose_last_user_left_is_never_shown():
    log = ratings([("a", "x"), ("a", "y"), ("b", "x"), ("b", "rare")])
    model = EASE(1.0).fit(log)
    removal = resolve(DeletionRequest(user="b"), log)
    model.remove(removal)
    rare = log.item_code("rare")
    assert np.isneginf(model.scores(log, everybody(log))[:, rare]).all()
    np.testing.assert_array_equal(model.inverse_[rare], np.eye(log.n_items)[rare])


def test_one_of_two_purchases_of_an_item_changes_nothing():
    frame = pd.DataFrame({"user": "u", "item": ["x", "y", "x"], "basket": [1, 1, 2]})
    log = Interactions.from_pandas(frame, basket="basket")
    rows = np.zeros(len(log), dtype=bool)
    rows[-1] = True
    model = EASE().fit(log)
    before = model.inverse_.copy()
    assert model.remove(type(resolve(DeletionRequest(user="u"), log))(log, rows)) == 0
    np.testing.assert_array_equal(model.inverse_, before)


def test_where_an_update_would_divide_by_nothing_the_model_is_fitted_again():
    log = ratings([("a", "x"), ("a", "y"), ("b", "x"), ("b", "z"), ("c", "y"), ("c", "z")])
    for users in (["a"], ["a", "b"]):
        model = EASE(1e-10).fit(log)
        removal = resolve([DeletionRequest(user=user) for user in users], log)
        model.remove(removal)
        assert model.refits_ == 1
        np.testing.assert_array_equal(model.inverse_, EASE(1e-10).fit(removal.after).inverse_)


def test_an_inverse_that_drifted_is_made_again(small_log):
    log = small_log(8)
    model = EASE(2.0).fit(log)
    assert model.drift() < 1e-14
    model.inverse_[0, 0] += 1e-6
    assert model.drift() > 1e-7
    removal = resolve(DeletionRequest(user=log.user_ids[log.user[0]]), log)
    model.remove(removal)
    assert model.refits_ == 1
    assert_like_refit(model, removal.after, 1e-14)


def test_refit_every_fits_again_at_every_so_manieth_removal(small_log, removals):
    log = small_log(8)
    model = EASE(2.0, refit_every=2).fit(log)
    seen = [(model.remove(removal), model.refits_)[1] for removal in removals(log, 0, 4, at_once=1)]
    assert seen == [0, 1, 1, 2]


def test_a_removal_that_was_served_already_is_refused_and_changes_nothing():
    log = ratings([("a", "x"), ("a", "y"), ("b", "x")])
    model = EASE().fit(log)
    removal = resolve(DeletionRequest(user="a"), log)
    model.remove(removal)
    before = model.inverse_.copy()
    with pytest.raises(ArgumentError, match="does not hold"):
        model.remove(removal)
    np.testing.assert_array_equal(model.inverse_, before)


def test_unlearn_finds_by_itself_that_the_model_can_do_it_exactly(small_log):
    log = small_log(8)
    model = EASE().fit(log)
    report = unlearn(model, DeletionRequest(user=log.user_ids[log.user[0]]), log=log)
    assert (report.algorithm, report.exact) == ("exact", True)
    assert report.touched == log.n_items * (log.n_items + 1) // 2
    assert "no row of a user is stored" in report.stored_copies[0]
    assert_like_refit(model, report.log)


def test_what_is_asked_for_must_make_sense(small_log):
    log = small_log(8)
    with pytest.raises(NotFittedError, match="EASE is not fitted"):
        EASE().scores(log, everybody(log))
    with pytest.raises(ArgumentError, match="l2=0"):
        EASE(0)
    with pytest.raises(ArgumentError, match="refit_every=0"):
        EASE(refit_every=0)
    other = ratings([("a", "x")])
    with pytest.raises(ArgumentError, match="has 1 items, the model was fitted on"):
        EASE().fit(log).scores(other, everybody(other))
