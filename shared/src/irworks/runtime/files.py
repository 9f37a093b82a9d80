"""Files that are either whole or absent, and folders that a killed run can be resumed in."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any, Literal, overload

from irworks.errors import ArgumentError

__all__ = ["atomic_folder", "atomic_path", "atomic_write", "remove_leftovers", "run_dir"]

_TEMPORARY = ".irworks-tmp-"


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what is written there takes the place of `path` on success.

    The temporary name keeps the suffixes of `path`, because writers such as `numpy.savez` and pandas look at them. The
    parent folder is made if it is absent. On any failure, `KeyboardInterrupt` included, the temporary file is removed
    and an existing `path` is left as it was.

    Args:
        path: The file to be written.

    Yields:
        A path in the same folder that does not exist yet.

    Raises:
        FileNotFoundError: The block ended without writing the file.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary_name(target)
    try:
        with _in_the_name_of(target, temporary):
            yield temporary
            _sync(temporary)
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _in_the_name_of(target: Path, temporary: Path) -> Iterator[None]:
    """An error of the system speaks of the file that was asked for: nobody has heard of the temporary one."""
    try:
        yield
    except OSError as error:
        if error.filename is None or str(error.filename) != str(temporary):
            raise
        raise type(error)(error.errno, error.strerror, str(target)) from None


@contextmanager
def atomic_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new folder beside `path`; on success it takes the place of `path` with all that was written into it.

    A folder that stood there is replaced as a whole, so the caller checks first that it may be. On any failure, the
    new folder is removed and an existing one is left as it was.

    Args:
        path: The folder to be written; its parent folder is made if it is absent.

    Yields:
        An empty folder.
    """
    target = Path(path).absolute()
    # A link stays one: what it points at is replaced.
    target = target.resolve() if target.is_symlink() else target
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch, aside = _temporary_name(target), _temporary_name(target)
    with _in_the_name_of(target, scratch):
        scratch.mkdir()
    try:
        yield scratch
        if target.exists():
            # Folders cannot be swapped in one step: between these two names there is none, but never half of one.
            target.rename(aside)
        scratch.rename(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)


@overload
def atomic_write(path: str | os.PathLike[str], mode: Literal["w"] = "w") -> AbstractContextManager[IO[str]]: ...
@overload
def atomic_write(path: str | os.PathLike[str], mode: Literal["wb"]) -> AbstractContextManager[IO[bytes]]: ...
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> AbstractContextManager[IO[Any]]:
    """Open `path` for writing so that it appears only once complete.

    ```python
    with atomic_write("results.json") as handle:
        handle.write(text)
    ```

    Args:
        path: The file to be written; its parent folder is made if it is absent.
        mode: `"w"` for UTF-8 text without newline translation, `"wb"` for bytes.

    Returns:
        A context manager that yields the open handle.

    Raises:
        ArgumentError: `mode` is neither `"w"` nor `"wb"`.
    """
    if mode not in ("w", "wb"):
        raise ArgumentError(f"atomic_write: mode must be 'w' or 'wb', found {mode!r}")
    return _open_atomically(path, mode)


@contextmanager
def _open_atomically(path: str | os.PathLike[str], mode: str) -> Iterator[IO[Any]]:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    encoding, newline = (None, None) if mode == "wb" else ("utf-8", "")
    unnamed = _unnamed_file(target.parent)
    if unnamed is None:
        with atomic_path(target) as temporary, temporary.open(mode, encoding=encoding, newline=newline) as handle:
            yield handle
        return
    with os.fdopen(unnamed, mode, encoding=encoding, newline=newline) as handle:
        yield handle
        handle.flush()
        os.fsync(unnamed)
        _give_name(unnamed, target)


def _unnamed_file(folder: Path) -> int | None:
    """Open a file without a name, which even `kill -9` leaves nothing of; None where the system has no such thing."""
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").exists():
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except OSError:
        return None


def _give_name(unnamed: int, target: Path) -> None:
    temporary = _temporary_name(target)
    try:
        with _in_the_name_of(target, temporary):
            _link(f"/proc/self/fd/{unnamed}", temporary, unnamed)
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _link(source: str, name: Path, unnamed: int) -> None:
    try:
        # The descriptor is not needed to find an absolute path; naming one makes Python follow the link of /proc.
        os.link(source, name, src_dir_fd=unnamed)
    except OSError:
        shutil.copyfile(source, name)


def _temporary_name(target: Path) -> Path:
    return target.with_name(f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}-{target.name}")


def _sync(path: Path) -> None:
    """Push the bytes to the disk before the rename: else a power cut can leave a renamed but empty file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_leftovers(folder: str | os.PathLike[str], *, recursive: bool = True) -> int:
    """Remove the temporary files and folders that a writer killed outright (`kill -9`, power cut) left under `folder`.

    Only call it where no other process is writing.

    Args:
        folder: Where to look.
        recursive: Whether to look in the folders below it too.

    Returns:
        How many files and folders were removed.
    """
    search = Path(folder).rglob if recursive else Path(folder).glob
    leftovers = list(search(f"{_TEMPORARY}*"))
    for path in leftovers:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(leftovers)


def run_dir(path: str | os.PathLike[str], *, clear: bool = True) -> Path:
    """Make (or reopen) a folder that a run keeps its results in, and clear what a killed run left half-written.

    Args:
        path: The folder; it may exist already, which is what resuming means.
        clear: False while another run may be writing there: clear with `remove_leftovers` once the folder is locked.

    Returns:
        The folder, as an absolute path.

    Raises:
        ArgumentError: `path` exists and is not a folder, or cannot be made.
    """
    folder = Path(path).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"cannot use {folder} as a folder for results: {error.strerror or error}") from error
    if clear:
        remove_leftovers(folder)
    return folder
