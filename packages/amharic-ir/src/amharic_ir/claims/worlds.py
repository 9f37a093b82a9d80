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
    """Amharic news, Amharic questions and Tigrinya news; at scale smoke, some of their queries."""
    from irworks.data.text_files import read_squad

    news, amqa, tigrinya = (ctx.data(name) for name in ("masakhanews-amh", "amqa", "masakhanews-tir"))
    found = {
        "Amharic news": _news([news / name for name in ("test.tsv", "dev.tsv", "train_50_per_class.tsv")]),
        "Amharic questions": read_squad(*(amqa / f"{part}.json" for part in ("train", "dev", "test"))),
        "Tigrinya news": _news([tigrinya / name for name in ("dev.tsv", "train_50_per_class.tsv")]),
    }
    some = ctx.pick(smoke=40, small=None, full=None)
    return {name: one.of_queries(list(one.queries)[:some]) for name, one in found.items()}


def _news(files: "list[object]") -> "Collection":
    """Headlines that ask for their articles, each article once."""
    from irworks.data import Collection, Documents
    from irworks.data.text_files import read_pairs

    texts: dict[str, str] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for file in files:
        part = read_pairs(str(file), "headline", "text")
        for query, judged in part.qrels.items():
            for doc in judged:
                text = part.docs[doc]
                if " ".join(text.split()) in texts:
                    continue
                number = str(len(texts))
                texts[" ".join(text.split())] = text
                queries[number] = part.queries[query]
                qrels[number] = {number: 1}
    return Collection(Documents.of(list(texts.values())), queries, qrels, "news")


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
