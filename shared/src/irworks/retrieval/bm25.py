"""BM25 over the tokens of any analyzer; scores are those of bm25s."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from irworks.data.damage import refused
from irworks.data.runs import Run
from irworks.data.words import words
from irworks.errors import ArgumentError
from irworks.retrieval.protocol import Analyzer, as_queries
from irworks.retrieval.ranking import best, checked_depth, new_documents, remaining, run_of
from irworks.retrieval.tokens import Tokens
from irworks.runtime.files import atomic_folder

__all__ = ["BM25"]

_FORMAT = 2


class BM25:
    """Okapi BM25 in Lucene's form (Kamphuis et al. 2020), with scores computed when documents are indexed.

    The score of document d is the sum over the tokens t of the query, counted as often as they stand there, of
    idf(t) tf / (tf + k1 (1 - b + b |d| / mean |d|)), idf(t) = ln(1 + (n - df + .5) / (df + .5)).

    Attributes:
        analyzer: From text to tokens. One with a method `many(texts) -> Tokens` cuts documents into tokens by that.
        k1: How fast further occurrences of a token count for less.
        b: How much long documents count for less, 0 to 1.
        ids: Of the documents, in the order in which they came.
        tokens: Of the documents.
    """

    def __init__(self, analyzer: Analyzer = words, *, k1: float = 1.5, b: float = 0.75) -> None:
        if not k1 >= 0 or not 0 <= b <= 1:
            raise ArgumentError(f"k1={k1}, b={b}; expected at least 0, and within [0, 1]")
        self.analyzer, self.k1, self.b = analyzer, k1, b
        self.ids: list[str] = []
        self.tokens = Tokens.of((), analyzer)

    # -- documents ----------------------------------------------------------------------------------------------------

    def add(self, docs: Mapping[str, str] | Sequence[str]) -> Self:
        """Index documents: {id: text}, or texts, which are then numbered.

        Raises:
            ArgumentError: An id is there already.
        """
        texts = new_documents(docs, self.ids)
        self.tokens = self.tokens.joined(self._cut(list(texts.values())))
        self.ids = [*self.ids, *texts]
        self._forget()
        return self

    def remove(self, docs: Sequence[str]) -> Self:
        """Take documents out, by id.

        Raises:
            ArgumentError: One is not there.
        """
        kept = remaining(docs, self.ids)
        self.tokens = self.tokens.kept(kept)
        self.ids = [doc for doc, stays in zip(self.ids, kept, strict=True) if stays]
        self._forget()
        return self

    def _cut(self, texts: list[str]) -> Tokens:
        many = getattr(self.analyzer, "many", None)
        found: Tokens = Tokens.of(texts, self.analyzer) if many is None else many(texts)
        return found

    def _forget(self) -> None:
        for name in ("_table", "_numbers"):
            self.__dict__.pop(name, None)

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.ids)

    # -- on disk ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write the index as a folder, whole or not at all; the analyzer is not in it."""
        facts = {"format": _FORMAT, "k1": self.k1, "b": self.b, "ids": self.ids, "vocabulary": self.tokens.vocabulary}
        with atomic_folder(path) as folder:
            (folder / "bm25.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")
            np.savez(folder / "tokens.npz", ids=self.tokens.ids, offsets=self.tokens.offsets)
            for name, part in self._table._asdict().items():
                np.save(folder / f"{name}.npy", part)

    @classmethod
    def load(cls, path: str | Path, analyzer: Analyzer = words) -> Self:
        """Read what `save` wrote; scores stay on disk until they are needed.

        Args:
            path: The folder.
            analyzer: The one that the documents were cut into tokens by.

        Raises:
            FileNotFoundError: There is no such folder.
            DataError: It holds something else, or is damaged.
        """
        folder = Path(path)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        with refused("no index of BM25 can be read from it", folder, expected="a folder that BM25.save wrote"):
            facts = json.loads((folder / "bm25.json").read_text(encoding="utf-8"))
            if facts.get("format") != _FORMAT:
                raise ValueError(f"its format is {facts.get('format')!r}, not {_FORMAT}; index anew")
            with np.load(folder / "tokens.npz", allow_pickle=False) as arrays:
                tokens = Tokens(arrays["ids"], arrays["offsets"], list(facts["vocabulary"]))
            index = cls(analyzer, k1=facts["k1"], b=facts["b"])
            index.ids, index.tokens = list(facts["ids"]), tokens
            numbers, sizes = tokens.ids, np.diff(tokens.offsets)
            known = numbers.min(initial=0) >= 0 and numbers.max(initial=-1) < len(tokens.vocabulary)
            whole = tokens.offsets[0] == 0 and tokens.offsets[-1] == len(numbers) and (sizes >= 0).all()
            if not known or not whole or len(tokens) != len(index.ids):
                raise ValueError("its parts do not fit one another")
            table = _Table(
                *(np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _Table._fields)
            )
            table.check(len(index.ids), len(tokens.vocabulary))
            index.__dict__["_table"] = table
        return index

    # -- search -------------------------------------------------------------------------------------------------------

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens.vocabulary)}

    @cached_property
    def _table(self) -> "_Table":
        from scipy import sparse

        n, vocabulary, sizes = len(self.ids), len(self.tokens.vocabulary), np.diff(self.tokens.offsets)
        # Numbers of 32 bits and no copies: of tens of millions of tokens, memory is what takes the time.
        doc = np.repeat(np.arange(n, dtype=np.int32), sizes)
        ones = np.ones(len(doc), dtype=np.float32)
        counts = sparse.coo_array((ones, (doc, self.tokens.ids)), shape=(n, vocabulary)).tocsc()
        counts.sum_duplicates()
        df = np.diff(counts.indptr)
        idf = np.log1p((n - df + 0.5) / (df + 0.5))
        length = self.k1 * (1 - self.b + self.b * sizes / max(sizes.mean(), 1e-9)) if n else np.zeros(0)
        weights = np.repeat(idf, df)
        weights *= counts.data
        below = length[counts.indices]
        below += counts.data
        weights /= below
        return _Table(
            counts.indptr.astype(np.int64), counts.indices.astype(np.int32, copy=False), weights.astype(np.float32)
        )

    def scores(self, query: str) -> NDArray[np.float32]:
        """Of all documents for one query: float32 [n_docs]."""
        numbers = [self._numbers[token] for token in self.analyzer(query) if token in self._numbers]
        table = self._table
        result = np.zeros(len(self.ids), dtype=np.float32)
        for number in numbers:
            part = slice(table.starts[number], table.starts[number + 1])
            # numpy adds by places of 64 bits alone without a detour.
            np.add.at(result, table.docs[part].astype(np.intp), table.scores[part])
        return result

    def search(self, queries: Mapping[str, str] | Sequence[str] | str, k: int = 10) -> Run:
        """As `Retriever.search`: documents with a score above 0; equal ones in the order in which they were added."""
        checked_depth(k)
        asked = as_queries(queries)
        return run_of(asked, (best(self.scores(text), k, above=0) for text in asked.values()), self.ids, "BM25")


class _Table(NamedTuple):
    """What each token is worth in the documents that have it.

    Attributes:
        starts: int64 [n_tokens + 1]: of each token's part of the others.
        docs: int32 [n]: places of documents, rising in a part.
        scores: float32 [n].
    """

    starts: NDArray[np.int64]
    docs: NDArray[np.int32]
    scores: NDArray[np.float32]

    def check(self, n_docs: int, n_tokens: int) -> None:
        """Whether it is one, and of so many documents and tokens.

        Raises:
            ValueError: It is not.
        """
        kinds = self.starts.dtype == np.int64 and self.docs.dtype == np.int32 and self.scores.dtype == np.float32
        if not kinds or self.starts.shape != (n_tokens + 1,) or self.docs.shape != self.scores.shape:
            raise ValueError("its scores are of another index")
        ends = self.starts[0] == 0 and self.starts[-1] == len(self.docs) and (np.diff(self.starts) >= 0).all()
        if not ends or self.docs.min(initial=0) < 0 or self.docs.max(initial=-1) >= n_docs:
            raise ValueError("its scores are of another index")
