"""A click log as a folder of plain arrays, opened without reading it into memory."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.data.clicks import ClickLog
from irworks.data.damage import refused
from irworks.data.pairs import Pairs
from irworks.errors import DataError
from irworks.runtime import atomic_folder
from irworks.runtime.outputs import require_replaceable

__all__ = ["open_log", "save_log"]

_FORMAT = 2
_COLUMNS = {"query": np.int32, "docs": np.int32, "clicks": np.bool_, "mask": np.bool_}
_OPTIONAL = {"propensities": np.float64, "features": np.float32}
_PAIRS = {"pairs_query": np.int32, "pairs_doc": np.int32, "pairs_index": np.int32}


def save_log(log: ClickLog, folder: str | Path) -> None:
    """Write a log as one .npy file per column, replacing `folder` at once when all of it is on disk.

    Ids that are neither text nor numbers (dates, say) are written as text.

    Raises:
        DataError: `folder` exists and is not a saved log: it is left alone.
    """
    require_replaceable(
        folder,
        "a saved click log",
        header="log.json",
        is_ours=lambda header: {"format", "feature_names"} <= set(header),
    )
    with atomic_folder(folder) as scratch:
        for name in _COLUMNS:
            np.save(scratch / f"{name}.npy", getattr(log, name))
        for name in _OPTIONAL:
            if (column := getattr(log, name)) is not None:
                np.save(scratch / f"{name}.npy", column)
        for name in ("query", "doc", "index"):
            np.save(scratch / f"pairs_{name}.npy", getattr(log.pairs, name))
        for name, ids in (("query_ids", log.query_vocabulary), ("doc_ids", log.doc_vocabulary)):
            _save_ids(scratch / name, ids)
        header = {"format": _FORMAT, "feature_names": list(log.feature_names), "source": log.source}
        header["crc32"] = {file.name: _checksum(file) for file in sorted(scratch.iterdir())}
        (scratch / "log.json").write_text(json.dumps(header))


def open_log(folder: str | Path, *, memory_map: bool = True) -> ClickLog:
    """Open a folder written by `save_log`. The columns were checked when they were saved and are not checked again.

    Without a memory map, every file is compared with its checksum. With one, only the ids are: the columns are known
    to have the right shapes and types, but are not read, so that a damaged value within them is not noticed.

    Raises:
        DataError: The folder is not a saved log, or a file of it is damaged.
    """
    root = Path(folder)
    with refused("not a readable saved click log", root):
        header = json.loads((root / "log.json").read_text())
        if header["format"] != _FORMAT:
            raise DataError(
                "an unknown format of saved log", source=root, found=header["format"], expected=str(_FORMAT)
            )
        checksums = dict(header["crc32"])
        if lost := {f"{name}.npy" for name in _COLUMNS | _PAIRS} - set(checksums):
            raise ValueError(f"log.json does not list {sorted(lost)[0]}")
        for name, checksum in checksums.items():
            _check_file(root / name, checksum, read=not memory_map or name.startswith(("query_ids", "doc_ids")))
        kinds = _COLUMNS | _PAIRS | {name: kind for name, kind in _OPTIONAL.items() if f"{name}.npy" in checksums}
        columns = {name: _load_column(root / f"{name}.npy", kind, memory_map) for name, kind in kinds.items()}
        ids = {name: _load_ids(root / name) for name in ("query_ids", "doc_ids")}
        names, source = tuple(map(str, header["feature_names"])), str(header["source"])
    pairs = Pairs(*(columns.pop(name) for name in _PAIRS))
    fields: dict[str, Any] = dict.fromkeys(_OPTIONAL) | columns | ids | {"feature_names": names, "source": source}
    _check_shapes(fields, pairs, root)
    log = object.__new__(ClickLog)
    # The ordinary constructor checks, and so reads, every value; that would defeat the memory map.
    log.__dict__.update(fields, pairs=pairs)
    return log


def _check_file(file: Path, checksum: int, *, read: bool) -> None:
    if not file.is_file():
        raise DataError("a file of a saved click log is missing", source=file)
    if read and _checksum(file) != checksum:
        raise DataError("a file of a saved click log is damaged: its checksum differs", source=file)


def _checksum(file: Path) -> int:
    checksum = 0
    with file.open("rb") as handle:
        while chunk := handle.read(1 << 20):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


def _load_column(file: Path, kind: type[np.generic], memory_map: bool) -> NDArray[Any]:
    # Mapped in any case: a damaged header that asks for more than the file holds then fails before memory is taken.
    column = np.lib.format.open_memmap(file, mode="r")
    if column.dtype != kind:
        raise DataError(
            "a column of a saved click log has another type",
            source=file,
            found=str(column.dtype),
            expected=str(np.dtype(kind)),
        )
    return column if memory_map else np.array(column)


def _check_shapes(fields: dict[str, Any], pairs: Pairs, root: Path) -> None:
    """The shapes stand in the headers of the files, so that this reads no column."""
    shape = fields["docs"].shape
    if len(shape) != 2:
        raise DataError(
            "a column of a saved click log has another shape", source=root / "docs.npy", found=shape, expected="[n, k]"
        )
    expected = {"query": shape[:1], "clicks": shape, "mask": shape, "propensities": shape}
    columns = [(name, fields[name], wanted) for name, wanted in expected.items()]
    columns += [("pairs_index", pairs.index, shape), ("pairs_doc", pairs.doc, (pairs.query.size,))]
    columns += [("pairs_query", pairs.query, (pairs.query.size,))]
    n_features = len(fields["feature_names"])
    if fields["features"] is None and n_features:
        raise DataError("the features of a saved click log do not fit their names", source=root, found=n_features)
    columns.append(("features", fields["features"], (len(pairs), n_features)))
    for name, column, wanted in columns:
        if column is not None and column.shape != wanted:
            raise DataError(
                "columns of a saved click log do not fit together",
                source=root / f"{name}.npy",
                found=column.shape,
                expected=str(wanted),
            )


def _save_ids(stem: Path, ids: NDArray[Any]) -> None:
    if ids.dtype == object:
        stem.with_suffix(".json").write_text(json.dumps([_jsonable(value) for value in ids]))
    else:
        np.save(stem.with_suffix(".npy"), ids)


def _jsonable(value: Any) -> str | int | float | bool:
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, (str, int, float)) else str(value)


def _load_ids(stem: Path) -> NDArray[Any]:
    text = stem.with_suffix(".json")
    if text.exists():
        return np.array(json.loads(text.read_text()), dtype=object)
    return np.asarray(np.load(stem.with_suffix(".npy")))
