"""What a generator takes from its user, checked."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.embedding.lazy_gumbel import GATHER
from irworks.errors import ArgumentError
from irworks.simulate.plackett_luce import require_at_least_one

__all__ = ["distinct_ids", "float_table", "longest_row", "within"]


def float_table(name: str, values: ArrayLike) -> NDArray[np.floating]:
    """The values as a table [n, dim] of numbers; a copy only where they are no array of numbers yet.

    Raises:
        ArgumentError: They are no table, or hold something other than numbers.
    """
    # asanyarray would keep a memory map a memory map, whose slices are slow; asarray shares its pages all the same.
    table = np.asarray(values)
    if table.ndim != 2 or table.shape[1] == 0:
        raise ArgumentError(f"{name} has shape {table.shape}; expected [n, dim]")
    if table.dtype.kind not in "fiu":
        raise ArgumentError(f"{name} has dtype {table.dtype}; expected floats")
    return table


def longest_row(table: NDArray[np.floating], name: str = "doc_embeddings") -> float:
    """The largest Euclidean norm of the rows.

    Raises:
        ArgumentError: A number is not finite, or too large for float32 inner products.
    """
    largest = 0.0
    rows = max(1, GATHER // table.shape[1])
    for start in range(0, len(table), rows):
        block = table[start : start + rows].astype(np.float64)
        # Values near the end of the range of doubles are refused below.
        with np.errstate(over="ignore"):
            squares = np.einsum("ij,ij->i", block, block)
        bad = ~(squares < 1e36)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            column = int(np.argmax(np.where(np.isfinite(block[row]), np.abs(block[row]), np.inf)))
            raise ArgumentError(
                f"{name}[{start + row}, {column}] is {block[row, column]}; expected finite numbers "
                "and rows of a norm below 1e18"
            )
        largest = max(largest, float(squares.max()))
    return float(np.sqrt(largest))


def within(name: str, value: int, n_docs: int) -> int:
    """A number of documents: from one to all of them.

    Raises:
        ArgumentError: It is another.
    """
    require_at_least_one(name, value)
    if value > n_docs:
        raise ArgumentError(f"{name}={value}; expected at most the number of documents, {n_docs}")
    return int(value)


def distinct_ids(name: str, ids: ArrayLike, n: int) -> NDArray[Any]:
    """The ids as an array [n].

    Raises:
        ArgumentError: Their number is another, or one stands twice.
    """
    import pandas as pd

    table = np.asarray(ids)
    if table.shape != (n,):
        raise ArgumentError(f"{name} has shape {table.shape}; expected [{n}]")
    if (twice := pd.Index(table).duplicated()).any():
        raise ArgumentError(f"{name} has {table[twice].tolist()[0]!r} twice; expected distinct ids")
    return table
