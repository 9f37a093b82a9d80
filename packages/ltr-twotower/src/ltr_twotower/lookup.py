"""Find the pairs of one log among the pairs of another, by their original ids."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.data import ClickLog
from ltr_twotower.cells import Cells

__all__ = ["pair_lookup"]


def pair_lookup(cells: Cells, log: ClickLog) -> NDArray[np.int64]:
    """int64 [n_pairs of log], the index of each pair of `log` among the pairs of `cells`; -1 where it is not there."""
    query = _codes(cells.query_ids, log.query_vocabulary)[log.pairs.query]
    doc = _codes(cells.doc_ids, log.doc_vocabulary)[log.pairs.doc]
    size = len(cells.doc_ids)
    known = cells.pair_query.astype(np.int64) * size + cells.pair_doc
    order = np.argsort(known, kind="stable")
    wanted = query * size + doc
    place = np.minimum(np.searchsorted(known[order], wanted), len(known) - 1)
    found = order[place]
    return np.where((query >= 0) & (doc >= 0) & (known[found] == wanted), found, -1)


def _codes(known: NDArray[Any], wanted: NDArray[Any]) -> NDArray[np.int64]:
    import pandas as pd

    if known is wanted or (len(known) == len(wanted) and np.array_equal(known, wanted)):
        return np.arange(len(wanted), dtype=np.int64)
    return np.asarray(pd.Index(known).get_indexer(pd.Index(wanted)), dtype=np.int64)
