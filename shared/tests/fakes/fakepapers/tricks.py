"""Functions that other processes can import, for the tests of `map_parallel`."""

import ctypes
import importlib
import os
import signal
import sys
import threading
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


def draw(_: object) -> float:
    """Draw from numpy's global state."""
    import numpy as np

    return float(np.random.random())  # noqa: NPY002 - the state is what is tested


def loaded(module: str) -> bool:
    """Say whether a module is imported."""
    return module in sys.modules


def once(task: tuple[str, str]) -> object:
    """Take the parent of this process down, the first time."""
    how, diary = task
    if not how or Path(diary).exists():
        return None
    Path(diary).touch()
    if how == "kill it beside a helper" and os.fork() == 0:
        os.setsid()
        time.sleep(20)
        os._exit(0)
    if how == "kill it while it sends":
        threading.Thread(target=_kill_soon, args=(os.getppid(),)).start()
        return bytes(50_000_000)
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
    return None


def _kill_soon(pid: int) -> None:
    time.sleep(0.5)
    os.kill(pid, signal.SIGKILL)


def nap(diary: str) -> None:
    """Write this process's number down and sleep for longer than any test; return at once without a diary."""
    if not diary:
        return
    with Path(diary).open("a", encoding="utf-8") as handle:
        handle.write(f"{os.getpid()}\n")
    time.sleep(600)
