"""Full-slate importance sampling: whole lists are weighted, so no click model is needed, and the variance is large."""

import warnings

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.collapse import CollapsedLog, sums_by
from cltr_twostage.estimate import Contribution, WeightDiagnostics
from cltr_twostage.estimator import (
    Estimator,
    Logging,
    SupportWarning,
    logging_policies,
    longest_list,
    part_shares,
    require_policy_per_log,
    users_level,
)
from cltr_twostage.policy import Policy
from irworks.errors import ArgumentError, DataError

__all__ = ["SlateIPS"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

# A list whose log-probability is lower was not shown by this policy; its weight, exp(300), would leave nothing else.
NEVER = -300.0


class SlateIPS(Estimator):
    """Full-slate IPS: the clicks of a session count pi(y) / pi_0(y), y the whole shown list.

    A click at rank k counts w_k / e_k, which is 1 where the rank weights are the examination (the default); then the
    estimate needs no model of clicks at all. pi(y) sums over all candidate sets behind y. `fit` takes as `logging` also
    pi_0(y) of each logged session, float [n_sessions]. A logged list below exp(-300) is refused: the policy cannot have
    made the log.

    `Estimate.support_gap` is that of documents: the least that the logging policy lacks, as lists of documents that it
    shows can still be lists that it does not show. It is NaN where `logging` is an array or "counts": the lists that a
    log happens to show are few of those that its policy shows, what the others are is not known, and their clicks are
    missing from every value. Counting therefore gives a `SupportWarning`.
    """

    def _fit(self, logging: Logging) -> None:
        log = self.collapsed_
        self._list, shown_by = log.lists
        self._query, self._rows = log.query[shown_by], log.rows[shown_by]
        self._list_counts = sums_by(self._list, log.count, len(self._query))
        self._parts: FloatArray | None = None
        self._counted = isinstance(logging, str)
        with np.errstate(divide="ignore", invalid="ignore"):
            self._log_logging = self._logging_log_prob(logging)
        self._shown = self._shown_rows(logging)
        impossible = ~(self._log_logging >= NEVER) & (self._list_counts > 0)
        if impossible.any():
            raise self._impossible(int(np.flatnonzero(impossible)[0]))
        if self._counted:
            warnings.warn(
                "list probabilities that are counted in the log cannot say which lists are missing from it, and values "
                "leave out what those would earn; expected a logging policy, or the probability of each list",
                SupportWarning,
                stacklevel=users_level(),
            )

    def _contribution(self, policy: Policy) -> Contribution:
        log = self.collapsed_
        gap = float("nan")
        if self._shown is not None:
            of_documents = self._support_gap(self._exposure(policy).value, self._shown)
            gap = gap if self._counted else of_documents
        with np.errstate(invalid="ignore"):
            ratio = np.exp(self._log_prob(policy, "policy") - self._log_logging)
        raw = np.where(self._list_counts > 0, ratio, 0.0)
        diagnostics = WeightDiagnostics.of(raw, self._list_counts, clip=self.clip, support_gap=gap)
        weights = self._clipped(raw)
        weight = weights[self._list]
        reward = log.clicks @ (self._rank_weights()[: log.k] / self.examination[: log.k])
        x = weight * reward
        value = float(log.count @ x) / log.total
        if not self.self_normalized:
            x = x - self._share_error(raw, weights, reward)
            return Contribution(value, x, log.part, log.count, np.empty(0), diagnostics)
        mean = float(log.count @ weight) / log.total
        if mean <= 0:
            return Contribution(0.0, np.zeros_like(x), log.part, log.count, np.empty(0), diagnostics)
        value = value / mean
        influence = weight * (reward - value) - self._share_error(raw, weights, reward - value)
        return Contribution(value, value + influence / mean, log.part, log.count, np.empty(0), diagnostics)

    def _share_error(self, raw: FloatArray, weights: FloatArray, reward: FloatArray) -> FloatArray | float:
        """What a session takes from the estimate by its part in pi_0, where the log itself shaped that."""
        if self._parts is None and not self._counted:
            return 0.0
        log, seen = self.collapsed_, self._list_counts > 0
        rewards = sums_by(self._list, log.count * reward, len(raw))
        logging = np.exp(self._log_logging)
        divisor = log.query_counts[self._query] * logging
        slope = np.divide(np.where(weights < raw, 0.0, raw * rewards), divisor, out=np.zeros_like(raw), where=seen)
        mean = self._sum_of_query(slope * np.where(seen, logging, 0.0))[log.query]
        if self._parts is None:
            return slope[self._list] - mean
        moved = np.stack([self._sum_of_query(slope * np.exp(part)) for part in self._parts])
        return np.asarray(moved[log.part, log.query] - mean)

    def _sum_of_query(self, of_list: FloatArray) -> FloatArray:
        return sums_by(self._query, of_list, self.pool_.n_queries)

    def _impossible(self, number: int) -> DataError:
        shown = [str(self.pool_.doc_ids[row]) for row in self._rows[number] if row >= 0]
        return DataError(
            "the log shows a list that the logging policy cannot show",
            found=f"query {self.pool_.query_ids[self._query[number]]}, documents {', '.join(shown)}, "
            f"log-probability {self._log_logging[number]:.6g}",
            expected=f"a log-probability of at least {NEVER:g} for every logged list",
            hint="Is this the policy that made the log?",
        )

    def _shown_rows(self, logging: Logging) -> BoolArray | None:
        """Which rows the logging policy is known to show, bool [n_rows]; None where nothing is known."""
        if self._counted:
            return np.asarray(self.collapsed_.row_impressions > 0)
        return self._reachable(logging_policies(logging))

    def _log_prob(self, policy: Policy, name: str) -> FloatArray:
        """Log-probability of each distinct list: float64 [n_lists]."""
        k, longest = self.collapsed_.k, policy.k
        if longest > k:
            exposure = policy.exposure(np.ones(longest), self.method, n_samples=self.n_samples, rng=self._rng())
            longest = longest_list(policy, exposure.value, self.query_weights_ > 0)
        if policy.k < k or longest > k:
            raise ArgumentError(f"the {name} shows {longest} documents and the log {k}; expected equal lengths")
        # Lists of the log that end early, for want of documents, end in empty places.
        rows = np.pad(self._rows, ((0, 0), (0, policy.k - k)), constant_values=-1)
        return policy.log_prob(self._query, rows)

    def _logging_log_prob(self, logging: Logging) -> FloatArray:
        """Log-probability of each distinct list under what made the log: float64 [n_lists]."""
        log = self.collapsed_
        policies = logging_policies(logging)
        if policies:
            require_policy_per_log(policies, log)
            parts = np.stack([self._log_prob(policy, "logging policy") for policy in policies])
            if len(policies) == 1:
                return np.asarray(parts[0])
            self._parts = parts
            return np.asarray(np.logaddexp.reduce(np.log(part_shares(log)[:, self._query]) + parts, axis=0))
        if isinstance(logging, str):
            if logging != "counts":
                raise ArgumentError(f'logging={logging!r}; expected a policy, an array, or "counts"')
            return np.asarray(np.log(self._list_counts / log.query_counts[self._query]))
        try:
            given = np.asarray(logging, dtype=np.float64)
        except (TypeError, ValueError):
            raise ArgumentError(
                f'logging is a {type(logging).__name__}; expected a policy, several, an array, or "counts"'
            ) from None
        return np.asarray(np.log(self._of_lists(given, log)))

    def _of_lists(self, given: FloatArray, log: CollapsedLog) -> FloatArray:
        """Probabilities given for each session, brought to the distinct lists."""
        if given.shape != (log.n_read,):
            raise ArgumentError(f"logging has shape {given.shape}; expected [{log.n_read}], a probability a session")
        if not ((given >= 0) & (given <= 1 + 1e-9)).all():
            raise ArgumentError("logging holds numbers outside [0, 1]; expected the probability of each session's list")
        of_list = np.empty(len(self._query))
        of_list[self._list[log.code]] = given
        if not np.allclose(of_list[self._list[log.code]], given, rtol=1e-6, atol=0):
            raise ArgumentError(
                "logging gives one list of one query different probabilities; expected one (several policies: pass "
                "their logs and policies as lists)"
            )
        return of_list
