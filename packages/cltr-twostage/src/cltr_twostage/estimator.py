"""What the estimators of a two-stage policy's value share: their arguments, the log they read, the estimate they give.

Clicks follow the position-based model: P(click on d at rank k) = e_k R(d). The value of a policy is
U = E_q[sum_d rho(d) R(d)] with rho(d) the policy's expected rank weight of d. Each estimator is `fit` to a log, which
is read once, and then gives the `value` of any number of policies.
"""

import sys
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.collapse import CollapsedLog, as_logs, collapse, require_whole_lists, sums_by
from cltr_twostage.data import Pool
from cltr_twostage.estimate import Contribution, Estimate, estimate_of
from cltr_twostage.examination import checked_examination
from cltr_twostage.exposure import Exposure, checked_rank_weights
from cltr_twostage.policy import N_SAMPLES, Method, Policy, require_same_pool
from cltr_twostage.sampling import checked_samples
from irworks.data import ClickLog
from irworks.errors import ArgumentError, IrworksError
from irworks.runtime import Outcome, map_parallel

__all__ = [
    "Estimator",
    "Logging",
    "NotFittedError",
    "SupportError",
    "SupportWarning",
    "is_real",
    "logging_policies",
    "longest_list",
    "part_shares",
    "require_policy_per_log",
    "require_seed",
    "users_level",
]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Logging = Policy | ArrayLike | Sequence[Policy] | Literal["counts"]
Support = Literal["raise", "warn", "drop"]


# Exact exposures are exact to about this much.
NEGLIGIBLE = 1e-12


class NotFittedError(IrworksError, RuntimeError):
    """The estimator has not been fitted to a log yet."""


class SupportError(IrworksError, ValueError):
    """The target policy shows documents that the logging policy never shows."""


class SupportWarning(UserWarning):
    """The target policy shows documents that the logging policy never shows; or nobody knows whether it does."""


