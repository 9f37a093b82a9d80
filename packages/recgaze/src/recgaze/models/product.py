"""Likelihood and solvers of products of probabilities: P(click) is examination times attraction, or row x column x it.

Every factor is a probability that several cells share, and a click needs all of them at once. The log-likelihood of a
cell shown n times and clicked c times is c log P + (n - c) log(1 - P), with P the product. On logits u its gradient is
(1 - s) sum(c - (n - c) P / (1 - P)) over the cells of the factor s = sigmoid(u), for whatever the other factors are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from recgaze.models.tally import Tally

__all__ = ["Factor", "FixedFactor", "FreeFactor", "LinearFactor", "Product", "Solution", "climb", "expectation_maximisation"]

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.int32]

# Logits beyond this are probabilities of 0 and 1 for every purpose, and 1 - P stays exact.
_BOUND = 25.0
_EDGE = 1e-11


class Factor(Protocol):
    """One probability of the product, a value for each of its levels.

    Attributes:
        index: int32 [m], level of each pair of the tally.
        size: Number of levels.
        n_parameters: Free numbers, unbounded.
    """

    index: IndexArray
    size: int
    n_parameters: int

    def logits(self, parameters: Any) -> Any:
        """[size], logits of the levels; works on numpy arrays and torch tensors."""

    def pull(self, gradient: FloatArray) -> FloatArray:
        """[n_parameters], gradient with respect to the parameters, from that to the logits."""

    def penalty(self, parameters: Any) -> Any:
        """Ridge, on the scale of the summed log-likelihood; works on numpy arrays and torch tensors."""

    def penalty_gradient(self, parameters: FloatArray) -> FloatArray:
        """[n_parameters]."""


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
        return self.l2 * (parameters - parameters.mean())


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
        return self.features.shape[1] + 1

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

    def pull(self, gradient: FloatArray) -> FloatArray:  # noqa: ARG002
        """Empty."""
        return np.empty(0)

    def penalty(self, parameters: Any) -> Any:
        """0, of the kind of the parameters."""
        return parameters.sum()

    def penalty_gradient(self, parameters: FloatArray) -> FloatArray:
        """Empty."""
        return parameters


@dataclass(frozen=True, eq=False)
class Product:
    """Factors and the counts that they explain.

    Attributes:
        tally: Shown and clicked.
        factors: At least one.
    """

    tally: Tally
    factors: Sequence[Factor]

    def split(self, parameters: Any) -> list[Any]:
        """The parts of one vector that belong to the factors."""
        bounds = np.cumsum([0, *(factor.n_parameters for factor in self.factors)])
        return [parameters[start:stop] for start, stop in zip(bounds[:-1], bounds[1:], strict=True)]

    def values(self, parameters: FloatArray) -> list[FloatArray]:
        """The probabilities of the levels of each factor."""
        from scipy.special import expit

        return [
            expit(factor.logits(part)) for factor, part in zip(self.factors, self.split(parameters), strict=True)
        ]

    def probability(self, values: Sequence[FloatArray]) -> FloatArray:
        """float64 [m], P of each pair of the tally."""
        result = np.take(values[0], self.factors[0].index)
        for value, factor in zip(values[1:], self.factors[1:], strict=True):
            result *= value[factor.index]
        return result

    def log_likelihood(self, values: Sequence[FloatArray]) -> float:
        """Sum over all that was shown, in nats."""
        return self._log_likelihood(self.probability(values))

    def _log_likelihood(self, p: FloatArray) -> float:
        clicked, rest = self.tally.clicked, self.tally.shown - self.tally.clicked
        # Most pairs have no click: their logarithm is the expensive half, and not needed.
        some = clicked > 0
        return float(clicked[some] @ np.log(p[some]) + rest @ np.log1p(-p))

    def loss(self, parameters: FloatArray) -> tuple[float, FloatArray]:
        """Penalised negative log-likelihood, and its gradient [n_parameters]."""
        parts, values = self.split(parameters), self.values(parameters)
        p = self.probability(values)
        # What a pair would add to the gradient of each of its logits, but for 1 - s.
        surplus = self.tally.clicked - (self.tally.shown - self.tally.clicked) * (p / (1 - p))
        loss, gradients = -self._log_likelihood(p), []
        for factor, part, value in zip(self.factors, parts, values, strict=True):
            summed = np.bincount(factor.index, weights=surplus, minlength=factor.size)
            gradients.append(factor.penalty_gradient(part) - factor.pull((1 - value) * summed))
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
    tally = problem.tally
    shown, rest, n_shown = tally.shown, tally.shown - tally.clicked, float(tally.shown.sum())
    totals = [np.bincount(factor.index, weights=shown, minlength=factor.size) for factor in problem.factors]
    values = [np.clip(value, _EDGE, 1 - _EDGE) for value in start]
    p = problem.probability(values)
    history = [problem._log_likelihood(p) / n_shown]
    converged = False
    for _ in range(max_iter):
        odds = rest / (1 - p)
        for at, (factor, total) in enumerate(zip(problem.factors, totals, strict=True)):
            if isinstance(factor, FixedFactor):
                continue
            on = tally.clicked + odds * (values[at][factor.index] - p)
            summed = np.bincount(factor.index, weights=on, minlength=factor.size)
            mean = np.divide(summed, total, out=values[at].copy(), where=total > 0)
            values[at] = np.clip(mean, _EDGE, 1 - _EDGE)
        p = problem.probability(values)
        history.append(problem._log_likelihood(p) / n_shown)
        converged = history[-1] - history[-2] < tolerance
        if converged:
            break
    return Solution(None, values, np.array(history), converged)


def climb(problem: Product, start: FloatArray, max_iter: int = 2000) -> Solution:
    """L-BFGS on the logits, with the analytic gradient.

    Args:
        problem: Any factors.
        start: float64 [n_parameters].
        max_iter: Most iterations.
    """
    from scipy.optimize import minimize

    scale = 1 / max(float(problem.tally.clicked.sum()), 1.0)
    per_cell = -1 / (scale * float(problem.tally.shown.sum()))

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = problem.loss(parameters)
        return value * scale, gradient * scale

    first = loss(start)[0]
    history = [first * per_cell]
    if not len(start):
        return Solution(start, problem.values(start), np.array(history), True)
    result = minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-_BOUND, _BOUND)] * len(start) if _bounded(problem) else None,
        callback=lambda intermediate_result: history.append(intermediate_result.fun * per_cell),
        options={"maxiter": max_iter, "maxfun": 4 * max_iter, "maxcor": 20, "ftol": 1e-13, "gtol": 1e-7},
    )
    return Solution(result.x, problem.values(result.x), np.array(history), bool(result.success))


def _bounded(problem: Product) -> bool:
    """Weights of features are no logits: bounds would be arbitrary there."""
    return not any(isinstance(factor, LinearFactor) for factor in problem.factors)
