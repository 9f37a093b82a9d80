"""One user's way over one screen."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from irworks.report.figures import canvas
from recgaze.layout import Aoi

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from recgaze.data.dataset import RecGazeDataset
    from recgaze.layout import CarouselLayout
    from recgaze.visits import Visits

__all__ = ["scanpath_figure"]

FloatArray = NDArray[np.float64]

_LONG_PATH = 60


def scanpath_figure(
    dataset: "RecGazeDataset", user: str, task: int, *, rule: Any = "closest", positions: Any = None
) -> "Figure":
    """The way of one user's gaze over one screen, swipe pages side by side.

    Circles grow with the time of the look. The published data has no pixels: circles of one poster are then laid out
    around its middle by a fixed rule.

    Args:
        dataset: The study.
        user: Id.
        task: The screen.
        rule: By which fixations belong to areas: "strict" or "closest".
        positions: x and y of the fixations of this screen beside the background, [n] each, pixels of the page.

    Raises:
        ArgumentError: There are no fixations of this user on this screen.
    """
    fixations = dataset.fixations(rule)
    here = (fixations.users[fixations.user].astype(str) == user) & (fixations.task == task)
    looks = fixations.where(here & (fixations.row > 0))
    if not len(looks):
        raise ArgumentError(f"user={user!r}, task={task}: there are no fixations of that screen")
    layout = dataset.layout
    page = _pages(looks, layout.visible)
    x, y = _spread(looks, layout) if positions is None else (np.asarray(one, dtype=np.float64) for one in positions)
    x = x + page * layout.width
    figure, axes = canvas(min(3.2 * int(page.max() + 1) + 1.4, 9.6), 5.4)
    axes.grid(visible=False)
    _draw_page(axes, layout, int(page.max()) + 1)
    axes.plot(x, y, linewidth=1.1, alpha=0.75)
    axes.scatter(x, y, s=18 + 420 * looks.duration, alpha=0.45, zorder=3)
    for number in range(0, len(looks), max(1, len(looks) // _LONG_PATH)):
        axes.text(x[number], y[number], str(number + 1), fontsize=6.5, ha="center", va="center", zorder=4)
    _mark_selection(axes, dataset, user, task)
    axes.set(ylim=(layout.height, 0), yticks=[], xticks=[], title=f"{user}, screen {task}")
    axes.spines[:].set_visible(False)
    return figure


def _pages(looks: "Visits", visible: int) -> NDArray[np.int64]:
    """Swipe page of each look, from 0; headings and arrows stand on the page last seen, if of the same carousel."""
    poster = looks.on_poster
    page = np.maximum((looks.column.astype(np.int64) - 1) // visible, 0)
    last = np.maximum.accumulate(np.where(poster, np.arange(len(looks)), 0))
    known = poster[last] & (looks.row[last] == looks.row)
    return np.where(poster, page, np.where(known, page[last], 0))


def _spread(looks: "Visits", layout: "CarouselLayout") -> tuple[FloatArray, FloatArray]:
    """Places inside the areas, so that several looks at one do not cover each other: a spiral around its middle."""
    row, place = looks.row.astype(np.int64) - 1, (looks.column.astype(np.int64) - 1) % layout.visible
    poster = looks.kind == Aoi.MOVIE
    x = np.where(poster, (layout.left + layout.right)[place] / 2, _box(layout.headings, row, 0, 1))
    y = np.where(poster, (layout.top + layout.bottom)[row] / 2, _box(layout.headings, row, 2, 3))
    for kind, boxes, edge in (
        (Aoi.FORWARD, layout.forward, layout.right[-1]),
        (Aoi.BACKWARD, layout.backward, layout.left[0]),
    ):
        at, there = _box(boxes, row, 0, 1), looks.kind == kind
        x = np.where(there, np.where(np.isfinite(at), at, edge), x)
        y = np.where(there, (layout.top + layout.bottom)[row] / 2, y)
    area = (row * (layout.columns + 4) + looks.column) * 8 + looks.kind
    order = np.argsort(area, kind="stable")
    begins = np.flatnonzero(np.diff(area[order], prepend=-1) != 0)
    turn = np.empty(len(area))
    turn[order] = np.arange(len(area)) - np.repeat(begins, np.diff(np.append(begins, len(area))))
    reach, angle = np.where(poster, np.sqrt(turn), 0.0), 2.4 * turn
    width, height = float((layout.right - layout.left).min()), float((layout.bottom - layout.top).min())
    x = x + np.minimum(reach * 0.12, 0.4) * width * np.cos(angle)
    y = y + np.minimum(reach * 0.12, 0.4) * height * np.sin(angle)
    return np.nan_to_num(x, nan=float(layout.left[0])), np.where(np.isfinite(y), y, layout.top[row] - 20)


def _box(boxes: FloatArray, row: NDArray[np.int64], low: int, high: int) -> FloatArray:
    return np.asarray((boxes[row, low] + boxes[row, high]) / 2)


def _draw_page(axes: "Axes", layout: "CarouselLayout", pages: int) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    boxes = [
        Rectangle((left + page * layout.width, top), right - left, bottom - top)
        for page in range(pages)
        for top, bottom in zip(layout.top, layout.bottom, strict=True)
        for left, right in zip(layout.left, layout.right, strict=True)
    ]
    axes.add_collection(PatchCollection(boxes, facecolor="0.5", alpha=0.18, edgecolor="none"))
    axes.set_xlim(0, pages * layout.width)
    for page in range(pages):
        middle = (page + 0.5) * layout.width
        axes.text(middle, 0, f"page {page + 1}", ha="center", va="bottom", fontsize=8)


def _mark_selection(axes: "Axes", dataset: "RecGazeDataset", user: str, task: int) -> None:
    from matplotlib.patches import Rectangle

    layout, clicks = dataset.layout, dataset.click_events()
    final = clicks.where((clicks.users[clicks.user].astype(str) == user) & (clicks.task == task) & clicks.on_poster)
    if not len(final):
        return
    left, right, top, bottom = layout.box(int(final.row[-1]), int(final.column[-1]))
    shift = (int(final.column[-1]) - 1) // layout.visible * layout.width
    width, height = right - left, bottom - top
    axes.add_patch(
        Rectangle((left + shift, top), width, height, fill=False, edgecolor="C2", linewidth=2.2, label="selected")
    )
    axes.legend(loc="lower right")
