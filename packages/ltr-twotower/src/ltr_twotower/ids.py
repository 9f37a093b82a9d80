"""Original ids of queries and documents: their type, and whether two sets of them can have any in common."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import DataError

__all__ = ["can_be_stored", "check_ids", "differing_types", "plain", "type_of_ids"]

_TYPES = {
    "integer": "numbers",
    "floating": "numbers",
    "mixed-integer-float": "numbers",
    "boolean": "numbers",
    "string": "text",
    "bytes": "bytes",
}


def type_of_ids(ids: NDArray[Any]) -> str | None:
    """Type of all ids: "numbers", "text" or "bytes"; None if they differ, or are of another."""
    import pandas as pd

    return _TYPES.get(pd.api.types.infer_dtype(ids, skipna=False))


def differing_types(first: NDArray[Any], second: NDArray[Any]) -> tuple[str, str] | None:
    """The types of two sets of ids, if no id of the one can equal any of the other; else None."""
    types = type_of_ids(first), type_of_ids(second)
    return None if None in types or types[0] == types[1] else types  # type: ignore[return-value]


def check_ids(ids: NDArray[Any], what: str, source: str) -> None:
    """Raise a `DataError` for ids that no table can look up: lists, records."""
    try:
        hash(ids[0])
    except TypeError:
        raise DataError(
            f"the {what} ids cannot be compared", source=source, found=plain(ids[0]), expected="numbers or text"
        ) from None


def can_be_stored(ids: NDArray[Any]) -> bool:
    """Whether a column of a Parquet file holds these ids as they are, and gives them back."""
    import pyarrow as pa

    try:
        # A list or a tuple would come back as an array, which is no id.
        return not pa.types.is_nested(pa.array(ids, from_pandas=True).type)
    except (pa.ArrowException, OverflowError, TypeError):
        return False


def plain(value: Any) -> Any:
    """An id as a plain Python value, for messages and JSON."""
    return value.item() if isinstance(value, np.generic) else value
