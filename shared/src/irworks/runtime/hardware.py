"""The machine a run has: processors, memory, accelerators."""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from irworks.errors import ArgumentError, MissingDependencyError

__all__ = ["cpu_count", "device", "gpu_names", "memory_bytes"]

_CGROUP = Path("/sys/fs/cgroup")


def cpu_count() -> int:
    """Count the processors that this process may use: its affinity and its container's quota, at least 1."""
    try:
        cpus = len(os.sched_getaffinity(0))
    except AttributeError:
        cpus = os.cpu_count() or 1
    return max(1, min(cpus, _cgroup_cpus() or cpus))


def _cgroup_cpus() -> int | None:
    quota, _, period = _cgroup_value("cpu.max").partition(" ")
    return max(1, int(quota) // int(period)) if quota.isdigit() and period.isdigit() else None


def memory_bytes() -> int | None:
    """Return the memory this process may use in bytes (the machine's or its container's limit), None if unknown."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
    limit = _cgroup_value("memory.max")
    return min(total, int(limit)) if limit.isdigit() else total


def _cgroup_value(name: str) -> str:
    try:
        return (_CGROUP / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def gpu_names() -> list[str]:
    """Name the NVIDIA and Apple accelerators found without importing torch, [] when there is none."""
    if torch := sys.modules.get("torch"):
        return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def device(name: str = "auto") -> str:
    """Choose the device that torch computes on.

    Args:
        name: `"auto"` takes CUDA, then Apple's MPS, then the processor; `"cpu"`, `"cuda"`, `"cuda:1"` or `"mps"` ask
            for that one. torch is imported unless `name` is `"cpu"`; `"auto"` without torch installed means `"cpu"`.

    Returns:
        `"cpu"`, `"cuda"`, `"cuda:<index>"` or `"mps"`.

    Raises:
        ArgumentError: The name is unknown, or this machine has no such device.
        MissingDependencyError: An accelerator was asked for and torch is not installed.
    """
    kind, _, index = name.partition(":")
    if kind not in ("auto", "cpu", "cuda", "mps") or (index and (kind != "cuda" or not index.isdigit())):
        raise ArgumentError(f"device must be 'auto', 'cpu', 'cuda', 'cuda:<index>' or 'mps', found {name!r}")
    if kind == "cpu":
        return "cpu"
    if importlib.util.find_spec("torch") is None:
        if kind == "auto":
            return "cpu"
        raise MissingDependencyError("torch", f"device {name!r}", "irworks[torch]")
    available = _accelerators()
    if kind == "auto":
        return available[0] if available else "cpu"
    if name not in available:
        raise ArgumentError(f"device {name!r} is not available here; found: {', '.join([*available, 'cpu'])}")
    return name


def _accelerators() -> list[str]:
    import torch

    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return [*(["cuda"] if cuda else []), *cuda, *mps]
