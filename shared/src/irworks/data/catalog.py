"""Small public data sets by name: where they come from, under which licence, and how to have them here.

`IRWORKS_DATA` is looked at first (each set states its folder below it), then the cache (`IRWORKS_CACHE` or the
platform's), then the pinned public address. `IRWORKS_DATA_MIRROR` names a base address that holds the files as
`<name>/<file>` and is asked in place of the public ones.
"""

import logging
import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from irworks.data.download import DataFile, checksum_problem, download, size_problem
from irworks.data.folders import cache_folder
from irworks.errors import ArgumentError, DownloadError

__all__ = ["DataFile", "DataSet", "entries", "find", "get", "locate", "verify"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataSet:
    """A public data set.

    Attributes:
        name: What it is called here.
        title: What it holds, in a line.
        licence: Its licence, by the usual short name.
        licence_url: Where the licence stands.
        source: The public page that the files come from.
        folder: Where it lies below `IRWORKS_DATA`.
        files: Its files.
        used_by: The packages whose claims or examples use it.
        note: What else one should know before passing it on.
    """

    name: str
    title: str
    licence: str
    licence_url: str
    source: str
    folder: str
    files: tuple[DataFile, ...]
    used_by: tuple[str, ...]
    note: str

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)


@cache
def entries() -> tuple[DataSet, ...]:
    """Every data set of the catalogue."""
    table = tomllib.loads(resources.files("irworks.data").joinpath("catalog.toml").read_text("utf-8"))
    return tuple(_data_set(name, fields) for name, fields in table.items())


def _data_set(name: str, fields: dict[str, Any]) -> DataSet:
    address = fields.pop("address")
    parts = tuple(
        DataFile(
            path=part["path"],
            url=f"{address}/{part.get('remote', part['path'])}",
            sha256=part["sha256"],
            size=part["size"],
        )
        for part in fields.pop("files")
    )
    return DataSet(name=name, files=parts, used_by=tuple(fields.pop("used_by")), **fields)


def find(name: str) -> DataSet:
    """Look a data set up.

    Raises:
        ArgumentError: There is none of that name; lists those there are.
    """
    known = {entry.name: entry for entry in entries()}
    if name not in known:
        raise ArgumentError(f"no data set is called {name!r}; known are {', '.join(sorted(known))}")
    return known[name]


def locate(name: str, *, offline: bool = False, announce: Callable[[str], None] | None = None) -> Path:
    """Return the folder of a data set, downloading it if it is not here; of what is here, only sizes are checked.

    Args:
        name: Name in the catalogue.
        offline: Never open a connection.
        announce: Called with one line before a download: what, how large, under which licence, from where. By default
            the line goes to the log.

    Raises:
        ArgumentError: There is no such data set.
        DownloadError: It is not here and was not allowed to be, or could not be, downloaded. Nothing is left behind.
    """
    entry = find(name)
    folder = _here(entry)
    if folder is not None:
        return folder
    if offline:
        raise DownloadError(
            f"data set {name!r} is not on this machine and downloads are forbidden (offline); "
            f"get it with: irworks data get {name}"
        )
    return _download(entry, announce)


def get(name: str, *, offline: bool = False, announce: Callable[[str], None] | None = None) -> Path:
    """As `locate`, but checksums are compared too, and a damaged copy in the cache is downloaded again.

    Raises:
        ArgumentError: There is no such data set.
        DownloadError: As `locate`; or the copy below `IRWORKS_DATA` is damaged, which is for its owner to mend.
    """
    entry = find(name)
    folder = locate(name, offline=offline, announce=announce)
    problems = _problems(entry, folder)
    if not problems:
        return folder
    if offline or folder != _cached(entry):
        raise DownloadError(f"data set {name!r} in {folder} is not as published: {'; '.join(problems)}")
    return _download(entry, announce)


def verify(name: str) -> list[str]:
    """Compare every file of a data set with its checksum; never opens a connection.

    Returns:
        One sentence a problem; empty if all is well.

    Raises:
        ArgumentError: There is no such data set.
    """
    entry = find(name)
    places = [folder for folder in (_given(entry), _cached(entry)) if folder is not None and folder.is_dir()]
    if not places:
        return [f"not on this machine; get it with: irworks data get {name}"]
    return _problems(entry, _here(entry) or places[0])


def _given(entry: DataSet) -> Path | None:
    root = os.environ.get("IRWORKS_DATA")
    return Path(root).expanduser() / entry.folder if root else None


def _cached(entry: DataSet) -> Path:
    return cache_folder() / "data" / entry.name


def _here(entry: DataSet) -> Path | None:
    for folder in (_given(entry), _cached(entry)):
        if folder is None or not folder.is_dir():
            continue
        problems = [text for file in entry.files if (text := size_problem(file, folder))]
        if not problems:
            return folder
        _LOG.warning("%s: passed over as data set %r: %s", folder, entry.name, "; ".join(problems))
    return None


def _problems(entry: DataSet, folder: Path) -> list[str]:
    return [text for file in entry.files if (text := checksum_problem(file, folder))]


def _download(entry: DataSet, announce: Callable[[str], None] | None) -> Path:
    mirror = os.environ.get("IRWORKS_DATA_MIRROR", "").rstrip("/")
    origin = mirror or entry.source
    say = announce or _LOG.info
    say(f"downloading {entry.name} ({_readable(entry.size)}, {entry.licence}) from {origin}")
    files = entry.files
    if mirror:
        files = tuple(replace(file, url=f"{mirror}/{entry.name}/{file.path}") for file in files)
    return download(entry.name, files, _cached(entry))


def _readable(size: int) -> str:
    return f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
