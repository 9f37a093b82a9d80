"""Training in shards, so that a request costs one shard: SISA (Bourtoule et al. 2021)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions
from rec_unlearn.protocols import Recommender
from rec_unlearn.requests import Removal

__all__ = ["Sharded"]

IntArray = NDArray[np.int32]


@dataclass
class Sharded:
    """Several models, each trained on its own users; exactly removable, as a user's shard is trained again.

    The score of an item is its mean log-softmax score over the models, which bounds the say of each.

    Attributes:
        make_model: Makes an untrained model with `fit(log, seed=)`.
        n_shards: How many; a request costs about one n-th of a training, and each model sees one n-th of the users.
        partition: "hash": by the user's code alone, so that the result is that of training without the rows.
            "similar": users with like items together, as RecEraser (Chen et al. 2022) has it, in shards of nearly equal
            size. What users were alike is then kept from the first training: exact given the partition, which the rows
            to be forgotten had a part in.
    """

    make_model: Callable[[], Any]
    n_shards: int = 8
    partition: str = "hash"

    shard_: IntArray = field(init=False, repr=False)
    models_: list[Any] = field(init=False, repr=False)
    seed_: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.n_shards < 1:
            raise ArgumentError(f"n_shards={self.n_shards}; expected at least 1")
        if self.partition not in ("hash", "similar"):
            raise ArgumentError(f"partition={self.partition!r}; expected 'hash' or 'similar'")

    def fit(self, log: Interactions, *, seed: int = 0) -> Self:
        """Divide the users and train all models."""
        self.seed_ = seed
        self.shard_ = _hashed(log.n_users, self.n_shards) if self.partition == "hash" else self._similar(log, seed)
        self.models_ = [self._trained(log, shard) for shard in range(self.n_shards)]
        return self

    def _trained(self, log: Interactions, shard: int) -> Any:
        part = log.keep(self.shard_[log.user] == shard)
        return self.make_model().fit(part, seed=self.seed_ + shard) if len(part) else None

    def scores(self, log: Interactions, users: IntArray) -> NDArray[np.floating]:
        """As `rec_unlearn.protocols.Recommender.scores`; float64."""
        total = np.zeros((len(users), log.n_items))
        models: list[Recommender] = [model for model in self.models_ if model is not None]
        for model in models:
            scores = np.asarray(model.scores(log, users), dtype=np.float64)
            scores = scores - scores.max(axis=1, keepdims=True)
            total += scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return total / max(len(models), 1)

    def remove(self, removal: Removal) -> int:
        """Train the shards again that the request touches; nothing changes unless all of them succeed."""
        touched = np.unique(self.shard_[removal.users])
        fresh = {int(shard): self._trained(removal.after, int(shard)) for shard in touched}
        for shard, model in fresh.items():
            self.models_[shard] = model
        return sum(_size(model) for model in fresh.values())

    def stored_copies(self) -> tuple[str, ...]:
        """What is kept of users beside the models."""
        if self.partition == "hash":
            return ()
        return ("which shard each user is in, chosen by the items they had; not removed",)

    def _similar(self, log: Interactions, seed: int) -> IntArray:
        """Shards of nearly equal size by balanced k-means on a random projection of users' items."""
        rng = np.random.default_rng(seed)
        matrix = log.matrix()
        matrix.data[:] = 1
        places = matrix @ rng.standard_normal((log.n_items, 32)) / np.sqrt(np.maximum(matrix.sum(axis=1), 1))[:, None]
        centres = places[rng.choice(log.active_users, self.n_shards, replace=len(log.active_users) < self.n_shards)]
        room = -(-log.n_users // self.n_shards)
        shard = np.zeros(log.n_users, dtype=np.int32)
        for _ in range(10):
            distance = ((places[:, None] - centres[None]) ** 2).sum(axis=2)
            shard = _balanced(distance, room)
            centres = np.stack(
                [places[shard == i].mean(axis=0) if (shard == i).any() else centres[i] for i in range(self.n_shards)]
            )
        return shard


def _hashed(n_users: int, n_shards: int) -> IntArray:
    from rec_unlearn.models.torch_base import user_order

    # Ranks of hashes, dealt out in turn: shards of equal size that depend on codes alone.
    shard = np.empty(n_users, dtype=np.int32)
    shard[user_order(np.arange(n_users, dtype=np.int32), 0, 0)] = np.arange(n_users) % n_shards
    return shard


def _balanced(distance: NDArray[np.float64], room: int) -> IntArray:
    """The nearest centre with room left, the surest users first: int32 [n]."""
    shard = np.full(len(distance), -1, dtype=np.int32)
    free = np.full(distance.shape[1], room)
    for user in np.argsort(distance.min(axis=1), kind="stable"):
        for centre in np.argsort(distance[user], kind="stable"):
            if free[centre]:
                shard[user], free[centre] = centre, free[centre] - 1
                break
    return shard


def _size(model: Any) -> int:
    """How many parameters a model has; 0 where it does not say."""
    parameters = getattr(model, "parameters", None)
    return sum(int(parameter.numel()) for parameter in parameters()) if parameters is not None else 0
