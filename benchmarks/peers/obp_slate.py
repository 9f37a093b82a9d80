"""Open Bandit Pipeline's slate estimators. Runs inside obp's own environment, started by a benchmark or a test.

obp's packages import torch and seaborn when they are imported, for other estimators. Here the two modules that the
slate estimators live in are loaded as they are, without the `__init__` files above them, and with a stand-in for
torch, which they name in one type check of tensors.

Methods:
    values    four estimators on many logs, exactly as given: the oracle of a test
    iips      `SlateIndependentIPS`, timed
"""

import importlib.util
import sys
import types
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from meter import Arrays, Measured, cpu_seconds, peak_mebibytes, repeat, serve

ESTIMATORS = (
    "SlateIndependentIPS",
    "SlateStandardIPS",
    "SelfNormalizedSlateIndependentIPS",
    "SelfNormalizedSlateStandardIPS",
)


def slate_estimators() -> types.ModuleType:
    """The module `obp/ope/estimators_slate.py`, as obp ships it."""
    found = importlib.util.find_spec("obp")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(f"obp is not installed in {sys.prefix}")
    root = Path(found.submodule_search_locations[0])
    for name, folder in (("obp", root), ("obp.ope", root / "ope")):
        package = types.ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    torch = types.ModuleType("torch")
    torch.Tensor = torch.tensor = type(None)  # type: ignore[attr-defined]
    sys.modules.setdefault("torch", torch)
    return importlib.import_module("obp.ope.estimators_slate")


def values(logs: Arrays, obp: types.ModuleType, *, n_logs: int) -> tuple[Measured, Arrays]:
    """Every estimator on every log.

    Args:
        logs: For log i the arrays `i_slate_id`, `i_position` (int) and `i_reward`, `i_item_logging`, `i_item_target`,
            `i_list_logging`, `i_list_target` (float), [n_impressions]: an entry a shown document.
        obp: The estimators.
        n_logs: Number of logs.

    Returns:
        Versions, and an array [n_logs] of values by the name of each estimator.
    """
    out: Arrays = {name: np.empty(n_logs) for name in ESTIMATORS}
    for log in range(n_logs):
        column = {name: logs[f"{log}_{name}"] for name in ("slate_id", "position", "reward")}
        for name in ESTIMATORS:
            suffix, kind = ("_item_position", "item") if "Independent" in name else ("", "list")
            scores = {
                f"pscore{suffix}": logs[f"{log}_{kind}_logging"],
                f"evaluation_policy_pscore{suffix}": logs[f"{log}_{kind}_target"],
            }
            estimator = getattr(obp, name)(len_list=int(column["position"].max()) + 1)
            out[name][log] = estimator.estimate_policy_value(**column, **scores)
    return {"versions": versions()}, out


def iips(
    world: Arrays, obp: types.ModuleType, *, repeats: int, interval_sessions: list[int], bootstrap: int
) -> tuple[Measured, Arrays]:
    """`SlateIndependentIPS` from the raw arrays of a log and both policies' placement probabilities.

    Args:
        world: `docs` int32 [n, k] pool rows, `clicks` bool [n, k], `logging` and `target` float [n_rows, k]: the
            probability of each row at each rank.
        obp: The estimators.
        repeats: Timed runs; the median counts.
        interval_sessions: Intervals on the first so many sessions, each timed once: obp's time for them grows with the
            square of the number.
        bootstrap: Resamples of an interval.

    Returns:
        `fit_seconds` from the raw arrays to the value, `call_seconds` of that in obp's call, `intervals`, and
        `summed_interval`: the same interval where obp's loop over sessions is replaced by one `bincount`.
    """
    n, k = world["docs"].shape
    estimator = obp.SlateIndependentIPS(len_list=k)
    before = peak_mebibytes()
    value, timing = repeat(lambda: estimator.estimate_policy_value(**_rows(world, n)), repeats)
    rows = _rows(world, n)
    _, call = repeat(lambda: estimator.estimate_policy_value(**rows), repeats)
    after = peak_mebibytes()
    interval, summed = repeat(lambda: _summed_interval(estimator, obp, _rows(world, n), bootstrap), 3)
    measured = {
        **timing,
        "value": float(value),
        "call_seconds": call["fit_seconds"],
        "call_cpu_seconds": call["cpu_seconds"],
        "peak_mebibytes": after,
        "peak_mebibytes_before_fit": before,
        "bootstrap": bootstrap,
        "summed_interval": {"seconds": summed["fit_seconds"], "ci": interval},
        "intervals": [_interval(estimator, _rows(world, size), size, bootstrap) for size in interval_sessions],
        "versions": versions(),
    }
    return measured, {}


def _rows(world: Arrays, sessions: int) -> Arrays:
    """What the estimator is called with: an entry a shown document."""
    docs, ranks = world["docs"][:sessions], np.arange(world["docs"].shape[1])
    return {
        "slate_id": np.repeat(np.arange(sessions), len(ranks)),
        "position": np.tile(ranks, sessions),
        "reward": world["clicks"][:sessions].ravel(),
        "pscore_item_position": world["logging"][docs, ranks].ravel(),
        "evaluation_policy_pscore_item_position": world["target"][docs, ranks].ravel(),
    }


def _interval(estimator: Any, rows: Arrays, sessions: int, bootstrap: int) -> Measured:
    cpu, start = cpu_seconds(), perf_counter()
    found = estimator.estimate_interval(**rows, n_bootstrap_samples=bootstrap, random_state=0)
    seconds = {"seconds": perf_counter() - start, "cpu_seconds": cpu_seconds() - cpu}
    return {"sessions": sessions, **seconds, "ci": _ends(found)}


def _summed_interval(estimator: Any, obp: types.ModuleType, rows: Arrays, bootstrap: int) -> list[float]:
    estimated = estimator._estimate_round_rewards(
        reward=rows["reward"],
        position=rows["position"],
        behavior_policy_pscore=rows["pscore_item_position"],
        evaluation_policy_pscore=rows["evaluation_policy_pscore_item_position"],
    )
    sums = np.bincount(rows["slate_id"], weights=estimated)
    found = obp.estimate_confidence_interval_by_bootstrap(sums, n_bootstrap_samples=bootstrap, random_state=0)
    return _ends(found)


def _ends(interval: dict[str, float]) -> list[float]:
    return [float(end) for name, end in interval.items() if "CI" in name]


def versions() -> dict[str, str]:
    """Of obp, what it stands on, and Python."""
    return {name: version(name) for name in ("obp", "numpy", "pandas")} | {"python": sys.version.split()[0]}


METHODS: dict[str, Callable[..., tuple[Measured, Arrays]]] = {method.__name__: method for method in (values, iips)}


if __name__ == "__main__":
    obp = slate_estimators()
    serve({name: partial(method, obp=obp) for name, method in METHODS.items()}, lambda: None)
