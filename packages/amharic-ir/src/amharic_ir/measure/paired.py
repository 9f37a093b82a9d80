"""Differences between two systems on the same queries, and whether they are more than chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from irworks.stats import Interval, bootstrap, holm, paired_test

__all__ = ["Difference", "Test", "checked_test", "differences"]

Floats = NDArray[np.float64]
Test = Literal["permutation", "t"]
_PERMUTATIONS = 10_000


@dataclass(frozen=True)
class Difference:
    """One system against another by one measure.

    Attributes:
        against: The other system.
        difference: Mean over queries of this minus the other, with its 95% bootstrap interval, which is not corrected
            for the number of comparisons.
        p_value: Two-sided, of this comparison alone.
        p_adjusted: By Holm's method, for all comparisons by this measure on this collection.
        better: Queries on which this system is above the other.
        equal: On which they are equal.
        worse: On which it is below.
    """

    against: str
    difference: Interval
    p_value: float
    p_adjusted: float
    better: int
    equal: int
    worse: int


def checked_test(test: str) -> Test:
    """The name of a test.

    Raises:
        ArgumentError: There is no such test here.
    """
    for known in get_args(Test):
        if test == known:
            found: Test = known
            return found
    raise ArgumentError(f"test={test!r}; expected one of: {', '.join(get_args(Test))}")


def differences(values: Mapping[str, Floats], against: str, test: Test) -> dict[str, Difference]:
    """Compare systems with one of them.

    Args:
        values: Name to values [n_queries], on the same queries.
        against: The one that the others are compared with.
        test: "permutation": random signs of the differences, 10,000 of them (Smucker et al. 2007, CIKM), all of them
            where no more than 14 queries differ; "t": Student's paired test, as in the paper.
    """
    other = values[against]
    names = [name for name in values if name != against]
    p_values = [_p_value(values[name], other, test) for name in names]
    adjusted = holm(p_values).tolist()
    found = {}
    for name, p_value, p_adjusted in zip(names, p_values, adjusted, strict=True):
        gain = values[name] - other
        interval = bootstrap(gain, rng=np.random.default_rng(0))
        counts = (int((gain > 0).sum()), int((gain == 0).sum()), int((gain < 0).sum()))
        found[name] = Difference(against, interval, p_value, p_adjusted, *counts)
    return found


def _p_value(a: Floats, b: Floats, test: Test) -> float:
    if test == "t":
        return paired_test(a, b, "t").p_value
    # Signs of differences that are 0 change nothing; and a single one that is not is as large with either sign.
    differ = a != b
    if differ.sum() < 2:
        return 1.0
    rng = np.random.default_rng(0)
    return paired_test(a[differ], b[differ], "permutation", n_permutations=_PERMUTATIONS, rng=rng).p_value
