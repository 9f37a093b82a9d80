"""What every way of unlearning has in common."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rec_unlearn.data import Interactions
from rec_unlearn.protocols import Recommender
from rec_unlearn.requests import Removal

__all__ = ["Access", "Algorithm", "NotApplicableError", "Step", "noise_seed", "retained_users"]

IntArray = NDArray[np.int32]


class NotApplicableError(TypeError):
    """An algorithm was asked to work on a model that lacks what it needs."""


@dataclass(frozen=True)
class Access:
    """What an algorithm touches beside the model.

    Attributes:
        forgotten: The rows that go.
        retained: Rows that stay: "none", "sample", or "all".
        models: Models it keeps or trains beside the deployed one.
        state: Whether it keeps something from request to request, such as the state of an optimiser.
    """

    forgotten: bool = True
    retained: str = "none"
    models: int = 0
    state: bool = False


@dataclass(frozen=True)
class Step:
    """What a step of an algorithm did.

    Attributes:
        touched: How many stored numbers could change.
        norm: Euclidean length of the change of all parameters; NaN where there are none.
        facts: Numbers that explain it: steps of conjugate gradients, length found by calibration, ...
    """

    touched: int
    norm: float = float("nan")
    facts: dict[str, float] = field(default_factory=dict)


class Algorithm(ABC):
    """A way to make a model forget.

    An algorithm is a dataclass of its settings. It may keep state between requests; `prepare` is called once, with the
    deployed model and the log that it was trained on, before the first of them: by whoever serves many of them (the
    service, the benchmark), else by `unlearn`, which asks `prepared`. So an instance with state belongs to one model.
    """

    name: ClassVar[str]
    access: ClassVar[Access]
    exact: ClassVar[bool] = False

    def prepare(self, model: Recommender, log: Interactions, rng: np.random.Generator) -> None:  # noqa: B027
        """Measure, train or store what requests will need; nothing, unless an algorithm says so."""

    @property
    def prepared(self) -> bool:
        """Whether `prepare` was done, or has nothing to do; an algorithm with a `prepare` of its own says which."""
        return True

    @abstractmethod
    def apply(self, model: Recommender, removal: Removal, rng: np.random.Generator) -> Step:
        """Make a model forget, in place.

        Args:
            model: Trained on `removal.before`, or on what was left of it after earlier requests.
            removal: What to forget.
            rng: Draws users who stay, and the like.

        Raises:
            NotApplicableError: The model lacks a method that the algorithm needs: which.
        """

    def state(self) -> dict[str, NDArray[Any]] | None:
        """What it keeps between requests, as arrays, for checkpoints; no ids, nor rows that were removed.

        None, unless an algorithm says so: its fields with `init=False` are all, and they hold numbers, texts, lists of
        numbers, arrays, or dataclasses of these.
        """
        return None

    def restore(self, state: dict[str, NDArray[Any]]) -> None:  # noqa: B027
        """Take back what `state` gave, in an instance with the same settings."""

    def settings(self) -> dict[str, Any]:
        """The settings, for reports."""
        this: Any = self
        return (
            {entry.name: getattr(this, entry.name) for entry in fields(this) if entry.init}
            if is_dataclass(this)
            else {}
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.settings().items())})"


def retained_users(removal: Removal, n: int, rng: np.random.Generator) -> IntArray:
    """Draw up to n users who lose nothing and have rows, without repetition: int32, ascending."""
    pool = np.setdiff1d(removal.after.active_users, removal.users)
    return np.sort(rng.choice(pool, size=min(n, len(pool)), replace=False)).astype(np.int32)


def noise_seed(removal: Removal, rng: np.random.Generator) -> int:
    """A seed for noise: another one for each request, though its seed be the same.

    Else the noise of many requests would be one vector many times, which adds up, and which the difference of two
    models is free of. Whoever knows the seed and the request can still draw it: where noise is to hide, keep seeds.
    """
    parts = [int(rng.integers(2**62)), len(removal.before), *removal.users.tolist()]
    return int(np.random.default_rng(parts).integers(2**62))
