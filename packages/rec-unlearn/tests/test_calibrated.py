import runpy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, Interactions, resolve
from rec_unlearn.algorithms import NotApplicableError
from rec_unlearn.algorithms.calibrated import Calibrated
from rec_unlearn.algorithms.scif import Scif
from rec_unlearn.curvature import flatten, mean_gradient
from rec_unlearn.simulate import simulate_baskets

OWN = runpy.run_path(str(Path(__file__).with_name("own_models.py")))
LOG = simulate_baskets(np.random.default_rng(1), n_users=100).log


def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def trained():
    return OWN["WithEverything"](LOG.n_items).fit(LOG)


@pytest.fixture
def model(trained):
    return copy_of(trained)


def copy_of(model):
    copy = type(model)(len(model.items))
    for mine, theirs in zip(copy.parameters(), model.parameters(), strict=True):
        mine.data = theirs.detach().clone()
    return copy


def weights(model):
    return flatten([parameter.detach().clone() for parameter in model.parameters()])


def loss(model, user, log=LOG):
    with torch.no_grad():
        return float(model.losses(log, np.array([user]))[0])


def whole_account(user, log=LOG):
    return resolve(DeletionRequest(user=f"u{user}"), log)


def taught(model):
    """A way to train that remembers what it was asked to train on; its models know nothing new."""
    logs = []

    def train(log):
        logs.append(log)
        worse = copy_of(model)
        worse.out.data *= 0.5
        return worse

    return train, logs


@pytest.mark.parametrize("gap", [0.02, 0.1, 0.3])
def test_the_loss_of_the_user_rises_by_the_gap(model, gap):
    before = loss(model, 5)
    step = Calibrated(gap=gap, cap=1000.0).apply(model, whole_account(5), rng())
    assert loss(model, 5) == pytest.approx(before + gap, rel=0.05, abs=0.1 * gap)
    assert loss(model, 5) >= before + gap
    assert step.facts["reached"] == pytest.approx(loss(model, 5))
    assert step.facts["target"] == pytest.approx(before + gap)


def test_a_user_whose_loss_is_there_already_moves_nothing(model):
    algorithm = Calibrated(gap=0.1)
    algorithm.prepare(model, LOG, rng())
    model.out.data *= 0.1
    kept = [parameter.detach().clone() for parameter in model.parameters()]
    assert loss(model, 5) > algorithm.base_[5] + 0.1
    step = algorithm.apply(model, whole_account(5), rng())
    assert (step.norm, step.facts["length"]) == (0, 0)
    assert all(torch.equal(old, new) for old, new in zip(kept, model.parameters(), strict=True))


def test_the_target_counts_from_before_the_first_request(model):
    algorithm = Calibrated(gap=0.1)
    algorithm.prepare(model, LOG, rng())
    start = loss(model, 7)
    removal = whole_account(5)
    algorithm.apply(model, removal, rng())
    step = algorithm.apply(model, whole_account(7, removal.after), rng())
    assert step.facts["target"] == pytest.approx(start + 0.1)


def test_where_some_rows_go_their_share_of_the_gap_is_asked(model):
    items = LOG.item_ids[LOG.items_of(5)[:2]].tolist()
    removal = resolve(DeletionRequest(user="u5", items=items), LOG)
    share = len(removal) / len(LOG.rows_of([5]))
    assert 0 < share < 1
    step = Calibrated(gap=0.4).apply(model, removal, rng())
    assert step.facts["target"] - step.facts["loss"] == pytest.approx(0.4 * share)


def test_a_step_is_never_longer_than_the_cap(model):
    step = Calibrated(gap=50.0, cap=3.0).apply(model, whole_account(5), rng())
    assert step.facts["length"] == 3.0
    assert step.facts["reached"] < step.facts["target"]


def test_several_users_are_calibrated_together(model):
    removal = resolve([DeletionRequest(user="u5"), DeletionRequest(user="u6")], LOG)
    before = (loss(model, 5) + loss(model, 6)) / 2
    Calibrated(gap=0.1, cap=1000.0).apply(model, removal, rng())
    assert (loss(model, 5) + loss(model, 6)) / 2 == pytest.approx(before + 0.1, abs=0.01)


def test_the_average_gap_is_that_of_users_left_out_once(model):
    train, logs = taught(model)
    algorithm = Calibrated(gap="average", train=train, held_out=0.1)
    algorithm.prepare(model, LOG, rng())
    (log,) = logs
    out = np.setdiff1d(LOG.active_users, log.active_users)
    assert len(out) == 10
    worse = train(LOG)
    expected = np.mean([loss(worse, u) - loss(model, u) for u in out])
    assert algorithm.gaps_.tolist() == pytest.approx([max(expected, 0)] * LOG.n_users)


def test_requesters_are_never_among_those_left_out_when_the_request_comes_first(model):
    train, logs = taught(model)
    removal = resolve([DeletionRequest(user=f"u{i}") for i in range(90)], LOG)
    Calibrated(train=train, held_out=0.9).apply(model, removal, rng())
    assert set(removal.users) <= set(logs[0].active_users)


