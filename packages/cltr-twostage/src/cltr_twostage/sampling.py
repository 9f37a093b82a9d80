"""Monte Carlo placement that reaches every document: the others are drawn, and each document is integrated out.

Both stages are exponential races. Given when all others arrive in the generator's race, document d (of rate exp(c_d)) is
a candidate if it arrives before the n-th of them: with probability 1 - exp(-exp(c_d) tau). Given when the other
candidates arrive in the ranker's race, it stands at rank r if it arrives between the (r - 1)-th and the r-th of them:
with probability exp(-exp(r_d) u_(r-1)) - exp(-exp(r_d) u_(r)). So one draw says something of every document, with less
variance than a count, and never gives a document that can be shown a probability of zero.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from irworks.simulate import gumbel

if TYPE_CHECKING:
    from cltr_twostage.policy import TwoStagePolicy

__all__ = ["BATCHES", "sampled_placement"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]

# Independent parts of a Monte Carlo estimate, whose spread is the error of whatever is computed from it.
BATCHES = 16
# Numbers per temporary array.
BLOCK = 1 << 20


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
        Means of 16 independent batches, float64 [16, n_rows, k] or, with weights, [16, n_rows]; and the standard errors
        of their mean, [n_rows, k] or [n_rows].

    Raises:
        ArgumentError: `n_samples` is below 16.
    """
    if isinstance(n_samples, bool) or not isinstance(n_samples, int | np.integer) or n_samples < BATCHES:
        raise ArgumentError(f"n_samples={n_samples!r}; expected a whole number of at least {BATCHES}")
    per_batch = -(-int(n_samples) // BATCHES)
    mixing = np.eye(policy.k) if rank_weights is None else rank_weights[:, None]
    candidates = policy.generator.candidates
    batches = np.zeros((BATCHES, policy.pool.n_rows, mixing.shape[1]))
    squares = np.zeros((policy.pool.n_rows, mixing.shape[1]))
    for queries, first, size in candidates.blocks(np.arange(policy.pool.n_queries)):
        width = max(1, BLOCK // (size * per_batch * policy.k))
        for begin in range(0, len(queries), width):
            rows = candidates.rows[first[begin : begin + width, None] + np.arange(size)]
            for batch in range(BATCHES):
                one = _draw(policy, rows, per_batch, mixing, rng)
                batches[batch, rows] = one.mean(axis=0)
                squares[rows] += np.einsum("sqdw,sqdw->qdw", one, one)
    total = BATCHES * per_batch
    mean = batches.mean(axis=0)
    stderr = np.sqrt(np.maximum(squares / total - mean**2, 0.0) / (total - 1))
    return (batches, stderr) if rank_weights is None else (batches[..., 0], stderr[:, 0])


def _draw(
    policy: "TwoStagePolicy", rows: LongArray, n: int, mixing: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Conditional placement, mixed over ranks, of `n` draws of each query: float64 [n, n_queries, n_docs, n_mixes].

    Args:
        policy: The policy.
        rows: int [n_queries, n_docs], equally many candidates of each query.
        n: Draws.
        mixing: float [k, n_mixes], weights of the ranks.
        rng: Source of randomness.
    """
    size, k = rows.shape[1], policy.k
    n_in = min(policy.n_candidates, size)
    candidate, ranker = policy.candidate_scores[rows], policy.ranker_scores[rows]
    keys = candidate + gumbel((n, *rows.shape), rng)
    order = _largest(keys, min(n_in + 1, size))
    members = order[..., :n_in]
    chance = _candidate_chance(candidate, np.take_along_axis(keys, order, axis=-1), members, n_in)
    arrivals = -(ranker + gumbel((n, *rows.shape), rng))
    inside = np.take_along_axis(arrivals, members, axis=-1)
    # A document outside replaces the last candidate; one inside is compared with the other candidates.
    out = _rank_chances(ranker, _first(inside[..., : n_in - 1], k), mixing) if size > n_in else None
    own = np.take_along_axis(np.broadcast_to(ranker, keys.shape), members, axis=-1)
    of_members = _rank_chances(own[..., None], _first_without_each(inside, k), mixing)[..., 0, :]
    if out is None:
        out = np.empty((*keys.shape, mixing.shape[1]))
    np.put_along_axis(out, members[..., None], of_members, axis=-2)
    return out * chance[..., None]


def _largest(keys: FloatArray, count: int) -> LongArray:
    """Places of the `count` largest keys [..., n], largest first."""
    if keys.shape[-1] > 4 * count:
        chosen = np.argpartition(-keys, count - 1, axis=-1)[..., :count]
        inner = np.argsort(-np.take_along_axis(keys, chosen, axis=-1), axis=-1)
        return np.take_along_axis(chosen, inner, axis=-1)
    return np.argsort(-keys, axis=-1)[..., :count]


def _candidate_chance(scores: FloatArray, top: FloatArray, members: LongArray, n_in: int) -> FloatArray:
    """Chance of each document to be a candidate given when the others arrive: float64 [n, n_queries, n_docs]."""
    shape = (*top.shape[:-1], scores.shape[-1])
    if scores.shape[-1] <= n_in:
        return np.ones(shape)
    # Arrival is exp(-key): the n-th of the others is the n-th of all for those outside, the next one for a candidate.
    log_tau = np.broadcast_to(-top[..., n_in - 1 : n_in], shape).copy()
    np.put_along_axis(log_tau, members, -top[..., n_in : n_in + 1], axis=-1)
    return -np.expm1(-_exp(scores + log_tau))


def _first(log_arrivals: FloatArray, k: int) -> FloatArray:
    """The first `k` arrivals [..., n] in order, infinity where there are fewer: float64 [..., k]."""
    n = log_arrivals.shape[-1]
    out = np.full((*log_arrivals.shape[:-1], k), np.inf)
    shown = min(n, k)
    if shown:
        ordered = log_arrivals if n <= shown else np.partition(log_arrivals, shown - 1, axis=-1)[..., :shown]
        out[..., :shown] = np.sort(ordered, axis=-1)
    return out


def _first_without_each(log_arrivals: FloatArray, k: int) -> FloatArray:
    """The first `k` arrivals among the others, for each one: float64 [..., n, k]."""
    ahead = _first(log_arrivals, k + 1)
    later = log_arrivals[..., :, None] <= ahead[..., None, :k]
    return np.where(later, ahead[..., None, 1:], ahead[..., None, :k])


def _rank_chances(scores: FloatArray, log_others: FloatArray, mixing: FloatArray) -> FloatArray:
    """Chance of each document at each rank given when the others arrive, mixed over ranks.

    Args:
        scores: float [..., n_docs], log-rates.
        log_others: float [..., k], first arrivals of the others, the same for all documents of the last axis.
        mixing: float [k, n_mixes].

    Returns:
        float64 [..., n_docs, n_mixes].
    """
    still_out = np.exp(-_exp(scores[..., :, None] + log_others[..., None, :]))
    # sum_r w_r (A_(r-1) - A_r) with A_0 = 1, gathered by A.
    steps = np.diff(mixing, axis=0, append=0.0)
    return np.asarray(mixing[0] + still_out @ steps)


def _exp(x: FloatArray) -> FloatArray:
    """exp without overflow: beyond 700 nothing is left to distinguish. -inf + inf, a rate of zero forever, is 0."""
    with np.errstate(invalid="ignore"):
        x = np.where(np.isnan(x), -np.inf, x)
    return np.exp(np.minimum(x, 700.0))
