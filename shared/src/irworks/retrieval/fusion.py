"""Several runs as one."""

from collections.abc import Callable, Sequence
from itertools import pairwise

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
    queries = {query: place for place, query in enumerate(dict.fromkeys(query for run in runs for query in run))}
    docs: dict[str, int] = {}
    keys, gains, base = [], [], np.zeros(len(queries))
    for run, weight in zip(runs, shares, strict=True):
        numbers = np.fromiter((docs.setdefault(doc, len(docs)) for doc in run.docs.tolist()), np.int64, len(run.docs))
        of_query = np.array([queries[query] for query in run.queries.tolist()], dtype=np.int64)
        gain = np.empty(len(run.docs))
        for place, (begin, end) in enumerate(pairwise(run.offsets.tolist())):
            values, missing = of_scores(run.scores[begin:end])
            # What a document has beyond one that the run did not find.
            gain[begin:end] = weight * (values - missing)
            base[of_query[place]] += weight * missing
        keys.append((np.repeat(of_query, np.diff(run.offsets)) << 32) + numbers)
        gains.append(gain)
    every, first, places = np.unique(np.concatenate(keys), return_index=True, return_inverse=True)
    query = every >> 32
    scores = base[query] + np.bincount(places, np.concatenate(gains), len(every))
    # Equal scores in the order in which the runs name their documents.
    order = np.lexsort((first, -scores, query))
    offsets = np.append(0, np.cumsum(np.bincount(query, minlength=len(queries)))).astype(np.int64)
    names, known = (np.array([*each, None], dtype=object)[:-1] for each in (queries, docs))
    fused = Run(names, known[every[order] & 0xFFFFFFFF], scores[order], offsets, name)
    return fused if k is None else fused.top(k)
