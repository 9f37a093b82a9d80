"""Interactions as one file: `.npz` without pickle, whole or absent, without the ids of users who have no rows left."""

import json
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError, DataError
from irworks.runtime import atomic_write
from rec_unlearn.data.fingerprint import carry_over
from rec_unlearn.data.interactions import Interactions

__all__ = ["forget_ids", "has_integers", "load", "save"]

_FORMAT = "rec-unlearn interactions 1"
_COLUMNS = ("user", "item", "sequence", "step")
# All that numpy and zipfile raise for bytes that are not what they were; every member has a checksum (CRC-32).
_DAMAGE = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)


def forget_ids(log: Interactions) -> Interactions:
    """The same rows, with None in place of the id of every user without rows; codes stay.

    Items keep their ids: they are the catalogue's, no person's.
    """
    gone = np.diff(log.user_offsets) == 0
    if not gone.any():
        return log
    ids = np.asarray(log.user_ids).astype(object)
    ids[gone] = None
    left = replace(log, user_ids=ids)
    carry_over(left, log.__dict__.get("fingerprint"))
    return left


def has_integers(ids: NDArray[Any]) -> bool:
    """Whether ids are integers, as far as they are known."""
    first = next((value for value in np.asarray(ids).tolist() if value is not None), None)
    return isinstance(first, int)


def save(log: Interactions, path: str | Path) -> None:
    """Write interactions, without the ids of users who have no rows; see `forget_ids`.

    What is left of such a user is a gap in the numbering: where ids are consecutive numbers, it still tells which.

    Args:
        log: Users and items have integers or texts as ids.
        path: The file; it is replaced as a whole.

    Raises:
        ArgumentError: An id is neither an integer nor a text.
    """
    log = forget_ids(log)
    arrays: dict[str, NDArray[Any]] = {name: getattr(log, name) for name in _COLUMNS}
    if log.time is not None:
        arrays["time"] = log.time
    arrays |= _packed("user", log.user_ids) | _packed("item", log.item_ids)
    about = json.dumps({"format": _FORMAT, "name": log.name})
    arrays["about"] = np.frombuffer(about.encode(), dtype=np.uint8)
    with atomic_write(path, "wb") as handle:
        np.savez(handle, allow_pickle=False, **arrays)


def load(path: str | Path) -> Interactions:
    """Read what `save` wrote.

    Raises:
        DataError: The file is missing, damaged, or something else.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError("no such file", source=file)
    try:
        with np.load(file, allow_pickle=False) as stored:
            if "about" not in stored.files:
                raise DataError("no interactions, but something else", source=file, expected=_FORMAT)
            arrays = {name: stored[name] for name in stored.files}
        about = json.loads(arrays["about"].tobytes())
        if about["format"] != _FORMAT:
            raise DataError("another format", source=file, found=about["format"], expected=_FORMAT)
        return Interactions(
            **{name: arrays[name] for name in _COLUMNS},
            time=arrays.get("time"),
            user_ids=_unpacked("user", arrays),
            item_ids=_unpacked("item", arrays),
            name=about["name"],
        )
    except DataError:
        raise
    except _DAMAGE as error:
        found = type(error).__name__
        raise DataError("not readable as interactions", source=file, found=found, expected=_FORMAT) from None


def _packed(kind: str, ids: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Ids as arrays without objects: which are known, and integers, or texts end to end."""
    values = np.asarray(ids).tolist()
    known = np.array([value is not None for value in values], dtype=bool)
    if all(value is None or type(value) is int for value in values):
        whole = [0 if value is None else value for value in values]
        # Hashes of 64 bits are ids, too.
        dtype = np.uint64 if max(whole, default=0) >= 2**63 else np.int64
        try:
            return {f"{kind}_known": known, f"{kind}_numbers": np.array(whole, dtype=dtype)}
        except OverflowError:
            problem = "integers of more than 64 bits; expected shorter ones, or texts"
            raise ArgumentError(f"ids of {kind}s cannot be stored: {problem}") from None
    strange = next((value for value in values if value is not None and not isinstance(value, str)), None)
    if strange is not None:
        found = f"{strange!r} ({type(strange).__name__})" if kind == "item" else type(strange).__name__
        raise ArgumentError(f"ids of {kind}s cannot be stored: found {found}; expected all integers or all texts")
    texts = [(value or "").encode("utf-8", "surrogatepass") for value in values]
    ends = np.cumsum([len(text) for text in texts], dtype=np.int64)
    return {
        f"{kind}_known": known,
        f"{kind}_text": np.frombuffer(b"".join(texts), dtype=np.uint8),
        f"{kind}_ends": ends,
    }


def _unpacked(kind: str, arrays: dict[str, NDArray[Any]]) -> NDArray[Any]:
    known = arrays[f"{kind}_known"]
    if f"{kind}_numbers" in arrays:
        numbers = arrays[f"{kind}_numbers"]
        if known.all():
            return numbers
        ids = numbers.astype(object)
    else:
        text, ends = arrays[f"{kind}_text"].tobytes(), arrays[f"{kind}_ends"].tolist()
        ids = np.empty(len(ends), dtype=object)
        for place, (begin, end) in enumerate(zip([0, *ends], ends, strict=False)):
            ids[place] = text[begin:end].decode("utf-8", "surrogatepass")
    if len(ids) != len(known):
        raise ValueError("lengths differ")
    ids[~known] = None
    return ids
