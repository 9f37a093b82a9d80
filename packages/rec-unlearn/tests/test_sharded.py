import sys

import numpy as np
import pandas as pd
import pytest

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, Interactions, resolve
from rec_unlearn.algorithms.sharded import Sharded
from rec_unlearn.evaluate import log_probability
from rec_unlearn.models import EASE, Markov
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
    with pytest.raises(ArgumentError, match="aggregate='median'"):
        Sharded(Markov, aggregate="median")
