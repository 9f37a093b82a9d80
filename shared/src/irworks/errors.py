"""The errors that irworks packages raise on purpose: one clear sentence each, typed, and picklable across processes."""

from pathlib import Path

__all__ = ["ArgumentError", "DataError", "DownloadError", "IrworksError", "MissingDependencyError"]


class IrworksError(Exception):
    """Base of every error that irworks raises on purpose; the command line prints it without a traceback."""


class ArgumentError(IrworksError, ValueError):
    """An argument has a value that the function cannot work with."""


class MissingDependencyError(IrworksError, ImportError):
    """A feature needs a library that is not installed; the message says how to install it."""

    def __init__(self, library: str, feature: str, install: str) -> None:
        self.library, self.feature, self.install = library, feature, install
        super().__init__(f"{feature} needs {library}, which is not installed; install it with: pip install '{install}'")

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        """Rebuild from the three parts: `Exception` would pass the finished message alone."""
        return type(self), (self.library, self.feature, self.install)


class DownloadError(IrworksError):
    """A data set could not be fetched, or what arrived is not what was promised."""


class DataError(IrworksError, ValueError):
    """Input data breaks the contract of its reader.

    Args:
        problem: What is wrong, in a few words.
        source: The file (or the name of the table) that holds the problem.
        row: Where in `source`: a 1-based line number for text files (the header is line 1), a 0-based row for tables;
            pass a string such as `"line 7"` or `"row 3"` to say which.
        column: The column or field concerned.
        found: The offending value, as found.
        expected: What would have been accepted.
        hint: How to mend it, where that is known.
    """

    def __init__(
        self,
        problem: str,
        *,
        source: str | Path | None = None,
        row: int | str | None = None,
        column: str | None = None,
        found: object = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.problem, self.source, self.row, self.column = problem, source, row, column
        self.found, self.expected, self.hint = found, expected, hint
        super().__init__(self._message())

    def _message(self) -> str:
        row = f"row {self.row}" if isinstance(self.row, int) else self.row
        column = f"column {self.column!r}" if self.column is not None else None
        place = ", ".join(str(part) for part in (self.source, row, column) if part is not None)
        text = f"{place}: {self.problem}" if place else self.problem
        details = []
        if self.found is not None:
            details.append(f"found {_shorten(self.found)}")
        if self.expected is not None:
            details.append(f"expected {self.expected}")
        if details:
            text += f" ({'; '.join(details)})"
        return f"{text}. {self.hint}" if self.hint else text

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild from the parts, so that the error keeps them when it crosses a process boundary."""
        return _rebuild_data_error, (type(self), self.problem, dict(self.__dict__))


def _rebuild_data_error(kind: type[DataError], problem: str, parts: dict[str, object]) -> DataError:
    fields = {name: parts[name] for name in ("source", "row", "column", "found", "expected", "hint")}
    return kind(problem, **fields)  # type: ignore[arg-type]


def _shorten(value: object, limit: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
