"""What every measured process reports about itself. Standard library only: it runs in every peer's environment."""

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

Result = TypeVar("Result")


def cpu_seconds() -> float:
    """User and system time of this process, all threads: beside wall time it shows how many threads were busy."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_mebibytes() -> float:
    """Highest resident memory of this process so far.

    From /proc where there is one: the maximum that `getrusage` reports survives exec, so a large parent would show.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def repeat(work: Callable[[], Result], times: int, *, warm: bool = False) -> tuple[Result, dict[str, Any]]:
    """Do the work several times.

    Args:
        work: What is timed.
        times: How often.
        warm: Whether to do it once before, untimed: where it takes milliseconds, what a first call imports would count.

    Returns:
        The last result; median, best and all wall seconds, and CPU seconds of the mean repeat.
    """
    if warm:
        work()
    seconds, cpu = [], cpu_seconds()
    for _ in range(times):
        start = perf_counter()
        result = work()
        seconds.append(perf_counter() - start)
    cpu = (cpu_seconds() - cpu) / times
    timing = {"fit_seconds": median(seconds), "best_seconds": min(seconds), "all_seconds": seconds, "cpu_seconds": cpu}
    return result, timing
