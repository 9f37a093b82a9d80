"""Raw gaze: where the eye was at each sample, and the screen that turns pixels into degrees of visual angle."""

from dataclasses import dataclass
from functools import cached_property
from math import atan2, degrees, isfinite
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError

__all__ = ["Gaze", "GazeWarning", "Screen", "Unit"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Unit = Literal["px", "deg"]

# No eye tracker is slower than 4 Hz: longer steps between samples are milliseconds or microseconds taken for seconds.
SLOWEST_STEP = 0.25
# And none is faster than 20,000 Hz: shorter steps are seconds taken for milliseconds or microseconds.
FASTEST_STEP = 1 / 20_000


class GazeWarning(UserWarning):
    """Positions of a recording that can be read but hardly mean what they are taken for."""


@dataclass(frozen=True)
class Screen:
    """A screen and how far the eyes are from it.

    Attributes:
        width_px: Pixels across.
        height_px: Pixels down.
        width_cm: Width of the picture in centimetres; None: not known, then there are no degrees.
        height_cm: Height of the picture in centimetres; None: not known. Nothing is computed from it.
        distance_cm: From the eyes to the screen's centre, in centimetres; None: not known.

    Raises:
        ArgumentError: A size or the distance is not positive and finite.
    """

    width_px: float
    height_px: float
    width_cm: float | None = None
    height_cm: float | None = None
    distance_cm: float | None = None

    def __post_init__(self) -> None:
        for name in ("width_px", "height_px", "width_cm", "height_cm", "distance_cm"):
            value = getattr(self, name)
            if value is None and name.endswith("_cm"):
                continue
            if value is None or not isfinite(value) or value <= 0:
                raise ArgumentError(f"{name}={value!r}; expected a positive number")

    @property
    def has_degrees(self) -> bool:
        """Whether the width in centimetres and the distance are known."""
        return self.width_cm is not None and self.distance_cm is not None

    @property
    def px2deg(self) -> float:
        """Degrees of visual angle of one pixel: `deg(atan2(width / 2, distance)) / (width_px / 2)`.

        The mean over half the width, as in REMoDNaV (Dar, Wagner and Hanke 2021); a pixel at the centre spans a little
        more, one at the edge less.

        Raises:
            ArgumentError: The width in centimetres or the distance is not known.
        """
        if self.width_cm is None or self.distance_cm is None:
            raise ArgumentError(
                f"width_cm={self.width_cm!r} and distance_cm={self.distance_cm!r}; expected both, since degrees of "
                "visual angle depend on them. Give a Screen with both, or gaze in degrees"
            )
        return degrees(atan2(self.width_cm / 2, self.distance_cm)) / (self.width_px / 2)

    @property
    def px_per_degree(self) -> float:
        """Pixels of one degree of visual angle: the inverse of `px2deg`.

        Raises:
            ArgumentError: As `px2deg`.
        """
        return 1 / self.px2deg


@dataclass(frozen=True, eq=False)
class Gaze:
    """One recording of one eye, or of both averaged. Sampling rates and steps of time may be any.

    Attributes:
        t: float64 [n], seconds, strictly ascending.
        x: float64 [n], to the right; NaN where the eye was lost.
        y: float64 [n], downwards; NaN where the eye was lost.
        screen: The screen; None where it is not known.
        unit: Of x and y: "px" pixels, "deg" degrees of visual angle.

    Raises:
        ArgumentError: Arrays of different lengths; times that are not finite, not ascending (with the sample), or in
            milliseconds or microseconds by their steps; infinite positions; an unknown unit.
    """

    t: FloatArray
    x: FloatArray
    y: FloatArray
    screen: Screen | None = None
    unit: Unit = "px"

    def __post_init__(self) -> None:
        for name in ("t", "x", "y"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        shapes = (self.t.shape, self.x.shape, self.y.shape)
        if self.t.ndim != 1 or len(set(shapes)) != 1:
            raise ArgumentError(f"t, x and y have shapes {shapes[0]}, {shapes[1]} and {shapes[2]}; expected one [n]")
        if self.unit not in ("px", "deg"):
            raise ArgumentError(f'unit={self.unit!r}; expected "px" or "deg"')
        self._check_times()
        for name in ("x", "y"):
            infinite = np.isinf(getattr(self, name))
            if infinite.any():
                raise ArgumentError(f"{name} is infinite at sample {_first(infinite)}; expected NaN where lost")

    def _check_times(self) -> None:
        bad = ~np.isfinite(self.t)
        if bad.any():
            raise ArgumentError(f"t is {self.t[_first(bad)]} at sample {_first(bad)}; expected seconds")
        steps = np.diff(self.t)
        if not len(steps):
            return
        if (steps <= 0).any():
            sample = _first(steps <= 0) + 1
            how = "the time of the sample before again" if steps[sample - 1] == 0 else "before the sample before"
            raise ArgumentError(
                f"t is {self.t[sample]:.6f} at sample {sample}, {how}; expected strictly ascending times: sort the "
                "samples and keep one of each time"
            )
        step = float(np.median(steps))
        if step > SLOWEST_STEP:
            unit, factor = ("microseconds", "1e6") if step > 1000 * SLOWEST_STEP else ("milliseconds", "1e3")
            raise ArgumentError(
                f"t has a median step of {step:g} s; expected at most {SLOWEST_STEP:g} s: these look like {unit}, "
                f"divide t by {factor}"
            )
        if step < FASTEST_STEP:
            raise ArgumentError(
                f"t has a median step of {step:g} s; expected at least {FASTEST_STEP:g} s: no tracker is that fast, so "
                "these were seconds, or milliseconds, before they were divided"
            )

    @classmethod
    def at_rate(
        cls, rate: float, x: ArrayLike, y: ArrayLike, *, screen: Screen | None = None, unit: Unit = "px"
    ) -> "Gaze":
        """Gaze whose samples carry no times but a sampling rate.

        Args:
            rate: Samples per second.
            x: float [n], as the attribute.
            y: float [n], as the attribute.
            screen: As the attribute.
            unit: As the attribute.

        Raises:
            ArgumentError: The rate is not positive; else as `Gaze`.
        """
        if not (isfinite(rate) and rate > 0):
            raise ArgumentError(f"rate={rate!r}; expected samples per second, more than 0")
        across = np.asarray(x, dtype=np.float64)
        return cls(np.arange(len(across)) / rate, across, np.asarray(y, dtype=np.float64), screen, unit)

    def __len__(self) -> int:
        return len(self.t)

    def __repr__(self) -> str:
        rate = f"{self.sampling_rate:.4g} Hz" if len(self) > 1 else "no rate"
        return f"Gaze({len(self):,} samples at {rate}, {self.lost.sum():,} lost)"

    @cached_property
    def step(self) -> float:
        """Median seconds between samples; NaN with fewer than two."""
        return float(np.median(np.diff(self.t))) if len(self) > 1 else float("nan")

    @property
    def sampling_rate(self) -> float:
        """Samples per second: the inverse of the median step; NaN with fewer than two samples."""
        return 1 / self.step

    @cached_property
    def lost(self) -> BoolArray:
        """Bool [n], where x or y is NaN."""
        return np.isnan(self.x) | np.isnan(self.y)

    @property
    def per_degree(self) -> float:
        """How much of x and y one degree of visual angle is.

        Raises:
            ArgumentError: In pixels without a screen, or with one that lacks width or distance.
        """
        if self.unit == "deg":
            return 1.0
        if self.screen is None:
            raise ArgumentError(
                "gaze in pixels has no screen; expected one with width_cm and distance_cm, since thresholds are in "
                'degrees of visual angle. Give screen=Screen(...), or positions in degrees with unit="deg"'
            )
        return self.screen.px_per_degree

    def segments(self, max_gap: float | None = None) -> tuple[LongArray, LongArray]:
        """The stretches without a gap. A gap is a lost sample, or a step of time that is too long.

        Args:
            max_gap: Longest step inside a stretch, seconds. Default: two and a half median steps, so that jittered
                times and single dropped samples are no gap.

        Returns:
            First and last sample of each stretch, int64 [n_segments] each.

        Raises:
            ArgumentError: max_gap is not positive.
        """
        if max_gap is not None and not max_gap > 0:
            raise ArgumentError(f"max_gap={max_gap!r}; expected seconds, more than 0")
        seen = ~self.lost
        if not len(self):
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        jump = np.diff(self.t) > (2.5 * self.step if max_gap is None else max_gap)
        starts = seen & np.concatenate(([True], self.lost[:-1] | jump))
        ends = seen & np.concatenate((self.lost[1:] | jump, [True]))
        return np.flatnonzero(starts), np.flatnonzero(ends)


def _first(mask: BoolArray) -> int:
    return int(np.flatnonzero(mask)[0])
