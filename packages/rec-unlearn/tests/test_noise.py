import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from irworks.errors import ArgumentError
from rec_unlearn import DeletionRequest, resolve
from rec_unlearn.algorithms import make_algorithm
from rec_unlearn.algorithms.general import Seif
from rec_unlearn.algorithms.noise import Ceu, Idea
from rec_unlearn.algorithms.scif import Scif
from rec_unlearn.curvature import flatten, hessian_product
from rec_unlearn.simulate import simulate_baskets
from rec_unlearn.unlearn import unlearn

OWN = runpy.run_path(str(Path(__file__).with_name("own_models.py")))
LOG = simulate_baskets(np.random.default_rng(1), n_users=60).log
N = len(LOG.active_users)
REMOVAL = resolve(DeletionRequest(user="u5"), LOG)
EVERYBODY = {"retain": 10_000, "steps": 60}


def rng(seed=0):
    return np.random.default_rng(seed)


def weights(model):
    return flatten([parameter.detach().clone() for parameter in model.parameters()])


@pytest.fixture(scope="module")
def converged():
    return weights(OWN["Logistic"](LOG.n_items).fit(LOG))


def logistic(start):
    model = OWN["Logistic"](LOG.n_items)
    model.weight.data = start.clone()
    return model


@pytest.fixture(scope="module")
def deployed():
    return OWN["WithEverything"](LOG.n_items).fit(LOG, steps=60)


def again(model):
    copy = type(model)(LOG.n_items)
    for mine, theirs in zip(copy.parameters(), model.parameters(), strict=True):
        mine.data = theirs.detach().clone()
    return copy


def moved(model, algorithm, seed=0):
    copy = again(model)
    step = algorithm.apply(copy, REMOVAL, rng(seed))
    return weights(copy) - weights(model), step


def mean_loss(model):
    with torch.no_grad():
        return float(model.losses(REMOVAL.after, REMOVAL.after.active_users).mean())


