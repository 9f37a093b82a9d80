"""What the command lines of the packages have in common: errors as sentences, warnings as lines, strict JSON."""

import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from irworks.errors import IrworksError

if TYPE_CHECKING:
    import typer

__all__ = ["run_command_line", "strict_json", "version_callback", "warnings_as_lines"]


def run_command_line(
    app: "typer.Typer", name: str | None = None, mistakes: tuple[type[Exception], ...] = (IrworksError, OSError)
) -> None:
    """Run a command line; an error of ours, or of the file system, is one sentence on standard error.

    Args:
        app: The command line.
        name: Of the program, which then stands before the sentence; by default, "error" does.
        mistakes: Errors that end with status 2; others of ours, and of the file system, end with 1.
    """
    import typer

    try:
        app(prog_name=name)
    except (IrworksError, OSError) as error:
        typer.echo(f"{name or 'error'}: {_sentence(error)}", err=True)
        sys.exit(2 if isinstance(error, mistakes) else 1)


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror.lower()}"
    return str(error)


def version_callback(distribution: str) -> Callable[[bool], None]:
    """Make the callback of an eager option `--version`, which prints the name and version of a distribution."""

    def show(wanted: bool) -> None:
        import typer

        if wanted:
            from importlib.metadata import version

            typer.echo(f"{distribution} {version(distribution)}")
            raise typer.Exit

    return show


@contextmanager
def warnings_as_lines() -> Iterator[None]:
    """Warnings as one line each on standard error, once, without the source line that means nothing to a user."""
    import typer

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(warning.message) for warning in caught):
        typer.echo(f"warning: {message}", err=True)


def strict_json(payload: Any) -> str:
    """JSON text of plain values and arrays; infinities and NaN, which JSON has no numbers for, become null."""
    return json.dumps(_strict(payload), indent=1, allow_nan=False, default=str)


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _strict(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(part) for part in value]
    if hasattr(value, "tolist"):
        return _strict(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
