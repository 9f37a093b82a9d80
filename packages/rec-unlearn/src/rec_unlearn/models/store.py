"""Models on disk: one file each, of plain arrays and a line of JSON; nothing in it can run code."""

import json
import zipfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from irworks.data.damage import legible, refused
from irworks.errors import ArgumentError, DataError
from irworks.runtime import atomic_write
from rec_unlearn.data.fingerprint import Fingerprint
from rec_unlearn.models.base import ArrayModel, NotFittedError
from rec_unlearn.models.registry import CLASSES, class_of
from rec_unlearn.models.sharded import Sharded

if TYPE_CHECKING:
    from rec_unlearn.models.torch_base import TorchRecommender

__all__ = ["load", "load_as", "save"]

Model = TypeVar("Model")
Arrays = dict[str, NDArray[Any]]

_FORMAT = 1
_PACKAGE = "rec-unlearn"
_HEADER, _PREFIX = "header", "array."


def save(model: object, path: str | Path) -> None:
    """Write a fitted model of this package as one file, whole or not at all; .npz, whatever its name ends with.

    The file holds what `stored_copies` says of the model, and the fingerprint of the log that it stands for. Neither
    interactions nor the state of an optimiser are in it, but the vectors of users and their neighbours in that of
    `TIFUKNN`.

    Args:
        model: Of one of the classes in `rec_unlearn.models.registry`.
        path: A file that is there is replaced.

    Raises:
        ArgumentError: The model is none of this package's.
        NotFittedError: It was not trained yet.
    """
    name = type(model).__name__
    if name not in CLASSES or type(model) is not class_of(name):
        raise ArgumentError(f"{name} is no model of this package; there are: {', '.join(CLASSES)}")
    facts, arrays = _describe(model)
    header = {
        "package": _PACKAGE,
        "version": version(_PACKAGE),
        "format": _FORMAT,
        "class": name,
        "settings": getattr(model, "settings")(),  # noqa: B009
        "facts": facts,
    }
    stored: dict[str, Any] = {f"{_PREFIX}{key}": values for key, values in arrays.items()}
    stored[_HEADER] = np.array(json.dumps(header))
    with atomic_write(path, mode="wb") as handle:
        np.savez(handle, **stored)


def load(path: str | Path) -> Any:
    """Read a model that `save` wrote.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is no saved model, or damaged; or its format or class is not known here: which.
        MissingDependencyError: It is a network, and torch is not installed.
    """
    source = Path(path)
    expected = f"a model saved by {_PACKAGE}"
    with source.open("rb") as handle:
        if not zipfile.is_zipfile(handle):
            # numpy would take it for a pickle, and advise to run it.
            raise DataError(
                "no model can be read from it: it is no .npz file, or cut short", source=source, expected=expected
            )
        handle.seek(0)
        with (
            refused("no model can be read from it", source, expected=expected),
            np.load(handle, allow_pickle=False) as archive,
        ):
            if _HEADER not in archive.files:
                raise ValueError("it holds something else")
            header = json.loads(str(archive[_HEADER]))
            if not isinstance(header, dict) or header.get("package") != _PACKAGE:
                raise ValueError("it is of another package")
        _check(header, source)
        handle.seek(0)
        with (
            refused("the saved model is damaged", source),
            np.load(handle, allow_pickle=False) as archive,
        ):
            arrays = {name.removeprefix(_PREFIX): archive[name] for name in archive.files if name != _HEADER}
    kind = class_of(header["class"])
    with refused("the saved model is damaged", source):
        return _rebuild(kind, header, arrays)


def load_as(kind: type[Model], path: str | Path) -> Model:
    """Read a model of one class.

    Raises:
        DataError: As `load`, and where the file holds a model of another class.
    """
    model = load(path)
    if not isinstance(model, kind):
        found, expected = type(model).__name__, kind.__name__
        raise DataError("the file holds another model", source=path, found=found, expected=expected)
    return model


