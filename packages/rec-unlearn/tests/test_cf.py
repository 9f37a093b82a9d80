"""Models of pairs: negatives that nobody else moves, losses and scores against a loop, graphs that forget."""

import gc
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, Interactions
from rec_unlearn.curvature import flatten, gauss_newton_product, hessian_product
from rec_unlearn.models import lightgcn
from rec_unlearn.models.factors import MFBPR, draw_pairs
from rec_unlearn.models.lightgcn import LightGCN
from rec_unlearn.models.store import load, save
from rec_unlearn.models.torch_base import NotFittedError, TrainConfig
from rec_unlearn.protocols import WithOutputs
from rec_unlearn.simulate import simulate_baskets
from rec_unlearn.unlearn import unlearn

QUICK = TrainConfig(epochs=2, lr=1e-2, batch_size=32, device="cpu")
LOG = simulate_baskets(np.random.default_rng(0), n_users=40, n_items=25, n_categories=5).log
KINDS = [MFBPR, LightGCN]
EVERYONE = np.arange(40, dtype=np.int32)


def started(kind, log=LOG, seed=1, **settings):
    model = kind(6, train=QUICK, **settings).start(log, seed=seed)
    if kind is MFBPR:
        with torch.no_grad():
            model.module.biases.copy_(torch.randn(log.n_items, generator=torch.Generator().manual_seed(seed)))
    return model


def loop_vectors(model, log):
    """Vectors by propagation over the full adjacency matrix, as the paper writes it: dense, float64."""
    module = model.module
    users, items = (table.weight.detach().double().numpy() for table in (module.users, module.items))
    biases = module.biases.detach().double().numpy() if hasattr(module, "biases") else np.zeros(log.n_items)
    if isinstance(model, MFBPR):
        return users, items, biases
    n = log.n_users + log.n_items
    adjacency = np.zeros((n, n))
    for user, item in zip(log.user, log.item, strict=True):
        adjacency[user, log.n_users + item] = adjacency[log.n_users + item, user] = 1
    degree = adjacency.sum(1)
    for i in range(n):
        for j in range(n):
            if adjacency[i, j]:
                adjacency[i, j] /= np.sqrt(degree[i] * degree[j])
    layer = np.concatenate([users, items])
    layers = [layer]
    for _ in range(model.n_layers):
        layers.append(adjacency @ layers[-1])
    mean = np.mean(layers, axis=0)
    return mean[: log.n_users], mean[log.n_users :], biases


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 5), st.integers(0, 2**40), st.integers(0, 50))
def test_pairs_are_a_users_items_each_with_items_that_are_not(small_log, seed, k, draws, draw):
    log = small_log(seed)
    users = np.random.default_rng(seed).permutation(log.n_users).astype(np.int32)
    pairs = draw_pairs(log, users, k, seed=draws, draw=draw)
    expected = [
        (place, int(item))
        for place, user in enumerate(users)
        for item in log.items_of(user)
        if len(log.items_of(user)) < log.n_items
    ]
    assert list(zip(pairs.owner, pairs.positive, strict=True)) == expected
    assert pairs.negative.shape == (len(expected), k)
    for owner, negatives in zip(pairs.owner, pairs.negative, strict=True):
        assert not set(negatives) & set(log.items_of(users[owner]))
        assert all(0 <= item < log.n_items for item in negatives)


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(0, 5))
def test_a_user_who_goes_moves_nobody_elses_pairs(small_log, seed, draw):
    log = small_log(seed)
    gone = log.active_users[0]
    users = np.setdiff1d(log.active_users, [gone]).astype(np.int32)
    rest = log.keep(log.user != gone)
    before, after = (draw_pairs(each, users, 3, seed=1, draw=draw) for each in (log, rest))
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    # Nor does it matter with whom a user is asked for.
    for place, user in enumerate(users):
        alone = draw_pairs(log, users[place : place + 1], 3, seed=1, draw=draw)
        assert np.array_equal(before.negative[before.owner == place], alone.negative), user


