"""I-DT: fixations are where the eye stays in a small area."""

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.arguments import require_kind
from recgaze.events.table import Events, Kind, long_enough
from recgaze.gaze import Gaze

__all__ = ["idt"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Samples that a fixation is first extended by; doubled while it goes on.
FIRST_BLOCK = 64


def idt(gaze: Gaze, dispersion: float = 1.0, min_duration: float = 0.1, *, max_gap: float | None = None) -> Events:
    """Fixations by a threshold of dispersion (Salvucci and Goldberg 2000, I-DT).

    The dispersion of a window is `max x - min x + max y - min y`. The first window of the minimum duration that is
    within the threshold is a fixation, extended by samples as long as it stays within; the search goes on behind it.
    Windows end at gaps.

    The last sample of a fixation is within the threshold. In pymovements 0.28 it is the one that breaks it: of 60
    samples at 0 degrees, then 60 at 5, at 500 Hz, ours are samples 0 to 59 and 60 to 119, theirs begin with 0 to 60.

    Which windows of the minimum duration will do is worked out for all samples at once, and extensions in blocks of
    doubling size: the time grows with the samples, not with the samples of a window.

    Args:
        gaze: The recording; steps of time may differ.
        dispersion: The threshold, degrees.
        min_duration: Fixations are not shorter from their first sample to the last, seconds.
        max_gap: As in `Gaze.segments`.

    Raises:
        ArgumentError: The threshold or the duration is negative, or the gaze lacks degrees.
    """
    require_kind("gaze", gaze, Gaze, "Gaze, such as read_gaze gives")
    for name, value in (("dispersion", dispersion), ("min_duration", min_duration)):
        if not value >= 0:
            raise ArgumentError(f"{name}={value!r}; expected at least 0")
    first, last = gaze.segments(max_gap)
    if not len(first):
        return Events.of_samples(gaze, [], [], Kind.FIXATION)
    limit = dispersion * gaze.per_degree
    starts, ends = _windows(gaze, first, last, min_duration)
    good = _dispersion(gaze.x, starts, ends) + _dispersion(gaze.y, starts, ends) <= limit
    onset, offset = _grown(np.stack([gaze.x, gaze.y]), starts[good], ends[good], last, limit)
    return Events.of_samples(gaze, onset, offset, Kind.FIXATION)


def _windows(gaze: Gaze, first: LongArray, last: LongArray, seconds: float) -> tuple[LongArray, LongArray]:
    """The shortest window of so many seconds from each sample on, where there is one before the next gap."""
    sample = np.arange(len(gaze))
    end = np.searchsorted(gaze.t, gaze.t + seconds)
    # The sum above is rounded: one sample less may do as well, as `long_enough` says.
    less = np.maximum(end - 1, sample)
    end = np.where(long_enough(gaze.t, gaze.t[less], seconds), less, end)
    number = np.searchsorted(first, sample, side="right") - 1
    inside = (number >= 0) & (sample <= last[number]) & (end <= last[number])
    return sample[inside], end[inside]


def _dispersion(values: FloatArray, start: LongArray, end: LongArray) -> FloatArray:
    """Maximum less minimum of each window: of two windows, each of a power of two samples, that cover it."""
    out = np.zeros(len(start))
    level = np.frexp(end - start + 1)[1] - 1
    high = low = values
    for power in range(int(level.max(initial=0)) + 1):
        at = np.flatnonzero(level == power)
        head, tail = start[at], end[at] - (1 << power) + 1
        out[at] = np.maximum(high[head], high[tail]) - np.minimum(low[head], low[tail])
        reach = 1 << power
        high, low = np.maximum(high[:-reach], high[reach:]), np.minimum(low[:-reach], low[reach:])
    return out


def _grown(
    points: FloatArray, start: LongArray, end: LongArray, last: LongArray, limit: float
) -> tuple[list[int], list[int]]:
    """The fixations: windows that start behind the one before, extended."""
    onset, offset = [], []
    at = 0
    while at < len(start):
        begin = int(start[at])
        edge = int(last[np.searchsorted(last, begin)])
        final = _extended(points, begin, int(end[at]), edge, limit)
        onset.append(begin)
        offset.append(final)
        at = int(np.searchsorted(start, final, side="right"))
    return onset, offset


def _extended(points: FloatArray, begin: int, final: int, edge: int, limit: float) -> int:
    """The last sample up to which a fixation stays within the limit."""
    window = points[:, begin : final + 1]
    high, low = window.max(axis=1), window.min(axis=1)
    block = FIRST_BLOCK
    while final < edge:
        ahead = points[:, final + 1 : min(final + block, edge) + 1]
        highs = np.maximum(np.maximum.accumulate(ahead, axis=1), high[:, None])
        lows = np.minimum(np.minimum.accumulate(ahead, axis=1), low[:, None])
        spread = highs - lows
        inside = int(np.searchsorted(spread[0] + spread[1], limit, side="right"))
        final += inside
        if inside < ahead.shape[1]:
            return final
        high, low, block = highs[:, -1], lows[:, -1], 2 * block
    return final
