"""Numbers with the interval that drawing users again gives them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from irworks.stats import Interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Axis", "Estimate", "positions"]

FloatArray = NDArray[np.float64]
Axis = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class Estimate:
    """A number, or an array of them, with percentile intervals of the bootstrap over users.

    Attributes:
        value: float64 [...], NaN where there was nothing to measure.
        low: float64, as `value`; NaN with fewer than two users.
        high: float64, as `value`.
        n_users: Users that contribute.
        level: Confidence.
        axes: Name and labels of each axis of `value`.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray
    n_users: int
    level: float = 0.95
    axes: tuple[Axis, ...] = ()

    @classmethod
    def of_draws(cls, draws: FloatArray, n_users: int, level: float = 0.95, axes: tuple[Axis, ...] = ()) -> "Estimate":
        """From the value and what drawing users again made of it.

        Args:
            draws: float [1 + n_draws, ...]; the first is the value. NaN: that draw had nothing to measure.
            n_users: Users that contribute.
            level: Confidence.
            axes: Name and labels of each further axis.
        """
        value = np.asarray(draws[0], dtype=np.float64)
        tails = [0.5 - level / 2, 0.5 + level / 2]
        if n_users < 2 or len(draws) < 3:
            low = high = np.full(value.shape, np.nan)
        else:
            low, high = _quantiles(draws[1:].reshape(len(draws) - 1, -1), tails).reshape(2, *value.shape)
        gone = np.isnan(value)
        return cls(value, np.where(gone, np.nan, low), np.where(gone, np.nan, high), n_users, level, axes)

    def __post_init__(self) -> None:
        expected = tuple(len(labels) for _, labels in self.axes)
        if self.value.shape != expected:
            raise ArgumentError(f"value has shape {self.value.shape}; expected {expected}, that of the axes")

    def __getitem__(self, index: Any) -> Interval:
        """One of the numbers, by its place: `estimate[0, 4]`."""
        return Interval(float(self.value[index]), float(self.low[index]), float(self.high[index]), self.level)

    @property
    def interval(self) -> Interval:
        """The single number as an `irworks.stats.Interval`.

        Raises:
            ArgumentError: There are several numbers.
        """
        if self.axes:
            raise ArgumentError(f"an estimate of shape {self.value.shape} is no single number; index it")
        return self[()]

    def __str__(self) -> str:
        if not self.axes:
            return str(self.interval)
        shape = " x ".join(f"{len(labels)} {name}s" for name, labels in self.axes)
        return f"{shape}, {np.nanmin(self.value):.3f} to {np.nanmax(self.value):.3f}"

    def __repr__(self) -> str:
        return f"Estimate({self}, {self.n_users:,} users)"

    def below(self, bound: float) -> bool:
        """Whether the whole interval of a single number lies below `bound`."""
        return bool(self.interval.high < bound)

    def above(self, bound: float) -> bool:
        """Whether the whole interval of a single number lies above `bound`."""
        return bool(self.interval.low > bound)

    def frame(self) -> "pd.DataFrame":
        """A row a number: a column an axis, then `value, low, high, n_users`."""
        import pandas as pd

        places = np.indices(self.value.shape).reshape(len(self.axes), self.value.size)
        columns: dict[str, Any] = {
            name: np.asarray(labels)[place] for (name, labels), place in zip(self.axes, places, strict=True)
        }
        for name in ("value", "low", "high"):
            columns[name] = getattr(self, name).ravel()
        return pd.DataFrame(columns | {"n_users": self.n_users})


def positions(name: str, n: int) -> Axis:
    """The axis of places from 1 to n."""
    return name, tuple(range(1, n + 1))


def _quantiles(draws: FloatArray, tails: list[float]) -> FloatArray:
    """[2, k] of draws [n, k], without the draws that are NaN."""
    found = np.full((2, draws.shape[1]), np.nan)
    holes = np.isnan(draws)
    whole, some = ~holes.any(axis=0), holes.any(axis=0) & ~holes.all(axis=0)
    if whole.any():
        found[:, whole] = np.quantile(draws[:, whole], tails, axis=0)
    if some.any():
        found[:, some] = np.nanquantile(draws[:, some], tails, axis=0)
    return found
