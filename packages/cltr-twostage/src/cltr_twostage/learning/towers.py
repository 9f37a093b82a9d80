"""A ready-made torch module for stages that a line cannot describe. Importing this module does not import torch."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from irworks.errors import ArgumentError, MissingDependencyError

if TYPE_CHECKING:
    import torch

__all__ = ["empty_tower", "mlp_tower", "tower_sizes"]


def mlp_tower(X: ArrayLike, hidden: Sequence[int] = (32,), *, seed: int = 0) -> "torch.nn.Module":
    """A multilayer perceptron from features to a score, which standardises its input.

    Args:
        X: float [n_rows, n_features], what it will learn from; their means and deviations are kept in the module.
        hidden: Widths of the hidden layers.
        seed: Of the initial weights.

    Returns:
        A module from float32 [n, n_features] to [n, 1], for `TwoStageLearner(candidate=..., ranker=...)`.

    Raises:
        ArgumentError: `X` is not a table of finite numbers, or a width is below 1.
        MissingDependencyError: torch is not installed.
    """
    table = np.asarray(X, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise ArgumentError(f"X has shape {table.shape}; expected finite numbers [n_rows, n_features]")
    if any(width < 1 for width in hidden):
        raise ArgumentError(f"hidden={list(hidden)!r}; expected widths of at least 1")
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("torch", "a neural policy", "cltr-twostage[torch]") from error
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        tower = empty_tower([table.shape[1], *hidden])
    _standardise(tower[0], table)
    return tower


def empty_tower(sizes: Sequence[int]) -> "torch.nn.Sequential":
    """A tower as `mlp_tower` makes it, with weights that are still to be set.

    Args:
        sizes: Number of features, then the widths of the hidden layers.
    """
    import torch

    layers: list[torch.nn.Module] = [torch.nn.Linear(sizes[0], sizes[0]).requires_grad_(False)]
    for before, after in pairwise(sizes):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    layers.append(torch.nn.Linear(sizes[-1], 1))
    return torch.nn.Sequential(*layers)


def tower_sizes(module: "torch.nn.Module") -> list[int] | None:
    """The sizes that `empty_tower` makes a module of this structure of; None where it makes none."""
    import torch

    if type(module) is not torch.nn.Sequential or len(module) < 2 or type(module[0]) is not torch.nn.Linear:
        return None
    # The standardiser has as many outputs as features, and the last layer one: neither is hidden.
    hidden = [layer.out_features for layer in module if type(layer) is torch.nn.Linear][1:-1]
    sizes = [module[0].in_features, *hidden]
    return sizes if _structure(empty_tower(sizes)) == _structure(module) else None


def _structure(module: "torch.nn.Module") -> list[object]:
    layers: list[object] = [type(layer) for layer in module.modules()]
    return layers + [(name, part.shape, part.dtype, part.requires_grad) for name, part in module.named_parameters()]


def _standardise(layer: Any, table: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> None:
    """Make a linear layer (x - mean) / deviation, by feature."""
    import torch

    deviation = table.std(axis=0)
    scale = 1.0 / np.where(deviation > 0, deviation, 1.0)
    with torch.no_grad():
        layer.weight.copy_(torch.as_tensor(np.diag(scale)))
        layer.bias.copy_(torch.as_tensor(-table.mean(axis=0) * scale))
