import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, resolve
from rec_unlearn.algorithms import ALGORITHMS, NotApplicableError, make_algorithm
from rec_unlearn.curvature import flatten, gauss_newton_product, per_user_gradients
from rec_unlearn.models.sequence import GRU4Rec, NextBasketAttention, NextBasketGRU
from rec_unlearn.models.sharded import Sharded
from rec_unlearn.models.torch_base import TrainConfig
from rec_unlearn.simulate import simulate_baskets

OWN = runpy.run_path(str(Path(__file__).with_name("own_models.py")))
LOG = simulate_baskets(np.random.default_rng(1), n_users=100).log
BY_INFLUENCE = ["scif", "ceu", "idea", "calibrated", "gif"]
BY_GRADIENTS = [*BY_INFLUENCE, "fine-tune", "gradient-ascent", "neg-grad-plus", "kookmin", "fanchuan", "seif"]
BY_OUTPUT_LAYER = ["block", "imcorrect"]
NEED_LOSSES_ALONE = [name for name in BY_GRADIENTS if name != "fanchuan"]
STATE = ["kookmin", "fanchuan"]
REQUESTS = {
    "an account": DeletionRequest(user="u5"),
    "items of a user": DeletionRequest(user="u5", items=LOG.item_ids[LOG.items_of(5)[:2]].tolist()),
    "an item of everybody": DeletionRequest(items=["i3"]),
    "two accounts": (DeletionRequest(user="u5"), DeletionRequest(user="u6")),
    "everything": DeletionRequest(items=LOG.item_ids.tolist()),
}


def rng(seed=0):
    return np.random.default_rng(seed)


def weights(model):
    return flatten([parameter.detach().clone() for parameter in model.parameters()])


@pytest.fixture(scope="module")
def trained():
    return OWN["WithEverything"](LOG.n_items).fit(LOG)


@pytest.fixture
def model(trained):
    return copy_of(trained)


def copy_of(model):
    copy = type(model)(LOG.n_items)
    for mine, theirs in zip(copy.parameters(), model.parameters(), strict=True):
        mine.data = theirs.detach().clone()
    return copy


@pytest.fixture(scope="module")
def network():
    return NextBasketGRU(8, train=TrainConfig(epochs=2, device="cpu")).fit(LOG, seed=1)


def settings_for(name):
    # A number, so that no second model is trained; few steps, to be fast.
    return {"calibrated": {"gap": 0.1}, "fanchuan": {"rounds": 4}, "gif": {"iterations": 20}}.get(name, {})


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("name", BY_GRADIENTS + BY_OUTPUT_LAYER)
def test_every_algorithm_serves_every_kind_of_request_of_an_own_model(name, request_name, model):
    removal = resolve(REQUESTS[request_name], LOG)
    before = weights(model)
    step = make_algorithm(name, **settings_for(name)).apply(model, removal, rng())
    moved = (weights(model) - before).norm()
    assert torch.isfinite(moved)
    assert step.norm == pytest.approx(float(moved), rel=1e-3, abs=1e-9)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("name", [n for n in BY_GRADIENTS + BY_OUTPUT_LAYER if n not in ("fine-tune", "seif")])
def test_the_forgotten_user_is_predicted_worse_afterwards(name, model):
    removal = resolve(REQUESTS["an account"], LOG)
    with torch.no_grad():
        before = float(model.losses(LOG, removal.users))
        make_algorithm(name, **settings_for(name)).apply(model, removal, rng())
        assert float(model.losses(LOG, removal.users)) > before


@pytest.mark.parametrize("name", BY_GRADIENTS + BY_OUTPUT_LAYER)
@pytest.mark.parametrize("kind", [NextBasketGRU, NextBasketAttention, GRU4Rec])
def test_every_algorithm_serves_the_sequence_models(name, kind):
    model = kind(8, dropout=0.2, train=TrainConfig(epochs=1, device="cpu")).fit(LOG, seed=1)
    model.module.train()
    before = weights(model)
    step = make_algorithm(name, **settings_for(name)).apply(model, resolve(REQUESTS["an account"], LOG), rng())
    assert step.norm == pytest.approx(float((weights(model) - before).norm()), rel=1e-3)
    assert model.module.training
    model.module.eval()


