"""How good recommendations are, and how alike those of two models."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions, Split
from rec_unlearn.protocols import Recommender

__all__ = ["log_probability", "ndcg", "overlap", "rank_of", "recall", "share_shown", "top_k"]

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float64]
BLOCK = 512


def top_k(
    model: Recommender, log: Interactions, users: ArrayLike, k: int = 10, *, exclude_seen: bool = False
) -> IntArray:
    """The k items of the highest score, best first; ties go to the item of the smaller code.

    Args:
        model: Whose scores.
        log: The history that the model sees.
        users: int [n], codes.
        k: How many, at most the number of items.
        exclude_seen: Whether items that a user took already stand behind all others, as where nobody takes one twice.

    Returns:
        int32 [n, k].
    """
    if not 1 <= k <= log.n_items:
        raise ArgumentError(f"k={k}; expected 1 to {log.n_items}, the number of items")
    tops = []
    for part, scores in _scores(model, log, users):
        if exclude_seen:
            seen = log.matrix(np.asarray(users)[part]).tocoo()
            scores = np.array(scores, dtype=np.float64)
            scores[seen.coords] = -np.inf
        tops.append(_top(scores, k))
    return np.concatenate(tops) if tops else np.zeros((0, k), dtype=np.int32)


def _top(scores: NDArray[np.floating], k: int) -> IntArray:
    # Exact about ties: what stands at the border is chosen by code, as a stable sort of all would.
    border = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
    above, at = scores > border, scores == border
    room = k - above.sum(axis=1, keepdims=True)
    chosen = above | (at & (np.cumsum(at, axis=1) <= room))
    items = np.nonzero(chosen)[1].reshape(len(scores), k)
    order = np.argsort(-np.take_along_axis(scores, items, axis=1), axis=1, kind="stable")
    return np.asarray(np.take_along_axis(items, order, axis=1), dtype=np.int32)


def _scores(model: Recommender, log: Interactions, users: ArrayLike) -> Iterator[tuple[slice, NDArray[np.floating]]]:
    codes = np.asarray(users, dtype=np.int32)
    for begin in range(0, len(codes), BLOCK):
        part = slice(begin, begin + BLOCK)
        yield part, model.scores(log, codes[part])


def ndcg(
    model: Recommender, split: Split, users: ArrayLike | None = None, k: int = 10, *, exclude_seen: bool = False
) -> FloatArray:
    """nDCG@k with binary gain against what users took afterwards: float64 [n].

    Args:
        model: Asked with the histories in `split.train`.
        split: Histories, and what came after them.
        users: int [n], codes; by default all that have rows in `split.test`.
        k: Cut-off.
        exclude_seen: As of `top_k`.
    """
    hits, relevant = _hits(model, split, users, k, exclude_seen)
    discount = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discount)[np.minimum(relevant, k) - 1]
    return np.asarray(np.where(relevant > 0, hits @ discount / np.maximum(ideal, 1e-300), 0.0))


def recall(
    model: Recommender, split: Split, users: ArrayLike | None = None, k: int = 10, *, exclude_seen: bool = False
) -> FloatArray:
    """Share of what users took afterwards that is among the first k: float64 [n]; arguments as of `ndcg`."""
    hits, relevant = _hits(model, split, users, k, exclude_seen)
    return np.asarray(hits.sum(axis=1) / np.maximum(relevant, 1))


def _hits(
    model: Recommender, split: Split, users: ArrayLike | None, k: int, exclude_seen: bool
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    codes = split.test.active_users if users is None else np.asarray(users, dtype=np.int32)
    top = top_k(model, split.train, codes, min(k, split.train.n_items), exclude_seen=exclude_seen)
    wanted = split.test.matrix(codes)
    wanted.data[:] = 1
    relevant = np.diff(wanted.indptr).astype(np.int64)
    n_items = np.int64(split.train.n_items)
    wanted.sum_duplicates()
    keys = np.repeat(np.arange(len(codes)), relevant) * n_items + wanted.indices
    hits = np.isin(np.arange(len(codes))[:, None] * n_items + top, keys).astype(np.float64)
    return np.pad(hits, ((0, 0), (0, k - hits.shape[1]))), relevant


def overlap(first: Recommender, second: Recommender, log: Interactions, users: ArrayLike, k: int = 10) -> FloatArray:
    """Share of the first k items that two models agree on, for each user: float64 [n]."""
    one, other = (np.sort(top_k(model, log, users, k), axis=1) for model in (first, second))
    both = np.sort(np.concatenate([one, other], axis=1), axis=1)
    return np.asarray((both[:, 1:] == both[:, :-1]).sum(axis=1) / k)


def share_shown(model: Recommender, log: Interactions, users: ArrayLike, items: ArrayLike, k: int = 10) -> float:
    """Share of users whose first k items hold one of `items` (codes)."""
    return float(np.isin(top_k(model, log, users, k), np.asarray(items)).any(axis=1).mean())


def log_probability(model: Recommender, log: Interactions, users: ArrayLike, items: ArrayLike) -> FloatArray:
    """Log of the softmax of the scores at the given items (codes), summed in probability: float64 [n]."""
    parts = []
    for _, scores in _scores(model, log, users):
        values = scores.astype(np.float64)
        values -= values.max(axis=1, keepdims=True)
        chosen = np.exp(values[:, np.atleast_1d(np.asarray(items))]).sum(axis=1)
        with np.errstate(divide="ignore"):
            parts.append(np.log(chosen) - np.log(np.exp(values).sum(axis=1)))
    return np.concatenate(parts) if parts else np.zeros(0)


def rank_of(model: Recommender, log: Interactions, users: ArrayLike, item: int) -> NDArray[np.int64]:
    """Rank of an item (code), from 1, for each user: int64 [n]."""
    parts = [(scores > scores[:, item : item + 1]).sum(axis=1) + 1 for _, scores in _scores(model, log, users)]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
