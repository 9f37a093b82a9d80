"""Weigh impressions by how unlikely the logging policy was to place the document there.

Inverse document-placement propensities make the stationary point of the likelihood that of a uniformly random logging
policy (Section 5.3 of the paper), which removes the policy's influence on a misspecified model. They cannot repair a
log that does not identify the model: a deterministic policy has propensity 1 everywhere, and every weight is the same.
"""

import warnings
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from irworks.data import ClickLog
from irworks.errors import ArgumentError, DataError
from ltr_twotower.cells import Cells, require_log
from ltr_twotower.features import Scaling

__all__ = ["PlacementPropensity", "WeightSummary", "WeightingWarning"]

FloatArray = NDArray[np.float64]

# Below this share of effective impressions a weighted fit follows a handful of them.
_FEW = 0.01


class WeightingWarning(UserWarning):
    """Weighting does nothing, or rests on very few impressions."""


@dataclass(frozen=True)
class WeightSummary:
    """What the weights do to a log.

    Attributes:
        ess: Effective sample size (sum w)^2 / sum w^2, in impressions.
        impressions: Number of impressions, whatever their weight.
        largest: Largest weight, relative to the mean weight.
        clipped: Share of the impressions whose weight was clipped.
        no_op: Whether all weights are equal, so that weighting changes nothing.
    """

    ess: float
    impressions: int
    largest: float
    clipped: float
    no_op: bool

    def __str__(self) -> str:
        if self.no_op:
            return "all weights are equal: weighting changes nothing"
        text = (
            f"effective sample size {self.ess:,.0f} of {self.impressions:,.0f} impressions, "
            f"largest weight {self.largest:.1f} x the mean"
        )
        return text + (f", {self.clipped:.1%} clipped" if self.clipped else "")


class PlacementPropensity:
    """Probability with which the logging policy puts a document at a rank, and the sample weights 1 / propensity.

    Args:
        method: "count": share of the query's sessions in which the document stood at the rank (the paper's); it needs
            queries that repeat. "known": the propensities of the log. "model": a multinomial regression of the rank on
            the features, for queries seen too rarely to count; give it a `clip` (10, say), since a regression is
            surest of itself where it is wrong.
        smoothing: "count": added to the count of every rank at which the pair was seen, and as often to the sessions.
        clip: Largest weight 1 / propensity; None: no clipping. A low clip takes the correction away.
        self_normalize: Scale the weights to a mean of 1 over impressions, so that ridge and learning rates keep their
            meaning.

    Attributes (after `fit`):
        summary_: `WeightSummary` of the fitted log.
        ess_: Its effective sample size.

    Raises:
        ArgumentError: An option is out of range.
    """

    def __init__(
        self,
        method: Literal["count", "known", "model"] = "count",
        smoothing: float = 0.0,
        clip: float | None = None,
        self_normalize: bool = True,
    ) -> None:
        if method not in ("count", "known", "model"):
            raise ArgumentError(f"method={method!r}; expected 'count', 'known' or 'model'")
        if not 0 <= smoothing < np.inf:
            raise ArgumentError(f"smoothing={smoothing}; expected a finite number of at least 0")
        if clip is not None and not clip >= 1:
            raise ArgumentError(f"clip={clip}; expected a largest weight of at least 1")
        self.method, self.smoothing, self.clip, self.self_normalize = method, smoothing, clip, self_normalize

    def __repr__(self) -> str:
        return (
            f"PlacementPropensity({self.method!r}, smoothing={self.smoothing}, clip={self.clip}, "
            f"self_normalize={self.self_normalize})"
        )

    def options(self) -> dict[str, Any]:
        """The arguments that make another one like it."""
        return {name: getattr(self, name) for name in ("method", "smoothing", "clip", "self_normalize")}

    def fit(self, log: ClickLog) -> Self:
        """Estimate the propensities of a log and summarise its weights.

        Raises:
            DataError: method "known" and the log has no propensities, or "model" and it has no features.
        """
        self.weigh(self.aggregate(log))
        return self

    def propensities(self, log: ClickLog) -> FloatArray:
        """float64 [n, k], the placement propensity of every impression of a log; NaN where nothing was shown."""
        require_log(log)
        if self.method == "known":
            return _known(log)
        cells = Cells.from_log(log)
        table = np.full(cells.n_pairs * cells.n_ranks, np.nan)
        table[cells.pair.astype(np.int64) * cells.n_ranks + cells.rank] = self.cell_propensities(cells)
        key = log.pairs.index.astype(np.int64) * log.n_ranks + np.arange(log.n_ranks)
        return np.where(log.shown, table[np.where(log.shown, key, 0)], np.nan)

    def weights(self, log: ClickLog) -> FloatArray:
        """float64 [n, k], the sample weight of every impression; 0 where nothing was shown.

        Warns:
            WeightingWarning: All weights are equal.
        """
        self.fit(log)
        with np.errstate(divide="ignore", invalid="ignore"):
            weights = np.where(log.shown, 1 / np.maximum(self.propensities(log), self._floor), 0.0)
        if self.self_normalize:
            weights *= log.n_impressions / weights.sum()
        return weights

    def aggregate(self, log: ClickLog) -> Cells:
        """The cells of a log, ready for `weigh`; cells of parts of a log can be merged first.

        Raises:
            DataError: The log lacks what the method needs, or a propensity is so small that its weight overflows.
        """
        require_log(log)
        if self.method != "known":
            return Cells.from_log(log)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            cells = Cells.from_log(log, np.where(log.shown, 1 / np.maximum(_known(log), self._floor), 0.0))
            # What every summary of weights rests on; where it is finite, so are the weights.
            finite = np.isfinite(cells.n.sum() ** 2 + cells.n_squared.sum())
        if not finite:
            raise DataError(
                "a propensity is so small that its weight overflows",
                source=log.source,
                found=float(_known(log)[log.shown].min()),
                expected="a probability with which a document was really placed",
                hint="Mend it, or limit the weights with clip",
            )
        return cells

    def weigh(self, cells: Cells) -> Cells:
        """Weighted cells from the cells that `aggregate` returned; sets `summary_` and `ess_`.

        Warns:
            WeightingWarning: All weights are equal, or the effective sample size is below 1% of the impressions.
        """
        if self.method == "known":
            weighted = cells
            at_limit = cells.n * self._floor >= cells.impressions * (1 - 1e-12)
            clipped = float(cells.impressions[at_limit].sum())
        else:
            propensity = self.cell_propensities(cells)
            weighted = cells.weighted(1 / np.maximum(propensity, self._floor))
            clipped = float(cells.impressions[propensity < self._floor].sum())
        mean = weighted.n.sum() / cells.impressions.sum()
        if self.self_normalize:
            weighted = weighted.weighted(np.full(len(weighted), 1 / mean))
            mean = 1.0
        self.summary_ = _summary(weighted, mean, clipped if self.clip is not None else 0.0)
        self.ess_ = self.summary_.ess
        if self.summary_.no_op:
            warnings.warn(_why_no_op(cells), WeightingWarning, stacklevel=2)
        elif self.ess_ < _FEW * self.summary_.impressions:
            warnings.warn(
                f"weighting rests on very few impressions: {self.summary_}; clip the weights, or compare with the fit "
                "without them",
                WeightingWarning,
                stacklevel=2,
            )
        return weighted

    def cell_propensities(self, cells: Cells) -> FloatArray:
        """float64 [n_cells], for the methods "count" and "model"."""
        if self.method == "model":
            return _modelled(cells)
        seen_at = np.bincount(cells.pair, minlength=cells.n_pairs)
        sessions = cells.sessions[cells.pair_query]
        counts = cells.impressions + self.smoothing
        return np.asarray(counts / (sessions + self.smoothing * seen_at)[cells.pair])

    @property
    def _floor(self) -> float:
        return 0.0 if self.clip is None else 1 / self.clip


