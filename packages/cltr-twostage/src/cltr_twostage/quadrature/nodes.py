"""Trapezoid nodes on a logarithmic time axis: as few as an inexpensive integrand with the same kinks allows.

With log t = centre + v - exp(-v), an integrand that falls off like a power of t at the left and like exp(-t) at the
right falls off steeply at both ends in v, where the trapezoid rule converges faster than any power of the step
(Takahasi and Mori, 1974).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EARLY", "LATE", "NEGLIGIBLE", "Nodes", "Profile", "bracket", "nodes_between", "pair_up"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
Profile = Callable[[FloatArray], FloatArray]

# Nodes below this share of the mass are not visited.
NEGLIGIBLE = 1e-15
# A probability below this is nothing; exp(EARLY), and the survival at exp(LATE) mean lives, are.
TAIL, EARLY, LATE = 1e-17, -40.0, 3.7
MAX_GRID = 1 << 13
STRIDES = (2, 3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 24, 32)
TOLERANCE = 1e-11
# What twice the finest step may be wrong by: rare events can be missed as a whole, and count with their whole mass.
FINE_ENOUGH = 1e-10


@dataclass(frozen=True, eq=False)
class Nodes:
    """Trapezoid nodes of several rows, one row after the other.

    Attributes:
        count: int64 [n_rows], number of nodes of each row.
        log_time: float64 [count.sum()].
        step: float64 [count.sum()], step in log time.
    """

    count: LongArray
    log_time: FloatArray
    step: FloatArray

    @property
    def row(self) -> LongArray:
        """int64 [count.sum()]."""
        return np.repeat(np.arange(len(self.count)), self.count)

    @property
    def first(self) -> LongArray:
        """int64 [n_rows], index of the first node of each row."""
        return np.asarray(np.cumsum(self.count) - self.count)


def pair_up(first: Nodes, second: Nodes) -> tuple[LongArray, LongArray, LongArray]:
    """All pairs of nodes of the same row: int64 [n_pairs] each, the row, the node of `first`, that of `second`."""
    pairs = first.count * second.count
    row = np.repeat(np.arange(len(pairs)), pairs)
    within = np.arange(int(pairs.sum())) - (np.cumsum(pairs) - pairs)[row]
    return row, first.first[row] + within // second.count[row], second.first[row] + within % second.count[row]


def bracket(log_time: FloatArray, begun: FloatArray, unfinished: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Grid times [n_rows] between which something happens, by the chances to have begun and not to be done."""
    rows, last = np.arange(len(log_time)), log_time.shape[1] - 1
    low = np.maximum((begun < TAIL).sum(axis=1) - 1, 0)
    high = np.minimum((unfinished >= TAIL).sum(axis=1), last)
    return log_time[rows, low], log_time[rows, high]


def nodes_between(
    low: FloatArray,
    high: FloatArray,
    centre: FloatArray,
    profile: Profile,
    grid: int,
    keep: tuple[FloatArray, FloatArray] | None = None,
) -> Nodes:
    """As few nodes as integrate the profile, for each row.

    Args:
        low: float64 [n_rows], log time before which nothing happens.
        high: float64 [n_rows], log time after which nothing happens.
        centre: float64 [n_rows], log time below which nodes may lie ever farther apart.
        profile: Maps log times [n_rows, n_nodes] to densities [n_profiles, n_rows, n_nodes], nowhere negative, that
            have to be integrated at once.
        grid: Number of nodes to choose from; more are used where these are too few.
        keep: float64 [n_rows] each, log times between which nodes are kept even if the profile is negligible there.
    """
    from scipy.special import wrightomega

    # The inverse of v - exp(-v).
    begin, end = (x + wrightomega(-x) for x in (low - centre, high - centre))
    while True:
        spacing = ((end - begin) / (grid - 1))[:, None]
        place = begin[:, None] + spacing * np.arange(grid)
        bend = np.exp(-place)
        log_time, step = centre[:, None] + place - bend, spacing * (1.0 + bend)
        mass = profile(log_time) * step
        mass /= np.maximum(mass.sum(axis=-1, keepdims=True).max(axis=0), np.finfo(float).tiny)
        if _error_at(2, mass).max() < FINE_ENOUGH or 2 * grid > MAX_GRID:
            break
        grid *= 2
    stride = np.ones(len(low), dtype=np.int64)
    for longer in STRIDES:
        stride[_error_at(longer, mass) < TOLERANCE] = longer
    matters = mass.max(axis=0) > NEGLIGIBLE
    if keep is not None:
        matters |= (log_time >= keep[0][:, None]) & (log_time <= keep[1][:, None])
    used = (np.arange(grid) % stride[:, None] == 0) & matters
    used[~used.any(axis=1), 0] = True
    return Nodes(used.sum(axis=1), log_time[used], (step * stride[:, None])[used])


def _error_at(stride: int, mass: FloatArray) -> FloatArray:
    """What the choice of every `stride`-th node can do to a sum of the mass, at worst: float64 [n_rows]."""
    total = mass.sum(axis=-1)
    errors = [np.abs(stride * mass[..., offset::stride].sum(axis=-1) - total) for offset in range(stride)]
    return np.asarray(np.max(errors, axis=(0, 1)))
