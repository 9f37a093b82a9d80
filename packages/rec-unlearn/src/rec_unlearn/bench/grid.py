"""What a benchmark compares: the names of data, models, scenarios and algorithms, and what they stand for."""

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from irworks.errors import ArgumentError
from rec_unlearn.algorithms import ALGORITHMS
from rec_unlearn.bench.trial import Trial, split_for
from rec_unlearn.data import Interactions, leave_last_out
from rec_unlearn.models.registry import MODELS, class_of, kind_of, make_model
from rec_unlearn.protocols import Recommender
from rec_unlearn.scenarios import (
    Scenario,
    accounts,
    bandwagon,
    canaries,
    interactions,
    popular_kind,
    sensitive,
    spam,
)

__all__ = ["SCENARIOS", "Cell", "default_algorithms", "make_trial"]


@dataclass(frozen=True)
class Cell:
    """One trial of the grid.

    Attributes:
        model: Of `rec_unlearn.models.MODELS`.
        scenario: Of `SCENARIOS`.
        seed: Of the scenario and of the deployed model.
        algorithms: Of `rec_unlearn.algorithms.ALGORITHMS`, each with its settings.
        data: A file that `Interactions.read` or `read_baskets` reads; "" for a simulated world.
        columns: Of a table: what `Interactions.read` takes.
        users: Only so many users are trained on; 0: all but those who are held out.
        others: So many users are held out from every model, for the attacks.
        requests: How many; 0: as many as the scenario has by itself.
        checkpoints: After which shares of the requests is measured.
        references: Models for the likelihood-ratio attack.
        epochs: Of the training of a network; 0: as the model has by itself.
        device: What torch computes on.
    """

    model: str
    scenario: str
    seed: int
    algorithms: tuple[tuple[str, tuple[tuple[str, Any], ...]], ...]
    data: str = ""
    columns: tuple[tuple[str, str | None], ...] = ()
    users: int = 0
    others: int = 200
    requests: int = 0
    checkpoints: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    references: int = 1
    epochs: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        _require("model", self.model, MODELS)
        _require("scenario", self.scenario, SCENARIOS)
        for name, _ in self.algorithms:
            _require("algorithm", name, ALGORITHMS)


def _require(kind: str, name: str, known: Collection[str]) -> None:
    if name not in known:
        raise ArgumentError(f"there is no {kind} {name!r}; there are: {', '.join(known)}")


def make_trial(cell: Cell) -> Trial:
    """Read the data, draw the scenario and say how a model is trained."""
    log = _data(cell.data, cell.columns)
    users = log.active_users
    n = cell.users or len(users) - cell.others
    if n < 1 or n + cell.others > len(users):
        raise ArgumentError(f"users={cell.users} and others={cell.others}: {log.name} has {len(users)} users in all")
    split = leave_last_out(log.of_users(users[:n]).renumbered())
    scenario = SCENARIOS[cell.scenario](split.train, np.random.default_rng(100 + cell.seed), cell.requests)
    others = None
    if cell.others:
        # Some models want all users to have a code, those too whom the scenario added.
        others = replace(log.of_users(users[n : n + cell.others]).renumbered(), user_ids=scenario.log.user_ids)
    return Trial(
        scenario,
        split_for(scenario, split.test),
        functools.partial(_fit, cell),
        others=others,
        seed=cell.seed,
        other_seeds=(10_000 + cell.seed, 20_000 + cell.seed),
        checkpoints=cell.checkpoints,
        n_references=cell.references if others is not None else 0,
        probes=2_000,
        once=MODELS[cell.model].once,
    )


@functools.lru_cache(maxsize=1)
def _data(data: str, columns: tuple[tuple[str, str | None], ...]) -> Interactions:
    if not data:
        from rec_unlearn.simulate import simulate_baskets

        return simulate_baskets(np.random.default_rng(0), n_users=700, n_items=300, n_categories=12).log
    if Path(data).suffix == ".json":
        from rec_unlearn.data.readers import read_baskets

        return read_baskets(data)
    return Interactions.read(data, **dict(columns))


def _fit(cell: Cell, log: Interactions, seed: int) -> Recommender:
    training: dict[str, Any] = {}
    if MODELS[cell.model].network:
        training = {"device": cell.device} | ({"epochs": cell.epochs} if cell.epochs else {})
    model: Recommender = make_model(cell.model, **training).fit(log, seed=seed)
    return model


def default_algorithms(model: str) -> tuple[str, ...]:
    """What a model is compared with, where nothing else is asked for: what it allows beside the controls."""
    kind = kind_of(model)
    if kind.network:
        return ("none", "scif", "calibrated", "fine-tune", "retrain")
    exact = hasattr(class_of(kind.name), "remove")
    return ("none", "exact" if exact else "warm-start", "retrain")


def _spam(log: Interactions, rng: np.random.Generator, n: int) -> Scenario:
    return spam(log, rng, n=n or 60, rank=min(600, int(log.active_items.sum()) // 3))


def _bandwagon(log: Interactions, rng: np.random.Generator, n: int) -> Scenario:
    return bandwagon(log, rng, n=n or 60)


def _accounts(log: Interactions, rng: np.random.Generator, n: int) -> Scenario:
    return accounts(log, rng, n=n or 40)


def _canaries(log: Interactions, rng: np.random.Generator, n: int) -> Scenario:
    return canaries(log, rng, n_pairs=max(1, (n or 60) // 2))


def _sensitive(log: Interactions, rng: np.random.Generator, n: int) -> Scenario:
    top = int(log.active_items.sum())
    items = popular_kind(log, every=8, ranks=(min(10, top // 4), min(200, top)))
    return sensitive(log, rng, items, n=n or None, least=2)


def _interactions(kind: Any) -> "Callable[[Interactions, np.random.Generator, int], Scenario]":
    def make(log: Interactions, rng: np.random.Generator, n: int) -> Scenario:
        return interactions(log, rng, kind=kind, fraction=n / len(log) if n else 1e-3)

    return make


SCENARIOS: dict[str, Callable[[Interactions, np.random.Generator, int], Scenario]] = {
    "spam": _spam,
    "bandwagon": _bandwagon,
    "accounts": _accounts,
    "canaries": _canaries,
    "sensitive": _sensitive,
    "random": _interactions("random"),
    "popular": _interactions("popular"),
    "unpopular": _interactions("unpopular"),
}
