"""Where results may go: never in the place of what is read, nor of what another wrote, nor where nothing can be."""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from irworks.errors import ArgumentError

__all__ = ["require_out", "require_replaceable", "study_files", "write_about"]

ABOUT = "about.json"


def require_out(out: Path | None, reads: Iterable[Path] = (), *, name: str = "--out") -> None:
    """Check a place to write to, before the work: it is no input, and something can be written there.

    Args:
        out: The file or folder; None: nothing is written.
        reads: Files and folders that the command reads.
        name: How the command line calls `out`.

    Raises:
        ArgumentError: It is one of `reads`, or its folder takes no files.
    """
    if out is None:
        return
    for read in reads:
        if read.exists() and read.resolve() == out.resolve():
            raise ArgumentError(f"{name} {out} would overwrite {read}, which the command reads; expected another name")
    target = out.absolute()
    folder = target if target.is_dir() else next(place for place in target.parents if place.exists())
    try:
        # Asked of the system, as permissions do not tell: nobody can write to /proc, whatever they say.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ArgumentError(
            f"{name} {out} cannot be written: {folder} takes no files ({error.strerror}); expected a place that does"
        ) from None


def study_files(folder: Path) -> list[Path]:
    """A study's folder and the tables in it."""
    return [folder, *_tables(folder)]


def require_replaceable(folder: Path) -> None:
    """Check that a folder holds no table but those that `recgaze simulate` wrote, as it wrote them.

    Raises:
        ArgumentError: It does.
    """
    written = _about(folder).get("sha256", {})
    for path in _tables(folder):
        if written.get(path.name) != _digest(path):
            raise ArgumentError(
                f"OUT {folder} holds {path.name}, which `recgaze simulate` did not write; expected a folder without a "
                "study, or with one that it wrote"
            )


def write_about(folder: Path, about: dict[str, Any]) -> None:
    """Say beside a simulated study what it is, and which tables belong to it."""
    from irworks.runtime import atomic_write
    from irworks.runtime.terminal import strict_json

    tables = {path.name: _digest(path) for path in _tables(folder)}
    with atomic_write(folder / ABOUT) as handle:
        handle.write(strict_json({"package": "recgaze", "command": "simulate"} | about | {"sha256": tables}))


def _about(folder: Path) -> dict[str, Any]:
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    ours = isinstance(about, dict) and (about.get("package"), about.get("command")) == ("recgaze", "simulate")
    return about if ours else {}


def _tables(folder: Path) -> "Iterator[Path]":
    from recgaze.data.files import table_paths
    from recgaze.data.schema import TABLES

    return (path for spec in TABLES for path in table_paths(folder, spec) if path.is_file())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
