"""The influence step: what training would have arrived at without some rows, to first order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

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
    outputs_of,
    removal_gradient,
    summed_gradient,
)
from rec_unlearn.curvature import (
    Product,
    Solution,
    conjugate_gradients,
    flatten,
    gauss_newton_product,
    hessian_product,
    mean_diagonal,
)
from rec_unlearn.data import Interactions
from rec_unlearn.protocols import Differentiable, Recommender, WithOutputs
from rec_unlearn.requests import Removal

__all__ = ["Direction", "Influence", "Scif"]

IntArray = NDArray[np.int32]


class Direction(NamedTuple):
    """Where the influence step goes.

    Attributes:
        solution: Of the linear system.
        damping: Used in it.
        influence: Gradient times solution: n times the rise of the requesters' summed loss, to first order.
    """

    solution: Solution
    damping: float
    influence: float


@dataclass(repr=False)
class Influence(Algorithm):
    """Common to the influence steps: theta += (C + damping I)^-1 v / n.

    v is the gradient of the loss of the rows that go (the users' loss with them minus without them), C the curvature of
    the mean loss over users on a few who stay, and n the number of users.

    Attributes:
        relative: Damping, as a multiple of the curvature that an item of average popularity has (the trace of the
            curvature over the number of items), measured once before the first request. It follows the scale of hidden
            states: one damping for all models makes steps too long on some, and a rare item rise instead of fall.
        damping: A number in its place; in the reference measurements 3e-3 on a GRU, .03 on attention.
        steps: Products of conjugate gradients. Few of them and few users do better than many, and are faster: stopping
            early damps.
        retain: Users who stay, drawn for each request, on whom the curvature is taken.
        curvature: "gauss-newton" (never negative), "hessian" (of a trained network it has eigenvalues of about -.01;
            guarded), or "auto": the first, if the model has outputs.
        scope: Which parameters move: "items", those with a row an item; "all"; or names with wildcards.
        guard: Conjugate gradients stop at a direction whose damped curvature is below so many times the damping; None:
            never, and an indefinite Hessian destroys the model.
        norm_limit: A step so many times longer, a requester, than the median of those before is undone.
    """

    relative: float = 2.0
    damping: float | None = None
    steps: int = 8
    retain: int = 32
    curvature: str = "auto"
    scope: str | Sequence[str] = "items"
    guard: float | None = 0.5
    norm_limit: float = 20.0

    damping_: float | None = field(default=None, init=False)
    history_: StepHistory = field(default_factory=StepHistory, init=False)

    access: ClassVar[Access] = Access(retained="sample")

    def __post_init__(self) -> None:
        if self.curvature not in ("auto", "gauss-newton", "hessian"):
            raise ArgumentError(f"curvature={self.curvature!r}; expected 'auto', 'gauss-newton' or 'hessian'")
        if not self.relative > 0 or (self.damping is not None and not self.damping > 0):
            raise ArgumentError(f"relative={self.relative}, damping={self.damping}; expected positive numbers")
        if self.steps < 1 or self.retain < 1:
            raise ArgumentError(f"steps={self.steps}, retain={self.retain}; expected at least 1")
        self.history_ = StepHistory(self.norm_limit)

    def prepare(self, model: Recommender, log: Interactions, rng: np.random.Generator) -> None:
        """Measure the damping, unless it is given: four products on twice as many users as requests take."""
        if self.damping is not None:
            self.damping_ = self.damping
            return
        model = differentiable(model, self.name)
        users = np.sort(rng.choice(log.active_users, min(2 * self.retain, len(log.active_users)), replace=False))
        parameters = choose(model, self.scope, log.n_items)
        like = flatten([parameter.detach() for parameter in parameters])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        with mode(model, training=False):
            product = self._product(model, log, users.astype(np.int32), parameters)
            trace = mean_diagonal(product, like, probes=4, generator=generator) * len(like)
        if not 0 < trace < np.inf:
            raise FloatingPointError(f"the trace of the curvature is {trace}; give a damping")
        self.damping_ = self.relative * trace / log.n_items

    @property
    def prepared(self) -> bool:
        """Whether the damping is there."""
        return self.damping_ is not None

    def apply(self, model: Recommender, removal: Removal, rng: np.random.Generator) -> Step:
        """One step for all rows of the request."""
        model = differentiable(model, self.name)
        parameters = choose(model, self.scope, removal.before.n_items)
        with mode(model, training=False):
            solution, damping, _ = self.direction(model, removal, parameters, rng)
            change = solution.x / len(removal.before.active_users)
            change, facts = self._finish(change, damping, model, removal, parameters, rng)
        norm = float(change.norm())
        self.history_.check(norm / len(removal.users))
        move(parameters, change)
        facts |= {
            "cg_steps": solution.steps,
            "residual": solution.residual,
            "negative_curvature": float(solution.stopped == "curvature"),
            "damping": damping,
        }
        return Step(len(change), norm, facts)

    def _finish(
        self,
        change: torch.Tensor,
        damping: float,
        model: Differentiable,
        removal: Removal,
        parameters: list[torch.nn.Parameter],
        rng: np.random.Generator,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        """The step [p] that is made, given the influence step, and facts about it."""
        return change, {}

    def direction(
        self,
        model: Differentiable,
        removal: Removal,
        parameters: list[torch.nn.Parameter],
        rng: np.random.Generator,
    ) -> Direction:
        """Solve for the step [p], before the division by n.

        Raises:
            FloatingPointError: A gradient or a product is infinite or NaN.
        """
        if self.damping_ is None:
            self.prepare(model, removal.before, rng)
        assert self.damping_ is not None
        damping = self.damping_
        staying = np.setdiff1d(removal.users, removal.emptied_users)
        users = np.union1d(retained_users(removal, self.retain, rng), staying[: self.retain]).astype(np.int32)
        v, product = self._system(model, removal, users, parameters, rng)
        solution = conjugate_gradients(product, v, damping, self.steps, guard=self.guard)
        if solution.stopped == "not finite" or not torch.isfinite(solution.x).all():
            raise FloatingPointError("a product with the curvature is infinite or NaN")
        return Direction(solution, damping, float(v @ solution.x))

    def _system(
        self,
        model: Differentiable,
        removal: Removal,
        users: IntArray,
        parameters: list[torch.nn.Parameter],
        rng: np.random.Generator,
    ) -> tuple[torch.Tensor, Product]:
        """The gradient [p], and the product with the curvature on users."""
        return removal_gradient(model, removal, parameters), self._product(model, removal.after, users, parameters)

    def _product(
        self, model: Differentiable, log: Interactions, users: IntArray, parameters: list[torch.nn.Parameter]
    ) -> Product:
        if not len(users):
            # Nobody is left to take a curvature of.
            return torch.zeros_like
        if self.curvature == "hessian" or (self.curvature == "auto" and not isinstance(model, WithOutputs)):
            return hessian_product(lambda: model.losses(log, users), parameters)
        outputs = outputs_of(model, f"{self.name} with curvature='gauss-newton'")
        return gauss_newton_product(lambda: outputs(log, users), parameters)


@dataclass(repr=False)
class Scif(Influence):
    """Selective and collaborative influence function (Li et al. 2023, arXiv 2304.10199), for models of any kind.

    The influence step alone, see `Influence` for its formula.

    Attributes:
        variant: "ours", or "published": the formula of the code that goes with arXiv 2508.17076, for comparison, with
            these defects: the gradient of the rows that go is averaged with those of users who stay, so that what is
            solved for is mostly a Newton step of training on 128 users at random; that average is divided by n once
            more, so that the step is shorter than an influence step by about the number of users drawn, two orders of
            magnitude; each product is with the Hessian of another 16 users, so that the operator changes under its
            solver; and nothing stops it at negative curvature, so that `guard` has no meaning. Settings: damping .01,
            steps 64, retain 128.
    """

    variant: str = "ours"

    name: ClassVar[str] = "scif"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant not in ("ours", "published"):
            raise ArgumentError(f"variant={self.variant!r}; expected 'ours' or 'published'")
        if self.variant == "published":
            self.guard = None

    def _system(
        self,
        model: Differentiable,
        removal: Removal,
        users: IntArray,
        parameters: list[torch.nn.Parameter],
        rng: np.random.Generator,
    ) -> tuple[torch.Tensor, Product]:
        if self.variant == "ours":
            return super()._system(model, removal, users, parameters, rng)
        v = self._published_gradient(model, removal, users, parameters)
        return v, self._changing_product(model, removal.after, users, parameters, rng)

    def _published_gradient(
        self, model: Differentiable, removal: Removal, users: IntArray, parameters: list[torch.nn.Parameter]
    ) -> torch.Tensor:
        gone = summed_gradient(model, removal.before, removal.users, parameters)
        stay = summed_gradient(model, removal.after, users, parameters)
        return (gone - stay) / (len(users) + len(removal.users))

    def _changing_product(
        self,
        model: Differentiable,
        log: Interactions,
        users: IntArray,
        parameters: list[torch.nn.Parameter],
        rng: np.random.Generator,
    ) -> Product:
        def product(v: torch.Tensor) -> torch.Tensor:
            batch = np.sort(rng.choice(users, min(16, len(users)), replace=False))
            return hessian_product(lambda: model.losses(log, batch), parameters)(v)

        return product
