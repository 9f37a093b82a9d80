"""`TwoTowerClickModel`: position bias and relevance from clicks, P(click) = sigmoid(theta_rank + gamma)."""

import warnings
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from irworks.data import ClickLog
from irworks.errors import ArgumentError, IrworksError
from ltr_twotower.cells import Cells
from ltr_twotower.identify import (
    IdentifiabilityReport,
    check_identifiability,
    identified_groups,
    with_bias_features,
)
from ltr_twotower.information import contrast_variance
from ltr_twotower.lookup import pair_lookup
from ltr_twotower.newton import Problem, Solution, solve_lbfgs, solve_newton
from ltr_twotower.reduction import solve_bias_reduced
from ltr_twotower.swaps import SwapGraph, swap_graph
from ltr_twotower.variance import theta_covariance
from ltr_twotower.weighting import PlacementPropensity

if TYPE_CHECKING:
    import torch

    from ltr_twotower.train import TrainConfig

__all__ = ["NotFittedError", "NotIdentifiedError", "NotIdentifiedWarning", "TwoTowerClickModel"]

FloatArray = NDArray[np.float64]
OnUnidentified = Literal["warn", "raise", "component-normalize"]


class NotIdentifiedError(IrworksError):
    """The log does not identify the position bias; the message names the groups of ranks that cannot be compared."""


class NotIdentifiedWarning(UserWarning):
    """As `NotIdentifiedError`, where the user asked to go on."""


class NotFittedError(IrworksError):
    """A model was asked for something that it has only after `fit`."""


