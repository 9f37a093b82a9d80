"""Intervals, paired tests and corrections for many comparisons.

Seeds, queries, users or sessions are the replicates; pass one value of the measure for each.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError

__all__ = [
    "Comparison",
    "Interval",
    "TestResult",
    "bootstrap",
    "compare_many",
    "holm",
    "paired_test",
    "t_interval",
    "wilson",
]

Floats = NDArray[np.float64]
Method = Literal["t", "permutation", "wilcoxon"]

_DRAWN_AT_ONCE = 1 << 22
# Up to here all 2^n sign flips are tried; beyond, random ones.
_EXACT_PAIRS = 14


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


def t_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Student's t interval for the mean of independent values, such as one result a seed.

    Args:
        values: [n], at least two, finite.
        level: Confidence.

    Raises:
        ArgumentError: There are fewer than two values, one is not finite, or `level` is not between 0 and 1.
    """
    from scipy.special import stdtrit

    numbers = _numbers(values, "values", at_least=2)
    mean = float(numbers.mean())
    reach = float(stdtrit(len(numbers) - 1, 0.5 + _level(level) / 2)) * _standard_error(numbers)
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
    z = float(ndtri(0.5 + _level(level) / 2))
    share = successes / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At 0 and n one end is exactly the share, which rounding would miss.
    low = 0.0 if successes == 0 else centre - reach
    high = 1.0 if successes == n else centre + reach
    return Interval(share, low, high, level)


def bootstrap(
    values: ArrayLike,
    *,
    rng: np.random.Generator,
    groups: ArrayLike | None = None,
    statistic: Callable[..., Any] = np.mean,
    n: int = 2000,
    level: float = 0.95,
    method: Literal["percentile", "bca"] = "percentile",
) -> Interval:
    """Bootstrap interval of a statistic.

    Paired data: pass the differences, or rows [n, d] and a statistic of them. Clustered data (documents of a query,
    queries of a user): pass `groups`, and whole clusters are drawn.

    Args:
        values: [n_values] or [n_values, d], finite; rows are drawn together.
        rng: Source of the draws.
        groups: [n_values], the cluster of each row.
        statistic: As `numpy.mean`, called as `statistic(sample, axis=...)`: for an array of samples [b, n_values] or
            [b, n_values, d] with axis=1 it returns [b]. With `groups` the samples differ in length, so that it is called
            sample by sample with axis=0, save `numpy.mean` of one-dimensional values, which is fast there too.
        n: Number of bootstrap samples.
        level: Confidence.
        method: "percentile"; "bca" corrects bias and skewness (Efron, "Better Bootstrap Confidence Intervals", JASA
            1987), at the price of leaving out every row or cluster once.

    Raises:
        ArgumentError: There are fewer than two rows or clusters, a value is not finite, a shape does not fit, or an
            option is out of range.
    """
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim not in (1, 2) or len(rows) < 2 or not np.isfinite(rows).all():
        raise ArgumentError(f"values has shape {rows.shape}; expected at least 2 rows of finite numbers")
    if n < 2 or method not in ("percentile", "bca"):
        raise ArgumentError(f"n={n}, method={method!r}; expected n of at least 2, and 'percentile' or 'bca'")
    sampler = _sampler(rows, groups, statistic)
    drawn = np.concatenate([sampler.draw(size, rng) for size in _batches(n, len(rows) * rows[0].size)])
    estimate = float(statistic(rows, axis=0))
    tails = np.array([0.5 - _level(level) / 2, 0.5 + level / 2])
    if method == "bca":
        tails = _bca_tails(tails, estimate, drawn, sampler.leave_one_out())
    low, high = np.quantile(drawn, tails)
    return Interval(estimate, float(low), float(high), level)


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
    left, right = _numbers(a, "a", at_least=2), _numbers(b, "b", at_least=2)
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


@dataclass(frozen=True)
class _RowSampler:
    rows: Floats
    statistic: Callable[..., Any]

    def draw(self, size: int, rng: np.random.Generator) -> Floats:
        chosen = rng.integers(len(self.rows), size=(size, len(self.rows)))
        return self._of(self.rows[chosen])

    def leave_one_out(self) -> Floats:
        n = len(self.rows)
        parts = []
        start = 0
        for size in _batches(n, self.rows.size):
            left_out = np.arange(start, start + size)[:, None]
            others = np.arange(n - 1)[None, :]
            parts.append(self._of(self.rows[others + (others >= left_out)]))
            start += size
        return np.concatenate(parts)

    def _of(self, samples: Floats) -> Floats:
        found = np.asarray(self.statistic(samples, axis=1), dtype=np.float64)
        if found.shape != (len(samples),):
            raise ArgumentError(
                f"statistic turned samples of shape {samples.shape} into shape {found.shape}; "
                f"expected ({len(samples)},), one number a sample"
            )
        return found


