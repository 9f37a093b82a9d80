"""Worlds on real documents or ratings, with simulated clicks; and a stand-in for MovieLens that needs no file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.data import Pool
from cltr_twostage.movielens import Ratings
from cltr_twostage.policy import TwoStagePolicy
from cltr_twostage.world import World, dcg_world
from irworks.data import RankingDataset, read_letor
from irworks.errors import ArgumentError, DataError
from irworks.simulate import gumbel

__all__ = ["letor_world", "lowrank_ratings", "lowrank_world", "movielens_world"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# Irrelevant documents are clicked too, as often as in the usual simulations of counterfactual learning to rank.
FLOOR = 0.1
# The share of one, two ... five stars in MovieLens-1M.
STARS = (0.056, 0.108, 0.261, 0.349, 0.226)


def letor_world(
    folder: str | Path,
    rng: np.random.Generator | None = None,
    *,
    n_queries: int | None = 200,
    docs_per_query: int = 30,
    n_candidates: int = 8,
    k: int = 4,
    n_components: int = 20,
    n_logging_queries: int = 10,
) -> World:
    """Real queries and documents with graded labels; clicks are simulated.

    R = .1 + .9 (2^label - 1) / (2^highest - 1), the map of the usual simulations (Ai et al. 2018, Unbiased learning to
    rank with unbiased propensity estimation). Features are tamed by a logarithm, standardised and rotated to their
    principal components, each of unit variance: the generator sees the leading 40% of them, the ranker all but the
    leading 20%. The logging policy scores with a ridge regression of the labels of a few queries in each stage.

    Args:
        folder: With `rank.train` (LightGBM's example, catalogued as `letor`) or `train.txt` (a fold of MSLR-WEB30K or
            Istella); or such a file.
        rng: Draws queries, documents and the logging policy's training queries. Default: seeded with 0.
        n_queries: As many are drawn at random of those with a relevant document and more than `n_candidates`
            documents. None: all of them.
        docs_per_query: At most so many of a query's documents are drawn at random.
        n_candidates: Size of the candidate list.
        k: Length of the shown list.
        n_components: Number of principal components; fewer where the data has fewer.
        n_logging_queries: Queries whose labels the logging policy is fitted to.

    Raises:
        DataError: The file is missing or malformed, or has no query as above.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    data = read_letor(_letor_file(Path(folder)))
    rows, offsets = _drawn_rows(data, rng, n_queries, max(docs_per_query, n_candidates + 1), n_candidates)
    labels = np.maximum(data.labels[rows].astype(np.float64), 0)
    relevance = FLOOR + (1 - FLOOR) * (2**labels - 1) / (2 ** max(float(data.labels.max()), 1) - 1)
    components = _principal_components(data.features[rows], n_components)
    width = components.shape[1]
    seen = (components[:, : max(1, round(0.4 * width))], components[:, round(0.2 * width) :])
    pool = Pool(offsets, _query_ids(data, rows[offsets[:-1]]), None if data.doc_ids is None else data.doc_ids[rows])
    fitted = np.isin(pool.owner(), rng.permutation(pool.n_queries)[:n_logging_queries])
    scores = [_unit(X @ _ridge(X[fitted], labels[fitted])) for X in seen]
    about = (
        f"Real documents of {pool.n_queries} queries ({data.n_queries} in the file), at most {docs_per_query} drawn at "
        f"random for each; {n_candidates} candidates, lists of {k}. R = .1 + .9 (2^label - 1) / (2^{data.labels.max():g} "
        f"- 1). Of {width} principal components of the features, the generator sees the leading {seen[0].shape[1]}, the "
        f"ranker the last {seen[1].shape[1]}. The logging policy's stages are ridge regressions of the labels of "
        f"{min(n_logging_queries, pool.n_queries)} of the queries"
    )
    logging = TwoStagePolicy(*scores, n_candidates=n_candidates, k=k, pool=pool)
    return dcg_world("letor", about, relevance, seen, logging)


def movielens_world(
    ratings: Ratings,
    rng: np.random.Generator | None = None,
    *,
    n_users: int | None = 400,
    items_per_user: int = 30,
    n_candidates: int = 10,
    k: int = 5,
    n_factors: int = 16,
    n_generator_factors: int = 4,
) -> World:
    """Semi-synthetic, in the setting of the paper: users are queries, the items that they rated the documents.

    Half of the ratings, drawn at random, are what the system knows: item offsets, popularity and a truncated singular
    value decomposition are learnt on them. The other half are the documents, with R = (stars - 1) / 4. The generator
    sees the products of the leading factors of user and item, and the popularity; the ranker the products of all
    factors, and the item's offset. The logging policy generates by popularity and ranks by offset. The paper does not
    say how it maps stars to relevance, nor what its models see: these are our choices.

    Args:
        ratings: From `read_movielens`.
        rng: Draws the halves, users, items and the start of the decomposition. Default: seeded with 0.
        n_users: As many are drawn of those with more than `n_candidates` documents. None: all of them.
        items_per_user: At most so many of a user's documents are drawn.
        n_candidates: Size of the candidate list.
        k: Length of the shown list.
        n_factors: Rank of the decomposition.
        n_generator_factors: Leading factors that the generator sees.

    Raises:
        ArgumentError: No user has enough ratings, or there are too few users or items for so many factors.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    known = rng.random(len(ratings)) < 0.5
    rows = np.flatnonzero(~known)
    rows, offsets = _draw_queries(
        rows[np.lexsort((ratings.item[rows], ratings.user[rows]))], ratings.user, rng, n_users, items_per_user, n_candidates
    )
