"""Measures of a flat table of documents, as `RankingDataset` has it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from irworks.metrics.names import Measure, parse_measure
from irworks.metrics.ranked import Empty, Ranked, Ties, measure

__all__ = ["checked", "evaluate", "mean", "per_query"]

_DOCS_AT_ONCE = 1 << 20


def evaluate(
    scores: ArrayLike,
    labels: ArrayLike,
    offsets: ArrayLike,
    measures: Sequence[str] = ("nDCG@10",),
    *,
    ties: Ties = "average",
    empty: Empty = "zero",
) -> dict[str, NDArray[np.float64]]:
    """Measure rankings by score, query by query.

    ```python
    values = evaluate(model(data.features), data.labels, data.offsets, ["nDCG@10", "RR@10"])
    mean(values)["nDCG@10"]
    ```

    All documents of a query count as retrieved and judged. Without ties the values are those of ir-measures.

    Args:
        scores: [n_docs], larger is better; infinities are allowed.
        labels: [n_docs], finite; larger is more relevant.
        offsets: [n_queries + 1]; query q has the documents `offsets[q]:offsets[q + 1]`.
        measures: Names such as "nDCG@10", "nDCG(dcg='exp-log2')@10", "DCG@10", "RR@10", "RR(rel=2)", "P@5", "R@100",
            "AP", "Success@1".
        ties: What equal scores mean. "average": the mean over all orders of the tied documents, in closed form; it does
            not depend on how the input is sorted. "order": the order given.
        empty: Value of a query without a relevant document (for nDCG and DCG: without a label above 0), and of one
            without documents: "zero", as trec_eval, or "skip" for NaN, which `mean` leaves out.

    Returns:
        For each name as given, float64 [n_queries].

    Raises:
        ArgumentError: A name is unknown, a shape does not fit, a score is NaN or a label is not finite.
    """
    wanted = [parse_measure(name) for name in measures]
    values = per_query(np.asarray(scores), np.asarray(labels), np.asarray(offsets), wanted, ties, empty)
    return dict(zip(measures, values, strict=True))


def mean(values: Mapping[str, ArrayLike]) -> dict[str, float]:
    """Mean of each measure over the queries; those that are NaN (skipped) are left out, and NaN is the mean of none."""
    means = {}
    for name, array in values.items():
        numbers = np.asarray(array, dtype=np.float64)
        counted = numbers[~np.isnan(numbers)]
        means[name] = float(counted.mean()) if len(counted) else float("nan")
    return means


def per_query(
    scores: NDArray[Any],
    labels: NDArray[Any],
    offsets: NDArray[Any],
    wanted: Sequence[Measure],
    ties: Ties,
    empty: Empty,
) -> list[NDArray[np.float64]]:
    """As `evaluate`, for parsed measures: one array [n_queries] each."""
    if ties not in get_args(Ties) or empty not in get_args(Empty):
        raise ArgumentError(f"ties={ties!r}, empty={empty!r}; expected 'average' or 'order', and 'zero' or 'skip'")
    checked(scores, labels, offsets)
    bounds = offsets.astype(np.int64)
    results = [np.zeros(len(bounds) - 1) for _ in wanted]
    for queries in _parts(bounds):
        own = bounds[queries.start : queries.stop + 1]
        docs = slice(own[0], own[-1])
        ranked = Ranked.by_score(scores[docs].astype(np.float64), labels[docs].astype(np.float64), own - own[0], ties)
        for result, one in zip(results, wanted, strict=True):
            result[queries] = measure(ranked, one, empty)
    return results


def checked(scores: NDArray[Any], labels: NDArray[Any], offsets: NDArray[Any]) -> None:
    """Refuse arrays that do not describe rankings.

    Raises:
        ArgumentError: Names the array, what was found and what was expected.
    """
    for name, array in (("scores", scores), ("labels", labels)):
        if array.ndim != 1 or array.dtype.kind not in "biuf":
            raise ArgumentError(f"{name} has dtype {array.dtype} and shape {array.shape}; expected numbers [n_docs]")
    if len(scores) != len(labels):
        raise ArgumentError(f"there are {len(scores)} scores and {len(labels)} labels; expected one of each a document")
    if np.isnan(scores).any():
        raise ArgumentError(f"the score of document {int(np.argmax(np.isnan(scores)))} is NaN; expected a number")
    if not np.isfinite(labels).all():
        raise ArgumentError(f"the label of document {int(np.argmin(np.isfinite(labels)))} is not finite")
    if offsets.ndim != 1 or len(offsets) < 1 or offsets.dtype.kind not in "iu":
        raise ArgumentError(
            f"offsets has dtype {offsets.dtype} and shape {offsets.shape}; expected integers [n_queries + 1]"
        )
    if offsets[0] != 0 or offsets[-1] != len(scores) or (np.diff(offsets.astype(np.int64)) < 0).any():
        raise ArgumentError(f"offsets must rise from 0 to {len(scores)}, the number of documents")


def _parts(offsets: NDArray[Any]) -> Iterator[slice]:
    """Cut the queries into runs of about `_DOCS_AT_ONCE` documents, which bounds the memory of what is derived."""
    start, n_queries = 0, len(offsets) - 1
    while start < n_queries:
        stop = int(np.searchsorted(offsets, offsets[start] + _DOCS_AT_ONCE, side="right")) - 1
        stop = min(max(stop, start + 1), n_queries)
        yield slice(start, stop)
        start = stop
