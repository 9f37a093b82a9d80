"""Click behaviours: how a user turns a shown list into clicks, given the relevance logits of its documents.

Relevance r = sigmoid(logit), and e_k is the probability that rank k is examined. Lists may be shorter than the
parameters of a behaviour; a masked place is never clicked, and a browsing user passes over it.
"""

from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from irworks.simulate.plackett_luce import require_at_least_one

__all__ = [
    "AdditiveTwoTower",
    "Cascade",
    "ClickBehaviour",
    "DependentClick",
    "PositionBased",
    "TrustBias",
    "log_position_bias",
]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Scalar = TypeVar("Scalar", bound=np.generic)


class ClickBehaviour(Protocol):
    """A user model over shown lists of up to `k` documents."""

    def probability(self, logits: ArrayLike, mask: ArrayLike | None = None) -> FloatArray:
        """Marginal click probabilities.

        Args:
            logits: float [n, k], relevance logits of the shown documents; ignored where masked.
            mask: bool [n, k], True where a document is shown. Default: everywhere.

        Returns:
            float64 [n, k]; 0 where masked.

        Raises:
            ArgumentError: A NaN logit at a shown document, wrong shapes, or lists longer than the parameters.
        """
        ...

    def sample(self, logits: ArrayLike, mask: ArrayLike | None, rng: np.random.Generator) -> BoolArray:
        """Clicks of one session per list: bool [n, k]; arguments and errors as in `probability`."""
        ...


@dataclass(frozen=True, eq=False)
class AdditiveTwoTower:
    """P(click at rank k) = sigmoid(theta_k + logit): the additive two-tower model.

    Source: Yan et al. (2022), Revisiting two-tower models for unbiased learning to rank.

    Args:
        theta: float [k], bias logits by rank.

    Raises:
        ArgumentError: `theta` is not a flat array of finite numbers.
    """

    theta: FloatArray

    def __post_init__(self) -> None:
        _set_parameter(self, "theta", low=-np.finfo(np.float64).max, high=np.finfo(np.float64).max)

    def probability(self, logits: ArrayLike, mask: ArrayLike | None = None) -> FloatArray:
        """Marginal click probabilities of shown lists: float64 [n, k]; 0 where masked. See `ClickBehaviour`."""
        table, shown = _checked_lists(logits, mask)
        return np.where(shown, _sigmoid(table + _by_rank(self.theta, table, "theta")), 0.0)

    def sample(self, logits: ArrayLike, mask: ArrayLike | None, rng: np.random.Generator) -> BoolArray:
        """Clicks of one session per list: bool [n, k]. See `ClickBehaviour`."""
        return _toss(self.probability(logits, mask), rng)


@dataclass(frozen=True, eq=False)
class PositionBased:
    """P(click at rank k) = e_k r: a click needs examination and relevance, independently.

    Source: Richardson et al. (2007), Predicting clicks; Craswell et al. (2008).

    Args:
        examination: float [k], probability of examination by rank.

    Raises:
        ArgumentError: `examination` is not a flat array of probabilities.
    """

    examination: FloatArray

    def __post_init__(self) -> None:
        _set_parameter(self, "examination")

    def probability(self, logits: ArrayLike, mask: ArrayLike | None = None) -> FloatArray:
        """Marginal click probabilities of shown lists: float64 [n, k]; 0 where masked. See `ClickBehaviour`."""
        table, shown = _checked_lists(logits, mask)
        return np.where(shown, _by_rank(self.examination, table, "examination") * _sigmoid(table), 0.0)

    def sample(self, logits: ArrayLike, mask: ArrayLike | None, rng: np.random.Generator) -> BoolArray:
        """Clicks of one session per list: bool [n, k]. See `ClickBehaviour`."""
        return _toss(self.probability(logits, mask), rng)


