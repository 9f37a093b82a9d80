"""Vectors that an index keeps: what may come in, and whose they are."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.encoders.vectors import TokenVectors
from irworks.errors import ArgumentError

__all__ = ["checked_vectors", "refuse_other_encoder", "sample"]

# Something that most models read, whatever their language.
_TEXT = "retrieval поиск ፍለጋ 検索 بحث 42"
# Between vectors of length 1. Devices and half precision differ by less, models by more.
_FAR = 0.1


def checked_vectors(vectors: NDArray[np.floating], n: int | None, dim: int, name: str) -> NDArray[np.float32]:
    """What an encoder made: float32 [n, dim], finite.

    Args:
        vectors: [n, dim].
        n: How many are expected; None: any number.
        dim: Of each.
        name: Of the encoder.

    Raises:
        ArgumentError: It is something else.
    """
    if vectors.ndim != 2 or vectors.shape[1] != dim or (n is not None and len(vectors) != n):
        raise ArgumentError(f"{name} made vectors {vectors.shape}; expected [{'n' if n is None else n}, {dim}]")
    if not np.isfinite(vectors).all():
        raise ArgumentError(f"{name} made vectors that are not finite; expected numbers: another precision, perhaps")
    return vectors.astype(np.float32, copy=False)


def sample(encode: Callable[..., Any]) -> NDArray[np.float32]:
    """What an encoder makes of one text, by which it is known again: float32 [n, dim]."""
    found = encode([_TEXT], "doc")
    return np.asarray(found.vectors if isinstance(found, TokenVectors) else found, dtype=np.float32)


def refuse_other_encoder(kept: NDArray[np.float32], encode: Callable[..., Any], name: str) -> None:
    """Check that an encoder is the one that an index was built with.

    Args:
        kept: `sample` of that one.
        encode: Of the one at hand.
        name: Of that one.

    Raises:
        ValueError: It is another.
    """
    found = sample(encode)
    if found.shape != kept.shape or (np.linalg.norm(found - kept, axis=1) > _FAR).any():
        raise ValueError(f"another encoder made its vectors: {name}, as it was then")
