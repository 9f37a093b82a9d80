"""What packages hand to one another: encoders and scorers."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from irworks.encoders.vectors import TokenVectors

__all__ = ["Encoder", "Kind", "Scorer", "TokenEncoder"]

# What a text is: models may read queries and documents in different ways.
Kind = Literal["query", "doc"]


@runtime_checkable
class Encoder(Protocol):
    """One vector a text.

    Attributes:
        name: For tables and files.
        dim: Of the vectors.
    """

    name: str

    @property
    def dim(self) -> int: ...  # noqa: D102

    def encode(self, texts: Sequence[str], kind: Kind = "doc") -> NDArray[np.float32]:
        """Vectors of length 1 whose inner product is the score: float32 [n, dim]; 0 for a text without a token."""
        ...


@runtime_checkable
class TokenEncoder(Protocol):
    """One vector a token.

    Attributes:
        name: For tables and files.
        token_dim: Of the vectors.
    """

    name: str

    @property
    def token_dim(self) -> int: ...  # noqa: D102

    def encode_tokens(self, texts: Sequence[str], kind: Kind = "doc") -> TokenVectors:
        """Vectors of the tokens of each text, as many as there are.

        Those of documents have length 1; those of a query may have another, by which its tokens count.
        """
        ...


@runtime_checkable
class Scorer(Protocol):
    """Judges documents for one query, having read both."""

    def score(self, query: str, docs: Mapping[str, str]) -> NDArray[np.float32]:
        """Of documents {id: text}, in their order: float32 [n], the higher the better."""
        ...
