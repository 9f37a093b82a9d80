"""Figures that claims share: means over seeds with intervals, and pairs of seeds."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["canvas", "lines_figure", "paired_figure"]

FloatArray = NDArray[np.float64]


def canvas(width: float = 6.8, height: float = 3.6) -> "tuple[Figure, Axes]":
    """A figure with one set of axes, without pyplot: no global state, no window system.

    Args:
        width: In inches.
        height: In inches.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def lines_figure(
    x: Sequence[Any], series: Mapping[str, FloatArray], *, xlabel: str, ylabel: str, reference: float | None = None
) -> "Figure":
    """Means over seeds with 95% t-intervals; `series` maps a name to float64 [n_seeds, len(x)]."""
    from irworks.stats import t_interval

    figure, axes = canvas()
    if reference is not None:
        axes.axhline(reference, color="0.5", linewidth=0.8, linestyle="--")
    places = np.arange(len(x))
    for name, values in series.items():
        mean = values.mean(axis=0)
        error = None
        if len(values) > 1:
            intervals = [t_interval(column) for column in values.T]
            error = np.abs([[m - i.low, i.high - m] for m, i in zip(mean, intervals, strict=True)]).T
        axes.errorbar(places, mean, error, marker="o", markersize=4, capsize=2, label=name)
    axes.set_xticks(places, [str(value) for value in x])
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.legend()
    return figure


def paired_figure(groups: Sequence[str], values: FloatArray, *, ylabel: str) -> "Figure":
    """One line per seed across groups, so that pairs can be compared; `values` is float64 [n_seeds, n_groups]."""
    figure, axes = canvas()
    places = np.arange(len(groups))
    axes.plot(places, values.T, color="0.6", linewidth=0.9, marker="o", markersize=3)
    axes.plot(places, values.mean(axis=0), marker="o", label="mean over seeds")
    axes.set_xticks(places, list(groups))
    axes.margins(x=0.15)
    axes.set(ylabel=ylabel)
    axes.legend()
    return figure
