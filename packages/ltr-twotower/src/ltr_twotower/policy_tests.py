"""Two tests of a logging policy on the log alone: do residuals follow its placement, and do weights move theta?"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, expit, ndtr

from ltr_twotower.newton import Problem, Solution
from ltr_twotower.reduction import solve_bias_reduced
from ltr_twotower.variance import difference_covariance

__all__ = ["PlacementTest", "WaldTest", "cell_residuals", "placement_test", "shift_test"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class PlacementTest:
    """Do residuals follow the usual placement of a document, at the same rank?

    Attributes:
        correlation: Between Pearson residuals and how high the policy usually places the document, within ranks.
        z: Test statistic, its variance clustered by query.
        p_value: Two-sided.
    """

    correlation: float
    z: float
    p_value: float


@dataclass(frozen=True)
class WaldTest:
    """Do unweighted and weighted theta differ by more than chance?

    Attributes:
        statistic: Wald statistic of all differences between ranks.
        df: Its degrees of freedom.
        p_value: Upper tail of the chi-square distribution.
        largest: Largest absolute difference of theta_k - theta_1 between the two fits.
        reliable: Whether the test may decide. Not so for a per-pair tower with so few impressions per pair that the
            bias which they put on theta (see `ltr_twotower.reduction`) is comparable with the standard errors.
    """

    statistic: float
    df: int
    p_value: float
    largest: float
    reliable: bool = True


def placement_test(problem: Problem, solution: Solution) -> PlacementTest | None:
    """Correlation of residuals with usual placement within ranks, clustered by query."""
    residual, height, curvature = cell_residuals(problem, solution)
    cells = problem.cells
    score = np.bincount(cells.pair_query[cells.pair], residual * height)
    spread = float(np.sqrt((curvature * height**2).sum() * (residual**2 / np.maximum(curvature, 1e-300)).sum()))
    variance = float((score**2).sum())
    if np.abs(height).max() < 1e-9 or variance == 0:
        return None
    z = float(score.sum() / np.sqrt(variance))
    return PlacementTest(correlation=float(score.sum()) / spread, z=z, p_value=float(2 * ndtr(-abs(z))))


def cell_residuals(problem: Problem, solution: Solution) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Per cell: residual clicks, usual height of placement relative to others at the rank, n p (1 - p)."""
    cells = problem.cells
    p = expit(problem.logits(solution.v, solution.u))
    curvature = cells.n * p * (1 - p)
    rank_sum = np.bincount(cells.pair, cells.impressions * cells.rank, minlength=cells.n_pairs)
    mean_rank = rank_sum / np.bincount(cells.pair, cells.impressions, minlength=cells.n_pairs)
    height = -mean_rank[cells.pair]
    total = np.bincount(cells.rank, curvature, minlength=cells.n_ranks)
    typical = np.bincount(cells.rank, curvature * height, minlength=cells.n_ranks) / np.maximum(total, 1e-300)
    return cells.clicks - cells.n * p, height - typical[cells.rank], curvature


def _wald(
    naive: tuple[Problem, Solution], weighted: tuple[Problem, Solution], difference: FloatArray | None = None
) -> WaldTest | None:
    """Wald test of a difference of thetas, float64 [n_ranks]; by default that between the two fits."""
    covariance = difference_covariance(naive, weighted)
    if difference is None:
        difference = weighted[1].v - naive[1].v
    shown = np.flatnonzero(naive[0].cells.rank_impressions > 0)
    if len(shown) < 2:
        return None
    contrast = np.zeros((len(shown) - 1, len(difference)))
    contrast[np.arange(len(shown) - 1), shown[1:]] = 1
    contrast[:, shown[0]] = -1
    moved = contrast @ difference
    spread = contrast @ covariance @ contrast.T
    inverse = np.linalg.pinv(spread, rcond=1e-10, hermitian=True)
    df = int(np.linalg.matrix_rank(spread, rtol=1e-10, hermitian=True))
    if df == 0:
        return None
    statistic = float(moved @ inverse @ moved)
    return WaldTest(statistic, df, float(chdtrc(df, statistic)), float(np.abs(moved).max()))


def shift_test(naive: tuple[Problem, Solution], weighted: tuple[Problem, Solution]) -> WaldTest | None:
    """The Wald test; for a per-pair tower after bias reduction, and held against the size of that reduction."""
    if naive[0].X is not None:
        return _wald(naive, weighted)
    first, second = (naive[0], solve_bias_reduced(naive[0])), (weighted[0], solve_bias_reduced(weighted[0]))
    test = _wald(first, second)
    if test is None:
        return None
    correction = (second[1].v - weighted[1].v) - (first[1].v - naive[1].v)
    size = _wald(naive, weighted, correction)
    # What is left after the reduction is of the order of a third of what it removed.
    return test if size is None else replace(test, reliable=size.statistic <= size.df)
