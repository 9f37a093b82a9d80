"""Profile likelihood of one theta: how much worse the log is explained when it is held elsewhere.

A flat profile is the signature of non-identifiability. The exact solver makes a profile in milliseconds per point,
where retraining a network per point takes a cluster.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from ltr_twotower.identify import identified_groups
from ltr_twotower.model import TwoTowerClickModel, require_model
from ltr_twotower.newton import Problem, Solution, solve_newton
from ltr_twotower.swaps import swap_graph
from ltr_twotower.variance import theta_covariance

__all__ = ["ProfileLikelihood", "profile_likelihood"]

FloatArray = NDArray[np.float64]

# Farther than this from the estimate, on the logit scale, the likelihood counts as flat.
_REACH = 15.0


@dataclass(frozen=True, eq=False)
class ProfileLikelihood:
    """The profile of theta_position - theta_1.

    Attributes:
        position: Rank, counted from 1.
        grid: float64 [m], values at which theta was held.
        deviance: float64 [m], twice the loss of log-likelihood against the best value; for weighted fits scaled so that
            it is chi-square distributed to first order.
        estimate: The best value; NaN where the log does not identify the difference.
        interval: Values whose deviance stays below the chi-square quantile; infinite where the profile never crosses
            it.
        level: Confidence level of the interval.
    """

    position: int
    grid: FloatArray
    deviance: FloatArray
    estimate: float
    interval: tuple[float, float]
    level: float


def profile_likelihood(
    model: TwoTowerClickModel, log: ClickLog, position: int, grid: ArrayLike | None = None, *, level: float = 0.95
) -> ProfileLikelihood:
    """Profile the position bias of one rank against rank 1.

    Args:
        model: An additive model with an embedding or linear relevance tower and one theta per rank; its options (not
            its fit) are used.
        log: The click log.
        position: Rank to profile, from 2.
        grid: Values of theta_position - theta_1. Default: 41 values across the interval (or +-3 around the estimate,
            where it is infinite).
        level: Confidence level.

    Raises:
        ArgumentError: The model is of another kind, `position` is not a shown rank from 2, or the grid is not finite.
    """
    require_model("profile_likelihood", model)
    if model.combine != "additive" or model.relevance not in ("embedding", "linear") or not isinstance(model.bias, str):
        raise ArgumentError(
            "profile_likelihood takes an additive model with relevance 'embedding' or 'linear' and bias 'position'"
        )
    if not 0 < level < 1:
        raise ArgumentError(f"level={level}; expected a share between 0 and 1")
    problem = model.problem(log)
    if not 2 <= position <= problem.cells.n_ranks or not (problem.cells.rank_impressions[[0, position - 1]] > 0).all():
        raise ArgumentError(
            f"position={position}; expected a shown rank from 2 to {problem.cells.n_ranks}, and rank 1 shown"
        )
    points = None if grid is None else _grid(grid)
    tower: Literal["embedding", "linear"] = "embedding" if problem.X is None else "linear"
    labels = identified_groups(swap_graph(problem.cells), problem.X, tower).labels
    if labels[position - 1] != labels[0]:
        return _flat(position, points, level)
    best = solve_newton(problem)
    estimate = float(best.v[position - 1] - best.v[0])
    scale = _scale(problem, best, position, robust=model.sample_weight is not None)
    held = _Held(problem, best, position, scale)
    threshold = float(chdtri(1, 1 - level))
    low, high = (_crossing(held, estimate, side, threshold) for side in (-1, 1))
    if points is None:
        points = np.linspace(max(low, estimate - 3), min(high, estimate + 3), 41)
    deviance = np.array([held.deviance(value) for value in points])
    return ProfileLikelihood(position, points, deviance, estimate, (low, high), level)


def _grid(values: ArrayLike) -> FloatArray:
    try:
        grid = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        grid = np.array([np.nan])
    if grid.ndim != 1 or not np.isfinite(grid).all():
        raise ArgumentError("grid holds something else than a list of finite numbers")
    return grid


def _flat(position: int, grid: FloatArray | None, level: float) -> ProfileLikelihood:
    """The profile of a difference that the log does not identify.

    The relevances make up for any shift, so the likelihood is exactly flat. Only the ridge is not: it would give an
    interval, and with many documents a narrow one, about something on which the log is silent.
    """
    values = np.linspace(-3, 3, 41) if grid is None else grid
    return ProfileLikelihood(
        position, values, np.zeros(len(values)), float("nan"), (-float("inf"), float("inf")), level
    )


def _scale(problem: Problem, best: Solution, position: int, *, robust: bool) -> float:
    """Model variance over sandwich variance of the profiled difference (Chandler and Bate 2007)."""
    if not robust:
        return 1.0
    plain, sandwich = (theta_covariance(problem, best, robust=flag) for flag in (False, True))
    e = np.zeros(problem.cells.n_ranks)
    e[[position - 1, 0]] = 1, -1
    return float((e @ plain @ e) / (e @ sandwich @ e))


class _Held:
    """The likelihood with theta_position - theta_1 held at a value: theta = A v + b with one column less."""

    def __init__(self, problem: Problem, best: Solution, position: int, scale: float) -> None:
        n_ranks = problem.cells.n_ranks
        self.unit = np.zeros(n_ranks)
        self.unit[position - 1] = 1
        self.A = np.delete(np.eye(n_ranks), position - 1, axis=1)
        self.A[position - 1, 0] = 1
        self.problem, self.best, self.scale, self.position = problem, best, scale, position
        self.start = (np.delete(best.v, position - 1), best.u)

    def deviance(self, value: float) -> float:
        problem = Problem(self.problem.cells, self.problem.X, self.problem.l2, self.A, self.unit * value)
        solution = solve_newton(problem, self.start)
        return 2 * self.scale * max(solution.value - self.best.value, 0.0)


def _crossing(held: _Held, estimate: float, side: int, threshold: float) -> float:
    from scipy.optimize import brentq

    step = 0.1
    while step < _REACH:
        if held.deviance(estimate + side * step) > threshold:
            return float(brentq(lambda x: held.deviance(x) - threshold, estimate, estimate + side * step, xtol=1e-4))
        step *= 2
    return side * float("inf")
