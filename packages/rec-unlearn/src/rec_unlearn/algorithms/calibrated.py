"""The influence step with a calibrated length: the user's loss rises to what it is for users never seen."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.algorithms.base import Access, Algorithm, NotApplicableError, Step
from rec_unlearn.algorithms.gradients import StepHistory, choose, differentiable, mode, move
from rec_unlearn.algorithms.scif import Scif
from rec_unlearn.data import Interactions
from rec_unlearn.protocols import Differentiable, Recommender
from rec_unlearn.requests import Removal

__all__ = ["Calibrated"]

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float64]
GAPS = ("influence", "average", "half-models", "reference")
Train = Callable[[Interactions], Differentiable]


@dataclass(repr=False)
class Calibrated(Algorithm):
    """Direction from the curvature, length from the gap between users seen and not seen in training.

    The influence step of `Scif` says in which direction a user leaves the model, but not how far: after a few epochs
    of Adam the parameters are no optimum. Here the length is found by doubling and bisection, forward passes on the
    user alone, so that the user's loss rises by the gap g(u) above what it was before the first request. A user whose
    loss is there already moves nothing; where only some rows go, so does only their share of the gap.

    Attributes:
        gap: Where g(u) comes from. "influence": the rise that the influence step itself predicts for u, times one
            number by which it falls short on average, measured once on random users by a second training without
            them; a user who is like many others has a small gap. "average": the same for all, measured in that way.
            "half-models": two more trainings, on either half of the users; g(u) is what the half without u loses on u
            against the one with u, scaled to the average gap. "reference": the loss of u under a model that never saw
            u, given as `reference`; for experiments. A number: itself, in nats.
        held_out: Share of the users left out to measure the average.
        probes: Of these, on how many the influence is measured.
        relative, damping, steps, retain, scope, curvature: As of `Scif`.
        cap: Longest step, as a multiple of the one that `Scif` makes; requests of one campaign have one direction, and
            their lengths add up.
        bisections: After the doubling.
        norm_limit: A step so many times longer, a requester, than the median of those before is undone.
        train: From a log to a model trained on it as the deployed one was; by default a copy of the model is fitted
            with `fit(log, seed=seed_)`.
        reference: For "reference".
    """

    gap: str | float = "influence"
    held_out: float = 0.05
    probes: int = 32
    relative: float = 2.0
    damping: float | None = None
    steps: int = 8
    retain: int = 32
    scope: Any = "items"
    curvature: str = "auto"
    cap: float = 16.0
    bisections: int = 6
    norm_limit: float = 100.0
    train: Train | None = field(default=None, repr=False)
    reference: Recommender | None = field(default=None, repr=False)

    base_: FloatArray | None = field(default=None, init=False)
    gaps_: FloatArray | None = field(default=None, init=False)
    ratio_: float = field(default=1.0, init=False)
    influence_: Scif = field(default_factory=Scif, init=False, repr=False)
    history_: StepHistory = field(default_factory=StepHistory, init=False)

    name: ClassVar[str] = "calibrated"
    access: ClassVar[Access] = Access(retained="sample", models=1, state=True)

    def __post_init__(self) -> None:
        if isinstance(self.gap, str) and self.gap not in GAPS:
            raise ArgumentError(f"gap={self.gap!r}; expected {', '.join(GAPS)} or a number")
        if (self.gap == "reference") != (self.reference is not None):
            raise ArgumentError("gap='reference' and a reference model go together")
        if not 0 < self.held_out < 1 or not self.cap > 0:
            raise ArgumentError(f"held_out={self.held_out}, cap={self.cap}; expected a share, and a positive number")
        self.influence_ = Scif(self.relative, self.damping, self.steps, self.retain, self.curvature, self.scope)
        self.history_ = StepHistory(self.norm_limit)

    def settings(self) -> dict[str, Any]:
        """The settings that are plain values."""
        return {name: value for name, value in super().settings().items() if name not in ("train", "reference")}

    def prepare(self, model: Recommender, log: Interactions, rng: np.random.Generator) -> None:
        """Keep every user's loss, and measure the gap: one further training, or three with "half-models".

        Raises:
            NotApplicableError: The model has no `fit` to train a second one with, and `train` is not given.
        """
        self._prepare(differentiable(model, self.name), log, log.active_users, rng)

    @property
    def prepared(self) -> bool:
        """Whether the users' losses are there."""
        return self.base_ is not None

    def _prepare(self, model: Differentiable, log: Interactions, pool: IntArray, rng: np.random.Generator) -> None:
        base = _losses(model, log, log.active_users)
        self.influence_.prepare(model, log, rng)
        if not isinstance(self.gap, str):
            self.gaps_ = np.full(log.n_users, float(self.gap))
        elif self.gap != "reference":
            out = rng.choice(pool, max(1, round(self.held_out * len(pool))), replace=False)
            unseen = self._trained(model, log, np.setdiff1d(log.active_users, out))
            rises = _losses(unseen, log, np.sort(out))[out] - base[out]
            average = float(np.mean(rises))
            self.gaps_ = np.full(log.n_users, max(average, 0.0))
            if self.gap == "influence":
                probes = out[: self.probes]
                predicted = np.mean([self._predicted(model, log, int(user), rng) for user in probes])
                self.ratio_ = max(float(np.mean(rises[: self.probes]) / predicted), 0.0) if predicted > 0 else 0.0
            if self.gap == "half-models":
                self.gaps_ = self._half_models(model, log, average, rng)
        self.base_ = base

    def _predicted(self, model: Differentiable, log: Interactions, user: int, rng: np.random.Generator) -> float:
        """The rise of a user's loss by the influence step of their account."""
        with mode(model, training=False):
            parameters = choose(model, self.scope, log.n_items)
            removal = Removal(log, log.user == user)
            return self.influence_.direction(model, removal, parameters, rng).influence / len(log.active_users)

    def _half_models(
        self, model: Differentiable, log: Interactions, average: float, rng: np.random.Generator
    ) -> FloatArray:
        users = log.active_users
        first = np.isin(np.arange(log.n_users), rng.choice(users, len(users) // 2, replace=False))
        one, other = (self._trained(model, log, users[first[users] == half]) for half in (True, False))
        losses = [_losses(half, log, users) for half in (one, other)]
        gaps = np.where(first, losses[1] - losses[0], losses[0] - losses[1])
        mean = float(np.mean(gaps[users]))
        # Fewer users are remembered better: the mean is brought to that of the whole log.
        scale = max(average, 0.0) / mean if mean > 0 else 0.0
        return np.asarray(np.maximum(gaps * scale, 0.0))

    def _trained(self, model: Differentiable, log: Interactions, users: IntArray) -> Differentiable:
        part = log.of_users(users)
        if self.train is not None:
            return self.train(part)
        if not hasattr(model, "fit"):
            raise NotApplicableError(
                f"{self.name} trains a second model: {type(model).__name__} has no fit(log, seed=...); "
                "give train=, or a number for gap"
            )
        other: Any = copy.deepcopy(model)
        other.fit(part, seed=getattr(model, "seed_", 0))
        return differentiable(other, self.name)

    def apply(self, model: Recommender, removal: Removal, rng: np.random.Generator) -> Step:
        """One step for all rows of the request; prepares first, without the requesters, if that was not done."""
        model = differentiable(model, self.name)
        log, users = removal.before, removal.users
        if self.base_ is None or len(self.base_) != log.n_users:
            self._prepare(model, log, np.setdiff1d(log.active_users, users), rng)
        with mode(model, training=False):
            parameters = choose(model, self.scope, log.n_items)
            n = len(log.active_users)
            solution, damping, influence = self.influence_.direction(model, removal, parameters, rng)
            now, target = self._now(model, removal), self._target(model, removal, influence / n / len(users))
            facts = {"loss": now, "target": target, "length": 0.0}
            if now >= target:
                self._keep_base(model, removal)
                return Step(0, 0.0, facts)
            unit = solution.x / n
            length, reached = self._length(model, removal, parameters, unit, target)
            norm = length * float(unit.norm())
            self.history_.check(norm / len(users))
            move(parameters, length * unit)
            self._keep_base(model, removal)
        facts |= {"length": length, "reached": reached, "cg_steps": solution.steps, "damping": damping}
        return Step(len(unit), norm, facts)

    def _now(self, model: Differentiable, removal: Removal) -> float:
        return float(np.mean(_losses(model, removal.before, removal.users)[removal.users]))

    def _target(self, model: Differentiable, removal: Removal, influence: float) -> float:
        users = removal.users
        gone = np.bincount(removal.forgotten.user, minlength=removal.before.n_users)[users]
        share = gone / np.diff(removal.before.user_offsets)[users]
        base = self.base_[users] if self.base_ is not None else np.zeros(len(users))
        # Users who came after `prepare` start from their present loss.
        base = np.where(np.isnan(base), _losses(model, removal.before, users)[users], base)
        if self.gap == "influence":
            # What is predicted is already of the rows that go.
            return float(np.mean(base)) + self.ratio_ * influence
        if self.reference is not None:
            reference = differentiable(self.reference, self.name)
            gap = _losses(reference, removal.before, users)[users] - base
        else:
            gap = self.gaps_[users] if self.gaps_ is not None else np.zeros(len(users))
        return float(np.mean(base + share * gap))

    def _length(
        self,
        model: Differentiable,
        removal: Removal,
        parameters: list[torch.nn.Parameter],
        unit: torch.Tensor,
        target: float,
    ) -> tuple[float, float]:
        """The multiple of `unit` at which the loss reaches the target, at most `cap`; and the loss there."""
        start = [parameter.detach().clone() for parameter in parameters]

        def loss_at(length: float) -> float:
            move(parameters, length * unit)
            try:
                return self._now(model, removal)
            finally:
                with torch.no_grad():
                    for parameter, old in zip(parameters, start, strict=True):
                        parameter.copy_(old)

        low, high = 0.0, min(1.0, self.cap)
        reached = loss_at(high)
        while reached < target and high < self.cap:
            low, high = high, min(2 * high, self.cap)
            reached = loss_at(high)
        if reached < target:
            return high, reached
        for _ in range(self.bisections):
            middle = (low + high) / 2
            there = loss_at(middle)
            if there < target:
                low = middle
            else:
                high, reached = middle, there
        return high, reached

    def _keep_base(self, model: Differentiable, removal: Removal) -> None:
        """What is kept of users who left goes with them; of the others it is of the rows that they have now."""
        if self.base_ is None:
            return
        self.base_[removal.users] = np.nan
        stay = np.setdiff1d(removal.users, removal.emptied_users)
        self.base_[stay] = _losses(model, removal.after, stay)[stay]
        if self.gaps_ is not None and isinstance(self.gap, str):
            self.gaps_[removal.emptied_users] = np.nan


@torch.no_grad()
def _losses(model: Differentiable, log: Interactions, users: IntArray) -> FloatArray:
    """Loss of each user, at its code: float64 [n_users], NaN for others than `users`.

    Raises:
        FloatingPointError: One is infinite or NaN.
    """
    losses = np.full(log.n_users, np.nan)
    with mode(model, training=False):
        for begin in range(0, len(users), 512):
            block = users[begin : begin + 512]
            losses[block] = model.losses(log, block).double().cpu().numpy()
    if not np.isfinite(losses[users]).all():
        raise FloatingPointError("the loss of a user is infinite or NaN")
    return losses
