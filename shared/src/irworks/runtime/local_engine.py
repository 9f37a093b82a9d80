"""The engine of `map_parallel` for one machine: a spawned process per item, so that no item can take another down."""

import contextlib
import multiprocessing
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import connection as mp_connection
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from irworks.runtime.parallel import Outcome, Task, describe_error, evaluate, spawning_environment

__all__ = ["run_locally"]

_POLL_SECONDS = 1.0
_GRACE_SECONDS = 3.0


@dataclass
class _Worker:
    index: int
    process: BaseProcess
    connection: Connection
    started: float


def run_locally(task: Task) -> Generator[Outcome[Any]]:
    """Yield outcomes as they come; closing the generator stops the processes that still run."""
    waiting = deque(enumerate(task.items))
    running: list[_Worker] = []
    try:
        while waiting or running:
            while waiting and len(running) < task.jobs:
                index, item = waiting.popleft()
                started = _start(task, index, item)
                if isinstance(started, Outcome):
                    yield started
                    continue
                running.append(started)
                task.on_start(index)
            for worker in _wait(running):
                running.remove(worker)
                yield _collect(worker)
    finally:
        _stop(running)


def _start(task: Task, index: int, item: object) -> _Worker | Outcome[Any]:
    try:
        payload = pickle.dumps((task.function, item))
    except Exception as error:
        return Outcome(index, None, f"cannot be sent to another process: {describe_error(error)}", 0.0)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(sender, payload), name=f"item-{index}")
    with spawning_environment(task.threads), _interrupts_held():
        process.start()
    sender.close()
    return _Worker(index, process, receiver, time.perf_counter())


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Spawn with Ctrl-C blocked: a child interrupted while it imports would print a traceback over our output."""
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


def _wait(running: list[_Worker]) -> list[_Worker]:
    # Polling the exit codes too: a helper process that the item left behind can hold its end of the pipe open.
    ready = mp_connection.wait([worker.connection for worker in running], timeout=_POLL_SECONDS) if running else []
    return [worker for worker in running if worker.connection in ready or worker.process.exitcode is not None]


def _collect(worker: _Worker) -> Outcome[Any]:
    seconds = time.perf_counter() - worker.started
    try:
        message = worker.connection.recv_bytes() if worker.connection.poll() else None
    except (EOFError, OSError):
        message = None
    worker.process.join(_GRACE_SECONDS)
    _kill(worker.process)
    worker.connection.close()
    if message is None:
        return Outcome(worker.index, None, _death(worker.process.exitcode), seconds)
    try:
        value, error, seconds = pickle.loads(message)
    except Exception as failure:
        return Outcome(worker.index, None, f"its value cannot be read back: {describe_error(failure)}", seconds)
    return Outcome(worker.index, value, error, seconds)


def _death(exitcode: int | None) -> str:
    if exitcode is None or exitcode >= 0:
        return f"its process ended without a result (exit code {exitcode})"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    hint = "; the machine may have run out of memory" if name == "SIGKILL" else ""
    return f"its process was killed by {name}{hint}"


def _stop(workers: Iterable[_Worker]) -> None:
    workers = list(workers)
    for worker in workers:
        worker.process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        _kill(worker.process)
        worker.connection.close()


def _kill(process: BaseProcess) -> None:
    """Kill a process that is still there, and the group it leads, so that its own helpers go with it."""
    if process.exitcode is None:
        process.kill()
        process.join()
    if process.pid is not None and hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _child(sender: Connection, payload: bytes) -> None:
    _outlive_nobody()
    answer = evaluate(payload)
    with contextlib.suppress(BrokenPipeError):
        sender.send_bytes(answer)
    sender.close()


def _outlive_nobody() -> None:
    """Lead a group of our own, clean up when asked to stop, and end when the parent is gone."""
    signal.signal(signal.SIGTERM, _exit_on_signal)
    if hasattr(os, "setpgrp"):
        os.setpgrp()
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True, name="parent-watch").start()


def _exit_on_signal(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    parent.join()
    if hasattr(os, "killpg"):
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
