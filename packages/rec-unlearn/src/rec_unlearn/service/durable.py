"""What the service writes and must find again after a kill: files, journals of checked lines, locks."""

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irworks.errors import DataError, IrworksError
from irworks.runtime import atomic_write

__all__ = [
    "Journal",
    "LockedError",
    "lock",
    "make_folder",
    "read_checked",
    "remove",
    "remove_folder",
    "sync_file",
    "sync_folder",
    "write_checked",
]


class LockedError(IrworksError):
    """Another process is at work on the same folder."""


def checked(payload: dict[str, Any]) -> str:
    """A line of JSON behind the CRC-32 of its bytes."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return f"{zlib.crc32(_bytes(text)):08x} {text}\n"


def unchecked(line: bytes) -> dict[str, Any] | None:
    """The payload of a line that `checked` made; None if it is not whole."""
    body = line.removesuffix(b"\n")
    if body[8:9] != b" " or f"{zlib.crc32(body[9:]):08x}".encode() != body[:8]:
        return None
    payload = json.loads(body[9:].decode("utf-8", "surrogatepass"))
    return payload if isinstance(payload, dict) else None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def write_checked(path: Path, payload: dict[str, Any], *, sync: bool = True) -> None:
    """Write one checked line as a file, atomically, so that it survives a power cut.

    Args:
        path: The file.
        payload: What to write.
        sync: False: the caller calls `sync_folder` after the last of many files.
    """
    with atomic_write(path, "wb") as handle:
        handle.write(_bytes(checked(payload)))
    if sync:
        sync_folder(path.parent)


def read_checked(path: Path, what: str) -> dict[str, Any]:
    """Read what `write_checked` wrote.

    Raises:
        DataError: It is missing or damaged; `what` says what it is.
    """
    try:
        payload = unchecked(path.read_bytes())
    except OSError as error:
        raise DataError(f"{what} cannot be read", source=path, found=type(error).__name__) from None
    if payload is None:
        raise DataError(f"{what} is damaged: its checksum is wrong", source=path)
    return payload


def remove(path: Path) -> None:
    """Remove a file if it is there, so that it does not come back after a power cut."""
    if path.exists():
        path.unlink()
        sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, so that they survive a power cut."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder and all in it."""
    shutil.rmtree(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Push names in a folder to the disk: a renamed file may else have its old name after a power cut."""
    sync_file(folder)


def sync_file(path: Path) -> None:
    """Push what was written to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a file that only one process can hold at a time; a process that dies lets go.

    Args:
        path: The file, made if it is absent.
        wait: Whether to wait for the other process.

    Raises:
        LockedError: Another process holds it, and `wait` is False.
    """
    import fcntl

    with path.open("ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise LockedError(f"{path.parent} is in use by another process; wait for it, or stop it") from None
        yield


@dataclass
class Journal:
    """A file that only grows, of lines with checksums.

    A kill can tear the last line only: it was acknowledged to nobody, and is cut off. Damage elsewhere is an error.

    Attributes:
        path: The file.
        encode: Makes a line, with its end.
        decode: Reads one without its end; None if it is not whole.
        lines: How many have been read or written through this object.
        position: Bytes of them.
    """

    path: Path
    encode: Callable[[dict[str, Any]], str] = checked
    decode: Callable[[bytes], dict[str, Any] | None] = unchecked
    lines: int = 0
    position: int = 0

    def new(self, *, mend: bool = False) -> list[dict[str, Any]]:
        """Read the lines that this object has not seen yet.

        Args:
            mend: Whether to cut off a torn last line; only for whoever holds the lock.

        Raises:
            DataError: A line is damaged: which.
        """
        if not self.path.exists():
            if self.position:
                raise DataError("the journal is gone", source=self.path)
            return []
        with self.path.open("rb") as handle:
            size = handle.seek(0, os.SEEK_END)
            if size < self.position:
                raise DataError("the journal became shorter", source=self.path, found=size, expected=f"{self.position}")
            handle.seek(self.position)
            read = handle.read()
        *whole, torn = read.split(b"\n")
        payloads = []
        for line in whole:
            payload = self.decode(line)
            if payload is None:
                place = f"line {self.lines + 1}"
                raise DataError("damaged: the checksum is wrong", source=self.path, row=place, hint="Restore a backup")
            payloads.append(payload)
            self.lines += 1
            self.position += len(line) + 1
        if torn and mend:
            with self.path.open("r+b") as handle:
                handle.truncate(self.position)
                os.fsync(handle.fileno())
        return payloads

    def append(self, payloads: list[dict[str, Any]]) -> None:
        """Add lines, on the disk when this returns; all lines that there were have been read with `mend`."""
        if not payloads:
            return
        fresh = not self.path.exists()
        data = _bytes("".join(self.encode(payload) for payload in payloads))
        with self.path.open("ab") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        if fresh:
            sync_folder(self.path.parent)
        self.lines += len(payloads)
        self.position += len(data)
