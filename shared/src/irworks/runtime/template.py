"""A process that imports what all items need, once, and from which their processes are forked."""

import contextlib
import importlib
import sys
from collections.abc import Generator, Sequence
from contextlib import closing
from multiprocessing import connection as mp_connection
from multiprocessing.connection import Connection
from pathlib import Path

from irworks.runtime import processes
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
        while left:
            mp_connection.wait([events, template.sentinel])
            if not events.poll():
                break
            event: Event = events.recv()
            if isinstance(event, Ended):
                del left[event.index]
            yield event
    except EOFError:
        pass
    finally:
        # It first waits itself for the processes that it stops.
        processes.stop([template], grace=2 * processes.GRACE_SECONDS)
        events.close()
    return list(left.items())


def _serve(events: Connection, payloads: Sequence[tuple[int, bytes]], at_once: int, imports: Sequence[str]) -> None:
    processes.lead_group()
    for name in imports:
        # What an item needs and lacks, it says itself.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    with closing(processes.run(payloads, at_once, threads=None)) as stream:
        for event in stream:
            events.send(event)
