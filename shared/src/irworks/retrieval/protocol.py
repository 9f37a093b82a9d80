"""What packages hand to one another: analyzers and retrievers."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from irworks.data.runs import Run

__all__ = ["Analyzer", "Retriever", "as_queries"]


@runtime_checkable
class Analyzer(Protocol):
    """From text to tokens; any function of that form is one."""

    def __call__(self, text: str) -> list[str]:
        """The tokens of a text, in order."""
        ...


@runtime_checkable
class Retriever(Protocol):
    """Finds documents for queries."""

    def search(self, queries: Mapping[str, str] | Sequence[str] | str, k: int = 10) -> Run:
        """The k best documents of each query, fewer where fewer match.

        Args:
            queries: {id: text}; or texts, whose ids are then "0", "1", ...; or one text.
            k: How many.
        """
        ...


def as_queries(queries: Mapping[str, str] | Sequence[str] | str) -> dict[str, str]:
    """{id: text} of what `Retriever.search` takes."""
    if isinstance(queries, str):
        return {"0": queries}
    if isinstance(queries, Mapping):
        return {str(query): text for query, text in queries.items()}
    return {str(number): text for number, text in enumerate(queries)}
