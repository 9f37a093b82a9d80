"""The network of an encoder of sentence-transformers, as training sees it; imports torch."""

from typing import Any

import torch
from torch import nn

from irworks.encoders.network import Embedded, Wanted

__all__ = ["SentenceNetwork"]


class SentenceNetwork(nn.Module):
    """From texts to one vector a text and one a token.

    Args:
        model: A `SentenceTransformer`.
        projection: Of token vectors; None: as they come.
    """

    def __init__(self, model: Any, projection: nn.Linear | None) -> None:
        super().__init__()
        self.model = model
        self.projection = None if projection is None else projection.to(model.device)

    def forward(self, texts: list[str], wanted: Wanted = "both") -> Embedded:
        """Read a batch of texts."""
        device = self.model.device
        features = {
            name: each.to(device) if isinstance(each, torch.Tensor) else each
            for name, each in self.model.tokenize(texts).items()
        }
        out = self.model(features)
        tokens, mask = out["token_embeddings"], out["attention_mask"].bool()
        if wanted == "vectors":
            tokens = tokens[:, :0]
        if self.projection is not None:
            tokens = self.projection(tokens.to(self.projection.weight.dtype))
        vectors = nn.functional.normalize(out["sentence_embedding"], dim=-1)
        return Embedded(vectors, nn.functional.normalize(tokens, dim=-1), mask)
