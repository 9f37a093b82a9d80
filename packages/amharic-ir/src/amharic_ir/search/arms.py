"""The indexes of a searcher: which there are, what they are built with, and how their encoders are kept."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from amharic_ir.text.analyzer import Analyzer
from irworks.data.damage import refused
from irworks.encoders import Encoder, SentenceEncoder, TinyEncoder, TokenEncoder
from irworks.errors import ArgumentError
from irworks.retrieval import BM25, Dense, LateInteraction

__all__ = ["ARMS", "DEFAULT_MODEL", "Arm", "Model", "arms_of", "empty_arm", "load_arm", "save_arm"]

Arm = BM25 | Dense | LateInteraction
# A name on the hub, a folder, or an encoder.
Model = str | Path | Encoder | TokenEncoder
ARMS = ("bm25", "dense", "late")
# The paper's best single-vector model, by its authors.
DEFAULT_MODEL = "rasyosef/roberta-amharic-text-embedding-base"
_ENCODER = "encoder"


def arms_of(method: str) -> tuple[str, ...]:
    """The names of the indexes of a method, such as ("bm25", "late") of "bm25+late".

    Raises:
        ArgumentError: There is no such method.
    """
    names = ("bm25", "dense") if method == "hybrid" else tuple(method.split("+"))
    if not set(names) <= set(ARMS) or len(set(names)) < len(names):
        raise ArgumentError(f"method={method!r}; expected {', '.join(ARMS)}, hybrid, or some of them as in 'bm25+late'")
    return names


def empty_arm(
    name: str, analyzer: Analyzer, model: Model | Mapping[str, Model] | None, passage_words: int | None = None
) -> Arm:
    """An index without documents.

    Args:
        name: Of `ARMS`.
        analyzer: Of BM25.
        model: Of the others; or {arm: model}; None: `DEFAULT_MODEL`, for dense retrieval.
        passage_words: See `Dense.words`.

    Raises:
        ArgumentError: There is no such model, or it has no vectors of the kind.
    """
    if name == "bm25":
        return BM25(analyzer)
    wanted = model.get(name) if isinstance(model, Mapping) else model
    if wanted is None:
        if name == "late":
            raise ArgumentError(
                "late interaction needs model=: an encoder, a folder that training wrote, or a name on the hub"
            )
        wanted = DEFAULT_MODEL
    return _arm(name, encoder_of(wanted), passage_words)


def _arm(name: str, encoder: Any, passage_words: int | None = None) -> Dense | LateInteraction:
    if name == "dense":
        if not isinstance(encoder, Encoder):
            raise ArgumentError(f"model={encoder!r} has no encode; expected an encoder with one vector a text")
        return Dense(encoder, words=passage_words)
    if not isinstance(encoder, TokenEncoder):
        raise ArgumentError(f"model={encoder!r} has no encode_tokens; expected an encoder with one vector a token")
    return LateInteraction(encoder)


def encoder_of(model: Model) -> Encoder | TokenEncoder:
    """An encoder, loaded if it is a name."""
    if not isinstance(model, str | Path):
        return model
    from amharic_ir.encoders import load

    return load(model)


def save_arm(arm: Arm, folder: Path) -> dict[str, Any]:
    """Write an index and its encoder into a folder; what has to be known to load it."""
    arm.save(folder)
    if isinstance(arm, BM25):
        return {}
    encoder = arm.encoder
    if isinstance(encoder, TinyEncoder):
        encoder.save(folder / _ENCODER)
        return {"encoder": "tiny"}
    if isinstance(encoder, SentenceEncoder):
        name = str(Path(encoder.name).resolve()) if Path(encoder.name).is_dir() else encoder.name
        prompts = {"query_prompt": encoder.query_prompt, "doc_prompt": encoder.doc_prompt}
        return {"encoder": "hub", "model": name, **prompts, "truncate_dim": encoder.truncate_dim}
    return {"encoder": "own", "model": encoder.name}


def load_arm(name: str, folder: Path, facts: Mapping[str, Any], analyzer: Analyzer, model: Model | None) -> Arm:
    """Read what `save_arm` wrote.

    Args:
        name: Of `ARMS`.
        folder: Where it is.
        facts: What `save_arm` returned.
        analyzer: Of BM25.
        model: In place of the encoder that it was built with, such as one at another place.

    Raises:
        ArgumentError: The encoder is the user's own, and not given.
        DataError: The folder is damaged.
    """
    if name == "bm25":
        return BM25.load(folder, analyzer)
    kind = Dense if name == "dense" else LateInteraction
    if model is not None:
        return kind.load(folder, encoder_of(model))  # type: ignore[arg-type]
    with refused("it does not say by which encoder", folder, expected="an index that Searcher.save wrote"):
        how, source = facts["encoder"], facts.get("model", "")
    if how == "own":
        raise ArgumentError(f"{folder} was built with an encoder of its own, {source!r}; expected model=")
    if how == "tiny":
        return kind.load(folder, encoder_of(folder / _ENCODER))  # type: ignore[arg-type]
    options = {name: facts[name] for name in ("query_prompt", "doc_prompt", "truncate_dim")}
    from amharic_ir.encoders import load

    return kind.load(folder, load(source, **options))
