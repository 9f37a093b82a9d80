"""The worlds of the claims, by scale."""

from dataclasses import replace
from typing import TYPE_CHECKING

from irworks.claims import Context, NotRun

if TYPE_CHECKING:
    from cltr_twostage import TwoStagePolicy
    from cltr_twostage.simulate import World

__all__ = ["better_pair", "natural", "peaked", "semi_synthetic", "shift"]


def natural(ctx: Context, seed: int, n_queries: int = 80) -> "World":
    """Return a world in which both stages see part of what makes a document relevant."""
    from cltr_twostage.simulate import natural_world

    return natural_world(ctx.rng(10_000 + seed), n_queries=ctx.pick(smoke=12, small=n_queries, full=80))


def shift(ctx: Context, seed: int, disagreement: float = 1.0) -> "World":
    """Return the world in which what is best for the ranker depends on the generator."""
    from cltr_twostage.simulate import shift_world

    n_queries = ctx.pick(smoke=12, small=80, full=80)
    return shift_world(ctx.rng(20_000 + seed), n_queries=n_queries, disagreement=disagreement)


def better_pair(world: "World") -> "TwoStagePolicy":
    """Return a pair better than the logging pair: each stage moved towards the true relevance, never far from it."""
    gain = 2.0 * (world.relevance - world.relevance.mean())
    return world.logging.replace(
        candidate=world.logging.candidate_scores + gain, ranker=world.logging.ranker_scores + gain
    )


def peaked(world: "World") -> "World":
    """Return the same world under a logging pair that shows some documents hardly ever."""
    logging = world.logging.replace(
        candidate=4.0 * world.logging.candidate_scores, ranker=4.0 * world.logging.ranker_scores
    )
    return replace(world, logging=logging)


def semi_synthetic(ctx: Context, seed: int) -> "World":
    """Return real documents with simulated clicks: MovieLens-1M at scale full, a small LETOR set below.

    Raises:
        NotRun: Scale full without a path to MovieLens-1M.
    """
    from cltr_twostage.movielens import read_movielens
    from cltr_twostage.simulate import letor_world, movielens_world

    if ctx.scale != "full":
        n_queries = ctx.pick(smoke=20, small=100, full=200)
        return letor_world(ctx.data("letor"), ctx.rng(30_000 + seed), n_queries=n_queries)
    if "ml-1m" not in ctx.options:
        raise NotRun(
            "scale full needs MovieLens-1M (its terms forbid to download it for you)",
            command="irworks reproduce cltr-twostage --scale full --option ml-1m=/path/to/ml-1m",
        )
    return movielens_world(read_movielens(ctx.options["ml-1m"]), ctx.rng(30_000 + seed))
