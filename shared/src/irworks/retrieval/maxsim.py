"""Late interaction: a document is worth, for each token of the query, its best token (Khattab and Zaharia 2020)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError

__all__ = ["TokenVectors", "maxsim"]

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TokenVectors:
    """Vectors of the tokens of texts, without padding.

    Attributes:
        vectors: float32 or float16 [n_tokens, dim], text after text.
        offsets: int64 [n_texts + 1].
    """

    vectors: NDArray[np.floating]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or self.offsets.ndim != 1 or len(self.offsets) < 1:
            raise ArgumentError(
                f"vectors {self.vectors.shape}, offsets {self.offsets.shape}; expected [n, dim] and [m + 1]"
            )
        if self.offsets[0] != 0 or self.offsets[-1] != len(self.vectors) or (np.diff(self.offsets) < 0).any():
            raise ArgumentError(f"offsets must rise from 0 to {len(self.vectors)}, the number of vectors")

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.offsets) - 1

    def of(self, text: int) -> NDArray[np.floating]:
        """The vectors of one text: [n, dim]."""
        return self.vectors[self.offsets[text] : self.offsets[text + 1]]


def maxsim(query: NDArray[np.floating], docs: TokenVectors, *, block: int = 1 << 18) -> Floats:
    """Sum over the query's tokens of their largest inner product with a token of the document.

    Args:
        query: [q, dim]; without tokens all documents score 0.
        docs: Of documents; one without tokens scores minus infinity.
        block: So many tokens of documents at once, more only where one document has more: memory is that times q + dim
            numbers, whatever the number of documents.

    Returns:
        float32 [n_docs].

    Raises:
        ArgumentError: The dimensions differ.
    """
    if query.ndim != 2 or query.shape[1] != docs.vectors.shape[1]:
        raise ArgumentError(f"query is {query.shape}; expected [q, {docs.vectors.shape[1]}], as the documents'")
    scores = np.zeros(len(docs), dtype=np.float32)
    asked = query.astype(np.float32).T
    begin = 0
    while begin < len(docs):
        end = int(np.searchsorted(docs.offsets, docs.offsets[begin] + block, side="right")) - 1
        end = min(max(end, begin + 1), len(docs))
        bounds = docs.offsets[begin : end + 1]
        filled = np.flatnonzero(np.diff(bounds) > 0)
        part = np.full(end - begin, -np.inf, dtype=np.float32)
        if len(filled) and asked.shape[1]:
            similar = docs.vectors[bounds[0] : bounds[-1]].astype(np.float32) @ asked
            part[filled] = np.maximum.reduceat(similar, bounds[:-1][filled] - bounds[0], axis=0).sum(axis=1)
        elif not asked.shape[1]:
            part[filled] = 0
        scores[begin:end] = part
        begin = end
    return scores
