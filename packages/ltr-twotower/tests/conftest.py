import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from irworks.data import ClickLog


def data_folder(name: str) -> Path:
    root = os.environ.get("IRWORKS_DATA")
    if root is None:
        pytest.skip("IRWORKS_DATA is not set: the real data sets are elsewhere or absent")
    folder = Path(root) / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not under IRWORKS_DATA")
    return folder


@pytest.fixture
def letor_folder() -> Path:
    return data_folder("ltr/letor")


@pytest.fixture
def obd_folder() -> Path:
    return data_folder("ltr/obd")


@pytest.fixture(scope="session")
def random_log() -> Callable[..., ClickLog]:
    """A small log from a seed: lists of unequal length with gaps, some documents shown for several queries."""

    def build(seed: int, *, temperature: float | None = None, features: bool = False) -> ClickLog:
        rng = np.random.default_rng(seed)
        n, k, n_queries = int(rng.integers(1, 40)), int(rng.integers(1, 7)), int(rng.integers(1, 6))
        temperature = float(rng.choice([0, 0.1, 1])) if temperature is None else temperature
        docs = np.tile(np.arange(k), (n, 1))
        rows = rng.random(n) < temperature
        docs[rows] = rng.permuted(docs[rows], axis=1)
        query = rng.integers(0, n_queries, n)
        docs += np.where(rng.random(n_queries) < 0.8, np.arange(n_queries) * k, 0)[query][:, None]
        mask = rng.random((n, k)) < rng.choice([0.5, 0.9, 1.0])
        mask[0, rng.integers(k)] = True
        log = ClickLog(query, docs, (rng.random((n, k)) < 0.4) & mask, mask)
        return log.with_doc_features(rng.normal(size=(log.n_docs, 2))) if features else log

    return build


@pytest.fixture(scope="session")
def additive_log() -> Callable[..., ClickLog]:
    """Clicks of the additive model with theta_k = -ln k, on lists that a ranker shuffles with some probability."""

    def build(seed: int, *, n: int = 2000, k: int = 4, n_queries: int = 10, temperature: float = 1.0) -> ClickLog:
        rng = np.random.default_rng(seed)
        query = rng.integers(0, n_queries, n)
        docs = np.tile(np.arange(k), (n, 1))
        rows = rng.random(n) < temperature
        docs[rows] = rng.permuted(docs[rows], axis=1)
        docs += query[:, None] * k
        gamma = np.random.default_rng(99).normal(0, 0.7, n_queries * k)
        logits = gamma[docs] - np.log(np.arange(1, k + 1))
        return ClickLog(query, docs, rng.random((n, k)) < 1 / (1 + np.exp(-logits)))

    return build
