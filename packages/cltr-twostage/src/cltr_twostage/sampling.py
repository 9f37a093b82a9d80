"""Monte Carlo placement that reaches every document: the others are drawn, and each document is integrated out.

Both stages are exponential races. Given when all others arrive in the generator's race, document d (of rate exp(c_d)) is
a candidate if it arrives before the n-th of them: with probability 1 - exp(-exp(c_d) tau). Given when the other
candidates arrive in the ranker's race, it is among the first r if it arrives before the r-th of them: with probability
1 - exp(-exp(r_d) u_r). So one draw says something of every document, and never gives a document that can be shown a
probability of zero.

These probabilities are right for each document on average, but those of one draw do not sum to the number of ranks,
while the truth does. What they sum to too much is taken off in proportion to the documents' shares: a control variate
(Owen, Monte Carlo theory, methods and examples, 2013, chapter 8), which lowers the variance of sums over documents, such
as a policy's value, a hundredfold or more. The shares of one batch of draws come from the other batches, so that nothing
is biased.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from cltr_twostage.policy import TwoStagePolicy

__all__ = ["BATCHES", "sampled_placement"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]

# Independent parts of a Monte Carlo estimate, whose spread is the error of whatever is computed from it.
BATCHES = 16
# Numbers per temporary array: few enough for the processor's cache.
BLOCK = 1 << 15
# exp(-40) is below rounding: a document that far behind another follows it.
MAX_GAP = 40.0
# Beyond this range of log-rates, rates and times do not fit doubles, and their logarithms must do.
MAX_SPAN = 1300.0
# Log-rates of the generator that far above or below its last candidate are certain to be in, or out.
CERTAINLY_IN, CERTAINLY_OUT = 300.0, -700.0
# So few numbers are sorted as fast as they are divided into smaller and larger ones.
FEW = 64
# In place of infinity, which times a rate of zero is not a number.
NEVER, LOG_NEVER = 1e300, 1e15


def sampled_placement(
    policy: "TwoStagePolicy", n_samples: int, rng: np.random.Generator, rank_weights: FloatArray | None = None
) -> tuple[FloatArray, FloatArray]:
    """Placement of every document, or its expected rank weight, from `n_samples` draws a query.

    Args:
        policy: The policy.
        n_samples: Draws a query; rounded up to a multiple of 16.
        rng: Source of randomness. The same state gives policies over the same candidates the same draws.
        rank_weights: float [k]; None: each rank by itself.

    Returns:
        Means of 16 batches of draws, float64 [16, n_rows, k] or, with weights, [16, n_rows]; and the standard errors of
        their mean, [n_rows, k] or [n_rows]. Batches of a query sum to the weights of the ranks that it fills; where it
        depends on the candidates how many ranks are filled, they do so on average.

    Raises:
        ArgumentError: `n_samples` is below 16.
    """
    if isinstance(n_samples, bool) or not isinstance(n_samples, int | np.integer) or n_samples < BATCHES:
        raise ArgumentError(f"n_samples={n_samples!r}; expected a whole number of at least {BATCHES}")
    per_batch = -(-int(n_samples) // BATCHES)
    n_outputs = policy.k if rank_weights is None else 1
    batches = np.zeros((BATCHES, policy.pool.n_rows, n_outputs))
    stderr = np.zeros((policy.pool.n_rows, n_outputs))
    for races in _blocks(policy, per_batch):
        sums = _Sums.of(races, per_batch, rank_weights, rng)
        batches[:, races.rows], stderr[races.rows] = sums.balanced(races.total(rank_weights))
    return (batches, stderr) if rank_weights is None else (batches[..., 0], stderr[:, 0])


@dataclass(frozen=True, eq=False)
class _Races:
    """The two races of several queries with equally many possible candidates.

    Attributes:
        rows: int64 [n_queries, n_docs], rows of the pool.
        n_in: Number of candidates, at most n_docs.
        k: Length of the lists.
        candidate: float64 [n_queries, n_docs], rates of the generator; None where every document is a candidate.
        ranker: float64 [n_queries, n_docs], rates of the ranker, or their logarithms.
        logarithmic: Whether times and rates of the ranker are given as logarithms.
        never: int64 [n_queries], number of documents that the ranker never shows.
    """

    rows: LongArray
    n_in: int
    k: int
    candidate: FloatArray | None
    ranker: FloatArray
    logarithmic: bool
    never: LongArray

    @classmethod
    def of(cls, policy: "TwoStagePolicy", rows: LongArray) -> "_Races":
        n_in = min(policy.n_candidates, rows.shape[1])
        scores = _closed_up(policy.ranker_scores[rows])
        span = np.where(np.isfinite(scores), -scores, 0.0).max()
        wide = bool(span > MAX_SPAN)
        return cls(
            rows=rows,
            n_in=n_in,
            k=policy.k,
            candidate=_candidate_rates(policy.candidate_scores[rows], n_in) if n_in < rows.shape[1] else None,
            ranker=scores if wide else np.exp(scores + MAX_SPAN / 2),
            logarithmic=wide,
            never=np.isneginf(scores).sum(axis=1),
        )

    def total(self, rank_weights: FloatArray | None) -> FloatArray:
        """What the documents of a query sum to: float64 [n_queries, n_outputs]; NaN where that varies with the draw."""
        n_docs = self.rows.shape[1]
        most = np.minimum(n_docs - self.never, self.n_in)[:, None]
        least = np.maximum(self.n_in - self.never, 0)[:, None]
        rank = np.arange(self.k)
        filled = np.where(rank < least, 1.0, np.where(rank < most, np.nan, 0.0))
        return filled if rank_weights is None else (filled * rank_weights).sum(axis=1, keepdims=True)


def _blocks(policy: "TwoStagePolicy", per_batch: int) -> Iterator[_Races]:
    """All queries, in blocks whose temporary arrays fit the cache where one query's do."""
    candidates = policy.generator.candidates
    for queries, first, size in candidates.blocks(np.arange(policy.pool.n_queries)):
        width = max(1, BLOCK // (size * per_batch))
        for begin in range(0, len(queries), width):
            yield _Races.of(policy, candidates.rows[first[begin : begin + width, None] + np.arange(size)])


def _closed_up(scores: FloatArray) -> FloatArray:
    """Scores [n, n_docs] with gaps between neighbours cut to `MAX_GAP`, which changes no order; the largest is 0."""
    order = np.argsort(-scores, axis=1)
    ordered = np.take_along_axis(scores, order, axis=1)
    with np.errstate(invalid="ignore"):
        gaps = np.minimum(ordered[:, :-1] - ordered[:, 1:], MAX_GAP)
        gaps[np.isneginf(ordered[:, 1:])] = np.inf
    closed = np.zeros_like(scores)
    np.cumsum(-gaps, axis=1, out=closed[:, 1:])
    closed[np.isneginf(ordered)] = -np.inf
    out = np.empty_like(scores)
    np.put_along_axis(out, order, closed, axis=1)
    return out


def _candidate_rates(scores: FloatArray, n_in: int) -> FloatArray:
    """Rates of the generator relative to that of the last document that would be a candidate by score."""
    last = -np.partition(-scores, n_in - 1, axis=1)[:, n_in - 1 : n_in]
    return np.exp(np.clip(scores - last, CERTAINLY_OUT, CERTAINLY_IN))


@dataclass(frozen=True, eq=False)
class _Sums:
    """Moments of the draws of several queries, with a column for each output: a rank, or the weighted sum of ranks.

    Attributes:
        n: Number of draws of a batch.
        docs: float64 [BATCHES, n_queries, n_docs, n_outputs], sums of the chances x of each document.
        totals: float64 [BATCHES, n_queries, n_outputs], sums of t, the sum of x over documents.
        squares: float64 [n_queries, n_docs, n_outputs], sums of x * x.
        products: float64 [n_queries, n_docs, n_outputs], sums of x * t.
        total_squares: float64 [n_queries, n_outputs], sums of t * t.
    """

    n: int
    docs: FloatArray
    totals: FloatArray
    squares: FloatArray
    products: FloatArray
    total_squares: FloatArray

    @classmethod
    def of(cls, races: _Races, per_batch: int, rank_weights: FloatArray | None, rng: np.random.Generator) -> "_Sums":
        shape = (*races.rows.shape, races.k if rank_weights is None else 1)
        docs, totals = np.zeros((BATCHES, *shape)), np.zeros((BATCHES, shape[0], shape[2]))
        squares, products, total_squares = np.zeros(shape), np.zeros(shape), np.zeros((shape[0], shape[2]))
        # Where one query alone is larger than a block, even a batch is drawn in parts.
        most = max(1, BLOCK // races.rows.size)
        for batch in range(BATCHES):
            for begin in range(0, per_batch, most):
                for column, x in enumerate(_chances(races, min(most, per_batch - begin), rank_weights, rng)):
                    t = x.sum(axis=-1)
                    docs[batch, :, :, column] += x.sum(axis=0)
                    totals[batch, :, column] += t.sum(axis=0)
                    squares[..., column] += np.einsum("sqd,sqd->qd", x, x)
                    products[..., column] += np.einsum("sqd,sq->qd", x, t)
                    total_squares[..., column] += np.einsum("sq,sq->q", t, t)
        return cls(per_batch, np.maximum(docs, 0.0), totals, squares, products, total_squares)

    def balanced(self, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means of the batches that sum to what is expected, and standard errors.

        Args:
            expected: float64 [n_queries, n_outputs]; NaN: not known, the means stay as they are.

        Returns:
            float64 [BATCHES, n_queries, n_docs, n_outputs] and [n_queries, n_docs, n_outputs].
        """
        known = np.isfinite(expected)
        surplus = np.where(known, self.totals / self.n - expected, 0.0)
        all_docs, all_totals = self.docs.sum(axis=0), self.totals.sum(axis=0)
        others = _share(all_docs - self.docs, all_totals - self.totals)
        means = self.docs / self.n - others * surplus[:, :, None]
        share = np.where(known[:, None], _share(all_docs, all_totals), 0.0)
        n = BATCHES * self.n
        squares = self.squares - 2 * share * self.products + share**2 * self.total_squares[:, None]
        variance = squares / n - ((all_docs - share * all_totals[:, None]) / n) ** 2
        return means, np.sqrt(np.maximum(variance, 0.0) / (n - 1))


def _share(docs: FloatArray, totals: FloatArray) -> FloatArray:
    """docs [..., n_docs, n_outputs] / totals [..., n_outputs], 0 where nothing is."""
    return docs / np.where(totals > 0, totals, 1.0)[..., None, :]


def _chances(
    races: _Races, n: int, rank_weights: FloatArray | None, rng: np.random.Generator
) -> Iterator[FloatArray]:
    """Chance of each document to stand at each rank, or its expected weight, given when the others arrive in `n` draws.

    Yields:
        float64 [n, n_queries, n_docs], for each rank, or once. Rounding can take chances of zero a little below.
    """
    shape = (n, *races.rows.shape)
    # Both, even where the first is not needed: so that policies share their draws whatever `n_candidates` is.
    first, second = rng.standard_exponential(shape), rng.standard_exponential(shape)
    with np.errstate(divide="ignore", over="ignore"):
        second = _arrivals(races, second)
        chance, second, absent = _candidates(races, first, second)
        shown = _shown_by_rank(races, second, absent)
        if rank_weights is None:
            earlier: FloatArray | float = 0.0
            for by_now in shown:
                by_now *= chance
                yield by_now - earlier
                earlier = by_now
            return
        # sum_r w_r (B_r - B_(r-1)), gathered by B.
        weighted = np.zeros(shape)
        for by_now, step in zip(shown, -np.diff(rank_weights, append=0.0), strict=True):
            by_now *= step
            weighted += by_now
        weighted *= chance
        yield weighted


def _arrivals(races: _Races, noise: FloatArray) -> FloatArray:
    """Times of arrival in the ranker's race, or their logarithms; made in place of the standard exponential noise."""
    if not races.logarithmic:
        noise *= 1.0 / races.ranker
        return noise
    np.log(noise, out=noise)
    noise -= races.ranker
    return noise


def _candidates(
    races: _Races, first: FloatArray, second: FloatArray
) -> tuple[FloatArray | float, FloatArray, FloatArray]:
    """Who is a candidate.

    Args:
        races: The races.
        first: float64 [n, n_queries, n_docs], standard exponential noise of the generator's race; overwritten.
        second: float64 [n, n_queries, n_docs], arrivals in the ranker's race.

    Returns:
        Arrays float64 [n, n_queries, n_docs]: the chance of each document to be a candidate, given when the others
        arrive; the arrivals in the ranker's race, infinity for those that are no candidates; and, for each document,
        the arrival that is not among the others' if it is a candidate: its own, or that of the one which it replaces.
    """
    if races.candidate is None:
        return 1.0, second, second
    first *= 1.0 / races.candidate
    ordered = _first(first, races.n_in + 1)
    last, next_one = ordered[..., -2:-1], ordered[..., -1:]
    outside = first > last
    replaced = np.where(first == last, second, -np.inf).max(axis=-1, keepdims=True)
    # Of the others, the n-th is the n-th of all for those outside, and the next one for a candidate.
    tau = np.where(outside, last, next_one)
    tau *= -races.candidate
    chance = np.negative(np.expm1(tau, out=tau), out=tau)
    return chance, np.where(outside, np.inf, second), np.where(outside, replaced, second)


def _shown_by_rank(races: _Races, second: FloatArray, absent: FloatArray) -> Iterator[FloatArray]:
    """Chance of each document to be among the first r = 1 ... k if it is a candidate, given when the others arrive.

    Args:
        races: The races.
        second: float64 [n, n_queries, n_docs], arrivals of the candidates in the ranker's race; infinity: not one.
        absent: float64 [n, n_queries, n_docs], the arrival that does not count for each document.

    Yields:
        float64 [n, n_queries, n_docs], a new array for each r.
    """
    # Times are capped, as infinity times a rate of zero is not a number.
    ahead = np.minimum(_first(second, races.k + 1), LOG_NEVER if races.logarithmic else NEVER)
    for rank in range(races.k):
        here, after = ahead[..., rank : rank + 1], ahead[..., rank + 1 : rank + 2]
        hazard = np.where(absent <= here, after, here)
        if races.logarithmic:
            hazard += races.ranker
            np.negative(np.exp(np.minimum(hazard, 700.0, out=hazard), out=hazard), out=hazard)
        else:
            hazard *= -races.ranker
        yield np.negative(np.expm1(hazard, out=hazard), out=hazard)


def _first(arrivals: FloatArray, count: int) -> FloatArray:
    """The first `count` arrivals [..., n] in order, infinity where there are fewer: float64 [..., count]."""
    n = arrivals.shape[-1]
    if n > FEW and n > 2 * count:
        arrivals = np.partition(arrivals, count - 1, axis=-1)[..., :count]
    ordered = np.sort(arrivals, axis=-1)[..., :count]
    if n >= count:
        return ordered
    out = np.full((*ordered.shape[:-1], count), np.inf)
    out[..., :n] = ordered
    return out
