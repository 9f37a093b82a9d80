"""The columns of a table that was handed in: is each there, is each value a number, and how to speak of a bad row."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Place", "check_present", "factorized", "id_codes", "line_of_row", "numbers", "plain", "zeros_and_ones"]

_UNREACHABLE = 1 << 1023
_GROUPED = "A comma before three digits may group thousands or begin decimals: write thousands without it"


def check_present(wanted: Sequence[str], names: Sequence[str], source: str) -> None:
    """Check the columns of a table.

    Args:
        wanted: The columns that are read.
        names: The columns that there are.
        source: What to call the table.

    Raises:
        DataError: A wanted column is missing, or several have its name.
    """
    for name in wanted:
        if name not in names:
            raise DataError(
                "a column is missing",
                source=source,
                column=name,
                found=", ".join(names) or "no column",
                hint="Name the columns of your table if they are called otherwise",
            )
        if names.count(name) > 1:
            raise DataError(
                "several columns have one name",
                source=source,
                column=name,
                found=names.count(name),
                expected="one column of this name",
            )


@dataclass(frozen=True, eq=False)
class Place:
    """How to speak of a row of the input: `line 7` of a CSV file, `row 5` of a table.

    Attributes:
        source: What to call the input.
        first: Number of the first row.
        csv: The CSV file whose lines are meant; None: rows are.
        rows: int [n], row of the input of each row of the table, where they differ.
    """

    source: str
    first: int = 0
    csv: Path | None = None
    rows: NDArray[np.int64] | None = None

    def where(self, row: int) -> str:
        """The place of a row of the table in the words of its input."""
        row = row if self.rows is None else int(self.rows[row])
        return f"row {row + self.first}" if self.csv is None else f"line {line_of_row(self.csv, row)}"

    def error(
        self, problem: str, row: int, column: str | None, found: object, expected: str, hint: str | None = None
    ) -> DataError:
        """A `DataError` about one row of the table."""
        return DataError(
            problem,
            source=self.source,
            row=self.where(row),
            column=column,
            found=plain(found),
            expected=expected,
            hint=hint,
        )

    def empty(self) -> DataError:
        """The `DataError` for a table without a row."""
        return DataError("the table is empty", source=self.source, found="no row", expected="at least one row")


def line_of_row(file: Path, row: int) -> int:
    """1-based line of a data row of a CSV file. Readers skip blank lines, so only counting them in tells the line."""
    import gzip
    import zlib

    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as lines:
            filled = (number for number, line in enumerate(lines, start=1) if line.strip(b"\r\n"))
            return next(islice(filled, row + 1, None), row + 2)
    except (OSError, EOFError, zlib.error):
        # The message is about a row; that the rest of the file is damaged too must not hide it.
        return row + 2


def numbers(frame: "pd.DataFrame", column: str, place: Place, expected: str) -> NDArray[np.float64]:
    """A column of numbers.

    Args:
        frame: The table.
        column: Name of the column.
        place: How to speak of a row of the table.
        expected: What a value should be, for the message.

    Returns:
        float64 [n_rows], none of them NaN.

    Raises:
        DataError: A value is missing or not a number: with its row.
    """
    values = _as_floats(frame[column])
    bad = np.isnan(values)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        found = frame[column].iloc[row]
        grouped = isinstance(found, str) and re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+", found)
        raise place.error("not a number", row, column, found, expected, _GROUPED if grouped else None)
    return values


def _as_floats(values: "pd.Series[Any]") -> NDArray[np.float64]:
    """Numbers, and texts that say one; NaN for all else."""
    import pandas as pd

    if values.dtype.kind in "mMc":
        # Neither times, though pandas counts nanoseconds, nor complex numbers, though numpy takes their real part.
        return np.full(len(values), np.nan)
    if values.dtype.kind != "O":
        return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    objects = values.astype(object).map(_real)
    numbers = pd.to_numeric(objects, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan, copy=True)
    said = ~np.isnan(numbers)
    # Again: pandas rounds some texts to a neighbour of the nearest float64.
    numbers[said] = objects.to_numpy()[said].astype(np.float64)
    return numbers


def _real(value: Any) -> Any:
    """A number or a text as it is, but an integer that no float64 comes near as infinity; NaN for all else."""
    if isinstance(value, int) and abs(value) >= _UNREACHABLE:
        return np.inf if value > 0 else -np.inf
    return value if isinstance(value, (str, bytes, Real, Decimal, np.bool_)) else np.nan


def id_codes(
    frame: "pd.DataFrame", column: str, place: Place, *, sort: bool = True
) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """A column of ids as codes.

    Args:
        frame: The table.
        column: Name of the column.
        place: How to speak of a row of the table.
        sort: Whether the ids are in order; else they stand as they appear, as do those without a common order.

    Returns:
        int32 [n_rows], the code of each row's id, and the ids [n_ids].

    Raises:
        DataError: An id is missing, or is a list or a record: with its row.
    """
    codes, ids = factorized(frame, column, place, sort=sort)
    if (codes < 0).any():
        row = int(np.flatnonzero(codes < 0)[0])
        raise place.error("an id is missing", row, column, "an empty value", "an id")
    vocabulary = np.asarray(ids)
    # pandas' own string arrays become plain objects, which every consumer (numpy, Parquet, JSON) understands.
    return codes.astype(np.int32), vocabulary if vocabulary.dtype.kind in "iub" else vocabulary.astype(object)


def factorized(
    frame: "pd.DataFrame", column: str, place: Place, *, sort: bool = False
) -> tuple[NDArray[np.int64], Any]:
    """As `pandas.factorize`, of ids: a missing one gets -1; those without a common order stand as they appear.

    Raises:
        DataError: An id is a list or a record: with its row.
    """
    import pandas as pd

    try:
        return pd.factorize(frame[column], sort=sort)
    except TypeError:
        # Not as texts, which would make 1 and "1" one id.
        compound = frame[column].map(lambda value: isinstance(value, (list, dict, set, np.ndarray))).to_numpy()
    if compound.any():
        row = int(np.flatnonzero(compound)[0])
        raise place.error("an id is a list or a record", row, column, frame[column].iloc[row], "a number or a text")
    return pd.factorize(frame[column])


def zeros_and_ones(frame: "pd.DataFrame", column: str, place: Place, name: str) -> NDArray[np.bool_]:
    """A column of 0 and 1, or of False and True.

    Args:
        frame: The table.
        column: Name of the column.
        place: How to speak of a row of the table.
        name: What to call a value, for the message.

    Returns:
        bool [n_rows].

    Raises:
        DataError: A value is another: with its row.
    """
    values = numbers(frame, column, place, "0 or 1")
    bad = (values != 0) & (values != 1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise place.error(f"{name} is not 0 or 1", row, column, frame[column].iloc[row], "0 or 1")
    return np.asarray(values == 1)


def plain(value: Any) -> Any:
    """A value of an array as a plain Python one, for messages."""
    return value.item() if isinstance(value, np.generic) else value
