"""The worlds of the claims, by scale."""

from dataclasses import replace
from typing import TYPE_CHECKING

from irworks.claims import Context, NotRun

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cltr_twostage import TwoStagePolicy
    from cltr_twostage.simulate import World

__all__ = ["better_pair", "natural", "peaked", "replicates", "semi_synthetic", "shift", "shift_levels"]

# Each claim has a thousand replicates of its own, so that no two share a world, a log or an instance.
_BLOCKS = (
    "joint-estimator-unbiased",
    "ignoring-stage-one-biases",
    "lower-variance",
    "joint-where-stages-disagree",
    "joint-where-stages-agree",
    "disagreement-decides",
    "semi-synthetic",
    "more-log-less-error",
    "clipping-trades",
    "wrong-examination",
    "stage-attribution",
    "credit-gradient",
)


def replicates(ctx: Context, claim: str) -> list[int]:
    """Return the seeds of the run as those of one claim."""
    first = 1_000 * _BLOCKS.index(claim)
    return [first + seed for seed in ctx.seeds]


def natural(ctx: Context, seed: int, n_queries: int = 80) -> "World":
    """Return a world in which both stages see part of what makes a document relevant."""
    from cltr_twostage.simulate import natural_world

    return natural_world(ctx.rng(100_000 + seed), n_queries=ctx.pick(smoke=4, small=n_queries, full=80))


def shift(ctx: Context, seed: int, disagreement: float = 1.0) -> "World":
    """Return the world in which what is best for the ranker depends on the generator."""
    from cltr_twostage.simulate import shift_world

    n_queries = ctx.pick(smoke=4, small=80, full=80)
    return shift_world(ctx.rng(200_000 + seed), n_queries=n_queries, disagreement=disagreement)


def shift_levels(ctx: Context, seed: int, levels: "Sequence[float]") -> "list[World]":
    """Return shift worlds that differ in nothing but the disagreement."""
    worlds = [shift(ctx, seed, level) for level in levels]
    # The logging pair is the same at all levels; one object integrates its exposures once.
    return [replace(world, logging=worlds[0].logging) for world in worlds]


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
        n_queries = ctx.pick(smoke=6, small=100, full=200)
        return letor_world(ctx.data("letor"), ctx.rng(300_000 + seed), n_queries=n_queries)
    if "ml-1m" not in ctx.options:
        raise NotRun(
            "scale full needs MovieLens-1M (its terms forbid to download it for you)",
            command="irworks reproduce cltr-twostage --scale full --option ml-1m=/path/to/ml-1m",
        )
    return movielens_world(read_movielens(ctx.options["ml-1m"]), ctx.rng(300_000 + seed))
