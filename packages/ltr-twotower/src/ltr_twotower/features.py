"""Features of (query, document) pairs: units that no fit notices, and columns that are matched by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError, DataError

__all__ = ["Scaling", "column_order", "feature_table", "numbers"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scaling:
    """Mean and standard deviation of every feature over pairs.

    A ridge on raw features would depend on their units and, worse, on where their zero lies: the relevances of features
    with a large mean (years) need a large constant, which the ridge on theta then pulls at.

    Attributes:
        mean: float64 [n_features].
        scale: float64 [n_features], standard deviations; 1 for a constant feature.
    """

    mean: FloatArray
    scale: FloatArray

    @classmethod
    def of(cls, X: FloatArray) -> Self:
        """The scaling of features [n_pairs, n_features]."""
        mean = X.mean(axis=0)
        scale = (X - mean).std(axis=0)
        # What is left of a constant is the rounding error of its mean.
        constant = scale <= 1e-13 * np.abs(X).max(axis=0, initial=0)
        return cls(mean, np.where(constant, 1.0, scale))

    def apply(self, X: FloatArray) -> FloatArray:
        """Features with mean 0 and deviation 1, float64 [n_pairs, n_features]; constant ones become 0."""
        return np.asarray((X - self.mean) / self.scale)

    def undo(self, weights: FloatArray) -> tuple[FloatArray, float]:
        """(w, c) with X w + c = apply(X) weights: weights [n_features] in the units of the raw features."""
        raw = weights / self.scale
        return raw, -float(self.mean @ raw)


def numbers(name: str, values: object) -> FloatArray:
    """An argument as float64.

    Raises:
        ArgumentError: It holds something else than numbers.
    """
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{name} is no array of numbers") from None


def feature_table(name: str, values: object, n_pairs: int) -> FloatArray:
    """Features of pairs as float64 [n_pairs, n_features].

    Raises:
        ArgumentError: They have another shape, or are not finite numbers.
    """
    table = numbers(name, values)
    if table.ndim != 2 or len(table) != n_pairs:
        raise ArgumentError(
            f"{name} has shape {table.shape}; expected [{n_pairs}, n_features], a row per pair of log.pairs"
        )
    if not np.isfinite(table).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(table))[0])
        raise ArgumentError(f"{name}[{row}, {column}] is {table[row, column]}; expected finite numbers")
    return table


def column_order(found: Sequence[str], expected: Sequence[str], problem: str) -> list[int]:
    """The place in `found` of every expected feature.

    Args:
        found: Names of the features that are there.
        expected: Names of those that are wanted, in the order in which they are wanted.
        problem: What to say if they are not the same.

    Raises:
        DataError: They are not the same; the message names those that are missing and those too many.
    """
    if list(found) == list(expected):
        return list(range(len(expected)))
    if sorted(found) == sorted(expected) and len(set(found)) == len(found):
        return [list(found).index(name) for name in expected]
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    parts = [f"{what}: {', '.join(names)}" for what, names in (("missing", missing), ("extra", extra)) if names]
    details = "; ".join(parts) or f"repeated: {', '.join(found)}"
    raise DataError(
        f"{problem} ({details})", hint="Features are matched by name: read both with the same features=[...]"
    )
