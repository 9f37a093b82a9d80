"""Learning that never strays far from the logging policy: exposure bounded document by document.

While it learns, the reward of a document stops where its exposure has left the bounds, as in proximal ranking policy
optimisation (Gupta, Oosterhuis, de Rijke, 2024: "Practical and robust safety guarantees for advanced counterfactual
learning to rank"). What was learned is then mixed with the logging policy, query by query, until the bounds hold.
"""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.estimator import is_real
from cltr_twostage.mixture import MixturePolicy
from cltr_twostage.policy import Method, TwoStagePolicy
from cltr_twostage.sampling import checked_samples
from irworks.errors import ArgumentError

__all__ = ["Bounds", "ExposureTracker", "Safe", "safe_share"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]


@dataclass(frozen=True)
class Safe:
    """How far learning may move exposure.

    The bounds are around the one policy that made the log. Early stopping keeps the step whose bounded policy looks
    best; in mode "independent" it looks at the stages alone, without bounds.

    The document that moved furthest decides how much of what was learned a query gets. Small learning rates, and tables
    that start at the logging policy, overshoot the bounds least and leave the mixture most.

    Args:
        max_ratio: The exposure of every document stays within [1 / max_ratio, max_ratio] times that of the logging
            policy. At least 1, which keeps the logging policy.
        momentum: Of the moving estimate of exposure while learning, in [0, 1).
        method: How the exposures of the final bound are computed; see `TwoStagePolicy.placement`. With sampled ones the
            bound holds for the sampled exposures only.
        n_samples: Draws a query, where they are sampled.

    Raises:
        ArgumentError: A value is out of range.
    """

    max_ratio: float = 2.0
    momentum: float = 0.9
    method: Method = "exact"
    n_samples: int = 10_000

    def __post_init__(self) -> None:
        if not (is_real(self.max_ratio) and 1 <= self.max_ratio < np.inf):
            raise ArgumentError(f"max_ratio={self.max_ratio!r}; expected a finite number of at least 1")
        if not (is_real(self.momentum) and 0 <= self.momentum < 1):
            raise ArgumentError(f"momentum={self.momentum!r}; expected a number in [0, 1)")
        if self.method not in get_args(Method):
            raise ArgumentError(f"method={self.method!r}; expected one of {', '.join(map(repr, get_args(Method)))}")
        checked_samples(self.n_samples)

    def masked(self, relevance: FloatArray, exposure: FloatArray, logging_exposure: FloatArray) -> FloatArray:
        """Relevance [n], 0 where more of what it rewards would leave the bounds."""
        above = (relevance > 0) & (exposure > self.max_ratio * logging_exposure)
        below = (relevance < 0) & (exposure * self.max_ratio < logging_exposure)
        return np.where(above | below, 0.0, relevance)


class ExposureTracker:
    """A moving estimate of the exposure of every row, from the lists sampled while learning.

    Args:
        reference: float64 [n_rows], exposures of the logging policy.
        momentum: Weight of the past.
    """

    def __init__(self, reference: FloatArray, momentum: float) -> None:
        self.reference, self.momentum = reference, momentum
        self.total, self.weight = np.zeros(len(reference)), np.zeros(len(reference))

    def update(self, rows: LongArray, exposure: FloatArray) -> None:
        """Take in a new estimate [n] for some rows [n]."""
        self.total[rows] = self.momentum * self.total[rows] + (1 - self.momentum) * exposure
        self.weight[rows] = self.momentum * self.weight[rows] + (1 - self.momentum)

    def exposure(self, rows: LongArray) -> FloatArray:
        """float64 [n]; 0 where nothing was seen yet."""
        return np.divide(self.total[rows], self.weight[rows], out=np.zeros(len(rows)), where=self.weight[rows] > 0)


def safe_share(new: ArrayLike, logging: ArrayLike, offsets: ArrayLike, max_ratio: float) -> FloatArray:
    """The largest share of a new policy, beside the logging policy, that keeps every document within the bounds.

    The exposure of a mixture is the mixture of exposures, so each document allows the shares from 0 up to some largest
    one. A document that only the new policy shows allows none.

    Args:
        new: float [n_rows], exposures of the new policy.
        logging: float [n_rows], exposures of the logging policy.
        offsets: int [n_queries + 1].
        max_ratio: Bound, at least 1.

    Returns:
        float64 [n_queries], in [0, 1].
    """
    old = np.asarray(logging, dtype=np.float64)
    change = np.asarray(new, dtype=np.float64) - old
    room = np.where(change > 0, (max_ratio - 1) * old, (1 - 1 / max_ratio) * old)
    distance = np.abs(change)
    share = np.divide(room, distance, out=np.ones_like(old), where=distance > room)
    return np.minimum.reduceat(share, np.asarray(offsets)[:-1])


@dataclass(frozen=True, eq=False)
class Bounds:
    """Bounds around a logging policy, whose exposures are computed once.

    Attributes:
        logging: The logging policy.
        reference: float64 [n_rows], its exposures.
        rank_weights: float64 [k], the weights whose expectation is the exposure.
        safe: How far from them.
    """

    logging: TwoStagePolicy
    reference: FloatArray
    rank_weights: FloatArray
    safe: Safe

    @classmethod
    def around(cls, logging: TwoStagePolicy, rank_weights: FloatArray, safe: Safe) -> "Bounds":
        """Bounds around a logging policy."""
        exposure = logging.exposure(rank_weights, safe.method, n_samples=safe.n_samples, rng=np.random.default_rng(1))
        return cls(logging, exposure.value, rank_weights, safe)

    def mixture(self, policy: TwoStagePolicy) -> MixturePolicy:
        """The logging policy and a new one, mixed query by query with as much of the new one as the bounds allow."""
        new = policy.exposure(
            self.rank_weights, self.safe.method, n_samples=self.safe.n_samples, rng=np.random.default_rng(0)
        )
        share = safe_share(new.value, self.reference, policy.pool.offsets, self.safe.max_ratio)
        return MixturePolicy([self.logging, policy], np.stack([1 - share, share]))
