"""Tests of paired values, and Holm's correction where there are several."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from irworks.stats.intervals import Interval, finite_numbers, standard_error, t_interval
from irworks.stats.resampling import batches

__all__ = ["Comparison", "Method", "TestResult", "compare_many", "holm", "paired_test"]

Floats = NDArray[np.float64]
Method = Literal["t", "permutation", "wilcoxon"]

# Up to here all 2^n sign flips are tried; beyond, random ones.
_EXACT_PAIRS = 14


@dataclass(frozen=True)
class TestResult:
    """What a paired test found.

    Attributes:
        difference: Mean of a - b, with its t interval whatever the test.
        p_value: Two-sided.
        n: Number of pairs.
    """

    # The name begins with "Test" for the reader; pytest should not collect it.
    __test__ = False

    difference: Interval
    p_value: float
    n: int


@dataclass(frozen=True)
class Comparison:
    """One of several comparisons with the same baseline.

    Attributes:
        name: What was compared.
        difference: Its mean minus the baseline's, with the (uncorrected) interval.
        p_value: Two-sided, of this comparison alone.
        p_adjusted: Corrected for the number of comparisons, by Holm's method.
        n: Number of pairs.
    """

    name: str
    difference: Interval
    p_value: float
    p_adjusted: float
    n: int


def paired_test(
    a: ArrayLike,
    b: ArrayLike,
    method: Method = "t",
    *,
    level: float = 0.95,
    n_permutations: int = 10_000,
    rng: np.random.Generator | None = None,
) -> TestResult:
    """Test whether paired values differ: the same queries under two systems, the same seeds under two methods.

    Args:
        a: [n], finite.
        b: [n], finite; the difference is a - b.
        method: "t" for Student's test; "permutation" for random signs of the differences (all 2^n up to n = 14);
            "wilcoxon" for the signed-rank test.
        level: Confidence of the interval.
        n_permutations: How many random signs, where not all are tried.
        rng: Their source; needed by "permutation" for more than 14 pairs.

    Raises:
        ArgumentError: The lengths differ, there are fewer than two pairs, a value is not finite, or `rng` is missing.
    """
    left, right = finite_numbers(a, "a", at_least=2), finite_numbers(b, "b", at_least=2)
    if len(left) != len(right):
        raise ArgumentError(f"a has {len(left)} values and b {len(right)}; expected pairs")
    if method not in get_args(Method):
        raise ArgumentError(f"method={method!r}; expected one of {', '.join(get_args(Method))}")
    difference = left - right
    if not difference.any():
        p_value = 1.0
    elif method == "t":
        p_value = _t_p_value(difference)
    elif method == "permutation":
        p_value = _sign_flip_p_value(difference, n_permutations, rng)
    else:
        from scipy.stats import wilcoxon

        p_value = float(wilcoxon(difference).pvalue)
    return TestResult(t_interval(difference, level), p_value, len(difference))


def holm(p_values: ArrayLike) -> Floats:
    """Adjust p-values for their number, controlling the chance of any false finding.

    Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 1979.

    Args:
        p_values: [m], each from 0 to 1.

    Returns:
        float64 [m], in the same order.

    Raises:
        ArgumentError: A p-value is out of range.
    """
    given = np.asarray(p_values, dtype=np.float64)
    if given.ndim != 1 or not ((given >= 0) & (given <= 1)).all():
        raise ArgumentError(f"p_values={given.tolist()}; expected a list of numbers from 0 to 1")
    order = np.argsort(given)
    steps = given[order] * np.arange(len(given), 0, -1)
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def compare_many(
    baseline: ArrayLike,
    others: Mapping[str, ArrayLike],
    method: Method = "t",
    *,
    level: float = 0.95,
    n_permutations: int = 10_000,
    rng: np.random.Generator | None = None,
) -> list[Comparison]:
    """Compare several systems with one baseline on the same replicates, with Holm's correction.

    `pandas.DataFrame(compare_many(...))` makes a table of it.

    Args:
        baseline: [n].
        others: Name to values [n], paired with the baseline's.
        method: As in `paired_test`, like the rest.
        level: Confidence of the intervals.
        n_permutations: How many random signs.
        rng: Their source.

    Returns:
        One comparison for each of `others`, in their order.

    Raises:
        ArgumentError: As `paired_test`.
    """
    tests = {
        name: paired_test(values, baseline, method, level=level, n_permutations=n_permutations, rng=rng)
        for name, values in others.items()
    }
    adjusted = holm([test.p_value for test in tests.values()]).tolist()
    return [
        Comparison(name, test.difference, test.p_value, p_adjusted, test.n)
        for (name, test), p_adjusted in zip(tests.items(), adjusted, strict=True)
    ]


def _t_p_value(difference: Floats) -> float:
    from scipy.special import stdtr

    error = standard_error(difference)
    return 0.0 if error == 0 else float(2 * stdtr(len(difference) - 1, -abs(difference.mean()) / error))


def _sign_flip_p_value(difference: Floats, n_permutations: int, rng: np.random.Generator | None) -> float:
    # Rounding must not make a permutation that gives the same sum look smaller than what was observed.
    observed = abs(difference.sum()) - 1e-12 * np.abs(difference).sum()
    if len(difference) <= _EXACT_PAIRS:
        sums = np.zeros(1)
        for value in difference:
            sums = np.concatenate([sums + value, sums - value])
        return float((np.abs(sums) >= observed).mean())
    if rng is None or n_permutations < 1:
        raise ArgumentError(f"a permutation test of {len(difference)} pairs needs rng and n_permutations of at least 1")
    extreme = 0
    for size in batches(n_permutations, len(difference)):
        signs = rng.integers(2, size=(size, len(difference)), dtype=np.int8) * 2.0 - 1
        extreme += int((np.abs(signs @ difference) >= observed).sum())
    # What was observed is one of the possible arrangements; without it a p-value could be 0.
    return (extreme + 1) / (n_permutations + 1)
