"""Gradients of the two-stage utility with respect to the scores of both stages, estimated from sampled lists.

The utility of query q is E_{y_c} E_{y_r} [ sum_k alpha_k r(y_r[k]) ]: the candidates y_c are the first `n_candidates`
of a Plackett-Luce ranking by the candidate scores, and y_r the first k of one by the ranker scores among them.

Four estimators, all unbiased:

- REINFORCE with the mean of the other samples as baseline, for either stage (Kool et al., 2019).
- PL-Rank for the ranker, in the cumulative form (Oosterhuis, SIGIR 2021 and 2022), inside each sampled y_c.
- Credit for the candidate stage: see `candidate_credit`.

Arrays are blocks [n_queries, width], padded with score -inf; samples come first: [n_samples, n_queries, width]. Sums of
weights stay in logs and quotients are formed so that they never exceed one: scores of +-1e4 do not overflow.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.learning.races import Draws, largest, seen, take
from irworks.errors import ArgumentError

__all__ = [
    "candidate_credit",
    "candidate_reinforce",
    "leave_one_out",
    "ranker_plrank",
    "ranker_reinforce",
]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]

# exp(700) is near the largest double.
MAX_EXPONENT = 700.0


# -- REINFORCE and PL-Rank --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Choices:
    """Plackett-Luce choices without replacement, and the log of the weight that was left before each.

    Attributes:
        chosen: float64 [..., k], scores of the documents drawn, in order.
        rest: float64 [..., n], scores of all the others, -inf for those drawn.
        log_left: float64 [..., k], log Z_k; 0 where no document was left.
        shrink: float64 [..., k - 1], Z_{k + 1} / Z_k, at most 1.
    """

    chosen: FloatArray
    rest: FloatArray
    log_left: FloatArray
    shrink: FloatArray

    @classmethod
    def of(cls, scores: FloatArray, order: LongArray) -> "_Choices":
        chosen = take(scores, order)
        rest = np.array(np.broadcast_to(scores, (*order.shape[:-1], scores.shape[-1])))
        np.put_along_axis(rest, order, -np.inf, axis=-1)
        chain = np.concatenate([_log_sum(rest), chosen[..., ::-1]], axis=-1)
        log_left = np.logaddexp.accumulate(chain, axis=-1)[..., :0:-1]
        some = np.isfinite(log_left)
        finite = np.where(some, log_left, 0.0)
        shrink = np.exp(np.where(some[..., 1:], log_left[..., 1:] - finite[..., :-1], -np.inf))
        return cls(chosen, rest, finite, shrink)

    def summed(self, gains: FloatArray) -> FloatArray:
        """Z_i * sum_{k <= i} gains_k / Z_k: float64 [..., k]. Carried along, so that no 1 / Z can overflow."""
        total = np.array(np.broadcast_to(gains, self.log_left.shape))
        for rank in range(1, total.shape[-1]):
            total[..., rank] += total[..., rank - 1] * self.shrink[..., rank - 1]
        return total

    def share_chosen(self) -> FloatArray:
        """exp(score) / Z at the own rank of each document drawn: float64 [..., k]."""
        return np.exp(self.chosen - self.log_left)

    def share_rest(self) -> FloatArray:
        """exp(score) / Z at the last rank, 0 for the documents drawn: float64 [..., n]."""
        return np.exp(self.rest - self.log_left[..., -1:])


def _log_sum(scores: FloatArray) -> FloatArray:
    """Log of the summed weights [..., 1]; -inf where there are none."""
    largest = scores.max(axis=-1, keepdims=True)
    largest[np.isneginf(largest)] = 0.0
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(scores - largest).sum(axis=-1, keepdims=True)) + largest)


def _log_prob_gradient(scores: FloatArray, order: LongArray) -> FloatArray:
    """Gradient of the log-probability of drawing `order` [..., k] with respect to the scores: float64 [..., n].

    d/ds_j = 1[j drawn] - exp(s_j) sum_{k <= rank(j)} 1 / Z_k, over all k for a document that was not drawn.
    """
    choices = _Choices.of(scores, order)
    inverse = choices.summed(np.ones(order.shape[-1]))
    out: FloatArray = choices.share_rest() * -inverse[..., -1:]
    drawn = np.isfinite(choices.chosen) - choices.share_chosen() * inverse
    np.put_along_axis(out, order, drawn, axis=-1)
    return out


def leave_one_out(values: FloatArray) -> FloatArray:
    """Values [n_samples, n_queries] less the mean of the other samples, which is independent of the sample."""
    if len(values) < 2:
        raise ArgumentError(f"n_samples={len(values)}; expected at least 2 for a leave-one-out baseline")
    centred: FloatArray = (values - values.mean(axis=0)) * (len(values) / (len(values) - 1))
    return centred


def candidate_reinforce(draws: Draws, values: FloatArray) -> FloatArray:
    """REINFORCE with leave-one-out baseline for the candidate scores.

    Args:
        draws: At least two samples.
        values: float64 [n_samples, n_queries], what each sample earned.

    Returns:
        float64 [n_queries, width].
    """
    gradient = _log_prob_gradient(draws.candidate, draws.candidates)
    return _weighted_mean(leave_one_out(values), gradient)


def ranker_reinforce(draws: Draws, values: FloatArray, k: int) -> FloatArray:
    """REINFORCE with leave-one-out baseline for the ranker scores.

    Args:
        draws: At least two samples.
        values: float64 [n_samples, n_queries], what each sample earned.
        k: Length of the ranker's list.

    Returns:
        float64 [n_queries, width].
    """
    listed = draws.candidates
    order = largest(take(draws.ranker_key, listed), min(k, draws.n_candidates))
    gradient = _log_prob_gradient(take(draws.ranker, listed), order)
    return _spread(draws, leave_one_out(values)[..., None] * gradient)


def ranker_plrank(draws: Draws, relevance: FloatArray, rank_weights: FloatArray) -> FloatArray:
    """PL-Rank for the ranker scores, inside every sampled candidate list.

    With PR_i = sum_{k >= i} alpha_k r(y_k), RI_i = sum_{k <= i} PR_k / Z_k and DR_i = sum_{k <= i} alpha_k / Z_k, the
    document d at rank i (the last rank, if it is not shown) has the gradient PR_{i + 1} + exp(s_d) (r(d) DR_i - RI_i).
    Relevance is centred within the candidates first. That leaves the gradient as it is, since a constant earns the same
    in every order, and takes away a half to five sixths of its variance.

    Args:
        draws: Sampled lists.
        relevance: float64 [n_queries, width].
        rank_weights: float64 [k], alpha.

    Returns:
        float64 [n_queries, width].
    """
    listed = draws.candidates
    order = largest(take(draws.ranker_key, listed), min(len(rank_weights), draws.n_candidates))
    alpha = rank_weights[: order.shape[-1]]
    scores = take(draws.ranker, listed)
    choices = _Choices.of(scores, order)
    earned = _centred(take(relevance, listed), scores, choices.log_left[..., :1])
    shown = take(earned, order)
    below = np.cumsum((alpha * shown)[..., ::-1], axis=-1)[..., ::-1]
    own, all_below = choices.summed(alpha), choices.summed(below)
    out = choices.share_rest() * (earned * own[..., -1:] - all_below[..., -1:])
    drawn = choices.share_chosen() * (shown * own - all_below)
    drawn[..., :-1] += below[..., 1:]
    # What can never be shown fills the last ranks, and has no gradient.
    np.put_along_axis(out, order, np.where(np.isfinite(choices.chosen), drawn, 0.0), axis=-1)
    return _spread(draws, out)


def _centred(relevance: FloatArray, scores: FloatArray, log_sum: FloatArray) -> FloatArray:
    """Relevance less its mean under softmax(scores); 0 for what is never shown: float64 [..., n]."""
    mean = (np.exp(scores - log_sum) * relevance).sum(axis=-1, keepdims=True)
    return np.where(np.isfinite(scores), relevance - mean, 0.0)


def _weighted_mean(weights: FloatArray, gradient: FloatArray) -> FloatArray:
    return np.asarray(np.einsum("mq,mqw->qw", weights, gradient) / len(weights))


def _spread(draws: Draws, values: FloatArray) -> FloatArray:
    """The mean over samples of values [n_samples, n_queries, n_candidates] of the candidates: [n_queries, width]."""
    n_queries, width = draws.candidate.shape
    cell = draws.candidates + (np.arange(n_queries) * width)[:, None]
    total = np.bincount(cell.ravel(), values.ravel(), minlength=n_queries * width)
    return np.asarray(total.reshape(n_queries, width) / len(values))


# -- credit -----------------------------------------------------------------------------------------------------------


def candidate_credit(draws: Draws, relevance: FloatArray, rank_weights: FloatArray | None) -> FloatArray:
    """Credit-assigned gradient for the candidate scores: every document answers for its own place only.

    Hold the arrivals of all documents but j: tau, the n_candidates-th of them, decides whether j makes it, which has
    probability 1 - exp(-exp(s_j) tau), and what the list then is. So

        d/ds_j E[V] = E[ (V(S with j) - V(S without j)) x exp(-x) ],  x = exp(s_j) tau,

    unbiased, without the noise of the other documents' places that REINFORCE multiplies into every gradient. One race
    serves all documents: without candidate j, the first that came too late moves up; with a document that came too
    late, the last candidate goes. V is read off the ranker's own keys, the same ones for both lists.

    Args:
        draws: Sampled lists.
        relevance: float64 [n_queries, width].
        rank_weights: float64 [k], alpha. None: V is the summed relevance of the candidates, whatever the ranker does.

    Returns:
        float64 [n_queries, width]. 0 for a query that has no more documents than candidates.
    """
    if draws.arrived.shape[-1] == draws.n_candidates:
        return np.zeros(draws.candidate.shape)
    if rank_weights is None:
        inside, outside = _additive_gains(draws, np.where(np.isfinite(draws.candidate), relevance, 0.0))
    else:
        inside, outside = _ranked_gains(draws, seen(draws, relevance), rank_weights)
    last, late = draws.arrival_key[..., -2:-1], draws.arrival_key[..., -1:]
    out = outside * _nudge(draws.candidate, last)
    listed = draws.candidates
    np.put_along_axis(out, listed, inside * _nudge(take(draws.candidate, listed), late), axis=-1)
    return np.asarray(out.mean(axis=0))


def _nudge(scores: FloatArray, key: FloatArray) -> FloatArray:
    """d/ds P(arrival before tau) = x exp(-x), x = exp(s) tau, log tau = -key; 0 for no document or tau infinite."""
    never = np.isneginf(key)
    log_x = np.minimum(scores - np.where(never, 0.0, key), MAX_EXPONENT)
    return np.where(never, 0.0, np.exp(log_x - np.exp(log_x)))


def _additive_gains(draws: Draws, relevance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What a candidate, and any other document, adds to the summed relevance of the candidates."""
    arrived = take(relevance, draws.arrived)
    return arrived[..., :-1] - arrived[..., -1:], relevance - arrived[..., -2:-1]


