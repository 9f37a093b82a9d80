"""Figures of the pages, as SVG."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from amharic_ir.measure.reported import reported_on

if TYPE_CHECKING:
    from amharic_ir.measure.comparison import Leaderboard, Standing
    from amharic_ir.measure.robustness import Robustness

__all__ = ["intervals_svg", "robustness_svg"]

_ACROSS = 3


def intervals_svg(board: "Leaderboard", standing: "Standing", prefix: str) -> str:
    """A panel a measure: the mean of each system with its interval, and hollow what others reported of it."""
    from matplotlib.figure import Figure

    from irworks.report import figure_to_svg
    from irworks.report.style import PALETTE, context

    others = reported_on(board.reported, standing.collection)
    names = [*standing.reports, *(f"{name} [{row['mark']}]" for name, row in others.iterrows())]
    down, across = _shape(len(board.measures))
    with context():
        figure = Figure(figsize=(2.6 * across + 1.5, down * (0.9 + 0.24 * len(names))), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False, sharey=True)
        for axes, measure in zip(panels.flat, board.measures, strict=False):
            for place, report in enumerate(standing.reports.values()):
                mean = report[measure]
                reach = [[mean.estimate - mean.low], [mean.high - mean.estimate]]
                axes.errorbar(mean.estimate, place, xerr=reach, fmt="o", markersize=4, capsize=2, color=PALETTE[0])
            for place, value in enumerate(others[measure], start=len(standing.reports)):
                if not math.isnan(value):
                    axes.plot(value, place, marker="D", markersize=4, fillstyle="none", color=PALETTE[5])
            axes.set_title(measure)
            axes.set_yticks(range(len(names)), names)
            axes.set_ylim(len(names) - 0.5, -0.5)
        _hide_rest(list(panels.flat), len(board.measures))
        return figure_to_svg(figure, prefix)


def robustness_svg(found: "Robustness", prefix: str) -> str:
    """A panel a kind: the measure by how much was changed, a line a system."""
    from matplotlib.figure import Figure

    from irworks.report import figure_to_svg
    from irworks.report.style import context

    systems = list(dict.fromkeys(found.table["system"]))
    kinds = [kind for kind in dict.fromkeys(found.table["kind"]) if kind != "none"]
    down, across = _shape(len(kinds))
    with context():
        figure = Figure(figsize=(2.3 * across + 1, 1.9 * down + 0.6), layout="constrained")
        panels = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for axes, kind in zip(panels.flat, kinds, strict=False):
            for system in systems:
                of_system = found.table[found.table["system"] == system]
                line = of_system[of_system["kind"].isin(["none", kind])].sort_values("p")
                axes.plot(line["p"], line[found.measure], marker="o", markersize=3, label=system)
            axes.set_title(kind)
        _hide_rest(list(panels.flat), len(kinds))
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=min(4, len(systems)))
        figure.supxlabel("chance of a change", fontsize="medium")
        figure.supylabel(found.measure, fontsize="medium")
        return figure_to_svg(figure, prefix)


def _shape(panels: int) -> tuple[int, int]:
    """Rows and columns of panels."""
    across = min(_ACROSS if panels != 8 else 4, panels)
    return math.ceil(panels / across), across


def _hide_rest(panels: Sequence[object], used: int) -> None:
    for axes in panels[used:]:
        axes.set_visible(False)  # type: ignore[attr-defined]
