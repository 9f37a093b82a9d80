"""`ClickLog`: rankings that were shown, and what was clicked in them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.data.lists import stands_twice
from irworks.data.pairs import Pairs, find_pairs
from irworks.errors import ArgumentError, DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ClickLog"]

IntArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

_MAX_CODES = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class ClickLog:
    """A click log in columns: one row per shown ranking (session), one column per rank.

    Column `j` holds rank `j + 1`; a rank at which nothing was shown, or whose document is not known, is masked, so
    lists of unequal length and position gaps need no special case. Codes are copied, unless they are int32 and nobody
    can change them: a read-only array that owns its memory, or a file mapped for reading.

    Args:
        query: int [n], code of the query of each session: an index into `query_ids`.
        docs: int [n, k], code of the document at each rank: an index into `doc_ids`. Ignored where masked.
        clicks: bool or 0/1 [n, k]. Must be 0 where masked.
        mask: bool [n, k], True where a document was shown. Default: where `docs >= 0`.
        query_ids: [n_queries], the original ids. Default: the codes themselves.
        doc_ids: [n_docs], the original ids. Default: the codes themselves.
        propensities: float [n, k], the probability with which the logging policy put this document at this rank, in
            (0, 1]; not the probability of examination. None if unknown.
        features: float32 [n_pairs, n_features], one row per pair of `pairs`. None if there are none.
        feature_names: Names of the feature columns. Default: f_0, f_1, ...
        source: What to call this log in error messages.

    Raises:
        DataError: A value breaks the contract; the message names the row and what was found.
    """

    query: IntArray
    docs: IntArray
    clicks: BoolArray
    mask: BoolArray | None = None
    query_ids: NDArray[Any] | None = None
    doc_ids: NDArray[Any] | None = None
    propensities: FloatArray | None = None
    features: NDArray[np.float32] | None = None
    feature_names: tuple[str, ...] = ()
    source: str = "click log"

    def __post_init__(self) -> None:
        docs = np.asarray(self.docs)
        if docs.ndim != 2:
            raise DataError("docs has the wrong shape", source=self.source, found=docs.shape, expected="[n, k]")
        mask = docs >= 0 if self.mask is None else np.asarray(self.mask, dtype=bool)
        clicks = np.asarray(self.clicks)
        query = np.asarray(self.query)
        for name, array, shape in (
            ("query", query, docs.shape[:1]),
            ("mask", mask, docs.shape),
            ("clicks", clicks, docs.shape),
        ):
            if array.shape != shape:
                raise DataError(
                    f"{name} has the wrong shape", source=self.source, found=array.shape, expected=str(shape)
                )
        if not mask.any():
            raise DataError(
                "the log is empty", source=self.source, found="no impression", expected="at least one shown document"
            )
        _require_integers("query", query, self.source)
        _require_integers("docs", docs, self.source)
        if clicks.dtype != bool:
            _check_rows((clicks != 0) & (clicks != 1), clicks, "click is not 0 or 1", "0 or 1", self.source)
            clicks = clicks.astype(bool)
        # Every pass over the log costs: what only masked places need is left out where there are none.
        whole = bool(mask.all())
        if not whole:
            stray = clicks & ~mask
            _check_rows(stray, clicks, "a click where nothing was shown", "clicks where mask is True", self.source)
        # Before the cast: a code that does not fit 32 bits would come out as another.
        query_ids = _vocabulary(self.query_ids, query, "query", self.source)
        doc_ids = _vocabulary(self.doc_ids, docs if whole else docs[mask], "docs", self.source)
        docs = _own(docs) if whole else np.where(mask, docs, -1).astype(np.int32)
        query = _own(query)
        _check_distinct(docs, doc_ids, self.source)
        set_field = object.__setattr__
        for name, value in (
            ("query", query),
            ("docs", docs),
            ("clicks", clicks),
            ("mask", mask),
            ("query_ids", query_ids),
            ("doc_ids", doc_ids),
        ):
            set_field(self, name, value)
        if self.propensities is not None:
            set_field(self, "propensities", _checked_propensities(self.propensities, mask, self.source))
        if self.features is not None:
            self._set_features(np.asarray(self.features))

    def _set_features(self, features: NDArray[Any]) -> None:
        if features.ndim != 2 or len(features) != len(self.pairs):
            raise DataError(
                "features has the wrong shape",
                source=self.source,
                found=features.shape,
                expected=f"[{len(self.pairs)}, n_features]: one row per pair of log.pairs",
            )
        if features.dtype.kind not in "fiub":
            raise DataError(
                "features does not hold numbers", source=self.source, found=str(features.dtype), expected="floats"
            )
        bad = ~np.isfinite(features)
        if bad.any():
            pair, column = (int(i) for i in np.argwhere(bad)[0])
            raise DataError(
                "a feature is not finite",
                source=self.source,
                row=f"pair {self.pair_name(pair)}",
                column=self.feature_names[column] if self.feature_names else f"f_{column}",
                found=float(features[pair, column]),
                expected="a finite number",
            )
        names = self.feature_names or tuple(f"f_{j}" for j in range(features.shape[1]))
        if len(names) != features.shape[1]:
            raise DataError(
                "feature_names has the wrong length",
                source=self.source,
                found=len(names),
                expected=str(features.shape[1]),
            )
        object.__setattr__(self, "features", features.astype(np.float32, copy=False))
        object.__setattr__(self, "feature_names", tuple(names))

    # -- size ---------------------------------------------------------------------------------------------------------

    @property
    def n_sessions(self) -> int:
        """Number of shown rankings."""
        return len(self.query)

    @property
    def n_ranks(self) -> int:
        """Length of the longest list (the number of columns)."""
        return int(self.docs.shape[1])

    @property
    def n_impressions(self) -> int:
        """Number of shown documents over all sessions."""
        return int(np.count_nonzero(self.shown))

    @property
    def n_queries(self) -> int:
        """Size of the query vocabulary."""
        return len(self.query_vocabulary)

    @property
    def n_docs(self) -> int:
        """Size of the document vocabulary."""
        return len(self.doc_vocabulary)

    def __len__(self) -> int:
        return self.n_sessions

    def __repr__(self) -> str:
        return (
            f"ClickLog({self.n_sessions:,} sessions, {self.n_impressions:,} impressions, {self.n_queries:,} queries, "
            f"{self.n_docs:,} documents, {self.n_ranks} ranks, {int(self.clicks.sum()):,} clicks)"
        )

    # -- views --------------------------------------------------------------------------------------------------------

    @property
    def shown(self) -> BoolArray:
        """Bool [n, k]: the mask, never None."""
        assert self.mask is not None
        return self.mask

    @property
    def query_vocabulary(self) -> NDArray[Any]:
        """The original query ids [n_queries], never None."""
        assert self.query_ids is not None
        return self.query_ids

    @property
    def doc_vocabulary(self) -> NDArray[Any]:
        """The original document ids [n_docs], never None."""
        assert self.doc_ids is not None
        return self.doc_ids

    @cached_property
    def pairs(self) -> Pairs:
        """The distinct (query, document) pairs, in the order of (query code, document code)."""
        return find_pairs(self.query, self.docs, self.shown, self.n_docs)

    def pair_name(self, pair: int) -> str:
        """The original ids of a pair, for messages: `(query, document)`."""
        return f"({self.query_vocabulary[self.pairs.query[pair]]}, {self.doc_vocabulary[self.pairs.doc[pair]]})"

    def with_doc_features(self, features: ArrayLike, names: Sequence[str] = ()) -> Self:
        """The same log with features [n_docs, n_features] of documents, whatever the query."""
        table = np.asarray(features, dtype=np.float32)
        if table.ndim != 2 or len(table) != self.n_docs:
            raise ArgumentError(f"features has shape {table.shape}; expected [{self.n_docs}, n_features], a row each")
        return replace(self, features=table[self.pairs.doc], feature_names=tuple(names))

    def select(self, sessions: ArrayLike) -> Self:
        """The sessions given by an index array, slice or boolean mask; codes keep their meaning."""
        rows = np.arange(self.n_sessions)[sessions]  # type: ignore[index]
        part = replace(
            self,
            query=self.query[rows],
            docs=self.docs[rows],
            clicks=self.clicks[rows],
            mask=self.shown[rows],
            propensities=None if self.propensities is None else self.propensities[rows],
            features=None,
            feature_names=(),
        )
        if self.features is None:
            return part
        here = np.unique(self.pairs.index[rows][self.shown[rows]])
        return replace(part, features=self.features[here], feature_names=self.feature_names)

    def split(self, share: float, rng: np.random.Generator) -> tuple[Self, Self]:
        """Split the sessions at random: (1 - share, share).

        Raises:
            ArgumentError: `share` does not leave at least one session on either side.
        """
        n_second = round(self.n_sessions * share) if np.isfinite(share) else 0
        if not 0 < n_second < self.n_sessions:
            raise ArgumentError(f"share={share} of {self.n_sessions} sessions leaves one side empty")
        order = rng.permutation(self.n_sessions)
        return self.select(np.sort(order[n_second:])), self.select(np.sort(order[:n_second]))

    # -- in and out: the readers and writers stand in `click_files` and `click_store` ---------------------------------

    @classmethod
    def from_frame(cls, frame: "pd.DataFrame", **columns: Any) -> "ClickLog":
        """Read a long table, one row per shown document: see `irworks.data.click_files.log_from_frame`."""
        from irworks.data.click_files import log_from_frame

        return log_from_frame(frame, **columns)

    def to_frame(self) -> "pd.DataFrame":
        """The log as a long table: see `irworks.data.click_files.log_to_frame`."""
        from irworks.data.click_files import log_to_frame

        return log_to_frame(self)

    def to_parquet(self, path: str | Path) -> None:
        """Write the long table as Parquet (atomically); `read_click_log` reads it back to an equal log.

        Features that are not named `f_*` must then be named: `features=[...]`.
        """
        from irworks.data.click_files import write_click_log

        write_click_log(self, path)

    def save(self, folder: str | Path) -> None:
        """Write the columns as plain arrays into a folder, for memory-mapped reading with `ClickLog.open`."""
        from irworks.data.click_store import save_log

        save_log(self, folder)

    @classmethod
    def open(cls, folder: str | Path, *, memory_map: bool = True) -> "ClickLog":
        """Open a folder written by `save`; by default the columns stay on disk until they are read."""
        from irworks.data.click_store import open_log

        return open_log(folder, memory_map=memory_map)


def _require_integers(name: str, array: NDArray[Any], source: str) -> None:
    if not np.issubdtype(array.dtype, np.integer):
        raise DataError(f"{name} does not hold integers", source=source, found=str(array.dtype), expected="codes")


def _own(codes: NDArray[Any]) -> IntArray:
    """Codes that nobody else will change, without a copy where nobody can."""
    return codes if codes.dtype == np.int32 and _unchangeable(codes) else codes.astype(np.int32)


def _unchangeable(array: NDArray[Any]) -> bool:
    """Whether nobody can write to the memory of an array: pandas hands out read-only views of what it still changes."""
    memory: Any = array
    while isinstance(memory, np.ndarray) and not memory.flags.writeable:
        if memory.base is None or (isinstance(memory, np.memmap) and memory.mode == "r"):
            return True
        memory = memory.base
    return False


def _check_rows(bad: NDArray[np.bool_], values: NDArray[Any], problem: str, expected: str, source: str) -> None:
    if not bad.any():
        return
    row, column = (int(i) for i in np.argwhere(bad)[0])
    raise DataError(
        problem,
        source=source,
        row=f"session {row}, rank {column + 1}",
        found=value.item() if isinstance(value := values[row, column], np.generic) else value,
        expected=expected,
    )


def _vocabulary(ids: NDArray[Any] | None, codes: NDArray[Any], name: str, source: str) -> NDArray[Any]:
    highest, lowest = int(codes.max()), int(codes.min())
    size = min(highest + 1 if ids is None else len(ids), _MAX_CODES)
    if lowest < 0 or highest >= size:
        raise DataError(
            f"a code in {name} has no id",
            source=source,
            found=lowest if lowest < 0 else highest,
            expected=f"codes from 0 to {size - 1}",
            hint="Codes are indices into the ids; the original ids go into query_ids and doc_ids",
        )
    return np.arange(size) if ids is None else np.asarray(ids)


def _check_distinct(docs: IntArray, doc_ids: NDArray[Any], source: str) -> None:
    """A document can stand in a list once: twice would make the pair's rank, and so its cell, ambiguous."""
    twice = np.flatnonzero(stands_twice(docs))
    if len(twice):
        row = int(twice[0])
        shown, count = np.unique(docs[row][docs[row] >= 0], return_counts=True)
        doc = int(shown[count > 1][0])
        ranks = [int(rank) + 1 for rank in np.flatnonzero(docs[row] == doc)]
        raise DataError(
            "a document stands in one list twice",
            source=source,
            row=f"session {row}",
            found=f"document {doc_ids[doc]} at ranks {ranks}",
            expected="each document at one rank",
        )


def _checked_propensities(values: ArrayLike, mask: BoolArray, source: str) -> FloatArray:
    propensities = np.asarray(values, dtype=np.float64)
    if propensities.shape != mask.shape:
        raise DataError(
            "propensities has the wrong shape", source=source, found=propensities.shape, expected=str(mask.shape)
        )
    with np.errstate(invalid="ignore"):
        bad = mask & ~((propensities > 0) & (propensities <= 1))
    _check_rows(bad, propensities, "a placement propensity is unusable", "a probability in (0, 1]", source)
    return np.where(mask, propensities, np.nan)
