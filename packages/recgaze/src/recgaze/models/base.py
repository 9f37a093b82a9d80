"""What position-based models share: attraction, click probabilities, scores, samples, files."""

from collections.abc import Iterable
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.impressions import Impressions
from recgaze.models.attraction import AttractionTable, Features, Fixed, given_keying, named_keying
from recgaze.models.errors import NotFittedError
from recgaze.models.keys import KEYS, Keying, KeyName, Table
from recgaze.models.product import Factor, FixedFactor, FreeFactor, LinearFactor, Solution
from recgaze.models.scoring import Score, score_blocks
from recgaze.models.tally import Tally

__all__ = ["Attraction", "PositionModel", "Solver"]

FloatArray = NDArray[np.float64]
Solver = Literal["auto", "em", "lbfgs", "torch"]
Attraction = "KeyName | Features | Fixed | PositionModel"

_EDGE = 1e-9


class PositionModel:
    """P(click) = examination of the position times attraction of the cell; use CPBM, RCPBM or OEPBM.

    Attributes (after `fit`):
        examination_: float64 [R, C], P(examined); see each model for its scale. NaN where nothing was shown.
        attraction_: float64 [K], P(clicked | examined) of each key.
        keys_: The keys: columns [K], such as {"user": ..., "genre": ...}.
        coef_: float64 [p + 1], weights and constant, with attraction by `Features`; else None.
        scale_: Attraction is `scale_` times the logistic function of the features; 1 but for `Features`.
        history_: float64 [iterations + 1], (penalised) log-likelihood a cell, the start first.
        converged_: Whether the solver met its tolerance.
    """

    tuned: ClassVar[str]
    tuning: ClassVar[tuple[float, ...]]

    examination_: FloatArray
    attraction_: FloatArray
    keys_: Table
    coef_: FloatArray | None
    scale_: float
    history_: FloatArray
    converged_: bool

    def __init__(self, attraction: "KeyName | Features | Fixed | PositionModel", solver: Solver) -> None:
        self.attraction, self.solver = attraction, solver
        # An attraction that there is none of is told here, where it was written.
        self.keying()

    def __repr__(self) -> str:
        fitted = "" if self.fitted else ", not fitted"
        attraction = self.attraction if isinstance(self.attraction, str) else type(self.attraction).__name__
        return f"{type(self).__name__}({attraction!r}, {self.tuned}={getattr(self, self.tuned):g}{fitted})"

    @property
    def fitted(self) -> bool:
        """Whether `fit` was called."""
        return hasattr(self, "examination_")

    def options(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"attraction": self.attraction, "solver": self.solver, self.tuned: getattr(self, self.tuned)}

    def with_options(self, **changes: Any) -> Self:
        """A new model, not fitted, with some arguments changed."""
        return type(self)(**{**self.options(), **changes})

    def fit(self, impressions: "Impressions | Iterable[Impressions]", rng: np.random.Generator | None = None) -> Self:
        """Fit to a study, as a whole or in blocks: it is counted block by block, and the counts are fitted.

        Args:
            impressions: The study. Screens without a click count too.
            rng: Start at random, to see whether the data determine the result. Default: start at the data's rates.

        Raises:
            ArgumentError: Options are unknown, out of range or do not go together, or there is nothing to fit.

        Warns:
            IdentifiabilityWarning: What was shown where cannot tell examination from attraction.
        """
        return self.fit_tally(Tally.collect(impressions, self.keying()), rng)

    def fit_tally(self, tally: Tally, rng: np.random.Generator | None = None) -> Self:
        """As `fit`, from counts by the model's own keys (`keying`)."""
        self._check()
        if not len(tally) or not tally.clicked.any():
            raise ArgumentError(f"there is nothing to fit: {tally!r}; expected cells with known keys, and clicks")
        self.source_ = None
        if isinstance(self.attraction, PositionModel):
            self.source_ = copy(self.attraction).fit_tally(tally)
        self.keys_, self.shape_, self.coef_, self.scale_ = tally.table, tally.shape, None, 1.0
        self._fit(tally, rng)
        self._mask_unseen(tally)
        return self

    def keying(self) -> Keying:
        """The rule by which cells share attraction."""
        if isinstance(self.attraction, PositionModel):
            return self.attraction.keying()
        if isinstance(self.attraction, (Features, Fixed)):
            return given_keying(self.attraction)
        if self.attraction not in KEYS:
            raise ArgumentError(
                f"attraction={self.attraction!r}; expected one of {', '.join(KEYS)}, or Features, Fixed or a model"
            )
        return named_keying(self.attraction)

    def attraction_of(self, impressions: Impressions) -> FloatArray:
        """P(clicked | examined) of each cell.

        Keys that the model has not seen get a mean: a new user that of the genre, others that of all keys.

        Returns:
            float64 [n, R, C].
        """
        self._require_fit()
        return np.broadcast_to(self._attraction(impressions), impressions.clicked.shape)

    def click_prob(self, impressions: Impressions) -> FloatArray:
        """P(clicked) of each cell, before anything is known of the user's gaze.

        Returns:
            float64 [n, R, C]; NaN at positions at which nothing was shown when the model was fitted.

        Raises:
            NotFittedError: Before `fit`.
            ArgumentError: Impressions of another grid.
        """
        self._require_fit()
        if (impressions.rows, impressions.columns) != self.shape_:
            raise ArgumentError(
                f"impressions are {impressions.rows} x {impressions.columns}; expected {self.shape_[0]} x "
                f"{self.shape_[1]}, as in fit"
            )
        return self._attraction(impressions) * self.examination_

    def score(self, impressions: "Impressions | Iterable[Impressions]") -> Score:
        """Log-likelihood of clicks, a cell and a choice; see `Score` for what each means."""
        return score_blocks(self.click_prob, impressions)

    def log_likelihood(self, impressions: "Impressions | Iterable[Impressions]", *, choice: bool = False) -> float:
        """Mean log-likelihood of clicks, nats: a cell, or (`choice`) a screen's only click among its cells."""
        score = self.score(impressions)
        return score.choice if choice else score.log_likelihood

    def sample(self, impressions: Impressions, rng: np.random.Generator) -> Impressions:
        """Draw gaze and clicks of the same screens from the model; it says nothing of dwell, which becomes 0.

        Raises:
            ArgumentError: A position was never shown when the model was fitted.
        """
        probability = self.click_prob(impressions)
        if np.isnan(probability).any():
            raise ArgumentError("at some positions nothing was shown when the model was fitted; expected all of them")
        shape = impressions.clicked.shape
        examined = rng.random(shape) < self.examination_
        clicked = examined & (rng.random(shape) < self._attraction(impressions))
        return replace(impressions, examined=examined, clicked=clicked, dwell=np.zeros(shape, dtype=np.float32))

    def tally_log_likelihood(self, tally: Tally) -> float:
        """Mean log-likelihood of clicks a cell, from counts by the model's keys; for choosing among options."""
        self._require_fit()
        from recgaze.models.keys import CellKeys

        cells = CellKeys(np.arange(tally.n_keys), tally.table)
        p = np.clip(self._attraction_of_cells(cells)[tally.key] * self.examination_.ravel()[tally.position], 1e-12, 1)
        p = np.minimum(p, 1 - 1e-12)
        total = tally.clicked @ np.log(p) + (tally.shown - tally.clicked) @ np.log1p(-p)
        return float(total / tally.shown.sum())

    def save(self, folder: str | Path) -> None:
        """Write the fitted model as a folder of plain files (JSON and npz); it appears whole or not at all.

        Raises:
            NotFittedError: Before `fit`.
            ArgumentError: Features or given attraction come from a function, which files cannot hold.
            DataError: The folder exists and holds something else.
        """
        from recgaze.models.files import save_model

        self._require_fit()
        save_model(self, folder)

    # -- for the models -----------------------------------------------------------------------------------------------

    def _fit(self, tally: Tally, rng: np.random.Generator | None) -> None:
        """Set examination_, attraction_, history_ and converged_."""
        raise NotImplementedError

    def _check(self) -> None:
        if self.solver not in get_args(Solver):
            raise ArgumentError(f"solver={self.solver!r}; expected one of {', '.join(get_args(Solver))}")
        value = getattr(self, self.tuned)
        if not (np.isfinite(value) and value >= 0):
            raise ArgumentError(f"{self.tuned}={value}; expected a number of at least 0")
        self.keying()

    def _require_fit(self) -> None:
        if not self.fitted:
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit first")

    def _attraction_factor(self, tally: Tally, l2: float) -> Factor:
        """The factor of attraction, free, linear or held."""
        if self.source_ is not None:
            return FixedFactor(tally.key, np.clip(self.source_.attraction_, _EDGE, 1 - _EDGE))
        if isinstance(self.attraction, Fixed):
            return FixedFactor(tally.key, np.clip(tally.table["x0"], _EDGE, 1 - _EDGE))
        if isinstance(self.attraction, Features):
            return LinearFactor(tally.key, feature_matrix(tally.table), l2)
        return FreeFactor(tally.key, tally.n_keys, l2)

    def _keep_attraction(self, factor: Factor, values: FloatArray, solution: Solution, tally: Tally) -> None:
        self.attraction_ = values
        self.weight_ = tally.by_key(self._evidence(tally)).astype(np.float64)
        if isinstance(factor, LinearFactor):
            assert solution.parameters is not None
            self.coef_ = solution.parameters[-factor.n_parameters :]

    def _evidence(self, tally: Tally) -> NDArray[np.int64]:
        """What speaks for an attraction, in each cell of the tally: showings, where looks are not seen."""
        return tally.shown

    def _attraction(self, impressions: Impressions) -> FloatArray:
        """float64 [n, R, C or 1]."""
        if self.source_ is not None:
            return np.asarray(self.source_._attraction(impressions))
        if isinstance(self.attraction, Fixed):
            values = self.attraction(impressions)
            return np.where(np.isnan(values), self._table().mean, values)
        if isinstance(self.attraction, Features):
            from scipy.special import expit

            assert self.coef_ is not None
            values = self.scale_ * expit(self.attraction(impressions) @ self.coef_[:-1] + self.coef_[-1])
            return np.where(np.isnan(values), self._table().mean, values)
        return self._table().at(self.keying()(impressions))

    def _attraction_of_cells(self, cells: Any) -> FloatArray:
        if self.source_ is not None:
            return np.asarray(self.source_._attraction_of_cells(cells))
        if isinstance(self.attraction, Fixed):
            return np.asarray(cells.table["x0"][cells.codes])
        if isinstance(self.attraction, Features):
            from scipy.special import expit

            assert self.coef_ is not None
            return np.asarray(self.scale_ * expit(feature_matrix(cells.table) @ self.coef_[:-1] + self.coef_[-1]))
        return self._table().at(cells)

    def _table(self) -> AttractionTable:
        return AttractionTable(self.keys_, self.attraction_, self.weight_)

    def _mask_unseen(self, tally: Tally) -> None:
        shown = tally.by_position(tally.shown).reshape(self.shape_)
        self.examination_ = np.where(shown > 0, self.examination_, np.nan)


def feature_matrix(table: Table) -> FloatArray:
    """float64 [K, p], the columns of a table of features."""
    return np.column_stack([table[f"x{at}"] for at in range(len(table))])
