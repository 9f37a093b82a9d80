"""The leaderboard as one self-contained page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irworks.report.page import Section, page
from irworks.runtime import atomic_write

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["write_page"]

LEAD = (
    "Each row is an algorithm after all requests, the mean over seeds. Read it beside its controls: the untouched "
    "model, and models trained again from several seeds, which differ among themselves by the floor. Where the "
    "untouched model lies within that noise, nothing can be told, and the verdict says so."
)


def write_page(board: "pd.DataFrame", rows: Sequence[dict[str, Any]], failed: Sequence[str], path: str | Path) -> None:
    """Write the page: for each model and scenario a table, and a figure of cost against agreement.

    Args:
        board: As `rec_unlearn.bench.run.leaderboard` returns.
        rows: What it was made from, for what could not be run.
        failed: A sentence a cell that failed.
        path: Of the page.
    """
    from irworks.report.style import context, figure_to_svg

    sections = []
    with context():
        for (model, scenario), table in board.groupby(["model", "scenario"], sort=False) if len(board) else ():
            shown = table.drop(columns=["model", "scenario"]).dropna(axis="columns", how="all")
            sections.append(
                Section(
                    f"{model}: {scenario}",
                    figure_svg=figure_to_svg(_pareto(table)),
                    caption=(
                        "Agreement with the model trained again, by the processor time of a request; the line is the "
                        "agreement of two models trained again."
                    ),
                    table=shown.round(4),
                    note=_missing(rows, str(model), str(scenario)),
                )
            )
    if failed:
        sections.append(Section("Cells that failed", text="\n\n".join(failed)))
    text = page(title="Unlearning in recommenders: leaderboard", lead=LEAD, sections=sections)
    with atomic_write(path, mode="w") as handle:
        handle.write(text)


def _missing(rows: Sequence[dict[str, Any]], model: str, scenario: str) -> str:
    found = {
        f"{row['label']}: {row['not_applicable']}."
        for row in rows
        if "not_applicable" in row and (row["model"], row["scenario"]) == (model, scenario)
    }
    return " ".join(sorted(found))


def _pareto(table: "pd.DataFrame") -> "Figure":
    from irworks.report.figures import canvas

    figure, axes = canvas()
    for _, row in table.iterrows():
        seconds = max(float(row["s a request"]), 1e-4)
        axes.scatter(seconds, row["overlap"])
        axes.annotate(str(row["algorithm"]), (seconds, row["overlap"]), xytext=(4, 4), textcoords="offset points")
    axes.axhline(float(table["floor"].mean()), linestyle="--", linewidth=1)
    axes.set(xscale="log", xlabel="processor seconds a request", ylabel="overlap@10")
    return figure