@pytest.mark.parametrize("name", NEED_LOSSES_ALONE)
def test_losses_are_enough_for_algorithms_by_gradients(name):
    module = OWN["Module"](LOG.n_items)
    module.net[1].eval()
    modes = [each.training for each in module.modules()]
    step = make_algorithm(name, **settings_for(name)).apply(module, resolve(REQUESTS["an account"], LOG), rng())
    assert np.isfinite(step.norm)
    assert [each.training for each in module.modules()] == modes
    assert [name for name, p in module.named_parameters() if not p.requires_grad] == ["frozen"]
    assert module.frozen.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("name", ["fanchuan", *BY_OUTPUT_LAYER])
def test_what_needs_more_than_losses_says_so(name):
    model = OWN["LossesOnly"](LOG.n_items)
    with pytest.raises(NotApplicableError, match=r"rec_unlearn\.protocols"):
        make_algorithm(name).apply(model, resolve(REQUESTS["an account"], LOG), rng())


@pytest.mark.parametrize("name", BY_GRADIENTS + BY_OUTPUT_LAYER)
def test_a_model_without_gradients_is_told_what_it_lacks(name):
    class Popularity:
        def scores(self, log, users):
            return np.zeros((len(users), log.n_items))

    with pytest.raises(NotApplicableError, match="Popularity"):
        make_algorithm(name, **settings_for(name)).apply(Popularity(), resolve(REQUESTS["an account"], LOG), rng())


@pytest.mark.parametrize("name", BY_GRADIENTS + BY_OUTPUT_LAYER)
def test_the_same_seed_makes_the_same_step(name, trained):
    removal = resolve(REQUESTS["an account"], LOG)
    one, other = copy_of(trained), copy_of(trained)
    for each in (one, other):
        make_algorithm(name, **settings_for(name)).apply(each, removal, rng())
    assert torch.equal(weights(one), weights(other))


@pytest.mark.parametrize("name", BY_GRADIENTS + BY_OUTPUT_LAYER)
def test_numbers_that_are_not_finite_stop_it(name, model):
    model.items.data[:] = float("nan")
    with pytest.raises(FloatingPointError):
        make_algorithm(name, **settings_for(name)).apply(model, resolve(REQUESTS["an account"], LOG), rng())


@pytest.mark.parametrize("name", ["fine-tune", "gradient-ascent", "neg-grad-plus", *STATE])
def test_the_optimiser_is_kept_over_requests_where_the_algorithm_says_so(name, model):
    algorithm = make_algorithm(name)
    algorithm.apply(model, resolve(DeletionRequest(user="u5"), LOG), rng())
    first = algorithm.mover_
    algorithm.apply(model, resolve(DeletionRequest(user="u6"), LOG), rng())
    assert (algorithm.mover_ is first) == algorithm.access.state == (name in STATE)


@pytest.mark.parametrize("name", STATE)
def test_what_is_kept_can_be_stored_and_taken_back(name, model):
    first, removal = make_algorithm(name), resolve(DeletionRequest(user="u6"), LOG)
    first.apply(model, resolve(DeletionRequest(user="u5"), LOG), rng())
    second, other = make_algorithm(name), copy_of(model)
    second.restore({key: value.copy() for key, value in first.state().items()})
    first.apply(model, removal, rng())
    second.apply(other, removal, rng())
    assert torch.equal(weights(model), weights(other))
    third = make_algorithm(name)
    third.apply(copy_of(other), removal, rng())
    assert third.history_.norms != second.history_.norms[-1:]


