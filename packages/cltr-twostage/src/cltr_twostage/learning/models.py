"""What a learner trains: scores of one stage that climb a gradient. Tables and linear ones here, torch in `neural`."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError

__all__ = [
    "Adam",
    "FixedScores",
    "LinearScorer",
    "LinearScores",
    "Scorer",
    "StageModel",
    "TableScores",
    "checked_features",
    "numbers_of",
]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
State = dict[str, NDArray[np.generic]]


class StageModel(Protocol):
    """Scores of one stage over the rows of a pool, and how they follow a gradient."""

    sharded: bool
    """Whether `ascend` wants the rows of this process alone, and brings the processes together by itself."""

    def scores(self) -> FloatArray:
        """float64 [n_rows], scores of all rows."""
        ...

    def scores_of(self, rows: LongArray) -> FloatArray:
        """float64 [n], scores of some rows."""
        ...

    def open(self, rows: LongArray, seed: int) -> FloatArray:
        """As `scores_of`, for an `ascend` on the same rows that follows."""
        ...

    def ascend(self, rows: LongArray, gradient: FloatArray) -> None:
        """One step up a gradient [n] by the scores of rows [n]."""
        ...

    def state(self) -> State:
        """All that a later `load` needs to go on as if nothing had happened."""
        ...

    def load(self, state: State) -> None:
        """Go back to a state."""
        ...

    def scorer(self) -> "Scorer | None":
        """What scores documents that were not learned on; None for scores that are tied to their rows."""
        ...


class Scorer(Protocol):
    """Scores documents by their features."""

    def __call__(self, X: ArrayLike) -> FloatArray:
        """float64 [n], scores for features [n, n_features]."""
        ...


@dataclass(eq=False)
class Adam:
    """Adam (Kingma and Ba, 2015), upwards.

    Args:
        learning_rate: Length of a step.
        size: Number of parameters.
    """

    learning_rate: float
    size: int
    steps: int = 0
    mean: FloatArray = field(init=False)
    square: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.mean, self.square = np.zeros(self.size), np.zeros(self.size)

    def step(self, gradient: FloatArray) -> FloatArray:
        """What to add to the parameters [size]."""
        self.steps += 1
        self.mean += 0.1 * (gradient - self.mean)
        self.square += 0.001 * (gradient**2 - self.square)
        mean = self.mean / (1 - 0.9**self.steps)
        square = self.square / (1 - 0.999**self.steps)
        return np.asarray(self.learning_rate * mean / (np.sqrt(square) + 1e-8))


class FixedScores:
    """A stage that is not learned.

    Args:
        scores: float64 [n_rows].
    """

    sharded = False

    def __init__(self, scores: FloatArray) -> None:
        self._scores = scores

    def scores(self) -> FloatArray:
        """float64 [n_rows]."""
        return self._scores

    def scores_of(self, rows: LongArray) -> FloatArray:
        """float64 [n]."""
        return self._scores[rows]

    def open(self, rows: LongArray, seed: int) -> FloatArray:
        """float64 [n]."""
        return self._scores[rows]

    def ascend(self, rows: LongArray, gradient: FloatArray) -> None:
        """Stay."""

    def state(self) -> State:
        """Nothing."""
        return {}

    def load(self, state: State) -> None:
        """Nothing to do."""

    def scorer(self) -> None:
        """None."""
        return


class _Parameters:
    """A vector of parameters that Adam moves, with a ridge."""

    sharded = False

    def __init__(self, start: FloatArray, learning_rate: float, l2: float) -> None:
        self.values = np.array(start, dtype=np.float64)
        self.l2 = l2
        self.adam = Adam(learning_rate, len(self.values))

    def _climb(self, gradient: FloatArray) -> None:
        self.values = self.values + self.adam.step(gradient - self.l2 * self.values)

    def state(self) -> State:
        """Parameters and moments of the optimiser."""
        adam = self.adam
        steps = np.asarray(adam.steps)
        return {"values": self.values, "steps": steps, "mean": adam.mean.copy(), "square": adam.square.copy()}

    def load(self, state: State) -> None:
        """Go back to a state."""
        self.values = np.array(state["values"], dtype=np.float64)
        self.adam.steps = int(state["steps"])
        self.adam.mean, self.adam.square = (np.array(state[name], dtype=np.float64) for name in ("mean", "square"))


class TableScores(_Parameters):
    """A free score for every row: what a learner can reach at best, and nothing for new documents.

    Args:
        start: float64 [n_rows].
        learning_rate: Of Adam.
        l2: Ridge on the scores.
    """

    def scores(self) -> FloatArray:
        """float64 [n_rows]."""
        return self.values

    def scores_of(self, rows: LongArray) -> FloatArray:
        """float64 [n]."""
        return self.values[rows]

    def open(self, rows: LongArray, seed: int) -> FloatArray:
        """float64 [n]."""
        return self.values[rows]

    def ascend(self, rows: LongArray, gradient: FloatArray) -> None:
        """One step of Adam on all rows; those that are not named have gradient zero."""
        full = np.zeros(len(self.values))
        full[rows] = gradient
        self._climb(full)

    def scorer(self) -> None:
        """None."""
        return


class LinearScores(_Parameters):
    """A weight for each feature. Learned on standardised features, so that one learning rate suits them all.

    There is no intercept: a constant added to all scores changes no policy.

    Args:
        X: float64 [n_rows, n_features], finite.
        learning_rate: Of Adam.
        l2: Ridge on the weights of the standardised features.
        start: float64 [n_features], weights of the raw features to begin with. Default: zeros.
    """

    def __init__(self, X: FloatArray, learning_rate: float, l2: float, start: FloatArray | None = None) -> None:
        self.mean, scale = X.mean(axis=0), X.std(axis=0)
        self.scale = np.where(scale > 0, scale, 1.0)
        self.X = (X - self.mean) / self.scale
        super().__init__(np.zeros(X.shape[1]) if start is None else start * self.scale, learning_rate, l2)

    @property
    def weights(self) -> FloatArray:
        """float64 [n_features], weights of the raw features."""
        return self.values / self.scale

    def scores(self) -> FloatArray:
        """float64 [n_rows]."""
        return np.asarray(self.X @ self.values)

    def scores_of(self, rows: LongArray) -> FloatArray:
        """float64 [n]."""
        return np.asarray(self.X[rows] @ self.values)

    def open(self, rows: LongArray, seed: int) -> FloatArray:
        """float64 [n]."""
        return self.scores_of(rows)

    def ascend(self, rows: LongArray, gradient: FloatArray) -> None:
        """One step of Adam on the weights."""
        self._climb(gradient @ self.X[rows])

    def scorer(self) -> "LinearScorer":
        """The weights."""
        return LinearScorer(self.weights)


@dataclass(frozen=True, eq=False)
class LinearScorer:
    """Scores documents by a weighted sum of their features.

    Attributes:
        weights: float64 [n_features].
    """

    weights: FloatArray

    def __call__(self, X: ArrayLike) -> FloatArray:
        """float64 [n], scores for features [n, n_features]."""
        table = checked_features("X", X, None)
        if table.shape[1] != len(self.weights):
            raise ArgumentError(f"X has {table.shape[1]} features; expected {len(self.weights)}, as were learned on")
        return table @ self.weights


def numbers_of(name: str, X: ArrayLike, expected: str) -> FloatArray:
    """An argument as float64; an ArgumentError if it does not hold numbers."""
    try:
        return np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is a {type(X).__name__} that holds no numbers; expected {expected}") from None


def checked_features(name: str, X: ArrayLike | None, n_rows: int | None) -> FloatArray:
    """Features as float64 [n_rows, n_features].

    Raises:
        ArgumentError: None, another shape, no feature, or a value that is no number or not finite.
    """
    if X is None:
        raise ArgumentError(f"{name} is missing; expected features [n_rows, n_features], or a stage that is a 'table'")
    table = numbers_of(name, X, "features [n_rows, n_features]")
    if table.ndim != 2 or table.shape[1] == 0 or len(table) != (len(table) if n_rows is None else n_rows):
        rows = "n_rows" if n_rows is None else n_rows
        raise ArgumentError(f"{name} has shape {table.shape}; expected [{rows}, n_features]")
    if not np.isfinite(table).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise ArgumentError(f"{name} is {table[row, column]} at row {row}, feature {column}; expected finite numbers")
    return table
