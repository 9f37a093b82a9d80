"""Counts of each user, which are all that the measures need: blocks of a study are added up, users are drawn again.

A measure is a function of sums over users. Drawing users with replacement gives user i a multinomial weight w_bi in
draw b, so that the sums of all draws are one matrix product, weights [b, users] by counts [users, ...].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.arguments import require_generator
from recgaze.browse.estimates import Axis, Estimate, positions

__all__ = ["Resampled", "Tally", "nothing", "ratio"]

FloatArray = NDArray[np.float64]

_DRAWS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums of each user over the screens that the user saw.

    Attributes:
        users: [n_users], ids, sorted, none twice.
        rows: Carousels, R.
        columns: Positions of a carousel, C.
        visible: Posters of a carousel that are visible at a time, V.
        arrays: Name to float64 [n_users, ...]. `recgaze.browse.tally` says which there are.

    Raises:
        ArgumentError: An array has another number of users, or a number that is negative or not finite.
    """

    users: NDArray[Any]
    rows: int
    columns: int
    visible: int
    arrays: Mapping[str, FloatArray]

    def __post_init__(self) -> None:
        for name, array in self.arrays.items():
            if len(array) != len(self.users):
                raise ArgumentError(f"{name} has {len(array)} users; expected {len(self.users)}")
            if not np.isfinite(array).all() or (array < 0).any():
                raise ArgumentError(f"{name} holds numbers that are negative or not finite; expected counts")

    @classmethod
    def of_counts(cls, counts: ArrayLike, users: ArrayLike | None = None, *, name: str = "clicked") -> "Tally":
        """From plain counts of a grid, such as selections.

        Args:
            counts: float [n_users, R, C].
            users: [n_users], ids. Default: numbers.
            name: What is counted: "clicked" or "examined".

        Raises:
            ArgumentError: Another shape, an id that comes twice, a count that is negative or not finite.
        """
        values = np.asarray(counts, dtype=np.float64)
        if values.ndim != 3 or not values.size:
            raise ArgumentError(f"counts has shape {values.shape}; expected [n_users, rows, columns]")
        ids = np.arange(len(values)) if users is None else np.asarray(users)
        if ids.shape != values.shape[:1] or len(np.unique(ids)) != len(ids):
            raise ArgumentError(f"users has shape {ids.shape}; expected {len(values)} ids, none of them twice")
        order = np.argsort(ids, kind="stable")
        rows, columns = values.shape[1:]
        return cls(ids[order], rows, columns, columns, {name: values[order]})

    @classmethod
    def of_selections(
        cls, row: ArrayLike, column: ArrayLike, *, rows: int, columns: int, user: ArrayLike | None = None
    ) -> "Tally":
        """From a list of selections.

        Args:
            row: int [n], carousel of each selection, from 1.
            column: int [n], position, from 1.
            rows: Carousels.
            columns: Positions of a carousel.
            user: [n], who selected. Default: each by someone else.

        Raises:
            ArgumentError: Different lengths, or a place beyond the grid.
        """
        down, across = np.asarray(row), np.asarray(column)
        ids = np.arange(len(down)) if user is None else np.asarray(user)
        if down.ndim != 1 or not len(down) or down.shape != across.shape or down.shape != ids.shape:
            raise ArgumentError(f"shapes {down.shape}, {across.shape} and {ids.shape}; expected one length for all")
        for name, values, end in (("row", down, rows), ("column", across, columns)):
            if values.min() < 1 or values.max() > end:
                raise ArgumentError(f"{name} goes from {values.min()} to {values.max()}; expected 1 to {end}")
        users, code = np.unique(ids, return_inverse=True)
        place = (code * rows + down - 1) * columns + across - 1
        counts = np.bincount(place, minlength=len(users) * rows * columns)
        return cls.of_counts(counts.reshape(len(users), rows, columns), users)

    def __repr__(self) -> str:
        return f"Tally({len(self.users):,} users, {self.rows} x {self.columns}: {', '.join(self.arrays)})"

    def __contains__(self, name: str) -> bool:
        return name in self.arrays

    def __getitem__(self, name: str) -> FloatArray:
        """One of the arrays, [n_users, ...].

        Raises:
            ArgumentError: It was not counted.
        """
        if name not in self.arrays:
            needs = next((what for what, names in _NEEDS.items() if name in names), None)
            if needs is None:
                raise ArgumentError(f"there are no counts {name!r}; pass the impressions to recgaze.browse.tally")
            raise ArgumentError(f"the counts were made without the {needs}; pass the {needs} to recgaze.browse.tally")
        return self.arrays[name]

    @property
    def pages(self) -> int:
        """Swipe pages of a carousel, P."""
        return self.columns // self.visible

    @classmethod
    def merge(cls, parts: "Sequence[Tally]") -> "Tally":
        """Several blocks of a study as one; users with one id are one user.

        Raises:
            ArgumentError: No parts, or parts of different grids or with different counts.
        """
        if not parts:
            raise ArgumentError("no tallies; expected at least one")
        first = parts[0]
        for part in parts:
            if (part.rows, part.columns, part.visible, set(part.arrays)) != (
                first.rows,
                first.columns,
                first.visible,
                set(first.arrays),
            ):
                raise ArgumentError(f"tallies that do not go together: {first!r} and {part!r}")
        users, code = np.unique(np.concatenate([part.users for part in parts]), return_inverse=True)
        arrays = {}
        for name in first.arrays:
            stacked = np.concatenate([part.arrays[name] for part in parts])
            if len(users) < len(code):
                total = np.zeros((len(users), *stacked.shape[1:]))
                np.add.at(total, code, stacked)
            else:
                total = np.empty_like(stacked)
                total[code] = stacked
            arrays[name] = total
        return cls(users, first.rows, first.columns, first.visible, arrays)

    def resample(self, rng: np.random.Generator, n: int = 2000, level: float = 0.95) -> "Resampled":
        """Draw the users again: what the measures take.

        Args:
            rng: Source of the draws.
            n: Number of draws.
            level: Confidence of the intervals.

        Raises:
            ArgumentError: No users, fewer than two draws, or a level that is not between 0 and 1.
        """
        require_generator(rng)
        users = len(self.users)
        if not users or n < 2 or not 0 < level < 1:
            raise ArgumentError(
                f"{users} users, n={n}, level={level}; expected at least 1 user, 2 draws, and a level between 0 and 1"
            )
        weights = np.ones((1 + n, users), dtype=np.uint16)
        for start in range(1, 1 + n, _DRAWS_AT_ONCE):
            part = weights[start : start + _DRAWS_AT_ONCE]
            part[:] = rng.multinomial(users, np.full(users, 1 / users), size=len(part))
        return Resampled(self, weights, level)


