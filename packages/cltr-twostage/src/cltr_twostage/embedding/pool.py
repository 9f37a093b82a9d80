"""Which (query, document) pairs a pool from a generator holds, and what a search has missed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.embedding.lazy_gumbel import SCANNED, Catalogue, Heads, distinct
from irworks.data import ClickLog
from irworks.errors import ArgumentError, DataError

__all__ = ["included_pairs", "missed_documents", "pool_pairs"]

LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


def pool_pairs(
    found: NDArray[np.int32], extra: tuple[LongArray, LongArray], n_docs: int
) -> tuple[LongArray, LongArray]:
    """The distinct pairs of a search result [n, depth] (-1: none) and extra ones, by query and document row.

    Raises:
        ArgumentError: A query without a document.
    """
    there = found >= 0
    query = np.concatenate((np.nonzero(there)[0], extra[0]))
    docs = np.concatenate((found[there].astype(np.int64), extra[1]))
    codes = distinct(query * n_docs + docs)
    empty = np.bincount(codes // n_docs, minlength=len(found)) == 0
    if empty.any():
        raise ArgumentError(
            f"the index finds no document for query {int(np.flatnonzero(empty)[0])}; "
            "expected at least one: search wider (search_options='nprobe=...')"
        )
    return codes // n_docs, codes % n_docs


def included_pairs(
    include: Any, query_ids: NDArray[Any], doc_ids: NDArray[Any] | None, n_docs: int
) -> tuple[LongArray, LongArray]:
    """The pairs (query indices, document rows) that a pool must hold: int64 [m] each.

    Raises:
        ArgumentError: Arrays of different lengths, or not of indices.
        DataError: The log has a query or document without an index.
    """
    if include is None:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    if isinstance(include, ClickLog):
        return _logged_pairs(include, query_ids, doc_ids, n_docs)
    if not isinstance(include, tuple) or len(include) != 2:
        raise ArgumentError(f"include is a {type(include).__name__}; expected a ClickLog, or (query indices, doc rows)")
    query, docs = np.asarray(include[0]), np.asarray(include[1])
    if query.ndim != 1 or query.shape != docs.shape:
        raise ArgumentError(f"include has shapes {query.shape} and {docs.shape}; expected two arrays [m]")
    return indices("include[0]", query, len(query_ids)), indices("include[1]", docs, n_docs)


def _logged_pairs(
    log: ClickLog, query_ids: NDArray[Any], doc_ids: NDArray[Any] | None, n_docs: int
) -> tuple[LongArray, LongArray]:
    import pandas as pd

    pairs = log.pairs
    queries = pd.Index(query_ids).get_indexer(pd.Index(log.query_vocabulary))[pairs.query]
    rows = pd.RangeIndex(n_docs) if doc_ids is None else pd.Index(doc_ids)
    docs = rows.get_indexer(pd.Index(log.doc_vocabulary))[pairs.doc]
    unknown = (queries < 0) | (docs < 0)
    if unknown.any():
        pair = int(np.flatnonzero(unknown)[0])
        what = "query" if queries[pair] < 0 else "document"
        raise DataError(
            f"the log has a {what} that the generator does not know",
            source=log.source,
            found=f"(query, document) {log.pair_name(pair)}, and {int(unknown.sum()) - 1} more pairs",
            expected="ids of query_ids and of the generator's doc_ids, of the same type",
        )
    return queries.astype(np.int64), docs.astype(np.int64)


def indices(name: str, values: NDArray[Any], size: int) -> LongArray:
    """The values as int64.

    Raises:
        ArgumentError: Not integers from 0 to size - 1.
    """
    if not np.issubdtype(values.dtype, np.integer):
        raise ArgumentError(f"{name} has dtype {values.dtype}; expected integers")
    outside = (values < 0) | (values >= size)
    if outside.any():
        raise ArgumentError(f"{name} holds {values[outside][0]}; expected numbers from 0 to {size - 1}")
    return values.astype(np.int64)


def missed_documents(catalogue: Catalogue, vectors: FloatArray, heads: Heads) -> tuple[LongArray, FloatArray]:
    """Number of documents above the bound of a head that are not in it [n], and their share of the mass [n]."""
    n, n_docs = len(vectors), len(catalogue)
    missed = np.zeros(n, dtype=np.int64)
    mass, missed_mass = np.full(n, -np.inf), np.full(n, -np.inf)
    for start in range(0, n_docs, SCANNED):
        scores = catalogue.block(vectors, start, min(start + SCANNED, n_docs))
        mass = np.logaddexp(mass, np.logaddexp.reduce(scores, axis=1))
        query, place = np.nonzero((heads.docs >= start) & (heads.docs < start + scores.shape[1]))
        scores[query, heads.docs[query, place] - start] = -np.inf
        scores[scores <= heads.bound[:, None]] = -np.inf
        missed += np.isfinite(scores).sum(axis=1)
        missed_mass = np.logaddexp(missed_mass, np.logaddexp.reduce(scores, axis=1))
    return missed, np.exp(missed_mass - mass)
