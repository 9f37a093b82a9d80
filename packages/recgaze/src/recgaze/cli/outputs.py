"""Where results may go: never in the place of what is read, nor of what another wrote, nor where nothing can be."""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from irworks.errors import ArgumentError

__all__ = ["require_out", "require_replaceable_study", "study_files", "study_folder"]

ABOUT = "about.json"


def require_out(out: Path | None, reads: Iterable[Path] = (), *, whole: bool = False) -> None:
    """Check a place to write to, before the work: it is no input, and something can be written there.

    Args:
        out: The file or folder; None: nothing is written.
        reads: Files and folders that the command reads.
        whole: Whether `out` is a folder that is replaced with all that is in it.

    Raises:
        ArgumentError: It is one of `reads`, or its folder takes no files.
    """
    from irworks.runtime.outputs import require_apart

    if out is None:
        return
    require_apart(out, reads, whole=whole)
    target = out.absolute()
    # What is replaced as a whole is written beside, under another name.
    inside = target.is_dir() and not whole
    folder = target if inside else next(place for place in target.parents if place.exists())
    try:
        # Asked of the system, as permissions do not tell: nobody can write to /proc, whatever they say.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ArgumentError(
            f"--out {out} cannot be written: {folder} takes no files ({error.strerror}); expected a place that does"
        ) from None


def study_files(folder: Path) -> list[Path]:
    """The tables of a study."""
    return [folder / name for name in _table_names() if (folder / name).is_file()]


def require_replaceable_study(folder: Path) -> None:
    """Check that a folder is absent, empty, or a study as `recgaze simulate` wrote it.

    Raises:
        DataError: It holds something else: a table that was changed is somebody's own.
    """
    from irworks.runtime.outputs import require_replaceable

    def is_ours(about: dict[str, Any]) -> bool:
        writer = (about.get("package"), about.get("command"))
        return writer == ("recgaze", "simulate") and about.get("sha256") == _digests(folder)

    require_replaceable(
        folder, "a study as `recgaze simulate` wrote it", header=ABOUT, is_ours=is_ours, names=_table_names()
    )


@contextmanager
def study_folder(folder: Path, about: dict[str, Any]) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` on success; on failure nothing is left or changed.

    Args:
        folder: Where the tables are to stand.
        about: What they are: goes into `about.json`, with which tables belong to it.
    """
    from irworks.runtime import atomic_folder, atomic_write
    from irworks.runtime.terminal import strict_json

    # A link stays one: what it points at is replaced.
    with atomic_folder(folder.resolve()) as scratch:
        yield scratch
        header = {"package": "recgaze", "command": "simulate"} | about | {"sha256": _digests(scratch)}
        with atomic_write(scratch / ABOUT) as handle:
            handle.write(strict_json(header))


def _table_names() -> list[str]:
    from recgaze.data.files import table_paths
    from recgaze.data.schema import TABLES

    return [path.name for spec in TABLES for path in table_paths(Path(), spec)]


def _digests(folder: Path) -> dict[str, str]:
    return {path.name: _digest(path) for path in study_files(folder)}


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
