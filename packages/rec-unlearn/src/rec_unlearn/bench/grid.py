"""What a benchmark compares: the names of data, models, scenarios and algorithms, and what they stand for."""

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from irworks.errors import ArgumentError
from rec_unlearn.algorithms import ALGORITHMS
from rec_unlearn.bench.trial import Trial, split_for
from rec_unlearn.data import Interactions, leave_last_out
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

if TYPE_CHECKING:
    from rec_unlearn.models.torch_base import TorchRecommender

__all__ = ["MODELS", "SCENARIOS", "Cell", "make_trial"]

# By name: class in `rec_unlearn.models`, learning rate, and settings of the influence step found for it.
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gru": ("sequence", "NextBasketGRU", {"lr": 3e-3}),
    "attention": ("sequence", "NextBasketAttention", {"lr": 1e-3}),
    "gru4rec": ("sequence", "GRU4Rec", {"lr": 3e-3}),
    "sasrec": ("sequence", "SASRec", {"lr": 1e-3}),
    "sets2sets": ("sets2sets", "Sets2Sets", {"lr": 1e-3}),
    "mf-bpr": ("factors", "MFBPR", {"lr": 1e-2}),
    "lightgcn": ("lightgcn", "LightGCN", {"lr": 1e-2}),
}


@dataclass(frozen=True)
class Cell:
    """One trial of the grid.

    Attributes:
        model: Of `MODELS`.
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
        epochs: Of training; 0: as the model has by itself.
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
    others = log.of_users(users[n : n + cell.others]).renumbered() if cell.others else None
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


def _fit(cell: Cell, log: Interactions, seed: int) -> "TorchRecommender":
    from importlib import import_module

    from rec_unlearn.models.torch_base import TrainConfig

    module, name, training = MODELS[cell.model]
    kind: Any = getattr(import_module(f"rec_unlearn.models.{module}"), name)
    settings = {**training, "device": cell.device} | ({"epochs": cell.epochs} if cell.epochs else {})
    model: TorchRecommender = kind(train=TrainConfig(**settings)).fit(log, seed=seed)
    return model


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
