"""Data and trials of the claims, by scale."""

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from irworks.claims import Context
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from rec_unlearn.bench.trial import Trial
    from rec_unlearn.data import Interactions, Split
    from rec_unlearn.models.torch_base import TorchRecommender
    from rec_unlearn.scenarios import Scenario

__all__ = ["Groceries", "Kind", "canary_trial", "groceries", "spam_trial", "train"]

Kind = Literal["gru", "attention"]


class Groceries(NamedTuple):
    """Baskets, prepared.

    Attributes:
        train: All but the last basket of each user.
        split: `train`, and the last baskets.
        others: Users whom no model sees.
        sensitive: Items of a sensitive category, by id, where categories are known.
    """

    train: "Interactions"
    split: "Split"
    others: "Interactions"
    sensitive: tuple[object, ...] = ()


def groceries(ctx: Context, *, small: int = 1_500, others: int | None = None) -> Groceries:
    """Read Ta-Feng, or what the options name: users with at least 4 baskets, the last 15 of each, frequent items."""
    from rec_unlearn.data import leave_last_out
    from rec_unlearn.data.prepare import compact, frequent_items, last_steps, long_histories

    log, sensitive = _baskets(ctx)
    log = long_histories(log, 4)
    # Items bought so often; the threshold is that of the prototypes on Ta-Feng.
    often = ctx.pick(smoke=300, small=30, full=30)
    log = long_histories(last_steps(compact(frequent_items(log, often)), 15), 4)
    users = log.active_users
    hidden = others or ctx.pick(smoke=60, small=500, full=1_000)
    wanted = ctx.options.get("users", str(ctx.pick(smoke=120, small=small, full=len(users) - hidden)))
    n = int(wanted) if wanted.isdecimal() else 0
    if not 0 < n <= len(users) - hidden:
        raise ArgumentError(
            f"users={wanted}: expected a number from 1 to {len(users) - hidden}, as {log.name} has {len(users)} users "
            f"with 4 baskets of frequent items, of whom {hidden} are held out"
        )
    split = leave_last_out(log.of_users(users[:n]).renumbered())
    kept = set(log.item_ids.tolist())
    return Groceries(
        split.train,
        split,
        log.of_users(users[n : n + hidden]).renumbered(),
        tuple(item for item in sensitive if item in kept),
    )


def _baskets(ctx: Context) -> "tuple[Interactions, list[int]]":
    """The log, and the ids of its sensitive items; none, where no categories are known."""
    from rec_unlearn.data.readers import read_baskets

    if "instacart" in ctx.options:
        from rec_unlearn.data.formats import read_instacart

        found = read_instacart(ctx.options["instacart"])
        category = ctx.options.get("category", "alcohol")
        if category not in found.categories:
            raise ArgumentError(f"category={category!r}; expected one of: {', '.join(found.categories)}")
        return found.log, found.categories[category]
    if "baskets" in ctx.options:
        return read_baskets(*ctx.options["baskets"].split(",")), []
    folder = ctx.data("tafeng")
    return read_baskets(folder / "tafeng_history.json", folder / "tafeng_future.json"), []


def train(kind: Kind, device: str, log: "Interactions", seed: int) -> "TorchRecommender":
    """Train the next-basket model of the claims."""
    from rec_unlearn.models.sequence import NextBasketAttention, NextBasketGRU
    from rec_unlearn.models.torch_base import TrainConfig

    if kind == "gru":
        return NextBasketGRU(train=TrainConfig(device=device)).fit(log, seed=seed)
    return NextBasketAttention(train=TrainConfig(lr=1e-3, device=device)).fit(log, seed=seed)


def spam_trial(ctx: Context, data: Groceries, kind: Kind, seed: int, **settings: Any) -> "Trial":
    """Accounts that push one item; every one of them is to be forgotten."""
    from rec_unlearn.scenarios import spam

    n, rank = ctx.pick(smoke=(6, 100), small=(30, 600), full=(60, 600))
    return _trial(ctx, data, kind, spam(data.train, ctx.rng(100 + seed), n=n, rank=rank), seed, **settings)


def canary_trial(ctx: Context, data: Groceries, kind: Kind, seed: int, **settings: Any) -> "Trial":
    """Accounts with planted pairs of items and real users, in random order."""
    from dataclasses import replace

    from rec_unlearn.scenarios import accounts, canaries

    pairs, real = ctx.pick(smoke=(3, 4), small=(15, 30), full=(30, 40))
    # The more users, the more often the rarest of the frequent items are taken.
    taken = ctx.pick(smoke=(0, 15), small=(2, 15), full=(4, 60))
    planted = canaries(data.train, ctx.rng(300 + seed), n_pairs=pairs, taken=taken)
    closing = accounts(data.train, ctx.rng(400 + seed), n=real)
    requests = [*planted.requests, *closing.requests]
    order = ctx.rng(500 + seed).permutation(len(requests))
    scenario = replace(
        planted,
        name=f"{len(requests)} accounts, canaries among them",
        requests=tuple(requests[place] for place in order),
        users=closing.users,
    )
    return _trial(ctx, data, kind, scenario, seed, others=data.others, **settings)


def _trial(ctx: Context, data: Groceries, kind: Kind, scenario: "Scenario", seed: int, **settings: Any) -> "Trial":
    from rec_unlearn.bench.trial import Trial, split_for

    # No seed of a retrained model is the seed of a deployed one.
    return Trial(
        scenario,
        split_for(scenario, data.split.test),
        partial(train, kind, ctx.device),
        seed=seed,
        other_seeds=(10_000 + seed, 20_000 + seed),
        probes=ctx.pick(smoke=50, small=400, full=2_500),
        **settings,
    )
