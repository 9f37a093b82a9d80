"""What algorithms keep from request to request, as arrays, so that a checkpoint can hold it."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rec_unlearn.algorithms import Algorithm, NotApplicableError

__all__ = ["restore_state", "state_of"]

Arrays = dict[str, NDArray[Any]]
_OWN = "own/"


def state_of(algorithm: Algorithm) -> Arrays:
    """What an algorithm keeps: by its method `state`, or else its fields with `init=False`.

    Raises:
        NotApplicableError: It keeps something that is no array, or does not say what; after a kill it would go on
            differently from how it would have gone on.
    """
    stated = algorithm.state()
    if stated is not None:
        return {f"{_OWN}{name}": np.asarray(value) for name, value in stated.items()}
    kept = _kept(algorithm)
    if algorithm.access.state and not kept:
        raise _refusal(algorithm, "keeps state between requests, and does not say which")
    arrays: Arrays = {}
    for name in kept:
        problem = _pack(name, getattr(algorithm, name, None), arrays)
        if problem:
            raise _refusal(algorithm, f"keeps {problem} between requests, which is no array")
    return arrays


def restore_state(algorithm: Algorithm, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Give an algorithm back what `state_of` found."""
    if algorithm.state() is not None:
        algorithm.restore({name.removeprefix(_OWN): array for name, array in arrays.items() if name.startswith(_OWN)})
        return
    for name in _kept(algorithm):
        setattr(algorithm, name, _unpack(name, getattr(algorithm, name, None), arrays))


def _refusal(algorithm: Algorithm, what: str) -> NotApplicableError:
    return NotApplicableError(
        f"{algorithm.name} {what}: the service could not resume it after a kill; "
        f"give {type(algorithm).__name__} the methods state() and restore(state), or choose another algorithm"
    )


def _kept(algorithm: Algorithm) -> list[str]:
    this: Any = algorithm
    return [entry.name for entry in fields(this) if not entry.init] if is_dataclass(this) else []


def _pack(name: str, value: Any, arrays: Arrays) -> str:
    """Add a value to the arrays; what cannot be added is the answer."""
    if value is None:
        return ""
    if is_dataclass(value) and not isinstance(value, type):
        problems = [_pack(f"{name}.{entry.name}", getattr(value, entry.name), arrays) for entry in fields(value)]
        return next((problem for problem in problems if problem), "")
    if isinstance(value, bool | int | float | str | np.generic):
        arrays[f"{name}:one"] = np.asarray(value)
    elif isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        arrays[f"{name}:array"] = value
    elif isinstance(value, list) and all(isinstance(part, int | float) for part in value):
        arrays[f"{name}:list"] = np.asarray(value, dtype=np.float64)
    elif isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        arrays[f"{name}:texts"] = np.asarray(value, dtype=np.str_)
    elif type(value).__module__.partition(".")[0] == "torch" and hasattr(value, "detach"):
        arrays[f"{name}:tensor"] = value.detach().cpu().numpy().copy()
    else:
        return f"{name} ({type(value).__name__})"
    return ""


def _unpack(name: str, now: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    if f"{name}:one" in arrays:
        return arrays[f"{name}:one"].item()
    if f"{name}:array" in arrays:
        return arrays[f"{name}:array"].copy()
    for kind in ("list", "texts"):
        if f"{name}:{kind}" in arrays:
            return arrays[f"{name}:{kind}"].tolist()
    if f"{name}:tensor" in arrays:
        import torch

        return torch.from_numpy(arrays[f"{name}:tensor"].copy())
    if is_dataclass(now) and not isinstance(now, type):
        for entry in fields(now):
            setattr(now, entry.name, _unpack(f"{name}.{entry.name}", getattr(now, entry.name), arrays))
        return now
    return None
