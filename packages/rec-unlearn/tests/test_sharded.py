import sys

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, Interactions, resolve
from rec_unlearn.cli import app
from rec_unlearn.data.store import load as load_log
from rec_unlearn.evaluate import log_probability
from rec_unlearn.models import EASE, Markov, Sharded, load, make_model, save
from rec_unlearn.models.base import NotFittedError
from rec_unlearn.simulate import simulate_baskets
from rec_unlearn.unlearn import unlearn

LOG = simulate_baskets(np.random.default_rng(1), n_users=100).log
USERS = LOG.active_users


class Scripted:
    """Scores that are given, and the log that it was fitted on."""

    def __init__(self, scores):
        self.table = scores

    def fit(self, log, *, seed=0):
        self.log = log
        return self

    def scores(self, log, users):
        return self.table[users]


def scripted(*tables):
    """A maker of models that have one table after the other."""
    waiting = iter(tables)
    return lambda: Scripted(next(waiting))


def test_attention_learns_which_model_to_trust():
    rng = np.random.default_rng(0)
    truth = np.log(LOG.matrix().toarray() + 0.1)
    good = [truth + 0.1 * rng.standard_normal(truth.shape) for _ in range(2)]
    noise = [3 * rng.standard_normal(truth.shape) for _ in range(2)]
    sharded = Sharded(scripted(good[0], noise[0], good[1], noise[1]), n_shards=4, aggregate="attention").fit(LOG)
    trust = sharded.attention_[:4]
    assert min(trust[0], trust[2]) > max(trust[1], trust[3]) + 1
    mean = Sharded(scripted(good[0], noise[0], good[1], noise[1]), n_shards=4).fit(LOG)
    assert not mean.attention_.any()
    wanted = [log_probability(model, LOG, USERS, np.arange(3)).mean() for model in (sharded, mean, Scripted(truth))]
    assert abs(wanted[0] - wanted[2]) < abs(wanted[1] - wanted[2])


def test_attention_learns_that_who_is_certain_is_right():
    rng = np.random.default_rng(0)
    truth = 3 * np.log(LOG.matrix().toarray() + 0.1)
    # Each model knows half of the users, and says the same of all items for the others.
    knows = rng.random((4, LOG.n_users, 1)) < 0.5
    sharded = Sharded(scripted(*(knows * truth)), n_shards=4, aggregate="attention").fit(LOG)
    assert sharded.attention_[-1] > 0.05
    assert np.abs(sharded.attention_[:-1]).max() < sharded.attention_[-1]


def test_a_model_has_no_say_of_its_own_users_while_attention_is_learned():
    truth = np.log(LOG.matrix().toarray() + 0.1)
    shards = Sharded(Markov, n_shards=4).fit(LOG).shard_
    # Every model is right about its own users alone, as one that knows them by heart.
    tables = [np.where((shards == number)[:, None], truth, 0.0) for number in range(4)]
    sharded = Sharded(scripted(*tables), n_shards=4, aggregate="attention").fit(LOG)
    np.testing.assert_allclose(sharded.attention_, 0, atol=1e-6)


def test_attention_without_numbers_is_the_mean():
    mean = Sharded(Markov, n_shards=4).fit(LOG)
    other = Sharded(Markov, n_shards=4, aggregate="attention").fit(LOG)
    assert other.attention_.any()
    other.attention_ = np.zeros(5)
    np.testing.assert_array_equal(mean.scores(LOG, USERS), other.scores(LOG, USERS))


@pytest.mark.parametrize("partition", ["hash", "similar"])
def test_attention_after_a_removal_is_that_of_training_without_the_rows(partition):
    sharded = Sharded(Markov, n_shards=4, partition=partition, aggregate="attention").fit(LOG, seed=3)
    before, shards = sharded.attention_, sharded.shard_
    removal = resolve([DeletionRequest(user="u5"), DeletionRequest(user="u8", items=["i0", "i1"])], LOG)
    sharded.remove(removal)
    again = Sharded(Markov, n_shards=4, partition=partition, aggregate="attention")
    again._similar = lambda log, seed: shards
    again.fit(removal.after, seed=3)
    np.testing.assert_array_equal(sharded.attention_, again.attention_)
    np.testing.assert_array_equal(sharded.scores(LOG, USERS), again.scores(LOG, USERS))
    assert not np.array_equal(before, sharded.attention_)


