"""The documents that each query can show, the score tables of both stages, and where a click log stands in them."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.data import ClickLog
from irworks.errors import ArgumentError, DataError
from irworks.simulate.plackett_luce import MAX_SCORE

if TYPE_CHECKING:
    import pandas as pd

    from irworks.data.columns import Place

__all__ = ["Pool", "ScoreTable", "checked_scores", "read_scores", "read_table", "write_scores"]

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
        if self._shares_codes(log):
            # Rank by rank, which counts and checks go through several times faster than session by session.
            rows = np.asfortranarray(log.docs)
            if self._owns(log.query, rows):
                return log.query, rows
        return self._locate_by_id(log)

    def _shares_codes(self, log: ClickLog) -> bool:
        """Whether the codes of a log can be the numbers of this pool, as those of a simulated log are."""
        return np.array_equal(log.query_vocabulary, self.query_ids) and np.array_equal(log.doc_vocabulary, self.doc_ids)

    def _owns(self, query: IntArray, rows: IntArray) -> bool:
        offsets = self.offsets.astype(np.int32)
        begin, end = offsets.take(query), offsets.take(query + 1)
        by_rank = rows.T
        inside = (by_rank >= begin) & (by_rank < end)
        return bool(inside.all() or (inside | (by_rank < 0)).all())

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


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """Scores of both stages for every (query, document) pair that can be shown.

    Attributes:
        pool: The pairs.
        candidate_scores: float64 [n_rows], log-weights of the candidate generator; -inf: never a candidate.
        ranker_scores: float64 [n_rows], log-weights of the ranker; -inf: never shown.

    Raises:
        ArgumentError: Not one score a row, or a score that is NaN, +inf or beyond +-1e12.
    """

    pool: Pool
    candidate_scores: FloatArray
    ranker_scores: FloatArray

    def __post_init__(self) -> None:
        for name in ("candidate_scores", "ranker_scores"):
            object.__setattr__(self, name, checked_scores(name, getattr(self, name), self.pool))

    @classmethod
    def from_frame(
        cls,
        frame: "pd.DataFrame",
        *,
        query: str = "query_id",
        doc: str = "doc_id",
        candidate: str = "score_c",
        ranker: str = "score_r",
        source: str = "table",
    ) -> "ScoreTable":
        """Read the scores from a table with a row per (query, document) pair, in any order.

        Args:
            frame: The table.
            query: Column of the query id.
            doc: Column of the document id.
            candidate: Column of the candidate generator's score.
            ranker: Column of the ranker's score.
            source: What to call the table in error messages.

        Returns:
            Pairs grouped by query, queries and documents in the order of their first row.

        Raises:
            DataError: A missing column, an id that is missing, a pair twice, or a score that is no number, NaN, +inf or
                beyond +-1e12: with its row.
        """
        from irworks.data.columns import Place

        return _scores_from_frame(frame, (query, doc, candidate, ranker), Place(source))

    def __repr__(self) -> str:
        return f"ScoreTable({self.pool.n_queries:,} queries, {self.pool.n_rows:,} rows)"

    @staticmethod
    def union(tables: "Sequence[ScoreTable]") -> "list[ScoreTable]":
        """Several score tables on one pool, which has every (query, document) pair of any of them.

        A pair that a table lacks gets -inf in it: that policy never shows it. Make sure that none was merely forgotten.
        Of a query that a table lacks altogether, it has nothing to show, and no policy can be made of it.

        Args:
            tables: The tables, with ids of one type.

        Returns:
            The tables in their order. Queries, and documents within a query, stand in the order of their first row.

        Raises:
            ArgumentError: No tables, or ids that are text in one and numbers in another.
        """
        import pandas as pd

        if not len(tables):
            raise ArgumentError("no score tables; expected at least one")
        for name in ("query_ids", "doc_ids"):
            _require_one_type(name, [getattr(table.pool, name) for table in tables])
        pairs = [table.to_frame()[["query_id", "doc_id"]] for table in tables]
        pool, _ = _grouped(pd.concat(pairs).drop_duplicates(ignore_index=True), "query_id", "doc_id")
        everything = pd.MultiIndex.from_arrays([pool.query_ids[pool.owner()], pool.doc_ids])
        rows = [everything.get_indexer(pd.MultiIndex.from_frame(own)) for own in pairs]
        return [table._spread(pool, own) for table, own in zip(tables, rows, strict=True)]

    def _spread(self, pool: Pool, rows: NDArray[np.intp]) -> "ScoreTable":
        """These scores at some rows of a larger pool, and -inf at the others."""
        scores = np.full((2, pool.n_rows), -np.inf)
        scores[:, rows] = self.candidate_scores, self.ranker_scores
        return ScoreTable(pool, *scores)

    def aligned_to(self, pool: Pool, what: str = "scores", *, drop: bool = False) -> "ScoreTable":
        """These scores in the row order of another pool; queries that the other pool lacks are left out.

        Args:
            pool: The other pool.
            what: What to call these scores in error messages.
            drop: Whether to leave out, too, documents that can be shown but that the other pool lacks. The policy is
                then another one, and no `Estimate.support_gap` says so.

        Raises:
            DataError: A pair of the other pool has no score here; or, unless `drop`, the other way round.
        """
        import pandas as pd

        here = pd.MultiIndex.from_arrays([self.pool.query_ids[self.pool.owner()], self.pool.doc_ids])
        wanted = pd.MultiIndex.from_arrays([pool.query_ids[pool.owner()], pool.doc_ids])
        rows = here.get_indexer(wanted)
        if (rows < 0).any():
            missing = int(np.flatnonzero(rows < 0)[0])
            raise DataError(
                f"{what} lack pairs of the pool",
                found=f"no score of {pool.row_name(missing)}, and {int((rows < 0).sum()) - 1} more",
                expected="a score for every pair (-inf: never shown)",
            )
        if not drop:
            self._refuse_strangers(pool, wanted.get_indexer(here) < 0, what)
        return ScoreTable(pool, self.candidate_scores[rows], self.ranker_scores[rows])

    def _refuse_strangers(self, pool: Pool, lacking: BoolArray, what: str) -> None:
        """Raise a DataError if a document that can be shown would be left out of a query."""
        import pandas as pd

        asked = pd.Index(self.pool.query_ids).isin(pool.query_ids)[self.pool.owner()]
        strange = lacking & asked & ~np.isneginf(self.candidate_scores) & ~np.isneginf(self.ranker_scores)
        if strange.any():
            row = int(np.flatnonzero(strange)[0])
            raise DataError(
                f"{what} have documents that the pool lacks",
                found=f"{self.pool.row_name(row)}, and {int(strange.sum()) - 1:,} more",
                expected="documents of the pool",
                hint="Make a pool of all documents, with -inf for those that a policy never shows; or drop=True",
            )

    def to_frame(self) -> "pd.DataFrame":
        """The table with the columns `query_id, doc_id, score_c, score_r`."""
        import pandas as pd

        return pd.DataFrame(
            {
                "query_id": self.pool.query_ids[self.pool.owner()],
                "doc_id": self.pool.doc_ids,
                "score_c": self.candidate_scores,
                "score_r": self.ranker_scores,
            }
        )


def read_scores(
    path: str | Path,
    *,
    query: str = "query_id",
    doc: str = "doc_id",
    candidate: str = "score_c",
    ranker: str = "score_r",
) -> ScoreTable:
    """Read a score table from CSV (`.csv`, `.csv.gz`, `.tsv`) or Parquet; see `ScoreTable.from_frame`.

    Raises:
        DataError: The file is missing or malformed, or a row breaks the contract: with its line.
    """
    frame, place = read_table(Path(path), (query, doc))
    return _scores_from_frame(frame, (query, doc, candidate, ranker), place)


def read_table(file: Path, ids: Sequence[str] = ()) -> "tuple[pd.DataFrame, Place]":
    """A table from CSV or Parquet, by the name of the file, and how to speak of its rows.

    Args:
        file: The file.
        ids: Columns of a CSV file that hold ids, for which see `irworks.data.tables.read_csv`.

    Raises:
        DataError: The name says neither, or the file is missing or malformed.
    """
    from irworks.data.columns import Place
    from irworks.data.tables import is_parquet, read_csv, read_parquet

    refuse_folder(file)
    if is_parquet(file):
        return read_parquet(file), Place(file.name)
    return read_csv(file, ids), Place(file.name, csv=file)


def refuse_folder(file: Path) -> None:
    """Raise a DataError for a folder in the place of a table, but for one of Parquet files, by its name."""
    if file.is_dir() and file.suffix not in (".parquet", ".pq"):
        raise DataError("a folder, and no table", source=file, expected="a file: .parquet, .csv, .tsv or .csv.gz")


def write_scores(table: ScoreTable, path: str | Path) -> None:
    """Write a score table as Parquet or CSV, by the name; atomically. CSV does not keep text apart from numbers.

    Raises:
        DataError: The name says neither, or the ids are of several types, which a Parquet column does not hold.
    """
    import pyarrow as pa

    from irworks.data.tables import csv_delimiter, is_parquet
    from irworks.runtime import atomic_path

    file = Path(path)
    frame = table.to_frame()
    parquet = is_parquet(file)
    with atomic_path(file) as scratch:
        if not parquet:
            frame.to_csv(scratch, index=False, sep=csv_delimiter(file))
            return
        try:
            frame.to_parquet(scratch, index=False)
        except (pa.ArrowException, TypeError):
            raise DataError("ids cannot be written", source=file, expected="ids of one type, numbers or text") from None


def _scores_from_frame(frame: "pd.DataFrame", columns: tuple[str, str, str, str], place: Any) -> ScoreTable:
    from irworks.data.columns import check_present

    query, doc, candidate, ranker = columns
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    check_present(columns, list(frame.columns), place.source)
    if len(frame) == 0:
        raise place.empty()
    for column in (query, doc):
        missing = frame[column].isna().to_numpy()
        if missing.any():
            raise place.error("an id is missing", int(np.flatnonzero(missing)[0]), column, None, "an id")
    twice = frame.duplicated([query, doc]).to_numpy()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        found = f"({frame[query].iloc[row]}, {frame[doc].iloc[row]})"
        raise place.error("a (query, document) pair stands in the table twice", row, doc, found, "each pair once")
    pool, order = _grouped(frame, query, doc)
    return ScoreTable(pool, _scores(frame, candidate, place)[order], _scores(frame, ranker, place)[order])


def _grouped(frame: "pd.DataFrame", query: str, doc: str) -> tuple[Pool, NDArray[np.intp]]:
    """The pool of a table of distinct pairs, and the rows of the table in its order."""
    import pandas as pd

    codes, query_ids = pd.factorize(frame[query])
    order = np.argsort(codes, kind="stable")
    offsets = np.concatenate(([0], np.cumsum(np.bincount(codes))))
    return Pool(offsets, np.asarray(query_ids), frame[doc].to_numpy()[order]), order


def _require_one_type(name: str, ids: Sequence[NDArray[Any]]) -> None:
    """Raise an ArgumentError where 1 and "1" would silently be two documents."""
    kinds = [type(array.flat[0]).__name__ for array in ids]
    texts = [isinstance(array.flat[0], str) for array in ids]
    if len(set(texts)) > 1:
        other = texts.index(not texts[0])
        raise ArgumentError(
            f"{name} are {kinds[0]} in table 0 and {kinds[other]} in table {other}; expected ids of one type"
        )


def _scores(frame: "pd.DataFrame", column: str, place: Any) -> FloatArray:
    """A column of scores, which may be -inf."""
    from irworks.data.columns import numbers

    expected = f"a number within +-{MAX_SCORE:.0e}, or -inf"
    values = numbers(frame, column, place, expected)
    bad = ~((np.abs(values) <= MAX_SCORE) | np.isneginf(values))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise place.error("a score is out of range", row, column, values[row], expected)
    return values


def checked_scores(name: str, scores: ArrayLike, pool: Pool) -> FloatArray:
    """Log-weights of a pool, checked: a copy, float64 [n_rows], read-only.

    Args:
        name: What to call the scores in error messages.
        scores: float [n_rows]; -inf: a weight of zero.
        pool: The rows that are scored.

    Raises:
        ArgumentError: Not one score a row, or a score that is NaN, +inf or beyond +-1e12.
    """
    array = np.array(scores, dtype=np.float64)
    if array.shape != (pool.n_rows,):
        raise ArgumentError(f"{name} gives scores of shape {array.shape}; expected [{pool.n_rows}], one a row")
    bad = ~((np.abs(array) <= MAX_SCORE) | np.isneginf(array))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ArgumentError(
            f"{name} scores {pool.row_name(row)} with {array[row]}; expected a number within +-{MAX_SCORE:.0e}, or -inf"
        )
    array.setflags(write=False)
    return array


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
