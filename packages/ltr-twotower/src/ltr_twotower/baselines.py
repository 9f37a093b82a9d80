"""Other answers to the confounding of relevance and position bias, to compare with; each changes one step of the model.

All are `TwoTowerClickModel`s: `fit(log, X=None)`, `position_bias_`, `predict_relevance`, `predict_proba`, `score`. None
gives standard errors (`stderr_` is NaN).
"""

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from irworks.errors import ArgumentError
from ltr_twotower.batches import ratio
from ltr_twotower.cells import Cells
from ltr_twotower.features import Scaling
from ltr_twotower.model import TwoTowerClickModel
from ltr_twotower.newton import ConvergenceWarning
from ltr_twotower.unidentified import OnUnidentified
from ltr_twotower.weighting import PlacementPropensity

if TYPE_CHECKING:
    import torch

    from ltr_twotower.train import TrainConfig

__all__ = ["GradientReversalTwoTower", "PositionDropoutTwoTower", "RegressionEM"]

FloatArray = NDArray[np.float64]


class PositionDropoutTwoTower(TwoTowerClickModel):
    """An additive two-tower that is told the position of only a part of the impressions.

    With probability `rate` the position of an impression is replaced by "missing", which has a theta of its own, so
    that the relevance tower must explain a part of the clicks alone. A position is either there or missing, so the
    loss expected over all ways to drop is a sum over cells again: it is minimised as such, without sampling.

    Sources: Zhao et al. (2019), Recommending what video to watch next, RecSys (dropout of the position feature, at
    10%); Zhang et al. (2023), Towards disentangling relevance and bias in unbiased learning to rank, KDD (dropout in
    the bias tower). A reimplementation from the idea, with one theta per position.

    Args:
        rate: Share of the impressions whose position is dropped, in [0, 1). 0 is the plain two-tower.
        relevance: As for `TwoTowerClickModel`.
        sample_weight: As for `TwoTowerClickModel`.
        l2: As for `TwoTowerClickModel`.
        on_unidentified: As for `TwoTowerClickModel`.
        random_state: As for `TwoTowerClickModel`.
        train: As for `TwoTowerClickModel`.

    Raises:
        ArgumentError: `rate` is outside [0, 1).
    """

    def __init__(
        self,
        rate: float = 0.1,
        relevance: "Literal['embedding', 'linear', 'deep'] | torch.nn.Module" = "deep",
        sample_weight: PlacementPropensity | None = None,
        l2: float = 0.1,
        on_unidentified: OnUnidentified = "warn",
        random_state: int | None = None,
        train: "TrainConfig | None" = None,
    ) -> None:
        if not 0 <= rate < 1:
            raise ArgumentError(f"rate={rate!r}; expected a share in [0, 1)")
        super().__init__(
            relevance,
            sample_weight=sample_weight,
            l2=l2,
            on_unidentified=on_unidentified,
            random_state=random_state,
            train=train,
        )
        self.rate = rate

    def _fit_additive(self, cells: Cells, X: FloatArray | None) -> None:
        super()._fit_additive(_with_missing_positions(cells, self.rate), X)

    def _fit_neural(self, cells: Cells, X: FloatArray | None) -> None:
        super()._fit_neural(_with_missing_positions(cells, self.rate), X)

    def _normalise(self, theta: FloatArray, gamma: FloatArray, covariance: FloatArray) -> None:
        # The last theta is that of the missing position. An impression stands in two cells: no covariance is valid.
        super()._normalise(theta[:-1], gamma, np.full_like(covariance[:-1, :-1], np.nan))


def _with_missing_positions(cells: Cells, rate: float) -> Cells:
    """The cells, with the share `rate` of every impression moved to one more rank, which stands for "missing"."""
    kept, dropped = (cells.weighted(np.full(len(cells), share)) for share in (1 - rate, rate))
    pair = np.concatenate([cells.pair, np.arange(cells.n_pairs, dtype=np.int32)])
    rank = np.concatenate([cells.rank, np.full(cells.n_pairs, cells.n_ranks, dtype=np.int32)])
    names = ("n", "clicks", "n_squared", "clicks_squared", "impressions")
    sums = {
        name: np.concatenate(
            [getattr(kept, name), np.bincount(cells.pair, getattr(dropped, name), minlength=cells.n_pairs)]
        )
        for name in names
    }
    order = np.lexsort((rank, pair))
    order = order[sums["n"][order] > 0]
    columns: dict[str, Any] = {name: values[order] for name, values in sums.items()}
    return replace(cells, pair=pair[order], rank=rank[order], n_ranks=cells.n_ranks + 1, **columns)


