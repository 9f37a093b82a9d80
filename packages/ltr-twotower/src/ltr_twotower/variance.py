"""Covariance of the fitted theta: inverse information, or the sandwich where weights or misspecification ask for it."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ltr_twotower.newton import Problem, Solution, linear_hessian, schur_blocks

__all__ = ["difference_covariance", "theta_covariance"]

# Cells handled at once where an array per cell and rank is needed.
_CHUNK = 100_000

# Fewer clicks than this at a rank (or impressions without one) tell nothing about the variance of their number.
_FEW_EVENTS = 10

FloatArray = NDArray[np.float64]


def theta_covariance(problem: Problem, solution: Solution, *, robust: bool) -> FloatArray:
    """Covariance of theta, up to the constant that only the ridge determines; use it for differences.

    Args:
        problem: The fitted problem.
        solution: Its minimum.
        robust: False: inverse of the penalised information. True: the sandwich H^-1 J H^-1 (Huber 1967, White 1982),
            J the summed squared scores of single impressions; right under weights and under misspecification.
            Propensities that were estimated from the log are treated as known, which is conservative. At a rank with
            hardly any click, or hardly anything else, the variance of the scores is at least the model's.

    Returns:
        float64 [n_ranks, n_ranks].
    """
    curvature = problem.curvature(solution.v, solution.u)
    influence, bread = _theta_influence(problem, curvature)
    if not robust:
        return _through_bias(problem, bread)
    meat = _meat(problem, solution, influence)
    return _through_bias(problem, bread @ meat @ bread)


def _through_bias(problem: Problem, covariance: FloatArray) -> FloatArray:
    return covariance if problem.A is None else np.asarray(problem.A @ covariance @ problem.A.T)


def _theta_influence(problem: Problem, curvature: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How the relevance passes scores on to v, and the inverse Schur complement of v.

    Returns:
        float64 [n_pairs, n_bias], what a unit of score in a cell of the pair takes from v; float64 [n_bias, n_bias].
    """
    if problem.X is None:
        S, B, D = schur_blocks(problem, curvature)
        dense = B.toarray() if problem.A is None else B
        return np.asarray(dense / D[:, None]), _inverse(S)
    H = linear_hessian(problem, curvature)
    cut = problem.n_bias
    solved = np.linalg.solve(H[cut:, cut:], H[cut:, :cut])
    S = H[:cut, :cut] - H[:cut, cut:] @ solved
    return np.asarray(problem.X @ solved), _inverse(S)


def _inverse(matrix: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.pinv(matrix, rcond=1e-13, hermitian=True))


def _meat(problem: Problem, solution: Solution, influence: FloatArray) -> FloatArray:
    """float64 [n_bias, n_bias]: sum over impressions of the squared score of v after eliminating the relevance."""
    cells = problem.cells
    p = expit(problem.logits(solution.v, solution.u))
    square = cells.clicks_squared * (1 - p) ** 2 + (cells.n_squared - cells.clicks_squared) * p**2
    square = np.where(_too_few_events(problem, square, p), cells.n_squared * p * (1 - p), square)
    own = np.eye(cells.n_ranks) if problem.A is None else problem.A
    by_rank = np.bincount(cells.rank, square, minlength=cells.n_ranks)
    by_pair = np.bincount(cells.pair, square, minlength=cells.n_pairs)
    cross = own.T @ (problem.matrix(square).T @ influence)
    return np.asarray(own.T @ (own * by_rank[:, None]) - cross - cross.T + influence.T @ (influence * by_pair[:, None]))


def _too_few_events(problem: Problem, square: FloatArray, p: FloatArray) -> NDArray[np.bool_]:
    """Cells whose squared scores [n_cells] are no estimate of a variance; that of the model must stand in for it.

    Where nothing at a rank was clicked, p goes to zero and takes all residuals along: their squares, n p^2, would claim
    a certainty that nothing but the ridge provides. The variance of the score under the model, n p, claims none. A
    handful of clicks does not mend that: a sum of few squares is no estimate either, so the larger of the two counts.
    """
    cells = problem.cells
    observed, expected = (
        np.bincount(cells.rank, values, minlength=cells.n_ranks) for values in (square, cells.n_squared * p * (1 - p))
    )
    return np.asarray(((cells.rank_events() < _FEW_EVENTS) & (expected > observed))[cells.rank])


def difference_covariance(first: tuple[Problem, Solution], second: tuple[Problem, Solution]) -> FloatArray:
    """Covariance of the difference of two theta estimates from the same log, weighted differently.

    Both are sums of influences of the same impressions, so their difference is one too (Hausman 1978, without its
    assumption that one estimate is efficient).

    Args:
        first: A problem with one theta per rank, and its solution; of the two the one without weights.
        second: Another on the same cells (pairs and ranks in the same order), with other weights.

    Returns:
        float64 [n_ranks, n_ranks]; use it for differences between ranks.
    """
    cells = first[0].cells
    total = np.zeros((cells.n_ranks, cells.n_ranks))
    parts = [_influence_parts(*estimate) for estimate in (first, second)]
    clicks = cells.clicks / np.maximum(cells.n / cells.impressions, 1e-300)
    # Hardly any clicks do not mean hardly any variance, so expected ones stand in for them. `_meat` asks first whether
    # they are more; here they are: the equation that the fit without weights solves makes its expected clicks at a
    # rank the observed ones, plus what the ridge adds.
    few = cells.rank_events()[cells.rank] < _FEW_EVENTS
    clicks = np.where(few, cells.impressions * parts[0][1], clicks)
    for start in range(0, len(cells), _CHUNK):
        rows = slice(start, start + _CHUNK)
        clicked, ignored = np.zeros((2, len(cells.rank[rows]), cells.n_ranks))
        for (weight, p, influence, bread), sign in zip(parts, (1, -1), strict=True):
            direction = (np.eye(cells.n_ranks)[cells.rank[rows]] - influence[cells.pair[rows]]) @ bread
            clicked += sign * (weight * (1 - p))[rows, None] * direction
            ignored -= sign * (weight * p)[rows, None] * direction
        total += clicked.T @ (clicked * clicks[rows, None])
        total += ignored.T @ (ignored * (cells.impressions - clicks)[rows, None])
    return total


def _influence_parts(problem: Problem, solution: Solution) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Weight per impression and probability, both [n_cells], and what `_theta_influence` returns."""
    p = expit(problem.logits(solution.v, solution.u))
    influence, bread = _theta_influence(problem, problem.curvature(solution.v, solution.u))
    return problem.cells.n / problem.cells.impressions, p, influence, bread
