"""Sets2Sets: from a user's baskets, and how often each item was in them, to the next basket."""

from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions
from rec_unlearn.models.batches import SequenceBatch
from rec_unlearn.models.sparse import SparseMatrix
from rec_unlearn.models.torch_base import TorchRecommender, TrainConfig
from rec_unlearn.protocols import Outputs

__all__ = ["Sets2Sets", "inverse_frequencies"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]


def inverse_frequencies(log: Interactions) -> NDArray[np.float32]:
    """Weight of each item in the loss: float32 [n_items], one over its rows, 0 without; 1 in the mean over rows."""
    rows = np.bincount(log.item, minlength=log.n_items)
    scale = len(log) / max(int((rows > 0).sum()), 1)
    return np.divide(scale, rows, out=np.zeros(log.n_items), where=rows > 0).astype(np.float32)


class _Network(nn.Module):
    def __init__(self, n_items: int, dim: int, max_steps: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_items, dim)
        self.encoder = nn.GRU(dim, dim, batch_first=True)
        self.last_embedding = nn.Embedding(n_items, dim)
        self.attention = nn.Linear(2 * dim, max_steps)
        self.combine = nn.Linear(2 * dim, dim)
        self.decoder = nn.GRUCell(dim, dim)
        self.out = nn.Linear(dim, n_items)
        # From the frequency of each item to the gate of each: [from, to].
        # All logits start near the mean chance of an item: from 0, a training over thousands learns that first.
        nn.init.constant_(self.out.bias, -float(np.log(n_items)))
        self.gate = nn.Parameter(torch.empty(n_items, n_items).uniform_(-1, 1) / n_items**0.5)
        self.gate_bias = nn.Parameter(torch.zeros(n_items))


