"""Full-slate importance sampling: whole lists are weighted, so no click model is needed, and the variance is large."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.collapse import CollapsedLog
from cltr_twostage.estimate import Contribution, WeightDiagnostics
from cltr_twostage.estimator import Estimator, Logging, logging_policies, part_shares, require_policy_per_log
from cltr_twostage.policy import Policy
from irworks.errors import ArgumentError, DataError

__all__ = ["SlateIPS"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]


class SlateIPS(Estimator):
    """Full-slate IPS: the clicks of a session count pi(y) / pi_0(y), y the whole shown list.

    A click at rank k counts w_k / e_k, which is 1 where the rank weights are the examination (the default); then the
    estimate needs no model of clicks at all. pi(y) sums over all candidate sets behind y. `fit` takes as `logging` also
    pi_0(y) of each logged session, float [n_sessions].
    """

    def _fit(self, logging: Logging) -> None:
        log = self.collapsed_
        self._list, shown_by = log.lists
        self._query, self._rows = log.query[shown_by], log.rows[shown_by]
        with np.errstate(divide="ignore"):
            self._log_logging = self._logging_log_prob(logging)
        impossible = np.isneginf(self._log_logging)
        if impossible.any():
            first = int(np.flatnonzero(impossible)[0])
            query = log.pool.query_ids[self._query[first]]
            shown = [log.pool.doc_ids[row] for row in self._rows[first] if row >= 0]
            raise DataError(
                "the log shows a list that the logging policy cannot show",
                found=f"query {query}, documents {shown}",
                expected="a positive probability for every logged list",
                hint="Is this the policy that made the log?",
            )

    def _contribution(self, policy: Policy) -> Contribution:
        log = self.collapsed_
        if policy.k != log.k:
            raise ArgumentError(f"the policy shows {policy.k} documents and the log {log.k}; expected equal lengths")
        raw = np.exp(policy.log_prob(self._query, self._rows) - self._log_logging)
        counts = np.bincount(self._list, weights=log.count, minlength=len(raw))
        diagnostics = WeightDiagnostics.of(raw, counts, clip=self.clip, support_gap=float("nan"))
        weight = self._clipped(raw)[self._list]
        reward = log.clicks @ (self._rank_weights()[: log.k] / self.examination[: log.k])
        x = weight * reward
        value = float(log.count @ x) / log.total
        if self.self_normalized:
            mean = float(log.count @ weight) / log.total
            value = value / mean if mean > 0 else 0.0
            x = value + weight * (reward - value) / (mean if mean > 0 else 1.0)
        return Contribution(value, x, log.part, log.count, np.empty(0), diagnostics)

    def _logging_log_prob(self, logging: Logging) -> FloatArray:
        """Log-probability of each distinct list under what made the log: float64 [n_lists]."""
        log = self.collapsed_
        policies = logging_policies(logging)
        if policies:
            require_policy_per_log(policies, log)
            shares = np.log(part_shares(log)[:, self._query]) if len(policies) > 1 else np.zeros((1, len(self._query)))
            parts = [
                share + policy.log_prob(self._query, self._rows) for share, policy in zip(shares, policies, strict=True)
            ]
            return np.asarray(np.logaddexp.reduce(parts, axis=0))
        if isinstance(logging, str):
            if logging != "counts":
                raise ArgumentError(f'logging={logging!r}; expected a policy, an array, or "counts"')
            counts = np.bincount(self._list, weights=log.count)
            return np.asarray(np.log(counts / log.query_counts[self._query]))
        return np.asarray(np.log(self._of_lists(logging, log)))

    def _of_lists(self, logging: ArrayLike, log: CollapsedLog) -> FloatArray:
        """Probabilities given for each session, brought to the distinct lists."""
        given = np.asarray(logging, dtype=np.float64)
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
