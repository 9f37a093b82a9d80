"""Fetching the files of one data set: all of them, checked, or none."""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from irworks.errors import DownloadError

__all__ = ["DataFile", "checksum_problem", "download", "size_problem"]

_TIMEOUT_SECONDS = 30.0
_TEMPORARY = ".irworks-tmp-"
_ABANDONED_SECONDS = 24 * 3600
# How often the place is cleared again when another process keeps putting a damaged copy there.
_ATTEMPTS = 5


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Attributes:
        path: Its name in the folder of the set.
        url: Where it is fetched from.
        sha256: Checksum of its bytes, in hexadecimal.
        size: In bytes.
    """

    path: str
    url: str
    sha256: str
    size: int


def size_problem(file: DataFile, folder: Path) -> str | None:
    """What is wrong with the copy of a file in `folder`, as far as its size tells; None if nothing is."""
    path = folder / file.path
    if not path.is_file():
        return f"{file.path} is absent"
    size = path.stat().st_size
    return None if size == file.size else f"{file.path} has {size} bytes, expected {file.size}"


def checksum_problem(file: DataFile, folder: Path) -> str | None:
    """What is wrong with the copy of a file in `folder`; None if it is as published."""
    problem = size_problem(file, folder)
    if problem is not None:
        return problem
    with (folder / file.path).open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    return None if found == file.sha256 else f"{file.path} has SHA-256 {found[:16]}…, expected {file.sha256[:16]}…"


def download(name: str, files: Sequence[DataFile], target: Path) -> Path:
    """Fetch files into a folder that appears only once all are there and have the right checksums.

    Processes that do this at the same time do not disturb each other: the first one done puts its copy in place. A
    damaged copy that stands there already is replaced.

    Args:
        name: What the set is called in messages.
        files: What to fetch.
        target: The folder.

    Returns:
        `target`.

    Raises:
        DownloadError: No connection, no such file, a transfer cut short, a wrong checksum, or no room; nothing is left.
    """
    scratch = target.with_name(f"{_TEMPORARY}{os.getpid()}-{secrets.token_hex(4)}-{target.name}")
    try:
        scratch.mkdir(parents=True)
        _remove_abandoned(target.parent)
        for file in files:
            _fetch(name, file, scratch)
        _put_in_place(scratch, target, files)
    except OSError as error:
        reason = f"{target.parent} cannot be written to: {error.strerror or error}"
        raise DownloadError(f"data set {name!r} could not be kept: {reason}; IRWORKS_CACHE names another") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return target


def _fetch(name: str, file: DataFile, folder: Path) -> None:
    import pooch
    import requests

    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        pooch.HTTPDownloader(progressbar=False, timeout=_TIMEOUT_SECONDS)(file.url, str(path), None)
        problem = checksum_problem(file, folder)
    except requests.RequestException as error:
        problem = _in_words(error, file.url)
    if problem is not None:
        raise DownloadError(
            f"data set {name!r} could not be downloaded: {problem} (from {file.url}); nothing was kept"
        ) from None


def _in_words(error: Exception, url: str) -> str:
    import requests

    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    # A body that stops coming is reported as a lost connection whose cause is only in the text.
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"no answer within {_TIMEOUT_SECONDS:g} seconds"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut before the whole file had come"
    if isinstance(error, requests.ConnectionError):
        return f"no connection to {urlsplit(url).netloc}"
    return str(error)


def _put_in_place(scratch: Path, target: Path, files: Sequence[DataFile]) -> None:
    for _ in range(_ATTEMPTS):
        try:
            scratch.rename(target)
        except OSError:
            if not target.exists():
                raise
        else:
            return
        if not any(checksum_problem(file, target) for file in files):
            return
        aside = scratch.with_name(f"{scratch.name}-replaced")
        target.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Clear what a process that was killed outright left; another one may be at work on what is recent."""
    limit = time.time() - _ABANDONED_SECONDS
    for folder in parent.glob(f"{_TEMPORARY}*"):
        if folder.is_dir() and folder.stat().st_mtime < limit:
            shutil.rmtree(folder, ignore_errors=True)
