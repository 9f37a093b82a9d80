"""Cells: the sufficient statistics of a click log for every two-tower model with one theta per rank.

The likelihood of a log depends on it only through how often each (query, document) pair was shown at each rank and how
often it was clicked there. Two million impressions become a few hundred thousand cells, cells of two logs add up, and
every solver of this package works on them.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from irworks.data import ClickLog
from irworks.errors import ArgumentError, DataError
from ltr_twotower.features import column_order
from ltr_twotower.ids import check_ids, differing_types

__all__ = ["Cells", "require_log"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Cells:
    """Counts per (pair, rank), sorted by pair and then rank.

    Attributes:
        pair: int32 [n_cells], index of the (query, document) pair.
        rank: int32 [n_cells], rank counted from 0.
        n: float64 [n_cells], sum of the sample weights of the impressions (their number where nothing is weighted).
        clicks: float64 [n_cells], sum of the sample weights of the clicked impressions.
        n_squared: float64 [n_cells], sum of the squared weights of the impressions; for effective sample sizes and
            sandwich variances.
        clicks_squared: float64 [n_cells], sum of the squared weights of the clicked impressions.
        impressions: float64 [n_cells], number of impressions, whatever their weight.
        pair_query: int32 [n_pairs], code of the pair's query.
        pair_doc: int32 [n_pairs], code of the pair's document.
        sessions: float64 [n_queries], number of sessions of each query.
        query_ids: [n_queries], original query ids.
        doc_ids: [n_docs], original document ids.
        n_ranks: Number of ranks.
        features: float32 [n_pairs, n_features] of the pairs, or None.
        feature_names: Names of the features. Default: f_0, f_1, ...
    """

    pair: IntArray
    rank: IntArray
    n: FloatArray
    clicks: FloatArray
    n_squared: FloatArray
    clicks_squared: FloatArray
    impressions: FloatArray
    pair_query: IntArray
    pair_doc: IntArray
    sessions: FloatArray
    query_ids: NDArray[Any]
    doc_ids: NDArray[Any]
    n_ranks: int
    features: NDArray[np.float32] | None = None
    feature_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.features is not None and not self.feature_names:
            object.__setattr__(self, "feature_names", tuple(f"f_{j}" for j in range(self.features.shape[1])))

    @classmethod
    def from_log(cls, log: ClickLog, weights: FloatArray | None = None) -> Self:
        """Aggregate a log.

        Args:
            log: The click log.
            weights: float64 [n, k], a weight per impression. None: every impression counts 1.

        Raises:
            ArgumentError: `log` is something else.
            DataError: Its ids are lists or records.
        """
        require_log(log)
        check_ids(log.query_vocabulary, "query", log.source)
        check_ids(log.doc_vocabulary, "document", log.source)
        shown = log.shown
        pairs = log.pairs
        ranks = np.broadcast_to(np.arange(log.n_ranks, dtype=np.int64), shown.shape)
        key = (pairs.index.astype(np.int64) * log.n_ranks + ranks)[shown]
        cell, code = _cells_of(key, len(pairs) * log.n_ranks)
        clicked = log.clicks[shown]

        def total(rows: NDArray[np.int64], values: FloatArray | None = None) -> FloatArray:
            return np.bincount(rows, values, minlength=len(cell)).astype(np.float64)

        impressions, clicks = total(code), total(code[clicked])
        n, c, n_squared, c_squared = impressions, clicks, impressions, clicks
        if weights is not None:
            w = np.asarray(weights, dtype=np.float64)[shown]
            n, c = total(code, w), total(code[clicked], w[clicked])
            n_squared, c_squared = total(code, w**2), total(code[clicked], w[clicked] ** 2)
        return cls(
            pair=(cell // log.n_ranks).astype(np.int32),
            rank=(cell % log.n_ranks).astype(np.int32),
            n=n,
            clicks=c,
            n_squared=n_squared,
            clicks_squared=c_squared,
            impressions=impressions,
            pair_query=pairs.query,
            pair_doc=pairs.doc,
            sessions=np.bincount(log.query, minlength=log.n_queries).astype(np.float64),
            query_ids=log.query_vocabulary,
            doc_ids=log.doc_vocabulary,
            n_ranks=log.n_ranks,
            features=log.features,
            feature_names=log.feature_names if log.features is not None else (),
        )

    def __len__(self) -> int:
        return len(self.pair)

    @property
    def n_pairs(self) -> int:
        """Number of (query, document) pairs."""
        return len(self.pair_query)

    @property
    def total(self) -> float:
        """Sum of the weights of all impressions."""
        return float(self.n.sum())

    @property
    def all_alike(self) -> bool:
        """Whether no impression was clicked or every one was: then nothing tells one rank from another."""
        return not (self.clicks > 0).any() or not (self.clicks < self.n).any()

    @cached_property
    def rank_impressions(self) -> FloatArray:
        """float64 [n_ranks], impressions at each rank."""
        return np.bincount(self.rank, self.impressions, minlength=self.n_ranks).astype(np.float64)

    def rank_events(self) -> FloatArray:
        """float64 [n_ranks], the fewer of the clicked and of the other impressions at each rank: what theta rests on.

        Exact where the impressions of a cell have one weight.
        """
        clicked = np.divide(self.clicks * self.impressions, self.n, out=np.zeros_like(self.n), where=self.n > 0)
        clicks = np.bincount(self.rank, clicked, minlength=self.n_ranks)
        return np.asarray(np.minimum(clicks, self.rank_impressions - clicks))

    def effective_sample_size(self) -> float:
        """(sum w)^2 / sum w^2 over impressions: how many equally weighted impressions carry as much (Kish 1965)."""
        return float(self.n.sum() ** 2 / self.n_squared.sum())

    def weighted(self, weights: FloatArray) -> Self:
        """The same cells with every impression of cell i weighted by a further `weights[i]`, float64 [n_cells]."""
        square = weights**2
        return replace(
            self,
            n=self.n * weights,
            clicks=self.clicks * weights,
            n_squared=self.n_squared * square,
            clicks_squared=self.clicks_squared * square,
        )

    def merge(self, other: "Cells") -> "Cells":
        """The cells of both logs together, matched by the original ids and names of features; exact, in any order.

        Args:
            other: Cells of another log (or part of one); its vocabularies may differ.

        Raises:
            DataError: Both have features, and a pair has different ones in the two or their names differ; or the ids
                are numbers in one and text in the other.
        """
        query_ids, query_here, query_there = _join_ids(self.query_ids, other.query_ids, "query")
        doc_ids, doc_here, doc_there = _join_ids(self.doc_ids, other.doc_ids, "document")
        keys = np.concatenate(
            [
                query_here[self.pair_query] * len(doc_ids) + doc_here[self.pair_doc],
                query_there[other.pair_query] * len(doc_ids) + doc_there[other.pair_doc],
            ]
        )
        pair_keys, code = np.unique(keys, return_inverse=True)
        n_ranks = max(self.n_ranks, other.n_ranks)
        place = np.concatenate(
            [
                code[: self.n_pairs][self.pair] * n_ranks + self.rank,
                code[self.n_pairs :][other.pair] * n_ranks + other.rank,
            ]
        )
        cell, cell_code = np.unique(place, return_inverse=True)

        def summed(mine: FloatArray, theirs: FloatArray) -> FloatArray:
            return np.bincount(cell_code, np.concatenate([mine, theirs])).astype(np.float64)

        sessions = np.zeros(len(query_ids))
        np.add.at(sessions, query_here, self.sessions)
        np.add.at(sessions, query_there, other.sessions)
        return Cells(
            pair=(cell // n_ranks).astype(np.int32),
            rank=(cell % n_ranks).astype(np.int32),
            pair_query=(pair_keys // len(doc_ids)).astype(np.int32),
            pair_doc=(pair_keys % len(doc_ids)).astype(np.int32),
            sessions=sessions,
            query_ids=query_ids,
            doc_ids=doc_ids,
            n_ranks=n_ranks,
            features=(features := _join_features(self, other, code, len(pair_keys))),
            feature_names=() if features is None else self.feature_names,
            n=summed(self.n, other.n),
            clicks=summed(self.clicks, other.clicks),
            n_squared=summed(self.n_squared, other.n_squared),
            clicks_squared=summed(self.clicks_squared, other.clicks_squared),
            impressions=summed(self.impressions, other.impressions),
        )


def require_log(log: object) -> None:
    """Raise an `ArgumentError` for what is no click log: a path, a table, arguments in the wrong order."""
    if not isinstance(log, ClickLog):
        raise ArgumentError(
            f"a {type(log).__name__} is no click log; make one with read_click_log(path) or ClickLog.from_frame(table)"
        )


def _cells_of(key: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sorted distinct keys, and the place of each key among them."""
    if size > 4 * len(key) + 1_000_000:
        # Few of the possible cells occur (long lists, rare documents): a table of all of them would not fit.
        return np.unique(key, return_inverse=True)
    seen = np.zeros(size, dtype=bool)
    seen[key] = True
    cell = np.flatnonzero(seen)
    place = np.empty(size, dtype=np.int64)
    place[cell] = np.arange(len(cell))
    return cell, place[key]


