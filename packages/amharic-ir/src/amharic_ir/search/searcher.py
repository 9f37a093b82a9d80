"""One searcher for all methods: what is indexed, how it is asked, and where it is kept."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from amharic_ir.search.highlight import highlight, snippet
from amharic_ir.text.analyzer import Analyzer
from amharic_ir.text.script import detect_script
from amharic_ir.text.sera import from_sera
from irworks.data import Documents, Run
from irworks.data.damage import refused
from irworks.errors import ArgumentError
from irworks.retrieval import BM25
from irworks.retrieval.protocol import as_queries
from irworks.runtime.files import atomic_folder

__all__ = ["Hit", "Searcher"]

_FORMAT = 1


@dataclass(frozen=True)
class Hit:
    """A document that was found.

    Attributes:
        doc: Its id.
        score: The higher, the better.
        text: Of the document, behind its title.
        highlights: Words of it that the query found it by: (start, end) in `text`.
        snippet: The part to show: (start, end).
    """

    doc: str
    score: float
    text: str
    highlights: list[tuple[int, int]]
    snippet: tuple[int, int]

    def marked(self, before: str = "[", after: str = "]") -> str:
        """The snippet with marks around the words that were found."""
        begin, end = self.snippet
        parts, place = [], begin
        for start, stop in self.highlights:
            if begin <= start and stop <= end:
                parts += [self.text[place:start], before, self.text[start:stop], after]
                place = stop
        return "".join([*parts, self.text[place:end]]).replace("\n", " ")


class Searcher:
    """Documents and an index over them.

    Attributes:
        docs: What can be found.
        analyzer: How text becomes tokens.
        index: BM25.
    """

    def __init__(self, docs: Documents, index: BM25, analyzer: Analyzer) -> None:
        self.docs, self.index, self.analyzer = docs, index, analyzer

    @classmethod
    def build(cls, docs: Documents | Mapping[str, str] | Sequence[str], *, analyzer: Analyzer | None = None) -> Self:
        """Index documents.

        Args:
            docs: `Documents`, {id: text}, or texts, which are then numbered.
            analyzer: By default n-grams of folded words, for Amharic.
        """
        analyzer = analyzer or Analyzer()
        kept = docs if isinstance(docs, Documents) else Documents.of(docs)
        texts = dict(zip(kept.places, kept.texts(), strict=True))
        return cls(kept, BM25(analyzer).add(texts), analyzer)

    def add(self, docs: Documents | Mapping[str, str]) -> Self:
        """Index more documents.

        Raises:
            ArgumentError: An id is there already.
        """
        import pyarrow as pa

        more = docs if isinstance(docs, Documents) else Documents.of(docs)
        self.index.add(dict(zip(more.places, more.texts(), strict=True)))
        tables = [self.docs.table, more.table]
        self.docs = Documents(pa.concat_tables(tables, promote_options="default"))
        return self

    def remove(self, docs: Sequence[str]) -> Self:
        """Take documents out, by id.

        Raises:
            ArgumentError: One is not there.
        """
        import pyarrow as pa

        self.index.remove(docs)
        gone = set(docs)
        self.docs = Documents(self.docs.table.filter(pa.array([doc not in gone for doc in self.docs.ids])))
        return self

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.docs)

    def __repr__(self) -> str:
        return f"Searcher(documents={len(self):,}, tokens={self.analyzer.tokens!r}, lang={self.analyzer.lang!r})"

    # -- search -------------------------------------------------------------------------------------------------------

    def search(self, queries: Mapping[str, str] | Sequence[str] | str, k: int = 10) -> Run:
        """The k best documents of each query, as `irworks.retrieval.Retriever.search`.

        A query in Latin letters is asked as it stands and, beside that, as SERA: `selam` finds what the same word in
        Ethiopic letters finds.
        """
        asked = {query: self._both_ways(text) for query, text in as_queries(queries).items()}
        return self.index.search(asked, k)

    def hits(self, query: str, k: int = 10) -> list[Hit]:
        """The k best documents of one query, with what to show of each."""
        tokens = self.analyzer.tokens_of(self._both_ways(query))
        found = []
        for doc, score in self.search(query, k)["0"]:
            text = self.docs[doc]
            marks = highlight(text, tokens, self.analyzer)
            found.append(Hit(doc, score, text, marks, snippet(text, marks)))
        return found

    def _both_ways(self, query: str) -> str:
        return f"{query} {from_sera(query)}" if detect_script(query) == "latin" else query

    # -- on disk ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write documents, index and settings as a folder, whole or not at all; one that is there is replaced."""
        import pyarrow.parquet as pq

        with atomic_folder(path) as folder:
            pq.write_table(self.docs.table, folder / "documents.parquet")
            self.index.save(folder / "bm25")
            facts = {"package": "amharic-ir", "format": _FORMAT, "analyzer": json.loads(self.analyzer.to_json())}
            (folder / "searcher.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def open(cls, path: str | Path, *, stemmer: Callable[[str], str] | None = None) -> Self:
        """Read what `save` wrote.

        Args:
            path: The folder.
            stemmer: If the analyzer had one of its own.

        Raises:
            FileNotFoundError: There is no such folder.
            ArgumentError: A stemmer is missing.
            DataError: The folder holds something else, or is damaged.
        """
        import pyarrow.parquet as pq

        folder = Path(path)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        with refused("no index can be read from it", folder, expected="a folder that Searcher.save wrote"):
            facts = json.loads((folder / "searcher.json").read_text(encoding="utf-8"))
            if facts.get("format") != _FORMAT:
                raise ValueError(f"its format is {facts.get('format')!r}, not {_FORMAT}")
            settings = json.dumps(facts["analyzer"])
            docs = Documents(pq.read_table(folder / "documents.parquet", memory_map=True))
        analyzer = Analyzer.from_json(settings, stemmer=stemmer)
        index = BM25.load(folder / "bm25", analyzer)
        if index.ids != docs.ids:
            raise ArgumentError(f"{folder}: the index is of other documents than those beside it")
        return cls(docs, index, analyzer)
