"""The distinct (query, document) pairs of a log."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pairs", "find_pairs"]

IntArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Pairs:
    """The distinct (query, document) pairs of a log: the unit that has one relevance.

    Attributes:
        query: int32 [n_pairs], query code of each pair.
        doc: int32 [n_pairs], document code of each pair.
        index: int32 [n, k], the pair shown at each place of the log; -1 where nothing was shown.
    """

    query: IntArray
    doc: IntArray
    index: IntArray

    def __len__(self) -> int:
        return len(self.query)


def find_pairs(query: IntArray, docs: IntArray, mask: BoolArray, n_docs: int) -> Pairs:
    """Number the pairs of a log by query, and in a query by document.

    Args:
        query: int32 [n], query code of each session.
        docs: int32 [n, k], document codes.
        mask: bool [n, k], where a document was shown.
        n_docs: How many documents there are.
    """
    shown_query = np.broadcast_to(query[:, None], docs.shape)[mask]
    shown_doc = docs[mask]
    index = np.full(docs.shape, -1, dtype=np.int32)
    owner = np.full(n_docs, -1, dtype=np.int32)
    owner[shown_doc] = shown_query
    if np.array_equal(owner[shown_doc], shown_query):
        # Every document belongs to one query, as in LETOR data: the pair is the document, no hashing needed.
        present = np.flatnonzero(owner >= 0).astype(np.int32)
        present = present[np.argsort(owner[present], kind="stable")]
        code = np.full(n_docs, -1, dtype=np.int32)
        code[present] = np.arange(len(present), dtype=np.int32)
        index[mask] = code[shown_doc]
        return Pairs(query=owner[present], doc=present, index=index)
    keys, codes = _unique(shown_query.astype(np.int64) * n_docs + shown_doc)
    index[mask] = codes
    return Pairs(query=(keys // n_docs).astype(np.int32), doc=(keys % n_docs).astype(np.int32), index=index)


def _unique(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Sorted distinct keys and the code of each key; hashing first is several times faster than sorting millions."""
    import pandas as pd

    codes, distinct = pd.factorize(keys)
    order = np.argsort(distinct)
    place = np.empty(len(order), dtype=np.int32)
    place[order] = np.arange(len(order), dtype=np.int32)
    return np.asarray(distinct)[order], place[codes]
