"""What systems lose when queries are typed in other ways: respelled, mistyped, run together, in Latin letters.

What was changed is known, since the changes are made here: `amharic_ir.text.perturb`.
"""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from amharic_ir.measure.evaluation import Report, answered, checked_measures, evaluate, judged_queries
from amharic_ir.text.perturb import PERTURBATIONS, perturb
from irworks.data import Collection, Run
from irworks.errors import ArgumentError
from irworks.metrics import parse_measure
from irworks.retrieval import Retriever
from irworks.runtime import progress
from irworks.stats import bootstrap

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Robustness", "robustness"]

Floats = NDArray[np.float64]
_TOP = 10


@dataclass(frozen=True, eq=False)
class Robustness:
    """What changes to the queries cost.

    Attributes:
        table: A row a (system, kind, p); the first of each system is of the queries as they are, kind "none", p 0.
            Columns: system, kind, p; "changed", the share of queries whose text is another; the measure; "low" and
            "high", its 95% bootstrap interval; "drop" from the queries as they are, "drop low" and "drop high", over
            queries paired; "same top 10", the share of queries with the same ten documents in the same order. Seeds
            are averaged for each query first.
        per_query: The measure: a row a (system, kind, p), as in `table`, a column a query.
        measure: Its name.
        collection: Name of the collection.
        seeds: Of the changes.
        examples: {kind: (a query, what the first seed made of it at the largest p)}.
    """

    table: "pd.DataFrame"
    per_query: "pd.DataFrame"
    measure: str
    collection: str
    seeds: tuple[int, ...]
    examples: Mapping[str, tuple[str, str]]

    @cached_property
    def drops(self) -> "pd.DataFrame":
        """The drop: a row a (system, kind), a column a p."""
        rows = self.table[self.table["kind"] != "none"]
        return rows.pivot_table(index=["system", "kind"], columns="p", values="drop", sort=False)

    def __repr__(self) -> str:
        title = f"Robustness({self.measure} on {self.collection!r}, {self.per_query.shape[1]:,} queries)"
        return f"{title}\n{self.table.to_string(index=False, float_format='{:.3f}'.format)}"

    def to_markdown(self, path: str | Path | None = None) -> str:
        """The table in Markdown; written to a file where one is named."""
        from amharic_ir.measure.robustness_page import robustness_markdown
        from amharic_ir.measure.texts import written

        return written(robustness_markdown(self), path)

    def to_csv(self, path: str | Path | None = None) -> str:
        """The table as it is; written to a file where one is named."""
        from amharic_ir.measure.texts import written

        return written(self.table.to_csv(index=False, lineterminator="\n"), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """One page in one file; written to a file where one is named.

        Raises:
            MissingDependencyError: jinja2 or matplotlib is not installed.
        """
        from amharic_ir.measure.robustness_page import robustness_page
        from amharic_ir.measure.texts import written

        return written(robustness_page(self), path)


def robustness(
    searchers: Retriever | Mapping[str, Retriever],
    collection: Collection,
    kinds: Sequence[str] = tuple(PERTURBATIONS),
    p: Sequence[float] = (0.25, 0.5, 1.0),
    *,
    seeds: Sequence[int] = (0, 1, 2),
    measure: str = "RR@10",
) -> Robustness:
    """Ask the queries of a collection again, typed in other ways.

    A query is changed by its id and the seed alone, the same way for every system, and whatever other queries there
    are. Only queries whose text is another are asked again.

    Args:
        searchers: A retriever, or several by name.
        collection: Its judged queries are asked.
        kinds: Of `amharic_ir.text.perturb.PERTURBATIONS`.
        p: Chances that a letter, word or space that could change does.
        seeds: Of the changes.
        measure: Name of ir-measures.

    Raises:
        ArgumentError: A kind or measure is unknown, p is no probability, something is empty or stands twice; or as
            `evaluate`.
    """
    named = dict(searchers) if isinstance(searchers, Mapping) else {"": searchers}
    (measure,) = checked_measures([measure])
    for what, given in (("searchers", named), ("kinds", kinds), ("p", p), ("seeds", seeds)):
        if isinstance(given, str) or not isinstance(given, Iterable):
            raise ArgumentError(f"{what}={given!r}; expected a list")
        _require_distinct(what, list(given))
    if unknown := [kind for kind in kinds if kind not in PERTURBATIONS]:
        raise ArgumentError(f"kind={unknown[0]!r}; expected one of: {', '.join(PERTURBATIONS)}")
    if wrong := [one for one in p if not 0 <= one <= 1]:
        raise ArgumentError(f"p={wrong[0]}; expected within [0, 1]")
    judged = judged_queries(collection)
    k = max(_TOP, parse_measure(measure).cutoff or 100)
    clean = {
        name: evaluate(searcher, collection, (measure,), k=k, name=name or None) for name, searcher in named.items()
    }
    ways = [("none", 0.0), *((kind, float(one)) for kind in kinds for one in p)]
    rows: list[dict[str, Any]] = []
    values: list[Floats] = []
    for kind, one in progress(ways, "ways to type"):
        typed = [_typed(collection, judged, kind, one, seed) for seed in (seeds if kind != "none" else seeds[:1])]
        for name, searcher in named.items():
            row, of_queries = _measured(searcher, collection, clean[name], typed)
            rows.append({"system": clean[name].name, "kind": kind, "p": one} | row)
            values.append(of_queries)
    return _gathered(
        rows, values, collection, judged, clean, tuple(seeds), _examples(collection, judged, kinds, p, seeds)
    )


def _gathered(
    rows: list[dict[str, Any]],
    values: list[Floats],
    collection: Collection,
    judged: Sequence[str],
    clean: Mapping[str, Report],
    seeds: tuple[int, ...],
    examples: Mapping[str, tuple[str, str]],
) -> Robustness:
    import pandas as pd

    first = next(iter(clean.values()))
    table = pd.DataFrame(rows)
    index = pd.MultiIndex.from_frame(table[["system", "kind", "p"]])
    per_query = pd.DataFrame(np.array(values), index=index, columns=pd.Index(judged, name="query"))
    order = table["system"].map({report.name: place for place, report in enumerate(clean.values())})
    rows_of_systems = np.argsort(order.to_numpy(), kind="stable")
    table = table.iloc[rows_of_systems].reset_index(drop=True)
    return Robustness(table, per_query.iloc[rows_of_systems], first.measures[0], first.collection, seeds, examples)


def _require_distinct(what: str, given: Sequence[object]) -> None:
    if not given or len(set(given)) < len(given):
        raise ArgumentError(f"{what} is {given}; expected at least one, each once")


def _typed(collection: Collection, queries: Sequence[str], kind: str, p: float, seed: int) -> dict[str, str]:
    """Queries as somebody else would have typed them; only those whose text is another."""
    if kind == "none":
        return {}
    changed = {query: perturb(collection.queries[query], kind, p, seed=_seed(seed, query)) for query in queries}
    return {query: text for query, text in changed.items() if text != collection.queries[query]}


def _seed(seed: int, query: str) -> int:
    return zlib.crc32(f"{seed} {query}".encode())


def _measured(
    searcher: Retriever, collection: Collection, clean: Report, typed: Sequence[Mapping[str, str]]
) -> tuple[dict[str, float], Floats]:
    """A row of the table, and the measure of each query, averaged over seeds: float64 [n_queries]."""
    (measure,) = clean.measures
    before = clean.per_query[measure].to_numpy()
    found = [_asked_again(searcher, collection, clean, texts) for texts in typed]
    # The mean of equal numbers can come out as another one; that of their differences from themselves is 0.
    lost: Floats = np.mean([before - values for values, _ in found], axis=0)
    after = before - lost
    same = np.mean([kept for _, kept in found])
    mean = bootstrap(after, rng=np.random.default_rng(0))
    drop = bootstrap(lost, rng=np.random.default_rng(0))
    row = {
        "changed": float(np.mean([len(texts) / len(before) for texts in typed])),
        measure: mean.estimate,
        "low": mean.low,
        "high": mean.high,
        "drop": drop.estimate,
        "drop low": drop.low,
        "drop high": drop.high,
        f"same top {_TOP}": float(same),
    }
    return row, after


def _asked_again(
    searcher: Retriever, collection: Collection, clean: Report, texts: Mapping[str, str]
) -> tuple[Floats, float]:
    """The measure of each query, and the share of queries with the same first documents."""
    if not texts:
        return clean.per_query[clean.measures[0]].to_numpy(), 1.0
    k = max(_TOP, parse_measure(clean.measures[0]).cutoff or 100)
    again, _ = answered(searcher, texts, k)
    joined = Run.of({query: again.get(query) if query in texts else clean.run[query] for query in clean.run})
    changed = Collection(collection.docs, {**collection.queries, **texts}, collection.qrels, collection.name)
    report = evaluate(joined, changed, clean.measures)
    same = [_first(report.run, query) == _first(clean.run, query) for query in clean.run]
    return report.per_query[clean.measures[0]].to_numpy(), float(np.mean(same))


def _first(run: Run, query: str) -> list[str]:
    return [doc for doc, _ in run[query][:_TOP]]


def _examples(
    collection: Collection, queries: Sequence[str], kinds: Sequence[str], p: Sequence[float], seeds: Sequence[int]
) -> dict[str, tuple[str, str]]:
    found = {}
    for kind in kinds:
        changed = _typed(collection, queries, kind, max(p), seeds[0])
        if changed:
            query = next(iter(changed))
            found[kind] = (collection.queries[query], changed[query])
    return found
