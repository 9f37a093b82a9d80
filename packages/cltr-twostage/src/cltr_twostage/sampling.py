"""Monte Carlo placement that reaches every document: the others are drawn, and each document is integrated out.

Both stages are exponential races. Given when all others arrive in the generator's race, a document of rate exp(c) is a
candidate if it arrives before the n-th of them: with probability 1 - exp(-exp(c) t). Given when the other candidates
arrive in the ranker's race, one of rate exp(s) is among the first r if it arrives before the r-th of them: with
probability 1 - exp(-exp(s) u). So one draw says something of every document, and never gives a document that can be
shown a probability of zero.

These probabilities are right for each document on average, but those of one draw do not sum to the number of ranks,
while the truth does. What they sum to too much is taken off in proportion to the documents' shares, which lowers the
variance of sums over documents, such as a policy's value, a hundredfold: a control variate (Owen, 2013, Monte Carlo
theory, methods and examples, chapter 8). The shares of one batch of draws come from the other batches, so that nothing
is biased.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.quadrature.gaps import closed_up
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from cltr_twostage.policy import TwoStagePolicy

__all__ = ["BATCHES", "checked_samples", "sampled_placement"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]

# Independent parts of a Monte Carlo estimate, whose spread is the error of whatever is computed from it.
BATCHES = 16
# Numbers per temporary array: few enough for the processor's cache.
BLOCK = 1 << 16
# Beyond this range of log-rates, rates and times do not fit doubles, and their logarithms must do.
MAX_SPAN = 1300.0
# Log-rates of the generator that far above or below its last candidate are certain to be in, or out.
CERTAINLY_IN, CERTAINLY_OUT = 300.0, -600.0
# So few numbers are sorted as fast as they are divided into smaller and larger ones.
FEW = 64
# In place of infinity, which times a rate of zero is not a number.
NEVER, LOG_NEVER = 1e300, 1e15
LARGEST_EXPONENT = 700.0


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
        depends on the candidates how many ranks are filled, they do so on average. The error of a single document can
        be too small by chance where what varies happens in few of the draws.

    Raises:
        ArgumentError: `n_samples` is below 16.
    """
    per_batch = -(-checked_samples(n_samples) // BATCHES)
    n_outputs = policy.k if rank_weights is None else 1
    batches = np.zeros((BATCHES, policy.pool.n_rows, n_outputs))
    stderr = np.zeros((policy.pool.n_rows, n_outputs))
    for races in _blocks(policy, per_batch):
        expected = races.total(rank_weights)
        for column, sums in enumerate(_drawn(races, per_batch, rank_weights, rng)):
            batches[:, races.rows, column], stderr[races.rows, column] = sums.balanced(expected[:, column])
    return (batches, stderr) if rank_weights is None else (batches[..., 0], stderr[:, 0])


def checked_samples(value: object) -> int:
    """A number of draws, if it is a whole number of at least 16; otherwise an ArgumentError."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < BATCHES:
        raise ArgumentError(f"n_samples={value!r}; expected a whole number of at least {BATCHES}")
    return int(value)


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
        scores = closed_up(policy.ranker_scores[rows])[0]
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


def _candidate_rates(scores: FloatArray, n_in: int) -> FloatArray:
    """Rates of the generator relative to that of the last document that would be a candidate by score."""
    last = -np.partition(-scores, n_in - 1, axis=1)[:, n_in - 1 : n_in]
    return np.exp(np.clip(scores - last, CERTAINLY_OUT, CERTAINLY_IN))


class _Sums:
    """Moments of the draws of several queries: of the chances x of each document, and of t, their sum over documents.

    Args:
        n_docs: Documents of each query.
        n_queries: Queries.
        per_batch: Number of draws of a batch.
    """

    def __init__(self, n_docs: int, n_queries: int, per_batch: int) -> None:
        self.per_batch = per_batch
        self.docs, self.totals = np.zeros((BATCHES, n_docs, n_queries)), np.zeros((BATCHES, 1, n_queries))
        self.squares, self.products = np.zeros((n_docs, n_queries)), np.zeros((n_docs, n_queries))
        self.total_squares = np.zeros((1, n_queries))

    def add(self, batch: int, x: FloatArray) -> None:
        """Add draws [n_docs, n, n_queries] of a batch."""
        t = x.sum(axis=0)
        self.docs[batch] += x.sum(axis=1)
        self.totals[batch] += t.sum(axis=0)
        self.squares += np.einsum("dnq,dnq->dq", x, x)
        self.products += np.einsum("dnq,nq->dq", x, t)
        self.total_squares += np.einsum("nq,nq->q", t, t)

    def balanced(self, expected: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means of the batches that sum to what is expected, and standard errors.

        Args:
            expected: float64 [n_queries]; NaN: not known, the means stay as they are.

        Returns:
            float64 [BATCHES, n_queries, n_docs] and [n_queries, n_docs].
        """
        known = np.isfinite(expected)
        docs = np.maximum(self.docs, 0.0)
        surplus = np.where(known, self.totals / self.per_batch - expected, 0.0)
        all_docs, all_totals = docs.sum(axis=0), self.totals.sum(axis=0)
        others = _share(all_docs - docs, all_totals - self.totals)
        means = docs / self.per_batch - others * surplus
        share = np.where(known, _share(all_docs, all_totals), 0.0)
        n = BATCHES * self.per_batch
        squares = self.squares - 2 * share * self.products + share**2 * self.total_squares
        variance = squares / n - ((all_docs - share * all_totals) / n) ** 2
        return means.transpose(0, 2, 1), np.sqrt(np.maximum(variance, 0.0) / (n - 1)).T


def _share(docs: FloatArray, totals: FloatArray) -> FloatArray:
    """Share of each document in the total; 0 where there is nothing to share."""
    return docs / np.where(totals > 0, totals, 1.0)


def _drawn(races: _Races, per_batch: int, rank_weights: FloatArray | None, rng: np.random.Generator) -> list[_Sums]:
    """Draw `per_batch` times in each batch, and sum: for each rank, or their weighted sum."""
    n_queries, n_docs = races.rows.shape
    sums = [_Sums(n_docs, n_queries, per_batch) for _ in range(races.k if rank_weights is None else 1)]
    # Where one query alone is larger than a block, even a batch is drawn in parts.
    draw = _Draw(races, max(1, min(per_batch, BLOCK // races.rows.size)))
    for batch, n in _parts(per_batch, draw.n):
        draw = draw if draw.n == n else _Draw(races, n)
        draw.race(rng)
        for one, x in zip(sums, draw.placed(rank_weights), strict=True):
            one.add(batch, x)
    return sums


def _parts(per_batch: int, most: int) -> Iterator[tuple[int, int]]:
    """Draws of each batch in parts of at most `most`: the batch and the number of draws of each part."""
    for batch in range(BATCHES):
        for begin in range(0, per_batch, most):
            yield batch, min(most, per_batch - begin)


class _Draw:
    """`n` draws of both races: `race` draws, `placed` integrates each document out.

    The arrays are float64 [n_docs, n, n_queries], made once: writing to fresh memory costs more than the arithmetic.

    Attributes:
        arrival: Arrivals in the ranker's race, or their logarithms; `never` for a document that is no candidate.
        ahead: float64 [k + 1, n, n_queries], the first arrivals in order.
        absent: The arrival that is not among the others' if a document is a candidate: its own, or that of the
            candidate which it replaces.
        chance: Chance of each document to be a candidate, given when the others arrive.
        never: In place of infinity.
    """

    def __init__(self, races: _Races, n: int) -> None:
        self.races, self.n = races, n
        shape = (races.rows.shape[1], n, len(races.rows))
        self.arrival, self.absent, self.chance, self._scratch, self._sum = (np.empty(shape) for _ in range(5))
        self._inside, self._mask = (np.empty(shape, dtype=bool) for _ in range(2))
        # Documents last: so that a draw's numbers are sorted where they lie.
        self._sorted = np.empty((*shape[1:], shape[0]))
        self.ahead = np.empty((races.k + 1, *shape[1:]))
        self.never = LOG_NEVER if races.logarithmic else NEVER
        self._ranker = races.ranker.T[:, None]
        self._candidate = None if races.candidate is None else races.candidate.T[:, None]

    def race(self, rng: np.random.Generator) -> None:
        """Draw the arrivals of both races."""
        # Both, even where the first is not needed: so that policies share their draws whatever `n_candidates` is.
        _log_uniform(rng, self.chance)
        second = _log_uniform(rng, self.arrival)
        with np.errstate(divide="ignore", over="ignore"):
            if self.races.logarithmic:
                np.log(np.negative(second, out=second), out=second)
                second -= self._ranker
            else:
                second *= -1.0 / self._ranker
            np.minimum(second, self.never, out=second)
            if self._candidate is None:
                self.absent[:] = second
            else:
                self._choose_candidates(self._candidate)
        self.ahead = self._first(second, self.races.k + 1, self.never)

    def _choose_candidates(self, rates: FloatArray) -> None:
        """Who is a candidate, and who would be; `chance` comes in as the noise of the generator's race."""
        first = np.multiply(self.chance, -1.0 / rates, out=self.chance)
        last, after = self._first(first, self.races.n_in + 1, NEVER)[-2:]
        inside = np.less_equal(first, last, out=self._inside)
        # Whoever else comes in replaces the last candidate.
        is_last = np.equal(first, last, out=self._mask)
        replaced = np.multiply(self.arrival, is_last, out=self._scratch).sum(axis=0)
        # Of the others, the n-th is the n-th of all for those outside, and the next one for a candidate.
        tau = np.multiply(inside, after - last, out=self.chance)
        tau += last
        tau *= -rates
        np.negative(np.expm1(tau, out=tau), out=self.chance)
        outside = np.logical_not(inside, out=self._mask)
        np.multiply(self.arrival, inside, out=self.absent)
        self.absent += np.multiply(outside, replaced, out=self._scratch)
        self.arrival += np.multiply(outside, self.never, out=self._scratch)

    def _first(self, arrivals: FloatArray, count: int, never: float) -> FloatArray:
        """The first `count` arrivals in order, `never` where there are fewer: float64 [count, n, n_queries]."""
        n_docs = len(arrivals)
        self._sorted[:] = np.moveaxis(arrivals, 0, -1)
        if n_docs > FEW and n_docs > 2 * count:
            self._sorted.partition(count - 1, axis=-1)
            self._sorted[..., :count].sort(axis=-1)
        else:
            self._sorted.sort(axis=-1)
        out = np.full((count, *arrivals.shape[1:]), never)
        np.minimum(np.moveaxis(self._sorted[..., :count], -1, 0), never, out=out[:n_docs])
        return out

    def placed(self, rank_weights: FloatArray | None) -> Iterator[FloatArray]:
        """Chance of each document to stand at each rank, or its expected weight, given when the others arrive.

        Yields:
            For each rank, or once, an array that holds until the next. Rounding can take zeros a little below zero.
        """
        out = self._sum
        if rank_weights is None:
            earlier = np.zeros_like(out)
            for by_now in self._shown_by_rank():
                np.subtract(earlier, by_now, out=out)
                earlier[:] = by_now
                yield self._if_candidate(out)
            return
        # sum_r w_r (B_r - B_(r-1)), gathered by B.
        out[:] = 0.0
        for by_now, step in zip(self._shown_by_rank(), np.diff(rank_weights, append=0.0), strict=True):
            by_now *= step
            out += by_now
        yield self._if_candidate(out)

    def _if_candidate(self, chance: FloatArray) -> FloatArray:
        return chance if self._candidate is None else np.multiply(chance, self.chance, out=chance)

    def _shown_by_rank(self) -> Iterator[FloatArray]:
        """Minus the chance of each candidate to be among the first r = 1 ... k; an array that holds until the next."""
        hazard = self._scratch
        for here, after in pairwise(self.ahead):
            passed = np.less_equal(self.absent, here, out=self._mask)
            np.multiply(passed, after - here, out=hazard)
            hazard += here
            self._times_minus_rate(hazard)
            yield np.expm1(hazard, out=hazard)

    def _times_minus_rate(self, times: FloatArray) -> None:
        if self.races.logarithmic:
            times += self._ranker
            np.minimum(times, LARGEST_EXPONENT, out=times)
            np.negative(np.exp(times, out=times), out=times)
            return
        with np.errstate(over="ignore"):
            times *= -self._ranker


def _log_uniform(rng: np.random.Generator, out: FloatArray) -> FloatArray:
    """Minus standard exponential noise, in less time than the generator's own takes."""
    with np.errstate(divide="ignore"):
        return np.log(rng.random(out=out), out=out)
