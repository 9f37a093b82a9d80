"""Plackett-Luce rankings of plain score arrays: sampling, log-probabilities, enumeration.

A ranking is drawn without replacement, each next document with probability proportional to exp(score) among those left.
A document of score -inf has weight zero: it is never drawn, and a list that runs out of documents is padded with -1.

Sources: Plackett (1975), The analysis of permutations; Luce (1959), Individual choice behavior; the Gumbel form is due
to Yellott (1977).
"""

import math
from itertools import permutations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError

__all__ = ["MAX_SCORE", "enumerate_rankings", "gumbel", "log_prob", "sample_rankings"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

# Beyond this size, doubles no longer resolve the differences of about one that decide a race.
MAX_SCORE = 1e12
MAX_ENUMERATED = 1_000_000


def gumbel(shape: int | tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Standard Gumbel noise: score + noise is largest for a document with probability softmax(score).

    Args:
        shape: Shape of the result.
        rng: Source of randomness.

    Returns:
        float64 [shape].
    """
    noise = rng.standard_exponential(shape)
    return -np.log(noise, out=noise)


def sample_rankings(scores: ArrayLike, k: int, n_samples: int, rng: np.random.Generator) -> IntArray:
    """Draw the first `k` ranks of Plackett-Luce rankings.

    Args:
        scores: float [..., n], log-weights of the documents; -inf: never drawn.
        k: Length of the lists.
        n_samples: Number of rankings drawn for each row of scores.
        rng: Source of randomness.

    Returns:
        int32 [n_samples, ..., k], index of the document at each rank; -1 where no document is left.

    Raises:
        ArgumentError: A score is NaN, +inf or beyond +-1e12, or `k` or `n_samples` is below 1.
    """
    table = checked_scores(scores)
    require_at_least_one("k", k)
    require_at_least_one("n_samples", n_samples)
    keys = table + gumbel((n_samples, *table.shape), rng)
    return first_k(keys, k)


def first_k(keys: FloatArray, k: int) -> IntArray:
    """Indices of the `k` largest keys [..., n] of each row, largest first; -1 in place of keys of -inf.

    Returns:
        int32 [..., k].
    """
    n = keys.shape[-1]
    shown = min(k, n)
    order = _first_of_many(keys, shown) if n > 8 * shown else np.argsort(-keys, axis=-1)[..., :shown]
    out = np.full((*keys.shape[:-1], k), -1, dtype=np.int32)
    drawn = np.isfinite(np.take_along_axis(keys, order, axis=-1))
    out[..., :shown] = np.where(drawn, order, -1)
    return out


def _first_of_many(keys: FloatArray, k: int) -> NDArray[np.int64]:
    """As a full sort, cheaper where k is a small part of a row."""
    chosen = np.argpartition(-keys, k - 1, axis=-1)[..., :k]
    order = np.argsort(-np.take_along_axis(keys, chosen, axis=-1), axis=-1)
    return np.take_along_axis(chosen, order, axis=-1)


def log_prob(scores: ArrayLike, rankings: ArrayLike) -> FloatArray:
    """Log-probability that a Plackett-Luce ranking begins with the given documents.

    Args:
        scores: float [..., n], log-weights; -inf: weight zero.
        rankings: int [..., k], distinct document indices in rank order; -1 after the last document of a shorter list.
            The leading dimensions broadcast against those of `scores`.

    Returns:
        float64 [...]; -inf where a document of weight zero is ranked.

    Raises:
        ArgumentError: A bad score, an index out of range, a document twice in a list, or -1 before a document.
    """
    table = checked_scores(scores)
    lists = np.asarray(rankings)
    check_rankings(lists, table.shape[-1])
    lead = np.broadcast_shapes(table.shape[:-1], lists.shape[:-1])
    lists = np.broadcast_to(lists, (*lead, lists.shape[-1]))
    shown = lists >= 0
    chosen = np.take_along_axis(np.broadcast_to(table, (*lead, table.shape[-1])), np.where(shown, lists, 0), axis=-1)
    chosen = np.where(shown, chosen, -np.inf)
    # From the last rank up, each denominator is the next one plus one weight: subtracting from the top would cancel.
    left = _log_weight_left(table, lists, lead)
    total = np.zeros(lead)
    for rank in reversed(range(lists.shape[-1])):
        left = np.logaddexp(left, chosen[..., rank])
        with np.errstate(invalid="ignore"):
            total += np.where(shown[..., rank], chosen[..., rank] - left, 0.0)
    impossible = (shown & np.isneginf(chosen)).any(axis=-1)
    return np.where(impossible, -np.inf, total)


def _log_weight_left(table: FloatArray, lists: NDArray[np.int64], lead: tuple[int, ...]) -> FloatArray:
    """Log of the summed weights of the documents that are not in the list."""
    rest = np.full((*lead, table.shape[-1] + 1), -np.inf)
    rest[..., :-1] = table
    # Index -1 falls on the extra last column.
    np.put_along_axis(rest, lists, -np.inf, axis=-1)
    largest = rest.max(axis=-1, keepdims=True)
    # Where nothing is left, the largest is -inf, and so must the sum be.
    largest = np.where(np.isfinite(largest), largest, 0.0)
    rest -= largest
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(rest, out=rest).sum(axis=-1)) + largest[..., 0])


def enumerate_rankings(n: int, k: int) -> IntArray:
    """Every ordered choice of the first `k` of `n` documents: the oracle for tiny problems.

    Args:
        n: Number of documents.
        k: Length of the lists; at most `n` documents can be placed, and longer lists are cut to `n`.

    Returns:
        int32 [n_rankings, min(k, n)], n_rankings = n! / (n - k)!, in lexicographic order.

    Raises:
        ArgumentError: `n` or `k` is below 1, or there are more than a million rankings.
    """
    require_at_least_one("n", n)
    require_at_least_one("k", k)
    length = int(min(k, n))
    if (count := math.perm(n, length)) > MAX_ENUMERATED:
        raise ArgumentError(
            f"n={n}, k={k} has {count:,} rankings; expected at most {MAX_ENUMERATED:,} "
            f"(placement_probabilities is exact for long lists too)"
        )
    return np.array(list(permutations(range(n), length)), dtype=np.int32)


def checked_scores(scores: ArrayLike) -> FloatArray:
    """The scores as float64 [..., n] with n >= 1.

    Raises:
        ArgumentError: A score is NaN, +inf or beyond +-1e12.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim == 0 or table.shape[-1] == 0:
        raise ArgumentError(f"scores has shape {table.shape}; expected [..., n] with at least one document")
    bad = ~((np.abs(table) <= MAX_SCORE) | np.isneginf(table))
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ArgumentError(
            f"scores{list(place)} is {table[place]}; expected a number within +-{MAX_SCORE:.0e}, or -inf"
        )
    return table


def check_rankings(lists: NDArray[np.generic], n: int) -> None:
    """Check rankings [..., k] of `n` documents.

    Raises:
        ArgumentError: Not integers, an index out of range, a document twice in a list, or -1 before a document.
    """
    if lists.ndim == 0 or not np.issubdtype(lists.dtype, np.integer):
        raise ArgumentError(f"rankings has dtype {lists.dtype}, shape {lists.shape}; expected integers [..., k]")
    flat = lists.reshape(-1, lists.shape[-1]).astype(np.int64)
    outside = (flat < -1) | (flat >= n)
    if outside.any():
        raise ArgumentError(
            f"rankings holds {flat[outside][0]}; expected indices from 0 to {n - 1}, or -1 for no document"
        )
    gaps = (flat[:, :-1] < 0) & (flat[:, 1:] >= 0)
    if gaps.any():
        row = int(np.flatnonzero(gaps.any(axis=1))[0])
        raise ArgumentError(f"ranking {row} is {flat[row].tolist()}; expected -1 only after its last document")
    # Distinct negative fillers keep padding from looking like a repeated document.
    ordered = np.sort(np.where(flat >= 0, flat, -1 - np.arange(flat.shape[1])), axis=1)
    twice = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise ArgumentError(f"ranking {row} is {flat[row].tolist()}; expected each document once")


def require_at_least_one(name: str, value: object) -> None:
    """Raise an ArgumentError unless `value` is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ArgumentError(f"{name}={value!r}; expected a whole number of at least 1")
