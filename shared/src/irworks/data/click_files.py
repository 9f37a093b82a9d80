"""Click logs from and to tables and files: long form (one row per shown document) and wide form (one row per list).

Long form: `session_id, query_id, doc_id, position, click[, propensity][, f_*]`. Position counts from 1.
Wide form, as CLAX batches: `query_doc_ids, positions, clicks[, mask][, query_id]`, each a list per row.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from irworks.data.click_columns import LongColumns, empty_log
from irworks.data.click_wide import WIDE_COLUMNS, long_from_wide
from irworks.data.clicks import ClickLog
from irworks.data.columns import Place, factorized, id_codes, numbers, plain, zeros_and_ones
from irworks.data.damage import legible, one_line
from irworks.data.tables import csv_delimiter, is_parquet, read_table, scan_parquet
from irworks.errors import ArgumentError
from irworks.runtime import atomic_path

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LongColumns", "log_from_frame", "log_to_frame", "read_click_log", "scan_click_log", "write_click_log"]

MAX_POSITION = 10_000
# Sessions times ranks of one log: some 10 GB of columns. Longer logs are read in parts.
MAX_PLACES = 1_000_000_000


def log_from_frame(frame: "pd.DataFrame", *, source: str = "table", **columns: Any) -> ClickLog:
    """Read a log from a table, in long or wide form.

    Args:
        frame: The table. Wide form is recognised by its column `query_doc_ids`.
        source: What to call the table in error messages.
        **columns: Column names, the fields of `LongColumns`: `query=`, `doc=`, `position=`, `click=`, `session=`,
            `propensity=`, `features=`; in wide form `query=` and `propensity=` alone.

    Returns:
        The validated log; codes number the ids in sorted order (of the categories, if a column is categorical).

    Raises:
        ArgumentError: An argument names no column of a log, or one that the wide form has under one name alone.
        DataError: A missing column, a value out of range, a document or position twice in a session, features that
            differ between rows of one (query, document) pair: with the row, the column, what was found and expected.
    """
    if not hasattr(frame, "set_axis"):
        raise ArgumentError(f"frame is a {type(frame).__name__}; expected a pandas data frame")
    return _from_frame(frame, LongColumns.named(columns), Place(source))


def read_click_log(path: str | Path, **columns: Any) -> ClickLog:
    """Read a log from a CSV (`.csv`, `.csv.gz`, `.tsv`) or Parquet file, in long or wide form.

    Args:
        path: The file.
        **columns: Column names: `query=`, `doc=`, `position=`, `click=`, `session=`, `propensity=`, `features=`.

    Raises:
        ArgumentError: `path` is no path, or as `log_from_frame`.
        DataError: The file is missing, truncated or malformed, or a value breaks the contract (see `log_from_frame`).
    """
    if not isinstance(path, str | os.PathLike):
        raise ArgumentError(f"path is a {type(path).__name__}; expected a file, or a frame for ClickLog.from_frame")
    wanted = LongColumns.named(columns)
    frame, place = read_table(Path(path), wanted.ids())
    return _from_frame(frame, wanted, place)


def scan_click_log(path: str | Path, *, batch_rows: int = 1_000_000, **columns: Any) -> Iterator[ClickLog]:
    """Read a Parquet log in parts, for logs larger than memory. A session is never cut in two.

    Args:
        path: A Parquet file in long form whose sessions stand in consecutive rows, or in wide form.
        batch_rows: About how many rows a part holds.
        **columns: Column names, the fields of `LongColumns`.

    Yields:
        One log per part, each with its own vocabularies.

    Raises:
        DataError: As `read_click_log`; also where a session returns in a later part.
    """
    import pandas as pd

    file = Path(path)
    if batch_rows < 1:
        raise ArgumentError(f"batch_rows={batch_rows}; expected at least 1")
    parts = scan_parquet(file, batch_rows)
    rest: pd.DataFrame | None = None
    first_row = 0
    seen: set[int] = set()
    for batch in parts:
        table = batch if rest is None else pd.concat([rest, batch], ignore_index=True)
        session = _session_column(table, LongColumns.named(columns), file.name)
        cut = len(table) if session is None else _start_of_last(table, session, Place(file.name, first=first_row))
        rest = table.iloc[cut:].reset_index(drop=True)
        if cut:
            yield _part(table.iloc[:cut], session, columns, file.name, first_row, seen)
            first_row += cut
    if rest is not None and len(rest):
        yield _part(rest, session, columns, file.name, first_row, seen)


def log_to_frame(log: ClickLog) -> "pd.DataFrame":
    """The log as a long table with the columns of `LongColumns`, ordered by session and rank; features as columns."""
    import pandas as pd

    session, rank = np.nonzero(log.shown)
    data: dict[str, NDArray[Any]] = {
        "session_id": session,
        "query_id": log.query_vocabulary[log.query[session]],
        "doc_id": log.doc_vocabulary[log.docs[session, rank]],
        "position": rank + 1,
        "click": log.clicks[session, rank].astype(np.int8),
    }
    if log.propensities is not None:
        data["propensity"] = log.propensities[session, rank]
    if log.features is not None:
        rows = log.features[log.pairs.index[session, rank]]
        data |= {name: rows[:, j] for j, name in enumerate(log.feature_names)}
    return pd.DataFrame(data)


def write_click_log(log: ClickLog, path: str | Path) -> None:
    """Write the long table as Parquet or, by the name, as CSV (`.csv`, `.csv.gz`, `.tsv`); atomically.

    Raises:
        ArgumentError: A feature is named like one of the log's own columns, or ids of several types stand in one column
            of a Parquet file.
        DataError: The name says neither.
    """
    import pyarrow as pa

    file = Path(path)
    frame = log_to_frame(log)
    fixed = {"session_id", "query_id", "doc_id", "position", "click", "propensity"}
    if clash := fixed & set(log.feature_names):
        raise ArgumentError(f"a feature is named {sorted(clash)[0]!r}, as a column of the log itself; rename it")
    parquet = is_parquet(file)
    with atomic_path(file) as scratch:
        if not parquet:
            gzip: Literal["gzip"] | None = "gzip" if file.suffix.lower() == ".gz" else None
            frame.to_csv(scratch, index=False, sep=csv_delimiter(file), compression=gzip)
            return
        try:
            frame.to_parquet(scratch, index=False, compression="zstd", write_page_checksum=True)
        except pa.ArrowException as error:
            raise ArgumentError(
                f"the log cannot be a Parquet file: {one_line(error)}; expected ids of one type in a column (make all "
                "of them text)"
            ) from None


def _session_column(table: "pd.DataFrame", columns: LongColumns, source: str) -> str | None:
    if WIDE_COLUMNS[0] in table.columns:
        return None
    return columns.present([str(name) for name in table.columns], source).session


def _start_of_last(table: "pd.DataFrame", session: str, place: Place) -> int:
    """Row at which the last session of a part begins: it may go on in the next part."""
    codes, _ = factorized(table, session, place)
    changes = np.flatnonzero(codes[1:] != codes[:-1])
    return int(changes[-1]) + 1 if len(changes) else 0


def _part(
    table: "pd.DataFrame", session: str | None, columns: Mapping[str, Any], source: str, first: int, seen: set[int]
) -> ClickLog:
    import pandas as pd

    place = Place(source, first=first)
    if session is not None:
        codes = pd.util.hash_array(table[session].to_numpy())
        new = set(np.unique(codes).tolist())
        if new & seen:
            row = int(np.flatnonzero(np.isin(codes, list(new & seen)))[0])
            raise place.error(
                "a session returns in a later part of the file",
                row,
                session,
                table[session].iloc[row],
                "consecutive rows",
            )
        seen |= new
    return _from_frame(table.reset_index(drop=True), LongColumns.named(columns), place)


# -- checking ---------------------------------------------------------------------------------------------------------


def _from_frame(frame: "pd.DataFrame", wanted: LongColumns, place: Place) -> ClickLog:
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    if WIDE_COLUMNS[0] in frame.columns and len(frame):
        frame, wanted, place = long_from_wide(frame, wanted, place)
    if len(frame) == 0:
        raise empty_log(place)
    columns = wanted.present(list(frame.columns), place.source)
    position = _positions(frame, columns.position, place)
    clicks = zeros_and_ones(frame, columns.click, place, "click")
    query, query_ids = _codes(frame, columns.query, place)
    doc, doc_ids = _codes(frame, columns.doc, place)
    session, first_row = _sessions(frame, columns, query, query_ids, place)
    shape = (len(first_row), int(position.max()))
    _check_size(shape, position, columns.position, frame, place)
    _check_once(session, position, columns.position, "position", frame, place)
    _check_doc_once(session, doc, columns.doc, frame, place)
    docs = np.full(shape, -1, dtype=np.int32)
    docs[session, position - 1] = doc
    click_matrix = np.zeros(shape, dtype=bool)
    click_matrix[session, position - 1] = clicks
    propensities = None
    if columns.propensity is not None:
        propensities = np.full(shape, np.nan)
        propensities[session, position - 1] = _propensities(frame, columns.propensity, place)
    log = ClickLog(
        query=query[first_row],
        docs=docs,
        clicks=click_matrix,
        query_ids=query_ids,
        doc_ids=doc_ids,
        propensities=propensities,
        source=place.source,
    )
    if not columns.features:
        return log
    return _with_features(log, frame, list(columns.features), log.pairs.index[session, position - 1], place)


def _positions(frame: "pd.DataFrame", column: str, place: Place) -> NDArray[np.int64]:
    expected = f"a whole number from 1 to {MAX_POSITION}"
    values = numbers(frame, column, place, expected)
    bad = (values < 1) | (values > MAX_POSITION) | (values != np.floor(values))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        hint = "Positions count from 1: add 1 to positions that count from 0" if values[row] == 0 else None
        raise place.error("position out of range", row, column, frame[column].iloc[row], expected, hint)
    return values.astype(np.int64)


def _propensities(frame: "pd.DataFrame", column: str, place: Place) -> NDArray[np.float64]:
    expected = "a probability in (0, 1]"
    values = numbers(frame, column, place, expected)
    bad = ~((values > 0) & (values <= 1))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise place.error("a placement propensity is unusable", row, column, values[row], expected)
    return values


def _codes(frame: "pd.DataFrame", column: str | None, place: Place) -> tuple[NDArray[np.int32], NDArray[Any]]:
    if column is None:
        return np.zeros(len(frame), dtype=np.int32), np.array(["all"], dtype=object)
    return id_codes(frame, column, place)


def _sessions(
    frame: "pd.DataFrame", columns: LongColumns, query: NDArray[np.int32], query_ids: NDArray[Any], place: Place
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Code of each row's session, in order of appearance, and the first row of each."""
    if columns.session is None:
        rows = np.arange(len(frame))
        return rows, rows
    codes, _ = id_codes(frame, columns.session, place, sort=False)
    first = np.full(int(codes.max()) + 1, len(codes))
    np.minimum.at(first, codes, np.arange(len(codes)))
    mixed = query != query[first[codes]]
    if mixed.any():
        row = int(np.flatnonzero(mixed)[0])
        earlier = int(first[codes[row]])
        raise place.error(
            f"session {legible(repr(plain(frame[columns.session].iloc[row])))} has two queries",
            row,
            columns.query,
            query_ids[query[row]],
            f"{legible(repr(plain(query_ids[query[earlier]])))} as at {place.where(earlier)}",
        )
    return codes.astype(np.int64), first


