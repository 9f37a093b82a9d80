"""Analysis and BM25, by methods of `benchmarks/amharic_ir.py`, one per process, in the workspace's environment."""

from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from amharic_texts import document_tokens, packed, query_tokens, unpacked
from meter import Arrays, Measured, peak_mebibytes, repeat, serve

if TYPE_CHECKING:
    from irworks.retrieval import BM25


def tokens(data: Arrays, *, repeats: int) -> tuple[Measured, Arrays]:
    """Cut articles and headlines into n-grams by `Analyzer`: numbers and vocabulary, and the headlines' as text."""
    from amharic_ir import Analyzer

    articles, headlines = unpacked(data["articles"]), unpacked(data["headlines"])
    analyzer = Analyzer()
    found, timing = repeat(lambda: analyzer.many(articles), repeats)
    asked, asking = repeat(lambda: [analyzer(headline) for headline in headlines], repeats)
    measured = {
        **timing,
        "headlines_seconds": asking["fit_seconds"],
        "tokens": len(found.ids),
        "vocabulary": len(found.vocabulary),
        "peak_mebibytes": peak_mebibytes(),
    }
    # A token holds no space.
    arrays = {"queries": packed([" ".join(each) for each in asked]), "vocabulary": packed(found.vocabulary)}
    return measured, arrays | {"ids": found.ids, "offsets": found.offsets}


def from_lists(data: Arrays, *, k: int, probes: int, repeats: int) -> tuple[Measured, Arrays]:
    """`BM25` over lists of tokens: index, search, and scores of the first queries."""
    from irworks.retrieval import BM25

    docs, asked = document_tokens(data), query_tokens(data)
    # In place of a text stands the key of its tokens.
    known = {f"document {place}": each for place, each in enumerate(docs)}
    known |= {f"query {place}": each for place, each in enumerate(asked)}
    keys = list(known)
    index, indexing = repeat(lambda: _ready(BM25(known.__getitem__).add(keys[: len(docs)]), keys[-1]), repeats)
    asking = keys[len(docs) :]
    _, searching = repeat(lambda: index.search(asking, k), repeats)
    scores = np.array([index.scores(key) for key in asking[:probes]])
    steps = {"index": indexing, "search": searching}
    measured = {"steps": steps, "peak_mebibytes": peak_mebibytes(), "queries": len(asked)}
    return measured, {"scores": scores}


def from_numbers(data: Arrays, *, repeats: int) -> tuple[Measured, Arrays]:
    """`BM25` over numbers of tokens, as `Analyzer.many` gives them."""
    from irworks.retrieval import BM25
    from irworks.retrieval.tokens import Tokens

    found = Tokens(data["ids"], data["offsets"], unpacked(data["vocabulary"]))

    class Ready:
        """Stands for an analyzer that has cut the documents already."""

        def __call__(self, text: str) -> list[str]:
            return [text]

        def many(self, texts: list[str]) -> Tokens:
            return found

    texts = [""] * len(found)
    _, indexing = repeat(lambda: _ready(BM25(Ready()).add(texts), ""), repeats)
    return {"steps": {"index": indexing}, "peak_mebibytes": peak_mebibytes()}, {}


def _ready(index: "BM25", query: str) -> "BM25":
    """Ask once: the scores of documents are computed when they are first needed."""
    index.scores(query)
    return index


def prepare() -> None:
    """Import what is timed."""
    for name in ("amharic_ir", "scipy.sparse", "irworks.retrieval.bm25"):
        import_module(name)


if __name__ == "__main__":
    serve({method.__name__: method for method in (tokens, from_lists, from_numbers)}, prepare)
