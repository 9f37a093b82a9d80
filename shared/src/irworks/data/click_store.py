"""A click log as a folder of plain arrays, opened without reading it into memory."""

import json
import secrets
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from irworks.data.clicks import ClickLog, Pairs
from irworks.errors import DataError

__all__ = ["open_log", "save_log"]

_FORMAT = 1
_COLUMNS = ("query", "docs", "clicks", "mask")


def save_log(log: ClickLog, folder: str | Path) -> None:
    """Write a log as one .npy file per column, replacing `folder` at once when all of it is on disk.

    Ids that are neither text nor numbers (dates, say) are written as text.

    Raises:
        DataError: `folder` exists and is not a saved log: it is left alone.
    """
    target = Path(folder)
    if target.exists() and not (target / "log.json").is_file():
        raise DataError("the folder exists and is not a saved click log", source=target, hint="Choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not `tempfile.mkdtemp`: its folders are closed to everyone but their owner, and stay so.
    scratch = target.with_name(f".{target.name}-{secrets.token_hex(4)}")
    old = scratch.with_name(f"{scratch.name}-old")
    scratch.mkdir()
    try:
        for name in _COLUMNS:
            np.save(scratch / f"{name}.npy", getattr(log, name))
        for name in ("propensities", "features"):
            if (column := getattr(log, name)) is not None:
                np.save(scratch / f"{name}.npy", column)
        for name in ("query", "doc", "index"):
            np.save(scratch / f"pairs_{name}.npy", getattr(log.pairs, name))
        for name, ids in (("query_ids", log.query_vocabulary), ("doc_ids", log.doc_vocabulary)):
            _save_ids(scratch / name, ids)
        header = {"format": _FORMAT, "feature_names": list(log.feature_names), "source": log.source}
        (scratch / "log.json").write_text(json.dumps(header))
        if target.exists():
            target.replace(old)
        scratch.replace(target)
    finally:
        if old.exists() and not target.exists():
            old.replace(target)
        for folder in (scratch, old):
            shutil.rmtree(folder, ignore_errors=True)


def open_log(folder: str | Path, *, memory_map: bool = True) -> ClickLog:
    """Open a folder written by `save_log`. The columns were checked when they were saved and are not read again here.

    Raises:
        DataError: The folder is not a saved log, or a column is damaged.
    """
    root = Path(folder)
    try:
        header = json.loads((root / "log.json").read_text())
        if header["format"] != _FORMAT:
            raise DataError(
                "an unknown format of saved log", source=root, found=header["format"], expected=str(_FORMAT)
            )
        mode: Literal["r"] | None = "r" if memory_map else None
        fields: dict[str, Any] = {name: np.load(root / f"{name}.npy", mmap_mode=mode) for name in _COLUMNS}
        for name in ("propensities", "features"):
            file = root / f"{name}.npy"
            fields[name] = np.load(file, mmap_mode=mode) if file.exists() else None
        for name in ("query_ids", "doc_ids"):
            fields[name] = _load_ids(root / name)
        pairs = Pairs(
            **{name: np.load(root / f"pairs_{name}.npy", mmap_mode=mode) for name in ("query", "doc", "index")}
        )
        fields |= {"feature_names": tuple(header["feature_names"]), "source": header["source"]}
    except DataError:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"not a readable saved click log: {error}", source=root) from None
    _check_shapes(fields, pairs, root)
    log = object.__new__(ClickLog)
    # The ordinary constructor checks, and so reads, every value; that would defeat the memory map.
    log.__dict__.update(fields, pairs=pairs)
    return log


def _check_shapes(fields: dict[str, Any], pairs: Pairs, root: Path) -> None:
    """The shapes stand in the headers of the files, so that this reads no column."""
    shape = fields["docs"].shape
    expected = {"query": shape[:1], "docs": shape, "clicks": shape, "mask": shape, "propensities": shape}
    columns = [(name, fields[name], wanted) for name, wanted in expected.items()]
    columns += [("pairs_index", pairs.index, shape), ("pairs_doc", pairs.doc, pairs.query.shape)]
    if fields["features"] is not None:
        n_features = len(fields["feature_names"])
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
