"""Warm start: alternate on from where the model stands, without the rows that go."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from irworks.errors import ArgumentError
from rec_unlearn.algorithms.base import Access, Algorithm, NotApplicableError, Step
from rec_unlearn.protocols import Recommender
from rec_unlearn.requests import Removal

__all__ = ["WarmStart"]


@dataclass(repr=False)
class WarmStart(Algorithm):
    """A few sweeps of alternating least squares on what is left, from the factors that there are.

    Approximate: the model ends near the minimum that a new training would approach from another point, and was led
    there by the rows that go. How near is to be judged by how much two trainings from different starts differ.

    Attributes:
        sweeps: How many.
    """

    sweeps: int = 5

    name: ClassVar[str] = "warm-start"
    access: ClassVar[Access] = Access(forgotten=False, retained="all")
    exact: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.sweeps < 1:
            raise ArgumentError(f"sweeps={self.sweeps}; expected at least 1")

    def apply(self, model: Recommender, removal: Removal, rng: np.random.Generator) -> Step:
        """Sweep on `removal.after`.

        Raises:
            NotApplicableError: The model has no `sweep(log, n)`, and so no alternating steps.
        """
        sweep: Any = getattr(model, "sweep", None)
        if sweep is None:
            raise NotApplicableError(
                f"warm-start needs a model with sweep(log, n), as IALS has; {type(model).__name__} has none"
            )
        before: Any = getattr(model, "item_factors_", None)
        sweep(removal.after, self.sweeps)
        after: Any = getattr(model, "item_factors_", None)
        if before is None or after is None:
            return Step(0)
        return Step(after.size, float(np.linalg.norm(after - before)))
