"""Worlds with known truth, in which estimates and learners can be measured."""

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.data import Pool
from cltr_twostage.policy import TwoStagePolicy
from cltr_twostage.semisynthetic import letor_world, lowrank_ratings, lowrank_world, movielens_world
from cltr_twostage.world import World, dcg_world
from irworks.errors import ArgumentError
from irworks.simulate.plackett_luce import require_at_least_one

__all__ = [
    "World",
    "letor_world",
    "lowrank_ratings",
    "lowrank_world",
    "movielens_world",
    "natural_world",
    "shift_world",
    "tiny_world",
]

# Documents of a query and length of the lists, in the natural and in the shift world.
_N_DOCS, _K = 30, 4


def tiny_world(
    rng: np.random.Generator, *, n_docs: int = 6, n_candidates: int = 4, k: int = 3, n_queries: int = 1
) -> World:
    """A world so small that every candidate set and every list can be enumerated.

    Args:
        rng: Source of randomness.
        n_docs: Documents of each query.
        n_candidates: Size of the candidate list.
        k: Length of the shown list.
        n_queries: Number of queries; they are asked with random, unequal frequencies.

    Raises:
        ArgumentError: A number below 1, or k above `n_candidates`.
    """
    pool = _pool(n_queries, n_docs)
    scores = rng.normal(size=(2, pool.n_rows))
    logging = TwoStagePolicy(scores[0], scores[1], n_candidates, k, pool=pool)
    relevance = rng.uniform(0.05, 0.95, pool.n_rows)
    features = rng.normal(size=(2, pool.n_rows, 2)).astype(np.float32)
    about = (
        f"{n_queries} queries x {n_docs} documents, {n_candidates} candidates, lists of {k}: small enough to "
        "enumerate. Relevance uniform in [.05, .95]; features and logging scores standard normal and unrelated to it; "
        "queries asked with random frequencies"
    )
    return dcg_world(
        "tiny", about, relevance, (features[0], features[1]), logging, rng.uniform(0.5, 1.5, pool.n_queries)
    )


def natural_world(rng: np.random.Generator, *, n_queries: int = 80) -> World:
    """Each stage sees part of what makes a document relevant: an ordinary case, not made to separate methods.

    Args:
        rng: Source of randomness.
        n_queries: Number of queries, of 30 documents each.

    Raises:
        ArgumentError: `n_queries` is below 1.
    """
    pool = _pool(n_queries, _N_DOCS)
    features = rng.normal(size=(pool.n_rows, 10))
    direction = rng.normal(size=10)
    logits = 3.5 * (features @ direction) / np.linalg.norm(direction) - 2.3
    relevance = 1 / (1 + np.exp(-logits))
    scores = rng.normal(0, 0.5, size=(2, pool.n_rows))
    logging = TwoStagePolicy(scores[0], scores[1], n_candidates=10, k=_K, pool=pool)
    about = (
        f"{n_queries} queries x {_N_DOCS} documents, 10 candidates, lists of {_K}. R = sigmoid(3.5 x'w - 2.3) with 10 "
        "independent Gaussian features x and a random unit vector w; the generator sees features 1-6, the ranker "
        "features 5-10. The logging policy is weak: its scores are noise of standard deviation .5, unrelated to "
        "relevance"
    )
    return dcg_world("natural", about, relevance, (_single(features[:, :6]), _single(features[:, 4:])), logging)


def shift_world(rng: np.random.Generator, *, n_queries: int = 80, disagreement: float = 1.0) -> World:
    """What is best for the ranker depends on what the generator lets through: built to separate joint learning.

    30% of the documents of a query are of type 0 and have R = .3 + .6 s, the rest of type 1; s is uniform in [0, 1].
    The generator sees the type only, the ranker s only. At `disagreement` 1 type 1 has R = .45 - .4 s: over all
    documents relevance falls with s, so a ranker that learns on its own ranks by -s; among the candidates of a good
    generator, which are of type 0, it rises. At 0 type 1 has R = .05 + .4 s, and the two agree.

    Args:
        rng: Source of randomness.
        n_queries: Number of queries, of 30 documents each.
        disagreement: In [0, 1]; the slope of type 1 is .4 (1 - 2 disagreement). Over all documents the slope is
            negative above about .82, and a ranker that learns on its own turns there.

    Raises:
        ArgumentError: `n_queries` is below 1, or `disagreement` outside [0, 1].
    """
    if not 0 <= disagreement <= 1:
        raise ArgumentError(f"disagreement={disagreement!r}; expected a number in [0, 1]")
    pool = _pool(n_queries, _N_DOCS)
    preferred = np.tile(np.arange(_N_DOCS) < 0.3 * _N_DOCS, pool.n_queries)
    s = rng.uniform(size=pool.n_rows)
    slope = 0.4 * (1 - 2 * disagreement)
    relevance = np.where(preferred, 0.3 + 0.6 * s, 0.25 + slope * (s - 0.5))
    seen = _single(preferred), _single((s - 0.5) * np.sqrt(12))
    logging = TwoStagePolicy(2.0 * preferred, seen[1][:, 0], n_candidates=8, k=_K, pool=pool)
    about = (
        f"Constructed to separate joint from independent learning. {n_queries} queries x {_N_DOCS} documents, 8 "
        f"candidates, lists of {_K}; s uniform in [0, 1]. 30% of a query's documents are of type 0 with R = .3 + .6 s, "
        f"70% of type 1 with R = .25 + {slope:.2f} (s - .5) (disagreement {disagreement:g}). The generator sees the "
        "type only, the ranker s only (standardised). The logging policy prefers type 0 (score 2) and large s (score s)"
    )
    return dcg_world("shift", about, relevance, seen, logging)


def _pool(n_queries: int, n_docs: int) -> Pool:
    require_at_least_one("n_queries", n_queries)
    require_at_least_one("n_docs", n_docs)
    return Pool(np.arange(n_queries + 1) * n_docs)


def _single(features: NDArray[np.generic]) -> NDArray[np.float32]:
    """As float32 [n_rows, n_features]."""
    return np.asarray(features.reshape(len(features), -1), dtype=np.float32)
