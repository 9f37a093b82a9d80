"""Worlds on real documents or ratings, with simulated clicks; and a stand-in for MovieLens that needs no file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.data import Pool
from cltr_twostage.movielens import Ratings
from cltr_twostage.policy import TwoStagePolicy
from cltr_twostage.world import World, dcg_world
from irworks.data import read_letor
from irworks.errors import ArgumentError
from irworks.simulate import gumbel
from irworks.simulate.plackett_luce import require_at_least_one

__all__ = ["letor_world", "lowrank_ratings", "lowrank_world", "movielens_world"]

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

# Irrelevant documents are clicked too, as in the usual simulations of counterfactual learning to rank.
FLOOR = 0.1
# Ratings that the mean of an item or user is shrunk by.
SHRINKAGE = 5.0
# Where one star ends, two, three and four: near the shares of MovieLens-1M.
STAR_QUANTILES = (0.06, 0.16, 0.42, 0.77)


def letor_world(
    path: str | Path,
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
    principal components, each of unit variance: both stages see the leading 20% of them, the generator the next 20%,
    the ranker the rest. Each stage of the logging policy is a ridge regression of the labels of a few queries.
    Documents without an id are called by their place in the file, from 0.

    Args:
        path: A file in LETOR format; or a folder with `rank.train` (LightGBM's example, catalogued as `letor`) or
            `train.txt` (a fold of MSLR-WEB30K or Istella).
        rng: Draws queries, documents and the logging policy's training queries. Default: seeded with 0.
        n_queries: As many are drawn at random of those with a relevant document and more than `n_candidates`
            documents. None: all of them.
        docs_per_query: At most so many of a query's documents are drawn at random.
        n_candidates: Size of the candidate list.
        k: Length of the shown list.
        n_components: Number of principal components; fewer where the data have fewer.
        n_logging_queries: Queries whose labels the logging policy is fitted to.

    Raises:
        DataError: The file is missing or malformed.
        ArgumentError: No query is as above, `docs_per_query` is not above `n_candidates`, or a number is below 1.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    require_at_least_one("n_components", n_components)
    require_at_least_one("n_logging_queries", n_logging_queries)
    data = read_letor(_letor_file(Path(path)))
    usable = (data.list_sizes > n_candidates) & (np.maximum.reduceat(data.labels, data.offsets[:-1]) > 0)
    rows, chosen, offsets = _drawn(data.query_of_doc, usable, rng, n_queries, docs_per_query, n_candidates)
    pool = Pool(offsets, data.query_ids[chosen], rows if data.doc_ids is None else data.doc_ids[rows])
    labels, highest = np.maximum(data.labels[rows].astype(np.float64), 0), float(data.labels.max())
    relevance = FLOOR + (1 - FLOOR) * (2**labels - 1) / (2**highest - 1)
    components = _principal_components(data.features[rows].astype(np.float64), n_components)
    width = components.shape[1]
    shared, own = max(1, round(0.2 * width)), max(1, round(0.4 * width))
    seen = components[:, :own], np.delete(components, np.arange(shared, own), axis=1)
    fitted = np.isin(pool.owner(), rng.permutation(pool.n_queries)[:n_logging_queries])
    scores = [_standardised(X @ _ridge(X[fitted], labels[fitted])) for X in seen]
    logging = TwoStagePolicy(scores[0], scores[1], n_candidates, k, pool=pool)
    about = (
        f"Real documents of {pool.n_queries} queries ({data.n_queries} in the file), at most {docs_per_query} drawn at "
        f"random for each; {n_candidates} candidates, lists of {k}. R = .1 + .9 (2^label - 1) / (2^{highest:g} - 1). "
        f"Of {width} principal components of the features the generator sees the leading {own}, the ranker the leading "
        f"{shared} and the last {width - own}. Each stage of the logging policy is a ridge regression of the labels of "
        f"{min(n_logging_queries, pool.n_queries)} of the queries"
    )
    return dcg_world("letor", about, relevance, (seen[0].astype(np.float32), seen[1].astype(np.float32)), logging)


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
    """Semi-synthetic, in the setting of the paper: users are queries, items that they rated are the documents.

    Half of the ratings, drawn at random, are what the system knows: popularity, the items' offsets and a truncated
    singular value decomposition are learnt from them. The other half are the documents, with R = (stars - 1) / 4, at
    least 0. The generator sees the products of the leading factors of user and item, and the item's popularity; the
    ranker the products of all factors, and the item's offset. The logging policy generates by popularity and ranks by
    offset. How the paper maps stars to relevance and what its models see is not known: these are our choices.

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
        ArgumentError: No user has enough documents, `items_per_user` is not above `n_candidates`, there are too few
            users or items for so many factors, or a number is below 1.
    """
    rng = np.random.default_rng(0) if rng is None else rng
    if not 1 <= n_generator_factors <= n_factors < min(ratings.n_users, ratings.n_items):
        raise ArgumentError(
            f"n_generator_factors={n_generator_factors}, n_factors={n_factors} with {ratings.n_users} users and "
            f"{ratings.n_items} items; expected 1 <= n_generator_factors <= n_factors < number of users and of items"
        )
    known = rng.random(len(ratings)) < 0.5
    shown = np.flatnonzero(~known)
    shown = shown[np.lexsort((ratings.item[shown], ratings.user[shown]))]
    usable = np.bincount(ratings.user[shown], minlength=ratings.n_users) > n_candidates
    places, chosen, offsets = _drawn(ratings.user[shown], usable, rng, n_users, items_per_user, n_candidates)
    rows = shown[places]
    user, item = ratings.user[rows], ratings.item[rows]
    popularity, offset, residual = _item_statistics(ratings, known)
    products = _factor_products(ratings, known, residual, n_factors, rng)(user, item)
    popularity, offset = _standardised(popularity[item]), _standardised(offset[item])
    seen = np.column_stack([products[:, :n_generator_factors], popularity]), np.column_stack([products, offset])
    pool = Pool(offsets, ratings.user_ids[chosen], ratings.item_ids[item])
    logging = TwoStagePolicy(popularity, offset, n_candidates, k, pool=pool)
    about = (
        f"{pool.n_queries} of {ratings.n_users} users as queries, at most {items_per_user} of the items that each has "
        f"rated as documents; {n_candidates} candidates, lists of {k}. R = (stars - 1) / 4. The other half of the "
        f"ratings is known: the generator sees {n_generator_factors} products of factors and the popularity, the "
        f"ranker {n_factors} products and the item's mean offset. The logging policy generates by popularity and ranks "
        "by offset"
    )
    relevance = np.clip((ratings.rating[rows].astype(np.float64) - 1) / 4, 0, 1)
    return dcg_world("movielens", about, relevance, (seen[0].astype(np.float32), seen[1].astype(np.float32)), logging)


def lowrank_ratings(
    rng: np.random.Generator, *, n_users: int = 300, n_items: int = 400, ratings_per_user: float = 80.0
) -> Ratings:
    """Synthetic ratings with the shape of MovieLens: few items are popular, and users rate what they are fond of.

    A user's liking of an item is the item's quality plus the product of five user and item factors plus noise, all
    Gaussian; stars are its quantiles among the ratings, in about the shares of MovieLens-1M. Which items a user has
    rated is drawn without replacement by popularity, 1 / rank, times exp(liking / 2); how many is log-normal, at
    least 20.

    Args:
        rng: Source of randomness.
        n_users: Number of users.
        n_items: Number of items; those that nobody rates are left out.
        ratings_per_user: Median number of ratings of a user, before it is cut to 20 or more.

    Raises:
        ArgumentError: No user, or fewer than 20 items.
    """
    require_at_least_one("n_users", n_users)
    if n_items < 20:
        raise ArgumentError(f"n_items={n_items}; expected at least 20, as every user rates so many")
    factors = rng.normal(size=(n_users, 5)) @ rng.normal(size=(5, n_items)) / np.sqrt(5)
    liking = 0.7 * rng.normal(size=n_items) + factors + 0.7 * rng.normal(size=factors.shape)
    popularity = rng.permutation(-np.log(np.arange(1, n_items + 1)))
    keys = popularity + liking / 2 + gumbel(liking.shape, rng)
    counts = np.clip(rng.lognormal(np.log(ratings_per_user), 0.8, n_users), 20, n_items).astype(np.int64)
    rank = np.argsort(np.argsort(-keys, axis=1), axis=1)
    user, item = np.nonzero(rank < counts[:, None])
    rated, item_codes = np.unique(item, return_inverse=True)
    liked = liking[user, item]
    stars = 1 + np.searchsorted(np.quantile(liked, STAR_QUANTILES), liked)
    return Ratings(
        user=user.astype(np.int32),
        item=item_codes.astype(np.int32),
        rating=stars.astype(np.float32),
        timestamp=np.arange(len(user), dtype=np.int64),
        user_ids=np.arange(1, n_users + 1),
        item_ids=rated + 1,
    )


def lowrank_world(rng: np.random.Generator, *, n_users: int = 200) -> World:
    """A synthetic stand-in for `movielens_world`, for when the data are not at hand: on `lowrank_ratings`.

    Args:
        rng: Source of randomness.
        n_users: Number of users; some have too few ratings to become queries.

    Raises:
        ArgumentError: `n_users` is too small for the 16 factors.
    """
    world = movielens_world(lowrank_ratings(rng, n_users=n_users), rng, n_users=None)
    origin = "Synthetic: ratings drawn from a model of low rank with the shape of MovieLens, not MovieLens itself. "
    return replace(world, name="lowrank", about=origin + world.about)


def _letor_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    return path / "rank.train" if (path / "rank.train").exists() else path / "train.txt"


def _drawn(
    query: NDArray[np.int32],
    usable: BoolArray,
    rng: np.random.Generator,
    n_queries: int | None,
    docs_per_query: int,
    n_candidates: int,
) -> tuple[IntArray, IntArray, IntArray]:
    """Draw queries, and documents of each.

    Args:
        query: int32 [n], query code of each row, ascending.
        usable: bool [n_queries], which queries may be drawn.
        rng: Source of randomness.
        n_queries: How many are drawn, if there are more. None: all.
        docs_per_query: How many of a query's rows are drawn, if it has more.
        n_candidates: How many of them will be candidates, for the check.

    Returns:
        The rows drawn, ascending; the queries drawn, ascending; the offsets of the queries in the rows.
    """
    if docs_per_query <= n_candidates:
        raise ArgumentError(
            f"{docs_per_query} documents a query for {n_candidates} candidates; expected more documents than candidates"
        )
    chosen = np.flatnonzero(usable)
    if n_queries is not None:
        require_at_least_one("the number of queries", n_queries)
        chosen = np.sort(rng.permutation(chosen)[:n_queries])
    if len(chosen) == 0:
        raise ArgumentError(
            f"none of {len(usable)} queries has a relevant document and more than n_candidates={n_candidates} documents"
        )
    rows = np.flatnonzero(np.isin(query, chosen))
    order = rows[np.lexsort((rng.random(len(rows)), query[rows]))]
    rank = np.arange(len(order)) - np.searchsorted(query[order], query[order], side="left")
    kept = np.sort(order[rank < docs_per_query])
    sizes = np.bincount(query[kept], minlength=len(usable))[chosen]
    return kept, chosen, np.concatenate(([0], np.cumsum(sizes)))


def _standardised(values: FloatArray) -> FloatArray:
    """Each column with mean 0 and standard deviation 1; a constant one is 0."""
    centred = values - values.mean(axis=0)
    scale = centred.std(axis=0)
    return np.asarray(centred / np.where(scale > 1e-12, scale, 1.0))


def _principal_components(features: FloatArray, n: int) -> FloatArray:
    """The leading `n` principal components of tamed features, each of unit variance: float64 [n_rows, <= n]."""
    Z = _standardised(np.sign(features) * np.log1p(np.abs(features)))
    variance, basis = np.linalg.eigh(Z.T @ Z / len(Z))
    leading = np.argsort(-variance)[:n]
    leading = leading[variance[leading] > 1e-9]
    return np.asarray(Z @ basis[:, leading] / np.sqrt(variance[leading]))


def _ridge(X: FloatArray, y: FloatArray) -> FloatArray:
    """Weights of a ridge regression, shrunk as if a tenth of the rows more said zero: float64 [n_features]."""
    gram = X.T @ X + 0.1 * len(X) * np.eye(X.shape[1])
    return np.asarray(np.linalg.solve(gram, X.T @ (y - y.mean())))


def _item_statistics(ratings: Ratings, known: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Log-popularity and offset of each item [n_items] in the known ratings, and what is left of each of these."""
    user, item = ratings.user[known], ratings.item[known]
    residual = ratings.rating[known].astype(np.float64)
    residual -= residual.mean()
    count = np.bincount(item, minlength=ratings.n_items)
    offset = np.bincount(item, residual, minlength=ratings.n_items) / (count + SHRINKAGE)
    residual -= offset[item]
    rated = np.bincount(user, minlength=ratings.n_users)
    residual -= (np.bincount(user, residual, minlength=ratings.n_users) / (rated + SHRINKAGE))[user]
    return np.log1p(count), offset, residual


def _factor_products(
    ratings: Ratings, known: BoolArray, residual: FloatArray, n_factors: int, rng: np.random.Generator
) -> Callable[[NDArray[np.int32], NDArray[np.int32]], FloatArray]:
    """Decompose the known residuals; what comes back maps users and items [n] to products [n, n_factors], standardised.

    The predicted residual is linear in these products.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.linalg import svds

    shape = (ratings.n_users, ratings.n_items)
    matrix = csr_array((residual, (ratings.user[known], ratings.item[known])), shape=shape)
    left, _, right = svds(matrix, k=n_factors, v0=rng.normal(size=min(shape)))
    # Singular values come smallest first.
    return lambda user, item: _standardised(left[user, ::-1] * right[::-1, item].T)
