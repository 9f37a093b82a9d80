"""Sets2Sets against the definition: one user at a time, dense, with loops where the paper has sums."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, unlearn
from rec_unlearn.curvature import gauss_newton_product, hessian_product
from rec_unlearn.data import leave_last_out
from rec_unlearn.models.sets2sets import Sets2Sets, inverse_frequencies
from rec_unlearn.models.store import load, save
from rec_unlearn.models.torch_base import TrainConfig
from rec_unlearn.protocols import WithOutputs
from rec_unlearn.simulate import simulate_baskets

QUICK = TrainConfig(epochs=2, lr=1e-2, batch_size=16, device="cpu")
LOG = simulate_baskets(np.random.default_rng(3), n_users=30, n_items=20, n_categories=4).log
EVERYONE = np.arange(30, dtype=np.int32)
CASES = [(loss, prefixes) for loss in ("squared", "logistic") for prefixes in (False, True)]


def baskets_of(log, user):
    rows = slice(log.user_offsets[user], log.user_offsets[user + 1])
    found = {}
    for item, sequence, step in zip(log.item[rows], log.sequence[rows], log.step[rows], strict=True):
        found.setdefault(sequence, {}).setdefault(step, []).append(int(item))
    return [[steps[step] for step in sorted(steps)] for _, steps in sorted(found.items())]


def logits_of(model, baskets, n_items):
    """What comes after all of these baskets: one user, no padding but that of the attention."""
    net, dim = model.module, model.dim
    baskets = baskets[-model.max_steps :]
    state = torch.zeros(1, dim)
    states = torch.zeros(model.max_steps, dim)
    frequency = torch.zeros(n_items)
    for place, basket in enumerate(baskets):
        mean = sum(net.embedding.weight[item] for item in basket) / len(basket)
        state = net.encoder(mean.view(1, 1, dim), state.view(1, 1, dim))[1].view(1, dim)
        states[place] = state
        for item in basket:
            frequency[item] += 1 / len(baskets)
    last = sum(net.last_embedding.weight[item] for item in baskets[-1]) / len(baskets[-1])
    weights = torch.softmax(net.attention(torch.cat([last, state[0]])), 0)
    mixed = sum(weights[place] * states[place] for place in range(model.max_steps))
    read = torch.relu(net.combine(torch.cat([last, mixed])))
    out = net.out(net.decoder(read[None], state)[0])
    gates = torch.sigmoid(net.gate.T @ frequency + net.gate_bias)
    return torch.stack(
        [
            out[item] if frequency[item] == 0 else (1 - gates[item]) * out[item] + gates[item] * frequency[item]
            for item in range(n_items)
        ]
    )


def loss_of(model, log, logits, basket):
    rows = np.bincount(log.item, minlength=log.n_items)
    used = (rows > 0).sum()
    total = 0.0
    for item in range(log.n_items):
        weight = len(log) / used / rows[item] if rows[item] else 0.0
        weight = 1.0 if model.weights == "equal" else weight
        target = float(item in basket)
        if model.loss == "squared":
            total += weight * float(torch.softmax(logits, 0)[item].detach() - target) ** 2
        else:
            chance = float(torch.sigmoid(logits[item]).detach())
            total -= weight * np.log(chance if target else 1 - chance)
    return total


def started(log=LOG, seed=1, **settings):
    model = Sets2Sets(5, train=QUICK, **settings).start(log, seed=seed)
    with torch.no_grad():
        model.module.gate_bias.normal_(generator=torch.Generator().manual_seed(seed))
        model.module.gate.mul_(10)
    return model


@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**32),
    case=st.sampled_from(CASES),
    weights=st.sampled_from(["equal", "inverse"]),
    max_steps=st.sampled_from([1, 2, 4, 12]),
)
def test_losses_are_those_of_a_dense_loop(small_log, seed, case, weights, max_steps):
    log, (loss, prefixes) = small_log(seed), case
    model = started(log, seed % 1000, loss=loss, weights=weights, prefixes=prefixes, max_steps=max_steps)
    users = np.random.default_rng(seed).permutation(log.n_users)[:6].astype(np.int32)
    found = model.losses(log, users).tolist()
    for place, user in enumerate(users):
        parts = []
        for whole in baskets_of(log, user):
            baskets = whole[-max_steps:]
            for last in range(1 if prefixes else max(len(baskets) - 1, 1), len(baskets)):
                logits = logits_of(model, baskets[:last], log.n_items)
                parts.append(loss_of(model, log, logits, baskets[last]))
        assert found[place] == pytest.approx(np.mean(parts) if parts else 0.0, rel=1e-4, abs=1e-6)


def test_scores_are_the_logits_of_a_dense_loop():
    for max_steps in (3, 20):
        model = started(max_steps=max_steps)
        users = np.array([4, 0, 17], dtype=np.int32)
        rest = LOG.keep(LOG.user != 0)
        scores = model.scores(rest, users)
        assert not scores[1].any()
        for place in (0, 2):
            [baskets] = baskets_of(LOG, users[place])
            expected = logits_of(model, baskets, LOG.n_items).detach().numpy()
            assert np.allclose(scores[place], expected, atol=1e-5)


def test_with_prefixes_the_last_position_is_the_one_without():
    one, every = started(loss="logistic"), started(loss="logistic", prefixes=True)
    for user in range(5):
        who = np.array([user], dtype=np.int32)
        last, whole = one.outputs(LOG, who).values, every.outputs(LOG, who).values
        assert len(last) == 1
        assert len(whole) == len(baskets_of(LOG, user)[0]) - 1
        assert torch.allclose(last[0], whole[-1], atol=1e-6)


@pytest.mark.parametrize(("loss", "prefixes"), CASES)
def test_losses_are_convex_in_the_outputs(loss, prefixes):
    model = started(loss=loss, prefixes=prefixes)
    assert isinstance(model, WithOutputs)
    values, losses = model.outputs(LOG, EVERYONE)
    assert values.requires_grad
    assert losses(values).tolist() == model.losses(LOG, EVERYONE).tolist()
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        one, other = (2 * torch.randn(values.shape, generator=generator) for _ in range(2))
        middle = (losses(one) + losses(other)) / 2
        assert (losses((one + other) / 2) <= middle + 1e-4 * middle.abs()).all()


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_second_derivatives_are_those_of_finite_differences(loss):
    model = started(loss=loss, weights="inverse")
    model.module.double()
    users, parameters = EVERYONE[:4], list(model.parameters())
    generator = torch.Generator().manual_seed(0)
    directions = [torch.randn(parameter.shape, generator=generator).double() for parameter in parameters]
    flat = torch.cat([direction.reshape(-1) for direction in directions])
    product = hessian_product(lambda: model.losses(LOG, users), parameters)(flat)

    def slope_at(scale):
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.add_(scale * direction)
        grads = torch.autograd.grad(model.losses(LOG, users).mean(), parameters)
        with torch.no_grad():
            for parameter, direction in zip(parameters, directions, strict=True):
                parameter.sub_(scale * direction)
        return torch.cat([grad.reshape(-1) for grad in grads]) @ flat

    step = 1e-5
    difference = float(slope_at(step) - slope_at(-step)) / (2 * step)
    assert float(flat @ product) == pytest.approx(difference, rel=1e-6)
    gauss_newton = gauss_newton_product(lambda: model.outputs(LOG, users), parameters)
    assert float(flat @ gauss_newton(flat)) >= 0


@pytest.mark.parametrize(("loss", "prefixes"), CASES)
def test_training_learns_and_the_same_seed_gives_the_same_model(loss, prefixes):
    split = leave_last_out(LOG)
    config = TrainConfig(epochs=6, lr=1e-2, batch_size=8, device="cpu")
    model, again = (
        Sets2Sets(8, max_steps=15, loss=loss, prefixes=prefixes, train=config).fit(split.train, seed=2)
        for _ in range(2)
    )
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), again.parameters(), strict=True))
    fresh = Sets2Sets(8, max_steps=15, loss=loss, prefixes=prefixes, train=config).start(split.train, seed=2)
    before, after = (each.losses(split.train, EVERYONE).mean().item() for each in (fresh, model))
    assert after < before - 0.03


def test_a_saved_model_scores_as_before(tmp_path):
    model = Sets2Sets(4, max_steps=9, prefixes=True, loss="logistic", train=QUICK).fit(LOG)
    save(model, tmp_path / "model.npz")
    again = load(tmp_path / "model.npz")
    assert again.settings() == model.settings()
    assert np.array_equal(again.scores(LOG, EVERYONE), model.scores(LOG, EVERYONE))


def test_weights_are_inverse_frequencies_with_a_mean_of_one_over_rows():
    weights = inverse_frequencies(LOG.keep(LOG.item != 3))
    rows = np.bincount(LOG.item, minlength=20)
    assert weights[3] == 0
    assert weights[5] / weights[7] == pytest.approx(rows[7] / rows[5])
    assert weights[LOG.item[LOG.item != 3]].mean() == pytest.approx(1, rel=1e-5)


def test_a_request_moves_rows_of_items_and_no_pairs_of_them():
    model = Sets2Sets(4, train=QUICK).fit(LOG)
    before = {name: value.clone() for name, value in model.module.state_dict().items()}
    assert unlearn(model, DeletionRequest(user=LOG.user_ids[3]), log=LOG, algorithm="scif").applied
    moved = {name for name, value in model.module.state_dict().items() if not torch.equal(value, before[name])}
    assert {"embedding.weight", "last_embedding.weight", "out.weight", "out.bias"} <= moved
    assert "gate" not in moved


def test_users_without_a_next_basket_have_no_loss():
    log = LOG.keep((LOG.user != 0) & ~((LOG.user == 1) & (LOG.step > 0)))
    model = started()
    assert model.losses(log, np.array([0, 1, 2], dtype=np.int32))[:2].tolist() == [0, 0]
    assert model.losses(log, np.array([0], dtype=np.int32)).tolist() == [0]
    with pytest.raises(ArgumentError, match="loss='cross'"):
        Sets2Sets(loss="cross")
    with pytest.raises(ArgumentError, match="weights='none'; expected 'equal' or 'inverse'"):
        Sets2Sets(weights="none")
    with pytest.raises(ArgumentError, match="max_steps=0"):
        Sets2Sets(max_steps=0)
