"""Late interaction, by methods of `benchmarks/amharic_ir.py`, one per process, in the workspace's environment."""

from collections.abc import Callable
from importlib import import_module
from itertools import pairwise

import numpy as np
from meter import Arrays, Measured, peak_mebibytes, repeat, serve


def vectors(
    _: Arrays, *, documents: int, shortest: int, longest: int, queries: int, query_tokens: int, dim: int, seed: int
) -> tuple[Measured, Arrays]:
    """Random vectors of length 1: `docs` [n_tokens, dim] with `offsets`, `queries` [n_queries, query_tokens, dim]."""
    rng = np.random.default_rng(seed)
    offsets = np.append(0, np.cumsum(rng.integers(shortest, longest + 1, size=documents)))
    docs = rng.standard_normal((offsets[-1], dim), dtype=np.float32)
    docs /= np.linalg.norm(docs, axis=1, keepdims=True)
    asked = rng.standard_normal((queries, query_tokens, dim), dtype=np.float32)
    asked /= np.linalg.norm(asked, axis=2, keepdims=True)
    return {"tokens": int(offsets[-1])}, {"docs": docs, "offsets": offsets, "queries": asked}


def ours(data: Arrays, *, repeats: int) -> tuple[Measured, Arrays]:
    """`irworks.retrieval.maxsim.maxsim_many`, all queries at once, as an index asks."""
    from irworks.retrieval.maxsim import TokenVectors, maxsim_many

    docs = TokenVectors(data["docs"], data["offsets"])
    n, length, dim = data["queries"].shape
    asked = TokenVectors(data["queries"].reshape(-1, dim), np.arange(0, n * length + 1, length))
    return _scored(lambda: maxsim_many(asked, docs), repeats)


def one(data: Arrays, *, repeats: int) -> tuple[Measured, Arrays]:
    """`irworks.retrieval.maxsim.maxsim`, query after query."""
    from irworks.retrieval.maxsim import TokenVectors, maxsim

    docs = TokenVectors(data["docs"], data["offsets"])
    return _scored(lambda: np.array([maxsim(query, docs) for query in data["queries"]]), repeats)


def loop(data: Arrays, *, repeats: int) -> tuple[Measured, Arrays]:
    """A product, a maximum and a sum for each document."""
    docs = [data["docs"][begin:end] for begin, end in pairwise(data["offsets"].tolist())]

    def score() -> np.ndarray:
        return np.array([[(query @ doc.T).max(axis=1).sum() for doc in docs] for query in data["queries"]])

    return _scored(score, repeats)


def _scored(score: Callable[[], np.ndarray], repeats: int) -> tuple[Measured, Arrays]:
    before = peak_mebibytes()
    scores, timing = repeat(score, repeats, warm=True)
    return {**timing, "peak_before": before, "peak_mebibytes": peak_mebibytes()}, {"scores": scores}


def prepare() -> None:
    """Import what is timed."""
    import_module("irworks.retrieval.maxsim")


if __name__ == "__main__":
    serve({method.__name__: method for method in (vectors, ours, one, loop)}, prepare)
