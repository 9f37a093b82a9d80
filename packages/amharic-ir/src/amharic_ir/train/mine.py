"""Hard negatives: what a retriever finds and what does not answer the query."""

from collections.abc import Iterable

from amharic_ir.text.folding import same_text
from irworks.data import Collection
from irworks.errors import ArgumentError
from irworks.retrieval import Retriever

__all__ = ["mine"]


def mine(
    retriever: Retriever,
    collection: Collection,
    *,
    n: int = 8,
    skip: int = 1,
    depth: int = 50,
    held_out: Collection | None = None,
    exclude: Iterable[str] = (),
) -> dict[str, list[str]]:
    """Negatives of each judged query, the hardest first.

    No document is a negative that is relevant to the query, or to another one that asks the `same_text`; that is
    relevant to a query to be tested on; or that is the same text as such a document. Of equal texts one is enough.

    Args:
        retriever: Finds candidates in the documents of the collection.
        collection: Queries for training.
        n: Negatives a query, at most.
        skip: So many of the best candidates that are left are passed by, as they may answer the query without having
            been judged.
        depth: Candidates that are looked at.
        held_out: What will be tested on.
        exclude: Further documents that are no negatives.

    Returns:
        {query: documents}; a query for which nothing is left has an empty list.

    Raises:
        ArgumentError: The collection is a test split, depth is not above skip, or a document is unknown.
    """
    if collection.split == "test":
        raise ArgumentError(f"{collection.name}: its queries are the test split; expected those for training")
    if n < 1 or skip < 0 or depth <= skip:
        raise ArgumentError(f"n={n}, skip={skip}, depth={depth}; expected n of at least 1, and depth above skip")
    docs = collection.docs
    texts: dict[str, str] = {}

    def text_of(doc: str) -> str:
        if doc not in texts:
            if doc not in docs.places:
                raise ArgumentError(
                    f"{collection.name} has no document {doc!r}; expected a retriever over its documents"
                )
            texts[doc] = same_text(docs[doc])
        return texts[doc]

    never = {text_of(doc) for doc in exclude}
    if held_out is not None:
        never |= {
            same_text(held_out.docs[doc]) for judged in held_out.qrels.values() for doc, v in judged.items() if v > 0
        }
    answers: dict[str, set[str]] = {}
    for query, judged in collection.qrels.items():
        right = answers.setdefault(same_text(collection.queries[query]), set())
        right |= {text_of(doc) for doc, label in judged.items() if label > 0}
    run = retriever.search({query: collection.queries[query] for query in collection.qrels}, depth)
    found: dict[str, list[str]] = {}
    for query in collection.qrels:
        seen = never | answers[same_text(collection.queries[query])]
        left = []
        for doc, _ in run.get(query):
            if text_of(doc) not in seen:
                seen.add(text_of(doc))
                left.append(doc)
        found[query] = left[skip : skip + n]
    return found
