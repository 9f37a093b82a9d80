"""Seen screens as arrays: what stood where, what was looked at, for how long, and what was clicked."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError

__all__ = ["Impressions"]

BoolArray = NDArray[np.bool_]
LongArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Impressions:
    """Screens that users saw. R carousels of C positions each; swipe pages are counted through.

    Attributes:
        users: [n_users], ids.
        genres: Names of the carousels' genres (topics).
        user: int32 [n], code in `users`.
        task: int16 [n], the screen.
        examined: bool [n, R, C], whether the poster was fixated.
        dwell: float32 [n, R, C], seconds of fixation.
        clicked: bool [n, R, C], the selection; a screen without one has none.
        genre: int8 [n, R], code in `genres`; -1: unknown.
        movie: int64 [n, R, C], id of the film; -1: unknown.
        rating: int8 [n, R], stars 1 to 5 that the user gives the carousel's genre; 0: unknown.
        pages: int8 [n, R], the furthest swipe page of the carousel that came into view, from 1; a swipe back from the
            first page brings the last one.
        visible: Posters of a carousel that are visible at a time.

    Raises:
        ArgumentError: Arrays that do not fit each other, or codes out of range.
    """

    users: NDArray[Any]
    genres: tuple[str, ...]
    user: NDArray[np.int32]
    task: NDArray[np.int16]
    examined: BoolArray
    dwell: NDArray[np.float32]
    clicked: BoolArray
    genre: NDArray[np.int8]
    movie: LongArray
    rating: NDArray[np.int8]
    pages: NDArray[np.int8]
    visible: int

    def __post_init__(self) -> None:
        set_field = object.__setattr__
        set_field(self, "users", np.asarray(self.users))
        set_field(self, "genres", tuple(self.genres))
        for name, dtype in _TYPES.items():
            set_field(self, name, cast(name, getattr(self, name), dtype))
        if self.examined.ndim != 3:
            raise ArgumentError(f"examined has shape {self.examined.shape}; expected [n, rows, columns]")
        n, rows, columns = self.examined.shape
        expected = {"user": (n,), "task": (n,), "genre": (n, rows), "rating": (n, rows), "pages": (n, rows)}
        expected |= dict.fromkeys(("dwell", "clicked", "movie"), (n, rows, columns))
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ArgumentError(f"{name} has shape {getattr(self, name).shape}; expected {list(shape)}")
        ranges = {"user": (0, len(self.users) - 1), "genre": (-1, len(self.genres) - 1), "rating": (0, 5)}
        ranges["pages"] = (1, max(columns // max(self.visible, 1), 1))
        for name, (low, high) in ranges.items():
            values = getattr(self, name)
            if values.size and not (low <= values.min() and values.max() <= high):
                raise ArgumentError(f"{name} goes from {values.min()} to {values.max()}; expected {low} to {high}")
        if columns % self.visible:
            raise ArgumentError(f"visible={self.visible}; expected a divisor of the {columns} columns")
        if not (np.isfinite(self.dwell).all() and (self.dwell >= 0).all()):
            raise ArgumentError("dwell holds numbers that are negative or not finite; expected seconds")

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return (
            f"Impressions({len(self):,} screens of {len(self.users):,} users, {self.rows} x {self.columns}, "
            f"{int(self.clicked.sum()):,} clicks)"
        )

    @property
    def rows(self) -> int:
        """Number of carousels, R."""
        return int(self.examined.shape[1])

    @property
    def columns(self) -> int:
        """Positions of a carousel, C."""
        return int(self.examined.shape[2])

    def where(self, keep: ArrayLike) -> "Impressions":
        """Some of the screens, by a mask [n] or their numbers. Users keep their codes."""
        chosen = np.asarray(keep)
        return replace(self, **{name: getattr(self, name)[chosen] for name in _TYPES})

    def split_users(self, share: float, rng: np.random.Generator) -> "tuple[Impressions, Impressions]":
        """Whole users at random in two parts: (1 - share, share) of the users that saw a screen.

        Raises:
            ArgumentError: A part would be empty.
        """
        seen = rng.permutation(np.unique(self.user))
        n = round(share * len(seen))
        if not 0 < n < len(seen):
            raise ArgumentError(f"share={share} of {len(seen)} users leaves a part empty")
        second = np.isin(self.user, seen[:n])
        return self.where(~second), self.where(second)

    @classmethod
    def concatenate(cls, parts: "Sequence[Impressions]") -> "Impressions":
        """Several blocks as one; users with one id are one user.

        Raises:
            ArgumentError: No parts, or parts of different grids or genres.
        """
        if not parts:
            raise ArgumentError("no impressions; expected at least one part")
        first = parts[0]
        for part in parts:
            if (part.rows, part.columns, part.visible, part.genres) != (
                first.rows,
                first.columns,
                first.visible,
                first.genres,
            ):
                raise ArgumentError(f"impressions of different grids or genres: {first!r} and {part!r}")
        users, codes = np.unique(np.concatenate([part.users for part in parts]), return_inverse=True)
        bounds = np.cumsum([0, *(len(part.users) for part in parts)])
        arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _TYPES}
        arrays["user"] = np.concatenate([codes[start:][part.user] for start, part in zip(bounds, parts, strict=False)])
        return cls(users=users, genres=first.genres, visible=first.visible, **arrays)


def cast(name: str, values: ArrayLike, dtype: Any) -> NDArray[Any]:
    """An array of another type, in which no whole number becomes another.

    Raises:
        ArgumentError: A number that the type does not hold.
    """
    given = np.asarray(values)
    if np.issubdtype(dtype, np.integer) and given.size:
        limits = np.iinfo(dtype)
        if not (np.isfinite(given).all() and limits.min <= given.min() and given.max() <= limits.max):
            raise ArgumentError(
                f"{name} goes from {given.min()} to {given.max()}; expected {limits.min} to {limits.max}"
            )
    return given.astype(dtype)


_TYPES: dict[str, Any] = {
    "user": np.int32,
    "task": np.int16,
    "examined": np.bool_,
    "dwell": np.float32,
    "clicked": np.bool_,
    "genre": np.int8,
    "movie": np.int64,
    "rating": np.int8,
    "pages": np.int8,
}
