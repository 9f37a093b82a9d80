"""What every table needs beside the algorithms: doing nothing, training again, and removing exactly."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from rec_unlearn.algorithms.base import Access, Algorithm, NotApplicableError, Step
from rec_unlearn.protocols import Differentiable, ExactlyRemovable, Recommender
from rec_unlearn.requests import Removal

__all__ = ["DoNothing", "Exact", "Retrain"]


@dataclass(repr=False)
class DoNothing(Algorithm):
    """Leave the model as it is: the request is only taken from the input that the model is asked with."""

    name: ClassVar[str] = "none"
    access: ClassVar[Access] = Access(forgotten=False)

    def apply(self, model: Recommender, removal: Removal, rng: np.random.Generator) -> Step:
        """Change nothing."""
        return Step(0, 0.0)


@dataclass(repr=False)
class Retrain(Algorithm):
    """Train again from the start on what is left.

    Attributes:
        seed: Of the training; None: that of the deployed model, so that both start from the same weights. Another one
            shows how much two trainings differ anyway.
    """

    seed: int | None = None

    name: ClassVar[str] = "retrain"
    access: ClassVar[Access] = Access(forgotten=False, retained="all")
    exact: ClassVar[bool] = True

    def apply(self, model: Recommender, removal: Removal, rng: np.random.Generator) -> Step:
        """Fit on `removal.after`; needs a model with `fit(log, seed=)` that starts afresh, and `seed_`."""
        fit = getattr(model, "fit", None)
        if fit is None:
            raise NotApplicableError(f"retrain needs a model with fit(log, seed=...); {type(model).__name__} has none")
        old = None
        if isinstance(model, Differentiable):
            old = [parameter.detach().clone() for parameter in model.parameters()]
        seed = getattr(model, "seed_", 0) if self.seed is None else self.seed
        fit(removal.after, seed=seed)
        if old is None or not isinstance(model, Differentiable):
            return Step(0)
        squares = sum(
            float((new.detach() - was).square().sum()) for new, was in zip(model.parameters(), old, strict=True)
        )
        return Step(sum(parameter.numel() for parameter in old), squares**0.5)


@dataclass(repr=False)
class Exact(Algorithm):
    """Let the model take the rows out itself, as those built on sums and counts can."""

    name: ClassVar[str] = "exact"
    access: ClassVar[Access] = Access()
    exact: ClassVar[bool] = True

    def apply(self, model: Recommender, removal: Removal, rng: np.random.Generator) -> Step:
        """Call the model's `remove`.

        Raises:
            NotApplicableError: It has none.
        """
        if not isinstance(model, ExactlyRemovable):
            raise NotApplicableError(
                f"{type(model).__name__} has no exact removal (a method remove(removal)); "
                "choose an approximate algorithm, or retrain"
            )
        return Step(model.remove(removal))
