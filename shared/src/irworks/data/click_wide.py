"""The wide form of a click log (one row per list, columns of lists, as CLAX batches) turned into the long one."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from irworks.data.click_files import LongColumns

__all__ = ["WIDE_COLUMNS", "long_from_wide"]

WIDE_COLUMNS = ("query_doc_ids", "positions", "clicks")


def long_from_wide(frame: "pd.DataFrame", columns: "LongColumns", source: str) -> "tuple[pd.DataFrame, LongColumns]":
    """Unroll list columns into one row per shown document.

    Args:
        frame: Columns `query_doc_ids`, `positions`, `clicks` and, where present, `mask` (padding is False), a scalar
            `query_id` and a list column of propensities. In CSV files a list is written as JSON: `[1, 2, 3]`.
        columns: Names of the query and propensity columns.
        source: What to call the table in error messages.

    Returns:
        The long table and the names of its columns. Without a query column the log has one query.

    Raises:
        DataError: A list column is missing, or the lists of one row differ in length.
    """
    import pandas as pd

    for name in WIDE_COLUMNS:
        if name not in frame.columns:
            raise DataError("a column is missing", source=source, column=name, found=", ".join(map(str, frame.columns)))
    optional = [name for name in ("mask", columns.propensity) if name is not None and name in frame.columns]
    names = [*WIDE_COLUMNS, *optional]
    lists = {name: [_as_list(value, source, row, name) for row, value in enumerate(frame[name])] for name in names}
    lengths = np.array([len(value) for value in lists[WIDE_COLUMNS[0]]], dtype=np.int64)
    for name in names[1:]:
        other = np.array([len(value) for value in lists[name]], dtype=np.int64)
        if (row := _first(other != lengths)) is not None:
            raise DataError(
                "the lists of a row differ in length",
                source=source,
                row=row,
                column=name,
                found=int(other[row]),
                expected=f"{int(lengths[row])}, as in {WIDE_COLUMNS[0]}",
            )
    session = np.repeat(np.arange(len(frame)), lengths)
    if not lengths.any():
        raise DataError("the log is empty", source=source, found="empty lists", expected="at least one shown document")
    flat = {name: np.concatenate([np.asarray(part) for part in parts if len(part)]) for name, parts in lists.items()}
    keep = flat["mask"].astype(bool) if "mask" in flat else np.ones(len(session), dtype=bool)
    long = pd.DataFrame(
        {"session": session, "doc": flat["query_doc_ids"], "position": flat["positions"], "click": flat["clicks"]}
    )
    renamed = replace(
        columns,
        session="session",
        doc="doc",
        position="position",
        click="click",
        query=None,
        propensity=None,
        features=(),
    )
    if columns.propensity in flat:
        long["propensity"] = flat[str(columns.propensity)]
        renamed = replace(renamed, propensity="propensity")
    if columns.query in frame.columns:
        long["query_id"] = frame[columns.query].to_numpy()[session]
        renamed = replace(renamed, query="query_id")
    return long[keep].reset_index(drop=True), renamed


def _as_list(value: Any, source: str, row: int, column: str) -> Any:
    if isinstance(value, str):
        import json

        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise DataError(
            "not a list", source=source, row=row, column=column, found=value, expected="a list, such as [3, 1, 2]"
        )
    return value


def _first(bad: NDArray[np.bool_]) -> int | None:
    return int(np.flatnonzero(bad)[0]) if bad.any() else None
