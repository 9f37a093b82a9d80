"""Exact placement of documents by a two-stage Plackett-Luce policy, by quadrature over two exponential races.

Give each document two independent arrival times, exponential with rates exp(candidate score) and exp(ranker score). The
candidates are the first `n_candidates` arrivals of the first race; the shown list is the order in which these arrive in
the second. A set of candidates is complete when the next document, the first one left out, arrives at time t. So
document d stands at rank r with probability

    integral over t and u of  P(d arrived by t) * density(d arrives in the second race at u)
        * P(of the others: one is the first left out, at t; n_candidates - 1 arrived by t, and r - 1 of these by u)

Given t and u the others are independent, so the last factor is a polynomial in three counts, grown document by
document. Nothing is subtracted, so nothing cancels, and no set of candidates is enumerated.

Where the integrand is smooth the trapezoid rule converges faster than any power of the step (Takahasi and Mori, 1974).
The steps are chosen before the costly integrand is evaluated, on one-dimensional integrals with the same kinks: the
time at which the candidates are complete, and the first `k` arrivals of a second race with independent candidates.

Cost per query: n_times * n_second_times * n log n * k * the smaller of `n_candidates` and n - `n_candidates`, at most.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import wrightomega

from irworks.errors import ArgumentError
from irworks.simulate import placement_probabilities
from irworks.simulate.plackett_luce import checked_scores, require_at_least_one

__all__ = ["two_stage_cost", "two_stage_placement"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Profile = Callable[[FloatArray], FloatArray]

# Nodes below this share of the mass are not visited.
NEGLIGIBLE = 1e-15
TAIL = 1e-17
# A time later than exp(3.7) / rate, or earlier than exp(-40) / rate, has probability below 1e-17.
LATE, EARLY = 3.7, -40.0
# exp(-40) is below rounding: a document that far behind another follows it.
MAX_GAP = 40.0
GRID, MAX_GRID = 128, 1 << 13
STRIDES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32)
TOLERANCE = 1e-10
# Numbers per array: small enough for the processor's cache, large enough to hide the cost of a numpy call.
BLOCK = 1 << 15
QUERIES = 64


def two_stage_placement(candidate_scores: ArrayLike, ranker_scores: ArrayLike, n_candidates: int, k: int) -> FloatArray:
    candidate, ranker = checked_scores(candidate_scores), checked_scores(ranker_scores)
    n = candidate.shape[-1]
    out = np.zeros((candidate.size // n, n, k))
    flat, second = candidate.reshape(-1, n), ranker.reshape(-1, n)
    drawn = np.isfinite(flat)
    second = np.where(drawn, second, -np.inf)
    sampled = drawn.sum(axis=1) > n_candidates
    whole = ~sampled & np.isfinite(second).any(axis=1)
    if whole.any():
        out[whole] = placement_probabilities(second[whole], k)
    rows = np.flatnonzero(sampled)
    for start in range(0, len(rows), QUERIES):
        part = rows[start : start + QUERIES]
        out[part] = _integrate(flat[part], second[part], n_candidates, k)
    return np.minimum(out, 1.0).reshape(*candidate.shape, k)


@dataclass(frozen=True)
class Nodes:
    """Trapezoid nodes of several rows, one after the other.

    Attributes:
        count: int64 [n_rows], number of nodes of each row.
        time: float64 [count.sum()], logarithm of the time.
        weight: float64 [count.sum()], step in log time.
    """

    count: LongArray
    time: FloatArray
    weight: FloatArray

    @property
    def row(self) -> LongArray:
        return np.repeat(np.arange(len(self.count)), self.count)


def _integrate(candidate: FloatArray, ranker: FloatArray, n_candidates: int, k: int) -> FloatArray:
    first, middle = _completion_nodes(candidate, n_candidates)
    likely = -np.expm1(-_hazard(candidate, middle[:, None])[..., 0]).T
    ranker = _closed_up(ranker)
    second = _display_nodes(ranker, likely, k)
    return _sum_over_pairs(candidate, ranker, n_candidates, k, first, second)


def _hazard(scores: FloatArray, time: FloatArray) -> FloatArray:
    """Rate times time: float64 [n, n_rows, n_nodes] of scores [n_rows, n] and log times [n_rows, n_nodes]."""
    return np.exp(np.minimum(scores.T[:, :, None] + time, 700.0))


def _closed_up(scores: FloatArray) -> FloatArray:
    order = np.argsort(-scores, axis=1)
    ordered = np.take_along_axis(scores, order, axis=1)
    with np.errstate(invalid="ignore"):
        gaps = np.minimum(ordered[:, :-1] - ordered[:, 1:], MAX_GAP)
    closed = np.zeros_like(scores)
    closed[:, 1:] = -np.cumsum(np.nan_to_num(gaps), axis=1)
    closed = np.where(np.isfinite(ordered), closed, -np.inf)
    out = np.empty_like(scores)
    np.put_along_axis(out, order, closed, axis=1)
    return out


def _completion_nodes(scores: FloatArray, count: int) -> tuple[Nodes, FloatArray]:
    """Nodes for the time at which document number `count` + 1 arrives, and the median of its logarithm."""
    descending = -np.sort(-scores, axis=1)
    rest = np.logaddexp.accumulate(descending[:, ::-1], axis=1)[:, ::-1]
    low, high = rest[:, count] * -1 + EARLY, -descending[:, count] + LATE
    time = np.linspace(low, high, GRID // 2, axis=1)
    arrived = -np.expm1(-_hazard(scores, time))
    waiting_tail = _at_most(arrived, count)
    complete_tail = _at_least(arrived, count + 1)
    low, high = _bracket(time, complete_tail, waiting_tail)
    middle = np.take_along_axis(time, np.argmax(waiting_tail < 0.5, axis=1)[:, None], axis=1)[:, 0]

    def density(time: FloatArray) -> FloatArray:
        hazard = _hazard(scores, time)
        waiting = np.exp(-hazard)
        state = _opening(1, time.shape)
        total = scores.shape[1]
        low = 0
        for done in range(total):
            start, stop = max(0, count - (total - 1 - done)), min(count, done + 1) + 1
            state = _admit(state, low, start, stop, waiting[done], hazard[done] * waiting[done], -np.expm1(-hazard[done]))
            low = start
        return state[1, :1, 0]

    nodes = _thinned(low, high, middle, density, GRID)
    return nodes, middle


def _bracket(time: FloatArray, early: FloatArray, late: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The grid times between which something happens: the last with `early` tiny, the first with `late` tiny."""
    last = time.shape[1] - 1
    begin = np.maximum((early < TAIL).sum(axis=1) - 1, 0)
    end = np.minimum((late >= TAIL).sum(axis=1), last)
    index = np.arange(len(time))
    return time[index, begin], time[index, end]