class Estimator:
    """What all estimators share; use one of the subclasses.

    Args:
        examination: float [>= k], probability e_k that rank k is examined; or a fitted model with `combine="pbm"` and
            `examination_`.
        rank_weights: float [>= k], what a relevant document is worth at each rank: 1 / log2(k + 1) for DCG. Default:
            the examination, so that values are expected clicks, and do not depend on its scale.
        clip: Largest weight; what lies above is cut, which biases towards zero. Default: no clipping.
        self_normalized: Divide by the mean weight: biased by O(1/n), less variable.
        support: What to do where the target shows a document that the logging policy never shows: "raise", "warn",
            or "drop" it (`Estimate.support_gap` says how much that was).
        method: How exposures of policies are computed: "exact", "mc" or "auto". See `TwoStagePolicy.placement`.
        n_samples: Draws a query for Monte Carlo exposures of a target, at least 16; the logging policy, which every
            weight divides by, gets 8 times as many.
        seed: Of the Monte Carlo exposures: the same for all policies, so that differences between them gain.
        level: Confidence of the intervals.

    Raises:
        ArgumentError: An argument out of range.
    """

    estimates_relevance: ClassVar[bool] = False
    """Whether `fit` leaves `relevance_`, which learners need."""

    def __init__(
        self,
        examination: Any,
        rank_weights: ArrayLike | None = None,
        *,
        clip: float | None = None,
        self_normalized: bool = False,
        support: Support = "raise",
        method: Method = "auto",
        n_samples: int = N_SAMPLES,
        seed: int = 0,
        level: float = 0.95,
    ) -> None:
        self.examination = checked_examination(examination)
        self.rank_weights = (
            None if rank_weights is None else checked_rank_weights(rank_weights, len(np.atleast_1d(rank_weights)))
        )
        if clip is not None and not (is_real(clip) and 0 < clip < np.inf):
            raise ArgumentError(f"clip={clip!r}; expected a finite number above 0, or None")
        if support not in ("raise", "warn", "drop"):
            raise ArgumentError(f'support={support!r}; expected "raise", "warn" or "drop"')
        if method not in get_args(Method):
            raise ArgumentError(f"method={method!r}; expected one of {', '.join(map(repr, get_args(Method)))}")
        if not (is_real(level) and 0 < level < 1):
            raise ArgumentError(f"level={level!r}; expected a confidence between 0 and 1")
        require_seed("seed", seed)
        self.clip, self.self_normalized, self.support = clip, self_normalized, support
        self.method, self.n_samples, self.seed, self.level = method, checked_samples(n_samples), seed, level

    def __repr__(self) -> str:
        state = f", fitted to {self.collapsed_.total:,.0f} sessions" if hasattr(self, "collapsed_") else ""
        weights = "examination" if self.rank_weights is None else self.rank_weights.round(3).tolist()
        return f"{type(self).__name__}(examination={self.examination.round(3).tolist()}, rank_weights={weights}{state})"

    @property
    def averages_sessions(self) -> bool:
        """Whether the estimate is an average over sessions, each valued by itself: then `prove` has its expectation.

        Not so where it divides by a mean weight, or fits something to the log.
        """
        return not self.self_normalized

    def fit(
        self,
        log: ClickLog | Sequence[ClickLog],
        logging: Logging,
        *,
        pool: Pool | None = None,
        weights: ArrayLike | Sequence[ArrayLike] | None = None,
    ) -> Self:
        """Read a log, once.

        Args:
            log: What was shown and clicked; several logs, if several policies made them. A masked place is one where
                nothing was shown.
            logging: The policy that made the log; several, one a log (each document's weight is then its exposure under
                the mixture that was really used, the balance heuristic); or what the estimator weighs by: an array, see
                the estimator; or "counts": how often the log itself shows each document.
            pool: The documents that can be shown. Default: those of the logging policy, or of the log.
            weights: float [n], number of sessions that each session of the log stands for. Default: one.

        Raises:
            ArgumentError: Logs, policies and weights that do not match; lists longer than `examination`, or of another
                length than those of the logging policy.
            DataError: A query or document that the pool lacks, a logged document that the logging policy cannot show,
                or a log whose rows were taken for sessions.
        """
        _require_whole_lists(log, logging_policies(logging))
        pool = _pool_of(log, logging, pool)
        collapsed = collapse(log, pool, weights, merge=self._looks_at_sessions(logging))
        for name, weight in (("examination", self.examination), ("rank_weights", self.rank_weights)):
            if weight is not None and len(weight) < collapsed.k:
                raise ArgumentError(f"{name} has {len(weight)} ranks and the log {collapsed.k}; expected one for each")
        self.collapsed_, self.pool_ = collapsed, pool
        self.query_weights_ = collapsed.query_counts / collapsed.total
        try:
            self._fit(logging)
        except BaseException:
            # Half a fit must not answer.
            del self.collapsed_
            raise
        return self

    def value(self, policy: Policy) -> Estimate:
        """What a policy would earn a session.

        Raises:
            NotFittedError: Before `fit`.
            SupportError: The policy shows a document that the logging policy never shows, and support is "raise".
            ArgumentError: The policy stands on another pool, or shows longer lists than there are rank weights (than
                were logged, for estimators that weigh by rank or by list).
        """
        return self.combine([policy], [1.0])

    def difference(self, policy: Policy, baseline: Policy) -> Estimate:
        """What one policy would earn more than another; tighter than two separate intervals. Raises as `value`."""
        return self.combine([policy, baseline], [1.0, -1.0])

    def combine(self, policies: Sequence[Policy], coefficients: Sequence[float]) -> Estimate:
        """A linear combination of the values of policies, with the error of the combination. Raises as `value`."""
        return self.contrasts(policies, {"combination": coefficients})["combination"]

    def contrasts(self, policies: Sequence[Policy], coefficients: Mapping[str, Sequence[float]]) -> dict[str, Estimate]:
        """Several linear combinations of the values of the same policies, by name. Raises as `value`."""
        for name, one in coefficients.items():
            if len(one) != len(policies):
                raise ArgumentError(
                    f"{name} has {len(one)} coefficients for {len(policies)} policies; expected one each"
                )
        parts = [self.contribution(policy) for policy in policies]
        return {name: estimate_of(parts, one, self.collapsed_, self.level) for name, one in coefficients.items()}

    def contribution(self, policy: Policy) -> Contribution:
        """A policy's part in an estimate: what each session adds to its value. Raises as `value`."""
        if not hasattr(self, "collapsed_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit(log, logging) first")
        if not hasattr(policy, "exposure"):
            raise ArgumentError(f"policy is a {type(policy).__name__}; expected a TwoStagePolicy or MixturePolicy")
        require_same_pool(policy.pool, self.pool_, "policy and log")
        if policy.k > len(self._rank_weights()):
            raise ArgumentError(
                f"the policy shows {policy.k} documents and there are weights for {len(self._rank_weights())} ranks; "
                "expected a weight for each rank"
            )
        return self._contribution(policy)

    def values(
        self, policies: Sequence[Policy], *, jobs: int = 1, engine: Literal["local", "ray"] = "local"
    ) -> list[Estimate]:
        """The value of each of many policies.

        Args:
            policies: The policies.
            jobs: Processes that share the work; above 1, a script needs the `if __name__ == "__main__":` guard.
            engine: "local" for processes on this machine, "ray" for Ray tasks.

        Raises:
            ArgumentError, NotFittedError, SupportError: As `value`; `jobs` below 1.
            IrworksError: A process died.
        """
        if jobs == 1:
            return [self.value(policy) for policy in policies]
        bounds = np.linspace(0, len(policies), min(jobs, len(policies)) + 1).astype(int) if len(policies) else [0]
        parts = [list(policies[begin:end]) for begin, end in pairwise(bounds)]
        outcomes = map_parallel(partial(_estimates, self), parts, jobs=jobs, engine=engine)
        return [estimate for outcome in outcomes for estimate in _unpacked(outcome)]

    # -- for the subclasses -------------------------------------------------------------------------------------------

    def _looks_at_sessions(self, logging: Logging) -> bool:
        """Whether each policy needs another look at every session: then equal sessions are worth merging."""
        return True

    def _fit(self, logging: Logging) -> None:
        raise TypeError(f"{type(self).__name__} is not an estimator by itself; use one of the subclasses")

    def _contribution(self, policy: Policy) -> Contribution:
        raise TypeError(f"{type(self).__name__} is not an estimator by itself; use one of the subclasses")

    def _rank_weights(self) -> FloatArray:
        return self.examination if self.rank_weights is None else self.rank_weights

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def _exposure(self, policy: Policy) -> Exposure:
        """The target's expected rank weights."""
        return policy.exposure(self._rank_weights(), self.method, n_samples=self.n_samples, rng=self._rng())

    def _reachable(self, policies: Sequence[Policy]) -> BoolArray | None:
        """Which rows the policies that made the logs can show: bool [n_rows]; None where there are no policies."""
        log = self.collapsed_
        if not policies:
            return None
        require_policy_per_log(policies, log)
        asked = np.repeat(log.part_queries > 0, self.pool_.sizes, axis=1)
        tables = [
            policy.exposure(np.ones(policy.k), self.method, n_samples=self.n_samples, rng=self._rng()).value > 0
            for policy in policies
        ]
        return np.asarray((asked & np.stack(tables)).any(axis=0))

    def _clipped(self, weights: FloatArray) -> FloatArray:
        return weights if self.clip is None else np.minimum(weights, self.clip)

    def _of_query(self, table: FloatArray) -> FloatArray:
        """Sum of a table [n_rows] or [n_rows, k] over what belongs to each query: float64 [n_queries]."""
        of_row = table if table.ndim == 1 else table.sum(axis=1)
        return np.asarray(np.add.reduceat(of_row, self.pool_.offsets[:-1]))

    def _lost(self, worth: FloatArray, supported: BoolArray) -> tuple[FloatArray, float]:
        """What the target exposes and the logging policy never shows: of each row, and its share in all.

        Args:
            worth: float64 [n_rows] or [n_rows, k], expected rank weights of the target.
            supported: bool, of the same shape.
        """
        share = self.query_weights_[self.pool_.owner()]
        lost = np.where(supported, 0.0, (share * worth.T).T)
        return lost, float(lost.sum() / (share @ worth).sum()) if lost.any() else 0.0

    def _support_gap(self, worth: FloatArray, supported: BoolArray) -> float:
        """Share of what the target exposes that the logging policy never shows, if `support` lets that pass.

        Args:
            worth: See `_lost`.
            supported: See `_lost`.
        """
        lost, gap = self._lost(worth, supported)
        if gap < NEGLIGIBLE:
            return gap
        rows = np.unique(np.argwhere(lost > 0)[:, 0])
        names = ", ".join(self.pool_.row_name(int(row)) for row in rows[:3])
        message = (
            f"the logging policy never shows {len(rows):,} document{'s' * (len(rows) > 1)} that the target shows, with "
            f"{gap:.2%} of its exposure: {names}{', ...' if len(rows) > 3 else ''}"
        )
        if self.support == "raise":
            raise SupportError(
                f'{message}. Their clicks cannot be estimated; support="drop" goes on without and reports the share'
            )
        if self.support == "warn":
            warnings.warn(f"{message}; their clicks cannot be estimated", SupportWarning, stacklevel=users_level())
        return gap


