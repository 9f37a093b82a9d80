"""What algorithms by gradients share: which parameters move, gradients in blocks of users, steps that are checked."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.algorithms.base import NotApplicableError
from rec_unlearn.curvature import flatten, mean_gradient, unflatten
from rec_unlearn.data import Interactions
from rec_unlearn.protocols import Differentiable, Outputs, Recommender, WithOutputs
from rec_unlearn.requests import Removal

__all__ = [
    "Mover",
    "StepHistory",
    "choose",
    "differentiable",
    "mode",
    "move",
    "outputs_of",
    "removal_gradient",
    "summed_gradient",
]

IntArray = NDArray[np.int32]
Parameters = list[torch.nn.Parameter]
BLOCK = 256


def differentiable(model: Recommender, name: str) -> Differentiable:
    """The model, if an algorithm by gradients can work on it.

    Raises:
        NotApplicableError: It lacks a method, or has nothing to learn.
    """
    if not isinstance(model, Differentiable):
        raise NotApplicableError(
            f"{name} needs a model with parameters() and losses(log, users), see rec_unlearn.protocols.Differentiable; "
            f"{type(model).__name__} is none"
        )
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise NotApplicableError(f"{name}: no parameter of {type(model).__name__} asks for a gradient")
    return model


def outputs_of(model: Differentiable, name: str) -> Callable[[Interactions, IntArray], Outputs]:
    """The model's method `outputs`.

    Raises:
        NotApplicableError: It has none.
    """
    if not isinstance(model, WithOutputs):
        raise NotApplicableError(
            f"{name} needs a model with outputs(log, users), see rec_unlearn.protocols.WithOutputs; "
            f"{type(model).__name__} has only losses"
        )
    return model.outputs


def choose(model: Differentiable, scope: str | Sequence[str], n_items: int) -> Parameters:
    """The parameters that an algorithm moves.

    Args:
        model: Whose.
        scope: "all" that ask for a gradient; "items", those that the model's `item_parameters()` gives, if it has that
            method, else those with a row an item, or all, where there is no such; or names of parameters with
            wildcards, such as ["out.*"].
        n_items: To know rows of items by.

    Raises:
        ArgumentError: No parameter has such a name.
        NotApplicableError: The model does not name its parameters.
    """
    every = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if scope == "all":
        return every
    if scope == "items":
        if hasattr(model, "item_parameters"):
            return list(model.item_parameters())
        return [parameter for parameter in every if parameter.ndim and len(parameter) == n_items] or every
    wanted = [scope] if isinstance(scope, str) else list(scope)
    names = _names(model)
    chosen = [p for p in every if any(fnmatch(names.get(id(p), ""), pattern) for pattern in wanted)]
    if not chosen:
        raise ArgumentError(
            f"scope={scope!r} fits no parameter; expected 'all', 'items', or of: {list(names.values())}"
        )
    return chosen


def _names(model: Any) -> dict[int, str]:
    named = getattr(model, "named_parameters", None) or getattr(
        getattr(model, "module", None), "named_parameters", None
    )
    if named is None:
        raise NotApplicableError(
            f"{type(model).__name__} has no named_parameters, so scope must be 'all' or 'items', not names"
        )
    return {id(parameter): name for name, parameter in named()}


@contextmanager
def mode(model: Any, *, training: bool) -> Iterator[None]:
    """Put the model's modules into training or evaluation mode, and back afterwards, module by module."""
    candidates = (model, getattr(model, "module", None), getattr(model, "module_", None))
    root = next((each for each in candidates if isinstance(each, torch.nn.Module)), None)
    before = [] if root is None else [(each, each.training) for each in root.modules()]
    if root is not None:
        root.train(training)
    # cuDNN refuses to differentiate a recurrent network outside training mode.
    with nullcontext() if training else torch.backends.cudnn.flags(enabled=False):
        try:
            yield
        finally:
            for each, was in before:
                each.training = was


def summed_gradient(model: Differentiable, log: Interactions, users: IntArray, parameters: Parameters) -> torch.Tensor:
    """Gradient [p] of the sum of users' losses, in blocks, so that many users fit in memory.

    Raises:
        FloatingPointError: It is infinite or NaN.
    """
    total = torch.zeros(sum(p.numel() for p in parameters), device=parameters[0].device, dtype=parameters[0].dtype)
    for begin in range(0, len(users), BLOCK):
        block = users[begin : begin + BLOCK]
        total += len(block) * mean_gradient(lambda block=block: model.losses(log, block), parameters)  # type: ignore[misc]
    if not torch.isfinite(total).all():
        raise FloatingPointError("the gradient of the loss is infinite or NaN")
    return total


