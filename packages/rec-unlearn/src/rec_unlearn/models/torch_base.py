"""What all PyTorch models of the package share: training, scores in blocks, one file on disk."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from irworks.runtime import progress
from irworks.runtime.hardware import device as choose_device
from rec_unlearn.data import Interactions, Split
from rec_unlearn.data.fingerprint import Fingerprint
from rec_unlearn.models.base import NotFittedError, NothingToLearnError, Saved
from rec_unlearn.models.distributed import Share
from rec_unlearn.protocols import Outputs

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["NotFittedError", "NothingToLearnError", "TorchRecommender", "TrainConfig", "TrainingError"]

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.floating]


class TrainingError(ArgumentError):
    """Training arrived at numbers that are not finite."""


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained.

    Attributes:
        epochs: Passes over the users.
        lr: Learning rate of Adam.
        batch_size: Users a step.
        weight_decay: Decoupled, as in AdamW.
        patience: Stop after so many epochs without a better validation nDCG@10; needs `validation`.
        device: "auto", "cpu", "cuda", ...; see `irworks.runtime.device`.
    """

    epochs: int = 4
    lr: float = 3e-3
    batch_size: int = 64
    weight_decay: float = 0.0
    patience: int | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, value in (("epochs", self.epochs), ("batch_size", self.batch_size)):
            if value < 1:
                raise ArgumentError(f"{name}={value}; expected at least 1")
        if not 0 < self.lr < np.inf:
            raise ArgumentError(f"lr={self.lr}; expected a positive number")


