"""Inverse propensity scoring by document: joint exposure IPS, its one-stage baseline, and item-position IPS."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.collapse import ClickPatterns, CollapsedLog
from cltr_twostage.divisor import logging_table
from cltr_twostage.estimate import Contribution, WeightDiagnostics
from cltr_twostage.estimator import Estimator, Logging, logging_policies
from cltr_twostage.exposure import Placement
from cltr_twostage.mixture import MixturePolicy
from cltr_twostage.policy import Policy, TwoStagePolicy
from irworks.errors import ArgumentError, DataError

__all__ = ["ExposureIPS", "ItemPositionIPS", "RankerOnlyIPS"]

FloatArray = NDArray[np.float64]

# Draws for the logging policy, computed once and divided by, for each draw for a target.
LOGGING_DRAWS = 8


class _RatioEstimator(Estimator):
    """Weights each click by a ratio of two tables: what the target does, over what the logging policy did."""

    def _looks_at_sessions(self, logging: Logging) -> bool:
        return self.self_normalized or isinstance(logging, str)

    def _fit(self, logging: Logging) -> None:
        self._logging = logging_table(self, logging)
        self.logging_table_ = self._logging.value
        cannot = (self.logging_table_ <= 0) & (self._shown_counts() > 0)
        if cannot.any():
            raise self._impossible(int(np.argwhere(cannot)[0][0]))

    def _contribution(self, policy: Policy) -> Contribution:
        target, batches = self._table(policy)
        raw, weights, diagnostics = self._weighed(policy, target)
        if self.self_normalized:
            return self._normalized(target, batches, raw, weights, diagnostics)
        log = self.collapsed_
        groups = log if self._logging.counted else self._click_patterns()
        clicks = self._clicks() * self._gain()
        x = groups.sums(weights * self._gain())
        value = float(groups.count @ x) / log.total
        x = x - self._share_error(groups, self._slope(raw, weights, clicks))
        spread = self._spread(raw, weights, clicks, target, batches)
        return Contribution(value, x, groups.part, groups.count, spread, diagnostics)

    def _weighed(self, policy: Policy, target: FloatArray) -> tuple[FloatArray, FloatArray, WeightDiagnostics]:
        """The weights of what was shown, before and after clipping, and their diagnostics."""
        worth = target * self._weight_unit()[: target.shape[1]] if target.ndim == 2 else target
        gap = self._real_gap(policy, self._support_gap(worth, self.logging_table_ > 0))
        raw, shown = self._ratio(target), self._shown_counts()
        diagnostics = WeightDiagnostics.of(raw.ravel(), shown.ravel(), clip=self.clip, support_gap=gap)
        return raw, self._clipped(raw), diagnostics

    def _real_gap(self, policy: Policy, by_tables: float) -> float:
        """The support gap to report of a target; that between the two tables is it, if they are right."""
        return by_tables

    def _ratio(self, target: FloatArray) -> FloatArray:
        """The weights of what was shown, before clipping; 0 elsewhere."""
        weighed = (self.logging_table_ > 0) & (self._shown_counts() > 0)
        return np.divide(target, self.logging_table_, out=np.zeros_like(target), where=weighed)

    def _normalized(
        self,
        target: FloatArray,
        batches: FloatArray | None,
        raw: FloatArray,
        weights: FloatArray,
        diagnostics: WeightDiagnostics,
    ) -> Contribution:
        """U = mean(x) mean(a) / mean(b): x the weighted clicks, b the weights themselves, a what b is on average."""
        log, unit = self.collapsed_, self._weight_unit()[: self.collapsed_.k]
        clicks, shown = self._clicks() * self._gain(), self._shown_units()
        x, b = log.sums(weights * self._gain()), (log.at_places(weights) * unit).sum(axis=1)
        # What cannot be shown is in no weight.
        supported = np.where(self.logging_table_ > 0, target, 0.0)
        a = self._expected_unit(supported)[log.query]
        mean_x, mean_b, mean_a = (float(log.count @ one) / log.total for one in (x, b, a))
        if mean_b <= 0:
            return Contribution(0.0, np.zeros_like(x), log.part, log.count, np.empty(0), diagnostics)
        value = mean_x * mean_a / mean_b
        x = x - self._share_error(log, self._slope(raw, weights, clicks))
        b = b - self._share_error(log, self._slope(raw, weights, shown))
        influence = mean_a / mean_b * (x - mean_x) + mean_x / mean_b * (a - mean_a) - value / mean_b * (b - mean_b)
        spread = mean_a / mean_b * self._spread(raw, weights, clicks, target, batches)
        spread = spread - value / mean_b * self._spread(raw, weights, shown, target, batches)
        if batches is not None:
            drawn = [self._expected_unit(np.where(self.logging_table_ > 0, one, 0.0)) for one in batches]
            spread = spread + mean_x / mean_b * (np.array(drawn) @ self.query_weights_ - mean_a)
        return Contribution(value, value + influence, log.part, log.count, spread, diagnostics)

    def _slope(self, raw: FloatArray, weights: FloatArray, counts: FloatArray) -> FloatArray:
        """How much a sum of weighted counts falls, for each session of the query, as the logging table rises."""
        sessions = self.collapsed_.query_counts[self.pool_.owner()]
        divisor = (sessions * self.logging_table_.T).T
        kept = np.where(weights < raw, 0.0, raw * counts)
        return np.divide(kept, divisor, out=np.zeros_like(raw), where=divisor > 0)

    def _share_error(self, groups: ClickPatterns | CollapsedLog, slope: FloatArray) -> FloatArray | float:
        """What a session takes from an estimate by its part in the logging table, where the log itself shaped that.

        It counts in the table if the log was counted, and in the shares of several logs. Without this, the standard
        error would be that of an estimate with a known table, which is another.
        """
        log, table = self.collapsed_, self._logging
        if table.counted:
            moved = (log.at_places(slope) * self._impression_unit()[: log.k]).sum(axis=1)
        elif table.parts is not None:
            moved = np.stack([self._of_query(slope * part) for part in table.parts])[groups.part, groups.query]
        else:
            return 0.0
        return np.asarray(moved - self._of_query(slope * table.value)[groups.query])

    def _spread(
        self, raw: FloatArray, weights: FloatArray, counts: FloatArray, target: FloatArray, batches: FloatArray | None
    ) -> FloatArray:
        """Deviation of a sum of weighted counts under each batch of Monte Carlo tables, both target and logging."""
        table, off = self._logging, np.zeros(0)
        per_weight = np.where(weights < raw, 0.0, counts) / self.collapsed_.total
        slope = np.divide(per_weight, table.value, out=np.zeros_like(raw), where=table.value > 0)
        if batches is not None:
            off = (batches - target).reshape(len(batches), -1) @ slope.ravel()
        if table.batches is None:
            return off
        of_logging = (table.batches - table.value).reshape(len(table.batches), -1) @ (slope * raw).ravel()
        return off - of_logging if len(off) else -of_logging

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

    def _largest_entry(self) -> float:
        """What no entry of a logging table can exceed."""
        return float(self.examination[: self.collapsed_.k].max())

    def _largest_sum(self) -> float:
        """What the entries of a query sum to where every rank is filled."""
        return float(self.examination[: self.collapsed_.k].sum())

    def _gain(self) -> FloatArray | float:
        return 1.0

    def _weight_unit(self) -> FloatArray:
        """What a shown document's weight is multiplied with to sum, on average, to the target's rank weights."""
        return self.examination

    def _expected_unit(self, target: FloatArray) -> FloatArray:
        """float64 [n_queries], average of the summed weights of a session."""
        return self._of_query(target)

    def _impression_unit(self) -> FloatArray:
        """What an impression counts, by rank, in a logging table that is counted."""
        return self.examination

    def _shown_counts(self) -> FloatArray:
        return self.collapsed_.row_impressions

    def _shown_units(self) -> FloatArray:
        """Impressions, each as much as `_weight_unit` says."""
        return np.asarray(self.collapsed_.impressions @ self._weight_unit()[: self.collapsed_.k])

    def _clicks(self) -> FloatArray:
        return self.collapsed_.row_clicks

    def _click_patterns(self) -> ClickPatterns:
        return self.collapsed_.clicked_rows


class ExposureIPS(_RatioEstimator):
    """Joint exposure IPS, the paper's estimator: a click on d counts rho(d) / rho_0(d).

    rho_0(d) is the probability that the logging pair examines d: it includes that d becomes a candidate. Unbiased
    under the position-based model where rho_0 > 0. `fit` takes as `logging` also rho_0 as float [n_rows].

    Attributes after `fit`:
        logging_exposure_: float64 [n_rows], rho_0; read-only.
        relevance_: float64 [n_rows], the unbiased estimate of each document's relevance; 0 where nothing was shown.
        query_weights_: float64 [n_queries], share of each query in the log.
    """

    estimates_relevance: ClassVar[bool] = True

    @property
    def logging_exposure_(self) -> FloatArray:
        """float64 [n_rows], probability that the logging policy gets a document examined."""
        return self.logging_table_

    @property
    def relevance_(self) -> FloatArray:
        """float64 [n_rows], clicks over expected examinations (with `clip`, 1 / rho_0 at most that)."""
        return self._per_examination(self._clicks())

    def earned(self, exposure: FloatArray) -> FloatArray:
        """What each document adds to the value, before self-normalisation, of a policy with exposures [n_rows].

        Returns:
            float64 [n_rows].
        """
        return np.asarray(self._clipped(self._ratio(exposure)) * self._clicks() / self.collapsed_.total)

    def _per_examination(self, clicks: FloatArray) -> FloatArray:
        """Clicks [n_rows], of each session of the query, times 1 / rho_0; 0 where nothing was shown."""
        sessions, shown = self.collapsed_.query_counts[self.pool_.owner()], self._shown_counts() > 0
        inverse = np.divide(1.0, self.logging_table_, out=np.zeros_like(sessions), where=shown)
        return np.divide(clicks * self._clipped(inverse), sessions, out=np.zeros_like(sessions), where=shown)


class RankerOnlyIPS(ExposureIPS):
    """The baseline that ignores the first stage: exposures are those of the ranker with every document a candidate.

    Biased as soon as the generator leaves documents out, in the log or in the target. What it knows of support leaves
    the generator out as well; `Estimate.support_gap` is that of both stages, NaN where `logging` is an array.
    """

    def _fit(self, logging: Logging) -> None:
        super()._fit(logging)
        policies = logging_policies(logging)
        self._shown = self.collapsed_.row_impressions > 0 if self._logging.counted else self._reachable(policies)

    def _real_gap(self, policy: Policy, by_tables: float) -> float:
        return float("nan") if self._shown is None else self._lost(self._exposure(policy).value, self._shown)[1]

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
        k, ranks = self.collapsed_.k, placement.value.shape[1]
        asked = self.query_weights_[self.pool_.owner()] > 0
        if (placement.value[asked, k:] > 0).any():
            raise ArgumentError(
                f"the policy shows {ranks} documents and the log {k}; item-position IPS cannot speak of ranks that "
                "were not logged"
            )
        pad = ((0, 0), (0, max(0, k - ranks)))
        batches = None if placement.batches is None else np.pad(placement.batches[..., :k], ((0, 0), *pad))
        return np.pad(placement.value[:, :k], pad), batches

    def _counted_table(self) -> FloatArray:
        log = self.collapsed_
        sessions = np.maximum(log.query_counts[self.pool_.owner()], 1e-300)
        return np.asarray(log.impressions / sessions[:, None])

    def _table_shape(self) -> tuple[int, ...]:
        return (self.pool_.n_rows, self.collapsed_.k)

    def _largest_entry(self) -> float:
        return 1.0

    def _largest_sum(self) -> float:
        return float(self.collapsed_.k)

    def _gain(self) -> FloatArray:
        k = self.collapsed_.k
        return np.asarray(self._rank_weights()[:k] / self.examination[:k])

    def _weight_unit(self) -> FloatArray:
        return self._rank_weights()

    def _expected_unit(self, target: FloatArray) -> FloatArray:
        return super()._expected_unit(target @ self._rank_weights()[: target.shape[1]])

    def _impression_unit(self) -> FloatArray:
        return np.ones_like(self.examination)

    def _shown_counts(self) -> FloatArray:
        return self.collapsed_.impressions

    def _shown_units(self) -> FloatArray:
        return self.collapsed_.impressions * self._weight_unit()[: self.collapsed_.k]

    def _clicks(self) -> FloatArray:
        return self.collapsed_.click_counts

    def _click_patterns(self) -> ClickPatterns:
        return self.collapsed_.clicked_places


def _ranker_only(policy: Policy) -> Policy:
    if not isinstance(policy, TwoStagePolicy | MixturePolicy):
        raise ArgumentError(f"policy is a {type(policy).__name__}; expected a TwoStagePolicy or MixturePolicy")
    return policy.ranker_only()
