"""The same objective as `recgaze.models.product`, by automatic differentiation: for studies that want a GPU."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import MissingDependencyError
from recgaze.models.product import Product, Solution

__all__ = ["climb_torch"]

FloatArray = NDArray[np.float64]


def climb_torch(problem: Product, start: FloatArray, max_iter: int = 2000) -> Solution:
    """L-BFGS of torch with a strong Wolfe line search, in double precision, on a GPU where there is one.

    Args:
        problem: Any factors.
        start: float64 [n_parameters].
        max_iter: Most iterations.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    try:
        import torch
    except ImportError:
        raise MissingDependencyError("torch", "solver='torch'", "recgaze[torch]") from None
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def tensor(values: NDArray[Any]) -> Any:
        return torch.as_tensor(values, dtype=torch.float64, device=device)

    tally = problem.tally
    clicked, rest = tensor(tally.clicked), tensor(tally.shown - tally.clicked)
    indices = [torch.as_tensor(factor.index, dtype=torch.int64, device=device) for factor in problem.factors]
    scale, n_shown = 1 / max(float(tally.clicked.sum()), 1.0), float(tally.shown.sum())
    parameters = tensor(start).requires_grad_(bool(len(start)))
    history: list[float] = []

    def loss() -> Any:
        log_p, penalty = torch.zeros_like(clicked), torch.zeros((), dtype=torch.float64, device=device)
        for factor, index, part in zip(problem.factors, indices, problem.split(parameters), strict=True):
            log_p = log_p + torch.nn.functional.logsigmoid(factor.logits(part))[index]
            penalty = penalty + factor.penalty(part)
        # 1 - P by expm1: exact where P is near 0 or 1.
        log_rest = torch.log(-torch.expm1(log_p - 1e-12))
        return (penalty - clicked @ log_p - rest @ log_rest) * scale

    def closure() -> Any:
        optimiser.zero_grad()
        value = loss()
        value.backward()
        return value

    def note() -> None:
        with torch.no_grad():
            history.append(-float(loss()) / (scale * n_shown))

    note()
    converged = True
    if len(start):
        optimiser = torch.optim.LBFGS([parameters], max_iter=50, history_size=20, line_search_fn="strong_wolfe")
        converged = False
        for _ in range(-(-max_iter // 50)):
            optimiser.step(closure)  # type: ignore[no-untyped-call]
            note()
            # A round of 50 iterations that gains next to nothing: the flat valleys of unclicked keys have no bottom.
            converged = history[-1] - history[-2] < 1e-12 * abs(history[-1])
            if converged:
                break
    found = parameters.detach().cpu().numpy()
    return Solution(found, problem.values(found), np.array(history), converged)
