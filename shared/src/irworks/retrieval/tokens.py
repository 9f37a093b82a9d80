"""Tokens of many texts in flat arrays."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tokens"]


@dataclass(frozen=True, eq=False)
class Tokens:
    """Tokens of texts, as numbers.

    Attributes:
        ids: int32 [n], text after text.
        offsets: int64 [n_texts + 1].
        vocabulary: The token of each number.
    """

    ids: NDArray[np.int32]
    offsets: NDArray[np.int64]
    vocabulary: list[str]

    @classmethod
    def of(cls, texts: Iterable[str], analyze: Callable[[str], list[str]]) -> Self:
        """Of texts, one after the other."""
        numbers: dict[str, int] = {}
        parts, sizes = [], []
        for text in texts:
            tokens = analyze(text)
            parts.append(np.fromiter((numbers.setdefault(t, len(numbers)) for t in tokens), np.int32, len(tokens)))
            sizes.append(len(tokens))
        ids = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
        return cls(ids, np.append(0, np.cumsum(sizes, dtype=np.int64)).astype(np.int64), list(numbers))

    @classmethod
    def of_words(cls, texts: Iterable[list[str]], tokens_of_word: Callable[[str], list[str]]) -> Self:
        """Of texts that are words already, each word being cut into tokens once, however often it stands there.

        Args:
            texts: The words of each text.
            tokens_of_word: The tokens of a word.
        """
        words: dict[str, int] = {}
        sizes, parts = [], []
        for text in texts:
            parts.append(np.fromiter((words.setdefault(word, len(words)) for word in text), np.int64, len(text)))
            sizes.append(len(text))
        known = cls.of(words, tokens_of_word)
        at = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
        lengths = np.diff(known.offsets)[at]
        begins = np.repeat(known.offsets[:-1][at] - np.append(0, np.cumsum(lengths))[:-1], lengths)
        ids = known.ids[begins + np.arange(lengths.sum())]
        ends = np.append(0, np.cumsum(lengths))[np.append(0, np.cumsum(sizes, dtype=np.int64)).astype(np.int64)]
        return cls(ids, ends.astype(np.int64), known.vocabulary)

    def __len__(self) -> int:
        """Number of texts."""
        return len(self.offsets) - 1

    def lists(self) -> list[list[str]]:
        """The tokens of each text."""
        return [
            [self.vocabulary[number] for number in self.ids[begin:end]]
            for begin, end in zip(self.offsets[:-1], self.offsets[1:], strict=True)
        ]

    def kept(self, texts: NDArray[np.bool_]) -> "Tokens":
        """Some of the texts [n_texts]; the vocabulary stays."""
        sizes = np.diff(self.offsets)
        rows = np.repeat(texts, sizes)
        return Tokens(self.ids[rows], np.append(0, np.cumsum(sizes[texts])), self.vocabulary)

    def joined(self, other: "Tokens") -> "Tokens":
        """With the texts of another behind these."""
        numbers = {token: number for number, token in enumerate(self.vocabulary)}
        renumbered = np.array([numbers.setdefault(token, len(numbers)) for token in other.vocabulary], dtype=np.int32)
        ids = np.concatenate([self.ids, renumbered[other.ids] if len(other.ids) else other.ids])
        offsets = np.concatenate([self.offsets, self.offsets[-1] + other.offsets[1:]])
        return Tokens(ids, offsets, list(chain(numbers)))
