"""Influence steps with Gaussian noise on top, which graph networks know as certified unlearning."""

from dataclasses import dataclass
from math import inf, log, sqrt
from typing import ClassVar

import numpy as np
import torch

from irworks.errors import ArgumentError
from rec_unlearn.algorithms.base import noise_seed
from rec_unlearn.algorithms.gradients import removal_gradient
from rec_unlearn.algorithms.scif import Influence
from rec_unlearn.protocols import Differentiable
from rec_unlearn.requests import Removal

__all__ = ["Ceu", "Idea"]


@dataclass(repr=False)
class Ceu(Influence):
    """Certified edge unlearning (Wu et al. 2023, KDD, doi 10.1145/3580305.3599271): noise on the influence.

    theta += ((C + damping I)^-1 v + noise) / n, see `Influence`. ERASE takes damping .01, 100 steps and 1,024 users,
    with which a request costs seven times a training here (1,500 users of Ta-Feng, a GRU, 29 steps until the residual
    is 1e-6) and moves to the same place: agreement with the untouched model .993, with 8 steps on 32 users .992. Its
    code, as far as it could be read, divides by the rows of the request, not by n, and subtracts where this adds, which
    lowers the loss of the rows that go; neither is done here.

    Nothing is certified: the loss of a network is not convex, and the fact `epsilon`, what the Gaussian mechanism would
    promise if the model trained again were no further away than the step is long, is in the thousands, where about 1 is
    a promise. ERASE's epsilon .1 is printed there and enters nothing, so that there is none here.

    Attributes:
        sigma: Standard deviation of the noise on the influence, as published; that of a parameter is sigma / n, a
            thousandth of a weight in the measurement above.
        delta: Chance that the promise of the Gaussian mechanism fails, for the fact `epsilon`.
    """

    sigma: float = 0.1
    delta: float = 0.01

    name: ClassVar[str] = "ceu"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.sigma, self.delta)

    def _finish(
        self,
        change: torch.Tensor,
        damping: float,
        model: Differentiable,
        removal: Removal,
        parameters: list[torch.nn.Parameter],
        rng: np.random.Generator,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        deviation = self.sigma / len(removal.before.active_users)
        facts = _facts(float(change.norm()), deviation, self.delta)
        return change + _normal(change, deviation, noise_seed(removal, rng)), facts


@dataclass(repr=False)
class Idea(Influence):
    """IDEA (Dong et al. 2024, KDD, arXiv 2407.19398): a bounded step, and noise that its bound asks for.

    Where the mean loss is convex, with a curvature of at least the damping, neither the optimum without the rows nor
    the step reaches further than |v| / (damping n): to this the step is cut, and the fact `bound`, it and the length of
    the step together, limits the distance between the two. Noise with a standard deviation of
    bound sqrt(2 ln(1.25 / delta)) / epsilon hides that distance (the Gaussian mechanism).

    The loss of a network is not convex, and that noise destroys it. On 1,500 users of Ta-Feng one request took nDCG@10
    from .130 to .003 on a GRU and from .105 to .002 on attention, with the published epsilon=.1, delta=.01; with
    ERASE's other setting, sigma=.1, which is as large as a weight, to .128 and .066, and on the GRU to .085 after 30
    requests. So that the noise is short by default, and promises nothing: the fact `epsilon` says how little. ERASE
    solves by a series that diverges where an eigenvalue is above twice the damping, divides where the mechanism
    multiplies by the root, moves against the direction that forgets, and trains on afterwards; none of it is done here.

    Attributes:
        noise: Length of the noise, as a multiple of that of the step.
        sigma: In its place, the standard deviation of the noise in a parameter.
        epsilon: In place of both, what the Gaussian mechanism is to promise.
        delta: Chance that the promise fails.
    """

    noise: float = 0.1
    sigma: float | None = None
    epsilon: float | None = None
    delta: float = 0.01

    name: ClassVar[str] = "idea"

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.noise if self.sigma is None else self.sigma, self.delta, "noise" if self.sigma is None else "sigma")
        if self.epsilon is not None and not self.epsilon > 0:
            raise ArgumentError(f"epsilon={self.epsilon}; expected a positive number")

    def _finish(
        self,
        change: torch.Tensor,
        damping: float,
        model: Differentiable,
        removal: Removal,
        parameters: list[torch.nn.Parameter],
        rng: np.random.Generator,
    ) -> tuple[torch.Tensor, dict[str, float]]:
        gradient = float(removal_gradient(model, removal, parameters).norm())
        longest = gradient / damping / max(len(removal.after.active_users), 1)
        length = float(change.norm())
        if length > longest:
            change, length = change * (longest / length), longest
        bound = longest + length
        deviation = self.noise * length / sqrt(len(change)) if self.sigma is None else self.sigma
        if self.epsilon is not None:
            deviation = bound * _factor(self.delta) / self.epsilon
        facts = {"longest": longest, "bound": bound} | _facts(bound, deviation, self.delta)
        return change + _normal(change, deviation, noise_seed(removal, rng)), facts


def _check(sigma: float, delta: float, name: str = "sigma") -> None:
    if not 0 <= sigma < inf or not 0 < delta < 1:
        raise ArgumentError(f"{name}={sigma}, delta={delta}; expected at least 0, and between 0 and 1")


def _normal(like: torch.Tensor, deviation: float, seed: int) -> torch.Tensor:
    """Noise [p], drawn on the processor, so that a seed means the same everywhere."""
    generator = torch.Generator().manual_seed(seed)
    return deviation * torch.randn(like.shape, generator=generator, dtype=like.dtype).to(like.device)


def _factor(delta: float) -> float:
    """Standard deviation that the Gaussian mechanism asks for, for a distance of 1 and epsilon = 1."""
    return sqrt(2 * log(1.25 / delta))


def _facts(distance: float, deviation: float, delta: float) -> dict[str, float]:
    return {"sigma": deviation, "epsilon": distance * _factor(delta) / deviation if deviation else inf}