def test_an_item_that_goes_moves_only_the_negatives_that_had_met_it():
    log = LOG
    before = draw_pairs(log, EVERYONE, 4, seed=0, draw=0)
    item = int(log.items_of(3)[0])
    rest = log.keep(~((log.user == 3) & (log.item == item)))
    after = draw_pairs(rest, EVERYONE, 4, seed=0, draw=0)
    kept = ~((before.owner == 3) & (before.positive == item))
    changed = before.negative[kept] != after.negative
    assert changed.mean() < 0.02
    assert set(after.owner[changed.any(axis=1)]) <= {3}


def test_negatives_are_uniform_over_the_items_that_a_user_did_not_take():
    n_users, n_items = 400, 12
    user, item = np.repeat(np.arange(n_users), 9), np.tile([0, 1, 2, 3, 5, 7, 8, 9, 11], n_users)
    at = np.arange(len(user))
    log = Interactions(user, item, user, at, user_ids=np.arange(n_users), item_ids=np.arange(n_items))
    drawn = draw_pairs(log, np.arange(n_users, dtype=np.int32), 5, seed=3, draw=1).negative
    counts = np.bincount(drawn.reshape(-1), minlength=n_items)
    assert counts[[4, 6, 10]].sum() == drawn.size
    expected = drawn.size / 3
    assert (((counts[[4, 6, 10]] - expected) ** 2) / expected).sum() < 13.8, "chi-square, 2 degrees: p < .001"
    other = draw_pairs(log, np.arange(n_users, dtype=np.int32), 5, seed=3, draw=2).negative
    assert (drawn == other).mean() == pytest.approx(1 / 3, abs=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_the_mean_softplus_of_score_differences(kind):
    model = started(kind)
    users = np.array([5, 1, 38], dtype=np.int32)
    of_users, of_items, biases = loop_vectors(model, LOG)
    pairs = draw_pairs(LOG, users, 4, seed=0, draw=0)
    expected = []
    for place, user in enumerate(users):
        parts = []
        for owner, positive, negatives in zip(*pairs, strict=True):
            if owner == place:
                score = of_users[user] @ of_items[positive] + biases[positive]
                for negative in negatives:
                    other = of_users[user] @ of_items[negative] + biases[negative]
                    parts.append(np.log1p(np.exp(other - score)))
        expected.append(np.mean(parts))
    assert model.losses(LOG, users).tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_inner_products_and_users_without_rows_are_nobody_in_particular(kind):
    gone = LOG.keep(LOG.user != 4)
    model = started(kind)
    users = np.array([7, 4, 0], dtype=np.int32)
    of_users, of_items, biases = loop_vectors(model, gone)
    of_users[4] = 0
    assert np.allclose(model.scores(gone, users), of_users[users] @ of_items.T + biases, atol=1e-5)
    assert model.losses(gone, users)[1] == 0


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_lightgcn_propagates_as_often_as_it_has_layers(layers):
    model = started(LightGCN, n_layers=layers)
    of_users, of_items, _ = loop_vectors(model, LOG)
    assert np.allclose(model.scores(LOG, EVERYONE), of_users @ of_items.T, atol=1e-5)


def test_a_user_who_left_the_log_has_left_the_graph():
    model = started(LightGCN)
    rest = LOG.keep(LOG.user != 9)
    before = model.scores(rest, EVERYONE)
    with torch.no_grad():
        model.module.users.weight[9] = 1e3
    assert np.array_equal(model.scores(rest, EVERYONE), before)
    assert not np.allclose(model.scores(LOG, EVERYONE), before)


def test_a_graph_is_kept_no_longer_than_its_log():
    rest = LOG.keep(LOG.user != 2)
    model = started(LightGCN)
    model.scores(rest, EVERYONE)
    assert rest in lightgcn._graphs
    count = len(lightgcn._graphs)
    del rest
    gc.collect()
    assert len(lightgcn._graphs) == count - 1
    assert np.array_equal(pickle.loads(pickle.dumps(model)).scores(LOG, EVERYONE), model.scores(LOG, EVERYONE))


@pytest.mark.parametrize("kind", KINDS)
def test_training_learns_and_the_same_seed_gives_the_same_model(kind):
    config = TrainConfig(epochs=10, lr=2e-2, batch_size=16, device="cpu")
    model, again = (kind(6, train=config).fit(LOG, seed=2) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))
    fresh = kind(6, train=config).start(LOG, seed=2)
    assert model.losses(LOG, EVERYONE).mean() < fresh.losses(LOG, EVERYONE).mean() - 0.1
    assert np.array_equal(model.losses(LOG, EVERYONE).detach(), model.losses(LOG, EVERYONE).detach())
    used = LOG.matrix().toarray() > 0
    scores = model.scores(LOG, EVERYONE)
    assert scores[used].mean() > scores[~used].mean() + 0.3


