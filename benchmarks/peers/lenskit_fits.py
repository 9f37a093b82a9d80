"""LensKit's EASE and ItemKNN on the benchmark's world. Runs inside LensKit's own environment.

Started by `benchmarks/rec_unlearn.py`. LensKit has no removal: what it would do when an account goes is to fit again.
"""

import os

# Read when LensKit sets up its pools, at the first training.
os.environ |= {"LK_NUM_PROCS": "1", "LK_NUM_THREADS": "1", "LK_NUM_BACKEND_THREADS": "1"}

from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np
from meter import Arrays, Measured, cpu_seconds, peak_mebibytes, repeat, serve


def ease(world: Arrays, *, l2: float, probes: int, repeats: int) -> tuple[Measured, Arrays]:
    """`EASEScorer`, from LensKit's data set to weights, in float32 as it has them."""
    from lenskit.knn import EASEScorer

    return _fitted(world, lambda: EASEScorer(regularization=l2), probes, repeats)


def itemknn(world: Arrays, *, k: int, probes: int, repeats: int) -> tuple[Measured, Arrays]:
    """`ItemKNNScorer` on implicit feedback: every item keeps k others, and every score may sum all of them."""
    from lenskit.knn import ItemKNNScorer

    def make() -> Any:
        return ItemKNNScorer(save_nbrs=k, max_nbrs=10_000, feedback="implicit")

    measured, arrays = _fitted(world, make, probes, repeats)
    scorer, _ = _train(make, _dataset(world))
    kept = scorer.sim_matrix.to_scipy()
    weights = np.zeros((int(world["sizes"][1]), k), dtype=np.float32)
    items = np.asarray(scorer.items.ids())
    for row in range(kept.shape[0]):
        of_row = np.sort(kept.data[kept.indptr[row] : kept.indptr[row + 1]])[::-1]
        weights[items[row], : len(of_row)] = of_row
    return measured, arrays | {"weights": weights}


def _fitted(world: Arrays, make: Any, probes: int, repeats: int) -> tuple[Measured, Arrays]:
    """Times of the fit, the data set made before them, and scores of the first users."""
    start, cpu = perf_counter(), cpu_seconds()
    data = _dataset(world)
    made = {"dataset_seconds": perf_counter() - start, "dataset_cpu_seconds": cpu_seconds() - cpu}
    (scorer, _), timing = repeat(lambda: _train(make, data), repeats)
    peak = peak_mebibytes()
    measured = {**timing, **made, "peak_mebibytes": peak, "versions": _versions()}
    return measured, {"scores": _scores(scorer, world, probes)}


def _train(make: Any, data: Any) -> tuple[Any, Any]:
    scorer = make()
    scorer.train(data)
    return scorer, data


def _dataset(world: Arrays) -> Any:
    """LensKit's data set of who used what, each pair once: how often makes no difference here either."""
    import pandas as pd
    from lenskit.data import from_interactions_df

    pairs = np.unique(world["user"].astype(np.int64) * world["sizes"][1] + world["item"])
    user, item = np.divmod(pairs, world["sizes"][1])
    return from_interactions_df(pd.DataFrame({"user_id": user, "item_id": item}))


def _scores(scorer: Any, world: Arrays, probes: int) -> np.ndarray:
    """Scores of the first users with rows for all items: float32 [probes, n_items], NaN for items without users."""
    from lenskit.data import ItemList, RecQuery

    known = np.asarray(scorer.items.ids())
    out = np.full((probes, int(world["sizes"][1])), np.nan, dtype=np.float32)
    for row, user in enumerate(np.unique(world["user"])[:probes]):
        history = np.unique(world["item"][world["user"] == user])
        query = RecQuery(user_items=ItemList(item_ids=history))
        out[row, known] = scorer(query, ItemList(item_ids=known)).scores()
    return out


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("lenskit", "numpy", "scipy", "torch")}


def prepare() -> None:
    """Import what is timed."""
    for name in ("pandas", "lenskit.knn", "lenskit.data"):
        import_module(name)


if __name__ == "__main__":
    serve({"ease": ease, "itemknn": itemknn}, prepare)
