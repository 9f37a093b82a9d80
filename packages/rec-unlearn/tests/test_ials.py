import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError, MissingDependencyError
from rec_unlearn import DeletionRequest, Interactions
from rec_unlearn.algorithms import NotApplicableError
from rec_unlearn.algorithms.warm import WarmStart
from rec_unlearn.evaluate import overlap
from rec_unlearn.models.ials import IALS
from rec_unlearn.models.popularity import Popularity
from rec_unlearn.protocols import ExactlyRemovable
from rec_unlearn.unlearn import unlearn

SEEDS = st.integers(0, 2**32 - 1)


def everybody(log):
    return np.arange(log.n_users, dtype=np.int32)


@pytest.fixture(scope="session")
def movielens(unlearn_folder):
    return Interactions.read(unlearn_folder / "ml-100k" / "train.csv", user="uid", item="iid")


@pytest.fixture(scope="session")
def trained(movielens):
    return IALS(16, sweeps=8).fit(movielens)


def folded_in(model, log, user):
    """The normal equations of one user, as written."""
    count = np.bincount(log.item[log.user == user], minlength=log.n_items)
    confidence = 1 + model.alpha * count
    Y = model.item_factors_
    left = Y.T @ np.diag(confidence) @ Y + model.l2 * np.eye(model.factors)
    return np.linalg.solve(left, Y.T @ (confidence * (count > 0)))


