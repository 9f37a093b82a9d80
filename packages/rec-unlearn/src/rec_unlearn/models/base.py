"""What models share that need no PyTorch: to be fitted or not, and one file on disk."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions
from rec_unlearn.data.fingerprint import Fingerprint
from rec_unlearn.requests import Removal

__all__ = ["ArrayModel", "NotFittedError", "NothingToLearnError", "Saved"]

Arrays = dict[str, NDArray[Any]]


class NotFittedError(ArgumentError):
    """A model that was not trained yet was asked for something."""


class NothingToLearnError(ArgumentError):
    """A model that learns from what follows what was given data in which nothing follows anything."""

    def __init__(self, model: str, data: str) -> None:
        self.model, self.data = model, data
        super().__init__(
            f"{model} learns from what follows what, and in {data} nobody has two steps one after the other: name "
            "the column of time, basket or session that orders the rows, or train a model that needs no order (EASE, "
            "ItemKNN, IALS, MFBPR, LightGCN, Popularity)"
        )

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        """Rebuild from the parts: `Exception` would pass the finished message alone."""
        return type(self), (self.model, self.data)


class Saved:
    """A model with a file of its own; see `rec_unlearn.models.store`.

    Attributes:
        fingerprint_: Of the log that it stands for: what it was trained on, less what was removed since; None before.
    """

    fingerprint_: Fingerprint | None = None

    def save(self, path: str | Path) -> None:
        """Write the model as one file; arguments and errors as of `rec_unlearn.models.store.save`."""
        from rec_unlearn.models.store import save

        save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a model of this class; errors as of `rec_unlearn.models.store.load`.

        Raises:
            DataError: The file holds a model of another class.
        """
        from rec_unlearn.models.store import load_as

        return load_as(cls, path)


class ArrayModel(Saved, ABC):
    """Base of the models that are a few arrays: sums and counts over users, or factors.

    Attributes:
        n_items_: Items of the log that it was fitted on.
        seed_: What it was fitted with.
    """

    n_items_: int
    seed_: int

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """The arguments that build this model again, for its file."""

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a model that is not fitted from what `settings` gave."""
        return cls(**settings)

    @abstractmethod
    def state(self) -> Arrays:
        """What was fitted, as arrays by name, for its file.

        Raises:
            NotFittedError: There is nothing yet.
        """

    @abstractmethod
    def set_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what `state` gave; `n_items_` and `seed_` are there already."""

    def _fitted(self, log: Interactions, seed: int) -> None:
        """Note what it was fitted on."""
        self.n_items_, self.seed_, self.fingerprint_ = log.n_items, seed, Fingerprint.of(log)

    def _removed(self, removal: Removal) -> None:
        """Note what it stands for after a removal."""
        if self.fingerprint_ is not None:
            from rec_unlearn.models.counting import affected

            self.fingerprint_ = self.fingerprint_.changed(*affected(removal))

    def _check_fitted(self) -> None:
        if not hasattr(self, "n_items_"):
            raise NotFittedError(f"{type(self).__name__} is not fitted yet; call fit first")

    def _check_log(self, log: Interactions) -> None:
        """Whether there is something fitted, and the log has the items that it was fitted on."""
        self._check_fitted()
        if log.n_items != self.n_items_:
            raise ArgumentError(
                f"{log.name} has {log.n_items:,} items, the model was fitted on {self.n_items_:,}; "
                "a log and what is left of it share their codes"
            )


def without_gone(scores: NDArray[np.float64], gone: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Put items that nobody uses out of reach: float64 [n, n_items], in place."""
    scores[:, gone] = -np.inf
    return scores
