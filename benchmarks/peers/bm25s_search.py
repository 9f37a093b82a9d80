"""bm25s on lists of tokens: in the workspace's environment with numpy, in one of its own with numba.

Started by `benchmarks/amharic_ir.py`.
"""

from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
from amharic_texts import document_tokens, query_tokens, unpacked
from meter import Arrays, Measured, peak_mebibytes, repeat, serve


def from_lists(data: Arrays, *, k: int, probes: int, backend: str, repeats: int) -> tuple[Measured, Arrays]:
    """`BM25` of Lucene's form over lists of tokens: index, search, and scores of the first queries."""
    docs, asked = document_tokens(data), query_tokens(data)
    _warm(backend)
    index, indexing = repeat(lambda: _indexed(docs, backend), repeats)
    _, searching = repeat(lambda: index.retrieve(asked, k=k, show_progress=False), repeats)
    scores = np.array([index.get_scores(query) for query in asked[:probes]])
    steps = {"index": indexing, "search": searching}
    return {"steps": steps, "peak_mebibytes": peak_mebibytes(), "queries": len(asked)}, {"scores": scores}


def from_numbers(data: Arrays, *, backend: str, repeats: int) -> tuple[Measured, Arrays]:
    """The same over lists of numbers, with the vocabulary."""
    ids = data["ids"].tolist()
    docs = [ids[begin:end] for begin, end in pairwise(data["offsets"].tolist())]
    numbers = {token: number for number, token in enumerate(unpacked(data["vocabulary"]))}
    _warm(backend)
    _, indexing = repeat(lambda: _indexed((docs, numbers), backend), repeats)
    return {"steps": {"index": indexing}, "peak_mebibytes": peak_mebibytes()}, {}


def _indexed(docs: Any, backend: str) -> Any:
    import bm25s

    index = bm25s.BM25(k1=1.5, b=0.75, method="lucene", backend=backend)
    index.index(docs, show_progress=False)
    return index


def _warm(backend: str) -> None:
    """Compile what numba compiles, on a few documents."""
    index = _indexed([["a", "b"], ["b", "c"], ["d"]], backend)
    index.retrieve([["a", "b"], ["c"]], k=2, show_progress=False)
    index.get_scores(["a"])


def prepare() -> None:
    """Import what is timed."""
    import_module("bm25s")


if __name__ == "__main__":
    serve({"from_lists": from_lists, "from_numbers": from_numbers}, prepare)
