"""`TwoTowerClickModel`: position bias and relevance from clicks, P(click) = sigmoid(theta_rank + gamma)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from irworks.data import ClickLog
from irworks.errors import ArgumentError, IrworksError
from ltr_twotower.cells import Cells, require_log
from ltr_twotower.features import feature_table, numbers
from ltr_twotower.identify import IdentifiabilityReport, check_identifiability
from ltr_twotower.information import contrast_variance
from ltr_twotower.newton import Problem, Solution, solve_lbfgs, solve_newton
from ltr_twotower.options import check_options, name_of, solver_of, tower_of
from ltr_twotower.predict import component_proba, embedding_of, features_of
from ltr_twotower.reduction import solve_bias_reduced
from ltr_twotower.reference import referred
from ltr_twotower.swaps import swap_graph
from ltr_twotower.unidentified import NotIdentifiedError, NotIdentifiedWarning, OnUnidentified, comparable_labels
from ltr_twotower.variance import theta_covariance
from ltr_twotower.weighting import PlacementPropensity

if TYPE_CHECKING:
    import torch

    from ltr_twotower.train import TrainConfig

__all__ = ["NotFittedError", "NotIdentifiedError", "NotIdentifiedWarning", "TwoTowerClickModel"]

FloatArray = NDArray[np.float64]


class NotFittedError(IrworksError, AttributeError):
    """A model was asked for something that it has only after `fit`. An `AttributeError`, so that `hasattr` works."""


class TwoTowerClickModel:
    """A two-tower click model: a bias tower over ranks and a relevance tower over documents.

    Args:
        relevance: "embedding": one relevance per (query, document) pair. "linear": X w, in any units and with any
            zero. "deep": a small network (2 x 32 ELU, dropout 0.1, as in the paper's code). Or a `torch.nn.Module`
            mapping [n, n_features] to [n] or [n, 1].
        bias: "position": one theta per rank. Or float [n_ranks, n_bias_features]: theta is linear in features of the
            rank (its logarithm, its row and column on a grid). Or a `torch.nn.Module` over one-hot ranks.
        combine: "additive": P = sigmoid(theta_k + gamma). "pbm": P = sigmoid(theta_k) sigmoid(gamma), the
            position-based model, for comparison.
        sample_weight: None, or a `PlacementPropensity`: weigh every impression by its inverse placement propensity.
        l2: Ridge on theta and gamma (or the weights of standardised features), on the scale of the summed
            log-likelihood. Must be positive: it keeps documents with no click (or only clicks) finite. Large values
            bias theta; do not tune it on likelihood alone.
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
        feature_names_: Names of the features of the log, by which other logs are matched; None without features, or
            where they were passed as `X`.
        gamma_: float64 [n_pairs], relevance logit of each pair (of `cells_.pair_query`, `cells_.pair_doc`).
        coef_: float64 [n_features] of a linear tower, in the units of the features, else None.
        intercept_: Constant of the relevance logits: relevance is X coef_ + intercept_.
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
        self._seen: Cells | None = None
        check_options(self)

    if not TYPE_CHECKING:  # a type checker would take every misspelt attribute for one that this gives

        def __getattr__(self, name: str) -> NoReturn:
            if name.endswith("_") and not name.startswith("_") and "position_bias_" not in self.__dict__:
                raise NotFittedError(f"the model has no {name} yet; call fit(log) first")
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    # -- fitting ------------------------------------------------------------------------------------------------------

    def fit(self, log: ClickLog, X: ArrayLike | None = None) -> Self:
        """Fit the model to a log. A fit that raises leaves the one before as it was.

        Args:
            log: The clicks.
            X: float [n_pairs, n_features], features of `log.pairs`. Default: the log's own, which are stored as
                float32, seven digits: of seconds since 1970 take a recent date away before they become features.

        Raises:
            ArgumentError: Options that do not go together, or features missing or of the wrong shape.
            NotIdentifiedError: The log does not identify theta and `on_unidentified="raise"`.

        Warns:
            NotIdentifiedWarning: The log does not identify theta: ranks cannot be compared, or nothing (or everything)
                was clicked.
            WeightingWarning: The weights are all equal.
        """
        check_options(self)
        return self._fit_cells(self._aggregate(log), X)

    def partial_fit(self, log: ClickLog) -> Self:
        """Add a part of a log and refit on all parts seen so far: exactly the fit of the whole.

        Parts may come in any order, with different vocabularies, but with ids of one type; features must come with the
        logs and are matched by name. The state is the cells, whose size depends on the documents, not on the
        impressions.

        Raises:
            DataError: The parts cannot be put together: see `Cells.merge`.
            NotIdentifiedError: As `fit`; the part counts as seen, so that the parts that follow can identify theta.
        """
        check_options(self)
        cells = self._aggregate(log)
        if self._seen is not None:
            cells = self._seen.merge(cells)
        elif hasattr(self, "cells_"):
            self._require_counts("partial_fit")
        return self._fit_cells(cells, None)

    def problem(self, log: ClickLog, X: ArrayLike | None = None) -> Problem:
        """The penalised likelihood that `fit` would minimise, for additive models without neural towers."""
        check_options(self)
        cells = self._aggregate(log)
        features = self._features(cells, X)
        weighted = cells if self.sample_weight is None else self.sample_weight.weigh(cells)
        return Problem(weighted, X=features, l2=self.l2, A=self._bias_features(cells.n_ranks))

    def _aggregate(self, log: ClickLog) -> Cells:
        require_log(log)
        return Cells.from_log(log) if self.sample_weight is None else self.sample_weight.aggregate(log)

    def _fit_cells(self, raw: Cells, X: ArrayLike | None) -> Self:
        with self._as_before_if_it_fails(raw):
            features, A = self._features(raw, X), self._bias_features(raw.n_ranks)
            graph = swap_graph(raw)
            self.labels_ = comparable_labels(graph, features, A, tower_of(self), self.relevance, self.on_unidentified)
            weighted = raw if self.sample_weight is None else self.sample_weight.weigh(raw)
            self.weights_ = None if self.sample_weight is None else self.sample_weight.summary_
            self.cells_, self.graph_, self.X_ = raw, graph, features
            self.feature_names_ = None if features is None or X is not None else raw.feature_names
            self.module_: Any = None
            self.coef_: FloatArray | None = None
            if solver_of(self) == "adamw":
                self._fit_neural(weighted, features)
            elif self.combine == "pbm":
                self._fit_pbm(weighted, features)
            else:
                self._fit_additive(weighted, features)
        self._seen = raw
        return self

    @contextmanager
    def _as_before_if_it_fails(self, raw: Cells) -> Iterator[None]:
        """Half of a new fit beside half of the old one would give documents the relevance of others."""
        before = vars(self).copy()
        try:
            yield
        except BaseException as error:
            vars(self).clear()
            vars(self).update(before)
            if isinstance(error, NotIdentifiedError):
                # Kept apart from the fit, so that a stream of parts can go on until it identifies the model.
                self._seen = raw
            raise

    def _features(self, cells: Cells, X: ArrayLike | None) -> FloatArray | None:
        if self.relevance == "embedding":
            if X is not None:
                raise ArgumentError("relevance='embedding' takes no features; choose relevance='linear' or 'deep'")
            return None
        table = cells.features if X is None else X
        if table is None:
            raise ArgumentError(
                f"relevance={name_of(self.relevance)} needs features and the log has none; pass X [n_pairs, "
                "n_features], or read the log with features=[...] (--feature on the command line)"
            )
        return feature_table("X", table, cells.n_pairs)

    def _bias_features(self, n_ranks: int) -> FloatArray | None:
        if isinstance(self.bias, str) or callable(self.bias):
            return None
        table = numbers("bias", self.bias)
        if table.ndim != 2 or len(table) != n_ranks or not np.isfinite(table).all():
            raise ArgumentError(
                f"bias has shape {table.shape}; expected finite features [{n_ranks}, n_bias_features], a row per rank"
            )
        return table

    def _fit_additive(self, cells: Cells, X: FloatArray | None) -> None:
        problem = Problem(cells, X=X, l2=self.l2, A=self._bias_features(cells.n_ranks))
        solve: Callable[[Problem], Solution] = solve_newton if solver_of(self) == "newton" else solve_lbfgs
        solution = solve_bias_reduced(problem) if self.bias_reduction else solve(problem)
        self.converged_, self.n_iter_ = solution.converged, solution.iterations
        self.coef_, constant = (None, 0.0) if X is None else problem.coefficients(solution.u)
        covariance = theta_covariance(problem, solution, robust=self.sample_weight is not None)
        theta, gamma = problem.theta(solution.v), problem.gamma(solution.u)
        if self.relevance_l2 is not None:
            gamma = _shrunken_relevance(cells, theta, self.relevance_l2)
        self._normalise(theta, gamma, covariance)
        self.intercept_ += constant

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
        relevance: Any = self.relevance  # the options were checked: "embedding" does not come here
        table = self._bias_features(cells.n_ranks)
        bias: Any = self.bias if table is None else table
        config = self.train or TrainConfig()
        result = fit_neural(cells, X, relevance, bias, config, self.random_state, self.l2)
        self.module_, self.converged_, self.n_iter_ = result.module, result.converged, result.epochs
        self._normalise(result.theta, result.gamma, np.full((cells.n_ranks, cells.n_ranks), np.nan))

    def _normalise(self, theta: FloatArray, gamma: FloatArray, covariance: FloatArray) -> None:
        by_component = self.on_unidentified == "component-normalize"
        found = referred(self.cells_, self.labels_, theta, gamma, covariance, by_component=by_component)
        self.reference_, self.position_bias_, self.gamma_ = found.rank, found.theta, found.gamma
        self.stderr_, self.covariance_, self.intercept_ = found.stderr, covariance, found.moved

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
                has not seen get its mean, and features are matched by name. Or, for towers on features, float [n,
                n_features], in the order of the fit: [n].

        Raises:
            DataError: The features of the log have other names than those of the fit.

        Warns:
            UnknownPairsWarning: An embedding tower has seen no pair of the log.
        """
        self._require_fit()
        if isinstance(what, ClickLog):
            if self.relevance == "embedding":
                return embedding_of(self, what)
            what = features_of(self, what)
        if self.relevance == "embedding":
            raise ArgumentError("relevance='embedding' knows pairs, not features; pass a log")
        X = numbers("features", what)
        if self.coef_ is not None:
            if X.ndim != 2 or X.shape[1] != len(self.coef_):
                raise ArgumentError(f"features have shape {X.shape}; expected [n, {len(self.coef_)}]")
            return np.asarray(X @ self.coef_ + self.intercept_)
        from ltr_twotower.train import forward

        return forward(self.module_, X) + self.intercept_

    def predict_proba(self, log: ClickLog) -> FloatArray:
        """Click probability of every impression, float64 [n, k].

        NaN where nothing was shown, at ranks that `fit` has not seen, and, after "component-normalize", for pairs at
        ranks of another component.
        """
        self._require_fit()
        require_log(log)
        theta = np.full(log.n_ranks, np.nan)
        n = min(log.n_ranks, len(self.position_bias_))
        theta[:n] = self.position_bias_[:n]
        gamma = self.predict_relevance(log)[log.pairs.index]
        if self.combine == "pbm":
            p = np.exp(theta + self.log_scale_) * expit(gamma)
        elif self.on_unidentified == "component-normalize":
            p = component_proba(self, log, theta, gamma)
        else:
            p = expit(theta + gamma)
        return np.where(log.shown, p, np.nan)

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
        return check_identifiability(self.cells_, self.X_, tower=tower_of(self), l2=self.l2)

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


def require_model(function: str, model: object) -> None:
    """Raise an `ArgumentError` where a function was given something else than a model, such as its log."""
    if not isinstance(model, TwoTowerClickModel):
        raise ArgumentError(f"{function} takes a model and then a log; model is a {type(model).__name__}")
