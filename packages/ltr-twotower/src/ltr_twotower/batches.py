"""What AdamW sees of a click log: cells split for early stopping, drawn by weight, and gathered on the device."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ltr_twotower.cells import Cells

if TYPE_CHECKING:
    import torch

__all__ = ["Batches", "deal", "split_cells"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def split_cells(cells: Cells, share: float, rng: np.random.Generator) -> tuple[Cells, Cells]:
    """Hold out a random share of the impressions of every cell.

    The impressions of a cell are exchangeable, so the held-out clicks are hypergeometric; weights are split alike.

    Args:
        cells: Counts, weighted or not.
        share: Probability with which an impression is held out.
        rng: Source of randomness.

    Returns:
        (the rest, the held out): together, exactly the cells that were given.
    """
    shown = np.rint(cells.impressions).astype(np.int64)
    rate = ratio(cells.clicks, cells.n)
    clicked = np.rint(np.clip(rate, 0, 1) * shown).astype(np.int64)
    held = rng.binomial(shown, share)
    held_clicked = rng.hypergeometric(clicked, shown - clicked, held)
    part, clicked_part = ratio(held, shown), ratio(held_clicked, clicked)
    n = cells.n * part
    second = {
        "n": n,
        # Where impressions of a cell differ in weight, its clicks are no whole number: keep 0 <= clicks <= n in both.
        "clicks": np.clip(
            cells.clicks * clicked_part, np.maximum(cells.clicks - (cells.n - n), 0), np.minimum(cells.clicks, n)
        ),
        "n_squared": cells.n_squared * part,
        "clicks_squared": cells.clicks_squared * clicked_part,
        "impressions": held.astype(np.float64),
    }
    first = {name: getattr(cells, name) - values for name, values in second.items()}
    return replace(cells, **first), replace(cells, **second)  # type: ignore[arg-type]


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> FloatArray:
    """Element by element; 0 where the whole is 0."""
    out = np.zeros(len(whole))
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def deal(weights: FloatArray, size: int, rng: np.random.Generator) -> IntArray:
    """Draw `size` pairs in random order, each as often as its share of the weight says, rounded at random.

    Every draw then counts the same in the loss: a pair of weight 500 gives many small gradients, not a huge one.
    """
    edges = np.cumsum(weights)
    marks = (np.arange(size) + rng.random()) * (edges[-1] / size)
    drawn = np.minimum(np.searchsorted(edges, marks, side="right"), len(weights) - 1)
    return rng.permutation(drawn)


@dataclass(frozen=True, eq=False)
class Batches:
    """The cells of every pair, on the device: `rank`, click `rate` and `share` of the pair's weight, [n_cells]."""

    weight: FloatArray
    first: "torch.Tensor"
    count: "torch.Tensor"
    rank: "torch.Tensor"
    rate: "torch.Tensor"
    share: "torch.Tensor"

    @classmethod
    def of(cls, cells: Cells, place: "torch.device") -> "Batches":
        """Put cells on a device."""
        import torch

        weight = np.bincount(cells.pair, cells.n, minlength=cells.n_pairs).astype(np.float64)
        count = np.bincount(cells.pair, minlength=cells.n_pairs)
        tensors = {
            "first": np.cumsum(count) - count,
            "count": count,
            "rank": cells.rank.astype(np.int64),
            "rate": ratio(cells.clicks, cells.n).astype(np.float32),
            "share": ratio(cells.n, weight[cells.pair]).astype(np.float32),
        }
        return cls(weight, **{name: torch.as_tensor(values, device=place) for name, values in tensors.items()})

    def cells_of(self, pairs: "torch.Tensor") -> "tuple[torch.Tensor, torch.Tensor]":
        """Every cell of the given pairs [n]: the place of its pair in `pairs`, and its index."""
        import torch

        count = self.count[pairs]
        row = torch.repeat_interleave(torch.arange(len(pairs), device=pairs.device), count)
        within = torch.arange(len(row), device=pairs.device) - (count.cumsum(0) - count)[row]
        return row, self.first[pairs][row] + within
