"""Layouts from and to tables of boxes in the form of the published `aoi_data.csv`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError, DataError

if TYPE_CHECKING:
    import pandas as pd

    from recgaze.layout import CarouselLayout

__all__ = ["layout_frame", "read_layout"]

FloatArray = NDArray[np.float64]

EDGES = ["AOI_min_x", "AOI_max_x", "AOI_min_y", "AOI_max_y"]
_FURNITURE = {"Genre_text": "headings", "Backward_swipe": "backward", "Forward_swipe": "forward"}
_TYPES = {"Movie", "Windows_bar", "Browser_bar", *_FURNITURE}
# Pixels that differ by less are one: sums of fractions differ in their last digits.
DIGITS, TINY = 6, 1e-5
MOST = 10_000
# The feedback tables call the same areas by shorter names.
_ALIASES = {"Genre": "Genre_text", "Backward": "Backward_swipe", "Forward": "Forward_swipe"}


def layout_frame(layout: "CarouselLayout", genres: Sequence[str] | None = None) -> "pd.DataFrame":
    """See `CarouselLayout.boxes`."""
    import pandas as pd

    if genres is not None and len(genres) != layout.rows:
        raise ArgumentError(f"genres has {len(genres)} names; expected one for each of {layout.rows} carousels")
    rows: list[tuple[Any, ...]] = []
    for page in range(layout.pages):
        shift = page * layout.width
        for kind, name in _FURNITURE.items():
            for number, box in enumerate(getattr(layout, name)):
                if np.isfinite(box[0]):
                    rows.append((kind, number, None, page + 1, box[0] + shift, box[1] + shift, box[2], box[3]))
        for number in range(layout.rows):
            for place in range(layout.visible):
                edges = (layout.left[place] + shift, layout.right[place] + shift)
                position = page * layout.visible + place + 1
                rows.append(("Movie", number, position, page + 1, *edges, layout.top[number], layout.bottom[number]))
    frame = pd.DataFrame(rows, columns=["AOI_type", "Row_num", "Row_position", "Page", *EDGES])
    texts = [""] * layout.rows if genres is None else list(genres)
    frame.insert(2, "Row_genre", [texts[number] for number in frame["Row_num"]])
    frame["Row_num"] += 1
    frame["Row_position"] = frame["Row_position"].astype("Int64")
    names = ["Browser_bar"] + ["Windows_bar"] * (len(layout.bars) - 1)
    spans = zip(names, layout.bars, strict=True) if layout.bars else ()
    bars = [(name, None, None, None, None, 0.0, layout.width * layout.pages, *bar) for name, bar in spans]
    if not bars:
        return frame
    return pd.concat([frame, pd.DataFrame(bars, columns=frame.columns).astype({"Row_position": "Int64"})]).reset_index(
        drop=True
    )


def read_layout(file: Path) -> "CarouselLayout":
    """See `CarouselLayout.from_csv`."""
    from irworks.data.columns import Place, check_present, numbers
    from irworks.data.tables import read_csv

    frame = read_csv(file, ())
    check_present(["AOI_type", "Row_num", "Row_position", "Page", *EDGES], list(frame.columns), file.name)
    place = Place(file.name, csv=file)
    kinds = frame["AOI_type"].replace(_ALIASES)
    strange = ~kinds.isin(_TYPES)
    if strange.any():
        row = int(np.flatnonzero(strange)[0])
        raise place.error("unknown area", row, "AOI_type", frame["AOI_type"].iloc[row], ", ".join(sorted(_TYPES)))
    edges = np.stack([numbers(frame, name, place, "pixels") for name in EDGES], axis=1)
    backwards = (edges[:, 0] >= edges[:, 1]) | (edges[:, 2] >= edges[:, 3])
    if backwards.any():
        row = int(np.flatnonzero(backwards)[0])
        raise place.error("a box has no area", row, None, edges[row].tolist(), "min_x < max_x and min_y < max_y")
    return _Boxes(frame, kinds.to_numpy(dtype=str), edges, place).layout()


class _Boxes:
    """The boxes of a file, to be found on one grid."""

    def __init__(self, frame: "pd.DataFrame", kinds: NDArray[np.str_], edges: FloatArray, place: object) -> None:
        from irworks.data.columns import Place, numbers

        assert isinstance(place, Place)
        self.place, self.kinds, self.edges = place, kinds, edges
        inside = np.isin(kinds, ["Movie", *_FURNITURE])
        self.row = np.full(len(kinds), -1)
        self.page = np.zeros(len(kinds), dtype=np.int64)
        self.position = np.full(len(kinds), -1)
        movies = kinds == "Movie"
        for name, target, where in (
            ("Row_num", self.row, inside),
            ("Page", self.page, inside),
            ("Row_position", self.position, movies),
        ):
            rows = Place(place.source, csv=place.csv, rows=np.flatnonzero(where).astype(np.int64))
            found = numbers(frame[where], name, rows, "a whole number from 1")
            bad = np.flatnonzero(~((found >= 1) & (found == np.floor(found)) & (found < MOST)))
            if len(bad):
                raise rows.error("not a number of a place", int(bad[0]), name, found[bad[0]], "a whole number from 1")
            target[where] = found - 1
        self.inside = inside

    def layout(self) -> "CarouselLayout":
        """The grid, if they form one."""
        from recgaze.layout import CarouselLayout

        movies = np.flatnonzero(self.kinds == "Movie")
        if not len(movies):
            raise DataError("no poster", source=self.place.source, column="AOI_type", expected="rows of type Movie")
        pages, rows = int(self.page[movies].max()) + 1, int(self.row[movies].max()) + 1
        first = movies[(self.page[movies] == 0)]
        if not len(first):
            raise DataError(
                "no poster on the first page", source=self.place.source, column="Page", expected="pages from 1"
            )
        width = self._page_width(movies, pages)
        left = np.unique(self.edges[first, 0].round(DIGITS))
        top = np.array([self._only(first[self.row[first] == row], 2) for row in range(rows)])
        right = left + self._one_size(movies, 0)
        bottom = top + self._one_size(movies, 2)
        self._require_on_grid(movies, left, top, width)
        self._require_each_once(movies, rows, len(left), pages)
        bars = self.edges[np.isin(self.kinds, ["Windows_bar", "Browser_bar"])][:, 2:]
        furniture = {name: self._furniture(kind, rows) for kind, name in _FURNITURE.items()}
        return CarouselLayout(
            left,
            right,
            top,
            bottom,
            pages=pages,
            width=width,
            height=float(self.edges[self.inside, 3].max()),
            bars=tuple((float(start), float(end)) for start, end in bars[np.argsort(bars[:, 0])]),
            **furniture,
        )

    def _require_each_once(self, movies: NDArray[np.intp], rows: int, visible: int, pages: int) -> None:
        # Numbered through over swipe pages, from the left.
        place = self.position[movies] - self.page[movies] * visible
        wrong = np.flatnonzero((place < 0) | (place >= visible))
        if len(wrong):
            row, page = int(movies[wrong[0]]), int(self.page[movies[wrong[0]]])
            expected = f"{page * visible + 1} to {(page + 1) * visible} on page {page + 1}"
            raise self.place.error(
                "a position on another page", row, "Row_position", int(self.position[row]) + 1, expected
            )
        cell = (self.row[movies] * pages + self.page[movies]) * visible + place
        seen, times = np.unique(cell, return_counts=True)
        if (times > 1).any():
            row = int(movies[np.flatnonzero(cell == seen[np.argmax(times > 1)])[1]])
            raise self.place.error(
                "two posters in one place", row, "Row_position", int(self.position[row]) + 1, "one each"
            )
        if len(seen) != rows * visible * pages:
            raise DataError(
                "posters are missing",
                source=self.place.source,
                found=f"{len(movies)} posters",
                expected=f"{rows} x {visible} on each of {pages} pages",
            )

    def _page_width(self, movies: NDArray[np.intp], pages: int) -> float:
        if pages == 1:
            return float(self.edges[self.inside, 1].max() + self.edges[movies, 0].min())
        starts = [self.edges[movies[self.page[movies] == page], 0].min() for page in range(pages)]
        steps = np.diff(starts)
        if not np.allclose(steps, steps[0]):
            raise DataError(
                "swipe pages are not side by side in equal steps", source=self.place.source, found=steps.tolist()
            )
        return float(steps[0])

    def _only(self, boxes: NDArray[np.intp], edge: int) -> float:
        if not len(boxes):
            raise DataError("a carousel has no poster on its first page", source=self.place.source)
        return float(self.edges[boxes[0], edge])

    def _one_size(self, movies: NDArray[np.intp], edge: int) -> float:
        sizes = self.edges[movies, edge + 1] - self.edges[movies, edge]
        other = np.flatnonzero(~np.isclose(sizes, sizes[0]))
        if len(other):
            raise self.place.error(
                "a poster of another size",
                int(movies[other[0]]),
                EDGES[edge + 1],
                float(sizes[other[0]]),
                f"{sizes[0]:g} pixels",
            )
        return float(sizes[0])

    def _require_on_grid(self, movies: NDArray[np.intp], left: FloatArray, top: FloatArray, width: float) -> None:
        across = (self.edges[movies, 0] - self.page[movies] * width).round(DIGITS)
        column = np.minimum(np.searchsorted(left, across - TINY), len(left) - 1)
        off = (np.abs(across - left[column]) > TINY) | (np.abs(self.edges[movies, 2] - top[self.row[movies]]) > TINY)
        if off.any():
            row = int(movies[np.flatnonzero(off)[0]])
            raise self.place.error(
                "a poster off the grid", row, None, self.edges[row].tolist(), "the columns and rows of the first page"
            )

    def _furniture(self, kind: str, rows: int) -> FloatArray:
        boxes = np.full((rows, 4), np.nan)
        chosen = np.flatnonzero((self.kinds == kind) & (self.page == 0))
        if len(chosen) and self.row[chosen].max() >= rows:
            row = int(chosen[np.argmax(self.row[chosen])])
            raise self.place.error(
                f"{kind} of a carousel without posters", row, "Row_num", int(self.row[row]) + 1, f"1 to {rows}"
            )
        boxes[self.row[chosen]] = self.edges[chosen]
        return boxes
