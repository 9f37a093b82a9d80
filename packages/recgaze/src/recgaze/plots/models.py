"""Models side by side."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.report.figures import canvas

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["examination_curves_figure", "model_figure"]

FloatArray = NDArray[np.float64]


def model_figure(table: "pd.DataFrame") -> "Figure":
    """Models by held-out log-likelihood, relative to the first: the frame of `recgaze.models.compare`.

    Args:
        table: Index `model`; columns `difference, difference_low, difference_high`, NaN for the baseline.
    """
    names = [str(name) for name in table.index]
    places = np.arange(len(names))[::-1]
    middle = table["difference"].to_numpy(dtype=np.float64)
    ends = table[["difference_low", "difference_high"]].to_numpy(dtype=np.float64).T
    reach = np.nan_to_num(np.abs(np.stack([middle - ends[0], ends[1] - middle])))
    figure, axes = canvas(height=0.9 + 0.42 * len(names))
    axes.axvline(0, color="0.5", linewidth=0.8, linestyle="--")
    axes.errorbar(np.nan_to_num(middle), places, xerr=reach, fmt="o", markersize=5, capsize=3)
    axes.set_yticks(places, names)
    baseline = next((name for name, value in zip(names, middle, strict=True) if np.isnan(value)), "the first")
    axes.set(xlabel=f"held-out log-likelihood a cell, minus that of {baseline}", ylim=(-0.6, len(names) - 0.4))
    return figure


def examination_curves_figure(maps: Mapping[str, ArrayLike], observed: ArrayLike | None = None) -> "Figure":
    """Examination by carousel and by position, as models see it, each relative to its largest value.

    Click models know examination up to a factor only, so that only shapes can be compared.

    Args:
        maps: Name to float [R, C], such as `examination_` of fitted models.
        observed: float [R, C], by gaze.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.4, 3.2))
    sides = figure.subplots(1, 2, sharey=True)
    for axis, side, name in ((1, sides[0], "carousel"), (0, sides[1], "position")):
        if observed is not None:
            curve = _curve(observed, axis)
            side.plot(np.arange(1, len(curve) + 1), curve, color="0.5", linewidth=4, alpha=0.5, label="gaze")
        for label, values in maps.items():
            curve = _curve(values, axis)
            side.plot(np.arange(1, len(curve) + 1), curve, marker="o", markersize=3, linewidth=1.3, label=label)
        side.set(xlabel=name, ylim=(0, None))
        # Whole numbers, not all of them.
        side.set_xticks(np.arange(1, len(curve) + 1, -(-len(curve) // 8)))
    sides[0].set_ylabel("mean examination,\nrelative to the largest")
    sides[1].legend()
    return figure


def _curve(values: ArrayLike, axis: int) -> FloatArray:
    import warnings

    with warnings.catch_warnings():
        # A row at which nothing was shown has no mean, and no point in the figure.
        warnings.simplefilter("ignore", RuntimeWarning)
        curve = np.nanmean(np.asarray(values, dtype=np.float64), axis=axis)
    most = np.nanmax(curve) if np.isfinite(curve).any() else 1.0
    return np.asarray(curve / most if most > 0 else curve)
