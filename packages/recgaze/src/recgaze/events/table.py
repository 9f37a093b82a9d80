"""Events of a recording: fixations, saccades and the like, one a row."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.gaze import Gaze

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Events", "Kind", "long_enough", "runs", "runs_in"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]

_COLUMNS = ("onset", "offset", "start", "end", "kind", "x", "y")


class Kind(IntEnum):
    """Kinds of events, numbered as the hand-coded recordings of Andersson et al. (2017) are."""

    NONE = 0
    FIXATION = 1
    SACCADE = 2
    PSO = 3
    PURSUIT = 4
    BLINK = 5
    UNDEFINED = 6

    @property
    def label(self) -> str:
        """The name in tables: `fixation`, `saccade`, `pso` and so on."""
        return self.name.lower()


@dataclass(frozen=True, eq=False)
class Events:
    """Events in the order of time, none of which overlap.

    Durations run from the first sample to the last, as in pymovements: an event of one sample lasts 0 s.

    Attributes:
        onset: int64 [n], first sample.
        offset: int64 [n], last sample.
        start: float64 [n], seconds, time of the first sample.
        end: float64 [n], seconds, time of the last sample.
        kind: int8 [n], a `Kind`.
        x: float64 [n], mean position of the samples that were not lost, in the units of the gaze; NaN if all were.
        y: float64 [n].
        per_degree: How much of x and y one degree of visual angle is; NaN: not known.

    Raises:
        ArgumentError: Arrays of different lengths, events out of order, or that overlap.
    """

    onset: LongArray
    offset: LongArray
    start: FloatArray
    end: FloatArray
    kind: NDArray[np.int8]
    x: FloatArray
    y: FloatArray
    per_degree: float = float("nan")

    def __post_init__(self) -> None:
        for name in _COLUMNS:
            dtype = {"onset": np.int64, "offset": np.int64, "kind": np.int8}.get(name, np.float64)
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))
        shapes = {getattr(self, name).shape for name in _COLUMNS}
        if len(shapes) != 1 or self.onset.ndim != 1:
            raise ArgumentError(f"events have arrays of shapes {sorted(shapes)}; expected one length for all")
        bad = self.onset > self.offset
        bad[1:] |= self.onset[1:] <= self.offset[:-1]
        if bad.any() or (self.onset[:1] < 0).any():
            first = int(np.flatnonzero(bad)[0]) if bad.any() else 0
            raise ArgumentError(
                f"event {first} has samples {self.onset[first]} to {self.offset[first]}; expected a first sample after "
                "the event before, and a last one that is not earlier"
            )

    @classmethod
    def of_samples(cls, gaze: Gaze, onset: ArrayLike, offset: ArrayLike, kind: ArrayLike) -> "Events":
        """Events by their samples.

        Args:
            gaze: The recording.
            onset: int [n], first sample of each, ascending.
            offset: int [n], last sample of each.
            kind: A `Kind` of all, or int [n].

        Raises:
            ArgumentError: As `Events`; or a sample that the recording does not have.
        """
        first, last = np.asarray(onset, dtype=np.int64), np.asarray(offset, dtype=np.int64)
        if len(last) and (last.max() >= len(gaze) or first.min() < 0):
            raise ArgumentError(f"events have samples {first.min()} to {last.max()}; expected 0 to {len(gaze) - 1}")
        centre = (_means(gaze.x, gaze.lost, first, last), _means(gaze.y, gaze.lost, first, last))
        kinds = np.broadcast_to(np.asarray(kind, dtype=np.int8), first.shape)
        known = gaze.unit == "deg" or (gaze.screen is not None and gaze.screen.has_degrees)
        scale = gaze.per_degree if known else float("nan")
        return cls(first, last, gaze.t[first], gaze.t[last], kinds, *centre, scale)

    @classmethod
    def of_labels(cls, gaze: Gaze, labels: ArrayLike) -> "Events":
        """Events from a label for each sample: a run of one label is one event, `Kind.NONE` is none.

        Args:
            gaze: The recording.
            labels: int [n_samples], numbers of a `Kind`.

        Raises:
            ArgumentError: Not one label for each sample.
        """
        codes = np.asarray(labels, dtype=np.int64)
        if codes.shape != gaze.t.shape:
            raise ArgumentError(f"labels have shape {codes.shape}; expected one for each of {len(gaze)} samples")
        onset, offset = runs(codes)
        some = codes[onset] != Kind.NONE
        return cls.of_samples(gaze, onset[some], offset[some], codes[onset[some]])

    def __len__(self) -> int:
        return len(self.onset)

    def __repr__(self) -> str:
        counts = np.bincount(self.kind, minlength=len(Kind))
        words = ", ".join(f"{counts[kind]:,} {kind.label}" for kind in Kind if counts[kind])
        return f"Events({words or 'none'})"

    @property
    def duration(self) -> FloatArray:
        """float64 [n], seconds from the first sample to the last."""
        return self.end - self.start

    def of(self, kind: Kind | Sequence[Kind]) -> "Events":
        """The events of a kind, or of several."""
        return self.where(np.isin(self.kind, kind))

    def where(self, keep: ArrayLike) -> "Events":
        """Some of the events: those of a mask [n], or by their numbers in ascending order."""
        chosen = np.asarray(keep)
        return replace(self, **{name: getattr(self, name)[chosen] for name in _COLUMNS})

    def at_least(self, seconds: float, kind: Kind = Kind.FIXATION) -> "Events":
        """Without the events of a kind that are shorter than so many seconds."""
        return self.where((self.kind != kind) | long_enough(self.start, self.end, seconds))

    def labels(self, n: int) -> NDArray[np.int8]:
        """A label for each sample.

        Args:
            n: Number of samples of the recording.

        Returns:
            int8 [n], `Kind.NONE` outside of events.

        Raises:
            ArgumentError: There are events after the last sample.
        """
        if len(self) and self.offset[-1] >= n:
            raise ArgumentError(f"n={n}; expected more than {self.offset[-1]}, the last sample of the last event")
        # +kind where an event begins, -kind behind it.
        change = np.zeros(n + 1, dtype=np.int64)
        np.add.at(change, self.onset, self.kind)
        np.subtract.at(change, self.offset + 1, self.kind)
        return np.cumsum(change[:n]).astype(np.int8)

    def merge_fixations(self, max_gap: float = 0.075, max_angle: float = 0.5) -> "Events":
        """Join fixations that follow each other closely in time and place, as Tobii's I-VT filter does.

        Each fixation is compared with the one before it, as detected; what lies between two that are joined (a saccade
        that noise made up, a blink) is dropped.

        Args:
            max_gap: Joined if the time between the last sample of one and the first of the next is less, seconds.
            max_angle: Joined if their centres are less apart, degrees.

        Raises:
            ArgumentError: A limit is negative, or the size of a degree is not known.
        """
        if not (max_gap >= 0 and max_angle >= 0):
            raise ArgumentError(f"max_gap={max_gap!r} and max_angle={max_angle!r}; expected seconds and degrees >= 0")
        if not np.isfinite(self.per_degree):
            raise ArgumentError(
                "the events do not know degrees of visual angle; expected events of gaze with a Screen, or in degrees"
            )
        number = np.flatnonzero(self.kind == Kind.FIXATION)
        if len(number) < 2:
            return self
        before, after = number[:-1], number[1:]
        apart = np.hypot(self.x[after] - self.x[before], self.y[after] - self.y[before]) / self.per_degree
        joined = (self.start[after] - self.end[before] < max_gap) & (apart < max_angle)
        head = number[np.concatenate(([True], ~joined))]
        tail = number[np.concatenate((~joined, [True]))]
        weight = (self.offset - self.onset + 1)[number].astype(np.float64)
        group = np.searchsorted(number, head)
        total = np.add.reduceat(weight, group)
        out = {name: getattr(self, name).copy() for name in ("offset", "end", "x", "y")}
        out["offset"][head], out["end"][head] = self.offset[tail], self.end[tail]
        for name in ("x", "y"):
            out[name][head] = np.add.reduceat(weight * getattr(self, name)[number], group) / total
        # Kept: what is a head, and what lies outside of every joined fixation.
        inside = np.zeros(len(self) + 1, dtype=np.int64)
        inside[head + 1] += 1
        np.subtract.at(inside, tail + 1, 1)
        keep = np.cumsum(inside[: len(self)]) <= 0
        return replace(self.where(keep), **{name: values[keep] for name, values in out.items()})

    def to_frame(self) -> "pd.DataFrame":
        """A row an event: `kind, onset, offset, start, end, duration, x, y`, the kind in words."""
        import pandas as pd

        return pd.DataFrame(
            {
                "kind": np.array([kind.label for kind in Kind])[self.kind],
                "onset": self.onset,
                "offset": self.offset,
                "start": self.start,
                "end": self.end,
                "duration": self.duration,
                "x": self.x,
                "y": self.y,
            }
        )


def runs(values: NDArray[np.integer]) -> tuple[LongArray, LongArray]:
    """First and last place of each run of equal values, int64 [n_runs] each."""
    if not len(values):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    edge = np.flatnonzero(values[1:] != values[:-1])
    return np.concatenate(([0], edge + 1)), np.concatenate((edge, [len(values) - 1]))


def runs_in(codes: NDArray[np.integer], first: LongArray) -> tuple[LongArray, LongArray]:
    """As `runs`, of codes from 0 on, broken before each of the samples `first`."""
    part = np.zeros(len(codes), dtype=np.int64)
    part[first] = int(codes.max(initial=0)) + 1
    return runs(np.cumsum(part) + codes)


def long_enough(start: FloatArray, end: FloatArray, seconds: ArrayLike) -> NDArray[np.bool_]:
    """Whether spans last so many seconds, a rounding error of the times forgiven."""
    # Times are multiples of a step that is no binary fraction: 0.1 s may come out as 0.0999999.
    return np.asarray(end - start >= np.asarray(seconds) - 1e-9 - 2 * np.spacing(np.abs(end)))


def _means(values: FloatArray, lost: NDArray[np.bool_], first: LongArray, last: LongArray) -> FloatArray:
    """Means of the samples first..last of each event, without the lost ones."""
    if not len(first):
        return np.empty(0)
    # A zero behind the last sample: `reduceat` sums from each place to the next, every second sum is an event's.
    places = np.stack([first, last + 1], axis=1).ravel()
    total = np.add.reduceat(np.append(np.where(lost, 0.0, values), 0.0), places)[::2]
    count = np.add.reduceat(np.append(~lost, False).astype(np.float64), places)[::2]
    return np.asarray(np.divide(total, count, out=np.full(len(first), np.nan), where=count > 0))
