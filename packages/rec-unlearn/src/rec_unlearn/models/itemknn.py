"""Nearest neighbours of items by how many users they share."""

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions
from rec_unlearn.models.base import ArrayModel, without_gone
from rec_unlearn.models.counting import (
    BLOCK,
    affected,
    binary,
    co_counts,
    ranges,
    read_csr,
    take,
    write_csr,
)
from rec_unlearn.requests import Removal

__all__ = ["SIMILARITIES", "ItemKNN"]

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float64]

# From users of both, of one, and of the other, [n] each, to what the count of both is divided by.
SIMILARITIES: dict[str, Callable[[FloatArray, FloatArray, FloatArray], FloatArray]] = {
    "cosine": lambda both, one, other: np.sqrt(one * other),
    "jaccard": lambda both, one, other: one + other - both,
}


class ItemKNN(ArrayModel):
    """Item-based nearest neighbours: Deshpande and Karypis (2004), Item-Based Top-N Recommendation Algorithms, TOIS.

    What is stored are integers: C_ij, how many users used both of two items, and on its diagonal n_i. From them the
    weight of j at i is C_ij / (sqrt(n_i n_j) + shrink) for cosine, C_ij / (n_i + n_j - C_ij + shrink) for jaccard. An
    item keeps the k others of the largest weight above 0, ties to the smaller code; a history scores the sum of the
    weights at its items. Neighbours are found when they are first needed, and forgotten when a count behind them
    changes. So a removal is a subtraction of integers, and what is left is bit for bit a model fitted on what is left.

    Attributes:
        k: Neighbours of an item.
        shrink: Added to the divisor, so that few common users count for less.
        similarity: "cosine" or "jaccard".
        counts_: int32 [n_items, n_items], sparse, without stored zeros: C.
    """

    def __init__(self, k: int = 100, *, shrink: float = 0.0, similarity: str = "cosine") -> None:
        if k < 1 or not 0 <= shrink < np.inf:
            raise ArgumentError(f"k={k}, shrink={shrink}; expected at least 1, and a number that is not negative")
        if similarity not in SIMILARITIES:
            raise ArgumentError(f"similarity={similarity!r}; expected one of: {', '.join(SIMILARITIES)}")
        self.k, self.shrink, self.similarity = k, shrink, similarity

    def settings(self) -> dict[str, Any]:
        """The arguments that build this model again, for its file."""
        return {"k": self.k, "shrink": self.shrink, "similarity": self.similarity}

    def fit(self, log: Interactions, *, seed: int = 0) -> Self:
        """Count.

        Args:
            log: What to learn from; how often a user used an item makes no difference.
            seed: Of no use here, as nothing is drawn.
        """
        self.counts_ = co_counts(binary(log))
        self._fitted(log, seed)
        self._forget_neighbours()
        return self

    def _forget_neighbours(self) -> None:
        width = min(self.k, max(self.n_items_ - 1, 1))
        self._neighbours = np.full((self.n_items_, width), -1, dtype=np.int32)
        self._weights = np.zeros((self.n_items_, width))
        self._known = np.zeros(self.n_items_, dtype=bool)

    @property
    def users_(self) -> NDArray[np.int64]:
        """int64 [n_items], how many users used each item."""
        self._check_fitted()
        return np.asarray(self.counts_.diagonal(), dtype=np.int64)

    def neighbours(self, items: ArrayLike | None = None) -> tuple[IntArray, FloatArray]:
        """The neighbours of items (codes; by default all), nearest first.

        Returns:
            Codes int32 [n, k], -1 where there are fewer; and weights float64 [n, k], 0 there. Never more columns than
            there are other items.
        """
        self._check_fitted()
        codes = np.arange(self.n_items_) if items is None else np.asarray(items, dtype=np.int64)
        needed = np.unique(codes[~self._known[codes]])
        for begin in range(0, len(needed), BLOCK):
            self._find(needed[begin : begin + BLOCK])
        return self._neighbours[codes], self._weights[codes]

    def _find(self, rows: NDArray[np.int64]) -> None:
        shared, width = self.counts_[rows], self._neighbours.shape[1]
        number = np.repeat(np.arange(len(rows)), np.diff(shared.indptr))
        users, both, item = self.users_.astype(np.float64), shared.data.astype(np.float64), shared.indices
        weights = both / (SIMILARITIES[self.similarity](both, users[rows[number]], users[item]) + self.shrink)
        weights[item == rows[number]] = 0
        # First what cannot be among the nearest is left out, row by row; sorting all would take ten times as long.
        least = np.zeros(len(rows))
        for row in np.flatnonzero(np.diff(shared.indptr) > width):
            least[row] = np.partition(weights[shared.indptr[row] : shared.indptr[row + 1]], -width)[-width]
        near = np.flatnonzero((weights >= least[number]) & (weights > 0))
        near = near[np.lexsort((item[near], -weights[near], number[near]))]
        begins = np.searchsorted(number[near], np.arange(len(rows)))
        place = np.arange(len(near)) - begins[number[near]]
        # More than fit have the weight of the last one.
        near, place = near[place < width], place[place < width]
        self._neighbours[rows], self._weights[rows], self._known[rows] = -1, 0, True
        self._neighbours[rows[number[near]], place] = item[near]
        self._weights[rows[number[near]], place] = weights[near]

    def scores(self, log: Interactions, users: IntArray) -> FloatArray:
        """As `rec_unlearn.protocols.Recommender.scores`; float64, -inf for items that nobody uses."""
        self._check_log(log)
        used = binary(log, users)
        items = np.unique(used.indices)
        neighbours, weights = self.neighbours(items)
        filled = neighbours >= 0
        offsets = np.append(0, np.cumsum(filled.sum(axis=1)))
        table = sparse.csr_array((weights[filled], neighbours[filled], offsets), shape=(len(items), self.n_items_))
        return without_gone((used[:, items] @ table).toarray(), self.users_ == 0)

    def remove(self, removal: Removal) -> int:
        """Take the rows out, in place.

        Returns:
            How many stored numbers changed: counts, and neighbours that have to be found again.

        Raises:
            ArgumentError: The model does not hold these rows; it was not changed.
        """
        self._check_log(removal.before)
        before, after = affected(removal)
        users = removal.users
        change = (co_counts(binary(before, users)) - co_counts(binary(after, users))).tocsr()
        change.sort_indices()
        # A weight changes where one of its two items lost a user, so at all items that share a user with such a one.
        lost = np.flatnonzero(change.diagonal())
        near = ranges(self.counts_.indptr[lost], np.diff(self.counts_.indptr)[lost])
        stale = np.zeros(self.n_items_, dtype=bool)
        stale[self.counts_.indices[near]] = True
        take(self.counts_, change)
        self._removed(removal)
        stale &= self._known
        self._neighbours[stale], self._weights[stale], self._known[stale] = -1, 0, False
        return int(change.nnz + stale.sum() * self._neighbours.shape[1])

    def stored_copies(self) -> tuple[str, ...]:
        """What of the model could hold interactions."""
        return (
            "counts_: sums over users, from which the removed rows were taken exactly; an item with one user still "
            "shows what that user took beside it",
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """The counts; neighbours are found again."""
        self._check_fitted()
        return write_csr("counts", self.counts_)

    def set_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what `state` gave."""
        counts = read_csr("counts", arrays)
        if counts.shape != (self.n_items_, self.n_items_):
            raise ValueError(f"counts have the shape {counts.shape}, not {(self.n_items_, self.n_items_)}")
        self.counts_ = counts
        self._forget_neighbours()
