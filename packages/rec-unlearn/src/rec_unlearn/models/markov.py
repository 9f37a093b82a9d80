"""What follows what: a first-order Markov chain over the steps of sequences."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from rec_unlearn.data import Interactions
from rec_unlearn.models.base import ArrayModel, without_gone
from rec_unlearn.models.counting import affected, not_held, read_csr, subtract, write_csr
from rec_unlearn.requests import Removal

__all__ = ["Markov"]


class Markov(ArrayModel):
    """First-order transitions between items: the chain that Rendle et al. (2010), WWW, factorise, without factors.

    T_ij counts how often j was in the step right after one with i; a repetition within a step counts once. The last
    step of a user's last sequence scores the mean over its items of T_ij / sum_j T_ij; users without rows score 0.
    Where a removal empties a step, the steps around it become neighbours, as in a model fitted on what is left.

    Attributes:
        counts_: int64 [n_items, n_items], sparse, without stored zeros: T.
        rows_: int64 [n_items], rows of each item.
    """

    def settings(self) -> dict[str, Any]:
        """None."""
        return {}

    def fit(self, log: Interactions, *, seed: int = 0) -> Self:
        """Count; `seed` is of no use here, as nothing is drawn."""
        self.counts_ = _transitions(log)
        self.rows_ = np.bincount(log.item, minlength=log.n_items).astype(np.int64)
        self._fitted(log, seed)
        return self

    def scores(self, log: Interactions, users: NDArray[np.int32]) -> NDArray[np.float64]:
        """As `rec_unlearn.protocols.Recommender.scores`; float64, -inf for items that nobody uses."""
        self._check_log(log)
        codes = np.asarray(users, dtype=np.int64)
        step, _, steps = _steps(log)
        ends = log.user_offsets[codes + 1]
        known = np.flatnonzero(ends > log.user_offsets[codes])
        last = steps[step[ends[known] - 1]].astype(np.float64)
        total = np.maximum(self.counts_.sum(axis=1), 1)
        weight = last * (1 / last.sum(axis=1))[:, None] * (1 / total)[None, :]
        scores = np.zeros((len(codes), self.n_items_))
        scores[known] = (sparse.csr_array(weight) @ self.counts_).toarray()
        return without_gone(scores, self.rows_ == 0)

    def remove(self, removal: Removal) -> int:
        """Take the rows out, in place.

        Returns:
            How many counts changed.

        Raises:
            ArgumentError: The model does not hold these rows; it was not changed.
        """
        self._check_log(removal.before)
        before, after = affected(removal)
        change = (_transitions(before) - _transitions(after)).tocsr()
        rows = np.bincount(removal.before.item[removal.rows], minlength=self.n_items_)
        if (rows > self.rows_).any():
            raise not_held()
        self.counts_ = subtract(self.counts_, change)
        self.rows_ = self.rows_ - rows
        self._removed(removal)
        return int(change.count_nonzero() + (rows > 0).sum())

    def stored_copies(self) -> tuple[str, ...]:
        """What of the model could hold interactions."""
        return ("counts_: sums over users, from which the removed rows were taken exactly",)

    def state(self) -> dict[str, NDArray[Any]]:
        """The counts."""
        self._check_fitted()
        return {**write_csr("counts", self.counts_), "rows": self.rows_}

    def set_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what `state` gave."""
        counts, rows = read_csr("counts", arrays), arrays["rows"]
        if counts.shape != (self.n_items_, self.n_items_) or rows.shape != (self.n_items_,):
            raise ValueError(f"counts have the shape {counts.shape}, not {(self.n_items_, self.n_items_)}")
        self.counts_, self.rows_ = counts, rows


def _steps(log: Interactions) -> tuple[NDArray[np.int64], NDArray[np.int32], sparse.csr_array]:
    """Number of each row's step, counted over all sequences [n]; sequence of each step; what is in it [m, n_items]."""
    begins = np.ones(len(log), dtype=bool)
    begins[1:] = (np.diff(log.sequence) != 0) | (np.diff(log.step) != 0)
    step = np.cumsum(begins) - 1
    shape = (int(begins.sum()), log.n_items)
    table = sparse.coo_array((np.ones(len(log), dtype=np.int64), (step, log.item)), shape=shape).tocsr()
    table.sum_duplicates()
    table.data[:] = 1
    return step, log.sequence[begins], table


def _transitions(log: Interactions) -> sparse.csr_array:
    _, sequence, steps = _steps(log)
    first = np.flatnonzero(np.diff(sequence) == 0)
    counts = (steps[first].T @ steps[first + 1]).tocsr()
    counts.sort_indices()
    return counts
