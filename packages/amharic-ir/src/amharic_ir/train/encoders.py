"""Train encoders: one vector a text, or one a token."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from amharic_ir.text.folding import same_text
from amharic_ir.train.base import encoder_of, settings_for
from amharic_ir.train.batches import Batches
from amharic_ir.train.config import TrainConfig
from amharic_ir.train.pairs import Pairs
from amharic_ir.train.validation import Validation, require_judged
from irworks.data import Collection
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from accelerate import Accelerator

    from amharic_ir.encoders import SentenceEncoder, TinyEncoder
    from amharic_ir.train.loop import History

__all__ = ["bi_encoder", "late_interaction", "require_fit"]

Loss = Literal["contrastive", "matryoshka", "distill"]


def bi_encoder(
    pairs: Pairs,
    base: "str | Path | TinyEncoder | SentenceEncoder" = "scratch",
    *,
    loss: Loss = "contrastive",
    dims: Sequence[int] = (),
    config: TrainConfig | None = None,
    validation: Collection | None = None,
    held_out: Collection | None = None,
    checkpoint: str | Path | None = None,
    accelerator: "Accelerator | None" = None,
) -> "tuple[TinyEncoder | SentenceEncoder, History]":
    """Train one vector a text.

    Args:
        pairs: What to learn from; with `negatives` and config.negatives > 0 those count beside the batch's.
        base: "scratch" (a small encoder of hashed n-grams), an encoder, a folder, or a name on the hub. An encoder that
            is handed in stays as it is: a copy is trained.
        loss: "contrastive": each document of a batch against the others; "matryoshka": the same for the first `dims`
            dimensions as well; "distill": the scores of `pairs.taught`.
        dims: For "matryoshka"; by default all, half and a quarter.
        config: Settings; by default those of `TrainConfig`, and for a model of the hub `PAPER`.
        validation: Judged queries by whose nDCG@10 the best step is chosen, perhaps that before training; None:
            the last step.
        held_out: What will be tested on: none of its queries may be among pairs or validation queries.
        checkpoint: File to keep the state in after each epoch, from which training goes on; an epoch that was
            interrupted begins again.
        accelerator: See `Training`.

    Returns:
        The encoder, and what happened.

    Raises:
        ArgumentError: Validation queries are the test split, a query to be tested on is learned from, or the pairs do
            not have what the loss needs; or numbers are no longer finite.
        DataError: The checkpoint is of another training.
    """
    from amharic_ir.train.losses import nested, of_vectors

    require_fit(pairs, loss, config, validation, held_out)
    if dims and loss != "matryoshka":
        raise ArgumentError(f"dims={tuple(dims)} with loss={loss!r}; expected loss='matryoshka'")
    encoder = encoder_of(base, pairs.docs, seed=config.seed if config else 0)
    if loss == "matryoshka":
        wanted = sorted({*(dims or (encoder.dim // 2, encoder.dim // 4)), encoder.dim}, reverse=True)
        if wanted[-1] < 1 or wanted[0] > encoder.dim:
            raise ArgumentError(f"dims={tuple(dims)}; expected within 1 and {encoder.dim}, the encoder's")
        scores = nested(wanted)
    elif loss in ("contrastive", "distill"):
        scores = [of_vectors]
    else:
        raise ArgumentError(f"loss={loss!r}; expected contrastive, matryoshka or distill")
    history = _train(encoder, pairs, scores, config, loss == "distill", validation, checkpoint, accelerator, late=False)
    return encoder, history


def late_interaction(
    pairs: Pairs,
    base: "str | Path | TinyEncoder | SentenceEncoder" = "scratch",
    *,
    loss: Literal["contrastive", "distill"] = "contrastive",
    token_dim: int = 128,
    config: TrainConfig | None = None,
    validation: Collection | None = None,
    held_out: Collection | None = None,
    checkpoint: str | Path | None = None,
    accelerator: "Accelerator | None" = None,
) -> "tuple[TinyEncoder | SentenceEncoder, History]":
    """Train one vector a token (ColBERT; Khattab and Zaharia 2020).

    Args:
        pairs: As of `bi_encoder`.
        base: As of `bi_encoder`.
        loss: "contrastive" or "distill".
        token_dim: Of the vectors of tokens, where base is a model of the hub that has no projection yet.
        config: As of `bi_encoder`.
        validation: As of `bi_encoder`.
        held_out: As of `bi_encoder`.
        checkpoint: As of `bi_encoder`.
        accelerator: As of `bi_encoder`.

    Returns:
        The encoder, and what happened.

    Raises:
        ArgumentError: As of `bi_encoder`.
        DataError: As of `bi_encoder`.
    """
    from amharic_ir.train.losses import of_tokens

    if loss not in ("contrastive", "distill"):
        raise ArgumentError(f"loss={loss!r}; expected contrastive or distill")
    require_fit(pairs, loss, config, validation, held_out)
    encoder = encoder_of(base, pairs.docs, seed=config.seed if config else 0, token_dim=token_dim)
    history = _train(
        encoder, pairs, [of_tokens], config, loss == "distill", validation, checkpoint, accelerator, late=True
    )
    return encoder, history


def _train(
    encoder: "TinyEncoder | SentenceEncoder",
    pairs: Pairs,
    scores: Sequence[object],
    config: TrainConfig | None,
    distil: bool,
    validation: Collection | None,
    checkpoint: str | Path | None,
    accelerator: "Accelerator | None",
    *,
    late: bool,
) -> "History":
    from amharic_ir.train.loop import Training

    config = config or settings_for(encoder)
    if accelerator is not None:
        encoder.network.to(accelerator.device)
    training = Training(
        encoder,
        Batches(pairs, config),
        scores,  # type: ignore[arg-type]
        config,
        distil=distil,
        quality=None if validation is None else Validation(encoder, validation, late),
        checkpoint=None if checkpoint is None else Path(checkpoint),
        accelerator=accelerator,
    )
    return training.run()


def require_fit(
    pairs: Pairs, loss: Loss, config: TrainConfig | None, validation: Collection | None, held_out: Collection | None
) -> None:
    """Check, before the work, that pairs have what the loss needs, and nothing that they may not have.

    Raises:
        ArgumentError: As of `bi_encoder`.
    """
    config = config or TrainConfig()
    if config.negatives and not any(map(len, pairs.negatives)):
        raise ArgumentError(f"negatives={config.negatives}, and the pairs have none; see mine")
    if loss == "distill" and not pairs.scores:
        raise ArgumentError("loss='distill' needs the scores of a teacher; see Pairs.taught")
    if loss == "distill" and not config.negatives:
        raise ArgumentError(
            "loss='distill' compares a document with negatives; expected config.negatives of at least 1"
        )
    if validation is not None:
        require_judged(validation)
    _require_apart(pairs, validation, held_out)


def _require_apart(pairs: Pairs, validation: Collection | None, held_out: Collection | None) -> None:
    learned = {same_text(text): "the pairs" for text in pairs.queries}
    chosen = (
        {}
        if validation is None
        else {same_text(text): "the validation queries" for text in validation.queries.values()}
    )
    for text in () if held_out is None else held_out.queries.values():
        if where := (learned | chosen).get(same_text(text)):
            raise ArgumentError(f"query {text!r} of {held_out.name} is to be tested on, and is among {where}")  # type: ignore[union-attr]
    if twice := chosen.keys() & learned.keys():
        raise ArgumentError(f"validation query {min(twice)!r} is among the pairs; expected others")
