"""One stage of a policy: where its scores come from."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.data import Pool
from cltr_twostage.scores import checked_scores
from irworks.errors import ArgumentError
from irworks.simulate.plackett_luce import require_at_least_one

if TYPE_CHECKING:
    import torch

__all__ = ["Stage", "stage_scores"]

FloatArray = NDArray[np.float64]


class Stage:
    """One stage of a policy: Plackett-Luce log-weights from a table, a function of features, or a torch module.

    Args:
        source: float [n_rows] scores; or a function from features to them; or a torch module.
        X: float [n_rows, n_features], what a function or module is called with.
        temperature: Scores are divided by it; near 0 the stage sorts, towards infinity it draws uniformly.
        batch_size: Rows that a torch module scores at a time.
        device: Torch device of the module's input. Default: that of its parameters.

    Raises:
        ArgumentError: A temperature that is not above 0, a function without features, features with a table, or scores
            that are not finite numbers or -inf, one a row.
    """

    def __init__(
        self,
        source: "ArrayLike | Callable[[NDArray[Any]], ArrayLike] | torch.nn.Module",
        X: ArrayLike | None = None,
        *,
        temperature: float = 1.0,
        batch_size: int = 65_536,
        device: str | None = None,
    ) -> None:
        if not (np.isfinite(temperature) and temperature > 0):
            raise ArgumentError(f"temperature={temperature!r}; expected a finite number above 0")
        if callable(source) != (X is not None):
            kind = "a function" if callable(source) else "a table of scores"
            raise ArgumentError(
                f"source is {kind} and X is {'given' if X is not None else 'missing'}; expected X with "
                "a function or module, as in Stage(function, X), and none with a table"
            )
        require_at_least_one("batch_size", batch_size)
        self.source, self.X, self.temperature = source, X, float(temperature)
        self.batch_size, self.device = batch_size, device

    @property
    def scores(self) -> FloatArray:
        """float64 [n_rows], log-weights; computed each time, as a module may have been trained meanwhile."""
        if self.X is None:
            raw = _numbers(self.source)
        elif hasattr(self.source, "parameters"):
            raw = _module_scores(self.source, np.asarray(self.X), self.batch_size, self.device)
        else:
            raw = _numbers(self.source(np.asarray(self.X)))  # type: ignore[operator]
        flat = raw[:, 0] if raw.ndim == 2 and raw.shape[1] == 1 else raw
        return np.asarray(flat / self.temperature)


def stage_scores(name: str, stage: ArrayLike | Stage, pool: Pool) -> FloatArray:
    """The scores of a stage or a table, checked: float64 [n_rows], read-only.

    Args:
        name: What to call the stage in error messages.
        stage: The stage, or its scores.
        pool: The rows that are scored.

    Raises:
        ArgumentError: Not one score a row, or a score that is NaN, +inf or beyond +-1e12.
    """
    return checked_scores(name, (stage if isinstance(stage, Stage) else Stage(stage)).scores, pool)


def _numbers(scores: Any) -> FloatArray:
    try:
        return np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        # A tensor that still has its graph raises a RuntimeError, which says what to do.
        raise ArgumentError(f"a stage is a {type(scores).__name__}; expected scores [n_rows]: {error}") from error


def _module_scores(module: Any, X: NDArray[Any], batch_size: int, device: str | None) -> FloatArray:
    import torch

    first = next(module.parameters(), None)
    where = device if device is not None else ("cpu" if first is None else first.device)
    kind = torch.float32 if first is None else first.dtype
    # A user may keep a part of a module in evaluation mode: `module.train()` would not give that back.
    was_training = [part for part in module.modules() if part.training]
    module.eval()
    try:
        with torch.no_grad():
            parts = [
                module(torch.as_tensor(X[begin : begin + batch_size], dtype=kind, device=where)).double().cpu().numpy()
                for begin in range(0, max(len(X), 1), batch_size)
            ]
    except (RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ArgumentError(f"the module does not score X, which has shape {X.shape}: {reason}") from error
    finally:
        for part in was_training:
            part.training = True
    return np.concatenate(parts)
