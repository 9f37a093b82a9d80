"""What every measured process does and says of itself. Of other libraries it needs numpy, which every peer has."""

import argparse
import json
import resource
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, TypeVar

import numpy as np

Result = TypeVar("Result")
Measured = dict[str, Any]
Arrays = dict[str, np.ndarray]


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


def serve(methods: Mapping[str, Callable[..., tuple[Measured, Arrays]]], prepare: Callable[[], object]) -> None:
    """Run one method, as `harness.measure` starts it: write what it measured, and its arrays beside that.

    Args:
        methods: By name; each is given the arrays of the world and the settings.
        prepare: Loads what the methods import where they use it: no method's imports are timed.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", choices=sorted(methods), required=True)
    parser.add_argument("--data", type=Path, required=True, help="arrays of the world, .npz; may be absent")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--settings", type=json.loads, required=True)
    arguments = parser.parse_args()
    prepare()
    world: Arrays = {}
    if arguments.data.exists():
        with np.load(arguments.data) as archive:
            world = dict(archive)
    measured, arrays = methods[arguments.method](world, **arguments.settings)
    np.savez(arguments.out.with_suffix(".npz"), **arrays)
    arguments.out.write_text(json.dumps(measured))
