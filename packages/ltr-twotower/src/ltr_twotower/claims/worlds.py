"""The worlds of the claims, by scale: simulated at smoke and small, built on MSLR-WEB30K at full."""

from typing import TYPE_CHECKING

from irworks.claims import Context, NotRun

if TYPE_CHECKING:
    from ltr_twotower.simulate import World

__all__ = ["linear", "mslr_fold", "omitted", "query_effect"]


def linear(ctx: Context, seed: int) -> "World":
    """Return a world that a linear tower can represent."""
    from ltr_twotower.simulate import letor_world, linear_world

    if ctx.scale == "full":
        return letor_world(mslr_fold(ctx), ctx.rng(seed), relevance="linear", n_components=None)
    return linear_world(ctx.rng(seed), n_queries=ctx.pick(smoke=60, small=600, full=600))


def omitted(ctx: Context, seed: int) -> "World":
    """Return a world some of whose features the tower does not see."""
    from ltr_twotower.simulate import letor_world, omitted_features_world

    if ctx.scale == "full":
        return letor_world(mslr_fold(ctx), ctx.rng(seed), relevance="deep", n_components=None, n_visible=100)
    return omitted_features_world(ctx.rng(seed), n_queries=ctx.pick(smoke=60, small=600, full=600))


def query_effect(ctx: Context, seed: int) -> "World":
    """Return the world built to hurt the ranking; at scale full, MSLR with its original labels instead."""
    from ltr_twotower.simulate import letor_world, query_effect_world

    if ctx.scale == "full":
        return letor_world(mslr_fold(ctx), n_components=None)
    return query_effect_world(ctx.rng(seed), n_queries=ctx.pick(smoke=60, small=600, full=600))


def mslr_fold(ctx: Context) -> str:
    """Return the path of the MSLR fold that the user named.

    Raises:
        NotRun: None was named.
    """
    if "mslr" not in ctx.options:
        raise NotRun(
            "scale full needs a fold of MSLR-WEB30K (its licence forbids to download it for you)",
            command="irworks reproduce ltr-twotower --scale full --option mslr=/path/to/MSLR-WEB30K/Fold1",
        )
    return ctx.options["mslr"]