def _check(header: Mapping[str, Any], source: Path) -> None:
    """Whether this version can read what follows the header."""
    found, writer = header.get("format"), legible(header.get("version"))
    if found != _FORMAT:
        newer = isinstance(found, int) and found > _FORMAT
        raise DataError(
            f"the model was saved by {_PACKAGE} {writer} in {'a newer' if newer else 'another'} format",
            source=source,
            found=legible(found),
            expected=f"format {_FORMAT}, of {_PACKAGE} {version(_PACKAGE)}",
            hint=f"Install {_PACKAGE} {writer}" if newer else None,
        )
    if str(header.get("class")) not in CLASSES:
        raise DataError(
            f"{_PACKAGE} {version(_PACKAGE)} has no model of the class that the file names (saved by {writer})",
            source=source,
            found=legible(header.get("class")),
            expected=f"one of: {', '.join(CLASSES)}",
        )


def _describe(model: Any) -> tuple[dict[str, Any], Arrays]:
    if isinstance(model, Sharded):
        return _describe_shards(model)
    if isinstance(model, ArrayModel):
        arrays = model.state()
        return {"n_items": model.n_items_, "seed": model.seed_, **_stands_for(model)}, arrays
    if not hasattr(model, "module_"):
        raise NotFittedError(f"{type(model).__name__} is not trained yet; call fit first")
    state = {name: value.detach().cpu().numpy() for name, value in model.module_.state_dict().items()}
    facts = {"n_users": model.sizes_[0], "n_items": model.sizes_[1], "seed": model.seed_, "history": model.history_}
    return {**facts, **_stands_for(model)}, state


def _describe_shards(model: Sharded) -> tuple[dict[str, Any], Arrays]:
    model.require_fitted()
    # For its error, before any of the shards is looked at.
    model.settings()
    arrays: Arrays = {"shard": model.shard_, "attention": model.attention_}
    parts: list[dict[str, Any] | None] = []
    for number, one in enumerate(model.models_):
        facts, inner = ({}, {}) if one is None else _describe(one)
        parts.append(facts or None)
        arrays |= {f"{number}.{name}": values for name, values in inner.items()}
    return {"seed": model.seed_, "parts": parts, **_stands_for(model)}, arrays


def _stands_for(model: Any) -> dict[str, Any]:
    fingerprint: Fingerprint | None = model.fingerprint_
    return {} if fingerprint is None else {"data": fingerprint.to_json()}


def _rebuild(kind: Any, header: Mapping[str, Any], arrays: Arrays) -> Any:
    facts = header["facts"]
    model = kind.from_settings(header["settings"])
    if isinstance(model, Sharded):
        _rebuild_shards(model, header, arrays)
    elif isinstance(model, ArrayModel):
        model.n_items_, model.seed_ = int(facts["n_items"]), int(facts["seed"])
        model.set_state(arrays)
    else:
        _rebuild_network(model, facts, arrays)
    # Files of before there were fingerprints have none, and their models do not know their data.
    model.fingerprint_ = Fingerprint.from_json(facts["data"]) if "data" in facts else None
    return model


def _rebuild_shards(model: Sharded, header: Mapping[str, Any], arrays: Arrays) -> None:
    inner, facts = class_of(header["settings"]["class"]), header["facts"]
    model.seed_, model.shard_, model.attention_ = int(facts["seed"]), arrays["shard"], arrays["attention"]
    model.models_ = []
    for number, part in enumerate(facts["parts"]):
        mine = {
            name.removeprefix(f"{number}."): values for name, values in arrays.items() if name.startswith(f"{number}.")
        }
        one = {"settings": header["settings"]["settings"], "facts": part}
        model.models_.append(None if part is None else _rebuild(inner, one, mine))


def _rebuild_network(model: "TorchRecommender", facts: Mapping[str, Any], arrays: Arrays) -> None:
    import torch

    from rec_unlearn.data import Interactions

    # A network is as large as the catalogue; of the log that it was trained on it needs no more.
    none = np.zeros(0, dtype=np.int32)
    ids = (np.arange(int(facts["n_users"])), np.arange(int(facts["n_items"])))
    model.start(Interactions(none, none, none, none, *ids), seed=int(facts["seed"]))
    model.module_.load_state_dict({name: torch.from_numpy(values) for name, values in arrays.items()})
    model.module_.eval()
    model.history_ = list(facts["history"])