@pytest.mark.parametrize(
    "make", [lambda: Ceu(damping=0.01, sigma=0.0, **EVERYBODY), lambda: Idea(damping=0.01, noise=0.0, **EVERYBODY)]
)
def test_without_noise_the_step_is_that_of_a_dense_solver(make, converged):
    model = logistic(converged)
    stay = REMOVAL.after.active_users
    product = hessian_product(lambda: model.losses(REMOVAL.after, stay), model.parameters())
    eye = torch.eye(len(converged), dtype=torch.float64)
    hessian = torch.stack([product(row) for row in eye])
    v = torch.autograd.grad(model.losses(LOG, REMOVAL.users).sum(), model.weight)[0]
    expected = torch.linalg.solve(hessian + 0.01 * eye, v) / N
    make().apply(model, REMOVAL, rng())
    torch.testing.assert_close(weights(model) - converged, expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("make", [lambda: Ceu(sigma=0.0), lambda: Idea(noise=0.0)])
def test_without_noise_the_step_is_that_of_scif(make, deployed):
    assert torch.equal(moved(deployed, make())[0], moved(deployed, Scif())[0])


def test_the_noise_of_ceu_has_the_deviation_that_it_says(deployed):
    noise = moved(deployed, Ceu(sigma=2.0, scope="all"))[0] - moved(deployed, Ceu(sigma=0.0, scope="all"))[0]
    assert float(noise.std()) == pytest.approx(2.0 / N, rel=0.1)
    assert abs(float(noise.mean())) < 4 * 2.0 / N / len(noise) ** 0.5
    step = moved(deployed, Ceu(sigma=2.0, scope="all"))[1]
    assert step.facts["sigma"] == 2.0 / N


def test_the_noise_of_idea_is_as_long_as_is_asked(deployed):
    plain, noisy = moved(deployed, Idea(noise=0.0))[0], moved(deployed, Idea(noise=0.5))[0]
    assert float((noisy - plain).norm()) == pytest.approx(0.5 * float(plain.norm()), rel=0.1)
    assert float((moved(deployed, Idea(sigma=0.3))[0] - plain).std()) == pytest.approx(0.3, rel=0.1)


def test_the_noise_of_idea_is_what_the_gaussian_mechanism_asks_for(deployed):
    plain = moved(deployed, Idea(noise=0.0))[0]
    noisy, step = moved(deployed, Idea(epsilon=0.5, delta=0.01))
    asked = step.facts["bound"] * (2 * np.log(125)) ** 0.5 / 0.5
    assert float((noisy - plain).std()) == pytest.approx(asked, rel=0.1)
    assert step.facts["epsilon"] == pytest.approx(0.5)


def test_less_noise_promises_less(deployed):
    promised = [moved(deployed, Idea(noise=noise))[1].facts["epsilon"] for noise in (1.0, 0.1, 0.01, 0.0)]
    assert promised == sorted(promised)
    assert promised[-1] == np.inf
    # What is short enough not to be seen is no privacy.
    assert promised[1] > 100


@pytest.mark.parametrize("user", [0, 5, 17, 40])
def test_where_the_loss_is_convex_training_again_ends_within_the_bound_of_idea(user, converged):
    removal = resolve(DeletionRequest(user=f"u{user}"), LOG)
    model = logistic(converged)
    # The ridge of the model is the curvature that it has at least.
    step = Idea(damping=model.ridge, noise=0.0, **EVERYBODY).apply(model, removal, rng())
    retrained = weights(logistic(converged).fit(removal.after))
    assert float((weights(model) - retrained).norm()) <= step.facts["bound"]
    assert float((converged - retrained).norm()) <= step.facts["longest"]
    assert step.norm <= step.facts["longest"]


def test_a_step_of_idea_beyond_the_bound_is_cut_to_it(deployed):
    # One product with an operator that shrinks everything makes conjugate gradients step too far.
    algorithm = Idea(damping=1e-3, noise=0.0, steps=1)
    algorithm._product = lambda *_: lambda v: -0.9e-3 * v
    algorithm.guard = None
    step = moved(deployed, algorithm)[1]
    assert step.norm == pytest.approx(step.facts["longest"])


def test_without_a_repair_seif_adds_noise_in_proportion_to_each_weight(deployed):
    change, step = moved(deployed, Seif(epochs=0, std=0.6))
    relative = (change / weights(deployed).abs())[weights(deployed) != 0]
    assert float(relative.std()) == pytest.approx(0.6, rel=0.1)
    assert step.facts["optimiser_steps"] == 0
    assert not moved(deployed, Seif(epochs=0, std=0.0))[0].any()


def test_seif_adds_noise_to_rows_of_items_alone():
    module = OWN["Module"](LOG.n_items)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    Seif(epochs=0).apply(module, REMOVAL, rng())
    changed = {name for name, value in module.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"out.weight", "out.bias"}


def test_the_repair_of_seif_brings_back_most_of_what_the_noise_took(deployed):
    noisy, repaired = again(deployed), again(deployed)
    Seif(std=0.6, epochs=0).apply(noisy, REMOVAL, rng())
    Seif(std=0.6, epochs=12, lr=0.3).apply(repaired, REMOVAL, rng())
    before, worst, after = mean_loss(deployed), mean_loss(noisy), mean_loss(repaired)
    assert worst > before
    assert after - before < 0.5 * (worst - before)
    gentle = again(deployed)
    Seif().apply(gentle, REMOVAL, rng())
    assert mean_loss(gentle) < before + 0.05


def test_users_whose_items_go_count_little_in_the_repair_of_seif():
    removal = resolve(DeletionRequest(items=["i0", "i3"]), LOG)
    user = next(u for u in LOG.active_users if not {0, 3} & set(LOG.items_of(u)))
    account = resolve(DeletionRequest(user="u5"), LOG)
    users = account.after.active_users
    counts = Seif(forget_weight=0.05)._weights(account, users)
    shared = [np.isin(account.after.item[account.after.rows_of([u])], LOG.items_of(5)).mean() for u in users]
    np.testing.assert_allclose(counts, 1 - 0.95 * np.array(shared))
    assert Seif()._weights(removal, np.array([user])) == 1


@pytest.mark.parametrize(
    ("make", "quiet"),
    [
        (lambda: Ceu(sigma=0.1), lambda: Ceu(sigma=0.0)),
        (lambda: Idea(sigma=0.1), lambda: Idea(noise=0.0)),
        (lambda: Seif(epochs=0), lambda: Seif(epochs=0, std=0.0)),
    ],
)
def test_the_noise_of_one_seed_is_another_for_each_request(make, quiet, deployed):
    def noise(removal):
        noisy, silent = again(deployed), again(deployed)
        make().apply(noisy, removal, rng())
        quiet().apply(silent, removal, rng())
        return weights(noisy) - weights(silent)

    first, same, after = noise(REMOVAL), noise(REMOVAL), noise(resolve(DeletionRequest(user="u6"), REMOVAL.after))
    assert torch.equal(first, same)
    changed = first.abs() > 0
    assert abs(float(torch.corrcoef(torch.stack([first[changed], after[changed]]))[0, 1])) < 0.2


@pytest.mark.parametrize("name", ["ceu", "idea", "seif"])
def test_another_seed_makes_another_noise(name, deployed):
    settings = {"seif": {"epochs": 0}, "idea": {"sigma": 0.1}}.get(name, {})
    steps = [moved(deployed, make_algorithm(name, **settings), seed)[0] for seed in (1, 1, 2)]
    assert torch.equal(steps[0], steps[1])
    assert not torch.equal(steps[0], steps[2])


@pytest.mark.parametrize("name", ["ceu", "idea", "seif"])
def test_what_becomes_infinite_is_undone(name, deployed):
    model = again(deployed)
    huge = {"seif": {"lr": 1e300}}.get(name, {"sigma": 1e308})
    report = unlearn(model, DeletionRequest(user="u5"), log=LOG, algorithm=make_algorithm(name, **huge))
    assert not report.applied
    assert torch.equal(weights(model), weights(deployed))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("ceu", {"sigma": -1.0}),
        ("ceu", {"delta": 1.0}),
        ("ceu", {"damping": 0.0}),
        ("idea", {"noise": -0.1}),
        ("idea", {"sigma": float("nan")}),
        ("idea", {"epsilon": 0.0}),
        ("idea", {"delta": 0.0}),
        ("seif", {"std": -0.1}),
        ("seif", {"epochs": -1}),
        ("seif", {"forget_weight": 0.0}),
        ("seif", {"lr": 0.0}),
    ],
)
def test_settings_that_mean_nothing_are_refused(name, wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        make_algorithm(name, **wrong)
