"""Inverse propensity scoring by document: joint exposure IPS, its one-stage baseline, and item-position IPS."""

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.collapse import ClickPatterns
from cltr_twostage.data import Pool
from cltr_twostage.estimate import Contribution, WeightDiagnostics
from cltr_twostage.estimator import (
    Estimator,
    Logging,
    SupportError,
    SupportWarning,
    logging_policies,
    part_shares,
    require_policy_per_log,
)
from cltr_twostage.exposure import Placement
from cltr_twostage.policy import MixturePolicy, Policy, TwoStagePolicy
from irworks.errors import ArgumentError, DataError

__all__ = ["ExposureIPS", "ItemPositionIPS", "RankerOnlyIPS"]

FloatArray = NDArray[np.float64]

# Draws for the logging policy, computed once and divided by, for each draw for a target.
LOGGING_DRAWS = 16


class _RatioEstimator(Estimator):
    """Weights each click by a ratio of two tables: what the target does, over what the logging policy did."""

    def _fit(self, logging: Logging) -> None:
        value, batches = _mixed_table(self, logging)
        cannot = (value <= 0) & (self._shown_counts() > 0)
        if cannot.any():
            raise self._impossible(int(np.argwhere(cannot)[0][0]))
        self.logging_table_, self._logging_batches = value, batches

    def _contribution(self, policy: Policy) -> Contribution:
        target, batches = self._table(policy)
        supported = self.logging_table_ > 0
        raw = np.divide(target, self.logging_table_, out=np.zeros_like(target), where=supported)
        gap = self._support_gap(target, supported)
        weights = self._clipped(raw)
        diagnostics = WeightDiagnostics.of(raw.ravel(), self._shown_counts().ravel(), clip=self.clip, support_gap=gap)
        if self.self_normalized:
            return self._normalized(weights, target, diagnostics)
        groups = self._click_patterns()
        x = groups.sums(weights * self._gain())
        value = float(groups.count @ x) / self.collapsed_.total
        spread = self._spread(weights, raw, target, batches)
        return Contribution(value, x, groups.part, groups.count, spread, diagnostics)

    def _normalized(self, weights: FloatArray, target: FloatArray, diagnostics: WeightDiagnostics) -> Contribution:
        """U = mean(x) mean(a) / mean(b): x the weighted clicks, b the weights themselves, a what b is on average."""
        log = self.collapsed_
        x = np.where(log.clicks, log.at_places(weights * self._gain()), 0.0).sum(axis=1)
        b = (log.at_places(weights) * self._weight_unit()[: log.k]).sum(axis=1)
        a = self._expected_unit(target)[log.query]
        mean_x, mean_b, mean_a = (float(log.count @ one) / log.total for one in (x, b, a))
        if mean_b <= 0:
            return Contribution(0.0, np.zeros_like(x), log.part, log.count, np.empty(0), diagnostics)
        value = mean_x * mean_a / mean_b
        influence = mean_a / mean_b * (x - mean_x) + mean_x / mean_b * (a - mean_a) - value / mean_b * (b - mean_b)
        return Contribution(value, value + influence, log.part, log.count, np.empty(0), diagnostics)

    def _spread(
        self, weights: FloatArray, raw: FloatArray, target: FloatArray, batches: FloatArray | None
    ) -> FloatArray:
        """Deviation of the value under each batch of Monte Carlo tables, of the target and of the logging policy."""
        if batches is None and self._logging_batches is None:
            return np.empty(0)
        per_weight = np.where(weights < raw, 0.0, self._clicks() * self._gain()) / self.collapsed_.total
        deviation: FloatArray | float = 0.0
        if batches is not None:
            slope = np.divide(per_weight, self.logging_table_, out=np.zeros_like(raw), where=self.logging_table_ > 0)
            deviation = (batches - target).reshape(len(batches), -1) @ slope.ravel()
        if self._logging_batches is not None:
            table = self.logging_table_
            slope = np.divide(per_weight * raw, table, out=np.zeros_like(raw), where=table > 0)
            off = (self._logging_batches - table).reshape(len(self._logging_batches), -1)
            deviation = deviation - off @ slope.ravel()
        return np.asarray(deviation, dtype=np.float64)

    def _support_gap(self, target: FloatArray, supported: NDArray[np.bool_]) -> float:
        owner = self.pool_.owner()
        share = self.query_weights_[owner]
        worth = target * self._weight_unit()[: target.shape[1]] if target.ndim == 2 else target
        worth = (share * worth.T).T
        total, lost = float(worth.sum()), np.where(supported, 0.0, worth)
        if not lost.any():
            return 0.0
        rows = np.unique(np.argwhere(lost > 0)[:, 0])
        gap = float(lost.sum()) / total
        names = ", ".join(self.pool_.row_name(int(row)) for row in rows[:3])
        message = (
            f"the logging policy never shows {len(rows):,} documents that the target shows, with {gap:.2%} of its "
            f"exposure: {names}{', ...' if len(rows) > 3 else ''}"
        )
        if self.support == "raise":
            raise SupportError(
                f'{message}. Their clicks cannot be estimated; support="drop" counts them as zero and reports the share'
            )
        if self.support == "warn":
            import warnings

            warnings.warn(f"{message}; they count as never clicked", SupportWarning, stacklevel=5)
        return gap

    def _impossible(self, row: int) -> DataError:
        return DataError(
            "the log shows a document that the logging policy cannot show",
            found=f"{self.pool_.row_name(row)}, exposure 0",
            expected="a positive exposure for every logged document",
            hint="Is this the policy that made the log?",
        )

    # What tells the estimators apart: the two tables, and what a click counts.

    def _table(self, policy: Policy) -> tuple[FloatArray, FloatArray | None]:
        exposure = self._exposure(policy)
        return exposure.value, exposure.batches

    def _logging_table(self, policy: Policy) -> tuple[FloatArray, FloatArray | None]:
        exposure = policy.exposure(
            self.examination, self.method, n_samples=LOGGING_DRAWS * self.n_samples, rng=self._logging_rng()
        )
        return exposure.value, exposure.batches

    def _logging_rng(self) -> np.random.Generator:
        # Not the stream of the targets: a target equal to the logging policy would share its errors.
        return np.random.default_rng([self.seed, 1])

    def _counted_table(self) -> FloatArray:
        """The logging table, counted in the log itself."""
        log = self.collapsed_
        sessions = np.maximum(log.query_counts[self.pool_.owner()], 1e-300)
        return np.asarray(log.impressions @ self.examination[: log.k] / sessions)

    def _table_shape(self) -> tuple[int, ...]:
        return (self.pool_.n_rows,)

    def _gain(self) -> FloatArray | float:
        return 1.0

    def _weight_unit(self) -> FloatArray:
        """What a shown document's weight is multiplied with to sum, on average, to the target's rank weights."""
        return self.examination

    def _expected_unit(self, target: FloatArray) -> FloatArray:
        """float64 [n_queries], average of the summed weights of a session."""
        return np.asarray(np.add.reduceat(target, self.pool_.offsets[:-1]))

    def _shown_counts(self) -> FloatArray:
        return np.asarray(self.collapsed_.impressions.sum(axis=1))

    def _clicks(self) -> FloatArray:
        return np.asarray(self.collapsed_.click_counts.sum(axis=1))

    def _click_patterns(self) -> ClickPatterns:
        return self.collapsed_.clicked_rows


