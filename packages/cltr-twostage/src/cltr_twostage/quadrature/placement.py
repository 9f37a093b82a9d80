"""Exact placement of documents by a two-stage Plackett-Luce policy, by quadrature over two exponential races.

Give each document two independent arrival times, exponential with rates exp(candidate score) and exp(ranker score). The
candidates are the first `n_candidates` arrivals of the first race; the shown list is the order in which these arrive in
the second. A set of candidates is complete until the next document arrives, say at time t. So document d stands at rank
r with probability

    integral over t and u of  P(d arrived by t) * density(d arrives in the second race at u)
        * P(of the others: one is the next to arrive, at t; n_candidates - 1 arrived by t, r - 1 of these by u)

Given t and u the others are independent, so the last factor comes from a polynomial that grows document by document.
Nothing is subtracted, so nothing cancels, and no set of candidates is enumerated.

The nodes are chosen before the costly integrand is evaluated, on one-dimensional integrals with the same kinks: the
time at which the next document arrives, and the first `k` arrivals of the second race if, given t, documents were
candidates independently.

Cost per query: n_times * n_second_times * n log n * k * the smaller of `n_candidates` and n - `n_candidates`, at most.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.quadrature.counts import Chances, admit_all, hazard, leave_one_out, tails
from cltr_twostage.quadrature.gaps import MAX_GAP, closed_up
from cltr_twostage.quadrature.lists import two_stage_log_prob
from cltr_twostage.quadrature.nodes import EARLY, LATE, NEGLIGIBLE, Nodes, bracket, nodes_between, pair_up
from irworks.errors import ArgumentError
from irworks.simulate import placement_probabilities
from irworks.simulate.plackett_luce import checked_scores, require_at_least_one

__all__ = ["two_stage_cost", "two_stage_log_prob", "two_stage_placement"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

GRID, COARSE_GRID = 128, 64
# Times of the first race at which the second is looked at: by the chance that the set is complete, and the chance of
# being near such a time.
LEVELS = np.array([1e-12, 1e-9, 1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999])
SHARES = np.array([1e-9, 1e-6, 1e-3, 0.1, 1.0, 1.0, 1.0, 1.0])[:, None, None]
MIDDLE = 5
# Numbers per array: small enough for the processor's cache, large enough to hide the cost of a numpy call.
BLOCK, LEAST_WIDTH, RANKS = 1 << 15, 128, 128
# Seconds, as measured; nodes and pairs of nodes of ordinary scores.
PER_QUERY, PER_DOCUMENT, PER_CELL, SINGLE_NODES, PAIRS = 5e-4, 4e-5, 2.7e-9, 64, 850


def two_stage_placement(candidate_scores: ArrayLike, ranker_scores: ArrayLike, n_candidates: int, k: int) -> FloatArray:
    """The probability of each document at each rank of the list that a two-stage policy shows.

    The candidates are the first `n_candidates` of a Plackett-Luce ranking by the candidate scores, all documents where
    there are fewer; the shown list is the first `k` of a Plackett-Luce ranking of the candidates by the ranker scores.
    Exact to about 1e-10. Summing over the ranks gives the probability of being shown.

    Args:
        candidate_scores: float [..., n], log-weights of the candidate stage; -inf: never a candidate.
        ranker_scores: float [..., n], log-weights of the ranker; -inf: takes a place among the candidates if drawn, but
            is never shown.
        n_candidates: Number of candidates.
        k: Number of ranks, at most `n_candidates`.

    Returns:
        float64 [..., n, k]. Each rank sums over documents to the probability that it is filled.

    Raises:
        ArgumentError: Scores of different shapes, NaN, +inf or beyond +-1e12; candidate scores of a row that are all
            -inf; or `n_candidates` or `k` below 1, or `k` above `n_candidates`.
    """
    candidate, ranker = _checked(candidate_scores, ranker_scores, n_candidates, k)
    n = candidate.shape[-1]
    first, second = candidate.reshape(-1, n), ranker.reshape(-1, n)
    drawn = np.isfinite(first)
    if (empty := ~drawn.any(axis=1)).any():
        raise ArgumentError(
            f"row {int(np.flatnonzero(empty)[0])} of candidate_scores is all -inf; expected a document to draw"
        )
    second = np.where(drawn, second, -np.inf)
    out = np.zeros((len(first), n, k))
    contested = drawn.sum(axis=1) > n_candidates
    whole = ~contested & np.isfinite(second).any(axis=1)
    if whole.any():
        out[whole] = placement_probabilities(second[whole], k)
    rows = np.flatnonzero(contested)
    at_once = max(1, RANKS // k)
    for start in range(0, len(rows), at_once):
        block = rows[start : start + at_once]
        out[block] = _integrate(first[block], second[block], n_candidates, k)
    # Rounding can carry a certainty an ulp above one.
    return np.minimum(out, 1.0).reshape(*candidate.shape, k)


def two_stage_cost(n: int, n_candidates: int, k: int) -> float:
    """Roughly how long `two_stage_placement` takes for one query, in seconds on one core of a current processor.

    For scores that are a few units apart; scores that are tens of units apart need more nodes and take several times as
    long.

    Args:
        n: Number of documents.
        n_candidates: Number of candidates.
        k: Number of ranks.

    Raises:
        ArgumentError: A number below 1.
    """
    for name, value in (("n", n), ("n_candidates", n_candidates), ("k", k)):
        require_at_least_one(name, value)
    parts = [-(-n // 2**level) for level in range(n.bit_length())]
    if n <= n_candidates:
        return float(PER_QUERY + PER_CELL * SINGLE_NODES * n * len(parts) * k)
    cells = n * sum(min(n_candidates, n - n_candidates + 1, part) for part in parts)
    return float(PER_QUERY + PER_DOCUMENT * n + PER_CELL * PAIRS * 2 * k * cells)


def _checked(
    candidate_scores: ArrayLike, ranker_scores: ArrayLike, n_candidates: int, k: int
) -> tuple[FloatArray, FloatArray]:
    """Both tables of scores as float64 [..., n]."""
    candidate, ranker = checked_scores(candidate_scores), checked_scores(ranker_scores)
    if candidate.shape != ranker.shape:
        raise ArgumentError(
            f"candidate_scores has shape {candidate.shape}, ranker_scores {ranker.shape}; expected the same"
        )
    require_at_least_one("n_candidates", n_candidates)
    require_at_least_one("k", k)
    if k > n_candidates:
        raise ArgumentError(f"k={k} with n_candidates={n_candidates}; expected no more ranks than candidates")
    return candidate, ranker


def _integrate(candidate: FloatArray, ranker: FloatArray, n_candidates: int, k: int) -> FloatArray:
    """Placement [n_queries, n, k] where every query has more than `n_candidates` documents to draw."""
    candidate = candidate - np.logaddexp.reduce(candidate, axis=1, keepdims=True)
    ranker, order, gaps = closed_up(ranker)
    alone = _alone_in_order(ranker, order, gaps)
    first, typical = _completion_nodes(candidate, n_candidates)
    race = _arrivals(hazard(candidate[first.row].T, first.log_time))
    member = _membership(candidate, n_candidates, typical)
    out = np.zeros((*candidate.shape, k))
    for second, display in (_crowded(ranker, alone, member, k), _alone(ranker, alone)):
        _add_pairs(out, n_candidates, first, race, second, display)
    return out


def _alone_in_order(scores: FloatArray, order: LongArray, gaps: FloatArray) -> BoolArray:
    """Whether a document has a gap of MAX_GAP on both sides: bool [n_queries, n]; see `closed_up`."""
    wide = np.pad(gaps >= MAX_GAP, ((0, 0), (1, 1)), constant_values=True)
    out = np.empty(scores.shape, dtype=np.bool_)
    np.put_along_axis(out, order, wide[:, :-1] & wide[:, 1:], axis=1)
    return out & np.isfinite(scores)


def _completion_nodes(scores: FloatArray, count: int) -> tuple[Nodes, FloatArray]:
    """Nodes for the time at which document `count` + 1 arrives, and the log times [n_queries, n_levels] of LEVELS."""
    descending = -np.sort(-scores, axis=1)
    rest = np.logaddexp.accumulate(descending[:, ::-1], axis=1)[:, ::-1]
    log_time = np.linspace(EARLY - rest[:, count], LATE - descending[:, count], COARSE_GRID, axis=1)
    by_document = scores.T[:, :, None]
    still_open, complete = tails(-np.expm1(-hazard(by_document, log_time)), count)
    rows = np.arange(len(scores))
    typical = np.stack([log_time[rows, np.argmax(complete >= level, axis=1)] for level in LEVELS], axis=1)

    def density(log_time: FloatArray) -> FloatArray:
        return np.asarray(admit_all(_arrivals(hazard(by_document, log_time)), count)[0])

    low, high = bracket(log_time, complete, still_open)
    return nodes_between(low, high, typical[:, MIDDLE], density, GRID), typical


def _arrivals(risk: FloatArray) -> Chances:
    """The first race alone: waiting, arriving now (density in log time), arrived; for hazards [n, ...]."""
    waiting = np.exp(-risk)
    return Chances(waiting, risk * waiting, -np.expm1(-risk))


def _membership(scores: FloatArray, count: int, log_time: FloatArray) -> FloatArray:
    """Chance of being a candidate if the next document arrives at a given time.

    Args:
        scores: float64 [n_queries, n], candidate scores.
        count: Number of candidates.
        log_time: float64 [n_queries, n_times].

    Returns:
        float64 [n, n_times, n_queries].
    """
    n_queries, n_times = log_time.shape
    chances = _arrivals(hazard(np.repeat(scores, n_times, axis=0).T, log_time.ravel()))
    nodes = np.arange(log_time.size)
    joint = leave_one_out(chances, chances.join, count - 1, 1, nodes)[:, 0]
    # Every completed set has `count` members.
    share = count * joint / joint.sum(axis=0)
    return np.asarray(np.minimum(share, 1.0).reshape(-1, n_queries, n_times).transpose(0, 2, 1))


def _alone(scores: FloatArray, alone: BoolArray) -> tuple[Nodes, Chances]:
    """One node for each document that nobody else's arrival can mingle with: whoever scores higher was before it."""
    row, document = np.nonzero(alone)
    before = (scores[row] > scores[row, document][:, None]).T.astype(np.float64)
    itself = (np.arange(scores.shape[1])[:, None] == document).astype(np.float64)
    nodes = Nodes(alone.sum(axis=1), np.zeros(len(row)), np.ones(len(row)))
    return nodes, Chances(stay=1.0 - before, leave=itself, join=before)


