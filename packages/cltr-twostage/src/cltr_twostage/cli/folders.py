"""Where results go: folders that appear whole or not at all, and never in the place of other files."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cltr_twostage.files import PACKAGE

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
    from irworks.runtime.outputs import require_replaceable
    from irworks.runtime.terminal import strict_json

    command = about["command"]

    def is_ours(found: dict[str, Any]) -> bool:
        return found.get("package") == PACKAGE and found.get("command") == command

    require_replaceable(folder, f"what {command} wrote before", header=ABOUT, is_ours=is_ours, names=names)
    with atomic_folder(folder.resolve() if folder.is_symlink() else folder) as scratch:
        yield scratch
        with atomic_write(scratch / ABOUT) as handle:
            handle.write(strict_json({"package": PACKAGE} | about))
