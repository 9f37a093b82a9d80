"""A ready-made torch module for stages that a line cannot describe. Importing this module does not import torch."""

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from irworks.errors import ArgumentError, MissingDependencyError

if TYPE_CHECKING:
    import torch

__all__ = ["mlp_tower"]


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
        widths = [table.shape[1], *hidden]
        layers: list[torch.nn.Module] = [_standardiser(table)]
        for before, after in pairwise(widths):
            layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
        layers.append(torch.nn.Linear(widths[-1], 1))
    return torch.nn.Sequential(*layers)


def _standardiser(table: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> "torch.nn.Module":
    """A linear layer that is not trained: (x - mean) / deviation, by feature."""
    import torch

    deviation = table.std(axis=0)
    scale = 1.0 / np.where(deviation > 0, deviation, 1.0)
    layer = torch.nn.Linear(table.shape[1], table.shape[1]).requires_grad_(False)
    layer.weight.copy_(torch.as_tensor(np.diag(scale)))
    layer.bias.copy_(torch.as_tensor(-table.mean(axis=0) * scale))
    return layer
