"""Documents as vectors: the inner product with the query's is the score."""

import json
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from irworks.data.damage import refused
from irworks.data.runs import Run
from irworks.encoders.protocol import Encoder, Kind
from irworks.encoders.vectors import ranges
from irworks.errors import ArgumentError, MissingDependencyError
from irworks.retrieval.protocol import as_queries
from irworks.retrieval.ranking import (
    NOTHING,
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

__all__ = ["Dense"]

_FORMAT = 1
_TEXTS_AT_ONCE = 1024
_QUERIES_AT_ONCE = 64
# Scores in memory at once: 256 MB.
_SCORES_AT_ONCE = 1 << 26


class Dense:
    """One vector a passage; a document is worth its best passage (Dai and Callan 2019).

    Search is exact unless `factory` asks for an approximate index of faiss, which is built at the first search or when
    the index is saved. Of inverted lists (IVF), a search looks through as many as the root of four times their number.

    Attributes:
        encoder: From text to vectors.
        words: Longer documents are cut into passages of so many words; None: each is one passage, of which the encoder
            reads as much as it can.
        passages: So many of a document at most, from its beginning.
        factory: Of an index of faiss, such as "HNSW32" or "IVF1024,PQ32"; None: exact search.
        ids: Of the documents, in the order in which they came.
        vectors: float32 or float16 [n_passages, dim]; a passage without a token has none.
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
            ArgumentError: An id is there already, or the encoder makes something other than finite vectors of `dim`.
        """
        texts = new_documents(docs, self.ids)
        cut = [self._passages(text) for text in texts.values()]
        flat = [passage for of_doc in cut for passage in of_doc]
        steps = range(0, len(flat), _TEXTS_AT_ONCE)
        if len(steps) > 1:
            steps = progress(steps, "encoding", total=len(steps))  # type: ignore[assignment]
        vectors, doc_of = [self.vectors], [self.doc_of]
        doc_of_flat = len(self.ids) + np.repeat(np.arange(len(cut)), [len(of_doc) for of_doc in cut])
        for begin in steps:
            part = self._encoded(flat[begin : begin + _TEXTS_AT_ONCE], "doc")
            said = part.any(axis=1)
            vectors.append(part[said].astype(self.vectors.dtype))
            doc_of.append(doc_of_flat[begin : begin + _TEXTS_AT_ONCE][said])
        self.vectors, self.doc_of = np.concatenate(vectors), np.concatenate(doc_of)
        self.ids = [*self.ids, *texts]
        self._forget()
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
        self._forget()
        return self

    def _forget(self) -> None:
        for name in ("_approximate", "_places"):
            self.__dict__.pop(name, None)

    def _encoded(self, texts: list[str], kind: Kind) -> NDArray[np.float32]:
        return checked_vectors(self.encoder.encode(texts, kind), len(texts), self.encoder.dim, self.encoder.name)

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
        """As `Retriever.search`; a query without a token finds nothing, and a document without one is not found."""
        checked_depth(k)
        asked = as_queries(queries)
        texts = list(asked.values())
        vectors = self._encoded(texts, "query")
        ranked = self._exact if self.factory is None else self._near
        step = max(min(_QUERIES_AT_ONCE, _SCORES_AT_ONCE // max(len(self.vectors), 1)), 1)
        found = rankings_of(texts, (vectors != 0).any(axis=1), step, lambda rows: ranked(vectors[rows], k))
        return run_of(asked, found, self.ids, f"Dense({self.encoder.name})")

    def _exact(self, vectors: NDArray[np.float32], k: int) -> list[Ranking]:
        if not len(self.vectors):
            return [NOTHING] * len(vectors)
        scores = np.empty((len(vectors), len(self.vectors)), dtype=np.float32)
        step = max((1 << 25) // max(self.vectors.shape[1], 1), 1)
        for begin in range(0, len(self.vectors), step):
            block = self.vectors[begin : begin + step].astype(np.float32, copy=False)
            np.matmul(vectors, block.T, out=scores[:, begin : begin + step])
        first = np.flatnonzero(np.diff(self.doc_of, prepend=-1))
        if len(first) < len(self.vectors):
            scores = np.maximum.reduceat(scores, first, axis=1)
        docs = self.doc_of[first]
        ranked = (best(row, k) for row in scores)
        return [(docs[places], values) for places, values in ranked]

    def _near(self, vectors: NDArray[np.float32], k: int) -> list[Ranking]:
        if not len(self.vectors):
            return [NOTHING] * len(vectors)
        depth = min(k * (self.passages if self.words else 1), len(self.vectors))
        scores, passages = self._approximate.search(np.ascontiguousarray(vectors, dtype=np.float32), depth)
        found: list[Ranking] = []
        for values, places in zip(scores, passages, strict=True):
            values, places = values[places >= 0], places[places >= 0]
            docs, first = np.unique(self.doc_of[places], return_index=True)
            order = np.lexsort((docs, -values[first]))[:k]
            found.append((docs[order], values[first][order]))
        return found

    def score(self, query: str, docs: Mapping[str, str]) -> NDArray[np.float32]:
        """Of documents of the index, for one query; as `Scorer.score`, so that it can rerank what others found.

        One without a token scores minus infinity; for a query without one all others score 0.

        Raises:
            ArgumentError: A document is not in the index.
        """
        wanted = places_of(docs, self._places)
        begins, ends = (np.searchsorted(self.doc_of, wanted, side=side) for side in ("left", "right"))
        vectors = self.vectors[ranges(begins, ends - begins)].astype(np.float32, copy=False)
        values = vectors @ self._encoded([query], "query")[0]
        scores = np.full(len(wanted), -np.inf, dtype=np.float32)
        np.maximum.at(scores, np.repeat(np.arange(len(wanted)), ends - begins), values)
        return scores

    @cached_property
    def _places(self) -> dict[str, int]:
        return {doc: place for place, doc in enumerate(self.ids)}

    @cached_property
    def _approximate(self) -> Any:
        faiss = _faiss()
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
        lists = faiss.try_extract_index_ivf(index)
        if lists is not None:
            # Of itself faiss looks through one list only, and misses much.
            lists.nprobe = math.isqrt(4 * lists.nlist)
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
            np.save(folder / "sample.npy", sample(self.encoder.encode))
            if self.factory is not None and len(self.vectors):
                _faiss().write_index(self._approximate, str(folder / "faiss.index"))

    @classmethod
    def load(cls, path: str | Path, encoder: Encoder) -> Self:
        """Read what `save` wrote; vectors stay on disk until they are needed.

        Args:
            path: The folder.
            encoder: The one that made the vectors.

        Raises:
            FileNotFoundError: There is no such folder.
            DataError: It holds something else, is damaged, or another encoder made its vectors.
            MissingDependencyError: It is approximate, and faiss is not installed.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        with refused("no index of vectors can be read from it", folder, expected="a folder that Dense.save wrote"):
            facts = json.loads((folder / "dense.json").read_text(encoding="utf-8"))
            if facts.get("format") != _FORMAT:
                raise ValueError(f"its format is {facts.get('format')!r}, not {_FORMAT}; index anew")
            vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
            parts = {name: facts[name] for name in ("words", "passages", "factory")}
            index = cls(encoder, **parts, dtype=vectors.dtype.name)
            index.ids, index.vectors = list(facts["ids"]), vectors
            index.doc_of = np.load(folder / "doc_of.npy", allow_pickle=False).astype(np.int64, casting="safe")
            if vectors.shape != (*index.doc_of.shape, encoder.dim):
                raise ValueError(f"its vectors are {vectors.shape}, those of {encoder.name} have {encoder.dim}")
            outside = (index.doc_of < 0) | (index.doc_of >= len(index.ids))
            if outside.any() or (np.diff(index.doc_of) < 0).any():
                raise ValueError("its parts do not fit one another")
            refuse_other_encoder(np.load(folder / "sample.npy", allow_pickle=False), encoder.encode, facts["encoder"])
        if index.factory is not None and len(vectors):
            index._read_approximate(folder / "faiss.index")
        return index

    def _read_approximate(self, file: Path) -> None:
        faiss = _faiss()
        with refused("no index of faiss can be read from it", file, expected="what Dense.save wrote"):
            self._approximate = faiss.read_index(str(file))
            if (self._approximate.ntotal, self._approximate.d) != self.vectors.shape:
                raise ValueError("its vectors are not those beside it")


def _faiss() -> Any:
    try:
        import faiss
    except ModuleNotFoundError:
        raise MissingDependencyError("faiss", "an approximate index", "irworks[faiss]") from None
    return faiss
