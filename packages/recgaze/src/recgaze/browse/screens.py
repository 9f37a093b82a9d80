"""Visits beside the screens they belong to."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.impressions import Impressions
from recgaze.layout import Aoi
from recgaze.visits import Visits

__all__ = ["Joined", "Screens"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
LongArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Screens:
    """The screens of a block, and who saw them.

    Attributes:
        impressions: The block.
        users: [n_users], ids of those that saw a screen, sorted.
        user: int64 [n], code in `users`.
    """

    impressions: Impressions
    users: NDArray[Any]
    user: LongArray

    @classmethod
    def of(cls, impressions: Impressions) -> "Screens":
        """The users of a block, without those that saw none of its screens.

        Raises:
            ArgumentError: A user saw one screen twice.
        """
        users, user = np.unique(impressions.users[impressions.user], return_inverse=True)
        found = cls(impressions, users, user.astype(np.int64))
        twice = np.flatnonzero(np.diff(found._keys[0]) == 0)
        if len(twice):
            screen = int(found._keys[1][twice[0]])
            raise ArgumentError(
                f"user {impressions.users[impressions.user[screen]]} saw screen {impressions.task[screen]} twice; "
                "expected each screen once a user"
            )
        return found

    @property
    def grid(self) -> tuple[int, int]:
        """R, C."""
        return self.impressions.rows, self.impressions.columns

    @cached_property
    def _keys(self) -> tuple[LongArray, LongArray]:
        """Sorted keys of (user, task), and the screen of each."""
        keys = self.user * (1 << 16) + self.impressions.task
        order = np.argsort(keys, kind="stable")
        return keys[order], order

    def sum(self, values: ArrayLike) -> FloatArray:
        """Sums of each user, float64 [n_users, ...], of values [n, ...]."""
        array = np.asarray(values)
        total = np.zeros((len(self.users), *array.shape[1:]))
        if not len(array):
            return total
        order = np.argsort(self.user, kind="stable")
        user = self.user[order]
        starts = np.flatnonzero(np.diff(user, prepend=-1))
        ordered = array if (np.diff(order) == 1).all() else array[order]
        total[user[starts]] = np.add.reduceat(ordered, starts, axis=0, dtype=np.float64)
        return total

    def where(self, chosen: LongArray) -> "Screens":
        """Some of the screens, with the codes of all users."""
        return Screens(self.impressions.where(chosen), self.users, self.user[chosen])

    def count(self, screen: LongArray, place: LongArray, size: int, weights: FloatArray | None = None) -> FloatArray:
        """How often each user's events fell on each place, float64 [n_users, size].

        Args:
            screen: int [m], of each event.
            place: int [m], from 0.
            size: Number of places.
            weights: float [m]; None: ones.
        """
        keys = self.user[screen] * size + place
        counts = np.bincount(keys, weights, minlength=len(self.users) * size).astype(np.float64)
        return counts.reshape(len(self.users), size)

    def join(self, visits: Visits) -> "Joined":
        """The visits of these screens; those of other screens are left out.

        Raises:
            ArgumentError: A visit of a carousel or position beyond the grid.
        """
        _check_places(visits, *self.grid)
        code = np.minimum(np.searchsorted(self.users, visits.users), max(len(self.users) - 1, 0))
        known = self.users[code] == visits.users if len(self.users) else np.zeros(len(visits.users), dtype=bool)
        keys, screens = self._keys
        wanted = code[visits.user] * (1 << 16) + visits.task.astype(np.int64)
        at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
        inside = known[visits.user] & (keys[at] == wanted) if len(keys) else np.zeros(len(visits), dtype=bool)
        chosen = np.flatnonzero(inside)
        screen = screens[at[chosen]]
        names = ("time", "duration", "kind", "row", "column")
        # What begins at one time has an order that does not depend on that of the rows: the longest comes last.
        order = np.lexsort((*(getattr(visits, name)[chosen] for name in reversed(names)), screen))
        chosen = chosen[order]
        return Joined(self, screen[order], *(getattr(visits, name)[chosen] for name in names))


@dataclass(frozen=True, eq=False)
class Joined:
    """Visits by screen and time; of those that begin together, the longest last.

    Attributes:
        screens: Where they belong.
        screen: int64 [m], number of the screen, ascending.
        time: float64 [m], seconds.
        duration: float64 [m], seconds.
        kind: int8 [m], an `Aoi`.
        row: int16 [m], from 1; 0 on the background.
        column: int16 [m], from 1; 0 where it is no poster.
    """

    screens: Screens
    screen: LongArray
    time: FloatArray
    duration: FloatArray
    kind: NDArray[np.int8]
    row: NDArray[np.int16]
    column: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.screen)

    def where(self, keep: ArrayLike) -> "Joined":
        """Some of the visits, in the same order."""
        names = ("screen", "time", "duration", "kind", "row", "column")
        return Joined(self.screens, *(getattr(self, name)[np.asarray(keep)] for name in names))

    def of_kind(self, *kinds: Aoi) -> "Joined":
        """The visits of some kinds of areas."""
        return self.where(np.isin(self.kind, [int(kind) for kind in kinds]))

    @cached_property
    def cell(self) -> LongArray:
        """int64 [m], place of the poster in the flat grid, from 0; meaningless for what is no poster."""
        return (self.row.astype(np.int64) - 1) * self.screens.grid[1] + self.column - 1

    @cached_property
    def area(self) -> LongArray:
        """int64 [m], a number for each area: posters, then headings, then arrows; -1 on the background."""
        rows, columns = self.screens.grid
        bases = np.array([0, 0, rows * columns, rows * (columns + 1), rows * (columns + 2)])
        beside = bases[self.kind] + self.row - 1
        return np.where(self.kind == Aoi.MOVIE, self.cell, np.where(self.kind == Aoi.BACKGROUND, -1, beside))

    @property
    def page(self) -> LongArray:
        """int64 [m], swipe page of the poster, from 0."""
        return (np.maximum(self.column.astype(np.int64), 1) - 1) // self.screens.impressions.visible

    @property
    def place(self) -> LongArray:
        """int64 [m], place of the poster on its page, from 0."""
        return (np.maximum(self.column.astype(np.int64), 1) - 1) % self.screens.impressions.visible

    @property
    def follows(self) -> BoolArray:
        """Bool [m - 1], whether visits i and i + 1 are of one screen."""
        return np.asarray(self.screen[1:] == self.screen[:-1])

    @property
    def starts(self) -> LongArray:
        """int64, the first visit of each screen that has one."""
        return np.flatnonzero(np.diff(self.screen, prepend=-1))


def _check_places(visits: Visits, rows: int, columns: int) -> None:
    poster = visits.kind == Aoi.MOVIE
    low = np.where(visits.kind == Aoi.BACKGROUND, 0, 1)
    wrong = (visits.row < low) | (visits.row > rows)
    wrong |= poster & ((visits.column < 1) | (visits.column > columns))
    if wrong.any():
        bad = int(np.flatnonzero(wrong)[0])
        raise ArgumentError(
            f"visit {bad} is at row {visits.row[bad]}, column {visits.column[bad]}; expected rows 1 to {rows} and "
            f"columns 1 to {columns}"
        )
