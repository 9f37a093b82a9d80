"""Training by several processes: each has a share of every batch, and gradients are added up.

Not by wrapping the network, as a loss here asks it in more ways than one `forward`: what is shared is the loss.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from irworks.errors import MissingDependencyError

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Share", "make_accelerator"]

IntArray = NDArray[np.int32]


class Share:
    """What this process has of the work.

    Args:
        accelerator: Of `accelerate`, in each of the processes; None: there is one process.
    """

    def __init__(self, accelerator: "Accelerator | None" = None) -> None:
        self.accelerator = accelerator if accelerator is not None and accelerator.num_processes > 1 else None

    @property
    def first(self) -> bool:
        """Whether this process speaks for all."""
        return self.accelerator is None or bool(self.accelerator.is_main_process)

    def of(self, users: IntArray) -> IntArray:
        """This process's users of a batch; perhaps none."""
        if self.accelerator is None:
            return users
        return users[self.accelerator.process_index :: self.accelerator.num_processes]

    def add_up(self, parameters: Sequence[torch.nn.Parameter], loss: torch.Tensor) -> torch.Tensor:
        """Add the processes' gradients up, in place, and return the sum of their losses.

        A parameter that has no gradient in any process has none afterwards: an optimiser passes it by, as it would if
        there were one process.
        """
        if self.accelerator is None:
            return loss
        has = torch.tensor([float(one.grad is not None) for one in parameters]).to(loss)
        grads = [(one if one.grad is None else one.grad).detach().reshape(-1) for one in parameters]
        # One message for all. What has no gradient adds nothing.
        mine = torch.cat([loss.reshape(1), has, *(grad * flag for grad, flag in zip(grads, has, strict=True))])
        total: torch.Tensor = self.accelerator.reduce(mine, "sum")
        place = 1 + len(has)
        for parameter, flag in zip(parameters, total[1:place].tolist(), strict=True):
            end = place + parameter.numel()
            parameter.grad = total[place:end].view_as(parameter).clone() if flag else None
            place = end
        return total[0]

    def agreed(self, value: float) -> float:
        """The mean of a number over processes, so that all decide the same."""
        if self.accelerator is None:
            return value
        return float(self.accelerator.reduce(torch.tensor(value, device=self.accelerator.device), "mean"))


def make_accelerator(device: str) -> "Accelerator":
    """What `accelerate launch`, or torchrun, started this process for.

    Args:
        device: As of `TrainConfig`; "cpu" stays there, for all else it chooses.

    Raises:
        MissingDependencyError: The library is not installed.
    """
    try:
        from accelerate import Accelerator
    except ImportError:
        raise MissingDependencyError("accelerate", "training by several processes", "rec-unlearn[accelerate]") from None
    return Accelerator(cpu=device == "cpu")