@dataclass(frozen=True, eq=False)
class TrustBias:
    """P(click at rank k) = e_k (plus_k r + minus_k (1 - r)): users trust the ranker, and click what is not relevant.

    Source: Agarwal et al. (2019), Addressing trust bias for unbiased learning-to-rank.

    Args:
        examination: float [k], probability of examination by rank.
        trust_plus: float [k], probability that an examined relevant document is clicked.
        trust_minus: float [k], probability that an examined document that is not relevant is clicked.

    Raises:
        ArgumentError: A parameter is not a flat array of probabilities, or their lengths differ.
    """

    examination: FloatArray
    trust_plus: FloatArray
    trust_minus: FloatArray

    def __post_init__(self) -> None:
        for name in ("examination", "trust_plus", "trust_minus"):
            _set_parameter(self, name)
        lengths = [len(self.examination), len(self.trust_plus), len(self.trust_minus)]
        if len(set(lengths)) > 1:
            raise ArgumentError(
                f"examination, trust_plus and trust_minus have lengths {lengths}; expected equal lengths"
            )

    def probability(self, logits: ArrayLike, mask: ArrayLike | None = None) -> FloatArray:
        """Marginal click probabilities of shown lists: float64 [n, k]; 0 where masked. See `ClickBehaviour`."""
        table, shown = _checked_lists(logits, mask)
        relevance = _sigmoid(table)
        plus = _by_rank(self.examination * self.trust_plus, table, "examination")
        minus = _by_rank(self.examination * self.trust_minus, table, "examination")
        return np.where(shown, plus * relevance + minus * (1.0 - relevance), 0.0)

    def sample(self, logits: ArrayLike, mask: ArrayLike | None, rng: np.random.Generator) -> BoolArray:
        """Clicks of one session per list: bool [n, k]. See `ClickBehaviour`."""
        return _toss(self.probability(logits, mask), rng)


@dataclass(frozen=True, eq=False)
class DependentClick:
    """The user goes down the list and clicks what is relevant; after a click at rank k they go on with lambda_k.

    P(click at rank k) = r_k prod_{j < k} (1 - r_j (1 - lambda_j)).

    Source: Guo et al. (2009), Efficient multiple-click models in web search.

    Args:
        continuation: float [k], lambda: the probability of going on after a click, by rank.

    Raises:
        ArgumentError: `continuation` is not a flat array of probabilities.
    """

    continuation: FloatArray

    def __post_init__(self) -> None:
        _set_parameter(self, "continuation")

    def probability(self, logits: ArrayLike, mask: ArrayLike | None = None) -> FloatArray:
        """Marginal click probabilities of shown lists: float64 [n, k]; 0 where masked. See `ClickBehaviour`."""
        table, shown = _checked_lists(logits, mask)
        relevance = np.where(shown, _sigmoid(table), 0.0)
        leaves = 1.0 - _by_rank(self.continuation, table, "continuation")
        passed: FloatArray = np.multiply.accumulate(1.0 - relevance * leaves, axis=1)
        return relevance * _before(passed, first=1.0)

    def sample(self, logits: ArrayLike, mask: ArrayLike | None, rng: np.random.Generator) -> BoolArray:
        """Clicks of one session per list: bool [n, k]. See `ClickBehaviour`."""
        table, shown = _checked_lists(logits, mask)
        continuation = _by_rank(self.continuation, table, "continuation")
        attracted = shown & (rng.random(table.shape) < _sigmoid(table))
        left = attracted & (rng.random(table.shape) >= continuation)
        gone: BoolArray = np.logical_or.accumulate(left, axis=1)
        return attracted & ~_before(gone, first=False)


