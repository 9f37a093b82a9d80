"""What every measured process reports about itself. Standard library only: it runs in every peer's environment."""

import resource
import sys
from pathlib import Path


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
