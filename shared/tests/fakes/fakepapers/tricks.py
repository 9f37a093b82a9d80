"""Functions that other processes can import, for the tests of `map_parallel`."""

import ctypes
import importlib
import os
import signal
import sys
import time
from pathlib import Path


def behave(how: object) -> object:
    """Return, raise, leave, crash or hang, as told."""
    if how == "raise":
        raise ValueError("told to raise")
    if how == "exit":
        os._exit(3)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "crash":
        ctypes.string_at(0)
    if how == "leave":
        sys.exit(5)
    if how == "unpicklable":
        return lambda: None
    return how


def environment(names: list[str]) -> list[str | None]:
    """Return environment variables of this process."""
    return [os.environ.get(name) for name in names]


def hash_of(text: str) -> int:
    """Return the hash of a text, which differs from process to process unless it is fixed."""
    return hash(text)


def touch(module: str) -> dict[str, int]:
    """Change the state of `fakepapers.heavy`, and say where it was imported and how often it was changed."""
    heavy = importlib.import_module(module)
    heavy.TOUCHED.append(0)
    return {"imported_in": heavy.IMPORTED_IN, "touched": len(heavy.TOUCHED), "process": os.getpid()}


def nap(diary: str) -> None:
    """Write this process's number down and sleep for longer than any test; return at once without a diary."""
    if not diary:
        return
    with Path(diary).open("a", encoding="utf-8") as handle:
        handle.write(f"{os.getpid()}\n")
    time.sleep(600)
