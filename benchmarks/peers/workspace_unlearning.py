"""Training and unlearning for `benchmarks/rec_unlearn.py`, in the workspace's environment.

A model is trained in one process and unlearns in others, so that the memory of a removal is not that of a training.
"""

import gc
import multiprocessing
import pickle
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
from first_step import first_step
from meter import Arrays, Measured, cpu_seconds, peak_mebibytes, repeat, serve
from workspace_rec_unlearn import interactions

# -- throughput of training -------------------------------------------------------------------------------------------


def sessions(
    _: Arrays, *, users: int, items: int, groups: int, shortest: int, longest: int, seed: int
) -> tuple[Measured, Arrays]:
    """Sessions of single items in which the next group of items follows from the last: `user`, `step`, `item` [n].

    Items are in groups of equal size, and within its group an item of rank r is drawn with probability proportional to
    1 / (r + 1). The next group is, with probability .7, one of three that follow the last one, with .2 the user's own,
    else any. The last item of each session is left out: `target` [users].
    """
    rng = np.random.default_rng(seed)
    start = perf_counter()
    size = items // groups
    length = rng.integers(shortest, longest + 1, users)
    follow = rng.permuted(np.tile(np.arange(groups), (groups, 1)), axis=1)[:, :3]
    popularity = 1 / (np.arange(size) + 1.0)
    popularity /= popularity.sum()
    own = rng.integers(groups, size=users)
    group, columns = own, []
    for _step in range(longest):
        columns.append(group * size + rng.choice(size, users, p=popularity))
        kind, anywhere = rng.random(users), rng.integers(groups, size=users)
        group = np.where(kind < 0.7, follow[group, rng.integers(3, size=users)], np.where(kind < 0.9, own, anywhere))
    user, step = np.nonzero(np.arange(longest) < length[:, None])
    item = np.stack(columns, axis=1)[user, step]
    last = step == length[user] - 1
    arrays = {"user": user[~last], "step": step[~last], "item": item[~last], "target": item[last]}
    return {"fit_seconds": perf_counter() - start}, arrays | {"sizes": np.array([users, items])}


def sequences(
    data: Arrays, *, model: str, dim: int, positions: int, lr: float, epochs: int, width: int, seed: int
) -> tuple[Measured, Arrays]:
    """One training on all positions of all sessions; settings as of `recbole_sequences.sequences`.

    A step takes users, as many as have so many positions on average.
    """
    from rec_unlearn import models

    log = interactions(data)
    here = len(log) - len(log.active_users)
    users = max(1, round(positions * len(log.active_users) / here))
    train = models.TrainConfig(epochs=epochs, lr=lr, batch_size=users, device="cpu")
    before = peak_mebibytes()
    fitted, timing = repeat(lambda: getattr(models, model)(dim, max_steps=width, train=train).fit(log, seed=seed), 1)
    measured = {
        **timing,
        "positions": here * epochs,
        "users_a_step": users,
        "parameters": sum(parameter.numel() for parameter in fitted.parameters()),
        "peak_mebibytes": peak_mebibytes(),
        "peak_before": before,
    }
    return measured, {"scores": fitted.scores(log, np.arange(log.n_users))}


# -- latency of a request ---------------------------------------------------------------------------------------------


def registry(_: Arrays) -> tuple[Measured, Arrays]:
    """The names of all algorithms that there are."""
    from rec_unlearn.algorithms import ALGORITHMS

    return {"algorithms": list(ALGORITHMS)}, {}


def unlearning(
    data: Arrays, *, model: str, algorithms: list[str], requests: int, seconds: float, seed: int
) -> tuple[Measured, Arrays]:
    """Train a model, and let it forget by every algorithm, each from the trained state.

    Training and every algorithm run in a child of this process, forked from it, so that memory is each one's own while
    libraries are imported once.

    Returns:
        `trained`, and by algorithm `served`, what `_train` and `_remove` measured; the latter may hold nothing but
        `not_applicable` or `failed`, with the reason.
    """
    log = interactions(data)
    with tempfile.TemporaryDirectory(prefix="unlearning") as scratch:
        path = Path(scratch) / "model.pickle"
        trained = _in_child(partial(_train, log, model, path, seed))
        with path.open("rb") as handle:
            fitted = pickle.load(handle)
    gc.collect()
    serve_all = {name: partial(_remove, log, fitted, name, requests, seconds, seed) for name in algorithms}
    return {"trained": trained, "served": {name: _in_child(work) for name, work in serve_all.items()}}, {}


