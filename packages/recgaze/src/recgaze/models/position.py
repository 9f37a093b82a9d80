"""Position-based click models of a grid: CPBM, RCPBM, and OEPBM, which sees examination in the gaze.

Source of the names: "From Latent to Observable Position-Based Click Models in Carousel Interfaces" (arXiv 2602.16541).
Its exact parametrisations were not at hand; what is fitted here stands in each class.
"""

import warnings
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.models.attraction import Features, Fixed
from recgaze.models.base import PositionModel, Solver
from recgaze.models.errors import IdentifiabilityWarning
from recgaze.models.keys import KeyName
from recgaze.models.product import (
    Factor,
    FixedFactor,
    FreeFactor,
    LinearFactor,
    Product,
    Solution,
    climb,
    expectation_maximisation,
)
from recgaze.models.tally import Tally

__all__ = ["CPBM", "OEPBM", "RCPBM"]

FloatArray = NDArray[np.float64]

_NONE = 2e-11


class _ClickModel(PositionModel):
    """A position-based model of clicks alone.

    Examination and attraction enter as a product, so that clicks cannot tell a screen that is looked at twice as much
    from films that are twice as attractive. Convention: the greatest examination (of each factor) is 1, and all others,
    like the attraction, are relative to it. With attraction held (`Fixed` or a model) examination has a scale of its
    own, which goes to theta (of the rows).
    """

    tuned: ClassVar[str] = "l2"
    tuning: ClassVar[tuple[float, ...]] = (0.1, 0.3, 1.0, 3.0, 10.0)

    def __init__(
        self,
        attraction: "KeyName | Features | Fixed | PositionModel" = "user_genre",
        solver: Solver = "auto",
        l2: float = 1.0,
        max_iter: int | None = None,
    ) -> None:
        super().__init__(attraction, solver)
        self.l2, self.max_iter = l2, max_iter

    def options(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().options(), "max_iter": self.max_iter}

    def _check(self) -> None:
        super()._check()
        if self.max_iter is not None and self.max_iter < 1:
            raise ArgumentError(f"max_iter={self.max_iter}; expected at least 1")
        if self.solver == "em" and (self.l2 or isinstance(self.attraction, Features)):
            raise ArgumentError(
                "solver='em' maximises the plain likelihood of free or held attraction; pass l2=0 and no Features, or "
                "use solver='lbfgs'"
            )

    def _position_factors(self, tally: Tally) -> list[Factor]:
        raise NotImplementedError

    def _keep_examination(self, values: Sequence[FloatArray]) -> None:
        raise NotImplementedError

    def _fit(self, tally: Tally, rng: np.random.Generator | None) -> None:
        held = self.source_ is not None or isinstance(self.attraction, Fixed)
        if not held:
            self._warn(tally)
        attraction = self._attraction_factor(tally, self.l2)
        factors: list[Factor] = [*self._position_factors(tally), attraction]
        solution = self._solve(Product(tally, factors), _start(tally, factors, rng))
        self.history_, self.converged_ = solution.history, solution.converged
        tops = [float(value.max()) for value in solution.values[:-1]]
        examination = [value / top for value, top in zip(solution.values, tops, strict=False)]
        scale = float(np.prod(tops))
        if held:
            examination[0], scale = examination[0] * scale, 1.0
        self._keep_examination(examination)
        self.scale_ = scale if isinstance(attraction, LinearFactor) else 1.0
        self._keep_attraction(attraction, solution.values[-1] * scale, solution, tally)

    def _solve(self, problem: Product, values: list[FloatArray]) -> Solution:
        if self.solver == "em":
            return expectation_maximisation(problem, values, self.max_iter or 400)
        start = np.concatenate(
            [_parameters(factor, value) for factor, value in zip(problem.factors, values, strict=True)]
        )
        loss = None
        if self.solver == "torch":
            from recgaze.models.product_torch import torch_loss

            loss = torch_loss(problem)
        return climb(problem, start, self.max_iter or 2000, loss)

    def _warn(self, tally: Tally) -> None:
        from recgaze.models.identifiability import identifiability_of_tally

        linear = isinstance(self.attraction, Features)
        separable = isinstance(self, RCPBM)
        report = identifiability_of_tally(tally, linear=linear, separable=separable, precision=False)
        if report.verdict == "not identifiable":
            warnings.warn(report.text, IdentifiabilityWarning, stacklevel=5)


class CPBM(_ClickModel):
    """Carousel position-based model: P(click) = theta_rc a, one examination for each position of the grid.

    Args:
        attraction: "movie", "genre", "user_genre" or "rating": a free attraction for each. `Features`: logistic in
            features. `Fixed`: given. A model (such as `OEPBM("user_genre")`): it is fitted first, and its attraction is
            held, as in the fixed-attraction setting.
        solver: "lbfgs" (gradient on the logits; "auto" is the same), "em", or "torch" (the same objective by automatic
            differentiation, on a GPU where there is one; needs the extra `torch`).
        l2: Ridge on the distance of logits (of examination, and of attraction) to their mean; on the weights with
            `Features`. On the scale of the summed log-likelihood, so that data outweigh it. `compare` tunes it.
        max_iter: Most iterations. Default: 400 for EM, 2000 otherwise.
    """

    def _position_factors(self, tally: Tally) -> list[Factor]:
        return [FreeFactor(tally.position, tally.n_positions, self.l2)]

    def _keep_examination(self, values: Sequence[FloatArray]) -> None:
        self.examination_ = values[0].reshape(self.shape_)


