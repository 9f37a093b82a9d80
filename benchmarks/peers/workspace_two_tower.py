"""The methods of the benchmark that run in the workspace's environment, one per process.

Started by `benchmarks/ltr_twotower.py`. This file is apart from it because a script of that name hides the package
`ltr_twotower` from its own imports.
"""

from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any

import numpy as np
from meter import peak_mebibytes, repeat, serve

Measured = dict[str, Any]
Parameters = dict[str, np.ndarray]


def newton(world: Any, *, ridges: list[float], default_ridge: float, repeats: int) -> tuple[Measured, Parameters]:
    """Choose the ridge of the relevances on the selection split, then fit `repeats` times, each from the raw arrays.

    The ridge of theta stays at its default: chosen for its likelihood it would bend theta.
    """
    from ltr_twotower import TwoTowerClickModel

    def model(ridge: float) -> Any:
        return TwoTowerClickModel(relevance="embedding", solver="newton", l2=default_ridge, relevance_l2=ridge)

    before = peak_mebibytes()
    select = _log(world, "select")
    sweep, start = [], perf_counter()
    for ridge in ridges:
        begun = perf_counter()
        fitted = model(ridge).fit(_log(world, "fit"))
        seconds = perf_counter() - begun
        sweep.append({"relevance_l2": ridge, "fit_seconds": seconds, "select_nll": -fitted.score(select)})
    sweep_seconds = perf_counter() - start
    chosen = min(sweep, key=lambda entry: entry["select_nll"])["relevance_l2"]
    fitted, timing = repeat(lambda: model(chosen).fit(_log(world, "fit")), repeats)
    default = TwoTowerClickModel(relevance="embedding", solver="newton", l2=default_ridge).fit(_log(world, "fit"))
    measured = {
        **timing,
        "first_fit_seconds": sweep[0]["fit_seconds"],
        "log_seconds": repeat(lambda: _log(world, "fit"), repeats)[1]["fit_seconds"],
        "l2": default_ridge,
        "relevance_l2": chosen,
        "sweep": sweep,
        "sweep_seconds": sweep_seconds,
        "iterations": int(fitted.n_iter_),
        "peak_mebibytes": peak_mebibytes(),
        "peak_mebibytes_before_fit": before,
    }
    parameters = _parameters(fitted, world)
    at_default = {f"{name}_without_second_ridge": values for name, values in _parameters(default, world).items()}
    return measured, parameters | at_default


def lbfgs(world: Any, *, ridge: float, repeats: int) -> tuple[Measured, Parameters]:
    """Our model with scipy's L-BFGS in place of Newton's method."""
    from ltr_twotower import TwoTowerClickModel

    before = peak_mebibytes()
    model = TwoTowerClickModel(relevance="embedding", solver="lbfgs", l2=ridge)
    fitted, timing = repeat(lambda: model.fit(_log(world, "fit")), repeats)
    measured = {**timing, "l2": ridge, "iterations": int(fitted.n_iter_)}
    measured |= {"peak_mebibytes": peak_mebibytes(), "peak_mebibytes_before_fit": before}
    return measured, _parameters(fitted, world)


def sklearn(world: Any, *, ridge: float, repeats: int) -> tuple[Measured, Parameters]:
    """scikit-learn's LogisticRegression on one-hot cells, clicked and not clicked as two weighted rows each."""
    from scipy.sparse import csr_array
    from sklearn.linear_model import LogisticRegression

    docs, clicks, n_docs = world["fit_docs"], world["fit_clicks"], int(world["n_docs"])
    ranks = docs.shape[1]
    before = peak_mebibytes()

    def fit() -> Any:
        cell = (docs.astype(np.int64) * ranks + np.arange(ranks)).ravel()
        shown = np.bincount(cell, minlength=n_docs * ranks)
        clicked = np.bincount(cell[clicks.ravel()], minlength=n_docs * ranks)
        used = np.flatnonzero(shown)
        columns = np.column_stack([used % ranks, ranks + used // ranks]).astype(np.int32)
        columns = np.concatenate([columns, columns])
        X = csr_array(
            (np.ones(columns.size), columns.ravel(), np.arange(len(columns) + 1) * 2),
            shape=(len(columns), ranks + n_docs),
        )
        y = np.repeat([1, 0], len(used))
        weight = np.concatenate([clicked[used], shown[used] - clicked[used]]).astype(np.float64)
        regression = LogisticRegression(C=1 / ridge, fit_intercept=False, tol=1e-8, max_iter=5_000)
        return regression.fit(X, y, sample_weight=weight)

    fitted, timing = repeat(fit, repeats)
    theta, gamma = fitted.coef_[0][:ranks], fitted.coef_[0][ranks:]
    measured = {**timing, "l2": ridge, "iterations": int(fitted.n_iter_[0])}
    measured |= {"peak_mebibytes": peak_mebibytes(), "peak_mebibytes_before_fit": before}
    return measured, {"theta": theta - theta[0], "gamma": gamma + theta[0]}


def swap_graph(world: Any, *, repeats: int) -> tuple[Measured, Parameters]:
    """Our swap graph of all impressions, from the raw arrays."""
    from ltr_twotower import swap_graph as build

    before = peak_mebibytes()
    graph, timing = repeat(lambda: build(_log(world, "fit")), repeats)
    measured = {**timing, "components": [list(map(int, ranks)) for ranks in graph.components]}
    return measured | {"peak_mebibytes": peak_mebibytes(), "peak_mebibytes_before_fit": before}, {}


def networkx(world: Any, *, repeats: int) -> tuple[Measured, Parameters]:
    """The same components by networkx: documents and ranks as vertices, an edge per impression."""
    import networkx as nx

    docs = world["fit_docs"]
    ranks = np.broadcast_to(-1 - np.arange(docs.shape[1]), docs.shape)
    before = peak_mebibytes()

    def build() -> list[list[int]]:
        graph: nx.Graph[int] = nx.Graph()
        graph.add_edges_from(zip(docs.ravel().tolist(), ranks.ravel().tolist(), strict=True))
        return [sorted(-vertex for vertex in part if vertex < 0) for part in nx.connected_components(graph)]

    components, timing = repeat(build, repeats)
    measured = {**timing, "components": sorted(components)}
    return measured | {"peak_mebibytes": peak_mebibytes(), "peak_mebibytes_before_fit": before}, {}


METHODS: dict[str, Callable[..., tuple[Measured, Parameters]]] = {
    method.__name__: method for method in (newton, lbfgs, sklearn, swap_graph, networkx)
}


def import_everything() -> None:
    """Load what the fits import where they use it: no method's imports are timed, nor are the peer's."""
    for name in ("pandas", "scipy.optimize", "scipy.sparse.csgraph", "ltr_twotower"):
        import_module(name)


def _log(world: Any, split: str) -> Any:
    """A new log: nothing that an earlier fit worked out and kept may be reused."""
    from irworks.data import ClickLog

    return ClickLog(query=world[f"{split}_query"], docs=world[f"{split}_docs"], clicks=world[f"{split}_clicks"])


def _parameters(model: Any, world: Any) -> Parameters:
    gamma = np.full(int(world["n_docs"]), float(model.gamma_.mean()))
    gamma[model.cells_.doc_ids[model.cells_.pair_doc]] = model.gamma_
    return {"theta": model.position_bias_, "gamma": gamma}


if __name__ == "__main__":
    serve(METHODS, import_everything)
