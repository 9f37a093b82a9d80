"""Does the eye data change what a team would do? Where on a page the best films should stand."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from irworks.stats import Interval
from recgaze.impressions import Impressions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FALL", "PageOrder", "multiverse", "page_order"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
Pages = Literal["first", "swiped"]
Attraction = Literal["estimated", "falling"]
Source = Literal["gaze", "clicks"]

# With attraction that falls, each film of a page is so much less attractive than the one before it.
FALL = 0.1
_FEWEST = 10


@dataclass(frozen=True, eq=False)
class PageOrder:
    """An order of the films of a page, and what it would earn.

    Attributes:
        order: Places of the page, from 1: where its best film goes, its second best, and so on.
        as_shown: Expected clicks on 1,000 pages in view with films from left to right.
        reordered: The same with the films in the order that other users suggest.
        gain: reordered - as_shown.
        confirmed: Whether the users that give its value would order places alike.
        verdict: "better", "worse" or "not told apart" from left to right, by the interval of the gain.
    """

    order: tuple[int, ...]
    as_shown: Interval
    reordered: Interval
    gain: Interval
    confirmed: bool
    verdict: str

    def __str__(self) -> str:
        return f"{' '.join(map(str, self.order))}: {self.gain:+.2f} clicks on 1,000 pages, {self.verdict}"


def page_order(
    impressions: Impressions,
    *,
    rng: np.random.Generator,
    pages: Pages = "swiped",
    by: Source = "gaze",
    attraction: Attraction = "estimated",
    n: int = 2000,
    level: float = 0.95,
) -> PageOrder:
    """Put the best films of a page where users look most, and see what that earns from users who were not asked.

    The best film goes to the place that is looked at most once the page is in view, and so on. With `theta_v` the
    examination of place v and `a_k` the attraction of the k-th best film, expected clicks of a page in view are the sum
    of `theta_v a_k` over places. That supposes that a film attracts alike wherever it is looked at, and that users
    would go on looking where they do. A random half of the users gives the order, and the other half its value: valued
    by those who gave it, an order that fits noise would seem to gain. The interval draws the other half again.

    Args:
        impressions: The screens, with gaze.
        rng: Source of the halves and of the draws.
        pages: "first" pages of carousels, or the "swiped" ones, once in view.
        by: Where users look by "gaze", or by "clicks" alone, as if every film were as attractive as any other.
        attraction: "estimated": clicks by look at the k-th film of the page, as it stood there. "falling": the same
            mean, each film 10% less attractive than the one before: what the order is worth if films are well ranked.
        n: Number of draws.
        level: Confidence.

    Raises:
        ArgumentError: An unknown option, fewer than ten users, or no looks or clicks on such pages.
    """
    _check(pages, by, attraction)
    counts = _count(impressions, pages)
    users = len(counts["reached"])
    if users < _FEWEST:
        raise ArgumentError(f"{users} users; expected at least {_FEWEST}, as orders are valued by other users")
    if not (counts["looks"].any() and counts["clicks"].any()):
        raise ArgumentError(f"nobody looked at or clicked anything on {pages} pages; expected some looks and clicks")
    deciding = np.zeros(users, dtype=bool)
    deciding[rng.permutation(users)[: users // 2]] = True
    places = _order(counts, deciding, by, attraction)
    ranked = np.argsort(-_rates(counts, deciding[None], attraction)[1][0], kind="stable")
    weights = np.zeros((n + 1, users))
    others = int((~deciding).sum())
    weights[:, ~deciding] = np.concatenate(
        [np.ones((1, others)), rng.multinomial(others, np.full(others, 1 / others), size=n)]
    )
    theta, worth = _rates(counts, weights, attraction)
    shown, moved = 1000 * (theta * worth).sum(axis=1), 1000 * (theta[:, places] * worth[:, ranked]).sum(axis=1)
    gain = _interval(moved - shown, level)
    return PageOrder(
        tuple((places + 1).tolist()),
        _interval(shown, level),
        _interval(moved, level),
        gain,
        bool((_order(counts, ~deciding, by, attraction) == places).all()),
        "better" if gain.low > 0 else "worse" if gain.high < 0 else "not told apart",
    )


def multiverse(
    by_rule: Mapping[str, Impressions], *, rng: np.random.Generator, n: int = 2000, level: float = 0.95
) -> "pd.DataFrame":
    """The same decision under each of the choices that an analyst could have made.

    Args:
        by_rule: Name of the AOI rule, such as "strict" and "closest", to the screens by it.
        rng: Source of halves and draws.
        n: Number of draws.
        level: Confidence.

    Returns:
        `pages, attraction, looks by` ("gaze, strict", "clicks"), `order, as shown, gain, low, high, verdict`, a row a
        choice; what cannot be computed says why in `verdict`.
    """
    import pandas as pd

    sources = [*((f"gaze, {rule}", "gaze", screens) for rule, screens in by_rule.items())]
    # Value is by gaze in either case: the last rule is that of the study.
    sources.append(("clicks", "clicks", list(by_rule.values())[-1]))
    rows = []
    pages: Pages
    attraction: Attraction
    for pages in ("swiped", "first"):
        for attraction in ("estimated", "falling"):
            for name, by, screens in sources:
                row = {"pages": pages, "attraction": attraction, "looks by": name}
                rows.append(row | _row(screens, pages, attraction, by, rng, n, level))
    return pd.DataFrame(rows)


def _row(
    screens: Impressions,
    pages: Pages,
    attraction: Attraction,
    by: str,
    rng: np.random.Generator,
    n: int,
    level: float,
) -> dict[str, object]:
    source: Source = "gaze" if by == "gaze" else "clicks"
    try:
        found = page_order(screens, rng=rng, pages=pages, by=source, attraction=attraction, n=n, level=level)
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


def _check(pages: str, by: str, attraction: str) -> None:
    for name, value, allowed in (
        ("pages", pages, ("first", "swiped")),
        ("by", by, ("gaze", "clicks")),
        ("attraction", attraction, ("estimated", "falling")),
    ):
        if value not in allowed:
            raise ArgumentError(f"{name}={value!r}; expected {' or '.join(map(repr, allowed))}")


def _count(impressions: Impressions, pages: Pages) -> dict[str, FloatArray]:
    """Sums of each user over carousels and pages: "reached" [n_users], "looks" and "clicks" [n_users, visible]."""
    n, rows, columns = impressions.examined.shape
    visible = impressions.visible
    part = slice(0, 1) if pages == "first" else slice(1, None)
    looked = (impressions.examined | impressions.clicked).reshape(n, rows, columns // visible, visible)
    clicked = impressions.clicked.reshape(looked.shape)
    # A page with a look was in view, whatever else is known of swipes, and so were those before it.
    seen = looked.any(axis=3)
    last = np.where(seen, np.arange(1, seen.shape[2] + 1), 0).max(axis=2, initial=1)
    reached = np.maximum(impressions.pages, last)[:, :, None] > np.arange(seen.shape[2])
    users, user = np.unique(impressions.user, return_inverse=True)

    def by_user(values: NDArray[np.generic]) -> FloatArray:
        total = np.zeros((len(users), *values.shape[1:]))
        np.add.at(total, user, values)
        return total

    return {
        "reached": by_user(reached[:, :, part].sum(axis=(1, 2))),
        "looks": by_user(looked[:, :, part].sum(axis=(1, 2))),
        "clicks": by_user(clicked[:, :, part].sum(axis=(1, 2))),
    }


def _rates(
    counts: dict[str, FloatArray], weights: NDArray[np.generic], attraction: Attraction
) -> tuple[FloatArray, FloatArray]:
    """Examination of each place and attraction of each film, [n_draws, visible], of weighted users [n_draws, n]."""
    weight = weights.astype(np.float64)
    reached, looks, clicks = (weight @ counts[name] for name in ("reached", "looks", "clicks"))
    theta = looks / np.maximum(reached, 1)[:, None]
    if attraction == "estimated":
        return theta, clicks / np.maximum(looks, 1)
    mean = clicks.sum(axis=1) / np.maximum(looks.sum(axis=1), 1)
    fall = (1 - FALL) ** np.arange(looks.shape[1])
    return theta, mean[:, None] * fall / fall.mean()


def _order(counts: dict[str, FloatArray], users: NDArray[np.bool_], by: Source, attraction: Attraction) -> LongArray:
    """Places from 0, the most looked at first; equal ones from the left."""
    theta, _ = _rates(counts, users[None], attraction)
    clicks = (users.astype(np.float64) @ counts["clicks"])[None]
    return np.argsort(-(theta if by == "gaze" else clicks)[0], kind="stable")


def _interval(draws: FloatArray, level: float) -> Interval:
    low, high = np.quantile(draws[1:], [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(draws[0]), float(low), float(high), level)
