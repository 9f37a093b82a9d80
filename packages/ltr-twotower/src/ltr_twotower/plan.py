"""Where to spend a little randomisation: swaps that sharpen the estimate of position bias most."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from ltr_twotower.cells import Cells
from ltr_twotower.ids import plain
from ltr_twotower.information import contrast_stderr, null_directions

__all__ = ["Swap", "plan_swaps"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# More candidates cost time and hardly help: the gain is concave in the sessions of one query.
_MAX_QUERIES = 300
_PER_RANK = 20
_MAX_STEPS = 200
# Longer lists are swapped between neighbours and with the first rank only, which connects them as well.
_LONG = 20


@dataclass(frozen=True)
class Swap:
    """A suggestion: in this query, show the documents of two ranks in each other's place.

    Attributes:
        query: Original id of the query.
        ranks: The two ranks, counted from 1.
        sessions: In how many sessions.
        worst_stderr: Largest standard error of any theta_a - theta_b once this and the swaps before it are logged; inf
            while some ranks are still not connected.
    """

    query: Any
    ranks: tuple[int, int]
    sessions: int
    worst_stderr: float


def plan_swaps(cells: Cells, information: FloatArray, curvature: FloatArray, budget: int) -> list[Swap]:
    """Choose swaps greedily: each step takes the one that most lowers the worst variance of a theta difference.

    A swap of ranks a and b in m sessions of a query adds, for each of its two documents, an edge a-b to the swap graph
    whose weight is the harmonic sum of the document's information at the two ranks. One edge changes the inverse of the
    information by a rank-one update, so all candidates are scored at once.

    Args:
        cells: The counts.
        information: float64 [n_ranks, n_ranks], from `information`.
        curvature: float64 [n_cells], n p (1 - p).
        budget: Sessions that may be changed, in all. The log's own number of sessions per query is the most that is
            planned for it: the plan is for another period like the logged one. Where queries are seen once or twice,
            the plan may end before the budget: it names 200 swaps at most.

    Raises:
        ArgumentError: `budget` is not a positive integer.
    """
    if budget < 1:
        raise ArgumentError(f"budget={budget}; expected a positive number of sessions")
    shown = np.flatnonzero(cells.rank_impressions > 0)
    queries = _candidate_queries(cells)
    if len(shown) < 2 or not len(queries):
        return []
    a, b = _candidate_edges(shown)
    unit, base, pair = _document_information(cells, curvature, queries)
    two_documents = pair[:, a] != pair[:, b]
    V = _covariance(information, shown)
    left = cells.sessions[queries].copy()
    budget = min(budget, int(left.sum()))
    chunk = max(1, -(-budget // max(24, 2 * len(shown))))
    planned: dict[tuple[int, int], float] = {}
    for _ in range(_MAX_STEPS):
        m = min(chunk, budget, int(left.max()))
        if m < 1:
            break
        gain = _gains(unit, base, a, b, planned, m)
        gain[(left < m)[:, None] | ~two_documents] = 0
        best_query = gain.argmax(axis=0)
        weight = gain[best_query, np.arange(len(a))]
        if not weight.max() > 0:
            break
        edge = _best_edge(V, a, b, weight)
        row = int(best_query[edge])
        V = _updated(V, a[edge], b[edge], weight[edge])
        planned[row, edge] = planned.get((row, edge), 0) + m
        left[row] -= m
        budget -= m
    plan = []
    for (row, edge), sessions in planned.items():
        added = float(_gains(unit[[row]], base[[row]], a[[edge]], b[[edge]], {}, int(sessions))[0, 0])
        information = _joined(information, a[edge], b[edge], added)
        ranks = (int(a[edge]) + 1, int(b[edge]) + 1)
        plan.append(Swap(plain(cells.query_ids[queries[row]]), ranks, int(sessions), _worst(information, shown)))
    return plan


def _candidate_queries(cells: Cells) -> IntArray:
    """The queries with most sessions, and those with most at each rank: the frequent ones may have short lists."""
    queries = cells.pair_query[cells.pair]
    shape = (len(cells.query_ids), cells.n_ranks)
    shown = scipy.sparse.csr_array((cells.impressions, (queries, cells.rank)), shape=shape).tocsc()
    long_enough = np.bincount(shown.indices, minlength=shape[0]) > 1
    order = np.argsort(-cells.sessions, kind="stable")
    chosen = [order[long_enough[order]][:_MAX_QUERIES]]
    for rank in range(cells.n_ranks):
        column = slice(shown.indptr[rank], shown.indptr[rank + 1])
        rows, count = shown.indices[column], shown.data[column]
        rows, count = rows[long_enough[rows]], count[long_enough[rows]]
        chosen.append(rows[np.argsort(-count, kind="stable")[:_PER_RANK]])
    _, first = np.unique(np.concatenate(chosen), return_index=True)
    return np.asarray(np.concatenate(chosen)[np.sort(first)], dtype=np.int64)


def _candidate_edges(shown: IntArray) -> tuple[IntArray, IntArray]:
    """All pairs of shown ranks; of long lists, neighbours and pairs with the first rank, to keep the work bounded."""
    i, j = np.triu_indices(len(shown), 1)
    if len(shown) > _LONG:
        keep = (j - i == 1) | (i == 0)
        i, j = i[keep], j[keep]
    return shown[i], shown[j]


def _document_information(
    cells: Cells, curvature: FloatArray, queries: IntArray
) -> tuple[FloatArray, FloatArray, IntArray]:
    """For the document most often at each rank of each query: information per impression there, and in the log.

    Returns:
        unit, base: float64 [n_queries, n_ranks]; zero where the query shows nothing at the rank. And int64, the pair;
        -1 there.
    """
    row_of_query = np.full(len(cells.query_ids), -1)
    row_of_query[queries] = np.arange(len(queries))
    row = row_of_query[cells.pair_query[cells.pair]]
    order = np.argsort(cells.impressions, kind="stable")
    order = order[row[order] >= 0]
    top = np.full((len(queries), cells.n_ranks), -1)
    top[row[order], cells.rank[order]] = order
    present = top >= 0
    base = np.where(present, curvature[top], 0.0)
    unit = np.where(present, base / np.maximum(cells.n[top], 1e-300), 0.0)
    return unit, base, np.where(present, cells.pair[top], -1).astype(np.int64)


def _gains(
    unit: FloatArray, base: FloatArray, a: IntArray, b: IntArray, planned: dict[tuple[int, int], float], m: int
) -> FloatArray:
    """float64 [n_queries, n_edges]: weight that m more sessions add to an edge, given those planned already."""
    before = np.zeros((len(unit), len(a)))
    for (row, edge), sessions in planned.items():
        before[row, edge] = sessions
    usable = (unit[:, a] > 0) & (unit[:, b] > 0)
    total = np.zeros_like(before)
    for here, there in ((a, b), (b, a)):
        home = base[:, here]
        for moved, sign in ((before + m, 1), (before, -1)):
            away = moved * unit[:, there]
            total += sign * np.divide(home * away, home + away, out=np.zeros_like(home), where=home + away > 0)
    return np.where(usable, total, 0.0)


def _covariance(information: FloatArray, shown: IntArray) -> FloatArray:
    """Pseudo-inverse with a floor, so that what is not connected has a huge variance instead of none."""
    inner = information[np.ix_(shown, shown)]
    n = len(inner)
    centre = np.eye(n) - 1 / n
    floor = 1e-7 * max(float(np.diag(inner).max()), 1.0)
    V = np.zeros(information.shape)
    V[np.ix_(shown, shown)] = np.linalg.pinv(centre @ inner @ centre + floor * centre, rcond=1e-13, hermitian=True)
    return V


def _contrast(V: FloatArray, a: IntArray, b: IntArray) -> FloatArray:
    """float64 [n_edges, n_edges]: covariance of the differences along the edges."""
    rows = V[a] - V[b]
    return np.asarray(rows[:, a] - rows[:, b])


def _best_edge(V: FloatArray, a: IntArray, b: IntArray, weight: FloatArray) -> int:
    M = _contrast(V, a, b)
    variance = np.diag(M)
    after = variance[:, None] - M**2 * (weight / (1 + weight * variance))[None, :]
    # The mean breaks ties while several components are left: then no single edge lowers the maximum.
    score = np.maximum(after, 0).max(axis=0) + np.maximum(after, 0).mean(axis=0)
    return int(np.argmin(np.where(weight > 0, score, np.inf)))


def _updated(V: FloatArray, a: int, b: int, weight: float) -> FloatArray:
    direction = V[:, a] - V[:, b]
    return np.asarray(V - np.outer(direction, direction) * weight / (1 + weight * (direction[a] - direction[b])))


def _joined(information: FloatArray, a: int, b: int, weight: float) -> FloatArray:
    direction = np.zeros(len(information))
    direction[[a, b]] = 1, -1
    return information + weight * np.outer(direction, direction)


def _worst(information: FloatArray, shown: IntArray) -> float:
    """The promise is computed anew: the covariance of the search has a floor, under which a weak link would drown."""
    visible = np.isin(np.arange(len(information)), shown)
    diagonal = np.diag(information)
    if null_directions(information, visible, float(diagonal.max()), tolerance=1e-12).shape[1]:
        return float("inf")
    return float(contrast_stderr(information, np.where(visible, 0, -1).astype(np.int32))[visible][:, visible].max())
