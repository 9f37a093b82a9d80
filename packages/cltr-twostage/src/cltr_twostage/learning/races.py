"""Sampled lists of both stages, drawn as exponential races.

Document j arrives at a time that is exponential with rate exp(score): log time = -(score + Gumbel). The candidates are
the first to arrive by the candidate scores; among them, the shown list is the order of arrival by the ranker scores.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from irworks.simulate import gumbel

__all__ = ["Draws", "blocks", "exposures", "largest", "list_values", "race", "seen", "shown", "take"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
Number = TypeVar("Number", bound=np.generic)

# Numbers per temporary array [n_samples, n_queries, width].
BLOCK = 1 << 20


@dataclass(frozen=True, eq=False)
class Draws:
    """Sampled races of a block of queries.

    Attributes:
        candidate: float64 [n_queries, width], candidate scores.
        ranker: float64 [n_queries, width], ranker scores; -inf too where the candidate score is.
        n_candidates: Length of y_c, at most `width`.
        arrived: int64 [n_samples, n_queries, min(n_candidates + 1, width)], columns in order of arrival: the candidates
            and the first document that came too late. A document of score -inf stands here only after all others.
        arrival_key: float64, as `arrived`: score + Gumbel of each, the negative log of its arrival time.
        ranker_key: float64 [n_samples, n_queries, width]: ranker score + Gumbel of every document, candidate or not.
    """

    candidate: FloatArray
    ranker: FloatArray
    n_candidates: int
    arrived: LongArray
    arrival_key: FloatArray
    ranker_key: FloatArray

    @property
    def candidates(self) -> LongArray:
        """int64 [n_samples, n_queries, n_candidates], the columns of y_c in order of arrival."""
        return self.arrived[..., : self.n_candidates]


def race(
    candidate: FloatArray, ranker: FloatArray, n_candidates: int, n_samples: int, rng: np.random.Generator
) -> Draws:
    """Draw `n_samples` pairs of lists for every query.

    Args:
        candidate: float64 [n_queries, width], log-weights of the candidate stage; -inf: no document, never drawn.
        ranker: float64 [n_queries, width], log-weights of the ranker.
        n_candidates: Length of the candidate list; a query with fewer documents has them all in it.
        n_samples: Number of pairs for each query.
        rng: Source of randomness.
    """
    shape = (n_samples, *candidate.shape)
    width = candidate.shape[1]
    ranker = np.where(np.isfinite(candidate), ranker, -np.inf)
    keys = gumbel(shape, rng)
    keys += candidate
    ranker_key = gumbel(shape, rng)
    ranker_key += ranker
    arrived = largest(keys, min(n_candidates + 1, width))
    return Draws(candidate, ranker, min(n_candidates, width), arrived, take(keys, arrived), ranker_key)


def largest(keys: FloatArray, k: int) -> LongArray:
    """Columns of the `k` largest keys [..., n], largest first: int64 [..., k]."""
    if keys.shape[-1] <= 8 * k:
        return np.argsort(-keys, axis=-1)[..., :k]
    chosen = np.argpartition(-keys, k - 1, axis=-1)[..., :k]
    return take(chosen, np.argsort(-take(keys, chosen), axis=-1))


def take(values: NDArray[Number], columns: LongArray) -> NDArray[Number]:
    """Values [..., n] at columns [..., k]; leading dimensions that `values` lacks are broadcast."""
    n = values.shape[-1]
    lead = values.shape[:-1]
    # Flat indices are several times faster than numpy.take_along_axis.
    first = np.arange(0, values.size, n).reshape(*lead, 1) if n else np.zeros((*lead, 1), dtype=np.int64)
    return values.reshape(-1).take(first + columns)


def list_values(draws: Draws, relevance: FloatArray, rank_weights: FloatArray) -> FloatArray:
    """What the sampled lists earn: sum_k alpha_k r(y_r[k]).

    Args:
        draws: Sampled lists.
        relevance: float64 [n_queries, width].
        rank_weights: float64 [k], alpha.

    Returns:
        float64 [n_samples, n_queries].
    """
    columns = shown(draws, len(rank_weights))
    values: FloatArray = take(seen(draws, relevance), columns) @ rank_weights[: columns.shape[-1]]
    return values


def shown(draws: Draws, k: int) -> LongArray:
    """Columns of y_r; documents that cannot be shown stand last: int64 [n_samples, n_queries, min(k, n_candidates)]."""
    listed = draws.candidates
    return take(listed, largest(take(draws.ranker_key, listed), min(k, draws.n_candidates)))


def exposures(draws: Draws, rank_weights: FloatArray) -> FloatArray:
    """Mean rank weight of each document in the sampled lists: float64 [n_queries, width]."""
    columns = shown(draws, len(rank_weights))
    n_queries, width = draws.candidate.shape
    cell = columns + (np.arange(n_queries) * width)[:, None]
    weights = np.broadcast_to(rank_weights[: columns.shape[-1]], columns.shape)
    total = np.bincount(cell.ravel(), weights.ravel(), minlength=n_queries * width).reshape(n_queries, width)
    return np.where(np.isfinite(draws.ranker), total / len(columns), 0.0)


def seen(draws: Draws, relevance: FloatArray) -> FloatArray:
    """Relevance [n_queries, width], 0 for what can never be shown: so that padding earns nothing."""
    return np.where(np.isfinite(draws.ranker), relevance, 0.0)


def blocks(offsets: LongArray, n_samples: int) -> Iterator[tuple[LongArray, LongArray]]:
    """Cut a flat table into rectangles of queries of like size: at least half of each is documents.

    Args:
        offsets: int64 [n_queries + 1], query q owns the rows offsets[q]:offsets[q + 1].
        n_samples: Lists that are drawn for each query, which limits how many fit a block.

    Yields:
        int64 [n], the queries of a block; int64 [n, width], their rows, -1 where a query has no more. Queries without a
        document are in no block.
    """
    sizes = np.diff(offsets)
    order = np.argsort(sizes, kind="stable")
    begin = int(np.searchsorted(sizes[order], 1))
    while begin < len(order):
        smallest = int(sizes[order[begin]])
        most = max(1, BLOCK // (2 * smallest * n_samples))
        end = min(int(np.searchsorted(sizes[order], 2 * smallest, side="right")), begin + most)
        queries = order[begin:end]
        column = np.arange(sizes[queries[-1]])
        yield queries, np.where(column < sizes[queries, None], offsets[queries, None] + column, -1)
        begin = end
