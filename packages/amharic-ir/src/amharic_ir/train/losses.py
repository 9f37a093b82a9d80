"""What training makes small; imports torch."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from irworks.encoders.network import Embedded

__all__ = ["Score", "contrastive", "distilled", "nested", "of_tokens", "of_vectors"]

# Similarities in memory at once.
_AT_ONCE = 1 << 25

# From queries [n, ...] and documents [m, ...] to scores [n, m].
Score = Callable[[Embedded, Embedded], Tensor]


def of_vectors(queries: Embedded, docs: Embedded, dim: int | None = None) -> Tensor:
    """Cosines of texts, of their first `dim` dimensions: [n, m]."""
    if dim is None:
        return queries.vectors @ docs.vectors.T
    return (
        functional.normalize(queries.vectors[:, :dim], dim=-1) @ functional.normalize(docs.vectors[:, :dim], dim=-1).T
    )


def of_tokens(queries: Embedded, docs: Embedded) -> Tensor:
    """Mean over the tokens of a query, by importance, of their largest products with a document's: [n, m].

    The length of a query's token is its importance; the sum of them is divided by, so that scores are cosines. A
    document without a token has the lowest score there is, -1.

    Queries are taken some at a time, so that a batch does not have to fit into memory squared.
    """
    flat, (m, longest) = docs.tokens.reshape(-1, docs.tokens.shape[-1]), docs.mask.shape
    first = torch.arange(m, device=flat.device) * longest
    n, length = queries.mask.shape
    step = max(_AT_ONCE // max(length * m * max(longest, flat.shape[1]), 1), 1)
    parts = []
    for begin in range(0, n, step):
        tokens, mask = queries.tokens[begin : begin + step], queries.mask[begin : begin + step]
        asked = tokens.reshape(-1, tokens.shape[-1])
        # Which token is nearest is found without gradients, which would be as large as all similarities.
        with torch.no_grad():
            similar = (asked @ flat.T).view(-1, m, longest).masked_fill_(~docs.mask, float("-inf"))
            nearest = similar.argmax(dim=-1) + first
        best = (flat[nearest] * asked[:, None]).sum(dim=-1).view(len(mask), length, m)
        total = (best * mask[:, :, None]).sum(dim=1)
        parts.append(total / (tokens.norm(dim=-1) * mask).sum(dim=1).clamp(min=1e-6)[:, None])
    # A document without tokens is as far off as can be.
    return torch.cat(parts).masked_fill(~docs.mask.any(dim=1), -1.0)


def contrastive(
    scores: Tensor, mine: Tensor, answers: Tensor, repeated: Tensor, *, temperature: float, symmetric: bool
) -> Tensor:
    """Softmax over documents, of which one is right (van den Oord et al. 2018): a number.

    Args:
        scores: [n, m], of different documents.
        mine: int64 [n]: which document is right.
        answers: bool [n, m]: what is no negative, for it answers the query; the right one may be among them.
        repeated: bool [n]: queries that another one before them is equal to; none is a negative twice.
        temperature: Scores are divided by it.
        symmetric: Whether the softmax over the n queries counts as well.
    """
    logits = scores / temperature
    others = answers.scatter(1, mine[:, None], value=False)
    loss = functional.cross_entropy(logits.masked_fill(others, float("-inf")), mine)
    if not symmetric:
        return loss
    back, rows = logits[:, mine].T, torch.arange(len(mine), device=mine.device)
    others = (answers[:, mine].T | repeated).fill_diagonal_(False)
    return (loss + functional.cross_entropy(back.masked_fill(others, float("-inf")), rows)) / 2


def distilled(scores: Tensor, taught: Tensor, known: Tensor, *, temperature: float) -> Tensor:
    """Divergence of the scores of each query's own documents from a teacher's (Hinton et al. 2015): a number.

    Args:
        scores: [n, c]: of each query's document and negatives.
        taught: float [n, c]: the teacher's, standardised for each query.
        known: bool [n, c]: which of them there are.
        temperature: The scores are divided by it.
    """
    hidden = ~known
    ours = functional.log_softmax((scores / temperature).masked_fill(hidden, float("-inf")), dim=-1)
    theirs = functional.log_softmax(taught.masked_fill(hidden, float("-inf")), dim=-1)
    parts = theirs.exp() * (theirs - ours)
    return parts.masked_fill(hidden, 0.0).sum(dim=-1).mean()


def nested(dims: Sequence[int]) -> list[Score]:
    """One score for each of several dimensions (Matryoshka; Kusupati et al. 2022)."""
    return [partial(of_vectors, dim=dim) for dim in dims]
