"""Where films should stand: the best ones where users look, first and after swipes, and what that earns."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from irworks.stats import Interval
from recgaze.browse.counting import tally
from recgaze.browse.tally import Tally
from recgaze.impressions import Impressions
from recgaze.recommend.measures import finite

__all__ = ["FALL", "Attraction", "PageOrder", "Pages", "Source", "SwipeModel", "page_order", "rerank"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
Pages = Literal["first", "swiped"]
Attraction = Literal["estimated", "falling"]
Source = Literal["gaze", "clicks"]

# With attraction that falls, each film of a page is so much less attractive than the one before it.
FALL = 0.1
_FEWEST = 10


@dataclass(frozen=True, eq=False)
class SwipeModel:
    """What comes into view by swiping, and where users then look.

    Attributes:
        reach: float [R, P], chance that a page of a carousel comes into view; 1 for the first.
        places: float [V], chance of a look at each place of a swiped page that came into view.

    Raises:
        ArgumentError: Chances beyond 0 and 1, or another shape.
    """

    reach: FloatArray
    places: FloatArray

    def __post_init__(self) -> None:
        for name, ndim in (("reach", 2), ("places", 1)):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if values.ndim != ndim or not ((values >= 0) & (values <= 1)).all():
                raise ArgumentError(f"{name} has shape {values.shape}; expected {ndim} dimensions of chances, 0 to 1")
            object.__setattr__(self, name, values)

    @classmethod
    def fit(cls, counts: Tally, prior: float = 20.0) -> "SwipeModel":
        """From counts of screens.

        Swiped pages are seen seldom, so that places are pooled over carousels and pages, and the reach of a carousel is
        drawn to that of all.

        Args:
            counts: Of `recgaze.browse.tally`, with the clicks on arrows where they are known: see there for which pages
                count as having come into view.
            prior: Weight of all carousels in the reach of one, in screens.

        Raises:
            ArgumentError: Carousels of one page, or no swiped page that came into view.
        """
        reached, screens = counts["reached"].sum(axis=0), counts["screens"].sum()
        if counts.pages < 2 or not reached[:, 1:].sum():
            raise ArgumentError(f"no swiped page came into view in {counts!r}; expected some")
        looks, shown = (_on_pages(counts, name, "swiped").sum(axis=0) for name in ("looked", "reached"))
        places = looks / shown
        pooled = reached.mean(axis=0) / screens
        return cls((reached + prior * pooled) / (screens + prior), places)

    def examination(self, examination: ArrayLike) -> FloatArray:
        """The chance of a look at each place, float64 [R, C]: as given on the first page, as swiped on the others.

        Args:
            examination: float [R, C] or [R, V]; the first V columns are used.

        Raises:
            ArgumentError: Another shape.
        """
        given = np.asarray(examination, dtype=np.float64)
        rows, visible = len(self.reach), len(self.places)
        if given.ndim != 2 or len(given) != rows or given.shape[1] < visible:
            raise ArgumentError(f"examination has shape {given.shape}; expected [{rows}, at least {visible}]")
        swiped = self.reach[:, 1:, None] * self.places
        return np.hstack([given[:, :visible], swiped.reshape(rows, -1)])


def rerank(scores: ArrayLike, examination: ArrayLike, swipe_model: SwipeModel | None = None) -> LongArray:
    """Place the films of each carousel so that expected clicks are largest.

    With P(click) = P(look at the place) * score, the largest sum has the best film where looks are most likely, the
    second best at the second most likely place, and so on (rearrangement inequality); after a swipe that need not be
    from left to right.

    Args:
        scores: float [..., R, C], chance of a click given a look, or anything that grows with it.
        examination: float [R, C], chance of a look at each place; [R, V] will do with a swipe model.
        swipe_model: What replaces examination on swiped pages.

    Returns:
        int64 [..., R, C], the number (from 0) of the film to put at each place. Of equal places, the left one first.

    Raises:
        ArgumentError: Shapes that do not fit, or numbers that are not finite.
    """
    values = finite(scores, "scores")
    looks = finite(examination, "examination") if swipe_model is None else swipe_model.examination(examination)
    if values.ndim < 2 or values.shape[-2:] != looks.shape:
        raise ArgumentError(f"scores has shape {values.shape} and examination {looks.shape}; expected [..., R, C] both")
    best = np.argsort(-values, axis=-1, kind="stable")
    places = np.broadcast_to(_by_looks(looks), values.shape)
    order = np.empty(values.shape, dtype=np.int64)
    np.put_along_axis(order, places, best, axis=-1)
    return order


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
    screens: Impressions | Tally,
    *,
    rng: np.random.Generator,
    pages: Pages = "swiped",
    by: Source = "gaze",
    attraction: Attraction = "estimated",
    n: int = 2000,
    level: float = 0.95,
) -> PageOrder:
    """Put the best films of a page where users look most, and see what that earns from users who were not asked.

    Films are placed by `rerank`, with places as in `SwipeModel`: the best film goes to the place that is looked at most
    once the page is in view, and so on. With `theta_v` the examination of place v and `a_k` the attraction of the k-th
    best film, expected clicks of a page in view are the sum of `theta_v a_k` over places. That supposes that a film
    attracts alike wherever it is looked at, and that users would go on looking where they do. A random half of the
    users gives the order, and the other half its value: valued by those who gave it, an order that fits noise would
    seem to gain. The interval draws the other half again.

    Args:
        screens: With gaze; or their counts by `recgaze.browse.tally`, which with the clicks on arrows know exactly
            which pages came into view.
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
    counted = screens if isinstance(screens, Tally) else tally(screens)
    counts = {name: _on_pages(counted, name, pages) for name in ("reached", "looked", "clicked")}
    users = len(counted.users)
    if users < _FEWEST:
        raise ArgumentError(f"{users} users; expected at least {_FEWEST}, as orders are valued by other users")
    if not (counts["looked"].any() and counts["clicked"].any()):
        raise ArgumentError(f"nobody looked at or clicked anything on {pages} pages; expected some looks and clicks")
    deciding = np.zeros(users, dtype=bool)
    deciding[rng.permutation(users)[: users // 2]] = True
    looks, liked = _looks(counts, deciding, by), _rates(counts, deciding[None], attraction)[1]
    films = rerank(liked, looks)[0]
    weights = np.zeros((n + 1, users))
    others = int((~deciding).sum())
    weights[:, ~deciding] = np.concatenate(
        [np.ones((1, others)), rng.multinomial(others, np.full(others, 1 / others), size=n)]
    )
    theta, worth = _rates(counts, weights, attraction)
    shown, moved = (1000 * (theta * placed).sum(axis=1) for placed in (worth, worth[:, films]))
    gain = _interval(moved - shown, level)
    order = _by_looks(looks)[0]
    return PageOrder(
        tuple((order + 1).tolist()),
        _interval(shown, level),
        _interval(moved, level),
        gain,
        bool((_by_looks(_looks(counts, ~deciding, by))[0] == order).all()),
        "better" if gain.low > 0 else "worse" if gain.high < 0 else "not told apart",
    )


def _check(pages: str, by: str, attraction: str) -> None:
    for name, value, allowed in (
        ("pages", pages, ("first", "swiped")),
        ("by", by, ("gaze", "clicks")),
        ("attraction", attraction, ("estimated", "falling")),
    ):
        if value not in allowed:
            raise ArgumentError(f"{name}={value!r}; expected {' or '.join(map(repr, allowed))}")


def _by_looks(looks: FloatArray) -> LongArray:
    """Places from 0, the most looked at first; equal ones from the left."""
    return np.argsort(-looks, axis=-1, kind="stable")


def _on_pages(counts: Tally, name: str, pages: Pages) -> FloatArray:
    """Sums of each user over carousels and pages, [n_users, V] by place of the page; [n_users, 1] of whole pages."""
    part = slice(0, 1) if pages == "first" else slice(1, None)
    by_page = counts[name].reshape(len(counts.users), counts.rows, counts.pages, -1)
    return np.asarray(by_page[:, :, part].sum(axis=(1, 2)))


def _rates(
    counts: dict[str, FloatArray], weights: NDArray[np.generic], attraction: Attraction
) -> tuple[FloatArray, FloatArray]:
    """Examination of each place and attraction of each film, [n_draws, V], of weighted users [n_draws, n_users]."""
    weight = weights.astype(np.float64)
    reached, looks, clicks = (weight @ counts[name] for name in ("reached", "looked", "clicked"))
    theta = looks / np.maximum(reached, 1)
    if attraction == "estimated":
        return theta, clicks / np.maximum(looks, 1)
    mean = clicks.sum(axis=1) / np.maximum(looks.sum(axis=1), 1)
    fall = (1 - FALL) ** np.arange(looks.shape[1])
    return theta, mean[:, None] * fall / fall.mean()


def _looks(counts: dict[str, FloatArray], users: NDArray[np.bool_], by: Source) -> FloatArray:
    """How much some users look at each place, [1, V]: by gaze, or as if clicks were looks."""
    return (users.astype(np.float64) @ counts["looked" if by == "gaze" else "clicked"])[None]


def _interval(draws: FloatArray, level: float) -> Interval:
    low, high = np.quantile(draws[1:], [0.5 - level / 2, 0.5 + level / 2])
    return Interval(float(draws[0]), float(low), float(high), level)