@dataclass(frozen=True, eq=False)
class Resampled:
    """A tally, and how often each draw takes each user.

    Attributes:
        tally: The counts.
        weights: uint16 [1 + n_draws, n_users]; the first row is the study itself, all ones.
        level: Confidence of the intervals.
    """

    tally: Tally
    weights: NDArray[np.uint16]
    level: float
    _totals: dict[str, FloatArray] = field(default_factory=dict, repr=False)

    def __contains__(self, name: str) -> bool:
        return name in self.tally

    def total(self, name: str) -> FloatArray:
        """Sums over users, float64 [1 + n_draws, ...]; the first is that of the study itself.

        Raises:
            ArgumentError: It was not counted.
        """
        if name not in self._totals:
            self._totals[name] = self.weigh(self.tally[name])
        return self._totals[name]

    def some(self, name: str) -> FloatArray:
        """As `total`, of what there is some of.

        Raises:
            ArgumentError: It was not counted, or there is nothing of it.
        """
        found = self.total(name)
        if not found[0].any():
            raise ArgumentError(nothing(name))
        return found

    def weigh(self, values: FloatArray) -> FloatArray:
        """Sums over users of any array [n_users, ...], as `total`."""
        flat = values.reshape(len(values), -1)
        found = np.empty((len(self.weights), flat.shape[1]))
        for start in range(0, len(found), _DRAWS_AT_ONCE):
            rows = slice(start, start + _DRAWS_AT_ONCE)
            found[rows] = self.weights[rows].astype(np.float64) @ flat
        return found.reshape(len(found), *values.shape[1:])

    def estimate(self, draws: FloatArray, axes: tuple[Axis, ...] = (), *, of: str | None = None) -> Estimate:
        """The estimate of a measure.

        Args:
            draws: float64 [1 + n_draws, ...], the measure of each draw.
            axes: Name and labels of its axes.
            of: Count of which users need some to contribute. Default: all users contribute.
        """
        n_users = len(self.tally.users)
        if of is not None:
            n_users = int((self.tally[of].reshape(n_users, -1) > 0).any(axis=1).sum())
        return Estimate.of_draws(draws, n_users, self.level, axes)

    def grid(self, columns: int | None = None) -> tuple[Axis, Axis]:
        """The axes of a map, [R, C]."""
        return positions("row", self.tally.rows), positions("column", columns or self.tally.columns)


def ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Quotient, NaN where bottom is 0."""
    found = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    np.divide(top, bottom, out=found, where=np.broadcast_to(bottom != 0, found.shape))
    return found


def nothing(name: str, part: str = "all") -> str:
    """That there is nothing of a count, in plain words.

    Args:
        name: Of the count.
        part: "all" of the grid, the "first" page of each carousel, or "swiped" pages.
    """
    where = {"first": " on first pages", "swiped": " on swiped pages"}.get(part, "")
    return f"there is {_WORDS.get(name, f'nothing counted as {name}')}{where}; expected some"


_WORDS = {
    "examined": "no look at a poster",
    "dwell": "no look at a poster with a duration",
    "clicked": "no click on a poster",
    "first": "no fixation on a poster",
    "seen": "no fixation on a poster",
    "kinds": "no fixation with a duration",
    "pointed": "no dwell of the cursor with a duration",
    "moves": "no screen with two fixations on posters or headings",
    "row_moves": "no move of the gaze from one poster or heading to another",
    "column_moves": "no move of the gaze from one poster or heading to another",
    "entered": "no swipe to be seen in the gaze",
    "last_screens": "no screen with one click that is on a fixated poster",
    "both": "no moment at which gaze and cursor are both on an area",
    "lag_both": "no moment at which gaze and cursor are both on an area",
    "both_posters": "no moment at which gaze and cursor are both on a poster",
    "cursor_poster": "no moment before a click at which the cursor is on a poster that was looked at",
    "gaze_poster": "no moment before a click at which the gaze is on a poster",
}

# Which input counts come from, for the message that says what is missing; the rest are of impressions.
_OF_FIXATIONS = """first seen waited revisited kinds moves row_moves column_moves gaze_swipes gaze_swiped
    entered last_screens last_clicks last_chance"""
_OF_CURSOR = """agree agree_row both apart both_posters cursor_click cursor_poster gaze_click gaze_poster click_screens
    click_choices lag_agree lag_both pointed"""
_NEEDS = {
    "fixations": _OF_FIXATIONS.split(),
    "fixations and the cursor": _OF_CURSOR.split(),
    "clicks": ["swipes", "swiped"],
}
