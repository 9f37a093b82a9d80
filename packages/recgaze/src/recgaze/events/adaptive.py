"""An adaptive detector: noise sets the thresholds, and the oscillation after a saccade is told apart."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.arguments import require_kind
from recgaze.events.table import Events, Kind, long_enough, runs_in
from recgaze.events.velocity import speed as angular_speed
from recgaze.gaze import Gaze

__all__ = ["Thresholds", "adaptive", "thresholds"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

# Nystrom and Holmqvist (2010): the first threshold, and the share of the local noise in where saccades end.
FIRST_THRESHOLD = 100.0
LOCAL_NOISE = 0.3
# Ours, round numbers settled on the recordings of Andersson et al. (2017): a saccade may end below this share of its
# peak, and a second peak so soon after is its oscillation if it is below this share of the first.
ENDED = 0.2
ECHO = 0.5
ECHO_SECONDS = 0.02


@dataclass(frozen=True)
class Thresholds:
    """Speeds in degrees per second.

    Attributes:
        peak: A saccade is faster somewhere.
        onset: A saccade begins, and without local noise ends, below.
    """

    peak: float
    onset: float


def adaptive(
    gaze: Gaze,
    *,
    window: float = 0.012,
    min_fixation: float = 0.04,
    min_saccade: float = 0.01,
    max_pso: float = 0.04,
    lowest: float = 15.0,
    max_gap: float | None = None,
) -> Events:
    """Fixations, saccades and post-saccadic oscillations by thresholds that follow the noise.

    After Nystrom and Holmqvist, "An adaptive algorithm for fixation, saccade, and glissade detection in eyetracking
    data" (2010): saccades are found by their peaks and followed back to where they exceed a threshold and on to a
    minimum of speed below one; what exceeds it again shortly after is the oscillation; the rest is fixation. Pursuit is
    not told apart. Made for 200 Hz and more: slower recordings hold too few samples of a saccade.

    Ours: thresholds only fall from their first value, since recordings with artefacts would drive them above every
    saccade; saccades begin at the threshold, not at the minimum before it; a saccade may end once it is below a fifth
    of its peak; and a lower second peak is no saccade, so that fast oscillations are found as well.

    Args:
        gaze: The recording.
        window: As in `speed`. Shorter than there: smoothing makes saccades longer and oscillations disappear.
        min_fixation: Fixations are not shorter, seconds. So long before a saccade the local noise is taken.
        min_saccade: Saccades are not shorter, seconds.
        max_pso: So long after a saccade an oscillation may begin and be fast, seconds.
        lowest: The peak threshold is not lower, degrees per second. Ours: recordings without noise, such as simulated
            ones, would otherwise have thresholds of almost 0.
        max_gap: As in `Gaze.segments`.

    Raises:
        ArgumentError: A duration or threshold is negative; else as `speed`.
    """
    require_kind("gaze", gaze, Gaze, "Gaze, such as read_gaze gives")
    limits = {"min_fixation": min_fixation, "min_saccade": min_saccade, "max_pso": max_pso, "lowest": lowest}
    for name, value in limits.items():
        if not value >= 0:
            raise ArgumentError(f"{name}={value!r}; expected at least 0")
    first, last = gaze.segments(max_gap)
    rate = angular_speed(gaze, window, max_gap)
    labels = np.where(np.isnan(rate), Kind.NONE, Kind.FIXATION)
    limit = thresholds(rate, lowest)
    walk = _Walk(rate, first, last)
    begin, end, peak = walk.peaks(limit.peak, ECHO_SECONDS / gaze.step)
    if len(begin):
        onset = walk.back(begin, limit.onset)
        near = max(2, round(min_fixation / gaze.step))
        end_limit = _end_limits(rate, onset, near, limit)
        offset = walk.on(end, np.maximum(end_limit, ENDED * peak))
        onset, offset, end_limit = _joined(onset, offset, end_limit)
        keep = long_enough(gaze.t[onset], gaze.t[offset], min_saccade)
        onset, offset, end_limit = onset[keep], offset[keep], end_limit[keep]
        ring = walk.ring(offset, end_limit, round(max_pso / gaze.step), np.append(onset[1:], len(rate)))
        _paint(labels, offset + 1, ring, Kind.PSO)
        _paint(labels, onset, offset, Kind.SACCADE)
    onset, offset = runs_in(labels, first)
    kind = labels[onset]
    short = (kind == Kind.FIXATION) & ~long_enough(gaze.t[onset], gaze.t[offset], min_fixation)
    keep = (kind != Kind.NONE) & ~short
    return Events.of_samples(gaze, onset[keep], offset[keep], kind[keep])


def thresholds(rate: FloatArray, lowest: float = 0.0) -> Thresholds:
    """Thresholds from the speeds below them: mean and six standard deviations, until they fall by less than 1 deg/s.

    Args:
        rate: float64 [n], degrees per second; NaN where not known.
        lowest: The peak threshold is not lower.
    """
    known = np.sort(rate[np.isfinite(rate)])
    peak, mean, sd = max(FIRST_THRESHOLD, lowest), 0.0, 0.0
    while count := int(np.searchsorted(known, peak)):
        below = known[:count]
        mean, sd = float(below.mean()), float(below.std())
        before, peak = peak, max(min(mean + 6 * sd, peak), lowest)
        if before - peak < 1:
            break
    return Thresholds(peak, max(mean + 3 * sd, lowest / 2))


class _Walk:
    """Speeds of a recording, and the samples at which a walk along them stops."""

    def __init__(self, rate: FloatArray, first: LongArray, last: LongArray) -> None:
        self.rate, self.first, self.last = rate, first, last
        self.edge_before, self.edge_after = np.zeros(len(rate), dtype=bool), np.zeros(len(rate), dtype=bool)
        self.edge_before[first], self.edge_after[last] = True, True
        self.stop = (np.diff(rate, append=np.nan) >= 0) | self.edge_after

    def peaks(self, limit: float, near: float) -> tuple[LongArray, LongArray, FloatArray]:
        """Runs of samples faster than the limit, and their peaks; without those that are the echo of the one before."""
        fast = self.rate > limit
        onset, offset = runs_in(fast.astype(np.int64), self.first)
        onset, offset = onset[fast[onset]], offset[fast[onset]]
        if not len(onset):
            return onset, offset, np.empty(0)
        places = np.stack([onset, offset + 1], axis=1).ravel()
        peak = np.maximum.reduceat(np.append(self.rate, 0.0), places)[::2]
        echo = (onset[1:] - offset[:-1] <= near) & (peak[1:] < ECHO * peak[:-1])
        saccade = np.concatenate(([True], ~echo))
        return onset[saccade], offset[saccade], peak[saccade]

    def back(self, start: LongArray, limit: float) -> LongArray:
        """The last sample before each start that is slower than the limit, or the gap's edge."""
        places = np.flatnonzero(self.edge_before | (self.rate < limit))
        return places[np.searchsorted(places, start, side="right") - 1]

    def on(self, start: LongArray, limit: FloatArray) -> LongArray:
        """The first sample from each start on that is slower than its limit, before no fall, or the gap's edge."""
        places = np.flatnonzero(self.stop)
        at = np.searchsorted(places, start)
        while True:
            found = places[at]
            going = ~self.edge_after[found] & ~(self.rate[found] < limit)
            if not going.any():
                return found
            at = at + going

    def ring(self, offset: LongArray, limit: FloatArray, reach: int, before: LongArray) -> LongArray:
        """Last sample of the oscillation after each saccade; the saccade's own where there is none."""
        edge = self.last[np.searchsorted(self.last, offset)]
        ahead = offset[:, None] + np.arange(1, reach + 1)
        inside = ahead <= np.minimum(edge, before - 1)[:, None]
        fast = inside & (self.rate[np.minimum(ahead, len(self.rate) - 1)] > limit[:, None])
        some = fast.any(axis=1)
        out = offset.copy()
        if some.any():
            latest = reach - np.argmax(fast[some, ::-1], axis=1)
            out[some] = np.minimum(self.on(offset[some] + latest, limit[some]), before[some] - 1)
        return out


