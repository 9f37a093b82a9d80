"""The cursor beside the gaze: are they on the same area, which comes first, and what does each say of the click?"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.browse.estimates import Axis, Estimate
from recgaze.browse.screens import Joined
from recgaze.browse.tally import Resampled, ratio
from recgaze.layout import Aoi

__all__ = [
    "HORIZON",
    "STEP",
    "click_lift",
    "count_cursor",
    "cursor_agreement",
    "cursor_approach",
    "cursor_distance",
    "cursor_lag",
]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Level = Literal["area", "row"]

# Seconds between two looks at where gaze and cursor are, how far before the end they are told apart by time, how much
# before the end is looked at in all, and the lags that are tried.
STEP = 0.25
HORIZON = 10.0
_REACH = 120.0
_LAGS = 12

_NEAR, _EARLY = 1.0, 5.0

# Times are compared in whole microseconds, and those one apart are taken for one: a clock that counts from 1970 leaves
# doubles no finer than 0.24 microseconds.
_TICKS = 1_000_000
_SLACK = 1


def cursor_agreement(study: Resampled, of: Level = "area") -> Estimate:
    """P(cursor and gaze on the same area), by time before the end of the screen, [times].

    Of the moments at which both are on an area. The end is the final click, or the end of the last fixation of a screen
    without one.

    Args:
        study: Counts of fixations and cursor.
        of: "area", or "row" for the same carousel.

    Raises:
        ArgumentError: An unknown `of`; gaze and cursor without durations, or never on an area at the same time.
    """
    if of not in ("area", "row"):
        raise ArgumentError(f'of={of!r}; expected "area" or "row"')
    draws = ratio(study.total("agree" if of == "area" else "agree_row"), _timed(study, "both"))
    return study.estimate(draws, (_times(),), of="both")


def cursor_distance(study: Resampled) -> Estimate:
    """Posters between cursor and gaze, as the crow flies over the grid, by time before the end, [times].

    Of the moments at which both are on a poster.

    Raises:
        ArgumentError: As `cursor_agreement`.
    """
    return study.estimate(ratio(study.total("apart"), _timed(study, "both_posters")), (_times(),), of="both_posters")


def cursor_approach(study: Resampled) -> Estimate:
    """Agreement early (5 seconds before the end, and more), near (the last second), and near - early, [3].

    Raises:
        ArgumentError: As `cursor_agreement`.
    """
    times = np.array(_times()[1])
    agree, both = study.total("agree"), _timed(study, "both")
    early, near = times >= _EARLY, times <= _NEAR
    draws = np.stack([ratio(agree[:, part].sum(axis=1), both[:, part].sum(axis=1)) for part in (early, near)], axis=1)
    draws = np.column_stack([draws, draws[:, 1] - draws[:, 0]])
    return study.estimate(draws, (("when", ("early", "near", "near - early")),), of="both")


def cursor_lag(study: Resampled) -> tuple[Estimate, Estimate]:
    """How far the cursor trails the gaze.

    Returns:
        P(cursor at t + lag on the area of the gaze at t), by lag in seconds [lags]; the lag at which it is largest, a
        number: positive where gaze comes first.

    Raises:
        ArgumentError: As `cursor_agreement`.
    """
    lags = STEP * np.arange(-_LAGS, _LAGS + 1)
    draws = ratio(study.total("lag_agree"), _timed(study, "lag_both"))
    # Draws without any moment at some lag say nothing of the best one.
    best = np.where(np.isnan(draws).any(axis=1), np.nan, lags[np.nan_to_num(draws).argmax(axis=1)])
    return (
        study.estimate(draws, (("lag", tuple(lags.tolist())),), of="lag_both"),
        study.estimate(best, of="lag_both"),
    )


def click_lift(study: Resampled, of: Literal["cursor", "gaze"] = "cursor") -> Estimate:
    """What being on a poster says of the click to come, by time before it, [times].

    P(click on the poster | on it) / P(click on a poster that was fixated on the screen). At time 0 the cursor is where
    the click is.

    Args:
        study: Counts of fixations, cursor and clicks.
        of: Whose place.

    Raises:
        ArgumentError: An unknown `of`; what it is has no durations, or is never on a poster before a click.
    """
    if of not in ("cursor", "gaze"):
        raise ArgumentError(f'of={of!r}; expected "cursor" or "gaze"')
    study.some("pointed" if of == "cursor" else "kinds")
    hits = ratio(study.total(f"{of}_click"), study.some(f"{of}_poster"))
    base = ratio(study.total("click_screens"), study.total("click_choices"))
    return study.estimate(ratio(hits, base), (_times(),), of=f"{of}_poster")


def _timed(study: Resampled, name: str) -> FloatArray:
    """A count of moments. Without durations nothing is on at any moment but the one at which it begins."""
    study.total(name)
    study.some("kinds")
    study.some("pointed")
    return study.some(name)


def _times() -> Axis:
    return "before", tuple((STEP * np.arange(round(HORIZON / STEP) + 1)).tolist())


# -- counting ---------------------------------------------------------------------------------------------------------


def count_cursor(fixations: Joined, cursor: Joined, clicks: Joined | None) -> dict[str, FloatArray]:
    """Sums of each user over moments `STEP` apart, counted from the end of each screen.

    `agree, agree_row, both, apart, both_posters, cursor_click, cursor_poster, gaze_click, gaze_poster, click_screens,
    click_choices` by time before the end; `lag_agree, lag_both` by lag; `pointed`, the seconds of the cursor's dwells.
    """
    screens = fixations.screens
    nowhere = np.zeros(len(cursor), dtype=np.int64)
    pointed = {"pointed": screens.count(cursor.screen, nowhere, 1, cursor.duration)[:, 0]}
    if not (len(fixations) and len(cursor)):
        return pointed | _no_moments(len(screens.users))
    end, target = _ends(fixations, clicks)
    known = np.isfinite(end)
    steps = np.floor((np.minimum(np.where(known, end, 0), _REACH) + _SLACK / _TICKS) / STEP)
    moments = np.where(known, steps + 1, 0).astype(np.int64)
    screen = np.repeat(np.arange(len(end)), moments)
    before = np.arange(len(screen)) - np.repeat(np.cumsum(moments) - moments, moments)
    time = end[screen] - STEP * before
    gaze, pointer = _at(fixations, screen, time), _at(cursor, screen, time)
    counts = _count_times(fixations, cursor, screen, before, gaze, pointer, target)
    return pointed | counts | _count_lags(fixations, cursor, screen, gaze, pointer)


def _no_moments(users: int) -> dict[str, FloatArray]:
    names = ("agree", "both", "both_posters", "agree_row", "apart", "cursor_poster", "cursor_click", "gaze_poster")
    by_time = (*names, "gaze_click", "click_screens", "click_choices")
    counts = dict.fromkeys(by_time, np.zeros((users, len(_times()[1]))))
    return counts | dict.fromkeys(("lag_agree", "lag_both"), np.zeros((users, 2 * _LAGS + 1)))


def _count_times(
    fixations: Joined,
    cursor: Joined,
    screen: LongArray,
    before: LongArray,
    gaze: LongArray,
    pointer: LongArray,
    target: LongArray,
) -> dict[str, FloatArray]:
    screens = fixations.screens
    size = len(_times()[1])
    near = before < size
    screen, before, gaze, pointer = screen[near], before[near], gaze[near], pointer[near]
    area, pointed = _area(fixations, gaze), _area(cursor, pointer)
    both = (area >= 0) & (pointed >= 0)
    posters = both & (fixations.kind[gaze] == Aoi.MOVIE) & (cursor.kind[pointer] == Aoi.MOVIE)

    def count(which: BoolArray, weights: FloatArray | None = None) -> FloatArray:
        return screens.count(screen[which], before[which], size, None if weights is None else weights[which])

    counts = {"agree": count(both & (area == pointed)), "both": count(both), "both_posters": count(posters)}
    down = fixations.row[gaze].astype(np.float64) - cursor.row[pointer]
    visible = screens.impressions.visible
    across = (fixations.column[gaze] - 1) % visible - (cursor.column[pointer].astype(np.float64) - 1) % visible
    counts |= {"agree_row": count(both & (down == 0)), "apart": count(posters, np.hypot(down, across))}
    looked = (screens.impressions.examined | screens.impressions.clicked).reshape(len(screens.impressions), -1)
    wanted = target[screen]
    for name, place in (("cursor", pointed), ("gaze", area)):
        known = (wanted >= 0) & (place >= 0) & (place < looked.shape[1])
        known[known] = looked[screen[known], place[known]]
        counts[f"{name}_poster"] = count(known)
        counts[f"{name}_click"] = count(known & (place == wanted))
    choices = looked.sum(axis=1).astype(np.float64)[screen]
    counts |= {"click_screens": count(wanted >= 0), "click_choices": count(wanted >= 0, choices)}
    return counts


def _count_lags(
    fixations: Joined, cursor: Joined, screen: LongArray, gaze: LongArray, pointer: LongArray
) -> dict[str, FloatArray]:
    """Moments run backwards in each screen: the cursor `lag` later stands that many places before."""
    screens = fixations.screens
    area, pointed = _area(fixations, gaze), _area(cursor, pointer)
    agree: list[FloatArray] = []
    both: list[FloatArray] = []
    for lag in range(-_LAGS, _LAGS + 1):
        pairs = max(len(area) - abs(lag), 0)
        late, soon = (slice(start, start + pairs) for start in (max(lag, 0), max(-lag, 0)))
        paired = (screen[late] == screen[soon]) & (area[late] >= 0) & (pointed[soon] >= 0)
        same = paired & (area[late] == pointed[soon])
        at = screen[late]
        for counts, which in ((agree, same), (both, paired)):
            counts.append(screens.count(at[which], np.zeros(int(which.sum()), dtype=np.int64), 1))
    return {"lag_agree": np.hstack(agree), "lag_both": np.hstack(both)}


def _ends(fixations: Joined, clicks: Joined | None) -> tuple[FloatArray, LongArray]:
    """When each screen ended, seconds, -inf where nothing is known; and the cell that was clicked then, -1: none."""
    n = len(fixations.screens.impressions)
    end, target = np.full(n, -np.inf), np.full(n, -1)
    np.maximum.at(end, fixations.screen, fixations.time + fixations.duration)
    if clicks is not None:
        final = clicks.of_kind(Aoi.MOVIE)
        # By screen and time, so that the last of a screen is what remains.
        end[final.screen], target[final.screen] = final.time, final.cell
    return end, target


def _at(visits: Joined, screen: LongArray, time: FloatArray) -> LongArray:
    """The visit that is on at each moment; -1: none. Of visits that overlap, the one that began last.

    What ends at the moment still counts: the last fixation of a screen often ends it.
    """
    start, end, now = _ticks(visits.time), _ticks(visits.time + visits.duration), _ticks(time)
    span = int(max(end.max(), now.max(initial=0))) + 2 * _SLACK + 1
    at = np.searchsorted(visits.screen * span + start, screen * span + now + _SLACK, side="right") - 1
    at = np.where((at >= 0) & (visits.screen[at] == screen), at, -1)
    around = _around(visits.screen, end)
    # What began last may have ended while a longer visit that began before it goes on.
    left = np.flatnonzero(at >= 0)
    while len(left):
        left = left[end[at[left]] + _SLACK < now[left]]
        at[left] = around[at[left]]
        left = left[at[left] >= 0]
    return at


def _around(screen: LongArray, end: LongArray) -> LongArray:
    """For each visit, the last one before it on the screen that ends later; -1: none."""
    found = np.arange(len(end)) - 1
    found[np.diff(screen, prepend=-1) != 0] = -1
    left = np.flatnonzero(found >= 0)
    while len(left):
        # All between a visit and what was found end no later than the visit: the next step may pass over them.
        left = left[end[found[left]] <= end[left]]
        found[left] = found[found[left]]
        left = left[found[left] >= 0]
    return found


def _ticks(seconds: FloatArray) -> LongArray:
    return np.rint(seconds * _TICKS).astype(np.int64)


def _area(visits: Joined, at: LongArray) -> LongArray:
    return np.where(at >= 0, visits.area[at], -1)
