"""Theta is known up to a constant: from which rank it is counted, and how well it is known from there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ltr_twotower.cells import Cells
from ltr_twotower.information import contrast_variance

__all__ = ["Referred", "referred"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Referred:
    """A fit whose reference ranks have a theta of exactly 0.

    Attributes:
        rank: int64 [n_ranks], the reference of each rank.
        theta: float64 [n_ranks]; NaN where nothing was shown.
        gamma: float64 [n_pairs], relevances, with what theta lost.
        stderr: float64 [n_ranks], of theta against its reference: inf where the two cannot be compared, NaN where
            nothing was shown.
        moved: What the first shown rank's theta was.
    """

    rank: NDArray[np.int64]
    theta: FloatArray
    gamma: FloatArray
    stderr: FloatArray
    moved: float


def referred(
    cells: Cells,
    labels: NDArray[np.int32],
    theta: FloatArray,
    gamma: FloatArray,
    covariance: FloatArray,
    *,
    by_component: bool,
) -> Referred:
    """Set theta of the reference rank to 0 and move the difference into the relevance.

    Args:
        cells: Of the log that was fitted.
        labels: int32 [n_ranks], group of ranks that can be compared; -1 where nothing was shown.
        theta: float64 [n_ranks].
        gamma: float64 [n_pairs].
        covariance: float64 [n_ranks, n_ranks] of theta, up to a constant.
        by_component: Whether each group has its own reference, so that no number compares two of them.
    """
    shown = np.flatnonzero(labels >= 0)
    first = np.full(len(labels), shown[0])
    if by_component:
        for label in range(int(labels.max()) + 1):
            first[labels == label] = np.flatnonzero(labels == label)[0]
    shift = np.zeros(cells.n_pairs)
    shift[cells.pair] = theta[first[cells.rank]]
    stderr = np.sqrt(contrast_variance(covariance)[np.arange(len(labels)), first])
    stderr = np.where(labels == labels[first], stderr, np.inf)
    stderr[labels < 0] = np.nan
    return Referred(
        rank=first,
        theta=np.where(labels >= 0, theta - theta[first], np.nan),
        gamma=gamma + shift,
        stderr=stderr,
        moved=float(theta[shown[0]]),
    )
