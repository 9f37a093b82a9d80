"""Vectors of tokens in flat arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError

__all__ = ["TokenVectors", "ranges"]


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

    def take(self, texts: NDArray[np.int64]) -> "TokenVectors":
        """Those of some texts, by place."""
        sizes = np.diff(self.offsets)[texts]
        offsets = np.append(0, np.cumsum(sizes)).astype(np.int64)
        return TokenVectors(self.vectors[ranges(self.offsets[:-1][texts], sizes)], offsets)

    def joined(self, other: "TokenVectors") -> "TokenVectors":
        """With the texts of another behind these."""
        vectors = np.concatenate([self.vectors, other.vectors.astype(self.vectors.dtype)])
        return TokenVectors(vectors, np.append(self.offsets, self.offsets[-1] + other.offsets[1:]))


def ranges(begins: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers begin, begin + 1, ... of each range, range after range: int64 [sum of lengths]."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(begins - (ends - lengths), lengths) + np.arange(total, dtype=np.int64)
