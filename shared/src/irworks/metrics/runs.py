"""Measures of runs against judgements."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from irworks.data.runs import Run
from irworks.errors import ArgumentError
from irworks.metrics.names import parse_measure
from irworks.metrics.ranked import Empty, Ranked, Ties, measure

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Qrels", "evaluate_run"]

# {query: {document: label}}.
Qrels = Mapping[str, Mapping[str, int]]


def evaluate_run(
    run: Run,
    qrels: Qrels,
    measures: Sequence[str] = ("nDCG@10", "RR@10", "R@100"),
    *,
    ties: Ties = "order",
    empty: Empty = "zero",
) -> "pd.DataFrame":
    """Measure a run, query by query.

    Documents without a judgement count as not relevant; judged ones that were not found count in recall, average
    precision and the ideal of nDCG. A judged query that the run does not have has the value of one that found nothing.
    With ties="order" and a run without ties the values are those of ir-measures.

    Args:
        run: What was found.
        qrels: {query: {document: label}}; queries of the run that are not in it are left out.
        measures: Names such as "nDCG@10", "RR@10", "R@100", "AP"; see `evaluate`.
        ties: "order": as the run has them; "average": the mean over all orders of documents with equal scores.
        empty: Value of a query without a relevant document: "zero", as trec_eval, or "skip" for NaN.

    Returns:
        A row a query of `qrels`, in its order, a column a measure.

    Raises:
        ArgumentError: A name is unknown, or no query of the run is judged.
    """
    import pandas as pd

    wanted = [parse_measure(name) for name in measures]
    queries = [str(query) for query in qrels]
    if not any(query in run for query in queries):
        raise ArgumentError(
            f"none of the {len(run)} queries of run {run.name!r} is judged; the first is {next(iter(run), None)!r}, "
            f"that of the judgements {next(iter(queries), None)!r}"
        )
    labels: list[float] = []
    scores: list[float] = []
    found, known = [], []
    every: list[float] = []
    for query, judged in zip(queries, qrels.values(), strict=True):
        ranking = run.get(query)
        labels += [judged.get(doc, 0) for doc, _ in ranking]
        scores += [score for _, score in ranking]
        every += judged.values()
        found.append(len(ranking))
        known.append(len(judged))
    ranked = Ranked.by_score(
        np.array(scores, dtype=np.float64), np.array(labels, dtype=np.float64), _offsets(found), ties
    )
    pool = np.array(every, dtype=np.float64)
    all_known = Ranked.by_score(pool, pool, _offsets(known), "order")
    values = {name: measure(ranked, one, empty, all_known) for name, one in zip(measures, wanted, strict=True)}
    return pd.DataFrame(values, index=pd.Index(queries, name="query"))


def _offsets(sizes: Sequence[int]) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    return np.append(0, np.cumsum(np.array(sizes, dtype=np.int64))).astype(np.int64)