def _ranked_gains(draws: Draws, relevance: FloatArray, rank_weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What a candidate [..., n_candidates], and any other document [..., width], adds to what the ranker earns."""
    keys = take(draws.ranker_key, draws.arrived)
    arrived = take(relevance, draws.arrived)
    without = _values_without_one(keys, arrived, rank_weights)
    # Without the one that came too late, the arrivals are the candidates.
    value = without[..., -1:]
    inside = value - without[..., :-1]
    kept = slice(0, draws.n_candidates - 1)
    joined = _values_with_one(keys[..., kept], arrived[..., kept], draws.ranker_key, relevance, rank_weights)
    return inside, joined - value


def _values_without_one(keys: FloatArray, relevance: FloatArray, rank_weights: FloatArray) -> FloatArray:
    """Value of the list when one of its documents is left out: float64 [..., n], for keys and relevance [..., n]."""
    k = len(rank_weights)
    top = largest(keys, min(k + 1, keys.shape[-1]))
    ranked = take(relevance, top)
    alpha = _extended(rank_weights, ranked.shape[-1])
    before = _cumulated(alpha * ranked)
    # One that is left out lets all those below it move up by a rank.
    moved = np.concatenate([ranked[..., 1:] * alpha[:-1], np.zeros((*ranked.shape[:-1], 1))], axis=-1)
    after = np.cumsum(moved[..., ::-1], axis=-1)[..., ::-1]
    out = np.repeat(before[..., -1:], keys.shape[-1], axis=-1)
    np.put_along_axis(out, top, before[..., :-1] + after, axis=-1)
    return out


def _values_with_one(
    keys: FloatArray, relevance: FloatArray, joining_key: FloatArray, joining: FloatArray, rank_weights: FloatArray
) -> FloatArray:
    """Value of the list [..., n] when a document joins it: float64 [..., width], for each that could."""
    top = largest(keys, min(len(rank_weights), keys.shape[-1]))
    top_keys, ranked = take(keys, top), take(relevance, top)
    alpha = _extended(rank_weights, ranked.shape[-1] + 1)
    # One that joins pushes those below it down by a rank, and the last one out.
    moved = np.concatenate([ranked * alpha[1:], np.zeros((*ranked.shape[:-1], 1))], axis=-1)
    others = _cumulated(alpha[:-1] * ranked) + np.cumsum(moved[..., ::-1], axis=-1)[..., ::-1]
    place = np.zeros(joining_key.shape, dtype=np.int8 if len(alpha) < 128 else np.int64)
    for rank in range(top_keys.shape[-1]):
        place += (top_keys[..., rank, None] > joining_key).view(np.int8)
    return np.asarray(take(others, place) + alpha.take(place) * joining)


def _extended(rank_weights: FloatArray, n: int) -> FloatArray:
    """The first `n` rank weights, 0 beyond the last."""
    return np.concatenate([rank_weights[:n], np.zeros(max(0, n - len(rank_weights)))])


def _cumulated(terms: FloatArray) -> FloatArray:
    """Sums of the first 0, 1, ..., n terms: float64 [..., n + 1]."""
    out = np.zeros((*terms.shape[:-1], terms.shape[-1] + 1))
    np.cumsum(terms, axis=-1, out=out[..., 1:])
    return out
