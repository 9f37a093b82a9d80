"""A simulated study: users on the real screens, their eyes, cursor, swipes and clicks, with the truth beside it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from irworks.simulate.plackett_luce import require_at_least_one
from recgaze import study
from recgaze.arguments import require_generator
from recgaze.data.dataset import RecGazeDataset
from recgaze.gaze import Gaze, Screen
from recgaze.layout import CarouselLayout
from recgaze.simulate.behaviour import Behaviour
from recgaze.simulate.browsing import browse, choose, joined, return_to
from recgaze.simulate.tables import People, Shown, click_table, genre_codes, item_table, summary_table, user_table
from recgaze.simulate.timing import Fixations, move_cursor, time_steps
from recgaze.synthetic import gaze_from_fixations

__all__ = ["Simulation", "simulate_study"]

# The study's tracker, screen and distance are not published.
SCREEN = Screen(1920, 1080, width_cm=53.1, distance_cm=65.0)

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated study and its truth.

    Attributes:
        dataset: What a study publishes.
        behaviour: How the users behaved.
        utility: float64 [n_screens, rows, columns], utility of each poster to the user of each seen screen, which the
            choice among the examined ones went by.
        fixations: What was looked at and where, before any rule assigned it to an area.
        user: int64 [n_screens], number of the user of each seen screen.
        task: int64 [n_screens], the screen.
    """

    dataset: RecGazeDataset
    behaviour: Behaviour
    utility: FloatArray
    fixations: Fixations
    user: IntArray
    task: IntArray

    def __repr__(self) -> str:
        return f"Simulation({self.dataset!r})"

    def gaze(
        self,
        user: str,
        task: int,
        *,
        rng: np.random.Generator,
        rate: float = 60.0,
        noise_px: float = 4.0,
        screen: Screen = SCREEN,
    ) -> Gaze:
        """Raw samples of one seen screen, as a tracker would have given them.

        Positions are those of the page before any scrolling, so that `CarouselLayout.locate` takes them as they are.

        Args:
            user: Id of the user.
            task: The screen.
            rng: Source of noise.
            rate: Samples per second.
            noise_px: Standard deviation of a sample, pixels.
            screen: Turns pixels into degrees. Default: ours, 24 inches at 65 centimetres.

        Raises:
            ArgumentError: The user did not see the screen.
        """
        number = np.flatnonzero((self.dataset.user_ids[self.user] == user) & (self.task == task))
        if not len(number):
            raise ArgumentError(f"user={user!r}, task={task!r}; expected a screen that was seen")
        looks, here = self.fixations, self.fixations.steps.screen == number[0]
        planted = (looks.time[here], looks.duration[here], looks.x[here], looks.y[here])
        return gaze_from_fixations(*planted, rate=rate, noise_px=noise_px, screen=screen, rng=rng)


