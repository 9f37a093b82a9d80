"""ColBERT models as PyLate writes them, as encoders of tokens."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from irworks.encoders import Kind, TokenVectors
from irworks.encoders.hub import reaches_hub
from irworks.errors import ArgumentError, MissingDependencyError
from irworks.runtime import device as choose_device

__all__ = ["PylateEncoder"]


class PylateEncoder:
    """A ColBERT model of PyLate (Chaffin and Sourty 2025); an `irworks.encoders.TokenEncoder`.

    Queries are filled up with mask tokens where the model does so, and tokens of punctuation are left out of documents,
    as PyLate does both.

    Args:
        model: A name on the hub, a folder, or a `pylate.models.ColBERT`.
        batch_size: Texts at once.
        device: See `irworks.runtime.device`.

    Raises:
        ArgumentError: There is no such model, here or on the hub.
        MissingDependencyError: PyLate is not installed.
    """

    def __init__(self, model: Any, *, batch_size: int = 32, device: str = "auto") -> None:
        try:
            from pylate import models  # type: ignore[import-not-found,unused-ignore]
        except ModuleNotFoundError:
            raise MissingDependencyError("pylate", "a ColBERT model of the hub", "amharic-ir[pylate]") from None
        self.batch_size = batch_size
        if isinstance(model, models.ColBERT):
            self.model, self.name = model, "ColBERT"
        else:
            self.name = str(model)
            try:
                there = Path(self.name).is_dir() or reaches_hub()
                self.model = models.ColBERT(self.name, device=choose_device(device), local_files_only=not there)
            except Exception as error:
                reason = str(error).strip().partition("\n")[0] or type(error).__name__
                expected = "a folder with one, or a name on the hub and a network"
                raise ArgumentError(f"no ColBERT can be had of {self.name!r}: {reason}; expected {expected}") from error

    @property
    def token_dim(self) -> int:
        """Of the vectors of tokens."""
        return int(self.model.get_sentence_embedding_dimension())

    def encode_tokens(self, texts: Sequence[str], kind: Kind = "doc") -> TokenVectors:
        """As `TokenEncoder.encode_tokens`; the marks that the model puts around a text are tokens, too.

        A blank text has none.
        """
        empty = np.zeros((0, self.token_dim), dtype=np.float32)
        parts = [empty] * len(texts)
        spoken = [place for place, text in enumerate(texts) if text.strip()]
        # PyLate looks at the first text to see what it is given.
        if spoken:
            found = self.model.encode(
                [texts[place] for place in spoken],
                batch_size=self.batch_size,
                is_query=kind == "query",
                normalize_embeddings=True,
                show_progress_bar=False,
            )
            for place, each in zip(spoken, found, strict=True):
                parts[place] = np.asarray(each, dtype=np.float32).reshape(-1, self.token_dim)
        offsets = np.append(0, np.cumsum([len(each) for each in parts], dtype=np.int64)).astype(np.int64)
        return TokenVectors(np.concatenate([empty, *parts]), offsets)
