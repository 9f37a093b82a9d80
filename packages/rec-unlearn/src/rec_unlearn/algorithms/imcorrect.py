"""Correcting the matrix that maps hidden states to items."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch

from irworks.errors import ArgumentError
from rec_unlearn.algorithms.base import Access, Algorithm, Step, retained_users
from rec_unlearn.algorithms.block import output_layer_of
from rec_unlearn.algorithms.gradients import StepHistory, mode
from rec_unlearn.protocols import Recommender
from rec_unlearn.requests import Removal

__all__ = ["ImCorrect"]


@dataclass(repr=False)
class ImCorrect(Algorithm):
    """Interaction and mapping correction (Liu et al. 2023, arXiv 2307.15960), read for an output layer.

    The method corrects the mapping matrix of a linear recommender, so that what was removed from the interactions is
    also gone from the predictions made of them. Here the mapping is the output layer: where an item that goes was a
    target, its logit falls to the item's mean logit over users who stay; where it was not, for those users, it stays;
    both in least squares, one ridge regression for all rows. Only rows of items that go change.

    Attributes:
        strength: How much of the fall is asked for.
        ridge: Penalty on the change of a row, as a multiple of the mean squared hidden state.
        retain: Users who stay.
        norm_limit: A step so many times longer, a requester, than the median of those before is undone.
    """

    strength: float = 1.0
    ridge: float = 1e-2
    retain: int = 128
    norm_limit: float = 20.0

    history_: StepHistory = field(default_factory=StepHistory, init=False)

    name: ClassVar[str] = "imcorrect"
    access: ClassVar[Access] = Access(retained="sample")

    def __post_init__(self) -> None:
        if not self.strength > 0 or not self.ridge > 0 or self.retain < 1:
            raise ArgumentError(f"strength={self.strength}, ridge={self.ridge}, retain={self.retain}; expected above 0")
        self.history_ = StepHistory(self.norm_limit)

    def apply(self, model: Recommender, removal: Removal, rng: np.random.Generator) -> Step:
        """One regression for all rows of the request."""
        model = output_layer_of(model, self.name)
        users = retained_users(removal, self.retain, rng)
        with mode(model, training=False), torch.no_grad():
            gone = model.output_layer(removal.before, removal.users)
            stay = model.output_layer(removal.after, users)
            items = torch.from_numpy(np.unique(removal.forgotten.item)).to(gone.weight.device).long()
            position, item, _ = gone.targets
            column = torch.full((len(gone.weight),), -1, device=items.device)
            column[items] = torch.arange(len(items), device=items.device)
            wanted = column[item] >= 0
            position, item = position[wanted], item[wanted]
            # A user's position with an item that stays with them keeps its logit; of the others the fall is asked.
            mean = stay.logits[:, items].mean(0) if len(stay.logits) else gone.logits[:, items].mean(0)
            fall = gone.logits.new_zeros(len(gone.hidden), len(items))
            fall[position, column[item]] = (mean[column[item]] - gone.logits[position, item]).clamp(max=0.0)
            inputs = torch.cat([stay.hidden, gone.hidden])
            square = inputs.T @ inputs
            square += self.ridge * inputs.square().sum() * torch.eye(len(square), device=items.device) / len(square)
            change = self.strength * torch.linalg.solve(square, gone.hidden.T @ fall).T
            norm = float(change.norm())
            self.history_.check(norm / len(removal.users))
            gone.weight[items] += change
        return Step(change.numel(), norm, {"rows": float(len(items))})
