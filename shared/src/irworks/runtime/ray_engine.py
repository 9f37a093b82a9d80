"""The engine of `map_parallel` for a Ray cluster: a task per item, in a worker process that serves no other item."""

import os
import pickle
import socket
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from irworks.errors import IrworksError, MissingDependencyError
from irworks.runtime.parallel import Outcome, Task, describe_error, evaluate, spawning_environment

__all__ = ["run_on_ray"]

_KNOCK_SECONDS = 10.0
_LOCAL_STORE_BYTES = 256 * 2**20
_UV_SWITCH = "RAY_ENABLE_UV_RUN_RUNTIME_ENV"


def run_on_ray(task: Task, address: str | None) -> Generator[Outcome[Any]]:
    """Yield outcomes as they come; closing the generator cancels the tasks that still run.

    Raises:
        MissingDependencyError: ray is not installed.
        IrworksError: The cluster cannot be reached or started.
    """
    ray = _import_ray()
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, task, address)
    try:
        yield from _run(ray, task)
    finally:
        if ours:
            ray.shutdown()


def _import_ray() -> ModuleType:
    # Ray reads this when it is imported: no reports to its makers.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError("ray", "the ray engine", "irworks[ray]") from error
    return ray


def _connect(ray: ModuleType, task: Task, address: str | None) -> None:
    where: dict[str, Any] = {"address": address}
    if address is None:
        cpus = task.jobs * task.threads
        where = {"address": "local", "include_dashboard": False, "num_cpus": cpus}
        where["object_store_memory"] = _LOCAL_STORE_BYTES
    try:
        _knock(address or "")
        with _environment_as_it_is(), spawning_environment(task.threads):
            ray.init(log_to_driver=False, logging_level="ERROR", **where)
    except (ConnectionError, OSError, RuntimeError, ValueError) as error:
        what = (
            f"the Ray cluster at {address!r} cannot be reached" if address else "a local Ray cluster cannot be started"
        )
        raise IrworksError(f"{what}: {error}") from error


def _knock(address: str) -> None:
    """Fail in seconds where nobody listens; Ray itself keeps trying for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_SECONDS).close()


@contextmanager
def _environment_as_it_is() -> Iterator[None]:
    """Keep Ray from rebuilding the project on its workers when this process was started by `uv run`.

    The workers have the packages installed, or share our environment. Who wants the rebuilding sets the variable.
    """
    from ray._private import ray_constants

    wanted = getattr(ray_constants, _UV_SWITCH, False)
    if not wanted or _UV_SWITCH in os.environ:
        yield
        return
    setattr(ray_constants, _UV_SWITCH, False)
    try:
        yield
    finally:
        setattr(ray_constants, _UV_SWITCH, wanted)


def _run(ray: ModuleType, task: Task) -> Generator[Outcome[Any]]:
    # Ray sets OMP_NUM_THREADS to `num_cpus`. One call per worker process and no second try, so that an item that kills
    # its process is that item's failure and nobody else's.
    remote = ray.remote(num_cpus=task.threads, num_gpus=task.gpus, max_calls=1, max_retries=0)(evaluate)
    waiting = deque(enumerate(task.items))
    running: dict[Any, tuple[int, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < task.jobs:
                index, item = waiting.popleft()
                payload = _pack(ray, task, item)
                if isinstance(payload, str):
                    yield Outcome(index, None, payload, 0.0)
                    continue
                running[remote.remote(payload, task.imports)] = (index, time.perf_counter())
                task.on_start(index)
            done, _ = ray.wait(list(running), num_returns=1) if running else ([], [])
            for reference in done:
                index, started = running.pop(reference)
                yield _collect(ray, reference, index, started)
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _pack(ray: ModuleType, task: Task, item: object) -> bytes | str:
    try:
        # Ray's pickle carries functions of a script by value; the worker's main module is another one.
        return ray.cloudpickle.dumps((task.function, item))  # type: ignore[no-any-return]
    except Exception as error:
        return f"cannot be sent to another process: {describe_error(error)}"


def _collect(ray: ModuleType, reference: Any, index: int, started: float) -> Outcome[Any]:
    try:
        value, error, seconds = pickle.loads(ray.get(reference))
    except ray.exceptions.RayError as failure:
        return Outcome(index, None, f"its process died: {failure}", time.perf_counter() - started)
    except Exception as failure:
        return Outcome(
            index, None, f"its value cannot be read back: {describe_error(failure)}", time.perf_counter() - started
        )
    return Outcome(index, value, error, seconds)
