"""Measures of a grid of films as it is shown."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.browse.tally import ratio

__all__ = ["Metric", "evaluate", "finite"]

FloatArray = NDArray[np.float64]
Metric = Literal["ndcg2d", "expected_clicks", "expected_examination"]


def evaluate(grid_relevance: ArrayLike, examination: ArrayLike | None = None, metric: Metric = "ndcg2d") -> FloatArray:
    """Measure a grid of films as shown.

    - "ndcg2d": sum of relevance times discount, over that of the best arrangement of the same films on the grid. The
      discount is the examination, or 1 / log2(row + column) where there is none (Felicioni et al., "Measuring the
      Ranking Quality of Recommendations in a Two-Dimensional Carousel Setting", 2021, with both weights 1).
    - "expected_clicks": sum of examination times relevance, the latter a chance of a click given a look.
    - "expected_examination": mean examination of the films, weighted by relevance.

    Args:
        grid_relevance: float [..., R, C], of the film at each place, at least 0.
        examination: float [R, C], chance of a look at each place.
        metric: Which measure.

    Returns:
        float64 [...]; NaN where nothing is relevant, but for expected clicks.

    Raises:
        ArgumentError: An unknown metric, one that needs an examination without it, shapes that do not fit, relevance
            that is negative or not finite.
    """
    relevance = finite(grid_relevance, "grid_relevance")
    if metric not in get_args(Metric):
        raise ArgumentError(f"metric={metric!r}; expected one of {', '.join(get_args(Metric))}")
    if relevance.ndim < 2 or (relevance < 0).any():
        raise ArgumentError(f"grid_relevance has shape {relevance.shape}; expected [..., R, C] of at least 0")
    if examination is None and metric != "ndcg2d":
        raise ArgumentError(f"metric={metric!r} needs an examination [R, C]")
    rows, columns = relevance.shape[-2:]
    weight = 1 / np.log2(np.add.outer(np.arange(1, rows + 1), np.arange(1, columns + 1)))
    if examination is not None:
        weight = finite(examination, "examination")
    if weight.shape != (rows, columns):
        raise ArgumentError(f"examination has shape {weight.shape}; expected {[rows, columns]}, that of the grid")
    gain = np.asarray((relevance * weight).sum(axis=(-2, -1)))
    if metric == "expected_clicks":
        return gain
    if metric == "expected_examination":
        return ratio(gain, np.asarray(relevance.sum(axis=(-2, -1))))
    ideal = np.sort(relevance.reshape(*relevance.shape[:-2], -1), axis=-1) @ np.sort(weight, axis=None)
    return ratio(gain, np.asarray(ideal))


def finite(values: ArrayLike, name: str) -> FloatArray:
    """As float64.

    Raises:
        ArgumentError: A number that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ArgumentError(f"{name} holds numbers that are not finite")
    return array
