"""The influence step on the output layer alone, with one small block of curvature an item."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.algorithms.base import Access, Algorithm, NotApplicableError, Step, retained_users
from rec_unlearn.algorithms.gradients import StepHistory, differentiable, mode
from rec_unlearn.data import Interactions
from rec_unlearn.protocols import Differentiable, OutputLayer, Recommender
from rec_unlearn.requests import Removal

__all__ = ["Block", "WithOutputLayer", "output_layer_of"]

IntArray = NDArray[np.int32]


@runtime_checkable
class WithOutputLayer(Differentiable, Protocol):
    """A model that ends in a linear layer and the cross-entropy of a softmax."""

    def output_layer(self, log: Interactions, users: IntArray) -> OutputLayer:
        """The layer, and what enters and leaves it for the rows that `log` holds of users."""
        ...


def output_layer_of(model: Recommender, name: str) -> WithOutputLayer:
    """The model, if it tells of its output layer.

    Raises:
        NotApplicableError: It does not.
    """
    if not isinstance(differentiable(model, name), WithOutputLayer):
        raise NotApplicableError(
            f"{name} needs a model with output_layer(log, users), see rec_unlearn.protocols.OutputLayer; "
            f"{type(model).__name__} has none"
        )
    return model  # type: ignore[return-value]


class _Sample(NamedTuple):
    users: IntArray
    inputs: torch.Tensor
    probability: torch.Tensor
    share: torch.Tensor


@dataclass(repr=False)
class Block(Algorithm):
    """Newton's step for the rows of the output layer that a request touches.

    For item j, with h the hidden state and a 1 for the bias, p the predicted probability and w the position's weight in
    the mean loss over users: row_j += (sum_positions w p_j (1 - p_j) h h' + damping I)^-1 v_j / n, with v_j the
    gradient of the rows that go. The curvature is taken once, on some users, and kept item by item as it is needed.

    Attributes:
        damping: Added to the blocks.
        retain: Users on whom the curvature is taken.
        energy: The rows with the largest gradients move, that together have so much of its squared length; besides them
            those of all items that go.
        refresh: Take the curvature anew after so many requests.
        norm_limit: A step so many times longer, a requester, than the median of those before is undone.
    """

    damping: float = 1e-3
    retain: int = 256
    energy: float = 0.99
    refresh: int = 100
    norm_limit: float = 20.0

    sample_: _Sample | None = field(default=None, init=False, repr=False)
    factors_: dict[int, torch.Tensor] = field(default_factory=dict, init=False, repr=False)
    served_: int = field(default=0, init=False)
    history_: StepHistory = field(default_factory=StepHistory, init=False)

    name: ClassVar[str] = "block"
    access: ClassVar[Access] = Access(retained="sample", state=True)

    def __post_init__(self) -> None:
        if self.damping <= 0 or self.retain < 1 or not 0 < self.energy <= 1:
            raise ArgumentError(
                f"damping={self.damping}, retain={self.retain}, energy={self.energy}; "
                "expected a positive number, at least 1, and a share"
            )
        self.history_ = StepHistory(self.norm_limit)

    def apply(self, model: Recommender, removal: Removal, rng: np.random.Generator) -> Step:
        """One step for all rows of the request."""
        model = output_layer_of(model, self.name)
        with mode(model, training=False), torch.no_grad():
            layer, gone = _row_gradients(model, removal.before, removal.users)
            stay = np.setdiff1d(removal.users, removal.emptied_users)
            v = gone - _row_gradients(model, removal.after, stay)[1] if len(stay) else gone
            if not torch.isfinite(v).all():
                raise FloatingPointError("the gradient of the loss is infinite or NaN")
            items = self._touched(v, removal)
            change = self._solve(model, removal, items, v[items], rng) / len(removal.before.active_users)
            norm = float(change.norm())
            self.history_.check(norm / len(removal.users))
            layer.weight[items] += change[:, :-1]
            layer.bias[items] += change[:, -1]
        self.served_ += 1
        return Step(change.numel(), norm, {"rows": float(len(items)), "blocks_kept": float(len(self.factors_))})

    def state(self) -> dict[str, NDArray[Any]]:
        """Nothing: curvature is taken anew."""
        return {}

    def _touched(self, v: torch.Tensor, removal: Removal) -> torch.Tensor:
        squares = v.square().sum(1)
        order = squares.argsort(descending=True)
        reached = squares[order].cumsum(0) < self.energy * squares.sum()
        wanted = torch.zeros(len(v), dtype=torch.bool, device=v.device)
        wanted[order[: int(reached.sum()) + 1]] = True
        wanted[torch.from_numpy(np.unique(removal.forgotten.item)).to(v.device).long()] = True
        return wanted.nonzero()[:, 0]

    def _solve(
        self,
        model: WithOutputLayer,
        removal: Removal,
        items: torch.Tensor,
        v: torch.Tensor,
        rng: np.random.Generator,
    ) -> torch.Tensor:
        """Rows [k, d + 1] of the step, before the division by n."""
        sample = self.sample_
        if sample is None or self.served_ % self.refresh == 0 or np.isin(removal.users, sample.users).any():
            sample = self.sample_ = self._take(model, removal, rng)
            self.factors_.clear()
        new = torch.tensor([i for i in items.tolist() if i not in self.factors_], device=v.device, dtype=torch.long)
        for part in torch.split(new, 64):
            p = sample.probability[:, part]
            weight = (sample.share[:, None] * p * (1 - p)).T
            blocks = (sample.inputs.T * weight[:, None, :]) @ sample.inputs
            blocks += self.damping * torch.eye(blocks.shape[1], device=v.device)
            factors, failed = torch.linalg.cholesky_ex(blocks)
            if failed.any():
                self.sample_ = None
                raise FloatingPointError("the curvature of an item is infinite or NaN")
            self.factors_.update(zip(part.tolist(), factors, strict=True))
        every = torch.stack([self.factors_[i] for i in items.tolist()])
        return torch.cholesky_solve(v[:, :, None], every)[:, :, 0]

    def _take(self, model: WithOutputLayer, removal: Removal, rng: np.random.Generator) -> _Sample:
        users = retained_users(removal, self.retain, rng)
        layer = model.output_layer(removal.after, users)
        return _Sample(users, _with_one(layer.hidden), layer.logits.softmax(1), layer.share / max(len(users), 1))


def _with_one(hidden: torch.Tensor) -> torch.Tensor:
    return torch.cat([hidden, torch.ones_like(hidden[:, :1])], 1)


def _row_gradients(model: WithOutputLayer, log: Interactions, users: IntArray) -> tuple[OutputLayer, torch.Tensor]:
    """Gradient of the sum of users' losses by the rows of the layer and their biases: [n_items, d + 1]."""
    layer = model.output_layer(log, users)
    position, item, weight = layer.targets
    slope = layer.logits.softmax(1)
    slope = slope.index_put((position, item), -weight, accumulate=True) * layer.share[:, None]
    return layer, slope.T @ _with_one(layer.hidden)
