"""Small studies with planted truth, and how often a test finds it: what the tests of browsing are calibrated on.

Nothing here is a person: looks are drawn cell by cell. `recgaze.simulate` draws whole paths on the published screens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from irworks.stats import Interval, wilson
from recgaze.arguments import require_generator
from recgaze.impressions import Impressions
from recgaze.study import GENRES

__all__ = ["Planted", "planted_study", "rejection_rate"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Planted:
    """What is true in a planted study.

    Attributes:
        users: Number of them.
        screens: Of each user.
        rows: Carousels, at most ten.
        pages: Swipe pages of a carousel.
        visible: Posters of a carousel that are visible at a time.
        looks: "uniform": each poster is looked at with the same chance. "F": the chance falls by `fall` on the logit
            scale, users go down to a random depth, and swipe a carousel with a chance of 0.15 a page.
        rate: Mean chance of a look ("uniform"), or that of the first poster ("F").
        fall: By one carousel down, and one place to the right on the first page.
        swiped_fall: By one place to the right on swiped pages; negative: looks begin at the right.
        spread: Standard deviation of users on the logit scale of a look.
        clicks: "choice": one click among the posters looked at. "independent": each look may end in a click.
        effect: Of the place on the click, given the look: log odds by one carousel down, place to the right, page on.
        quality: Standard deviation of the films' own appeal, which is the same for all users: the luck of a place.
        taste: Standard deviation of a user's liking of a genre, beside what the stars say.
        telling: How strongly the liking of a genre lengthens a look at it (log seconds by liking); 0: gaze says nothing
            of taste.
    """

    users: int = 87
    screens: int = 30
    rows: int = 10
    pages: int = 3
    visible: int = 5
    looks: Literal["uniform", "F"] = "F"
    rate: float = 0.8
    fall: tuple[float, float] = (0.25, 0.35)
    swiped_fall: float = 0.0
    spread: float = 0.5
    clicks: Literal["choice", "independent"] = "choice"
    effect: tuple[float, float, float] = (0.0, 0.0, 0.0)
    quality: float = 0.0
    taste: float = 0.3
    telling: float = 0.0

    def __post_init__(self) -> None:
        if not (1 <= self.rows <= len(GENRES) and min(self.users, self.screens, self.pages, self.visible) >= 1):
            raise ArgumentError(f"{self}; expected 1 to {len(GENRES)} rows, and at least one of everything else")
        if self.looks not in ("uniform", "F") or self.clicks not in ("choice", "independent"):
            raise ArgumentError(
                f'looks={self.looks!r}, clicks={self.clicks!r}; expected "uniform" or "F", "choice" or "independent"'
            )
        if not 0 < self.rate < 1:
            raise ArgumentError(f"rate={self.rate!r}; expected a chance between 0 and 1")


def planted_study(rng: np.random.Generator, truth: Planted | None = None) -> Impressions:
    """Draw a study.

    Genres stand in a random order on each screen, the same for all users; users give genres 1 to 5 stars; liking is 0.4
    a star plus `taste`, on the logit scale of a click.

    Args:
        rng: Source of everything.
        truth: What to plant. Default: `Planted()`.
    """
    require_generator(rng)
    truth = truth or Planted()
    n, rows, columns = truth.users * truth.screens, truth.rows, truth.pages * truth.visible
    user, task = np.divmod(np.arange(n), truth.screens)
    order = rng.permuted(np.tile(np.arange(rows), (truth.screens, 1)), axis=1)
    genre = order[task]
    stars = rng.integers(1, 6, size=(truth.users, rows))
    liking = 0.4 * (stars - 3) + rng.normal(0, truth.taste, size=stars.shape)
    examined, pages = _looks(rng, truth, user)
    shift = np.add.outer(
        truth.effect[0] * np.arange(rows), np.tile(truth.effect[1] * np.arange(truth.visible), truth.pages)
    )
    shift = shift + np.repeat(truth.effect[2] * np.arange(truth.pages), truth.visible)
    likes = liking[user[:, None], genre][:, :, None]
    appeal = likes + shift
    if truth.quality:
        appeal = appeal + rng.normal(0, truth.quality, size=(truth.screens, rows, columns))[task]
    seconds = rng.gamma(2.0, 0.15, size=examined.shape) * np.exp(truth.telling * likes)
    clicked = _choices(rng, examined, appeal) if truth.clicks == "choice" else _bernoulli(rng, examined, appeal)
    return Impressions(
        users=np.array([f"u{code:06d}" for code in range(truth.users)]),
        genres=GENRES[:rows],
        user=user.astype(np.int32),
        task=(task + 1).astype(np.int16),
        examined=examined,
        dwell=np.where(examined, seconds, 0).astype(np.float32),
        clicked=clicked,
        genre=genre.astype(np.int8),
        movie=np.broadcast_to(np.arange(rows * columns).reshape(rows, columns), examined.shape)
        + task[:, None, None] * rows * columns,
        rating=stars[user[:, None], genre].astype(np.int8),
        pages=pages.astype(np.int8),
        visible=truth.visible,
    )


def rejection_rate(
    make: Callable[[np.random.Generator], Impressions],
    rejects: Callable[[Impressions, np.random.Generator], bool],
    *,
    n: int,
    rng: np.random.Generator,
) -> Interval:
    """How often a test rejects: its size on studies without an effect, its power on studies with one.

    Args:
        make: Draws a study.
        rejects: The test.
        n: Number of studies.
        rng: Spawned for each study, so that a study does not depend on how many draws a test takes.

    Returns:
        The rate, with Wilson's interval.
    """
    found = 0
    for child in rng.spawn(n):
        of_study, of_test = child.spawn(2)
        found += bool(rejects(make(of_study), of_test))
    return wilson(found, n)


def _looks(rng: np.random.Generator, truth: Planted, user: NDArray[np.int64]) -> tuple[BoolArray, NDArray[np.int64]]:
    """Which posters were looked at, [n, R, C], and how many pages came into view, [n, R]."""
    n, rows, columns = len(user), truth.rows, truth.pages * truth.visible
    habit = rng.normal(0, truth.spread, size=truth.users)[user][:, None, None]
    start = np.log(truth.rate / (1 - truth.rate))
    draw = rng.random((n, rows, columns))
    if truth.looks == "uniform":
        return draw < 1 / (1 + np.exp(-start - habit)), np.full((n, rows), truth.pages)
    row = np.arange(rows)[:, None]
    place, page = np.arange(columns) % truth.visible, np.arange(columns) // truth.visible
    slope = start - truth.fall[0] * row - np.where(page == 0, truth.fall[1] * place, 0.5 + truth.swiped_fall * place)
    chance = 1 / (1 + np.exp(-slope - habit))
    depth = 1 + rng.binomial(rows - 1, rng.beta(2, 1.5, size=n))
    seen = row[:, 0] < depth[:, None]
    pages = 1 + np.cumprod(rng.random((n, rows, truth.pages - 1)) < 0.15, axis=2).sum(axis=2)
    pages = np.where(seen, pages, 1)
    return (draw < chance) & seen[:, :, None] & (page < pages[:, :, None]), pages


def _choices(rng: np.random.Generator, examined: BoolArray, appeal: FloatArray) -> BoolArray:
    """One of the posters looked at, by Gumbel's trick; none where none was looked at."""
    value = np.where(examined, appeal + rng.gumbel(size=examined.shape), -np.inf).reshape(len(examined), -1)
    clicked = np.zeros(value.shape, dtype=bool)
    clicked[np.arange(len(value)), value.argmax(axis=1)] = True
    return clicked.reshape(examined.shape) & examined


def _bernoulli(rng: np.random.Generator, examined: BoolArray, appeal: FloatArray) -> BoolArray:
    return examined & (rng.random(examined.shape) < 1 / (1 + np.exp(3.0 - appeal)))
