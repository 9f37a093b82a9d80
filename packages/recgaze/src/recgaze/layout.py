"""Where things stand on a carousel page: posters, headings and swipe arrows, and which of them a point is on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from irworks.simulate.plackett_luce import require_at_least_one
from recgaze import study

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Aoi", "CarouselLayout", "Located"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Rule = Literal["strict", "closest"]

# "Closest" gives a point beside every area to the nearest one within so many pixels (RecGaze, Section on AOIs).
CLOSEST_RADIUS = 60.0


class Aoi(IntEnum):
    """Kinds of areas of interest, under the names of the published data."""

    BACKGROUND = 0
    MOVIE = 1
    GENRE = 2
    FORWARD = 3
    BACKWARD = 4

    @property
    def label(self) -> str:
        """The name in the published files: `Movie`, `Genre`, `Forward`, `Backward`, `Background`."""
        return self.name.capitalize()


@dataclass(frozen=True, eq=False)
class Located:
    """What points are on.

    Attributes:
        kind: int8 [n], an `Aoi`.
        row: int16 [n], carousel from the top, from 1; 0 on the background.
        column: int16 [n], position in the carousel, from 1, swipe pages counted; 0 where it is no poster.
    """

    kind: NDArray[np.int8]
    row: NDArray[np.int16]
    column: NDArray[np.int16]

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True, eq=False)
class CarouselLayout:
    """A page of carousels, one below the other, each showing `visible` of its posters at a time.

    Boxes are closed: a point on an edge is inside. Pixels are those of the page as it is seen before any scrolling; a
    swipe brings other posters to the same places.

    Attributes:
        left: float [visible], left edge of the posters, ascending.
        right: float [visible].
        top: float [rows], top edge of the posters, ascending.
        bottom: float [rows].
        pages: Swipe pages of each carousel.
        width: Of the page.
        height: Of the page.
        headings: float [rows, 4], left, right, top and bottom of each heading; NaN: none.
        backward: float [rows, 4], likewise for the arrow to the left.
        forward: float [rows, 4], likewise for the arrow to the right.
        bars: Top and bottom of what covers the page on the screen and does not scroll, such as the browser's own bar:
            points there are on the background.

    Raises:
        ArgumentError: Edges out of order, posters that overlap, or arrays that do not fit each other.
    """

    left: FloatArray
    right: FloatArray
    top: FloatArray
    bottom: FloatArray
    pages: int
    width: float
    height: float
    headings: FloatArray
    backward: FloatArray
    forward: FloatArray
    bars: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        for name in ("left", "right", "top", "bottom", "headings", "backward", "forward"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        _require_intervals("left and right", self.left, self.right)
        _require_intervals("top and bottom", self.top, self.bottom)
        for name in ("headings", "backward", "forward"):
            boxes = getattr(self, name)
            if boxes.shape != (self.rows, 4):
                raise ArgumentError(
                    f"{name} has shape {boxes.shape}; expected [{self.rows}, 4]: left, right, top, bottom"
                )
            if (boxes[:, 0] > boxes[:, 1]).any() or (boxes[:, 2] > boxes[:, 3]).any():
                raise ArgumentError(f"{name} has a box whose right or bottom edge lies before its left or top edge")
        require_at_least_one("pages", self.pages)

    # -- making one ---------------------------------------------------------------------------------------------------

    @classmethod
    def recgaze(cls, task: int = 1) -> "CarouselLayout":
        """The page of the RecGaze study: 10 carousels of 15 posters, 5 of them visible, 1920 x 3526 pixels.

        Args:
            task: The screen, 1 to 40; headings are as wide as the genre that stands in them.

        Raises:
            ArgumentError: There is no such screen.
        """
        if task not in study.TASKS:
            raise ArgumentError(f"task={task!r}; expected a screen from 1 to 40")
        rows = np.arange(study.CAROUSELS)
        pitch = 339.5 * rows
        # The published boxes are whole pixels: posters round half up, headings down, arrows up.
        top, text, arrow = np.floor(176 + pitch + 0.5), np.floor(106 + pitch), np.ceil(262 + pitch)
        width = np.array([_HEADING_WIDTHS[genre] for genre in study.SCREENS[task - 1]])
        left = np.array([76.0, 427.0, 778.0, 1129.0, 1480.0])
        return cls(
            left,
            left + 342,
            top,
            top + 193,
            pages=3,
            width=1920,
            height=3526,
            headings=np.stack([np.full(10, 76.0), 76 + width, text, text + 43], axis=1),
            backward=np.stack([np.full(10, 51.0), np.full(10, 72.0), arrow, arrow + 21], axis=1),
            forward=np.stack([np.full(10, 1831.0), np.full(10, 1852.0), arrow, arrow + 21], axis=1),
            bars=((0, 87), (1032, 1080)),
        )

    @classmethod
    def grid(
        cls,
        rows: int,
        visible: int,
        *,
        pages: int = 1,
        poster: tuple[float, float] = (342, 193),
        gap: tuple[float, float] = (9, 146.5),
        origin: tuple[float, float] = (76, 176),
        heading: tuple[float, float] | None = None,
        width: float | None = None,
        height: float | None = None,
    ) -> "CarouselLayout":
        """A regular page.

        Args:
            rows: Number of carousels.
            visible: Posters of a carousel that are visible at a time.
            pages: Swipe pages of a carousel.
            poster: Width and height of a poster.
            gap: Pixels between posters, to the right and downwards.
            origin: Left and top edge of the first poster.
            heading: Width and height of the heading, whose lower edge is 27 pixels above the posters; None: no heading.
            width: Of the page. Default: as much to the right as to the left.
            height: Of the page. Default: a gap below the last row.

        Raises:
            ArgumentError: Not at least one of each, a size that is not positive, or posters that overlap.
        """
        for name, count in (("rows", rows), ("visible", visible), ("pages", pages)):
            require_at_least_one(name, count)
        left: FloatArray = origin[0] + np.arange(visible, dtype=np.float64) * (poster[0] + gap[0])
        top: FloatArray = origin[1] + np.arange(rows, dtype=np.float64) * (poster[1] + gap[1])
        nothing = np.full((rows, 4), np.nan)
        text = nothing
        if heading is not None:
            edge = top - 27
            text = np.stack(
                [np.full(rows, origin[0]), np.full(rows, origin[0] + heading[0]), edge - heading[1], edge], axis=1
            )
        return cls(
            left,
            left + poster[0],
            top,
            top + poster[1],
            pages=pages,
            width=float(left[-1] + poster[0] + origin[0] if width is None else width),
            height=float(top[-1] + poster[1] + gap[1] if height is None else height),
            headings=text,
            backward=nothing,
            forward=nothing,
        )

    @classmethod
    def from_csv(cls, path: str | Path) -> "CarouselLayout":
        """Read a layout from boxes in the published form of `aoi_data.csv`, of any grid.

        Raises:
            DataError: The file is missing or malformed, or its posters form no grid: with the row.
        """
        from recgaze.layout_files import read_layout

        return read_layout(Path(path))

    # -- what it is ---------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """Number of carousels."""
        return len(self.top)

    @property
    def visible(self) -> int:
        """Posters of a carousel that are visible at a time."""
        return len(self.left)

    @property
    def columns(self) -> int:
        """Posters of a carousel, over all its swipe pages."""
        return self.visible * self.pages

    def __repr__(self) -> str:
        return f"CarouselLayout({self.rows} carousels of {self.columns} posters, {self.visible} visible)"

    def box(self, row: int, column: int) -> tuple[float, float, float, float]:
        """Left, right, top and bottom of a poster while it is visible.

        Args:
            row: Carousel, from 1.
            column: Position, from 1, swipe pages counted.

        Raises:
            ArgumentError: There is no such poster.
        """
        if not (1 <= row <= self.rows and 1 <= column <= self.columns):
            raise ArgumentError(f"row={row}, column={column}; expected 1 to {self.rows} and 1 to {self.columns}")
        place = (column - 1) % self.visible
        return (
            float(self.left[place]),
            float(self.right[place]),
            float(self.top[row - 1]),
            float(self.bottom[row - 1]),
        )

    def boxes(self, genres: Sequence[str] | None = None) -> "pd.DataFrame":
        """All boxes in the published form: columns of `aoi_data.csv`, swipe pages side by side.

        Args:
            genres: Genre of each carousel. Default: empty.

        Returns:
            `AOI_type, Row_num, Row_genre, Row_position, Page, AOI_min_x, AOI_max_x, AOI_min_y, AOI_max_y`.
        """
        from recgaze.layout_files import layout_frame

        return layout_frame(self, genres)

    # -- what a point is on -------------------------------------------------------------------------------------------

    def unfold(self, x: ArrayLike) -> tuple[FloatArray, IntArray]:
        """Split x of the published stimulus, on which swipe pages lie side by side, into x on the page and swipe page.

        Returns:
            float64 [n]; int64 [n], from 1.
        """
        flat = np.asarray(x, dtype=np.float64)
        page = np.clip(np.floor(flat / self.width), 0, self.pages - 1)
        page = np.where(np.isfinite(page), page, 0)
        return flat - page * self.width, page.astype(np.int64) + 1

    def locate(
        self,
        x: ArrayLike,
        y: ArrayLike,
        page: ArrayLike = 1,
        scroll_y: ArrayLike | None = None,
        *,
        rule: Rule = "strict",
        radius: float = CLOSEST_RADIUS,
    ) -> Located:
        """Which area each point is on.

        Rows and columns are looked up apart, so that the time does not grow with the number of areas.

        Args:
            x: float [n], pixels from the left of the screen.
            y: float [n], pixels from the top of the page as it is seen before any scrolling; from the top of the screen
                if `scroll_y` is given.
            page: Swipe page, from 1: one for all, int [n] of the carousel that the point is on, or int [n, rows] of
                every carousel at that time.
            scroll_y: float, or float [n], pixels that the page was scrolled down when y was measured on the screen.
            rule: "strict": inside the box, else background. "closest": what is on the background goes to the nearest
                box within `radius`; of equally near ones, to the upper carousel, and in it to heading, left arrow,
                posters from the left, right arrow in this order. Points of the screen on a bar stay on the background.
            radius: Pixels.

        Returns:
            NaN and infinite coordinates are on the background.

        Raises:
            ArgumentError: Arrays of different lengths, a page that does not exist, an unknown rule.
        """
        from recgaze.locate import locate

        return locate(self, x, y, page, scroll_y, rule, radius)


# Width in pixels of the genre texts of the study.
_HEADING_WIDTHS: Mapping[str, float] = {
    "Action": 100,
    "Animation": 162,
    "Comedy": 124,
    "Crime": 92,
    "Drama": 105,
    "Fantasy": 121,
    "Horror": 104,
    "Romance": 143,
    "Sci-Fi": 79,
    "Thriller": 113,
}


def _require_intervals(name: str, start: FloatArray, end: FloatArray) -> None:
    if start.ndim != 1 or start.shape != end.shape or not len(start):
        raise ArgumentError(f"{name} have shapes {start.shape} and {end.shape}; expected two edges for each poster")
    if not (
        np.isfinite(start).all() and np.isfinite(end).all() and (start < end).all() and (end[:-1] <= start[1:]).all()
    ):
        raise ArgumentError(f"{name} are out of order; expected finite, ascending edges of posters that do not overlap")
