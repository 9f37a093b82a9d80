"""Theta solved exactly for relevances that are held: what an optimiser leaves of its noise in it is taken away."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ltr_twotower.cells import Cells

__all__ = ["polish_theta"]

FloatArray = NDArray[np.float64]


def polish_theta(cells: Cells, gamma: FloatArray, l2: float, A: FloatArray | None = None) -> FloatArray:
    """The theta that maximises the penalised likelihood for given relevance logits, by Newton's method (it is convex).

    Args:
        cells: Counts, weighted or not.
        gamma: float64 [n_pairs], relevance logits.
        l2: Ridge on theta.
        A: float64 [n_ranks, n_bias], features of the ranks in which theta is linear. None: one theta per rank.

    Returns:
        float64 [n_ranks].
    """
    design = np.eye(cells.n_ranks) if A is None else A
    offset = gamma[cells.pair]

    def value(theta: FloatArray) -> float:
        z = theta[cells.rank] + offset
        return float(np.dot(cells.n, np.logaddexp(0, z)) - np.dot(cells.clicks, z) + l2 / 2 * (theta @ theta))

    theta = np.zeros(cells.n_ranks)
    for _ in range(100):
        p = expit(theta[cells.rank] + offset)
        slope = np.bincount(cells.rank, cells.n * p - cells.clicks, minlength=cells.n_ranks) + l2 * theta
        curvature = np.bincount(cells.rank, cells.n * p * (1 - p), minlength=cells.n_ranks) + l2
        # Least squares, because features of the ranks may be collinear.
        step = design @ np.linalg.lstsq(design.T @ (curvature[:, None] * design), design.T @ slope, rcond=None)[0]
        if slope @ step <= 1e-12 * max(cells.total, 1.0):
            # The last step is too small to be seen in the value, and makes theta twice as precise.
            return theta - step
        before = value(theta)
        size = next((s for s in 0.5 ** np.arange(40) if value(theta - s * step) < before), 0.0)
        if size == 0:
            break
        theta = theta - size * step
    return theta