def test_a_failed_step_forgets_the_state_of_the_optimiser(model):
    algorithm = make_algorithm("fanchuan")
    algorithm.apply(model, resolve(DeletionRequest(user="u5"), LOG), rng())
    model.bias.data[0] = float("nan")
    with pytest.raises(FloatingPointError):
        algorithm.apply(model, resolve(DeletionRequest(user="u6"), LOG), rng())
    assert algorithm.mover_ is None


def test_the_series_of_gif_arrives_where_a_solver_does(model):
    removal, scope = resolve(DeletionRequest(user="u5"), LOG), "all"
    one, other = copy_of(model), copy_of(model)
    make_algorithm("gif", damping=1.0, retain=1000, iterations=200, scale=None, scope=scope).apply(one, removal, rng())
    make_algorithm("scif", damping=1.0, retain=1000, steps=100, curvature="hessian", scope=scope).apply(
        other, removal, rng()
    )
    moved = weights(one) - weights(model)
    assert (moved - (weights(other) - weights(model))).norm() < 1e-3 * moved.norm()


def test_a_series_of_gif_that_diverges_is_refused(model):
    with pytest.raises(FloatingPointError, match="diverges"):
        make_algorithm("gif", scale=1e-3).apply(model, resolve(DeletionRequest(user="u5"), LOG), rng())


def test_gif_counts_neighbours_whose_loss_looks_at_others(model):
    class Popular(type(model)):
        def losses(self, log, users):
            # A regulariser that looks at everybody: the loss of a user changes when another one leaves.
            return super().losses(log, users) + 0.1 * len(log) / len(LOG) * self.bias.sum()

    neighbour_aware, removal = Popular(LOG.n_items), resolve(DeletionRequest(user="u5"), LOG)
    steps = [
        make_algorithm("gif", neighbours=n, iterations=5).apply(copy_of(neighbour_aware), removal, rng())
        for n in (0, 50)
    ]
    assert [step.facts["neighbours"] for step in steps] == [0, 50]
    assert steps[1].norm > steps[0].norm


def test_kookmin_draws_a_share_of_the_weights_anew(model):
    before = weights(model)
    step = make_algorithm("kookmin", share=0.1, lr=1e-12).apply(model, resolve(REQUESTS["an account"], LOG), rng())
    changed = int(((weights(model) - before).abs() > 1e-6).sum())
    assert step.facts["drawn_anew"] == int(0.1 * len(before))
    assert 0.8 * step.facts["drawn_anew"] <= changed <= step.facts["drawn_anew"]


def test_block_takes_the_newton_step_of_a_dense_solver_in_the_rows_it_moves(model):
    removal = resolve(DeletionRequest(user="u5"), LOG)
    before = (model.out.detach().clone(), model.bias.detach().clone())
    make_algorithm("block", retain=1000, energy=1.0, damping=1e-2).apply(model, removal, rng())
    moved = torch.cat([model.out.detach() - before[0], (model.bias.detach() - before[1])[:, None]], 1)
    with torch.no_grad():
        model.out.copy_(before[0])
        model.bias.copy_(before[1])
    stay = removal.after.active_users
    v = per_user_gradients(lambda: model.losses(LOG, removal.users), [model.out, model.bias])[0]
    rows = torch.cat([v[: model.out.numel()].view_as(model.out), v[model.out.numel() :, None]], 1)
    product = gauss_newton_product(lambda: model.outputs(LOG, stay), [model.out, model.bias])
    n, d = model.out.shape
    for item in (0, 7, 31):
        places = torch.cat([item * d + torch.arange(d), torch.tensor([n * d + item])])
        block = torch.stack([product(torch.eye(n * d + n, dtype=v.dtype)[place])[places] for place in places])
        expected = torch.linalg.solve(block + 1e-2 * torch.eye(d + 1, dtype=v.dtype), rows[item]) / len(
            LOG.active_users
        )
        torch.testing.assert_close(moved[item], expected)