class RCPBM(_ClickModel):
    """Row-column position-based model: P(click) = theta_r phi_c a; examination is a row times a column.

    Attributes (after `fit`):
        row_: float64 [R], theta, the greatest of which is 1 unless attraction is held.
        column_: float64 [C], phi, the greatest of which is 1.

    Args are those of `CPBM`.
    """

    row_: FloatArray
    column_: FloatArray

    def _position_factors(self, tally: Tally) -> list[Factor]:
        row, column = np.divmod(tally.position, tally.shape[1])
        return [FreeFactor(row, tally.shape[0], self.l2), FreeFactor(column, tally.shape[1], self.l2)]

    def _keep_examination(self, values: Sequence[FloatArray]) -> None:
        self.row_, self.column_ = values[0], values[1]
        self.examination_ = np.outer(values[0], values[1])


class OEPBM(PositionModel):
    """Observed-examination position-based model: P(examined) = theta_rc and P(click | examined) = a.

    With gaze the likelihood falls into two, and both have closed forms: theta is the share of showings that were looked
    at, a the share of looks that led to a click, each with `shrinkage` further cases at the overall rate. A click where
    the tracker saw no look counts as a look: the eye was there. With `Features` the attraction is a logistic regression
    on the looks. Examination is a probability, not relative to the first position.

    Args:
        attraction: As `CPBM`; held attraction leaves only theta to be fitted.
        solver: "auto". The closed form needs none; `Features` take "lbfgs".
        shrinkage: Looks at the mean attraction that are added to each key, and showings at the mean examination that
            are added to each position. 0: maximum likelihood. `compare` tunes it.
    """

    tuned: ClassVar[str] = "shrinkage"
    tuning: ClassVar[tuple[float, ...]] = (3.0, 10.0, 30.0, 100.0, 300.0)

    def __init__(
        self,
        attraction: "KeyName | Features | Fixed | PositionModel" = "user_genre",
        solver: Solver = "auto",
        shrinkage: float = 30.0,
    ) -> None:
        super().__init__(attraction, solver)
        self.shrinkage = shrinkage

    def _check(self) -> None:
        super()._check()
        if self.solver in ("em", "torch"):
            raise ArgumentError(f"solver={self.solver!r}; OEPBM has a closed form, expected 'auto' (or 'lbfgs')")

    def _evidence(self, tally: Tally) -> NDArray[np.int64]:
        return tally.seen

    def _fit(self, tally: Tally, rng: np.random.Generator | None) -> None:
        seen = tally.seen
        if not tally.both.any():
            raise ArgumentError("no cell was both looked at and clicked; OEPBM needs impressions with gaze")
        shown, looks = tally.by_position(tally.shown), tally.by_position(seen)
        self.examination_ = _shrunken(looks, shown, self.shrinkage).reshape(self.shape_)
        factor = self._attraction_factor(tally, 0.0)
        # A click model in which everything shown is looked at: what is left is P(click | examined).
        looked = Tally(tally.shape, tally.table, tally.key, tally.position, seen, seen, tally.clicked, tally.clicked)
        if isinstance(factor, FreeFactor):
            values = _shrunken(tally.by_key(tally.clicked), tally.by_key(seen), self.shrinkage)
            solution = Solution(None, [values], np.empty(0), True)
        else:
            problem = Product(looked, [factor])
            solution = climb(problem, _parameters(factor, np.array([tally.clicked.sum() / seen.sum()])))
        self.history_, self.converged_ = solution.history, solution.converged
        self._keep_attraction(factor, solution.values[0], solution, tally)


def _shrunken(hits: NDArray[np.int64], of: NDArray[np.int64], k: float) -> FloatArray:
    """Rates with k further cases at the overall rate, which also is that of what has no case."""
    mean = float(hits.sum() / of.sum())
    return np.asarray(np.divide(hits + k * mean, of + k, out=np.full(len(hits), mean), where=of + k > 0))


def _start(tally: Tally, factors: Sequence[Factor], rng: np.random.Generator | None) -> list[FloatArray]:
    """Values to start from: rates of rows, columns or positions relative to their greatest, and of keys."""
    if rng is not None:
        ceilings = [*([0.95] * (len(factors) - 1)), 0.2]
        starts = [rng.uniform(0.05 * top, top, factor.size) for factor, top in zip(factors, ceilings, strict=True)]
    else:
        rates = [_rate(tally, factor) for factor in factors]
        starts = [np.clip(rate / rate.max(), 0.02, 0.98) for rate in rates[:-1]]
        mean = float(np.prod([start.mean() for start in starts]))
        starts.append(np.clip(rates[-1] / mean, 1e-4, 0.9))
    for at, factor in enumerate(factors):
        if isinstance(factor, FixedFactor):
            starts[at] = factor.values
        elif isinstance(factor, FreeFactor) and factor.l2 == 0:
            # Without a ridge the likelihood only falls with a level that nothing was clicked at: there is no search to
            # be done, and one would take hundreds of steps to get to 0.
            clicks = np.bincount(factor.index, weights=tally.clicked, minlength=factor.size)
            starts[at] = np.where(clicks > 0, starts[at], _NONE)
    return starts


def _rate(tally: Tally, factor: Factor) -> FloatArray:
    shown = np.bincount(factor.index, weights=tally.shown, minlength=factor.size)
    clicked = np.bincount(factor.index, weights=tally.clicked, minlength=factor.size)
    overall = tally.clicked.sum() / tally.shown.sum()
    return np.asarray((clicked + 0.5) / (shown + 0.5 / overall))


def _parameters(factor: Factor, values: FloatArray) -> FloatArray:
    """Parameters of a factor at given values; features start at their mean."""
    if isinstance(factor, FixedFactor):
        return np.empty(0)
    if isinstance(factor, LinearFactor):
        mean = float(values.mean())
        return np.append(np.zeros(factor.n_parameters - 1), np.log(mean / (1 - mean)))
    return np.asarray(np.log(values) - np.log1p(-values))
