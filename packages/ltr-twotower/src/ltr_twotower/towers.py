"""Neural relevance and bias towers (torch), and scoring with them. Importing this module does not import torch."""

import copy
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError, MissingDependencyError
from ltr_twotower.features import Scaling

if TYPE_CHECKING:
    import torch

__all__ = [
    "bias_tower",
    "deep_tower",
    "flat",
    "forward",
    "is_module",
    "linear_tower",
    "relevance_tower",
    "require_torch",
]

FloatArray = NDArray[np.float64]

# Rows that a tower scores at once outside of training.
CHUNK = 1 << 16


def require_torch() -> None:
    """Raise `MissingDependencyError` where torch is not installed."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("torch", "a neural tower", "ltr-twotower[torch]") from error


def is_module(tower: object) -> bool:
    """Whether an argument is a `torch.nn.Module`, without importing torch to find out."""
    return hasattr(tower, "state_dict") and callable(tower)


def deep_tower(n_features: int, hidden: tuple[int, ...] = (32, 32), dropout: float = 0.1) -> "torch.nn.Sequential":
    """The untrained "deep" relevance tower: standardisation, then ELU layers with dropout, then one logit.

    Mean and scale of the features are buffers of the tower: it takes raw features, and its `state_dict()` is all there
    is to save. Defaults: the official code of Hager et al. (2025).

    Args:
        n_features: Number of features.
        hidden: Sizes of the hidden layers.
        dropout: Rate of dropout after every hidden layer.
    """
    require_torch()
    import torch

    widths = [n_features, *hidden]
    layers: list[torch.nn.Module] = []
    for width, size in zip(widths, hidden, strict=False):
        layers += [torch.nn.Linear(width, size), torch.nn.ELU(), torch.nn.Dropout(dropout)]
    return _standardising(torch.nn.Sequential(*layers, torch.nn.Linear(widths[-1], 1)), n_features)


def linear_tower(n_features: int) -> "torch.nn.Sequential":
    """The untrained "linear" relevance tower: standardisation, then a weight (0) per feature, no intercept."""
    require_torch()
    import torch

    layer = torch.nn.Linear(n_features, 1, bias=False)
    torch.nn.init.zeros_(layer.weight)
    return _standardising(torch.nn.Sequential(layer), n_features)


def relevance_tower(
    relevance: "Literal['deep', 'linear'] | torch.nn.Module", X: FloatArray, hidden: tuple[int, ...], dropout: float
) -> "torch.nn.Module":
    """A tower to train on features X [n_pairs, n_features]; a copy, where it is a module already.

    Raises:
        ArgumentError: `relevance` is none of the three.
    """
    import torch

    if isinstance(relevance, torch.nn.Module):
        return copy.deepcopy(relevance)
    if relevance not in ("deep", "linear"):
        raise ArgumentError(f"relevance={relevance!r}; expected 'deep', 'linear' or a torch.nn.Module")
    tower = deep_tower(X.shape[1], hidden, dropout) if relevance == "deep" else linear_tower(X.shape[1])
    scaling = Scaling.of(X)
    tower.get_buffer("mean").copy_(torch.as_tensor(scaling.mean))
    tower.get_buffer("scale").copy_(torch.as_tensor(scaling.scale))
    return tower


def bias_tower(
    bias: "Literal['position'] | FloatArray | torch.nn.Module", n_ranks: int
) -> "tuple[torch.nn.Module, FloatArray]":
    """A bias tower to train, and its input for every rank, float64 [n_ranks, n_inputs].

    Raises:
        ArgumentError: `bias` is neither "position", nor features [n_ranks, n_bias_features], nor a module.
    """
    import torch

    if isinstance(bias, torch.nn.Module):
        return copy.deepcopy(bias), np.eye(n_ranks)
    if isinstance(bias, str) and bias != "position":
        raise ArgumentError(f"bias={bias!r}; expected 'position', features of the ranks or a torch.nn.Module")
    table = np.eye(n_ranks) if isinstance(bias, str) else np.asarray(bias, dtype=np.float64)
    if table.ndim != 2 or len(table) != n_ranks:
        raise ArgumentError(f"bias has shape {table.shape}; expected [{n_ranks}, n_bias_features], a row per rank")
    tower = torch.nn.Linear(table.shape[1], 1, bias=False)
    torch.nn.init.zeros_(tower.weight)
    size = np.abs(table).max(axis=0)
    # Columns of one size, so that one learning rate suits them all; theta is solved from the true columns in the end.
    return tower, table / np.where(size > 0, size, 1.0)


def forward(module: "torch.nn.Module", X: FloatArray) -> FloatArray:
    """Relevance logits of features.

    Args:
        module: A relevance tower. Used in evaluation mode, and left in the mode in which it was.
        X: float64 [n, n_features].

    Returns:
        float64 [n].

    Raises:
        ArgumentError: X is not [n, n_features] of this tower, or the tower returns something else than a logit per row.
    """
    require_torch()
    import torch

    weights = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    training = module.training
    module.eval()
    parts = [np.zeros(0)]
    with torch.no_grad():
        for begin in range(0, len(X), CHUNK):
            rows = torch.as_tensor(X[begin : begin + CHUNK]).to(weights)
            parts.append(flat(module(rows), len(rows), "relevance").double().cpu().numpy())
    module.train(training)
    return np.concatenate(parts)


def flat(logits: "torch.Tensor", n: int, name: str) -> "torch.Tensor":
    """Logits [n] or [n, 1] of a tower as [n].

    Raises:
        ArgumentError: They have another shape.
    """
    if tuple(logits.shape) not in ((n,), (n, 1)):
        raise ArgumentError(
            f"the {name} tower returned shape {list(logits.shape)} for {n} rows; expected [{n}] or [{n}, 1]"
        )
    return logits.reshape(-1)


def _standardising(tower: "torch.nn.Sequential", n_features: int) -> "torch.nn.Sequential":
    """Attach mean and scale. By a hook: to be picklable, a layer class would have to import torch with this module."""
    import torch

    tower.register_buffer("mean", torch.zeros(n_features))
    tower.register_buffer("scale", torch.ones(n_features))
    tower.register_forward_pre_hook(_standardise)
    return tower


def _standardise(tower: Any, inputs: "tuple[torch.Tensor]") -> "tuple[torch.Tensor]":
    (rows,) = inputs
    if rows.ndim != 2 or rows.shape[1] != len(tower.mean):
        raise ArgumentError(f"features have shape {list(rows.shape)}; expected [n, {len(tower.mean)}]")
    return ((rows - tower.mean) / tower.scale,)