def _end_limits(rate: FloatArray, onset: LongArray, near: int, limit: Thresholds) -> FloatArray:
    """Where each saccade ends: the onset threshold, mixed with the noise just before the saccade."""
    known = np.isfinite(rate)
    filled = np.where(known, rate, 0.0)
    sums = [np.concatenate(([0.0], np.cumsum(values))) for values in (known, filled, filled**2)]
    since = np.maximum(onset - near, 0)
    count, total, square = (one[onset] - one[since] for one in sums)
    mean = total / np.maximum(count, 1)
    sd = np.sqrt(np.maximum(square / np.maximum(count, 1) - mean**2, 0))
    local = mean + 3 * sd
    mixed = (1 - LOCAL_NOISE) * limit.onset + LOCAL_NOISE * local
    return np.where((count >= near / 2) & (local < limit.peak), mixed, limit.onset)


def _joined(onset: LongArray, offset: LongArray, limit: FloatArray) -> tuple[LongArray, LongArray, FloatArray]:
    """Saccades that overlap, as one."""
    furthest = np.maximum.accumulate(offset)
    new = np.concatenate(([True], onset[1:] > furthest[:-1]))
    final = np.concatenate((new[1:], [True]))
    return onset[new], furthest[final], limit[final]


def _paint(labels: LongArray, first: LongArray, last: LongArray, kind: Kind) -> None:
    change = np.zeros(len(labels) + 1, dtype=np.int64)
    np.add.at(change, first, 1)
    np.subtract.at(change, last + 1, 1)
    labels[np.cumsum(change[:-1]) > 0] = kind
