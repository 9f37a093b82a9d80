"""Leaderboards in plain text, Markdown and rows."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

from amharic_ir.measure.reported import reported_on
from irworks.runtime import atomic_write

if TYPE_CHECKING:
    import pandas as pd

    from amharic_ir.measure.comparison import Leaderboard, Standing

__all__ = [
    "STATISTICS",
    "TESTS",
    "board_markdown",
    "board_rows",
    "board_text",
    "foot",
    "grid",
    "markdown_table",
    "short",
    "statistics",
    "written",
]

STATISTICS = ("mean", "low", "high", "difference", "difference low", "difference high", "p")
TESTS = {"permutation": "paired permutation test", "t": "paired t-test"}


def written(text: str, path: str | Path | None) -> str:
    """The text itself; in a file too, whole or not at all, where one is named."""
    if path is not None:
        with atomic_write(path) as handle:
            handle.write(text)
    return text


def statistics(standing: "Standing", system: str, measure: str) -> list[float]:
    """What `STATISTICS` names, of one system by one measure."""
    mean = standing.reports[system][measure]
    one = standing.differences[measure].get(system)
    if one is None:
        return [mean.estimate, mean.low, mean.high, *[math.nan] * 4]
    gain = one.difference
    return [mean.estimate, mean.low, mean.high, gain.estimate, gain.low, gain.high, one.p_adjusted]


def foot(board: "Leaderboard") -> str:
    """What the star means, and the intervals."""
    if all(len(standing.reports) == 1 for standing in board.standings):
        return "Intervals are 95%."
    other = "the best" if board.baseline is None else board.baseline
    return f"* differs from {other}: {TESTS[board.test]}, p < .05 after Holm's correction. Intervals are 95%."


def grid(board: "Leaderboard", standing: "Standing", *, intervals: bool) -> "pd.DataFrame":
    """Cells as text, a row a system, below them what others reported: system, the measures, milliseconds a query."""
    import pandas as pd

    rows = []
    for name, report in standing.reports.items():
        row = {"system": name}
        for measure in board.measures:
            mean = report[measure]
            star = "*" if standing.differs(name, measure) else ""
            row[measure] = f"{mean:.3f}{star}" if intervals else f"{mean.estimate:.3f}{star}"
        seconds = report.seconds_a_query
        rows.append(row | {"ms a query": "" if seconds is None else f"{1000 * seconds:.2f}"})
    frame = pd.concat([pd.DataFrame(rows), _of_others(board, reported_on(board.reported, standing.collection))])
    return frame.fillna("") if (frame["ms a query"].fillna("") != "").any() else frame.drop(columns="ms a query")


def _of_others(board: "Leaderboard", rows: "pd.DataFrame") -> "pd.DataFrame":
    """Cells as text: system with its mark, and the measures."""
    import pandas as pd

    cells = pd.DataFrame({"system": [f"{name} [{mark}]" for name, mark in rows["mark"].items()]}, dtype=object)
    for measure in board.measures:
        cells[measure] = ["" if math.isnan(value) else f"{value:.3f}" for value in rows[measure]]
    return cells


def _elsewhere(board: "Leaderboard") -> "dict[str, pd.DataFrame]":
    """What others reported on collections that are not compared here."""
    here = {name for one in board.standings for name in reported_on(board.reported, one.collection)["collection"]}
    found = {}
    for name, rows in board.reported.groupby("collection", sort=False):
        if name in ("", *here):
            continue
        cells = _of_others(board, rows)
        found[str(name)] = cells.loc[:, (cells != "").any()]
    return found


def board_text(board: "Leaderboard") -> str:
    """For a terminal."""
    lines = []
    for standing in board.standings:
        lines.append(f"{standing.name}: {standing.n_queries:,} queries, {len(standing.collection.docs):,} documents")
        lines += [*_aligned(grid(board, standing, intervals=False)), ""]
    for name, cells in _elsewhere(board).items():
        lines += [f"Reported on another collection, {name}", *_aligned(cells), ""]
    return "\n".join([*lines, foot(board)])


def _aligned(cells: "pd.DataFrame") -> list[str]:
    """Lines of a table; the first column is set left, the others right."""
    widths = [max(len(str(column)), *cells[column].map(len)) for column in cells]
    lines = []
    for first, *others in (list(map(str, cells)), *cells.itertuples(index=False)):
        padded = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([f"  {first:<{widths[0]}}", *padded]).rstrip())
    return lines


def board_markdown(board: "Leaderboard") -> str:
    """For a README."""
    parts = []
    for standing in board.standings:
        parts.append(f"**{_escaped(standing.name)}**: {standing.n_queries:,} queries\n")
        parts.append(markdown_table(grid(board, standing, intervals=True)) + "\n")
    for name, cells in _elsewhere(board).items():
        parts += [f"Reported on another collection, {_escaped(name)}:\n", markdown_table(cells) + "\n"]
    return "\n".join([*parts, _escaped(foot(board)), ""])


def markdown_table(frame: "pd.DataFrame") -> str:
    """A frame of text as a table in Markdown; the first column is set left, the others right."""
    columns = list(map(str, frame))
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)]]
    lines += [[_escaped(str(cell)) for cell in row] for row in frame.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("\n", " ")


def board_rows(board: "Leaderboard") -> "pd.DataFrame":
    """A row a collection, system and measure."""
    import pandas as pd

    rows: list[dict[str, object]] = []
    for standing in board.standings:
        for name, report in standing.reports.items():
            for measure in board.measures:
                row = {"collection": standing.name, "system": name, "mark": "measured", "measure": measure}
                numbers = dict(zip(STATISTICS, statistics(standing, name, measure), strict=True))
                facts = {"against": standing.against[measure], "queries": len(report)}
                rows.append(row | numbers | facts | {"seconds a query": report.seconds_a_query})
    for reported in board.reported.reset_index().to_dict("records"):
        facts = {name: reported[name] for name in ("collection", "system", "mark", "source")}
        rows += [
            facts | {"measure": measure, "mean": reported[measure]}
            for measure in board.measures
            if not math.isnan(reported[measure])
        ]
    columns = ["collection", "system", "mark", "measure", *STATISTICS, "against", "queries", "seconds a query"]
    return pd.DataFrame(rows).reindex(columns=[*columns, "source"])


def short(text: str, width: int = 90) -> str:
    """A text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= width else f"{line[: width - 1]}…"
