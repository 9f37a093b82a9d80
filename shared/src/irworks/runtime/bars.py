"""Progress bars that appear where a person is watching and nowhere else."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

__all__ = ["progress"]

T = TypeVar("T")


def progress(iterable: Iterable[T], description: str = "", *, total: float | None = None) -> Iterator[T]:
    """Pass the items of `iterable` through, with a bar on standard error if that is a terminal.

    Args:
        iterable: What is iterated over.
        description: What is being done, shown left of the bar.
        total: How many items to expect, where `len(iterable)` does not say.

    Yields:
        The items.
    """
    if not sys.stderr.isatty():
        yield from iterable
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(iterable, description, total=total, console=Console(stderr=True), transient=True)
