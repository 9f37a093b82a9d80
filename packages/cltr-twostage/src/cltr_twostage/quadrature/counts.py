"""Polynomials that count, over independent documents: who is left out first, who became a candidate, who was shown.

At a time t of the candidates' race and a time u of the ranker's, each document is exactly one of: out, out and the next
to arrive (there is one such document), a candidate that the ranker brings before u, or a candidate after u. A table
[2, n_counts, k, ...] holds the probabilities of (next one seen?, number of candidates, number before u) for the
documents admitted so far; the trailing dimensions are nodes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Chances", "Counts", "admit_all", "empty_counts", "hazard", "leave_one_out", "tails"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chances:
    """What each document may be, at each node: float64 [n, ...] each.

    Attributes:
        stay: Out, and not the next to arrive.
        leave: Out, and the next to arrive: a density.
        join: A candidate; with `before`, one that the ranker brings after u.
        before: A candidate that the ranker brings before u; None where that is not counted.
    """

    stay: FloatArray
    leave: FloatArray
    join: FloatArray
    before: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.stay)


@dataclass(frozen=True, eq=False)
class Counts:
    """Probabilities [2, n_counts, k, ...] of the documents admitted so far; the counts start at `low`."""

    table: FloatArray
    low: int = 0


def hazard(scores: FloatArray, log_time: FloatArray) -> FloatArray:
    """Rate times time, so that exp(-hazard) is the chance not to have arrived; the arguments broadcast."""
    # exp(700) is near the largest double; whoever has that hazard arrived long ago anyway.
    return np.asarray(np.exp(np.minimum(scores + log_time, 700.0)))


def empty_counts(k: int, shape: tuple[int, ...]) -> Counts:
    """The counts before any document is admitted, of lists up to `k` and nodes of the given shape."""
    table = np.zeros((2, 1, k, *shape))
    table[0, 0, 0] = 1.0
    return Counts(table)


def tails(arrived: FloatArray, count: int) -> tuple[FloatArray, FloatArray]:
    """Probability of at most `count` arrivals, and of more, given the chances [n, ...] of independent arrivals."""
    table = np.zeros((count + 1, *arrived.shape[1:]))
    table[0] = 1.0
    more = np.zeros(arrived.shape[1:])
    for chance in arrived:
        more += table[-1] * chance
        moved = table[:-1] * chance
        table *= 1.0 - chance
        table[1:] += moved
    return table.sum(axis=0), more


def admit_all(chances: Chances, count: int, every_count: bool = False) -> FloatArray:
    """Densities [n_counts, 1, ...] of `count` candidates (or of 0 to `count`), when somebody is the next to arrive."""
    counts, n = empty_counts(1, chances.stay.shape[1:]), len(chances)
    for done in range(1, n + 1):
        least = 0 if every_count else count - (n - done)
        counts = _admit(counts, chances, done - 1, max(0, least), min(count, done) + 1)
    return np.asarray(counts.table[1])


def leave_one_out(chances: Chances, own: FloatArray, count: int, k: int, edges: LongArray) -> FloatArray:
    """Sum over nodes of own[d] times the density that `count` of the others are candidates, r - 1 of them before u.

    Halving the documents, and counting each half among the rest of the other, leaves every document out in n log n
    steps and without a division. Only counts from which `count` can still be reached are kept.

    Args:
        chances: Of all n documents, at n_nodes nodes.
        own: float64 [n, n_nodes].
        count: Number of candidates among the others.
        k: Number of ranks.
        edges: int64 [n_groups], the first node of each group of nodes to sum over.

    Returns:
        float64 [n, k, n_groups].
    """
    out = np.empty((len(own), k, len(edges)))
    _halve(empty_counts(k, own.shape[1:]), chances, own, count, edges, range(len(own)), out)
    return out


def _halve(
    counts: Counts,
    chances: Chances,
    own: FloatArray,
    count: int,
    edges: LongArray,
    part: range,
    out: FloatArray,
) -> None:
    """Fill `out` for the documents `part`, given the counts of all the rest."""
    if len(part) == 1:
        out[part[0]] = np.add.reduceat(counts.table[1, 0] * own[part[0]], edges, axis=-1)
        return
    middle = len(part) // 2
    for mine, other in ((part[:middle], part[middle:]), (part[middle:], part[:middle])):
        grown, waiting = counts, len(part) - 1
        done = len(chances) - len(part)
        for j in other:
            done, waiting = done + 1, waiting - 1
            grown = _admit(grown, chances, j, max(0, count - waiting), min(count, done) + 1)
        _halve(grown, chances, own, count, edges, mine, out)


def _admit(counts: Counts, chances: Chances, j: int, start: int, stop: int) -> Counts:
    """Admit document j, and keep the counts `start` to `stop` - 1."""
    old, low = counts.table, counts.low
    held = low + old.shape[1]
    new = np.empty((2, stop - start, *old.shape[2:]))
    first, last = max(start, low), min(stop, held)
    new[:, : first - start] = 0.0
    new[:, last - start :] = 0.0
    out = old[:, first - low : last - low]
    np.multiply(out, chances.stay[j], out=new[:, first - start : last - start])
    new[1, first - start : last - start] += out[0] * chances.leave[j]
    first, last = max(start, low + 1), min(stop, held + 1)
    joined, grown = old[:, first - 1 - low : last - 1 - low], new[:, first - start : last - start]
    grown += joined * chances.join[j]
    if chances.before is not None:
        grown[:, :, 1:] += joined[:, :, :-1] * chances.before[j]
    return Counts(new, start)
