"""Checkpoints: the model, the remaining log, what else is kept, and how far the service is, in one rename."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from irworks.errors import DataError
from irworks.runtime import remove_leftovers
from rec_unlearn.data import Interactions
from rec_unlearn.data import store as log_store
from rec_unlearn.protocols import Recommender
from rec_unlearn.service.durable import make_folder, read_checked, remove_folder, sync_file, sync_folder, write_checked

__all__ = ["Checkpoint", "Checkpoints", "ModelStore", "Parts", "default_store"]

MODEL, LOG, ARRAYS, ABOUT = "model.npz", "log.npz", "arrays.npz", "about.json"
_SCRATCH = ".irworks-tmp-checkpoint"


class ModelStore(Protocol):
    """What writes and reads a model as one file; `rec_unlearn.models.store` does for the models of this package."""

    def save(self, model: Any, path: Path) -> None:
        """Write a model; the same model gives the same bytes."""
        ...

    def load(self, path: Path) -> Any:
        """Read it again, with the same numbers to the last bit."""
        ...


def default_store() -> ModelStore:
    """The store of this package's models."""
    from rec_unlearn.models import store

    return store


class Parts(NamedTuple):
    """What the service works on.

    Attributes:
        model: As it is now.
        log: What has not been removed.
        arrays: What else has to survive, by name.
    """

    model: Recommender
    log: Interactions
    arrays: dict[str, NDArray[Any]]


class Checkpoint(NamedTuple):
    """What a checkpoint says of itself.

    Attributes:
        number: The step after which it was written, from 0.
        folder: Where it is.
        about: What the service wrote into it, with the digests of its `files`.
    """

    number: int
    folder: Path
    about: dict[str, Any]


class Checkpoints:
    """The checkpoints in a folder, of which the one with the highest number counts.

    Args:
        folder: Made if it is absent.
        store: Writes and reads models.
    """

    def __init__(self, folder: Path, store: ModelStore | None = None) -> None:
        self.folder = folder
        self._store = store

    @property
    def store(self) -> ModelStore:
        """Writes and reads models."""
        if self._store is None:
            self._store = default_store()
        return self._store

    def write(self, number: int, parts: Parts, describe: Callable[[dict[str, str]], dict[str, Any]]) -> Checkpoint:
        """Write one, to survive a power cut; until the last moment, the one before counts.

        Args:
            number: Of the step.
            parts: What to write.
            describe: From the digests of the files to what else to write.
        """
        make_folder(self.folder)
        remove_leftovers(self.folder, recursive=False)
        scratch = self.folder / _SCRATCH
        scratch.mkdir()
        self.store.save(parts.model, scratch / MODEL)
        log_store.save(parts.log, scratch / LOG)
        np.savez(scratch / ARRAYS, allow_pickle=False, **parts.arrays)
        files = {}
        for name in (MODEL, LOG, ARRAYS):
            sync_file(scratch / name)
            files[name] = _digest(scratch / name)
        about = {"number": number, "files": files, **describe(files)}
        write_checked(scratch / ABOUT, about)
        target = self.folder / f"{number:06d}"
        scratch.rename(target)
        sync_folder(self.folder)
        return Checkpoint(number, target, about)

    def latest(self) -> Checkpoint | None:
        """The one that counts; None if there is none.

        Raises:
            DataError: It does not say what it is.
        """
        if not self.folder.is_dir():
            return None
        numbers = [int(path.name) for path in self.folder.iterdir() if re.fullmatch(r"\d{6,}", path.name)]
        if not numbers:
            return None
        folder = self.folder / f"{max(numbers):06d}"
        about = read_checked(folder / ABOUT, "the checkpoint")
        return Checkpoint(max(numbers), folder, about)

    def read(self, checkpoint: Checkpoint) -> Parts:
        """Read what a checkpoint holds.

        Raises:
            DataError: A file is missing or not as it was written.
        """
        for name, digest in checkpoint.about["files"].items():
            path = checkpoint.folder / name
            found = _digest(path) if path.is_file() else "no file"
            if found != digest:
                raise DataError("the checkpoint is damaged", source=path, found=found[:16], expected=digest[:16])
        with np.load(checkpoint.folder / ARRAYS, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        model = self.store.load(checkpoint.folder / MODEL)
        return Parts(model, log_store.load(checkpoint.folder / LOG), arrays)

    def clear(self, kept: Checkpoint) -> None:
        """Remove all others: they hold what was removed since."""
        remove_leftovers(self.folder, recursive=False)
        for path in sorted(self.folder.iterdir()):
            if path != kept.folder and re.fullmatch(r"\d{6,}", path.name):
                remove_folder(path)


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
