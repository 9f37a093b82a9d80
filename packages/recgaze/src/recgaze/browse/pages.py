"""Which swipe pages of a carousel came into view."""

import numpy as np
from numpy.typing import NDArray

from recgaze.browse.screens import Joined
from recgaze.impressions import Impressions
from recgaze.layout import Aoi

__all__ = ["pages_in_view"]

BoolArray = NDArray[np.bool_]


def pages_in_view(impressions: Impressions, clicks: Joined | None = None) -> BoolArray:
    """The pages of each carousel that came into view, bool [n, R, P]; the first always did.

    With clicks on the arrows they are the pages that the swipes lead to: swiping wraps round, so that the last page
    follows backward on the first. Where the arrows do not account for a page that was looked at, clicked or counted in
    `Impressions.pages`, as where swipes were not recorded, and where there are no clicks at all, all pages up to the
    furthest one count.

    Args:
        impressions: The screens.
        clicks: Those on the same screens.
    """
    n, rows, columns = impressions.examined.shape
    touched = (impressions.examined | impressions.clicked).reshape(n, rows, -1, impressions.visible).any(axis=3)
    number = np.arange(columns // impressions.visible)
    furthest = np.maximum(impressions.pages - 1, np.where(touched, number, 0).max(axis=2, initial=0))
    up_to = np.asarray(number <= furthest[:, :, None])
    if clicks is None:
        return up_to
    swiped = _swiped(clicks, len(number))
    wanted = touched | (number == furthest[:, :, None])
    accounted = ~(wanted & ~swiped).any(axis=2, keepdims=True)
    return np.where(accounted, swiped, up_to)


def _swiped(clicks: Joined, pages: int) -> BoolArray:
    """The first page, and those that the clicks on arrows lead to, [n, R, pages]."""
    rows = clicks.screens.grid[0]
    found = np.zeros((len(clicks.screens.impressions), rows, pages), dtype=bool)
    found[:, :, 0] = True
    arrows = clicks.of_kind(Aoi.FORWARD, Aoi.BACKWARD)
    carousel = arrows.screen * rows + arrows.row - 1
    order = np.argsort(carousel, kind="stable")
    carousel = carousel[order]
    step = np.where(arrows.kind[order] == Aoi.FORWARD, 1, -1)
    total = np.cumsum(step)
    start = np.searchsorted(carousel, carousel)
    # Steps of each carousel alone: what all had added up to before it is taken off.
    page = (total - total[start] + step[start]) % pages
    found.reshape(-1, pages)[carousel, page] = True
    return found
