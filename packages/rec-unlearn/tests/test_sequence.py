"""Sequence models: sparse batches against dense ones, losses against their definition, padding without effect."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions, leave_last_out
from rec_unlearn.evaluate import ndcg
from rec_unlearn.models.batches import SequenceBatch
from rec_unlearn.models.sequence import GRU4Rec, NextBasketAttention, NextBasketGRU, SASRec
from rec_unlearn.models.torch_base import NotFittedError, NothingToLearnError, TrainConfig, TrainingError, user_order
from rec_unlearn.simulate import simulate_baskets

QUICK = TrainConfig(epochs=2, device="cpu", batch_size=32)
WORLD = simulate_baskets(np.random.default_rng(0), n_users=80, n_items=30, n_categories=5)
KINDS = [NextBasketGRU, NextBasketAttention, GRU4Rec, SASRec]


def baskets_of(log, user):
    rows = slice(log.user_offsets[user], log.user_offsets[user + 1])
    found = {}
    for item, sequence, step in zip(log.item[rows], log.sequence[rows], log.step[rows], strict=True):
        found.setdefault((sequence, step), []).append(int(item))
    sequences = {}
    for (sequence, _), items in sorted(found.items()):
        sequences.setdefault(sequence, []).append(items)
    return list(sequences.values())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 5))
def test_a_sparse_batch_says_what_the_baskets_say(seed, max_steps):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 40)
    user, sequence = rng.integers(0, 4, n), rng.integers(0, 2, n)
    order = np.lexsort((rng.integers(0, 4, n), sequence, user))
    user, sequence = user[order], (2 * user + sequence)[order]
    step = np.zeros(n, dtype=np.int64)
    for s in np.unique(sequence):
        step[sequence == s] = np.sort(rng.integers(0, 5, (sequence == s).sum()))
    keys = np.unique(np.stack([user, sequence, step, rng.integers(0, 3, n)]), axis=1)
    log = Interactions(*keys[[0, 3, 1, 2]], user_ids=np.arange(4), item_ids=np.arange(3))
    users = rng.permutation(4).astype(np.int32)
    batch = SequenceBatch.of(log, users, max_steps)
    expected = [(place, one[-max_steps:]) for place, u in enumerate(users) for one in baskets_of(log, u)]
    assert batch.owner.tolist() == [place for place, _ in expected]
    assert batch.length.tolist() == [len(one) for _, one in expected]
    found = [[[] for _ in range(length)] for length in batch.length]
    for item, place, weight in zip(batch.item, batch.place, batch.row_weight, strict=True):
        found[place // batch.width][place % batch.width].append(int(item))
        assert weight == pytest.approx(1 / len(expected[place // batch.width][1][place % batch.width]))
    assert found == [one for _, one in expected]
    positions = [(i, t) for i, (_, one) in enumerate(expected) for t in range(len(one) - 1)]
    assert [(p // max(batch.width, 1), p % max(batch.width, 1)) for p in batch.predicting] == positions
    targets = sorted((p, item) for p, (i, t) in enumerate(positions) for item in expected[i][1][t + 1])
    assert sorted(zip(*(column.tolist() for column in batch.targets[:2]), strict=True)) == targets
    counted = {(int(p), int(i)): c for p, i, c in zip(*batch.counts(batch.predicting), strict=True)}
    for p, (i, t) in enumerate(positions):
        seen = [item for basket in expected[i][1][: t + 1] for item in basket]
        assert {item: seen.count(item) for item in seen} == {k[1]: c for k, c in counted.items() if k[0] == p}


@pytest.mark.parametrize("kind", KINDS)
def test_a_users_loss_is_the_mean_cross_entropy_of_their_next_baskets(kind):
    model = kind(8, train=QUICK).start(WORLD.log, seed=3)
    users = np.array([5, 1], dtype=np.int32)
    values, losses = model.outputs(WORLD.log, users)
    expected, place = [], 0
    for user in users:
        [baskets] = baskets_of(WORLD.log, user)
        parts = []
        for target in baskets[1:]:
            parts.append(-values[place].log_softmax(0)[target].mean().item())
            place += 1
        expected.append(np.mean(parts))
    assert place == len(values)
    assert losses(values).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_neither_padding_nor_the_future_reaches_a_user(kind):
    model = kind(8, train=QUICK).start(WORLD.log, seed=1)
    alone = [model.losses(WORLD.log, np.array([user], dtype=np.int32)).item() for user in range(6)]
    assert model.losses(WORLD.log, np.arange(6, dtype=np.int32)).tolist() == pytest.approx(alone, rel=1e-4)
    train, _ = leave_last_out(WORLD.log)
    cut = model.outputs(train, np.array([2], dtype=np.int32)).values
    whole = model.outputs(WORLD.log, np.array([2], dtype=np.int32)).values
    assert torch.allclose(whole[: len(cut)], cut, atol=1e-5)
    # What the model says after the training history is what it says at the last position of the whole.
    assert np.allclose(model.scores(train, np.array([2])), whole[-1].detach().numpy(), atol=1e-5)


def test_scores_count_what_was_bought_before():
    model = NextBasketGRU(8, train=QUICK).start(WORLD.log)
    without = NextBasketGRU(8, counts=False, train=QUICK).start(WORLD.log)
    without.module.load_state_dict({k: v for k, v in model.module.state_dict().items() if k != "repeat"})
    users = np.arange(10, dtype=np.int32)
    counts = WORLD.log.matrix(users).toarray()
    difference = model.scores(WORLD.log, users) - without.scores(WORLD.log, users)
    assert np.allclose(difference, np.log1p(counts), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_training_learns_and_the_same_seed_gives_the_same_model(kind):
    split = leave_last_out(WORLD.log)
    model = kind(8, train=TrainConfig(epochs=8, lr=1e-2, device="cpu")).fit(split.train, seed=1)
    again = kind(8, train=TrainConfig(epochs=8, lr=1e-2, device="cpu")).fit(split.train, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))
    fresh = kind(8, train=QUICK).start(split.train, seed=1)
    everyone = np.arange(80, dtype=np.int32)
    assert model.losses(WORLD.log, everyone).mean() < fresh.losses(WORLD.log, everyone).mean() - 0.05
    assert model.history_[-1]["loss"] < model.history_[0]["loss"]


def test_the_best_epoch_is_kept_and_training_stops_when_it_does_not_get_better():
    split = leave_last_out(WORLD.log)
    config = TrainConfig(epochs=30, lr=0.1, patience=2, device="cpu")
    model = NextBasketGRU(8, train=config).fit(split.train, validation=split)
    seen = [row["nDCG@10"] for row in model.history_]
    assert len(seen) < 30
    assert ndcg(model, split).mean() == pytest.approx(max(seen))


@given(st.sets(st.integers(0, 500), min_size=2, max_size=60), st.integers(0, 5), st.integers(0, 5))
def test_a_user_who_is_gone_does_not_reorder_the_others(users, seed, epoch):
    everyone = np.array(sorted(users), dtype=np.int32)
    order = user_order(everyone, seed, epoch)
    rest = user_order(everyone[1:], seed, epoch)
    assert rest.tolist() == [user for user in order if user != everyone[0]]


def test_users_without_a_next_step_have_no_loss_and_users_without_rows_no_scores():
    log = WORLD.log.keep((WORLD.log.user != 0) & ~((WORLD.log.user == 1) & (WORLD.log.step > 0)))
    model = NextBasketGRU(8, train=QUICK).fit(log)
    assert model.losses(log, np.array([0, 1, 2], dtype=np.int32))[:2].tolist() == [0, 0]
    assert not model.scores(log, np.array([0])).any()
    assert model.losses(log, np.array([0], dtype=np.int32)).tolist() == [0]


def test_what_cannot_be_trained_says_so():
    with pytest.raises(NotFittedError, match="call fit first"):
        NextBasketGRU(8).scores(WORLD.log, np.array([0]))
    with pytest.raises(NothingToLearnError, match="learns from what follows what"):
        NextBasketGRU(8, train=QUICK).fit(WORLD.log.keep(WORLD.log.step == 0))
    with pytest.raises(TrainingError, match="lower lr"):
        NextBasketAttention(8, train=TrainConfig(lr=1e30, epochs=3, batch_size=4, device="cpu")).fit(WORLD.log)
    with pytest.raises(ArgumentError, match="epochs=0"):
        TrainConfig(epochs=0)
    with pytest.raises(ArgumentError, match="dropout=1"):
        NextBasketGRU(8, dropout=1)
