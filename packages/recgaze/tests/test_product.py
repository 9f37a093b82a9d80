import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.special import expit, logit

from recgaze.models import Tally
from recgaze.models.product import (
    FixedFactor,
    FreeFactor,
    LevelSums,
    LinearFactor,
    Product,
    climb,
    expectation_maximisation,
)


def random_tally(rng, keys=6, rows=2, columns=3, shown=30):
    key, position = (part.ravel() for part in np.indices((keys, rows * columns)))
    n = rng.integers(1, shown, size=len(key))
    clicked = rng.binomial(n, 0.5 * rng.random(keys)[key] * rng.random(rows * columns)[position])
    table = {"genre": np.array([f"genre {number}" for number in range(keys)])}
    return Tally((rows, columns), table, key.astype(np.int32), position.astype(np.int32), n, n, clicked, clicked)


def factors_of(tally, rng, kind, l2):
    row, column = np.divmod(tally.position, tally.shape[1])
    attraction = {
        "free": lambda: FreeFactor(tally.key, tally.n_keys, l2),
        "linear": lambda: LinearFactor(tally.key, rng.normal(size=(tally.n_keys, 2)), l2),
        "fixed": lambda: FixedFactor(tally.key, rng.uniform(0.1, 0.9, tally.n_keys)),
    }[kind]()
    return [FreeFactor(row, tally.shape[0], l2), FreeFactor(column, tally.shape[1], l2), attraction]


@pytest.mark.parametrize("kind", ["free", "linear", "fixed"])
@pytest.mark.parametrize("l2", [0.0, 0.7])
def test_the_gradient_is_that_of_finite_differences(kind, l2):
    rng = np.random.default_rng(0)
    tally = random_tally(rng)
    problem = Product(tally, factors_of(tally, rng, kind, l2))
    parameters = rng.normal(size=sum(factor.n_parameters for factor in problem.factors))
    numeric = approx_fprime(parameters, lambda at: problem.loss(at)[0], 1e-6)
    assert problem.loss(parameters)[1] == pytest.approx(numeric, rel=1e-4, abs=1e-3)


def test_the_likelihood_is_that_of_independent_cells():
    rng = np.random.default_rng(1)
    tally = random_tally(rng)
    problem = Product(tally, factors_of(tally, rng, "free", 0.0))
    values = [rng.uniform(0.1, 0.9, factor.size) for factor in problem.factors]
    total = 0.0
    for key, at, n, c in zip(tally.key, tally.position, tally.shown, tally.clicked, strict=True):
        p = values[0][at // 3] * values[1][at % 3] * values[2][key]
        total += c * np.log(p) + (n - c) * np.log(1 - p)
    assert problem.log_likelihood(values) == pytest.approx(total)


def test_one_em_step_is_the_mean_of_the_enumerated_posterior():
    rng = np.random.default_rng(2)
    tally = random_tally(rng, keys=2, rows=1, columns=2)
    problem = Product(tally, [FreeFactor(tally.position, 2), FreeFactor(tally.key, 2)])
    start = [rng.uniform(0.2, 0.8, 2), rng.uniform(0.2, 0.8, 2)]
    sums, totals = [np.zeros(2), np.zeros(2)], [np.zeros(2), np.zeros(2)]
    for key, at, n, c in zip(tally.key, tally.position, tally.shown, tally.clicked, strict=True):
        theta, a = start[0][at], start[1][key]
        # All worlds of examination and attraction, with and without a click.
        weight = {
            (e, s): (theta if e else 1 - theta) * (a if s else 1 - a) for e, s in itertools.product((0, 1), (0, 1))
        }
        missed = {world: value for world, value in weight.items() if world != (1, 1)}
        norm = sum(missed.values())
        for which, level in ((0, at), (1, key)):
            sums[which][level] += c + (n - c) * sum(v for world, v in missed.items() if world[which]) / norm
            totals[which][level] += n
    stepped = expectation_maximisation(problem, start, max_iter=1)
    for found, s, t in zip(stepped.values, sums, totals, strict=True):
        assert found == pytest.approx(s / t)


@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), separable=st.booleans())
def test_the_likelihood_never_falls_in_em(seed, separable):
    rng = np.random.default_rng(seed)
    tally = random_tally(rng)
    factors = (
        factors_of(tally, rng, "free", 0.0)
        if separable
        else [
            FreeFactor(tally.position, 6),
            FreeFactor(tally.key, 6),
        ]
    )
    start = [rng.uniform(0.05, 0.95, factor.size) for factor in factors]
    history = expectation_maximisation(Product(tally, factors), start, max_iter=60, tolerance=-1).history
    assert len(history) == 61
    assert (np.diff(history) >= -1e-13).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_l_bfgs_is_at_least_as_good_as_400_steps_of_em(seed):
    rng = np.random.default_rng(seed)
    tally = random_tally(rng)
    problem = Product(tally, [FreeFactor(tally.position, 6), FreeFactor(tally.key, 6)])
    start = [rng.uniform(0.2, 0.8, 6), rng.uniform(0.05, 0.5, 6)]
    em = expectation_maximisation(problem, start)
    climbed = climb(problem, logit(np.concatenate(start)))
    assert climbed.history[-1] >= em.history[-1] - 1e-6


