"""One system on one collection: measures with intervals, query by query.

Documents of equal score stand in the order of the collection, whatever the order in which a system returned them. A
query without a letter or a digit has no token: it is not asked, and counts 0, for any order of its documents would be
chance. A judged query that a system does not answer counts 0 as well.
"""

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from irworks.data import Collection, Run
from irworks.errors import ArgumentError
from irworks.metrics import evaluate_run, parse_measure
from irworks.retrieval import Retriever
from irworks.stats import Interval, bootstrap

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MEASURES", "Report", "answered", "checked_measures", "evaluate", "judged_queries", "label_of"]

# Those of the paper, under the names of ir-measures; the paper calls the first MRR@10.
MEASURES = ("RR@10", "nDCG@10", "R@10", "R@50", "R@100")
_TOKEN = re.compile(r"[^\W_]")


@dataclass(frozen=True, eq=False)
class Report:
    """What one system reached on one collection.

    Attributes:
        name: Of the system.
        collection: Name of the collection, with its split where it has one.
        measures: Their names, as they were asked for.
        per_query: A row a judged query, in the order of the judgements, a column a measure.
        intervals: {measure: mean with its 95% bootstrap interval over queries}.
        run: What was found, for the judged queries; equal scores in the order of the collection.
        seconds: Of searching, all queries together; None for a finished run.
        empty: Queries without a token; they count 0.
    """

    name: str
    collection: str
    measures: tuple[str, ...]
    per_query: "pd.DataFrame"
    intervals: Mapping[str, Interval]
    run: Run
    seconds: float | None = None
    empty: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Number of judged queries."""
        return len(self.per_query)

    def __getitem__(self, measure: str) -> Interval:
        """A measure's mean with its interval.

        Raises:
            KeyError: It was not measured.
        """
        return self.intervals[measure]

    @property
    def seconds_a_query(self) -> float | None:
        """Of searching; None where nothing was searched."""
        asked = len(self) - len(self.empty)
        return None if self.seconds is None or not asked else self.seconds / asked

    @cached_property
    def table(self) -> "pd.DataFrame":
        """A row a measure: mean, low, high."""
        import pandas as pd

        rows = [(one.estimate, one.low, one.high) for one in self.intervals.values()]
        return pd.DataFrame(rows, columns=["mean", "low", "high"], index=pd.Index(self.measures, name="measure"))

    def __repr__(self) -> str:
        searched = "" if self.seconds is None else f", {self.seconds:.2f} s"
        lines = [f"Report({self.name!r} on {self.collection!r}, {len(self):,} queries{searched})"]
        width = max(map(len, self.measures))
        lines += [f"  {measure:<{width}}  {self.intervals[measure]:.3f}" for measure in self.measures]
        return "\n".join(lines)


def evaluate(
    retriever: Retriever | Run,
    collection: Collection,
    measures: Sequence[str] = MEASURES,
    *,
    k: int = 100,
    name: str | None = None,
) -> Report:
    """Measure a system on the judged queries of a collection.

    Args:
        retriever: Anything with `search(queries, k)`, or a finished run, which is measured as deep as it is.
        collection: Documents, queries and judgements.
        measures: Names of ir-measures, such as "RR@10"; see `irworks.metrics.evaluate_run`.
        k: How many documents a query to search for.
        name: Of the system; by default that of the run.

    Raises:
        ArgumentError: Nothing is judged, or fewer than two queries are; a measure is unknown, stands twice, or looks
            deeper than k; the system answered other queries, or found documents that are not in the collection.
    """
    names = checked_measures(measures)
    judged = judged_queries(collection)
    empty = tuple(query for query in judged if not _TOKEN.search(collection.queries[query]))
    seconds = None
    if isinstance(retriever, Run):
        run = retriever
    else:
        _require_depth(names, k)
        asked = {query: collection.queries[query] for query in judged if query not in set(empty)}
        run, seconds = answered(retriever, asked, k)
    run = _settled(run, judged, empty, collection)
    values = evaluate_run(run, {query: collection.qrels[query] for query in judged}, names)
    return Report(
        run.name if name is None else name,
        label_of(collection),
        names,
        values,
        {one: bootstrap(values[one].to_numpy(), rng=np.random.default_rng(0)) for one in names},
        run,
        seconds,
        empty,
    )


def answered(retriever: Retriever, queries: Mapping[str, str], k: int) -> tuple[Run, float]:
    """What a retriever finds, and the seconds that it took once the first query had been asked.

    Raises:
        ArgumentError: It is no retriever, or answers what it was not asked.
    """
    if isinstance(retriever, type) or not isinstance(retriever, Retriever):
        raise ArgumentError(f"{retriever!r} cannot search; expected an object with search(queries, k), or a Run")
    # What a first search imports and prepares is no query's price.
    retriever.search(dict(list(queries.items())[:1]), k)
    begin = time.perf_counter()
    run = retriever.search(queries, k) if queries else Run.of({})
    seconds = time.perf_counter() - begin
    if strangers := set(run) - queries.keys():
        raise ArgumentError(f"{run.name}: searched for query {min(strangers)!r}, which it was not asked")
    return run, seconds


def judged_queries(collection: Collection) -> list[str]:
    """The queries that are judged, in the order of the judgements.

    Raises:
        ArgumentError: There are fewer than two, too few for an interval.
    """
    judged = [query for query, of in collection.qrels.items() if of]
    if not judged:
        raise ArgumentError(f"{label_of(collection)}: no query is judged; expected a collection with judgements")
    if len(judged) < 2:
        raise ArgumentError(f"{label_of(collection)}: one query is judged; an interval needs at least two")
    return judged


def label_of(collection: Collection) -> str:
    """Name of a collection for tables, with its split where it has one."""
    return f"{collection.name} ({collection.split})" if collection.split else collection.name


def checked_measures(measures: Sequence[str]) -> tuple[str, ...]:
    """The names of measures.

    Raises:
        ArgumentError: There is none, one is unknown, or one stands twice, perhaps under another name.
    """
    if isinstance(measures, str):
        raise ArgumentError(f"measures={measures!r}; expected a list of names")
    seen: dict[str, str] = {}
    for name in measures:
        kept = str(parse_measure(name))
        if kept in seen:
            raise ArgumentError(f"measures has {name!r} and {seen[kept]!r}, which are one; expected each once")
        seen[kept] = name
    if not seen:
        raise ArgumentError("measures is empty; expected at least one name")
    return tuple(measures)


def _require_depth(measures: Sequence[str], k: int) -> None:
    for name in measures:
        cutoff = parse_measure(name).cutoff
        if cutoff is not None and cutoff > k:
            raise ArgumentError(f"k={k}; {name} needs at least {cutoff}: raise k, or name other measures")


def _settled(run: Run, judged: Sequence[str], empty: Sequence[str], collection: Collection) -> Run:
    """A run of the judged queries alone, in their order; equal scores in the order of the collection."""
    if len(empty) < len(judged) and not any(query in run for query in judged):
        raise ArgumentError(
            f"{run.name}: none of its queries is judged in {label_of(collection)}; its first is "
            f"{next(iter(run), None)!r}, that of the judgements {judged[0]!r}"
        )
    if list(run) != list(judged) or empty:
        left_out = set(empty)
        run = Run.of({query: [] if query in left_out else run.get(query) for query in judged}, name=run.name)
    places = collection.docs.places
    place = np.array([places.get(doc, -1) for doc in run.docs.tolist()], dtype=np.int64)
    if (place < 0).any():
        stranger = run.docs[int((place < 0).argmax())]
        raise ArgumentError(f"{run.name}: found document {stranger!r}, which is not in {label_of(collection)}")
    owner = np.repeat(np.arange(len(run)), np.diff(run.offsets))
    order = np.lexsort((place, -run.scores, owner))
    return Run(run.queries, run.docs[order], run.scores[order], run.offsets, run.name)
