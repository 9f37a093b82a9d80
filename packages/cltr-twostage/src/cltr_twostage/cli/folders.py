"""Folders of results: written where there was none, or where this command wrote before, never over other files."""

import json
from pathlib import Path
from typing import Any

from irworks.errors import DataError

ABOUT = "about.json"


def claim_folder(folder: Path, about: dict[str, Any]) -> None:
    """Make a folder of results and say in it what they are.

    Raises:
        DataError: The folder exists and holds something else, or it is a file.
    """
    from irworks.runtime import atomic_write
    from irworks.runtime.terminal import strict_json

    if folder.exists() and not folder.is_dir():
        raise DataError("a file stands where the folder should be", source=folder, hint="Choose another name")
    if folder.exists() and any(folder.iterdir()) and not _is_ours(folder):
        raise DataError("the folder exists and holds other files", source=folder, hint="Choose another name")
    with atomic_write(folder / ABOUT) as handle:
        handle.write(strict_json({"package": "cltr-twostage"} | about))


def _is_ours(folder: Path) -> bool:
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(about, dict) and about.get("package") == "cltr-twostage"