class TorchRecommender(Saved, ABC):
    """Base of the package's PyTorch models; of one's own, only `rec_unlearn.protocols` is asked.

    Attributes:
        module_: The trained network.
        seed_: What it was trained with.
        sizes_: Number of users and items of the log that it was trained on.
        history_: A row an epoch: its mean loss, and nDCG@10 where a validation split was given.
    """

    task: ClassVar[str]
    module_: torch.nn.Module
    seed_: int
    sizes_: tuple[int, int]
    history_: list[dict[str, float]]

    def __init__(self, train: TrainConfig | None = None) -> None:
        self.train = train or TrainConfig()

    @abstractmethod
    def _build(self, log: Interactions) -> torch.nn.Module:
        """A network with fresh weights, drawn from torch's global generator."""

    @abstractmethod
    def outputs(self, log: Interactions, users: IntArray) -> Outputs:
        """As `rec_unlearn.protocols.WithOutputs.outputs`."""

    @abstractmethod
    def _score_block(self, log: Interactions, users: IntArray) -> torch.Tensor:
        """Scores [n, n_items] of a block of users."""

    def settings(self) -> dict[str, Any]:
        """The arguments that build this model again, for its file."""
        return {"train": asdict(self.train)}

    @property
    def module(self) -> torch.nn.Module:
        """The trained network.

        Raises:
            NotFittedError: There is none yet.
        """
        if not hasattr(self, "module_"):
            raise NotFittedError(f"{type(self).__name__} is not trained yet; call fit first")
        return self.module_

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.module.parameters()).device

    def parameters(self) -> Sequence[torch.nn.Parameter]:
        """All weights of the network."""
        return list(self.module.parameters())

    def losses(self, log: Interactions, users: IntArray) -> torch.Tensor:
        """As `rec_unlearn.protocols.Differentiable.losses`."""
        values, losses = self.outputs(log, users)
        return losses(values)

    @torch.no_grad()
    def scores(self, log: Interactions, users: IntArray) -> FloatArray:
        """As `rec_unlearn.protocols.Recommender.scores`; float32."""
        self.module.eval()
        blocks = [self._score_block(log, block).cpu().numpy() for block in _blocks(np.asarray(users), 512)]
        return np.concatenate(blocks) if blocks else np.zeros((0, log.n_items), dtype=np.float32)

    def start(self, log: Interactions, *, seed: int = 0) -> Self:
        """Give the network fresh weights, as `fit` does before its first epoch."""
        place = choose_device(self.train.device)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.module_ = self._build(log).to(place)
        self.seed_, self.history_, self.fingerprint_ = seed, [], None
        self.sizes_ = (log.n_users, log.n_items)
        return self

    def fit(
        self,
        log: Interactions,
        *,
        seed: int = 0,
        validation: Split | None = None,
        accelerator: "Accelerator | None" = None,
    ) -> Self:
        """Train from fresh weights.

        The same seed gives the same start, and the same users in nearly the same order, whether or not some of them
        were removed: what differs between two trainings is what they were trained on.

        Args:
            log: What to learn from.
            seed: Of the weights and of the order of users.
            validation: What to choose the number of epochs by; the epoch of the best nDCG@10 is kept.
            accelerator: An `accelerate.Accelerator`, which then chooses the device: call `fit` with the same arguments
                in every process that `accelerate launch` or torchrun started. Each has the whole model and a share of
                the users of every batch; `batch_size` is that of all together, and weights are the same everywhere,
                those of one process up to rounding (and dropout).

        Raises:
            NothingToLearnError: The log has no steps that follow one another.
            TrainingError: The loss became infinite or NaN.
        """
        if self.task != "cf" and not log.has_order:
            raise NothingToLearnError(type(self).__name__, log.name)
        self.start(log, seed=seed)
        if accelerator is not None:
            self.module_.to(accelerator.device)
        return self.resume(log, validation=validation, accelerator=accelerator)

    def resume(
        self,
        log: Interactions,
        *,
        epochs: int | None = None,
        seed: int | None = None,
        validation: Split | None = None,
        accelerator: "Accelerator | None" = None,
    ) -> Self:
        """Train on from the weights that there are, with a fresh optimiser; arguments as of `fit`."""
        from rec_unlearn.evaluate import ndcg

        config, seed, share = self.train, self.seed_ if seed is None else seed, Share(accelerator)
        optimiser = torch.optim.AdamW(
            self.module.parameters(),
            lr=config.lr,
            weight_decay=config.weight_decay,
            # One pass over memory: eight times faster on a CPU, where a large catalogue makes the step dear.
            fused=self.device.type in ("cpu", "cuda"),
        )
        best: tuple[float, dict[str, torch.Tensor]] | None = None
        waited = 0
        numbers = range(epochs or config.epochs)
        for epoch in progress(numbers, "epochs") if share.first else numbers:
            row = {"loss": self._epoch(log, optimiser, seed, epoch, share)}
            self.history_.append(row)
            if validation is None:
                continue
            row["nDCG@10"] = share.agreed(float(np.mean(ndcg(self, validation))))
            if best is None or row["nDCG@10"] > best[0]:
                state = {name: value.detach().clone() for name, value in self.module.state_dict().items()}
                best, waited = (row["nDCG@10"], state), 0
            else:
                waited += 1
            if config.patience is not None and waited >= config.patience:
                break
        if best is not None:
            self.module.load_state_dict(best[1])
        self.module.eval()
        self.fingerprint_ = Fingerprint.of(log)
        return self

    def _epoch(self, log: Interactions, optimiser: torch.optim.Optimizer, seed: int, epoch: int, share: Share) -> float:
        self.module.train()
        total = 0.0
        users = user_order(log.active_users, seed, epoch)
        for block in _blocks(users, self.train.batch_size):
            optimiser.zero_grad()
            mine = share.of(block)
            loss = torch.zeros((), device=self.device)
            if len(mine):
                loss = self.losses(log, mine).mean() * (len(mine) / len(block))
            if loss.requires_grad:
                loss.backward()  # type: ignore[no-untyped-call]
            summed = share.add_up(self.parameters(), loss.detach())
            if not torch.isfinite(summed):
                raise TrainingError(
                    f"{type(self).__name__}: the loss is {summed.item()} in epoch {epoch + 1}; lower lr"
                )
            optimiser.step()
            total += float(summed) * len(block)
        if not total:
            raise ArgumentError(f"{log.name} has nothing to learn from: the loss is 0 for everybody")
        return total / len(users)

    def with_config(self, **changes: Any) -> Self:
        """The same kind of model, untrained, with other training settings."""
        settings = self.settings()
        settings["train"] = asdict(replace(self.train, **changes))
        return type(self).from_settings(settings)

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> Self:
        """Build an untrained model from what `settings` gave."""
        return cls(**{**settings, "train": TrainConfig(**settings["train"])})


def user_order(users: IntArray, seed: int, epoch: int) -> IntArray:
    """Users in an order that depends on each user alone, so that one who is gone does not reorder the others."""
    # The finaliser of splitmix64, on integers that wrap around.
    with np.errstate(over="ignore"):
        key = np.asarray(users, dtype=np.uint64) + np.uint64(
            (seed * 1_000_003 + epoch + 1) * 0x9E3779B97F4A7C15 % 2**64
        )
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        key ^= key >> np.uint64(31)
    return np.asarray(users)[np.argsort(key, kind="stable")]


def _blocks(users: IntArray, size: int) -> "Iterator[IntArray]":
    for begin in range(0, len(users), size):
        yield users[begin : begin + size]
