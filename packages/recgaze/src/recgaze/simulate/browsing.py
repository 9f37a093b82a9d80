"""The walk of simulated eyes over a page: which areas, in which order; many screens at a time, step by step."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recgaze.layout import Aoi
from recgaze.simulate.behaviour import Behaviour

__all__ = ["Steps", "browse", "choose"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# No walk of the default behaviour comes near it; it bounds those of extreme ones.
MAX_STEPS = 400
_ENTER, _LOOK, _SWIPE, _LEAVE = range(4)


@dataclass(frozen=True, eq=False)
class Steps:
    """What the eyes go to, by screen and in order.

    Attributes:
        screen: int64 [n].
        kind: int64 [n], an `Aoi`; an arrow is also clicked.
        row: int64 [n], carousel, from 0.
        column: int64 [n], position, from 0; -1 where it is no poster.
        page: int64 [n], swipe page of the carousel at that time, from 0.
    """

    screen: IntArray
    kind: IntArray
    row: IntArray
    column: IntArray
    page: IntArray

    def __len__(self) -> int:
        return len(self.screen)


class _Tape:
    """Collects steps."""

    def __init__(self) -> None:
        self.parts: list[tuple[IntArray, ...]] = []

    def add(self, screen: IntArray, kind: int, row: IntArray, column: IntArray, page: IntArray) -> None:
        if len(screen):
            order = np.full(len(screen), len(self.parts))
            self.parts.append((screen, np.full(len(screen), kind), row, column, page, order))

    def steps(self) -> Steps:
        if not self.parts:
            nothing = np.empty(0, dtype=np.int64)
            return Steps(nothing, nothing, nothing, nothing, nothing)
        screen, kind, row, column, page, order = (np.concatenate(part) for part in zip(*self.parts, strict=True))
        by = np.lexsort((order, screen))
        return Steps(screen[by], kind[by], row[by], column[by], page[by])


class _Walk:
    """Many screens, each with its user's place on it."""

    def __init__(
        self,
        behaviour: Behaviour,
        interest: FloatArray,
        utility: FloatArray,
        visible: int,
        pages: int,
        rng: np.random.Generator,
    ) -> None:
        self.behaviour, self.interest, self.visible, self.rng = behaviour, interest, visible, rng
        self.utility, self.taken = utility, np.zeros(len(interest), dtype=bool)
        n, self.rows = interest.shape
        self.columns = visible * pages
        self.page = np.zeros((n, self.rows), dtype=np.int64)
        self.row, self.column = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
        self.mode = np.full(n, _ENTER)
        self.tape = _Tape()

    def run_f(self) -> Steps:
        lower = np.minimum(self.rng.geometric(0.5, len(self.row)), self.rows - 1)
        self.row = np.where(self.rng.random(len(self.row)) < self.behaviour.start_at_top, 0, lower)
        alive = np.arange(len(self.row))
        for _ in range(MAX_STEPS):
            if not len(alive):
                break
            for mode, act in ((_ENTER, self._enter), (_LOOK, self._look), (_SWIPE, self._swipe), (_LEAVE, self._leave)):
                act(alive[self.mode[alive] == mode])
            alive = alive[self.mode[alive] >= 0]
        return self.tape.steps()

    def _enter(self, who: IntArray) -> None:
        reads = who[self.rng.random(len(who)) < self.behaviour.heading]
        self._emit(reads, Aoi.GENRE)
        # A carousel that was swiped before still shows that page.
        self.column[who] = self.page[who, self.row[who]] * self.visible
        self.mode[who] = _LOOK

    def _look(self, who: IntArray) -> None:
        behaviour = self.behaviour
        self._emit(who, Aoi.MOVIE)
        self._emit(who[self.rng.random(len(who)) < behaviour.revisit], Aoi.MOVIE)
        start = self.page[who, self.row[who]] * self.visible
        place = self.column[who] - start
        drawn = self.rng.random(len(who))
        right = _shifted(behaviour.right, behaviour.gaze_preference * self.interest[who, self.row[who]])
        jump = 1 + (self.rng.random(len(who)) < behaviour.skip)
        at_end = place == self.visible - 1
        on, back = (drawn < right) & ~at_end, (drawn > 1 - behaviour.back) & (place > 0)
        swipe = _shifted(behaviour.swipe, behaviour.gaze_preference * self.interest[who, self.row[who]])
        swipes = at_end & (drawn < swipe) & (start + self.visible < self.columns)
        step = np.where(on, np.minimum(jump, self.visible - 1 - place), np.where(back, -1, 0))
        takes = self._takes(who)
        self.taken[who[takes]] = True
        self.column[who] += np.where(takes, 0, step)
        self.mode[who] = np.where(takes, -1, np.where(swipes, _SWIPE, np.where(on | back, _LOOK, _LEAVE)))

    def _takes(self, who: IntArray) -> BoolArray:
        if not self.behaviour.satisfice:
            return np.zeros(len(who), dtype=bool)
        chance = _shifted(self.behaviour.satisfice, self.utility[who, self.row[who], self.column[who]])
        return self.rng.random(len(who)) < chance

    def _swipe(self, who: IntArray) -> None:
        self._emit(who, Aoi.FORWARD)
        self.page[who, self.row[who]] += 1
        start = self.page[who, self.row[who]] * self.visible
        left = self.rng.random(len(who)) < self.behaviour.entry_left
        self.column[who] = start + np.where(left, 0, self.visible - 1)
        self.mode[who] = _LOOK

    def _leave(self, who: IntArray) -> None:
        drawn = self.rng.random(len(who))
        down = drawn < self.behaviour.down
        up = (drawn > 1 - self.behaviour.up) & (self.row[who] > 0)
        row = self.row[who] + down - up
        ends = ~(down | up) | (row >= self.rows)
        self.row[who] = np.minimum(row, self.rows - 1)
        self.mode[who] = np.where(ends, -1, _ENTER)

    def run_uniform(self) -> Steps:
        """As many posters as the Poisson law says, each equally likely to be any."""
        number = np.maximum(self.rng.poisson(self.behaviour.posters, len(self.row)), 1)
        for step in range(int(number.max(initial=0))):
            who = np.flatnonzero(number > step)
            self.go_to(who, self.rng.integers(self.rows, size=len(who)), self.rng.integers(self.columns, size=len(who)))
        return self.tape.steps()

    def go_to(self, who: IntArray, row: IntArray, column: IntArray) -> None:
        """To one poster each, by as many swipes as it takes."""
        self.row[who], self.column[who] = row, column
        page = column // self.visible
        while True:
            away = page - self.page[who, row]
            for kind, moving, step in ((Aoi.FORWARD, away > 0, 1), (Aoi.BACKWARD, away < 0, -1)):
                self._emit(who[moving], kind)
                self.page[who[moving], row[moving]] += step
            if not away.any():
                break
        self._emit(who, Aoi.MOVIE)

    def _emit(self, who: IntArray, kind: Aoi) -> None:
        row = self.row[who]
        column = self.column[who] if kind == Aoi.MOVIE else np.full(len(who), -1)
        self.tape.add(who, int(kind), row, column, self.page[who, row])


