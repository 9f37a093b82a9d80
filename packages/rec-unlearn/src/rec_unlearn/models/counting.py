"""Counts over users: what a removal changes in them, and the first few of each row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions
from rec_unlearn.requests import Removal

__all__ = [
    "affected",
    "binary",
    "co_counts",
    "first_k",
    "not_held",
    "ranges",
    "read_csr",
    "subtract",
    "take",
    "write_csr",
]

LongArray = NDArray[np.int64]
# What is multiplied or sorted at once.
BLOCK = 512


def affected(removal: Removal) -> tuple[Interactions, Interactions]:
    """The rows of the users who lose some, before and after: their number, not that of all rows, is what it costs."""
    rows = removal.before.rows_of(removal.users)
    return removal.before.keep(rows), removal.before.keep(rows[~removal.rows[rows]])


def binary(log: Interactions, users: ArrayLike | None = None) -> sparse.csr_array:
    """Whether each user used each item: int64 [n_users or len(users), n_items], 1 where it did, indices sorted."""
    table = log.matrix(users)
    table.sum_duplicates()
    return sparse.csr_array((np.ones(table.nnz, dtype=np.int64), table.indices, table.indptr), shape=table.shape)


def co_counts(used: sparse.csr_array) -> sparse.csr_array:
    """How many users used both of two items: int32 [n_items, n_items], indices sorted; its diagonal counts users."""
    counts = (used.T @ used).tocsr().astype(np.int32)
    counts.sort_indices()
    return counts


def ranges(starts: NDArray[np.integer], counts: NDArray[np.integer]) -> LongArray:
    """int64, the numbers from each start on, as many as each count says, one range after the other."""
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.asarray(np.repeat(starts, counts) + within, dtype=np.int64)


def take(counts: sparse.csr_array, change: sparse.csr_array) -> None:
    """Subtract counts from larger ones, in place; a count that becomes 0 leaves no trace in the matrix.

    Only the rows that change are read, unless a count becomes 0: then the matrix is packed again.

    Args:
        counts: int [n, n], sparse, indices sorted.
        change: int [n, n], sparse, indices sorted, not negative.

    Raises:
        ArgumentError: There is less than what is to be taken; nothing was changed.
    """
    rows = np.flatnonzero(np.diff(change.indptr))
    lengths = np.diff(counts.indptr)[rows]
    places = ranges(counts.indptr[rows], lengths)
    n = np.int64(counts.shape[1])
    keys = np.repeat(np.arange(len(rows)), lengths) * n + counts.indices[places]
    wanted = np.repeat(np.arange(len(rows)), np.diff(change.indptr)[rows]) * n + change.indices
    at = np.searchsorted(keys, wanted)
    if len(wanted) and (not len(keys) or (at == len(keys)).any() or (keys[at] != wanted).any()):
        raise not_held()
    left = counts.data[places[at]] - change.data
    if (left < 0).any():
        raise not_held()
    counts.data[places[at]] = left
    if not left.all():
        counts.eliminate_zeros()


def subtract(counts: sparse.csr_array, change: sparse.csr_array) -> sparse.csr_array:
    """The difference of two sparse matrices of counts, where `change` may add some; without stored zeros.

    Raises:
        ArgumentError: A difference is negative.
    """
    left = (counts - change).tocsr()
    left.eliminate_zeros()
    left.sort_indices()
    if (left.data < 0).any():
        raise not_held()
    return left


def not_held() -> ArgumentError:
    """The error of a removal that does not fit the counts of a model: one that was served already, for instance."""
    return ArgumentError(
        "the model does not hold what is to be removed; removal.before must be the log that it was fitted on, "
        "less what was removed since"
    )


def first_k(values: NDArray[np.float64], k: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The k largest of each row, largest first; ties go to the smaller column.

    Args:
        values: float64 [n, m].
        k: How many, at most m.

    Returns:
        Columns int64 [n, k], and their values float64 [n, k].
    """
    m = values.shape[1]
    border = np.partition(values, m - k, axis=1)[:, m - k : m - k + 1]
    above, at = values > border, values == border
    # What stands at the border is chosen by column, as a stable sort of all would.
    room = k - above.sum(axis=1, keepdims=True)
    chosen = above | (at & (np.cumsum(at, axis=1) <= room))
    columns = np.nonzero(chosen)[1].reshape(len(values), k)
    found = np.take_along_axis(values, columns, axis=1)
    order = np.argsort(-found, axis=1, kind="stable")
    return np.take_along_axis(columns, order, axis=1), np.take_along_axis(found, order, axis=1)


def write_csr(name: str, matrix: sparse.csr_array) -> dict[str, NDArray[Any]]:
    """A sparse matrix as arrays, for a file."""
    parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr, "shape": np.array(matrix.shape)}
    return {f"{name}.{part}": values for part, values in parts.items()}


def read_csr(name: str, arrays: Mapping[str, NDArray[Any]]) -> sparse.csr_array:
    """The sparse matrix of what `write_csr` gave.

    Raises:
        KeyError, ValueError: The arrays make no matrix.
    """
    parts = tuple(arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
    matrix = sparse.csr_array(parts, shape=tuple(int(side) for side in arrays[f"{name}.shape"]))
    matrix.check_format(full_check=True)
    return matrix
