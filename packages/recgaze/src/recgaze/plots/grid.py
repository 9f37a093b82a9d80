"""Maps of the grid: a number for every poster."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from irworks.report.figures import canvas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from recgaze.impressions import Impressions
    from recgaze.visits import Visits

__all__ = ["dwell_figure", "examination_figure", "first_fixation_figure", "heatmap_figure", "places"]

FloatArray = NDArray[np.float64]

# Between swipe pages, in posters.
_GAP = 0.35


def heatmap_figure(
    values: ArrayLike,
    *,
    visible: int,
    label: str,
    spec: str = ".0%",
    annotate: bool = True,
) -> "Figure":
    """A number for every poster, swipe pages apart.

    Args:
        values: float [R, C]; NaN stays empty.
        visible: Posters of a carousel that are visible at a time.
        label: What the numbers are.
        spec: How a number is written.
        annotate: Whether it stands in its cell.

    Raises:
        ArgumentError: Another shape, or pages that do not divide the columns.
    """
    grid = np.asarray(values, dtype=np.float64)
    if grid.ndim != 2 or not grid.size or visible < 1 or grid.shape[1] % visible:
        raise ArgumentError(f"values has shape {grid.shape}; expected [rows, columns] with pages of {visible} columns")
    rows, columns = grid.shape
    figure, axes = canvas(max(4.0, 1.4 + 0.46 * columns), 0.9 + 0.33 * rows)
    axes.grid(visible=False)
    top = float(np.nanmax(grid)) if np.isfinite(grid).any() else 1.0
    for start in range(0, columns, visible):
        left = start + _GAP * (start // visible)
        edges = np.arange(visible + 1) + left
        # Lines in the colour of nothing: the cells of a page stand apart on any background.
        mesh = axes.pcolormesh(
            edges, np.arange(rows + 1), grid[:, start : start + visible], vmin=0, vmax=top if top > 0 else 1.0
        )
    if annotate:
        _write(axes, grid, visible, top, spec)
    axes.set_xticks(places(columns, visible), [str(one) for one in range(1, columns + 1)])
    axes.set_yticks(np.arange(rows) + 0.5, [str(one) for one in range(1, rows + 1)])
    axes.tick_params(length=0)
    axes.invert_yaxis()
    axes.spines[:].set_visible(False)
    axes.set(xlabel="position (swipe pages apart)" if columns > visible else "position", ylabel="carousel")
    figure.colorbar(mesh, label=label, format=lambda value, _: f"{value:{spec}}", pad=0.02)
    return figure


def examination_figure(impressions: "Impressions") -> "Figure":
    """Share of the screens on which each poster was looked at."""
    return heatmap_figure(
        impressions.examined.mean(axis=0), visible=impressions.visible, label="screens on which it was looked at"
    )


def dwell_figure(impressions: "Impressions") -> "Figure":
    """Share of the time on posters that went to each."""
    dwell = impressions.dwell.astype(np.float64).sum(axis=0)
    total = float(dwell.sum())
    return heatmap_figure(
        dwell / total if total > 0 else dwell,
        visible=impressions.visible,
        label="share of the time on posters",
        spec=".1%",
    )


def first_fixation_figure(fixations: "Visits", rows: int, columns: int, visible: int) -> "Figure":
    """Where the first fixation on a poster fell, as a share of the screens.

    Args:
        fixations: Of gaze.
        rows: Carousels of a screen.
        columns: Positions of a carousel.
        visible: Posters of a carousel that are visible at a time.
    """
    posters = fixations.where(fixations.on_poster)
    first = posters.where(posters.starts)
    cell = (first.row.astype(np.int64) - 1) * columns + first.column - 1
    counts = np.bincount(cell, minlength=rows * columns).reshape(rows, columns)
    share = counts / max(int(counts.sum()), 1)
    return heatmap_figure(share, visible=visible, label="first fixations", spec=".1%")


def places(columns: int, visible: int) -> FloatArray:
    """Middle of each position, pages apart."""
    column = np.arange(columns)
    return np.asarray(column + _GAP * (column // visible) + 0.5)


def _write(axes: "Axes", grid: FloatArray, visible: int, top: float, spec: str) -> None:
    """Numbers in their cells, dark on bright ones and bright on dark ones, whatever the page is."""
    across = places(grid.shape[1], visible)
    for (row, column), value in np.ndenumerate(grid):
        if np.isfinite(value):
            colour = "#ffffff" if value < 0.55 * top else "#000000"
            text = f"{value:{spec}}".removesuffix("%")
            axes.text(float(across[column]), row + 0.5, text, color=colour, fontsize=7, ha="center", va="center")