@given(SEEDS)
@settings(max_examples=25)
def test_users_are_the_solutions_of_their_normal_equations(small_log, seed):
    log = small_log(seed)
    model = IALS(3, l2=0.5, alpha=2.0, sweeps=2).fit(log, seed=1)
    expected = np.stack([folded_in(model, log, user) for user in range(log.n_users)])
    np.testing.assert_allclose(model.user_factors(log, everybody(log)), expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(model.scores(log, everybody(log)), expected @ model.item_factors_.T, rtol=0, atol=1e-8)


def test_users_of_movielens_are_the_solutions_of_their_normal_equations(movielens, trained):
    users = movielens.active_users[::50]
    expected = np.stack([folded_in(trained, movielens, user) for user in users])
    np.testing.assert_allclose(trained.user_factors(movielens, users), expected, rtol=0, atol=1e-8)


def test_fold_in_is_that_of_implicit(movielens, trained):
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix

    users = movielens.active_users[:40]
    peer = AlternatingLeastSquares(factors=16, regularization=trained.l2, alpha=1.0)
    peer.item_factors = trained.item_factors_.astype(np.float32)
    confidence = movielens.matrix(users)
    confidence.data = 1 + trained.alpha * confidence.data
    theirs = peer.recalculate_user(users, csr_matrix(confidence))
    np.testing.assert_allclose(trained.user_factors(movielens, users), theirs, rtol=1e-3, atol=1e-4)


def test_after_many_sweeps_the_objective_stands_still(small_log):
    log = small_log(8)
    model = IALS(2, l2=1.0, alpha=1.0, sweeps=3000).fit(log)
    users, Y = model.user_factors(log, everybody(log)), model.item_factors_
    count = log.matrix().toarray()
    error = (1 + count) * ((count > 0) - users @ Y.T)
    # Half the gradient in the item factors; that in the user factors is 0 by fold-in.
    assert np.abs(-error.T @ users + Y).max() < 1e-8
    assert np.abs(-error @ Y + users).max() < 1e-8


@given(SEEDS)
@settings(max_examples=25)
def test_the_objective_is_the_sum_over_all_pairs_and_no_sweep_makes_it_larger(small_log, seed):
    log = small_log(seed)
    model = IALS(2, l2=0.7, alpha=3.0, sweeps=1).fit(log)
    users = model.user_factors(log, everybody(log))
    count = log.matrix().toarray()
    loss = ((1 + 3.0 * count) * ((count > 0) - users @ model.item_factors_.T) ** 2).sum()
    expected = loss + 0.7 * ((users**2).sum() + (model.item_factors_**2).sum())
    before = model.objective(log)
    assert before == pytest.approx(expected, rel=1e-10)
    assert model.sweep(log, 2).objective(log) <= before * (1 + 1e-10)


def test_fits_of_one_seed_are_equal_and_sweeps_go_on_where_they_ended(small_log):
    log = small_log(8)
    one, other = IALS(3, sweeps=4).fit(log, seed=5), IALS(3, sweeps=1).fit(log, seed=5).sweep(log, 3)
    np.testing.assert_allclose(one.item_factors_, other.item_factors_, rtol=0, atol=1e-12)
    assert not np.allclose(one.item_factors_, IALS(3, sweeps=4).fit(log, seed=6).item_factors_)


def test_a_warm_start_is_never_called_exact(small_log):
    log = small_log(8)
    model = IALS(3).fit(log)
    assert not isinstance(model, ExactlyRemovable)
    before = model.item_factors_.copy()
    report = unlearn(model, DeletionRequest(user=log.user_ids[log.user[0]]), log=log, algorithm="warm-start")
    assert (report.exact, report.applied, report.settings) == (False, True, {"sweeps": 5})
    assert "approximately" in str(report)
    assert report.touched == before.size
    assert report.step_norm == pytest.approx(np.linalg.norm(model.item_factors_ - before))
    with pytest.raises(NotApplicableError, match="no exact removal"):
        unlearn(model, DeletionRequest(user=log.user_ids[log.user[-1]]), log=report.log, algorithm="exact")


def test_a_warm_start_ends_as_near_to_a_new_training_as_another_start_does(movielens, trained):
    users = movielens.user_ids[movielens.active_users[:100]].tolist()
    model = IALS(16, sweeps=8)
    model.item_factors_, model.gone_ = trained.item_factors_.copy(), trained.gone_
    model.n_items_, model.seed_ = trained.n_items_, trained.seed_
    report = unlearn(model, [DeletionRequest(user=user) for user in users], log=movielens, algorithm="warm-start")
    again, other = (IALS(16, sweeps=8).fit(report.log, seed=seed) for seed in (0, 1))
    asked = report.log.active_users[:300]
    floor = overlap(again, other, report.log, asked).mean()
    warm = overlap(again, model, report.log, asked).mean()
    assert floor < warm < 1
    assert model.objective(report.log) < again.objective(report.log)


def test_an_item_whose_last_user_left_is_never_shown():
    rows = [("a", "x"), ("a", "y"), ("b", "x"), ("b", "rare"), ("c", "y")]
    log = Interactions.from_pandas(pd.DataFrame(rows, columns=["user", "item"]))
    model = IALS(2).fit(log)
    unlearn(model, DeletionRequest(user="b"), log=log, algorithm="warm-start")
    assert np.isneginf(model.scores(log, everybody(log))[:, log.item_code("rare")]).all()
    assert (model.item_factors_[log.item_code("rare")] == 0).all()


def test_a_blas_with_several_threads_is_no_reason_to_warn(small_log, monkeypatch):
    import implicit.utils

    monkeypatch.setattr(implicit.utils, "_checked_blas_config", False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        IALS(2).fit(small_log(8))


def test_without_implicit_the_error_says_what_to_install(small_log, monkeypatch):
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'rec-unlearn\[ials\]'"):
        IALS().fit(small_log(8))


def test_what_is_asked_for_must_make_sense(small_log):
    log = small_log(8)
    with pytest.raises(ArgumentError, match="factors=0"):
        IALS(0)
    with pytest.raises(ArgumentError, match="alpha=-1"):
        IALS(alpha=-1)
    with pytest.raises(ArgumentError, match="n=0 sweeps"):
        IALS(2).fit(log).sweep(log, 0)
    with pytest.raises(ArgumentError, match="sweeps=0"):
        WarmStart(0)
    with pytest.raises(NotApplicableError, match="Popularity has none"):
        unlearn(Popularity().fit(log), DeletionRequest(user=log.user_ids[log.user[0]]), log=log, algorithm="warm-start")
