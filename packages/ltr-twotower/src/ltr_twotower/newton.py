"""Exact maximum likelihood for additive two-tower models whose likelihood is convex.

The model of a cell is z = theta_rank + gamma_pair, theta = A v + b (A = I for one theta per rank), and gamma free per
pair ("embedding") or X w ("linear", X standardised). The penalised negative log-likelihood

    sum_cells [ n softplus(z) - c z ] + l2/2 (|theta|^2 + |gamma or w|^2)

is convex. For the embedding tower the Hessian of gamma is diagonal, so a Newton step needs only the Schur complement of
theta, a [n_ranks, n_ranks] matrix: one step costs a few passes over the cells.
"""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.linalg
import scipy.sparse
from numpy.typing import NDArray
from scipy.special import expit, logit

from irworks.errors import ArgumentError
from ltr_twotower.cells import Cells
from ltr_twotower.features import Scaling
from ltr_twotower.information import rank_gram

__all__ = ["ConvergenceWarning", "Problem", "Solution", "solve_lbfgs", "solve_newton"]

FloatArray = NDArray[np.float64]

# A smaller decrease cannot be seen in the value, a sum of many terms.
_ROUNDING = 8 * float(np.finfo(np.float64).eps)


class ConvergenceWarning(UserWarning):
    """A solver stopped before it met its tolerance."""


