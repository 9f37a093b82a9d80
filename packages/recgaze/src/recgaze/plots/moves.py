"""Moves of the gaze: kinds, from where to where, as arrows; and the cursor beside it."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irworks.report.figures import canvas
from recgaze.plots.grid import places

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from recgaze.browse.estimates import Estimate

__all__ = ["cursor_figure", "flow_figure", "move_figure", "transition_figure"]

FloatArray = NDArray[np.float64]

_AXES = {
    "from_row": "from carousel",
    "to_row": "to carousel",
    "from_column": "from position",
    "to_column": "to position",
}


def move_figure(moves: "Estimate") -> "Figure":
    """Kinds of moves between looks with their intervals: `recgaze.browse.transitions`."""
    names = [str(one) for one in moves.axes[0][1]]
    order = np.argsort(moves.value)
    figure, axes = canvas(height=0.8 + 0.27 * len(names))
    places = np.arange(len(names))
    value, low, high = moves.value[order], moves.low[order], moves.high[order]
    reach = np.nan_to_num(np.abs(np.stack([value - low, high - value])))
    axes.barh(places, value, xerr=reach, height=0.68, error_kw={"linewidth": 1.0, "ecolor": "0.5", "capsize": 2})
    axes.set_yticks(places, [names[one] for one in order])
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set(xlabel="share of the moves")
    return figure


def transition_figure(moves: "Estimate") -> "Figure":
    """From where to where, a row or a column of the grid: `recgaze.browse.row_transitions` or `column_transitions`."""
    (first, source), (second, target) = moves.axes
    figure, axes = canvas(width=5.2, height=4.2)
    axes.grid(visible=False)
    mesh = axes.pcolormesh(np.ma.masked_invalid(moves.value), vmin=0)
    axes.invert_yaxis()
    axes.set_xticks(np.arange(len(target)) + 0.5, [str(one) for one in target])
    axes.set_yticks(np.arange(len(source)) + 0.5, [str(one) for one in source])
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel=_AXES.get(second, second), ylabel=_AXES.get(first, first))
    figure.colorbar(mesh, label="share of the moves from there", format=lambda value, _: f"{value:.0%}")
    return figure


def flow_figure(pairs: "pd.DataFrame", rows: int, columns: int, *, visible: int, top: int = 60) -> "Figure":
    """The most frequent moves as arrows over the grid: `recgaze.browse.aoi_transitions`.

    Args:
        pairs: `from_row, from_column, to_row, to_column, value`, the most frequent first; column 0 is the heading.
        rows: Carousels.
        columns: Positions of a carousel.
        visible: Posters of a carousel that are visible at a time.
        top: Number of arrows.
    """
    from matplotlib.patches import FancyArrowPatch

    figure, axes = canvas(1.4 + 0.46 * columns, 0.9 + 0.4 * rows)
    axes.grid(visible=False)
    across = np.concatenate(([-0.6], places(columns, visible)))
    for place in across[1:]:
        axes.scatter(np.full(rows, place), np.arange(rows) + 0.5, s=5, color="0.5", alpha=0.6)
    shown = pairs.head(top)
    value = shown["value"].to_numpy(dtype=np.float64)
    ends = [shown[name].to_numpy(dtype=np.int64) for name in ("from_row", "from_column", "to_row", "to_column")]
    size = np.sqrt(value / value.max()) if len(value) else value
    for row, column, to_row, to_column, weight in zip(*ends, size, strict=True):
        axes.add_patch(
            FancyArrowPatch(
                (across[column], row - 0.5),
                (across[to_column], to_row - 0.5),
                connectionstyle="arc3,rad=-0.25",
                arrowstyle="-|>",
                mutation_scale=4 + 6 * weight,
                linewidth=0.4 + 2.4 * weight,
                color="C0",
                alpha=0.35 + 0.6 * weight,
                shrinkA=2,
                shrinkB=2,
            )
        )
    axes.set_xticks(across, ["heading", *(str(one) for one in range(1, columns + 1))])
    axes.set_yticks(np.arange(rows) + 0.5, [str(one) for one in range(1, rows + 1)])
    axes.set(xlabel="position", ylabel="carousel", xlim=(-1.2, across[-1] + 0.8), ylim=(rows, 0))
    return figure


def cursor_figure(agreement: "Estimate", rows: "Estimate | None" = None) -> "Figure":
    """How often the cursor is where the gaze is, by time before the click: `recgaze.browse.cursor_agreement`.

    Args:
        agreement: Of areas.
        rows: Of carousels.
    """
    figure, axes = canvas(height=3.0)
    for estimate, name in ((agreement, "same area"), (rows, "same carousel")):
        if estimate is None:
            continue
        time = np.asarray(estimate.axes[0][1], dtype=np.float64)
        (line,) = axes.plot(time, estimate.value, label=name)
        axes.fill_between(time, estimate.low, estimate.high, alpha=0.2, color=line.get_color(), linewidth=0)
    axes.invert_xaxis()
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axes.set(xlabel="seconds before the click", ylabel="cursor where the gaze is", ylim=(0, None))
    axes.legend()
    return figure
