"""The position-based model P(click) = examination_rank * attraction_pair, by L-BFGS on cells; for comparison."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit

from ltr_twotower.cells import Cells
from ltr_twotower.features import Scaling
from ltr_twotower.newton import ConvergenceWarning

__all__ = ["PBMResult", "fit_pbm"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PBMResult:
    """A fitted position-based model.

    Attributes:
        log_examination: float64 [n_ranks], log P(examined), at most 0; identified up to a constant that the attraction
            absorbs.
        gamma: float64 [n_pairs], logit of the attraction.
        coef: float64 [n_features] of a linear attraction, else None.
        intercept: Constant of a linear attraction, else 0.
        converged: Whether the solver met its tolerance.
        iterations: Number of steps taken.
    """

    log_examination: FloatArray
    gamma: FloatArray
    coef: FloatArray | None
    intercept: float
    converged: bool
    iterations: int


def fit_pbm(cells: Cells, X: FloatArray | None, l2: float, *, max_iterations: int = 2000) -> PBMResult:
    """Fit sigmoid(t_rank) sigmoid(gamma) with ridge `l2` on t and on gamma (or w).

    Args:
        cells: Counts, weighted or not.
        X: float64 [n_pairs, n_features] for attraction X w + intercept; None for one gamma per pair.
        l2: Ridge; on the weights of standardised features, so that their units do not matter.
        max_iterations: Warn with `ConvergenceWarning` after this many steps.
    """
    from scipy.optimize import minimize

    scaling = None if X is None else Scaling.of(X)
    design = None if X is None or scaling is None else np.hstack([scaling.apply(X), np.ones((len(X), 1))])
    cut = cells.n_ranks
    n_relevance = cells.n_pairs if design is None else design.shape[1]
    scale = max(cells.total, 1.0)

    def objective(x: FloatArray) -> tuple[float, FloatArray]:
        t, u = x[:cut], x[cut:]
        gamma = u if design is None else design @ u
        log_p = log_expit(t)[cells.rank] + log_expit(gamma)[cells.pair]
        p = np.exp(log_p)
        miss = cells.n - cells.clicks
        log_miss = np.log1p(-np.minimum(p, 1 - 1e-12))
        value = -np.dot(cells.clicks, log_p) - np.dot(miss, log_miss) + l2 / 2 * (x @ x)
        slope = miss * p / np.maximum(1 - p, 1e-12) - cells.clicks
        g_t = np.bincount(cells.rank, slope, minlength=cut) * (1 - expit(t))
        g_gamma = np.bincount(cells.pair, slope, minlength=cells.n_pairs) * (1 - expit(gamma))
        g_u = g_gamma if design is None else design.T @ g_gamma
        return float(value) / scale, (np.concatenate([g_t, g_u]) + l2 * x) / scale

    start = np.zeros(cut + n_relevance)
    options = {"maxiter": max_iterations, "maxfun": 2 * max_iterations, "ftol": 1e-14, "gtol": 1e-9, "maxcor": 20}
    result = minimize(objective, start, jac=True, method="L-BFGS-B", options=options)
    if not result.success:
        warnings.warn(f"L-BFGS stopped early: {result.message}", ConvergenceWarning, stacklevel=2)
    u = result.x[cut:]
    coef, constant = (None, 0.0) if scaling is None else scaling.undo(u[:-1])
    return PBMResult(
        log_examination=log_expit(result.x[:cut]),
        gamma=u if design is None else design @ u,
        coef=coef,
        intercept=constant + (0.0 if design is None else float(u[-1])),
        converged=bool(result.success),
        iterations=int(result.nit),
    )