class GradientReversalTwoTower(TwoTowerClickModel):
    """An additive two-tower whose bias tower unlearns what it knows of relevance, by gradient reversal.

    An adversary predicts the click from the bias logit alone, as sigmoid(a theta_k + b). It is trained to predict well,
    while the gradient that it sends back to theta is reversed and scaled by `strength`, so that theta alone explains
    fewer clicks. Trained by AdamW; theta is as the optimiser left it. From a strength of about 1 the reversal can
    outweigh the likelihood: compare `score` with that of the plain model.

    Sources: Zhang et al. (2023), Towards disentangling relevance and bias in unbiased learning to rank, KDD; Ganin and
    Lempitsky (2015), Unsupervised domain adaptation by backpropagation, ICML (the reversal). A reimplementation from
    the idea, with one theta per position.

    Args:
        strength: Scale of the reversed gradient, at least 0. 0 is the plain two-tower.
        relevance: "linear", "deep" or a module, as for `TwoTowerClickModel`.
        sample_weight: As for `TwoTowerClickModel`.
        l2: As for `TwoTowerClickModel`.
        on_unidentified: As for `TwoTowerClickModel`.
        random_state: As for `TwoTowerClickModel`.
        train: As for `TwoTowerClickModel`.

    Raises:
        ArgumentError: `strength` is negative or not finite.
    """

    def __init__(
        self,
        strength: float = 0.5,
        relevance: "Literal['linear', 'deep'] | torch.nn.Module" = "deep",
        sample_weight: PlacementPropensity | None = None,
        l2: float = 0.1,
        on_unidentified: OnUnidentified = "warn",
        random_state: int | None = None,
        train: "TrainConfig | None" = None,
    ) -> None:
        if not 0 <= strength < np.inf:
            raise ArgumentError(f"strength={strength!r}; expected a finite number of at least 0")
        super().__init__(
            relevance,
            solver="adamw",
            sample_weight=sample_weight,
            l2=l2,
            on_unidentified=on_unidentified,
            random_state=random_state,
            train=train,
        )
        self.strength = strength

    def _fit_neural(self, cells: Cells, X: FloatArray | None) -> None:
        from ltr_twotower.train import TrainConfig, train_towers

        assert X is not None
        result = train_towers(
            cells,
            X,
            self.relevance,  # type: ignore[arg-type]
            "position",
            self.train or TrainConfig(),
            self.random_state,
            self.l2,
            adversary=_adversary(self.strength),
        )
        self.module_, self.converged_, self.n_iter_ = result.module, result.converged, result.epochs
        self._normalise(result.theta, result.gamma, np.full((cells.n_ranks, cells.n_ranks), np.nan))


