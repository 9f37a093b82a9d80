"""Where results may go: never in the place of what is read, nor of what somebody else wrote.

Asked before the work, so that nobody waits an hour for a refusal.
"""

import json
import os
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from irworks.errors import ArgumentError, DataError

__all__ = ["require_apart", "require_replaceable"]


def require_apart(
    out: str | Path | None, inputs: Iterable[str | Path | None], *, name: str = "--out", whole: bool = True
) -> None:
    """Check that what is written takes the place of nothing that is read.

    Args:
        out: File or folder to be written. None: nothing is.
        inputs: Files and folders that are read; what is no path of something, such as a word or None, is not looked at.
        name: How the caller calls `out`.
        whole: A folder `out` is replaced with all that is in it. False: files are put into it beside those there, so
            that it may hold what is read, but not be it.

    Raises:
        ArgumentError: `out` is one of `inputs`; or it is a folder, replaced as a whole, that holds one of them; or a
            file that is there already, within a folder that is read.
    """
    if out is None:
        return
    written = Path(out).resolve()
    for one in inputs:
        # Path.exists raises for a word longer than a file's name can be.
        if one is None or not os.path.exists(one):  # noqa: PTH110
            continue
        read = Path(one).resolve()
        held = whole and read.is_relative_to(written)
        if read == written or held or (written.is_file() and written.is_relative_to(read)):
            raise ArgumentError(f"{name} {out} would overwrite {one}, which is read; expected another name")


def require_replaceable(
    folder: str | Path,
    what: str,
    *,
    header: str,
    is_ours: Callable[[dict[str, Any]], bool],
    names: Collection[str] | None = None,
) -> None:
    """Check that `atomic_folder` may write a folder: it is absent, empty, or an earlier one of the same kind.

    ```python
    require_replaceable(
        out, "a saved model", header="config.json", is_ours=lambda config: config.get("package") == "ltr-twotower"
    )
    ```

    Args:
        folder: The folder to be written.
        what: What may be replaced, in words.
        header: The file in such a folder that says what it is: a JSON object.
        is_ours: Whether a header is that of such a folder; others, too, have a `config.json`, and must survive.
        names: What such a folder may hold, beside the header; a file that the user put there must survive too.
            Default: anything.

    Raises:
        DataError: The folder holds something else, is a file, or cannot be replaced as a whole.
    """
    target = Path(folder)
    if not target.exists():
        return
    expected = f"a new folder, or {what} to replace"
    if not target.is_dir():
        raise DataError("a file stands where the folder should be", source=target, expected=expected)
    if os.path.ismount(target) or Path.cwd().is_relative_to(target.resolve()):
        raise DataError("the folder cannot be replaced as a whole", source=target, hint="Name a folder within it")
    present = sorted(path.name for path in target.iterdir())
    if present and not _is_ours(target / header, is_ours):
        raise DataError(f"the folder exists and is not {what}", source=target, found=present[0], expected=expected)
    others = [] if names is None else [name for name in present if name != header and name not in names]
    if others:
        raise DataError("the folder also holds other files", source=target, found=others[0], hint="Choose another name")


def _is_ours(header: Path, is_ours: Callable[[dict[str, Any]], bool]) -> bool:
    try:
        stated = json.loads(header.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(stated, dict) and is_ours(stated)
