"""One function over many items, each in a process of its own, on this machine or on a Ray cluster."""

import contextlib
import importlib
import os
import pickle
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from irworks.errors import ArgumentError
from irworks.runtime.hardware import cpu_count

__all__ = ["Outcome", "Task", "describe_error", "evaluate", "import_all", "map_parallel", "spawning_environment"]

T = TypeVar("T")
R = TypeVar("R")

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What became of one item.

    Attributes:
        index: The position of the item, from 0.
        value: What the function returned; None after a failure.
        error: The traceback, or how the process died; None after a success.
        seconds: How long the function ran.
    """

    index: int
    value: R | None
    error: str | None
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the function returned."""
        return self.error is None


@dataclass(frozen=True)
class Task:
    """How an engine is to run the items: the arguments of `map_parallel` that engines share."""

    function: Callable[[Any], Any]
    items: Sequence[Any]
    jobs: int
    threads: int
    gpus: float
    imports: Sequence[str]
    on_start: Callable[[int], None]


def map_parallel(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    jobs: int = 1,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    threads: int | None = None,
    gpus: float = 0,
    imports: Sequence[str] = (),
    on_start: Callable[[int], None] | None = None,
    on_result: Callable[[Outcome[R]], None] | None = None,
) -> list[Outcome[R]]:
    """Run `function` on every item, each in a process of its own, and survive the items that fail.

    An item whose process raises, is killed, runs out of memory or crashes in native code becomes an `Outcome` with an
    `error`; the others go on. An interrupt stops every process before it is raised here. A script that calls this
    needs the usual `if __name__ == "__main__":` guard, because processes are spawned.

    Args:
        function: A function that the processes can import (defined at the top of a module).
        items: What it is called with, one at a time; started in this order. Items and values must be picklable.
        jobs: How many items to run at once.
        engine: `"local"` for processes on this machine, `"ray"` for Ray tasks.
        address: A running Ray cluster (`"auto"`, `"ray://host:port"`); None starts a local one and stops it afterwards.
        threads: How many threads the numerical libraries of a process may use, unless the environment already says so
            (`OMP_NUM_THREADS` and its kin); by default this machine's processors shared among `jobs`.
        gpus: How many accelerators Ray reserves for an item; the local engine leaves all of them visible.
        imports: Modules that are imported before an item runs; those that cannot be are left to the items. Several
            items on Linux, without an accelerator, share one import, as their processes are forked from one that did
            it: name no module that starts threads when it is imported. All items are then sent at once, what an
            import prints is not an item's, and an item ends without its `atexit` handlers.
        on_start: Called in this process with the index of an item that starts.
        on_result: Called in this process with each outcome, in the order of completion.

    Returns:
        One outcome per item, in the order of `items`.

    Raises:
        ArgumentError: `jobs` or `threads` is below 1, or the engine is unknown.
        MissingDependencyError: `engine="ray"` without ray installed.
    """
    if jobs < 1:
        raise ArgumentError(f"jobs must be at least 1, found {jobs}")
    if threads is not None and threads < 1:
        raise ArgumentError(f"threads must be at least 1, found {threads}")
    if engine not in ("local", "ray"):
        raise ArgumentError(f"engine must be 'local' or 'ray', found {engine!r}")
    threads = threads or max(1, cpu_count() // jobs)
    task = Task(function, list(items), jobs, threads, gpus, tuple(imports), on_start or (lambda index: None))
    outcomes: list[Outcome[R]] = []
    with closing(_stream(task, engine, address)) as stream:
        for outcome in stream:
            outcomes.append(outcome)
            if on_result is not None:
                on_result(outcome)
    return sorted(outcomes, key=lambda outcome: outcome.index)


def _stream(task: Task, engine: str, address: str | None) -> Generator[Outcome[Any]]:
    if engine == "ray":
        from irworks.runtime.ray_engine import run_on_ray

        return run_on_ray(task, address)
    from irworks.runtime.local_engine import run_locally

    return run_locally(task)


@contextmanager
def spawning_environment(threads: int) -> Iterator[None]:
    """Hold the processes spawned inside the block to `threads`, unless the user's environment says otherwise.

    The variables must be in place before a process starts: numerical libraries read them when they are imported. A
    fixed hash seed makes the order of sets of strings, and so what is computed from it, the same in every process.
    """
    wanted = {**dict.fromkeys(_THREAD_VARIABLES, str(threads)), "PYTHONHASHSEED": "0"}
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def import_all(names: Sequence[str]) -> None:
    """Import modules, as far as they can be; what an item needs and lacks, it says itself."""
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def evaluate(payload: bytes, imports: Sequence[str] = ()) -> bytes:
    """Run one pickled `(function, item)` and pickle `(value, error, seconds)`: what a process of either engine does."""
    import_all(imports)
    started = time.perf_counter()
    try:
        function, item = pickle.loads(payload)
        answer = (function(item), None, time.perf_counter() - started)
        return pickle.dumps(answer)
    except BaseException as error:
        return pickle.dumps((None, describe_error(error), time.perf_counter() - started))


def describe_error(error: BaseException) -> str:
    """Return the traceback of `error` as text, without the frame of the caller that caught it."""
    frames = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()
