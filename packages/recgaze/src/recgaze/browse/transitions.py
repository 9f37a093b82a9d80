"""Where gaze goes next: kinds of moves between areas, swipes, and what is looked at after one."""

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.browse.estimates import Estimate, positions
from recgaze.browse.screens import Joined, Screens
from recgaze.browse.tally import Resampled, Tally, ratio
from recgaze.impressions import Impressions
from recgaze.layout import Aoi
from recgaze.visits import Visits

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MOVES",
    "aoi_transitions",
    "column_transitions",
    "count_arrows",
    "count_transitions",
    "move_kinds",
    "row_transitions",
    "swipe_entry",
    "swipes",
    "transitions",
]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]

MOVES = (
    "stay",
    "right",
    "left",
    "up",
    "down",
    "diagonal",
    "same row far",
    "swipe forward",
    "swipe backward",
    "genre text",
    "other",
)
_STAY, _RIGHT, _LEFT, _UP, _DOWN, _DIAGONAL, _FAR, _FORWARD, _BACKWARD, _GENRE, _OTHER = range(len(MOVES))
_DIRECTIONS = ("forward", "backward")


def transitions(study: Resampled, *, without_stay: bool = False) -> Estimate:
    """Shares of the kinds of moves between consecutive fixations on posters and headings, [11]; sum to 1.

    right, left, up, down, diagonal: to a neighbour as seen on the screen. same row far: over posters of the same page.
    swipe: to another page of the same carousel; of three pages, the first is forward of the last, as swiping wraps
    round. genre text: to or from a heading. stay: the same area again. other: the rest.

    Args:
        study: Counts of fixations.
        without_stay: Leave out what stays on its area.

    Raises:
        ArgumentError: No screen has two fixations on posters or headings.
    """
    first = 1 if without_stay else 0
    moves = study.some("moves")[:, first:]
    return study.estimate(ratio(moves, moves.sum(axis=1, keepdims=True)), (("move", MOVES[first:]),), of="moves")


def row_transitions(study: Resampled) -> Estimate:
    """Where gaze goes from a carousel, [R, R]: share of the moves from row to row, each row of it sums to 1."""
    moves, axis = study.some("row_moves"), tuple(range(1, study.tally.rows + 1))
    draws = ratio(moves, moves.sum(axis=2, keepdims=True))
    return study.estimate(draws, (("from_row", axis), ("to_row", axis)), of="moves")


def column_transitions(study: Resampled) -> Estimate:
    """Where gaze goes from a position, [C + 1, C + 1], as `row_transitions`; 0 is the heading."""
    moves, axis = study.some("column_moves"), tuple(range(study.tally.columns + 1))
    draws = ratio(moves, moves.sum(axis=2, keepdims=True))
    return study.estimate(draws, (("from_column", axis), ("to_column", axis)), of="moves")


def swipes(study: Resampled, source: Literal["gaze", "clicks"] | None = None) -> Estimate:
    """Swipes forward and backward a screen, and the share of screens with any, [3].

    Args:
        study: Counts of fixations or clicks.
        source: "clicks" on the arrows; "gaze": fixations of one carousel on another page than before, which misses
            pages that were not looked at. Default: clicks, where they were counted.

    Raises:
        ArgumentError: An unknown source, or no fixations on posters to see swipes in.
    """
    if source not in ("gaze", "clicks", None):
        raise ArgumentError(f'source={source!r}; expected "gaze" or "clicks"')
    clicks = source == "clicks" or (source is None and "swipes" in study)
    number, any_ = ("swipes", "swiped") if clicks else ("gaze_swipes", "gaze_swiped")
    if not clicks:
        study.some("seen")
    draws = np.column_stack([study.total(number), study.total(any_)]) / study.total("screens")[:, None]
    names = ("forward a screen", "backward a screen", "screens with a swipe")
    return study.estimate(draws, (("swipe", names),), of="screens")


def swipe_entry(study: Resampled) -> Estimate:
    """On which place of the page gaze lands after a swipe, [2, V]: forward and backward, each sums to 1."""
    landed = study.some("entered")
    draws = ratio(landed, landed.sum(axis=2, keepdims=True))
    return study.estimate(draws, (("swipe", _DIRECTIONS), positions("place", study.tally.visible)), of="entered")


def aoi_transitions(
    impressions: Impressions, fixations: Visits, *, rng: np.random.Generator, top: int = 200, n: int = 2000
) -> "pd.DataFrame":
    """The full matrix of moves between posters and headings, in its largest entries.

    It is no part of the tally: of (R C + R)^2 pairs, nearly all are empty.

    Args:
        impressions: The screens.
        fixations: Their fixations.
        rng: Source of the draws.
        top: Number of pairs, the most frequent first; moves that stay are left out.
        n: Number of draws.

    Returns:
        `from_row, from_column, to_row, to_column, count, value, low, high, n_users`, column 0 the heading, value the
        share of all moves but those that stay.

    Raises:
        ArgumentError: As `recgaze.browse.tally`.
    """
    from scipy.sparse import coo_array

    screens = Screens.of(impressions)
    areas = screens.join(fixations).of_kind(Aoi.MOVIE, Aoi.GENRE)
    moved = np.flatnonzero(areas.follows & (areas.area[1:] != areas.area[:-1]))
    places = (areas.row.astype(np.int64) - 1) * (screens.grid[1] + 1) + areas.column
    size = screens.grid[0] * (screens.grid[1] + 1)
    pairs, number, counts = np.unique(places[moved] * size + places[moved + 1], return_inverse=True, return_counts=True)
    chosen = np.argsort(-counts, kind="stable")[:top]
    user = screens.user[areas.screen[moved]]
    shape = (len(screens.users), len(pairs))
    by_user = coo_array((np.ones(len(user)), (user, number)), shape=shape).tocsr()[:, chosen].toarray()
    all_moves = np.bincount(user, minlength=len(screens.users)).astype(np.float64)
    study = Tally(screens.users, *screens.grid, impressions.visible, {"moves": all_moves}).resample(rng, n)
    draws = ratio(study.weigh(by_user), study.total("moves")[:, None])
    frame = study.estimate(draws, (("pair", tuple(pairs[chosen].tolist())),), of="moves").frame()
    source, target = np.divmod(frame.pop("pair").to_numpy(), size)
    for place, (name, pair) in enumerate((("from", source), ("to", target))):
        row, column = np.divmod(pair.astype(np.int64), screens.grid[1] + 1)
        frame.insert(2 * place, f"{name}_row", row + 1)
        frame.insert(2 * place + 1, f"{name}_column", column)
    frame.insert(4, "count", counts[chosen])
    return frame


