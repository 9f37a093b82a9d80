"""How well two sets of events agree: samples, matched events, durations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.events.table import Events, Kind

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Durations", "Match", "durations", "kappa", "match", "rmsd"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]


def kappa(a: ArrayLike, b: ArrayLike, event: Kind | Sequence[Kind] = Kind.FIXATION) -> float:
    """Cohen's kappa of "is this sample in such an event?", as Andersson et al. (2017) and Dar et al. (2021) use it.

    Several recordings count as one: concatenate their labels. The labels of `read_lund` may differ by some samples at
    the end between coders: drop these.

    Args:
        a: int [n], labels of one coder or detector, numbers of a `Kind`.
        b: int [n], labels of the other.
        event: The kind, or kinds that count as one.

    Returns:
        1: always alike; 0: as by chance; NaN where chance alone is always alike: both have it everywhere or nowhere.

    Raises:
        ArgumentError: Labels of different lengths, or none.
    """
    first, second = np.asarray(a), np.asarray(b)
    if first.ndim != 1 or first.shape != second.shape or not len(first):
        raise ArgumentError(
            f"labels have shapes {first.shape} and {second.shape}; expected one label from each for every sample: drop "
            "the samples at the end that only one has"
        )
    one, other = np.isin(first, event), np.isin(second, event)
    agree = float((one == other).mean())
    p, q = float(one.mean()), float(other.mean())
    chance = p * q + (1 - p) * (1 - q)
    return (agree - chance) / (1 - chance) if chance < 1 else float("nan")


@dataclass(frozen=True, eq=False)
class Match:
    """Events of a reference and of a detector that belong together.

    Attributes:
        pairs: int64 [m, 2], numbers of the reference's and of the detector's event.
        n_reference: Events of the reference.
        n_found: Events of the detector.
        onset_lag: float64 [m], seconds, how much later the detector's event begins.
        offset_lag: float64 [m], seconds, how much later it ends.
    """

    pairs: LongArray
    n_reference: int
    n_found: int
    onset_lag: FloatArray
    offset_lag: FloatArray

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def precision(self) -> float:
        """Share of the detector's events that are matched; NaN if it has none."""
        return len(self) / self.n_found if self.n_found else float("nan")

    @property
    def recall(self) -> float:
        """Share of the reference's events that are matched; NaN if it has none."""
        return len(self) / self.n_reference if self.n_reference else float("nan")

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall; NaN if neither has an event."""
        total = self.n_reference + self.n_found
        return 2 * len(self) / total if total else float("nan")

    @property
    def onset_offset(self) -> float:
        """Relative timing offset of onsets, seconds: the mean lag (Hooge et al. 2018); NaN without a pair."""
        return float(self.onset_lag.mean()) if len(self) else float("nan")

    @property
    def onset_deviation(self) -> float:
        """Relative timing deviation of onsets, seconds: the lags' standard deviation; NaN with fewer than two pairs."""
        return float(self.onset_lag.std(ddof=1)) if len(self) > 1 else float("nan")

    @property
    def offset_offset(self) -> float:
        """Relative timing offset of ends, seconds."""
        return float(self.offset_lag.mean()) if len(self) else float("nan")

    @property
    def offset_deviation(self) -> float:
        """Relative timing deviation of ends, seconds."""
        return float(self.offset_lag.std(ddof=1)) if len(self) > 1 else float("nan")

    def __repr__(self) -> str:
        return f"Match({len(self):,} pairs of {self.n_reference:,} and {self.n_found:,}, F1 {self.f1:.3f})"


def match(reference: Events, found: Events, kind: Kind = Kind.FIXATION) -> Match:
    """Pair events of a reference with those of a detector.

    Two events are a pair if each is the one that overlaps the other longest, in time; of equally long ones the earlier.
    An event is in one pair at most.

    Args:
        reference: Events of a coder, or planted ones.
        found: Events of a detector, on the same clock.
        kind: The kind that is matched.
    """
    one, other = reference.of(kind), found.of(kind)
    left, right = _overlapping(one, other)
    shared = np.minimum(one.end[left], other.end[right]) - np.maximum(one.start[left], other.start[right])
    mutual = np.isin(np.arange(len(left)), _longest(left, shared)) & np.isin(
        np.arange(len(left)), _longest(right, shared)
    )
    left, right = left[mutual], right[mutual]
    return Match(
        np.stack([left, right], axis=1),
        len(one),
        len(other),
        other.start[right] - one.start[left],
        other.end[right] - one.end[left],
    )


def _overlapping(one: Events, other: Events) -> tuple[LongArray, LongArray]:
    """All pairs of events that share a moment."""
    # Both are in the order of time, so that the partners of an event are a run.
    low = np.searchsorted(other.end, one.start, side="left")
    count = np.maximum(np.searchsorted(other.start, one.end, side="right") - low, 0)
    left = np.repeat(np.arange(len(one)), count)
    within = np.arange(len(left)) - np.repeat(np.cumsum(count) - count, count)
    return left, np.repeat(low, count) + within


def _longest(group: LongArray, shared: FloatArray) -> LongArray:
    """The place of the longest overlap of each group."""
    order = np.lexsort((np.arange(len(group)), -shared, group))
    return order[np.flatnonzero(np.diff(group[order], prepend=-1))]


@dataclass(frozen=True)
class Durations:
    """Statistics of the durations of events.

    Attributes:
        count: Number of events.
        mean: Seconds; NaN without an event.
        sd: Seconds, sample standard deviation; NaN with fewer than two.
    """

    count: int
    mean: float
    sd: float


def durations(events: Events | Sequence[Events], kind: Kind = Kind.FIXATION) -> Durations:
    """Count, mean and standard deviation of durations, over one recording or several.

    Args:
        events: Of one recording or several.
        kind: The kind that is counted.
    """
    every = [events] if isinstance(events, Events) else list(events)
    seconds = np.concatenate([np.empty(0), *(one.of(kind).duration for one in every)])
    mean = float(seconds.mean()) if len(seconds) else float("nan")
    return Durations(len(seconds), mean, float(seconds.std(ddof=1)) if len(seconds) > 1 else float("nan"))


def rmsd(detectors: Mapping[str, Durations], coders: Sequence[Durations]) -> "pd.Series[float]":
    """How far detectors are from coders in number, mean and spread of durations, in one number.

    After Andersson et al. (2017): each of the three statistics is scaled to 0..1 over detectors and coders, then the
    root of the mean square of the differences to the coders' mean is taken.

    Args:
        detectors: Statistics by name.
        coders: Statistics of at least one coder.

    Returns:
        One value for each detector, ascending: 0 is the coders' mean itself.

    Raises:
        ArgumentError: No coder, or no detector.
    """
    import pandas as pd

    if not detectors or not coders:
        raise ArgumentError(f"{len(detectors)} detectors and {len(coders)} coders; expected at least one of each")
    rows = np.array([(one.count, one.mean, one.sd) for one in (*detectors.values(), *coders)], dtype=np.float64)
    low, span = rows.min(axis=0), np.ptp(rows, axis=0)
    scaled = (rows - low) / np.where(span > 0, span, 1.0)
    away = scaled[: len(detectors)] - scaled[len(detectors) :].mean(axis=0)
    return pd.Series(np.sqrt((away**2).mean(axis=1)), index=list(detectors), name="rmsd").sort_values()
