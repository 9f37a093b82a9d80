"""Products with second derivatives, and what is solved with them.

All products are of the *mean* of users' losses over one fixed batch, and work on flat vectors [p]: the parameters one
after the other. The graph is built once and used for every product, so an operator cannot change under its solver.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal

from irworks.errors import ArgumentError
from rec_unlearn.protocols import Outputs

__all__ = [
    "Extremes",
    "Product",
    "Solution",
    "conjugate_gradients",
    "flatten",
    "gauss_newton_product",
    "hessian_product",
    "lanczos_extremes",
    "mean_diagonal",
    "mean_gradient",
    "per_user_gradients",
    "twice_differentiable",
    "unflatten",
]

Tensor = torch.Tensor
Product = Callable[[Tensor], Tensor]


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """One vector [p] of all numbers."""
    return torch.cat([tensor.reshape(-1) for tensor in tensors]) if tensors else torch.zeros(0)


def unflatten(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Views of a vector [p] in the shapes of `like`."""
    parts = torch.split(vector, [tensor.numel() for tensor in like])
    return [part.view_as(tensor) for part, tensor in zip(parts, like, strict=True)]


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Keep to kernels that have a second derivative: neither cuDNN's recurrent ones nor fused attention has one."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    with torch.backends.cudnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
        yield


def _gradient(
    value: Tensor, parameters: Sequence[Tensor], v: Tensor | None = None, *, keep: bool = False, create: bool = False
) -> Tensor:
    """Gradient [p] of a number, or of the product of a vector with v; 0 for what it does not depend on."""
    if not value.requires_grad:
        return torch.zeros(sum(parameter.numel() for parameter in parameters), device=value.device, dtype=value.dtype)
    return flatten(
        torch.autograd.grad(
            value,
            parameters,
            v,
            retain_graph=keep or create,
            create_graph=create,
            allow_unused=True,
            materialize_grads=True,
        )
    )


def mean_gradient(losses_fn: Callable[[], Tensor], parameters: Sequence[Tensor]) -> Tensor:
    """Gradient [p] of the mean of losses [n]."""
    with torch.enable_grad():
        return _gradient(losses_fn().mean(), parameters)


def per_user_gradients(losses_fn: Callable[[], Tensor], parameters: Sequence[Tensor]) -> Tensor:
    """Gradient of each user's loss [n, p]: n backward passes, for small models."""
    with torch.enable_grad():
        losses = losses_fn()
        return torch.stack([_gradient(loss, parameters, keep=True) for loss in losses])


def hessian_product(losses_fn: Callable[[], Tensor], parameters: Sequence[Tensor]) -> Product:
    """Products with the Hessian of the mean loss, by double backward (Pearlmutter 1994).

    Args:
        losses_fn: The losses [n] of one batch; called once.
        parameters: What to differentiate by; in the order of the vectors.

    Returns:
        From v [p] to H v [p]. H may be indefinite.
    """
    with torch.enable_grad(), twice_differentiable():
        gradient = _gradient(losses_fn().mean(), parameters, create=True)

    def product(v: Tensor) -> Tensor:
        with twice_differentiable():
            return _gradient(gradient, parameters, v, keep=True).detach()

    return product


def gauss_newton_product(outputs_fn: Callable[[], Outputs], parameters: Sequence[Tensor]) -> Product:
    """Products with the generalised Gauss-Newton matrix J' H_z J of the mean loss (Schraudolph 2002).

    J is the derivative of the outputs z by the parameters, H_z the Hessian of the mean loss in z; as the loss is convex
    in z, the matrix is positive semi-definite, and equals the Hessian where z is linear in the parameters.

    Args:
        outputs_fn: Outputs of one batch; called once.
        parameters: What to differentiate by; in the order of the vectors.

    Returns:
        From v [p] to J' H_z J v [p].
    """
    with torch.enable_grad(), twice_differentiable():
        values, losses = outputs_fn()
        if not values.numel() or not values.requires_grad:
            return torch.zeros_like
        at = values.detach().requires_grad_()
        slope = torch.autograd.grad(losses(at).mean(), at, create_graph=True)[0]
        # J'u is linear in u, so its derivative in u gives J v: forward mode by two backward passes.
        u = torch.zeros_like(values, requires_grad=True)
        transposed: Sequence[Tensor | None] = torch.autograd.grad(
            values, parameters, u, create_graph=True, allow_unused=True
        )
        used = [(grad, i) for i, grad in enumerate(transposed) if grad is not None and grad.requires_grad]

    def product(v: Tensor) -> Tensor:
        parts = unflatten(v, parameters)
        with twice_differentiable():
            jv = torch.autograd.grad([grad for grad, _ in used], u, [parts[i] for _, i in used], retain_graph=True)[0]
            if slope.requires_grad:
                hjv = torch.autograd.grad(slope, at, jv, retain_graph=True)[0]
            else:
                hjv = torch.zeros_like(jv)
            out = torch.autograd.grad(
                values, parameters, hjv, retain_graph=True, allow_unused=True, materialize_grads=True
            )
        return flatten(out).detach()

    return product


