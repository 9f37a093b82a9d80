"""A process that imports what all items need, once, and from which their processes are forked."""

import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from multiprocessing import connection as mp_connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.util import register_after_fork
from pathlib import Path

from irworks.runtime import processes
from irworks.runtime.parallel import import_all
from irworks.runtime.processes import Ended, Event

__all__ = ["can_fork", "run_forked"]


# What the drivers of NVIDIA's and AMD's accelerators put up.
_ACCELERATORS = (Path("/dev/nvidiactl"), Path("/dev/kfd"))


def can_fork() -> bool:
    """Whether processes may be forked here after libraries were imported.

    Those of macOS do not survive it, nor does CUDA once a library has so much as counted its devices.
    """
    return sys.platform == "linux" and not any(device.exists() for device in _ACCELERATORS)


def run_forked(
    payloads: Sequence[tuple[int, bytes]], at_once: int, threads: int, imports: Sequence[str]
) -> Generator[Event, None, Sequence[tuple[int, bytes]]]:
    """Run payloads as `processes.run` does, in processes that have imported `imports` when they start.

    Returns:
        The payloads that did not end because the template did, as where an import takes its process down.
    """
    left = dict(payloads)
    template, events = processes.launch(_serve, payloads, at_once, imports, name="template", threads=threads)
    try:
        while left and (event := _next_event(template, events)) is not None:
            if isinstance(event, Ended):
                del left[event.index]
            yield event
    finally:
        # It first waits itself for the processes that it stops.
        processes.stop([template], grace=2 * processes.GRACE_SECONDS)
        events.close()
    return list(left.items())


def _next_event(template: BaseProcess, events: Connection) -> "Event | None":
    # Polling the exit code too: a process that an item left behind can hold the template's end of the pipe open.
    while not mp_connection.wait([events], timeout=processes.POLL_SECONDS):
        if template.exitcode is not None and not events.poll():
            return None
    try:
        event: Event = events.recv()
    except (EOFError, OSError):
        return None
    return event


def _serve(events: Connection, payloads: Sequence[tuple[int, bytes]], at_once: int, imports: Sequence[str]) -> None:
    processes.lead_group()
    # Open in an item, it would hide from the parent that this process is gone.
    register_after_fork(events, Connection.close)
    import_all(imports)
    with closing(processes.run(payloads, at_once, threads=None)) as stream:
        for event in stream:
            events.send(event)
