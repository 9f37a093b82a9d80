"""Estimates with intervals: Student's t for means, Wilson's for proportions."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError

__all__ = ["Interval", "checked_level", "finite_numbers", "standard_error", "t_interval", "wilson"]


@dataclass(frozen=True)
class Interval:
    """An estimate with the interval that holds the true value at the given level of confidence.

    `str(interval)` reads "0.731 [0.712, 0.749]", and f"{interval:.1f}" formats the three numbers.
    """

    estimate: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        largest = max(abs(self.estimate), abs(self.low), abs(self.high))
        return format(self, ".3f" if largest >= 0.01 or largest == 0 else ".2g")

    def __format__(self, spec: str) -> str:
        if not spec:
            return str(self)
        return f"{self.estimate:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def width(self) -> float:
        """Length of the interval."""
        return self.high - self.low


def t_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Student's t interval for the mean of independent values, such as one result a seed.

    Args:
        values: [n], at least two, finite.
        level: Confidence.

    Raises:
        ArgumentError: There are fewer than two values, one is not finite, or `level` is not between 0 and 1.
    """
    from scipy.special import stdtrit

    numbers = finite_numbers(values, "values", at_least=2)
    mean = float(numbers.mean())
    reach = float(stdtrit(len(numbers) - 1, 0.5 + checked_level(level) / 2)) * standard_error(numbers)
    return Interval(mean, mean - reach, mean + reach, level)


def wilson(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval for a proportion, such as how often an interval covered the truth.

    Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 1927.

    Raises:
        ArgumentError: `successes` is not between 0 and `n`, or `n` is not positive.
    """
    from scipy.special import ndtri

    if n < 1 or not 0 <= successes <= n:
        raise ArgumentError(f"{successes} successes in {n}; expected 0 to n successes in at least 1")
    z = float(ndtri(0.5 + checked_level(level) / 2))
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At 0 and n one end is exactly the share, which rounding would miss.
    low = 0.0 if successes == 0 else centre - reach
    high = 1.0 if successes == n else centre + reach
    return Interval(share, low, high, level)


def standard_error(values: NDArray[np.float64]) -> float:
    """Standard error of the mean of `values` [n]; exactly 0 if they are all equal."""
    # The deviation of equal numbers can come out as rounding noise, which would pass for information.
    return 0.0 if (values == values[0]).all() else float(values.std(ddof=1)) / math.sqrt(len(values))


def finite_numbers(values: ArrayLike, name: str, *, at_least: int) -> NDArray[np.float64]:
    """Check an argument that is a list of numbers, [n].

    Raises:
        ArgumentError: It is of another shape, shorter than `at_least`, or has a value that is not finite.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) < at_least or not np.isfinite(numbers).all():
        raise ArgumentError(f"{name} has shape {numbers.shape}; expected at least {at_least} finite numbers [n]")
    return numbers


def checked_level(level: float) -> float:
    """Check a level of confidence.

    Raises:
        ArgumentError: It is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise ArgumentError(f"level={level}; expected a confidence between 0 and 1")
    return level
