"""What was looked at, for how long, what first, how soon, how far down, and what again."""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.browse.estimates import Estimate, positions
from recgaze.browse.pages import pages_in_view
from recgaze.browse.patterns import mass_of
from recgaze.browse.screens import Joined, Screens
from recgaze.browse.tally import Resampled, ratio
from recgaze.impressions import Impressions
from recgaze.layout import Aoi

__all__ = [
    "By",
    "count_impressions",
    "count_looks",
    "dwell_share",
    "examination",
    "first_fixation",
    "returns",
    "row_coverage",
    "time_by_kind",
    "time_to_first_fixation",
]

FloatArray = NDArray[np.float64]
By = Literal["cell", "row", "column"]

_KINDS = ("Movie", "Genre", "Forward", "Backward", "Background")


def examination(study: Resampled, by: By = "cell", *, given_page: bool = False) -> Estimate:
    """Share of the screens on which a poster was fixated, P(r, c).

    Args:
        study: Counts of impressions.
        by: "cell" for the map; "row" and "column" for the mean over the cells of each.
        given_page: Of those screens only on which the poster's swipe page came into view. Marginals are then fixated
            posters by posters that came into view. Which pages did is exact where clicks on arrows were counted; else
            all up to the furthest one, see `recgaze.browse.tally`.

    Returns:
        Estimate [R, C], [R] or [C]; NaN where no page came into view.

    Raises:
        ArgumentError: An unknown `by`.
    """
    if by not in get_args(By):
        raise ArgumentError(f'by={by!r}; expected "cell", "row" or "column"')
    looked = study.total("examined")
    if given_page:
        shown = np.repeat(study.total("reached"), study.tally.visible, axis=2)
    else:
        shown = np.broadcast_to(study.total("screens")[:, None, None], looked.shape)
    row, column = study.grid()
    if by == "cell":
        return study.estimate(ratio(looked, shown), (row, column), of="screens")
    axis = 2 if by == "row" else 1
    draws = ratio(looked.sum(axis=axis), shown.sum(axis=axis))
    return study.estimate(draws, (row,) if by == "row" else (column,), of="screens")


def dwell_share(study: Resampled) -> Estimate:
    """Share of the time of fixations on posters that went to each, [R, C]; sums to 1.

    Raises:
        ArgumentError: No look has a duration.
    """
    dwell = mass_of(study, "dwell", "all")
    return study.estimate(ratio(dwell, dwell.sum(axis=(1, 2), keepdims=True)), study.grid(), of="dwell")


def time_by_kind(study: Resampled) -> Estimate:
    """Share of the time of fixations by kind of area, [5]: posters, headings, arrows, background.

    Raises:
        ArgumentError: No fixation has a duration.
    """
    time = study.some("kinds")
    return study.estimate(ratio(time, time.sum(axis=1, keepdims=True)), (("kind", _KINDS),), of="kinds")


def first_fixation(study: Resampled) -> Estimate:
    """Where the first fixation on a poster fell: share of the screens that have one, [R, C]; sums to 1."""
    first = mass_of(study, "first", "all")
    return study.estimate(ratio(first, first.sum(axis=(1, 2), keepdims=True)), study.grid(), of="first")


def time_to_first_fixation(study: Resampled) -> Estimate:
    """Seconds until a poster was first fixated, on the screens on which it was, [R, C]."""
    return study.estimate(ratio(study.total("waited"), study.some("seen")), study.grid(), of="seen")


def row_coverage(study: Resampled, kind: Literal["seen", "reached"] = "seen") -> Estimate:
    """How far down users look: share of the screens by carousel, [R].

    Args:
        study: Counts of impressions.
        kind: "seen": a poster of the carousel was fixated. "reached": one of it or of a lower one was.

    Raises:
        ArgumentError: An unknown kind.
    """
    if kind not in ("seen", "reached"):
        raise ArgumentError(f'kind={kind!r}; expected "seen" or "reached"')
    rows = study.total("rows_seen")
    if kind == "reached":
        rows = np.cumsum(study.total("deepest")[:, ::-1], axis=1)[:, ::-1]
    draws = ratio(rows, study.total("screens")[:, None])
    return study.estimate(draws, (positions("row", study.tally.rows),), of="screens")


def returns(study: Resampled, by: Literal["cell", "all"] = "cell") -> Estimate:
    """Share of the fixated posters to which gaze came back after it had been on another area, [R, C] or a number.

    Raises:
        ArgumentError: An unknown `by`.
    """
    if by not in ("cell", "all"):
        raise ArgumentError(f'by={by!r}; expected "cell" or "all"')
    again, seen = study.total("revisited"), study.some("seen")
    if by == "all":
        return study.estimate(ratio(again.sum(axis=(1, 2)), seen.sum(axis=(1, 2))), of="seen")
    return study.estimate(ratio(again, seen), study.grid(), of="seen")


# -- counting ---------------------------------------------------------------------------------------------------------


def count_impressions(screens: Screens, clicks: Joined | None = None) -> dict[str, FloatArray]:
    """Sums of each user over screens: `screens, examined, dwell, clicked, looked, reached, rows_seen, deepest`."""
    block: Impressions = screens.impressions
    rows = screens.grid[0]
    row_seen = block.examined.any(axis=2)
    deepest = np.where(row_seen, np.arange(1, rows + 1), 0).max(axis=1, initial=0)
    return {
        "screens": np.bincount(screens.user, minlength=len(screens.users)).astype(np.float64),
        "examined": screens.sum(block.examined),
        "dwell": screens.sum(block.dwell),
        "clicked": screens.sum(block.clicked),
        "looked": screens.sum(block.examined | block.clicked),
        "reached": screens.sum(pages_in_view(block, clicks)),
        "rows_seen": screens.sum(row_seen),
        "deepest": screens.count(np.arange(len(block)), deepest, rows + 1)[:, 1:],
    }


def count_looks(fixations: Joined) -> dict[str, FloatArray]:
    """Sums of each user over fixations: `first, seen, waited, revisited, kinds`."""
    screens = fixations.screens
    rows, columns = screens.grid
    cells = rows * columns
    posters = fixations.of_kind(Aoi.MOVIE)
    start = posters.starts
    pair, at = np.unique(posters.screen * cells + posters.cell, return_index=True)
    entered = _entries(fixations)
    again, times = np.unique(entered.screen * cells + entered.cell, return_counts=True)
    twice = again[times > 1]
    counts = {
        "first": screens.count(posters.screen[start], posters.cell[start], cells),
        "seen": screens.count(pair // cells, pair % cells, cells),
        "waited": screens.count(pair // cells, pair % cells, cells, posters.time[at]),
        "revisited": screens.count(twice // cells, twice % cells, cells),
    }
    maps = {name: values.reshape(-1, rows, columns) for name, values in counts.items()}
    order = np.array([4, 0, 1, 2, 3])
    return maps | {"kinds": screens.count(fixations.screen, order[fixations.kind], 5, fixations.duration)}


def _entries(fixations: Joined) -> Joined:
    """The fixations with which gaze came to a poster from another area; passing over the background does not count."""
    areas = fixations.where(fixations.area >= 0)
    came = np.ones(len(areas), dtype=bool)
    came[1:] = ~areas.follows | (areas.area[1:] != areas.area[:-1])
    return areas.where(came).of_kind(Aoi.MOVIE)
