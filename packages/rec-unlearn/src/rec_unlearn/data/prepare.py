"""Making data smaller and denser, as experiments do."""

from dataclasses import replace

import numpy as np

from irworks.errors import ArgumentError
from rec_unlearn.data.interactions import Interactions

__all__ = ["compact", "first_users", "frequent_items", "last_steps", "long_histories"]


def frequent_items(log: Interactions, min_rows: int) -> Interactions:
    """Keep the items that were taken at least so many times."""
    return log.keep(np.bincount(log.item, minlength=log.n_items)[log.item] >= min_rows).renumbered()


def last_steps(log: Interactions, n: int) -> Interactions:
    """Keep the last n steps of every sequence."""
    if n < 1:
        raise ArgumentError(f"n={n}; expected at least 1")
    counted = log.renumbered()
    last = np.zeros(int(counted.sequence.max(initial=-1)) + 1, dtype=np.int64)
    last[counted.sequence] = counted.step
    return counted.keep(counted.step > last[counted.sequence] - n).renumbered()


def long_histories(log: Interactions, min_steps: int) -> Interactions:
    """Keep the users with at least so many steps in all their sequences together."""
    begins = np.ones(len(log), dtype=bool)
    begins[1:] = (np.diff(log.sequence) != 0) | (np.diff(log.step) != 0)
    steps = np.bincount(log.user[begins], minlength=log.n_users)
    return log.keep(steps[log.user] >= min_steps).renumbered()


def first_users(log: Interactions, n: int) -> Interactions:
    """Keep the first n of the users that have rows, in the order of their ids."""
    return log.of_users(log.active_users[:n]).renumbered()


def compact(log: Interactions) -> Interactions:
    """Leave out the ids of users and items without rows; the others get new codes in the same order."""
    users, items = log.active_users, np.flatnonzero(log.active_items)
    user = np.zeros(log.n_users, dtype=np.int32)
    user[users] = np.arange(len(users))
    item = np.zeros(log.n_items, dtype=np.int32)
    item[items] = np.arange(len(items))
    return replace(
        log,
        user=user[log.user],
        item=item[log.item],
        user_ids=np.asarray(log.user_ids)[users],
        item_ids=np.asarray(log.item_ids)[items],
    )
