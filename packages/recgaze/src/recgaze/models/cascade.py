"""Cascade models of one selection on a grid: the terminal click model (TCM) and the carousel click model (CCM).

A user goes from cell to cell; at each one is attracted and selects it, or quits, or goes on. With rows i and columns j
from 0, K columns and k = K i + j:

    attraction    a_k = a g^e
    selection     P(i, j) = (1 - q)^e (1 - a_k)^k a_k
    TCM: e = k (one list, row after row);  CCM: e = i + j (down the carousels, then along one)

q is the probability of quitting, a the attraction of the first cell, g the discount of attraction from step to step.
What the mass lacks to 1 is users who select nothing. This form takes every cell that was passed by to be as attractive
as the one that is selected, so that the mass can also exceed 1; then it is normalised, and all users select. Source:
Rahdari, Kveton and Brusilovsky, "From Ranked Lists to Carousels: A Carousel Click Model" (2022), in the form of their
published code.
"""

from typing import Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.models.errors import NotFittedError
from recgaze.models.selections import SelectionsLike, selection_counts

__all__ = ["CCM", "TCM", "CascadeModel", "CascadeObjective"]

FloatArray = NDArray[np.float64]
CascadeObjective = Literal["tv", "likelihood", "conditional"]

# Fine enough for a start that gradient steps bring to the optimum.
_START_GRID = np.linspace(0.05, 0.95, 10)
_FLOOR = 1e-300


class CascadeModel:
    """What TCM and CCM share; use one of them.

    Attributes (after `fit`):
        quit_: Probability q of quitting before a step.
        attraction_: Attraction a of the first cell.
        discount_: Factor g of attraction a step.
        shape_: (R, C) of the grid.
    """

    quit_: float
    attraction_: float
    discount_: float
    shape_: tuple[int, int]

    def __repr__(self) -> str:
        if not hasattr(self, "quit_"):
            return f"{type(self).__name__}()"
        values = f"quit={self.quit_:.3g}, attraction={self.attraction_:.3g}, discount={self.discount_:.3g}"
        return f"{type(self).__name__}({values})"

    def fit(
        self,
        selections: SelectionsLike,
        objective: CascadeObjective = "tv",
        grid: ArrayLike | None = None,
        *,
        without: int = 0,
        shape: tuple[int, int] | None = None,
    ) -> Self:
        """Fit the three parameters.

        Args:
            selections: Counts [R, C], (row, column) arrays from 0, `Selections`, or impressions.
            objective: "tv": the least total variation between the model and the shares of the cells, by exhaustive
                search, as in the published code. "conditional": the greatest likelihood given that something was
                selected. "likelihood": that of selections and of screens without one.
            grid: float [m], values between 0 and 1 that the search tries for q, for a and for 1 - g. Which model fits
                better can depend on it. Default: .01 to .50 in steps of .01. Only for "tv".
            without: Number of screens on which nothing was selected. Only for "likelihood".
            shape: (R, C), where selections are arrays and the last rows or columns were never selected.

        Raises:
            ArgumentError: The selections are not usable, or options are unknown, out of range or do not go together.
        """
        if objective not in get_args(CascadeObjective):
            raise ArgumentError(f"objective={objective!r}; expected one of {', '.join(get_args(CascadeObjective))}")
        if grid is not None and objective != "tv":
            raise ArgumentError(f"grid belongs to objective='tv'; objective={objective!r} has none")
        if without < 0 or (without and objective != "likelihood"):
            raise ArgumentError(f"without={without}; expected a count of at least 0, with objective='likelihood'")
        counts = selection_counts(selections, shape)
        self.shape_ = (int(counts.shape[0]), int(counts.shape[1]))
        if objective == "tv":
            values = np.linspace(0.01, 0.5, 50) if grid is None else _checked_grid(grid)
            found = self._search(counts, values, None)
        else:
            found = self._climb(counts, without if objective == "likelihood" else None)
        self.quit_, self.attraction_, self.discount_ = (float(value) for value in found)
        return self

    def probability(self) -> FloatArray:
        """float64 [R, C], probability that the cell is selected; the sum is at most 1.

        Raises:
            NotFittedError: Before `fit`.
        """
        if not hasattr(self, "quit_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit first")
        parameters = np.array([self.quit_, self.attraction_, self.discount_])
        form = np.exp(self._log_probability(parameters, self.shape_)).reshape(self.shape_)
        return np.asarray(form / max(1.0, form.sum()))

    def total_variation(self, selections: SelectionsLike) -> float:
        """Half the sum of absolute differences between the model and the shares of the cells."""
        counts = selection_counts(selections, self._known_shape())
        return float(np.abs(self.probability() - counts / counts.sum()).sum() / 2)

    def log_likelihood(self, selections: SelectionsLike) -> float:
        """Mean logarithm (nats) of the probability of the selected cell, given that something was selected."""
        counts = selection_counts(selections, self._known_shape())
        probability = self.probability()
        return float((counts * np.log(np.maximum(probability / probability.sum(), _FLOOR))).sum() / counts.sum())

    def perplexity(self, selections: SelectionsLike) -> float:
        """Exponential of the negative `log_likelihood`: 1 for a sure prediction, R C for a uniform one."""
        return float(np.exp(-self.log_likelihood(selections)))

    def _known_shape(self) -> tuple[int, int]:
        if not hasattr(self, "shape_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted; call fit first")
        return self.shape_

    @staticmethod
    def _steps(shape: tuple[int, int]) -> FloatArray:
        """float64 [R * C], e: how many steps a user makes to the cell."""
        raise NotImplementedError

    def _log_probability(self, parameters: FloatArray, shape: tuple[int, int]) -> FloatArray:
        """float64 [..., R * C], of parameters [..., 3]: q, a, g."""
        steps, passed = self._steps(shape), np.arange(shape[0] * shape[1])
        q, a, g = (parameters[..., at, None] for at in range(3))
        log_attraction = np.log(a) + steps * np.log(g)
        # No attraction is 1 on any grid here, so that what was passed by keeps a finite logarithm.
        return np.asarray(steps * np.log1p(-q) + passed * np.log1p(-np.exp(log_attraction)) + log_attraction)

    def _search(self, counts: NDArray[np.int64], values: FloatArray, without: int | None) -> FloatArray:
        """The best (q, a, g) of a grid: by total variation, or by likelihood where `without` is at least 0."""
        shape, shares = (counts.shape[0], counts.shape[1]), counts.ravel() / counts.sum()
        a, g = (part.ravel() for part in np.meshgrid(values, 1 - values, indexing="ij"))
        losses, found = [], []
        for q in values:
            parameters = np.stack([np.full_like(a, q), a, g], axis=-1)
            log_p = self._log_probability(parameters, shape)
            if without is None:
                loss = np.abs(np.exp(log_p) - shares).sum(axis=-1) / 2
            else:
                loss = _negative_log_likelihood(log_p, counts.ravel(), without)
            best = int(np.argmin(loss))
            losses.append(float(loss[best]))
            found.append(parameters[best])
        return np.asarray(found[int(np.argmin(losses))])

    def _climb(self, counts: NDArray[np.int64], without: int | None) -> FloatArray:
        """The most likely (q, a, g), from the best point of a coarse grid; `without` None: given a selection."""
        from scipy.optimize import minimize
        from scipy.special import expit, logit

        shape, n = (counts.shape[0], counts.shape[1]), counts.ravel()
        given_selection = -1 if without is None else without

        def loss(logits: FloatArray) -> float:
            log_p = self._log_probability(expit(logits), shape)
            return float(_negative_log_likelihood(log_p, n, given_selection) / n.sum())

        start = logit(self._search(counts, _START_GRID, given_selection))
        # Three parameters and at most some hundred cells: no gradient needed, and none that could be wrong.
        options = {"xatol": 1e-8, "fatol": 1e-13, "maxiter": 5000, "maxfev": 5000, "adaptive": True}
        result = minimize(loss, start, method="Nelder-Mead", bounds=[(-30, 30)] * 3, options=options)
        return np.asarray(expit(result.x))