class ExposureIPS(_RatioEstimator):
    """Joint exposure IPS, the paper's estimator: a click on d counts rho(d) / rho_0(d).

    rho_0(d) is the probability that the logging pair examines d: it includes that d becomes a candidate. Unbiased
    under the position-based model where rho_0 > 0. `fit` takes as `logging` also rho_0 as float [n_rows].

    Attributes after `fit`:
        logging_exposure_: float64 [n_rows], rho_0.
        relevance_: float64 [n_rows], the unbiased estimate of each document's relevance; 0 where nothing was shown.
        query_weights_: float64 [n_queries], share of each query in the log.
    """

    @property
    def logging_exposure_(self) -> FloatArray:
        """float64 [n_rows], probability that the logging policy gets a document examined."""
        return self.logging_table_

    @property
    def relevance_(self) -> FloatArray:
        """float64 [n_rows], clicks over expected examinations (with `clip`, 1 / rho_0 at most that)."""
        sessions = self.collapsed_.query_counts[self.pool_.owner()]
        inverse = np.divide(1.0, self.logging_table_, out=np.zeros_like(sessions), where=self.logging_table_ > 0)
        return np.divide(
            self._clicks() * self._clipped(inverse), sessions, out=np.zeros_like(sessions), where=sessions > 0
        )


class RankerOnlyIPS(ExposureIPS):
    """The baseline that ignores the first stage: exposures are those of the ranker with every document a candidate.

    Biased as soon as the generator leaves documents out, in the log or in the target.
    """

    def _table(self, policy: Policy) -> tuple[FloatArray, FloatArray | None]:
        return super()._table(_ranker_only(policy))

    def _logging_table(self, policy: Policy) -> tuple[FloatArray, FloatArray | None]:
        return super()._logging_table(_ranker_only(policy))


