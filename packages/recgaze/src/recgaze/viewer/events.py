"""What happened on each screen, in whole milliseconds, as the flat lists of numbers that the viewer reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.layout import Aoi, CarouselLayout
from recgaze.visits import Visits

__all__ = ["ScreenEvents", "area_codes", "page_turns"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ScreenEvents:
    """The events of a study, found by screen.

    Attributes:
        layout: Of the page.
        gaze: Fixations.
        cursor: Dwells of the cursor; None: not recorded.
        clicks: On arrows and posters.
        places: int64 [n_fixations, 2], pixels of the page at which the gaze was measured; None: not known.
    """

    layout: CarouselLayout
    gaze: Visits
    cursor: Visits | None
    clicks: Visits
    places: IntArray | None = None

    def __post_init__(self) -> None:
        if self.places is not None and self.places.shape != (len(self.gaze), 2):
            raise ArgumentError(
                f"positions of {len(self.places)} fixations for {len(self.gaze)}; expected x and y of each fixation"
            )

    def of(self, screens: IntArray) -> list[dict[str, Any]]:
        """The events of some screens.

        Args:
            screens: int64 [n], keys as `screen_keys` gives them.

        Returns:
            For each: "f", "c", "k" (fixations, cursor, clicks) as [milliseconds since the last one began, duration,
            area] one after the other, "p" (page turns) as [time, row, page], from 0, "d" the length of the screen, and
            "xy" where places are known.
        """
        lists: dict[str, Any] = {"f": _by_screen(self.gaze, self.layout), "k": _by_screen(self.clicks, self.layout)}
        lists["c"] = {} if self.cursor is None else _by_screen(self.cursor, self.layout)
        turns, ends = page_turns(self.gaze, self.clicks, self.layout), self._ends()
        places = {} if self.places is None else _split(_keys(self.gaze), self.places)
        nothing: IntArray = np.empty(0, dtype=np.int64)
        found = []
        for key in screens.tolist():
            events = {name: parts.get(key, nothing).ravel().tolist() for name, parts in lists.items()}
            events |= {"p": turns.get(key, nothing).ravel().tolist(), "d": ends.get(key, 0)}
            if key in places:
                events["xy"] = places[key].ravel().tolist()
            found.append(events)
        return found

    def _ends(self) -> dict[int, int]:
        """Milliseconds until the last event of each screen is over."""
        ends: dict[int, int] = {}
        for visits in (self.gaze, self.cursor, self.clicks):
            if visits is None or not len(visits):
                continue
            last = np.maximum.reduceat(visits.time + visits.duration, visits.starts)
            for key, end in zip(_keys(visits)[visits.starts].tolist(), milliseconds(last).tolist(), strict=True):
                ends[key] = max(ends.get(key, 0), end)
        return ends


def milliseconds(seconds: FloatArray) -> IntArray:
    """Whole milliseconds: int64, of the same shape."""
    return np.rint(1000 * seconds).astype(np.int64)


def screen_keys(user: NDArray[Any], task: NDArray[Any]) -> IntArray:
    """One number for a user and a screen: int64 [n]."""
    return np.asarray(user, dtype=np.int64) * 64 + np.asarray(task, dtype=np.int64)


def area_codes(visits: Visits, layout: CarouselLayout) -> IntArray:
    """A number for each area: posters row by row from 0, then headings, forward and backward arrows; background -1."""
    rows, columns = layout.rows, layout.columns
    row, column = visits.row.astype(np.int64) - 1, visits.column.astype(np.int64) - 1
    code = np.full(len(visits), -1, dtype=np.int64)
    for kind, value in (
        (Aoi.MOVIE, row * columns + column),
        (Aoi.GENRE, rows * columns + row),
        (Aoi.FORWARD, rows * (columns + 1) + row),
        (Aoi.BACKWARD, rows * (columns + 2) + row),
    ):
        code = np.where(visits.kind == kind, value, code)
    return code


def page_turns(gaze: Visits, clicks: Visits, layout: CarouselLayout) -> dict[int, IntArray]:
    """When carousels turned to which page, as arrows clicked and posters looked at show it.

    An arrow turns its carousel by one page, and swiping wraps round. A poster that is looked at or clicked stands on
    the page in view, whatever the arrows said before.

    Args:
        gaze: Fixations.
        clicks: On arrows and posters.
        layout: Of the page.

    Returns:
        Screen key to int64 [n, 3]: milliseconds, row and page from 0, by time.
    """
    kind, screen, row, time, column = (
        np.concatenate([getattr(part, name) if isinstance(name, str) else name(part) for part in (gaze, clicks)])
        for name in ("kind", _keys, "row", "time", "column")
    )
    poster = kind == Aoi.MOVIE
    step = np.where(kind == Aoi.FORWARD, 1, np.where(kind == Aoi.BACKWARD, -1, 0))
    # To look at an arrow turns nothing, only the click does.
    step[: len(gaze)] = 0
    used = np.flatnonzero(poster | (step != 0))
    carousel = screen[used] * layout.rows + row[used] - 1
    order = np.lexsort((time[used], carousel))
    used, carousel = used[order], carousel[order]
    if not len(used):
        return {}
    page = _states(carousel, poster[used], (column[used].astype(np.int64) - 1) // layout.visible, step[used])
    page %= layout.pages
    before = np.where(np.diff(carousel, prepend=-1) != 0, 0, np.concatenate(([0], page[:-1])))
    turned = np.flatnonzero(page != before)
    at = milliseconds(time[used[turned]])
    by_time = turned[np.lexsort((at, carousel[turned] // layout.rows))]
    found = np.stack([milliseconds(time[used[by_time]]), carousel[by_time] % layout.rows, page[by_time]], axis=1)
    return _split(carousel[by_time] // layout.rows, found)


def _states(carousel: IntArray, seen: NDArray[np.bool_], page: IntArray, step: IntArray) -> IntArray:
    """Page after each event, not yet wrapped round: the last page seen (0 at first), and the steps since."""
    total = np.cumsum(step)
    first = np.diff(carousel, prepend=-1) != 0
    # What the page and the sum of steps were when the page was last known.
    base = np.where(seen, page - total, np.where(first, step - total, 0))
    known = np.maximum.accumulate(np.where(seen | first, np.arange(len(step)), 0))
    return np.asarray(base[known] + total)


def _by_screen(visits: Visits, layout: CarouselLayout) -> dict[int, IntArray]:
    keys = _keys(visits)
    start = milliseconds(visits.time)
    first = np.diff(keys, prepend=-1) != 0
    since = np.where(first, start, np.diff(start, prepend=0))
    return _split(keys, np.stack([since, milliseconds(visits.duration), area_codes(visits, layout)], axis=1))


def _keys(visits: Visits) -> IntArray:
    return screen_keys(visits.user, visits.task)


def _split(keys: IntArray, values: IntArray) -> dict[int, IntArray]:
    """The rows of each key; equal keys stand together."""
    starts = np.flatnonzero(np.diff(keys, prepend=-1) != 0)
    parts: Mapping[int, IntArray] = dict(
        zip(keys[starts].tolist(), np.split(values, starts[1:]) if len(starts) else [], strict=True)
    )
    return dict(parts)
