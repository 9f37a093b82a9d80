"""Going through millions of short lists."""

from collections.abc import Iterator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["BLOCK", "rank_by_rank", "stands_twice"]

Number = TypeVar("Number", bound=np.generic)

IntArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]

_PAIRWISE_RANKS = 12
# So many sessions stay in the cache of a processor.
BLOCK = 16_384


def rank_by_rank(table: NDArray[Number], block: int = BLOCK) -> Iterator[tuple[slice, NDArray[Number]]]:
    """A table [n, k] in blocks of sessions, each as [k, n_block].

    Long columns are gone through several times faster than short rows, and a block stays in the cache.
    """
    for begin in range(0, len(table), block):
        part = slice(begin, begin + block)
        yield part, np.ascontiguousarray(table[part].T)


def stands_twice(docs: IntArray) -> BoolArray:
    """Whether a list [n, k] has a document twice: bool [n]."""
    k = docs.shape[1]
    if docs.min() < 0:
        # Masked places get distinct negative fillers, so that they never look like a repeated document.
        docs = np.where(docs >= 0, docs, -1 - np.arange(k, dtype=np.int32))
    if k <= _PAIRWISE_RANKS:
        # Comparing each pair of columns is several times faster than sorting short rows.
        twice = np.zeros(len(docs), dtype=bool)
        for part, columns in rank_by_rank(docs):
            for one in range(1, k):
                twice[part] |= (columns[:one] == columns[one]).any(axis=0)
        return twice
    ordered = np.sort(docs, axis=1)
    return np.asarray((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
