from dataclasses import replace

import numpy as np
import pytest

from irworks.errors import ArgumentError
from recgaze.models import CPBM, OEPBM, RCPBM, compare, held_out, pbm_world
from recgaze.models.compare import _Folder


@pytest.fixture(scope="module")
def world():
    return pbm_world(np.random.default_rng(0), n_users=20, n_screens=20)[0]


@pytest.mark.parametrize("by", ["user", "screen"])
def test_held_out_scores_are_those_of_fits_to_the_other_folds(world, by):
    models = {"a": OEPBM(shrinkage=20), "b": RCPBM("rating")}
    result = held_out(models, world, rng=np.random.default_rng(1), folds=4, by=by, tune=False)
    fold = _Folder(4, by, np.random.default_rng(1)).assign(world)
    for name, model in models.items():
        total, choice = np.zeros(20), np.zeros(20)
        for number in range(4):
            fitted = model.with_options().fit(world.where(fold != number))
            held = world.where(fold == number)
            p = fitted.click_prob(held)
            terms = np.where(held.clicked, np.log(p), np.log1p(-p)).sum(axis=(1, 2))
            np.add.at(total, held.user, terms)
            odds = p / (1 - p)
            one = held.clicked.sum(axis=(1, 2)) == 1
            chosen = np.log((odds * held.clicked).sum(axis=(1, 2))[one] / odds.sum(axis=(1, 2))[one])
            np.add.at(choice, held.user[one], chosen)
        assert result.log_likelihood[name] == pytest.approx(total, rel=1e-5)
        assert result.choice[name] == pytest.approx(choice, rel=1e-4)
    assert result.cells.tolist() == [20 * 150] * 20
    assert result.options == {"a": (20.0,) * 4, "b": (1.0,) * 4}


def test_folds_hold_out_whole_users_or_screens_of_every_user(world):
    by_user = _Folder(5, "user", np.random.default_rng(0)).assign(world)
    by_screen = _Folder(5, "screen", np.random.default_rng(0)).assign(world)
    for user in range(20):
        assert len(set(by_user[world.user == user])) == 1
        assert np.bincount(by_screen[world.user == user]).tolist() == [4] * 5
    assert np.bincount(by_user).tolist() == [80] * 5


def test_a_user_of_two_blocks_stays_in_one_fold(world):
    folder = _Folder(5, "user", np.random.default_rng(0))
    even, odd = world.where(world.task % 2 == 0), world.where(world.task % 2 == 1)
    first, second = folder.assign(even), folder.assign(odd)
    for user in range(20):
        assert set(first[even.user == user]) == set(second[odd.user == user])


def test_blocks_are_compared_like_a_whole_study(world):
    blocks = [world.where(world.user < 9), world.where(world.user >= 9)]
    result = held_out([OEPBM("genre"), RCPBM("genre")], blocks, rng=np.random.default_rng(0), by="screen", folds=3)
    whole = held_out([OEPBM("genre"), RCPBM("genre")], world, rng=np.random.default_rng(0), by="screen", folds=3)
    assert (result.users == whole.users).all()
    assert (result.cells == whole.cells).all()
    assert (result.choices == whole.choices).all()
    for name in ("OEPBM", "RCPBM"):
        # The folds differ, the study does not.
        assert result.log_likelihood[name].sum() == pytest.approx(whole.log_likelihood[name].sum(), rel=0.01)


def test_options_are_tuned_to_the_data(world):
    result = held_out([OEPBM(), CPBM("genre")], world, rng=np.random.default_rng(2), folds=3, by="screen")
    assert set(result.options["OEPBM"]) <= set(OEPBM.tuning)
    # Twelve clicks a user: a rate of each user and genre on its own would be hopeless.
    assert min(result.options["OEPBM"]) > OEPBM.tuning[0]
    plain = held_out([OEPBM(shrinkage=0.1)], world, rng=np.random.default_rng(2), folds=3, by="screen", tune=False)
    assert result.log_likelihood["OEPBM"].sum() > plain.log_likelihood["OEPBM"].sum()


