"""Raw gaze made from fixations: saccades of natural speed, the tracker's noise, blinks and uneven times."""

from math import isfinite

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.arguments import require_generator
from recgaze.gaze import Gaze, Screen

__all__ = ["gaze_from_fixations"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Duration of saccades by amplitude, seconds and seconds per degree (Carpenter 1988, the main sequence).
SHORTEST_SACCADE = 0.021
PER_DEGREE = 0.0022
# Seconds that the eye is lost in a blink.
BLINK = (0.1, 0.3)


def gaze_from_fixations(
    onset: ArrayLike,
    duration: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    rate: float,
    noise_px: float,
    screen: Screen,
    rng: np.random.Generator,
    blink_rate: float = 0.0,
    jitter: float = 0.0,
) -> Gaze:
    """What a tracker would record of these fixations.

    Between two fixations the eye makes a saccade in the middle of the time between them. It takes 21 ms and 2.2 ms a
    degree (the main sequence), at a smooth speed that rises and falls once, and lasts at most as long as half of the
    fixations on either side leave time for: with no time between fixations it takes some of theirs.

    Args:
        onset: float [n], seconds, when each fixation begins, ascending.
        duration: float [n], seconds, positive; fixations do not overlap.
        x: float [n], pixels.
        y: float [n], pixels.
        rate: Samples per second.
        noise_px: Standard deviation of the noise of each sample and axis, pixels.
        screen: The screen; its width and distance in centimetres say how long saccades take.
        rng: Source of noise, blinks and jitter.
        blink_rate: Blinks per second; each loses the eye for 0.1 to 0.3 s.
        jitter: Times are off by up to this share of a step, either way, below 0.5.

    Returns:
        From the first onset to the end of the last fixation.

    Raises:
        ArgumentError: Arrays of different lengths, no fixation, fixations out of order or overlapping, a value out of
            range, or a screen without degrees.
    """
    begin, length, across, down = (np.asarray(one, dtype=np.float64) for one in (onset, duration, x, y))
    _check(begin, length, across, down)
    require_generator(rng)
    _check_settings(rate, noise_px, blink_rate, jitter)
    end = begin + length
    n = int(np.floor((end[-1] - begin[0]) * rate + 1e-9)) + 1
    t = begin[0] + (np.arange(n) + jitter * rng.uniform(-1, 1, n)) / rate
    before, share = _progress(t, begin, end, np.hypot(np.diff(across), np.diff(down)) * screen.px2deg)
    after = np.minimum(before + 1, len(begin) - 1)
    lost = _blinks(t, blink_rate, rng)
    moved = [axis[before] + share * (axis[after] - axis[before]) for axis in (across, down)]
    noisy = [np.where(lost, np.nan, axis + noise_px * rng.normal(size=n)) for axis in moved]
    return Gaze(t, noisy[0], noisy[1], screen)


def _progress(t: FloatArray, begin: FloatArray, end: FloatArray, degrees: FloatArray) -> tuple[LongArray, FloatArray]:
    """The fixation that each sample comes from, and how far the eye is on its way to the next, 0 to 1."""
    middle = (end[:-1] + begin[1:]) / 2
    # Half of a saccade has to fit between its middle and that of the fixation on either side.
    room = 2 * np.minimum(middle - (begin + end)[:-1] / 2, (begin + end)[1:] / 2 - middle)
    lasts = np.minimum(SHORTEST_SACCADE + PER_DEGREE * degrees, room)
    before = np.searchsorted(middle + lasts / 2, t, side="right")
    if not len(middle):
        return before, np.zeros(len(t))
    number = np.minimum(before, len(middle) - 1)
    passed = np.clip((t - middle[number]) / lasts[number] + 0.5, 0.0, 1.0)
    # The path of least jerk (Flash and Hogan 1985): speed and acceleration are 0 at both ends.
    share = passed**3 * (10 - 15 * passed + 6 * passed**2)
    return before, np.where(before < len(middle), share, 0.0)


def _blinks(t: FloatArray, per_second: float, rng: np.random.Generator) -> BoolArray:
    span = float(t[-1] - t[0])
    count = int(rng.poisson(per_second * span))
    start = np.sort(rng.uniform(t[0], t[0] + span, count))
    # Blinks may overlap: the eye is lost until the last of those that began has ended.
    until = np.maximum.accumulate(np.append(-np.inf, start + rng.uniform(*BLINK, count)))
    return np.asarray(t < until[np.searchsorted(start, t, side="right")])


def _check(begin: FloatArray, length: FloatArray, x: FloatArray, y: FloatArray) -> None:
    shapes = [one.shape for one in (begin, length, x, y)]
    if begin.ndim != 1 or len(set(shapes)) != 1 or not len(begin):
        raise ArgumentError(f"onset, duration, x and y have shapes {shapes}; expected one [n], at least one fixation")
    finite = np.isfinite(begin) & np.isfinite(length) & np.isfinite(x) & np.isfinite(y) & (length > 0)
    if not finite.all():
        first = int(np.flatnonzero(~finite)[0])
        raise ArgumentError(f"fixation {first} is not finite or lasts {length[first]} s; expected more than 0")
    overlap = begin[1:] < (begin + length)[:-1] - 1e-9
    if overlap.any():
        first = int(np.flatnonzero(overlap)[0]) + 1
        raise ArgumentError(
            f"fixation {first} begins at {begin[first]:.6f} s, before the one before ends at "
            f"{begin[first - 1] + length[first - 1]:.6f} s; expected fixations in order that do not overlap"
        )


def _check_settings(rate: float, noise_px: float, blink_rate: float, jitter: float) -> None:
    if not (isfinite(rate) and rate > 0):
        raise ArgumentError(f"rate={rate!r}; expected samples per second, more than 0")
    for name, value, top in (
        ("noise_px", noise_px, np.inf),
        ("blink_rate", blink_rate, np.inf),
        ("jitter", jitter, 0.5),
    ):
        if not 0 <= value < top:
            raise ArgumentError(f"{name}={value!r}; expected at least 0 and less than {top}")
