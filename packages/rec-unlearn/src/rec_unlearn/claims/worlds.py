"""Data and trials of the claims, by scale."""

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from irworks.claims import Context

if TYPE_CHECKING:
    from rec_unlearn.bench.trial import Trial
    from rec_unlearn.data import Interactions, Split
    from rec_unlearn.models.torch_base import TorchRecommender
    from rec_unlearn.scenarios import Scenario

__all__ = ["Groceries", "Kind", "canary_trial", "groceries", "spam_trial", "train"]

Kind = Literal["gru", "attention"]


class Groceries(NamedTuple):
    """Ta-Feng, prepared.

    Attributes:
        train: All but the last basket of each user.
        split: `train`, and the last baskets.
        others: Users whom no model sees.
    """

    train: "Interactions"
    split: "Split"
    others: "Interactions"


def groceries(ctx: Context, *, small: int = 1_500, others: int | None = None) -> Groceries:
    """Read Ta-Feng: users with at least 4 baskets, items bought at least 30 times, the last 15 baskets of a user."""
    from rec_unlearn.data import leave_last_out
    from rec_unlearn.data.prepare import compact, frequent_items, last_steps, long_histories
    from rec_unlearn.data.readers import read_baskets

    folder = ctx.data("tafeng")
    log = long_histories(read_baskets(folder / "tafeng_history.json", folder / "tafeng_future.json"), 4)
    often = ctx.pick(smoke=300, small=30, full=30)
    log = long_histories(last_steps(compact(frequent_items(log, often)), 15), 4)
    users = log.active_users
    hidden = others or ctx.pick(smoke=60, small=500, full=1_000)
    n = ctx.pick(smoke=120, small=small, full=len(users) - hidden)
    split = leave_last_out(log.of_users(users[:n]).renumbered())
    return Groceries(split.train, split, log.of_users(users[n : n + hidden]).renumbered())


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
    taken = ctx.pick(smoke=(0, 15), small=(2, 15), full=(4, 15))
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
