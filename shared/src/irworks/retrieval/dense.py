"""Documents as vectors: the inner product with the query's is the score."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from irworks.data.damage import refused
from irworks.data.runs import Run
from irworks.encoders.protocol import Encoder
from irworks.errors import ArgumentError, MissingDependencyError
from irworks.retrieval.protocol import as_queries
from irworks.retrieval.ranking import NOTHING, Ranking, best, checked_depth, new_documents, remaining, run_of
from irworks.runtime.bars import progress
from irworks.runtime.files import atomic_folder

__all__ = ["Dense"]

_FORMAT = 1
_TEXTS_AT_ONCE = 1024


class Dense:
    """One vector a passage; a document is worth its best passage (Dai and Callan 2019).

    Search is exact unless `factory` asks for an approximate index of faiss.

    Attributes:
        encoder: From text to vectors.
        words: Longer documents are cut into passages of so many words; None: each is one passage, of which the encoder
            reads as much as it can.
        passages: So many of a document at most, from its beginning.
        factory: Of an index of faiss, such as "HNSW32" or "IVF1024,PQ32"; None: exact search.
        ids: Of the documents, in the order in which they came.
        vectors: float32 or float16 [n_passages, dim].
        doc_of: int64 [n_passages]: place of the document of each passage, in order.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        words: int | None = None,
        passages: int = 8,
        factory: str | None = None,
        dtype: str = "float32",
    ) -> None:
        if words is not None and words < 1:
            raise ArgumentError(f"words={words}; expected at least 1, or None")
        if passages < 1 or dtype not in ("float32", "float16"):
            raise ArgumentError(f"passages={passages}, dtype={dtype!r}; expected at least 1, and float32 or float16")
        self.encoder, self.words, self.passages, self.factory = encoder, words, passages, factory
        self.ids: list[str] = []
        self.vectors: NDArray[np.floating] = np.zeros((0, encoder.dim), dtype=dtype)
        self.doc_of = np.zeros(0, dtype=np.int64)

    # -- documents ----------------------------------------------------------------------------------------------------

    def add(self, docs: Mapping[str, str] | Sequence[str]) -> Self:
        """Index documents: {id: text}, or texts, which are then numbered.

        Raises:
            ArgumentError: An id is there already.
        """
        texts = new_documents(docs, self.ids)
        cut = [self._passages(text) for text in texts.values()]
        flat = [passage for of_doc in cut for passage in of_doc]
        steps = range(0, len(flat), _TEXTS_AT_ONCE)
        if len(steps) > 1:
            steps = progress(steps, "encoding", total=len(steps))  # type: ignore[assignment]
        parts = [self.encoder.encode(flat[begin : begin + _TEXTS_AT_ONCE], "doc") for begin in steps]
        sizes = np.fromiter(map(len, cut), np.int64, len(cut))
        self.doc_of = np.append(self.doc_of, len(self.ids) + np.repeat(np.arange(len(cut)), sizes)).astype(np.int64)
        self.vectors = np.concatenate([self.vectors, *(part.astype(self.vectors.dtype) for part in parts)])
        self.ids = [*self.ids, *texts]
        self.__dict__.pop("_approximate", None)
        return self

    def remove(self, docs: Sequence[str]) -> Self:
        """Take documents out, by id.

        Raises:
            ArgumentError: One is not there.
        """
        kept = remaining(docs, self.ids)
        rows = kept[self.doc_of]
        self.vectors, places = self.vectors[rows], np.cumsum(kept) - 1
        self.doc_of = places[self.doc_of[rows]]
        self.ids = [doc for doc, stays in zip(self.ids, kept, strict=True) if stays]
        self.__dict__.pop("_approximate", None)
        return self

    def _passages(self, text: str) -> list[str]:
        if self.words is None:
            return [text]
        found = text.split()
        begins = range(0, max(len(found), 1), self.words)[: self.passages]
        return [" ".join(found[begin : begin + self.words]) for begin in begins]

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.ids)

    # -- search -------------------------------------------------------------------------------------------------------

    def search(self, queries: Mapping[str, str] | Sequence[str] | str, k: int = 10) -> Run:
        """As `Retriever.search`; a query without a token finds nothing."""
        checked_depth(k)
        asked = as_queries(queries)
        texts = list(asked.values())
        vectors = self.encoder.encode(texts, "query")
        spoken = np.array([bool(text.strip()) for text in texts], dtype=bool) & (vectors != 0).any(axis=1)
        found: list[Ranking] = [NOTHING] * len(texts)
        rows = np.flatnonzero(spoken)
        ranked = self._exact if self.factory is None else self._near
        for begin in range(0, len(rows), 64):
            part = rows[begin : begin + 64]
            for place, ranking in zip(part, ranked(vectors[part], k), strict=True):
                found[place] = ranking
        return run_of(asked, found, self.ids, f"Dense({self.encoder.name})")

    def _exact(self, vectors: NDArray[np.float32], k: int) -> list[Ranking]:
        if not len(self):
            return [NOTHING] * len(vectors)
        scores = np.empty((len(vectors), len(self.vectors)), dtype=np.float32)
        step = max((1 << 25) // max(self.vectors.shape[1], 1), 1)
        for begin in range(0, len(self.vectors), step):
            block = self.vectors[begin : begin + step].astype(np.float32, copy=False)
            np.matmul(vectors, block.T, out=scores[:, begin : begin + step])
        if len(self.vectors) > len(self.ids):
            scores = np.maximum.reduceat(scores, np.flatnonzero(np.diff(self.doc_of, prepend=-1)), axis=1)
        return [best(row, k) for row in scores]

    def _near(self, vectors: NDArray[np.float32], k: int) -> list[Ranking]:
        if not len(self):
            return [NOTHING] * len(vectors)
        depth = min(k * (self.passages if self.words else 1), len(self.vectors))
        scores, passages = self._approximate.search(np.ascontiguousarray(vectors, dtype=np.float32), depth)
        found: list[Ranking] = []
        for values, places in zip(scores, passages, strict=True):
            docs, first = np.unique(self.doc_of[places[places >= 0]], return_index=True)
            order = np.lexsort((docs, -values[first]))[:k]
            found.append((docs[order], values[first][order]))
        return found

    @cached_property
    def _approximate(self) -> Any:
        try:
            import faiss
        except ModuleNotFoundError:
            raise MissingDependencyError("faiss", "an approximate index", "irworks[faiss]") from None
        vectors = np.ascontiguousarray(self.vectors, dtype=np.float32)
        try:
            index = faiss.index_factory(vectors.shape[1], str(self.factory), faiss.METRIC_INNER_PRODUCT)
            index.train(vectors)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ArgumentError(
                f"factory={self.factory!r} makes no index of {len(vectors):,} vectors: {reason}"
            ) from None
        index.add(vectors)
        return index

    # -- on disk ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the index as a folder, whole or not at all; the encoder is not in it."""
        facts = {
            "format": _FORMAT,
            "encoder": self.encoder.name,
            "words": self.words,
            "passages": self.passages,
            "factory": self.factory,
            "ids": self.ids,
        }
        with atomic_folder(path) as folder:
            (folder / "dense.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
            np.save(folder / "vectors.npy", self.vectors)
            np.save(folder / "doc_of.npy", self.doc_of)

    @classmethod
    def load(cls, path: str | Path, encoder: Encoder) -> Self:
        """Read what `save` wrote; vectors stay on disk until they are needed.

        Args:
            path: The folder.
            encoder: The one that made the vectors.

        Raises:
            FileNotFoundError: There is no such folder.
            DataError: It holds something else, or is damaged.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        with refused("no index of vectors can be read from it", folder, expected="a folder that Dense.save wrote"):
            facts = json.loads((folder / "dense.json").read_text(encoding="utf-8"))
            if facts.get("format") != _FORMAT:
                raise ValueError(f"its format is {facts.get('format')!r}, not {_FORMAT}")
            index = cls(encoder, words=facts["words"], passages=facts["passages"], factory=facts["factory"])
            index.ids = list(facts["ids"])
            index.vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
            index.doc_of = np.load(folder / "doc_of.npy", allow_pickle=False)
            if index.vectors.shape != (len(index.doc_of), encoder.dim):
                raise ValueError(f"its vectors are {index.vectors.shape}, those of {encoder.name} have {encoder.dim}")
            if not np.array_equal(np.unique(index.doc_of), np.arange(len(index.ids))):
                raise ValueError("its parts do not fit one another")
        return index