def test_options_are_tuned_without_a_look_at_the_fold_that_is_scored(world):
    fold = _Folder(4, "screen", np.random.default_rng(5)).assign(world)
    clicked = world.clicked.copy()
    held = np.flatnonzero(fold == 1)
    clicked[held] = clicked[np.random.default_rng(0).permutation(held), ::-1, ::-1]
    changed = replace(world, clicked=clicked)
    before, after = (
        held_out([OEPBM(), RCPBM()], one, rng=np.random.default_rng(5), folds=4, by="screen")
        for one in (world, changed)
    )
    for name in ("OEPBM", "RCPBM"):
        assert before.options[name][1] == after.options[name][1]
        assert before.options[name] != after.options[name]


def test_a_frame_compares_with_the_baseline(world):
    frame = compare(
        [RCPBM("genre"), OEPBM("genre"), CPBM(OEPBM("genre"))], world, rng=np.random.default_rng(3), folds=3
    )
    assert list(frame.index) == ["RCPBM", "OEPBM", "CPBM"]
    assert np.isnan(frame.loc["RCPBM", "difference"])
    assert frame.loc["OEPBM", "difference"] == pytest.approx(
        frame.loc["OEPBM", "log_likelihood"] - frame.loc["RCPBM", "log_likelihood"]
    )
    assert (frame.low < frame.log_likelihood).all()
    assert (frame.log_likelihood < frame.high).all()
    assert (frame.choice < 0).all()


def test_equal_models_do_not_differ(world):
    result = held_out(
        {"a": OEPBM("genre"), "b": OEPBM("genre")}, world, rng=np.random.default_rng(4), folds=3, tune=False
    )
    difference = result.difference("a", "b", np.random.default_rng(0))
    assert (difference.estimate, difference.low, difference.high) == (0, 0, 0)
    with pytest.raises(ArgumentError, match="no model 'c'"):
        result.difference("a", "c", np.random.default_rng(0))


def test_gaze_and_structure_help_on_screens_not_seen():
    impressions, _ = pbm_world(np.random.default_rng(101))
    rng = np.random.default_rng(0)
    result = held_out([CPBM(), RCPBM(), OEPBM()], impressions, rng=rng, by="screen", folds=3, tune=False)
    assert result.difference("RCPBM", "CPBM", rng).low > 0
    assert result.difference("OEPBM", "RCPBM", rng).estimate > 0


@pytest.mark.parametrize("seed", range(2))
def test_observed_examination_predicts_best_on_whole_studies(seed):
    # Ten studies are the claim's; these two are other ones.
    rng = np.random.default_rng(100 + seed)
    result = held_out([CPBM(), RCPBM(), OEPBM()], pbm_world(rng)[0], rng=rng, by="screen", folds=3)
    cpbm, rcpbm, oepbm = (values.sum() for values in result.log_likelihood.values())
    assert oepbm > rcpbm > cpbm


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "task"}, "by='task'"),
        ({"folds": 2}, "folds=2"),
        ({"folds": 30}, "too few users"),
        ({"models": []}, "expected at least one"),
        ({"models": ["CPBM"]}, r"models='CPBM'; expected CPBM\(\)"),
        ({"models": [CPBM(), CPBM()]}, "expected a mapping"),
    ],
)
def test_options_that_make_no_sense_are_refused(world, options, message):
    arguments = {"models": [OEPBM("genre")], "impressions": world, "rng": np.random.default_rng(0), **options}
    with pytest.raises(ArgumentError, match=message):
        held_out(**arguments)


def test_an_iterator_cannot_be_compared(world):
    with pytest.raises(ArgumentError, match="gone through once"):
        held_out([OEPBM()], iter([world]), rng=np.random.default_rng(0))
