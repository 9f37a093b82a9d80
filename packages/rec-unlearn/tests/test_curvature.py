import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from rec_unlearn.curvature import (
    conjugate_gradients,
    flatten,
    gauss_newton_product,
    hessian_product,
    lanczos_extremes,
    mean_diagonal,
    mean_gradient,
    per_user_gradients,
    twice_differentiable,
    unflatten,
)
from rec_unlearn.models.sequence import NextBasketAttention, NextBasketGRU, SASRec
from rec_unlearn.models.torch_base import TrainConfig
from rec_unlearn.protocols import Outputs
from rec_unlearn.simulate import simulate_baskets

OWN = runpy.run_path(str(Path(__file__).with_name("own_models.py")))
LOG = simulate_baskets(np.random.default_rng(0), n_users=12, n_items=9, n_categories=3).log
USERS = LOG.active_users


@pytest.fixture
def own():
    return OWN["WithEverything"](LOG.n_items, 3)


def dense(product, n, dtype=torch.float64):
    return torch.stack([product(row) for row in torch.eye(n, dtype=dtype)], 1)


def at(parameters, vector):
    """Values of parameters set to a vector."""
    with torch.no_grad():
        for parameter, part in zip(parameters, unflatten(vector, parameters), strict=True):
            parameter.copy_(part)


def differences(function, parameters, h=1e-5):
    """Derivative of a function of the parameters by central differences, [..., p]."""
    start = flatten([p.detach().clone() for p in parameters])
    columns = []
    for direction in torch.eye(len(start), dtype=start.dtype):
        values = []
        for sign in (1, -1):
            at(parameters, start + sign * h * direction)
            values.append(function().detach())
        columns.append((values[0] - values[1]) / (2 * h))
    at(parameters, start)
    return torch.stack(columns, -1)


def test_gradients_are_those_of_finite_differences(own):
    def losses():
        return own.losses(LOG, USERS)

    parameters = own.parameters()
    expected = differences(losses, parameters)
    each = per_user_gradients(losses, parameters)
    torch.testing.assert_close(each, expected, rtol=0, atol=1e-8)
    torch.testing.assert_close(mean_gradient(losses, parameters), expected.mean(0), rtol=0, atol=1e-8)


def test_hessian_products_are_differences_of_gradients(own):
    def losses():
        return own.losses(LOG, USERS)

    parameters = own.parameters()
    matrix = dense(hessian_product(losses, parameters), sum(p.numel() for p in parameters))
    torch.testing.assert_close(
        matrix, differences(lambda: mean_gradient(losses, parameters), parameters), rtol=0, atol=1e-7
    )
    torch.testing.assert_close(matrix, matrix.T)


def test_gauss_newton_products_are_those_of_the_dense_matrix(own):
    parameters = own.parameters()
    values, losses = own.outputs(LOG, USERS)
    jacobian = differences(lambda: own.outputs(LOG, USERS).values.reshape(-1), parameters)
    curvature = torch.autograd.functional.hessian(
        lambda z: losses(z.view_as(values)).mean(), values.detach().reshape(-1)
    )
    product = gauss_newton_product(lambda: own.outputs(LOG, USERS), parameters)
    matrix = dense(product, jacobian.shape[1])
    torch.testing.assert_close(matrix, jacobian.T @ curvature @ jacobian, rtol=0, atol=1e-8)
    assert torch.linalg.eigvalsh(matrix)[0] > -1e-12


@torch.no_grad()
def test_products_do_not_care_whether_gradients_are_on(own):
    parameters = own.parameters()
    for product in (
        hessian_product(lambda: own.losses(LOG, USERS), parameters),
        gauss_newton_product(lambda: own.outputs(LOG, USERS), parameters),
    ):
        assert product(torch.ones(sum(p.numel() for p in parameters)).double()).norm() > 0


