"""Estimators with a model of relevance: the direct method, naive clicks, and the doubly robust combination."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.collapse import CollapsedLog, sums_by
from cltr_twostage.data import Pool
from cltr_twostage.estimate import Contribution, WeightDiagnostics
from cltr_twostage.estimator import Estimator, Logging, is_real, logging_policies
from cltr_twostage.ips import ExposureIPS
from cltr_twostage.policy import Policy
from irworks.data import ClickLog
from irworks.errors import ArgumentError

__all__ = ["DirectMethod", "DoublyRobust", "NaiveClicks"]

FloatArray = NDArray[np.float64]
Relevance = ArrayLike | Literal["fit"]


class DirectMethod(Estimator):
    """The direct method: estimate relevance, then add up what the target policy exposes. Not unbiased.

    Relevance is clicks per expected examination of each document, shrunk to the mean of the log by `smoothing`
    examinations; a document that was not shown gets that mean. Or bring your own.

    The interval is that of the log's chance, not of the bias; and it is too narrow where the target exposes documents
    that were examined but a few times, fewer than `smoothing` would make up for.

    Args:
        examination: See `Estimator`.
        rank_weights: See `Estimator`.
        relevance: float [n_rows], relevance from a model of your own, taken as known (its error is not in the
            interval); or "fit".
        smoothing: How many examinations the mean of the log weighs, above 0.
        **options: `method`, `n_samples`, `seed`, `level` of `Estimator`.

    Attributes after `fit`:
        relevance_: float64 [n_rows].
    """

    estimates_relevance: ClassVar[bool] = True

    def __init__(
        self,
        examination: Any,
        rank_weights: ArrayLike | None = None,
        *,
        relevance: Relevance = "fit",
        smoothing: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(examination, rank_weights, **_without_weights(options))
        self.relevance, self.smoothing = relevance, _checked_smoothing(smoothing)

    def fit(
        self,
        log: ClickLog | Sequence[ClickLog],
        logging: Logging | None = None,
        *,
        pool: Pool | None = None,
        weights: ArrayLike | Sequence[ArrayLike] | None = None,
    ) -> Self:
        """Read a log, once. As `Estimator.fit`, but `logging` can be left out.

        Of logging policies the pool is asked, and what they can show: without them, the support gap is NaN.
        """
        return super().fit(log, "counts" if logging is None else logging, pool=pool, weights=weights)

    def _fit(self, logging: Logging) -> None:
        log = self.collapsed_
        self._seen = self._seen_probability()[: log.k]
        self._fitted, self._shown = isinstance(self.relevance, str), self._reachable(logging_policies(logging))
        self.relevance_ = _relevance(self.relevance, log, self._seen, self.smoothing, log.count)

    @property
    def averages_sessions(self) -> bool:
        """See `Estimator`."""
        return not isinstance(self.relevance, str)

    def _seen_probability(self) -> FloatArray:
        """Examination by rank, as this estimator believes it to be."""
        return self.examination

    def _contribution(self, policy: Policy) -> Contribution:
        log = self.collapsed_
        exposure = self._exposure(policy)
        of_row = exposure.value * self.relevance_
        of_query = self._of_query(of_row)
        value = float(self.query_weights_ @ of_query)
        x = of_query[log.query]
        per_row = self.query_weights_[self.pool_.owner()] * exposure.value
        if self._fitted:
            x = x + log.total * self._influence_of_fit(per_row)
        spread = np.empty(0)
        if exposure.batches is not None:
            weights = self.query_weights_[self.pool_.owner()] * self.relevance_
            spread = (exposure.batches - exposure.value) @ weights
        gap = float("nan") if self._shown is None else self._lost(exposure.value, self._shown)[1]
        diagnostics = WeightDiagnostics(ess=log.total, n_weighted=log.total, max_weight=1.0, support_gap=gap)
        return Contribution(value, x, log.part, log.count, spread, diagnostics)

    def _influence_of_fit(self, per_row: FloatArray) -> FloatArray:
        """What each session moves sum_d per_row(d) R(d) by, through the clicks on d and through the mean of the log."""
        log, seen = self.collapsed_, self.collapsed_.impressions @ self._seen
        per_click = per_row / (seen + self.smoothing)
        own = _residuals(log, per_click, self._seen, self.relevance_)
        examined = max(float(seen.sum()), 1e-300)
        mean = np.full(self.pool_.n_rows, float(log.click_counts.sum()) / examined)
        shrunk = self.smoothing * float(per_click.sum()) / examined
        return own + shrunk * _residuals(log, np.ones(self.pool_.n_rows), self._seen, mean)


class NaiveClicks(DirectMethod):
    """The baseline that takes clicks at their word: click-through rate is relevance, as if all that is shown were seen.

    Biased by position, and by what the logging pair did not show.
    """

    def __init__(self, examination: Any, rank_weights: ArrayLike | None = None, **options: Any) -> None:
        super().__init__(examination, rank_weights, **options)

    def _seen_probability(self) -> FloatArray:
        return np.ones_like(self.examination)


class DoublyRobust(ExposureIPS):
    """Doubly robust: the direct method, plus exposure IPS of what its model of relevance leaves unexplained.

    x = sum_d rho(d) R^(d) + sum_{shown d} rho(d) / rho_0(d) (c(d) - e_k(d) R^(d)): unbiased whatever R^ is, as long as
    it is not fitted to the same sessions; the better R^, the lower the variance. "fit" is cross-fitted for that reason:
    each part of the log is corrected with relevance from the other parts. Source: Oosterhuis (2023), "Doubly robust
    estimation for correcting position bias in click feedback for unbiased learning to rank".

    Args:
        examination: See `Estimator`.
        rank_weights: See `Estimator`.
        relevance: float [n_rows], relevance from a model that did not see this log; or "fit".
        smoothing: See `DirectMethod`.
        folds: Parts for cross-fitting, at least 2.
        **options: The other arguments of `Estimator`, but `self_normalized`.
    """

    def __init__(
        self,
        examination: Any,
        rank_weights: ArrayLike | None = None,
        *,
        relevance: Relevance = "fit",
        smoothing: float = 1.0,
        folds: int = 2,
        **options: Any,
    ) -> None:
        if options.get("self_normalized"):
            raise ArgumentError("self_normalized=True; a doubly robust estimate has no mean weight to divide by")
        super().__init__(examination, rank_weights, **options)
        self.relevance, self.smoothing = relevance, _checked_smoothing(smoothing)
        self.folds = _checked_folds(folds)

    def _fit(self, logging: Logging) -> None:
        super()._fit(logging)
        log = self.collapsed_
        self._seen = self.examination[: log.k]
        if isinstance(self.relevance, str):
            self._fold_counts = _folds(log.count, self.folds, np.random.default_rng([self.seed, 2]))
            others = [log.count - own for own in self._fold_counts]
        else:
            self._fold_counts = others = [log.count]
        self._models = [_relevance(self.relevance, log, self._seen, self.smoothing, count) for count in others]
        folds = list(zip(self._fold_counts, self._models, strict=True))
        # By row: the models' relevance, times the share of its query in all sessions; and the clicks that they leave.
        self._modelled = np.sum([self._sessions_of(own) * model for own, model in folds], axis=0) / log.total
        self._left = np.sum([_row_residuals(log, own, self._seen, model) for own, model in folds], axis=0)

    @property
    def relevance_(self) -> FloatArray:
        """float64 [n_rows], the model's relevance, plus what exposure IPS says it misses."""
        asked, out = self.collapsed_.query_counts[self.pool_.owner()], np.zeros(self.pool_.n_rows)
        for own, model in zip(self._fold_counts, self._models, strict=True):
            # Of a query that was not asked there is nothing but the models.
            share = np.where(asked > 0, self._sessions_of(own) / np.maximum(asked, 1e-300), 1.0 / len(self._models))
            left = _row_residuals(self.collapsed_, own, self._seen, model)
            out += share * model + self._per_examination(left)
        return out

    @property
    def averages_sessions(self) -> bool:
        """See `Estimator`."""
        return super().averages_sessions and not isinstance(self.relevance, str)

    def earned(self, exposure: FloatArray) -> FloatArray:
        """What each document adds to the value of a policy with exposures [n_rows], by the model and by its clicks.

        Returns:
            float64 [n_rows]; it sums to the value.
        """
        corrected = self._clipped(self._ratio(exposure)) * self._left / self.collapsed_.total
        return np.asarray(exposure * self._modelled + corrected)

    def _sessions_of(self, count: FloatArray) -> FloatArray:
        """Sessions of the query of each row, when distinct sessions count `count` [m]: float64 [n_rows]."""
        of_query = sums_by(self.collapsed_.query, count, self.pool_.n_queries)
        return of_query[self.pool_.owner()]

    def _contribution(self, policy: Policy) -> Contribution:
        log = self.collapsed_
        exposure = self._exposure(policy)
        rho = exposure.value
        raw, weights, diagnostics = self._weighed(policy, rho)
        x = [
            self._of_query(rho * model)[log.query] + _residuals(log, weights, self._seen, model)
            for model in self._models
        ]
        count, joined = np.concatenate(self._fold_counts), np.concatenate(x)
        value = float(count @ joined) / log.total
        error = self._share_error(log, self._slope(raw, weights, self._left))
        joined = joined - np.tile(np.broadcast_to(error, log.count.shape), len(x))
        spread = self._spread(raw, weights, self._left, rho, exposure.batches)
        if exposure.batches is not None:
            spread = spread + (exposure.batches - rho) @ self._modelled
        return Contribution(value, joined, np.tile(log.part, len(x)), count, spread, diagnostics)


