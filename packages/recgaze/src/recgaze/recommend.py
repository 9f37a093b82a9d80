"""From how people look to what to show: taste read from gaze, posters placed for swipes, and measures of a grid."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.browse.estimates import Estimate
from recgaze.browse.screens import Screens
from recgaze.browse.tally import Tally, ratio
from recgaze.impressions import Impressions

__all__ = [
    "ClickProfile",
    "GazeProfile",
    "GenreProfile",
    "Metric",
    "SwipeModel",
    "click_profile",
    "compare_profiles",
    "evaluate",
    "genre_auc",
    "rerank",
]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
Metric = Literal["ndcg2d", "expected_clicks", "expected_examination"]


class GenreProfile(ABC):
    """How much a user wants of each genre, beside what the places of its carousels and other users make one expect.

    With a the seconds (or clicks) of user u on genre g, e what they would be if u spread them over rows like everyone
    and genres did not matter, and m_g = sum_u a / sum_u e: profile = (a + prior m_g) / (e + prior). Ours, after the
    usual Gamma-Poisson shrinkage.

    Args:
        prior: Weight of what is usual for the genre, in seconds or clicks.

    Attributes:
        users_: [n_users], ids, sorted.
        genres_: Names.
        profile_: float64 [n_users, n_genres], 1 where a genre gets what its places make one expect.
        usual_: float64 [n_genres], m_g, that of users who were not seen in the fit.

    Raises:
        ArgumentError: `prior` is not positive.
    """

    users_: NDArray[Any]
    genres_: tuple[str, ...]
    profile_: FloatArray
    usual_: FloatArray

    def __init__(self, prior: float) -> None:
        if not prior > 0:
            raise ArgumentError(f"prior={prior!r}; expected a positive number")
        self.prior = prior

    @abstractmethod
    def _amounts(self, impressions: Impressions) -> FloatArray:
        """What each carousel got, float64 [n, R]."""

    def fit(self, impressions: Impressions) -> Self:
        """Read profiles from screens.

        Raises:
            ArgumentError: No screens, or none of the carousels got anything.
        """
        amounts = self._amounts(impressions)
        if not amounts.sum() > 0:
            raise ArgumentError(f"{type(self).__name__}: no carousel of {len(impressions)} screens got a look or click")
        screens = Screens.of(impressions)
        known = impressions.genre >= 0
        by_row = ratio((amounts * known).sum(axis=0), known.sum(axis=0).astype(np.float64))
        usual = np.where(known, np.nan_to_num(by_row), 0.0)
        got, fair = (_by_genre(screens, values * known) for values in (amounts, usual))
        level = np.nan_to_num(ratio(got.sum(axis=1), fair.sum(axis=1)))
        expected = fair * level[:, None]
        self.usual_ = np.nan_to_num(ratio(got.sum(axis=0), expected.sum(axis=0)), nan=1.0)
        self.users_, self.genres_ = screens.users, impressions.genres
        self.profile_ = (got + self.prior * self.usual_) / (expected + self.prior)
        return self

    def scores(self, impressions: Impressions) -> FloatArray:
        """How much the user of each screen wants of each carousel's genre, float64 [n, R].

        Users that were not seen in the fit get what is usual; carousels of unknown genre get 1.

        Raises:
            ArgumentError: Not fitted, or impressions with other genres.
        """
        if not hasattr(self, "profile_"):
            raise ArgumentError(f"{type(self).__name__} is not fitted; call fit first")
        if impressions.genres != self.genres_:
            raise ArgumentError(f"impressions have genres {impressions.genres}; expected {self.genres_}")
        table = np.vstack([self.profile_, self.usual_])
        code = np.searchsorted(self.users_, impressions.users)
        at = np.minimum(code, len(self.users_) - 1)
        row = np.where(self.users_[at] == impressions.users, at, len(self.users_))[impressions.user]
        return np.where(impressions.genre >= 0, table[row[:, None], impressions.genre], 1.0)


class GazeProfile(GenreProfile):
    """Taste by seconds of fixation; see `GenreProfile`."""

    def __init__(self, prior: float = 5.0) -> None:
        super().__init__(prior)

    def _amounts(self, impressions: Impressions) -> FloatArray:
        return np.asarray(impressions.dwell.sum(axis=2, dtype=np.float64))


class ClickProfile(GenreProfile):
    """Taste by clicks; see `GenreProfile`."""

    def __init__(self, prior: float = 1.0) -> None:
        super().__init__(prior)

    def _amounts(self, impressions: Impressions) -> FloatArray:
        return np.asarray(impressions.clicked.sum(axis=2, dtype=np.float64))


def click_profile(impressions: Impressions, prior: float = 1.0) -> ClickProfile:
    """A fitted `ClickProfile`: what a recommender without an eye tracker would know."""
    return ClickProfile(prior).fit(impressions)


def genre_auc(profile: GenreProfile, impressions: Impressions, *, rng: np.random.Generator, n: int = 2000) -> Estimate:
    """Chance that the clicked carousel's genre scores above another carousel of the screen, ties half; 0.5: knows none.

    Args:
        profile: Fitted on other screens.
        impressions: Screens held out; those without a click say nothing.
        rng: Source of the draws of users.
        n: Number of draws.

    Raises:
        ArgumentError: No screen with a click, or as `GenreProfile.scores`.
    """
    return _mean_by_user(impressions, *_auc(profile, impressions), rng, n)


def compare_profiles(
    first: GenreProfile, second: GenreProfile, impressions: Impressions, *, rng: np.random.Generator, n: int = 2000
) -> Estimate:
    """`genre_auc` of the first less that of the second, on the same screens and draws of users.

    Raises:
        ArgumentError: As `genre_auc`.
    """
    (ours, chosen), (theirs, _) = _auc(first, impressions), _auc(second, impressions)
    return _mean_by_user(impressions, ours - theirs, chosen, rng, n)


# -- placing ----------------------------------------------------------------------------------------------------------


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
            counts: Of `recgaze.browse.tally`.
            prior: Weight of all carousels in the reach of one, in screens.

        Raises:
            ArgumentError: Carousels of one page, or no swiped page that came into view.
        """
        reached, screens = counts["reached"].sum(axis=0), counts["screens"].sum()
        if counts.pages < 2 or not reached[:, 1:].sum():
            raise ArgumentError(f"no swiped page came into view in {counts!r}; expected some")
        looked = counts["examined"].sum(axis=0).reshape(counts.rows, counts.pages, counts.visible)
        places = looked[:, 1:].sum(axis=(0, 1)) / reached[:, 1:].sum()
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
    values = _finite(scores, "scores")
    looks = _finite(examination, "examination") if swipe_model is None else swipe_model.examination(examination)
    if values.ndim < 2 or values.shape[-2:] != looks.shape:
        raise ArgumentError(f"scores has shape {values.shape} and examination {looks.shape}; expected [..., R, C] both")
    best = np.argsort(-values, axis=-1, kind="stable")
    places = np.broadcast_to(np.argsort(-looks, axis=-1, kind="stable"), values.shape)
    order = np.empty(values.shape, dtype=np.int64)
    np.put_along_axis(order, places, best, axis=-1)
    return order


