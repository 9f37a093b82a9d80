"""Queries in Latin letters: asked as they stand, and as SERA beside that."""

from collections.abc import Mapping, Sequence

from amharic_ir.text.script import detect_script
from amharic_ir.text.sera import from_sera
from irworks.data import Run
from irworks.retrieval import Retriever
from irworks.retrieval.protocol import as_queries

__all__ = ["BothReadings", "as_typed_and_as_sera"]


def as_typed_and_as_sera(query: str) -> str:
    """A query in Latin letters with its reading as SERA behind it; any other as it is."""
    return f"{query} {from_sera(query)}" if detect_script(query) == "latin" else query


class BothReadings:
    """A retriever that is asked a Latin query twice; a document has the better of its two scores.

    For an encoder, to which a query of two readings at once would be a text of its own.
    """

    def __init__(self, inner: Retriever) -> None:
        self.inner = inner

    def search(self, queries: Mapping[str, str] | Sequence[str] | str, k: int = 10) -> Run:
        """As `Retriever.search`."""
        asked = as_queries(queries)
        found = self.inner.search(asked, k)
        latin = {query: from_sera(text) for query, text in asked.items() if detect_script(text) == "latin"}
        if not latin:
            return found
        others = self.inner.search(latin, k)
        scores = found.to_dict()
        for query in latin:
            best = scores.setdefault(query, {})
            for doc, score in others.get(query):
                best[doc] = max(score, best.get(doc, score))
        return Run.of(scores, name=found.name).top(k)