def test_block_keeps_curvature_item_by_item_and_drops_that_of_users_who_leave(model):
    algorithm = make_algorithm("block", retain=20)
    algorithm.apply(model, resolve(DeletionRequest(user="u5"), LOG), rng())
    sample = algorithm.sample_
    assert algorithm.factors_
    stranger = next(u for u in LOG.active_users if u not in sample.users and u != 5)
    algorithm.apply(model, resolve(DeletionRequest(user=f"u{stranger}"), LOG), rng())
    assert algorithm.sample_ is sample
    leaver = int(sample.users[0])
    algorithm.apply(model, resolve(DeletionRequest(user=LOG.user_ids[leaver]), LOG), rng())
    assert leaver not in algorithm.sample_.users


def test_imcorrect_lowers_the_items_that_go_and_changes_no_other_row(model):
    removal = resolve(REQUESTS["items of a user"], LOG)
    before, scores = model.out.detach().clone(), model.scores(LOG, np.array([5]))
    make_algorithm("imcorrect").apply(model, removal, rng())
    items = np.unique(removal.forgotten.item)
    changed = (model.out.detach() - before).abs().sum(1).nonzero()[:, 0].numpy()
    assert set(changed) <= set(items)
    assert (model.scores(LOG, np.array([5]))[0, items] <= scores[0, items]).all()


def bag(n_items):
    return lambda: OWN["WithEverything"](n_items)


@pytest.mark.parametrize("partition", ["hash", "similar"])
def test_shards_after_a_removal_are_those_of_training_without_the_rows(partition):
    sharded = Sharded(bag(LOG.n_items), n_shards=4, partition=partition).fit(LOG, seed=3)
    removal = resolve([DeletionRequest(user="u5"), DeletionRequest(user="u8", items=["i0", "i1"])], LOG)
    touched = sharded.remove(removal)
    again = Sharded(bag(LOG.n_items), n_shards=4, partition=partition)
    if partition == "similar":
        again._similar = lambda log, seed: sharded.shard_
    again.fit(removal.after, seed=3)
    np.testing.assert_array_equal(sharded.scores(LOG, LOG.active_users), again.scores(LOG, LOG.active_users))
    assert touched in {len(weights(model)) * n for n in (1, 2) for model in sharded.models_}


@pytest.mark.parametrize("partition", ["hash", "similar"])
def test_shards_are_of_nearly_equal_size(partition):
    sharded = Sharded(lambda: OWN["WithEverything"](LOG.n_items), n_shards=7, partition=partition)
    shard = sharded.fit(LOG).shard_
    assert np.ptp(np.bincount(shard, minlength=7)) <= (1 if partition == "hash" else 15)


def test_other_shards_are_not_trained_again():
    sharded = Sharded(bag(LOG.n_items), n_shards=4).fit(LOG)
    before = list(sharded.models_)
    sharded.remove(resolve(DeletionRequest(user="u5"), LOG))
    assert sum(old is not new for old, new in zip(before, sharded.models_, strict=True)) == 1


def test_a_shard_that_lost_all_its_users_has_no_say():
    sharded = Sharded(bag(LOG.n_items), n_shards=2).fit(LOG)
    gone = np.flatnonzero(sharded.shard_ == 0)
    sharded.remove(resolve([DeletionRequest(user=f"u{u}") for u in gone], LOG))
    assert sharded.models_[0] is None
    alone = sharded.models_[1].scores(LOG, LOG.active_users)
    np.testing.assert_array_equal(np.argmax(sharded.scores(LOG, LOG.active_users), 1), np.argmax(alone, 1))


def test_every_algorithm_can_be_made_by_its_name_and_tells_its_settings():
    for name in ALGORITHMS:
        algorithm = make_algorithm(name)
        assert algorithm.name == name
        assert algorithm.settings() is not None


@pytest.mark.parametrize("name", ["fine-tune", "block", "imcorrect"])
def test_settings_that_mean_nothing_are_refused(name):
    with pytest.raises(ArgumentError, match="retain=0"):
        make_algorithm(name, retain=0)
    with pytest.raises(ArgumentError, match="speed"):
        make_algorithm(name, speed=3)