def _without_weights(options: dict[str, Any]) -> dict[str, Any]:
    """Refuse the options that only weights have."""
    for name in ("clip", "self_normalized", "support"):
        if name in options:
            raise ArgumentError(f"{name}={options[name]!r}; an estimator without weights has no such option")
    return options


def _checked_smoothing(smoothing: float) -> float:
    if not (is_real(smoothing) and 0 < smoothing < np.inf):
        raise ArgumentError(f"smoothing={smoothing!r}; expected a finite number above 0")
    return float(smoothing)


def _checked_folds(folds: Any) -> int:
    if isinstance(folds, bool) or not isinstance(folds, int | np.integer) or folds < 2:
        raise ArgumentError(f"folds={folds!r}; expected a whole number of at least 2")
    return int(folds)


def _relevance(
    relevance: Relevance, log: CollapsedLog, seen: FloatArray, smoothing: float, count: FloatArray
) -> FloatArray:
    """The relevance of every row: as given, or fitted to some sessions [m counts] of the log."""
    if isinstance(relevance, str):
        if relevance != "fit":
            raise ArgumentError(f'relevance={relevance!r}; expected an array [n_rows], or "fit"')
        return _fitted_relevance(log, seen, smoothing, count)
    try:
        table = np.array(relevance, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f'relevance={relevance!r}; expected [{log.pool.n_rows}] numbers, or "fit"') from None
    if table.shape != (log.pool.n_rows,) or not np.isfinite(table).all():
        raise ArgumentError(f"relevance has shape {table.shape}; expected [{log.pool.n_rows}] finite numbers")
    return table


