"""Several systems on the same queries: differences, tests corrected for their number, and one page of it all."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from amharic_ir.measure.evaluation import (
    MEASURES,
    Report,
    checked_measures,
    evaluate,
    judged_queries,
    label_of,
)
from amharic_ir.measure.paired import Difference, Test, checked_test, differences
from amharic_ir.measure.reported import reported_frame
from irworks.data import Collection, Documents, Run
from irworks.errors import ArgumentError
from irworks.retrieval import Retriever
from irworks.runtime import progress

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Leaderboard", "Standing", "System", "compare"]

# A recipe makes a retriever of documents: what is compared on several collections.
System = Retriever | Run | Report | Callable[[Documents], Retriever]


@dataclass(frozen=True, eq=False)
class Standing:
    """How systems stand on one collection.

    Attributes:
        collection: What they were measured on.
        reports: {system: report}, the best by the first measure first.
        against: {measure: the system that the others are compared with}.
        differences: {measure: {system: difference}}, without the system that they are compared with.
    """

    collection: Collection
    reports: Mapping[str, Report]
    against: Mapping[str, str]
    differences: Mapping[str, Mapping[str, Difference]]

    @property
    def name(self) -> str:
        """Of the collection, with its split where it has one."""
        return label_of(self.collection)

    @property
    def n_queries(self) -> int:
        """Number of judged queries."""
        return len(next(iter(self.reports.values())))

    def values(self, measure: str) -> "pd.DataFrame":
        """A row a judged query, a column a system."""
        import pandas as pd

        return pd.DataFrame({name: report.per_query[measure] for name, report in self.reports.items()})

    def differs(self, system: str, measure: str) -> bool:
        """Whether a system is told apart from the one that it is compared with: adjusted p below .05."""
        found = self.differences[measure].get(system)
        return found is not None and found.p_adjusted < 0.05


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """Systems measured side by side.

    Attributes:
        standings: One a collection.
        measures: Their names; systems are in the order of the first.
        baseline: The system that others are compared with; None: by each measure with the best.
        test: "permutation" or "t".
        k: How many documents a query were searched for.
        reported: Numbers of others, shown and never tested: a row a system.
    """

    standings: tuple[Standing, ...]
    measures: tuple[str, ...]
    baseline: str | None
    test: Test
    k: int
    reported: "pd.DataFrame"

    def __getitem__(self, collection: str) -> Standing:
        """The standing on one collection.

        Raises:
            KeyError: It is not among them.
        """
        return {standing.name: standing for standing in self.standings}[collection]

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row a system, the best first; with several collections a row a collection and system.

        Columns are (measure, statistic), so that `table["RR@10"]` is a frame of its own: mean, low, high, difference,
        difference low, difference high, p (adjusted). The difference is to the baseline, or to the best, where it and
        p are NaN. Beside these "seconds a query", NaN for finished runs.
        """
        import pandas as pd

        from amharic_ir.measure.texts import STATISTICS, statistics

        rows, index = [], []
        for standing in self.standings:
            for name, report in standing.reports.items():
                numbers = [number for measure in self.measures for number in statistics(standing, name, measure)]
                rows.append([*numbers, report.seconds_a_query])
                index.append((standing.name, name))
        columns = [(measure, statistic) for measure in self.measures for statistic in STATISTICS]
        columns.append(("seconds a query", ""))
        frame = pd.DataFrame(rows, columns=pd.MultiIndex.from_tuples(columns), dtype=float)
        frame.index = pd.MultiIndex.from_tuples(index, names=["collection", "system"])
        return frame.droplevel(0) if len(self.standings) == 1 else frame

    @cached_property
    def tests(self) -> "pd.DataFrame":
        """A row a comparison: collection, measure, system, against, difference, its interval, p, p adjusted, counts."""
        import pandas as pd

        rows = [
            {
                "collection": standing.name,
                "measure": measure,
                "system": name,
                "against": one.against,
                "difference": one.difference.estimate,
                "low": one.difference.low,
                "high": one.difference.high,
                "p": one.p_value,
                "p adjusted": one.p_adjusted,
                "better": one.better,
                "equal": one.equal,
                "worse": one.worse,
            }
            for standing in self.standings
            for measure, of_systems in standing.differences.items()
            for name, one in of_systems.items()
        ]
        return pd.DataFrame(rows)

    @cached_property
    def rows(self) -> "pd.DataFrame":
        """A row a collection, system and measure, those of others among them: `table` and `reported`, for machines."""
        from amharic_ir.measure.texts import board_rows

        return board_rows(self)

    def __repr__(self) -> str:
        from amharic_ir.measure.texts import board_text

        return board_text(self)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Tables in Markdown, and how to read them; written to a file where one is named."""
        from amharic_ir.measure.texts import board_markdown, written

        return written(board_markdown(self), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """`rows`; written to a file where one is named."""
        from amharic_ir.measure.texts import written

        return written(self.rows.to_csv(index=False, lineterminator="\n"), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """One page in one file: standings, figures, wins and losses, the hardest queries, how it was measured.

        Raises:
            MissingDependencyError: jinja2 or matplotlib is not installed.
        """
        from amharic_ir.measure.board_page import board_page
        from amharic_ir.measure.texts import written

        return written(board_page(self), path)


def compare(
    systems: Mapping[str, System] | Sequence[Report],
    collection: Collection | Sequence[Collection],
    measures: Sequence[str] = MEASURES,
    *,
    baseline: str | None = None,
    test: str = "permutation",
    k: int = 100,
    reported: "pd.DataFrame | Mapping[str, Mapping[str, float]] | None" = None,
) -> Leaderboard:
    """Measure systems on the same queries, and test their differences.

    By each measure every system is compared with the baseline, or with the best; p-values are corrected by Holm's
    method for all comparisons by that measure on that collection. The best is found on the very queries of the test:
    for a strict test, name a baseline beforehand.

    Args:
        systems: {name: a retriever, a finished run, or a report of `evaluate`}; or reports, under their own names. A
            recipe, which is a function from documents to a retriever such as `Searcher.build`, is made for each
            collection; on several collections all systems have to be recipes.
        collection: One, or several of different names.
        measures: As of `evaluate`.
        baseline: Name of the system to compare with; by default the best by each measure.
        test: "permutation" (random signs), or "t" (Student's paired test, the paper's).
        k: How many documents a query to search for.
        reported: Numbers of others, to be shown beside ours: {system: {measure: value}}, or a frame as of `published`.

    Raises:
        ArgumentError: There is no system, a name stands twice, the baseline is not among the systems, a report is of
            other queries or lacks a measure, a finished system is to be compared on several collections; or as
            `evaluate`.
    """
    named = _named(systems)
    several = [collection] if isinstance(collection, Collection) else list(collection)
    labels = [label_of(one) for one in several]
    if not several or len(set(labels)) < len(labels):
        raise ArgumentError(f"collections are {labels}; expected at least one, each under its own name")
    if baseline is not None and baseline not in named:
        raise ArgumentError(f"baseline={baseline!r}; expected one of the systems: {', '.join(named)}")
    names, kind = checked_measures(measures), checked_test(test)
    others = reported_frame(reported, names)
    _require_systems(named, len(several))
    work = [(one, name) for one in several for name in named]
    reports: dict[str, dict[str, Report]] = {label: {} for label in labels}
    for one, name in progress(work, "systems"):
        reports[label_of(one)][name] = _report(named[name], name, one, names, k)
    standings = tuple(_standing(one, reports[label_of(one)], names, baseline, kind) for one in several)
    return Leaderboard(standings, names, baseline, kind, k, others)


def _named(systems: Mapping[str, System] | Sequence[Report]) -> dict[str, System]:
    if isinstance(systems, Mapping):
        named = dict(systems)
    else:
        named = {}
        for report in systems:
            if not isinstance(report, Report):
                raise ArgumentError(f"systems holds {report!r}; expected {{name: system}}, or a list of reports")
            if report.name in named:
                raise ArgumentError(f"two reports are named {report.name!r}; expected each name once")
            named[report.name] = report
    if not named:
        raise ArgumentError("systems is empty; expected at least one")
    return named


def _require_systems(systems: Mapping[str, System], collections: int) -> None:
    for name, system in systems.items():
        finished = isinstance(system, (Run, Report, Retriever))
        if not finished and not callable(system):
            raise ArgumentError(f"{name} is {system!r}; expected a retriever, a run, a report, or a recipe")
        if finished and collections > 1:
            raise ArgumentError(
                f"{name}: a finished system belongs to one collection; for several, expected a function from "
                "documents to a retriever"
            )


def _report(system: System, name: str, collection: Collection, measures: tuple[str, ...], k: int) -> Report:
    if isinstance(system, Report):
        return _fitting(system, name, collection, measures)
    found = system if isinstance(system, (Run, Retriever)) else system(collection.docs)
    return evaluate(found, collection, measures, k=k, name=name)


def _fitting(report: Report, name: str, collection: Collection, measures: tuple[str, ...]) -> Report:
    """A report of the same queries, by the measures that are wanted."""
    if list(report.per_query.index) != judged_queries(collection):
        raise ArgumentError(
            f"{name}: the report is of other queries ({len(report):,}, on {report.collection}) than those judged in "
            f"{label_of(collection)}"
        )
    if missing := [measure for measure in measures if measure not in report.measures]:
        raise ArgumentError(f"{name}: the report lacks {missing[0]}; it has {', '.join(report.measures)}")
    return report


def _standing(
    collection: Collection, reports: Mapping[str, Report], measures: tuple[str, ...], baseline: str | None, test: Test
) -> Standing:
    def reached(name: str, measure: str) -> float:
        return reports[name][measure].estimate

    order = sorted(reports, key=lambda name: -reached(name, measures[0]))
    against = {measure: baseline or max(order, key=lambda name: reached(name, measure)) for measure in measures}
    found = {}
    for measure in measures:
        values = {name: reports[name].per_query[measure].to_numpy() for name in order}
        found[measure] = differences(values, against[measure], test)
    return Standing(collection, {name: reports[name] for name in order}, against, found)
