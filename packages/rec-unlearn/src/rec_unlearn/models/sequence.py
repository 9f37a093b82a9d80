"""Next-step recommenders: an encoder over baskets or single items, and a softmax over the catalogue.

`GRU4Rec` (Hidasi et al. 2016) and `SASRec` (Kang and McAuley 2018) for sessions of single items, here with the full
softmax; `NextBasketGRU` and `NextBasketAttention` for baskets, which also weigh how often a user took an item before.
"""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions
from rec_unlearn.models.batches import SequenceBatch
from rec_unlearn.models.torch_base import TorchRecommender, TrainConfig
from rec_unlearn.protocols import OutputLayer, Outputs

__all__ = ["GRU4Rec", "NextBasketAttention", "NextBasketGRU", "SASRec", "SequenceRecommender"]

IntArray = NDArray[np.int32]


class _GRUEncoder(nn.Module):
    """Hidden states of a gated recurrent unit."""

    def __init__(self, dim: int, max_steps: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.gru = nn.GRU(dim, dim, batch_first=True)

    def forward(self, steps: torch.Tensor, filled: torch.Tensor) -> torch.Tensor:
        """From [n, t, dim] to [n, t, dim]."""
        hidden: torch.Tensor = self.gru(self.dropout(steps))[0]
        return hidden


class _AttentionEncoder(nn.Module):
    """Hidden states of causal self-attention, written out so that it can be differentiated twice anywhere."""

    def __init__(self, dim: int, max_steps: int, dropout: float, n_layers: int = 2, n_heads: int = 2) -> None:
        super().__init__()
        if dim % n_heads:
            raise ArgumentError(f"dim={dim}; expected a multiple of {n_heads}, the number of heads")
        self.n_heads = n_heads
        self.position = nn.Embedding(max_steps, dim)
        nn.init.normal_(self.position.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    "norm": nn.LayerNorm(dim),
                    "qkv": nn.Linear(dim, 3 * dim),
                    "out": nn.Linear(dim, dim),
                    "norm2": nn.LayerNorm(dim),
                    "up": nn.Linear(dim, 2 * dim),
                    "down": nn.Linear(2 * dim, dim),
                }
            )
            for _ in range(n_layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, steps: torch.Tensor, filled: torch.Tensor) -> torch.Tensor:
        """From [n, t, dim] to [n, t, dim]."""
        n, t, dim = steps.shape
        x = self.dropout(steps + self.position(torch.arange(t, device=steps.device)))
        # Steps stand at the front of a row, so that causality alone keeps padding out of what is read.
        hidden_from = torch.ones(t, t, dtype=torch.bool, device=steps.device).triu(1)
        for layer in self.layers:
            parts: dict[str, nn.Module] = dict(layer.named_children())
            q, k, v = (
                parts["qkv"](parts["norm"](x)).view(n, t, 3, self.n_heads, dim // self.n_heads).permute(2, 0, 3, 1, 4)
            )
            weights = (q @ k.transpose(-1, -2) / (dim // self.n_heads) ** 0.5).masked_fill(hidden_from, float("-inf"))
            mixed = (weights.softmax(-1) @ v).transpose(1, 2).reshape(n, t, dim)
            x = x + self.dropout(parts["out"](mixed))
            x = x + self.dropout(parts["down"](torch.nn.functional.gelu(parts["up"](parts["norm2"](x)))))
        out: torch.Tensor = self.norm(x)
        return out


class _Network(nn.Module):
    def __init__(self, n_items: int, dim: int, encoder: nn.Module, counts: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_items, dim)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.encoder = encoder
        self.out = nn.Linear(dim, n_items)
        nn.init.normal_(self.out.weight, std=0.1)
        nn.init.zeros_(self.out.bias)
        self.repeat = nn.Parameter(torch.ones(())) if counts else None


class SequenceRecommender(TorchRecommender):
    """Predicts the next step of a sequence from its mean embeddings, by an encoder and a softmax over all items.

    Args:
        dim: Size of the embeddings and hidden states.
        max_steps: Only so many last steps of a sequence are used.
        dropout: On the input of the encoder, in training.
        counts: Whether the logits get a learned weight times log(1 + how often the item was taken before).
        train: Training settings.
    """

    encoder: ClassVar[type[nn.Module]]
    counts_by_default: ClassVar[bool] = False

    def __init__(
        self,
        dim: int = 48,
        *,
        max_steps: int = 50,
        dropout: float = 0.0,
        counts: bool | None = None,
        train: TrainConfig | None = None,
    ) -> None:
        super().__init__(train)
        if dim < 1 or max_steps < 1 or not 0 <= dropout < 1:
            found = f"dim={dim}, max_steps={max_steps}, dropout={dropout}"
            raise ArgumentError(f"{found}; expected at least 1, at least 1, and a share in [0, 1)")
        self.dim, self.max_steps, self.dropout = dim, max_steps, dropout
        self.counts = self.counts_by_default if counts is None else counts

    def settings(self) -> dict[str, Any]:
        """The arguments that build this model again, for its file."""
        names = ("dim", "max_steps", "dropout", "counts")
        return {**super().settings(), **{name: getattr(self, name) for name in names}}

    def _build(self, log: Interactions) -> nn.Module:
        return _Network(log.n_items, self.dim, self.encoder(self.dim, self.max_steps, self.dropout), self.counts)

    def _hidden(self, batch: SequenceBatch, places: NDArray[np.int64]) -> torch.Tensor:
        """Hidden states [m, dim] at places."""
        network: Any = self.module
        item, place, weight, filled, wanted = batch.to(
            self.device, batch.item, batch.place, batch.row_weight, batch.filled, places
        )
        flat = torch.zeros(batch.n_sequences * batch.width, self.dim, device=self.device)
        flat = flat.index_add(0, place, network.embedding(item) * weight[:, None])
        hidden: torch.Tensor = network.encoder(flat.view(batch.n_sequences, batch.width, self.dim), filled)
        return hidden.reshape(-1, self.dim)[wanted]

    def _logits(self, batch: SequenceBatch, places: NDArray[np.int64], hidden: torch.Tensor) -> torch.Tensor:
        network: Any = self.module
        logits: torch.Tensor = network.out(hidden)
        if network.repeat is None:
            return logits
        position, item, count = batch.to(self.device, *batch.counts(places))
        cells = position * batch.n_items + item
        return logits.reshape(-1).index_add(0, cells, network.repeat * torch.log1p(count)).view_as(logits)

    def outputs(self, log: Interactions, users: IntArray) -> Outputs:
        """Logits of each position [m, n_items], and cross-entropy with the next basket, averaged over its items.

        A user's loss is the mean over positions; 0 for users without one.
        """
        batch = SequenceBatch.of(log, users, self.max_steps)
        owner, share, targets = self._objective(batch)
        if not len(batch.predicting):
            return Outputs(torch.zeros(0, batch.n_items, device=self.device), lambda values: torch.zeros(len(users)))
        logits = self._logits(batch, batch.predicting, self._hidden(batch, batch.predicting))
        position, item, weight = targets
        device = self.device

        def losses(values: torch.Tensor) -> torch.Tensor:
            hit = torch.zeros(len(values), device=device).index_add(0, position, values[position, item] * weight)
            return torch.zeros(batch.n_users, device=device).index_add(0, owner, (values.logsumexp(1) - hit) * share)

        return Outputs(logits, losses)

    def _objective(
        self, batch: SequenceBatch
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Owner and share of each position, and its targets."""
        owner = batch.owner[batch.predicting // max(batch.width, 1)]
        share = 1 / np.maximum(np.bincount(owner, minlength=batch.n_users), 1)[owner]
        position, item, weight = batch.to(self.device, *batch.targets)
        owner_t, share_t = batch.to(self.device, owner, share.astype(np.float32))
        return owner_t, share_t, (position, item, weight)

    def output_layer(self, log: Interactions, users: IntArray) -> OutputLayer:
        """As `rec_unlearn.protocols.OutputLayer`, for the rows that `log` holds of users."""
        network: Any = self.module
        batch = SequenceBatch.of(log, users, self.max_steps)
        owner, share, targets = self._objective(batch)
        with torch.no_grad():
            if len(batch.predicting):
                hidden = self._hidden(batch, batch.predicting)
                logits = self._logits(batch, batch.predicting, hidden)
            else:
                hidden = torch.zeros(0, self.dim, device=self.device)
                logits = torch.zeros(0, batch.n_items, device=self.device)
        return OutputLayer(network.out.weight, network.out.bias, hidden, logits, share, owner, targets)

    def _score_block(self, log: Interactions, users: IntArray) -> torch.Tensor:
        batch = SequenceBatch.of(log, users, self.max_steps)
        scores = torch.zeros(len(users), log.n_items, device=self.device)
        if not batch.n_sequences:
            return scores
        known, places = batch.asked
        scores[torch.from_numpy(known).to(self.device)] = self._logits(batch, places, self._hidden(batch, places))
        return scores


class GRU4Rec(SequenceRecommender):
    """A gated recurrent unit over single items: Hidasi et al. (2016), Session-based recommendations with RNNs."""

    task = "session"
    encoder = _GRUEncoder


class SASRec(SequenceRecommender):
    """Causal self-attention over single items: Kang and McAuley (2018), Self-attentive sequential recommendation."""

    task = "session"
    encoder = _AttentionEncoder


class NextBasketGRU(SequenceRecommender):
    """A gated recurrent unit over mean embeddings of baskets, with a weight on how often an item was bought before."""

    task = "basket"
    encoder = _GRUEncoder
    counts_by_default = True


class NextBasketAttention(SequenceRecommender):
    """Causal self-attention over mean embeddings of baskets, with a weight on earlier purchases."""

    task = "basket"
    encoder = _AttentionEncoder
    counts_by_default = True
