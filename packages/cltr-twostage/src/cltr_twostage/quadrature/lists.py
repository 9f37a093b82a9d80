"""Exact log-probabilities of the lists that a two-stage Plackett-Luce policy shows, summed over the candidate sets.

Given the candidates, the probability of a list is a product of w_i / (c_i + rest): w_i the ranker weight of the i-th
document, c_i the summed weights of the list from there on, `rest` those of the candidates that are not shown. Such a
product is the integral over u of exp(-u * rest) times the density of a sum of exponential waiting times of rates c_i,
and exp(-u * rest) is a product over documents. With the time t at which the candidates are complete, as in
`cltr_twostage.quadrature.placement`, what remains at (t, u) is one polynomial that grows document by document.

Each list has nodes of its own, around the largest value of its integrand, so that unlikely lists are as exact as likely
ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.quadrature.counts import Chances, admit_all, hazard
from cltr_twostage.quadrature.nodes import LATE, Nodes, Profile, nodes_between, pair_up
from irworks.errors import ArgumentError
from irworks.simulate import log_prob
from irworks.simulate.plackett_luce import check_rankings, checked_scores, require_at_least_one

__all__ = ["two_stage_log_prob"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]

# The log of a time by which everything has happened.
END = 1e13
# Scan times lie this far apart, and reach this far from every document's own time.
SCAN_STEP, SCAN_REACH, MOST_SCANNED = 1.5, 4.0, 48
# Where the log of the integrand is this far below its largest value, nothing is lost by leaving it out.
DEPTH, SHALLOW, SPREAD, FAR = 40.0, 22.0, 40.0, 60.0
GRID = 128
# A density whose log is smaller may have lost digits to underflow.
SMALL = -460.0
# The contour bends back at this angle and is cut where exp(z) has fallen by exp(38); 24 points then give 14 digits.
ANGLE, FALL, CONTOUR = 0.8, 38.0, 24
# Numbers per array: small enough for the processor's cache, large enough to hide the cost of a numpy call.
BLOCK, LISTS = 1 << 15, 64


def two_stage_log_prob(
    candidate_scores: ArrayLike, ranker_scores: ArrayLike, lists: ArrayLike, n_candidates: int
) -> FloatArray:
    """Log-probability that the list shown for one query begins with the given documents.

    Relative error of the probability about 1e-9, at worst 1e-8, also of unlikely lists; some milliseconds for a list
    out of 30 documents, 10 candidates and 4 ranks. Lists may repeat: each is computed once. Where scores lie more than
    60 apart, a list less likely than about exp(-60) that comes about in two equally unlikely ways may be credited with
    one.

    Args:
        candidate_scores: float [n], log-weights of the candidate stage; -inf: never a candidate.
        ranker_scores: float [n], log-weights of the ranker; -inf: never shown.
        lists: int [n_lists, width], distinct document indices in rank order. -1 after the last document: the list ends
            there, because every other candidate has ranker score -inf or there is none.
        n_candidates: Number of candidates.

    Returns:
        float64 [n_lists]; -inf for a list that cannot be shown.

    Raises:
        ArgumentError: Scores of different shapes, NaN, +inf or beyond +-1e12, candidate scores that are all -inf,
            `n_candidates` below 1, lists longer than that, an index out of range, or a document twice in a list.
    """
    candidate, ranker, table = _checked(candidate_scores, ranker_scores, lists, n_candidates)
    if not len(table):
        return np.zeros(0)
    unique, place = np.unique(table, axis=0, return_inverse=True)
    drawn = np.isfinite(candidate)
    weightless = int((drawn & np.isneginf(ranker)).sum())
    ranker = np.where(drawn, ranker, -np.inf)
    length = (unique >= 0).sum(axis=1)
    ended = length < unique.shape[1]
    can_be_shown = ~((unique >= 0) & np.isneginf(ranker[unique])).any(axis=1)
    out = np.full(len(unique), -np.inf)
    if drawn.sum() <= n_candidates:
        rows = can_be_shown & (~ended | (length == np.isfinite(ranker).sum()))
        out[rows] = log_prob(ranker, unique[rows]) if rows.any() else 0.0
        return np.asarray(out[place.ravel()])
    alone = ended | (length == n_candidates)
    # A list that ends leaves only candidates that are never shown.
    can_be_shown &= ~ended | (length + weightless >= n_candidates)
    for shown, sole in sorted(set(zip(length.tolist(), alone.tolist(), strict=True))):
        rows = np.flatnonzero(can_be_shown & (length == shown) & (alone == sole))
        for start in range(0, len(rows), LISTS):
            block = rows[start : start + LISTS]
            of_length = _Lists.of(candidate, ranker, unique[block, :shown], n_candidates)
            out[block] = _log_sum_alone(of_length) if sole else _log_sum(of_length)
    return np.asarray(out[place.ravel()])


def _checked(
    candidate_scores: ArrayLike, ranker_scores: ArrayLike, lists: ArrayLike, n_candidates: int
) -> tuple[FloatArray, FloatArray, LongArray]:
    candidate, ranker = checked_scores(candidate_scores), checked_scores(ranker_scores)
    if candidate.ndim != 1 or candidate.shape != ranker.shape:
        raise ArgumentError(
            f"candidate_scores has shape {candidate.shape}, ranker_scores {ranker.shape}; expected [n] for both"
        )
    if np.isneginf(candidate).all():
        raise ArgumentError("candidate_scores is all -inf; expected a document to draw")
    require_at_least_one("n_candidates", n_candidates)
    table = np.asarray(lists)
    if table.ndim != 2:
        raise ArgumentError(f"lists has shape {table.shape}; expected [n_lists, width]")
    check_rankings(table, len(candidate))
    longest = int((table >= 0).sum(axis=1).max(initial=0))
    if longest > n_candidates:
        raise ArgumentError(f"a list holds {longest} documents; expected at most n_candidates={n_candidates}")
    return candidate, ranker, table.astype(np.int64)


@dataclass(frozen=True, eq=False)
class _Lists:
    """Lists of one length, over one query.

    Attributes:
        others: float64 [n_lists, n], candidate scores; -inf for the documents of the list.
        ranker: float64 [n], ranker scores.
        own_candidate: float64 [n_lists, length], candidate scores of the documents of the list.
        own_ranker: float64 [n_lists, length], their ranker scores.
        unshown: Number of candidates that are not in the list.
    """

    others: FloatArray
    ranker: FloatArray
    own_candidate: FloatArray
    own_ranker: FloatArray
    unshown: int

    @classmethod
    def of(cls, candidate: FloatArray, ranker: FloatArray, lists: LongArray, n_candidates: int) -> "_Lists":
        others = np.repeat(candidate[None], len(lists), axis=0)
        np.put_along_axis(others, lists, -np.inf, axis=1)
        return cls(others, ranker, candidate[lists], ranker[lists], n_candidates - lists.shape[1])

    def __len__(self) -> int:
        return len(self.others)

    def log_set_density(self, row: LongArray, t: FloatArray, u: FloatArray) -> FloatArray:
        """Log of E[exp(-u * rest); the list is in the set; it is completed at t]: float64 [n_nodes], density in log t.

        Args:
            row: int64 [n_nodes], the list.
            t: float64 [n_nodes], log time of the first race.
            u: float64 [n_nodes], log time of the second.
        """
        own = self.own_candidate[row] + t[:, None]
        sets = np.concatenate([self._log_sets(row[part], t[part], u[part]) for part in self._blocks(len(row))])
        return np.asarray(sets + _log_arrived(own).sum(axis=1))

    def _blocks(self, n_nodes: int) -> list[slice]:
        window = min(self.unshown, len(self.ranker) - self.own_ranker.shape[1] - self.unshown) + 1
        width = max(128, BLOCK // (2 * window))
        return [slice(start, start + width) for start in range(0, n_nodes, width)]

    def _log_sets(self, row: LongArray, t: FloatArray, u: FloatArray) -> FloatArray:
        log_risk, kill = self.others[row].T + t, hazard(self.ranker[:, None], u)
        risk = hazard(self.others[row].T, t)
        waiting = np.exp(-risk)
        plain = Chances(waiting, risk * waiting, -np.expm1(-risk) * np.exp(-kill))
        with np.errstate(divide="ignore"):
            out = np.log(admit_all(plain, self.unshown)[0, 0])
        small = np.flatnonzero(out < SMALL)
        if len(small):
            out[small] = _log_scaled(log_risk[:, small], kill[:, small], self.unshown)
        return np.asarray(out)

    def log_order_density(self, row: LongArray, u: FloatArray) -> FloatArray:
        """Log density in log u of the sum of waiting times, over the product of c_i / w_i: float64 [n_nodes]."""
        own = self.own_ranker[row]
        last = own[:, -1] + u
        # Rates beyond the last one's, which a sum from the end gives without a difference.
        beyond = np.logaddexp.accumulate(own[:, -2::-1], axis=1) + u[:, None]
        beyond = np.concatenate([np.full((len(own), 1), -np.inf), beyond], axis=1)
        return np.asarray(own.sum(axis=1) + own.shape[1] * u - np.exp(np.minimum(last, 700.0)) + _log_bromwich(beyond))


def _log_arrived(log_risk: FloatArray) -> FloatArray:
    """Log of the chance to have arrived, given the log of the hazard."""
    # Below exp(-30), the chance is the hazard itself.
    with np.errstate(divide="ignore"):
        return np.where(log_risk < -30.0, log_risk, np.log(-np.expm1(-np.exp(np.minimum(log_risk, 700.0)))))


def _log_scaled(log_risk: FloatArray, kill: FloatArray, count: int) -> FloatArray:
    """As the plain polynomial, for sets so unlikely that it would underflow: float64 [n_nodes], log density.

    Args:
        log_risk: float64 [n, n_nodes], log hazards of the first race.
        kill: float64 [n, n_nodes], hazards of the second.
        count: Number of candidates to choose.
    """
    risk = np.exp(np.minimum(log_risk, 700.0))
    log_join, log_leave = _log_arrived(log_risk) - kill, log_risk - risk
    # In units of the last one that has to join, everybody's larger chance is about one.
    unit = np.sort(log_join, axis=0)[len(log_join) - count] if count else np.zeros(log_join.shape[1])
    unit = np.where(np.isfinite(unit), unit, 0.0)
    scale, top = np.maximum(log_join - unit, 0.0), log_leave.max(axis=0)
    chances = Chances(np.exp(-risk - scale), np.exp(log_leave - top - scale), np.exp(log_join - unit - scale))
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(admit_all(chances, count)[0, 0]) + count * unit + scale.sum(axis=0) + top)


def _log_bromwich(log_rates: FloatArray) -> FloatArray:
    """Log of the inverse Laplace transform at time one of the product of 1 / (z + rate), rates [n_nodes, length].

    By the trapezoid rule on a hyperbola around the negative axis (Weideman and Trefethen, 2007) that is scaled to pass
    through the saddle point of the integrand. The first rate is zero.
    """
    rates = np.exp(np.minimum(log_rates, 300.0))
    saddle = np.ones(len(rates))
    # From the left, Newton's method climbs to the root and never passes it.
    for _ in range(12):
        inverse = 1.0 / (saddle[:, None] + rates)
        saddle += (inverse.sum(axis=1) - 1.0) / (inverse**2).sum(axis=1)
    scale = saddle / (1.0 - np.sin(ANGLE))
    step = np.arccosh((1.0 - (saddle - FALL) / scale) / np.sin(ANGLE)) / CONTOUR
    grown = np.exp(step[:, None] * (np.arange(CONTOUR) + 0.5))
    cosh, sinh = 0.5 * (grown + 1.0 / grown), 0.5 * (grown - 1.0 / grown)
    real, imaginary = 1.0 - np.sin(ANGLE) * cosh, scale[:, None] * np.cos(ANGLE) * sinh
    real *= scale[:, None]
    z = real + 1j * imaginary
    values = np.exp(real - saddle[:, None]) * (np.cos(imaginary) + 1j * np.sin(imaginary))
    values *= np.cos(ANGLE) * cosh + 1j * np.sin(ANGLE) * sinh
    for rate in rates.T:
        values *= ((saddle + rate) / (z.T + rate)).T
    log_peak = saddle - np.logaddexp(np.log(saddle)[:, None], log_rates).sum(axis=1)
    return np.asarray(np.log(values.real.sum(axis=1) * step * scale / np.pi) + log_peak)


def _log_sum(lists: _Lists) -> FloatArray:
    """Log-probabilities [n_lists] of lists that left other candidates unshown."""
    scan_t, scan_u = _scan_times(lists.others.max(axis=0)), _scan_times(lists.ranker)
    rows = np.arange(len(lists))

    def log_sets(t: FloatArray, u: FloatArray) -> FloatArray:
        t, u = np.broadcast_arrays(t, u)
        row = np.broadcast_to(rows.reshape(-1, *[1] * (t.ndim - 1)), t.shape)
        return lists.log_set_density(row.ravel(), t.ravel(), u.ravel()).reshape(t.shape)

    def log_order(u: FloatArray) -> FloatArray:
        return lists.log_order_density(np.repeat(rows, u.shape[1]), u.ravel()).reshape(u.shape)

    scanned_u = np.repeat(scan_u[None], len(lists), axis=0)
    order_u = log_order(scanned_u)
    scan = order_u[:, None] + log_sets(scan_t[:, None], scanned_u[:, None])
    along_t, along_u = scan.max(axis=2), scan.max(axis=1)
    best_t, best_u = _two_peaks(along_t), _two_peaks(along_u)

    def profile_t(t: FloatArray) -> FloatArray:
        return np.stack([log_sets(t, scan_u[best, None]) + order_u[rows, best][:, None] for best in best_u.T])

    def profile_u(u: FloatArray) -> FloatArray:
        return log_order(u) + np.stack([log_sets(scan_t[best, None], u) for best in best_t.T])

    first, second = _nodes(scan_t, along_t, profile_t), _nodes(scan_u, along_u, profile_u)
    row, t, u = pair_up(first, second)
    weighted = lists.log_order_density(second.row, second.log_time) + np.log(second.step)
    sets = lists.log_set_density(row, first.log_time[t], second.log_time[u])
    return _log_sums(row, sets + np.log(first.step)[t] + weighted[u])


def _log_sum_alone(lists: _Lists) -> FloatArray:
    """Log-probabilities [n_lists] of lists that show every candidate that can be shown."""

    def log_density(t: FloatArray) -> FloatArray:
        row = np.repeat(np.arange(len(lists)), t.shape[1])
        return lists.log_set_density(row, t.ravel(), np.full(t.size, END)).reshape(1, *t.shape)

    scan = _scan_times(lists.others.max(axis=0))
    nodes = _nodes(scan, log_density(np.repeat(scan[None], len(lists), axis=0))[0], log_density)
    terms = lists.log_set_density(nodes.row, nodes.log_time, np.full(len(nodes.log_time), END))
    own = lists.own_ranker
    order = log_prob(own, np.arange(own.shape[1])) if own.shape[1] else np.zeros(len(own))
    return _log_sums(nodes.row, terms + np.log(nodes.step)) + order


def _scan_times(scores: FloatArray) -> FloatArray:
    """Log times [n_times] among which every list has one near the largest value of its integrand, for scores [n]."""
    own = -scores[np.isfinite(scores)]
    reach = np.arange(-SCAN_REACH, SCAN_REACH + SCAN_STEP, SCAN_STEP)
    early = own.min() - SCAN_REACH - np.arange(0.0, np.log(len(scores)), SCAN_STEP)
    wanted = np.unique(np.concatenate([early, (own[:, None] + reach).ravel()]))
    step = SCAN_STEP
    while len(times := _spaced(wanted, step)) > MOST_SCANNED:
        step *= 1.5
    return times


def _spaced(times: FloatArray, step: float) -> FloatArray:
    """Some of the ascending times, no two of them closer than `step`."""
    chosen = [times[0]]
    for time in times:
        if time >= chosen[-1] + step:
            chosen.append(time)
    return np.array(chosen)


def _two_peaks(values: FloatArray) -> LongArray:
    """Places [n_lists, 1 or 2] of the highest local maxima of [n_lists, n_times]; 1 where no list has a second."""
    edge = np.full((len(values), 1), -np.inf)
    before, after = np.hstack([edge, values[:, :-1]]), np.hstack([values[:, 1:], edge])
    heights = np.where((values >= before) & (values > after), values, -np.inf)
    best = np.argsort(-heights, axis=1, kind="stable")[:, :2]
    second = np.take_along_axis(heights, best, axis=1)[:, -1]
    best[:, -1] = np.where(np.isfinite(second), best[:, -1], best[:, 0])
    return np.asarray(best if (best[:, 0] != best[:, -1]).any() else best[:, :1])


def _nodes(scan: FloatArray, values: FloatArray, log_density: Profile) -> Nodes:
    """Nodes for an integrand whose log is `values` [n_lists, n_times] at the times `scan` [n_times]."""
    with np.errstate(invalid="ignore"):
        depth = values.max(axis=1, keepdims=True) - values
    # What lies farther apart than this differs by factors that let one side vanish.
    part = np.cumsum(np.diff(scan, prepend=scan[0]) > FAR)
    deep = (depth <= DEPTH) & (part == part[values.argmax(axis=1)][:, None])
    last = len(scan) - 1
    keep = scan[deep.argmax(axis=1)] - SCAN_STEP, scan[last - deep[:, ::-1].argmax(axis=1)] + SCAN_STEP
    low, high = keep[0] - SPREAD, keep[1] + LATE
    centre = scan[(deep & (depth <= SHALLOW)).argmax(axis=1)] - SCAN_STEP

    def density(times: FloatArray) -> FloatArray:
        log_values = log_density(times)
        top = log_values.max(axis=(0, 2), keepdims=True)
        return np.asarray(np.exp(log_values - np.where(np.isfinite(top), top, 0.0)))

    return nodes_between(low, high, centre, density, max(GRID, int(4 * (high - centre).max())), keep)


def _log_sums(row: LongArray, terms: FloatArray) -> FloatArray:
    """Log of the summed exponentials of each row's terms, rows one after the other: float64 [n_rows]."""
    edges = np.flatnonzero(np.diff(row, prepend=-1))
    top = np.maximum.reduceat(terms, edges)
    top = np.where(np.isfinite(top), top, 0.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.add.reduceat(np.exp(terms - top[row]), edges)) + top)