def _fitted_relevance(log: CollapsedLog, seen: FloatArray, smoothing: float, count: FloatArray) -> FloatArray:
    """Clicks per examination of each row, shrunk to that of all."""
    clicks = _row_sums(log, log.clicks.astype(np.float64), count)
    examined = _row_sums(log, np.broadcast_to(seen, log.rows.shape), count)
    mean = float(clicks.sum() / examined.sum()) if examined.sum() > 0 else 0.0
    return np.asarray((clicks + smoothing * mean) / (examined + smoothing))


def _row_sums(log: CollapsedLog, values: FloatArray, count: FloatArray) -> FloatArray:
    """Sum over sessions of a value [m, k] at each place, by row: float64 [n_rows]."""
    shown = log.rows >= 0
    weights = (values * count[:, None])[shown]
    return sums_by(log.rows[shown], weights, log.pool.n_rows)


def _row_residuals(log: CollapsedLog, count: FloatArray, seen: FloatArray, relevance: FloatArray) -> FloatArray:
    """Sum over sessions of c - e_k R, by row: float64 [n_rows]."""
    return _row_sums(log, log.clicks - seen * log.at_places(relevance), count)


def _residuals(log: CollapsedLog, weights: FloatArray, seen: FloatArray, relevance: FloatArray) -> FloatArray:
    """Sum over the places of each session of weight (c - e_k R): float64 [m]."""
    return np.asarray((log.at_places(weights) * (log.clicks - seen * log.at_places(relevance))).sum(axis=1))


def _folds(count: FloatArray, folds: int, rng: np.random.Generator) -> list[FloatArray]:
    """Split the sessions behind each distinct one at random: `folds` arrays of counts [m].

    Raises:
        ArgumentError: Counts that are not whole: sessions with weights cannot be split.
    """
    whole = np.rint(count).astype(np.int64)
    if not np.allclose(whole, count, rtol=0, atol=1e-9):
        raise ArgumentError(
            'relevance="fit" needs whole sessions to cross-fit; expected weights that are whole numbers'
        )
    parts = rng.multinomial(whole, np.full(folds, 1.0 / folds))
    return [parts[:, fold].astype(np.float64) for fold in range(folds)]
