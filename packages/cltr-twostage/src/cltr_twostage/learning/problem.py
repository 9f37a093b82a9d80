"""What a learner is given: documents with their relevance, how often queries are asked, and the sizes of the lists."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.data import Pool
from cltr_twostage.estimator import Estimator, Logging, logging_policies
from cltr_twostage.exposure import checked_rank_weights
from cltr_twostage.mixture import MixturePolicy
from cltr_twostage.policy import Policy, TwoStagePolicy
from irworks.errors import ArgumentError

__all__ = [
    "Problem",
    "logging_pair",
    "problem_from_estimate",
    "problem_from_relevance",
    "relevance_of",
    "require_one_policy",
    "require_relevance",
]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Problem:
    """What is to be learned.

    Attributes:
        pool: The documents.
        relevance: float64 [n_rows].
        query_weights: float64 [n_queries], shares that sum to one.
        rank_weights: float64 [k], what a relevant document is worth at each rank.
        n_candidates: Size of the candidate list.
        allowed: bool [n_rows], False for rows that keep out of the learned policy.
        logging: The pair in production; of several the first.
    """

    pool: Pool
    relevance: FloatArray
    query_weights: FloatArray
    rank_weights: FloatArray
    n_candidates: int
    allowed: BoolArray
    logging: TwoStagePolicy | None

    @property
    def k(self) -> int:
        """Length of the shown list."""
        return len(self.rank_weights)

    def rows_of(self, queries: LongArray) -> tuple[LongArray, LongArray]:
        """The rows of some queries, one query after the other, and their offsets among themselves."""
        sizes = self.pool.sizes[queries]
        bounds = np.concatenate(([0], np.cumsum(sizes)))
        rows = np.arange(bounds[-1]) + np.repeat(self.pool.offsets[queries] - bounds[:-1], sizes)
        return rows, bounds

    def policy(self, candidate: FloatArray, ranker: FloatArray) -> TwoStagePolicy:
        """The policy of given scores [n_rows], without the rows that are not allowed."""
        candidate, ranker = (np.where(self.allowed, scores, -np.inf) for scores in (candidate, ranker))
        return TwoStagePolicy(candidate, ranker, self.n_candidates, self.k, pool=self.pool)


def logging_pair(logging: Logging | TwoStagePolicy | None) -> TwoStagePolicy | None:
    """The first policy that made a log, if it is a pair of stages: it has the sizes of both lists, and fixed stages."""
    policies = [] if logging is None else logging_policies(logging)
    return policies[0] if policies and isinstance(policies[0], TwoStagePolicy) else None


def require_one_policy(logging: Logging) -> None:
    """Raise an ArgumentError if logs of several policies were given, of which none alone is what was in production."""
    policies = logging_policies(logging)
    if any(policy is not policies[0] for policy in policies):
        raise ArgumentError(
            f"safe learning bounds exposure against one policy and {len(policies)} made the logs; expected the logs of "
            "one policy, the one in production"
        )


def require_relevance(estimator: object) -> None:
    """Raise an ArgumentError unless this is an estimator that estimates the relevance of documents."""
    if isinstance(estimator, type):
        raise ArgumentError(
            f"estimator is the class {estimator.__name__}; expected an estimator, {estimator.__name__}(examination)"
        )
    if not isinstance(estimator, Estimator):
        raise ArgumentError(f"estimator is a {type(estimator).__name__}; expected one such as ExposureIPS(examination)")
    if not estimator.estimates_relevance:
        raise ArgumentError(
            f"estimator is {type(estimator).__name__}, which estimates no relevance of documents; expected "
            "ExposureIPS, DirectMethod, DoublyRobust or another with relevance_"
        )


def relevance_of(fitted: Estimator) -> FloatArray:
    """Relevance [n_rows] as an estimator has it.

    Raises:
        ArgumentError: It has none.
    """
    require_relevance(fitted)
    earned: Any = fitted
    return np.asarray(earned.relevance_, dtype=np.float64)


def problem_from_estimate(fitted: Estimator, logging: Logging, n_candidates: int | None, k: int | None) -> Problem:
    """The problem that an estimator sees in the log it was fitted to.

    Raises:
        ArgumentError: An estimator that estimates no relevance, or sizes that are not known or do not fit.
    """
    weights = fitted.examination if fitted.rank_weights is None else fitted.rank_weights
    pair, policies = logging_pair(logging), logging_policies(logging)
    n_candidates, k = _sizes(policies[0] if policies else None, n_candidates, k)
    rank_weights = checked_rank_weights(weights, k)
    return Problem(
        fitted.pool_, relevance_of(fitted), fitted.query_weights_, rank_weights, n_candidates, _supported(fitted), pair
    )


def problem_from_relevance(
    relevance: ArrayLike,
    query_weights: ArrayLike | None,
    rank_weights: ArrayLike,
    pool: Pool | ArrayLike | None,
    logging: TwoStagePolicy | None,
    n_candidates: int | None,
    k: int | None,
) -> Problem:
    """The problem of relevance that is known.

    Raises:
        ArgumentError: A bad array, or sizes that are not known or do not fit.
    """
    if pool is None and logging is None:
        raise ArgumentError("pool is missing; expected the documents, or a logging policy that has them")
    documents = Pool.of(logging.pool if pool is None and logging is not None else pool)  # type: ignore[arg-type]
    earned = _column("relevance", relevance, documents.n_rows)
    asked = _column(
        "query_weights", np.ones(documents.n_queries) if query_weights is None else query_weights, documents.n_queries
    )
    if (asked < 0).any() or asked.sum() == 0:
        raise ArgumentError("query_weights are negative or sum to 0; expected numbers of at least 0, one above it")
    n_candidates, k = _sizes(logging, n_candidates, k)
    everything = np.ones(documents.n_rows, dtype=bool)
    return Problem(
        documents, earned, asked / asked.sum(), checked_rank_weights(rank_weights, k), n_candidates, everything, logging
    )


def _sizes(logging: Policy | None, n_candidates: int | None, k: int | None) -> tuple[int, int]:
    """Sizes of the candidate and of the shown list, those of the logging policy where they are not given."""
    if logging is not None:
        n_candidates = getattr(logging, "n_candidates", None) if n_candidates is None else n_candidates
        k = logging.k if k is None else k
    if n_candidates is None and isinstance(logging, MixturePolicy):
        sizes = " and ".join(str(policy.n_candidates) for policy in logging.policies)
        raise ArgumentError(f"the logging policy mixes pairs of {sizes} candidates; expected n_candidates, one size")
    if n_candidates is None or k is None:
        raise ArgumentError(
            f"n_candidates={n_candidates!r}, k={k!r}; expected both, as no logging policy says how long its lists are"
        )
    if k > n_candidates:
        raise ArgumentError(f"k={k} is larger than n_candidates={n_candidates}; expected at most as many")
    return n_candidates, k


def _supported(fitted: Estimator) -> BoolArray:
    """Bool [n_rows], whether the logging policy may show a row; all rows of a query of which it shows none.

    What is never shown is never clicked: its relevance is not known to be 0, it is not known.
    """
    exposure: Any = getattr(fitted, "logging_exposure_", None)
    pool = fitted.pool_
    if exposure is None:
        return np.ones(pool.n_rows, dtype=bool)
    shown = np.asarray(exposure > 0)
    some = np.logical_or.reduceat(shown, pool.offsets[:-1])
    return shown | ~some[pool.owner()]


def _column(name: str, values: ArrayLike, size: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (size,):
        raise ArgumentError(f"{name} has shape {array.shape}; expected [{size}]")
    if not np.isfinite(array).all():
        raise ArgumentError(f"{name} holds {array[~np.isfinite(array)][0]}; expected finite numbers")
    return array
