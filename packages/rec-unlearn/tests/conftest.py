import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from rec_unlearn import DeletionRequest, Interactions, Removal, resolve

# A machine that is busy with other tests is slow by fits.
settings.register_profile("rec-unlearn", deadline=None)
settings.load_profile("rec-unlearn")


@pytest.fixture(scope="session")
def unlearn_folder() -> Path:
    root = os.environ.get("IRWORKS_DATA")
    if root is None:
        pytest.skip("IRWORKS_DATA is not set: the real data sets are elsewhere or absent")
    folder = Path(root) / "unlearn"
    if not folder.is_dir():
        pytest.skip("unlearn is not under IRWORKS_DATA")
    return folder


@pytest.fixture(scope="session")
def small_log() -> Callable[[int], Interactions]:
    """A small log from a seed: users with one row, items with one user, baskets, two sessions, repetitions."""

    def build(seed: int) -> Interactions:
        rng = np.random.default_rng(seed)
        n_users, n_items, n = int(rng.integers(2, 13)), int(rng.integers(2, 11)), int(rng.integers(2, 80))
        skew = rng.dirichlet(np.full(n_items, 0.5))
        frame = pd.DataFrame(
            {
                "user": rng.integers(0, n_users, n),
                "item": rng.choice(n_items, n, p=skew),
                "session": rng.integers(0, 2, n),
                "basket": rng.integers(0, 6, n),
            }
        )
        frame["user"], frame["item"] = "u" + frame["user"].astype(str), "i" + frame["item"].astype(str)
        frame["session"] = frame["user"] + frame["session"].astype(str)
        frame["basket"] = frame["session"] + frame["basket"].astype(str)
        return Interactions.from_pandas(frame.drop_duplicates(), session="session", basket="basket")

    return build


@pytest.fixture(scope="session")
def removals() -> Callable[..., Iterator[Removal]]:
    """Random removals one after another, each of what the one before left: accounts, lists, pairs, alone or several."""

    def draw(log: Interactions, seed: int, n: int, *, at_once: int = 3) -> Iterator[Removal]:
        rng = np.random.default_rng(seed)
        for _ in range(n):
            if not len(log):
                return
            removal = resolve([_request(log, rng) for _ in range(int(rng.integers(1, at_once + 1)))], log)
            yield removal
            log = removal.after

    return draw


def _request(log: Interactions, rng: np.random.Generator) -> DeletionRequest:
    row = int(rng.integers(len(log)))
    user, item = log.user_ids[log.user[row]], log.item_ids[log.item[row]]
    kind = int(rng.integers(8))
    if kind < 3:
        return DeletionRequest(user=user)
    if kind < 6:
        taken = log.items_of(int(log.user[row]))
        some = rng.choice(taken, size=int(rng.integers(1, len(taken) + 1)), replace=False)
        return DeletionRequest(user=user, items=log.item_ids[some].tolist())
    if kind < 7:
        return DeletionRequest(pairs=[(user, item)])
    return DeletionRequest(items=[item])
