"""Propensities that a log carries in its own columns: what each column means, and the arrays that estimators take."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.data import Pool
from cltr_twostage.policy import TwoStagePolicy
from irworks.data import ClickLog, read_click_log
from irworks.data.click_columns import LongColumns
from irworks.data.columns import Place, numbers
from irworks.data.tables import read_table
from irworks.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LoggedPropensities",
    "MissingPropensitiesError",
    "PropensityColumns",
    "log_with_propensities",
    "read_propensities",
]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]

# A probability that was written with six digits, and its copies in other rows.
TOLERANCE = 1e-5


class MissingPropensitiesError(DataError):
    """The log lacks the columns that an estimator needs where the logging policy is not given."""


@dataclass(frozen=True)
class PropensityColumns:
    """The names of the columns, each a probability in (0, 1] under the policy that made the log.

    Attributes:
        rho0: P(the document is examined | query), sum_k e_k P(it is shown at rank k): the same in all rows of a (query,
            document) pair.
        candidate: P(the document is a candidate | query): the same in all rows of a pair.
        rank: P(the document is shown at this row's rank | query, it is a candidate). Times `candidate` it is the
            placement propensity of the row.
        placement: P(the document is shown at this row's rank | query): `candidate` times `rank`.
        lists: P(the whole list of the session | query): the same in all rows of a session.
    """

    rho0: str = "rho0"
    candidate: str = "p_candidate"
    rank: str = "p_rank"
    placement: str = "propensity"
    lists: str = "p_list"


@dataclass(frozen=True, eq=False)
class LoggedPropensities:
    """A log and the columns of propensities beside it, row by row of the table that it was read from.

    Documents that the log never shows have no row, so their propensity is not known: arrays hold 0 for them, and a
    target that shows them has a support gap.

    Attributes:
        log: The log.
        columns: How the columns are called.
        values: By the field of `PropensityColumns`, float64 [n_impressions] of each column that is there.
        session: int64 [n_impressions], session of each row.
        rank: int64 [n_impressions], rank of each row, from 0.
        place: How to speak of a row.
    """

    log: ClickLog
    columns: PropensityColumns
    values: dict[str, FloatArray]
    session: LongArray
    rank: LongArray
    place: Place = field(repr=False)

    def exposure(self, pool: Pool, examination: ArrayLike) -> FloatArray:
        """rho_0 for `ExposureIPS.fit(log, logging=...)`: float64 [n_rows], 0 where the log has no row.

        Taken from the column `rho0`; without it computed from `candidate` and `rank`, which define it only for
        documents logged at every rank, or whose logged ranks are all there are (their probabilities sum to one).

        Args:
            pool: The documents that can be shown.
            examination: float [>= n_ranks], probability that each rank is examined.

        Raises:
            MissingPropensitiesError: Columns that are missing, or do not define rho_0.
            DataError: Columns that contradict each other, or a document outside the pool.
        """
        rows = self._rows(pool)
        seen = np.asarray(examination, dtype=np.float64)[: self.log.n_ranks]
        if "rho0" in self.values:
            self._check_reachable(seen)
            return _filled(self._constant("rho0", rows, pool.n_rows, "document"))
        self._require("rho0", ("candidate", "rank"))
        table = self._product(pool)
        self._check_complete(table, pool)
        return np.asarray(_filled(table) @ seen)

    def placement(self, pool: Pool) -> FloatArray:
        """P_0(document at rank) for `ItemPositionIPS.fit(log, logging=...)`: float64 [n_rows, n_ranks], 0 if unknown.

        Raises:
            DataError: As `exposure`; or `placement` is not `candidate` times `rank` where all three are given.
        """
        parts = "candidate" in self.values and "rank" in self.values
        if "placement" not in self.values:
            self._require("placement", ("candidate", "rank"))
            return _filled(self._product(pool))
        if parts:
            self._check_product()
        return _filled(self._by_rank("placement", pool))

    def list_probability(self) -> FloatArray:
        """pi_0(list) of each session, for `SlateIPS.fit(log, logging=...)`: float64 [n_sessions].

        Raises:
            MissingPropensitiesError: The column is missing.
            DataError: It has several values in one session.
        """
        self._require("lists", ())
        return self._constant("lists", self.session, len(self.log), "list")

    def _require(self, name: str, instead: tuple[str, ...]) -> None:
        if any(one not in self.values for one in instead or (name,)):
            wanted = self.columns.__dict__[name]
            either = f"{wanted!r}, or {' and '.join(repr(one) for one in self._names(instead))}" if instead else wanted
            raise MissingPropensitiesError(
                "columns of propensities are missing",
                source=self.place.source,
                column=wanted,
                found=", ".join(self._names(tuple(self.values))) or "none of them",
                expected=str(either),
            )

    def _names(self, fields: tuple[str, ...]) -> list[str]:
        return [getattr(self.columns, name) for name in fields]

    def _rows(self, pool: Pool) -> LongArray:
        """int64 [n_impressions], the pool's row of each row of the table."""
        _, rows = pool.locate(self.log)
        of_row: LongArray = rows[self.session, self.rank].astype(np.int64)
        return of_row

    def _product(self, pool: Pool) -> FloatArray:
        """float64 [n_rows, n_ranks], `candidate` times `rank`, NaN where the log has no row."""
        candidate = self._constant("candidate", self._rows(pool), pool.n_rows, "document")
        return candidate[:, None] * self._by_rank("rank", pool)

    def _by_rank(self, name: str, pool: Pool) -> FloatArray:
        k = self.log.n_ranks
        rows = self._rows(pool)
        table = self._constant(name, rows * k + self.rank, pool.n_rows * k, "document at one rank")
        table = table.reshape(pool.n_rows, k)
        beyond = np.nansum(table, axis=1) > 1 + TOLERANCE * k
        if beyond.any():
            row = int(np.flatnonzero(beyond[rows])[0])
            raise self.place.error(
                f"the probabilities of {pool.row_name(int(rows[row]))} at its ranks sum to more than one",
                row,
                getattr(self.columns, name),
                float(np.nansum(table[rows[row]])),
                "at most 1: a document stands at one rank",
            )
        return table

    def _constant(self, name: str, keys: LongArray, size: int, what: str) -> FloatArray:
        """A column as one value for each key: float64 [size], NaN for keys without a row."""
        values = self.values[name]
        first = np.full(size, len(keys))
        np.minimum.at(first, keys, np.arange(len(keys)))
        expected = values[first[keys]]
        differs = np.abs(values - expected) > TOLERANCE * expected
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            raise self.place.error(
                f"one {what} has two values",
                row,
                getattr(self.columns, name),
                values[row],
                f"{expected[row]} as at {self.place.where(int(first[keys[row]]))}",
                hint="If several policies made this log, nothing says which one a row is from: give the log of each "
                "with the policy that made it",
            )
        table: FloatArray = np.append(values, np.nan)[first]
        return table

    def _check_reachable(self, examination: FloatArray) -> None:
        beyond = self.values["rho0"] > examination.max() * (1 + TOLERANCE)
        if beyond.any():
            row = int(np.flatnonzero(beyond)[0])
            raise self.place.error(
                "a document is examined more often than any rank",
                row,
                self.columns.rho0,
                self.values["rho0"][row],
                f"at most {examination.max()}, the largest examination",
                hint="The probability that a document is shown is another thing than that it is examined",
            )

    def _check_product(self) -> None:
        product = self.values["candidate"] * self.values["rank"]
        differs = np.abs(self.values["placement"] - product) > TOLERANCE * product
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            raise self.place.error(
                "columns contradict each other",
                row,
                self.columns.placement,
                self.values["placement"][row],
                f"{product[row]}, {self.columns.candidate} times {self.columns.rank}",
            )

    def _check_complete(self, table: FloatArray, pool: Pool) -> None:
        """Whether placements [n_rows, n_ranks], NaN where not logged, define the exposure of each logged document."""
        logged = ~np.isnan(table)
        candidate = self._constant("candidate", self._rows(pool), pool.n_rows, "document")
        known = np.nansum(table, axis=1) / candidate
        open_rows = np.flatnonzero(logged.any(axis=1) & ~logged.all(axis=1) & (known < 1 - TOLERANCE))
        if not len(open_rows):
            return
        row = int(open_rows[0])
        ranks = ", ".join(str(rank + 1) for rank in np.flatnonzero(~logged[row]))
        raise MissingPropensitiesError(
            f"the columns do not say how often a document is examined: {self.columns.rank} at some ranks is missing",
            source=self.place.source,
            column=self.columns.rank,
            found=f"{pool.row_name(row)} never logged at rank {ranks}, and {len(open_rows) - 1:,} more documents",
            expected=f"every rank of every document, or the column {self.columns.rho0!r}",
        )


def read_propensities(
    path: str | Path,
    columns: PropensityColumns | None = None,
    *,
    log: ClickLog | None = None,
    log_columns: LongColumns | None = None,
) -> LoggedPropensities:
    """Read a log with the propensities in its columns.

    Args:
        path: The file: CSV or Parquet, long form (of the wide form, only the column of placements is read).
        columns: Names of the columns; those that the file lacks are left out.
        log: The same log, if it has been read already.
        log_columns: Names of the log's own columns.

    Raises:
        DataError: What `irworks.data.read_click_log` raises; or a propensity that is no number in (0, 1], with its line
            and column.
    """
    from irworks.data.click_wide import WIDE_COLUMNS, long_from_wide

    names = PropensityColumns() if columns is None else columns
    wanted = replace(log_columns or LongColumns(), propensity=None, features=())
    log = read_click_log(path, **vars(wanted)) if log is None else log
    frame, place = read_table(Path(path), wanted.ids())
    if WIDE_COLUMNS[0] in frame.columns:
        _refuse_wide(frame, names, place)
        wanted = replace(wanted, propensity=_present(names.placement, frame))
        frame, wanted, place = long_from_wide(frame, wanted, place)
    session, rank = _cells(frame, wanted)
    here = {name: column for name, column in vars(names).items() if column in frame.columns}
    values = {name: _probabilities(frame, column, place) for name, column in here.items()}
    return LoggedPropensities(log, names, values, session, rank, place)


def log_with_propensities(log: ClickLog, policy: TwoStagePolicy, examination: ArrayLike) -> "pd.DataFrame":
    """A log as a long table with the propensities of the policy that made it, exact, under their default names.

    Args:
        log: The log.
        policy: The policy that made it.
        examination: float [>= k], probability that each rank is examined.

    Returns:
        The columns of `ClickLog.to_frame`, `propensity` among them, and `rho0, p_candidate, p_rank`.
    """
    from irworks.data.click_files import log_to_frame

    frame = log_to_frame(log)
    session, rank = np.nonzero(log.shown)
    row = policy.pool.locate(log)[1][session, rank]
    placement = policy.placement("exact").value
    # Two quadratures that should agree need not do so in the last digit.
    candidate = np.maximum(policy.inclusion(), placement.sum(axis=1))[row]
    frame["propensity"] = placement[row, rank]
    frame["rho0"] = (placement @ np.asarray(examination, dtype=np.float64)[: policy.k])[row]
    frame["p_candidate"] = np.minimum(candidate, 1.0)
    frame["p_rank"] = frame["propensity"] / frame["p_candidate"]
    return frame


def _present(column: str, frame: "pd.DataFrame") -> str | None:
    return column if column in frame.columns else None


def _refuse_wide(frame: "pd.DataFrame", names: PropensityColumns, place: Place) -> None:
    for column in (names.rho0, names.candidate, names.rank, names.lists):
        if column in frame.columns:
            raise DataError("read from the long form only", source=place.source, column=column)


def _cells(frame: "pd.DataFrame", columns: LongColumns) -> tuple[LongArray, LongArray]:
    """Session and rank of each row, numbered as the reader of click logs numbers them."""
    import pandas as pd

    session = columns.optional("session", list(frame.columns))
    rows = np.arange(len(frame)) if session is None else pd.factorize(frame[session])[0].astype(np.int64)
    position = pd.to_numeric(frame[columns.position]).to_numpy(dtype=np.float64)
    return rows, position.astype(np.int64) - 1


def _probabilities(frame: "pd.DataFrame", column: str, place: Place) -> FloatArray:
    expected = "a probability in (0, 1]"
    values = numbers(frame, column, place, expected)
    bad = ~((values > 0) & (values <= 1))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise place.error("a propensity is out of range", row, column, values[row], expected)
    return values


def _filled(table: FloatArray) -> FloatArray:
    return np.asarray(np.nan_to_num(table, nan=0.0))
