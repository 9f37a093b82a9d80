"""Keeping a model's state, so that a step can be undone."""

from dataclasses import dataclass
from typing import Any

from rec_unlearn.protocols import Differentiable, Recommender

__all__ = ["Snapshot", "is_finite", "stored_copies"]


@dataclass(frozen=True)
class Snapshot:
    """The state of a model at one moment.

    Models that are not differentiable are trusted to change as a whole or not at all: copying an inverse matrix would
    take longer than removing a user from it.
    """

    parameters: Any
    fingerprint: Any = None

    @classmethod
    def of(cls, model: Recommender) -> "Snapshot":
        """Copy the parameters of a differentiable model."""
        stands_for = getattr(model, "fingerprint_", None)
        if not isinstance(model, Differentiable):
            return cls(None, stands_for)
        return cls([parameter.detach().clone() for parameter in model.parameters()], stands_for)

    def restore(self, model: Recommender) -> None:
        """Put the parameters back."""
        if self.fingerprint is not None:
            this: Any = model
            this.fingerprint_ = self.fingerprint
        if self.parameters is None or not isinstance(model, Differentiable):
            return
        import torch

        with torch.no_grad():
            for parameter, old in zip(model.parameters(), self.parameters, strict=True):
                parameter.copy_(old)


def is_finite(model: Recommender) -> bool:
    """Whether no parameter of a differentiable model is infinite or NaN; True for others."""
    if not isinstance(model, Differentiable):
        return True
    import torch

    return all(bool(torch.isfinite(parameter.detach()).all()) for parameter in model.parameters())


def stored_copies(model: Recommender) -> tuple[str, ...]:
    """What the model says of the data that it stores itself, through its method `stored_copies`; see `Report`."""
    tell = getattr(model, "stored_copies", None)
    return tuple(tell()) if tell is not None else ()
