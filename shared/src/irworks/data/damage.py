"""How readers speak of files that a library below them cannot make sense of."""

import errno
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from irworks.errors import DataError, MissingDependencyError

__all__ = ["closed", "legible", "one_line", "refused"]

_LONGEST = 300


@contextmanager
def refused(
    problem: str,
    source: str | Path,
    *,
    expected: str | None = None,
    hint: str | None = None,
    too_large: str | None = None,
) -> Iterator[None]:
    """Turn whatever a library raises while it reads a damaged file into one `DataError`.

    Parsers of binary formats raise of every kind when bytes are not what they should be (`struct.error`, `KeyError`,
    `MemoryError`, `NotImplementedError` ...), and numpy only warns of a header that it had to guess at.

    Args:
        problem: What the file is not.
        source: The file.
        expected: What would have been accepted.
        hint: How to mend it.
        too_large: How to read it where memory does not suffice.

    Raises:
        DataError: The block raised or warned.
        PermissionError: The file may not be read, which says nothing of what is in it.
        MissingDependencyError: The block raised it, which says as little.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Reading `.npy`", UserWarning)
            warnings.simplefilter("error", RuntimeWarning)
            yield
    except (DataError, MissingDependencyError):
        raise
    except PermissionError as error:
        raise closed(error.filename or source) from None
    except MemoryError as error:
        hint = too_large or hint
        raise DataError(f"{problem}: {one_line(error)}", source=source, expected=expected, hint=hint) from None
    except Exception as error:
        raise DataError(f"{problem}: {one_line(error)}", source=source, expected=expected, hint=hint) from None


def closed(file: str | Path) -> PermissionError:
    """The error for a file that may not be read, by its name: Arrow's own has none."""
    return PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))


def one_line(error: Exception) -> str:
    """The first line of an error's message."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return legible(lines[0].rstrip("."))


def legible(value: object) -> str:
    """A value from a file within a sentence: letters that cannot be printed are replaced, what is long is cut."""
    text = str(value)
    text = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    return "".join(letter if letter.isprintable() else "�" for letter in text)