def require_seed(name: str, value: object) -> None:
    """Raise an ArgumentError unless `value` is a whole number of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
        raise ArgumentError(f"{name}={value!r}; expected a seed, a whole number of at least 0")


def is_real(value: object) -> bool:
    """Whether a value is a real number: no text, no truth value, no array."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def users_level() -> int:
    """The `stacklevel` at which a warning of the caller points at the line that called this package."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("cltr_twostage."):
        level, frame = level + 1, frame.f_back
    return level


def _require_whole_lists(log: ClickLog | Sequence[ClickLog], policies: Sequence[Policy]) -> None:
    """Raise a DataError if the rows of a log were taken for sessions; what policies are too many is told later."""
    for number, one in enumerate(as_logs(log)):
        require_whole_lists(one, policies[number].k if number < len(policies) else None)


def _pool_of(log: ClickLog | Sequence[ClickLog], logging: Logging, pool: Pool | None) -> Pool:
    """The pool that is given, or that of the logging policies, or that of the log."""
    policies = logging_policies(logging)
    for policy in policies:
        require_same_pool(policy.pool, policies[0].pool if pool is None else pool, "logging policies")
    if pool is not None:
        return pool
    if policies:
        return policies[0].pool
    if isinstance(log, ClickLog):
        return Pool.from_log(log)
    raise ArgumentError("several logs without logging policies need pool=, the documents that they share")


def logging_policies(logging: Logging) -> list[Policy]:
    """The policies among what `fit` was given as `logging`; none, if it was an array or a word."""
    if hasattr(logging, "exposure"):
        return [logging]  # type: ignore[list-item]
    if isinstance(logging, list | tuple) and logging and hasattr(logging[0], "exposure"):
        return list(logging)
    return []


def longest_list(policy: Policy, exposure: FloatArray, asked: NDArray[np.bool_]) -> int:
    """Length of the longest list that a policy, with exposures [n_rows], shows for the queries [n_queries] asked."""
    can_show = sums_by(policy.pool.owner(), exposure > 0, policy.pool.n_queries)
    return min(policy.k, int(can_show[asked].max(initial=0)))


def part_shares(log: CollapsedLog) -> FloatArray:
    """float64 [n_parts, n_queries], share of each log in the sessions of each query."""
    return log.part_queries / np.maximum(log.query_counts, 1e-300)


def require_policy_per_log(policies: Sequence[Policy], log: CollapsedLog) -> None:
    """Raise an ArgumentError unless there is one logging policy for each log."""
    if len(policies) != log.n_parts:
        raise ArgumentError(f"{len(policies)} logging policies for {log.n_parts} logs; expected one for each")


def _estimates(estimator: Estimator, policies: Sequence[Policy]) -> list[Estimate] | IrworksError:
    """What one process does. An error of ours is returned, so that it keeps its type on the way back."""
    try:
        return [estimator.value(policy) for policy in policies]
    except IrworksError as error:
        return error


def _unpacked(outcome: Outcome[list[Estimate] | IrworksError]) -> list[Estimate]:
    if isinstance(outcome.value, list):
        return outcome.value
    raise outcome.value or IrworksError(f"a process that evaluated policies died: {outcome.error}")
