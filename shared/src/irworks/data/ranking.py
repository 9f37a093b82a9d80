"""`RankingDataset`: queries, their candidate documents, features and relevance labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.data.damage import refused
from irworks.errors import ArgumentError, DataError
from irworks.runtime import atomic_path

__all__ = ["RankingDataset"]

_FORMAT = 2
_REQUIRED = ("features", "labels", "offsets", "query_ids")
_CHECKED_AT_ONCE = 1 << 22


@dataclass(frozen=True, eq=False, repr=False)
class RankingDataset:
    """A learning-to-rank data set: one row a (query, document) pair, the documents of a query side by side.

    What is given is checked and brought to the dtypes below; `dataclasses.replace(data, labels=...)` makes a changed
    copy that is checked again.

    Attributes:
        features: float32 [n_docs, n_features], finite.
        labels: [n_docs], integer (kept as int32) or floating (kept as float64), finite; larger is more relevant.
        offsets: int64 [n_queries + 1]; query q has the rows `offsets[q]:offsets[q + 1]`, at least one.
        query_ids: [n_queries], int64 or str, distinct.
        doc_ids: [n_docs], int64 or str, where known.
        feature_names: n_features distinct names, where known.

    Raises:
        DataError: An array has the wrong shape, a value that is not finite, an empty query, or an id twice.
    """

    features: NDArray[np.float32]
    labels: NDArray[Any]
    offsets: NDArray[np.int64]
    query_ids: NDArray[Any]
    doc_ids: NDArray[Any] | None = None
    feature_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        features = _feature_matrix(self.features)
        checked = {
            "features": features,
            "labels": _labels(self.labels, len(features)),
            "offsets": _offsets(self.offsets, len(features)),
        }
        checked["query_ids"] = _query_ids(self.query_ids, len(checked["offsets"]) - 1)
        if self.doc_ids is not None:
            checked["doc_ids"] = _ids(self.doc_ids, len(features), "doc_ids")
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.feature_names is not None:
            object.__setattr__(self, "feature_names", _names(self.feature_names, features.shape[1]))

    @classmethod
    def grouped(cls, features: ArrayLike, labels: ArrayLike, query: ArrayLike, **others: Any) -> Self:
        """Build from the query id of every document.

        Args:
            features: [n_docs, n_features].
            labels: [n_docs].
            query: [n_docs], the query id of each row; the rows of a query stand together.
            **others: `doc_ids`, `feature_names`.

        Raises:
            DataError: The rows of a query do not stand together, or what the class raises.
        """
        ids = np.asarray(query)
        if ids.ndim != 1 or len(ids) == 0:
            raise DataError("query ids per document", found=f"shape {ids.shape}", expected="shape [n_docs], not empty")
        starts = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
        _check_together(ids[starts], starts)
        return cls(
            features=np.asarray(features),
            labels=np.asarray(labels),
            offsets=np.append(starts, len(ids)),
            query_ids=ids[starts],
            **others,
        )

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.query_ids)

    @property
    def n_docs(self) -> int:
        """Number of (query, document) rows."""
        return len(self.labels)

    @property
    def n_features(self) -> int:
        """Number of features."""
        return int(self.features.shape[1])

    @cached_property
    def list_sizes(self) -> NDArray[np.int64]:
        """int64 [n_queries], documents of each query."""
        return np.diff(self.offsets)

    @cached_property
    def query_of_doc(self) -> NDArray[np.int32]:
        """int32 [n_docs], row in `query_ids` of each document's query."""
        return np.repeat(np.arange(self.n_queries, dtype=np.int32), self.list_sizes)

    def __repr__(self) -> str:
        return f"RankingDataset({self.n_queries} queries, {self.n_docs} documents, {self.n_features} features)"

    def select_queries(self, index: ArrayLike) -> Self:
        """Only some queries, in the order given.

        Args:
            index: Distinct query numbers (negative ones count from the end), or a bool mask [n_queries].

        Raises:
            ArgumentError: `index` names a query twice, one that does not exist, or none.
        """
        chosen = self._query_numbers(np.asarray(index))
        sizes = self.list_sizes[chosen]
        rows = np.repeat(self.offsets[chosen] - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
        return self._take(rows, sizes, self.query_ids[chosen])

    def drop_queries_without_relevant(self, rel: float = 1) -> Self:
        """Only the queries with a document of label `rel` or above.

        Raises:
            ArgumentError: No query has one.
        """
        best = np.maximum.reduceat(self.labels, self.offsets[:-1])
        if not (best >= rel).any():
            raise ArgumentError(f"no query has a document of label {rel} or above; the highest label is {best.max()}")
        return self.select_queries(best >= rel)

    def top_n_by_label(self, n: int) -> Self:
        """At most `n` documents a query, those with the highest labels; ties go to the earlier row.

        The documents kept stay in their order.

        Raises:
            ArgumentError: `n` is less than 1.
        """
        if n < 1:
            raise ArgumentError(f"n={n}; expected at least 1 document a query")
        order = np.lexsort((-self.labels, self.query_of_doc))
        rank = np.arange(self.n_docs) - np.repeat(self.offsets[:-1], self.list_sizes)
        rows = np.sort(order[rank < n])
        return self._take(rows, np.minimum(self.list_sizes, n), self.query_ids)

    def log1p_features(self) -> Self:
        """Every feature x replaced by sign(x) ln(1 + |x|), which tames counts and BM25-like scores."""
        return replace(self, features=np.sign(self.features) * np.log1p(np.abs(self.features)))

    def to_padded(self, values: ArrayLike, fill: float = 0) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Lay a per-document array out as one row a query.

        Args:
            values: [n_docs] or [n_docs, d], such as `data.labels`, `data.features` or a model's scores.
            fill: What stands where a query has no document.

        Returns:
            The values [n_queries, max_docs] or [n_queries, max_docs, d], and the mask [n_queries, max_docs] of real
            documents.

        Raises:
            ArgumentError: `values` has another number of rows.
        """
        flat = np.asarray(values)
        if flat.ndim == 0 or len(flat) != self.n_docs:
            raise ArgumentError(f"values has shape {flat.shape}; expected {self.n_docs} rows, one a document")
        mask = np.arange(self.list_sizes.max()) < self.list_sizes[:, None]
        padded = np.full(mask.shape + flat.shape[1:], fill, dtype=flat.dtype)
        padded[mask] = flat
        return padded, mask

    def split(self, fractions: Sequence[float], rng: np.random.Generator) -> tuple[Self, ...]:
        """Deal whole queries at random into disjoint parts; inside a part they keep their order.

        Args:
            fractions: Share of the queries for each part, positive, summing to 1 or less (the rest is left out).
            rng: Source of the shuffle.

        Raises:
            ArgumentError: The fractions are not as above, or a part would have no query.
        """
        shares = np.asarray(fractions, dtype=np.float64)
        if shares.ndim != 1 or not (shares > 0).all() or shares.sum() > 1 + 1e-9:
            raise ArgumentError(f"fractions={list(fractions)}; expected positive shares that sum to 1 or less")
        bounds = np.rint(np.cumsum(shares) * self.n_queries).astype(int)
        parts = np.split(rng.permutation(self.n_queries), bounds)[: len(shares)]
        if not all(len(part) for part in parts):
            raise ArgumentError(f"fractions={list(fractions)} leave a part of {self.n_queries} queries empty")
        return tuple(self.select_queries(np.sort(part)) for part in parts)

    def save(self, path: str | Path) -> None:
        """Write as an uncompressed `.npz`, atomically.

        Raises:
            ArgumentError: `path` does not end in `.npz`.
        """
        target = Path(path)
        if target.suffix != ".npz":
            raise ArgumentError(f"a ranking data set is saved as .npz, found the name {target.name!r}")
        parts = {"features": self.features, "labels": self.labels, "offsets": self.offsets, "query_ids": self.query_ids}
        if self.doc_ids is not None:
            parts["doc_ids"] = self.doc_ids
        if self.feature_names is not None:
            parts["feature_names"] = np.asarray(self.feature_names, dtype=np.str_)
        optional = np.asarray([name for name in parts if name not in _REQUIRED], dtype=np.str_)
        with atomic_path(target) as scratch:
            np.savez(scratch, allow_pickle=False, irworks_ranking=np.asarray(_FORMAT), optional=optional, **parts)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; nothing in the file is executed.

        Raises:
            DataError: The file is absent, damaged, or not one of ours.
        """
        if not Path(path).is_file():
            raise DataError("no such file", source=path)
        with refused("not a readable ranking data set", path, expected="what save wrote"):
            arrays = _stored(path)
            names = arrays.pop("feature_names", None)
            try:
                return cls(**arrays, feature_names=None if names is None else tuple(names.tolist()))
            except DataError as error:
                raise DataError(f"not a ranking data set: {error}", source=path, expected="what save wrote") from None

    def _query_numbers(self, index: NDArray[Any]) -> NDArray[np.int64]:
        if index.ndim != 1 or len(index) == 0:
            raise ArgumentError(f"index has shape {index.shape}; expected a list of at least one query")
        if index.dtype == np.bool_:
            if len(index) != self.n_queries:
                raise ArgumentError(f"mask has {len(index)} values; expected {self.n_queries}, one a query")
            index = np.flatnonzero(index)
        if not np.issubdtype(index.dtype, np.integer) or len(index) == 0:
            raise ArgumentError(f"index has dtype {index.dtype} and {len(index)} entries; expected query numbers")
        numbers: NDArray[np.int64] = np.where(index < 0, index + self.n_queries, index).astype(np.int64)
        if numbers.min() < 0 or numbers.max() >= self.n_queries:
            raise ArgumentError(f"index reaches {index.min()} to {index.max()}; there are {self.n_queries} queries")
        if len(np.unique(numbers)) < len(numbers):
            raise ArgumentError("index names a query twice; query ids must stay distinct")
        return numbers

    def _take(self, rows: NDArray[Any], sizes: NDArray[np.int64], query_ids: NDArray[Any]) -> Self:
        return replace(
            self,
            features=self.features[rows],
            labels=self.labels[rows],
            offsets=np.concatenate([[0], np.cumsum(sizes)]),
            query_ids=query_ids,
            doc_ids=None if self.doc_ids is None else self.doc_ids[rows],
        )


def _stored(path: str | Path) -> dict[str, NDArray[Any]]:
    # Opened here: numpy leaves a file open that turns out not to be an archive.
    with Path(path).open("rb") as handle, np.load(handle, allow_pickle=False) as stored:
        if int(stored["irworks_ranking"]) != _FORMAT:
            raise DataError("a ranking data set of another version", source=path, expected=f"version {_FORMAT}")
        # Listed, so that an archive that lost its end does not pass for one without document ids.
        return {name: stored[name] for name in [*_REQUIRED, *stored["optional"].tolist()]}


def _check_together(ids: NDArray[Any], starts: NDArray[Any]) -> None:
    distinct, first = np.unique(ids, return_index=True)
    if len(distinct) == len(ids):
        return
    again = np.setdiff1d(np.arange(len(ids)), first)[0]
    raise DataError(
        "the documents of a query do not stand together",
        row=int(starts[again]),
        column="query",
        found=ids[again].item(),
        expected="all rows of a query side by side",
        hint="Sort the rows by query first (a stable sort keeps the order of its documents)",
    )


def _feature_matrix(features: ArrayLike) -> NDArray[np.float32]:
    given = np.asarray(features)
    if given.ndim != 2 or len(given) == 0 or given.dtype.kind not in "biuf":
        found = f"{given.dtype} with shape {given.shape}"
        raise DataError("features", found=found, expected="numbers [n_docs, n_features], at least one document")
    with np.errstate(over="ignore"):
        matrix: NDArray[np.float32] = np.ascontiguousarray(given, dtype=np.float32)
    # By parts: a bool array for the whole would add a quarter to the memory peak.
    step = max(1, _CHECKED_AT_ONCE // max(1, matrix.shape[1]))
    for start in range(0, len(matrix), step):
        finite = np.isfinite(matrix[start : start + step])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            value = given[start + row, column].item()
            raise DataError(
                "a feature is not a finite float32", row=int(start + row), column=f"feature {column}", found=value
            )
    return matrix


def _labels(labels: ArrayLike, n_docs: int) -> NDArray[Any]:
    given = np.asarray(labels)
    if given.shape != (n_docs,) or given.dtype.kind not in "biuf":
        found = f"{given.dtype} with shape {given.shape}"
        raise DataError("labels", found=found, expected=f"numbers with shape ({n_docs},), one a document")
    if given.dtype.kind == "f":
        bad = np.flatnonzero(~np.isfinite(given))
        kept = given.astype(np.float64)
    else:
        kept = given.astype(np.int32)
        bad = np.flatnonzero(kept != given)
    if len(bad):
        raise DataError("a label is not a finite number", row=int(bad[0]), column="label", found=given[bad[0]].item())
    return kept


def _offsets(offsets: ArrayLike, n_docs: int) -> NDArray[np.int64]:
    given = np.asarray(offsets)
    if given.ndim != 1 or len(given) < 2 or given.dtype.kind not in "iu":
        found = f"{given.dtype} with shape {given.shape}"
        raise DataError("offsets", found=found, expected="integers [n_queries + 1], at least one query")
    kept = given.astype(np.int64)
    if kept[0] != 0 or kept[-1] != n_docs:
        raise DataError("offsets", found=f"from {kept[0]} to {kept[-1]}", expected=f"from 0 to {n_docs} documents")
    empty = np.flatnonzero(np.diff(kept) <= 0)
    if len(empty):
        raise DataError("a query has no document", row=f"query number {empty[0]}", expected="rising offsets")
    return kept


def _ids(ids: ArrayLike, count: int, name: str) -> NDArray[Any]:
    given = np.asarray(ids)
    if given.shape != (count,):
        raise DataError(name, found=f"shape {given.shape}", expected=f"shape ({count},)")
    if given.dtype.kind in "iu":
        return given.astype(np.int64)
    texts = given.astype(np.str_) if given.dtype.kind in "UO" else given
    if texts.dtype.kind != "U" or (given.dtype.kind == "O" and not all(isinstance(value, str) for value in given)):
        raise DataError(name, found=f"dtype {given.dtype}", expected="integers or texts")
    return texts


def _query_ids(ids: ArrayLike, n_queries: int) -> NDArray[Any]:
    kept = _ids(ids, n_queries, "query_ids")
    distinct, counts = np.unique(kept, return_counts=True)
    if len(distinct) < len(kept):
        raise DataError("a query id appears twice", column="query_ids", found=distinct[counts > 1][0].item())
    return kept


def _names(names: Sequence[str], n_features: int) -> tuple[str, ...]:
    kept = tuple(names)
    if len(kept) != n_features or len(set(kept)) < len(kept) or not all(isinstance(name, str) for name in kept):
        raise DataError("feature_names", found=kept, expected=f"{n_features} distinct texts")
    return kept
