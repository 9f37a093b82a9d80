"""One file that an interrupted run goes on from."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from irworks.errors import DataError
from irworks.runtime import atomic_write, run_dir

__all__ = ["Checkpoint", "fingerprint", "nested", "unnested"]

State = dict[str, NDArray[np.generic]]

FILE = "checkpoint.npz"


class Checkpoint:
    """A folder with the last state of a run.

    Args:
        folder: Made if it is absent.
        run: Fingerprint of settings and data: a state of another run is refused.

    Raises:
        ArgumentError: The folder cannot be made.
    """

    def __init__(self, folder: str | Path, run: str) -> None:
        self.path, self.run = run_dir(folder) / FILE, run

    def save(self, state: State) -> None:
        """Write a state in place of the last one."""
        with atomic_write(self.path, "wb") as handle:
            np.savez(handle, run=np.asarray(self.run), **state)  # type: ignore[arg-type]

    def load(self) -> State | None:
        """The last state; None where there is none.

        Raises:
            DataError: The file is damaged, or of another run.
        """
        if not self.path.exists():
            return None
        try:
            with np.load(self.path, allow_pickle=False) as file:
                state = {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise DataError(
                "the checkpoint cannot be read", source=self.path, found=str(error), hint="Remove it to start afresh"
            ) from error
        if str(state.pop("run", "")) != self.run:
            raise DataError(
                "the checkpoint is of another run",
                source=self.path,
                expected="the settings and data that this run has",
                hint="Choose another folder, or resume=False to start afresh",
            )
        return state


def fingerprint(settings: str, *arrays: NDArray[np.generic] | None) -> str:
    """A digest that differs where settings or data do."""
    digest = hashlib.sha256(settings.encode())
    for array in arrays:
        digest.update(b"none" if array is None else f"{array.dtype}{array.shape}".encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def nested(name: str, state: State) -> State:
    """A state with the keys `name/key`, to stand beside others in one file."""
    return {f"{name}/{key}": value for key, value in state.items()}


def unnested(name: str, state: State) -> State:
    """What `nested` put into a state."""
    return {key.removeprefix(f"{name}/"): value for key, value in state.items() if key.startswith(f"{name}/")}
