"""A stage scored by a torch module. Importing this module does not import torch."""

import copy
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError, IrworksError, MissingDependencyError
from irworks.runtime import device as find_device

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

__all__ = ["ModuleScorer", "ModuleScores", "Precision", "is_module"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
State = dict[str, NDArray[np.generic]]
Precision = Literal["float32", "bf16"]

# Rows that a module scores at once outside of training.
CHUNK = 1 << 16


def is_module(value: object) -> bool:
    """Whether a value is a `torch.nn.Module` (not a class of these), found out without importing torch."""
    return hasattr(value, "state_dict") and callable(value) and not isinstance(value, type)


class ModuleScores:
    """Scores of a torch module, moved by Adam.

    Args:
        module: Maps float32 [n, n_features] to [n] or [n, 1]. A copy is trained.
        X: float [n_rows, n_features].
        learning_rate: Of Adam.
        l2: Weight decay of Adam.
        device: "auto" (CUDA where there is one, else the processor), "cpu", "cuda" or "cuda:<index>".
        precision: "float32", or "bf16": run the module under bfloat16 autocast.
        accelerator: An `accelerate.Accelerator`, which then chooses device and precision and keeps the copies of all
            processes the same.

    Raises:
        ArgumentError: A module without parameters, or a device that is not here.
        MissingDependencyError: torch is not installed.
    """

    sharded = True

    def __init__(
        self,
        module: "torch.nn.Module",
        X: FloatArray,
        learning_rate: float,
        l2: float,
        *,
        device: str = "auto",
        precision: Precision = "float32",
        accelerator: "Accelerator | None" = None,
    ) -> None:
        torch = _torch()
        self.X = X.astype(np.float32)
        self.bf16, self.accelerator = precision == "bf16", accelerator
        self.device = _device(device) if accelerator is None else accelerator.device
        self.module: Any = copy.deepcopy(module).to(self.device)
        parameters = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        if not parameters:
            raise ArgumentError("the module has no parameters to train")
        self._require_fit()
        self.optimiser: Any = torch.optim.Adam(parameters, lr=learning_rate, weight_decay=l2)
        if accelerator is not None:
            self.module, self.optimiser = accelerator.prepare(self.module, self.optimiser)
        self._opened: Any = None

    @property
    def plain(self) -> "torch.nn.Module":
        """The module, without what spreads it over processes."""
        module: torch.nn.Module = (
            self.module if self.accelerator is None else self.accelerator.unwrap_model(self.module)
        )
        return module

    def scores(self) -> FloatArray:
        """float64 [n_rows]."""
        return self.scores_of(np.arange(len(self.X)))

    def scores_of(self, rows: LongArray) -> FloatArray:
        """float64 [n], in evaluation mode."""
        torch = _torch()
        module = self.plain.eval()
        with torch.no_grad():
            parts = [self._forward(module, rows[begin : begin + CHUNK]) for begin in range(0, len(rows), CHUNK)]
        return np.concatenate([_array(part) for part in parts])

    def open(self, rows: LongArray, seed: int) -> FloatArray:
        """float64 [n], in training mode; the graph is kept for `ascend`."""
        self.module.train()
        with _seeded(seed, self.device):
            self._opened = self._forward(self.module, rows)
        return _array(self._opened.detach())

    def ascend(self, rows: LongArray, gradient: FloatArray) -> None:
        """One step up the gradient [n] by the opened scores, which are this process's part; processes are summed."""
        torch = _torch()
        # Adding up to the scores' inner product with it, the loss has the negative gradient for its own.
        processes = 1 if self.accelerator is None else self.accelerator.num_processes
        upward = torch.as_tensor(gradient * processes, dtype=torch.float32, device=self.device)
        loss = -(self._opened * upward).sum()
        self._opened = None
        self.optimiser.zero_grad()
        if self.accelerator is None:
            loss.backward()
        else:
            self.accelerator.backward(loss)
        self.optimiser.step()

    def _require_fit(self) -> None:
        """Raise an ArgumentError if the module does not take these features: torch names shapes of its own inside."""
        try:
            with _torch().no_grad():
                self.module.eval()(_torch().as_tensor(self.X[:1], device=self.device))
        except (RuntimeError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            raise ArgumentError(f"the module does not take features [n, {self.X.shape[1]}]: {reason}") from error

    def _forward(self, module: "torch.nn.Module", rows: LongArray) -> "torch.Tensor":
        torch = _torch()
        features = torch.as_tensor(self.X[rows], device=self.device)
        with torch.autocast(torch.device(self.device).type, dtype=torch.bfloat16, enabled=self.bf16):
            scores = module(features)
        if tuple(scores.shape) not in ((len(rows),), (len(rows), 1)):
            raise ArgumentError(
                f"the module returned shape {list(scores.shape)} for {len(rows)} rows; expected [{len(rows)}] or "
                f"[{len(rows)}, 1]"
            )
        if not bool(torch.isfinite(scores).all()):
            raise IrworksError("learning diverged: the module returned a score that is not finite; lower learning_rate")
        return scores.reshape(-1).float()  # type: ignore[no-any-return]

    def state(self) -> State:
        """Weights and optimiser, as the bytes of `torch.save`."""
        torch = _torch()
        buffer = io.BytesIO()
        torch.save({"module": self.plain.state_dict(), "optimiser": self.optimiser.state_dict()}, buffer)
        return {"torch": np.frombuffer(buffer.getvalue(), dtype=np.uint8)}

    def load(self, state: State) -> None:
        """Go back to a state."""
        torch = _torch()
        buffer = io.BytesIO(state["torch"].tobytes())
        parts = torch.load(buffer, map_location="cpu", weights_only=True)
        self.plain.load_state_dict(parts["module"])
        self.optimiser.load_state_dict(parts["optimiser"])

    def scorer(self) -> "ModuleScorer":
        """A copy of the module on the processor, in evaluation mode."""
        return ModuleScorer(copy.deepcopy(self.plain).cpu().eval(), self.X.shape[1])


class ModuleScorer:
    """Scores documents by a torch module on the processor.

    Args:
        module: In evaluation mode.
        n_features: Number of features that it was learned on.
    """

    def __init__(self, module: "torch.nn.Module", n_features: int) -> None:
        self.module, self.n_features = module, n_features

    def __call__(self, X: ArrayLike) -> FloatArray:
        """float64 [n], scores for features [n, n_features]."""
        torch = _torch()
        table = np.asarray(X, dtype=np.float32)
        if table.ndim != 2 or table.shape[1] != self.n_features:
            raise ArgumentError(f"X has shape {table.shape}; expected [n, {self.n_features}], as were learned on")
        with torch.no_grad():
            parts = [
                _array(self.module(torch.as_tensor(table[begin : begin + CHUNK])).reshape(-1))
                for begin in range(0, len(table), CHUNK)
            ]
        return np.concatenate([np.zeros(0), *parts])


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError("torch", "a neural policy", "cltr-twostage[torch]") from error
    return torch


def _device(name: str) -> str:
    if name != "auto":
        return find_device(name)
    return "cuda" if _torch().cuda.is_available() else "cpu"


def _array(scores: "torch.Tensor") -> FloatArray:
    values: FloatArray = scores.double().cpu().numpy()
    return values


@contextmanager
def _seeded(seed: int, device: Any) -> Iterator[None]:
    """Seed the generators that dropout draws from, and give them back their state afterwards."""
    torch = _torch()
    place = torch.device(device)
    accelerators = [place] if place.type == "cuda" else []
    with torch.random.fork_rng(devices=accelerators):
        torch.default_generator.manual_seed(seed)
        for accelerator in accelerators:
            with torch.cuda.device(accelerator):
                torch.cuda.manual_seed(seed)
        yield