def removal_gradient(model: Differentiable, removal: Removal, parameters: Parameters) -> torch.Tensor:
    """Gradient [p] that the rows to be forgotten add to the sum of all users' losses: with them minus without them."""
    stay = np.setdiff1d(removal.users, removal.emptied_users)
    gone = summed_gradient(model, removal.before, removal.users, parameters)
    return gone - summed_gradient(model, removal.after, stay, parameters)


@torch.no_grad()
def move(parameters: Sequence[torch.Tensor], change: torch.Tensor) -> None:
    """Add a vector [p] to parameters."""
    for parameter, part in zip(parameters, unflatten(change, parameters), strict=True):
        parameter.add_(part)


@dataclass
class StepHistory:
    """Lengths of earlier steps, to know one that is far out.

    Attributes:
        limit: A step is refused that is longer than so many times the median of those before.
        least: How many steps must have been before.
    """

    limit: float = 20.0
    least: int = 5
    norms: list[float] = field(default_factory=list)

    def check(self, norm: float) -> None:
        """Keep a length, or refuse it.

        Raises:
            FloatingPointError: It is infinite, NaN, or far above those before.
        """
        if not np.isfinite(norm):
            raise FloatingPointError(f"the step has length {norm}")
        if len(self.norms) >= self.least and norm > self.limit * max(float(np.median(self.norms)), 1e-12):
            raise FloatingPointError(
                f"the step has length {norm:.3g}, more than {self.limit:g} times the median of the "
                f"{len(self.norms)} before, {np.median(self.norms):.3g}"
            )
        self.norms.append(norm)


class Mover:
    """Parameters on which an optimiser works, one step a loss.

    Args:
        parameters: What moves; their `grad` is as before outside of `step`.
        optimiser: Made of them.
    """

    def __init__(self, parameters: Parameters, optimiser: torch.optim.Optimizer) -> None:
        self.parameters, self.optimiser = parameters, optimiser
        self.steps = 0

    @classmethod
    def adam(cls, parameters: Parameters, lr: float) -> Self:
        """With a fresh Adam."""
        return cls(parameters, torch.optim.Adam(parameters, lr=lr))

    def moves(self, parameters: Parameters) -> bool:
        """Whether these are the parameters that it moves."""
        return [id(p) for p in parameters] == [id(p) for p in self.parameters]

    def step(self, loss: torch.Tensor) -> None:
        """One step down a loss.

        Raises:
            FloatingPointError: The loss or its gradient is infinite or NaN.
        """
        if not torch.isfinite(loss):
            raise FloatingPointError(f"the loss became {float(loss.detach())} at step {self.steps + 1}")
        if not loss.requires_grad:
            return
        kept = [parameter.grad for parameter in self.parameters]
        grads: Sequence[torch.Tensor | None] = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        if not all(grad is None or bool(torch.isfinite(grad).all()) for grad in grads):
            raise FloatingPointError(f"the gradient became infinite or NaN at step {self.steps + 1}")
        for parameter, grad in zip(self.parameters, grads, strict=True):
            parameter.grad = grad
        self.optimiser.step()
        for parameter, old in zip(self.parameters, kept, strict=True):
            parameter.grad = old
        self.steps += 1

    def state(self) -> dict[str, NDArray[Any]]:
        """The optimiser's state as arrays, named by the place of the parameter."""
        return {
            f"{i}.{name}": value.detach().cpu().numpy().copy()
            for i, parameter in enumerate(self.parameters)
            for name, value in self.optimiser.state.get(parameter, {}).items()
        }

    def load(self, state: dict[str, NDArray[Any]]) -> None:
        """Take back what `state` gave."""
        for key, value in state.items():
            place, name = key.split(".", 1)
            parameter = self.parameters[int(place)]
            # Adam counts its steps on the CPU.
            there = torch.tensor(value) if name == "step" else torch.tensor(value).to(parameter)
            self.optimiser.state[parameter][name] = there

    @contextmanager
    def measured(self) -> Iterator[Callable[[], float]]:
        """Tells the distance from the parameters at entry."""
        start = flatten([p.detach().clone() for p in self.parameters])
        yield lambda: float((flatten([p.detach() for p in self.parameters]) - start).norm())
