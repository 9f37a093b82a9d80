"""How often each item was used: the same for everybody."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from rec_unlearn.data import Interactions
from rec_unlearn.models.base import ArrayModel, without_gone
from rec_unlearn.models.counting import not_held
from rec_unlearn.requests import Removal

__all__ = ["Popularity"]


class Popularity(ArrayModel):
    """The number of rows of each item.

    Attributes:
        counts_: int64 [n_items].
    """

    def settings(self) -> dict[str, Any]:
        """None."""
        return {}

    def fit(self, log: Interactions, *, seed: int = 0) -> Self:
        """Count; `seed` is of no use here, as nothing is drawn."""
        self.counts_ = np.bincount(log.item, minlength=log.n_items).astype(np.int64)
        self._fitted(log, seed)
        return self

    def scores(self, log: Interactions, users: NDArray[np.int32]) -> NDArray[np.float64]:
        """As `rec_unlearn.protocols.Recommender.scores`; float64, -inf for items that nobody uses."""
        self._check_log(log)
        return without_gone(np.tile(self.counts_.astype(np.float64), (len(users), 1)), self.counts_ == 0)

    def remove(self, removal: Removal) -> int:
        """Take the rows out, in place.

        Returns:
            How many counts changed.

        Raises:
            ArgumentError: The model does not hold these rows; it was not changed.
        """
        self._check_log(removal.before)
        change = np.bincount(removal.before.item[removal.rows], minlength=self.n_items_)
        if (change > self.counts_).any():
            raise not_held()
        self.counts_ = self.counts_ - change
        self._removed(removal)
        return int((change > 0).sum())

    def stored_copies(self) -> tuple[str, ...]:
        """What of the model could hold interactions."""
        return ("counts_: sums over users, from which the removed rows were taken exactly",)

    def state(self) -> dict[str, NDArray[Any]]:
        """The counts."""
        self._check_fitted()
        return {"counts": self.counts_}

    def set_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what `state` gave."""
        if arrays["counts"].shape != (self.n_items_,):
            raise ValueError(f"counts have the shape {arrays['counts'].shape}, not ({self.n_items_},)")
        self.counts_ = arrays["counts"]
