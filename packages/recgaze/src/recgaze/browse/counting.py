"""From screens and visits to the counts of each user."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.browse.cursor import count_cursor
from recgaze.browse.estimates import Estimate
from recgaze.browse.examine import count_impressions, count_looks
from recgaze.browse.patterns import count_l
from recgaze.browse.screens import Joined, Screens
from recgaze.browse.tally import Resampled, Tally, ratio
from recgaze.browse.transitions import count_arrows, count_transitions
from recgaze.impressions import Impressions
from recgaze.layout import Aoi
from recgaze.visits import Visits

__all__ = ["Block", "last_look", "tally"]

FloatArray = NDArray[np.float64]


class Block(NamedTuple):
    """Some of the screens of a study, such as those of a few users, and what is known of them.

    Attributes:
        impressions: The screens.
        fixations: Of gaze.
        cursor: Dwells of the cursor.
        clicks: On posters and arrows.
    """

    impressions: Impressions
    fixations: Visits | None = None
    cursor: Visits | None = None
    clicks: Visits | None = None


def tally(
    impressions: Impressions,
    fixations: Visits | None = None,
    cursor: Visits | None = None,
    clicks: Visits | None = None,
) -> Tally:
    """Count what the measures need, each user apart.

    Visits of screens that are not among the impressions are left out. Impressions give examination, dwell, clicks,
    pages and the L-pattern; fixations all that has to do with time and order; cursor with fixations their agreement;
    clicks the swipes on arrows, the pages that these lead to, and the end of each screen. Without clicks a page counts
    as having come into view if it or a later one did, which is one too many where a swipe backward wraps round.

    Args:
        impressions: The screens.
        fixations: Of gaze.
        cursor: Dwells of the cursor; needs fixations.
        clicks: On posters and arrows.

    Returns:
        One row for each user that saw a screen. Blocks of a study go together with `Tally.merge`.

    Raises:
        ArgumentError: No screens, a screen that a user saw twice, a visit beyond the grid, a cursor without fixations.
    """
    if not len(impressions):
        raise ArgumentError("no screens; expected at least one")
    if cursor is not None and fixations is None:
        raise ArgumentError("a cursor without fixations; expected both, as the cursor is compared with the gaze")
    screens = Screens.of(impressions)
    pressed = None if clicks is None else screens.join(clicks)
    arrays = count_impressions(screens, pressed) | count_l(screens)
    if fixations is not None:
        looks = screens.join(fixations)
        arrays |= count_looks(looks) | count_transitions(looks) | _count_last(looks)
        if cursor is not None:
            arrays |= count_cursor(looks, screens.join(cursor), pressed)
    if pressed is not None:
        arrays |= count_arrows(pressed)
    return Tally(screens.users, *screens.grid, impressions.visible, arrays)


def last_look(study: Resampled) -> Estimate:
    """Is the click on the last poster that gaze newly came to? Share of the clicks, share by chance, difference, [3].

    Chance: one over the posters looked at. Users that stop at the first poster they like have a share of 1; see
    `examination_hypothesis`.

    Raises:
        ArgumentError: No screen has one click, on a fixated poster.
    """
    counts = [ratio(study.total(name), study.some("last_screens")) for name in ("last_clicks", "last_chance")]
    draws = np.stack([*counts, counts[0] - counts[1]], axis=1)
    return study.estimate(
        draws, (("clicks", ("on the last new poster", "by chance", "difference")),), of="last_screens"
    )


def _count_last(looks: Joined) -> dict[str, FloatArray]:
    """Sums of each user over screens with one click on a fixated poster: `last_screens, last_clicks, last_chance`."""
    screens = looks.screens
    cells = screens.grid[0] * screens.grid[1]
    posters = looks.of_kind(Aoi.MOVIE)
    pair, first = np.unique(posters.screen * cells + posters.cell, return_index=True)
    # Visits run by screen and time: the largest first visit of a screen is that of the last new poster.
    newest = np.full(len(screens.impressions), -1)
    np.maximum.at(newest, pair // cells, first)
    several = np.bincount(pair // cells, minlength=len(newest))
    clicked = screens.impressions.clicked.reshape(len(newest), -1)
    chosen = np.flatnonzero((clicked.sum(axis=1) == 1) & (several > 0))
    target = clicked[chosen].argmax(axis=1)
    looked = np.isin(chosen * cells + target, pair)
    chosen, target = chosen[looked], target[looked]
    place = np.zeros(len(chosen), dtype=np.int64)
    return {
        "last_screens": screens.count(chosen, place, 1)[:, 0],
        "last_clicks": screens.count(chosen, place, 1, (posters.cell[newest[chosen]] == target).astype(np.float64))[
            :, 0
        ],
        "last_chance": screens.count(chosen, place, 1, 1 / several[chosen])[:, 0],
    }
