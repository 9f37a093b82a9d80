"""A record of where a result came from: versions, hardware, revision; no paths and no host names."""

import platform
import subprocess
from pathlib import Path

from irworks.runtime.hardware import cpu_count, gpu_names, memory_bytes

__all__ = ["environment"]

_LIBRARIES = ("numpy", "scipy", "pandas", "pyarrow", "scikit-learn", "matplotlib", "torch", "ray")


def environment() -> dict[str, object]:
    """Describe the software and hardware of this run, without importing any of the libraries it names.

    Returns:
        JSON-safe: `packages` and `libraries` (name to version), `python`, `platform`, `processor`, `cpus`, `memory_gib`
        (None if unknown), `gpus` (names) and `revision` (of the checkout that irworks runs from, `+` appended when it
        has local changes; None outside a checkout).
    """
    memory = memory_bytes()
    return {
        "packages": _house_versions(),
        "libraries": {name: version for name in _LIBRARIES if (version := _version(name))},
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": cpu_count(),
        "memory_gib": round(memory / 2**30, 1) if memory else None,
        "gpus": gpu_names(),
        "revision": _revision(Path(__file__).parent),
    }


def _house_versions() -> dict[str, str]:
    from importlib.metadata import entry_points

    points = entry_points(group="irworks.claims")
    names = {"irworks"} | {point.dist.name for point in points if point.dist is not None}
    return {name: version for name in sorted(names) if (version := _version(name))}


def _version(name: str) -> str | None:
    # Here, as it takes a tenth of the time to import a package, and is of use to few.
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def _revision(folder: Path) -> str | None:
    # An installed copy may lie in the .venv of someone else's checkout: only a tracked file speaks for its repository.
    if _git(folder, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None
    revision = _git(folder, "rev-parse", "--short=12", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return f"{revision}+" if revision and changed else revision


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
