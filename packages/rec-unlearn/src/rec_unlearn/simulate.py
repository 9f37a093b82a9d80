"""A small world with tastes, popularity, repeats and categories, for tests and examples."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions

__all__ = ["World", "simulate_baskets"]


class World(NamedTuple):
    """Simulated interactions and what is behind them.

    Attributes:
        log: Baskets of users.
        categories: Items of each category, by its name.
        tastes: float64 [n_users, n_items], probability of each item in a basket, repeats aside.
    """

    log: Interactions
    categories: dict[str, list[str]]
    tastes: NDArray[np.float64]


def simulate_baskets(
    rng: np.random.Generator,
    *,
    n_users: int = 200,
    n_items: int = 60,
    n_categories: int = 6,
    n_baskets: tuple[int, int] = (4, 12),
    basket_size: float = 3.0,
    repeat: float = 0.3,
    skew: float = 0.8,
) -> World:
    """Simulate users who buy what they like, what is popular, and what they bought before.

    A user likes categories by a Dirichlet draw; within a category items are taken by a Zipf law. A basket holds
    1 + Poisson(`basket_size` - 1) different items; each is, with probability `repeat`, one of the user's earlier ones.

    Args:
        rng: Source of randomness.
        n_users: Users "u0", "u1", ...
        n_items: Items "i0", "i1", ..., the lower the more popular in their category.
        n_categories: Items belong to them in turn.
        n_baskets: Least and largest number of baskets of a user, drawn uniformly.
        basket_size: Mean size of a basket, at least 1.
        repeat: Share of earlier items, in [0, 1].
        skew: Exponent of the Zipf law.

    Raises:
        ArgumentError: A number is out of its range.
    """
    if n_users < 1 or n_items < n_categories or n_categories < 1:
        raise ArgumentError(
            f"n_users={n_users}, n_items={n_items}, n_categories={n_categories}; expected at least one each"
        )
    if not 1 <= n_baskets[0] <= n_baskets[1]:
        raise ArgumentError(f"n_baskets={n_baskets}; expected a least and a largest number, at least 1")
    if not basket_size >= 1 or not 0 <= repeat <= 1:
        raise ArgumentError(f"basket_size={basket_size}, repeat={repeat}; expected at least 1, and a share")
    category = np.arange(n_items) % n_categories
    popularity = (1.0 + np.arange(n_items) // n_categories) ** -skew
    likes = rng.dirichlet(np.full(n_categories, 0.5), size=n_users)
    tastes = likes[:, category] * popularity
    tastes /= tastes.sum(axis=1, keepdims=True)
    baskets = rng.integers(n_baskets[0], n_baskets[1] + 1, size=n_users)
    user = np.repeat(np.arange(n_users), baskets)
    step = np.arange(len(user)) - np.repeat(np.cumsum(baskets) - baskets, baskets)
    size = np.minimum(1 + rng.poisson(basket_size - 1, size=len(user)), n_items)
    owner, when = np.repeat(user, size), np.repeat(step, size)
    cumulative = np.cumsum(tastes, axis=1)
    item = _drawn(cumulative, owner, rng)
    # A repeated item is a draw among the user's earlier rows; a user's first basket has none.
    starts = np.searchsorted(owner, np.arange(n_users))
    earlier = np.searchsorted(owner * (baskets.max() + 1) + when, owner * (baskets.max() + 1) + when) - starts[owner]
    again = (rng.random(len(item)) < repeat) & (earlier > 0)
    source = starts[owner] + (rng.random(len(item)) * earlier).astype(np.int64)
    root = np.where(again, source, np.arange(len(item)))
    while (further := root[root] != root).any():
        root[further] = root[root[further]]
    item = item[root]
    keys = np.unique((np.repeat(np.arange(len(user)), size)) * n_items + item)
    basket = keys // n_items
    log = Interactions(
        user=user[basket].astype(np.int32),
        item=(keys % n_items).astype(np.int32),
        sequence=user[basket].astype(np.int32),
        step=step[basket].astype(np.int32),
        user_ids=np.array([f"u{number}" for number in range(n_users)], dtype=object),
        item_ids=np.array([f"i{number}" for number in range(n_items)], dtype=object),
        name="simulated baskets",
    )
    names = [f"category {number}" for number in range(n_categories)]
    members = {name: [f"i{i}" for i in np.flatnonzero(category == number)] for number, name in enumerate(names)}
    return World(log, members, tastes)


def _drawn(cumulative: NDArray[np.float64], rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """One column for each of `rows`, by the probabilities of the row."""
    drawn = (rng.random(len(rows))[:, None] > cumulative[rows]).sum(axis=1)
    return np.asarray(np.minimum(drawn, cumulative.shape[1] - 1))
