"""Logging policies: which document they put at which rank, drawn for millions of sessions at once.

Documents of query q are the rows offsets[q]:offsets[q + 1] of one flat table, as in `RankingDataset`, and lists hold
row numbers. A document of score -inf is never shown; a query with fewer documents than `k` fills its list up with -1.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from irworks.simulate.candidates import Candidates
from irworks.simulate.placement import placement_probabilities
from irworks.simulate.plackett_luce import first_k, gumbel, log_prob, require_at_least_one

__all__ = [
    "EpsilonGreedy",
    "LoggingPolicy",
    "PlacementEstimate",
    "PlackettLucePolicy",
    "RankingSampler",
    "estimate_placement",
    "mix_scores",
]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


class RankingSampler(Protocol):
    """Anything that shows rankings: enough to simulate a log and to estimate placement by counting."""

    @property
    def offsets(self) -> LongArray:
        """int64 [n_queries + 1], query q owns the document rows offsets[q]:offsets[q + 1]."""
        ...

    @property
    def k(self) -> int:
        """Length of the lists."""
        ...

    def sample(self, query: ArrayLike, rng: np.random.Generator) -> IntArray:
        """One ranking for each query code [n]: document rows int32 [n, k], -1 after the last document."""
        ...


class LoggingPolicy(RankingSampler, Protocol):
    """A ranking sampler whose probabilities are known."""

    def placement(self) -> FloatArray:
        """Probability of each document at each rank: float64 [n_docs, k]."""
        ...

    def log_prob(self, query: ArrayLike, docs: ArrayLike) -> FloatArray:
        """Log-probability of each list [n, k] for its query [n]: float64 [n]; of a shorter list, as a beginning."""
        ...


class EpsilonGreedy:
    """Shows the documents by score, or with probability `temperature` the whole list in uniformly random order.

    Args:
        scores: float [n_docs], higher is better; equal scores stay in row order. -inf: never shown.
        offsets: int [n_queries + 1], query q owns the rows offsets[q]:offsets[q + 1].
        temperature: Probability of a random order, in [0, 1]: 0 always sorts, 1 always shuffles.
        k: Length of the lists.

    Raises:
        ArgumentError: A bad score, offsets that do not match the scores, a temperature outside [0, 1], or k < 1.
    """

    def __init__(self, scores: ArrayLike, offsets: ArrayLike, temperature: float, k: int) -> None:
        self.candidates = Candidates(scores, offsets)
        self.temperature = checked_probability("temperature", temperature)
        require_at_least_one("k", k)
        self.k = int(k)
        self._greedy = _greedy_lists(self.candidates, self.k)

    @property
    def offsets(self) -> LongArray:
        """int64 [n_queries + 1]."""
        return self.candidates.offsets

    def sample(self, query: ArrayLike, rng: np.random.Generator) -> IntArray:
        """One ranking for each query code [n]: int32 [n, k]."""
        codes = self.candidates.checked_queries(query)
        docs = self._greedy[codes]
        random = np.flatnonzero(rng.random(len(codes)) < self.temperature)
        for sessions, first, size in self.candidates.blocks(codes[random]):
            docs[random[sessions]] = self.candidates.docs_at(first, _shuffled_places(len(first), size, self.k, rng))
        return docs

    def placement(self) -> FloatArray:
        """(1 - T) [the document's place in the sorted list is r] + T / n, exactly: float64 [n_docs, k]."""
        sizes = np.repeat(self.candidates.sizes, self.candidates.sizes)
        out = np.zeros((self.candidates.n_docs, self.k))
        out[self.candidates.rows] = self.temperature / sizes[:, None] * (np.arange(self.k) < sizes[:, None])
        _, rank = np.nonzero(self._greedy >= 0)
        out[self._greedy[self._greedy >= 0], rank] += 1.0 - self.temperature
        # Rounding can carry a certainty an ulp above one.
        return np.minimum(out, 1.0)

    def log_prob(self, query: ArrayLike, docs: ArrayLike) -> FloatArray:
        """Log-probability of each list [n, k] for its query [n]; -inf where it cannot be shown.

        Raises:
            ArgumentError: A document of another query or twice in a list, or -1 before a document.
        """
        codes = self.candidates.checked_queries(query)
        places, possible = self.candidates.places_of(codes, docs)
        lists = np.asarray(docs)[:, : self.k]
        shown = np.count_nonzero(places >= 0, axis=1)
        sizes = self.candidates.sizes[codes]
        log_factorial = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, sizes.max(initial=1) + 1)))))
        uniform = np.exp(log_factorial[sizes - np.minimum(shown, sizes)] - log_factorial[sizes])
        greedy = ((lists == self._greedy[codes, : lists.shape[1]]) | (lists < 0)).all(axis=1)
        with np.errstate(divide="ignore"):
            log_probability = np.log(self.temperature * uniform + (1.0 - self.temperature) * greedy)
        return np.where(possible & (shown <= self.k), log_probability, -np.inf)


