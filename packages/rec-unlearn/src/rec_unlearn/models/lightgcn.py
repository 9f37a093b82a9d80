"""A linear graph convolution over users and items."""

from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from scipy import sparse
from torch import nn

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions
from rec_unlearn.models.factors import PairwiseRecommender
from rec_unlearn.models.sparse import SparseMatrix
from rec_unlearn.models.torch_base import TrainConfig

__all__ = ["LightGCN"]

# A graph lives as long as its log: a model stores none, so that a user who left the log has left the graph.
_graphs: "WeakKeyDictionary[Interactions, dict[torch.device, SparseMatrix]]" = WeakKeyDictionary()


def normalised_graph(log: Interactions) -> "sparse.csr_array":
    """Who used what, over the root of both degrees: float64 [n_users, n_items], sparse; each pair counts once."""
    table = log.matrix()
    table.data[:] = 1
    of_users, of_items = np.diff(table.indptr), np.bincount(table.indices, minlength=log.n_items)
    table.data = 1 / np.sqrt(np.repeat(of_users, of_users) * of_items[table.indices])
    return table


def _graph(log: Interactions, device: torch.device) -> SparseMatrix:
    known = _graphs.setdefault(log, {})
    if device not in known:
        known[device] = SparseMatrix.of(normalised_graph(log), device)
    return known[device]


class _Vectors(nn.Module):
    def __init__(self, n_users: int, n_items: int, dim: int) -> None:
        super().__init__()
        self.items, self.users = nn.Embedding(n_items, dim), nn.Embedding(n_users, dim)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=0.1)


class LightGCN(PairwiseRecommender):
    """Vectors of users and items, each averaged with those of neighbours in 0 to `n_layers` steps.

    He et al. (2020), LightGCN: Simplifying and powering graph convolution network for recommendation, equations 3-5,
    with equal weights of layers. The graph is that of the log that is handed in, and not part of the model: pass the
    log without a user, and no vector depends on what the user took, though those trained with it remember. A user
    without rows in the log gets scores of 0.

    Args:
        dim: Size of the vectors.
        n_layers: Steps of propagation; 0 is a matrix factorisation.
        n_negatives: Items to compare each item of a user with.
        train: Training settings.
    """

    # nDCG@10 on ml-100k, as of `MFBPR`: .400.
    weight_decay = 0.01

    def __init__(
        self, dim: int = 32, *, n_layers: int = 2, n_negatives: int = 4, train: TrainConfig | None = None
    ) -> None:
        super().__init__(dim, n_negatives=n_negatives, train=train)
        if n_layers < 0:
            raise ArgumentError(f"n_layers={n_layers}; expected at least 0")
        self.n_layers = n_layers

    def settings(self) -> dict[str, Any]:
        """The arguments that build this model again, for its file."""
        return {**super().settings(), "n_layers": self.n_layers}

    def _build(self, log: Interactions) -> nn.Module:
        return _Vectors(log.n_users, log.n_items, self.dim)

    def _vectors(self, log: Interactions) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        network: Any = self.module
        graph = _graph(log, self.device)
        users, items = network.users.weight, network.items.weight
        sums = [users, items]
        for _ in range(self.n_layers):
            users, items = graph @ items, graph.transposed @ users
            sums = [sums[0] + users, sums[1] + items]
        of_users, of_items = (total / (self.n_layers + 1) for total in sums)
        return of_users, of_items, torch.zeros(log.n_items, device=self.device, dtype=of_items.dtype)