def _adversary(strength: float) -> "torch.nn.Module":
    from ltr_twotower.towers import require_torch

    require_torch()
    import torch

    class Adversary(torch.nn.Module):
        """Negative log-likelihood of clicks predicted from bias logits, whose gradient to them is reversed."""

        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Parameter(torch.zeros(2))

        def forward(self, theta: torch.Tensor, rate: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
            # In value theta, in gradient -strength.
            reversed_theta = (1 + strength) * theta.detach() - strength * theta
            z = self.line[0] * reversed_theta + self.line[1]
            return torch.nn.functional.binary_cross_entropy_with_logits(z, rate, weight, reduction="sum")

    return Adversary()


class RegressionEM(TwoTowerClickModel):
    """The position-based model P(click) = examination_k * relevance, by expectation maximisation on cells.

    Every step gives each impression the probabilities that it was examined and that it is relevant, and then refits
    examination (a mean per rank) and relevance to them: a mean per pair, or a logistic regression on features, with the
    probabilities as weights where the paper draws labels. The penalised likelihood never falls.

    Source: Wang et al. (2018), Position bias estimation for unbiased learning to rank in personal search, WSDM.

    Args:
        relevance: "embedding": a relevance per (query, document) pair. "linear": sigmoid(X w + intercept).
        sample_weight: As for `TwoTowerClickModel`.
        l2: "linear": ridge on the weights of standardised features. "embedding": so many added clicks, and as many
            added skips, for every pair.
        on_unidentified: As for `TwoTowerClickModel`.
        max_iterations: Warn with `ConvergenceWarning` after this many steps.
        tolerance: Stop when a step adds less than this to the penalised log-likelihood per impression.

    Attributes (after `fit`): As for `TwoTowerClickModel` with `combine="pbm"`, and
        log_likelihood_: float64 [n_iter_ + 1], penalised log-likelihood before every step and after the last.

    Raises:
        ArgumentError: `max_iterations` or `tolerance` is not positive.
    """

    def __init__(
        self,
        relevance: Literal["embedding", "linear"] = "embedding",
        sample_weight: PlacementPropensity | None = None,
        l2: float = 0.1,
        on_unidentified: OnUnidentified = "warn",
        max_iterations: int = 1000,
        tolerance: float = 1e-8,
    ) -> None:
        if not (max_iterations > 0 and tolerance > 0):
            raise ArgumentError(f"max_iterations={max_iterations}, tolerance={tolerance}; expected positive numbers")
        super().__init__(relevance, combine="pbm", sample_weight=sample_weight, l2=l2, on_unidentified=on_unidentified)
        self.max_iterations, self.tolerance = max_iterations, tolerance

    def _fit_pbm(self, cells: Cells, X: FloatArray | None) -> None:
        relevance = _PairRelevance(cells, self.l2) if X is None else _FeatureRelevance(X, self.l2)
        examination = np.full(cells.n_ranks, 0.5)
        trace = [_log_likelihood(cells, examination, relevance.values) + relevance.log_prior]
        self.converged_ = False
        while not self.converged_ and len(trace) <= self.max_iterations:
            examined, relevant = _expectation(cells, examination, relevance.values)
            examination = ratio(examined, _sums(cells.rank, cells.n, cells.n_ranks))
            relevance.refit(relevant, _sums(cells.pair, cells.n, cells.n_pairs))
            trace.append(_log_likelihood(cells, examination, relevance.values) + relevance.log_prior)
            self.converged_ = trace[-1] - trace[-2] < self.tolerance * cells.total
        if not self.converged_:
            warnings.warn(f"EM stopped after {self.max_iterations} steps", ConvergenceWarning, stacklevel=4)
        self.log_likelihood_, self.n_iter_ = np.array(trace), len(trace) - 1
        self.coef_, self.intercept_, self.gamma_ = relevance.coef, relevance.intercept, relevance.gamma
        shown = self.labels_ >= 0
        log_examination = np.log(np.where(shown, np.maximum(examination, _TINY), np.nan))
        self.log_scale_ = float(log_examination[shown][0])
        self.position_bias_ = log_examination - self.log_scale_
        self.stderr_ = np.full(cells.n_ranks, np.nan)
        self.covariance_ = np.full((cells.n_ranks, cells.n_ranks), np.nan)


# Keeps logarithms and divisions finite where a probability reaches 0 or 1.
_TINY = 1e-12


def _log_likelihood(cells: Cells, examination: FloatArray, relevance: FloatArray) -> float:
    p = np.clip(examination[cells.rank] * relevance[cells.pair], _TINY, 1 - _TINY)
    return float(np.dot(cells.clicks, np.log(p)) + np.dot(cells.n - cells.clicks, np.log1p(-p)))


def _expectation(cells: Cells, examination: FloatArray, relevance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Expected number of examined impressions by rank [n_ranks], and of relevant ones by pair [n_pairs]."""
    e, r = examination[cells.rank], relevance[cells.pair]
    # A click was examined and relevant; a skip lacked one of the two.
    skip = (cells.n - cells.clicks) / np.maximum(1 - e * r, _TINY)
    examined = cells.clicks + skip * e * (1 - r)
    relevant = cells.clicks + skip * r * (1 - e)
    return _sums(cells.rank, examined, cells.n_ranks), _sums(cells.pair, relevant, cells.n_pairs)


def _sums(group: NDArray[np.int32], values: FloatArray, n: int) -> FloatArray:
    return np.bincount(group, values, minlength=n).astype(np.float64, copy=False)


class _PairRelevance:
    """A relevance per pair, with a Beta(1 + l2, 1 + l2) prior that keeps its logit finite."""

    coef = None
    intercept = 0.0

    def __init__(self, cells: Cells, l2: float) -> None:
        self.l2, self.values = l2, np.full(cells.n_pairs, 0.5)

    def refit(self, relevant: FloatArray, total: FloatArray) -> None:
        self.values = (relevant + self.l2) / (total + 2 * self.l2)

    @property
    def gamma(self) -> FloatArray:
        return np.asarray(logit(self.values))

    @property
    def log_prior(self) -> float:
        return float(self.l2 * (np.log(self.values) + np.log1p(-self.values)).sum())


class _FeatureRelevance:
    """Logistic regression of the relevance of pairs on their features, which are standardised for the ridge."""

    def __init__(self, X: FloatArray, l2: float) -> None:
        from sklearn.linear_model import LogisticRegression

        self.scaling = Scaling.of(X)
        self.Z, self.l2 = self.scaling.apply(X), l2
        self.weights, self.level = np.zeros(X.shape[1]), 0.0
        self.model = LogisticRegression(C=1 / l2, solver="newton-cholesky", tol=1e-10, max_iter=200, warm_start=True)

    def refit(self, relevant: FloatArray, total: FloatArray) -> None:
        rows, labels = np.vstack([self.Z, self.Z]), np.repeat([1, 0], len(self.Z))
        self.model.fit(rows, labels, sample_weight=np.concatenate([relevant, np.maximum(total - relevant, 0)]))
        self.weights, self.level = self.model.coef_[0].copy(), float(self.model.intercept_[0])

    @property
    def coef(self) -> FloatArray:
        return self.scaling.undo(self.weights)[0]

    @property
    def intercept(self) -> float:
        return self.level + self.scaling.undo(self.weights)[1]

    @property
    def gamma(self) -> FloatArray:
        return np.asarray(self.Z @ self.weights + self.level)

    @property
    def values(self) -> FloatArray:
        return np.asarray(expit(self.gamma))

    @property
    def log_prior(self) -> float:
        return float(-self.l2 / 2 * (self.weights @ self.weights))
