"""Neural towers by AdamW on cells (torch), with the position bias solved exactly at the end.

The loss is that of `newton`: sum_cells [ n softplus(z) - c z ], z = theta_rank + f(x_pair), per unit of weight. torch is
imported by the functions that need it, never by importing this module.
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
from irworks.errors import ArgumentError, MissingDependencyError
from irworks.runtime import device as find_device
from numpy.typing import NDArray
from scipy.special import expit, logit

from ltr_twotower.cells import Cells
from ltr_twotower.newton import ConvergenceWarning

if TYPE_CHECKING:
    import torch

__all__ = [
    "NeuralResult",
    "TrainConfig",
    "deep_tower",
    "fit_neural",
    "forward",
    "linear_tower",
    "polish_theta",
    "split_cells",
    "train_towers",
]

FloatArray = NDArray[np.float64]

logger = logging.getLogger(__name__)

# Rows that a tower scores at once outside of training.
CHUNK = 1 << 16


@dataclass(frozen=True)
class TrainConfig:
    """How neural towers are trained.

    Where a default is the official code's (Hager et al., ICTIR 2025, github.com/philipphager/two-tower-confounding), a comment
    says so; the paper's own hyper-parameters are not known.

    Args:
        learning_rate: Of AdamW.
        weight_decay: Of AdamW, on the relevance tower; theta has the model's ridge instead.
        epochs: Most epochs.
        batch_size: Cells in a step.
        min_steps: Steps in an epoch at least: small logs are passed several times before the loss is looked at.
        patience: Stop after so many epochs in a row without improvement.
        min_delta: A fall of the validation loss (nats per impression) that counts as improvement.
        validation_share: Share of the impressions held out to stop early. 0: none, watch the training loss.
        hidden: Sizes of the hidden layers of the "deep" tower.
        dropout: Of the "deep" tower, after every hidden layer.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:<index>".
        precision: "float32", or "bf16": autocast the towers to bfloat16; weights and loss stay float32.

    Raises:
        ArgumentError: A value is out of range.
    """

    learning_rate: float = 3e-3  # 1e-3, 3e-3, 6e-3 and 1e-2 stand in the official scripts and their forks
    weight_decay: float = 1e-4  # official: the default of optax.adamw
    epochs: int = 50  # official
    batch_size: int = 4096  # official: 512 lists of about ten documents
    min_steps: int = 100
    patience: int = 3  # official: 2, which its library counts as three epochs
    min_delta: float = 1e-5  # official
    validation_share: float = 0.1
    hidden: tuple[int, ...] = (32, 32)  # official
    dropout: float = 0.1  # official
    device: str = "auto"
    precision: Literal["float32", "bf16"] = "float32"

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        for name in ("learning_rate", "epochs", "batch_size", "min_steps", "patience"):
            _require(name, getattr(self, name), getattr(self, name) > 0, "a positive number")
        for name in ("weight_decay", "min_delta"):
            _require(name, getattr(self, name), getattr(self, name) >= 0, "at least 0")
        for name in ("validation_share", "dropout"):
            _require(name, getattr(self, name), 0 <= getattr(self, name) < 1, "a share in [0, 1)")
        _require("hidden", self.hidden, all(size > 0 for size in self.hidden), "positive sizes")
        _require("precision", self.precision, self.precision in ("float32", "bf16"), "'float32' or 'bf16'")


@dataclass(frozen=True, eq=False)
class NeuralResult:
    """Fitted towers.

    Attributes:
        module: The relevance tower, on the processor and in evaluation mode; maps raw features [n, n_features] to logits.
        theta: float64 [n_ranks], not normalised.
        gamma: float64 [n_pairs], relevance logits: `forward(module, X)`.
        converged: Whether training ended because the loss no longer fell.
        epochs: Number of epochs run.
    """

    module: "torch.nn.Module"
    theta: FloatArray
    gamma: FloatArray
    converged: bool
    epochs: int


def fit_neural(
    cells: Cells,
    X: FloatArray,
    relevance: "Literal['deep', 'linear'] | torch.nn.Module",
    bias: "Literal['position'] | FloatArray | torch.nn.Module",
    config: TrainConfig,
    random_state: int | None,
    l2: float,
) -> NeuralResult:
    """Train a relevance tower on features together with the position bias.

    After training theta is solved exactly for the trained relevance, on all cells, so that it carries no optimiser noise.
    The same `random_state` gives the same result; no global random state is touched.

    Args:
        cells: Counts, weighted or not.
        X: float64 [n_pairs, n_features], finite; computed with in float32.
        relevance: "deep": `deep_tower`. "linear": `linear_tower`. Or a module mapping float32 [n, n_features] to [n] or [n, 1]:
            a copy of it is trained, so that fitting twice starts from the same weights.
        bias: "position": one theta per rank. float [n_ranks, n_bias_features]: theta linear in features of the rank. Or a module
            over one-hot ranks [n, n_ranks], also copied, whose theta is as trained.
        config: Training settings.
        random_state: Seed of initial weights, dropout, batches and held-out impressions; None: a fresh one.
        l2: Ridge on theta, and on the weights of the "linear" tower, on the scale of the summed log-likelihood.

    Raises:
        ArgumentError: An unknown tower, a device that is not here, or a module whose output has the wrong shape.
        MissingDependencyError: torch is not installed.

    Warns:
        ConvergenceWarning: The loss still fell in the last epoch.
    """
    result = train_towers(cells, X, relevance, bias, config, random_state, l2)
    if _is_module(bias):
        return result
    design = None if isinstance(bias, str) else np.asarray(bias, dtype=np.float64)
    return replace(result, theta=polish_theta(cells, result.gamma, l2, design))


def polish_theta(cells: Cells, gamma: FloatArray, l2: float, A: FloatArray | None = None) -> FloatArray:
    """The theta that maximises the penalised likelihood for given relevance logits, by Newton's method (it is convex).

    Args:
        cells: Counts, weighted or not.
        gamma: float64 [n_pairs], relevance logits.
        l2: Ridge on theta.
        A: float64 [n_ranks, n_bias], features of the ranks in which theta is linear. None: one theta per rank.

    Returns:
        float64 [n_ranks].
    """
    design = np.eye(cells.n_ranks) if A is None else A
    offset = gamma[cells.pair]

    def logits(theta: FloatArray) -> FloatArray:
        return np.asarray(theta[cells.rank] + offset)

    def value(theta: FloatArray) -> float:
        z = logits(theta)
        return float(np.dot(cells.n, np.logaddexp(0, z)) - np.dot(cells.clicks, z) + l2 / 2 * (theta @ theta))

    theta = np.zeros(cells.n_ranks)
    for _ in range(100):
        p = expit(logits(theta))
        slope = np.bincount(cells.rank, cells.n * p - cells.clicks, minlength=cells.n_ranks) + l2 * theta
        curvature = np.bincount(cells.rank, cells.n * p * (1 - p), minlength=cells.n_ranks) + l2
        # Least squares, because features of the ranks may be collinear.
        step = design @ np.linalg.lstsq(design.T @ (curvature[:, None] * design), design.T @ slope, rcond=None)[0]
        if slope @ step <= 1e-16 * max(cells.total, 1.0):
            break
        sizes = 0.5 ** np.arange(40)
        size = next((s for s in sizes if value(theta - s * step) < value(theta)), 0.0)
        if size == 0:
            break
        theta = theta - size * step
    return theta


# -- towers ---------------------------------------------------------------------------------------------------------------


def deep_tower(n_features: int, config: TrainConfig) -> "torch.nn.Module":
    """The untrained "deep" relevance tower: standardisation, then hidden ELU layers with dropout, as in the paper's code.

    Mean and scale of the features are buffers, so that the tower takes raw features and `state_dict()` is all there is to save.
    """
    torch = _torch()
    layers: list[torch.nn.Module] = []
    width = n_features
    for size in config.hidden:
        layers += [torch.nn.Linear(width, size), torch.nn.ELU(), torch.nn.Dropout(config.dropout)]
        width = size
    return _standardising(torch.nn.Sequential(*layers, torch.nn.Linear(width, 1)), n_features)


def linear_tower(n_features: int) -> "torch.nn.Module":
    """The untrained "linear" relevance tower: standardisation, then a weight per feature, no intercept."""
    torch = _torch()
    layer = torch.nn.Linear(n_features, 1, bias=False)
    with torch.no_grad():
        layer.weight.zero_()
    return _standardising(torch.nn.Sequential(layer), n_features)


def forward(module: "torch.nn.Module", X: FloatArray) -> FloatArray:
    """Relevance logits of features.

    Args:
        module: A relevance tower. Used in evaluation mode, and left in the mode in which it was.
        X: float64 [n, n_features].

    Returns:
        float64 [n].

    Raises:
        ArgumentError: X is not [n, n_features] of this tower, or the tower returns something else than one logit per row.
    """
    torch = _torch()
    weights = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    training = module.training
    module.eval()
    parts = [np.zeros(0)]
    with torch.no_grad():
        for begin in range(0, len(X), CHUNK):
            rows = torch.as_tensor(X[begin : begin + CHUNK]).to(weights)
            parts.append(_flat(module(rows), len(rows), "relevance tower").double().cpu().numpy())
    module.train(training)
    return np.concatenate(parts)


def _standardising(tower: Any, n_features: int) -> Any:
    """Attach mean and scale to a tower. A hook, not a layer class: classes cannot be pickled unless torch is imported on top."""
    torch = _torch()
    tower.register_buffer("mean", torch.zeros(n_features))
    tower.register_buffer("scale", torch.ones(n_features))
    tower.register_forward_pre_hook(_standardise)
    return tower


def _standardise(tower: Any, inputs: tuple[Any, ...]) -> tuple[Any]:
    (rows,) = inputs
    if rows.ndim != 2 or rows.shape[1] != len(tower.mean):
        raise ArgumentError(f"features have shape {list(rows.shape)}; expected [n, {len(tower.mean)}]")
    return ((rows - tower.mean) / tower.scale,)


def _relevance_tower(relevance: Any, X: FloatArray, config: TrainConfig) -> Any:
    torch = _torch()
    if _is_module(relevance):
        return copy.deepcopy(relevance)
    _require("relevance", relevance, relevance in ("deep", "linear"), "'deep', 'linear' or a torch.nn.Module")
    tower = deep_tower(X.shape[1], config) if relevance == "deep" else linear_tower(X.shape[1])
    scale = X.std(axis=0)
    tower.mean.copy_(torch.as_tensor(X.mean(axis=0)))
    tower.scale.copy_(torch.as_tensor(np.where(scale > 0, scale, 1.0)))
    return tower


def _bias_tower(bias: Any, n_ranks: int) -> tuple[Any, FloatArray]:
    """The tower, and its input for every rank: float64 [n_ranks, n_inputs]."""
    torch = _torch()
    if _is_module(bias):
        return copy.deepcopy(bias), np.eye(n_ranks)
    if isinstance(bias, str):
        _require("bias", bias, bias == "position", "'position', features of the ranks, or a torch.nn.Module")
    table = np.eye(n_ranks) if isinstance(bias, str) else np.asarray(bias, dtype=np.float64)
    tower = torch.nn.Linear(table.shape[1], 1, bias=False)
    with torch.no_grad():
        tower.weight.zero_()
    size = np.abs(table).max(axis=0)
    # Columns of one size, so that one learning rate suits them; theta is solved from the true columns later.
    return tower, table / np.where(size > 0, size, 1.0)


# -- data -----------------------------------------------------------------------------------------------------------------


def split_cells(cells: Cells, share: float, rng: np.random.Generator) -> tuple[Cells, Cells]:
    """Hold out a random share of the impressions of every cell: (the rest, the held out).

    Within a cell, impressions are exchangeable: the held-out clicks are hypergeometric, and weights are split alike.

    Args:
        cells: Counts, weighted or not.
        share: Probability with which an impression is held out.
        rng: Source of randomness.
    """
    shown = np.rint(cells.impressions).astype(np.int64)
    rate = np.divide(cells.clicks, cells.n, out=np.zeros(len(cells)), where=cells.n > 0)
    clicked = np.rint(np.clip(rate, 0, 1) * shown).astype(np.int64)
    held = rng.binomial(shown, share)
    held_clicked = rng.hypergeometric(clicked, shown - clicked, held)
    part = held / np.maximum(shown, 1)
    n = cells.n * part
    # Clicks of a cell whose impressions differ in weight are no whole number: keep 0 <= clicks <= n on both sides.
    clicks = np.clip(
        cells.clicks * held_clicked / np.maximum(clicked, 1),
        np.maximum(cells.clicks - (cells.n - n), 0),
        np.minimum(cells.clicks, n),
    )
    second = replace(
        cells,
        n=n,
        clicks=clicks,
        n_squared=cells.n_squared * part,
        clicks_squared=cells.clicks_squared * held_clicked / np.maximum(clicked, 1),
        impressions=held.astype(np.float64),
    )
    first = replace(
        cells,
        **{
            name: getattr(cells, name) - getattr(second, name)
            for name in ("n", "clicks", "n_squared", "clicks_squared", "impressions")
        },
    )
    return first, second


def _deal(weights: FloatArray, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw `size` cells in random order, each as often as its share of the weight says, rounded up or down at random.

    Every draw then counts the same in the loss: one impression of weight 500 gives many small gradients instead of a huge one.
    """
    edges = np.cumsum(weights)
    marks = (np.arange(size) + rng.random()) * (edges[-1] / size)
    cells = np.minimum(np.searchsorted(edges, marks, side="right"), len(weights) - 1)
    return rng.permutation(cells)