def test_the_influence_falls_short_by_one_ratio_on_users_left_out(model):
    train, logs = taught(model)
    algorithm = Calibrated(train=train, held_out=0.1, damping=1e-2, retain=1000)
    algorithm.prepare(model, LOG, rng())
    worse, predicted, rises = train(LOG), [], []
    for user in np.setdiff1d(LOG.active_users, logs[0].active_users):
        removal, moved = whole_account(user), copy_of(model)
        gradient = mean_gradient(lambda: model.losses(LOG, removal.users), model.parameters())  # noqa: B023
        Scif(damping=1e-2, retain=1000).apply(moved, removal, rng())
        predicted.append(float(gradient @ (weights(moved) - weights(model))))
        rises.append(loss(worse, user) - loss(model, user))
    assert algorithm.ratio_ == pytest.approx(np.mean(rises) / np.mean(predicted))


def test_the_gap_of_a_user_is_about_what_that_many_influence_steps_make_of_it(model):
    algorithm = Calibrated(train=taught(model)[0])
    algorithm.prepare(model, LOG, rng())
    algorithm.ratio_ = 2.0
    step = algorithm.apply(model, whole_account(5), rng())
    assert step.facts["target"] > step.facts["loss"]
    assert step.facts["length"] == pytest.approx(2, rel=0.3)


def test_users_who_are_like_many_others_have_a_small_gap():
    frame = LOG.to_pandas()
    one = frame[frame["user"] == "u5"]
    frame = pd.concat([frame, *(one.assign(user=f"twin{i}") for i in range(20))])
    log = Interactions.from_pandas(frame, basket="step")
    model = OWN["WithEverything"](log.n_items).fit(log)
    gaps = {}
    for user in ("twin3", *(f"u{i}" for i in range(30) if i != 5)):
        algorithm = Calibrated(retain=1000)
        algorithm.base_, algorithm.ratio_ = np.full(log.n_users, np.nan), 1.0
        step = algorithm.apply(copy_of(model), resolve(DeletionRequest(user=user), log), rng())
        gaps[user] = step.facts["target"] - step.facts["loss"]
    assert gaps["twin3"] < 0.5 * np.median(list(gaps.values()))


def test_half_models_train_on_either_half_and_their_mean_is_the_average_gap(model):
    train, logs = taught(model)

    def uneven(log):
        other = train(log)
        # Remembers its own users: a half that saw a user loses less on them.
        other.losses = lambda asked, users: (
            model.losses(asked, users)
            + 0.5
            * ~torch.from_numpy(np.isin(users, log.active_users))
            * (1 + torch.from_numpy(np.asarray(users)) / 100)
        )
        return other

    algorithm = Calibrated(gap="half-models", train=uneven, held_out=0.1)
    algorithm.prepare(model, LOG, rng())
    average, one, other = logs
    assert set(one.active_users) | set(other.active_users) == set(LOG.active_users)
    assert not set(one.active_users) & set(other.active_users)
    out = np.setdiff1d(LOG.active_users, average.active_users)
    assert algorithm.gaps_.mean() == pytest.approx(np.mean(0.5 * (1 + out / 100)))
    # Each has a gap of their own.
    assert algorithm.gaps_[99] > algorithm.gaps_[0]


def test_a_reference_gives_the_loss_to_arrive_at(model):
    reference = OWN["WithEverything"](LOG.n_items).fit(whole_account(5).after, seed=1)
    assert loss(reference, 5) > loss(model, 5)
    Calibrated(gap="reference", reference=reference, cap=1000.0).apply(model, whole_account(5), rng())
    assert loss(model, 5) == pytest.approx(loss(reference, 5), rel=0.02)


def test_a_copy_of_the_model_is_fitted_where_no_way_to_train_is_given(model):
    before = [parameter.detach().clone() for parameter in model.parameters()]
    algorithm = Calibrated()
    algorithm.prepare(model, LOG, rng())
    assert algorithm.ratio_ > 0
    assert all(torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_without_a_way_to_train_it_says_what_to_give():
    with pytest.raises(NotApplicableError, match="no fit"):
        Calibrated().prepare(OWN["Module"](LOG.n_items), LOG, rng())


def test_what_is_kept_of_a_user_goes_with_them(model):
    train, _ = taught(model)
    algorithm = Calibrated(train=train)
    algorithm.prepare(model, LOG, rng())
    algorithm.apply(model, whole_account(5), rng())
    assert np.isnan(algorithm.base_[5])
    assert np.isnan(algorithm.gaps_[5])
    assert np.isfinite(np.delete(algorithm.base_, 5)).all()


def test_of_a_user_who_stays_the_loss_of_the_rows_that_are_left_is_kept(model):
    removal = resolve(DeletionRequest(user="u5", items=LOG.item_ids[LOG.items_of(5)[:1]].tolist()), LOG)
    algorithm = Calibrated(gap=0.1)
    algorithm.apply(model, removal, rng())
    assert algorithm.base_[5] == pytest.approx(loss(model, 5, removal.after))


def test_losses_that_are_not_numbers_are_refused(model):
    model.bias.data[0] = float("nan")
    with pytest.raises(FloatingPointError, match="loss"):
        Calibrated(gap=0.1).apply(model, whole_account(5), rng())


@pytest.mark.parametrize("wrong", [{"gap": "typical"}, {"gap": "reference"}, {"held_out": 0.0}, {"cap": 0.0}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        Calibrated(**wrong)
