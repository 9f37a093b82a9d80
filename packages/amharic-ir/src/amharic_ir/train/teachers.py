"""Whose scores a small encoder can be taught."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from irworks.encoders import Scorer

__all__ = ["teacher_of"]


class _Index:
    """Judges texts by an index that has them all, as statistics and vectors of a single query's do not suffice."""

    def __init__(self, index: object, texts: Sequence[str]) -> None:
        self.index = index
        self.places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        self.index.add({str(place): text for text, place in self.places.items()})  # type: ignore[attr-defined]

    def score(self, query: str, docs: Mapping[str, str]) -> NDArray[np.float32]:
        """As `Scorer.score`."""
        places = [self.places[text] for text in docs.values()]
        if hasattr(self.index, "scores"):
            return np.asarray(self.index.scores(query)[places], dtype=np.float32)
        # A text that stands twice is asked for once.
        asked = {str(place): "" for place in places}
        found = dict(zip(asked, self.index.score(query, asked), strict=True))  # type: ignore[attr-defined]
        return np.array([found[str(place)] for place in places], dtype=np.float32)


def teacher_of(spec: str, texts: Sequence[str]) -> "Scorer":
    """A teacher by its name.

    Args:
        spec: "bm25" (over n-grams); "dense:MODEL" or "late:MODEL", an encoder in a folder or on the hub; or
            "cross:MODEL", a model of the hub that reads query and document together.
        texts: What will be judged, all of it.

    Raises:
        ArgumentError: The name is none of these.
    """
    from amharic_ir.encoders import CrossEncoder, load
    from amharic_ir.text.analyzer import Analyzer
    from irworks.retrieval import BM25, Dense, LateInteraction

    kind, _, model = spec.partition(":")
    if spec == "bm25":
        return _Index(BM25(Analyzer()), texts)
    if kind == "cross" and model:
        return CrossEncoder(model)
    if kind in ("dense", "late") and model:
        encoder = load(model)
        return _Index(Dense(encoder) if kind == "dense" else LateInteraction(encoder), texts)
    raise ArgumentError(f"{spec} is no teacher; expected bm25, dense:MODEL, late:MODEL or cross:MODEL")
