"""Several runs as one."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from irworks.data.runs import Run
from irworks.errors import ArgumentError

__all__ = ["fuse", "reciprocal_rank_fusion"]

Floats = NDArray[np.float64]


def fuse(
    runs: Sequence[Run], weights: Sequence[float] | None = None, *, k: int | None = None, name: str = "fused"
) -> Run:
    """Weighted sum of standardised scores.

    Scores are centred and scaled for each query and run (z-scores over what the run found); a document that a run did
    not find has the lowest of its scores there, or less where they are all the same.

    Args:
        runs: Of the same queries; a query that one of them lacks found nothing there.
        weights: One for each run; by default all the same.
        k: Keep so many of each query; None: all that any run found.
        name: Of the result.

    Raises:
        ArgumentError: There is no run, or not a weight for each.
    """
    return _combine(runs, weights, _standardised, k, name)


def reciprocal_rank_fusion(
    runs: Sequence[Run],
    weights: Sequence[float] | None = None,
    *,
    constant: float = 60.0,
    k: int | None = None,
    name: str = "rrf",
) -> Run:
    """Sum over runs of weight / (constant + rank) (Cormack, Clarke and Buettcher 2009, SIGIR).

    It looks at ranks alone: a run that is much worse than the others counts as much as they do.

    Args:
        runs: Of the same queries.
        weights: One for each run; by default all 1.
        constant: The larger, the less the first ranks stand out.
        k: Keep so many of each query; None: all.
        name: Of the result.
    """
    return _combine(runs, weights, lambda scores: (1 / (constant + 1 + np.arange(len(scores))), 0.0), k, name)


def _standardised(scores: Floats) -> tuple[Floats, float]:
    """Scores with mean 0 and spread 1, and what a document has that was not found.

    Where all that was found has one score, which may be one document alone, what was not found is a spread below it.
    """
    if not len(scores):
        return scores, 0.0
    spread = scores.std()
    if not spread > 0:
        return np.zeros(len(scores)), -1.0
    values = (scores - scores.mean()) / spread
    return values, float(values.min())


def _combine(
    runs: Sequence[Run],
    weights: Sequence[float] | None,
    of_scores: Callable[[Floats], tuple[Floats, float]],
    k: int | None,
    name: str,
) -> Run:
    if not runs:
        raise ArgumentError("there is no run; expected at least one")
    shares = [1.0] * len(runs) if weights is None else [float(weight) for weight in weights]
    if len(shares) != len(runs):
        raise ArgumentError(f"{len(shares)} weights of {len(runs)} runs; expected one for each")
    queries = dict.fromkeys(query for run in runs for query in run)
    result: dict[str, dict[str, float]] = {}
    for query in queries:
        parts = []
        for run, weight in zip(runs, shares, strict=True):
            found = run.get(query)
            values, missing = of_scores(np.array([score for _, score in found]))
            parts.append((dict(zip((doc for doc, _ in found), values.tolist(), strict=True)), missing, weight))
        every = dict.fromkeys(doc for of_docs, _, _ in parts for doc in of_docs)
        result[query] = {
            doc: sum(weight * of_docs.get(doc, missing) for of_docs, missing, weight in parts) for doc in every
        }
    fused = Run.of(result, name=name)
    return fused if k is None else fused.top(k)
