"""Where events stand in arrays over seen screens."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recgaze.layout import Aoi
from recgaze.visits import Visits

__all__ = ["Places", "codes_of"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


class Places:
    """Arrays over seen screens, rows and columns.

    Args:
        user: int64 [n], user of each screen; with `task` ascending.
        task: int64 [n].
        rows: Carousels of a screen.
        columns: Positions of a carousel.
    """

    def __init__(self, user: IntArray, task: IntArray, rows: int, columns: int) -> None:
        self.shape = (len(user), rows, columns)
        self._keys = user * 64 + task

    def screen(self, user: NDArray[Any], task: NDArray[Any]) -> IntArray:
        """Number of each event's screen, -1 where it is none of these: int64 [n]."""
        keys = user.astype(np.int64) * 64 + task
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[at] == keys, at, -1)

    def sums(self, visits: Visits, values: FloatArray | None) -> FloatArray:
        """Sum of values of the visits of each poster (None: their number): float64 [n, rows, columns]."""
        n, rows, columns = self.shape
        screen = self.screen(visits.user, visits.task)
        here = (screen >= 0) & visits.on_poster
        cell = (screen[here] * rows + visits.row[here] - 1) * columns + visits.column[here] - 1
        weights = None if values is None else values[here]
        return np.bincount(cell, weights=weights, minlength=n * rows * columns).reshape(self.shape).astype(np.float64)

    def pages(self, fixations: Visits, clicks: Visits, visible: int) -> NDArray[np.int8]:
        """The furthest swipe page of each carousel that came into view: int8 [n, rows], at least 1."""
        n, rows, columns = self.shape
        furthest = np.ones((n, rows), dtype=np.int8)
        for visits in (fixations, clicks):
            screen = self.screen(visits.user, visits.task)
            here = (screen >= 0) & visits.on_poster
            page = (visits.column[here] - 1) // visible + 1
            np.maximum.at(furthest, (screen[here], visits.row[here] - 1), page.astype(np.int8))
        swipes = clicks.where((clicks.kind == Aoi.FORWARD) | (clicks.kind == Aoi.BACKWARD))
        screen = self.screen(swipes.user, swipes.task)
        order = np.flatnonzero(screen >= 0)
        order = order[np.lexsort((swipes.time[order], swipes.row[order], screen[order]))]
        carousel = screen[order] * rows + swipes.row[order] - 1
        step = np.where(swipes.kind[order] == Aoi.FORWARD, 1, -1)
        position = np.cumsum(step)
        first = np.flatnonzero(np.diff(carousel, prepend=-1))
        group = np.cumsum(np.diff(carousel, prepend=-1) != 0) - 1
        position = position - (position[first] - step[first])[group] if len(order) else position
        # Swiping wraps round.
        np.maximum.at(furthest.reshape(-1), carousel, (position % (columns // visible) + 1).astype(np.int8))
        return furthest


def codes_of(values: Any, names: "list[str] | tuple[str, ...]") -> NDArray[np.int32]:
    """Place of each category in a list of names, -1 where it is none of them: int32 [n]."""
    import pandas as pd

    text = values if hasattr(values, "cat") else values.astype("category")
    place = pd.Index(names).get_indexer(pd.Index(text.cat.categories.astype(str)))
    return np.asarray(np.append(place, -1)[text.cat.codes.to_numpy()], dtype=np.int32)
