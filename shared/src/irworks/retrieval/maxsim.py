"""Late interaction: a document is worth, for each token of the query, its best token (Khattab and Zaharia 2020)."""

import numpy as np
from numpy.typing import NDArray

from irworks.encoders.vectors import TokenVectors
from irworks.errors import ArgumentError

__all__ = ["TokenVectors", "maxsim", "maxsim_many"]

Floats = NDArray[np.float32]

# Numbers in memory at once, by default: 4 MB, which a processor's cache holds.
_AT_ONCE = 1 << 20


def maxsim(query: NDArray[np.floating], docs: TokenVectors, *, block: int | None = None) -> Floats:
    """Sum over the query's tokens of their largest inner product with a token of the document.

    Args:
        query: [q, dim]; without tokens all documents score 0.
        docs: Of documents; one without tokens scores minus infinity.
        block: See `maxsim_many`.

    Returns:
        float32 [n_docs].

    Raises:
        ArgumentError: The dimensions differ.
    """
    if query.ndim != 2:
        raise ArgumentError(f"query is {query.shape}; expected [q, {docs.vectors.shape[1]}], as the documents'")
    found: Floats = maxsim_many(TokenVectors(query, np.array([0, len(query)])), docs, block=block)[0]
    return found


def maxsim_many(queries: TokenVectors, docs: TokenVectors, *, block: int | None = None) -> Floats:
    """Of several queries, as `maxsim` of each.

    Args:
        queries: Their tokens.
        docs: Of documents; one without tokens scores minus infinity.
        block: So many tokens of documents at once, more only where one document has more: memory is that times (query
            tokens + dim) numbers, whatever the number of documents. By default so many that this is about 4 MB.

    Returns:
        float32 [n_queries, n_docs].

    Raises:
        ArgumentError: The dimensions differ.
    """
    dim = docs.vectors.shape[1]
    if queries.vectors.shape[1] != dim:
        raise ArgumentError(f"query is {queries.vectors.shape}; expected [q, {dim}], as the documents'")
    asked = queries.vectors.astype(np.float32, copy=False)
    step = block or max(_AT_ONCE // (len(asked) + dim), 1)
    spoken = np.flatnonzero(np.diff(queries.offsets) > 0)
    scores = np.zeros((len(queries), len(docs)), dtype=np.float32)
    scores[:, np.diff(docs.offsets) == 0] = -np.inf
    if not len(spoken):
        return scores
    begin = 0
    while begin < len(docs):
        end = int(np.searchsorted(docs.offsets, docs.offsets[begin] + step, side="right")) - 1
        end = min(max(end, begin + 1), len(docs))
        bounds = docs.offsets[begin : end + 1]
        filled = np.flatnonzero(np.diff(bounds) > 0)
        if len(filled):
            # Tokens of documents along the rows of memory: the maximum runs over neighbours.
            similar = asked @ docs.vectors[bounds[0] : bounds[-1]].astype(np.float32, copy=False).T
            largest = np.maximum.reduceat(similar, bounds[:-1][filled] - bounds[0], axis=1)
            scores[np.ix_(spoken, begin + filled)] = np.add.reduceat(largest, queries.offsets[:-1][spoken], axis=0)
        begin = end
    return scores
