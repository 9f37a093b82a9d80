"""When simulated events happen, where on the page the eyes rest, and what the cursor does meanwhile."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recgaze.layout import Aoi, CarouselLayout, Located
from recgaze.simulate.behaviour import Behaviour
from recgaze.simulate.browsing import Steps

__all__ = ["Cursor", "Fixations", "move_cursor", "time_steps"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# Seconds, of our own: before the first fixation, between two, for a swipe, for scrolling to another carousel.
_FIRST, _SACCADE, _SWIPE, _SCROLL = 0.25, 0.045, 0.45, 0.35
_MEAN_FIXATION, _SD_FIXATION = 0.25, 0.11


@dataclass(frozen=True, eq=False)
class Fixations:
    """A fixation for each step.

    Attributes:
        steps: What the eyes went to.
        time: float64 [n], seconds since the screen appeared, whole milliseconds.
        duration: float64 [n], seconds, whole milliseconds.
        x: float64 [n], pixels of the page where the tracker saw it.
        y: float64 [n].
        strict: What it is on, by the strict rule.
        closest: By the closest rule.
    """

    steps: Steps
    time: FloatArray
    duration: FloatArray
    x: FloatArray
    y: FloatArray
    strict: Located
    closest: Located


@dataclass(frozen=True, eq=False)
class Cursor:
    """The cursor's dwells on posters and arrows.

    Attributes:
        step: int64 [n], the fixation it follows.
        time: float64 [n], seconds since the screen appeared.
        duration: float64 [n], seconds.
    """

    step: IntArray
    time: FloatArray
    duration: FloatArray


def time_steps(
    steps: Steps, layout: CarouselLayout, behaviour: Behaviour, last: IntArray, rng: np.random.Generator
) -> Fixations:
    """Give every step its time and its place on the page.

    Args:
        steps: By screen and in order.
        layout: Of the page.
        behaviour: How far from the middle of an area the eyes rest, and the tracker's error.
        last: int64, the steps that end their screens: the user looks there when clicking, so they lie inside.
        rng: Source of randomness.
    """
    n = len(steps)
    shape = (_MEAN_FIXATION / _SD_FIXATION) ** 2
    duration = np.clip(rng.gamma(shape, _MEAN_FIXATION / shape, size=n), 0.06, 1.5).round(3)
    first = np.diff(steps.screen, prepend=-1) != 0
    scrolls = ~first & (np.diff(steps.row, prepend=0) != 0)
    swiped = ~first & np.isin(np.roll(steps.kind, 1), (int(Aoi.FORWARD), int(Aoi.BACKWARD)))
    gap = np.where(first, _FIRST, _SACCADE) + _SWIPE * swiped + _SCROLL * scrolls
    gap = gap * rng.uniform(0.8, 1.2, size=n)
    ends = np.cumsum(gap + duration)
    before = np.concatenate(([0.0], ends[:-1]))[first][np.cumsum(first) - 1]
    time = (ends - duration - before).round(3)
    x, y = _places(steps, layout, behaviour, rng)
    x[last], y[last] = _middle(steps, layout)[0][last], _middle(steps, layout)[1][last]
    pages = steps.page + 1
    strict = layout.locate(x, y, pages, rule="strict")
    closest = layout.locate(x, y, pages, rule="closest")
    return Fixations(steps, time, duration, x, y, strict, closest)


def _middle(steps: Steps, layout: CarouselLayout) -> tuple[FloatArray, FloatArray]:
    """The middle of each step's area: float64 [n] each."""
    place = np.where(steps.column >= 0, steps.column % layout.visible, 0)
    x = (layout.left[place] + layout.right[place]) / 2
    y = (layout.top[steps.row] + layout.bottom[steps.row]) / 2
    for kind, boxes in (
        (Aoi.GENRE, layout.headings),
        (Aoi.FORWARD, layout.forward),
        (Aoi.BACKWARD, layout.backward),
    ):
        box = boxes[steps.row]
        here = (steps.kind == kind) & np.isfinite(box[:, 0])
        x = np.where(here, (box[:, 0] + box[:, 1]) / 2, x)
        y = np.where(here, (box[:, 2] + box[:, 3]) / 2, y)
    return x, y


def _places(
    steps: Steps, layout: CarouselLayout, behaviour: Behaviour, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    x, y = _middle(steps, layout)
    poster = steps.kind == Aoi.MOVIE
    n = len(steps)
    # Nobody looks at a poster's outer edge on purpose: the eyes' own spread ends there, the tracker's error does not.
    width, height = (layout.right - layout.left)[0] / 2, (layout.bottom - layout.top)[0] / 2
    across = np.clip(rng.normal(0, behaviour.spread[0], n), -width, width)
    down = np.clip(rng.normal(0, behaviour.spread[1], n), -height, height)
    x += np.where(poster, across, 0) + rng.normal(0, behaviour.error, n)
    y += np.where(poster, down, 0) + rng.normal(0, behaviour.error, n)
    return x, y


def move_cursor(fixations: Fixations, behaviour: Behaviour, last: IntArray, rng: np.random.Generator) -> Cursor:
    """The cursor follows the eyes to some posters, to every arrow that is clicked, and to the final choice."""
    steps = fixations.steps
    arrow = np.isin(steps.kind, (int(Aoi.FORWARD), int(Aoi.BACKWARD)))
    poster = steps.kind == Aoi.MOVIE
    follows = arrow | (poster & (rng.random(len(steps)) < behaviour.cursor))
    follows[last] = True
    step = np.flatnonzero(follows)
    lag = np.where(arrow[step], 0.0, behaviour.cursor_lag * rng.uniform(0.6, 1.4, len(step)))
    ends = np.zeros(int(steps.screen.max(initial=-1)) + 1)
    ends[steps.screen[last]] = fixations.time[last] + fixations.duration[last]
    screen = steps.screen[step]
    # It arrives before the next area is reached, and nothing happens after the final click.
    time = np.minimum(fixations.time[step] + lag, ends[screen] - 0.02)
    time = np.maximum.accumulate(time + screen * 1e4) - screen * 1e4
    until = np.where(np.diff(screen, append=-1) == 0, np.roll(time, -1), ends[screen])
    dwell = (until - time).round(3)
    # What it passes at the moment it arrives elsewhere, it does not dwell on.
    stays = dwell > 0
    return Cursor(step[stays], time[stays].round(3), dwell[stays])