def test_epochs_draw_anew_and_what_follows_sees_the_fixed_draw():
    seen = []

    class Spy(MFBPR):
        def outputs(self, log, users):
            seen.append(self._draw)
            return super().outputs(log, users)

    model = Spy(4, train=TrainConfig(epochs=2, batch_size=40, device="cpu")).fit(LOG, seed=7)
    model.losses(LOG, EVERYONE)
    assert seen == [(7, 1), (7, 2), (0, 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_losses_are_convex_in_the_outputs(kind):
    model = started(kind)
    assert isinstance(model, WithOutputs)
    values, losses = model.outputs(LOG, EVERYONE)
    assert values.requires_grad
    assert losses(values).tolist() == model.losses(LOG, EVERYONE).tolist()
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        one, other = (3 * torch.randn(values.shape, generator=generator) for _ in range(2))
        assert (losses((one + other) / 2) <= (losses(one) + losses(other)) / 2 + 1e-5).all()


@pytest.mark.parametrize("kind", KINDS)
def test_second_derivatives_are_those_of_finite_differences(kind):
    model = started(kind)
    model.module.double()
    users, parameters = EVERYONE[:5], list(model.parameters())
    generator = torch.Generator().manual_seed(0)
    directions = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
    flat = flatten(directions)
    product = hessian_product(lambda: model.losses(LOG, users), parameters)(flat)
    gauss_newton = gauss_newton_product(lambda: model.outputs(LOG, users), parameters)(flat)
    step = 1e-4

    def loss_at(scale):
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(scale * direction)
            loss = model.losses(LOG, users).double().mean().item()
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.sub_(scale * direction)
        return loss

    curvature = (loss_at(step) - 2 * loss_at(0) + loss_at(-step)) / step**2
    assert float(flat @ product) == pytest.approx(curvature, rel=1e-3)
    assert float(flat @ gauss_newton) >= 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_scores_as_before(kind, tmp_path):
    model = kind(6, n_negatives=2, train=QUICK).fit(LOG, seed=5)
    save(model, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert type(again) is kind
    assert again.settings() == model.settings()
    assert np.array_equal(again.scores(LOG, EVERYONE), model.scores(LOG, EVERYONE))
    assert np.array_equal(again.losses(LOG, EVERYONE).detach(), model.losses(LOG, EVERYONE).detach())


@pytest.mark.parametrize("kind", KINDS)
def test_unlearning_reports_the_parameters_of_single_users(kind):
    model = kind(6, train=QUICK).fit(LOG)
    report = unlearn(model, DeletionRequest(user="u3"), log=LOG, algorithm="scif")
    assert report.applied
    assert any("users.weight" in sentence for sentence in report.stored_copies)


def test_what_does_not_fit_says_so():
    with pytest.raises(NotFittedError, match="call fit first"):
        MFBPR().losses(LOG, EVERYONE)
    with pytest.raises(ArgumentError, match="dim=0"):
        MFBPR(0)
    with pytest.raises(ArgumentError, match="n_layers=-1"):
        LightGCN(n_layers=-1)
    model = started(MFBPR)
    larger = simulate_baskets(np.random.default_rng(1), n_users=41, n_items=25, n_categories=5).log
    with pytest.raises(ArgumentError, match="41 users and 25 items, the model was trained on 40 and 25"):
        model.scores(larger, EVERYONE)
