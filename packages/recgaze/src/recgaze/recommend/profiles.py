"""Taste read from gaze or clicks, and how well it predicts clicks on other screens."""

from abc import ABC, abstractmethod
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.browse.estimates import Estimate
from recgaze.browse.screens import Screens
from recgaze.browse.tally import Tally, ratio
from recgaze.impressions import Impressions

__all__ = ["ClickProfile", "GazeProfile", "GenreProfile", "click_profile", "compare_profiles", "genre_auc"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]


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

    _what: str

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
            raise ArgumentError(
                f"{type(self).__name__}: no carousel of {len(impressions)} screens got any {self._what}; expected some"
            )
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

    _what = "seconds of looks"

    def __init__(self, prior: float = 5.0) -> None:
        super().__init__(prior)

    def _amounts(self, impressions: Impressions) -> FloatArray:
        return np.asarray(impressions.dwell.sum(axis=2, dtype=np.float64))


class ClickProfile(GenreProfile):
    """Taste by clicks; see `GenreProfile`."""

    _what = "clicks"

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
