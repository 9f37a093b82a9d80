"""Products with a constant sparse matrix that can be differentiated any number of times, on any device."""

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from scipy import sparse

__all__ = ["SparseMatrix"]


class _Product(torch.autograd.Function):
    # The gradient is again such a product, so that there is a second derivative, and no transposition on the way.

    @staticmethod
    def forward(ctx: Any, dense: torch.Tensor, matrix: "SparseMatrix") -> torch.Tensor:
        ctx.matrix = matrix
        product: torch.Tensor = matrix.rows.to(dense.dtype) @ dense
        return product

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None]:
        return ctx.matrix.transposed @ grads[0], None


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """A matrix [n, m] without gradient, and its transpose.

    Attributes:
        rows: float32 [n, m], torch's compressed rows.
        columns: float32 [m, n], the same of the transpose.
    """

    rows: torch.Tensor
    columns: torch.Tensor

    @classmethod
    def of(cls, matrix: "sparse.csr_array", device: torch.device) -> "SparseMatrix":
        """From scipy's, float [n, m]."""
        return cls(_compressed(matrix, device), _compressed(matrix.T.tocsr(), device))

    @property
    def transposed(self) -> "SparseMatrix":
        """Of [m, n]."""
        return SparseMatrix(self.columns, self.rows)

    def __matmul__(self, dense: torch.Tensor) -> torch.Tensor:
        """The product [n, d] with a dense matrix [m, d]."""
        product: torch.Tensor = _Product.apply(dense, self)
        return product


def _compressed(matrix: "sparse.csr_array", device: torch.device) -> torch.Tensor:
    matrix = matrix.sorted_indices()
    data = torch.from_numpy(matrix.data.astype("float32"))
    begins, columns = (torch.from_numpy(each.astype("int64")) for each in (matrix.indptr, matrix.indices))
    with warnings.catch_warnings():
        # At its first use torch says that compressed rows are "in beta state".
        warnings.filterwarnings("ignore", message="Sparse CSR", category=UserWarning)
        return torch.sparse_csr_tensor(begins, columns, data, matrix.shape, check_invariants=True).to(device)
