"""Estimates of a policy's value, with their error from the log and from Monte Carlo exposures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.collapse import CollapsedLog, sums_by
from irworks.stats import Interval

__all__ = ["Contribution", "Estimate", "estimate_of"]

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """What a policy would earn a session, in the units of the rank weights (examination: clicks).

    `str(estimate)` reads "0.886 [0.874, 0.899]".

    Attributes:
        value: Point estimate.
        stderr: Standard error: of the sessions drawn, and of Monte Carlo exposures where those were drawn; infinite for
            a log of one session.
        ci: Normal confidence interval.
        ess: Kish's effective number of impressions (of sessions, for whole lists), out of `n_weighted`.
        n_weighted: Number of impressions (sessions) that were weighted.
        max_weight: Largest weight that a logged impression (session) has, after clipping.
        support_gap: Share of the target's exposure that falls on documents the logging policy never shows. Their
            clicks cannot be estimated: they count as zero, or as what a model of relevance says. NaN where unknown.
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
    support_gap: float = 0.0
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
    first = parts[0]
    sums = sums_by(first.part, first.count * x, log.n_parts)
    squares = sums_by(first.part, first.count * x**2, log.n_parts)
    centred = np.maximum(squares - sums**2 / np.maximum(log.part_totals, 1e-300), 0.0)
    # Rounding leaves a trace of what is exactly constant.
    centred[centred < 1e-14 * squares] = 0.0
    variance = float(centred.sum()) / log.total**2
    variance += _sampling_variance(parts, coefficients)
    stderr = float(np.sqrt(variance)) if log.n_read > log.n_parts else float("inf")
    weighed = [part.weights for coefficient, part in zip(coefficients, parts, strict=True) if coefficient]
    weighed = weighed or [part.weights for part in parts]
    worst = max(weighed, key=lambda weights: weights.max_weight)
    return Estimate(
        value=value,
        stderr=stderr,
        ci=_normal_interval(value, stderr, level),
        ess=min(weights.ess for weights in weighed),
        n_weighted=worst.n_weighted,
        max_weight=worst.max_weight,
        support_gap=max(weights.support_gap for weights in weighed),
        clipped=max(weights.clipped for weights in weighed),
        n_sessions=log.total,
    )


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
