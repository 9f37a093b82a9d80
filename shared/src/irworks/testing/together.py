"""Programs that run in several processes which know of each other, as `accelerate launch` starts them."""

import multiprocessing
import os
import runpy
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["meet", "run_together"]


def run_together(
    script: Path, names: Mapping[str, object], *, processes: int = 2, seconds: float = 240
) -> list[int | None]:
    """Run a program in several processes at once.

    Args:
        script: The program; it calls `meet`, and finds `process`, its number, and `processes` beside the other names.
        names: What else it finds, among it what `meet` needs.
        processes: How many.
        seconds: When to give up on each.

    Returns:
        The exit status of each; None where it took too long.
    """
    import torch

    # A forked process has torch imported already; but threads of a CUDA device do not survive a fork.
    forks = sys.platform == "linux" and not torch.cuda.is_available()
    context: Any = multiprocessing.get_context("fork" if forks else "spawn")
    given = [{**names, "process": process, "processes": processes} for process in range(processes)]
    running = [context.Process(target=runpy.run_path, args=(str(script), each)) for each in given]
    for one in running:
        one.start()
    for one in running:
        one.join(seconds)
    codes = [one.exitcode for one in running]
    for one in running:
        one.kill()
        one.join()
    return codes


def meet(folder: Path, process: int, processes: int) -> Any:
    """An `accelerate.Accelerator` of this process, when all have come; on the processor, with one thread.

    Args:
        folder: Where they meet; the same for all, and new.
        process: The number of this one.
        processes: How many there are.
    """
    os.environ |= {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    if processes > 1:
        os.environ |= {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
        os.environ |= {"RANK": str(process), "LOCAL_RANK": str(process)}
    import torch
    from accelerate import Accelerator, InitProcessGroupKwargs
    from accelerate.state import AcceleratorState

    torch.set_num_threads(1)
    # A forked process inherits what was made of one process before.
    AcceleratorState._reset_state(reset_partial_state=True)
    accelerator = Accelerator(
        cpu=True, kwargs_handlers=[InitProcessGroupKwargs(init_method=(folder / "store").as_uri())]
    )
    assert accelerator.num_processes == processes
    return accelerator
