"""The engine of `map_parallel` for one machine."""

import pickle
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import Any

from irworks.runtime import processes
from irworks.runtime.parallel import Outcome, Task, describe_error
from irworks.runtime.processes import Ended, Event, Payloads
from irworks.runtime.template import can_fork, run_forked

__all__ = ["run_locally"]


def run_locally(task: Task) -> Generator[Outcome[Any]]:
    """Yield outcomes as they come; closing the generator stops the processes that still run."""
    unsent: deque[Outcome[Any]] = deque()
    started = set()
    with closing(_events(task, _payloads(task, unsent))) as events:
        for event in events:
            while unsent:
                yield unsent.popleft()
            if isinstance(event, Ended):
                yield _outcome(event)
            elif event.index not in started:
                started.add(event.index)
                task.on_start(event.index)
    yield from unsent


def _payloads(task: Task, unsent: deque[Outcome[Any]]) -> Iterator[tuple[int, bytes]]:
    for index, item in enumerate(task.items):
        try:
            yield index, pickle.dumps((task.function, item))
        except Exception as error:
            unsent.append(Outcome(index, None, f"cannot be sent to another process: {describe_error(error)}", 0.0))


def _events(task: Task, payloads: Payloads) -> Generator[Event]:
    if task.imports and len(task.items) > 1 and can_fork():
        left = yield from run_forked(list(payloads), task.jobs, task.threads, task.imports)
        # Without the imports, as one of them may be why the template died.
        yield from processes.run(left, task.jobs, task.threads)
    else:
        yield from processes.run(payloads, task.jobs, task.threads, task.imports)


def _outcome(ended: Ended) -> Outcome[Any]:
    if ended.answer is None:
        return Outcome(ended.index, None, ended.death, ended.seconds)
    try:
        value, error, seconds = pickle.loads(ended.answer)
    except Exception as failure:
        error = f"its value cannot be read back: {describe_error(failure)}"
        return Outcome(ended.index, None, error, ended.seconds)
    return Outcome(ended.index, value, error, seconds)
