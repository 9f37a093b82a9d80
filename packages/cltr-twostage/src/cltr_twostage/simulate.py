"""Worlds with known truth, in which estimates and learners can be measured."""

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.data import Pool
from cltr_twostage.examination import dcg_weights, inverse_rank
from cltr_twostage.policy import TwoStagePolicy
from cltr_twostage.semisynthetic import letor_world, lowrank_ratings, lowrank_world, movielens_world
from cltr_twostage.world import World
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

FloatArray = NDArray[np.float64]

# Sizes of the natural and of the shift world.
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
    """
    n_rows = n_queries * n_docs
    relevance = rng.uniform(0.05, 0.95, n_rows)
    about = (
        f"{n_queries} queries x {n_docs} documents, {n_candidates} candidates, lists of {k}: small enough to enumerate. "
        "Relevance uniform in [.05, .95]; standard normal features and logging scores, unrelated to it; queries asked "
        f"with random frequencies; {_USER}"
    )
    pool = _pool(n_queries, n_docs)
    logging = TwoStagePolicy(rng.normal(size=n_rows), rng.normal(size=n_rows), n_candidates, k, pool=pool)
    features = rng.normal(size=(2, n_rows, 2)).astype(np.float32)
    weights = rng.uniform(0.5, 1.5, n_queries)
    return World(
        "tiny", about, pool, relevance, *features, logging, inverse_rank(k), dcg_weights(k), weights
    )


def natural_world(rng: np.random.Generator, *, n_queries: int = 80) -> World:
    """Both stages see part of what makes a document relevant: an ordinary case, not made to separate any methods.

    Args:
        rng: Source of randomness.
        n_queries: Number of queries, of 30 documents each.
    """
    n_rows = n_queries * _N_DOCS
    features = rng.normal(size=(n_rows, 10)).astype(np.float32)
    direction = rng.normal(size=10)
    relevance = _sigmoid(3.5 * (features @ direction) / np.linalg.norm(direction) - 2.3)
    about = (
        f"{n_queries} queries x {_N_DOCS} documents, 10 candidates, lists of {_K}. Relevance is sigmoid(3.5 x'w - 2.3) "
        "with 10 independent Gaussian features x and a random unit vector w; the generator sees features 1-6, the "
        "ranker features 5-10. The logging policy is weak: its scores are noise of standard deviation .5, unrelated to "
        f"relevance; {_USER}"
    )
    pool = _pool(n_queries, _N_DOCS)
    scores = rng.normal(0, 0.5, size=(2, n_rows))
    logging = TwoStagePolicy(*scores, n_candidates=10, k=_K, pool=pool)
    return _dcg_world("natural", about, pool, relevance, (features[:, :6], features[:, 4:]), logging)


def shift_world(rng: np.random.Generator, *, n_queries: int = 80, disagreement: float = 1.0) -> World:
    """What is best for the ranker depends on what the generator lets through: built to separate joint learning.

    30% of the documents of a query are of type 0 and have R = .3 + .6 s, the rest of type 1; s is uniform in [0, 1].
    The generator sees the type only, the ranker s only. At `disagreement` 1 type 1 has R = .45 - .4 s: over all
    documents relevance falls with s, so a ranker that learns on its own ranks by -s; among the candidates of a good
    generator, which are of type 0, it rises. At 0 type 1 has R = .05 + .4 s, and the two agree.

    Args:
        rng: Source of randomness.
        n_queries: Number of queries, of 30 documents each.
        disagreement: In [0, 1]; the slope of type 1 is .4 (1 - 2 disagreement). Over all documents it turns against
            that of type 0 at about .82, where a ranker that learns on its own turns with it.

    Raises:
        ArgumentError: `disagreement` is outside [0, 1].
    """
    if not 0 <= disagreement <= 1:
        raise ArgumentError(f"disagreement={disagreement!r}; expected a number in [0, 1]")
    require_at_least_one("n_queries", n_queries)
    first_type = np.tile(np.arange(_N_DOCS) < 0.3 * _N_DOCS, n_queries)
    s = rng.uniform(size=len(first_type))
    slope = 0.4 * (1 - 2 * disagreement)
    relevance = np.where(first_type, 0.3 + 0.6 * s, 0.25 + slope * (s - 0.5))
    about = (
        f"Constructed to separate joint from independent learning. {n_queries} queries x {_N_DOCS} documents, 8 "
        f"candidates, lists of {_K}; s uniform in [0, 1]. 30% of a query's documents are of type 0 with R = .3 + .6 s, "
        f"70% of type 1 with R = .25 + {slope:.2f} (s - .5) (disagreement {disagreement:g}). The generator sees the type "
        "only, the ranker s only. The logging policy prefers type 0 and large s a little (scores 2 and s, in standard "
        f"deviations); {_USER}"
    )
    pool = _pool(n_queries, _N_DOCS)
    generator_features = first_type[:, None].astype(np.float32)
    ranker_features = ((s - 0.5) * np.sqrt(12))[:, None].astype(np.float32)
    logging = TwoStagePolicy(2.0 * first_type, ranker_features[:, 0], n_candidates=8, k=_K, pool=pool)
    return _dcg_world("shift", about, pool, relevance, (generator_features, ranker_features), logging)
