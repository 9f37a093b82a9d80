"""The documents that each query can show: ragged rows of one flat table, worked on in rectangular blocks."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from irworks.simulate.plackett_luce import check_rankings, checked_scores

__all__ = ["Candidates"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# Numbers per temporary array while sessions are worked through in blocks.
BLOCK = 1 << 20


class Candidates:
    """The documents of each query that can be shown, with their scores; rows of score -inf are left out.

    Args:
        scores: float [n_docs], one score per row of the flat document table; -inf: this row is never shown.
        offsets: int [n_queries + 1], query q owns the rows offsets[q]:offsets[q + 1].

    Attributes:
        scores: float64 [n_docs].
        offsets: int64 [n_queries + 1].
        rows: int32 [n_candidates], row of each candidate in the flat table, ascending.
        starts: int64 [n_queries + 1], query q owns the candidates starts[q]:starts[q + 1].
        sizes: int64 [n_queries], number of candidates of each query.

    Raises:
        ArgumentError: A score is NaN, +inf or beyond +-1e12; offsets do not rise from 0 to n_docs; a query has no
            document that can be shown.
    """

    def __init__(self, scores: ArrayLike, offsets: ArrayLike) -> None:
        self.scores: FloatArray = checked_scores(scores)
        if self.scores.ndim != 1:
            raise ArgumentError(f"scores has shape {self.scores.shape}; expected [n_docs]")
        self.offsets: LongArray = _checked_offsets(offsets, len(self.scores))
        shown = np.isfinite(self.scores)
        self.rows: IntArray = np.flatnonzero(shown).astype(np.int32)
        self.starts: LongArray = np.concatenate(([0], np.cumsum(shown)))[self.offsets]
        self.sizes: LongArray = np.diff(self.starts)
        if (self.sizes == 0).any():
            query = int(np.flatnonzero(self.sizes == 0)[0])
            n_docs = int(self.offsets[query + 1] - self.offsets[query])
            raise ArgumentError(
                f"query {query} has {n_docs} documents, none with a score above -inf; expected one that can be shown"
            )

    @property
    def n_docs(self) -> int:
        """Number of rows of the flat table, shown or not."""
        return len(self.scores)

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.sizes)

    def owner(self) -> LongArray:
        """int64 [n_candidates], the query of each candidate."""
        return np.repeat(np.arange(self.n_queries), self.sizes)

    def checked_queries(self, query: ArrayLike) -> LongArray:
        """The query codes as int64 [n].

        Raises:
            ArgumentError: Not a flat array of integers from 0 to n_queries - 1.
        """
        codes = np.asarray(query)
        if codes.ndim != 1 or not (np.issubdtype(codes.dtype, np.integer) or codes.size == 0):
            raise ArgumentError(f"query has shape {codes.shape}, dtype {codes.dtype}; expected integers [n]")
        outside = (codes < 0) | (codes >= self.n_queries)
        if outside.any():
            raise ArgumentError(f"query holds {codes[outside][0]}; expected codes from 0 to {self.n_queries - 1}")
        return codes.astype(np.int64)

    def blocks(self, query: LongArray) -> Iterator[tuple[LongArray, LongArray, int]]:
        """Split sessions into blocks whose queries have equally many candidates, so that arrays need no padding.

        Args:
            query: int64 [n], checked codes.

        Yields:
            The sessions of the block (indices into `query`), the first candidate of each, and the number of candidates.
        """
        sizes = self.sizes[query]
        order = np.argsort(sizes, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(sizes[order])) + 1) if len(order) else []:
            size = int(sizes[group[0]])
            width = max(1, BLOCK // size)
            for begin in range(0, len(group), width):
                sessions = group[begin : begin + width]
                yield sessions, self.starts[query[sessions]], size

    def scores_of(self, first: LongArray, size: int) -> FloatArray:
        """Scores of `size` candidates from `first` [n] on: float64 [n, size]."""
        table: FloatArray = self.scores[self.rows[first[:, None] + np.arange(size)]]
        return table

    def docs_at(self, first: LongArray, places: IntArray) -> IntArray:
        """Rows of the flat table for places [n, k] within each query's candidates; -1 stays -1: int32 [n, k]."""
        return np.where(places >= 0, self.rows[first[:, None] + np.maximum(places, 0)], np.int32(-1))

    def places_of(self, query: LongArray, docs: ArrayLike) -> tuple[IntArray, NDArray[np.bool_]]:
        """Where the documents of given lists stand among their query's candidates.

        Args:
            query: int64 [n], checked codes.
            docs: int [n, k], rows of the flat table in rank order; -1 after the last document of a list.

        Returns:
            int32 [n, k] places, -1 for padding; and bool [n], whether all documents of the list are candidates (the
            place of one that is not is -1).

        Raises:
            ArgumentError: `docs` is not [n, k] or holds a document of another query, one twice, or -1 before one.
        """
        lists = np.asarray(docs)
        if lists.ndim != 2 or len(lists) != len(query):
            raise ArgumentError(f"docs has shape {lists.shape}; expected [{len(query)}, k], a list per query code")
        check_rankings(lists, self.n_docs)
        foreign = (lists >= 0) & ((lists < self.offsets[query][:, None]) | (lists >= self.offsets[query + 1][:, None]))
        if foreign.any():
            row, column = (int(i) for i in np.argwhere(foreign)[0])
            begin, end = (int(self.offsets[query[row] + i]) for i in (0, 1))
            raise ArgumentError(
                f"ranking {row} holds document {lists[row, column]}; expected documents of query {query[row]}, "
                f"rows {begin} to {end - 1}"
            )
        candidate_of = np.full(self.n_docs + 1, -1, dtype=np.int64)
        candidate_of[self.rows] = np.arange(len(self.rows))
        candidate = candidate_of[lists]
        possible = ((candidate >= 0) | (lists < 0)).all(axis=1)
        places = np.where(candidate >= 0, candidate - self.starts[query][:, None], -1)
        return places.astype(np.int32), possible


def _checked_offsets(offsets: ArrayLike, n_docs: int) -> LongArray:
    bounds = np.asarray(offsets)
    if bounds.ndim != 1 or len(bounds) < 2 or not np.issubdtype(bounds.dtype, np.integer):
        raise ArgumentError(
            f"offsets has shape {bounds.shape}, dtype {bounds.dtype}; expected integers [n_queries + 1]"
        )
    if bounds[0] != 0 or bounds[-1] != n_docs:
        raise ArgumentError(
            f"offsets run from {bounds[0]} to {bounds[-1]}; expected from 0 to {n_docs}, the number of scores"
        )
    if (np.diff(bounds) < 0).any():
        query = int(np.flatnonzero(np.diff(bounds) < 0)[0])
        raise ArgumentError(
            f"offsets fall from {bounds[query]} to {bounds[query + 1]} at query {query}; expected them to rise"
        )
    return bounds.astype(np.int64)