@dataclass(frozen=True, eq=False)
class Problem:
    """One penalised likelihood to minimise.

    Args:
        cells: The sufficient statistics, weighted or not.
        X: float64 [n_pairs, n_features] of a linear relevance tower, in any units, or None for one gamma per pair. It
            is standardised over the pairs and kept so: `X`, w and the ridge on w are in units of standard deviations,
            and no fit depends on the units or the zero of a feature. `coefficients` turns w back. A last column of
            ones joins it where theta cannot shift all logits.
        l2: Ridge on every theta and every gamma (or w). Positive.
        A: float64 [n_ranks, n_bias], features of the ranks. None: one theta per rank.
        b: float64 [n_ranks], a fixed part of theta. None: zero.
    """

    cells: Cells
    X: FloatArray | None = None
    l2: float = 0.1
    A: FloatArray | None = None
    b: FloatArray | None = None
    _sparse: scipy.sparse.csr_array = field(init=False, repr=False)
    _scaling: Scaling | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        if not self.l2 > 0 or not np.isfinite(self.l2):
            raise ArgumentError(
                f"l2={self.l2}; expected a positive ridge: without one a pair with no click has no finite estimate"
            )
        cells = self.cells
        starts = np.concatenate([[0], np.cumsum(np.bincount(cells.pair, minlength=cells.n_pairs))])
        pattern = scipy.sparse.csr_array(
            (np.ones(len(cells)), cells.rank, starts), shape=(cells.n_pairs, cells.n_ranks)
        )
        object.__setattr__(self, "_sparse", pattern)
        if self.X is not None:
            scaling = Scaling.of(self.X)
            level = [] if _shifts_all(self.A) else [np.ones((cells.n_pairs, 1))]
            object.__setattr__(self, "_scaling", scaling)
            object.__setattr__(self, "X", np.hstack([scaling.apply(self.X), *level]))

    @property
    def n_bias(self) -> int:
        """Number of free parameters of the bias tower."""
        return self.cells.n_ranks if self.A is None else int(self.A.shape[1])

    @property
    def n_relevance(self) -> int:
        """Number of free parameters of the relevance tower."""
        return self.cells.n_pairs if self.X is None else int(self.X.shape[1])

    def matrix(self, values: FloatArray) -> scipy.sparse.csr_array:
        """Values [n_cells] as a sparse matrix [n_pairs, n_ranks]."""
        return scipy.sparse.csr_array((values, self._sparse.indices, self._sparse.indptr), shape=self._sparse.shape)

    def theta(self, v: FloatArray) -> FloatArray:
        """float64 [n_ranks]."""
        theta = v if self.A is None else self.A @ v
        return np.asarray(theta if self.b is None else theta + self.b)

    def gamma(self, u: FloatArray) -> FloatArray:
        """float64 [n_pairs], relevance logits."""
        return u if self.X is None else self.X @ u

    def coefficients(self, u: FloatArray) -> tuple[FloatArray, float]:
        """Weights [n_features] and constant of a linear tower in the units in which X was given."""
        assert self._scaling is not None
        n_features = len(self._scaling.mean)
        w, constant = self._scaling.undo(u[:n_features])
        return w, constant + float(u[n_features:].sum())

    def logits(self, v: FloatArray, u: FloatArray) -> FloatArray:
        """float64 [n_cells]."""
        return self.theta(v)[self.cells.rank] + self.gamma(u)[self.cells.pair]

    def value(self, v: FloatArray, u: FloatArray) -> float:
        """The penalised negative log-likelihood."""
        return self.evaluate(v, u)[0]

    def evaluate(self, v: FloatArray, u: FloatArray) -> tuple[float, FloatArray]:
        """The penalised negative log-likelihood, and the click probability of each cell, float64 [n_cells]."""
        z = self.logits(v, u)
        # One exponential serves softplus and sigmoid; both are safe for logits of any size.
        e = np.exp(-np.abs(z))
        likelihood = np.dot(self.cells.n, np.maximum(z, 0) + np.log1p(e)) - np.dot(self.cells.clicks, z)
        theta = self.theta(v)
        p = np.where(z >= 0, 1.0, e) / (1 + e)
        return float(likelihood + self.l2 / 2 * (theta @ theta + u @ u)), p

    def gradient(self, v: FloatArray, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Derivatives with respect to v [n_bias] and u [n_relevance]."""
        residual = self.cells.n * expit(self.logits(v, u)) - self.cells.clicks
        return self._gradient(residual, v, u)

    def _gradient(self, residual: FloatArray, v: FloatArray, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        g_theta = np.bincount(self.cells.rank, residual, minlength=self.cells.n_ranks) + self.l2 * self.theta(v)
        g_gamma = np.bincount(self.cells.pair, residual, minlength=self.cells.n_pairs)
        g_v = g_theta if self.A is None else self.A.T @ g_theta
        g_u = g_gamma if self.X is None else self.X.T @ g_gamma
        return g_v, g_u + self.l2 * u

    def curvature(self, v: FloatArray, u: FloatArray) -> FloatArray:
        """float64 [n_cells], n p (1 - p): the Hessian's weight of each cell."""
        p = expit(self.logits(v, u))
        return np.asarray(self.cells.n * p * (1 - p))


def _shifts_all(A: FloatArray | None) -> bool:
    """Whether some theta = A v shifts all ranks alike, as an intercept of the relevances would."""
    if A is None:
        return True
    ones = np.ones(len(A))
    return bool(np.allclose(A @ np.linalg.lstsq(A, ones, rcond=None)[0], ones, atol=1e-9))


@dataclass(frozen=True, eq=False)
class Solution:
    """A minimum of a `Problem`.

    Attributes:
        v: float64 [n_bias], parameters of the bias tower.
        u: float64 [n_relevance], gamma or w.
        value: Penalised negative log-likelihood.
        iterations: Number of steps taken.
        converged: Whether the tolerance was met.
    """

    v: FloatArray
    u: FloatArray
    value: float
    iterations: int
    converged: bool


def solve_newton(
    problem: Problem,
    start: tuple[FloatArray, FloatArray] | None = None,
    *,
    tolerance: float = 1e-8,
    max_iterations: int = 100,
) -> Solution:
    """Minimise by Newton's method with the Schur complement of theta.

    Args:
        problem: What to minimise.
        start: (v, u) to start from. Default: zeros.
        tolerance: Stop when the Newton decrement, relative to the total weight, falls below its square.
        max_iterations: Warn with `ConvergenceWarning` after this many steps.
    """
    v, u = _start(problem) if start is None else (start[0].copy(), start[1].copy())
    value, p = problem.evaluate(v, u)
    scale = max(problem.cells.total, 1.0)
    for iteration in range(max_iterations):
        g_v, g_u = problem._gradient(problem.cells.n * p - problem.cells.clicks, v, u)
        d_v, d_u = newton_step(problem, problem.cells.n * p * (1 - p), g_v, g_u)
        decrement = float(g_v @ d_v + g_u @ d_u)
        if decrement <= max(tolerance**2 * scale, _ROUNDING * abs(value)):
            return Solution(v, u, value, iteration, converged=True)
        for step in 0.5 ** np.arange(40):
            new_v, new_u = v - step * d_v, u - step * d_u
            new_value, new_p = problem.evaluate(new_v, new_u)
            if new_value < value and new_value <= value - 1e-4 * step * decrement:
                break
        else:
            # No step lowers the value in floating point: as converged as it can be if the decrement is tiny.
            return Solution(v, u, value, iteration, converged=decrement <= 1e-9 * scale)
        v, u, value, p = new_v, new_u, new_value, new_p
    warnings.warn(f"Newton stopped after {max_iterations} iterations", ConvergenceWarning, stacklevel=2)
    return Solution(v, u, value, max_iterations, converged=False)


def _start(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """Click rates as a first guess of a per-pair model, which saves a few steps; zeros for the others."""
    if problem.X is not None or problem.A is not None:
        return np.zeros(problem.n_bias), np.zeros(problem.n_relevance)
    cells = problem.cells
    overall = (cells.clicks.sum() + 0.5) / (cells.total + 1)
    rates = []
    for code, size in ((cells.rank, cells.n_ranks), (cells.pair, cells.n_pairs)):
        clicks, n = (np.bincount(code, values, minlength=size) for values in (cells.clicks, cells.n))
        rates.append(logit((clicks + overall) / (n + 1)))
    return rates[0] - logit(overall), rates[1]


def newton_step(
    problem: Problem, curvature: FloatArray, g_v: FloatArray, g_u: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Solve H d = g for the Hessian with the given cell curvatures [n_cells]."""
    if problem.X is None:
        S, B, D = schur_blocks(problem, curvature)
        d_v = _solve(S, g_v - B.T @ (g_u / D))
        return d_v, (g_u - B @ d_v) / D
    H = linear_hessian(problem, curvature)
    d = _solve(H, np.concatenate([g_v, g_u]))
    return d[: problem.n_bias], d[problem.n_bias :]


def schur_blocks(problem: Problem, curvature: FloatArray) -> tuple[FloatArray, Any, FloatArray]:
    """For an embedding tower: the Schur complement of v, the cross block, and the diagonal of gamma.

    Returns:
        S float64 [n_bias, n_bias]; B, [n_pairs, n_bias] (sparse where A is None); D float64 [n_pairs].
    """
    B = problem.matrix(curvature)
    D = np.bincount(problem.cells.pair, curvature, minlength=problem.cells.n_pairs).astype(np.float64) + problem.l2
    by_rank = np.bincount(problem.cells.rank, curvature, minlength=problem.cells.n_ranks) + problem.l2
    S: FloatArray = np.diag(by_rank) - rank_gram(problem.matrix(curvature / np.sqrt(D)[problem.cells.pair]))
    if problem.A is None:
        return S, B, D
    return np.asarray(problem.A.T @ S @ problem.A), B @ problem.A, D


def linear_hessian(problem: Problem, curvature: FloatArray) -> FloatArray:
    """float64 [n_bias + n_features] squared, the whole penalised Hessian of a linear tower."""
    assert problem.X is not None
    X, cells = problem.X, problem.cells
    by_pair = np.bincount(cells.pair, curvature, minlength=cells.n_pairs)
    by_rank = np.bincount(cells.rank, curvature, minlength=cells.n_ranks)
    cross = problem.matrix(curvature).T @ X
    top = np.diag(by_rank + problem.l2)
    if problem.A is not None:
        top, cross = problem.A.T @ top @ problem.A, problem.A.T @ cross
    bottom = X.T @ (X * by_pair[:, None]) + problem.l2 * np.eye(X.shape[1])
    return np.block([[top, cross], [cross.T, bottom]])


def _solve(matrix: FloatArray, right: FloatArray) -> FloatArray:
    diagonal = np.diag(matrix)
    # A unit diagonal takes the units of the features out of the condition number.
    unit = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1))
    scaled = matrix * unit * unit[:, None]
    try:
        return np.asarray(unit * scipy.linalg.solve(scaled, unit * right, assume_a="pos"))
    except scipy.linalg.LinAlgError:
        return np.asarray(unit * scipy.linalg.lstsq(scaled, unit * right)[0])


def solve_lbfgs(
    problem: Problem,
    start: tuple[FloatArray, FloatArray] | None = None,
    *,
    tolerance: float = 1e-9,
    max_iterations: int = 5000,
) -> Solution:
    """Minimise by L-BFGS (scipy); the independent second opinion on `solve_newton`."""
    from scipy.optimize import minimize

    cut = problem.n_bias
    first = np.zeros(cut + problem.n_relevance) if start is None else np.concatenate(start)
    scale = max(problem.cells.total, 1.0)

    def objective(x: FloatArray) -> tuple[float, FloatArray]:
        g = np.concatenate(problem.gradient(x[:cut], x[cut:]))
        return problem.value(x[:cut], x[cut:]) / scale, g / scale

    result = minimize(
        objective,
        first,
        jac=True,
        method="L-BFGS-B",
        options={
            "maxiter": max_iterations,
            "maxfun": 2 * max_iterations,
            "ftol": 1e-15,
            "gtol": tolerance,
            "maxcor": 30,
        },
    )
    if not result.success:
        warnings.warn(f"L-BFGS stopped early: {result.message}", ConvergenceWarning, stacklevel=2)
    return Solution(result.x[:cut], result.x[cut:], float(result.fun) * scale, int(result.nit), bool(result.success))
