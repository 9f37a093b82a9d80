"""The same measures on arrays with one row a query, padded, as training loops have them."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from irworks.metrics.flat import per_query
from irworks.metrics.names import Gain, Measure
from irworks.metrics.ranked import Empty, Ties

__all__ = ["average_precision", "dcg", "ndcg", "precision", "recall", "reciprocal_rank"]


def ndcg(
    scores: ArrayLike,
    labels: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    k: int | None = None,
    gain: Gain = "log2",
    ties: Ties = "average",
    empty: Empty = "zero",
) -> NDArray[np.float64]:
    """DCG@k divided by the DCG@k of the ranking by label.

    Args:
        scores: [n_queries, n_docs], larger is better.
        labels: [n_queries, n_docs], larger is more relevant.
        mask: bool [n_queries, n_docs], which entries are documents; by default all. Others may hold anything.
        k: How many documents from the top count; by default all.
        gain: "log2": a label is worth itself; "exp-log2": 2^label - 1.
        ties: "average" for the mean over the orders of tied documents, "order" for the order given.
        empty: Value of queries without a label above 0: "zero", or "skip" for NaN.

    Returns:
        [n_queries].

    Raises:
        ArgumentError: A shape does not fit, a score is NaN or a label not finite.
    """
    return _measure(scores, labels, mask, Measure("nDCG", k, gain=gain), ties, empty)


def dcg(
    scores: ArrayLike,
    labels: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    k: int | None = None,
    gain: Gain = "log2",
    ties: Ties = "average",
    empty: Empty = "zero",
) -> NDArray[np.float64]:
    """Sum over ranks i up to k of gain(label) / log2(1 + i). Arguments as for `ndcg`."""
    return _measure(scores, labels, mask, Measure("DCG", k, gain=gain), ties, empty)


def reciprocal_rank(
    scores: ArrayLike,
    labels: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    k: int | None = None,
    rel: int = 1,
    ties: Ties = "average",
    empty: Empty = "zero",
) -> NDArray[np.float64]:
    """1 / rank of the first document of label `rel` or above; 0 if it stands below rank k. Else as for `ndcg`."""
    return _measure(scores, labels, mask, Measure("RR", k, rel), ties, empty)


def precision(
    scores: ArrayLike,
    labels: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    k: int,
    rel: int = 1,
    ties: Ties = "average",
    empty: Empty = "zero",
) -> NDArray[np.float64]:
    """Documents of label `rel` or above among the first k, divided by k even if there are fewer. Else as for `ndcg`."""
    return _measure(scores, labels, mask, Measure("P", k, rel), ties, empty)


def recall(
    scores: ArrayLike,
    labels: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    k: int,
    rel: int = 1,
    ties: Ties = "average",
    empty: Empty = "zero",
) -> NDArray[np.float64]:
    """Share of the documents of label `rel` or above that are among the first k. Else as for `ndcg`."""
    return _measure(scores, labels, mask, Measure("R", k, rel), ties, empty)


def average_precision(
    scores: ArrayLike,
    labels: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    k: int | None = None,
    rel: int = 1,
    ties: Ties = "average",
    empty: Empty = "zero",
) -> NDArray[np.float64]:
    """Mean of the precision at the ranks of the relevant documents, 0 for those below rank k. Else as for `ndcg`."""
    return _measure(scores, labels, mask, Measure("AP", k, rel), ties, empty)


def _measure(
    scores: ArrayLike, labels: ArrayLike, mask: ArrayLike | None, wanted: Measure, ties: Ties, empty: Empty
) -> NDArray[np.float64]:
    rows, relevance = np.asarray(scores), np.asarray(labels)
    if rows.ndim != 2 or rows.shape != relevance.shape:
        raise ArgumentError(f"scores {rows.shape} and labels {relevance.shape}: expected both [n_queries, n_docs]")
    real = np.ones(rows.shape, dtype=np.bool_) if mask is None else np.asarray(mask)
    if real.shape != rows.shape or real.dtype != np.bool_:
        raise ArgumentError(f"mask has dtype {real.dtype} and shape {real.shape}; expected bool {rows.shape}")
    offsets = np.concatenate([[0], np.cumsum(real.sum(axis=1))])
    return per_query(rows[real], relevance[real], offsets, [wanted], ties, empty)[0]