def _at_most(arrived: FloatArray, count: int) -> FloatArray:
    state = np.zeros((count + 1, *arrived.shape[1:]))
    state[0] = 1.0
    for chance in arrived:
        moved = state[:-1] * chance
        state *= 1.0 - chance
        state[1:] += moved
    return state.sum(axis=0)


def _at_least(arrived: FloatArray, count: int) -> FloatArray:
    return _at_most(1.0 - arrived, len(arrived) - count)


def _display_nodes(scores: FloatArray, likely: FloatArray, k: int) -> Nodes:
    """Nodes for the first k arrivals of the second race. likely [n_rows, n]."""
    with np.errstate(divide="ignore"):
        centre = -np.logaddexp.reduce(scores + np.log(likely), axis=1)
    centre = np.where(np.isfinite(centre), centre, 0.0)
    last = np.where(np.isfinite(scores), -scores, -np.inf).max(axis=1)
    last = np.where(np.isfinite(last), last, 0.0) + LATE
    low = centre + EARLY
    time = np.linspace(low, np.maximum(last, low + 1), GRID // 2, axis=1)
    arrived = likely.T[:, :, None] * -np.expm1(-_hazard(scores, time))
    none_tail = 1 - _at_most(arrived, 0)
    low, high = _bracket(time, none_tail, _at_most(arrived, k - 1))

    def density(time: FloatArray) -> FloatArray:
        hazard = _hazard(scores, time)
        waiting = np.exp(-hazard)
        state = _opening(1, time.shape)
        for done in range(len(hazard)):
            chance = likely[:, done, None]
            arrive = -np.expm1(-hazard[done]) * chance
            state = _admit(state, 0, 0, min(k, done + 2), 1.0 - arrive, hazard[done] * waiting[done] * chance, arrive)
        return state[1, :, 0]

    grid = max(GRID, int((high - low).max() * 4))
    return _thinned(low, high, centre, density, grid)


def _opening(k: int, shape: tuple[int, ...]) -> FloatArray:
    state = np.zeros((2, 1, k, *shape))
    state[0, 0, 0] = 1.0
    return state


def _thinned(low: FloatArray, high: FloatArray, centre: FloatArray, density: Profile, grid: int) -> Nodes:
    """As few nodes as integrate every row of `density` between the given log times."""
    begin, end = (v + wrightomega(-v) for v in (low - centre, high - centre))
    while True:
        step = (end - begin) / (grid - 1)
        place = begin[:, None] + step[:, None] * np.arange(grid)
        bend = np.exp(-place)
        time = centre[:, None] + place - bend
        slope = step[:, None] * (1.0 + bend)
        mass = density(time) * slope
        halved = _stride_error(mass, 2)
        if halved.max() < TOLERANCE**0.5 or 2 * grid > MAX_GRID:
            break
        grid *= 2
    stride = np.ones(len(low), dtype=np.int64)
    for s in STRIDES:
        stride[_stride_error(mass, s) < TOLERANCE] = s
    used = (np.arange(grid) % stride[:, None] == 0) & (mass.max(axis=0) > NEGLIGIBLE)
    used[~used.any(axis=1), 0] = True
    return Nodes(used.sum(axis=1), time[used], (slope * stride[:, None])[used])


def _stride_error(mass: FloatArray, stride: int) -> FloatArray:
    total = mass.sum(axis=-1)
    sums = [stride * mass[..., offset::stride].sum(axis=-1) - total for offset in range(stride)]
    return np.abs(sums).max(axis=(0, 1))


def _admit(
    state: FloatArray,
    low: int,
    start: int,
    stop: int,
    stay: FloatArray,
    leave: FloatArray,
    after: FloatArray,
    before: FloatArray | None = None,
) -> FloatArray:
    new = np.empty((2, stop - start, *state.shape[2:]))
    held = low + state.shape[1]
    begin, end = max(start, low), min(stop, held)
    new[:, : begin - start] = 0.0
    new[:, end - start :] = 0.0
    kept = state[:, begin - low : end - low]
    np.multiply(kept, stay, out=new[:, begin - start : end - start])
    new[1, begin - start : end - start] += kept[0] * leave
    begin, end = max(start, low + 1), min(stop, held + 1)
    moved = state[:, begin - 1 - low : end - 1 - low]
    target = new[:, begin - start : end - start]
    target += moved * after
    if before is not None:
        target[:, :, 1:] += moved[:, :, :-1] * before
    return new


def _sum_over_pairs(
    candidate: FloatArray, ranker: FloatArray, n_candidates: int, k: int, first: Nodes, second: Nodes
) -> FloatArray:
    n = candidate.shape[1]
    hazard = np.exp(np.minimum(candidate[first.row].T + first.time, 700.0))
    stay = np.exp(-hazard)
    leave, joined = hazard * stay, -np.expm1(-hazard)
    hazard = np.exp(np.minimum(ranker[second.row].T + second.time, 700.0))
    later = np.exp(-hazard)
    earlier, now = -np.expm1(-hazard), hazard * later
    pairs = first.count * second.count
    total = int(pairs.sum())
    query = np.repeat(np.arange(len(pairs)), pairs)
    within = np.arange(total) - (np.cumsum(pairs) - pairs)[query]
    t = (np.cumsum(first.count) - first.count)[query] + within // second.count[query]
    u = (np.cumsum(second.count) - second.count)[query] + within % second.count[query]
    weight = first.weight[t] * second.weight[u]
    out = np.zeros((len(candidate), n, k))
    width = max(128, BLOCK // (2 * min(n_candidates, n - n_candidates + 1) * k))
    global stats
    stats = (first.count, second.count, total, width)
    for begin in range(0, total, width):
        part = slice(begin, begin + width)
        tp, up, qp = t[part], u[part], query[part]
        j = joined[:, tp]
        before = j * earlier[:, up]
        after = j * later[:, up]
        own = j * now[:, up] * weight[part]
        edges = np.flatnonzero(np.diff(qp, prepend=-1))
        block = np.empty((n, k, len(edges)))
        _leave_one_out(_opening(k, before.shape[1:]), 0, 0, n, n, n_candidates - 1, stay[:, tp], leave[:, tp], after, before, own, edges, block)
        out[qp[edges]] += block.transpose(2, 0, 1)
    return out


def _leave_one_out(state, low, begin, end, n, count, stay, leave, after, before, own, edges, out):
    if end - begin == 1:
        out[begin] = np.add.reduceat(state[1, 0] * own[begin], edges, axis=-1)
        return
    mid = (begin + end) // 2
    for mine, other in (((begin, mid), (mid, end)), ((mid, end), (begin, mid))):
        grown, at = state, low
        done = n - (end - begin)
        for j in range(*other):
            done += 1
            start, stop = max(0, count - (n - 1 - done)), min(count, done) + 1
            grown = _admit(grown, at, start, stop, stay[j], leave[j], after[j], before[j])
            at = start
        _leave_one_out(grown, at, *mine, n, count, stay, leave, after, before, own, edges, out)
def two_stage_cost(n: int, n_candidates: int, k: int) -> float:
    return 1.0
