"""Where results go: folders that appear whole or not at all, and never in the place of other files."""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from irworks.errors import ArgumentError, DataError

ABOUT = "about.json"


@contextmanager
def result_folder(folder: Path, about: dict[str, Any], names: Collection[str]) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` on success; on failure nothing is left or changed.

    Args:
        folder: Where the results are to stand.
        about: What they are, with the `command` that wrote them; goes into `about.json`, which is written last.
        names: What this command writes, in any of its runs.

    Raises:
        DataError: The folder exists and holds something else, or it is a file.
    """
    from irworks.runtime import atomic_folder, atomic_write
    from irworks.runtime.terminal import strict_json

    target = folder.resolve() if folder.is_symlink() else folder
    if target.exists():
        _require_replaceable(target, folder, str(about["command"]), {*names, ABOUT})
    with atomic_folder(target) as scratch:
        yield scratch
        with atomic_write(scratch / ABOUT) as handle:
            handle.write(strict_json({"package": "cltr-twostage"} | about))


def require_apart(out: Path | None, inputs: Sequence[Path | str | None]) -> None:
    """Raise an ArgumentError if what is written would take the place of what is read, before the work.

    Args:
        out: File or folder to be written.
        inputs: Files and folders that are read; what is no path of something, such as a word, is not looked at.
    """
    for one in inputs:
        if out is None or one is None or not Path(one).exists():
            continue
        read, written = Path(one).resolve(), out.resolve()
        if read.is_relative_to(written) or (out.is_file() and written.is_relative_to(read)):
            raise ArgumentError(f"--out {out} would overwrite {one}, which the command reads; expected another name")


def _require_replaceable(target: Path, folder: Path, command: str, names: set[str]) -> None:
    if not target.is_dir():
        raise DataError("a file stands where the folder should be", source=folder, hint="Choose another name")
    if os.path.ismount(target) or Path.cwd().is_relative_to(target.resolve()):
        raise DataError("the folder cannot be replaced as a whole", source=folder, hint="Name a folder within it")
    present = sorted(path.name for path in target.iterdir())
    writer = _writer(target)
    if present and writer != command:
        problem = "the folder exists and holds other files" if writer is None else f"{writer} wrote this folder"
        raise DataError(problem, source=folder, hint="Choose another name")
    others = [name for name in present if name not in names]
    if others:
        raise DataError("the folder also holds other files", source=folder, found=others[0], hint="Choose another name")


def _writer(folder: Path) -> str | None:
    """The command that wrote a folder; None if it was none of ours."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    ours = isinstance(about, dict) and about.get("package") == "cltr-twostage"
    return str(about.get("command")) if ours else None
