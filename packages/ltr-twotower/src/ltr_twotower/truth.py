"""A simulated log as a file, and the truth behind it as a file beside it."""

import json
from pathlib import Path
from typing import Any

from irworks.data import ClickLog, write_click_log
from irworks.errors import DataError
from irworks.runtime import atomic_write

__all__ = ["check_target", "truth_of", "write_with_truth"]

_WORLD = "world"


def truth_of(log: Path) -> Path:
    """The file with the truth behind the log in a file."""
    return log.with_name(log.name + ".truth.json")


def check_target(out: Path) -> None:
    """Raise a `DataError` unless `out` is a new file or an earlier simulated log: a real one cannot be made again."""
    present = [path for path in (out, truth_of(out)) if path.exists()]
    if present and not _is_truth(truth_of(out)):
        raise DataError(
            "the file exists and is no simulated log",
            source=present[0],
            expected=f"a new file, or a simulated log, with {truth_of(out).name} beside it",
            hint="Choose another name",
        )


def write_with_truth(log: ClickLog, world: str, truth: dict[str, Any], out: Path) -> Path:
    """Write a simulated log and, beside it, the name of its world and the truth.

    Returns:
        The file of the truth.

    Raises:
        DataError: As `check_target`.
    """
    check_target(out)
    write_click_log(log, out)
    beside = truth_of(out)
    with atomic_write(beside) as handle:
        json.dump({_WORLD: world} | truth, handle, indent=1)
    return beside


def _is_truth(file: Path) -> bool:
    try:
        stated = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(stated, dict) and _WORLD in stated and "relevance_logit" in stated