def _in_child(work: Callable[[], Measured]) -> Measured:
    forked = multiprocessing.get_context("fork")
    receiver, sender = forked.Pipe(duplex=False)
    child = forked.Process(target=lambda: sender.send(work()))
    child.start()
    sender.close()
    try:
        found: Measured = receiver.recv()
    except EOFError:
        raise RuntimeError("a child process failed, see above") from None
    finally:
        child.join()
    return found


def _train(log: Any, model: str, path: Path, seed: int) -> Measured:
    """Train a model from the start, and leave it in a file."""
    before = peak_mebibytes()
    fitted, timing = repeat(lambda: _makers()[model]().fit(log, seed=seed), 1)
    measured = {**timing, "peak_mebibytes": peak_mebibytes(), "peak_before": before}
    with path.open("wb") as handle:
        pickle.dump(fitted, handle)
    return measured


def _remove(log: Any, model: Any, algorithm: str, requests: int, seconds: float, seed: int) -> Measured:
    """Accounts drawn at random, removed one by one by the whole call `unlearn`.

    Args:
        log: What the model was trained on.
        model: The model.
        algorithm: Its name; with its own settings.
        requests: How many, at most.
        seconds: After so many no further request is begun; three are served in any case.
        seed: Of the accounts and of what the algorithm draws.
    """
    from rec_unlearn import DeletionRequest, unlearn
    from rec_unlearn.algorithms import NotApplicableError, make_algorithm

    chosen = make_algorithm(algorithm)
    users = np.random.default_rng(seed).choice(log.active_users, requests, replace=False)
    before, started, cpu = peak_mebibytes(), perf_counter(), cpu_seconds()
    reports, walls, cpus = [], [], []
    try:
        chosen.prepare(model, log, np.random.default_rng(seed))
        prepared = {"prepare_seconds": perf_counter() - started, "prepare_cpu_seconds": cpu_seconds() - cpu}
        started = perf_counter()
        for number, user in enumerate(users.tolist()):
            if number >= 3 and perf_counter() - started > seconds:
                break
            begin, begin_cpu = perf_counter(), cpu_seconds()
            report = unlearn(model, DeletionRequest(user=user), log=log, algorithm=chosen, seed=seed + number)
            walls.append(perf_counter() - begin)
            cpus.append(cpu_seconds() - begin_cpu)
            # What is undone in the model is gone from the data all the same, as in the benchmark of the package.
            log = log.without(users=[user])
            reports.append(report)
    except NotApplicableError as error:
        return {"not_applicable": str(error)}
    except Exception as error:
        # One that fails, on a step or on its settings, does not take the others' results along.
        return {"failed": f"{type(error).__name__}: {error}"}
    return {
        "fit_seconds": median(walls),
        "all_seconds": walls,
        "cpu_seconds": median(cpus),
        "step_cpu_seconds": median(report.cpu_seconds for report in reports),
        **prepared,
        "requests": len(reports),
        "undone": sum(not report.applied for report in reports),
        "peak_mebibytes": peak_mebibytes(),
        "peak_before": before,
    }


def _makers() -> dict[str, Callable[[], Any]]:
    """What is trained, by name: with the settings of the package's claims, else its defaults, on the processor."""
    from rec_unlearn import models
    from rec_unlearn.models.sharded import Sharded

    cpu = partial(models.TrainConfig, device="cpu")
    gru = partial(models.NextBasketGRU, train=cpu())
    return {
        "GRU": gru,
        "attention": partial(models.NextBasketAttention, train=cpu(lr=1e-3)),
        "MF-BPR": lambda: models.MFBPR().with_config(device="cpu"),
        # A step propagates through the whole graph: with the default of 64 users it would do little else.
        "LightGCN": lambda: models.LightGCN().with_config(device="cpu", batch_size=512),
        "iALS": models.IALS,
        "EASE": models.EASE,
        "ItemKNN": partial(models.ItemKNN, 100),
        "TIFU-kNN": partial(models.TIFUKNN, 300),
        "popularity": models.Popularity,
        "Markov": models.Markov,
        "GRU in 8 shards": partial(Sharded, gru, n_shards=8),
    }


def prepare() -> None:
    """Import what is timed."""
    import torch

    torch.set_num_threads(1)
    first_step()
    for name in (
        "scipy.linalg",
        "scipy.sparse",
        "pandas",
        "implicit.cpu.als",
        "rec_unlearn.unlearn",
        "rec_unlearn.evaluate",
    ):
        import_module(name)
    from rec_unlearn import models
    from rec_unlearn.algorithms import ALGORITHMS

    for name in models.__all__:
        getattr(models, name)
    for module, _ in ALGORITHMS.values():
        import_module(f"rec_unlearn.algorithms.{module}")


METHODS = {method.__name__: method for method in (sessions, sequences, registry, unlearning)}

if __name__ == "__main__":
    serve(METHODS, prepare)
