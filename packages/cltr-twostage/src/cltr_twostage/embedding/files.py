"""A candidate generator as a folder of plain files."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.embedding.faiss_index import ADDED, import_faiss
from irworks.errors import ArgumentError, DataError
from irworks.runtime import atomic_folder
from irworks.runtime.outputs import require_replaceable

if TYPE_CHECKING:
    from cltr_twostage.generator import EmbeddingGenerator

__all__ = ["load_generator", "save_generator"]

_FORMAT = 1
_KIND = "cltr-twostage generator"
_CONFIG, _EMBEDDINGS, _IDS, _INDEX = "config.json", "doc_embeddings.npy", "doc_ids.npy", "index.faiss"


def save_generator(generator: "EmbeddingGenerator", folder: str | Path, *, embeddings: bool = True) -> None:
    """Write a generator: see `EmbeddingGenerator.save`."""
    target = Path(folder)
    require_replaceable(target, "a saved generator", header=_CONFIG, is_ours=lambda config: config.get("kind") == _KIND)
    if not embeddings and (target / _EMBEDDINGS).exists():
        raise ArgumentError(f"{target} holds embeddings, which saving without them would remove; choose another name")
    ids = None if generator.doc_ids is None else _plain_ids(generator.doc_ids)
    with atomic_folder(target) as scratch:
        (scratch / _CONFIG).write_text(json.dumps(_config(generator), indent=1), encoding="utf-8")
        if ids is not None:
            np.save(scratch / _IDS, ids, allow_pickle=False)
        if embeddings:
            _write_embeddings(generator.catalogue.embeddings, scratch / _EMBEDDINGS)
        if not _is_flat(generator.index_name):
            faiss = import_faiss()
            faiss.write_index(generator.index, str(scratch / _INDEX))


def load_generator(folder: str | Path, doc_embeddings: ArrayLike | None = None) -> "EmbeddingGenerator":
    """Read a generator: see `EmbeddingGenerator.load`."""
    from cltr_twostage.generator import EmbeddingGenerator

    root = Path(folder)
    config = _read_config(root)
    generator = EmbeddingGenerator(
        _read_array(root / _EMBEDDINGS, map_it=True) if doc_embeddings is None else doc_embeddings,
        n_candidates=config["n_candidates"],
        temperature=config["temperature"],
        depth=config["depth"],
        index=config["index"] if _is_flat(config["index"]) else _read_index(root / _INDEX),
        search_options=config["search_options"],
        doc_ids=_read_array(root / _IDS) if config["has_ids"] else None,
    )
    generator.index_name = config["index"]
    found = (generator.n_docs, generator.dim, generator.longest)
    expected = (config["n_docs"], config["dim"], config["longest"])
    if found[:2] != expected[:2] or not np.isclose(found[2], expected[2], rtol=1e-6):
        raise DataError(
            "the embeddings are not those that the generator was saved with",
            source=root,
            found=found,
            expected=f"n_docs, dim and largest norm {expected}",
        )
    return generator


def _config(generator: "EmbeddingGenerator") -> dict[str, Any]:
    return {
        "format": _FORMAT,
        "kind": _KIND,
        "n_docs": generator.n_docs,
        "dim": generator.dim,
        "longest": generator.longest,
        "n_candidates": generator.n_candidates,
        "temperature": generator.temperature,
        "depth": generator.depth,
        "index": generator.index_name,
        "search_options": generator.search_options,
        "has_ids": generator.doc_ids is not None,
    }


def _is_flat(name: str) -> bool:
    return name.lower() == "flat"


def _plain_ids(ids: NDArray[Any]) -> NDArray[Any]:
    """Ids in a type that a file can hold without pickle."""
    if ids.dtype.kind in "iuU":
        return ids
    if all(isinstance(value, str) for value in ids):
        return ids.astype(np.str_)
    raise ArgumentError(f"doc_ids of dtype {ids.dtype} cannot be saved; expected all integers or all text")


def _write_embeddings(embeddings: NDArray[np.floating], file: Path) -> None:
    out = np.lib.format.open_memmap(file, mode="w+", dtype=embeddings.dtype, shape=embeddings.shape)
    for start in range(0, len(embeddings), ADDED):
        out[start : start + ADDED] = embeddings[start : start + ADDED]
    out.flush()


def _read_config(root: Path) -> dict[str, Any]:
    expected = {
        "n_docs": int,
        "dim": int,
        "longest": float,
        "n_candidates": int,
        "temperature": float,
        "depth": int,
        "index": str,
        "search_options": str | None,
        "has_ids": bool,
    }
    try:
        config = json.loads((root / _CONFIG).read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"not a readable saved generator: {error}", source=root) from None
    if not isinstance(config, dict) or config.get("kind") != _KIND or config.get("format") != _FORMAT:
        raise DataError("not a saved generator of this format", source=root / _CONFIG, expected=f"format {_FORMAT}")
    for name, kind in expected.items():
        if name not in config or not isinstance(config[name], kind):
            raise DataError(
                "damaged", source=root / _CONFIG, column=name, found=config.get(name), expected=f"a value of {kind}"
            )
    return config


def _read_array(file: Path, *, map_it: bool = False) -> NDArray[Any]:
    if not file.exists() and file.name == _EMBEDDINGS:
        raise ArgumentError(f"{file.parent} holds no embeddings; pass them as doc_embeddings=")
    try:
        return np.asarray(np.load(file, mmap_mode="r" if map_it else None, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"not a readable array: {error}", source=file) from None


def _read_index(file: Path) -> Any:
    faiss = import_faiss()
    try:
        return faiss.read_index(str(file))
    except RuntimeError as error:
        raise DataError(f"not a readable index: {str(error).strip()}", source=file) from None