def test_held_factors_stay_as_they_are():
    rng = np.random.default_rng(3)
    tally = random_tally(rng)
    problem = Product(tally, factors_of(tally, rng, "fixed", 0.0))
    held = problem.factors[-1].values
    climbed = climb(problem, np.zeros(5))
    em = expectation_maximisation(problem, [np.full(2, 0.5), np.full(3, 0.5), held], max_iter=5000, tolerance=1e-15)
    assert climbed.values[-1] == pytest.approx(held)
    assert em.values[-1] == pytest.approx(held)
    # The split between rows and columns is free, their product is not.
    assert np.outer(*climbed.values[:2]) == pytest.approx(np.outer(*em.values[:2]), abs=2e-4)


def test_torch_climbs_to_the_same_place():
    pytest.importorskip("torch", reason="needs the extra torch")
    from recgaze.models.product_torch import torch_loss

    rng = np.random.default_rng(4)
    tally = random_tally(rng)
    for kind in ("free", "linear", "fixed"):
        problem = Product(tally, factors_of(tally, rng, kind, 0.5))
        start = np.zeros(sum(factor.n_parameters for factor in problem.factors))
        value, gradient = torch_loss(problem)(start)
        assert value == pytest.approx(problem.loss(start)[0], rel=1e-9)
        assert gradient == pytest.approx(problem.loss(start)[1], abs=1e-6)
        ours, torchs = climb(problem, start), climb(problem, start, loss=torch_loss(problem))
        assert torchs.history[-1] == pytest.approx(ours.history[-1], abs=1e-9)
        assert torchs.converged


def test_a_ridge_pulls_logits_to_their_mean_and_not_to_zero():
    tally = random_tally(np.random.default_rng(5))
    problem = Product(tally, [FreeFactor(tally.position, 6, 1e6), FreeFactor(tally.key, 6, 1e6)])
    values = climb(problem, logit(np.full(12, 0.3))).values
    for value in values:
        assert np.ptp(value) < 1e-3
    assert values[0][0] * values[1][0] == pytest.approx(tally.clicked.sum() / tally.shown.sum(), rel=1e-3)


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-5, 5)), max_size=40))
def test_level_sums_are_those_of_bincount(pairs):
    index = np.array([level for level, _ in pairs], dtype=np.int32)
    values = np.array([value for _, value in pairs], dtype=float)
    expected = np.bincount(index, weights=values, minlength=6) if len(pairs) else np.zeros(6)
    assert LevelSums(index, 6)(values) == pytest.approx(expected, abs=1e-12)


def test_extreme_values_stay_finite():
    tally = random_tally(np.random.default_rng(6))
    problem = Product(tally, [FreeFactor(tally.position, 6), FreeFactor(tally.key, 6)])
    for logits in (-25.0, 25.0):
        loss, gradient = problem.loss(np.full(12, logits))
        assert np.isfinite(loss)
        assert np.isfinite(gradient).all()
    assert expit(25.0) < 1
