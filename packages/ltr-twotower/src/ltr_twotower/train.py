"""Neural towers by AdamW on cells (torch), with the position bias solved exactly at the end.

The loss is that of `newton`, sum_cells [ n softplus(z) - c z ] with z = theta_rank + f(x_pair), per unit of weight.
torch is imported by the functions that need it, never by importing this module.
"""

import copy
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy.special import logit

from irworks.errors import ArgumentError, IrworksError
from irworks.runtime import device as find_device
from ltr_twotower import towers
from ltr_twotower.batches import Batches, deal, split_cells
from ltr_twotower.cells import Cells
from ltr_twotower.newton import ConvergenceWarning
from ltr_twotower.polish import polish_theta
from ltr_twotower.towers import flat, forward, is_module, require_torch

if TYPE_CHECKING:
    import torch

    from ltr_twotower.towers import FloatArray

    Relevance = Literal["deep", "linear"] | torch.nn.Module
    Bias = Literal["position"] | FloatArray | torch.nn.Module

__all__ = [
    "NeuralResult",
    "TrainConfig",
    "deep_tower",
    "fit_neural",
    "forward",
    "train_towers",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainConfig:
    """How neural towers are trained.

    The paper's own hyper-parameters are not known. Where a default is that of the official code (Hager et al., ICTIR
    2025, github.com/philipphager/two-tower-confounding) or of a public fork of it, a comment says "official".

    Args:
        learning_rate: Of AdamW.
        weight_decay: Of AdamW, on the relevance tower; theta has the model's ridge instead.
        epochs: Most epochs.
        batch_size: (query, document) pairs in a step; a pair comes with all its ranks.
        min_steps: Steps in an epoch at least: small logs are passed several times before the loss is looked at.
        patience: Stop after so many epochs in a row without improvement.
        min_delta: A fall of the validation loss (nats per impression) that counts as improvement.
        validation_share: Share of the impressions held out to stop early. 0: none, watch the training loss.
        hidden: Sizes of the hidden layers of the "deep" tower.
        dropout: Of the "deep" tower, after every hidden layer.
        device: "auto" (CUDA where there is one, else the processor), "cpu", "cuda" or "cuda:<index>".
        precision: "float32", or "bf16": run the relevance tower under bfloat16 autocast; the rest stays float32.

    Raises:
        ArgumentError: A value is out of range.
    """

    learning_rate: float = 3e-3  # 1e-3, 3e-3, 6e-3 and 1e-2 stand in the official scripts and their forks
    weight_decay: float = 1e-4  # official: what optax.adamw does unless told otherwise
    epochs: int = 50  # official
    batch_size: int = 512  # official, of lists
    min_steps: int = 100
    patience: int = 3  # official: 2, which its library counts as three epochs
    # Official: 1e-5. The direction that trades theta against relevance is flat: theta can be 0.05 off at that point.
    min_delta: float = 1e-6
    validation_share: float = 0.1
    hidden: tuple[int, ...] = (32, 32)  # official
    dropout: float = 0.1  # official
    device: str = "auto"
    precision: Literal["float32", "bf16"] = "float32"

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        for name in ("learning_rate", "epochs", "batch_size", "min_steps", "patience"):
            self._require(name, getattr(self, name) > 0, "a positive number")
        for name in ("weight_decay", "min_delta"):
            self._require(name, getattr(self, name) >= 0, "at least 0")
        for name in ("validation_share", "dropout"):
            self._require(name, 0 <= getattr(self, name) < 1, "a share in [0, 1)")
        self._require("hidden", all(size > 0 for size in self.hidden), "positive sizes")
        self._require("precision", self.precision in ("float32", "bf16"), "'float32' or 'bf16'")

    def _require(self, name: str, condition: bool, expected: str) -> None:
        if not condition:
            raise ArgumentError(f"{name}={getattr(self, name)!r}; expected {expected}")


@dataclass(frozen=True, eq=False)
class NeuralResult:
    """Fitted towers.

    Attributes:
        module: The relevance tower, on the processor, in evaluation mode: raw features [n, n_features] to logits.
        theta: float64 [n_ranks], not normalised.
        gamma: float64 [n_pairs], relevance logits: `forward(module, X)`.
        converged: Whether training ended because the loss no longer fell.
        epochs: Number of epochs run.
    """

    module: "torch.nn.Module"
    theta: "FloatArray"
    gamma: "FloatArray"
    converged: bool
    epochs: int


def deep_tower(n_features: int, config: TrainConfig) -> "torch.nn.Sequential":
    """The untrained "deep" tower of a config, to load a `state_dict` into: see `ltr_twotower.towers.deep_tower`."""
    return towers.deep_tower(n_features, config.hidden, config.dropout)


def fit_neural(
    cells: Cells,
    X: "FloatArray",
    relevance: "Relevance",
    bias: "Bias",
    config: TrainConfig,
    random_state: int | None,
    l2: float,
) -> NeuralResult:
    """Train a relevance tower on features together with the position bias.

    After training, theta is solved exactly for the trained relevance, on all cells, so that it carries no optimiser
    noise. The same `random_state` gives the same result (on CUDA but for the order of sums); no global random state is
    touched.

    Args:
        cells: Counts, weighted or not.
        X: float64 [n_pairs, n_features], finite; computed with in float32.
        relevance: "deep": `deep_tower`. "linear": a weight per standardised feature. Or a module that maps float32
            [n, n_features] to [n] or [n, 1]: a copy is trained, so that fitting twice starts from the same weights.
        bias: "position": one theta per rank. float [n_ranks, n_bias_features]: theta linear in features of the rank. Or
            a module over one-hot ranks [n, n_ranks], copied too, whose theta stays as trained.
        config: Training settings.
        random_state: Seed of initial weights, dropout, batches and held-out impressions; None: a fresh one.
        l2: Ridge on theta, and on the weights of the "linear" tower (those of standardised features), on the scale of
            the summed log-likelihood.

    Raises:
        ArgumentError: An unknown tower, a device that is not here, or a module whose output has the wrong shape.
        MissingDependencyError: torch is not installed.
        IrworksError: The loss became infinite or NaN.

    Warns:
        ConvergenceWarning: The loss still fell in the last epoch.
    """
    result = train_towers(cells, X, relevance, bias, config, random_state, l2)
    if is_module(bias):
        return result
    design = None if isinstance(bias, str) else np.asarray(bias, dtype=np.float64)
    return replace(result, theta=polish_theta(cells, result.gamma, l2, design))


# -- training ---------------------------------------------------------------------------------------------------------


def train_towers(
    cells: Cells,
    X: "FloatArray",
    relevance: "Relevance",
    bias: "Bias",
    config: TrainConfig,
    random_state: int | None,
    l2: float,
    adversary: "torch.nn.Module | None" = None,
) -> NeuralResult:
    """Train as `fit_neural` does, but leave theta as the optimiser left it.

    Args:
        cells: As for `fit_neural`.
        X: As for `fit_neural`.
        relevance: As for `fit_neural`.
        bias: As for `fit_neural`.
        config: As for `fit_neural`.
        random_state: As for `fit_neural`.
        l2: As for `fit_neural`.
        adversary: Trained along; maps bias logits, click rates and weights [n_cells of a batch] to a scalar that is
            added to the loss.
    """
    require_torch()
    import torch

    place = torch.device(_choose_device(config.device))
    rng = np.random.default_rng(random_state)
    train, held_out = split_cells(cells, config.validation_share, rng)
    if train.total <= 0 or held_out.total <= 0:
        train = held_out = cells
    with _seeded(int(rng.integers(2**63 - 1)), place):
        bias_tower, inputs = towers.bias_tower(bias, cells.n_ranks)
        relevance_tower = towers.relevance_tower(relevance, X, config.hidden, config.dropout)
        _start_at_click_rate(cells, relevance, relevance_tower, bias, bias_tower)
        training = _Training(
            relevance=relevance_tower.to(place),
            bias=bias_tower.to(place),
            adversary=None if adversary is None else adversary.to(place),
            features=torch.as_tensor(X, dtype=torch.float32, device=place),
            ranks=torch.as_tensor(inputs, dtype=torch.float32, device=place),
            ridge=l2 / max(cells.total, 1.0),
            ridge_on_weights=isinstance(relevance, str) and relevance == "linear",
            config=config,
        )
        converged, epochs = training.run(train, held_out, rng)
    tower = training.relevance.cpu().eval()
    return NeuralResult(tower, training.theta().double().cpu().numpy(), forward(tower, X), converged, epochs)


def _start_at_click_rate(cells: Cells, relevance: Any, relevance_tower: Any, bias: Any, bias_tower: Any) -> None:
    """AdamW would take a thousand steps to get from one half to a click rate of 2%."""
    import torch

    level = float(logit(np.clip(cells.clicks.sum() / cells.total, 1e-6, 1 - 1e-6)))
    if isinstance(bias, str):
        torch.nn.init.constant_(bias_tower.weight, level)
    elif isinstance(relevance, str) and relevance == "deep":
        torch.nn.init.constant_(relevance_tower[-1].bias, level)


@dataclass(frozen=True, eq=False)
class _Training:
    """Towers, and on their device the features of all pairs and the inputs of all ranks."""

    relevance: "torch.nn.Module"
    bias: "torch.nn.Module"
    adversary: "torch.nn.Module | None"
    features: "torch.Tensor"
    ranks: "torch.Tensor"
    ridge: float
    ridge_on_weights: bool
    config: TrainConfig

    def run(self, train: Cells, held_out: Cells, rng: np.random.Generator) -> tuple[bool, int]:
        """Train to the best loss on the held-out cells: (whether it stopped falling, epochs run)."""
        import torch

        config, batches = self.config, Batches.of(train, self.features.device)
        groups: list[dict[str, Any]] = [
            {"params": list(self.relevance.parameters()), "weight_decay": config.weight_decay},
            {"params": list(self.bias.parameters())},
            {"params": [] if self.adversary is None else list(self.adversary.parameters())},
        ]
        trained = [group for group in groups if group["params"]]
        optimiser = torch.optim.AdamW(trained, lr=config.learning_rate, weight_decay=0.0)
        best, state, waited, epoch = math.inf, self.state(), 0, 0
        while epoch < config.epochs and waited < config.patience:
            epoch += 1
            self._epoch(batches, optimiser, rng)
            # What is trained on is watched with its ridge, or training would stop before the ridge has its effect.
            loss = self.loss(held_out) + (float(self._penalty().detach()) if held_out is train else 0.0)
            logger.debug("epoch %d: loss %.6f", epoch, loss)
            if not math.isfinite(loss):
                raise IrworksError(f"training diverged: the loss is {loss} after epoch {epoch}; lower learning_rate")
            waited = 0 if loss < best - config.min_delta else waited + 1
            if waited == 0:
                best, state = loss, self.state()
        self.relevance.load_state_dict(state[0])
        self.bias.load_state_dict(state[1])
        converged = waited == config.patience
        if not converged:
            text = f"training stopped after {epoch} epochs while the loss still fell; raise TrainConfig.epochs"
            warnings.warn(text, ConvergenceWarning, stacklevel=4)
        return converged, epoch

    def _epoch(self, batches: "Batches", optimiser: "torch.optim.Optimizer", rng: np.random.Generator) -> None:
        import torch

        for tower in (self.relevance, self.bias):
            tower.train()
        seen = int(np.count_nonzero(batches.weight))
        size = min(self.config.batch_size, seen)
        steps = max(self.config.min_steps, math.ceil(seen / size))
        order = torch.as_tensor(deal(batches.weight, size * steps, rng), device=self.features.device)
        for pairs in torch.split(order, size):
            optimiser.zero_grad(set_to_none=True)
            self._batch_loss(batches, pairs).backward()  # type: ignore[no-untyped-call]
            optimiser.step()

    def _batch_loss(self, batches: "Batches", pairs: "torch.Tensor") -> "torch.Tensor":
        import torch

        row, cell = batches.cells_of(pairs)
        weight = batches.share[cell] / len(pairs)
        device = self.features.device.type
        with torch.autocast(device, dtype=torch.bfloat16, enabled=self.config.precision == "bf16"):
            gamma = flat(self.relevance(self.features[pairs]), len(pairs), "relevance").float()
        theta = flat(self.bias(self.ranks[batches.rank[cell]]), len(cell), "bias")
        rate = batches.rate[cell]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(theta + gamma[row], rate, weight, reduction="sum")
        if self.adversary is not None:
            loss = loss + self.adversary(theta, rate, weight)
        return loss + self._penalty()

    def _penalty(self) -> "torch.Tensor":
        theta = flat(self.bias(self.ranks), len(self.ranks), "bias")
        squares = theta.square().sum()
        if self.ridge_on_weights:
            squares = squares + self.relevance.get_parameter("0.weight").square().sum()
        return self.ridge / 2 * squares

    def theta(self) -> "torch.Tensor":
        """Bias logit of every rank, in evaluation mode."""
        import torch

        self.bias.eval()
        with torch.no_grad():
            return flat(self.bias(self.ranks), len(self.ranks), "bias")

    def loss(self, cells: Cells) -> float:
        """Negative log-likelihood per unit of weight, in evaluation mode."""
        import torch

        self.relevance.eval()
        with torch.no_grad():
            parts = [
                flat(self.relevance(rows), len(rows), "relevance") for rows in torch.split(self.features, towers.CHUNK)
            ]
        gamma = torch.cat(parts).double().cpu().numpy()
        z = self.theta().double().cpu().numpy()[cells.rank] + gamma[cells.pair]
        return float((np.dot(cells.n, np.logaddexp(0, z)) - np.dot(cells.clicks, z)) / cells.total)

    def state(self) -> list[dict[str, Any]]:
        """A copy of the weights of both towers."""
        return [copy.deepcopy(tower.state_dict()) for tower in (self.relevance, self.bias)]


# -- torch ------------------------------------------------------------------------------------------------------------


def _choose_device(name: str) -> str:
    import torch

    if name != "auto":
        return find_device(name)
    # Not Apple's accelerator: towers of this size gain nothing from it.
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def _seeded(seed: int, place: "torch.device") -> Iterator[None]:
    """Seed the generators that torch's layers draw from, and give them back their state afterwards."""
    import torch

    accelerators = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(devices=accelerators):
        # torch.manual_seed would also seed the accelerators whose state is not kept here.
        torch.default_generator.manual_seed(seed)
        for accelerator in accelerators:
            with torch.cuda.device(accelerator):
                torch.cuda.manual_seed(seed)
        yield
