"""How simulated users browse and choose: the knobs, with defaults of our own."""

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from irworks.errors import ArgumentError

__all__ = ["Behaviour"]

_SHARES = (
    "start_at_top",
    "right",
    "skip",
    "back",
    "swipe",
    "entry_left",
    "down",
    "up",
    "heading",
    "revisit",
    "satisfice",
    "cursor",
)


@dataclass(frozen=True)
class Behaviour:
    """A user walks from carousel to carousel, in each from poster to poster, and then chooses among what was examined.

    The values are ours, chosen for plausible counts; RecGaze publishes no such parameters. By default examination comes
    first and the choice after it, so that, with `position_bias` at 0, a poster's chance to be chosen among the examined
    ones does not depend on where it stands: the examination hypothesis holds by construction.

    What follows from the defaults: on swiped pages eyes begin at the left more often than at the right, and walk to the
    right, so that looks fall off to the right (-0.07 in log odds a position, and -0.09 as a tracker with `error` sees
    it) and, given that a page came into view, not downwards. And as `quality` gives each place one film for all users,
    what depends on clicks follows the luck of these films as soon as there are hundreds of users: an L-pattern is then
    found, or its contrary, by less than a hundredth of the looks, although nobody stops at what they like. Other
    `films` in `simulate_study` turn it.

    Attributes:
        pattern: "f": rows from the top, posters from the left. "uniform": posters anywhere, equally likely.
        start_at_top: Chance to begin in the first carousel; else each one further down is half as likely.
        right: Chance to go on to the next poster.
        skip: Share of these steps that leave one poster out.
        back: Chance to look back one poster.
        swipe: Chance to swipe at the end of a page.
        entry_left: After a swipe, chance to begin with the leftmost poster; else with the rightmost.
        down: Chance to go to the next carousel when leaving one.
        up: Chance to go back to the one above. Else the user has seen enough.
        heading: Chance to read the heading of a carousel.
        revisit: Chance of a second fixation on a poster before going on.
        satisfice: Chance, at average utility, to take a poster when it is looked at, which ends the screen; else users
            choose when they have seen enough.
        posters: Mean number of posters that a user of pattern "uniform" looks at.
        preference: How much a star of the user's rating of a genre adds to the utility of its films.
        gaze_preference: How much a star adds to the chance (in logits) to go on in a carousel. 0: the eyes say nothing
            about preference.
        quality: Standard deviation of the films' own utility.
        position_bias: What the first poster of the first carousel adds to utility, over the last of the last one: a
            violation of the examination hypothesis.
        cursor: Chance that the cursor follows the eyes to a poster.
        cursor_lag: Seconds that it comes later.
        spread: Pixels, standard deviation of where on a poster the eyes rest, across and down.
        error: Pixels, standard deviation of the tracker's error of a fixation. It moves looks at an arrow onto the
            poster beside it, as it will in real data: with 0, what is examined is what was meant.

    Raises:
        ArgumentError: A value out of range.
    """

    pattern: Literal["f", "uniform"] = "f"
    start_at_top: float = 0.85
    right: float = 0.74
    skip: float = 0.1
    back: float = 0.06
    swipe: float = 0.22
    entry_left: float = 0.65
    down: float = 0.8
    up: float = 0.06
    heading: float = 0.12
    revisit: float = 0.35
    satisfice: float = 0.0
    posters: float = 20.0
    preference: float = 0.6
    gaze_preference: float = 0.25
    quality: float = 0.5
    position_bias: float = 0.0
    cursor: float = 0.3
    cursor_lag: float = 0.35
    spread: tuple[float, float] = (70.0, 40.0)
    error: float = 20.0

    def __post_init__(self) -> None:
        for name in _SHARES:
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ArgumentError(f"{name}={value!r}; expected a chance from 0 to 1")
        if self.down + self.up > 1 or self.right + self.back > 1:
            raise ArgumentError("down and up, or right and back, add up to more than 1")
        if self.pattern not in ("f", "uniform"):
            raise ArgumentError(f'pattern={self.pattern!r}; expected "f" or "uniform"')
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, str) and not np.isfinite(value).all():
                raise ArgumentError(f"{field.name}={value!r}; expected finite numbers")
        for name in ("posters", "quality", "cursor_lag", "error", "spread"):
            if np.min(getattr(self, name)) < 0:
                raise ArgumentError(f"{name}={getattr(self, name)!r}; expected at least 0")