class Sets2Sets(TorchRecommender):
    """Encoder, attention and decoder over baskets: Hu and He (2019), Sets2Sets: Learning from sequential sets.

    An encoder (GRU) reads mean embeddings of baskets. One step of a decoder (GRU cell) starts from its last state and
    reads the last basket, embedded anew, and a mix of the encoder's states; its weights are a softmax over *all*
    `max_steps` places, as in the authors' code, so that of a short history part of the mix is zero. The logit of item i
    is z_i for one never bought, else (1 - g_i) z_i + g_i f_i, where z is the decoder's output, f_i the share of baskets
    with i, and the gate g = sigmoid(A f + b) with A [n_items, n_items]: memory grows with the square of the catalogue.

    Departures from the code (github.com/HaojiHu/Sets2Sets): baskets are averaged, not added up; the encoder is trained
    (there, its optimiser is given the decoder's parameters); one step ahead is predicted; batches of many users;
    weights are scaled to 1 in the mean over rows. Its ranking term is left out: there, it has no gradient.

    The code's loss is `loss="squared", weights="inverse"`. It learns slowly, as a softmax over thousands has next to no
    gradient at first, and the weights draw it to rare items: on 1,500 users of Ta-Feng (3,660 items) a few epochs leave
    nDCG@10 at .01 or less, where popularity has .074 and the defaults here arrive at .14.

    Args:
        dim: Size of the embeddings and hidden states.
        max_steps: Only so many last baskets of a user are used.
        prefixes: Learn from each basket but the first, not from the last alone.
        loss: "logistic": sum over items of w_i times the binary cross-entropy, and `Outputs.values` are the logits;
            "squared": of w_i (p_i - y_i)^2, with p the softmax of the logits, and they are p. Both are convex in them.
        weights: w: "equal", 1; or "inverse", `inverse_frequencies` of the log that is handed in.
        train: Training settings; by default 3 epochs with a learning rate of .01.
    """

    task: ClassVar[str] = "basket"

    def __init__(
        self,
        dim: int = 32,
        *,
        max_steps: int = 100,
        prefixes: bool = False,
        loss: str = "logistic",
        weights: str = "equal",
        train: TrainConfig | None = None,
    ) -> None:
        super().__init__(train or TrainConfig(epochs=3, lr=1e-2))
        if dim < 1 or max_steps < 1:
            raise ArgumentError(f"dim={dim}, max_steps={max_steps}; expected at least 1 each")
        if loss not in ("squared", "logistic"):
            raise ArgumentError(f"loss={loss!r}; expected 'squared' or 'logistic'")
        if weights not in ("equal", "inverse"):
            raise ArgumentError(f"weights={weights!r}; expected 'equal' or 'inverse'")
        self.dim, self.max_steps, self.prefixes, self.loss, self.weights = dim, max_steps, prefixes, loss, weights

    def settings(self) -> dict[str, Any]:
        """The arguments that build this model again, for its file."""
        names = ("dim", "max_steps", "prefixes", "loss", "weights")
        return {**super().settings(), **{name: getattr(self, name) for name in names}}

    def _build(self, log: Interactions) -> nn.Module:
        return _Network(log.n_items, self.dim, self.max_steps)

    def _logits(self, batch: SequenceBatch, places: LongArray) -> torch.Tensor:
        """Logits [m, n_items] for what comes after places."""
        network: Any = self.module
        item, place, weight, wanted = batch.to(self.device, batch.item, batch.place, batch.row_weight, places)
        n, width, dtype = batch.n_sequences, batch.width, network.gate.dtype
        weight = weight.to(dtype)

        def baskets(table: nn.Embedding) -> torch.Tensor:
            empty = torch.zeros(n * width, self.dim, device=self.device, dtype=dtype)
            return empty.index_add(0, place, table(item) * weight[:, None])

        states: torch.Tensor = network.encoder(baskets(network.embedding).view(n, width, self.dim))[0]
        last, state = baskets(network.last_embedding)[wanted], states.reshape(-1, self.dim)[wanted]
        weights = network.attention(torch.cat([last, state], 1)).softmax(1)[:, :width]
        # States after the place are the future.
        weights = weights * (torch.arange(width, device=self.device) <= (wanted % width)[:, None])
        spread = torch.zeros(n * width, width, device=self.device, dtype=dtype).index_copy(0, wanted, weights)
        mixed = (spread.view(n, width, width) @ states).reshape(-1, self.dim)[wanted]
        decoded = network.decoder(network.combine(torch.cat([last, mixed], 1)).relu(), state)
        return self._gated(batch, places, network.out(decoded))

    def _gated(self, batch: SequenceBatch, places: LongArray, logits: torch.Tensor) -> torch.Tensor:
        """Logits of items that were bought before, mixed with their share of baskets."""
        network: Any = self.module
        position, bought, count = batch.counts(places)
        share = count / (places % batch.width + 1).astype(np.float32)[position]
        shares = sparse.coo_array((share, (position, bought)), shape=(len(places), batch.n_items)).tocsr()
        at, item, frequency = batch.to(self.device, position, bought, share)
        gates = SparseMatrix.of(shares, self.device) @ network.gate
        gate = (gates[at, item] + network.gate_bias[item]).sigmoid()
        change = gate * (frequency.to(gate.dtype) - logits[at, item])
        return logits.reshape(-1).index_add(0, at * batch.n_items + item, change).view_as(logits)

    def _positions(self, batch: SequenceBatch) -> tuple[LongArray, LongArray, LongArray]:
        """Places to learn from, and (number of the place, item) of each item of their next baskets."""
        places = batch.predicting
        number, item, _ = batch.targets
        if self.prefixes:
            return places, number, item
        chosen = places % max(batch.width, 1) == batch.length[places // max(batch.width, 1)] - 2
        renumbered = np.cumsum(chosen) - 1
        return places[chosen], renumbered[number[chosen[number]]], item[chosen[number]]

    def outputs(self, log: Interactions, users: IntArray) -> Outputs:
        """Probabilities or logits [m, n_items], a row for each basket to learn from; see `loss`.

        A user's loss is the mean over them; 0 for users without one.
        """
        batch = SequenceBatch.of(log, users, self.max_steps)
        places, number, target = self._positions(batch)
        if not len(places):
            nothing = torch.zeros(0, batch.n_items, device=self.device)
            return Outputs(nothing, lambda values: values.new_zeros(len(users)))
        owner = batch.owner[places // batch.width]
        share = (1 / np.bincount(owner, minlength=len(users)).clip(1)[owner]).astype(np.float32)
        weights = inverse_frequencies(log) if self.weights == "inverse" else np.ones(log.n_items, dtype=np.float32)
        owner_t, share_t, position, item, weight = batch.to(self.device, owner, share, number, target, weights)
        squared = self.loss == "squared"
        logits = self._logits(batch, places)
        share_t, weight = share_t.to(logits.dtype), weight.to(logits.dtype)

        def losses(values: torch.Tensor) -> torch.Tensor:
            hit = values[position, item]
            if squared:
                each, bonus = (values * values) @ weight, (1 - 2 * hit) * weight[item]
            else:
                each, bonus = nn.functional.softplus(values) @ weight, -hit * weight[item]
            each = each.index_add(0, position, bonus)
            return each.new_zeros(len(users)).index_add(0, owner_t, each * share_t)

        return Outputs(logits.softmax(1) if squared else logits, losses)

    def _score_block(self, log: Interactions, users: IntArray) -> torch.Tensor:
        """Logits; 0 for users without rows. A user is asked with the last of their sequences."""
        batch = SequenceBatch.of(log, users, self.max_steps)
        scores = torch.zeros(len(users), log.n_items, device=self.device, dtype=next(self.module.parameters()).dtype)
        if not batch.n_sequences:
            return scores
        known, places = batch.asked
        scores[torch.from_numpy(known).to(self.device)] = self._logits(batch, places)
        return scores

    def item_parameters(self) -> list[nn.Parameter]:
        """What a request moves by default: rows of items; not the gate, which has a number for each pair of them."""
        network: Any = self.module
        tables = (network.embedding, network.last_embedding, network.out)
        return [*(parameter for table in tables for parameter in table.parameters()), network.gate_bias]

    def stored_copies(self) -> tuple[str, ...]:
        """What of the model holds interactions: none, but parameters of a single item or a pair of them."""
        return (
            "embedding, last_embedding, out, gate: rows for each item, and a number for each pair of items, learned "
            "from the users who took them; no user has parameters",
        )