def browse(
    behaviour: Behaviour,
    interest: FloatArray,
    utility: FloatArray,
    visible: int,
    pages: int,
    rng: np.random.Generator,
) -> tuple[Steps, "_Walk"]:
    """Let users look around.

    Args:
        behaviour: How.
        interest: float [n_screens, rows], stars above average that the user gives the genre of each carousel.
        utility: float [n_screens, rows, columns].
        visible: Posters of a carousel that are visible at a time.
        pages: Swipe pages.
        rng: Source of randomness.

    Returns:
        What they look at, and where they stand in the end.
    """
    walk = _Walk(behaviour, interest, utility, visible, pages, rng)
    return walk.run_f() if behaviour.pattern == "f" else walk.run_uniform(), walk


def choose(steps: Steps, walk: "_Walk", utility: FloatArray, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
    """The poster that each user takes: where the walk ended in one, that; else by a multinomial logit of utility.

    Args:
        steps: What the users looked at; at least one poster each.
        walk: Where they stand in the end.
        utility: float [n_screens, rows, columns].
        rng: Source of randomness.

    Returns:
        int64 [n_screens], row and column, from 0.
    """
    n, rows, columns = utility.shape
    posters = steps.kind == Aoi.MOVIE
    examined = np.zeros((n, rows * columns), dtype=bool)
    examined[steps.screen[posters], steps.row[posters] * columns + steps.column[posters]] = True
    # Gumbel noise: the largest is a draw of the logit.
    keys = np.where(examined, utility.reshape(n, -1) + rng.gumbel(size=(n, rows * columns)), -np.inf)
    cell = np.where(walk.taken, walk.row * columns + walk.column, keys.argmax(axis=1))
    return cell // columns, cell % columns


def return_to(walk: "_Walk", row: IntArray, column: IntArray) -> Steps:
    """The way to the chosen posters: int64 [n_screens] each."""
    walk.tape = _Tape()
    walk.go_to(np.arange(len(row)), row, column)
    return walk.tape.steps()


def joined(first: Steps, second: Steps) -> Steps:
    """One walk after the other."""
    parts = [np.concatenate(pair) for pair in zip(_arrays(first), _arrays(second), strict=True)]
    order = np.argsort(parts[0], kind="stable")
    return Steps(*(part[order] for part in parts))


def _arrays(steps: Steps) -> tuple[IntArray, ...]:
    return steps.screen, steps.kind, steps.row, steps.column, steps.page


def _shifted(chance: float, logits: FloatArray) -> FloatArray:
    """Chances moved by some logits, those of 0 and 1 left alone."""
    if chance in (0.0, 1.0):
        return np.full(len(logits), chance)
    odds = np.log(chance / (1 - chance)) + logits
    shifted: FloatArray = 1 / (1 + np.exp(-odds))
    return shifted
