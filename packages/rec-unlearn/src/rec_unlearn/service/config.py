"""How a service works: what it was made with, and what may be changed later."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from irworks.errors import ArgumentError, DataError
from irworks.runtime.terminal import strict_json
from rec_unlearn.algorithms import Algorithm, make_algorithm
from rec_unlearn.data import Interactions
from rec_unlearn.data.store import has_integers
from rec_unlearn.service.durable import read_checked, write_checked

__all__ = ["ServiceConfig", "first_config", "plain", "stored_algorithm"]

_FILE = "service.json"
_FORMAT = "rec-unlearn service 1"


@dataclass(frozen=True)
class ServiceConfig:
    """Settings of a service, in its folder.

    Attributes:
        algorithm: Name of what unlearns.
        settings: Of it.
        exact: Whether it is exact.
        seed: That seeds of steps follow from.
        user_ids: "integer" or "text", what ids of users are.
        item_ids: The same of items.
        budget_s: How long a step may take, in seconds; as many requests are served together as fit. None: all.
        max_batch: How many requests are served together at most. None: all.
        max_attempts: After so many steps that were undone a request is refused.
        drift_budget: Advise to retrain when the overlap with the deployed model falls below it, unless the algorithm is
            exact. None: never.
    """

    algorithm: str
    settings: dict[str, Any]
    exact: bool
    seed: int
    user_ids: str
    item_ids: str
    budget_s: float | None = None
    max_batch: int | None = None
    max_attempts: int = 3
    drift_budget: float | None = None

    def __post_init__(self) -> None:
        if self.budget_s is not None and not self.budget_s > 0:
            raise ArgumentError(f"budget_s={self.budget_s}; expected a positive number of seconds")
        if self.max_batch is not None and self.max_batch < 1:
            raise ArgumentError(f"max_batch={self.max_batch}; expected at least 1")
        if self.max_attempts < 1:
            raise ArgumentError(f"max_attempts={self.max_attempts}; expected at least 1")
        if self.drift_budget is not None and not 0 <= self.drift_budget <= 1:
            raise ArgumentError(f"drift_budget={self.drift_budget}; expected a share in [0, 1]")

    def changed(self, **given: Any) -> "ServiceConfig":
        """With the values that are not None."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    def write(self, folder: Path) -> None:
        """Write it into the folder of the service."""
        write_checked(folder / _FILE, {"format": _FORMAT, **asdict(self)})

    @classmethod
    def read(cls, folder: Path) -> "ServiceConfig":
        """Read it.

        Raises:
            DataError: There is none, or it is damaged.
        """
        path = folder / _FILE
        if not path.exists():
            raise DataError("no service is here", source=folder, expected=_FILE, hint="Make one with a model and a log")
        found = read_checked(path, "the settings")
        if found.pop("format", None) != _FORMAT:
            raise DataError("another format", source=path, expected=_FORMAT)
        return cls(**found)


def first_config(algorithm: Algorithm, log: Interactions, seed: int) -> ServiceConfig:
    """The settings of a new service."""
    kinds = ["integer" if has_integers(ids) else "text" for ids in (log.user_ids, log.item_ids)]
    settings = plain(algorithm.settings())
    return ServiceConfig(algorithm.name, settings, algorithm.exact, seed, user_ids=kinds[0], item_ids=kinds[1])


def stored_algorithm(stored: ServiceConfig, algorithm: str | Algorithm, seed: int | None, folder: Path) -> Algorithm:
    """The algorithm that a service was made with.

    Raises:
        ArgumentError: Another one is asked for.
    """
    if seed not in (None, stored.seed):
        raise ArgumentError(f"seed={seed}; {folder} was made with {stored.seed}")
    if algorithm == "auto" or algorithm == stored.algorithm:
        return make_algorithm(stored.algorithm, **stored.settings)
    if isinstance(algorithm, str) or (algorithm.name, plain(algorithm.settings())) != (
        stored.algorithm,
        stored.settings,
    ):
        raise ArgumentError(f"algorithm={algorithm!r}; {folder} was made with {stored.algorithm} {stored.settings}")
    return algorithm


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """As JSON gives it back."""
    plain: dict[str, Any] = json.loads(strict_json(values))
    return plain
