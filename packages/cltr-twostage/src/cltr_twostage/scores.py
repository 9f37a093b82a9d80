"""The score tables of both stages, read, checked, brought onto one pool, and written."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.data import Pool
from irworks.errors import ArgumentError, DataError
from irworks.simulate.plackett_luce import MAX_SCORE

if TYPE_CHECKING:
    import pandas as pd


__all__ = ["ScoreTable", "checked_scores", "read_scores", "write_scores"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


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
            ArgumentError: No tables, or ids that are text here and numbers there.
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
    from irworks.data.tables import read_table

    frame, place = read_table(Path(path), (query, doc))
    return _scores_from_frame(frame, (query, doc, candidate, ranker), place)


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
    types = [{_type_of_id(kind) for kind in set(map(type, array.tolist()))} for array in ids]
    odd = next((place for place, found in enumerate(types) if len(found) > 1 or found != types[0]), None)
    if odd is None:
        return
    found = [f"{' and '.join(sorted(types[place]))} in table {place}" for place in sorted({0, odd})]
    raise ArgumentError(f"{name} are {' and '.join(found)}; expected ids of one type in all tables")


def _type_of_id(kind: type) -> str:
    if issubclass(kind, str):
        return "text"
    return "numbers" if issubclass(kind, (int, float, np.number, np.bool_)) else kind.__name__


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
