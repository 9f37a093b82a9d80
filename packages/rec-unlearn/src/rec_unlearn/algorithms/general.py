"""Ways to unlearn that know nothing of recommenders: the entries of the NeurIPS 2023 competition, and simpler ones.

They train on a little with the users who stay, and against those who go. Settings are those of the code that goes with
arXiv 2508.17076, where it has the algorithm; of `Seif` those of ERASE (arXiv 2603.08341).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.algorithms.base import Access, Algorithm, Step, noise_seed, retained_users
from rec_unlearn.algorithms.gradients import (
    Mover,
    StepHistory,
    choose,
    differentiable,
    mode,
    outputs_of,
    summed_gradient,
)
from rec_unlearn.curvature import unflatten
from rec_unlearn.protocols import Differentiable, Recommender
from rec_unlearn.requests import Removal

__all__ = ["Fanchuan", "FineTune", "GradientAscent", "Kookmin", "NegGradPlus", "Seif"]

IntArray = NDArray[np.int32]


@dataclass(repr=False)
class _Training(Algorithm):
    """Common to all: an optimiser, kept over requests where `Access.state` says so, on the parameters in scope.

    Attributes:
        lr: Learning rate of Adam.
        retain: Users who stay, drawn for each request; what is left of the requesters is learned with them.
        batch_size: Users a step.
        scope: Which parameters move, see `gradients.choose`.
        norm_limit: A step so many times longer than the median of those before is undone.
    """

    lr: float = 1e-3
    retain: int = 128
    batch_size: int = 32
    scope: str | Sequence[str] = "all"
    norm_limit: float = 20.0

    mover_: Mover | None = field(default=None, init=False, repr=False)
    waiting_: dict[str, NDArray[Any]] | None = field(default=None, init=False, repr=False)
    history_: StepHistory = field(default_factory=StepHistory, init=False)

    def __post_init__(self) -> None:
        if not 0 < self.lr < np.inf or self.retain < 1 or self.batch_size < 1:
            raise ArgumentError(
                f"lr={self.lr}, retain={self.retain}, batch_size={self.batch_size}; "
                "expected a positive number, at least 1, and at least 1"
            )
        self.history_ = StepHistory(self.norm_limit)

    def apply(self, model: Recommender, removal: Removal, rng: np.random.Generator) -> Step:
        """Some steps of the optimiser; its state goes if they fail."""
        model = differentiable(model, self.name)
        parameters = choose(model, self.scope, removal.before.n_items)
        if self.mover_ is None or not self.access.state or not self.mover_.moves(parameters):
            self.mover_ = self._mover(parameters)
        mover = self.mover_
        if self.waiting_ is not None:
            mover.load(self.waiting_)
            self.waiting_ = None
        before = mover.steps
        try:
            with torch.enable_grad(), mover.measured() as distance, mode(model, training=True):
                facts = self._train(model, mover, removal, rng)
                norm = distance()
            self.history_.check(norm)
        except FloatingPointError:
            self.mover_ = None
            raise
        return Step(
            sum(p.numel() for p in parameters), norm, {"optimiser_steps": float(mover.steps - before), **(facts or {})}
        )

    def _mover(self, parameters: list[torch.nn.Parameter]) -> Mover:
        return Mover.adam(parameters, self.lr)

    def _train(
        self, model: Differentiable, mover: Mover, removal: Removal, rng: np.random.Generator
    ) -> dict[str, float] | None:
        raise NotImplementedError

    def state(self) -> dict[str, NDArray[Any]]:
        """Lengths of earlier steps, and the state of the optimiser where it is kept."""
        kept = {"norms": np.array(self.history_.norms)}
        if self.access.state and self.mover_ is not None:
            kept |= self.mover_.state()
        return kept

    def restore(self, state: dict[str, NDArray[Any]]) -> None:
        """Take back what `state` gave."""
        self.history_.norms = state["norms"].tolist()
        self.mover_ = None
        self.waiting_ = {name: value for name, value in state.items() if name != "norms"} or None

    def _staying(self, removal: Removal, rng: np.random.Generator) -> IntArray:
        """Users to learn from: some who lose nothing, and what is left of the requesters."""
        changed = np.setdiff1d(removal.users, removal.emptied_users)
        return np.concatenate([retained_users(removal, self.retain, rng), changed[: self.retain]]).astype(np.int32)

    def _repair(
        self, model: Differentiable, mover: Mover, removal: Removal, users: IntArray, rng: np.random.Generator
    ) -> None:
        """One pass over users in random batches."""
        shuffled = rng.permutation(users)
        for begin in range(0, len(users), self.batch_size):
            block = shuffled[begin : begin + self.batch_size]
            mover.step(model.losses(removal.after, block).mean())


@dataclass(repr=False)
class FineTune(_Training):
    """Train on with some users who stay, and hope that the others fade.

    Attributes:
        epochs: Passes over them.
    """

    epochs: int = 2

    name: ClassVar[str] = "fine-tune"
    access: ClassVar[Access] = Access(forgotten=False, retained="sample")

    def _train(self, model: Differentiable, mover: Mover, removal: Removal, rng: np.random.Generator) -> None:
        users = self._staying(removal, rng)
        for _ in range(self.epochs):
            self._repair(model, mover, removal, users, rng)


@dataclass(repr=False)
class GradientAscent(_Training):
    """Climb the loss of the rows that go; it has no end, so that `ascents` decides everything.

    Attributes:
        ascents: Steps a request.
    """

    lr: float = 1e-4
    ascents: int = 5

    name: ClassVar[str] = "gradient-ascent"
    access: ClassVar[Access] = Access()

    def _train(self, model: Differentiable, mover: Mover, removal: Removal, rng: np.random.Generator) -> None:
        for _ in range(self.ascents):
            mover.step(-model.losses(removal.before, removal.users).mean())


@dataclass(repr=False)
class NegGradPlus(_Training):
    """Descend the loss of users who stay while climbing that of the rows that go (Kurmanji et al. 2023).

    Attributes:
        alpha: Weight of the climb.
        epochs: Passes over the users who stay.
    """

    alpha: float = 0.1
    epochs: int = 2

    name: ClassVar[str] = "neg-grad-plus"
    access: ClassVar[Access] = Access(retained="sample")

    def _train(self, model: Differentiable, mover: Mover, removal: Removal, rng: np.random.Generator) -> None:
        users = self._staying(removal, rng)
        for _ in range(self.epochs):
            shuffled = rng.permutation(users)
            for begin in range(0, len(users), self.batch_size):
                stay = model.losses(removal.after, shuffled[begin : begin + self.batch_size]).mean()
                mover.step(stay - self.alpha * model.losses(removal.before, removal.users).mean())


@dataclass(repr=False)
class Kookmin(_Training):
    """Draw the weights anew on which users who stay and rows that go agree most, and repair with the former.

    The third prize of the competition, as in the code of arXiv 2508.17076: a weight's score is the distance of the two
    gradients; the share of lowest score is drawn anew, here from a normal distribution with the mean and deviation of
    its tensor; then it learns ten times faster than the others, and its optimiser state begins anew.

    Attributes:
        share: Of the weights that are drawn anew.
        faster: How much faster they learn.
        epochs: Of the repair.
    """

    lr: float = 1e-4
    share: float = 0.01
    faster: float = 10.0
    epochs: int = 5

    name: ClassVar[str] = "kookmin"
    access: ClassVar[Access] = Access(retained="sample", state=True)

    def _train(
        self, model: Differentiable, mover: Mover, removal: Removal, rng: np.random.Generator
    ) -> dict[str, float]:
        users = self._staying(removal, rng)
        with mode(model, training=False):
            stay = summed_gradient(model, removal.after, users, mover.parameters) / max(len(users), 1)
            gone = summed_gradient(model, removal.before, removal.users, mover.parameters) / len(removal.users)
        score = (stay - gone).abs()
        chosen = torch.zeros(len(score), dtype=torch.bool, device=score.device)
        chosen[score.argsort(stable=True)[: max(1, int(self.share * len(score)))]] = True
        masks = unflatten(chosen, mover.parameters)
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        self._draw(mover, masks, generator)
        for _ in range(self.epochs):
            shuffled = rng.permutation(users)
            for begin in range(0, len(users), self.batch_size):
                old = [parameter.detach().clone() for parameter in mover.parameters]
                mover.step(model.losses(removal.after, shuffled[begin : begin + self.batch_size]).mean())
                with torch.no_grad():
                    for parameter, was, mask in zip(mover.parameters, old, masks, strict=True):
                        parameter.add_((parameter - was) * mask, alpha=self.faster - 1)
        return {"drawn_anew": float(chosen.sum())}

    @staticmethod
    @torch.no_grad()
    def _draw(mover: Mover, masks: list[torch.Tensor], generator: torch.Generator) -> None:
        for parameter, mask in zip(mover.parameters, masks, strict=True):
            deviation = parameter.std() if parameter.numel() > 1 else torch.zeros_like(parameter.mean())
            fresh = torch.randn(parameter.shape, generator=generator).to(parameter) * deviation + parameter.mean()
            parameter.copy_(torch.where(mask, fresh, parameter))
            state = mover.optimiser.state.get(parameter, {})
            for name in ("exp_avg", "exp_avg_sq"):
                if name in state:
                    state[name].masked_fill_(mask, 0.0)


@dataclass(repr=False)
class Fanchuan(_Training):
    """Make outputs for the rows that go uniform, push them from those of users who stay, and repair in between.

    The first prize of the competition, as in the code of arXiv 2508.17076: one step a request towards the uniform
    distribution; then rounds of one contrastive step, minus the mean log-softmax of the similarities of outputs for
    rows that go to outputs of users who stay, over a temperature, and some steps on users who stay. Outputs are
    compared after centring and scaling to length one, as the number of items would saturate the softmax otherwise.

    Attributes:
        rounds: How often both are done.
        repairs: Steps on users who stay in each round; the code takes 10, which overwrites a model in tens of requests.
        contrast: Users to compare with in each round.
        temperature: Of the softmax.
    """

    batch_size: int = 16
    rounds: int = 8
    repairs: int = 1
    contrast: int = 16
    temperature: float = 1.15

    name: ClassVar[str] = "fanchuan"
    access: ClassVar[Access] = Access(retained="sample", state=True)

    def _train(self, model: Differentiable, mover: Mover, removal: Removal, rng: np.random.Generator) -> None:
        outputs = outputs_of(model, self.name)
        users = self._staying(removal, rng)
        values, _ = outputs(removal.before, removal.users)
        if not len(values) or not len(users):
            return
        mover.step(-values.log_softmax(-1).mean())
        for _ in range(self.rounds):
            near = rng.choice(users, min(self.contrast, len(users)), replace=False)
            gone = _directions(outputs(removal.before, removal.users)[0])
            stay = _directions(outputs(removal.after, near)[0])
            if len(stay):
                mover.step(-(gone @ stay.T / self.temperature).log_softmax(1).mean())
            for _ in range(self.repairs):
                batch = rng.choice(users, min(self.batch_size, len(users)), replace=False)
                mover.step(model.losses(removal.after, batch).mean())


@dataclass(repr=False)
class Seif(_Training):
    """Add noise to the weights, and repair with users who stay.

    The entry of the team Seif to the competition, with the settings of ERASE, and from a port of its code: noise with a
    standard deviation in proportion to each weight, on embeddings and output layer; then training on, by gradient
    descent with momentum, in which targets that go count little; before the last epoch, a breath of noise again.

    The competition forgot once. Here requests follow one another, and noise falls on noise: with the published std=.6,
    lr=7e-4 one request took nDCG@10 on 1,500 users of Ta-Feng from .130 to .106 on a GRU, and thirty took it to .003.
    With std=.1 thirty add up to about the published noise once; but at the published rate four epochs on 128 users
    repair hardly anything (nDCG .119, share of users shown the spam .085). With .01 these are .144 and .013, and the
    agreement with the model trained again is .675, of fine-tuning .753: the training forgets, the noise costs.

    Attributes:
        std: Of the noise at first, as a multiple of a weight's size.
        last_std: Of the noise before the last epoch.
        epochs: Of the repair.
        forget_weight: How much an interaction counts in the repair whose item is among those that go; a user counts as
            the mean of theirs.
        momentum: Of the repair.
        weight_decay: Of the repair.
    """

    lr: float = 1e-2
    std: float = 0.1
    last_std: float = 0.005
    epochs: int = 4
    forget_weight: float = 0.05
    momentum: float = 0.9
    weight_decay: float = 5e-4

    name: ClassVar[str] = "seif"
    access: ClassVar[Access] = Access(retained="sample")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("std", "last_std", "epochs", "momentum", "weight_decay"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ArgumentError(f"{name}={getattr(self, name)}; expected at least 0")
        if not 0 < self.forget_weight <= 1:
            raise ArgumentError(f"forget_weight={self.forget_weight}; expected above 0, and at most 1")

    def _mover(self, parameters: list[torch.nn.Parameter]) -> Mover:
        sgd = torch.optim.SGD(parameters, lr=self.lr, momentum=self.momentum, weight_decay=self.weight_decay)
        return Mover(parameters, sgd)

    def _train(self, model: Differentiable, mover: Mover, removal: Removal, rng: np.random.Generator) -> None:
        users = self._staying(removal, rng)
        generator = torch.Generator().manual_seed(noise_seed(removal, rng))
        weights = self._weights(removal, users)
        erased = {id(parameter) for parameter in choose(model, "items", removal.before.n_items)}
        noisy = [parameter for parameter in mover.parameters if id(parameter) in erased]
        _add_noise(noisy, self.std, generator)
        for epoch in range(self.epochs):
            if epoch and epoch == self.epochs - 1:
                _add_noise(noisy, self.last_std, generator)
            order = rng.permutation(len(users))
            for begin in range(0, len(users), self.batch_size):
                block = order[begin : begin + self.batch_size]
                losses = model.losses(removal.after, users[block])
                weight = torch.from_numpy(weights[block]).to(losses)
                mover.step((weight * losses).sum() / weight.sum())

    def _weights(self, removal: Removal, users: IntArray) -> NDArray[np.float64]:
        """How much each user counts [n]."""
        goes = np.zeros(removal.before.n_items)
        goes[removal.forgotten.item] = 1
        rows = removal.after.matrix(users)
        share = (rows @ goes) / np.maximum(rows.sum(axis=1), 1)
        return np.asarray(1 - (1 - self.forget_weight) * share)


@torch.no_grad()
def _add_noise(parameters: list[torch.nn.Parameter], std: float, generator: torch.Generator) -> None:
    """Noise in proportion to each number."""
    for parameter in parameters:
        parameter.add_(std * torch.randn(parameter.shape, generator=generator).to(parameter) * parameter.abs())


def _directions(values: torch.Tensor) -> torch.Tensor:
    flat = values.reshape(len(values), -1)
    return torch.nn.functional.normalize(flat - flat.mean(1, keepdim=True), dim=1)
