"""Randomised swaps of two ranks: the cheapest intervention that tells position bias from relevance."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from irworks.simulate.policies import LoggingPolicy, checked_probability

__all__ = ["SwapPolicy"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class SwapPolicy:
    """Shows another policy's list, with probability `probability` after swapping the documents of two ranks.

    The swapped pair is drawn uniformly from `pairs`; a pair that reaches beyond a shorter list leaves that list alone.

    Args:
        base: The policy whose lists are swapped.
        pairs: Pairs of ranks, 1 being the top; "adjacent": (1, 2), (2, 3), ...; "pivot": (1, 2), (1, 3), ...
        probability: Probability of a swap in a session, in [0, 1].

    Raises:
        ArgumentError: No pair (k = 1), a rank outside 1 to k or paired with itself, or a probability outside [0, 1].
    """

    def __init__(
        self,
        base: LoggingPolicy,
        pairs: Sequence[tuple[int, int]] | Literal["adjacent", "pivot"] = "adjacent",
        probability: float = 0.5,
    ) -> None:
        self.base = base
        self.pairs = _swapped_columns(pairs, base.k) + 1
        self.probability = checked_probability("probability", probability)

    @property
    def offsets(self) -> LongArray:
        """int64 [n_queries + 1]."""
        return self.base.offsets

    @property
    def k(self) -> int:
        """Length of the lists."""
        return self.base.k

    def sample(self, query: ArrayLike, rng: np.random.Generator) -> IntArray:
        """One ranking for each query code [n]: int32 [n, k]."""
        docs = self.base.sample(query, rng)
        chosen = rng.integers(len(self.pairs), size=len(docs))
        swapped = np.flatnonzero(rng.random(len(docs)) < self.probability)
        _swap_columns(docs, swapped, self.pairs[chosen[swapped]] - 1)
        return docs

    def placement(self) -> FloatArray:
        """The base policy's placement with the ranks mixed as the swaps mix them: float64 [n_docs, k]."""
        before = self.base.placement()
        length = np.rint(np.add.reduceat(before.sum(axis=1), self.offsets[:-1])).astype(np.int64)
        length_of_doc = np.repeat(length, np.diff(self.offsets))
        out = np.empty_like(before)
        for shown in np.unique(length):
            docs = length_of_doc == shown
            out[docs] = before[docs] @ self._rank_mixing(int(shown))
        # Rounding can carry a certainty an ulp above one.
        return np.minimum(out, 1.0)

    def _rank_mixing(self, length: int) -> FloatArray:
        """Probability [k, k] that a document moves from one rank to another in lists of a given length."""
        mixing = (1.0 - self.probability) * np.eye(self.k)
        for pair in self.pairs - 1:
            order = np.arange(self.k)
            if pair.max() < length:
                order[pair] = pair[::-1]
            mixing += self.probability / len(self.pairs) * np.eye(self.k)[order]
        return mixing

    def log_prob(self, query: ArrayLike, docs: ArrayLike) -> FloatArray:
        """Log-probability of each complete list [n, k] for its query [n]: summed over the swaps that may have made it.

        Raises:
            ArgumentError: `docs` does not have k columns, or the base policy rejects it.
        """
        lists = np.asarray(docs)
        if lists.ndim != 2 or lists.shape[1] != self.k:
            raise ArgumentError(f"docs has shape {lists.shape}; expected [n, {self.k}], complete lists")
        with np.errstate(divide="ignore"):
            stay, swap = np.log1p(-self.probability), np.log(self.probability / len(self.pairs))
        total: FloatArray = stay + self.base.log_prob(query, lists)
        for pair in self.pairs - 1:
            source = lists.copy()
            _swap_columns(source, np.arange(len(source)), np.broadcast_to(pair, (len(source), 2)))
            total = np.logaddexp(total, swap + self.base.log_prob(query, source))
        return total


def _swap_columns(docs: NDArray[Any], rows: LongArray, columns: LongArray) -> None:
    """Swap, in place, two columns [n_rows, 2] of each of some rows, where both hold a document."""
    one, two = docs[rows, columns[:, 0]], docs[rows, columns[:, 1]]
    both = (one >= 0) & (two >= 0)
    docs[rows[both], columns[both, 0]] = two[both]
    docs[rows[both], columns[both, 1]] = one[both]


def _swapped_columns(pairs: Sequence[tuple[int, int]] | str, k: int) -> LongArray:
    """The pairs of ranks as columns from 0: int64 [n_pairs, 2]."""
    if isinstance(pairs, str):
        if pairs not in {"adjacent", "pivot"}:
            raise ArgumentError(f'pairs={pairs!r}; expected "adjacent", "pivot" or pairs of ranks')
        if k < 2:
            raise ArgumentError(f"k={k} leaves no two ranks to swap; expected lists of at least two")
        lower = np.arange(k - 1)
        return np.stack([lower if pairs == "adjacent" else np.zeros_like(lower), lower + 1], axis=1)
    ranks = np.asarray(pairs)
    if ranks.ndim != 2 or ranks.shape[1] != 2 or not np.issubdtype(ranks.dtype, np.integer):
        raise ArgumentError(f"pairs={pairs!r}; expected at least one pair of ranks")
    bad = ((ranks < 1) | (ranks > k)).any(axis=1) | (ranks[:, 0] == ranks[:, 1])
    if bad.any():
        raise ArgumentError(f"pairs holds {ranks[bad][0].tolist()}; expected two different ranks from 1 to {k}")
    return ranks.astype(np.int64) - 1
