"""What a retriever found: for each query documents with scores, the best first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError, DataError
from irworks.runtime.files import atomic_write

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Run"]

Ids = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Run:
    """Ranked documents of queries.

    Attributes:
        queries: object [n_queries], ids as text; each once.
        docs: object [n], ids as text, query after query, best first; each once in a query.
        scores: float64 [n], not rising inside a query.
        offsets: int64 [n_queries + 1]; query q found `docs[offsets[q]:offsets[q + 1]]`, perhaps nothing.
        name: Of the system, for tables and run files.

    Raises:
        ArgumentError: Shapes do not fit, a score is NaN, scores rise, or an id stands twice.
    """

    queries: Ids
    docs: Ids
    scores: NDArray[np.float64]
    offsets: NDArray[np.int64]
    name: str = "run"

    def __post_init__(self) -> None:
        if self.docs.shape != self.scores.shape or self.docs.ndim != 1:
            raise ArgumentError(f"docs {self.docs.shape} and scores {self.scores.shape}; expected [n] of both")
        if self.offsets.shape != (len(self.queries) + 1,) or self.offsets[0] != 0 or self.offsets[-1] != len(self.docs):
            raise ArgumentError(f"offsets must rise from 0 to {len(self.docs)}, one more than there are queries")
        if (np.diff(self.offsets) < 0).any():
            raise ArgumentError("offsets fall; expected them to rise")
        if np.isnan(self.scores).any():
            raise ArgumentError(f"the score of document {self.docs[int(np.isnan(self.scores).argmax())]!r} is NaN")
        inside = np.ones(len(self.docs), dtype=bool)
        inside[self.offsets[:-1][np.diff(self.offsets) > 0]] = False
        if (np.diff(self.scores, prepend=np.inf)[inside] > 0).any():
            raise ArgumentError("scores rise inside a query; expected the best document first (Run.of sorts)")
        if len(set(self.queries.tolist())) < len(self.queries):
            raise ArgumentError("a query stands twice; expected each once")
        for query in range(len(self.queries)):
            found = self.docs[self.offsets[query] : self.offsets[query + 1]].tolist()
            if len(set(found)) < len(found):
                twice = next(doc for doc in found if found.count(doc) > 1)
                raise ArgumentError(f"query {self.queries[query]!r} has document {twice!r} twice; expected it once")

    # -- ways to make one ---------------------------------------------------------------------------------------------

    @classmethod
    def of(cls, found: Mapping[str, Mapping[str, float] | Iterable[tuple[str, float]]], *, name: str = "run") -> Self:
        """From {query: {document: score}} or {query: [(document, score), ...]}, in any order; ties as given."""
        pairs = [list(docs.items() if isinstance(docs, Mapping) else docs) for docs in found.values()]
        sizes = np.array([len(each) for each in pairs], dtype=np.int64)
        flat = [pair for each in pairs for pair in each]
        docs = _ids(str(doc) for doc, _ in flat)
        scores = np.array([score for _, score in flat], dtype=np.float64)
        return cls.sorted(_ids(map(str, found)), docs, scores, sizes, name=name)

    @classmethod
    def sorted(
        cls, queries: ArrayLike, docs: ArrayLike, scores: ArrayLike, sizes: ArrayLike, *, name: str = "run"
    ) -> Self:
        """From arrays that are not sorted yet.

        Args:
            queries: [n_queries], ids.
            docs: [n], ids, query after query.
            scores: [n].
            sizes: [n_queries], how many documents each query has.
            name: Of the system.
        """
        counts = np.asarray(sizes, dtype=np.int64)
        values = np.asarray(scores, dtype=np.float64)
        order = np.lexsort((-values, np.repeat(np.arange(len(counts)), counts)))
        offsets = np.append(0, np.cumsum(counts))
        return cls(_ids(queries), _ids(docs)[order], values[order], offsets, name)

    @classmethod
    def from_pandas(cls, frame: "pd.DataFrame", *, name: str = "run") -> Self:
        """From a frame with the columns query, doc and score, in any order."""
        import pandas as pd

        if missing := {"query", "doc", "score"} - set(frame.columns):
            raise ArgumentError(f"the frame has no column {min(missing)!r}; expected query, doc and score")
        codes, queries = pd.factorize(frame["query"].astype(str).to_numpy(dtype=object))
        rows = np.argsort(codes, kind="stable")
        sizes = np.bincount(codes, minlength=len(queries))
        docs = frame["doc"].astype(str).to_numpy(dtype=object)[rows]
        return cls.sorted(queries, docs, frame["score"].to_numpy()[rows], sizes, name=name)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read a TREC run file: query, Q0, document, rank, score and name, with spaces between.

        Ranks are not looked at, as in trec_eval: scores decide, and among equal ones the order in the file.

        Raises:
            DataError: A line has other fields, a score is no number, or a document stands twice: with its line.
        """
        source = Path(path)
        found: dict[str, dict[str, float]] = {}
        name = "run"
        with source.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                parts = line.split()
                if not parts:
                    continue
                place: Any = {"source": source, "row": f"line {number}"}
                if len(parts) != 6:
                    raise DataError(
                        "a run has six fields", **place, found=line.strip(), expected="query Q0 doc rank score name"
                    )
                query, _, doc, _, score, name = parts
                try:
                    value = float(score)
                except ValueError:
                    raise DataError("the score is no number", **place, found=score, expected="a number") from None
                if np.isnan(value):
                    raise DataError("the score is NaN", **place, found=score, expected="a number")
                if doc in found.setdefault(query, {}):
                    raise DataError(f"query {query!r} has the document twice", **place, found=doc, expected="it once")
                found[query][doc] = value
        return cls.of(found, name=name)

    # -- what it holds ------------------------------------------------------------------------------------------------

    @cached_property
    def _places(self) -> dict[str, int]:
        return {query: place for place, query in enumerate(self.queries.tolist())}

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.queries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.queries.tolist())

    def __contains__(self, query: object) -> bool:
        return query in self._places

    def __getitem__(self, query: str) -> list[tuple[str, float]]:
        """The documents of a query with their scores, best first.

        Raises:
            KeyError: There is no such query.
        """
        place = self._places[query]
        part = slice(self.offsets[place], self.offsets[place + 1])
        return list(zip(self.docs[part].tolist(), self.scores[part].tolist(), strict=True))

    def get(self, query: str) -> list[tuple[str, float]]:
        """As `run[query]`, but nothing for a query that is not here."""
        return self[query] if query in self._places else []

    def __repr__(self) -> str:
        return f"Run({self.name!r}, queries={len(self):,}, documents={len(self.docs):,})"

    def top(self, k: int) -> Self:
        """The first k documents of each query."""
        if k < 1:
            raise ArgumentError(f"k={k}; expected at least 1")
        sizes = np.diff(self.offsets)
        rank = np.arange(len(self.docs)) - np.repeat(self.offsets[:-1], sizes)
        kept, offsets = rank < k, np.append(0, np.cumsum(np.minimum(sizes, k)))
        return type(self)(self.queries, self.docs[kept], self.scores[kept], offsets, self.name)

    def of_queries(self, queries: Sequence[str]) -> Self:
        """Some queries, in this order; those that are not here found nothing."""
        return type(self).of({query: self.get(query) for query in queries}, name=self.name)

    def to_dict(self) -> dict[str, dict[str, float]]:
        """{query: {document: score}}, best first."""
        return {query: dict(self[query]) for query in self}

    def to_pandas(self) -> "pd.DataFrame":
        """A row a document: query, doc, rank (from 1), score."""
        import pandas as pd

        sizes = np.diff(self.offsets)
        rank = 1 + np.arange(len(self.docs)) - np.repeat(self.offsets[:-1], sizes)
        columns = {"query": np.repeat(self.queries, sizes), "doc": self.docs, "rank": rank, "score": self.scores}
        return pd.DataFrame(columns)

    def write(self, path: str | Path) -> None:
        """Write a TREC run file, whole or not at all; queries without documents are not in it.

        Raises:
            ArgumentError: An id or the name holds a space, which the format has no way to write.
        """
        for what, ids in (("query", self.queries), ("document", self.docs), ("name", [self.name])):
            bad = next((one for one in ids if len(str(one).split()) != 1), None)
            if bad is not None:
                raise ArgumentError(f"the {what} {bad!r} holds a space or nothing; a run file has no way to write that")
        with atomic_write(path) as handle:
            for query in self:
                for rank, (doc, score) in enumerate(self[query], start=1):
                    handle.write(f"{query} Q0 {doc} {rank} {score!r} {self.name}\n")


def _ids(values: Any) -> Ids:
    listed = values.tolist() if isinstance(values, np.ndarray) else list(values)
    ids = np.empty(len(listed), dtype=object)
    ids[:] = [str(value) for value in listed]
    return ids
