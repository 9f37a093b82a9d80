"""The wide form of a click log (one row per list, columns of lists, as CLAX batches) turned into the long one."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.data.click_columns import LongColumns, empty_log
from irworks.data.columns import Place, check_present, zeros_and_ones
from irworks.errors import ArgumentError, DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WIDE_COLUMNS", "long_from_wide"]

WIDE_COLUMNS = ("query_doc_ids", "positions", "clicks")


def long_from_wide(
    frame: "pd.DataFrame", columns: LongColumns, place: Place
) -> "tuple[pd.DataFrame, LongColumns, Place]":
    """Unroll list columns into one row per shown document.

    Args:
        frame: Columns `query_doc_ids`, `positions`, `clicks` and, where present, `mask` (padding is 0), a scalar
            `query_id` and a list column of propensities. In CSV files a list is written as JSON: `[1, 2, 3]`.
        columns: Names of the query and propensity columns.
        place: How to speak of a row of `frame`.

    Returns:
        The long table, the names of its columns, and how to speak of its rows. Without a query column the log has one
        query.

    Raises:
        ArgumentError: The caller names a column that the wide form has under one name alone.
        DataError: A column is missing, the lists of one row differ in length, or a mask is not 0 or 1.
    """
    import pandas as pd

    _refuse_other_names(columns)
    names = list(frame.columns)
    query, propensity = columns.optional("query", names), columns.optional("propensity", names)
    lists = [*WIDE_COLUMNS, *(["mask"] if "mask" in names else []), *([propensity] if propensity else [])]
    check_present([*lists, *([query] if query else []), *(columns.features or ())], names, place.source)
    if columns.features:
        raise DataError("features are read from the long form only", source=place.source, column=columns.features[0])
    parts = {name: [_as_list(value, row, name, place) for row, value in enumerate(frame[name])] for name in lists}
    lengths = np.array([len(part) for part in parts[WIDE_COLUMNS[0]]], dtype=np.int64)
    for name in lists[1:]:
        _check_lengths(np.array([len(part) for part in parts[name]], dtype=np.int64), lengths, name, place)
    if not lengths.any():
        raise empty_log(place)
    row = np.repeat(np.arange(len(frame)), lengths)
    session = f"{WIDE_COLUMNS[0]}, row"
    long = pd.DataFrame({session: row} | {name: _concatenated(parts[name]) for name in lists})
    if query:
        long[query] = frame[query].to_numpy()[row]
    place = replace(place, rows=row)
    if "mask" in lists:
        keep = zeros_and_ones(long, "mask", place, "mask")
        long, place = long[keep].reset_index(drop=True), replace(place, rows=row[keep])
    doc, position, click = WIDE_COLUMNS
    inferred = long.infer_objects()
    if inferred[doc].dtype.kind == "f":
        # Large integers beside fractions would be rounded, and two ids become one.
        inferred[doc] = long[doc]
    return inferred, LongColumns(query, doc, position, click, session, propensity, features=()), place


def _refuse_other_names(columns: LongColumns) -> None:
    """What the caller asks for must not be another column than is read."""
    for field, read in (("doc", WIDE_COLUMNS[0]), ("position", WIDE_COLUMNS[1]), ("click", WIDE_COLUMNS[2])):
        if (name := getattr(columns, field)) != getattr(LongColumns(), field):
            raise ArgumentError(
                f"{field}={name!r}, but a table with the column {WIDE_COLUMNS[0]!r} is read in wide form, "
                f"from its column {read!r}; rename the column of the table"
            )
    if columns.session not in (None, LongColumns().session):
        raise ArgumentError(f"session={columns.session!r}, but in wide form every row is a session; leave it out")


def _check_lengths(found: NDArray[np.int64], expected: NDArray[np.int64], name: str, place: Place) -> None:
    if (found != expected).any():
        row = int(np.flatnonzero(found != expected)[0])
        raise place.error(
            "the lists of a row differ in length",
            row,
            name,
            int(found[row]),
            f"{int(expected[row])}, as in {WIDE_COLUMNS[0]}",
        )


def _as_list(value: Any, row: int, column: str, place: Place) -> NDArray[Any]:
    import json

    items = value
    if isinstance(value, str):
        try:
            items = json.loads(value)
        except (ValueError, RecursionError):
            items = None
    if not isinstance(items, (list, tuple)) and not (isinstance(items, np.ndarray) and items.ndim):
        raise place.error("not a list", row, column, value, "a list, such as [3, 1, 2]")
    if isinstance(items, np.ndarray) and items.ndim == 1 and items.dtype != object:
        return items
    kinds = {type(item) for item in items}
    if any(issubclass(kind, (list, tuple, dict, np.ndarray)) for kind in kinds):
        raise place.error("a list within a list", row, column, value, "a flat list, such as [3, 1, 2]")
    if not _is_text("".join(item for item in items if isinstance(item, str))):
        raise place.error("half of a surrogate pair", row, column, value, "text that UTF-8 can hold")
    # As objects where numpy would make them all text, or cut NULs off the end of texts, or large integers floats.
    array = np.asarray(items, dtype=None if len(kinds) == 1 and kinds != {str} else object)
    return np.asarray(items, dtype=object) if array.dtype.kind == "f" and kinds == {int} else array


def _is_text(text: str) -> bool:
    """Whether pandas and files can hold a text: JSON can write half a character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _concatenated(parts: list[NDArray[Any]]) -> NDArray[Any]:
    parts = [part for part in parts if len(part)]
    mixed = len({part.dtype if part.dtype.kind == "u" else part.dtype.kind for part in parts}) > 1
    # As objects where numpy would make large integers floats, or all of them text.
    return np.concatenate([part.astype(object) for part in parts] if mixed else parts)
