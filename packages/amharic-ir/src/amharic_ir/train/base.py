"""What training begins with: a new encoder, or a copy of one that is there."""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from amharic_ir.train.config import PAPER, TrainConfig
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from amharic_ir.encoders import SentenceEncoder, TinyEncoder

__all__ = ["encoder_of", "settings_for"]


def encoder_of(
    base: "str | Path | TinyEncoder | SentenceEncoder",
    texts: Sequence[str],
    *,
    seed: int = 0,
    token_dim: int | None = None,
) -> "TinyEncoder | SentenceEncoder":
    """An encoder of its own to train.

    Args:
        base: "scratch" (a small encoder of hashed n-grams), an encoder, a folder, or a name on the hub.
        texts: Documents; in them rare tokens are told from frequent ones, for an encoder from scratch.
        seed: Of what is drawn: the numbers of an encoder from scratch, and of a projection.
        token_dim: Of the vectors of tokens, where base is a model of the hub that has no projection yet; None: as they
            come.

    Raises:
        ArgumentError: There is no such encoder, or it keeps some dimensions of its vectors alone.
        DataError: Its folder is damaged.
        MissingDependencyError: What it needs is not installed.
    """
    from amharic_ir.encoders import Ngrams, TinyEncoder, load, tiny

    if base == "scratch":
        return tiny(Ngrams(), docs=texts, seed=seed, device="auto", name="ngrams")
    found: Any
    if isinstance(base, str | Path):
        found = load(base)
    else:
        found = copy.copy(base)
        found.network = copy.deepcopy(base.network)
        if not isinstance(found, TinyEncoder):
            found.model = found.network.model
    if not isinstance(found, TinyEncoder) and found.truncate_dim is not None:
        raise ArgumentError(
            f"truncate_dim={found.truncate_dim} is for search; train with loss='matryoshka' and dims=, all dimensions"
        )
    if token_dim is not None and not isinstance(found, TinyEncoder) and found.network.projection is None:
        _project(found, token_dim, seed)
    return found  # type: ignore[no-any-return]


def _project(encoder: "SentenceEncoder", token_dim: int, seed: int) -> None:
    import torch

    from irworks.encoders.sentence_network import SentenceNetwork

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        projection = torch.nn.Linear(encoder.token_dim, token_dim, bias=False)
        torch.nn.init.orthogonal_(projection.weight)
    encoder.network = SentenceNetwork(encoder.model, projection)


def settings_for(encoder: "TinyEncoder | SentenceEncoder") -> TrainConfig:
    """The settings that an encoder is trained with unless others are given."""
    from amharic_ir.encoders import TinyEncoder

    return TrainConfig() if isinstance(encoder, TinyEncoder) else PAPER