def evaluate(grid_relevance: ArrayLike, examination: ArrayLike | None = None, metric: Metric = "ndcg2d") -> FloatArray:
    """Measure a grid of films as shown.

    - "ndcg2d": sum of relevance times discount, over that of the best arrangement of the same films on the grid. The
      discount is the examination, or 1 / log2(row + column) where there is none (Felicioni et al., "Measuring the
      Ranking Quality of Recommendations in a Two-Dimensional Carousel Setting", 2021, with both weights 1).
    - "expected_clicks": sum of examination times relevance, the latter a chance of a click given a look.
    - "expected_examination": mean examination of the films, weighted by relevance.

    Args:
        grid_relevance: float [..., R, C], of the film at each place, at least 0.
        examination: float [R, C], chance of a look at each place.
        metric: Which measure.

    Returns:
        float64 [...]; NaN where nothing is relevant, but for expected clicks.

    Raises:
        ArgumentError: An unknown metric, one that needs an examination without it, shapes that do not fit, relevance
            that is negative or not finite.
    """
    relevance = _finite(grid_relevance, "grid_relevance")
    if metric not in get_args(Metric):
        raise ArgumentError(f"metric={metric!r}; expected one of {', '.join(get_args(Metric))}")
    if relevance.ndim < 2 or (relevance < 0).any():
        raise ArgumentError(f"grid_relevance has shape {relevance.shape}; expected [..., R, C] of at least 0")
    if examination is None and metric != "ndcg2d":
        raise ArgumentError(f"metric={metric!r} needs an examination [R, C]")
    rows, columns = relevance.shape[-2:]
    weight = 1 / np.log2(np.add.outer(np.arange(1, rows + 1), np.arange(1, columns + 1)))
    if examination is not None:
        weight = _finite(examination, "examination")
    if weight.shape != (rows, columns):
        raise ArgumentError(f"examination has shape {weight.shape}; expected {[rows, columns]}, that of the grid")
    gain = np.asarray((relevance * weight).sum(axis=(-2, -1)))
    if metric == "expected_clicks":
        return gain
    if metric == "expected_examination":
        return ratio(gain, np.asarray(relevance.sum(axis=(-2, -1))))
    ideal = np.sort(relevance.reshape(*relevance.shape[:-2], -1), axis=-1) @ np.sort(weight, axis=None)
    return ratio(gain, np.asarray(ideal))


def _by_genre(screens: Screens, values: FloatArray) -> FloatArray:
    """Sums of each user by genre, float64 [n_users, n_genres], of values [n, R]; those of unknown genre must be 0."""
    genre = np.maximum(screens.impressions.genre, 0).astype(np.int64).ravel()
    screen = np.repeat(np.arange(len(values)), values.shape[1])
    return screens.count(screen, genre, len(screens.impressions.genres), values.ravel())


def _auc(profile: GenreProfile, impressions: Impressions) -> tuple[FloatArray, LongArray]:
    """For each screen with a click [m], how its carousel scores against the others; and the screens' numbers [m]."""
    scores = profile.scores(impressions)
    rows: NDArray[np.bool_] = np.asarray(impressions.clicked.any(axis=2))
    chosen = np.flatnonzero((rows.sum(axis=1) == 1) & (impressions.rows > 1))
    if not len(chosen):
        raise ArgumentError(f"no screen of {len(impressions)} has a click in one of several carousels; expected some")
    own = scores[chosen, rows[chosen].argmax(axis=1)][:, None]
    others = scores[chosen]
    wins = np.sum(own > others, axis=1) + (np.sum(own == others, axis=1) - 1) / 2
    return wins / (impressions.rows - 1), chosen


def _mean_by_user(
    impressions: Impressions, values: FloatArray, chosen: LongArray, rng: np.random.Generator, n: int
) -> Estimate:
    users, user = np.unique(impressions.user[chosen], return_inverse=True)
    sums = np.bincount(user, values).astype(np.float64)
    counts = np.bincount(user).astype(np.float64)
    study = Tally(users, 1, 1, 1, {}).resample(rng, n)
    return study.estimate(ratio(study.weigh(sums), study.weigh(counts)))


def _finite(values: ArrayLike, name: str) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise ArgumentError(f"{name} holds numbers that are not finite")
    return array