class PlackettLucePolicy:
    """Draws documents one by one, each in proportion to exp(score / temperature) among those left.

    Args:
        scores: float [n_docs], log-weights; -inf: never shown.
        offsets: int [n_queries + 1], query q owns the rows offsets[q]:offsets[q + 1].
        k: Length of the lists.
        temperature: Above 0; near 0 the ranking is by score, towards infinity it is uniform.

    Raises:
        ArgumentError: A bad score, offsets that do not match the scores, a temperature of 0 or below, or k < 1.
    """

    def __init__(self, scores: ArrayLike, offsets: ArrayLike, k: int, temperature: float = 1.0) -> None:
        if not (np.isfinite(temperature) and temperature > 0):
            raise ArgumentError(
                f"temperature={temperature!r}; expected a finite number above 0 (EpsilonGreedy at 0 sorts)"
            )
        self.temperature = float(temperature)
        with np.errstate(over="ignore"):
            tempered = np.asarray(scores, dtype=np.float64) / self.temperature
        self.candidates = Candidates(tempered, offsets)
        require_at_least_one("k", k)
        self.k = int(k)

    @property
    def offsets(self) -> LongArray:
        """int64 [n_queries + 1]."""
        return self.candidates.offsets

    def sample(self, query: ArrayLike, rng: np.random.Generator) -> IntArray:
        """One ranking for each query code [n]: int32 [n, k]."""
        codes = self.candidates.checked_queries(query)
        docs = np.empty((len(codes), self.k), dtype=np.int32)
        for sessions, first, size in self.candidates.blocks(codes):
            keys = gumbel((len(first), size), rng)
            keys += self.candidates.scores_of(first, size)
            docs[sessions] = self.candidates.docs_at(first, first_k(keys, self.k))
        return docs

    def placement(self) -> FloatArray:
        """Probability of each document at each rank, exact to about 1e-12: float64 [n_docs, k]."""
        out = np.zeros((self.candidates.n_docs, self.k))
        for _, first, size in self.candidates.blocks(np.arange(self.candidates.n_queries)):
            rows = self.candidates.rows[first[:, None] + np.arange(size)]
            out[rows] = placement_probabilities(self.candidates.scores_of(first, size), self.k)
        return out

    def inclusion(self) -> FloatArray:
        """Probability of each document to stand among the first k, exact to about 1e-12: float64 [n_docs]."""
        return np.asarray(self.placement().sum(axis=1))

    def log_prob(self, query: ArrayLike, docs: ArrayLike) -> FloatArray:
        """Log-probability of each list [n, k] for its query [n]; -inf where it cannot be shown.

        Raises:
            ArgumentError: A document of another query or twice in a list, or -1 before a document.
        """
        codes = self.candidates.checked_queries(query)
        places, possible = self.candidates.places_of(codes, docs)
        possible &= np.count_nonzero(places >= 0, axis=1) <= self.k
        # A list with an impossible document has a hole where that document stood.
        places[~possible] = -1
        out = np.empty(len(codes))
        for sessions, first, size in self.candidates.blocks(codes):
            out[sessions] = log_prob(self.candidates.scores_of(first, size), places[sessions])
        return np.where(possible, out, -np.inf)


@dataclass(frozen=True, eq=False)
class PlacementEstimate:
    """Placement probabilities estimated by counting.

    Attributes:
        probabilities: float64 [n_docs, k].
        standard_errors: float64 [n_docs, k]; never zero: a place that was not seen may still be possible.
    """

    probabilities: FloatArray
    standard_errors: FloatArray


