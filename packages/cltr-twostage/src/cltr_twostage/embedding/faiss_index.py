"""Inner-product search through faiss: building an index over embeddings, checking a ready one, searching it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError, MissingDependencyError

__all__ = ["build_index", "check_index", "import_faiss", "is_exact", "search"]

LongArray = NDArray[np.int64]

# Rows handed to faiss at a time, which has to hold them as float32.
ADDED = 1 << 16
# faiss trains a coarse quantiser with 256 points per list at most.
POINTS_PER_LIST, FEWEST_TRAINED = 256, 1 << 16


def import_faiss() -> Any:
    """The module faiss.

    Raises:
        MissingDependencyError: It is not installed.
    """
    try:
        import faiss
    except ImportError:
        raise MissingDependencyError("faiss", "a candidate generator over embeddings", "cltr-twostage[faiss]") from None
    return faiss


def build_index(embeddings: NDArray[np.floating], description: str, search_options: str | None, depth: int) -> Any:
    """Build an inner-product index.

    Args:
        embeddings: float [n_docs, dim], read in blocks.
        description: `"flat"`, or a string for faiss's `index_factory` such as `"IVF1024,Flat"`.
        search_options: Options of the index as faiss's `ParameterSpace` reads them, such as `"nprobe=64"`. By default
            an inverted file probes an eighth of its lists, and as many as hold four times `depth` documents.
        depth: Number of documents that searches will ask for.

    Raises:
        ArgumentError: faiss cannot make or train such an index, or refuses the options.
    """
    faiss = import_faiss()
    n_docs, dim = embeddings.shape
    name = "Flat" if description.lower() == "flat" else description
    try:
        index = faiss.index_factory(dim, name, faiss.METRIC_INNER_PRODUCT)
        if not index.is_trained:
            index.train(_training_rows(embeddings, _n_lists(index)))
        for start in range(0, n_docs, ADDED):
            index.add(np.ascontiguousarray(embeddings[start : start + ADDED], dtype=np.float32))
    except RuntimeError as error:
        raise ArgumentError(f"index={description!r}: faiss cannot build it ({_reason(error)})") from None
    n_lists = _n_lists(index)
    if search_options is None and n_lists > 0:
        probes = max(n_lists // 8, -(-4 * depth * n_lists // n_docs), 1)
        search_options = f"nprobe={min(probes, n_lists)}"
    set_search_options(index, search_options)
    return index


def check_index(index: Any, embeddings: NDArray[np.floating], search_options: str | None) -> Any:
    """Check that a ready index can stand for the embeddings, and set its options.

    Raises:
        ArgumentError: Not a faiss index, not over inner products, or over other vectors.
    """
    faiss = import_faiss()
    if not isinstance(index, faiss.Index):
        raise ArgumentError(f"index is a {type(index).__name__}; expected 'flat', a faiss factory string or an index")
    if (index.ntotal, index.d) != embeddings.shape:
        raise ArgumentError(
            f"index holds {index.ntotal:,} vectors of dimension {index.d}; expected the {len(embeddings):,} "
            f"documents of dimension {embeddings.shape[1]}, in the order of doc_embeddings"
        )
    if index.metric_type != faiss.METRIC_INNER_PRODUCT:
        raise ArgumentError("index searches by another metric than the inner product; expected METRIC_INNER_PRODUCT")
    if is_exact(index):
        _check_vectors(index, embeddings)
    set_search_options(index, search_options)
    return index


def set_search_options(index: Any, options: str | None) -> None:
    """Set options such as `"nprobe=64"` or `"efSearch=256"`.

    Raises:
        ArgumentError: The index has no such option.
    """
    if options is None:
        return
    faiss = import_faiss()
    try:
        faiss.ParameterSpace().set_index_parameters(index, options)
    except RuntimeError as error:
        raise ArgumentError(f"search_options={options!r}: the index refuses them ({_reason(error)})") from None


def is_exact(index: Any) -> bool:
    """Whether the index compares a query with every document, in full precision."""
    faiss = import_faiss()
    return type(index) in (faiss.IndexFlat, faiss.IndexFlatIP)


def search(index: Any, vectors: NDArray[np.floating], k: int) -> LongArray:
    """The rows of about the `k` best documents of each query: int64 [n, k], -1 where fewer were found.

    Raises:
        ArgumentError: The index returns an id that is no row.
    """
    _, rows = index.search(np.ascontiguousarray(vectors, dtype=np.float32), k)
    if rows.max(initial=-1) >= index.ntotal:
        raise ArgumentError(
            f"index returned the id {rows.max()} of {index.ntotal} documents; expected an index whose ids are rows"
        )
    return np.asarray(rows, dtype=np.int64)


def _n_lists(index: Any) -> int:
    """Number of inverted lists, 0 where there are none."""
    inverted = import_faiss().try_extract_index_ivf(index)
    return 0 if inverted is None else int(inverted.nlist)


def _training_rows(embeddings: NDArray[np.floating], n_lists: int) -> NDArray[np.float32]:
    wanted = min(len(embeddings), max(POINTS_PER_LIST * n_lists, FEWEST_TRAINED))
    # An index is a structure, not a result: the same embeddings always give the same one.
    rows = np.sort(np.random.default_rng(0).choice(len(embeddings), wanted, replace=False))
    return np.ascontiguousarray(embeddings[rows], dtype=np.float32)


def _check_vectors(index: Any, embeddings: NDArray[np.floating]) -> None:
    for row in sorted({0, len(embeddings) // 2, len(embeddings) - 1}):
        if not np.allclose(index.reconstruct(row), np.asarray(embeddings[row], dtype=np.float32), rtol=1e-5):
            raise ArgumentError(f"index holds another vector than doc_embeddings at row {row}; expected the same order")


def _reason(error: RuntimeError) -> str:
    """The end of a message of faiss, which begins with the place in its source."""
    return str(error).strip().splitlines()[-1].rsplit("Error: ", 1)[-1].strip()
