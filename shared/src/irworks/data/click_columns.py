"""The names of the columns of a click log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from irworks.data.columns import Place, check_present
from irworks.errors import ArgumentError, DataError

__all__ = ["LongColumns", "empty_log"]


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

    @classmethod
    def named(cls, columns: Mapping[str, Any]) -> "LongColumns":
        """The columns that a caller names.

        Raises:
            ArgumentError: There is no such column in a log, or what should be a name is none.
        """
        known = [entry.name for entry in fields(cls)]
        for name, column in columns.items():
            if name not in known:
                hint = "; of another CSV than UTF-8 with commas or semicolons, pass the frame to ClickLog.from_frame"
                raise ArgumentError(
                    f"{name}={column!r} names no column of a log; expected {', '.join(f'{one}=' for one in known)}"
                    f"{hint if name in ('sep', 'delimiter', 'encoding', 'decimal') else ''}"
                )
            optional = name in ("query", "session", "propensity", "features")
            if name == "features" and isinstance(column, str):
                raise ArgumentError(f"features={column!r}; expected a list of columns, such as [{column!r}]")
            if name != "features" and not isinstance(column, str) and not (column is None and optional):
                raise ArgumentError(f"{name}={column!r}; expected the name of a column")
        return cls(**columns)

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


def empty_log(place: Place) -> DataError:
    """The `DataError` for a log in which nothing is shown."""
    return DataError("the log is empty", source=place.source, found="no row", expected="at least one shown document")
