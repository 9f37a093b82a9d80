"""Scores far apart, moved together: beyond a gap, who arrives first is certain, and the numbers stay within range."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_GAP", "closed_up"]

LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# exp(-40) is below rounding: a document that far behind another follows it.
MAX_GAP = 40.0


def closed_up(scores: FloatArray) -> tuple[FloatArray, LongArray, FloatArray]:
    """Scores [n, n_docs] with gaps between neighbours cut to `MAX_GAP`, which changes no order; the largest is 0.

    Returns:
        float64 [n, n_docs], the scores; int64 [n, n_docs], the documents in falling order; float64 [n, n_docs - 1], the
        gap after each of them but the last, infinite before a score of -inf.
    """
    order = np.argsort(-scores, axis=1)
    ordered = np.take_along_axis(scores, order, axis=1)
    with np.errstate(invalid="ignore"):
        gaps = np.minimum(ordered[:, :-1] - ordered[:, 1:], MAX_GAP)
        gaps[np.isneginf(ordered[:, 1:])] = np.inf
    closed = np.zeros_like(scores)
    np.cumsum(-gaps, axis=1, out=closed[:, 1:])
    closed[np.isneginf(ordered)] = -np.inf
    out = np.empty_like(scores)
    np.put_along_axis(out, order, closed, axis=1)
    return out, order, gaps