class TCM(CascadeModel):
    """Terminal click model: the grid is one list, read row after row. See the module for the formula."""

    @staticmethod
    def _steps(shape: tuple[int, int]) -> FloatArray:
        return np.arange(shape[0] * shape[1], dtype=np.float64)


class CCM(CascadeModel):
    """Carousel click model: down the carousels, then along one. See the module for the formula."""

    @staticmethod
    def _steps(shape: tuple[int, int]) -> FloatArray:
        return np.add.outer(np.arange(shape[0]), np.arange(shape[1])).ravel().astype(np.float64)


def _negative_log_likelihood(log_p: FloatArray, counts: NDArray[np.int64], without: int) -> FloatArray:
    """Of log probabilities [..., R * C]; `without` is the number of screens without a selection, -1: given one."""
    mass = np.exp(log_p).sum(axis=-1)
    likelihood = log_p @ counts
    if without < 0:
        return np.asarray(counts.sum() * np.log(mass) - likelihood)
    excess = counts.sum() * np.log(np.maximum(mass, 1))
    return np.asarray(excess - likelihood - without * np.log(np.maximum(1 - mass, _FLOOR)))


def _checked_grid(grid: ArrayLike) -> FloatArray:
    values = np.asarray(grid, dtype=np.float64)
    if values.ndim != 1 or not len(values) or not ((values > 0) & (values < 1)).all():
        raise ArgumentError(f"grid has shape {values.shape}; expected numbers [m] between 0 and 1, both excluded")
    return values