def simulate_study(
    n_users: int = 87,
    *,
    rng: np.random.Generator,
    behaviour: Behaviour | None = None,
    tasks: Iterable[int] = study.TASKS,
    gaps: bool = True,
    first_user: int = 0,
    films: int = 0,
) -> Simulation:
    """Simulate the RecGaze study: its screens and layout, users of our own.

    The films are numbered, not named: titles and posters are not ours to ship. Users are named as in the study as far
    as it has users.

    Args:
        n_users: Number of users.
        rng: Source of randomness: the same gives the same study, byte for byte.
        behaviour: How users browse and choose. Default: `Behaviour()`.
        tasks: Screens that every user sees, of 1 to 40.
        gaps: Whether the study's failed searches and lost clicks happen here too.
        first_user: How many users have been simulated before, for studies made in blocks.
        films: Which films there are, as a seed of their own: users of all blocks see the same.

    Raises:
        ArgumentError: No user, no screen, a screen that is not among the 40, or a seed for a generator.
    """
    require_at_least_one("n_users", n_users)
    require_generator(rng)
    behaviour = Behaviour() if behaviour is None else behaviour
    seen = np.array(sorted(set(tasks)), dtype=np.int64)
    if not len(seen) or not np.isin(seen, study.TASKS).all():
        raise ArgumentError(f"tasks={seen.tolist()}; expected screens from 1 to 40")
    people = _people(n_users, first_user, rng)
    layout = CarouselLayout.recgaze()
    user, task = np.repeat(np.arange(n_users), len(seen)), np.tile(seen, n_users)
    genre = genre_codes()[task - 1]
    stars: FloatArray = people.ratings[user[:, None], genre].astype(np.float64) - 3.0
    utility = _utility(behaviour, stars, task, layout, films)
    steps, walk = browse(behaviour, stars, utility, layout.visible, layout.pages, rng)
    row, column = choose(steps, walk, utility, rng)
    row, column = _with_searches(people, user, task, row, column, gaps)
    steps = joined(steps, return_to(walk, row, column))
    last = np.flatnonzero(np.diff(steps.screen, append=-1) != 0)
    fixations = time_steps(steps, layout, behaviour, last, rng)
    cursor = move_cursor(fixations, behaviour, last, rng)
    shown = Shown(user, task, first_user)
    arrows = np.flatnonzero((steps.kind == 3) | (steps.kind == 4))
    lost = _among(people, user, task, study.LOST_CLICKS) if gaps else np.zeros(len(user), dtype=bool)
    kept = last[~lost[steps.screen[last]]]
    clicks = click_table(people, shown, fixations, kept, rng)
    dataset = RecGazeDataset(
        summary_table(people, shown, fixations, cursor, np.sort(np.concatenate([arrows, kept]))),
        clicks,
        item_table(seen),
        user_table(people, shown, clicks, rng),
        layout,
        source="simulation",
    )
    return Simulation(dataset, behaviour, utility, fixations, user, task)


def _people(n: int, first: int, rng: np.random.Generator) -> People:
    ids = [
        study.USERS[number] if number < len(study.USERS) else f"Sim_{number + 1}" for number in range(first, first + n)
    ]
    taste = rng.normal(0.3, 1.0, size=(n, len(study.GENRES)))
    ratings = np.clip(np.round(3 + taste), 1, 5).astype(np.int64)
    top = taste.argmax(axis=1)
    preferred = ratings >= 4
    preferred[np.arange(n), top] = True
    return People(ids, ratings, top, preferred)


def _utility(behaviour: Behaviour, stars: FloatArray, task: IntArray, layout: CarouselLayout, films: int) -> FloatArray:
    rows, columns = layout.rows, layout.columns
    own = np.random.default_rng([films, len(study.SCREENS)])
    quality = own.normal(0, behaviour.quality, size=(len(study.SCREENS), rows, columns))
    row, column = np.arange(rows)[:, None] / max(rows - 1, 1), np.arange(columns) / max(columns - 1, 1)
    bias = behaviour.position_bias * (1 - (row + column) / 2)
    utility: FloatArray = behaviour.preference * stars[:, :, None] + quality[task - 1] + bias
    return utility


def _with_searches(
    people: People, user: IntArray, task: IntArray, row: IntArray, column: IntArray, gaps: bool
) -> tuple[IntArray, IntArray]:
    """Direct searches end at their target, those that failed at the poster that was chosen, or the one beside it."""
    search = task >= 36
    target = np.array([study.search_target(one) if one >= 36 else (1, 1) for one in task]).reshape(-1, 2) - 1
    failed = _among(people, user, task, study.FAILED_SEARCHES) if gaps else np.zeros(len(task), dtype=bool)
    found = search & ~failed
    by_chance = failed & (row == target[:, 0]) & (column == target[:, 1])
    column = np.where(by_chance, np.where(column > 0, column - 1, 1), column)
    return np.where(found, target[:, 0], row), np.where(found, target[:, 1], column)


def _among(people: People, user: IntArray, task: IntArray, screens: tuple[tuple[str, int], ...]) -> NDArray[np.bool_]:
    numbers = {name: number for number, name in enumerate(people.ids)}
    out = np.zeros(len(user), dtype=bool)
    for name, one in screens:
        if name in numbers:
            out |= (user == numbers[name]) & (task == one)
    return out
