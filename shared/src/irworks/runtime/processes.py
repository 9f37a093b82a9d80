"""Items in processes of their own on this machine, so that no item can take another down."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from multiprocessing import connection as mp_connection
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import TypeAlias

from irworks.runtime.parallel import evaluate, spawning_environment

__all__ = [
    "GRACE_SECONDS",
    "POLL_SECONDS",
    "Ended",
    "Event",
    "Payloads",
    "Started",
    "launch",
    "lead_group",
    "run",
    "stop",
]

GRACE_SECONDS = 3.0
POLL_SECONDS = 1.0

Payloads: TypeAlias = "Iterable[tuple[int, bytes]]"


@dataclass(frozen=True)
class Started:
    """The process of an item has started."""

    index: int


@dataclass(frozen=True)
class Ended:
    """The process of an item has ended.

    Attributes:
        index: Which item.
        answer: What `evaluate` returned; None if the process died before.
        death: How it died.
        seconds: Since it was started.
    """

    index: int
    answer: bytes | None
    death: str
    seconds: float


Event: TypeAlias = "Started | Ended"


@dataclass
class _Worker:
    index: int
    process: BaseProcess
    connection: Connection
    started: float


def run(payloads: Payloads, at_once: int, threads: int | None, imports: Sequence[str] = ()) -> Generator[Event]:
    """Run each payload in a process that `launch` starts; closing the generator stops those that still run.

    Args:
        payloads: What `evaluate` takes, with its index; asked for when there is room to run it.
        at_once: How many run at once.
        threads: As in `launch`. Without, this process ends with its own parent.
        imports: What a fresh process imports before it runs its payload.
    """
    waiting = iter(payloads)
    running: list[_Worker] = []
    try:
        while True:
            for index, payload in islice(waiting, at_once - len(running)):
                process, connection = launch(_answer, payload, imports, name=f"item-{index}", threads=threads)
                running.append(_Worker(index, process, connection, time.perf_counter()))
                yield Started(index)
            if not running:
                return
            for worker in _wait(running, end_with_parent=threads is None):
                running.remove(worker)
                yield _collect(worker)
    finally:
        stop(worker.process for worker in running)
        for worker in running:
            worker.connection.close()


def launch(
    function: Callable[..., None], *arguments: object, name: str, threads: int | None
) -> tuple[BaseProcess, Connection]:
    """Start `function(connection, *arguments)` in a process.

    Args:
        function: What the process runs.
        arguments: What it is called with, behind its end of a connection.
        name: Of the process.
        threads: How many the numerical libraries of a fresh process may use; None forks this one, as it is.

    Returns:
        The process, and the end of the connection to read from.
    """
    context = multiprocessing.get_context("fork" if threads is None else "spawn")
    receiver, sender = context.Pipe(duplex=False)
    # mypy knows no Process of a context that may be either.
    process: BaseProcess = context.Process(target=function, args=(sender, *arguments), name=name)  # type: ignore[attr-defined]
    try:
        with nullcontext() if threads is None else spawning_environment(threads), _interrupts_held():
            process.start()
    except BaseException:
        # An interrupt that was held comes here, when nobody else knows of the process yet.
        if process.pid is not None:
            stop([process])
        receiver.close()
        raise
    finally:
        sender.close()
    return process, receiver


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Start with Ctrl-C blocked: a child interrupted while it imports would print a traceback over our output."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # Starting the tracker unblocks the signal as a side effect, so it has to be running before.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _wait(running: list[_Worker], *, end_with_parent: bool) -> list[_Worker]:
    """Wait for a process to answer or to end.

    Raises:
        SystemExit: The parent of this process is gone, and it was to end with it.
    """
    parent = multiprocessing.parent_process() if end_with_parent else None
    watched = [parent.sentinel] if parent is not None else []
    # Polling the exit codes too: a helper process that the item left behind can hold its end of the pipe open.
    ready = mp_connection.wait([*watched, *(worker.connection for worker in running)], timeout=POLL_SECONDS)
    if parent is not None and parent.sentinel in ready:
        raise SystemExit(1)
    return [worker for worker in running if worker.connection in ready or worker.process.exitcode is not None]


def _collect(worker: _Worker) -> Ended:
    seconds = time.perf_counter() - worker.started
    try:
        answer = worker.connection.recv_bytes() if worker.connection.poll() else None
    except (EOFError, OSError):
        answer = None
    worker.process.join(GRACE_SECONDS)
    _kill(worker.process)
    worker.connection.close()
    return Ended(worker.index, answer, "" if answer else _death(worker.process.exitcode), seconds)


def _death(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"its process ended without a result (exit code {exitcode})"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    hint = "; the machine may have run out of memory" if name == "SIGKILL" else ""
    return f"its process was killed by {name}{hint}"


def stop(processes: Iterable[BaseProcess], grace: float = GRACE_SECONDS) -> None:
    """Ask processes to end, and kill those that do not within so many seconds."""
    processes = list(processes)
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + grace
    for process in processes:
        # Joining waits for a pipe that a helper of a dead process can hold open; its exit code is known at once.
        if process.exitcode is None:
            process.join(max(0.0, deadline - time.monotonic()))
        _kill(process)


def _kill(process: BaseProcess) -> None:
    """Kill a process that is still there, and the group it leads, so that its own helpers go with it."""
    if process.exitcode is None:
        process.kill()
        process.join()
    if process.pid is not None and hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _answer(sender: Connection, payload: bytes, imports: Sequence[str]) -> None:
    lead_group()
    threading.Thread(target=_end_with_parent, daemon=True, name="parent-watch").start()
    if "numpy" in sys.modules:
        # Forked processes would all begin with the same state; fresh ones do not.
        sys.modules["numpy"].random.seed()
    answer = evaluate(payload, imports)
    with contextlib.suppress(BrokenPipeError):
        sender.send_bytes(answer)
    sender.close()


def lead_group() -> None:
    """Make this process lead a group of its own, and clean up when it is asked to stop."""
    signal.signal(signal.SIGTERM, _exit_on_signal)
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _exit_on_signal(number: int, frame: object) -> None:
    if not threading.main_thread().is_alive():
        # The interpreter is shutting down, where an exception would only be printed.
        os._exit(128 + number)
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
