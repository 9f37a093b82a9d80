"""Fitted position-based models as folders of plain files; no pickle."""

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError, DataError
from irworks.runtime import atomic_folder
from irworks.runtime.outputs import require_replaceable
from recgaze.models.attraction import Features, Fixed, KeyValues
from recgaze.models.base import PositionModel
from recgaze.models.position import CPBM, OEPBM, RCPBM

__all__ = ["load_model", "require_model_folder", "save_model"]

_FORMAT = 1
_PACKAGE = "recgaze"
_CONFIG, _ARRAYS, _SOURCE = "model.json", "arrays.npz", "attraction"
_CLASSES: dict[str, type[PositionModel]] = {"CPBM": CPBM, "RCPBM": RCPBM, "OEPBM": OEPBM}
_GIVEN: dict[str, type[Features] | type[Fixed]] = {"features": Features, "fixed": Fixed}
_FITTED = ("examination_", "attraction_", "weight_", "history_", "coef_", "row_", "column_")

Arrays = dict[str, NDArray[Any]]


def save_model(model: PositionModel, folder: str | Path) -> None:
    """Write a fitted model: `model.json` (class and options) and `arrays.npz`; held attraction of a model beside it.

    Raises:
        ArgumentError: Features or given attraction come from a function, which files cannot hold.
        DataError: The folder exists and holds something else.
    """
    target = Path(folder)
    require_model_folder(target)
    with atomic_folder(target) as scratch:
        _write(model, scratch)


def require_model_folder(folder: Path) -> None:
    """Check that a model may be saved to a folder: it is absent, empty, or a saved model of this package.

    Raises:
        DataError: It is something else, or holds more.
    """
    require_replaceable(
        folder,
        "a saved model of recgaze",
        header=_CONFIG,
        is_ours=lambda config: config.get("package") == _PACKAGE,
        names=(_ARRAYS, _SOURCE),
    )


def load_model(folder: str | Path) -> PositionModel:
    """Read a model that `save` wrote.

    Raises:
        DataError: The folder is no saved model, or one of a newer format.
    """
    source = Path(folder)
    try:
        config = json.loads((source / _CONFIG).read_text(encoding="utf-8"))
        with np.load(source / _ARRAYS, allow_pickle=False) as stored:
            arrays = dict(stored)
        if config["package"] != _PACKAGE or config["class"] not in _CLASSES:
            raise ValueError(f"a {config['class']} of {config['package']}")
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        found = f"no {Path(error.filename).name}" if isinstance(error, FileNotFoundError) else str(error)
        raise DataError(
            "the folder is no saved model", source=source, found=found, expected=f"{_CONFIG} and {_ARRAYS}"
        ) from error
    if config["format"] > _FORMAT:
        raise DataError("the model was saved by a newer recgaze", source=source, found=config["format"])
    try:
        return _read(source, config, arrays)
    except (KeyError, TypeError) as error:
        raise DataError("the saved model is damaged", source=source, found=f"nothing of {error}") from None


def _write(model: PositionModel, folder: Path) -> None:
    attraction, given = _describe(model.attraction)
    options = {name: value for name, value in model.options().items() if name != "attraction"}
    config = {
        "format": _FORMAT,
        "package": _PACKAGE,
        "class": type(model).__name__,
        "options": options,
        "attraction": attraction,
        "shape": list(model.shape_),
        "keys": list(model.keys_),
        "scale": model.scale_,
        "converged": bool(model.converged_),
    }
    arrays: Arrays = {
        f"fitted.{name}": getattr(model, name) for name in _FITTED if getattr(model, name, None) is not None
    }
    arrays |= {f"key.{name}": _plain(column) for name, column in model.keys_.items()} | given
    (folder / _CONFIG).write_text(json.dumps(config, indent=1), encoding="utf-8")
    np.savez_compressed(folder / _ARRAYS, allow_pickle=False, **arrays)
    if model.source_ is not None:
        (folder / _SOURCE).mkdir()
        _write(model.source_, folder / _SOURCE)


def _describe(attraction: Any) -> tuple[dict[str, Any], Arrays]:
    """What the file says of an attraction, and the arrays that belong to it."""
    if isinstance(attraction, str):
        return {"kind": "name", "name": attraction}, {}
    if isinstance(attraction, PositionModel):
        return {"kind": "model"}, {}
    if not isinstance(attraction.of, KeyValues):
        raise ArgumentError(
            f"{type(attraction).__name__} of a function cannot be saved; give its numbers as KeyValues, or save "
            "examination_ yourself"
        )
    arrays = {f"given.{name}": _plain(column) for name, column in attraction.of.table.items()}
    kind = type(attraction).__name__.lower()
    return {"kind": kind, "key": attraction.of.key}, {**arrays, "values": attraction.of.values}


def _read(folder: Path, config: dict[str, Any], arrays: Arrays) -> PositionModel:
    kind = config["attraction"]["kind"]
    held = load_model(folder / _SOURCE) if kind == "model" else None
    attraction: Any = held if held is not None else config["attraction"].get("name")
    if kind in _GIVEN:
        table = {name.removeprefix("given."): column for name, column in arrays.items() if name.startswith("given.")}
        attraction = _GIVEN[kind](KeyValues(config["attraction"]["key"], table, arrays["values"]))
    model = _CLASSES[config["class"]](attraction, **config["options"])
    model.source_ = held
    model.shape_, model.scale_ = (config["shape"][0], config["shape"][1]), config["scale"]
    model.keys_ = {name: arrays[f"key.{name}"] for name in config["keys"]}
    model.coef_, model.converged_ = None, config["converged"]
    for name in _FITTED:
        if f"fitted.{name}" in arrays:
            setattr(model, name, arrays[f"fitted.{name}"])
    return model


def _plain(column: NDArray[Any]) -> NDArray[Any]:
    """Ids as numpy text: objects would need pickle."""
    return column.astype(str) if column.dtype == object else column