@dataclass(frozen=True)
class Cascade:
    """The user goes down the list and stops at the first click, of which there is at most one.

    P(click at rank k) = r_k prod_{j < k} (1 - r_j).

    Source: Craswell et al. (2008), An experimental comparison of click position-bias models.
    """

    def probability(self, logits: ArrayLike, mask: ArrayLike | None = None) -> FloatArray:
        """Marginal click probabilities of shown lists: float64 [n, k]; 0 where masked. See `ClickBehaviour`."""
        table, shown = _checked_lists(logits, mask)
        relevance = np.where(shown, _sigmoid(table), 0.0)
        passed: FloatArray = np.multiply.accumulate(1.0 - relevance, axis=1)
        return relevance * _before(passed, first=1.0)

    def sample(self, logits: ArrayLike, mask: ArrayLike | None, rng: np.random.Generator) -> BoolArray:
        """Clicks of one session per list: bool [n, k]. See `ClickBehaviour`."""
        table, shown = _checked_lists(logits, mask)
        attracted = shown & (rng.random(table.shape) < _sigmoid(table))
        gone: BoolArray = np.logical_or.accumulate(attracted, axis=1)
        return attracted & ~_before(gone, first=False)


def log_position_bias(k: int, strength: float = 1.0) -> FloatArray:
    """The usual position-bias curve in logits: -strength * ln(rank), so 0 at the top: float64 [k].

    Args:
        k: Number of ranks.
        strength: 0 is no bias.

    Raises:
        ArgumentError: `k` is below 1, or `strength` is not finite.
    """
    require_at_least_one("k", k)
    if not np.isfinite(strength):
        raise ArgumentError(f"strength={strength!r}; expected a finite number")
    # 0.0 - x rather than -x: the top rank is 0, not -0.
    return np.asarray(0.0 - strength * np.log(np.arange(1, k + 1)))


def _sigmoid(logits: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        return np.asarray(1.0 / (1.0 + np.exp(-logits)))


def _toss(probability: FloatArray, rng: np.random.Generator) -> BoolArray:
    """One independent coin per place."""
    return np.asarray(rng.random(probability.shape) < probability)


def _before(values: NDArray[Scalar], first: float | bool) -> NDArray[Scalar]:
    """Each row shifted one rank down, `first` at the top."""
    shifted = np.empty_like(values)
    shifted[:, :1] = first
    shifted[:, 1:] = values[:, :-1]
    return shifted


def _checked_lists(logits: ArrayLike, mask: ArrayLike | None) -> tuple[FloatArray, BoolArray]:
    """Logits as float64 [n, k], 0 where masked, and the mask."""
    table = np.asarray(logits, dtype=np.float64)
    if table.ndim != 2:
        raise ArgumentError(f"logits has shape {table.shape}; expected [n, k]")
    shown = np.ones(table.shape, dtype=bool) if mask is None else np.asarray(mask)
    if shown.shape != table.shape or shown.dtype != bool:
        raise ArgumentError(f"mask has shape {shown.shape}, dtype {shown.dtype}; expected bool {list(table.shape)}")
    table = np.where(shown, table, 0.0)
    bad = np.isnan(table)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ArgumentError(
            f"logits of list {row} is nan at rank {column + 1}; expected a number where a document is shown"
        )
    return table, shown


def _set_parameter(owner: object, name: str, low: float = 0.0, high: float = 1.0) -> None:
    """Store a parameter as a read-only float64 [k], checked to lie in [low, high]."""
    values = np.array(getattr(owner, name), dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise ArgumentError(f"{name} has shape {values.shape}; expected [k], a number per rank")
    bad = ~((values >= low) & (values <= high))
    if bad.any():
        rank = int(np.flatnonzero(bad)[0])
        expected = "a probability in [0, 1]" if high == 1.0 else "a finite number"
        raise ArgumentError(f"{name} is {values[rank]} at rank {rank + 1}; expected {expected}")
    values.flags.writeable = False
    object.__setattr__(owner, name, values)


def _by_rank(parameter: FloatArray, logits: FloatArray, name: str) -> FloatArray:
    """The parameter's first k entries, for lists of k ranks."""
    k = logits.shape[1]
    if k > len(parameter):
        raise ArgumentError(f"lists have {k} ranks and {name} has {len(parameter)}; expected a value for each rank")
    return parameter[:k]
