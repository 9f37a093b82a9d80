"""Matrix factorisation by pairs, and what models of (user, used item, other item) have in common."""

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions
from rec_unlearn.models.distributed import Share
from rec_unlearn.models.torch_base import TorchRecommender, TrainConfig
from rec_unlearn.protocols import Outputs

__all__ = ["MFBPR", "Pairs", "PairwiseRecommender", "draw_pairs"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FIXED_DRAW = (0, 0)


class Pairs(NamedTuple):
    """Items that users took, each with some that they did not take.

    Attributes:
        owner: int64 [m], place of each row's user among those asked for, ascending.
        positive: int64 [m], an item of the user, each once.
        negative: int64 [m, k], items that are none of the user's.
    """

    owner: LongArray
    positive: LongArray
    negative: LongArray


def draw_pairs(log: Interactions, users: IntArray, k: int, *, seed: int, draw: int) -> Pairs:
    """Draw k items, uniformly among those that a user did not take, for each item that the user took.

    What is drawn depends on the seed, the draw, the user, the item and the user's other items, and on nobody else: with
    one user gone, the others keep their pairs. Users who took nothing, or everything, have none.
    """
    table = log.matrix(users)
    table.sort_indices()
    taken = np.diff(table.indptr).astype(np.int64)
    free = log.n_items - taken
    owner, positive = np.repeat(np.arange(len(users)), taken), table.indices.astype(np.int64)
    key = np.asarray(users, dtype=np.uint64)[owner] * np.uint64(log.n_items) + positive.astype(np.uint64)
    start = np.array([seed % 2**32 * 2**32 + draw % 2**32], dtype=np.uint64)
    key = _mixed(key ^ _mixed(start))
    with np.errstate(over="ignore"):
        drawn = _mixed(np.add(key[:, None], np.arange(1, 2 * k + 1, dtype=np.uint64), dtype=np.uint64))
    # The first try is kept unless it is one of the user's own: so removing one of these moves no other's negatives.
    negative = (drawn[:, :k] % np.uint64(log.n_items)).astype(np.int64)
    cells, width = owner * log.n_items + positive, np.int64(log.n_items)
    own = np.isin(owner[:, None] * width + negative, cells)
    # The second cannot fail: the r-th item that is free comes after r others and the user's own items up to there.
    rank = (drawn[:, k:] % np.maximum(free, 1).astype(np.uint64)[owner][:, None]).astype(np.int64)
    begin = table.indptr[:-1].astype(np.int64)
    before = cells - (np.arange(len(owner)) - begin[owner])
    passed = np.searchsorted(before, owner[:, None] * width + rank, side="right") - begin[owner][:, None]
    negative = np.where(own, rank + passed, negative)
    some = free[owner] > 0
    return Pairs(owner[some], positive[some], negative[some])


def _mixed(key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 on a step of its counter, on integers that wrap around."""
    with np.errstate(over="ignore"):
        key = key + np.uint64(0x9E3779B97F4A7C15)
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


class PairwiseRecommender(TorchRecommender):
    """Base of models with a vector for each user and item, trained by Bayesian personalised ranking.

    Each item that a user took should score above others: Rendle et al. (2009), BPR: Bayesian personalized ranking from
    implicit feedback. A user's loss is the mean of softplus(-difference) over pairs. Each epoch draws other pairs; all
    else, unlearning too, sees one fixed draw. The regularisation is `TrainConfig.weight_decay`.

    Args:
        dim: Size of the vectors.
        n_negatives: Items to compare each item of a user with.
        train: Training settings.
    """

    task = "cf"
    weight_decay: ClassVar[float]

    def __init__(self, dim: int = 32, *, n_negatives: int = 4, train: TrainConfig | None = None) -> None:
        super().__init__(train or TrainConfig(epochs=30, lr=1e-2, weight_decay=self.weight_decay))
        if dim < 1 or n_negatives < 1:
            raise ArgumentError(f"dim={dim}, n_negatives={n_negatives}; expected at least 1 each")
        self.dim, self.n_negatives = dim, n_negatives
        self._draw = FIXED_DRAW

    @abstractmethod
    def _vectors(self, log: Interactions) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Vectors of users [n_users, dim] and items [n_items, dim], and biases of items [n_items]."""

    def settings(self) -> dict[str, Any]:
        """The arguments that build this model again, for its file."""
        return {**super().settings(), "dim": self.dim, "n_negatives": self.n_negatives}

    def outputs(self, log: Interactions, users: IntArray) -> Outputs:
        """Differences of scores [m, n_negatives], a row for each item that a user took, and their mean softplus.

        A user's loss is 0 without pairs.

        Raises:
            ArgumentError: The log has other users or items than the one that the model was trained on.
        """
        self._check_sizes(log)
        seed, draw = self._draw
        pairs = draw_pairs(log, np.asarray(users), self.n_negatives, seed=seed, draw=draw)
        owner, positive, negative, user = (
            torch.from_numpy(each).to(self.device) for each in (*pairs, np.asarray(users, dtype=np.int64)[pairs.owner])
        )
        of_users, of_items, biases = self._vectors(log)
        better, worse = of_items[positive][:, None], of_items[negative]
        values = ((better - worse) @ of_users[user][:, :, None])[:, :, 0]
        values = values + biases[positive][:, None] - biases[negative]
        share = 1 / torch.bincount(owner, minlength=len(users)).clamp(min=1).to(values.dtype)

        def losses(values: torch.Tensor) -> torch.Tensor:
            each = nn.functional.softplus(-values).mean(1)
            return torch.zeros(len(users), device=each.device, dtype=each.dtype).index_add(0, owner, each) * share

        return Outputs(values, losses)

    def _score_block(self, log: Interactions, users: IntArray) -> torch.Tensor:
        self._check_sizes(log)
        of_users, of_items, biases = self._vectors(log)
        codes = np.asarray(users, dtype=np.int64)
        # Of whom the log holds nothing, nothing may be known: neither from a row that training left behind.
        known = torch.from_numpy(np.diff(log.user_offsets)[codes] > 0).to(self.device)
        scores: torch.Tensor = (of_users[torch.from_numpy(codes).to(self.device)] * known[:, None]) @ of_items.T
        return scores + biases

    def _epoch(self, log: Interactions, optimiser: torch.optim.Optimizer, seed: int, epoch: int, share: Share) -> float:
        self._draw = (seed, epoch + 1)
        try:
            return super()._epoch(log, optimiser, seed, epoch, share)
        finally:
            self._draw = FIXED_DRAW

    def _check_sizes(self, log: Interactions) -> None:
        _ = self.module
        if (log.n_users, log.n_items) != self.sizes_:
            raise ArgumentError(
                f"{log.name} has {log.n_users:,} users and {log.n_items:,} items, the model was trained on "
                f"{self.sizes_[0]:,} and {self.sizes_[1]:,}; a log and what is left of it share their codes"
            )

    def stored_copies(self) -> tuple[str, ...]:
        """What of the model is made of the interactions of a single user or item."""
        return (
            "users.weight: a row for each user, learned from that user's interactions; it stays when the user goes, "
            "but for what a step changes, though no score of a user without rows uses it",
            "items.weight: a row for each item, learned from its users and from those it was drawn against",
        )


class _Factors(nn.Module):
    def __init__(self, n_users: int, n_items: int, dim: int) -> None:
        super().__init__()
        self.items, self.users = nn.Embedding(n_items, dim), nn.Embedding(n_users, dim)
        self.biases = nn.Parameter(torch.zeros(n_items))
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=0.1)


class MFBPR(PairwiseRecommender):
    """Matrix factorisation: the inner product of a user's and an item's vector, plus a bias of the item.

    Rendle et al. (2009), BPR: Bayesian personalized ranking from implicit feedback. A user without rows in the log gets
    the biases.
    """

    # Of .01, .1, .5: nDCG@10 on ml-100k, of items not seen in training, was .362, .383, .420.
    weight_decay = 0.5

    def _build(self, log: Interactions) -> nn.Module:
        return _Factors(log.n_users, log.n_items, self.dim)

    def _vectors(self, log: Interactions) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        network: Any = self.module
        return network.users.weight, network.items.weight, network.biases

    def stored_copies(self) -> tuple[str, ...]:
        """What of the model is made of the interactions of a single user or item."""
        return (*super().stored_copies(), "biases: a number for each item")
