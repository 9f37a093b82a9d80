"""From texts to what a small model looks up: tokens, each a bag of rows of one table."""

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from irworks.data.words import words
from irworks.encoders.vectors import ranges
from irworks.errors import ArgumentError

__all__ = ["Bags", "Cut", "HashedNgrams", "bags_of_words"]

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Bags:
    """Texts as tokens, tokens as rows of a table; a token's vector is the mean of its rows.

    Attributes:
        rows: int32 [n_rows], token after token.
        token_offsets: int64 [n_tokens + 1], text after text.
        text_offsets: int64 [n_texts + 1].
    """

    rows: NDArray[np.int32]
    token_offsets: Ints
    text_offsets: Ints

    @classmethod
    def of(cls, texts: Sequence[Sequence[int]]) -> "Bags":
        """Of texts whose tokens are one row each."""
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        rows = np.fromiter(chain.from_iterable(texts), np.int32, int(sizes.sum()))
        return cls(rows, np.arange(len(rows) + 1, dtype=np.int64), np.append(0, np.cumsum(sizes)).astype(np.int64))

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.text_offsets) - 1

    def take(self, texts: Ints, length: int | None = None) -> "Bags":
        """Some texts by place, at most `length` tokens of each."""
        sizes = np.diff(self.text_offsets)[texts]
        if length is not None:
            sizes = np.minimum(sizes, length)
        tokens = ranges(self.text_offsets[:-1][texts], sizes)
        lengths = np.diff(self.token_offsets)[tokens]
        return Bags(
            self.rows[ranges(self.token_offsets[:-1][tokens], lengths)],
            np.append(0, np.cumsum(lengths)).astype(np.int64),
            np.append(0, np.cumsum(sizes)).astype(np.int64),
        )

    def joined(self, other: "Bags") -> "Bags":
        """With the texts of another behind these."""
        return Bags(
            np.concatenate([self.rows, other.rows]),
            np.append(self.token_offsets, self.token_offsets[-1] + other.token_offsets[1:]),
            np.append(self.text_offsets, self.text_offsets[-1] + other.text_offsets[1:]),
        )


class Cut(Protocol):
    """How a small model reads text.

    Attributes:
        size: Rows of the table.
    """

    @property
    def size(self) -> int: ...  # noqa: D102

    def bags(self, texts: Sequence[str]) -> Bags:
        """The tokens of texts."""
        ...

    def to_json(self) -> str:
        """The settings, for the model that is trained with them."""
        ...


def bags_of_words(texts: Sequence[Sequence[str]], rows_of_word: Callable[[str], Sequence[int]]) -> Bags:
    """Texts whose tokens are words, each a bag of rows; a word is cut once, however often it stands there."""
    numbers: dict[str, int] = {}
    placed = [[numbers.setdefault(word, len(numbers)) for word in text] for text in texts]
    found = [rows_of_word(word) for word in numbers]
    known = Bags.of(found)
    flat = Bags.of(placed)
    lengths = np.diff(known.text_offsets)[flat.rows]
    rows = known.rows[ranges(known.text_offsets[:-1][flat.rows], lengths)]
    return Bags(rows, np.append(0, np.cumsum(lengths)).astype(np.int64), flat.text_offsets)


class HashedNgrams:
    """Words as bags of hashed n-grams (Bojanowski et al. 2017): no vocabulary, and no unknown word.

    Args:
        n: Letters of the n-grams, from ... to; a word's boundaries count as letters.
        buckets: Rows of the table.
        cut: From a text to words.
    """

    def __init__(
        self,
        n: tuple[int, int] = (3, 4),
        buckets: int = 1 << 15,
        cut: Callable[[str], list[str]] = words,
    ) -> None:
        if not 1 <= n[0] <= n[1] or buckets < 1:
            raise ArgumentError(f"n={n}, buckets={buckets}; expected 1 <= from <= to, and at least one bucket")
        self.n, self.buckets, self.cut = n, buckets, cut

    @property
    def size(self) -> int:
        """Rows of the table."""
        return self.buckets

    def bags(self, texts: Sequence[str]) -> Bags:
        """The words of texts, as bags of n-grams."""
        return self.bags_of([self.cut(text) for text in texts])

    def bags_of(self, texts: Sequence[Sequence[str]]) -> Bags:
        """Of texts that are words already."""
        return bags_of_words(texts, self.rows_of_word)

    def rows_of_word(self, word: str) -> list[int]:
        """Rows of a word's n-grams and of the word itself."""
        framed = f"_{word}_"
        grams = {framed}
        for n in range(self.n[0], self.n[1] + 1):
            grams.update(framed[begin : begin + n] for begin in range(len(framed) - n + 1))
        return [zlib.crc32(gram.encode("utf-8", "surrogatepass")) % self.buckets for gram in sorted(grams)]

    def to_json(self) -> str:
        """The settings; how text is cut into words is not among them."""
        return json.dumps({"kind": "ngrams", "n": list(self.n), "buckets": self.buckets})
