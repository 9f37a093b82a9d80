"""Training in shards, so that a request costs one shard: SISA (Bourtoule et al. 2021)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions, leave_last_out
from rec_unlearn.data.fingerprint import Fingerprint
from rec_unlearn.models.base import NotFittedError, Saved
from rec_unlearn.models.counting import affected
from rec_unlearn.models.registry import CLASSES, class_of
from rec_unlearn.protocols import Recommender
from rec_unlearn.requests import Removal

__all__ = ["Sharded"]

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float64]
# Users on whose last steps the attention is learned: nine numbers need no more.
_ASKED = 256


@dataclass
class Sharded(Saved):
    """Several models, each trained on its own users; exactly removable, as a user's shard is trained again.

    The score of an item is a mean of its log-softmax scores over the models, which bounds the say of each.

    Attributes:
        make_model: Makes an untrained model with `fit(log, seed=)`. Only models of this package can be saved.
        n_shards: How many; a request costs about one n-th of a training, and each model sees one n-th of the users.
        partition: "hash": by the user's code alone, so that the result is that of training without the rows.
            "similar": users with like items together, as RecEraser (Chen et al. 2022) has it, in shards of nearly equal
            size. What users were alike is then kept from the first training: exact given the partition, which the rows
            to be forgotten had a part in.
        aggregate: "mean": all models count the same. "attention": for each user by a softmax of a number for each model
            and one for how certain it is of its scores for the user; after RecEraser, which attends to the embeddings
            that models have of a user, and models of any kind have none. It is learned on the last steps of up to 256
            users, given the steps before, without the model that was trained on them; and again after each removal, so
            that it forgets too, in .2 s for 3,660 items. It pays where a model is worse than others. Eight GRUs on
            1,500 users of Ta-Feng were too alike: nDCG@10 .120 by hash and .124 by similarity, of the mean .121 and
            .124, of one model for all .131.
    """

    make_model: Callable[[], Any]
    n_shards: int = 8
    partition: str = "hash"
    aggregate: str = "mean"

    shard_: IntArray = field(init=False, repr=False)
    models_: list[Any] = field(init=False, repr=False)
    attention_: FloatArray = field(init=False, repr=False)
    seed_: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        number: object = self.n_shards
        if not isinstance(number, int | np.integer) or number < 1:
            raise ArgumentError(f"n_shards={number!r}; expected an integer of at least 1")
        if self.partition not in ("hash", "similar"):
            raise ArgumentError(f"partition={self.partition!r}; expected 'hash' or 'similar'")
        if self.aggregate not in ("mean", "attention"):
            raise ArgumentError(f"aggregate={self.aggregate!r}; expected 'mean' or 'attention'")

    def fit(self, log: Interactions, *, seed: int = 0) -> Self:
        """Divide the users and train all models."""
        self.seed_ = seed
        self.shard_ = _hashed(log.n_users, self.n_shards) if self.partition == "hash" else self._similar(log, seed)
        self.models_ = [self._trained(log, shard) for shard in range(self.n_shards)]
        self.attention_ = self._attention(log, self.models_)
        self.fingerprint_ = Fingerprint.of(log)
        return self

    def settings(self) -> dict[str, Any]:
        """The arguments that build this model again, for its file.

        Raises:
            ArgumentError: The models are not of this package.
        """
        one = self.make_model()
        name = type(one).__name__
        if name not in CLASSES or type(one) is not class_of(name):
            raise ArgumentError(f"shards are of {name}, no model of this package; there are: {', '.join(CLASSES)}")
        plain = {"n_shards": self.n_shards, "partition": self.partition, "aggregate": self.aggregate}
        return {"class": name, "settings": one.settings(), **plain}

    @classmethod
    def from_settings(cls, settings: Mapping[str, Any]) -> Self:
        """Build a model that is not fitted from what `settings` gave."""
        kind, given = class_of(settings["class"]), settings["settings"]
        plain = {name: settings[name] for name in ("n_shards", "partition", "aggregate")}
        return cls(lambda: kind.from_settings(given), **plain)

    def require_fitted(self) -> None:
        """Raises NotFittedError where `fit` was not called."""
        if not hasattr(self, "models_"):
            raise NotFittedError("Sharded is not trained yet; call fit first")

    def _trained(self, log: Interactions, shard: int) -> Any:
        part = log.keep(self.shard_[log.user] == shard)
        return self.make_model().fit(part, seed=self.seed_ + shard) if len(part) else None

    def scores(self, log: Interactions, users: IntArray) -> NDArray[np.floating]:
        """As `rec_unlearn.protocols.Recommender.scores`; float64."""
        total, weights = np.zeros((len(users), log.n_items)), np.zeros((len(users), 1))
        known = np.zeros(total.shape, dtype=bool)
        for number, model in enumerate(self.models_):
            if model is None:
                continue
            scores, reached = _log_softmax(model, log, users)
            known |= reached
            weight = np.exp(self.attention_[number] + self.attention_[-1] * _certainty(scores))[:, None]
            total += weight * scores
            weights += weight
        total /= np.maximum(weights, np.finfo(np.float64).tiny)
        # What no model has is out of reach.
        total[~known] = -np.inf
        return total

    def remove(self, removal: Removal) -> int:
        """Train the shards again that the request touches; nothing changes unless all of them succeed."""
        touched = np.unique(self.shard_[removal.users])
        models, fresh = list(self.models_), {int(shard): self._trained(removal.after, int(shard)) for shard in touched}
        for shard, model in fresh.items():
            models[shard] = model
        self.attention_, self.models_ = self._attention(removal.after, models), models
        if self.fingerprint_ is not None:
            self.fingerprint_ = self.fingerprint_.changed(*affected(removal))
        learned = len(self.attention_) if self.aggregate == "attention" else 0
        return sum(_size(model) for model in fresh.values()) + learned

    def _attention(self, log: Interactions, models: Sequence[Any]) -> FloatArray:
        """A number for each model, and one for its certainty [n_shards + 1]; all 0 is the mean."""
        start = np.zeros(self.n_shards + 1)
        alive = [number for number, model in enumerate(models) if model is not None]
        if self.aggregate == "mean" or len(alive) < 2:
            return start
        try:
            split = leave_last_out(log)
        except ArgumentError:
            # Nobody has a step before the last: nothing to learn from.
            return start
        # In an order that no removal changes.
        order = np.random.default_rng(self.seed_).permutation(log.n_users)
        users = order[np.isin(order, split.test.active_users)][:_ASKED].astype(np.int32)
        every = [_log_softmax(models[number], split.train, users)[0].astype(np.float32) for number in alive]
        scores = np.stack(every, axis=1)
        wanted = split.test.matrix(users).toarray().astype(np.float32)
        wanted /= wanted.sum(axis=1, keepdims=True)
        may_say = self.shard_[users][:, None] != np.array(alive)
        found = start.copy()
        found[[*alive, -1]] = _learn_attention(scores, wanted, may_say)
        return found

    def stored_copies(self) -> tuple[str, ...]:
        """What is kept of users beside the models."""
        if self.partition == "hash":
            return ()
        return ("which shard each user is in, chosen by the items they had; not removed",)

    def _similar(self, log: Interactions, seed: int) -> IntArray:
        """Shards of nearly equal size by balanced k-means on a random projection of users' items."""
        rng, users = np.random.default_rng(seed), log.active_users
        matrix = log.matrix(users)
        matrix.data[:] = 1
        places = matrix @ rng.standard_normal((log.n_items, 32)) / np.sqrt(np.maximum(matrix.sum(axis=1), 1))[:, None]
        centres = places[rng.choice(len(users), self.n_shards, replace=len(users) < self.n_shards)]
        room = -(-len(users) // self.n_shards)
        shard = np.zeros(len(users), dtype=np.int32)
        for _ in range(10):
            distance = ((places[:, None] - centres[None]) ** 2).sum(axis=2)
            shard = _balanced(distance, room)
            centres = np.stack(
                [places[shard == i].mean(axis=0) if (shard == i).any() else centres[i] for i in range(self.n_shards)]
            )
        # Users without rows take no room.
        every = _hashed(log.n_users, self.n_shards)
        every[users] = shard
        return every


def _hashed(n_users: int, n_shards: int) -> IntArray:
    # Dealt out in turn: shards of equal size that depend on codes alone.
    shard = np.empty(n_users, dtype=np.int32)
    shard[np.random.default_rng(0).permutation(n_users)] = np.arange(n_users) % n_shards
    return shard


def _log_softmax(model: Recommender, log: Interactions, users: IntArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Scores of a model, normalised, and which were not minus infinity: float64 and bool [n, n_items].

    An item that a model never saw gets the user's lowest score there: others may know it.
    """
    scores = np.array(model.scores(log, users), dtype=np.float64)
    reached = np.isfinite(scores)
    lowest = np.where(reached, scores, np.inf).min(axis=1, initial=np.inf, keepdims=True)
    scores = np.where(reached, scores, np.where(np.isfinite(lowest), lowest, 0.0))
    scores -= scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)), reached


def _certainty(scores: NDArray[np.floating]) -> FloatArray:
    """How far the distribution is from uniform, in nats, from its logarithms [..., n_items]: [...]."""
    return np.asarray(np.log(scores.shape[-1]) + (np.exp(scores) * scores).sum(axis=-1), dtype=np.float64)


def _learn_attention(
    scores: NDArray[np.float32], wanted: NDArray[np.float32], may_say: NDArray[np.bool_], ridge: float = 0.03
) -> FloatArray:
    """Numbers for models, and one for certainty, under which what users took has the highest likelihood.

    Args:
        scores: [n, k, n_items], log-softmax scores of k models.
        wanted: [n, n_items], what users took; rows sum to 1.
        may_say: [n, k], which models were not trained on the user.
        ridge: Penalty on the squares, towards the mean.

    Returns:
        float64 [k + 1].
    """
    from scipy.optimize import minimize

    certainty = _certainty(scores)
    said = (scores * wanted[:, None]).sum(axis=2)

    def objective(x: FloatArray) -> tuple[float, FloatArray]:
        logits = np.where(may_say, x[:-1] + x[-1] * certainty, -np.inf)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        pooled = np.matmul(weights[:, None].astype(np.float32), scores)[:, 0]
        top = pooled.max(axis=1, keepdims=True)
        masses = np.exp(pooled - top)
        total = masses.sum(axis=1, keepdims=True)
        loss = (top + np.log(total))[:, 0] - (weights * said).sum(axis=1)
        slope = np.matmul(scores, (masses / total)[:, :, None])[:, :, 0] - said
        slope = weights * (slope - (weights * slope).sum(axis=1, keepdims=True)) / len(scores)
        gradient = np.append(slope.sum(axis=0), (slope * certainty).sum()) + 2 * ridge * x
        return float(loss.mean() + ridge * x @ x), gradient.astype(np.float64)

    return np.asarray(minimize(objective, np.zeros(scores.shape[1] + 1), jac=True, method="L-BFGS-B").x)


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