def test_gauss_newton_is_the_hessian_where_outputs_are_linear(own):
    parameters = [own.out, own.bias]
    first = hessian_product(lambda: own.losses(LOG, USERS), parameters)
    second = gauss_newton_product(lambda: own.outputs(LOG, USERS), parameters)
    v = torch.randn(sum(p.numel() for p in parameters), generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(first(v), second(v))


@pytest.mark.parametrize("kind", [NextBasketGRU, NextBasketAttention, SASRec])
def test_products_of_sequence_models_agree_with_differences(kind):
    model = kind(4, train=TrainConfig(epochs=1, device="cpu")).fit(LOG, seed=1)
    parameters = list(model.parameters())
    v = torch.randn(sum(p.numel() for p in parameters), generator=torch.Generator().manual_seed(1))
    product = hessian_product(lambda: model.losses(LOG, USERS), parameters)(v)
    start, h = flatten([p.detach().clone() for p in parameters]), 3e-3
    gradients = []
    for sign in (1, -1):
        at(parameters, start + sign * h * v / v.norm())
        gradients.append(mean_gradient(lambda: model.losses(LOG, USERS), parameters))
    at(parameters, start)
    expected = (gradients[0] - gradients[1]) / (2 * h) * v.norm()
    assert (product - expected).norm() < 0.02 * expected.norm()
    gauss = gauss_newton_product(lambda: model.outputs(LOG, USERS), parameters)
    assert float(v @ gauss(v)) > 0


def test_what_the_loss_does_not_depend_on_has_no_curvature(own):
    idle = torch.nn.Parameter(torch.ones(2, dtype=torch.float64))
    parameters = [idle, *own.parameters()]
    v = torch.ones(sum(p.numel() for p in parameters), dtype=torch.float64)
    for product in (
        hessian_product(lambda: own.losses(LOG, USERS), parameters),
        gauss_newton_product(lambda: own.outputs(LOG, USERS), parameters),
    ):
        assert product(v)[:2].tolist() == [0, 0]
        assert product(v)[2:].abs().sum() > 0


def test_a_batch_without_outputs_has_no_curvature():
    parameter = torch.nn.Parameter(torch.ones(3))
    product = gauss_newton_product(lambda: Outputs(torch.zeros(0, 5), lambda z: torch.zeros(2)), [parameter])
    assert product(torch.ones(3)).tolist() == [0, 0, 0]


def test_double_backward_passes_through_recurrent_networks_and_fused_attention():
    q = torch.randn(1, 1, 4, 8, requires_grad=True)
    with twice_differentiable():
        out = torch.nn.functional.scaled_dot_product_attention(q, q, q).sum()
        (first,) = torch.autograd.grad(out, q, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), q)
    assert torch.isfinite(second).all()


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 15), st.sampled_from([0.01, 0.3, 1.0]))
def test_conjugate_gradients_solve_what_a_dense_solver_solves(seed, n, damping):
    generator = torch.Generator().manual_seed(seed)
    half = torch.randn(n, n, generator=generator).double()
    matrix, b = half @ half.T, torch.randn(n, generator=generator).double()
    solution = conjugate_gradients(lambda v: matrix @ v, b, damping, 20 * n, tolerance=1e-10)
    expected = torch.linalg.solve(matrix + damping * torch.eye(n, dtype=torch.float64), b)
    assert solution.stopped == "converged"
    assert (solution.x - expected).norm() < 1e-6 * expected.norm()
    assert solution.residual <= 1e-10


