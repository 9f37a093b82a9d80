"""The page of a leaderboard."""

from typing import TYPE_CHECKING

from amharic_ir.measure.figures import intervals_svg
from amharic_ir.measure.texts import TESTS, foot, grid, short
from irworks.report import Section, page

if TYPE_CHECKING:
    import pandas as pd

    from amharic_ir.measure.comparison import Leaderboard, Standing

__all__ = ["board_page"]

_HARDEST = 10
# So many systems have a column each in the table of queries.
_WIDE = 6


def board_page(board: "Leaderboard") -> str:
    """The page as HTML: the same leaderboard gives the same bytes."""
    sections = [_overview(board)] if len(board.standings) > 1 else []
    for number, standing in enumerate(board.standings):
        head = f"{standing.name}: " if len(board.standings) > 1 else ""
        sections += [
            Section(
                f"{head}standings",
                figure_svg=intervals_svg(board, standing, f"board-{number}"),
                caption="Means with 95% bootstrap intervals over queries; hollow: what others reported.",
                table=grid(board, standing, intervals=True),
                note=foot(board),
            ),
            _wins(board, standing, head),
            _hardest(board, standing, head),
        ]
    tested = board.tests
    if len(tested):
        about = (
            f"Each system against {'the best by that measure' if board.baseline is None else board.baseline}. "
            "p adjusted is Holm's, over all comparisons by one measure on one collection; intervals are not corrected. "
            "better, equal and worse count queries."
        )
        sections.append(Section("Differences", about, table=_plain(tested, len(board.standings))))
    sections += [*_others(board), Section("How it was measured", _how(board))]
    queries = ", ".join(f"{one.n_queries:,} queries of {one.name}" for one in board.standings)
    lead = f"{len(board.standings[0].reports)} systems by {', '.join(board.measures)}, on {queries}."
    return page(title="Leaderboard", lead=lead, sections=sections, footer="Made by amharic-ir.")


def _overview(board: "Leaderboard") -> Section:
    import pandas as pd

    first = board.measures[0]
    means = {
        one.name: pd.Series({name: report[first].estimate for name, report in one.reports.items()})
        for one in board.standings
    }
    frame = pd.DataFrame(means).rename_axis("system")
    return Section(
        "All collections", f"{first} of each system.", table=frame.sort_values(board.standings[0].name, ascending=False)
    )


def _wins(board: "Leaderboard", standing: "Standing", head: str) -> Section:
    import pandas as pd

    first = board.measures[0]
    against = standing.against[first]
    values = standing.values(first)
    rows = []
    for name, one in standing.differences[first].items():
        gain = values[name] - values[against]
        row = {"system": name, "better": one.better, "equal": one.equal, "worse": one.worse}
        row["gains most on"] = _query(standing, str(gain.idxmax())) if one.better else ""
        row["loses most on"] = _query(standing, str(gain.idxmin())) if one.worse else ""
        rows.append(row)
    text = f"Queries by {first}, against {against}." if rows else "There is one system."
    return Section(f"{head}wins and losses", text, table=pd.DataFrame(rows) if rows else None)


def _hardest(board: "Leaderboard", standing: "Standing", head: str) -> Section:
    values = standing.values(board.measures[0])
    means = values.mean(axis=1)
    hard = means[means < 1].sort_values(kind="stable").head(_HARDEST)
    if hard.empty:
        return Section(f"{head}hardest queries", "Every system answers every query perfectly.")
    return Section(
        f"{head}hardest queries",
        f"The lowest {board.measures[0]}, averaged over the systems; and a document that is relevant.",
        table=_query_table(standing, values, list(hard.index)),
    )


def _query_table(standing: "Standing", values: "pd.DataFrame", queries: list[str]) -> "pd.DataFrame":
    import pandas as pd

    rows = []
    for query in queries:
        row: dict[str, object] = {"id": query, "query": short(standing.collection.queries[query])}
        reached = dict(zip(map(str, values), values.loc[query].to_numpy(dtype=float).tolist(), strict=True))
        row["mean"] = sum(reached.values()) / len(reached)
        if len(reached) <= _WIDE:
            row |= reached
        judged = standing.collection.qrels[query]
        doc = max(judged, key=lambda one: judged[one])
        row["relevant"] = short(standing.collection.docs[doc]) if judged[doc] > 0 else "(none)"
        rows.append(row)
    return pd.DataFrame(rows)


def _query(standing: "Standing", query: str) -> str:
    return short(standing.collection.queries[query], 60)


def _plain(tested: "pd.DataFrame", collections: int) -> "pd.DataFrame":
    return tested if collections > 1 else tested.drop(columns="collection")


def _others(board: "Leaderboard") -> list[Section]:
    if board.reported.empty:
        return []
    text = (
        "As it was reported: not measured here, nor tested. Where the collection, its queries or its cleaning are not "
        "the same, it compares with nothing above."
    )
    measured = [one for one in board.measures if board.reported[one].notna().any()]
    return [Section("What others reported", text, table=board.reported[["mark", "collection", *measured, "source"]])]


def _how(board: "Leaderboard") -> str:
    empty = sum(len(next(iter(one.reports.values())).empty) for one in board.standings)
    test = {
        "permutation": "10,000 random signs of the differences, seed 0; all signs where at most 14 queries differ",
        "t": "Student's t over the differences",
    }[board.test]
    other = (
        "By each measure the best system is the one that others are compared with. It was found on the same queries, "
        "which favours it; a baseline that is named beforehand avoids that."
        if board.baseline is None
        else f"The baseline is {board.baseline}."
    )
    return "\n\n".join(
        [
            f"Measures are those of ir-measures. Systems were asked for {board.k} documents a query; finished runs are "
            "measured as deep as they are. Documents without a judgement count as not relevant.",
            "Documents of equal score stand in the order of the collection. A query that a system does not answer "
            f"counts 0, and so does one without a letter or digit, of which there are {empty}.",
            f"Test: {TESTS[board.test]}, two-sided ({test}); p-values corrected by Holm's method. {other}",
            "Intervals: percentile bootstrap over queries, 2,000 samples, 95%, seed 0. Seconds are those of searching "
            "all queries in one call, once the first had been asked alone, divided by their number.",
        ]
    )
