"""Visits of areas of interest, in time: fixations, cursor dwells and clicks, as arrays."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.impressions import cast
from recgaze.layout import Aoi

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Visits"]

BoolArray = NDArray[np.bool_]
LongArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Visits:
    """Fixations (or cursor dwells, or clicks), one a row, by user, screen and time.

    Attributes:
        users: [n_users], ids.
        user: int32 [n], code in `users`.
        task: int16 [n], the screen.
        time: float64 [n], seconds since the screen appeared, when the visit begins.
        duration: float64 [n], seconds; 0 for clicks.
        kind: int8 [n], an `Aoi`.
        row: int16 [n], carousel, from 1; 0 on the background.
        column: int16 [n], position in the carousel, from 1; 0 where it is no poster.

    Raises:
        ArgumentError: Arrays of different lengths, codes out of range, times or durations that are negative or not
            finite.
    """

    users: NDArray[Any]
    user: NDArray[np.int32]
    task: NDArray[np.int16]
    time: NDArray[np.float64]
    duration: NDArray[np.float64]
    kind: NDArray[np.int8]
    row: NDArray[np.int16]
    column: NDArray[np.int16]

    def __post_init__(self) -> None:
        types = {"user": np.int32, "task": np.int16, "time": np.float64, "duration": np.float64}
        types |= {"kind": np.int8, "row": np.int16, "column": np.int16}
        set_field = object.__setattr__
        set_field(self, "users", np.asarray(self.users))
        for name, dtype in types.items():
            set_field(self, name, cast(name, getattr(self, name), dtype))
        shapes = {getattr(self, name).shape for name in types}
        if len(shapes) != 1 or self.user.ndim != 1:
            raise ArgumentError(f"visits have arrays of shapes {sorted(shapes)}; expected one length for all")
        if len(self) and not (self.user.min() >= 0 and self.user.max() < len(self.users)):
            raise ArgumentError(f"user holds codes beyond its {len(self.users)} users")
        for name in ("time", "duration"):
            values = getattr(self, name)
            bad = ~(np.isfinite(values) & (values >= 0))
            if bad.any():
                first = int(np.flatnonzero(bad)[0])
                raise ArgumentError(f"{name} is {values[first]} at visit {first}; expected seconds of at least 0")
        self._sort()

    def _sort(self) -> None:
        order = np.lexsort((self.time, self.task, self.user))
        if (np.diff(order) == 1).all():
            return
        for name in ("user", "task", "time", "duration", "kind", "row", "column"):
            object.__setattr__(self, name, getattr(self, name)[order])

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Visits({len(self):,} of {len(self.users):,} users on {len(self.starts):,} screens)"

    @cached_property
    def screen(self) -> LongArray:
        """int64 [n], number of the seen screen (user and task), ascending from 0."""
        if not len(self):
            return np.empty(0, dtype=np.int64)
        new = (np.diff(self.user) != 0) | (np.diff(self.task) != 0)
        return np.concatenate(([0], np.cumsum(new)))

    @cached_property
    def starts(self) -> LongArray:
        """int64 [n_screens], first visit of each seen screen."""
        return np.flatnonzero(np.diff(self.screen, prepend=-1))

    @property
    def on_poster(self) -> BoolArray:
        """Bool [n], whether the visit is of a poster."""
        return np.asarray(self.kind == Aoi.MOVIE)

    def where(self, keep: ArrayLike) -> "Visits":
        """Some of the visits: those of a mask [n], or by their numbers."""
        chosen = np.asarray(keep)
        names = ("user", "task", "time", "duration", "kind", "row", "column")
        return Visits(self.users, *(getattr(self, name)[chosen] for name in names))

    def to_frame(self) -> "pd.DataFrame":
        """A row a visit: `user, task, time, duration, kind, row, column`, the kind in words."""
        import pandas as pd

        labels = np.array([aoi.label for aoi in Aoi])
        return pd.DataFrame(
            {
                "user": self.users[self.user],
                "task": self.task,
                "time": self.time,
                "duration": self.duration,
                "kind": labels[self.kind],
                "row": self.row,
                "column": self.column,
            }
        )