# -- training -------------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Towers:
    """The towers in training and, on their device, what they read."""

    relevance: Any
    bias: Any
    features: Any
    ranks: Any
    precision: str

    def __call__(self, pair: Any, rank: Any) -> tuple[Any, Any]:
        """Relevance and bias logits, float32 [n], of pairs [n] at ranks [n]."""
        torch = _torch()
        with torch.autocast(self.features.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"):
            gamma = self.relevance(self.features[pair])
            theta = self.bias(self.ranks[rank])
        return _flat(gamma, len(pair), "relevance tower").float(), _flat(theta, len(rank), "bias tower").float()

    def theta(self) -> Any:
        """Bias logit of every rank."""
        return _flat(self.bias(self.ranks), len(self.ranks), "bias tower").float()

    def mode(self, training: bool) -> None:
        self.relevance.train(training)
        self.bias.train(training)

    def state(self) -> list[dict[str, Any]]:
        return [copy.deepcopy(tower.state_dict()) for tower in (self.relevance, self.bias)]

    def restore(self, state: list[dict[str, Any]]) -> None:
        self.relevance.load_state_dict(state[0])
        self.bias.load_state_dict(state[1])


def train_towers(
    cells: Cells,
    X: FloatArray,
    relevance: "Literal['deep', 'linear'] | torch.nn.Module",
    bias: "Literal['position'] | FloatArray | torch.nn.Module",
    config: TrainConfig,
    random_state: int | None,
    l2: float,
    adversary: "torch.nn.Module | None" = None,
) -> NeuralResult:
    """As `fit_neural`, with theta as the optimiser left it.

    Args:
        cells, X, relevance, bias, config, random_state, l2: As for `fit_neural`.
        adversary: Maps bias logits [n] and observed click rates [n] to a scalar that is added to the loss; trained along.
    """
    torch = _torch()
    place = torch.device(_choose_device(config.device))
    rng = np.random.default_rng(random_state)
    train, held_out = split_cells(cells, config.validation_share, rng)
    if train.total <= 0 or held_out.total <= 0:
        train = held_out = cells
    with _seeded(int(rng.integers(2**63 - 1)), place):
        bias_tower, inputs = _bias_tower(bias, cells.n_ranks)
        relevance_tower = _relevance_tower(relevance, X, config)
        _set_level(cells, relevance, relevance_tower, bias, bias_tower)
        towers = _Towers(
            relevance=relevance_tower.to(place),
            bias=bias_tower.to(place),
            features=torch.as_tensor(X, dtype=torch.float32, device=place),
            ranks=torch.as_tensor(inputs, dtype=torch.float32, device=place),
            precision=config.precision,
        )
        ridge = l2 / max(cells.total, 1.0)
        module = None if adversary is None else adversary.to(place)
        converged, epochs = _optimise(towers, train, held_out, config, ridge, relevance == "linear", module, rng)
    towers.mode(training=False)
    with torch.no_grad():
        theta = towers.theta().double().cpu().numpy()
    tower = towers.relevance.cpu()
    return NeuralResult(tower, theta, forward(tower, X), converged, epochs)


def _set_level(cells: Cells, relevance: Any, relevance_tower: Any, bias: Any, bias_tower: Any) -> None:
    """Start at the overall click rate: AdamW would take a thousand steps to get there from one half."""
    torch = _torch()
    level = float(logit(np.clip(cells.clicks.sum() / cells.total, 1e-6, 1 - 1e-6)))
    with torch.no_grad():
        if isinstance(bias, str):
            bias_tower.weight.fill_(level)
        elif isinstance(relevance, str) and relevance == "deep":
            relevance_tower[-1].bias.fill_(level)


def _optimise(
    towers: _Towers,
    train: Cells,
    held_out: Cells,
    config: TrainConfig,
    ridge: float,
    ridge_on_weights: bool,
    adversary: Any,
    rng: np.random.Generator,
) -> tuple[bool, int]:
    """Train in place, to the state of the best validation loss: (converged, epochs run)."""
    torch = _torch()
    place = towers.features.device
    pair, rank = (torch.as_tensor(index.astype(np.int64), device=place) for index in (train.pair, train.rank))
    rate = np.divide(train.clicks, train.n, out=np.zeros(len(train)), where=train.n > 0)
    clicked = torch.as_tensor(rate, dtype=torch.float32, device=place)
    size = min(config.batch_size, len(train))
    steps = max(config.min_steps, math.ceil(len(train) / size))
    groups = [
        {"params": list(towers.relevance.parameters()), "weight_decay": config.weight_decay},
        {"params": list(towers.bias.parameters())},
        {"params": [] if adversary is None else list(adversary.parameters())},
    ]
    optimiser = torch.optim.AdamW([g for g in groups if g["params"]], lr=config.learning_rate, weight_decay=0.0)

    def loss(batch: Any) -> Any:
        gamma, theta = towers(pair[batch], rank[batch])
        total = torch.nn.functional.binary_cross_entropy_with_logits(theta + gamma, clicked[batch])
        total = total + ridge / 2 * towers.theta().square().sum()
        if ridge_on_weights:
            total = total + ridge / 2 * (towers.relevance[0].weight / towers.relevance.scale).square().sum()
        return total if adversary is None else total + adversary(theta, clicked[batch])

    def epoch_loss() -> float:
        towers.mode(training=True)
        order = torch.as_tensor(_deal(train.n, size * steps, rng), device=place)
        for batch in order.split(size):
            optimiser.zero_grad(set_to_none=True)
            loss(batch).backward()
            optimiser.step()
        return _mean_loss(towers, held_out)

    best, state, waited = math.inf, towers.state(), 0
    for epoch in range(1, config.epochs + 1):
        current = epoch_loss()
        logger.debug("epoch %d: validation loss %.6f", epoch, current)
        if current < best - config.min_delta:
            best, state, waited = current, towers.state(), 0
        else:
            waited += 1
        if waited == config.patience:
            break
    towers.restore(state)
    if waited < config.patience:
        warnings.warn(
            f"training stopped after {epoch} epochs while the loss still fell; raise TrainConfig.epochs",
            ConvergenceWarning,
            stacklevel=4,
        )
    return waited == config.patience, epoch


def _mean_loss(towers: _Towers, cells: Cells) -> float:
    """Negative log-likelihood per unit of weight, in evaluation mode."""
    torch = _torch()
    towers.mode(training=False)
    place = towers.features.device
    with torch.no_grad():
        parts = [
            _flat(towers.relevance(rows), len(rows), "relevance tower").double().cpu().numpy()
            for rows in towers.features.split(CHUNK)
        ]
        theta = towers.theta().double().cpu().numpy()
    logger.debug("device %s", place)
    z = theta[cells.rank] + np.concatenate(parts)[cells.pair]
    return float((np.dot(cells.n, np.logaddexp(0, z)) - np.dot(cells.clicks, z)) / cells.total)


# -- torch ----------------------------------------------------------------------------------------------------------------


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("torch", "a neural tower", "ltr-twotower[torch]") from error
    return torch


def _choose_device(name: str) -> str:
    # Apple's accelerator is not chosen: towers of this size run faster on its processor.
    return "cuda" if name == "auto" and _torch().cuda.is_available() else find_device("cpu" if name == "auto" else name)


@contextmanager
def _seeded(seed: int, place: Any) -> Iterator[None]:
    """Seed the generators that torch's layers draw from, and give them back their state afterwards."""
    torch = _torch()
    devices = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # torch.manual_seed would also seed the accelerators whose state is not kept here.
        torch.default_generator.manual_seed(seed)
        for used in devices:
            with torch.cuda.device(used):
                torch.cuda.manual_seed(seed)
        yield


def _is_module(tower: object) -> bool:
    return hasattr(tower, "state_dict") and callable(tower)


def _flat(output: Any, n: int, name: str) -> Any:
    if tuple(output.shape) not in ((n,), (n, 1)):
        raise ArgumentError(f"the {name} returned shape {list(output.shape)} for {n} rows; expected [{n}] or [{n}, 1]")
    return output.reshape(-1)


def _require(name: str, value: object, condition: bool, expected: str) -> None:
    if not condition:
        raise ArgumentError(f"{name}={value!r}; expected {expected}")
