"""Counts that click models are fitted to: how often each key was shown, looked at and clicked at each position.

A tally is all that a fit needs of a study, is added up block by block, and does not grow with the number of screens.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.impressions import Impressions
from recgaze.models.keys import CellKeys, Keying, KeyName, Table, as_blocks, distinct_rows, key_cells

__all__ = ["Tally", "TallySum"]

LongArray = NDArray[np.int64]

# A table of all keys and positions is counted without sorting while it is not much larger than what it counts.
_DENSE_FACTOR = 8
_COUNTS = ("shown", "examined", "clicked", "both")


@dataclass(frozen=True, eq=False)
class Tally:
    """Counts of m pairs of a key and a position that occurred, by key and position.

    Attributes:
        shape: (R, C) of the grid; position r C + c.
        table: The K keys: columns [K].
        key: int32 [m], row of `table`.
        position: int32 [m].
        shown: int64 [m], how often it was on a screen.
        examined: int64 [m], how often it was looked at.
        clicked: int64 [m], how often it was selected.
        both: int64 [m], how often it was looked at and selected.
    """

    shape: tuple[int, int]
    table: Table
    key: NDArray[np.int32]
    position: NDArray[np.int32]
    shown: LongArray
    examined: LongArray
    clicked: LongArray
    both: LongArray

    @classmethod
    def of(cls, impressions: Impressions, keys: Keying | KeyName) -> "Tally":
        """Count the cells of some screens; cells whose key is unknown are left out.

        Args:
            impressions: The screens.
            keys: The rule: a name, as in `recgaze.models.keys.key_cells`, or a function.
        """
        rule = partial(key_cells, keys) if isinstance(keys, str) else keys
        return cls.of_cells(impressions, rule(impressions))

    @classmethod
    def of_cells(cls, impressions: Impressions, cells: CellKeys) -> "Tally":
        """Count the cells of some screens by keys at hand."""
        shape = (impressions.rows, impressions.columns)
        n_positions = shape[0] * shape[1]
        position = np.arange(n_positions).reshape(shape)
        known = np.broadcast_to(cells.codes >= 0, impressions.clicked.shape)
        pair = (cells.codes * n_positions + position)[known]
        size = _size(cells.table) * n_positions
        examined, clicked = impressions.examined[known], impressions.clicked[known]
        present: LongArray
        if size <= _DENSE_FACTOR * len(pair):
            shown = np.bincount(pair, minlength=size)
            present, index, size = np.flatnonzero(shown), pair, size
            chosen: slice | LongArray = present
        else:
            present, index = np.unique(pair, return_inverse=True)
            shown, size, chosen = np.bincount(index, minlength=len(present)), len(present), slice(None)
        counts = [
            shown,
            *(np.bincount(index[mask], minlength=size) for mask in (examined, clicked, examined & clicked)),
        ]
        return cls(shape, cells.table, *_split(present, n_positions), *(count[chosen] for count in counts))

    @classmethod
    def collect(cls, impressions: "Impressions | Iterable[Impressions]", keys: Keying | KeyName) -> "Tally":
        """Count a study that comes as a whole or in blocks.

        Raises:
            ArgumentError: There are no blocks, or they are of different grids.
        """
        total = TallySum()
        for block in as_blocks(impressions):
            total.add(cls.of(block, keys))
        return total.total()

    def __len__(self) -> int:
        return len(self.key)

    def __repr__(self) -> str:
        rows, columns = self.shape
        return (
            f"Tally({self.n_keys:,} keys on {rows} x {columns} positions: {len(self):,} pairs, "
            f"{int(self.shown.sum()):,} shown, {int(self.clicked.sum()):,} clicks)"
        )

    def __add__(self, other: "Tally") -> "Tally":
        """Both together; equal rows of the tables are one key."""
        if not isinstance(other, Tally):
            return NotImplemented
        if self.shape != other.shape or list(self.table) != list(other.table):
            raise ArgumentError(
                f"tallies of {self.shape} by {list(self.table)} and of {other.shape} by {list(other.table)} cannot be "
                "added; expected one grid and one kind of keys"
            )
        columns = {name: np.concatenate([self.table[name], other.table[name]]) for name in self.table}
        first, codes = distinct_rows(list(columns.values()))
        n_positions = self.n_positions
        pair = np.concatenate(
            [
                codes[self.key] * n_positions + self.position,
                codes[self.n_keys + other.key.astype(np.int64)] * n_positions + other.position,
            ]
        )
        order = np.argsort(pair, kind="stable")
        pair = pair[order]
        starts = np.flatnonzero(np.diff(pair, prepend=-1))
        # One count at a time: a large study has millions of pairs, and this is where memory peaks.
        counts = []
        for name in _COUNTS:
            values = np.concatenate([getattr(self, name), getattr(other, name)])[order]
            counts.append(np.add.reduceat(values, starts) if len(starts) else values)
        table = {name: column[first] for name, column in columns.items()}
        return Tally(self.shape, table, *_split(pair[starts], n_positions), *counts)

    @property
    def n_keys(self) -> int:
        """Number of keys, K."""
        return _size(self.table)

    @property
    def n_positions(self) -> int:
        """Number of positions, R C."""
        return self.shape[0] * self.shape[1]

    @property
    def seen(self) -> LongArray:
        """int64 [m], how often it was looked at, a click counting as a look that the tracker missed."""
        return self.examined + self.clicked - self.both

    def by_position(self, count: NDArray[np.int64]) -> LongArray:
        """int64 [R C], sums of a count [m] over keys."""
        return np.bincount(self.position, weights=count, minlength=self.n_positions).astype(np.int64)

    def by_key(self, count: NDArray[np.int64]) -> LongArray:
        """int64 [K], sums of a count [m] over positions."""
        return np.bincount(self.key, weights=count, minlength=self.n_keys).astype(np.int64)


class TallySum:
    """A growing sum of tallies.

    Parts of like size are added, as in merge sort, so that a large sum is not copied for every small block.
    """

    def __init__(self) -> None:
        self._parts: list[Tally] = []

    def add(self, part: Tally) -> None:
        """Add one more."""
        while self._parts and len(self._parts[-1]) <= len(part):
            part = self._parts.pop() + part
        self._parts.append(part)

    def total(self) -> Tally:
        """The sum of all.

        Raises:
            ArgumentError: Nothing was added.
        """
        if not self._parts:
            raise ArgumentError("there is nothing to sum; expected at least one tally")
        total = self._parts[-1]
        for part in self._parts[-2::-1]:
            total = part + total
        return total


def _size(table: Table) -> int:
    return len(next(iter(table.values())))


def _split(pair: LongArray, n_positions: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    key, position = np.divmod(pair, n_positions)
    return key.astype(np.int32), position.astype(np.int32)
