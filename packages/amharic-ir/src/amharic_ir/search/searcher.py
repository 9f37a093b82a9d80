"""One searcher for all methods: what is indexed, how it is asked, and where it is kept."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from amharic_ir.search.arms import Arm, Model, arms_of, empty_arm, load_arm, save_arm
from amharic_ir.search.highlight import highlight, snippet
from amharic_ir.search.latin import BothReadings, as_typed_and_as_sera
from amharic_ir.text.analyzer import Analyzer
from irworks.data import Collection, Documents, Run
from irworks.data.damage import refused
from irworks.encoders import CrossEncoder, Encoder, Scorer, TokenEncoder
from irworks.errors import ArgumentError, DataError
from irworks.retrieval import BM25, Hybrid, Rerank, Retriever
from irworks.retrieval.hybrid import EncoderScorer
from irworks.retrieval.protocol import as_queries
from irworks.runtime.files import atomic_folder

__all__ = ["Hit", "Searcher"]

_FORMAT = 2
# Shares of BM25 and of another arm, where none was validated: the other may add, and cannot overrule.
_SHARES = (0.7, 0.3)


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
    """Documents and what finds them.

    Attributes:
        docs: What can be found.
        arms: Indexes by name: "bm25", "dense" or "late", one or several.
        analyzer: How text becomes tokens, for BM25 and for highlights.
        weights: Of the arms, where there are several.
        reranker: Judges again what was found, and how many of it; None: nobody does.
    """

    def __init__(
        self,
        docs: Documents,
        arms: Mapping[str, Arm],
        analyzer: Analyzer,
        *,
        weights: Mapping[str, float] | None = None,
        reranker: tuple[Scorer, int] | None = None,
    ) -> None:
        self.docs, self.arms, self.analyzer, self.reranker = docs, dict(arms), analyzer, reranker
        self.weights = dict(weights) if weights is not None else _shares(self.arms)

    @classmethod
    def build(
        cls,
        docs: Documents | Mapping[str, str] | Sequence[str],
        method: str = "bm25",
        *,
        analyzer: Analyzer | None = None,
        model: Model | Mapping[str, Model] | None = None,
        weights: Mapping[str, float] | None = None,
        validation: Collection | None = None,
        passage_words: int | None = None,
    ) -> Self:
        """Index documents.

        Args:
            docs: `Documents`, {id: text}, or texts, which are then numbered.
            method: "bm25"; "dense", one vector a document; "late", one a token; or several, their scores added up, as
                in "bm25+late"; "hybrid" is "bm25+dense".
            analyzer: By default n-grams of folded words, for Amharic.
            model: For "dense" and "late": an encoder, a folder that training wrote, a name on the hub, or {arm: model}.
            weights: {arm: weight} of a hybrid; by default .7 for BM25 and .3 for another arm.
            validation: Judged queries on these documents by which the weight of a hybrid of two is chosen; not those
                that will be tested on.
            passage_words: For "dense": longer documents are cut into passages of so many words, and count by the best.

        Raises:
            ArgumentError: `docs` is no texts, the method is unknown, a model cannot be had, or the queries are a test
                split.
            MissingDependencyError: What an encoder needs is not installed.
        """
        names = arms_of(method)
        analyzer = analyzer or Analyzer()
        arms = {name: empty_arm(name, analyzer, model, passage_words) for name in names}
        kept = _documents(docs)
        texts = kept.to_dict()
        for arm in arms.values():
            arm.add(texts)
        searcher = cls(kept, arms, analyzer, weights=weights)
        if validation is not None:
            searcher.validate(validation)
        return searcher

    def validate(self, validation: Collection, *, measure: str = "RR@10") -> Self:
        """Choose the weight of a hybrid of two arms by judged queries; see `irworks.retrieval.Hybrid.validated`.

        Raises:
            ArgumentError: There are not two arms, or the queries are a test split.
        """
        self.weights = Hybrid.validated(self._asked_arms(), validation, measure=measure).weights
        return self

    def reranked(self, model: "str | Path | Model | Scorer", *, depth: int = 50) -> "Searcher":
        """A searcher of the same documents whose best ones are judged again.

        Args:
            model: A `Scorer`, such as `irworks.encoders.CrossEncoder`; an encoder of texts or tokens; or the name or
                folder of a cross-encoder.
            depth: Documents that are judged; the others stay below.

        Raises:
            ArgumentError: The model scores no texts.
        """
        if not isinstance(model, str | Path | Scorer | Encoder | TokenEncoder):
            raise ArgumentError(f"model={model!r} cannot rerank; expected a scorer, an encoder, a name or a folder")
        scorer = CrossEncoder(str(model)) if isinstance(model, str | Path) else model
        judge = scorer if isinstance(scorer, Scorer) else EncoderScorer(scorer)
        return Searcher(self.docs, self.arms, self.analyzer, weights=self.weights, reranker=(judge, depth))

    def add(self, docs: Documents | Mapping[str, str]) -> Self:
        """Index more documents.

        Raises:
            ArgumentError: An id is there already.
        """
        import pyarrow as pa

        more = _documents(docs)
        texts = more.to_dict()
        for arm in self.arms.values():
            arm.add(texts)
        tables = [self.docs.table, more.table]
        self.docs = Documents(pa.concat_tables(tables, promote_options="default"))
        return self

    def remove(self, docs: Sequence[str]) -> Self:
        """Take documents out, by id.

        Raises:
            ArgumentError: One is not there.
        """
        import pyarrow as pa

        if isinstance(docs, str):
            raise ArgumentError(f"docs={docs!r}; expected a list of ids")
        for arm in self.arms.values():
            arm.remove(docs)
        gone = set(docs)
        self.docs = Documents(self.docs.table.filter(pa.array([doc not in gone for doc in self.docs.ids])))
        return self

    def __len__(self) -> int:
        """Number of documents."""
        return len(self.docs)

    def __repr__(self) -> str:
        method = "+".join(self.arms)
        return f"Searcher(documents={len(self):,}, method={method!r}, tokens={self.analyzer.tokens!r})"

    # -- search -------------------------------------------------------------------------------------------------------

    def search(self, queries: Mapping[str, str] | Sequence[str] | str, k: int = 10) -> Run:
        """The k best documents of each query, as `irworks.retrieval.Retriever.search`.

        A query in Latin letters is asked as it stands and, beside that, as SERA: `selam` finds what the same word in
        Ethiopic letters finds.
        """
        arms = self._asked_arms()
        first: Retriever = next(iter(arms.values())) if len(arms) == 1 else Hybrid(arms, self.weights)
        if self.reranker is None:
            return first.search(queries, k)
        scorer, depth = self.reranker
        return Rerank(first, scorer, self.docs, depth=depth).search(queries, k)

    def hits(self, query: str, k: int = 10) -> list[Hit]:
        """The k best documents of one query, with what to show of each."""
        tokens = self.analyzer.tokens_of(as_typed_and_as_sera(query))
        found = []
        for doc, score in self.search(query, k)["0"]:
            text = self.docs[doc]
            marks = highlight(text, tokens, self.analyzer)
            found.append(Hit(doc, score, text, marks, snippet(text, marks)))
        return found

    def _asked_arms(self) -> dict[str, Retriever]:
        return {name: _Lexical(arm) if isinstance(arm, BM25) else BothReadings(arm) for name, arm in self.arms.items()}

    # -- on disk ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write documents, indexes, settings and small encoders as a folder, whole or not at all.

        One that is there is replaced. A model of the hub is kept by its name, with its prompts.

        Raises:
            ArgumentError: There is a reranker: build it anew when the index is opened.
        """
        import pyarrow.parquet as pq

        if self.reranker is not None:
            raise ArgumentError(
                "a searcher that reranks is not saved; save the one it was made of, and call reranked again"
            )
        with atomic_folder(path) as folder:
            pq.write_table(self.docs.table, folder / "documents.parquet")
            arms = {name: save_arm(arm, folder / name) for name, arm in self.arms.items()}
            analyzer = json.loads(self.analyzer.to_json())
            facts: dict[str, Any] = {"package": "amharic-ir", "format": _FORMAT, "analyzer": analyzer}
            facts |= {"arms": arms, "weights": self.weights}
            (folder / "searcher.json").write_text(json.dumps(facts, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        stemmer: Callable[[str], str] | None = None,
        model: Model | Mapping[str, Model] | None = None,
    ) -> Self:
        """Read what `save` wrote.

        Args:
            path: The folder.
            stemmer: If the analyzer had one of its own.
            model: If the encoder was one of its own, or is now elsewhere; or {arm: model}.

        Raises:
            FileNotFoundError: There is no such folder.
            ArgumentError: A stemmer or a model is missing.
            DataError: The folder holds something else, or is damaged.
        """
        import pyarrow.parquet as pq

        folder = Path(path)
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        if not (folder / "searcher.json").is_file():
            raise DataError("no index is in the folder", source=folder, expected="a folder that Searcher.save wrote")
        with refused("no index can be read from it", folder, expected="a folder that Searcher.save wrote"):
            facts = json.loads((folder / "searcher.json").read_text(encoding="utf-8"))
            if facts.get("format") != _FORMAT:
                raise ValueError(f"its format is {facts.get('format')!r}, not {_FORMAT}; index anew")
            settings, saved, weights = json.dumps(facts["analyzer"]), dict(facts["arms"]), dict(facts["weights"])
            docs = Documents(pq.read_table(folder / "documents.parquet", memory_map=True))
        analyzer = Analyzer.from_json(settings, stemmer=stemmer)
        arms: dict[str, Arm] = {}
        for name, of_arm in saved.items():
            other = model.get(name) if isinstance(model, Mapping) else model
            arms[name] = load_arm(name, folder / name, of_arm, analyzer, other)
            if arms[name].ids != docs.ids:
                raise ArgumentError(f"{folder}: the index {name!r} is of other documents than those beside it")
        return cls(docs, arms, analyzer, weights=weights)


class _Lexical:
    """BM25 that is asked a Latin query in both readings at once."""

    def __init__(self, inner: BM25) -> None:
        self.inner = inner

    def search(self, queries: Mapping[str, str] | Sequence[str] | str, k: int = 10) -> Run:
        """As `Retriever.search`."""
        return self.inner.search({query: as_typed_and_as_sera(text) for query, text in as_queries(queries).items()}, k)


def _documents(docs: Documents | Mapping[str, str] | Sequence[str]) -> Documents:
    if isinstance(docs, str | Path):
        raise ArgumentError(f"docs={str(docs)!r}; expected texts, not a name: read_documents reads files and folders")
    if getattr(docs, "ndim", 1) != 1:
        raise ArgumentError(f"docs is a table ({type(docs).__name__}); expected texts, such as one of its columns")
    return docs if isinstance(docs, Documents) else Documents.of(docs)


def _shares(arms: Mapping[str, Arm]) -> dict[str, float]:
    if len(arms) == 2 and "bm25" in arms:
        return {name: _SHARES[0] if name == "bm25" else _SHARES[1] for name in arms}
    return dict.fromkeys(arms, 1 / len(arms))
