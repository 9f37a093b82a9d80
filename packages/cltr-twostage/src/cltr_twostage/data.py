"""The documents that each query can show, and where a click log stands in them."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.data import ClickLog
from irworks.data.lists import rank_by_rank
from irworks.errors import ArgumentError, DataError

__all__ = ["Pool"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False, init=False)
class Pool:
    """The (query, document) pairs that can be shown, as rows of one flat table: query q owns offsets[q]:offsets[q + 1].

    Scores, exposures, relevance and features are arrays over these rows, and lists hold row numbers.

    Args:
        offsets: int [n_queries + 1], rising from 0 to n_rows; a query owns at least one row.
        query_ids: [n_queries], original ids. Default: 0, 1, ...
        doc_ids: [n_rows], original id of the document of each row. Default: the row numbers.

    Raises:
        ArgumentError: Offsets that do not rise from 0, ids of the wrong length, that are missing (NaN, None) or not
            distinct: of queries, or of documents within one query.
    """

    offsets: LongArray
    query_ids: NDArray[Any]
    doc_ids: NDArray[Any]

    def __init__(
        self, offsets: ArrayLike, query_ids: ArrayLike | None = None, doc_ids: ArrayLike | None = None
    ) -> None:
        bounds = np.asarray(offsets)
        if bounds.ndim != 1 or len(bounds) < 2 or not np.issubdtype(bounds.dtype, np.integer) or bounds[0] != 0:
            raise ArgumentError(
                f"offsets has shape {bounds.shape}, dtype {bounds.dtype}; expected integers [n_queries + 1] from 0 on"
            )
        # Before the differences, which unsigned integers take around zero.
        bounds = bounds.astype(np.int64)
        if (np.diff(bounds) < 1).any():
            query = int(np.flatnonzero(np.diff(bounds) < 1)[0])
            raise ArgumentError(
                f"offsets go from {bounds[query]} to {bounds[query + 1]} at query {query}; "
                "expected at least one document for each query"
            )
        set_field = object.__setattr__
        set_field(self, "offsets", bounds)
        set_field(self, "query_ids", _ids("query_ids", query_ids, len(bounds) - 1))
        set_field(self, "doc_ids", _ids("doc_ids", doc_ids, int(bounds[-1])))
        if query_ids is not None:
            _require_distinct_queries(self.query_ids)
        if doc_ids is not None:
            _require_distinct_docs(self)

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.offsets) - 1

    @property
    def n_rows(self) -> int:
        """Number of (query, document) pairs."""
        return int(self.offsets[-1])

    @property
    def sizes(self) -> LongArray:
        """int64 [n_queries], number of documents of each query."""
        return np.diff(self.offsets)

    def owner(self) -> LongArray:
        """int64 [n_rows], the query of each row."""
        return np.repeat(np.arange(self.n_queries), self.sizes)

    def row_name(self, row: int) -> str:
        """The original ids of a row, for messages: `(query, document)`."""
        query = int(np.searchsorted(self.offsets, row, side="right")) - 1
        return f"(query {self.query_ids[query]}, document {self.doc_ids[row]})"

    def __repr__(self) -> str:
        return f"Pool({self.n_queries:,} queries, {self.n_rows:,} rows)"

    @classmethod
    def of(cls, pool: "Pool | ArrayLike") -> "Pool":
        """The pool itself, or the pool of given offsets."""
        return pool if isinstance(pool, Pool) else cls(pool)

    @classmethod
    def from_log(cls, log: ClickLog) -> "Pool":
        """The pool of the documents that a log shows; queries without a shown document are left out."""
        query, rows = np.unique(log.pairs.query, return_counts=True)
        return cls(
            np.concatenate(([0], np.cumsum(rows))),
            log.query_vocabulary[query],
            log.doc_vocabulary[log.pairs.doc],
        )

    def locate(self, log: ClickLog) -> tuple[IntArray, IntArray]:
        """Where a log stands in this pool, by the original ids.

        Returns:
            int32 [n], the query of each session; int32 [n, k], the row of each shown document, -1 where nothing is
            shown.

        Raises:
            DataError: A query or a shown document that the pool does not have.
        """
        if self._shares_codes(log) and self._owns(log.query, log.docs):
            return log.query, log.docs
        return self._locate_by_id(log)

    def _shares_codes(self, log: ClickLog) -> bool:
        """Whether the codes of a log can be the numbers of this pool, as those of a simulated log are."""
        return np.array_equal(log.query_vocabulary, self.query_ids) and np.array_equal(log.doc_vocabulary, self.doc_ids)

    def _owns(self, query: IntArray, rows: IntArray) -> bool:
        offsets = self.offsets.astype(np.int32)
        for part, by_rank in rank_by_rank(rows):
            begin, end = offsets.take(query[part]), offsets.take(query[part] + 1)
            inside = (by_rank >= begin) & (by_rank < end)
            if not inside.all() and not (inside | (by_rank < 0)).all():
                return False
        return True

    def _locate_by_id(self, log: ClickLog) -> tuple[IntArray, IntArray]:
        import pandas as pd

        queries = pd.Index(self.query_ids)
        query_of_code = queries.get_indexer(pd.Index(log.query_vocabulary)).astype(np.int32)
        asked = query_of_code[log.query]
        if (asked < 0).any():
            session = int(np.flatnonzero(asked < 0)[0])
            raise _unknown(log, session, "query", log.query_vocabulary[log.query[session]], "", self)
        distinct = pd.Index(self.doc_ids).unique()
        doc_of_code = distinct.get_indexer(pd.Index(log.doc_vocabulary)).astype(np.int64)
        pairs = log.pairs
        keys = self.owner() * len(distinct) + distinct.get_indexer(pd.Index(self.doc_ids))
        wanted = query_of_code[pairs.query].astype(np.int64) * len(distinct) + doc_of_code[pairs.doc]
        row_of_pair = np.where(doc_of_code[pairs.doc] < 0, -1, pd.Index(keys).get_indexer(pd.Index(wanted)))
        if (row_of_pair < 0).any():
            pair = int(np.flatnonzero(row_of_pair < 0)[0])
            session = int(np.flatnonzero((pairs.index == pair).any(axis=1))[0])
            doc = log.doc_vocabulary[pairs.doc[pair]]
            raise _unknown(log, session, "document", doc, log.pair_name(pair), self)
        rows = np.where(pairs.index >= 0, row_of_pair[pairs.index], -1).astype(np.int32)
        return asked, rows


def _ids(name: str, ids: ArrayLike | None, size: int) -> NDArray[Any]:
    vocabulary = np.arange(size) if ids is None else np.asarray(ids)
    if vocabulary.dtype.kind == "U" and any(not isinstance(value, str) for value in np.asarray(ids, dtype=object).flat):
        # Numpy would make all of them text, and 1 and "1" one document.
        vocabulary = np.asarray(ids, dtype=object)
    if vocabulary.shape != (size,):
        raise ArgumentError(f"{name} has shape {vocabulary.shape}; expected [{size}], as the offsets say")
    if vocabulary.dtype.kind not in "biuU":
        _require_no_missing(name, vocabulary)
    return vocabulary


def _require_no_missing(name: str, ids: NDArray[Any]) -> None:
    import pandas as pd

    missing = np.asarray(pd.isna(ids))
    if missing.any():
        place = int(np.flatnonzero(missing)[0])
        raise ArgumentError(f"{name} is {ids[place]} at {place}; expected an id, as nothing equals what is missing")


def _require_distinct_queries(ids: NDArray[Any]) -> None:
    import pandas as pd

    twice = pd.Index(ids).duplicated()
    if twice.any():
        raise ArgumentError(f"query_ids holds {ids[twice][0]!r} twice; expected distinct ids")


def _require_distinct_docs(pool: Pool) -> None:
    import pandas as pd

    codes = pd.factorize(pool.doc_ids)[0].astype(np.int64)
    twice = pd.Index(pool.owner() * (int(codes.max()) + 1) + codes).duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise ArgumentError(f"doc_ids holds {pool.row_name(row)} twice; expected distinct documents within a query")


def _unknown(log: ClickLog, session: int, what: str, unknown: Hashable, name: str, pool: Pool) -> DataError:
    ids = (log.query_vocabulary, pool.query_ids) if what == "query" else (log.doc_vocabulary, pool.doc_ids)
    in_log, in_pool = (type(some.flat[0]).__name__ for some in ids)
    hint = "The scores of a policy must cover every document that was logged"
    alike = _same_number(unknown, ids[1])
    if alike is not None:
        hint = f"The pool has {alike!r}, the same number written otherwise: write the ids of both alike"
    if in_log != in_pool:
        hint = f"Ids of the log are {in_log} and those of the pool {in_pool}: make them one type"
    return DataError(
        f"the log has a {what} that the pool lacks",
        source=log.source,
        row=f"session {session}",
        found=name or str(unknown),
        expected=f"one of the pool's {pool.n_queries:,} queries and {pool.n_rows:,} (query, document) pairs",
        hint=hint,
    )


def _same_number(unknown: Hashable, ids: NDArray[Any]) -> Hashable | None:
    """The id that is the same number, as 17 is 017 and 17.0; None if there is none."""
    number = _number(unknown)
    if number is None:
        return None
    return next((one for one in ids.tolist() if _number(one) == number), None)


def _number(one: Hashable) -> float | None:
    try:
        return float(str(one))
    except ValueError:
        return None
