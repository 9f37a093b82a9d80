"""Late interaction: documents as vectors of their tokens."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from irworks.data.damage import refused
from irworks.data.runs import Run
from irworks.encoders.protocol import Kind, TokenEncoder
from irworks.encoders.vectors import TokenVectors
from irworks.errors import ArgumentError
from irworks.retrieval.maxsim import maxsim_many
from irworks.retrieval.protocol import as_queries
from irworks.retrieval.ranking import (
    Ranking,
    best,
    checked_depth,
    new_documents,
    places_of,
    rankings_of,
    remaining,
    run_of,
)
from irworks.retrieval.stored import checked_vectors, refuse_other_encoder, sample
from irworks.runtime.bars import progress
from irworks.runtime.files import atomic_folder

__all__ = ["LateInteraction"]

_FORMAT = 1
_TEXTS_AT_ONCE = 512
_QUERIES_AT_ONCE = 64


class LateInteraction:
    """One vector a token; scores are sums of largest inner products (Khattab and Zaharia 2020), and exact.

    Attributes:
        encoder: From text to vectors of tokens.
        ids: Of the documents, in the order in which they came.
        docs: Vectors of the documents' tokens.
    """

    def __init__(self, encoder: TokenEncoder, *, dtype: str = "float16") -> None:
        if dtype not in ("float32", "float16"):
            raise ArgumentError(f"dtype={dtype!r}; expected float32 or float16")
        self.encoder = encoder
        self.ids: list[str] = []
        self.docs = TokenVectors(np.zeros((0, encoder.token_dim), dtype=dtype), np.zeros(1, dtype=np.int64))

    # -- documents ----------------------------------------------------------------------------------------------------

    def add(self, docs: Mapping[str, str] | Sequence[str]) -> Self:
        """Index documents: {id: text}, or texts, which are then numbered.

        Raises:
            ArgumentError: An id is there already, or the encoder makes something other than finite vectors of
                `token_dim`.
        """
        texts = new_documents(docs, self.ids)
        flat = list(texts.values())
        steps = range(0, len(flat), _TEXTS_AT_ONCE)
        if len(steps) > 1:
            steps = progress(steps, "encoding", total=len(steps))  # type: ignore[assignment]
        vectors, sizes = [self.docs.vectors], [np.diff(self.docs.offsets)]
        for begin in steps:
            part = self._encoded(flat[begin : begin + _TEXTS_AT_ONCE], "doc")
            vectors.append(part.vectors.astype(self.docs.vectors.dtype))
            sizes.append(np.diff(part.offsets))
        offsets = np.append(0, np.cumsum(np.concatenate(sizes))).astype(np.int64)
        self.docs = TokenVectors(np.concatenate(vectors), offsets)
        self.ids = [*self.ids, *texts]
        self.__dict__.pop("_places", None)
        return self

    def remove(self, docs: Sequence[str]) -> Self:
        """Take documents out, by id.

        Raises:
            ArgumentError: One is not there.
        """
        kept = remaining(docs, self.ids)
        self.docs = self.docs.take(np.flatnonzero(kept))
        self.ids = [doc for doc, stays in zip(self.ids, kept, strict=True) if stays]
        self.__dict__.pop("_places", None)
        return self

    def _encoded(self, texts: list[str], kind: Kind) -> TokenVectors:
        found = self.encoder.encode_tokens(texts, kind)
        checked_vectors(found.vectors, None, self.encoder.token_dim, self.encoder.name)
        if len(found) != len(texts):
            raise ArgumentError(f"{self.encoder.name} made vectors of {len(found)} texts; expected of {len(texts)}")
        return found

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.ids)

    # -- search -------------------------------------------------------------------------------------------------------

    def search(self, queries: Mapping[str, str] | Sequence[str] | str, k: int = 10) -> Run:
        """As `Retriever.search`; a query without a token finds nothing, and a document without one is not found."""
        checked_depth(k)
        asked = as_queries(queries)
        texts = list(asked.values())
        tokens = self._encoded(texts, "query")

        def ranked(rows: NDArray[np.int64]) -> list[Ranking]:
            return [best(scores, k) for scores in maxsim_many(tokens.take(rows), self.docs)]

        found = rankings_of(texts, np.diff(tokens.offsets) > 0, _QUERIES_AT_ONCE, ranked)
        return run_of(asked, found, self.ids, f"LateInteraction({self.encoder.name})")

    def score(self, query: str, docs: Mapping[str, str]) -> NDArray[np.float32]:
        """Of documents of the index, for one query; as `Scorer.score`, so that it can rerank what others found.

        One without a token scores minus infinity; for a query without one all others score 0.

        Raises:
            ArgumentError: A document is not in the index.
        """
        wanted = self.docs.take(places_of(docs, self._places))
        found: NDArray[np.float32] = maxsim_many(self._encoded([query], "query"), wanted)[0]
        return found

    @cached_property
    def _places(self) -> dict[str, int]:
        return {doc: place for place, doc in enumerate(self.ids)}

    # -- on disk ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the index as a folder, whole or not at all; the encoder is not in it."""
        facts = {"format": _FORMAT, "encoder": self.encoder.name, "ids": self.ids}
        with atomic_folder(path) as folder:
            (folder / "late.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
            np.save(folder / "vectors.npy", self.docs.vectors)
            np.save(folder / "offsets.npy", self.docs.offsets)
            np.save(folder / "sample.npy", sample(self.encoder.encode_tokens))

    @classmethod
    def load(cls, path: str | Path, encoder: TokenEncoder) -> Self:
        """Read what `save` wrote; vectors stay on disk until they are needed.

        Args:
            path: The folder.
            encoder: The one that made the vectors.

        Raises:
            FileNotFoundError: There is no such folder.
            DataError: It holds something else, is damaged, or another encoder made its vectors.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        expected = "a folder that LateInteraction.save wrote"
        with refused("no index of token vectors can be read from it", folder, expected=expected):
            facts = json.loads((folder / "late.json").read_text(encoding="utf-8"))
            if facts.get("format") != _FORMAT:
                raise ValueError(f"its format is {facts.get('format')!r}, not {_FORMAT}; index anew")
            vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
            offsets = np.load(folder / "offsets.npy", allow_pickle=False).astype(np.int64, casting="safe")
            index = cls(encoder, dtype=vectors.dtype.name)
            index.ids, index.docs = list(facts["ids"]), TokenVectors(vectors, offsets)
            if vectors.shape[1] != encoder.token_dim:
                raise ValueError(f"its vectors are {vectors.shape}, those of {encoder.name} have {encoder.token_dim}")
            if len(index.docs) != len(index.ids):
                raise ValueError("its parts do not fit one another")
            kept = np.load(folder / "sample.npy", allow_pickle=False)
            refuse_other_encoder(kept, encoder.encode_tokens, facts["encoder"])
        return index