class TwoTowerClickModel:
    """A two-tower click model: a bias tower over ranks and a relevance tower over documents.

    Args:
        relevance: "embedding": one relevance per (query, document) pair. "linear": X w, without intercept. "deep": a
            small network (2 x 32 ELU, dropout 0.1, as in the paper's code). Or a `torch.nn.Module` mapping [n,
            n_features] to [n] or [n, 1].
        bias: "position": one theta per rank. Or float [n_ranks, n_bias_features]: theta is linear in features of the
            rank (its logarithm, its row and column on a grid). Or a `torch.nn.Module` over one-hot ranks.
        combine: "additive": P = sigmoid(theta_k + gamma). "pbm": P = sigmoid(theta_k) sigmoid(gamma), the
            position-based model, for comparison.
        sample_weight: None, or a `PlacementPropensity`: weigh every impression by its inverse placement propensity.
        l2: Ridge on theta and gamma (or w), on the scale of the summed log-likelihood. Must be positive: it keeps
            documents with no click (or only clicks) finite. Large values bias theta; do not tune it on likelihood
            alone.
        relevance_l2: Ridge on the relevances of an embedding tower in a second step, with theta held. A strong one
            predicts documents with few impressions better; as `l2` it would bend theta, because documents placed high
            are not a random sample. None: no second step.
        solver: "newton" (exact, embedding and linear, additive), "lbfgs", "adamw" (torch modules), or "auto".
        bias_reduction: Correct theta of an embedding tower for the many relevances that are estimated from few
            impressions each (see `ltr_twotower.reduction`). Worth it below some hundred impressions per pair, or with
            weights; then the fit is no longer the plain maximum of the likelihood.
        on_unidentified: What to do when the log does not identify theta. "warn": go on, and say which ranks cannot be
            compared. "raise": `NotIdentifiedError`. "component-normalize": set the first rank of every component to
            0, so that no number compares two components.
        random_state: Seed of "adamw"; the other solvers are deterministic.
        train: `ltr_twotower.train.TrainConfig` for "adamw": learning rate, epochs, batch size, device, precision.

    Attributes (after `fit`):
        position_bias_: float64 [n_ranks], theta with theta_1 = 0 (at the first shown rank, if nothing was shown at
            rank 1); NaN at ranks at which nothing was shown. For "pbm", the logarithm of the examination relative to
            rank 1.
        stderr_: float64 [n_ranks], standard error of each theta against its reference: inf where the two cannot be
            compared, NaN for solvers that give none. Weighted fits use the sandwich estimator.
        gamma_: float64 [n_pairs], relevance logit of each pair (of `cells_.pair_query`, `cells_.pair_doc`).
        coef_: float64 [n_features] of a linear tower, else None.
        intercept_: Constant of the relevance logits that the normalisation theta_1 = 0 asks for.
        cells_: The unweighted sufficient statistics.
        weights_: `WeightSummary` where weights were used, else None.
        graph_: Swap graph of the log.
        labels_: int32 [n_ranks], group of ranks whose thetas can be compared.
        converged_: Whether the solver met its tolerance.
    """

    def __init__(
        self,
        relevance: "Literal['embedding', 'linear', 'deep'] | torch.nn.Module" = "embedding",
        bias: "Literal['position'] | ArrayLike | torch.nn.Module" = "position",
        combine: Literal["additive", "pbm"] = "additive",
        sample_weight: PlacementPropensity | None = None,
        l2: float = 0.1,
        relevance_l2: float | None = None,
        solver: Literal["auto", "newton", "lbfgs", "adamw"] = "auto",
        bias_reduction: bool = False,
        on_unidentified: OnUnidentified = "warn",
        random_state: int | None = None,
        train: "TrainConfig | None" = None,
    ) -> None:
        self.relevance, self.bias, self.combine, self.sample_weight = relevance, bias, combine, sample_weight
        self.l2, self.relevance_l2, self.solver = l2, relevance_l2, solver
        self.bias_reduction, self.on_unidentified = bias_reduction, on_unidentified
        self.random_state, self.train = random_state, train

    # -- fitting ------------------------------------------------------------------------------------------------------

    def fit(self, log: ClickLog, X: ArrayLike | None = None) -> Self:
        """Fit the model to a log.

        Args:
            log: The clicks.
            X: float [n_pairs, n_features], features of `log.pairs`. Default: the log's own.

        Raises:
            ArgumentError: Options that do not go together, or features missing or of the wrong shape.
            NotIdentifiedError: The log does not identify theta and `on_unidentified="raise"`.

        Warns:
            NotIdentifiedWarning: The log does not identify theta.
            WeightingWarning: The weights are all equal.
        """
        self._check_options()
        return self._fit_cells(self._aggregate(log), X)

    def partial_fit(self, log: ClickLog) -> Self:
        """Add a part of a log and refit on all parts seen so far: exactly the fit of the whole.

        Parts may come in any order, with different vocabularies; features must come with the logs. The state is the
        cells, whose size depends on the documents, not on the impressions.
        """
        self._check_options()
        cells = self._aggregate(log)
        if hasattr(self, "cells_"):
            self._require_counts("partial_fit")
            cells = self.cells_.merge(cells)
        return self._fit_cells(cells, None)

    def problem(self, log: ClickLog, X: ArrayLike | None = None) -> Problem:
        """The penalised likelihood that `fit` would minimise, for additive models without neural towers."""
        self._check_options()
        cells = self._aggregate(log)
        features = self._features(cells, X)
        weighted = cells if self.sample_weight is None else self.sample_weight.weigh(cells)
        return Problem(weighted, X=features, l2=self.l2, A=self._bias_features(cells.n_ranks))

    def _aggregate(self, log: ClickLog) -> Cells:
        if not isinstance(log, ClickLog):
            raise ArgumentError(f"a {type(log).__name__} is no click log; read a table with ClickLog.from_frame")
        return Cells.from_log(log) if self.sample_weight is None else self.sample_weight.aggregate(log)

    def _fit_cells(self, raw: Cells, X: ArrayLike | None) -> Self:
        features = self._features(raw, X)
        graph = swap_graph(raw)
        # Kept before anything can be refused, so that a stream of parts can go on until it identifies the model.
        self.cells_ = raw
        self._check_identified(graph, features)
        weighted = raw if self.sample_weight is None else self.sample_weight.weigh(raw)
        self.weights_ = None if self.sample_weight is None else self.sample_weight.summary_
        self.graph_, self.X_ = graph, features
        self.module_: Any = None
        self.coef_: FloatArray | None = None
        if self._solver() == "adamw":
            self._fit_neural(weighted, features)
        elif self.combine == "pbm":
            self._fit_pbm(weighted, features)
        else:
            self._fit_additive(weighted, features)
        return self

    def _check_options(self) -> None:
        if not isinstance(self.relevance, str) and not callable(self.relevance):
            raise ArgumentError(f"relevance={self.relevance!r}; expected a name or a torch.nn.Module")
        if self.sample_weight is not None and not isinstance(self.sample_weight, PlacementPropensity):
            raise ArgumentError(f"sample_weight={self.sample_weight!r}; expected None or a PlacementPropensity")
        if not _is_positive(self.l2):
            raise ArgumentError(f"l2={self.l2!r}; expected a positive ridge: it keeps documents with no click finite")
        _one_of("combine", self.combine, ("additive", "pbm"))
        _one_of("on_unidentified", self.on_unidentified, ("warn", "raise", "component-normalize"))
        _one_of("solver", self.solver, ("auto", "newton", "lbfgs", "adamw"))
        if isinstance(self.relevance, str):
            _one_of("relevance", self.relevance, ("embedding", "linear", "deep"))
        if isinstance(self.bias, str):
            _one_of("bias", self.bias, ("position",))
        if self.solver in ("newton", "lbfgs") and self._needs_torch():
            raise ArgumentError(f"solver={self.solver!r} fits no neural tower; use solver='adamw'")
        if self.solver == "newton" and self.combine == "pbm":
            raise ArgumentError(
                "solver='newton' needs a convex likelihood, which combine='pbm' has not; use solver='lbfgs'"
            )
        if self.combine == "pbm" and (self._solver() == "adamw" or not isinstance(self.bias, str)):
            raise ArgumentError(
                "combine='pbm' takes relevance='embedding' or 'linear', bias='position' and solver='lbfgs'"
            )
        if self._solver() == "adamw" and self.relevance == "embedding":
            raise ArgumentError(
                "solver='adamw' and neural bias towers need a relevance tower on features; relevance='embedding' is "
                "convex: use solver='newton', with bias='position' or features of the ranks"
            )
        per_pair = self.relevance == "embedding" and self.combine == "additive"
        for name in ("bias_reduction", "relevance_l2"):
            if getattr(self, name) and not per_pair:
                raise ArgumentError(f"{name} takes relevance='embedding' and combine='additive'")
        if self.bias_reduction and self.solver == "lbfgs":
            raise ArgumentError("bias_reduction takes the Newton solver")
        if self.relevance_l2 is not None and not _is_positive(self.relevance_l2):
            raise ArgumentError(f"relevance_l2={self.relevance_l2!r}; expected a positive ridge")
        if self.on_unidentified == "component-normalize" and (
            self.relevance != "embedding" or self.combine != "additive"
        ):
            raise ArgumentError(
                "on_unidentified='component-normalize' takes relevance='embedding', whose components it normalises, "
                "and combine='additive'"
            )

    def _needs_torch(self) -> bool:
        bias_is_module = not isinstance(self.bias, str) and callable(self.bias)
        return self.relevance not in ("embedding", "linear") or bias_is_module

    def _solver(self) -> str:
        if self.solver != "auto":
            return self.solver
        if self._needs_torch():
            return "adamw"
        return "newton" if self.combine == "additive" else "lbfgs"

    def _tower(self) -> Literal["embedding", "linear", "deep"]:
        if self.relevance == "embedding":
            return "embedding"
        return "linear" if self.relevance == "linear" else "deep"

    def _features(self, cells: Cells, X: ArrayLike | None) -> FloatArray | None:
        if self.relevance == "embedding":
            if X is not None:
                raise ArgumentError("relevance='embedding' takes no features; choose relevance='linear' or 'deep'")
            return None
        table = cells.features if X is None else X
        if table is None:
            raise ArgumentError(
                f"relevance={_name(self.relevance)} needs features and the log has none; pass X [n_pairs, n_features] "
                "or read the log with features=[...]"
            )
        features = _numbers("X", table)
        if features.ndim != 2 or len(features) != cells.n_pairs:
            raise ArgumentError(
                f"X has shape {features.shape}; expected [{cells.n_pairs}, n_features], a row per pair of log.pairs"
            )
        if not np.isfinite(features).all():
            row, column = (int(i) for i in np.argwhere(~np.isfinite(features))[0])
            raise ArgumentError(f"X[{row}, {column}] is {features[row, column]}; expected finite numbers")
        return features

    def _bias_features(self, n_ranks: int) -> FloatArray | None:
        if isinstance(self.bias, str):
            return None
        table = _numbers("bias", self.bias)
        if table.ndim != 2 or len(table) != n_ranks or not np.isfinite(table).all():
            raise ArgumentError(
                f"bias has shape {table.shape}; expected finite features [{n_ranks}, n_bias_features], a row per rank"
            )
        return table

    def _check_identified(self, graph: SwapGraph, features: FloatArray | None) -> None:
        """Find the comparable groups of ranks, and warn or raise where there is more than one."""
        found = identified_groups(graph, features, self._tower())
        if not isinstance(self.bias, str) and not callable(self.bias):
            A = self._bias_features(graph.n_ranks)
            assert A is not None
            found = with_bias_features(found, A)
        self.labels_ = found.labels
        if self.labels_.max() <= 0:
            return
        groups = [(np.flatnonzero(self.labels_ == g) + 1).tolist() for g in range(int(self.labels_.max()) + 1)]
        text = (
            f"the log does not identify the position bias of a model with relevance={_name(self.relevance)}: theta "
            f"can be compared only within these groups of ranks: {groups}. Randomise a few swaps between them (see "
            "check_identifiability(...).suggest_swaps), or use a relevance tower whose features overlap between ranks"
        )
        if self.on_unidentified == "raise":
            raise NotIdentifiedError(text)
        warnings.warn(text, NotIdentifiedWarning, stacklevel=4)

    def _fit_additive(self, cells: Cells, X: FloatArray | None) -> None:
        problem = Problem(cells, X=X, l2=self.l2, A=self._bias_features(cells.n_ranks))
        solve: Callable[[Problem], Solution] = solve_newton if self._solver() == "newton" else solve_lbfgs
        solution = solve_bias_reduced(problem) if self.bias_reduction else solve(problem)
        self.converged_, self.n_iter_ = solution.converged, solution.iterations
        self.coef_ = None if X is None else solution.u
        covariance = theta_covariance(problem, solution, robust=self.sample_weight is not None)
        theta, gamma = problem.theta(solution.v), problem.gamma(solution.u)
        if self.relevance_l2 is not None:
            gamma = _shrunken_relevance(cells, theta, self.relevance_l2)
        self._normalise(theta, gamma, covariance)

    def _fit_pbm(self, cells: Cells, X: FloatArray | None) -> None:
        from ltr_twotower.pbm import fit_pbm

        result = fit_pbm(cells, X, self.l2)
        self.converged_, self.n_iter_, self.coef_ = result.converged, result.iterations, result.coef
        shown = self.labels_ >= 0
        reference = result.log_examination[np.flatnonzero(shown)[0]]
        self.position_bias_ = np.where(shown, result.log_examination - reference, np.nan)
        self.log_scale_ = float(reference)
        self.gamma_, self.intercept_ = result.gamma, result.intercept
        self.stderr_ = np.full(cells.n_ranks, np.nan)
        self.covariance_ = np.full((cells.n_ranks, cells.n_ranks), np.nan)

    def _fit_neural(self, cells: Cells, X: FloatArray | None) -> None:
        from ltr_twotower.train import TrainConfig, fit_neural

        assert X is not None
        # The options were checked: "embedding" does not come here, and an array of bias features has its right shape.
        relevance: Any = self.relevance
        bias: Any = (
            self.bias if isinstance(self.bias, str) or callable(self.bias) else self._bias_features(cells.n_ranks)
        )
        config = self.train or TrainConfig()
        result = fit_neural(cells, X, relevance, bias, config, self.random_state, self.l2)
        self.module_, self.converged_, self.n_iter_ = result.module, result.converged, result.epochs
        self._normalise(result.theta, result.gamma, np.full((cells.n_ranks, cells.n_ranks), np.nan))

    def _normalise(self, theta: FloatArray, gamma: FloatArray, covariance: FloatArray) -> None:
        """Set theta of the reference rank to exactly 0 and move the difference into the relevance."""
        cells, labels = self.cells_, self.labels_
        shown = np.flatnonzero(labels >= 0)
        first = np.full(len(labels), shown[0])
        if self.on_unidentified == "component-normalize":
            for label in range(int(labels.max()) + 1):
                first[labels == label] = np.flatnonzero(labels == label)[0]
        self.reference_ = first
        self.position_bias_ = np.where(labels >= 0, theta - theta[first], np.nan)
        shift = np.zeros(cells.n_pairs)
        shift[cells.pair] = theta[first[cells.rank]]
        self.gamma_ = gamma + shift
        self.intercept_ = float(theta[shown[0]])
        self.covariance_ = covariance
        variance = contrast_variance(covariance)
        stderr = np.sqrt(variance[np.arange(len(labels)), first])
        self.stderr_ = np.where(labels == labels[first], stderr, np.inf)
        self.stderr_[labels < 0] = np.nan

    # -- using --------------------------------------------------------------------------------------------------------

    @property
    def examination_(self) -> FloatArray:
        """float64 [n_ranks], probability of examination relative to rank 1, of a position-based model.

        Raises:
            ArgumentError: The model is additive: exp(theta) of an additive-logit model is no examination probability.
        """
        self._require_fit()
        if self.combine != "pbm":
            raise ArgumentError(
                "examination_ belongs to combine='pbm': theta of an additive-logit model is not an examination "
                "probability"
            )
        return np.exp(self.position_bias_)

    def predict_relevance(self, what: "ClickLog | ArrayLike") -> FloatArray:
        """Relevance logits.

        Args:
            what: A log: the relevance of each of its pairs, [n_pairs] (`log.pairs`); pairs that an embedding tower
                has not seen get its mean. Or, for towers on features, float [n, n_features]: [n].
        """
        self._require_fit()
        if isinstance(what, ClickLog):
            if self.relevance == "embedding":
                return self._embedding_of(what)
            if what.features is None:
                raise ArgumentError(f"relevance={_name(self.relevance)} needs features and the log has none")
            what = what.features
        if self.relevance == "embedding":
            raise ArgumentError("relevance='embedding' knows pairs, not features; pass a log")
        X = _numbers("features", what)
        if self.coef_ is not None:
            if X.ndim != 2 or X.shape[1] != len(self.coef_):
                raise ArgumentError(f"features have shape {X.shape}; expected [n, {len(self.coef_)}]")
            return np.asarray(X @ self.coef_ + self.intercept_)
        from ltr_twotower.train import forward

        return forward(self.module_, X) + self.intercept_

    def _embedding_of(self, log: ClickLog) -> FloatArray:
        found = pair_lookup(self.cells_, log)
        mean = float(self.gamma_.mean())
        return np.where(found >= 0, self.gamma_[found], mean)

    def predict_proba(self, log: ClickLog) -> FloatArray:
        """Click probability of every impression, float64 [n, k].

        NaN where nothing was shown, at ranks that `fit` has not seen, and, after "component-normalize", for pairs at
        ranks of another component.
        """
        self._require_fit()
        theta = np.full(log.n_ranks, np.nan)
        n = min(log.n_ranks, len(self.position_bias_))
        theta[:n] = self.position_bias_[:n]
        gamma = self.predict_relevance(log)[log.pairs.index]
        if self.combine == "pbm":
            p = np.exp(theta + self.log_scale_) * expit(gamma)
        elif self.on_unidentified == "component-normalize":
            p = self._component_proba(log, theta, gamma)
        else:
            p = expit(theta + gamma)
        return np.where(log.shown, p, np.nan)

    def _component_proba(self, log: ClickLog, theta: FloatArray, gamma: FloatArray) -> FloatArray:
        """A pair's gamma is known against its own component only: at a rank of another the model says nothing."""
        cells = self.cells_
        component = np.full(cells.n_pairs, -1)
        component[cells.pair] = self.labels_[cells.rank]
        found = pair_lookup(cells, log)
        own = np.where(found >= 0, component[found], -1)[log.pairs.index]
        labels = np.full(log.n_ranks, -1)
        n = min(log.n_ranks, len(self.labels_))
        labels[:n] = self.labels_[:n]
        return np.where(own == labels, expit(theta + gamma), np.nan)

    def score(self, log: ClickLog) -> float:
        """Mean log-likelihood per impression (higher is better), over impressions that have a prediction."""
        p = np.clip(self.predict_proba(log), 1e-15, 1 - 1e-15)
        known = log.shown & ~np.isnan(p)
        if not known.any():
            raise ArgumentError("the model has no prediction for any impression of this log")
        p, clicks = p[known], log.clicks[known]
        return float(np.where(clicks, np.log(p), np.log1p(-p)).mean())

    def contrast(self, a: int, b: int) -> tuple[float, float]:
        """theta_a - theta_b of two ranks counted from 1, and its standard error (inf where they cannot be compared)."""
        self._require_fit()
        i, j = a - 1, b - 1
        if not (0 <= i < len(self.labels_) and 0 <= j < len(self.labels_)):
            raise ArgumentError(f"ranks {a} and {b}; expected ranks from 1 to {len(self.labels_)}")
        if self.labels_[i] != self.labels_[j] or self.labels_[i] < 0:
            return float("nan"), float("inf")
        return float(self.position_bias_[i] - self.position_bias_[j]), float(
            np.sqrt(contrast_variance(self.covariance_)[i, j])
        )

    def identifiability(self) -> IdentifiabilityReport:
        """`check_identifiability` of the fitted log, for this model's tower and one theta per rank."""
        self._require_fit()
        self._require_counts("identifiability")
        return check_identifiability(self.cells_, self.X_, tower=self._tower(), l2=self.l2)

    def _require_fit(self) -> None:
        if not hasattr(self, "position_bias_"):
            raise NotFittedError("the model is not fitted yet; call fit(log) first")

    def _require_counts(self, what: str) -> None:
        if not self.cells_.impressions.any():
            raise NotFittedError(f"{what} needs the counts of the log, which a saved model does not keep; fit it again")

    # -- keeping ------------------------------------------------------------------------------------------------------

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model as a folder of plain files: see `ltr_twotower.files`."""
        from ltr_twotower.files import save_model

        self._require_fit()
        save_model(self, folder)

    @classmethod
    def from_pretrained(cls, folder: str | Path, relevance: "torch.nn.Module | None" = None) -> "TwoTowerClickModel":
        """Read a model back; it predicts bit for bit what the saved one did.

        Args:
            folder: Written by `save_pretrained`.
            relevance: The untrained module, where the relevance tower was a module of your own.
        """
        from ltr_twotower.files import load_model

        return load_model(folder, relevance)


def _shrunken_relevance(cells: Cells, theta: FloatArray, l2: float) -> FloatArray:
    """float64 [n_pairs]: relevances with ridge `l2` around their own mean, theta held but for a shift."""
    problem = Problem(cells, l2=l2, A=np.ones((cells.n_ranks, 1)), b=theta)
    solution = solve_newton(problem)
    return np.asarray(solution.u + solution.v[0])


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ArgumentError(f"{name}={value!r}; expected one of {', '.join(map(repr, allowed))}")


def _is_positive(value: object) -> bool:
    return isinstance(value, Real) and 0 < float(value) < float("inf")


def _numbers(name: str, values: object) -> FloatArray:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is no array of numbers") from None


def _name(relevance: object) -> str:
    return repr(relevance) if isinstance(relevance, str) else type(relevance).__name__
