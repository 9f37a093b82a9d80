"""What encoders learn from: queries with documents that answer them."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from amharic_ir.text.folding import same_text
from amharic_ir.text.sentences import sentences
from irworks.data import Collection, Documents
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from irworks.encoders import Scorer

__all__ = ["Pairs", "inverse_cloze"]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Queries, each with one document that answers it.

    Attributes:
        queries: Texts, one a pair.
        docs: Texts, one a pair.
        negatives: Documents that do not answer it, any number a pair; empty: none for any.
        scores: Of a teacher: for each pair that of its document and those of its negatives; empty: there is no teacher.

    Raises:
        ArgumentError: The parts have different lengths, or there is no pair.
    """

    queries: Sequence[str]
    docs: Sequence[str]
    negatives: Sequence[Sequence[str]] = ()
    scores: Sequence[Sequence[float]] = ()

    def __post_init__(self) -> None:
        if not self.queries:
            raise ArgumentError("there is no pair to learn from")
        for name in ("docs", "negatives", "scores"):
            if isinstance(getattr(self, name), str) or isinstance(self.queries, str):
                raise ArgumentError("queries, docs or negatives are one text; expected a list of texts")
            found = len(getattr(self, name))
            if found != len(self.queries) and (found or name == "docs"):
                raise ArgumentError(f"{len(self.queries)} queries, {found} {name}; expected as many")
        for row, scores in enumerate(self.scores):
            if len(scores) != 1 + len(self.negatives[row] if self.negatives else ()):
                raise ArgumentError(
                    f"pair {row} has {len(scores)} scores; expected one of its document and each negative"
                )

    @classmethod
    def of(cls, collection: Collection, negatives: Mapping[str, Sequence[str]] | None = None) -> Self:
        """All judged queries of a collection with each of their relevant documents.

        Args:
            collection: The part that is for training.
            negatives: {query: documents}, as `mine` finds them.

        Raises:
            ArgumentError: The collection is a test split, or has no relevant document; a negative is not in it.
        """
        if collection.split == "test":
            raise ArgumentError(f"{collection.name}: its queries are the test split; expected those for training")
        found = [
            (query, doc) for query, judged in collection.qrels.items() for doc, label in judged.items() if label > 0
        ]
        if not found:
            raise ArgumentError(f"{collection.name}: no document is relevant to a query; expected pairs to learn from")
        texts = collection.docs
        others = {doc for each in (negatives or {}).values() for doc in each}
        if strangers := others - texts.places.keys():
            raise ArgumentError(f"{collection.name} has no document {min(strangers)!r}, which is among the negatives")
        known = {doc: texts[doc] for doc in {doc for _, doc in found} | others}
        return cls(
            [collection.queries[query] for query, _ in found],
            [known[doc] for _, doc in found],
            [] if negatives is None else [[known[doc] for doc in negatives.get(query, ())] for query, _ in found],
        )

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.queries)

    def joined(self, other: "Pairs") -> "Pairs":
        """With other pairs behind these; scores of a teacher are kept if both have them."""
        one, two = (list(each.negatives) or [()] * len(each) for each in (self, other))
        return Pairs(
            [*self.queries, *other.queries],
            [*self.docs, *other.docs],
            [*one, *two] if self.negatives or other.negatives else (),
            [*self.scores, *other.scores] if self.scores and other.scores else (),
        )

    def without(self, queries: Iterable[str]) -> "Pairs":
        """Without pairs whose query is the `same_text` as one of these.

        Raises:
            ArgumentError: None is left.
        """
        others = {same_text(text) for text in queries}
        kept = [row for row, text in enumerate(self.queries) if same_text(text) not in others]
        return Pairs(
            [self.queries[row] for row in kept],
            [self.docs[row] for row in kept],
            [self.negatives[row] for row in kept] if self.negatives else (),
            [self.scores[row] for row in kept] if self.scores else (),
        )

    def taught(self, teacher: "Scorer") -> "Pairs":
        """With the scores that a teacher gives to documents and negatives."""
        negatives = self.negatives or [()] * len(self)
        scores = []
        for query, doc, others in zip(self.queries, self.docs, negatives, strict=True):
            texts = {str(number): text for number, text in enumerate([doc, *others])}
            scores.append([float(value) for value in teacher.score(query, texts)])
        return replace(self, scores=scores)


def inverse_cloze(
    docs: Documents | Iterable[str], *, per_doc: int = 3, keep: float = 0.1, words: int = 24, seed: int = 0
) -> Pairs:
    """Pairs of documents alone: a sentence asks for the text that it was taken from (Lee, Chang and Toutanova 2019).

    Args:
        docs: Documents, or texts; those of a single sentence give no pair.
        per_doc: Sentences of each, at most.
        keep: How often the sentence stays in its text.
        words: Of a sentence, at most.
        seed: Of the draw.

    Raises:
        ArgumentError: No document has two sentences, keep is no probability, or docs is one text.
    """
    if isinstance(docs, str):
        raise ArgumentError(f"docs is the text {docs[:40]!r}; expected documents, or a list of texts")
    if not 0 <= keep <= 1 or per_doc < 1 or words < 1:
        raise ArgumentError(
            f"keep={keep}, per_doc={per_doc}, words={words}; expected within [0, 1], and at least 1 of each"
        )
    draw = random.Random(seed)
    queries, answers = [], []
    for text in docs.texts() if isinstance(docs, Documents) else docs:
        spans = [(begin, end) for begin, end in sentences(text) if len(text[begin:end].split()) >= 3]
        if len(spans) < 2:
            continue
        for begin, end in draw.sample(spans, min(per_doc, len(spans))):
            queries.append(" ".join(text[begin:end].split()[:words]))
            answers.append(text if draw.random() < keep else f"{text[:begin]} {text[end:]}".strip())
    if not queries:
        raise ArgumentError("no document has two sentences of three words; expected texts to take sentences from")
    return Pairs(queries, answers)
