import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, resolve
from rec_unlearn.algorithms import NotApplicableError, make_algorithm
from rec_unlearn.algorithms.scif import Scif
from rec_unlearn.curvature import flatten
from rec_unlearn.simulate import simulate_baskets

OWN = runpy.run_path(str(Path(__file__).with_name("own_models.py")))
LOG = simulate_baskets(np.random.default_rng(1), n_users=150).log
EVERYBODY = {"retain": 10_000, "steps": 60, "damping": 1e-9}


def rng():
    return np.random.default_rng(0)


def weights(model):
    return flatten([parameter.detach().clone() for parameter in model.parameters()])


@pytest.fixture(scope="module")
def converged():
    return weights(OWN["Logistic"](LOG.n_items).fit(LOG))


def logistic(start):
    model = OWN["Logistic"](LOG.n_items)
    model.weight.data = start.clone()
    return model


@settings(max_examples=5)
@given(st.integers(0, 149))
def test_on_a_convex_model_the_step_ends_where_training_again_ends(converged, user):
    removal = resolve(DeletionRequest(user=f"u{user}"), LOG)
    model = logistic(converged)
    Scif(**EVERYBODY).apply(model, removal, rng())
    again = weights(logistic(converged).fit(removal.after)) - converged
    assert (weights(model) - converged - again).norm() < 0.05 * again.norm()


@pytest.mark.parametrize("items", [["i0"], ["i0", "i1", "i2", "i3", "i7"]])
def test_so_does_the_step_that_removes_items_of_everybody(converged, items):
    removal = resolve(DeletionRequest(items=items), LOG)
    model = logistic(converged)
    Scif(**EVERYBODY).apply(model, removal, rng())
    again = weights(logistic(converged).fit(removal.after)) - converged
    moved = weights(model) - converged
    assert moved @ again > 0.8 * moved.norm() * again.norm()


def test_the_step_of_several_requests_is_about_the_sum_of_their_steps(converged):
    requests = [DeletionRequest(user=f"u{i}") for i in range(5)]
    together, apart = logistic(converged), []
    Scif(**EVERYBODY).apply(together, resolve(requests, LOG), rng())
    for request in requests:
        model = logistic(converged)
        Scif(**EVERYBODY).apply(model, resolve(request, LOG), rng())
        apart.append(weights(model) - converged)
    moved = weights(together) - converged
    assert (moved - sum(apart)).norm() < 0.1 * moved.norm()


@pytest.fixture(scope="module")
def deployed():
    return OWN["WithEverything"](LOG.n_items).fit(LOG)


def again(model):
    copy = type(model)(LOG.n_items)
    for mine, theirs in zip(copy.parameters(), model.parameters(), strict=True):
        mine.data = theirs.detach().clone()
    return copy


def test_the_loss_of_the_user_rises_and_that_of_others_hardly_moves(deployed):
    model, removal = again(deployed), resolve(DeletionRequest(user="u3"), LOG)
    step = Scif().apply(model, removal, rng())
    with torch.no_grad():
        rise = (model.losses(LOG, LOG.active_users) - deployed.losses(LOG, LOG.active_users)).numpy()
    assert rise[3] > 0
    assert np.abs(np.delete(rise, 3)).mean() < rise[3] / 4
    assert step.norm > 0
    assert step.facts["cg_steps"] >= 1


def test_the_scope_says_which_parameters_move(deployed):
    removal = resolve(DeletionRequest(user="u3"), LOG)
    module = OWN["Module"](LOG.n_items)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    step = Scif(scope=["out.*"]).apply(module, removal, rng())
    moved = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert moved == {"out.weight", "out.bias"}
    assert step.touched == sum(before[name].numel() for name in moved)
    with pytest.raises(ArgumentError, match="fits no parameter"):
        Scif(scope="nothing*").apply(module, removal, rng())
    with pytest.raises(NotApplicableError, match="named_parameters"):
        Scif(scope="out*").apply(again(deployed), removal, rng())


def test_a_frozen_parameter_stays_and_none_asks_for_a_gradient_afterwards_that_did_not_before():
    module = OWN["Module"](LOG.n_items)
    asked = [parameter.requires_grad for parameter in module.parameters()]
    module.net[1].eval()
    modes = [each.training for each in module.modules()]
    Scif(scope="all").apply(module, resolve(DeletionRequest(user="u3"), LOG), rng())
    assert [parameter.requires_grad for parameter in module.parameters()] == asked
    assert [each.training for each in module.modules()] == modes
    assert all(parameter.grad is None for parameter in module.parameters())
    assert module.frozen.tolist() == [1, 1, 1, 1]