# -- counting ---------------------------------------------------------------------------------------------------------


def count_transitions(fixations: Joined) -> dict[str, FloatArray]:
    """Sums of each user over moves: `moves, row_moves, column_moves, gaze_swipes, gaze_swiped, entered`."""
    screens = fixations.screens
    rows, columns = screens.grid
    areas = fixations.of_kind(Aoi.MOVIE, Aoi.GENRE)
    kept = np.flatnonzero(areas.follows)
    kinds = move_kinds(areas)[kept]
    screen = areas.screen[kept]
    row, column = areas.row.astype(np.int64) - 1, areas.column.astype(np.int64)
    moved = kinds != _STAY
    at, to = kept[moved], kept[moved] + 1
    row_moves = screens.count(screen[moved], row[at] * rows + row[to], rows**2)
    column_moves = screens.count(screen[moved], column[at] * (columns + 1) + column[to], (columns + 1) ** 2)
    return {
        "moves": screens.count(screen, kinds, len(MOVES)),
        "row_moves": row_moves.reshape(-1, rows, rows),
        "column_moves": column_moves.reshape(-1, columns + 1, columns + 1),
    } | _count_swipes(fixations.of_kind(Aoi.MOVIE))


def move_kinds(areas: Joined) -> LongArray:
    """The kind of each move, int64 [m - 1], a place in `MOVES`; meaningless between screens.

    Args:
        areas: Visits of posters and headings only.
    """
    row, place, page = areas.row.astype(np.int64), areas.place, areas.page
    down, across, turn = np.diff(row), np.diff(place), np.diff(page)
    heading = areas.kind == Aoi.GENRE
    same_row, adjacent = down == 0, np.abs(down) == 1
    forward = _is_forward(turn, areas.screens.grid[1] // areas.screens.impressions.visible)
    cases = [
        (areas.area[1:] == areas.area[:-1], _STAY),
        (heading[1:] | heading[:-1], _GENRE),
        (same_row & (turn != 0) & forward, _FORWARD),
        (same_row & (turn != 0), _BACKWARD),
        (same_row & (across == 1), _RIGHT),
        (same_row & (across == -1), _LEFT),
        (same_row, _FAR),
        ((down == 1) & (across == 0), _DOWN),
        ((down == -1) & (across == 0), _UP),
        (adjacent & (np.abs(across) == 1), _DIAGONAL),
    ]
    return np.select([case for case, _ in cases], [kind for _, kind in cases], _OTHER).astype(np.int64)


def count_arrows(clicks: Joined) -> dict[str, FloatArray]:
    """Sums of each user over clicks on arrows: `swipes` [n_users, 2], `swiped` [n_users]."""
    arrows = clicks.of_kind(Aoi.FORWARD, Aoi.BACKWARD)
    direction = (arrows.kind == Aoi.BACKWARD).astype(np.int64)
    return {
        "swipes": arrows.screens.count(arrows.screen, direction, 2),
        "swiped": _screens_with(arrows.screens, arrows.screen),
    }


def _count_swipes(posters: Joined) -> dict[str, FloatArray]:
    """Swipes as gaze shows them: fixations of one carousel on another page than the last one of that carousel."""
    screens = posters.screens
    visible = screens.impressions.visible
    carousel = posters.screen * screens.grid[0] + posters.row - 1
    order = np.argsort(carousel, kind="stable")
    carousel, page, place = carousel[order], posters.page[order], posters.place[order]
    # Every carousel shows its first page before anything is swiped.
    before = np.where(np.diff(carousel, prepend=-1) != 0, 0, np.concatenate(([0], page[:-1]))) if len(page) else page
    turn = page - before
    swiped = np.flatnonzero(turn)
    direction = (~_is_forward(turn[swiped], screens.grid[1] // visible)).astype(np.int64)
    screen = carousel[swiped] // screens.grid[0]
    entered = screens.count(screen, direction * visible + place[swiped], 2 * visible)
    return {
        "gaze_swipes": screens.count(screen, direction, 2),
        "gaze_swiped": _screens_with(screens, screen),
        "entered": entered.reshape(-1, 2, visible),
    }


def _is_forward(turn: LongArray, pages: int) -> NDArray[np.bool_]:
    """Whether the shorter way to another page is forward; of two equally short ones, the one that does not wrap."""
    ahead = turn % pages
    return np.asarray((2 * ahead < pages) | ((2 * ahead == pages) & (turn > 0)))


def _screens_with(screens: Screens, screen: LongArray) -> FloatArray:
    return screens.count(np.unique(screen), np.zeros(len(np.unique(screen)), dtype=np.int64), 1)[:, 0]
