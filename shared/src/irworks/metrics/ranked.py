"""Rankings of many queries in flat arrays, with groups of tied documents, and the expected measures on them.

Documents that have the same score are equally likely to stand in any order. Every measure here is the mean over those
orders, in closed form (McSherry and Najork, "Computing Information Retrieval Performance Measures Efficiently in the
Presence of Tied Scores", ECIR 2008). Where each document is a group of its own, that is the usual measure.

Of a group, `before` documents are ranked higher, so that its `size` documents hold ranks before + 1 to before + size.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from irworks.metrics.names import Gain, Measure

__all__ = ["Empty", "Ranked", "Ties", "measure"]

Ties = Literal["average", "order"]
Empty = Literal["zero", "skip"]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Ranked:
    """Documents in the order of their scores, query after query.

    Attributes:
        labels: float64 [n_docs], best score first inside each query.
        query: int64 [n_docs], rising.
        rank: int64 [n_docs], from 1 in each query; inside a group of ties the order is arbitrary.
        group: int64 [n_docs], number of the group of tied documents.
        offsets: int64 [n_queries + 1], where each query begins; one may have no document.
    """

    labels: Floats
    query: Ints
    rank: Ints
    group: Ints
    offsets: Ints

    @classmethod
    def by_score(cls, scores: Floats, labels: Floats, offsets: Ints, ties: Ties) -> "Ranked":
        """Sort the documents of each query by falling score, tied ones in the order given.

        Args:
            scores: [n_docs], no NaN.
            labels: [n_docs], finite.
            offsets: [n_queries + 1].
            ties: "average" groups tied documents; "order" makes each a group of its own, in the order given.
        """
        sizes = np.diff(offsets)
        query = np.repeat(np.arange(len(sizes)), sizes)
        order = np.lexsort((-scores, query))
        rank = np.arange(1, len(scores) + 1) - np.repeat(offsets[:-1], sizes)
        ranked = scores[order]
        new = rank == 1
        new[1:] |= (ranked[1:] != ranked[:-1]) if ties == "average" else True
        return cls(labels[order], query, rank, np.cumsum(new) - 1, offsets)

    @property
    def n_queries(self) -> int:
        """Number of queries, those without a document included."""
        return len(self.offsets) - 1

    @cached_property
    def ideal(self) -> "Ranked":
        """The same documents ranked by label; how ties are ordered does not matter there."""
        return Ranked.by_score(self.labels, self.labels, self.offsets, "order")

    @cached_property
    def size(self) -> Ints:
        """int64 [n_groups], documents of each group."""
        return np.bincount(self.group)

    @cached_property
    def before(self) -> Ints:
        """int64 [n_groups], documents of the query that are ranked above each group."""
        return self.rank[self.first] - 1

    @cached_property
    def first(self) -> Ints:
        """int64 [n_groups], the first document of each group."""
        return np.cumsum(self.size) - self.size

    def group_mean(self, values: Floats) -> Floats:
        """For each document the mean of `values` [n_docs] over its group: what to expect at its rank."""
        return (np.bincount(self.group, weights=values) / self.size)[self.group]

    def query_sum(self, values: NDArray[Any]) -> Floats:
        """Sum of `values` [n_docs] over each query, [n_queries]."""
        return np.bincount(self.query, weights=values, minlength=self.n_queries).astype(np.float64)

    def within(self, cutoff: int | None) -> NDArray[np.bool_]:
        """Which documents stand at rank `cutoff` or better, [n_docs]."""
        return np.ones(len(self.rank), dtype=np.bool_) if cutoff is None else self.rank <= cutoff


def measure(ranked: Ranked, wanted: Measure, empty: Empty, judged: Ranked | None = None) -> Floats:
    """Expected value of one measure for each query.

    Args:
        ranked: The ranking.
        wanted: The measure.
        judged: All documents of the same queries that have a label, where not all of them are ranked; in any order.
        empty: Value of a query without a relevant document (for nDCG and DCG: without one of label above 0): "zero", as
            trec_eval, or "skip" for NaN.

    Returns:
        [n_queries].
    """
    known = ranked if judged is None else judged
    if wanted.family in ("nDCG", "DCG"):
        values, filled = _cumulated_gain(ranked, wanted, known)
    else:
        relevant = ranked.labels >= wanted.rel
        n_relevant = known.query_sum(known.labels >= wanted.rel)
        filled = n_relevant > 0
        values = _BINARY[wanted.family](ranked, relevant, n_relevant, wanted.cutoff)
    if empty == "skip":
        values[~filled] = np.nan
    return values


def gains(labels: Floats, gain: Gain) -> Floats:
    """What labels are worth; labels below 0 (judged as spam by some collections) are worth nothing, as in trec_eval."""
    positive = np.maximum(labels, 0)
    return positive if gain == "log2" else np.exp2(positive) - 1


def _cumulated_gain(ranked: Ranked, wanted: Measure, known: Ranked) -> tuple[Floats, NDArray[np.bool_]]:
    best = _discounted(known.ideal, gains(known.ideal.labels, wanted.gain), wanted.cutoff)
    found = _discounted(ranked, ranked.group_mean(gains(ranked.labels, wanted.gain)), wanted.cutoff)
    return (_share(found, best) if wanted.family == "nDCG" else found), best > 0


def _discounted(ranked: Ranked, gain: Floats, cutoff: int | None) -> Floats:
    return ranked.query_sum(gain * ranked.within(cutoff) / np.log2(ranked.rank + 1))


def _precision(ranked: Ranked, relevant: NDArray[np.bool_], n_relevant: Floats, cutoff: int | None) -> Floats:
    hits = ranked.query_sum(ranked.group_mean(relevant.astype(np.float64)) * ranked.within(cutoff))
    return hits / (1 if cutoff is None else cutoff)


def _recall(ranked: Ranked, relevant: NDArray[np.bool_], n_relevant: Floats, cutoff: int | None) -> Floats:
    hits = ranked.query_sum(ranked.group_mean(relevant.astype(np.float64)) * ranked.within(cutoff))
    return _share(hits, n_relevant)


def _average_precision(ranked: Ranked, relevant: NDArray[np.bool_], n_relevant: Floats, cutoff: int | None) -> Floats:
    """Mean over the relevant documents of the precision at their ranks; 0 for those beyond the cutoff.

    At the t-th rank of a group with r relevant of m documents and b relevant ones above it, a relevant document stands
    with probability r / m, and then b + 1 + (t - 1)(r - 1) / (m - 1) relevant ones are expected down to that rank.
    """
    in_group = np.bincount(ranked.group, weights=relevant)
    running = np.concatenate([[0], np.cumsum(relevant)])
    above = (running[ranked.first] - running[ranked.offsets[ranked.query[ranked.first]]])[ranked.group]
    others = (ranked.rank - 1 - ranked.before[ranked.group]) / np.maximum(ranked.size - 1, 1)[ranked.group]
    hits = above + 1 + others * (in_group[ranked.group] - 1)
    chance = (in_group / ranked.size)[ranked.group]
    return _share(ranked.query_sum(ranked.within(cutoff) * chance * hits / ranked.rank), n_relevant)


def _reciprocal_rank(ranked: Ranked, relevant: NDArray[np.bool_], n_relevant: Floats, cutoff: int | None) -> Floats:
    return _first_relevant(ranked, relevant, cutoff, reciprocal=True)


def _success(ranked: Ranked, relevant: NDArray[np.bool_], n_relevant: Floats, cutoff: int | None) -> Floats:
    return _first_relevant(ranked, relevant, cutoff, reciprocal=False)


def _first_relevant(ranked: Ranked, relevant: NDArray[np.bool_], cutoff: int | None, *, reciprocal: bool) -> Floats:
    """Expected 1 / rank (or just 1) of the first relevant document.

    It is in the first group that holds one. Drawing that group's m documents, r of them relevant, in random order, the
    t-th is the first relevant one if the t - 1 before it are not.
    """
    value = np.zeros(ranked.n_queries)
    in_group = np.bincount(ranked.group, weights=relevant).astype(np.int64)
    holding = np.flatnonzero(in_group)
    query, position = np.unique(ranked.query[ranked.first[holding]], return_index=True)
    chosen = holding[position]
    r, m, before = in_group[chosen], ranked.size[chosen], ranked.before[chosen]
    still = np.ones(len(chosen))
    for drawn in range(int((m - r).max(initial=-1)) + 1):
        rank = before + drawn + 1
        inside = np.ones(len(rank), dtype=np.bool_) if cutoff is None else rank <= cutoff
        left = np.maximum(m - drawn, 1)
        value[query] += still * (r / left) * inside / (rank if reciprocal else 1)
        still = still * np.maximum(m - drawn - r, 0) / left
    return value


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


_BINARY = {
    "P": _precision,
    "R": _recall,
    "AP": _average_precision,
    "RR": _reciprocal_rank,
    "Success": _success,
}
