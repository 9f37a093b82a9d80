"""Visits to go with planted screens: a walk over the posters looked at, a cursor that trails it, and clicks."""

import numpy as np

from recgaze import Aoi, Impressions, Visits


def walk(screens: Impressions, rng: np.random.Generator, *, lag: float = 0.5) -> tuple[Visits, Visits, Visits]:
    """Fixations in rough reading order that end on the clicked poster, dwells of a cursor `lag` seconds later, more
    often so towards the end, and clicks: on the arrow of each swiped page, then on the poster."""
    n, visible = len(screens), screens.visible
    screen, row, column = np.nonzero(screens.examined)
    final, final_row, final_column = np.nonzero(screens.clicked)
    heading = np.flatnonzero(rng.random(len(screen)) < 0.1)
    again = np.flatnonzero(rng.random(len(screen)) < 0.2)
    order = row * 100.0 + column + rng.normal(0, 1, len(screen))
    screen = np.concatenate([screen, screen[heading], screen[again], final])
    key = np.concatenate(
        [order, order[heading] - 0.01, order[again] + rng.uniform(1, 200, len(again)), final * 0 + 1e6]
    )
    row = np.concatenate([row, row[heading], row[again], final_row])
    column = np.concatenate([column + 1, column[heading] * 0, column[again] + 1, final_column + 1])
    sort = np.lexsort((key, screen))
    screen, row, column = screen[sort], row[sort], column[sort]
    duration = rng.gamma(4, 0.06, len(screen))
    ends = np.cumsum(duration + 0.03)
    first = np.searchsorted(screen, screen)
    time = ends - duration - np.concatenate(([0.0], ends))[first]
    kind = np.where(column > 0, Aoi.MOVIE, Aoi.GENRE)

    def visits(which, when, lasting, kinds, rows, columns):
        return Visits(screens.users, screens.user[which], screens.task[which], when, lasting, kinds, rows, columns)

    fixations = visits(screen, time, duration, kind, row + 1, column)
    end = np.zeros(n)
    np.maximum.at(end, screen, time + duration)
    followed = rng.random(len(screen)) < np.where(time > end[screen] - 2, 0.9, 0.3)
    # To click, the cursor comes along at once.
    last = np.append(np.diff(screen) != 0, True)
    arrival = time[np.flatnonzero(last)][np.searchsorted(np.flatnonzero(last), np.arange(len(time)))]
    start = np.where(last, time, time + lag)
    followed = last | (followed & (start < arrival))
    kept = np.flatnonzero(followed)
    until = np.where(np.diff(screen[kept], append=-1) == 0, np.append(start[kept][1:], 0), end[screen[kept]])
    cursor = visits(
        screen[kept], start[kept], np.maximum(until - start[kept], 0), kind[kept], row[kept] + 1, column[kept]
    )
    swiped, carousel = np.nonzero(screens.pages > 1)
    clicks = visits(
        np.concatenate([swiped, final]),
        np.concatenate([end[swiped] * 0.5, end[final]]),
        np.zeros(len(swiped) + len(final)),
        np.concatenate([np.full(len(swiped), Aoi.FORWARD), np.full(len(final), Aoi.MOVIE)]),
        np.concatenate([carousel, final_row]) + 1,
        np.concatenate([swiped * 0, final_column + 1]),
    )
    assert visible == screens.visible
    return fixations, cursor, clicks
