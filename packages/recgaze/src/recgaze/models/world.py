"""A world in which the position-based model holds, on the study's own screens, with the truth at hand.

Cells are independent: a poster is looked at with a probability of its position and selected, if looked at, with one of
user and genre. For a study with one selection a screen, in the published schema, use the package's simulator.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.impressions import Impressions
from recgaze.study import CAROUSELS, GENRES, POSITIONS, SCREENS

__all__ = ["PbmTruth", "f_shaped_examination", "pbm_world"]

FloatArray = NDArray[np.float64]

_VISIBLE = 5
_STARS = np.array([0.08, 0.17, 0.25, 0.28, 0.22])
_FIXATION_SECONDS = 0.35


@dataclass(frozen=True, eq=False)
class PbmTruth:
    """What the world was made of.

    Attributes:
        examination: float64 [R, C], P(examined).
        attraction: float64 [n_users, n_genres], P(clicked | examined).
    """

    examination: FloatArray
    attraction: FloatArray

    def click_prob(self, impressions: Impressions) -> FloatArray:
        """float64 [n, R, C], true probability of a click, of the world's own impressions."""
        attraction = self.attraction[impressions.user[:, None], impressions.genre]
        return np.asarray(attraction[:, :, None] * self.examination)


def f_shaped_examination(rows: int = CAROUSELS, columns: int = POSITIONS) -> FloatArray:
    """float64 [R, C]: falls from carousel to carousel, along one, and steeply with every swipe page.

    A row times a column: on the real selections of the carousel click model's study the two are independent.
    """
    column = np.arange(columns)
    down = np.exp(-0.16 * np.arange(rows))
    along = np.exp(-0.20 * (column % _VISIBLE)) * 0.3 ** (column // _VISIBLE)
    return 0.9 * np.outer(down, along)


def pbm_world(
    rng: np.random.Generator,
    n_users: int = 87,
    n_screens: int = 30,
    *,
    clicks_per_screen: float = 2559 / 2610,
    examination: ArrayLike | None = None,
    first_user: int = 0,
) -> tuple[Impressions, PbmTruth]:
    """Draw a study: every user sees the first screens of the real one, with its genre orders.

    Args:
        rng: Source of everything random.
        n_users: Users.
        n_screens: Screens a user, at most the study's 40.
        clicks_per_screen: Expected clicks a screen; the attraction is scaled to it. Default: that of the study.
        examination: float [10, 15]; default `f_shaped_examination()`.
        first_user: Number of the first user, for a study that is drawn block by block.

    Returns:
        The screens, n_users * n_screens of them, and the truth.

    Raises:
        ArgumentError: A number is out of range.
    """
    if n_users < 1 or not 1 <= n_screens <= len(SCREENS) or clicks_per_screen <= 0:
        raise ArgumentError(
            f"n_users={n_users}, n_screens={n_screens}, clicks_per_screen={clicks_per_screen}; expected at least one "
            f"user, 1 to {len(SCREENS)} screens and a positive number of clicks"
        )
    theta = f_shaped_examination() if examination is None else np.asarray(examination, dtype=np.float64)
    if theta.shape != (CAROUSELS, POSITIONS) or not ((theta >= 0) & (theta <= 1)).all():
        raise ArgumentError(f"examination has shape {theta.shape}; expected probabilities [{CAROUSELS}, {POSITIONS}]")
    rating = 1 + rng.choice(5, size=(n_users, len(GENRES)), p=_STARS)
    orders = np.array([[GENRES.index(name) for name in order] for order in SCREENS[:n_screens]])
    user = np.repeat(np.arange(n_users), n_screens)
    genre = np.tile(orders, (n_users, 1))
    taste = np.exp(0.5 * (rating - 3) + rng.normal(0, 0.6, size=rating.shape))
    attraction = _scaled(taste, theta, user, genre, clicks_per_screen)
    shape = (len(user), CAROUSELS, POSITIONS)
    examined = rng.random(shape) < theta
    clicked = examined & (rng.random(shape) < attraction[user[:, None], genre][:, :, None])
    task = np.tile(np.arange(1, n_screens + 1), n_users)
    movie = (task[:, None, None] - 1) * CAROUSELS * POSITIONS + np.arange(CAROUSELS * POSITIONS).reshape(shape[1:])
    last = np.where(examined.any(axis=2), POSITIONS - 1 - np.argmax(examined[:, :, ::-1], axis=2), 0)
    impressions = Impressions(
        users=np.array([f"user_{first_user + number:06d}" for number in range(n_users)]),
        genres=GENRES,
        user=user.astype(np.int32),
        task=task.astype(np.int16),
        examined=examined,
        dwell=np.where(examined, rng.exponential(_FIXATION_SECONDS, size=shape), 0),
        clicked=clicked,
        genre=genre,
        movie=movie,
        rating=rating[user[:, None], genre],
        pages=1 + last // _VISIBLE,
        visible=_VISIBLE,
    )
    return impressions, PbmTruth(theta, attraction)


def _scaled(
    taste: FloatArray, theta: FloatArray, user: NDArray[np.int64], genre: NDArray[np.int64], clicks: float
) -> FloatArray:
    """Attraction in proportion to taste, up to .95, with the expected number of clicks a screen."""
    weight = np.zeros_like(taste)
    np.add.at(weight, (np.repeat(user[:, None], len(theta), axis=1), genre), np.broadcast_to(theta.sum(1), genre.shape))
    low, high = 0.0, 1e3
    for _ in range(60):
        scale = (low + high) / 2
        expected = float((weight * np.minimum(scale * taste, 0.95)).sum()) / len(user)
        low, high = (scale, high) if expected < clicks else (low, scale)
    return np.minimum(low * taste, 0.95)
