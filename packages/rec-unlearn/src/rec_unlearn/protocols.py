"""What unlearning asks of a model: protocols, so that any model with these methods will do."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rec_unlearn.data import Interactions
from rec_unlearn.requests import Removal

if TYPE_CHECKING:
    import torch

__all__ = ["Differentiable", "ExactlyRemovable", "OutputLayer", "Outputs", "Recommender", "WithOutputs"]

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.floating]


@runtime_checkable
class Recommender(Protocol):
    """Scores items for users."""

    def scores(self, log: Interactions, users: IntArray) -> FloatArray:
        """Scores of every item for users with the history that `log` holds of them.

        Returns:
            float [n, n_items]; the higher, the sooner shown.
        """
        ...


@runtime_checkable
class ExactlyRemovable(Recommender, Protocol):
    """A model from which rows can be taken as if they had never been there."""

    def remove(self, removal: Removal) -> int:
        """Take the rows out, in place.

        Returns:
            How many stored numbers changed.
        """
        ...


@runtime_checkable
class Differentiable(Recommender, Protocol):
    """A PyTorch model: all that algorithms by gradients need."""

    def parameters(self) -> "Sequence[torch.nn.Parameter]":
        """What an algorithm may change, always in the same order."""
        ...

    def losses(self, log: Interactions, users: IntArray) -> "torch.Tensor":
        """Mean training loss of each user with the rows that `log` holds of them, differentiable.

        Returns:
            float [n]; 0 for users from whose rows nothing is learned.
        """
        ...


class Outputs(NamedTuple):
    """What the last layer of a model gives, before the loss.

    Attributes:
        values: float [m, ...], for instance the logits of each position.
        losses: From `values` to the mean loss of each user [n]; convex, as cross-entropy is in the logits.
    """

    values: "torch.Tensor"
    losses: "Callable[[torch.Tensor], torch.Tensor]"


@runtime_checkable
class WithOutputs(Differentiable, Protocol):
    """A model whose loss is a convex function of outputs, so that there are Gauss-Newton products."""

    def outputs(self, log: Interactions, users: IntArray) -> Outputs:
        """Outputs for the rows that `log` holds of users, differentiable in the parameters."""
        ...


class OutputLayer(NamedTuple):
    """The last linear layer of a model whose logits are `hidden @ weight.T + bias` and a part without parameters of it.

    Attributes:
        weight: float [n_items, d], a parameter.
        bias: float [n_items], a parameter.
        hidden: float [m, d], without gradient.
        logits: float [m, n_items], without gradient.
        share: float [m], weight of each position in the sum of its user's loss.
        owner: int64 [m], place of each position's user among those asked for.
        targets: (position, item, weight) of each target: int64 [k], int64 [k], float [k]; weights sum to 1 a position.
    """

    weight: "torch.nn.Parameter"
    bias: "torch.nn.Parameter"
    hidden: "torch.Tensor"
    logits: "torch.Tensor"
    share: "torch.Tensor"
    owner: "torch.Tensor"
    targets: "tuple[torch.Tensor, torch.Tensor, torch.Tensor]"
