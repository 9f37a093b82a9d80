"""Estimates of a policy's value, with their error from the log and from Monte Carlo exposures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.collapse import CollapsedLog, sums_by
from irworks.stats import Interval

__all__ = ["Contribution", "Estimate", "estimate_of"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# So many sessions tell nothing of how sessions vary; a little more than 1, for shares that sum to 1 but for rounding.
ONE_SESSION = 1 + 1e-9


@dataclass(frozen=True)
class Estimate:
    """What a policy would earn a session, in the units of the rank weights (examination: clicks).

    `str(estimate)` reads "0.886 [0.874, 0.899]".

    Attributes:
        value: Point estimate.
        stderr: Standard error: of the sessions drawn, and of Monte Carlo exposures where those were drawn. Infinite if
            nothing tells it: the logs stand for one session or less, or no logged document has a weight (`ess` is 0).
        ci: Normal confidence interval.
        ess: Kish's effective number of impressions (of sessions, for whole lists), out of `n_weighted`.
        n_weighted: Number of impressions (sessions) that were weighted.
        max_weight: Largest weight that a logged impression (session) has, after clipping.
        support_gap: Share of the target's exposure that falls on documents the logging policy never shows. Their
            clicks cannot be estimated: they count as zero, or as what a model of relevance says. NaN where unknown, as
            for estimators that do not weigh, unless they are told the logging policy.
        clipped: Share of the weighted impressions (sessions) whose weight was clipped.
        n_sessions: Number of sessions.
    """

    value: float
    stderr: float
    ci: Interval
    ess: float
    n_weighted: float
    max_weight: float
    support_gap: float
    clipped: float
    n_sessions: float

    def __str__(self) -> str:
        return str(self.ci)

    def __format__(self, spec: str) -> str:
        return format(self.ci, spec)


@dataclass(frozen=True, eq=False)
class Contribution:
    """One policy's part in an estimate: the influence of each group of sessions on the value.

    Attributes:
        value: Point estimate.
        x: float64 [n_groups], value that each session of a group adds to the mean; sessions in no group add 0.
        part: int32 [n_groups], log that the group is from.
        count: float64 [n_groups], sessions in the group.
        spread: float64 [n_batches], the value under each independent batch of Monte Carlo exposures, minus `value`;
            empty where exposures are exact.
        weights: Diagnostics: ess, n_weighted, max_weight, support_gap, clipped.
    """

    value: float
    x: FloatArray
    part: IntArray
    count: FloatArray
    spread: FloatArray
    weights: "WeightDiagnostics"


@dataclass(frozen=True)
class WeightDiagnostics:
    """How far the estimate leans on few impressions; the fields of `Estimate`."""

    ess: float
    n_weighted: float
    max_weight: float
    support_gap: float
    clipped: float = 0.0

    @classmethod
    def of(
        cls, weights: FloatArray, counts: FloatArray, *, clip: float | None, support_gap: float
    ) -> "WeightDiagnostics":
        """Diagnostics of weights before clipping, each standing for a count of impressions or sessions."""
        weights, counts = weights[counts > 0], counts[counts > 0]
        used = weights if clip is None else np.minimum(weights, clip)
        total, largest = float(counts.sum()), float(used.max(initial=0.0))
        relative = used / largest if largest > 0 else used
        squares = float(counts @ relative**2)
        return cls(
            ess=float(counts @ relative) ** 2 / squares if squares > 0 else 0.0,
            n_weighted=total,
            max_weight=largest,
            support_gap=support_gap,
            clipped=0.0 if clip is None or not total else float(counts @ (weights > clip)) / total,
        )


def estimate_of(
    parts: Sequence[Contribution], coefficients: Sequence[float], log: CollapsedLog, level: float
) -> Estimate:
    """A linear combination of contributions over the same groups of sessions, as one estimate.

    The sessions, and the batches of Monte Carlo exposures, are shared: what policies have in common cancels in a
    difference. Sessions are independent within each log, and logs are strata. Diagnostics are the worst of the policies
    that count.
    """
    value = float(sum(c * part.value for c, part in zip(coefficients, parts, strict=True)))
    x = np.zeros_like(parts[0].x)
    for coefficient, part in zip(coefficients, parts, strict=True):
        x += coefficient * part.x
    weighed = [part.weights for coefficient, part in zip(coefficients, parts, strict=True) if coefficient]
    weighed = weighed or [part.weights for part in parts]
    worst, ess = max(weighed, key=lambda weights: weights.max_weight), min(weights.ess for weights in weighed)
    variance = _session_variance(x, parts[0], log) + _sampling_variance(parts, coefficients)
    stderr = float(np.sqrt(variance)) if ess > 0 and log.total > ONE_SESSION else float("inf")
    return Estimate(
        value=value,
        stderr=stderr,
        ci=_normal_interval(value, stderr, level),
        ess=ess,
        n_weighted=worst.n_weighted,
        max_weight=worst.max_weight,
        # NaN if that of one policy is not known, which the largest of Python would depend on the order for.
        support_gap=float(np.max([weights.support_gap for weights in weighed])),
        clipped=max(weights.clipped for weights in weighed),
        n_sessions=log.total,
    )


def _session_variance(x: FloatArray, groups: Contribution, log: CollapsedLog) -> float:
    """Variance of the mean of x [n_groups] over stratified sessions: sum_h (n_h / n)^2 s_h^2 / n_h.

    Source: Cochran (1977, "Sampling techniques"), section 5.4; section 5A.12 for strata that are collapsed.
    """
    strata = _strata(log.part_totals)
    size = int(strata.max()) + 1
    stratum = strata[groups.part]
    counts = sums_by(strata, log.part_totals, size)
    sums, squares = (sums_by(stratum, groups.count * power, size) for power in (x, x**2))
    centred = np.maximum(squares - sums**2 / np.maximum(counts, 1e-300), 0.0)
    # Rounding leaves a trace of what is exactly constant.
    centred[centred < 1e-14 * squares] = 0.0
    several = counts > ONE_SESSION
    unbiased = np.divide(counts, counts - 1, out=np.zeros(size), where=several)
    return float(unbiased @ centred) / log.total**2


def _strata(totals: FloatArray) -> LongArray:
    """The stratum of each log with `totals` [n_parts] sessions: int64 [n_parts].

    Logs of one session or less say nothing of how their sessions vary, and share stratum 0; where that has no more than
    one session either, the smallest of the other logs joins it.
    """
    small = totals <= ONE_SESSION
    if 0 < totals[small].sum() <= ONE_SESSION and not small.all():
        small[np.where(small, np.inf, totals).argmin()] = True
    return np.where(small, 0, np.cumsum(~small))


def _sampling_variance(parts: Sequence[Contribution], coefficients: Sequence[float]) -> float:
    """Variance of the combination that comes from Monte Carlo exposures."""
    n_batches = max(len(part.spread) for part in parts)
    if n_batches < 2:
        return 0.0
    spread = np.zeros(n_batches)
    for coefficient, part in zip(coefficients, parts, strict=True):
        spread += coefficient * part.spread if len(part.spread) else 0.0
    return float(spread.var(ddof=1)) / n_batches


def _normal_interval(value: float, stderr: float, level: float) -> Interval:
    from scipy.special import ndtri

    reach = float(ndtri(0.5 + level / 2)) * stderr
    return Interval(value, value - reach, value + reach, level)
