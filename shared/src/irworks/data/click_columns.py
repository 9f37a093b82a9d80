"""What the readers of click logs share: the names of the columns, how to speak of a place, checked numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LongColumns", "Place", "line_of_row", "numbers", "plain", "zeros_and_ones"]


@dataclass(frozen=True)
class LongColumns:
    """The names of the columns of a long table.

    Attributes:
        query: Query id. None: the log has one query (a feed, a home page).
        doc: Document id.
        position: Rank at which the document was shown, from 1.
        click: 0 or 1 (or False and True).
        session: Which rows were shown together. None, or a name that is not there by default: every row is a session.
        propensity: Document-placement probability under the logging policy, where known.
        features: Feature columns. Default: the columns named `f_*`.
    """

    query: str | None = "query_id"
    doc: str = "doc_id"
    position: str = "position"
    click: str = "click"
    session: str | None = "session_id"
    propensity: str | None = "propensity"
    features: Sequence[str] | None = None

    def present(self, names: Sequence[str], source: str) -> "LongColumns":
        """These columns with the optional ones that the table lacks set to None.

        Raises:
            DataError: A required column, or an optional one that was renamed by the caller, is missing; or two columns
                have its name.
        """
        features = [name for name in names if name.startswith("f_")] if self.features is None else list(self.features)
        columns = LongColumns(
            query=self.query,
            doc=self.doc,
            position=self.position,
            click=self.click,
            session=self.optional("session", names),
            propensity=self.optional("propensity", names),
            features=features,
        )
        check_present(columns.used(), names, source)
        return columns

    def optional(self, field: str, names: Sequence[str]) -> str | None:
        """The column of a field; None where the table lacks it and the caller did not ask for it by a name."""
        name: str | None = getattr(self, field)
        return None if name not in names and name == getattr(LongColumns(), field) else name

    def used(self) -> list[str]:
        """Every column that is read."""
        single = [self.session, self.query, self.doc, self.position, self.click, self.propensity]
        return [name for name in single if name is not None] + list(self.features or ())

    def ids(self) -> list[str]:
        """The columns that hold ids."""
        return [name for name in (self.session, self.query, self.doc) if name is not None]


def check_present(wanted: Sequence[str], names: Sequence[str], source: str) -> None:
    """Raise `DataError` unless every wanted column is among the names, once."""
    for name in wanted:
        if name not in names:
            raise DataError(
                "a column is missing",
                source=source,
                column=name,
                found=", ".join(names) or "no column",
                hint="Name the columns of your table (query, doc, position, click, ...) if they are called otherwise",
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
        """The `DataError` for a log without a row."""
        return DataError("the log is empty", source=self.source, found="no row", expected="at least one shown document")


def line_of_row(file: Path, row: int) -> int:
    """1-based line of a data row of a CSV file. Readers skip blank lines, so only counting them in tells the line."""
    import gzip

    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
        filled = (number for number, line in enumerate(lines, start=1) if line.strip(b"\r\n"))
        return next(islice(filled, row + 1, None), row + 2)


def numbers(frame: "pd.DataFrame", column: str, place: Place, expected: str) -> NDArray[np.float64]:
    """A column as float64; `DataError` where a value is missing or not a number."""
    import pandas as pd

    values = pd.to_numeric(frame[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = np.isnan(values)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise place.error("not a number", row, column, frame[column].iloc[row], expected)
    return values


def zeros_and_ones(frame: "pd.DataFrame", column: str, place: Place, name: str) -> NDArray[np.bool_]:
    """A column of 0 and 1 (or False and True) as booleans; `DataError` where a value is another."""
    values = numbers(frame, column, place, "0 or 1")
    bad = (values != 0) & (values != 1)
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise place.error(f"{name} is not 0 or 1", row, column, frame[column].iloc[row], "0 or 1")
    return np.asarray(values == 1)


def plain(value: Any) -> Any:
    """A value of an array as a plain Python one, for messages."""
    return value.item() if isinstance(value, np.generic) else value