@dataclass(frozen=True)
class Solution:
    """What conjugate gradients found.

    Attributes:
        x: [p].
        steps: Products used.
        residual: |b - (A + damping I) x| / |b|.
        stopped: "converged", "steps" (their number was reached), "curvature" (a direction in which A is not positive
            enough), "not finite" (a product was infinite or NaN; x is from before it), or "nothing to solve".
    """

    x: Tensor
    steps: int
    residual: float
    stopped: str


@torch.no_grad()
def conjugate_gradients(
    product: Product, b: Tensor, damping: float, steps: int, *, tolerance: float = 1e-6, guard: float | None = 0.5
) -> Solution:
    """Solve (A + damping I) x = b, stopped before a direction p in which p'(A + damping I)p < guard damping p'p.

    For a semi-definite A that never happens. In a direction of negative curvature an unguarded step divides by almost
    nothing: with the exact Hessian of a trained network this destroys the model.

    Args:
        product: From v to A v; always the same A.
        b: [p].
        damping: Positive, or 0 for an A known to be positive definite.
        steps: Most products; few of them act as a regulariser as well.
        tolerance: Stop at this residual.
        guard: As above, in [0, 1]; None: only a curvature of exactly 0 stops, as in careless code.

    Raises:
        ArgumentError: `damping` is negative, or `steps` below 1.
    """
    if not damping >= 0 or steps < 1:
        raise ArgumentError(f"damping={damping}, steps={steps}; expected at least 0, and at least 1")
    x, r = torch.zeros_like(b), b.clone()
    size = float(b.norm())
    if size == 0:
        return Solution(x, 0, 0.0, "nothing to solve")
    p, rr = r.clone(), float(r @ r)
    for step in range(1, steps + 1):
        ap = product(p) + damping * p
        curvature, pp = float(p @ ap), float(p @ p)
        if not np.isfinite(curvature):
            return Solution(x, step, rr**0.5 / size, "not finite")
        if curvature == 0 or (guard is not None and (curvature < 0 or curvature < guard * damping * pp)):
            return Solution(x, step, rr**0.5 / size, "curvature")
        alpha = rr / curvature
        x += alpha * p
        r -= alpha * ap
        rr, previous = float(r @ r), rr
        if rr**0.5 <= tolerance * size:
            return Solution(x, step, rr**0.5 / size, "converged")
        p = r + rr / previous * p
    return Solution(x, steps, rr**0.5 / size, "steps")


@dataclass(frozen=True)
class Extremes:
    """Outermost eigenvalues as Lanczos sees them: never outside the true range.

    Attributes:
        lowest: An upper bound of the lowest eigenvalue, close after some steps.
        highest: A lower bound of the highest.
        steps: Products used.
    """

    lowest: float
    highest: float
    steps: int


@torch.no_grad()
def lanczos_extremes(
    product: Product, n: int, steps: int = 20, *, generator: torch.Generator | None = None
) -> Extremes:
    """Lowest and highest eigenvalue of a symmetric operator on [n], by Lanczos with full reorthogonalisation.

    Args:
        product: From v [n] to A v [n].
        n: Size of the vectors.
        steps: Most products; `steps` vectors are kept.
        generator: Draws the first vector.
    """
    if n < 1 or steps < 1:
        raise ArgumentError(f"n={n}, steps={steps}; expected at least 1")
    q = torch.randn(n, generator=generator)
    q = product(q / q.norm())
    # One product first puts the vector on the operator's device and into its precision and range.
    start = torch.randn(n, generator=generator).to(q)
    basis = [start / start.norm()]
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(steps, n)):
        w = product(basis[-1])
        diagonal.append(float(basis[-1] @ w))
        known = torch.stack(basis)
        for _ in range(2):
            w = w - known.T @ (known @ w)
        size = float(w.norm())
        if size <= 1e-6 * max(map(abs, diagonal)) or len(diagonal) == min(steps, n):
            break
        beside.append(size)
        basis.append(w / size)
    values = eigh_tridiagonal(np.array(diagonal), np.array(beside), eigvals_only=True)
    return Extremes(float(values[0]), float(values[-1]), len(diagonal))


@torch.no_grad()
def mean_diagonal(
    product: Product, like: Tensor, probes: int = 8, *, generator: torch.Generator | None = None
) -> float:
    """Mean of the diagonal of a matrix, estimated without bias by random signs (Hutchinson 1990).

    Args:
        product: From v [p] to A v [p].
        like: [p], for its size, precision and device.
        probes: Products used.
        generator: Draws the signs.
    """
    total = 0.0
    for _ in range(probes):
        signs = (torch.randint(0, 2, like.shape, generator=generator) * 2 - 1).to(like)
        total += float(signs @ product(signs))
    return total / probes / like.numel()
