"""Bootstrap intervals of rows or of whole clusters, percentile or bias-corrected."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from irworks.stats.intervals import Interval, checked_level

__all__ = ["batches", "bootstrap"]

Floats = NDArray[np.float64]

_DRAWN_AT_ONCE = 1 << 22


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
            [b, n_values, d] with axis=1 it returns [b]. With `groups` the samples differ in length, so that it is
            called sample by sample with axis=0, save `numpy.mean` of one-dimensional values, which is fast there too.
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
    tails = np.array([0.5 - checked_level(level) / 2, 0.5 + level / 2])
    sampler = _sampler(rows, groups, statistic)
    drawn = np.concatenate([sampler.draw(size, rng) for size in batches(n, len(rows) * rows[0].size)])
    estimate = float(statistic(rows, axis=0))
    if method == "bca":
        tails = _bca_tails(tails, estimate, drawn, sampler.leave_one_out())
    low, high = np.quantile(drawn, tails)
    return Interval(estimate, float(low), float(high), level)


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
        for size in batches(n, self.rows.size):
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
        means: Floats = (self.sums.sum() - self.sums) / (self.sizes.sum() - self.sizes)
        return means


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
        sums: Floats = np.bincount(index, weights=rows).astype(np.float64)
        return _ClusterMeanSampler(sums, sizes)
    order = np.argsort(index, kind="stable")
    return _ClusterSampler(np.split(rows[order], np.flatnonzero(np.diff(index[order])) + 1), statistic)


def batches(n: int, cells: int) -> list[int]:
    """Cut `n` samples of `cells` numbers each into batches that bound the memory."""
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
