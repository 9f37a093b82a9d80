"""Likelihood and solvers of products of probabilities: P(click) is examination times attraction, or row x column x it.

Every factor is a probability that several cells share, and a click needs all of them at once. The log-likelihood of a
cell shown n times and clicked c times is c log P + (n - c) log(1 - P), with P the product. On logits u its gradient is
(1 - s) sum(c - (n - c) P / (1 - P)) over the cells of the factor s = sigmoid(u), for whatever the other factors are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recgaze.models.tally import Tally

__all__ = [
    "Factor",
    "FixedFactor",
    "FreeFactor",
    "LevelSums",
    "LinearFactor",
    "Product",
    "Solution",
    "climb",
    "expectation_maximisation",
]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int32]
Loss = Callable[[FloatArray], tuple[float, FloatArray]]

# Logits beyond this are probabilities of 0 and 1 for every purpose, and 1 - P stays exact.
_BOUND = 25.0
_EDGE = 1e-11


class Factor(Protocol):
    """One probability of the product, a value for each of its levels."""

    @property
    def index(self) -> IndexArray:
        """int32 [m], level of each pair of the tally."""

    @property
    def size(self) -> int:
        """Number of levels."""

    @property
    def n_parameters(self) -> int:
        """Free numbers, unbounded."""

    def logits(self, parameters: Any) -> Any:
        """[size], logits of the levels; works on numpy arrays and torch tensors."""

    def pull(self, gradient: FloatArray) -> FloatArray:
        """[n_parameters], gradient with respect to the parameters, from that to the logits."""

    def penalty(self, parameters: Any) -> Any:
        """Ridge, on the scale of the summed log-likelihood; works on numpy arrays and torch tensors."""

    def penalty_gradient(self, parameters: FloatArray) -> FloatArray:
        """[n_parameters]."""

    def stiffness(self, clicks: FloatArray) -> FloatArray:
        """[n_parameters], about how curved the loss is in each parameter, from the clicks of the levels."""


@dataclass(frozen=True, eq=False)
class FreeFactor:
    """A free value for each level; the ridge pulls logits to their own mean, so that it does not set the scale."""

    index: IndexArray
    size: int
    l2: float = 0.0

    @property
    def n_parameters(self) -> int:
        """One a level."""
        return self.size

    def logits(self, parameters: Any) -> Any:
        """The parameters are the logits."""
        return parameters

    def pull(self, gradient: FloatArray) -> FloatArray:
        """The same."""
        return gradient

    def penalty(self, parameters: Any) -> Any:
        """Half `l2` times the squared distance to the mean."""
        return self.l2 / 2 * ((parameters - parameters.mean()) ** 2).sum()

    def penalty_gradient(self, parameters: FloatArray) -> FloatArray:
        """Of `penalty`."""
        return np.asarray(self.l2 * (parameters - parameters.mean()))

    def stiffness(self, clicks: FloatArray) -> FloatArray:
        """Clicks, and the ridge."""
        return clicks + self.l2


@dataclass(frozen=True, eq=False)
class LinearFactor:
    """Logits w x + b of features x of the levels; the ridge leaves b alone. Parameters: w, then b."""

    index: IndexArray
    features: FloatArray
    l2: float = 0.0

    @property
    def size(self) -> int:
        """A level a row of the features."""
        return len(self.features)

    @property
    def n_parameters(self) -> int:
        """A weight a feature, and the constant."""
        return int(self.features.shape[1]) + 1

    def logits(self, parameters: Any) -> Any:
        """See the class."""
        features: Any = self.features if isinstance(parameters, np.ndarray) else parameters.new_tensor(self.features)
        return features @ parameters[:-1] + parameters[-1]

    def pull(self, gradient: FloatArray) -> FloatArray:
        """By the chain rule."""
        return np.append(gradient @ self.features, gradient.sum())

    def penalty(self, parameters: Any) -> Any:
        """Half `l2` times the squared length of w."""
        return self.l2 / 2 * (parameters[:-1] ** 2).sum()

    def penalty_gradient(self, parameters: FloatArray) -> FloatArray:
        """Of `penalty`."""
        return np.append(self.l2 * parameters[:-1], 0.0)

    def stiffness(self, clicks: FloatArray) -> FloatArray:
        """Clicks times squared features, and the ridge."""
        return np.append(clicks @ self.features**2 + self.l2, clicks.sum())


@dataclass(frozen=True, eq=False)
class FixedFactor:
    """Given values, nothing to fit. `values`: float64 [size], between 0 and 1, both excluded."""

    index: IndexArray
    values: FloatArray

    @property
    def size(self) -> int:
        """A level a value."""
        return len(self.values)

    @property
    def n_parameters(self) -> int:
        """None."""
        return 0

    def logits(self, parameters: Any) -> Any:
        """Of the values."""
        logits = np.log(self.values) - np.log1p(-self.values)
        return logits if isinstance(parameters, np.ndarray) else parameters.new_tensor(logits)

    def pull(self, gradient: FloatArray) -> FloatArray:
        """Empty."""
        return np.empty(0)

    def penalty(self, parameters: Any) -> Any:
        """0, of the kind of the parameters."""
        return parameters.sum()

    def penalty_gradient(self, parameters: FloatArray) -> FloatArray:
        """Empty."""
        return parameters

    def stiffness(self, clicks: FloatArray) -> FloatArray:
        """Empty."""
        return clicks[:0]


class LevelSums:
    """Sums of numbers [m] by level [m]; several times as fast as `numpy.bincount`, for an order kept of them.

    Args:
        index: int [m], level of each number.
        size: Number of levels.
    """

    def __init__(self, index: NDArray[Any], size: int) -> None:
        self.size = size
        self.order: IndexArray | None = None
        if (np.diff(index) < 0).any():
            self.order = np.argsort(index, kind="stable").astype(np.int32)
        counts = np.bincount(index, minlength=size)
        self.present = np.flatnonzero(counts)
        self.starts = np.concatenate(([0], np.cumsum(counts[self.present])[:-1])) if len(self.present) else self.present

    def __call__(self, values: FloatArray) -> FloatArray:
        """float64 [size]; 0 where a level has no number."""
        result = np.zeros(self.size)
        if len(self.present):
            result[self.present] = np.add.reduceat(
                values if self.order is None else values.take(self.order), self.starts
            )
        return result


@dataclass(frozen=True, eq=False)
class Product:
    """Factors and the counts that they explain.

    Attributes:
        tally: Shown and clicked.
        factors: At least one.
    """

    tally: Tally
    factors: Sequence[Factor]

    @cached_property
    def sums(self) -> "list[LevelSums]":
        """For each factor, what adds numbers [m] up by level."""
        return [LevelSums(factor.index, factor.size) for factor in self.factors]

    @cached_property
    def clicked(self) -> FloatArray:
        """float64 [m]."""
        return self.tally.clicked.astype(np.float64)

    @cached_property
    def rest(self) -> FloatArray:
        """float64 [m], how often shown and not clicked."""
        return (self.tally.shown - self.tally.clicked).astype(np.float64)

    @cached_property
    def units(self) -> FloatArray:
        """float64 [n_parameters], steps of about one standard error: what solvers measure parameters in.

        Positions have hundreds of clicks where keys have one or two; without units of their own, the search for all at
        once takes many times as long, or stops early.
        """
        parts = [factor.stiffness(clicks) for factor, clicks in zip(self.factors, self.clicks, strict=True)]
        return np.asarray(1 / np.sqrt(np.concatenate(parts) + 0.5))

    def split(self, parameters: Any) -> list[Any]:
        """The parts of one vector that belong to the factors."""
        bounds = np.cumsum([0, *(factor.n_parameters for factor in self.factors)])
        return [parameters[start:stop] for start, stop in pairwise(bounds)]

    def values(self, parameters: FloatArray) -> list[FloatArray]:
        """The probabilities of the levels of each factor."""
        from scipy.special import expit

        # Weights of features have no bounds: a level that is 1 to the last digit would make 1 - P zero.
        return [
            np.clip(expit(factor.logits(part)), 1e-300, 1 - 1e-12)
            for factor, part in zip(self.factors, self.split(parameters), strict=True)
        ]

    def probability(self, values: Sequence[FloatArray]) -> FloatArray:
        """float64 [m], P of each pair of the tally."""
        result = values[0].take(self.factors[0].index)
        for value, factor in zip(values[1:], self.factors[1:], strict=True):
            result *= value.take(factor.index)
        return result

    def log_likelihood(self, values: Sequence[FloatArray]) -> float:
        """Sum over all that was shown, in nats."""
        return self._log_likelihood(values, self.probability(values))

    def _log_likelihood(self, values: Sequence[FloatArray], p: FloatArray) -> float:
        # The logarithm of a product: one for each level is enough for the clicks.
        clicks = sum(float(of_level @ np.log(value)) for of_level, value in zip(self.clicks, values, strict=True))
        return clicks + float(self.rest @ np.log1p(-p))

    @cached_property
    def clicks(self) -> list[FloatArray]:
        """For each factor, float64 [size], the clicks of its levels."""
        return [sums(self.clicked) for sums in self.sums]

    def loss(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        """Penalised negative log-likelihood, and its gradient [n_parameters]."""
        parts, values = self.split(parameters), self.values(parameters)
        p = self.probability(values)
        # What a pair would add to the gradient of each of its logits, but for 1 - s.
        surplus = self.clicked - self.rest * (p / (1 - p))
        loss, gradients = -self._log_likelihood(values, p), []
        for factor, sums, part, value in zip(self.factors, self.sums, parts, values, strict=True):
            gradients.append(factor.penalty_gradient(part) - factor.pull((1 - value) * sums(surplus)))
            loss += float(factor.penalty(part))
        return loss, np.concatenate(gradients)


@dataclass(frozen=True, eq=False)
class Solution:
    """What a solver found.

    Attributes:
        parameters: float64 [n_parameters], or None after EM, which works on the values.
        values: Probabilities of the levels of each factor.
        history: float64 [iterations + 1], penalised log-likelihood a shown cell, the start first.
        converged: Whether the solver met its tolerance.
    """

    parameters: FloatArray | None
    values: list[FloatArray]
    history: FloatArray
    converged: bool


def expectation_maximisation(
    problem: Product, start: Sequence[FloatArray], max_iter: int = 400, tolerance: float = 1e-10
) -> Solution:
    """EM for factors that are free or fixed, without a ridge: the likelihood rises at every step.

    Without a click, the factor s was "on" with probability (s - P) / (1 - P): for two factors the theta (1 - a) /
    (1 - theta a) of position-based models. With a click all were.

    Args:
        problem: Factors without ridge, `FreeFactor` or `FixedFactor`.
        start: Values of the levels of each factor.
        max_iter: Most steps.
        tolerance: Stop when the log-likelihood a shown cell rises by less.
    """
    n_shown = float(problem.tally.shown.sum())
    totals = [sums(problem.tally.shown.astype(np.float64)) for sums in problem.sums]
    values = [np.clip(value, _EDGE, 1 - _EDGE) for value in start]
    p = problem.probability(values)
    history = [problem._log_likelihood(values, p) / n_shown]
    converged = False
    for _ in range(max_iter):
        odds = problem.rest / (1 - p)
        for at, (factor, total) in enumerate(zip(problem.factors, totals, strict=True)):
            if isinstance(factor, FixedFactor):
                continue
            on = problem.clicked + odds * (values[at].take(factor.index) - p)
            mean = np.divide(problem.sums[at](on), total, out=values[at].copy(), where=total > 0)
            values[at] = np.clip(mean, _EDGE, 1 - _EDGE)
        p = problem.probability(values)
        history.append(problem._log_likelihood(values, p) / n_shown)
        converged = history[-1] - history[-2] < tolerance
        if converged:
            break
    return Solution(None, values, np.array(history), converged)


def climb(problem: Product, start: FloatArray, max_iter: int = 2000, loss: Loss | None = None) -> Solution:
    """L-BFGS on the logits.

    Args:
        problem: Any factors.
        start: float64 [n_parameters].
        max_iter: Most iterations.
        loss: The loss of the problem and its gradient. Default: `Product.loss`, with the analytic gradient.
    """
    from scipy.optimize import minimize

    scale = 1 / max(float(problem.tally.clicked.sum()), 1.0)
    per_cell = -1 / (scale * float(problem.tally.shown.sum()))

    unit, of = problem.units, loss or problem.loss

    def scaled_loss(scaled: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = of(scaled * unit)
        return value * scale, gradient * unit * scale

    if not len(start):
        values = problem.values(start)
        return Solution(start, values, np.array([-problem.log_likelihood(values) * scale * per_cell]), True)
    history = [scaled_loss(start / unit)[0] * per_cell]
    limits = [np.inf if isinstance(factor, LinearFactor) else _BOUND for factor in problem.factors]
    limit = np.repeat(limits, [factor.n_parameters for factor in problem.factors]) / unit
    result = minimize(
        scaled_loss,
        start / unit,
        jac=True,
        method="L-BFGS-B",
        bounds=np.column_stack([-limit, limit]),
        callback=lambda intermediate_result: history.append(intermediate_result.fun * per_cell),
        options={"maxiter": max_iter, "maxfun": 4 * max_iter, "maxcor": 20, "ftol": 1e-13, "gtol": 1e-7},
    )
    found = result.x * unit
    return Solution(found, problem.values(found), np.array(history), bool(result.success))