def estimate_placement(policy: RankingSampler, n_samples: int, rng: np.random.Generator) -> PlacementEstimate:
    """Placement probabilities of any policy by counting `n_samples` rankings of each query.

    Standard errors are those of a proportion with one success and one failure added (Laplace), so that a count of zero
    does not pass for certainty.

    Args:
        policy: Anything that samples rankings.
        n_samples: Rankings drawn for each query, at least 1.
        rng: Source of randomness.

    Raises:
        ArgumentError: `n_samples` is below 1.
    """
    require_at_least_one("n_samples", n_samples)
    n_docs, n_queries = int(policy.offsets[-1]), len(policy.offsets) - 1
    counts = np.zeros(n_docs * policy.k)
    width = max(1, (1 << 22) // (n_samples * policy.k))
    for begin in range(0, n_queries, width):
        query = np.repeat(np.arange(begin, min(begin + width, n_queries)), n_samples)
        docs = policy.sample(query, rng)
        cell = docs.astype(np.int64) * policy.k + np.arange(policy.k)
        counts += np.bincount(cell[docs >= 0], minlength=len(counts))
    smoothed = (counts + 1) / (n_samples + 2)
    errors = np.sqrt(smoothed * (1 - smoothed) / n_samples)
    shape = (n_docs, policy.k)
    return PlacementEstimate((counts / n_samples).reshape(shape), errors.reshape(shape))


def mix_scores(
    scores: ArrayLike, strength: float, rng: np.random.Generator, low: float = 0.0, high: float = 4.0
) -> FloatArray:
    """A ranker between the inverse and the expert: |s| sign(s) score + (1 - |s|) U(low, high).

    Source: the experiments of "Unidentified and Confounded? Understanding Two-Tower Models for Unbiased Learning to
    Rank" (2025).

    Args:
        scores: float [n_docs], what the expert ranks by.
        strength: 1 ranks by the scores, 0 at random, -1 by the reversed scores.
        rng: Source of randomness.
        low: Lower end of the noise.
        high: Upper end of the noise.

    Returns:
        float64 [n_docs].

    Raises:
        ArgumentError: `strength` is outside [-1, 1], `low` is above `high`, or a score is not finite.
    """
    if not -1.0 <= strength <= 1.0:
        raise ArgumentError(f"strength={strength!r}; expected a number in [-1, 1]")
    if not low <= high:
        raise ArgumentError(f"low={low!r}, high={high!r}; expected low <= high")
    table = np.asarray(scores, dtype=np.float64)
    if not np.isfinite(table).all():
        raise ArgumentError(f"scores holds {table[~np.isfinite(table)][0]}; expected finite numbers")
    return strength * table + (1.0 - abs(strength)) * rng.uniform(low, high, size=table.shape)


def _greedy_lists(candidates: Candidates, k: int) -> IntArray:
    """The first k candidates of each query by falling score, equal scores in row order: int32 [n_queries, k]."""
    owner = candidates.owner()
    order = np.lexsort((-candidates.scores[candidates.rows], owner))
    rank = np.arange(len(order)) - candidates.starts[owner]
    lists = np.full((candidates.n_queries, k), -1, dtype=np.int32)
    top = rank < k
    lists[owner[top], rank[top]] = candidates.rows[order[top]]
    return lists


def _shuffled_places(n: int, size: int, k: int, rng: np.random.Generator) -> IntArray:
    """The first k of n random permutations of `size` places (Fisher and Yates, one rank at a time): int32 [n, k]."""
    shown = min(size, k)
    places = np.empty((n, size), dtype=np.int32)
    places[:] = np.arange(size, dtype=np.int32)
    flat, row = places.reshape(-1), np.arange(n) * size
    for rank in range(min(shown, size - 1)):
        drawn = row + rng.integers(rank, size, size=n, dtype=np.int32)
        places[:, rank], flat[drawn] = flat[drawn], places[:, rank].copy()
    out = np.full((n, k), -1, dtype=np.int32)
    out[:, :shown] = places[:, :shown]
    return out


def checked_probability(name: str, value: float) -> float:
    """The value as a float; raises an ArgumentError unless it lies in [0, 1]."""
    if not 0.0 <= value <= 1.0:
        raise ArgumentError(f"{name}={value!r}; expected a probability in [0, 1]")
    return float(value)