def test_unlearn_removes_from_shards_exactly():
    sharded = Sharded(lambda: EASE(5.0), n_shards=3, aggregate="attention").fit(LOG)
    log = LOG
    for algorithm, user in (("auto", "u5"), ("exact", "u6")):
        report = unlearn(sharded, DeletionRequest(user=user), log=log, algorithm=algorithm)
        assert (report.algorithm, report.exact, report.applied) == ("exact", True, True)
        log = report.log


def test_an_item_that_one_shard_never_saw_is_not_out_of_reach():
    sharded = Sharded(lambda: EASE(5.0), n_shards=4).fit(LOG)
    owner = sharded.shard_[LOG.user]
    only = [i for i in range(LOG.n_items) if 1 <= len(np.unique(owner[LOG.item == i])) < 4]
    scores = sharded.scores(LOG, USERS)
    assert only
    assert np.isfinite(scores[:, LOG.active_items]).all()
    item = only[0]
    gone = resolve(DeletionRequest(items=[LOG.item_ids[item]]), LOG)
    sharded.remove(gone)
    assert np.isneginf(sharded.scores(gone.after, USERS)[:, item]).all()


def test_shards_of_like_users_are_of_equal_size_where_many_users_have_no_rows():
    few = LOG.of_users(USERS[:30])
    sharded = Sharded(Markov, n_shards=5, partition="similar").fit(few)
    assert np.bincount(sharded.shard_[few.active_users]).tolist() == [6] * 5


def test_where_nobody_has_two_steps_attention_is_the_mean():
    frame = pd.DataFrame({"user": np.arange(12), "item": np.arange(12) % 5})
    log = Interactions.from_pandas(frame)
    assert not Sharded(lambda: EASE(5.0), n_shards=3, aggregate="attention").fit(log).attention_.any()


def test_shards_of_models_that_need_no_torch_need_none_either(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "rec_unlearn.models.torch_base", raising=False)
    Sharded(lambda: EASE(5.0), n_shards=3, aggregate="attention").fit(LOG)


def test_settings_that_mean_nothing_are_refused():
    for number in (0, 2.5, "four", None):
        with pytest.raises(ArgumentError, match="expected an integer of at least 1"):
            Sharded(Markov, n_shards=number)
    with pytest.raises(ArgumentError, match="aggregate='median'"):
        Sharded(Markov, aggregate="median")


@pytest.mark.parametrize("partition", ["hash", "similar"])
def test_a_saved_model_forgets_as_the_one_in_memory(partition, tmp_path):
    model = make_model("ease", l2=3.0, shards=5, partition=partition, aggregate="attention").fit(LOG, seed=2)
    model.models_[3] = None
    save(model, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert (again.settings(), again.fingerprint_) == (model.settings(), model.fingerprint_)
    assert again.models_[3] is None
    request = DeletionRequest(user=LOG.user_ids[4])
    for one in (model, again):
        assert unlearn(one, request, log=LOG).exact
    np.testing.assert_array_equal(again.scores(LOG, USERS), model.scores(LOG, USERS))
    assert again.fingerprint_ != load(tmp_path / "model.npz").fingerprint_


def test_what_cannot_be_saved_says_so(tmp_path):
    with pytest.raises(ArgumentError, match="shards are of Scripted, no model of this package"):
        save(Sharded(scripted(*np.zeros((5, 100, 3))), n_shards=4).fit(LOG), tmp_path / "model.npz")
    with pytest.raises(NotFittedError, match="Sharded is not trained yet"):
        save(Sharded(Markov), tmp_path / "model.npz")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ArgumentError, match="markov has no setting 'dim'"):
        make_model("markov", shards=3, dim=8)


def test_shards_on_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    for line in (
        "simulate --out log.csv --seed 3",
        "train log.csv --basket-column basket --model markov --set shards=4 --out model.npz",
        "remove model.npz log.csv --basket-column basket --user u17 --out removed",
    ):
        result = runner.invoke(app, line.split())
        assert result.exit_code == 0, result.output
    rest = load_log("removed/log.npz")
    removed, fresh = load("removed/model.npz"), make_model("markov", shards=4).fit(rest)
    users = rest.active_users
    np.testing.assert_array_equal(removed.scores(rest, users), fresh.scores(rest, users))
