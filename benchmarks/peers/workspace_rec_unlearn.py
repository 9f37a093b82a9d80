"""The methods of `benchmarks/rec_unlearn.py`, one per process, in the workspace's environment.

This file is apart from the benchmark because a script of that name hides the package `rec_unlearn` from its own
imports.
"""

from collections.abc import Callable
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from meter import Arrays, Measured, cpu_seconds, peak_mebibytes, repeat, serve

# Users whose scores are compared with a peer's.
PROBES = 50

# -- worlds -----------------------------------------------------------------------------------------------------------


def world(_: Arrays, *, users: int, items: int, steps: int, basket: int, seed: int) -> tuple[Measured, Arrays]:
    """Baskets with a long tail of items and users who take some again and again: `user`, `step` and `item` [n].

    An item of popularity rank r is drawn with probability proportional to 1 / (r + 20); half of what is in a basket
    comes from ten favourites of the user. Numbers of steps are geometric, from 1.
    """
    rng = np.random.default_rng(seed)
    start = perf_counter()
    popularity = 1 / (np.arange(items) + 20.0)
    popularity /= popularity.sum()
    favourites = rng.choice(items, size=(users, 10), p=popularity)
    owner = np.repeat(np.arange(users), rng.geometric(1 / steps, users))
    user = np.repeat(owner, basket)
    step = np.repeat(np.arange(len(owner)), basket)
    item = rng.choice(items, size=len(user), p=popularity)
    again = rng.random(len(user)) < 0.5
    item[again] = favourites[user[again], rng.integers(0, 10, again.sum())]
    _, first = np.unique(step * items + item, return_index=True)
    arrays = {"user": user[first], "step": step[first], "item": item[first], "sizes": np.array([users, items])}
    return {"fit_seconds": perf_counter() - start, "interactions": len(first)}, arrays


# -- exact removal ----------------------------------------------------------------------------------------------------


def ease(data: Arrays, *, requests: int, seed: int) -> tuple[Measured, Arrays]:
    """Accounts removed from EASE one by one, against inverting again by Cholesky."""
    from scipy.linalg import lapack

    from rec_unlearn.models.counting import binary
    from rec_unlearn.models.ease import EASE

    model, log, measured, scores = _remove(lambda: EASE(500.0), data, requests, seed)
    used = binary(log)
    gram = (used.T @ used).astype(np.float64).toarray(order="F")
    np.fill_diagonal(gram, np.diag(gram) + model.l2)

    def invert() -> np.ndarray:
        factor, _ = lapack.dpotrf(gram, lower=1)
        return lapack.dpotri(factor, lower=1, overwrite_c=1)[0]

    inverse, timing = repeat(invert, 1)
    lower = np.tril(model.inverse_)
    measured["cholesky_seconds"], measured["cholesky_cpu_seconds"] = timing["fit_seconds"], timing["cpu_seconds"]
    measured["largest_difference"] = float(np.abs(lower - np.tril(inverse)).max())
    return measured | {"refits": model.refits_, "same": measured["largest_difference"] < 1e-8}, {"scores": scores}


def itemknn(data: Arrays, *, k: int, requests: int, seed: int) -> tuple[Measured, Arrays]:
    """Accounts removed from ItemKNN one by one, against counting again and finding all neighbours."""
    from rec_unlearn.models.itemknn import ItemKNN

    model, log, measured, scores = _remove(lambda: ItemKNN(k), data, requests, seed, ItemKNN.neighbours)
    users = log.active_users[:1]
    start = perf_counter()
    model.scores(log, users)
    measured["next_scores_seconds"] = perf_counter() - start
    # A removal leaves neighbours to be found when they are needed, so counting alone is the other thing to hold it to.
    fresh, counting = repeat(lambda: ItemKNN(k).fit(log), 1)
    measured["counting_seconds"], measured["counting_cpu_seconds"] = counting["fit_seconds"], counting["cpu_seconds"]
    same = _equal(_parts(model), _parts(fresh))
    weights = ItemKNN(k).fit(interactions(data)).neighbours()[1]
    return measured | {"same": same}, {"scores": scores, "weights": weights}


def tifuknn(data: Arrays, *, k: int, requests: int, seed: int) -> tuple[Measured, Arrays]:
    """Accounts removed from TIFU-kNN one by one, against computing all vectors and lists again."""
    from rec_unlearn.models.tifuknn import TIFUKNN

    model, log, measured, _ = _remove(lambda: TIFUKNN(k), data, requests, seed)
    fresh = TIFUKNN(k).fit(log)
    return measured | {"same": _equal(model.state(), fresh.state())}, {}


def _parts(model: Any) -> Arrays:
    codes, weights = model.neighbours()
    return model.state() | {"codes": codes, "weights": weights}


def _equal(one: Arrays, other: Arrays) -> bool:
    """Bit for bit."""
    return one.keys() == other.keys() and all(np.array_equal(values, other[name]) for name, values in one.items())


def _remove(
    make: Callable[[], Any], data: Arrays, requests: int, seed: int, after_fit: Callable[[Any], object] | None = None
) -> tuple[Any, Any, Measured, np.ndarray]:
    """Fit a model, time it, and time the removal of accounts drawn at random.

    Returns:
        The model, what is left, times, and the fitted model's scores of the first users before any removal.
    """
    from rec_unlearn import DeletionRequest, resolve

    log = interactions(data)

    def fit() -> Any:
        model = make().fit(log)
        if after_fit is not None:
            after_fit(model)
        return model

    model, refit = repeat(fit, 1)
    scores = np.asarray(model.scores(log, log.active_users[:PROBES]), dtype=np.float32)
    seconds, cpu = [], []
    for user in np.random.default_rng(seed).choice(log.active_users, requests, replace=False):
        removal = resolve(DeletionRequest(user=log.user_ids[user]), log)
        start, start_cpu = perf_counter(), cpu_seconds()
        model.remove(removal)
        seconds.append(perf_counter() - start)
        cpu.append(cpu_seconds() - start_cpu)
        log = removal.after
    return (
        model,
        log,
        {
            "fit_seconds": median(seconds),
            "all_seconds": seconds,
            "cpu_seconds": median(cpu),
            "mean_cpu_seconds": sum(cpu) / requests,
            "refit_seconds": refit["fit_seconds"],
            "refit_cpu_seconds": refit["cpu_seconds"],
            "peak_mebibytes": peak_mebibytes(),
        },
        scores,
    )


def interactions(data: Arrays) -> Any:
    """The world as `Interactions`: rows are sorted already."""
    from rec_unlearn import Interactions

    user, step = data["user"].astype(np.int32), data["step"].astype(np.int32)
    users, items = data["sizes"].tolist()
    return Interactions(user, data["item"].astype(np.int32), user, step, np.arange(users), np.arange(items))


def prepare() -> None:
    """Import what is timed."""
    for name in ("scipy.linalg", "scipy.sparse", "pandas", "rec_unlearn.models.ease"):
        import_module(name)
    for name in ("itemknn", "tifuknn"):
        import_module(f"rec_unlearn.models.{name}")


METHODS = {method.__name__: method for method in (world, ease, itemknn, tifuknn)}

if __name__ == "__main__":
    serve(METHODS, prepare)