class ItemPositionIPS(_RatioEstimator):
    """Item-position IPS: a click on d at rank k counts w_k P(d at k) / (e_k P_0(d at k)).

    Needs no model of clicks across ranks when the rank weights are the examination (the default), but every document at
    every rank must be possible. With that default it is IIPS of Swaminathan et al. (2017, "Off-policy evaluation for
    slate recommendation") and Li et al. (2018). `fit` takes as `logging` also P_0 as float [n_rows, k].
    """

    def _table(self, policy: Policy) -> tuple[FloatArray, FloatArray | None]:
        return self._placement(policy.placement(self.method, n_samples=self.n_samples, rng=self._rng()))

    def _logging_table(self, policy: Policy) -> tuple[FloatArray, FloatArray | None]:
        return self._placement(
            policy.placement(self.method, n_samples=LOGGING_DRAWS * self.n_samples, rng=self._logging_rng())
        )

    def _placement(self, placement: Placement) -> tuple[FloatArray, FloatArray | None]:
        """Placement brought to as many ranks as the log has."""
        missing = self.collapsed_.k - placement.value.shape[1]
        if missing < 0:
            raise ArgumentError(
                f"the policy shows {placement.value.shape[1]} documents and the log {self.collapsed_.k}; item-position "
                "IPS cannot speak of ranks that were not logged"
            )
        pad = ((0, 0), (0, missing))
        batches = None if placement.batches is None else np.pad(placement.batches, ((0, 0), *pad))
        return np.pad(placement.value, pad), batches

    def _counted_table(self) -> FloatArray:
        log = self.collapsed_
        sessions = np.maximum(log.query_counts[self.pool_.owner()], 1e-300)
        return np.asarray(log.impressions / sessions[:, None])

    def _table_shape(self) -> tuple[int, ...]:
        return (self.pool_.n_rows, self.collapsed_.k)

    def _gain(self) -> FloatArray:
        k = self.collapsed_.k
        return np.asarray(self._rank_weights()[:k] / self.examination[:k])

    def _weight_unit(self) -> FloatArray:
        return self._rank_weights()

    def _expected_unit(self, target: FloatArray) -> FloatArray:
        return super()._expected_unit(target @ self._rank_weights()[: target.shape[1]])

    def _shown_counts(self) -> FloatArray:
        return self.collapsed_.impressions

    def _clicks(self) -> FloatArray:
        return self.collapsed_.click_counts

    def _click_patterns(self) -> ClickPatterns:
        return self.collapsed_.clicked_places


def _ranker_only(policy: Policy) -> Policy:
    if not isinstance(policy, TwoStagePolicy | MixturePolicy):
        raise ArgumentError(f"policy is a {type(policy).__name__}; expected a TwoStagePolicy or MixturePolicy")
    return policy.ranker_only()


def _mixed_table(estimator: _RatioEstimator, logging: Logging) -> tuple[FloatArray, FloatArray | None]:
    """The logging table and its Monte Carlo batches, of whatever `fit` was given."""
    log = estimator.collapsed_
    policies = logging_policies(logging)
    if policies:
        require_policy_per_log(policies, log)
        tables = [estimator._logging_table(policy) for policy in policies]
        if len(tables) == 1:
            return tables[0]
        shares = np.repeat(part_shares(log), log.pool.sizes, axis=1)
        shares = shares.reshape(*shares.shape, *[1] * (tables[0][0].ndim - 1))
        value = sum(share * table for share, (table, _) in zip(shares, tables, strict=True))
        if all(batches is None for _, batches in tables):
            return np.asarray(value), None
        drawn = sum(
            share * (table[None] if batches is None else batches)
            for share, (table, batches) in zip(shares, tables, strict=True)
        )
        return np.asarray(value), np.asarray(drawn)
    if isinstance(logging, str):
        if logging != "counts":
            raise ArgumentError(f'logging={logging!r}; expected a policy, an array, or "counts"')
        return estimator._counted_table(), None
    return _checked_table(np.asarray(logging, dtype=np.float64), estimator._table_shape(), log.pool), None


def _checked_table(table: FloatArray, shape: tuple[int, ...], pool: Pool) -> FloatArray:
    if table.shape != shape:
        raise ArgumentError(f"logging has shape {table.shape}; expected {list(shape)}, or a policy")
    bad = ~((table >= 0) & (table <= 1 + 1e-9))
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ArgumentError(f"logging is {table[place]} for {pool.row_name(place[0])}; expected a probability")
    return table
