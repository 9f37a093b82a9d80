"""A click log read once: distinct sessions with their counts, from which every estimate of every policy follows."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.data import Pool
from irworks.data import ClickLog
from irworks.data.lists import BLOCK, rank_by_rank
from irworks.errors import ArgumentError, DataError

__all__ = ["ClickPatterns", "CollapsedLog", "as_logs", "collapse", "require_whole_lists", "sums_by"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Digits = list[tuple[NDArray[np.integer], int]]


def sums_by(cell: NDArray[np.integer], values: NDArray[np.generic] | None, size: int) -> FloatArray:
    """Sum of values [n] (None: their number) by the cell of each: float64 [size]."""
    return np.asarray(np.bincount(cell, weights=values, minlength=size), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class ClickPatterns:
    """The clicks of a log, flat, by groups of sessions: all that an estimate linear in the clicks depends on.

    Of a single log, sessions with the same one click are one group, other sessions with clicks a group each, and those
    without are in none. Of several logs, each distinct session is a group.

    Attributes:
        part: int32 [n_patterns], log that the pattern is from.
        query: int32 [n_patterns].
        count: float64 [n_patterns], sessions in the group.
        pattern: int64 [n_clicks], pattern of each click, ascending.
        row: int32 [n_clicks], clicked row of the pool.
        rank: int64 [n_clicks], column it stood in; 0 throughout where ranks are not told apart.
    """

    part: IntArray
    query: IntArray
    count: FloatArray
    pattern: LongArray
    row: IntArray
    rank: LongArray

    def sums(self, table: FloatArray) -> FloatArray:
        """Sum of a table [n_rows] or [n_rows, >= k] over the clicks of each pattern: float64 [n_patterns]."""
        values = table[self.row] if table.ndim == 1 else table[self.row, self.rank]
        return sums_by(self.pattern, values, len(self.count))


@dataclass(frozen=True, eq=False)
class CollapsedLog:
    """The distinct sessions of one or more logs: same part, query, list and clicks.

    Nothing that an estimator needs is lost: sessions are exchangeable within a part.

    Attributes:
        pool: The documents.
        part: int32 [m], which of the logs the session is from.
        query: int32 [m].
        rows: int32 [m, k], shown rows of the pool, -1 where nothing is shown.
        clicks: bool [m, k].
        count: float64 [m], how many sessions each stands for (the sum of their weights).
        n_parts: Number of logs.
        n_read: Number of sessions that were read.
        code: int64 [n_read], the distinct session of each session read, in the order of the logs.
    """

    pool: Pool
    part: IntArray
    query: IntArray
    rows: IntArray
    clicks: BoolArray
    count: FloatArray
    n_parts: int
    n_read: int
    code: LongArray

    @property
    def k(self) -> int:
        """Length of the longest list."""
        return int(self.rows.shape[1])

    @cached_property
    def unit(self) -> bool:
        """Whether each session stands for one."""
        return bool((self.count == 1).all())

    @cached_property
    def total(self) -> float:
        """Number of sessions (the sum of their weights)."""
        return float(self.count.sum())

    @cached_property
    def part_totals(self) -> FloatArray:
        """float64 [n_parts], number of sessions of each part."""
        return np.array([self.total]) if self.n_parts == 1 else sums_by(self.part, self.count, self.n_parts)

    @cached_property
    def part_queries(self) -> FloatArray:
        """float64 [n_parts, n_queries], sessions of each query in each part."""
        cell = self.query if self.n_parts == 1 else self.part.astype(np.int64) * self.pool.n_queries + self.query
        counts = sums_by(cell, None if self.unit else self.count, self.n_parts * self.pool.n_queries)
        return counts.reshape(self.n_parts, self.pool.n_queries)

    @cached_property
    def query_counts(self) -> FloatArray:
        """float64 [n_queries], sessions of each query."""
        return np.asarray(self.part_queries.sum(axis=0))

    def sums(self, table: FloatArray) -> FloatArray:
        """Sum of a table [n_rows] or [n_rows, >= k] over the clicks of each session: float64 [m]."""
        return np.asarray(np.where(self.clicks, self.at_places(table), 0.0).sum(axis=1))

    @cached_property
    def clicked(self) -> tuple[LongArray, LongArray, IntArray]:
        """Every click, in the order of sessions and ranks: int64 session, int64 rank, int32 row, [n_clicks] each."""
        at = np.flatnonzero(self.clicks)
        session = at // self.k
        rank = at - session * self.k
        return session, rank, self.rows.reshape(-1).take(at)

    @cached_property
    def clicked_rows(self) -> ClickPatterns:
        """The clicks, whatever the rank."""
        return self._patterns(ranked=False)

    @cached_property
    def clicked_places(self) -> ClickPatterns:
        """The clicks, with the rank of each."""
        return self._patterns(ranked=True)

    def _patterns(self, *, ranked: bool) -> ClickPatterns:
        session, rank, row = self.clicked
        rank = rank if ranked else np.zeros_like(rank)
        if self.n_parts > 1:
            return ClickPatterns(self.part, self.query, self.count, session, row, rank)
        begins = np.diff(session, prepend=-1) != 0
        single = begins & np.append(begins[1:], True)
        alone, several = np.flatnonzero(single), np.flatnonzero(~single)
        begin = begins[several]
        own = session[several[begin]]
        ranks = self.k if ranked else 1
        place = row[alone].astype(np.int64) * ranks + rank[alone]
        weights = None if self.unit else self.count[session[alone]]
        once = sums_by(place, weights, self.pool.n_rows * ranks)
        place = np.flatnonzero(once)
        once_row, once_rank = np.divmod(place, ranks)
        return ClickPatterns(
            np.zeros(len(place) + len(own), dtype=np.int32),
            np.concatenate([self.pool.owner()[once_row], self.query[own]]).astype(np.int32),
            np.concatenate([once[place], self.count[own]]),
            np.concatenate([np.arange(len(place)), len(place) - 1 + np.cumsum(begin)]),
            np.concatenate([once_row, row[several]]).astype(np.int32),
            np.concatenate([once_rank, rank[several]]),
        )

    @cached_property
    def lists(self) -> tuple[LongArray, LongArray]:
        """The distinct lists: int64 [m], the list of each distinct session; int64 [n_lists], a session showing it."""
        return _distinct(_session_digits(np.zeros_like(self.query), self.query, self.rows, None, self.pool))

    @cached_property
    def impressions(self) -> FloatArray:
        """float64 [n_rows, k], how often each row was shown at each rank."""
        counts = np.zeros((self.k, self.pool.n_rows))
        # Each block adds a table of all rows.
        for part, by_rank in rank_by_rank(self.rows, max(BLOCK, 4 * self.pool.n_rows)):
            weights = None if self.unit else self.count[part]
            # An empty place counts in a cell of its own: twice as fast as picking those out.
            cells, spare = (by_rank, 0) if by_rank.min() >= 0 else (by_rank + 1, 1)
            for rank in range(self.k):
                counts[rank] += sums_by(cells[rank], weights, self.pool.n_rows + spare)[spare:]
        return np.ascontiguousarray(counts.T)

    @cached_property
    def click_counts(self) -> FloatArray:
        """float64 [n_rows, k], how often each row was clicked at each rank."""
        session, rank, row = self.clicked
        cell = row.astype(np.int64) * self.k + rank
        counts = sums_by(cell, None if self.unit else self.count[session], self.pool.n_rows * self.k)
        return counts.reshape(self.pool.n_rows, self.k)

    @cached_property
    def row_impressions(self) -> FloatArray:
        """float64 [n_rows], how often each row was shown."""
        return np.asarray(self.impressions.sum(axis=1))

    @cached_property
    def row_clicks(self) -> FloatArray:
        """float64 [n_rows], how often each row was clicked."""
        return np.asarray(self.click_counts.sum(axis=1))

    def at_places(self, table: FloatArray) -> FloatArray:
        """Entries of a table [n_rows] or [n_rows, >= k] at each place of each session, 0 where nothing is shown.

        Returns:
            float64 [m, k].
        """
        shown = self.rows >= 0
        if table.ndim == 1:
            return np.where(shown, table[self.rows], 0.0)
        return np.where(shown, table[self.rows, np.arange(self.k)], 0.0)


def collapse(
    logs: ClickLog | Sequence[ClickLog],
    pool: Pool,
    weights: ArrayLike | Sequence[ArrayLike] | None = None,
    *,
    merge: bool = True,
) -> CollapsedLog:
    """Read logs into their distinct sessions.

    Args:
        logs: One log, or several of different logging policies.
        pool: The documents that can be shown.
        weights: float [n], how many sessions each session of the log stands for; a sequence of these for several logs.
            Default: one.
        merge: Merge equal sessions, as those of several logs always are: it costs a little, and pays where every
            session is looked at for each policy.

    Raises:
        ArgumentError: No click log; weights that are no numbers, negative, NaN or infinite, sum to zero, or do not fit
            the log.
        DataError: The log has a query or document that the pool lacks.
    """
    parts = as_logs(logs)
    given = [weights] if isinstance(logs, ClickLog) else _weights_by_log(weights, len(parts))
    k = max(log.n_ranks for log in parts)
    located = [pool.locate(log) for log in parts]
    query = _joined([one for one, _ in located])
    rows = _joined([_widened(two, k, np.int32(-1)) for _, two in located])
    clicks = _joined([_widened(log.clicks, k, np.False_) for log in parts])
    part = np.repeat(np.arange(len(parts), dtype=np.int32), [len(log) for log in parts])
    weight = None
    if weights is not None:
        weight = np.concatenate([_checked_weights(one, len(log)) for one, log in zip(given, parts, strict=True)])
        if weight.sum() <= 0:
            raise ArgumentError("weights sum to 0; expected at least one session of positive weight")
    if not merge and len(parts) == 1:
        count = np.ones(len(query)) if weight is None else weight
        return CollapsedLog(pool, part, query, rows, clicks, count, len(parts), len(query), np.arange(len(query)))
    code, first = _distinct(_session_digits(part, query, rows, clicks, pool))
    count = sums_by(code, weight, len(first))
    return CollapsedLog(pool, part[first], query[first], rows[first], clicks[first], count, len(parts), len(code), code)


def as_logs(logs: ClickLog | Sequence[ClickLog]) -> list[ClickLog]:
    """One log, or several, as a list of at least one.

    Raises:
        ArgumentError: Something else.
    """
    if isinstance(logs, ClickLog):
        return [logs]
    if not isinstance(logs, list | tuple) or not all(isinstance(log, ClickLog) for log in logs):
        raise ArgumentError(f"log is a {type(logs).__name__}; expected a ClickLog, or a list of these")
    if not logs:
        raise ArgumentError("log is an empty sequence; expected at least one click log")
    return list(logs)


def require_whole_lists(log: ClickLog, k: int | None) -> None:
    """Refuse a log whose rows were taken for sessions, as where the column of the sessions is missing.

    Args:
        log: The log.
        k: Length of the lists of the policy that made it; None: not known.

    Raises:
        DataError: Every session shows exactly one document, and some of them stand below rank 1.
    """
    shown = log.shown
    # The count alone, which costs next to nothing, tells almost every log of whole lists.
    if k == 1 or log.n_impressions != len(log) or not shown[:, 1:].any() or (shown.sum(axis=1) != 1).any():
        return
    raise DataError(
        "every session shows one document, and some of these stand at rank 2 or below",
        source=log.source,
        found=f"{len(log):,} sessions, {log.n_impressions:,} documents",
        expected="whole lists",
        hint="Name the column that says which rows were shown together: session=, on the command line --session",
    )


def _weights_by_log(weights: Any, n_logs: int) -> list[Any]:
    """The weights of the sessions of each of several logs; None where they have none."""
    if weights is None:
        return [None] * n_logs
    try:
        given = [] if isinstance(weights, str) else list(weights)
    except TypeError:
        given = []
    if len(given) != n_logs:
        raise ArgumentError(f"weights has {len(given)} entries for {n_logs} logs; expected one array for each")
    return given


def _joined(tables: list[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(tables) if len(tables) > 1 else tables[0]


def _widened(table: NDArray[np.generic], k: int, filler: np.generic) -> NDArray[np.generic]:
    missing = k - table.shape[1]
    return table if not missing else np.pad(table, ((0, 0), (0, missing)), constant_values=filler)


def _checked_weights(weights: ArrayLike | None, n: int) -> FloatArray:
    try:
        array = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"weights is a {type(weights).__name__}; expected [{n}] numbers, one a session") from None
    if array.shape != (n,):
        raise ArgumentError(f"weights has shape {array.shape}; expected [{n}], one for each session")
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        session = int(np.flatnonzero(bad)[0])
        raise ArgumentError(f"weights is {array[session]} at session {session}; expected a finite number of at least 0")
    return array


def _session_digits(part: IntArray, query: IntArray, rows: IntArray, clicks: BoolArray | None, pool: Pool) -> Digits:
    """What tells sessions apart, see `_distinct`; clicks None: they do not."""
    digits: Digits = [(part, int(part.max(initial=0)) + 1), (query, pool.n_queries)]
    begin, base = pool.offsets[query], int(pool.sizes.max()) + 1
    for rank in range(rows.shape[1]):
        place = np.maximum(rows[:, rank] - begin, -1) + 1
        digits.append((place, base) if clicks is None else (place * 2 + clicks[:, rank], 2 * base))
    return digits


def _distinct(digits: Digits) -> tuple[LongArray, LongArray]:
    """Which entries are equal in all digits.

    Args:
        digits: int [n] each, at least 0 and below the base beside it.

    Returns:
        int64 [n], the number of the distinct entry of each entry; int64 [m], the first entry of each distinct one.
    """
    import pandas as pd

    n = len(digits[0][0])
    key, span = np.zeros(n, dtype=np.int64), 1
    for digit, base in digits:
        if base == 1:
            continue
        if span > (1 << 62) // base:
            key, distinct = pd.factorize(key)
            span = len(distinct)
        key, span = key * base + digit, span * base
    if span <= 4 * n:
        # So few that each has a place of its own: no hashing needed.
        number = np.full(span, -1, dtype=np.int64)
        number[key] = 0
        size = int(np.count_nonzero(number == 0))
        number[number == 0] = np.arange(size)
        code = number[key]
    else:
        code, distinct = pd.factorize(key)
        code, size = code.astype(np.int64), len(distinct)
    first = np.empty(size, dtype=np.int64)
    first[code[::-1]] = np.arange(n - 1, -1, -1)
    return code, first
