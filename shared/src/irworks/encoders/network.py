"""The network of small encoders; imports torch."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from irworks.encoders.bags import Bags
from irworks.encoders.protocol import Kind

__all__ = ["BagNetwork", "Embedded", "Wanted"]

# What of a text: its vector, those of its tokens, or both.
Wanted = Literal["both", "vectors", "tokens"]


@dataclass(frozen=True, eq=False)
class Embedded:
    """What an encoder makes of a batch of texts, with gradients.

    Attributes:
        vectors: float [n, dim], of length 1; 0 for a text without tokens; [n, 0] where they were not asked for.
        tokens: float [n, t, token_dim], where `mask` is set of length 1, of a query perhaps of another; [n, 0,
            token_dim] where they were not asked for.
        mask: bool [n, t].
    """

    vectors: torch.Tensor
    tokens: torch.Tensor
    mask: torch.Tensor


class BagNetwork(nn.Module):
    """Token vectors are means of rows of one table, read by transformer layers or by none.

    Each row has an importance as well, learned: tokens count by it in the vector of a text, and those of a query count
    by it in late interaction.

    Args:
        size: Rows of the table.
        dim: Of the rows and of a text's vector, which is a linear map of the mean of its tokens.
        token_dim: Of a token's vector in late interaction, a linear map of the token.
        layers: Of a transformer encoder; with none, a token's vector does not depend on its neighbours.
        heads: Of each layer.
        length: Longest text that layers can read.
    """

    def __init__(self, size: int, dim: int, token_dim: int, layers: int = 0, heads: int = 4, length: int = 512) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(size, dim, mode="mean")
        nn.init.normal_(self.table.weight, std=dim**-0.5)
        self.importance = nn.EmbeddingBag(size, 1, mode="mean")
        nn.init.zeros_(self.importance.weight)
        self.head = nn.Linear(dim, dim, bias=False)
        nn.init.eye_(self.head.weight)
        self.project = nn.Linear(dim, token_dim, bias=False)
        nn.init.orthogonal_(self.project.weight)
        self.layers: nn.TransformerEncoder | None = None
        if layers:
            self.places = nn.Embedding(length, dim)
            nn.init.normal_(self.places.weight, std=0.1 * dim**-0.5)
            layer = nn.TransformerEncoderLayer(
                dim, heads, 4 * dim, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
            )
            self.layers = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)

    def forward(self, bags: Bags, kind: Kind, wanted: Wanted = "both") -> Embedded:
        """Read a batch of texts."""
        device = self.table.weight.device
        rows, begins = (torch.from_numpy(part).to(device, torch.int64) for part in (bags.rows, bags.token_offsets[:-1]))
        flat, flat_weight = self.table(rows, begins), self.importance(rows, begins)[:, 0].exp()
        sizes = torch.from_numpy(bags.text_offsets[1:] - bags.text_offsets[:-1])
        longest = max(int(sizes.max()) if len(sizes) else 0, 1)
        mask = (torch.arange(longest)[None, :] < sizes[:, None]).to(device)
        padded = flat.new_zeros(len(bags), longest, flat.shape[1])
        padded[mask] = flat
        weight = flat_weight.new_zeros(mask.shape)
        weight[mask] = flat_weight
        if self.layers is not None:
            seen = mask.clone()
            seen[:, 0] = True
            places = self.places.weight[:longest]
            padded = self.layers(padded + places, src_key_padding_mask=~seen) * mask[:, :, None]
        vectors, tokens = padded.new_zeros(len(bags), 0), padded.new_zeros(len(bags), 0, self.project.out_features)
        if wanted != "tokens":
            mean = (padded * weight[:, :, None]).sum(dim=1)
            vectors = nn.functional.normalize(self.head(mean), dim=-1)
        if wanted != "vectors":
            tokens = nn.functional.normalize(self.project(padded), dim=-1)
            tokens = tokens * weight[:, :, None] if kind == "query" else tokens
        return Embedded(vectors, tokens, mask)
