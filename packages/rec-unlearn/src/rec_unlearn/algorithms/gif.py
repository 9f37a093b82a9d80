"""The graph influence function: neighbours count too, and a series in place of a solver."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.algorithms.base import Access, Algorithm, Step, retained_users
from rec_unlearn.algorithms.gradients import (
    StepHistory,
    choose,
    differentiable,
    mode,
    move,
    removal_gradient,
    summed_gradient,
)
from rec_unlearn.curvature import hessian_product, lanczos_extremes
from rec_unlearn.protocols import Recommender
from rec_unlearn.requests import Removal

__all__ = ["Gif"]

IntArray = NDArray[np.int32]


@dataclass(repr=False)
class Gif(Algorithm):
    """Graph influence function (Wu et al. 2023, arXiv 2304.02835), with the settings of ERASE.

    As the influence step, but the gradient also counts what the removal changes in the losses of users two hops away,
    who share an item with the rows that go; in a model whose loss of a user looks at that user's rows alone, nothing.
    The system is solved by the series h <- v + h - (H + damping I) h / scale, which diverges where the scale is below
    the highest eigenvalue, or H has one below minus the damping.

    Attributes:
        damping: Added to the Hessian of the mean loss.
        iterations: Terms of the series.
        scale: With 1,000, 100 terms are little more than a gradient step of length .1. None: 1.5 times the highest
            eigenvalue, as some steps of Lanczos see it, with which the series is a solver; the Hessian of a trained
            network has eigenvalues below minus the damping, and then it diverges, and the step is undone.
        retain: Users who stay, on whom the Hessian is taken.
        neighbours: Most users two hops away who are looked at.
        scope: Which parameters move, see `gradients.choose`.
        norm_limit: A step so many times longer, a requester, than the median of those before is undone.
    """

    damping: float = 0.01
    iterations: int = 100
    scale: float | None = 1000.0
    retain: int = 32
    neighbours: int = 128
    scope: str = "all"
    norm_limit: float = 20.0

    history_: StepHistory = field(default_factory=StepHistory, init=False)

    name: ClassVar[str] = "gif"
    access: ClassVar[Access] = Access(retained="sample")

    def __post_init__(self) -> None:
        if not self.damping >= 0 or self.iterations < 1 or self.retain < 1 or self.neighbours < 0:
            raise ArgumentError(
                f"damping={self.damping}, iterations={self.iterations}, retain={self.retain}, "
                f"neighbours={self.neighbours}; expected at least 0, 1, 1 and 0"
            )
        self.history_ = StepHistory(self.norm_limit)

    def apply(self, model: Recommender, removal: Removal, rng: np.random.Generator) -> Step:
        """One step for all rows of the request."""
        model = differentiable(model, self.name)
        parameters = choose(model, self.scope, removal.before.n_items)
        users = retained_users(removal, self.retain, rng)
        near = self._near(removal, rng)
        with mode(model, training=False), torch.no_grad():
            v = removal_gradient(model, removal, parameters)
            v += summed_gradient(model, removal.before, near, parameters)
            v -= summed_gradient(model, removal.after, near, parameters)
            x, scale = torch.zeros_like(v), self.scale or 1.0
            if len(users):
                product = hessian_product(lambda: model.losses(removal.after, users), parameters)
                if self.scale is None:
                    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
                    highest = lanczos_extremes(product, len(v), 8, generator=generator).highest
                    scale = 1.5 * max(highest, 0.0) + self.damping
                for _ in range(self.iterations):
                    x = v + x - (product(x) + self.damping * x) / scale
                # No term of a series that converges is longer than its first.
                if not x.norm() <= 1.01 * self.iterations * v.norm():
                    raise FloatingPointError(f"the series diverges: an eigenvalue lies outside 0 to {2 * scale:.3g}")
            change = x / scale / len(removal.before.active_users)
        norm = float(change.norm())
        self.history_.check(norm / len(removal.users))
        move(parameters, change)
        return Step(len(change), norm, {"scale": scale, "neighbours": float(len(near))})

    def _near(self, removal: Removal, rng: np.random.Generator) -> IntArray:
        """Users, other than the requesters, who share an item with the rows that go."""
        touched = np.zeros(removal.before.n_items, dtype=bool)
        touched[removal.forgotten.item] = True
        near = np.setdiff1d(np.unique(removal.after.user[touched[removal.after.item]]), removal.users)
        return np.sort(rng.choice(near, min(self.neighbours, len(near)), replace=False)).astype(np.int32)
