"""Parsed ranking files kept as `.npz`, each beside a fingerprint of the source that it was parsed from."""

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from irworks.data.ranking import RankingDataset
from irworks.errors import DataError
from irworks.runtime import atomic_write

__all__ = ["LetorCache"]

_LOG = logging.getLogger(__name__)
_VERSION = 2
_SAMPLE = 1 << 20


class LetorCache:
    """The cached form of one source read with one set of options.

    Args:
        folder: Where the cache is.
        sources: The files that are read; all exist.
        options: What else the result depends on; JSON values.
    """

    def __init__(self, folder: Path, sources: list[Path], options: dict[str, Any]) -> None:
        named = json.dumps([[str(path.resolve()) for path in sources], options], sort_keys=True)
        key = hashlib.sha256(named.encode()).hexdigest()[:16]
        self._data = folder / f"{sources[0].name}-{key}.npz"
        self._mark = self._data.with_suffix(".json")
        self._fingerprint = {"version": _VERSION, "sources": [_fingerprint(path) for path in sources]}

    def load(self) -> RankingDataset | None:
        """The cached data set; None if there is none, the source has changed since, or the cache is damaged."""
        try:
            mark = json.loads(self._mark.read_text("utf-8"))
            if mark["source"] != self._fingerprint or mark["bytes"] != self._data.stat().st_size:
                return None
            return RankingDataset.load(self._data)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, DataError) as error:
            _LOG.warning("%s: the cached copy cannot be read and is made anew: %s", self._data, error)
            return None

    def store(self, dataset: RankingDataset) -> None:
        """Keep a data set; a folder that cannot be written to is reported in the log, not raised."""
        try:
            # Without its mark no data file is used, so a reader never pairs an old mark with new data.
            self._mark.unlink(missing_ok=True)
            dataset.save(self._data)
            mark = {"source": self._fingerprint, "bytes": self._data.stat().st_size}
            with atomic_write(self._mark) as handle:
                json.dump(mark, handle)
        except OSError as error:
            _LOG.warning("%s: could not be kept for the next time: %s", self._data, error)


def _fingerprint(path: Path) -> dict[str, Any]:
    """Size, time of the last change and a digest of both ends: to read all of it would cost as much as to parse it."""
    state = path.stat()
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        digest.update(handle.read(_SAMPLE))
        handle.seek(max(0, state.st_size - _SAMPLE))
        digest.update(handle.read(_SAMPLE))
    return {"size": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256_ends": digest.hexdigest()}