@dataclass(frozen=True)
class _ClusterMeanSampler:
    """The mean of all rows of the drawn clusters, from the sums and sizes of the clusters."""

    sums: Floats
    sizes: Floats

    def draw(self, size: int, rng: np.random.Generator) -> Floats:
        chosen = rng.integers(len(self.sums), size=(size, len(self.sums)))
        means: Floats = self.sums[chosen].sum(axis=1) / self.sizes[chosen].sum(axis=1)
        return means

    def leave_one_out(self) -> Floats:
        return (self.sums.sum() - self.sums) / (self.sizes.sum() - self.sizes)


@dataclass(frozen=True)
class _ClusterSampler:
    clusters: Sequence[Floats]
    statistic: Callable[..., Any]

    def draw(self, size: int, rng: np.random.Generator) -> Floats:
        chosen = rng.integers(len(self.clusters), size=(size, len(self.clusters)))
        return np.array([self._of([self.clusters[index] for index in sample]) for sample in chosen])

    def leave_one_out(self) -> Floats:
        whole = list(self.clusters)
        return np.array([self._of(whole[:index] + whole[index + 1 :]) for index in range(len(whole))])

    def _of(self, clusters: Sequence[Floats]) -> float:
        return float(self.statistic(np.concatenate(clusters), axis=0))


def _sampler(
    rows: Floats, groups: ArrayLike | None, statistic: Callable[..., Any]
) -> _RowSampler | _ClusterMeanSampler | _ClusterSampler:
    if groups is None:
        return _RowSampler(rows, statistic)
    labels = np.asarray(groups)
    if labels.shape != rows.shape[:1]:
        raise ArgumentError(f"groups has shape {labels.shape}; expected ({len(rows)},), one a row")
    names, index = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise ArgumentError(f"groups has {len(names)} cluster; expected at least 2")
    if statistic is np.mean and rows.ndim == 1:
        sizes = np.bincount(index).astype(np.float64)
        return _ClusterMeanSampler(np.bincount(index, weights=rows), sizes)
    order = np.argsort(index, kind="stable")
    return _ClusterSampler(np.split(rows[order], np.flatnonzero(np.diff(index[order])) + 1), statistic)


def _batches(n: int, cells: int) -> list[int]:
    size = max(1, min(n, _DRAWN_AT_ONCE // max(1, cells)))
    return [min(size, n - start) for start in range(0, n, size)]


def _bca_tails(tails: Floats, estimate: float, drawn: Floats, left_out: Floats) -> Floats:
    from scipy.special import ndtr, ndtri

    # Ties count half, so that a discrete statistic is not taken for a biased one.
    below = ((drawn < estimate).mean() + (drawn <= estimate).mean()) / 2
    deviation = left_out.mean() - left_out
    spread = (deviation**2).sum()
    if spread == 0 or not 0 < below < 1:
        return tails
    skewness = (deviation**3).sum() / (6 * spread**1.5)
    bias = ndtri(below)
    shifted = bias + ndtri(tails)
    corrected: Floats = ndtr(bias + shifted / (1 - skewness * shifted))
    return corrected


def _t_p_value(difference: Floats) -> float:
    from scipy.special import stdtr

    error = _standard_error(difference)
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
    for size in _batches(n_permutations, len(difference)):
        signs = rng.integers(2, size=(size, len(difference)), dtype=np.int8) * 2.0 - 1
        extreme += int((np.abs(signs @ difference) >= observed).sum())
    # What was observed is one of the possible arrangements; without it a p-value could be 0.
    return (extreme + 1) / (n_permutations + 1)


def _standard_error(values: Floats) -> float:
    # The deviation of equal numbers can come out as rounding noise, which would pass for information.
    return 0.0 if (values == values[0]).all() else float(values.std(ddof=1)) / math.sqrt(len(values))


def _numbers(values: ArrayLike, name: str, *, at_least: int) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or len(numbers) < at_least or not np.isfinite(numbers).all():
        raise ArgumentError(f"{name} has shape {numbers.shape}; expected at least {at_least} finite numbers [n]")
    return numbers


def _level(level: float) -> float:
    if not 0 < level < 1:
        raise ArgumentError(f"level={level}; expected a confidence between 0 and 1")
    return level
