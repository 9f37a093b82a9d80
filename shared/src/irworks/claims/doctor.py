"""What this installation can do and what it lacks, with the commands that would get it."""

from typing import Any

from irworks.claims.discovery import discover
from irworks.errors import DownloadError
from irworks.runtime import device, environment

__all__ = ["diagnose"]

_EXTRAS = {
    "jinja2": ("the report page", "irworks[report]"),
    "matplotlib": ("figures", "irworks[report]"),
    "torch": ("neural models", "irworks[torch]"),
    "ray": ("--engine ray", "irworks[ray]"),
}


def diagnose() -> dict[str, Any]:
    """Look at the installed packages, the optional libraries, the devices and the data sets.

    Returns:
        JSON-safe: `environment`, `device` (what `"auto"` chooses), `packages` (name to number of claims), `broken`
        (name to traceback), `extras` (for an optional library, whether it is there, what for, and the command) and
        `data` (for a data set, where it is or the command that would get it).
    """
    found = discover()
    return {
        "environment": environment(),
        "device": device(),
        "packages": {claims.package: len(claims) for claims in found.sets},
        "broken": dict(found.broken),
        "extras": [_extra(library) for library in _EXTRAS],
        "data": _data(),
    }


def _extra(library: str) -> dict[str, Any]:
    from importlib.util import find_spec

    use, extra = _EXTRAS[library]
    present = find_spec(library) is not None
    return {"name": library, "use": use, "found": present, "command": None if present else f"pip install '{extra}'"}


def _data() -> list[dict[str, Any]]:
    from irworks.data import catalog

    return [_data_set(entry.name, entry.title) for entry in catalog.entries()]


def _data_set(name: str, title: str) -> dict[str, Any]:
    from irworks.data import catalog

    try:
        path: str | None = str(catalog.locate(name, offline=True))
    except DownloadError:
        path = None
    return {"name": name, "title": title, "path": path, "command": None if path else f"irworks data get {name}"}
