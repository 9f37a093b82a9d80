"""TIFU-kNN: what a user buys again and again, and what the nearest users buy."""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions
from rec_unlearn.models.base import ArrayModel, without_gone
from rec_unlearn.models.counting import BLOCK, affected, first_k, not_held, read_csr, write_csr
from rec_unlearn.requests import Removal

__all__ = ["TIFUKNN"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class TIFUKNN(ArrayModel):
    """Personal item frequencies of a user and of the nearest users: Hu et al. (2020), SIGIR, next baskets.

    A user's steps, over all sequences, are grouped by m from the last one backwards, so that only the first group may
    be short. A group's vector is the mean over its steps of r_b^(steps to the end of the group) where an item is, the
    user's vector the mean over groups of r_g^(groups to the last) times theirs. Neighbours are the k other users of the
    smallest Euclidean distance, ties to the smaller code. Scores: alpha u + (1 - alpha) mean of the neighbours.

    Vectors and lists of neighbours are stored, as in caboose (Schelter et al. 2023, SIGIR): a removal computes the
    vector of who lost rows again, repairs the lists that named them, and offers who is left of them to all others. All
    of it is bit for bit a model fitted on what is left.

    Attributes:
        k: Neighbours of a user. Defaults are those of the paper for Ta-Feng.
        group_size: m, steps of a group.
        within: r_b, decay from step to step within a group.
        between: r_g, decay from group to group.
        alpha: Weight of the user's own vector.
        vectors_: float64 [n_users, n_items], sparse, indices sorted.
        neighbours_: int32 [n_users, k], nearest first; -1 where there are fewer.
        distances_: float64 [n_users, k], squared; inf there.
    """

    def __init__(
        self,
        k: int = 300,
        *,
        group_size: int = 7,
        within: float = 0.9,
        between: float = 0.7,
        alpha: float = 0.7,
    ) -> None:
        if k < 1 or group_size < 1:
            raise ArgumentError(f"k={k}, group_size={group_size}; expected at least 1 of each")
        if not (0 < within <= 1 and 0 < between <= 1 and 0 <= alpha <= 1):
            found = f"within={within}, between={between}, alpha={alpha}"
            raise ArgumentError(f"{found}; expected decays in (0, 1], and a share in [0, 1]")
        self.k, self.group_size, self.within, self.between, self.alpha = k, group_size, within, between, alpha

    def settings(self) -> dict[str, Any]:
        """The arguments that build this model again, for its file."""
        names = ("k", "group_size", "within", "between", "alpha")
        return {name: getattr(self, name) for name in names}

    def fit(self, log: Interactions, *, seed: int = 0) -> Self:
        """Compute vectors and neighbours.

        Args:
            log: What to learn from.
            seed: Of no use here, as nothing is drawn.
        """
        self.vectors_ = self._vectors(log, np.arange(log.n_users))
        self._squares = _squares(self.vectors_)
        self.neighbours_, self.distances_ = self._nearest(self.vectors_, self._squares, np.arange(log.n_users))
        self._fitted(log, seed)
        return self

    def scores(self, log: Interactions, users: IntArray) -> FloatArray:
        """As `rec_unlearn.protocols.Recommender.scores`; float64, -inf for items that nobody uses.

        Users whose history in `log` is the one fitted on have their neighbours stored; those of others are found now.
        """
        self._check_log(log)
        codes = np.asarray(users, dtype=np.int64)
        if log.n_users != len(self.neighbours_):
            raise ArgumentError(f"{log.name} has {log.n_users:,} users; the model {len(self.neighbours_):,}")
        own = self._vectors(log, codes)
        neighbours = self.neighbours_[codes]
        other = np.flatnonzero(np.diff((own - self.vectors_[codes]).tocsr().indptr))
        if len(other):
            neighbours[other], _ = self._nearest(own[other], _squares(own[other]), codes[other])
        filled = neighbours >= 0
        count = filled.sum(axis=1)
        offsets = np.append(0, np.cumsum(count))
        chosen = sparse.csr_array(
            (np.ones(len(neighbours[filled])), neighbours[filled], offsets), shape=(len(codes), log.n_users)
        )
        theirs = (chosen @ self.vectors_).toarray() / np.maximum(count, 1)[:, None]
        scores = self.alpha * own.toarray() + (1 - self.alpha) * theirs
        return without_gone(scores, np.bincount(self.vectors_.indices, minlength=self.n_items_) == 0)

    def remove(self, removal: Removal) -> int:
        """Take the rows out, in place.

        Returns:
            How many stored numbers changed: entries of vectors, and of the lists that were repaired.

        Raises:
            ArgumentError: The model does not hold these rows; it was not changed.
        """
        self._check_log(removal.before)
        before, after = affected(removal)
        users = removal.users
        old, new = self._vectors(before, users), self._vectors(after, users)
        if (old - self.vectors_[users]).count_nonzero():
            raise not_held()
        left = users[np.diff(new.indptr) > 0]
        asks = np.zeros(len(self.neighbours_) + 1, dtype=bool)
        asks[users] = True
        vectors = _replace_rows(self.vectors_, users, new)
        squares = self._squares.copy()
        squares[users] = _squares(new)
        # The place behind the last user stands for -1.
        repair = asks[:-1] | asks[self.neighbours_].any(axis=1)
        self.vectors_, self._squares = vectors, squares
        rows = np.flatnonzero(repair)
        self.neighbours_[rows], self.distances_[rows] = self._nearest(vectors[rows], squares[rows], rows)
        self._removed(removal)
        offered = self._offer(left, ~repair & (np.diff(vectors.indptr) > 0)) if len(left) else 0
        return int(old.nnz + (len(rows) + offered) * self.neighbours_.shape[1])

    def stored_copies(self) -> tuple[str, ...]:
        """What of the model holds interactions."""
        return (
            "vectors_: a row for each user, made of that user's interactions; those of the users concerned were "
            "computed again from what is left, or emptied",
            "neighbours_, distances_: a list for each user; those that named the users concerned were made again",
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Vectors and lists."""
        self._check_fitted()
        return {
            **write_csr("vectors", self.vectors_),
            "neighbours": self.neighbours_,
            "distances": self.distances_,
        }

    def set_state(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Take what `state` gave."""
        vectors, neighbours, distances = read_csr("vectors", arrays), arrays["neighbours"], arrays["distances"]
        n = vectors.shape[0]
        if vectors.shape[1] != self.n_items_ or neighbours.shape != distances.shape or neighbours.shape[:1] != (n,):
            found = f"vectors {vectors.shape}, neighbours {neighbours.shape}, distances {distances.shape}"
            raise ValueError(f"{found} do not belong together")
        if neighbours.size and not -1 <= neighbours.min() <= neighbours.max() < n:
            raise ValueError(f"a neighbour is none of {n} users")
        self.vectors_, self.neighbours_, self.distances_ = vectors, neighbours, distances
        self._squares = _squares(vectors)

    def _vectors(self, log: Interactions, users: NDArray[np.integer]) -> sparse.csr_array:
        """float64 [len(users), n_items], sparse; each number is a sum in the order of the user's steps."""
        rows, counts = log.rows_of(users), np.diff(log.user_offsets)[users]
        owner = np.repeat(np.arange(len(users)), counts)
        begins = np.ones(len(rows), dtype=bool)
        begins[1:] = (np.diff(owner) != 0) | (np.diff(log.sequence[rows]) != 0) | (np.diff(log.step[rows]) != 0)
        n = np.int64(log.n_items)
        step, item = np.divmod(np.unique((np.cumsum(begins) - 1) * n + log.item[rows]), n)
        owner = owner[begins]
        weight = self._weights(owner, len(users))
        # bincount adds one number after the other, whoever else is in the batch.
        cells, place = np.unique(owner[step] * n + item, return_inverse=True)
        values = np.bincount(place, weights=weight[step], minlength=len(cells))
        offsets = np.searchsorted(cells, np.arange(len(users) + 1) * n)
        return sparse.csr_array((values, cells % n, offsets), shape=(len(users), int(n)))

    def _weights(self, owner: LongArray, n_users: int) -> FloatArray:
        """Weight of each step, given whose it is, ascending: float64 [n_steps]."""
        steps = np.bincount(owner, minlength=n_users)
        back = np.cumsum(steps)[owner] - 1 - np.arange(len(owner))
        group, place = np.divmod(back, self.group_size)
        groups = -(-steps // self.group_size)[owner]
        size = np.minimum(self.group_size, steps[owner] - group * self.group_size)
        last = int(group.max()) if len(group) else 0
        within, between = _powers(self.within, self.group_size), _powers(self.between, last + 1)
        weights: FloatArray = within[place] / size * between[group] / groups
        return weights

    def _distances(self, vectors: sparse.csr_array, squares: FloatArray) -> FloatArray:
        """Squared distances of vectors to all users, inf where one has none: float64 [n, n_users].

        Products are summed item by item, in their order, so each number is the same whatever else is in the batch, and
        the same from either side.
        """
        products = (self.vectors_ @ vectors.T).toarray().T
        distances: FloatArray = (squares[:, None] + self._squares[None, :]) - 2 * products
        distances[:, np.diff(self.vectors_.indptr) == 0] = np.inf
        distances[np.diff(vectors.indptr) == 0] = np.inf
        return distances

    def _nearest(
        self, vectors: sparse.csr_array, squares: FloatArray, users: NDArray[np.integer]
    ) -> tuple[IntArray, FloatArray]:
        """Lists for users with these vectors: codes int32 [n, k], squared distances float64 [n, k]."""
        n_users = self.vectors_.shape[0]
        width = min(self.k, max(n_users - 1, 1))
        codes = np.full((len(users), width), -1, dtype=np.int32)
        distances = np.full((len(users), width), np.inf)
        # Users without a vector are near to nobody; among thousands of equal numbers a partition is slow, too.
        candidates = np.flatnonzero(np.diff(self.vectors_.indptr) > 0)
        filled, everybody = min(width, len(candidates)), len(candidates) == n_users
        for begin in range(0, len(users), BLOCK) if filled else ():
            part = slice(begin, begin + BLOCK)
            block = self._distances(vectors[part], squares[part])
            block[np.arange(len(block)), users[part]] = np.inf
            # Columns stand one after the other in memory, and should go on to do so.
            near = block if everybody else block.T[candidates].T
            found, negative = first_k(-near, filled)
            distances[part, :filled] = -negative
            codes[part, :filled] = np.where(np.isinf(negative), -1, candidates[found])
        return codes, distances

    def _offer(self, candidates: IntArray, others: BoolArray) -> int:
        """Put candidates into the lists of `others` that none of them is in yet, where near enough; how many lists."""
        rows = np.flatnonzero(others)
        offered = self._distances(self.vectors_[candidates], self._squares[candidates])[:, rows].T
        last, last_code = self.distances_[rows, -1:], self.neighbours_[rows, -1:]
        near = ((offered < last) | ((offered == last) & (candidates < last_code))).any(axis=1)
        rows, offered = rows[near], offered[near]
        codes = np.concatenate([self.neighbours_[rows], np.broadcast_to(candidates, offered.shape)], axis=1)
        distances = np.concatenate([self.distances_[rows], offered], axis=1)
        order = np.lexsort((codes, distances), axis=1)[:, : self.neighbours_.shape[1]]
        self.neighbours_[rows] = np.take_along_axis(codes, order, axis=1)
        self.distances_[rows] = np.take_along_axis(distances, order, axis=1)
        return len(rows)


def _powers(base: float, n: int) -> FloatArray:
    """1, base, base^2, ...: float64 [n]; each by one product, so that none depends on n."""
    return np.asarray(np.multiply.accumulate(np.append(1.0, np.full(n - 1, base))))


def _squares(vectors: sparse.csr_array) -> FloatArray:
    owner = np.repeat(np.arange(vectors.shape[0]), np.diff(vectors.indptr))
    return np.bincount(owner, vectors.data * vectors.data, vectors.shape[0]).astype(np.float64)


def _replace_rows(matrix: sparse.csr_array, rows: IntArray, new: sparse.csr_array) -> sparse.csr_array:
    lengths = np.diff(matrix.indptr)
    chosen = np.zeros(len(lengths), dtype=bool)
    chosen[rows] = True
    kept = ~np.repeat(chosen, lengths)
    lengths[rows] = np.diff(new.indptr)
    fresh = np.repeat(chosen, lengths)
    data = np.empty(len(fresh))
    indices = np.empty(len(fresh), dtype=matrix.indices.dtype)
    data[fresh], indices[fresh] = new.data, new.indices
    data[~fresh], indices[~fresh] = matrix.data[kept], matrix.indices[kept]
    return sparse.csr_array((data, indices, np.append(0, np.cumsum(lengths))), shape=matrix.shape)
