"""The loss of `recgaze.models.product` by automatic differentiation: for studies that want a GPU."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import MissingDependencyError
from recgaze.models.product import Product

__all__ = ["torch_loss"]

FloatArray = NDArray[np.float64]


def torch_loss(problem: Product) -> Callable[[FloatArray], tuple[float, FloatArray]]:
    """`Product.loss` in double precision, on a GPU where there is one; the counts are moved there once.

    Args:
        problem: Any factors.

    Returns:
        A function of the parameters that gives the penalised negative log-likelihood and its gradient.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingDependencyError("torch", "solver='torch'", "recgaze[torch]") from None
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def tensor(values: NDArray[Any]) -> torch.Tensor:
        return torch.as_tensor(values, dtype=torch.float64, device=device)

    clicked, rest = tensor(problem.clicked), tensor(problem.rest)
    indices = [torch.as_tensor(factor.index, dtype=torch.int64, device=device) for factor in problem.factors]

    def loss(parameters: FloatArray) -> tuple[float, FloatArray]:
        at = tensor(parameters).requires_grad_()
        log_p, penalty = torch.zeros_like(clicked), torch.zeros((), dtype=torch.float64, device=device)
        for factor, index, part in zip(problem.factors, indices, problem.split(at), strict=True):
            log_p = log_p + torch.nn.functional.logsigmoid(factor.logits(part))[index]
            penalty = penalty + factor.penalty(part)
        # 1 - P by expm1 is exact where P is near 1; the last digit keeps it from being 0.
        log_rest = torch.log(-torch.expm1(log_p - 1e-12))
        total = penalty - clicked @ log_p - rest @ log_rest
        (gradient,) = torch.autograd.grad(total, at)
        return float(total.detach()), gradient.cpu().numpy()

    return loss