def test_the_step_of_a_model_is_that_of_a_dense_solver(own):
    parameters = own.parameters()
    product = gauss_newton_product(lambda: own.outputs(LOG, USERS), parameters)
    b = mean_gradient(lambda: own.losses(LOG, USERS[:1]), parameters)
    solution = conjugate_gradients(product, b, 1e-2, 300, tolerance=1e-10)
    matrix = dense(product, len(b)) + 1e-2 * torch.eye(len(b), dtype=torch.float64)
    expected = torch.linalg.solve(matrix, b)
    assert (solution.x - expected).norm() < 1e-6 * expected.norm()


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_an_indefinite_matrix_stops_them_before_they_divide_by_nothing(seed):
    generator = torch.Generator().manual_seed(seed)
    basis = torch.linalg.qr(torch.randn(20, 20, generator=generator).double())[0]
    values = torch.linspace(-0.01, 1, 20, dtype=torch.float64)
    b = torch.randn(20, generator=generator).double()
    solution = conjugate_gradients(lambda v: basis @ (values * (basis.T @ v)), b, 0.01, 200)
    assert torch.isfinite(solution.x).all()
    # Every step divided by at least half of the damping, so no step was longer than 2 / damping gradients.
    assert solution.x.norm() <= solution.steps * b.norm() * 200


def test_without_a_guard_a_nearly_singular_matrix_makes_a_huge_step():
    values = torch.tensor([-0.01 + 1e-9, 0.5, 1.0], dtype=torch.float64)
    b = torch.ones(3, dtype=torch.float64)
    guarded = conjugate_gradients(lambda v: values * v, b, 0.01, 20)
    unguarded = conjugate_gradients(lambda v: values * v, b, 0.01, 20, guard=None)
    assert guarded.stopped == "curvature"
    assert guarded.x.norm() < 100
    assert unguarded.x.norm() > 1e6


def test_negative_curvature_at_once_moves_nothing():
    solution = conjugate_gradients(lambda v: -v, torch.ones(3), 0.1, 10)
    assert (solution.stopped, solution.steps, solution.x.tolist()) == ("curvature", 1, [0, 0, 0])


def test_a_product_that_is_not_a_number_stops_them():
    solution = conjugate_gradients(lambda v: v * float("nan"), torch.ones(3), 0.1, 10)
    assert solution.stopped == "not finite"
    assert torch.isfinite(solution.x).all()


def test_nothing_to_solve_takes_no_step():
    solution = conjugate_gradients(lambda v: v, torch.zeros(3), 0.1, 10)
    assert (solution.stopped, solution.steps) == ("nothing to solve", 0)


@pytest.mark.parametrize(("damping", "steps"), [(-1.0, 5), (float("nan"), 5), (0.1, 0)])
def test_settings_that_mean_nothing_are_refused(damping, steps):
    with pytest.raises(ArgumentError, match="damping"):
        conjugate_gradients(lambda v: v, torch.ones(3), damping, steps)


@settings(max_examples=20)
@given(st.integers(0, 1000), st.integers(1, 12))
def test_lanczos_finds_the_outermost_eigenvalues(seed, n):
    generator = torch.Generator().manual_seed(seed)
    half = torch.randn(n, n, generator=generator).double()
    matrix = half + half.T
    found = lanczos_extremes(lambda v: matrix @ v.double(), n, 2 * n, generator=generator)
    values = torch.linalg.eigvalsh(matrix)
    assert found.lowest == pytest.approx(float(values[0]), abs=1e-5)
    assert found.highest == pytest.approx(float(values[-1]), abs=1e-5)


def test_few_steps_of_lanczos_stay_inside_the_range():
    matrix = torch.diag(torch.linspace(-1, 5, 50, dtype=torch.float64))
    found = lanczos_extremes(lambda v: matrix @ v.double(), 50, 6, generator=torch.Generator().manual_seed(0))
    assert -1 <= found.lowest < 0
    assert 4 < found.highest <= 5
    assert found.steps == 6


def test_random_signs_estimate_the_mean_of_the_diagonal():
    half = torch.randn(30, 30, generator=torch.Generator().manual_seed(0)).double()
    matrix = half @ half.T
    like = torch.zeros(30, dtype=torch.float64)
    found = mean_diagonal(lambda v: matrix @ v, like, 400, generator=torch.Generator().manual_seed(1))
    assert found == pytest.approx(float(matrix.diag().mean()), rel=0.05)
