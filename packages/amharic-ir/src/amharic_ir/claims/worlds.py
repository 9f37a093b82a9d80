"""Collections of the claims."""

from typing import TYPE_CHECKING

from irworks.claims import Context

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from amharic_ir.text.analyzer import Analyzer
    from irworks.data import Collection

__all__ = ["collections", "reciprocal_ranks"]


def collections(ctx: Context) -> "dict[str, Collection]":
    """Amharic news, Amharic questions and Tigrinya news; at scale smoke, some of their documents and queries."""
    from amharic_ir.datasets import amqa, masakhanews

    found: dict[str, Collection] = {
        "Amharic news": masakhanews(ctx.data("masakhanews-amh")),
        "Amharic questions": amqa(ctx.data("amqa")),
        "Tigrinya news": masakhanews(ctx.data("masakhanews-tir"), "ti"),
    }
    if ctx.scale != "smoke":
        return found
    return {name: _first(one, 30) for name, one in found.items()}


def _first(collection: "Collection", n: int) -> "Collection":
    """The first n documents, and the first n queries that these answer."""
    from irworks.data import Collection, Documents

    docs = Documents(collection.docs.table.slice(0, n))
    kept = {query: of for query, of in list(collection.qrels.items())[:n] if of.keys() <= docs.places.keys()}
    return Collection(docs, {query: collection.queries[query] for query in kept}, kept, collection.name)


def reciprocal_ranks(
    collection: "Collection", analyzer: "Analyzer", queries: "dict[str, str] | None" = None
) -> "NDArray[np.float64]":
    """RR@10 of each query by BM25 over an analyser's tokens: float64 [n_queries]."""
    from amharic_ir.search import Searcher
    from irworks.metrics import evaluate_run

    searcher = Searcher.build(collection.docs, analyzer=analyzer)
    run = searcher.search(queries or dict(collection.queries), 10)
    values: NDArray[np.float64] = evaluate_run(run, collection.qrels, ["RR@10"])["RR@10"].to_numpy()
    return values
