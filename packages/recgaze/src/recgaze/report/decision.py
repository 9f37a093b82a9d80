"""Does the eye data change what a team would do? The order of films on a page, under each choice of the analysis."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from irworks.errors import ArgumentError
from recgaze.browse.counting import tally
from recgaze.browse.tally import Tally
from recgaze.impressions import Impressions
from recgaze.recommend.placing import Attraction, Pages, Source, page_order
from recgaze.visits import Visits

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["multiverse"]


def multiverse(
    by_rule: Mapping[str, Impressions],
    clicks: Visits | None = None,
    *,
    rng: np.random.Generator,
    n: int = 2000,
    level: float = 0.95,
) -> "pd.DataFrame":
    """The same decision under each of the choices that an analyst could have made.

    All of them are made by the same half of the users, and valued by the same draws of the other: rows differ by the
    choice alone.

    Args:
        by_rule: Name of the AOI rule, such as "strict" and "closest", to the screens by it.
        clicks: On posters and arrows, which say which pages came into view; see `recgaze.browse.tally`.
        rng: Source of halves and draws.
        n: Number of draws.
        level: Confidence.

    Returns:
        `pages, attraction, looks by` ("gaze, strict", "clicks"), `order, as shown, gain, low, high, verdict`, a row a
        choice; what cannot be computed says why in `verdict`.
    """
    import pandas as pd

    counted = {rule: tally(screens, clicks=clicks) for rule, screens in by_rule.items()}
    sources: list[tuple[str, Source, Tally]] = [(f"gaze, {rule}", "gaze", counts) for rule, counts in counted.items()]
    # Value is by gaze in either case: the last rule is that of the study.
    sources.append(("clicks", "clicks", list(counted.values())[-1]))
    rows = []
    seed = int(rng.integers(2**63))
    pages: Pages
    attraction: Attraction
    for pages in ("swiped", "first"):
        for attraction in ("estimated", "falling"):
            for name, by, counts in sources:
                row = {"pages": pages, "attraction": attraction, "looks by": name}
                rows.append(row | _row(counts, pages, attraction, by, np.random.default_rng(seed), n, level))
    return pd.DataFrame(rows)


def _row(
    counts: Tally,
    pages: Pages,
    attraction: Attraction,
    by: Source,
    rng: np.random.Generator,
    n: int,
    level: float,
) -> dict[str, object]:
    try:
        found = page_order(counts, rng=rng, pages=pages, by=by, attraction=attraction, n=n, level=level)
    except ArgumentError as error:
        return {"verdict": str(error)}
    return {
        "order": " ".join(map(str, found.order)) + ("" if found.confirmed else " *"),
        "as shown": found.as_shown.estimate,
        "gain": found.gain.estimate,
        "low": found.gain.low,
        "high": found.gain.high,
        "verdict": found.verdict,
    }