def _known(log: ClickLog) -> FloatArray:
    if log.propensities is None:
        raise DataError(
            "the log has no placement propensities",
            source=log.source,
            expected="a propensity column",
            hint="Use method='count' if queries repeat, or method='model' if there are features",
        )
    return log.propensities


def _modelled(cells: Cells) -> FloatArray:
    """P(rank | features of the pair) by multinomial regression, on raw features and on their place within the query."""
    from sklearn.linear_model import LogisticRegression

    if cells.features is None:
        raise DataError("the log has no features", expected="features, from which the rank can be predicted")
    X = cells.features.astype(np.float64)
    size = np.bincount(cells.pair_query, minlength=len(cells.query_ids))[cells.pair_query][:, None]
    mean = np.stack([np.bincount(cells.pair_query, column)[cells.pair_query] for column in X.T], axis=1) / size
    design = np.hstack([X, X - mean])
    design = Scaling.of(design).apply(design)
    if len(np.unique(cells.rank)) < 2:
        return np.ones(len(cells))
    model = LogisticRegression(C=1.0, max_iter=300)
    model.fit(design[cells.pair], cells.rank, sample_weight=cells.impressions)
    column = np.searchsorted(model.classes_, cells.rank)
    probability = model.predict_proba(design)[cells.pair, column]
    return np.asarray(np.maximum(probability, 1e-12))


def _summary(weighted: Cells, mean: float, clipped: float) -> WeightSummary:
    weight = weighted.n / weighted.impressions
    spread = (
        weighted.n_squared.sum() / weighted.impressions.sum() - (weighted.n.sum() / weighted.impressions.sum()) ** 2
    )
    return WeightSummary(
        ess=weighted.effective_sample_size(),
        impressions=int(weighted.impressions.sum()),
        largest=float(weight.max() / mean),
        clipped=clipped / float(weighted.impressions.sum()),
        no_op=bool(spread <= 1e-12 * mean**2),
    )


def _why_no_op(cells: Cells) -> str:
    if np.bincount(cells.pair).max(initial=0) <= 1:
        why = "no document was shown at two ranks for one query (a deterministic policy, or queries seen once)"
    else:
        why = "every placement is equally likely"
    return f"weighting is a no-op: {why}, so every weight is the same and the fit is that without weights"
