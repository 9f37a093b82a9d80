"""How much exposure a policy gives each document: the placement and exposure tables.

Exposure is rho(d | q) = E[w_k(d)], the expected weight of the rank at which document d is shown for query q, 0 where it
is not shown. With examination probabilities as weights it is the probability that the document is examined.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError

__all__ = ["Exposure", "Placement", "checked_rank_weights"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placement:
    """Probability of each document at each rank.

    Attributes:
        value: float64 [n_rows, k].
        stderr: float64 [n_rows, k], Monte Carlo standard errors; zeros where the value is exact.
        batches: float64 [n_batches, n_rows, k], independent estimates whose mean is `value`; None where exact.
    """

    value: FloatArray
    stderr: FloatArray
    batches: FloatArray | None = None


@dataclass(frozen=True, eq=False)
class Exposure:
    """Expected rank weight of each document.

    Attributes:
        value: float64 [n_rows].
        stderr: float64 [n_rows], Monte Carlo standard errors; zeros where the value is exact.
        batches: float64 [n_batches, n_rows], independent estimates whose mean is `value`; None where exact.
    """

    value: FloatArray
    stderr: FloatArray
    batches: FloatArray | None = None

    @property
    def exact(self) -> bool:
        """Whether nothing was sampled."""
        return self.batches is None


def checked_rank_weights(values: ArrayLike, k: int, name: str = "rank_weights") -> FloatArray:
    """Weights of the first `k` ranks as float64 [k].

    Raises:
        ArgumentError: Not numbers [>= k], or a weight that is negative, NaN or infinite.
    """
    try:
        weights = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        hint = "; for DCG pass dcg_weights(k)" if isinstance(values, str) and values.lower() == "dcg" else ""
        raise ArgumentError(f"{name}={values!r}; expected numbers, a weight for each rank{hint}") from None
    if weights.ndim != 1 or len(weights) < k:
        raise ArgumentError(f"{name} has shape {weights.shape}; expected a weight for each of {k} ranks")
    bad = ~(np.isfinite(weights) & (weights >= 0))
    if bad.any():
        rank = int(np.flatnonzero(bad)[0])
        raise ArgumentError(f"{name} is {weights[rank]} at rank {rank + 1}; expected a finite number of at least 0")
    return weights[:k].copy()