def _crowded(scores: FloatArray, alone: BoolArray, member: FloatArray, k: int) -> tuple[Nodes, Chances]:
    """Nodes for the first `k` arrivals of the second race where they are not of documents alone.

    Args:
        scores: float64 [n_queries, n], ranker scores.
        alone: bool [n_queries, n], documents to leave out.
        member: float64 [n, n_times, n_queries], chance of being a candidate, at each of LEVELS.
        k: Number of ranks.
    """
    by_document, crowded = scores.T[:, :, None], ~alone & np.isfinite(scores)
    # Even a rare candidate has to be resolved, so the nodes may spread only before all of these arrive.
    expected = np.where((member.max(axis=1).T > NEGLIGIBLE) & crowded, scores, -np.inf)
    centre = -np.logaddexp.reduce(expected, axis=1)
    centre = np.where(np.isfinite(centre), centre, 0.0)
    end = LATE - np.where(crowded, scores, -centre[:, None]).min(axis=1)
    log_time = np.linspace(centre + EARLY, end, COARSE_GRID, axis=1)
    member = member[..., None]
    arrived = member * -np.expm1(-hazard(by_document, log_time))[:, None]
    begun, unfinished = (arrived * crowded.T[:, None, :, None]).sum(axis=0), tails(arrived, k - 1)[0]
    low, high = bracket(log_time, (begun * SHARES).max(axis=0), (unfinished * SHARES).max(axis=0))

    def density(log_time: FloatArray) -> FloatArray:
        each = _arrivals(hazard(by_document, log_time)[:, None])
        join, now = each.join * member, each.leave * member * crowded.T[:, None, :, None]
        ranks = admit_all(Chances(1.0 - join, now, join), k - 1, every_count=True)[:, 0]
        return np.asarray((ranks * SHARES).reshape(-1, *log_time.shape))

    # A node a quarter apart resolves every kink; where few happen, most of the grid is not used.
    nodes = nodes_between(low, high, centre, density, max(GRID, int(4 * (high - low).max())))
    each = _arrivals(hazard(scores[nodes.row].T, nodes.log_time))
    return nodes, Chances(each.stay, each.leave * crowded[nodes.row].T, each.join)