def _check_size(
    shape: tuple[int, int], position: NDArray[np.int64], column: str, frame: "pd.DataFrame", place: Place
) -> None:
    """A log holds a place for every session and rank: one stray position must not claim all memory."""
    if shape[0] * shape[1] <= MAX_PLACES:
        return
    row = int(position.argmax())
    raise place.error(
        f"{shape[0]:,} lists as long as this position ask for too much memory",
        row,
        column,
        shape[1],
        f"at most {MAX_PLACES // shape[0]:,} with so many sessions",
        hint="Leave out the rows beyond the ranks that matter, or read the log in parts with scan_click_log",
    )


def _check_once(
    session: NDArray[np.int64], value: NDArray[Any], column: str, name: str, frame: "pd.DataFrame", place: Place
) -> None:
    import pandas as pd

    key = session * (int(value.max()) + 1) + value
    counts_fit = len(key) and int(key.max()) < 50_000_000
    twice_exists = np.bincount(key).max() > 1 if counts_fit else pd.Series(key).duplicated().any()
    if not twice_exists:
        return
    row = int(np.flatnonzero(pd.Series(key).duplicated().to_numpy())[0])
    first = int(np.flatnonzero(key == key[row])[0])
    raise place.error(
        f"a {name} stands in one session twice",
        row,
        column,
        frame[column].iloc[row],
        f"each {name} once per session (first seen at {place.where(first)})",
        hint="Give each shown list its own session id",
    )


def _check_doc_once(
    session: NDArray[np.int64], doc: NDArray[np.int32], column: str, frame: "pd.DataFrame", place: Place
) -> None:
    if int(session.max()) + 1 < len(session):
        _check_once(session, doc.astype(np.int64), column, "document", frame, place)


def _with_features(
    log: ClickLog, frame: "pd.DataFrame", names: list[str], pair: NDArray[np.int32], place: Place
) -> ClickLog:
    from dataclasses import replace

    table = np.empty((len(log.pairs), len(names)), dtype=np.float32)
    for j, name in enumerate(names):
        exact = numbers(frame, name, place, "a finite number")
        with np.errstate(over="ignore"):
            values = exact.astype(np.float32)
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise place.error("a feature is not finite", row, name, exact[row], "a finite number (of 32 bits)")
        table[pair, j] = values
        differs = table[pair, j] != values
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            raise place.error(
                f"a feature of the pair {legible(log.pair_name(int(pair[row])))} changes between rows",
                row,
                name,
                values[row],
                f"{float(table[pair[row], j])} as in another row of the pair",
                hint="Make the query or document id finer (add the day, say), or leave the column out",
            )
    return replace(log, features=table, feature_names=tuple(names))
