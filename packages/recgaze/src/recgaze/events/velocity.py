"""Angular speed of the eye at each sample, by local parabolas, for any steps of time."""

from math import floor

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.gaze import Gaze

__all__ = ["speed"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]

# Steps of time this close to their median count as equal: trackers' own stamps vary by a few per cent.
EQUAL_STEPS = 0.1
# Windows whose moments are held in memory at a time.
BLOCK = 1 << 16


def speed(gaze: Gaze, window: float = 0.02, max_gap: float | None = None) -> FloatArray:
    """Angular speed: the derivative of a parabola fitted to the samples around each sample.

    With equal steps this is the Savitzky-Golay filter of order 2 (Savitzky and Golay 1964), with unequal ones the same
    least squares at the times as they are. Below 200 Hz the default window holds three samples: for equal steps, the
    central difference. Before and behind a gap the parabola of the nearest whole window counts; stretches shorter than
    a window get three samples, those of two their difference.

    Args:
        gaze: The recording.
        window: Seconds from the first to the last sample of a window; at least three samples are taken.
        max_gap: As in `Gaze.segments`.

    Returns:
        float64 [n], degrees per second; NaN where the eye was lost, and at a sample between two gaps.

    Raises:
        ArgumentError: The window or the gap is not positive, or the gaze lacks degrees.
    """
    if not window > 0:
        raise ArgumentError(f"window={window!r}; expected seconds, more than 0")
    out = np.full(len(gaze), np.nan)
    first, last = gaze.segments(max_gap)
    if not len(first):
        return out
    scale = gaze.per_degree
    size = last - first + 1
    half = max(1, floor(window / gaze.step / 2 + 1e-6)) if len(gaze) > 1 else 1
    for reach, of_size in ((half, size > 2 * half), (1, (size <= 2 * half) & (size > 2))):
        _fill(out, gaze, first[of_size], last[of_size], reach)
    pair = first[size == 2]
    for axis in (gaze.x, gaze.y):
        step = (axis[pair + 1] - axis[pair]) / (gaze.t[pair + 1] - gaze.t[pair])
        for sample in (pair, pair + 1):
            out[sample] = np.abs(step) if axis is gaze.x else np.hypot(out[sample], step)
    return out / scale


def _fill(out: FloatArray, gaze: Gaze, first: LongArray, last: LongArray, half: int) -> None:
    """The speeds of some stretches, each of at least 2 * half + 1 samples."""
    if not len(first):
        return
    sample = _ranges(first, last)
    owner = np.repeat(np.arange(len(first)), last - first + 1)
    centre = np.clip(sample, first[owner] + half, last[owner] - half)
    aside = np.flatnonzero(centre != sample)
    steps = np.diff(gaze.t)[sample[sample != last[owner]]]
    equal = bool((np.abs(steps - gaze.step) <= EQUAL_STEPS * gaze.step).all())
    total = np.zeros(len(sample))
    for axis in (gaze.x, gaze.y):
        slope, bend = _equal(axis, half, gaze.step) if equal else _unequal(gaze.t, axis, half)
        rate = slope[centre]
        if equal:
            # Steps that differ a little: the window's own length counts, not that of equal ones.
            rate *= 2 * half * gaze.step / (gaze.t[centre + half] - gaze.t[centre - half])
        distance = gaze.t[sample[aside]] - gaze.t[centre[aside]]
        rate[aside] += 2 * bend[centre[aside]] * distance
        total += rate**2
    out[sample] = np.sqrt(total)


def _equal(values: FloatArray, half: int, step: float) -> tuple[FloatArray, FloatArray]:
    """First derivative, and half the second, at each sample of equal steps; wrong where a window has a gap.

    The weights are the closed form of the least squares: u / sum u^2, and (u^2 - mean u^2) / sum (u^2 - mean u^2)^2.
    """
    u = np.arange(-half, half + 1, dtype=np.float64)
    square = u**2 - np.mean(u**2)
    slope = np.convolve(values, u[::-1] / np.sum(u**2), mode="same") / step
    bend = np.convolve(values, square / np.sum(square**2), mode="same") / step**2
    return slope, bend


def _unequal(t: FloatArray, values: FloatArray, half: int) -> tuple[FloatArray, FloatArray]:
    """As `_equal`, for steps of time that differ."""
    slope, bend = np.full(len(t), np.nan), np.full(len(t), np.nan)
    width = 2 * half + 1
    for begin in range(0, len(t) - width + 1, BLOCK):
        part = slice(begin, min(begin + BLOCK, len(t) - width + 1) + width - 1)
        u = sliding_window_view(t[part], width) - t[part][half : len(t[part]) - half, None]
        z = sliding_window_view(values[part], width)
        centre = slice(part.start + half, part.stop - half)
        slope[centre], bend[centre] = _parabola(u, z)
    return slope, bend


def _parabola(u: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coefficients of u and u^2 in the least squares of z, row by row."""
    u1 = u - u.mean(axis=1, keepdims=True)
    # u^2 made orthogonal to 1 and u: then the coefficients of it and of u can be read off one after the other.
    u2 = u**2 - (u**2).mean(axis=1, keepdims=True)
    along = (u2 * u1).sum(axis=1) / (u1**2).sum(axis=1)
    rest = u2 - along[:, None] * u1
    bend = (rest * z).sum(axis=1) / (rest**2).sum(axis=1)
    slope = (u1 * z).sum(axis=1) / (u1**2).sum(axis=1) - along * bend
    return slope, bend


def _ranges(first: LongArray, last: LongArray) -> LongArray:
    """first[0]..last[0], first[1]..last[1], ... as one array."""
    size = last - first + 1
    begin = np.cumsum(size) - size
    return np.asarray(np.arange(int(size.sum())) + np.repeat(first - begin, size))
