"""The areas under points, by looking up rows and columns apart instead of searching all boxes."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from recgaze.layout import CarouselLayout, Located, Rule

__all__ = ["locate"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


def locate(
    layout: "CarouselLayout",
    x: ArrayLike,
    y: ArrayLike,
    page: ArrayLike,
    scroll_y: ArrayLike | None,
    rule: "Rule",
    radius: float,
) -> "Located":
    """See `CarouselLayout.locate`."""
    from recgaze.layout import Located

    if rule not in ("strict", "closest"):
        raise ArgumentError(f'rule={rule!r}; expected "strict" or "closest"')
    if not radius >= 0:
        raise ArgumentError(f"radius={radius!r}; expected pixels, at least 0")
    across, down, covered = _points(layout, x, y, scroll_y)
    pages = _checked_pages(layout, page, len(across))
    place, row, kind = _strict(layout, across, down)
    kind[covered] = 0
    if rule == "closest":
        beside = np.flatnonzero((kind == 0) & ~covered & np.isfinite(across) & np.isfinite(down))
        place[beside], row[beside], kind[beside] = _closest(layout, across[beside], down[beside], radius)
    found = kind > 0
    current = pages[np.arange(len(row)), np.maximum(row, 0)] if pages.ndim == 2 else pages
    column = np.where(kind == 1, place + 1 + layout.visible * (current - 1), 0)
    return Located(kind.astype(np.int8), np.where(found, row + 1, 0).astype(np.int16), column.astype(np.int16))


def _points(
    layout: "CarouselLayout", x: ArrayLike, y: ArrayLike, scroll_y: ArrayLike | None
) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Coordinates on the page, and whether a bar of the screen covers the point."""
    across = np.atleast_1d(np.asarray(x, dtype=np.float64))
    screen = np.atleast_1d(np.asarray(y, dtype=np.float64))
    scroll = np.asarray(0.0 if scroll_y is None else scroll_y, dtype=np.float64)
    if across.ndim != 1 or across.shape != screen.shape or scroll.shape not in ((), across.shape):
        raise ArgumentError(
            f"x, y and scroll_y have shapes {across.shape}, {screen.shape} and {scroll.shape}; expected [n], [n] and a "
            "number or [n]"
        )
    covered = np.zeros(len(screen), dtype=bool)
    for start, end in layout.bars if scroll_y is not None else ():
        # The bars of the stimulus without scrolling are those of the screen; what was scrolled into view lies between.
        covered |= (screen >= start) & (screen <= end)
    return across, screen + scroll, covered


def _checked_pages(layout: "CarouselLayout", page: ArrayLike, n: int) -> IntArray:
    pages = np.asarray(page)
    if not np.issubdtype(pages.dtype, np.integer):
        raise ArgumentError(f"page has dtype {pages.dtype}; expected whole numbers from 1 to {layout.pages}")
    if pages.shape not in ((), (n,), (n, layout.rows)):
        raise ArgumentError(f"page has shape {pages.shape}; expected a number, [{n}] or [{n}, {layout.rows}]")
    if pages.size and not (pages.min() >= 1 and pages.max() <= layout.pages):
        bad = int(pages[(pages < 1) | (pages > layout.pages)].flat[0])
        raise ArgumentError(f"page holds {bad}; expected 1 to {layout.pages}")
    return np.broadcast_to(pages, (n,)) if pages.ndim == 0 else pages


def _strict(layout: "CarouselLayout", x: FloatArray, y: FloatArray) -> tuple[IntArray, IntArray, IntArray]:
    """Visible place, row and kind of each point; -1, -1 and 0 where it is in no box."""
    place, row = _interval(layout.left, layout.right, x), _interval(layout.top, layout.bottom, y)
    kind = np.where((place >= 0) & (row >= 0), 1, 0)
    place, row = np.where(kind == 1, place, -1), np.where(kind == 1, row, -1)
    rest = np.flatnonzero(kind == 0)
    for code, boxes in ((2, layout.headings), (3, layout.forward), (4, layout.backward)):
        for number, (left, right, top, bottom) in enumerate(boxes):
            inside = (x[rest] >= left) & (x[rest] <= right) & (y[rest] >= top) & (y[rest] <= bottom)
            kind[rest[inside]], row[rest[inside]] = code, number
            rest = rest[~inside]
    return place, row, kind


def _interval(start: FloatArray, end: FloatArray, values: FloatArray) -> IntArray:
    """The first of the ascending, closed intervals that holds each value; -1: none."""
    number = np.searchsorted(end, values, side="left")
    inside = number < len(start)
    inside &= values >= start[np.minimum(number, len(start) - 1)]
    return np.where(inside, number, -1)


def _closest(
    layout: "CarouselLayout", x: FloatArray, y: FloatArray, radius: float
) -> tuple[IntArray, IntArray, IntArray]:
    """As `_strict`, for points on the background: the nearest box within the radius, the first of equally near ones."""
    nearest = np.full(len(x), np.inf)
    place, row, kind = np.full(len(x), -1), np.full(len(x), -1), np.zeros(len(x), dtype=np.int64)
    column, beside = _nearest(layout.left, layout.right, x)
    nowhere = np.full(len(x), -1)
    for number in range(layout.rows):
        above = _outside(layout.top[number], layout.bottom[number], y)
        # In the order in which equally near ones win.
        offers = (
            (2, nowhere, _distance(layout.headings[number], x, y)),
            (4, nowhere, _distance(layout.backward[number], x, y)),
            (1, column, np.hypot(beside, above)),
            (3, nowhere, _distance(layout.forward[number], x, y)),
        )
        for code, at, distance in offers:
            nearer = (distance < nearest) & (distance <= radius)
            nearest[nearer], row[nearer], kind[nearer], place[nearer] = distance[nearer], number, code, at[nearer]
    return place, row, kind


def _outside(start: float, end: float, values: FloatArray) -> FloatArray:
    """How far values lie outside of an interval; 0 inside."""
    return np.maximum(np.maximum(start - values, values - end), 0.0)


def _nearest(start: FloatArray, end: FloatArray, values: FloatArray) -> tuple[IntArray, FloatArray]:
    """The nearest of the ascending intervals to each value, the first of equally near ones, and how far off it is."""
    after = np.searchsorted(end, values, side="left")
    second = np.minimum(after, len(start) - 1)
    first = np.maximum(after - 1, 0)
    to_first = np.maximum(np.maximum(start[first] - values, values - end[first]), 0.0)
    to_second = np.maximum(np.maximum(start[second] - values, values - end[second]), 0.0)
    return np.where(to_first <= to_second, first, second), np.minimum(to_first, to_second)


def _distance(box: FloatArray, x: FloatArray, y: FloatArray) -> FloatArray:
    """Euclidean distance of points to a box; infinite where there is none."""
    left, right, top, bottom = box
    if np.isnan(left):
        return np.full(len(x), np.inf)
    return np.hypot(_outside(left, right, x), _outside(top, bottom, y))
