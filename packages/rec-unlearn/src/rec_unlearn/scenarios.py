"""Deletion requests as they come: spam, sensitive items, accounts, canaries; each with what to look at afterwards."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions
from rec_unlearn.requests import DeletionRequest

__all__ = [
    "Scenario",
    "accounts",
    "bandwagon",
    "canaries",
    "cluster_kind",
    "interactions",
    "popular_kind",
    "sensitive",
    "spam",
    "with_accounts",
    "with_step",
]

IntArray = NDArray[np.int32]
History = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Scenario:
    """A log, the requests that come, and what shows whether they were served.

    Attributes:
        name: What it is.
        log: What the model is trained on.
        requests: In the order in which they come.
        users: int32, codes of the users who are real and ask for nothing: recommendations are measured on them.
        targets: int32, codes of the items whose removal is looked at; empty where none is.
        pairs: int32 [n, 2], canaries: the second item of a pair was planted to follow the first; else empty.
        controls: int32 [n, 2], pairs of the same kind that were never planted.
    """

    name: str
    log: Interactions
    requests: tuple[DeletionRequest, ...]
    users: IntArray
    targets: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    pairs: IntArray = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int32))
    controls: IntArray = field(default_factory=lambda: np.zeros((0, 2), dtype=np.int32))


def with_accounts(log: Interactions, histories: Sequence[History], prefix: str) -> Interactions:
    """Add users to a log; the new one has no times.

    Args:
        log: What there is.
        histories: Baskets of item codes, a history a user.
        prefix: The users are called `prefix-0`, `prefix-1`, ...

    Raises:
        ArgumentError: The log has a user of such a name.
    """
    names = [f"{prefix}-{number}" for number in range(len(histories))]
    if taken := set(names) & set(log.user_ids.tolist()):
        raise ArgumentError(f"{log.name} has a user {min(taken)!r} already; choose another prefix")
    rows = [
        (log.n_users + number, item, step)
        for number, history in enumerate(histories)
        for step, basket in enumerate(history)
        for item in dict.fromkeys(basket)
    ]
    user, item, step = np.array(rows, dtype=np.int32).reshape(-1, 3).T
    sequence = np.int32(log.sequence.max(initial=-1) + 1) + (user - np.int32(log.n_users))
    return replace(
        log,
        user=np.concatenate([log.user, user]),
        item=np.concatenate([log.item, item]),
        sequence=np.concatenate([log.sequence, sequence]),
        step=np.concatenate([log.step, step]),
        time=None,
        user_ids=np.array([*log.user_ids.tolist(), *names], dtype=object),
    )


def with_step(log: Interactions, item: int) -> Interactions:
    """The same users, each with one more step behind their last sequence that holds one item; without times."""
    ends = log.user_offsets[1:][np.diff(log.user_offsets) > 0]
    last = ends - 1
    return replace(
        log,
        user=np.insert(log.user, ends, log.user[last]),
        item=np.insert(log.item, ends, item),
        sequence=np.insert(log.sequence, ends, log.sequence[last]),
        step=np.insert(log.step, ends, log.step[last] + 1),
        time=None,
    )


def spam(log: Interactions, rng: np.random.Generator, *, n: int = 60, rank: int = 600) -> Scenario:
    """Fraud accounts that push one item: the baskets of a random real user, with the item in each of them.

    Args:
        log: Real interactions.
        rng: Source of randomness.
        n: How many accounts; one request each.
        rank: The item's rank by popularity, from 0.

    Raises:
        ArgumentError: There are not so many items or users.
    """
    target = _by_popularity(log, rank)
    sources = _drawn_users(log, rng, n)
    histories = [[[*basket, target] for basket in _history(log, user)] for user in sources]
    return _of_accounts(f"spam, {n} accounts", log, histories, "spam", np.array([target], dtype=np.int32))


def bandwagon(
    log: Interactions,
    rng: np.random.Generator,
    *,
    n: int = 60,
    n_targets: int = 3,
    n_baskets: int = 8,
    basket_size: int = 4,
    popular: float = 0.02,
) -> Scenario:
    """Fraud accounts that take popular items, and a few unpopular ones that they push: after ERASE.

    Args:
        log: Real interactions.
        rng: Source of randomness.
        n: How many accounts; one request each.
        n_targets: How many items of the less popular half they push.
        n_baskets: Baskets of an account.
        basket_size: Popular items in a basket, beside one target.
        popular: Share of the items that counts as popular.
    """
    order = _popularity_order(log)
    head = order[: max(basket_size, int(np.ceil(popular * len(order))))]
    targets = rng.choice(order[len(order) // 2 :], size=n_targets, replace=False).astype(np.int32)
    histories = [
        [[*rng.choice(head, size=basket_size, replace=False), rng.choice(targets)] for _ in range(n_baskets)]
        for _ in range(n)
    ]
    return _of_accounts(f"bandwagon, {n} accounts", log, histories, "bandwagon", targets)


def canaries(
    log: Interactions,
    rng: np.random.Generator,
    *,
    n_pairs: int = 30,
    per_pair: int = 2,
    taken: tuple[int, int] = (4, 15),
) -> Scenario:
    """Accounts with planted pairs of rare items: the first in even baskets, the second in odd ones.

    Args:
        log: Real interactions.
        rng: Source of randomness.
        n_pairs: How many pairs are planted; as many more are drawn and never planted.
        per_pair: Accounts for each pair: the baskets of a random real user, with the pair added.
        taken: How often an item of a pair was taken, from and to.

    Raises:
        ArgumentError: There are not enough such items.
    """
    counts = np.bincount(log.item, minlength=log.n_items)
    rare = np.flatnonzero((counts >= taken[0]) & (counts <= taken[1]))
    if len(rare) < 4 * n_pairs:
        raise ArgumentError(
            f"{log.name} has {len(rare)} items that were taken {taken[0]} to {taken[1]} times; "
            f"expected at least {4 * n_pairs}, for {n_pairs} pairs and as many controls"
        )
    chosen = rng.permutation(rare)[: 4 * n_pairs].reshape(2, n_pairs, 2).astype(np.int32)
    planted, controls = chosen
    sources = _drawn_users(log, rng, n_pairs * per_pair).reshape(n_pairs, per_pair)
    histories = [
        [[*basket, pair[step % 2]] for step, basket in enumerate(_history(log, user))]
        for pair, users in zip(planted, sources, strict=True)
        for user in users
    ]
    made = _of_accounts(f"canaries, {n_pairs} pairs", log, histories, "canary", np.zeros(0, dtype=np.int32))
    return replace(made, pairs=planted, controls=controls)


def accounts(log: Interactions, rng: np.random.Generator, *, n: int = 40) -> Scenario:
    """Random users who close their accounts, one request each."""
    users = _drawn_users(log, rng, n)
    requests = tuple(DeletionRequest(user=log.user_ids[user]) for user in users)
    return Scenario(f"{n} accounts", log, requests, np.setdiff1d(log.active_users, users).astype(np.int32))


def sensitive(
    log: Interactions,
    rng: np.random.Generator,
    items: Iterable[object],
    *,
    n: int | None = None,
    least: int = 1,
    name: str = "sensitive items",
) -> Scenario:
    """Users who want items of a kind to be forgotten, one request each, in random order.

    Args:
        log: Real interactions.
        rng: Source of randomness.
        items: The items, by id; see `popular_kind` and `cluster_kind` where no categories are known.
        n: How many requests; None: of all who can ask.
        least: A user can ask who took such items at least so many times, and others too.
        name: Of the scenario.

    Raises:
        ArgumentError: Nobody can ask, or fewer than n.
    """
    targets = np.array(sorted(log.item_code(item) for item in items), dtype=np.int32)
    hit = np.isin(log.item, targets)
    hits, rows = np.bincount(log.user[hit], minlength=log.n_users), np.diff(log.user_offsets)
    able = np.flatnonzero((hits >= least) & (rows > hits))
    if len(able) < (n or 1):
        raise ArgumentError(f"{len(able)} users of {log.name} can ask; expected at least {n or 1}")
    users = rng.permutation(able)[:n]
    ids = log.item_ids.tolist()
    wanted = set(targets.tolist())
    requests = tuple(
        DeletionRequest(user=log.user_ids[user], items=[ids[i] for i in log.items_of(user) if int(i) in wanted])
        for user in users
    )
    return Scenario(f"{name}, {len(users)} requests", log, requests, users.astype(np.int32), targets)


def popular_kind(log: Interactions, *, every: int = 8, ranks: tuple[int, int] = (10, 200)) -> list[Any]:
    """Every so-many-th item of a range of popularity ranks, by id."""
    return list(log.item_ids[_popularity_order(log)[ranks[0] : ranks[1] : every]].tolist())


def cluster_kind(log: Interactions, *, rank: int = 60, n: int = 24) -> list[Any]:
    """The item of a popularity rank and those that are taken by the same users (cosine), by id."""
    table = log.matrix()
    table.data[:] = 1
    norms = np.sqrt(np.asarray(table.sum(axis=0)).ravel())
    centre = _by_popularity(log, rank)
    together = np.asarray((table.T @ table[:, [centre]]).todense()).ravel()
    cosine = together / np.maximum(norms * norms[centre], 1e-300)
    return list(log.item_ids[np.argsort(-cosine, kind="stable")[:n]].tolist())


def interactions(
    log: Interactions,
    rng: np.random.Generator,
    *,
    kind: Literal["random", "popular", "unpopular"] = "random",
    fraction: float = 1e-3,
    tenth: float = 0.1,
) -> Scenario:
    """Users who want single interactions to be forgotten, one request each, until a fraction of the log is asked for.

    Args:
        log: Real interactions.
        rng: Source of randomness.
        kind: Of which items: any, those of the most popular tenth of the catalogue, or of the least popular.
        fraction: Share of all rows, at least one row.
        tenth: What a tenth is.

    Raises:
        ArgumentError: `fraction` is outside (0, 1], or the kind is unknown.
    """
    if not 0 < fraction <= 1:
        raise ArgumentError(f"fraction={fraction}; expected within (0, 1]")
    order = _popularity_order(log)
    part = max(1, int(tenth * len(order)))
    allowed = {"random": order, "popular": order[:part], "unpopular": order[-part:]}.get(kind)
    if allowed is None:
        raise ArgumentError(f"kind={kind!r}; expected 'random', 'popular' or 'unpopular'")
    rows = rng.permutation(np.flatnonzero(np.isin(log.item, allowed)))[: max(1, round(fraction * len(log)))]
    by_user: dict[int, set[int]] = {}
    for row in rows:
        by_user.setdefault(int(log.user[row]), set()).add(int(log.item[row]))
    requests = tuple(
        DeletionRequest(user=log.user_ids[user], items=[log.item_ids[i] for i in sorted(items)])
        for user, items in by_user.items()
    )
    targets = np.unique(log.item[rows])
    return Scenario(f"{kind} interactions", log, requests, np.array(sorted(by_user), dtype=np.int32), targets)


def _of_accounts(
    name: str, log: Interactions, histories: Sequence[History], prefix: str, targets: IntArray
) -> Scenario:
    full = with_accounts(log, histories, prefix)
    requests = tuple(DeletionRequest(user=f"{prefix}-{number}") for number in range(len(histories)))
    return Scenario(name, full, requests, log.active_users, targets)


def _history(log: Interactions, user: int) -> list[list[int]]:
    rows = slice(log.user_offsets[user], log.user_offsets[user + 1])
    item, sequence, step = log.item[rows], log.sequence[rows], log.step[rows]
    cuts = np.flatnonzero((np.diff(sequence) != 0) | (np.diff(step) != 0)) + 1
    return [part.tolist() for part in np.split(item, cuts)]


def _drawn_users(log: Interactions, rng: np.random.Generator, n: int) -> NDArray[np.int64]:
    if len(log.active_users) < n:
        raise ArgumentError(f"{log.name} has {len(log.active_users)} users; expected at least {n}")
    return rng.choice(log.active_users, size=n, replace=False).astype(np.int64)


def _popularity_order(log: Interactions) -> NDArray[np.int64]:
    """Items with rows, the most frequent first, ties by code."""
    counts = np.bincount(log.item, minlength=log.n_items)
    return np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]


def _by_popularity(log: Interactions, rank: int) -> int:
    order = _popularity_order(log)
    if not 0 <= rank < len(order):
        raise ArgumentError(f"rank={rank}; expected 0 to {len(order) - 1}, as {log.name} has {len(order)} items")
    return int(order[rank])
