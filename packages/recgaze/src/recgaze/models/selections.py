"""Where users clicked on a grid, without more: selections, and the counts that cascade models are fitted to."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError, DataError
from recgaze.impressions import Impressions

__all__ = ["Selections", "SelectionsLike", "read_selections", "selection_counts"]

LongArray = NDArray[np.int64]

# The authors of the carousel click model analyse study 8 together with study 3.
_RECODED = {8: 3}


@dataclass(frozen=True, eq=False)
class Selections:
    """Selections on a grid of R carousels with C positions each.

    Attributes:
        study: int64 [n], the study that a selection belongs to.
        row: int64 [n], carousel, from 0.
        column: int64 [n], position, from 0.
        shape: (R, C).

    Raises:
        ArgumentError: Arrays of different lengths, or a selection outside of the grid.
    """

    study: LongArray
    row: LongArray
    column: LongArray
    shape: tuple[int, int]

    def __post_init__(self) -> None:
        for name in ("study", "row", "column"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.int64))
        if self.study.ndim != 1 or not self.study.shape == self.row.shape == self.column.shape:
            raise ArgumentError(
                f"study, row and column have shapes {self.study.shape}, {self.row.shape} and {self.column.shape}; "
                "expected one length [n]"
            )
        _check_inside(self.row, self.column, self.shape)

    def __len__(self) -> int:
        return len(self.row)

    def __repr__(self) -> str:
        return f"Selections({len(self):,} on {self.shape[0]} x {self.shape[1]}, {len(np.unique(self.study))} studies)"

    def where(self, keep: ArrayLike) -> "Selections":
        """Some of the selections, by a mask [n] or their numbers."""
        chosen = np.asarray(keep)
        return Selections(self.study[chosen], self.row[chosen], self.column[chosen], self.shape)

    def counts(self) -> LongArray:
        """int64 [R, C], selections of each cell."""
        return _count(self.row, self.column, self.shape)


SelectionsLike = Selections | Impressions | Iterable[Impressions] | tuple[ArrayLike, ArrayLike] | ArrayLike


def read_selections(path: str | Path, shape: tuple[int, int] = (6, 5), *, recode: bool = True) -> Selections:
    """Read the selections that were published with the carousel click model.

    The file has no header; each line (they end in CR alone; LF and CRLF are read too) is `study,row,column`, counted
    from 0. Source: Rahdari, Kveton and Brusilovsky, "From Ranked Lists to Carousels: A Carousel Click Model" (2022),
    file `CarouselStudy.csv` of their repository.

    Args:
        path: The file.
        shape: Carousels and positions of the grid.
        recode: Count study 8 as study 3, as the authors do.

    Raises:
        DataError: The file is absent or empty, or a line is not three whole numbers inside of the grid.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            "the file cannot be read", source=path, found=str(error), expected="a text file of study,row,column"
        ) from error
    numbered = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not numbered:
        raise DataError("the file is empty", source=path, expected="lines of study,row,column")
    table = np.array([_parse_line(line, number, path) for number, line in numbered], dtype=np.int64)
    limits = (np.iinfo(np.int64).max, *shape)
    for at, name in enumerate(("study", "row", "column")):
        bad = (table[:, at] < 0) | (table[:, at] >= limits[at])
        if bad.any():
            first = int(np.argmax(bad))
            expected = "at least 0" if at == 0 else f"0 to {limits[at] - 1}"
            raise DataError(
                "a number is out of range",
                source=path,
                row=f"line {numbered[first][0]}",
                column=name,
                found=int(table[first, at]),
                expected=expected,
                hint=None if at == 0 else "Rows and columns count from 0; pass shape=(rows, columns) for another grid",
            )
    study = table[:, 0].copy()
    for old, new in _RECODED.items() if recode else ():
        study[study == old] = new
    return Selections(study, table[:, 1], table[:, 2], shape)


def selection_counts(selections: "SelectionsLike", shape: tuple[int, int] | None = None) -> LongArray:
    """Selections of each cell.

    Args:
        selections: Counts [R, C]; or a tuple (row, column) of two arrays [n], from 0; or `Selections`; or
            `Impressions` or blocks of them, whose clicks are counted.
        shape: (R, C), for a tuple; default the smallest grid that holds it.

    Returns:
        int64 [R, C].

    Raises:
        ArgumentError: It is none of these, a count is negative or no whole number, or nothing was selected.
    """
    counts = _counts_of(selections, shape)
    if counts.ndim != 2 or not np.isfinite(counts).all() or (counts < 0).any() or (counts != np.round(counts)).any():
        raise ArgumentError(f"selections has shape {counts.shape}; expected whole counts of at least 0, [R, C]")
    if not counts.any():
        raise ArgumentError("nothing was selected; expected at least one selection")
    return counts.astype(np.int64)


def _counts_of(selections: Any, shape: tuple[int, int] | None) -> NDArray[Any]:
    if isinstance(selections, Selections):
        return selections.counts()
    if isinstance(selections, Impressions):
        return np.asarray(selections.clicked.sum(axis=0))
    if isinstance(selections, tuple) and len(selections) == 2:
        row, column = (np.asarray(part, dtype=np.int64) for part in selections)
        if row.ndim != 1 or row.shape != column.shape or not len(row):
            raise ArgumentError(f"row and column have shapes {row.shape} and {column.shape}; expected one length [n]")
        grid = shape or (int(row.max()) + 1, int(column.max()) + 1)
        _check_inside(row, column, grid)
        return _count(row, column, grid)
    if not isinstance(selections, (np.ndarray, list, tuple)) and isinstance(selections, Iterable):
        return _count_blocks(selections)
    if isinstance(selections, (list, tuple)) and selections and isinstance(selections[0], Impressions):
        return _count_blocks(selections)
    try:
        return np.asarray(selections, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError("selections holds something else than numbers; expected counts [R, C]") from None


def _count_blocks(blocks: Iterable[Any]) -> NDArray[Any]:
    total: Any = 0
    for block in blocks:
        if not isinstance(block, Impressions):
            raise ArgumentError(f"a block is a {type(block).__name__}; expected Impressions")
        total = total + block.clicked.sum(axis=0)
    return np.asarray(total)


def _check_inside(row: LongArray, column: LongArray, shape: tuple[int, int]) -> None:
    outside = (row < 0) | (row >= shape[0]) | (column < 0) | (column >= shape[1])
    if outside.any():
        first = int(np.argmax(outside))
        raise ArgumentError(
            f"selection {first} stands at row {row[first]}, column {column[first]}; expected a cell of the "
            f"{shape[0]} x {shape[1]} grid, from 0"
        )


def _count(row: LongArray, column: LongArray, shape: tuple[int, int]) -> LongArray:
    return np.bincount(row * shape[1] + column, minlength=shape[0] * shape[1]).reshape(shape)


def _parse_line(line: str, number: int, path: str | Path) -> list[int]:
    parts = line.split(",")
    try:
        values = [int(part) for part in parts]
    except ValueError:
        values = []
    if len(values) != 3:
        raise DataError(
            "a line does not fit",
            source=path,
            row=f"line {number}",
            found=line,
            expected="three whole numbers, study,row,column",
        )
    return values
