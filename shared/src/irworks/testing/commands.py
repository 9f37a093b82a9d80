"""Command lines, run in this process as if they had been started from a shell."""

import contextlib
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Outcome", "run_main"]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind.

    Attributes:
        status: Its exit status.
        out: What it wrote to standard output.
        err: What it wrote to standard error.
    """

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as strict JSON: without NaN and infinities, which other readers refuse."""

        def refuse(constant: str) -> None:
            raise ValueError(f"{constant} is not JSON")

        return json.loads(self.out, parse_constant=refuse)


def run_main(main: Callable[[], None], name: str, *arguments: object) -> Outcome:
    """Run a command line.

    Args:
        main: What the command's entry point names; an exception that it lets out passes through.
        name: Of the command.
        arguments: Its arguments; each is turned into text.
    """
    out, err, before = io.StringIO(), io.StringIO(), sys.argv
    status: object = 0
    try:
        sys.argv = [name, *map(str, arguments)]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        status = stop.code or 0
    finally:
        sys.argv = before
    if not isinstance(status, int):
        # As the interpreter does: a text is printed, and the status is 1.
        err.write(f"{status}\n")
        status = 1
    return Outcome(status, out.getvalue(), err.getvalue())