def _add_pairs(
    out: FloatArray, n_candidates: int, first: Nodes, race: Chances, second: Nodes, display: Chances
) -> None:
    """Add the two-dimensional trapezoid sum to `out` [n_queries, n, k].

    Args:
        out: Where to add.
        n_candidates: Number of candidates.
        first: Nodes of the first race.
        race: The first race at `first`: not arrived, arriving now, arrived.
        second: Nodes of the second race.
        display: The second race at `second`.
    """
    n, k = out.shape[1:]
    query, t, u = pair_up(first, second)
    weight = first.step[t] * second.step[u]
    width = max(LEAST_WIDTH, BLOCK // (2 * k * min(n_candidates, n - n_candidates + 1)))
    for start in range(0, len(query), width):
        part = slice(start, start + width)
        joined = race.join[:, t[part]]
        chances = Chances(
            stay=race.stay[:, t[part]],
            leave=race.leave[:, t[part]],
            join=joined * display.stay[:, u[part]],
            before=joined * display.join[:, u[part]],
        )
        own = joined * display.leave[:, u[part]] * weight[part]
        edges = np.flatnonzero(np.diff(query[part], prepend=-1))
        # A query whose pairs end in the next block comes up again there.
        out[query[part][edges]] += leave_one_out(chances, own, n_candidates - 1, k, edges).transpose(2, 0, 1)