def test_relative_damping_grows_with_the_curvature(deployed):
    louder = again(deployed)
    louder.items.data *= 3
    quiet, loud = Scif(scope="all"), Scif(scope="all")
    still = again(deployed)
    still.items.data *= 0.1
    quiet.prepare(still, LOG, rng())
    loud.prepare(louder, LOG, rng())
    assert loud.damping_ > quiet.damping_ > 0
    fixed = Scif(damping=0.5)
    fixed.prepare(louder, LOG, rng())
    assert fixed.damping_ == 0.5


def test_more_damping_makes_a_shorter_step(deployed):
    removal = resolve(DeletionRequest(user="u3"), LOG)
    norms = [Scif(damping=d).apply(again(deployed), removal, rng()).norm for d in (1e-3, 1e-2, 1e-1, 1.0)]
    assert norms == sorted(norms, reverse=True)


def test_the_same_seed_makes_the_same_step(deployed):
    removal = resolve(DeletionRequest(user="u3"), LOG)
    first, second = again(deployed), again(deployed)
    for model in (first, second):
        Scif().apply(model, removal, rng())
    assert torch.equal(weights(first), weights(second))


def test_the_published_variant_hardly_moves_the_forgotten_user(deployed):
    removal = resolve(DeletionRequest(user="u3"), LOG)
    rises = {}
    for variant in ("ours", "published"):
        model = again(deployed)
        Scif(damping=0.1, variant=variant).apply(model, removal, rng())
        with torch.no_grad():
            rises[variant] = float((model.losses(LOG, removal.users) - deployed.losses(LOG, removal.users)).sum())
    assert abs(rises["published"]) < rises["ours"] / 5


def test_the_published_step_is_two_orders_shorter_as_it_is_averaged_and_then_divided_by_n_once_more(converged):
    removal = resolve(DeletionRequest(user="u3"), LOG)
    # So much damping that the curvature, of other users at each published product, hardly matters.
    settings = {"damping": 100.0, "retain": 10_000, "steps": 8}
    ours, published = logistic(converged), logistic(converged)
    Scif(**settings).apply(ours, removal, rng())
    step = Scif(variant="published", **settings).apply(published, removal, rng())
    one, other = weights(ours) - converged, weights(published) - converged
    # At the optimum the gradient of those who stay is minus that of the user, and the average is over all of them.
    torch.testing.assert_close(other, one * 2 / len(LOG.active_users), rtol=0.05, atol=1e-10)
    assert step.norm < one.norm() / 50


def test_the_operator_of_the_published_variant_changes_under_its_solver(deployed):
    removal, algorithm = resolve(DeletionRequest(user="u3"), LOG), Scif(variant="published", damping=0.1, retain=128)
    parameters, users = deployed.parameters(), removal.after.active_users
    v, product = algorithm._system(deployed, removal, users, parameters, rng())
    assert not torch.equal(product(v), product(v))
    _, ours = Scif(damping=0.1)._system(deployed, removal, users, parameters, rng())
    assert torch.equal(ours(v), ours(v))
    assert algorithm.guard is None


def test_without_anybody_left_there_is_still_a_step(deployed):
    removal = resolve([DeletionRequest(user=user) for user in LOG.user_ids], LOG)
    model = again(deployed)
    assert Scif(damping=1.0).apply(model, removal, rng()).norm > 0
    assert torch.isfinite(weights(model)).all()


def test_gauss_newton_needs_outputs_and_without_them_the_guarded_hessian_serves():
    model, removal = OWN["LossesOnly"](LOG.n_items).fit(LOG), resolve(DeletionRequest(user="u3"), LOG)
    with pytest.raises(NotApplicableError, match="outputs"):
        Scif(curvature="gauss-newton").apply(model, removal, rng())
    assert np.isfinite(Scif().apply(model, removal, rng()).norm)


def test_a_step_far_above_those_before_is_refused(deployed):
    algorithm = Scif(damping=0.1)
    model = again(deployed)
    for user in range(6):
        algorithm.apply(model, resolve(DeletionRequest(user=f"u{user}"), LOG), rng())
    algorithm.damping_ = 1e-7
    algorithm.steps = 200
    with pytest.raises(FloatingPointError, match="times the median"):
        algorithm.apply(model, resolve(DeletionRequest(user="u9"), LOG), rng())


@pytest.mark.parametrize(
    "wrong", [{"curvature": "fisher"}, {"variant": "theirs"}, {"damping": 0.0}, {"relative": -1}, {"steps": 0}]
)
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        make_algorithm("scif", **wrong)
