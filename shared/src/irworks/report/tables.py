"""Tables of plain values and how they are set in type."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Cell", "Column", "Table", "format_number", "typeset"]

Cell: TypeAlias = str | int | float | bool | None

_DIGITS = 4
# What may stand in a column of numbers: JSON has no infinity, so that a `Table` says it in words.
_BESIDE_NUMBERS: Mapping[Cell, str] = {None: "", "inf": "∞", "-inf": "-∞"}


@dataclass(frozen=True)
class Table:
    """A table of plain values.

    Attributes:
        columns: Their names.
        rows: A cell per column; a missing or undefined number is None, an infinite one "inf" or "-inf".
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @classmethod
    def from_frame(cls, frame: "pd.DataFrame") -> "Table":
        """Take over a frame; an index that carries information becomes the first columns."""
        import pandas as pd

        plain = isinstance(frame.index, pd.RangeIndex) and frame.index.name is None
        flat = frame if plain else frame.reset_index()
        columns = tuple(" ".join(map(str, name)).strip() if isinstance(name, tuple) else str(name) for name in flat)
        rows = tuple(tuple(_plain(cell) for cell in row) for row in flat.itertuples(index=False, name=None))
        return cls(columns, rows)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Table":
        """Read what `asdict` wrote."""
        return cls(tuple(data["columns"]), tuple(tuple(row) for row in data["rows"]))


def _plain(cell: Any) -> Cell:
    if hasattr(cell, "item") and getattr(cell, "ndim", 0) == 0:
        cell = cell.item()
    if isinstance(cell, float):
        return None if math.isnan(cell) else str(cell) if math.isinf(cell) else cell
    if cell is None or isinstance(cell, str | int | bool):
        return cell
    return None if str(cell) in ("NaT", "<NA>") else str(cell)


@dataclass(frozen=True)
class Column:
    """A column ready for the page.

    Attributes:
        name: Its heading.
        numeric: Whether it is set flush right, in figures of equal width.
        cells: As text.
    """

    name: str
    numeric: bool
    cells: tuple[str, ...]


def typeset(table: Table) -> list[Column]:
    """Turn the cells of a table into text: within a column of numbers all have the same number of decimals."""
    columns = zip(*table.rows, strict=True) if table.rows else ((),) * len(table.columns)
    return [_typeset(name, cells) for name, cells in zip(table.columns, columns, strict=True)]


def _typeset(name: str, cells: Sequence[Cell]) -> Column:
    numbers = [cell for cell in cells if _is_number(cell)]
    if not numbers or len(numbers) < sum(cell not in _BESIDE_NUMBERS for cell in cells):
        return Column(name, False, tuple(_word(cell) for cell in cells))
    decimals = _decimals(numbers)
    return Column(
        name, True, tuple(_number(cell, decimals) if _is_number(cell) else _BESIDE_NUMBERS[cell] for cell in cells)
    )


def _is_number(cell: Cell) -> TypeGuard[float]:
    return isinstance(cell, int | float) and not isinstance(cell, bool)


def _word(cell: Cell) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return "" if cell is None else str(cell)


def _decimals(numbers: Sequence[float]) -> int:
    """Return as few decimals as show all numbers exactly, but no more than give the largest four digits."""
    largest = max(abs(number) for number in numbers)
    most = min(6, max(0, _DIGITS - 1 - math.floor(math.log10(largest)))) if largest else 0
    exact = (d for d in range(most) if all(math.isclose(round(number, d), number, abs_tol=1e-12) for number in numbers))
    return next(exact, most)


def _number(value: float, decimals: int) -> str:
    if value and abs(value) < 0.5 * 10**-decimals:
        return f"{value:.1e}"
    grouped = "," if abs(value) >= 10_000 else ""
    return f"{value:{grouped}.{decimals}f}"


def format_number(value: float | None) -> str:
    """Return one number as text, to four significant digits; a missing one as a dash."""
    if value is None:
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return _number(value, 0)
    return f"{value:.{_DIGITS}g}"