def _join_ids(
    first: NDArray[Any], second: NDArray[Any], what: str
) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """The union of two vocabularies, sorted where its ids have an order, and the place of each old code in it."""
    import pandas as pd

    if first is second or (first.dtype == second.dtype and np.array_equal(first, second)):
        same = np.arange(len(first), dtype=np.int64)
        return first, same, same
    if types := differing_types(first, second):
        raise DataError(
            f"the {what} ids of the two logs have different types, so that none would ever match",
            found=" and ".join(types),
            hint="Read both parts with one type of ids: text in both, or numbers in both",
        )
    if first.dtype.kind != second.dtype.kind:
        # numpy would make numbers text, or large integers floats: two ids could become one.
        first, second = first.astype(object), second.astype(object)
    both = np.concatenate([first, second])
    try:
        codes, ids = pd.factorize(both, sort=True)
    except TypeError:
        codes, ids = pd.factorize(both)
    return np.asarray(ids), codes[: len(first)].astype(np.int64), codes[len(first) :].astype(np.int64)


def _join_features(first: Cells, second: Cells, code: NDArray[np.int64], n_pairs: int) -> NDArray[np.float32] | None:
    if first.features is None or second.features is None:
        return None
    problem = "the features of the second log are not those of the first"
    theirs = second.features[:, column_order(second.feature_names, first.feature_names, problem)]
    table = np.zeros((n_pairs, first.features.shape[1]), dtype=np.float32)
    table[code[: first.n_pairs]] = first.features
    known = np.zeros(n_pairs, dtype=bool)
    known[code[: first.n_pairs]] = True
    there = code[first.n_pairs :]
    if not np.array_equal(table[there[known[there]]], theirs[known[there]]):
        raise DataError(
            "a (query, document) pair has different features in the two logs", expected="one feature row per pair"
        )
    table[there] = theirs
    return table
