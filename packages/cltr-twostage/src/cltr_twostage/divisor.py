"""What every weight divides by: how likely the logging policies were to show what the log shows."""

import warnings
from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.collapse import CollapsedLog
from cltr_twostage.data import Pool
from cltr_twostage.estimator import (
    Logging,
    SupportWarning,
    logging_policies,
    longest_list,
    part_shares,
    require_policy_per_log,
    users_level,
)
from cltr_twostage.policy import Policy
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from cltr_twostage.ips import _RatioEstimator

__all__ = ["LoggingTable", "logging_table"]

FloatArray = NDArray[np.float64]
# A table and its Monte Carlo batches; None where it is exact.
Drawn = tuple[FloatArray, FloatArray | None]

# Logging tables by policy, for as long as it lives, and how many for each.
_TABLES: WeakKeyDictionary[Policy, dict[Hashable, Drawn]] = WeakKeyDictionary()
REMEMBERED = 4
# An exposure that was written with six digits is off by less.
TOLERANCE = 1e-5
# Sampled or rounded exposures may sum to so much more than the ranks of a list have.
SURPLUS = 0.05


@dataclass(frozen=True, eq=False)
class LoggingTable:
    """What every weight of an estimator divides by. The arrays are read-only: other estimators may share them.

    Attributes:
        value: float64 [n_rows] or [n_rows, k].
        batches: float64 [n_batches, ...], independent Monte Carlo estimates whose mean is `value`; None where exact.
        parts: float64 [n_parts, ...], the table of each of several logs, which `value` mixes by their shares in a
            query; None for one log.
        counted: Whether the log was counted.
    """

    value: FloatArray
    batches: FloatArray | None = None
    parts: FloatArray | None = None
    counted: bool = False

    def __post_init__(self) -> None:
        for array in (self.value, self.batches, self.parts):
            if array is not None:
                array.setflags(write=False)


def logging_table(estimator: "_RatioEstimator", logging: Logging) -> LoggingTable:
    """The logging table of whatever `fit` was given.

    Raises:
        ArgumentError: As many policies as logs are needed; a word that is not known; an array of another shape, or one
            that holds no probabilities, or of exposures above the largest examination.
    """
    log = estimator.collapsed_
    policies = logging_policies(logging)
    if policies:
        require_policy_per_log(policies, log)
        tables = [_remembered_table(estimator, policy) for policy in policies]
        for number, (policy, (table, _)) in enumerate(zip(policies, tables, strict=True)):
            _require_whole_lists(policy, table, log, number)
        return LoggingTable(*tables[0]) if len(tables) == 1 else _mixture(tables, log)
    if isinstance(logging, str):
        if logging != "counts":
            raise ArgumentError(f'logging={logging!r}; expected a policy, an array, or "counts"')
        return LoggingTable(estimator._counted_table(), counted=True)
    try:
        # A copy: what the caller does with the array later must not change the estimates.
        table = np.array(logging, dtype=np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(
            f'logging is a {type(logging).__name__}; expected a policy, several, an array of exposures, or "counts"'
        ) from None
    table = _checked_table(table, estimator._table_shape(), estimator._largest_entry(), log.pool)
    _warn_of_another_order(estimator, table)
    return LoggingTable(table)


def _warn_of_another_order(estimator: "_RatioEstimator", table: FloatArray) -> None:
    """No query exposes more than its ranks have: where one does, the rows of the array are those of another pool."""
    log, most = estimator.collapsed_, estimator._largest_sum()
    found = np.where(log.query_counts > 0, estimator._of_query(table), 0.0)
    if (found > most * (1 + SURPLUS)).any():
        query = int(found.argmax())
        warnings.warn(
            f"logging sums to {found[query]:.4g} over the documents of query {log.pool.query_ids[query]}, and lists of "
            f"{log.k} to {most:.4g}: is the array in the order of the pool? That is fit(..., pool=), by default "
            "Pool.from_log(log)",
            SupportWarning,
            stacklevel=users_level(),
        )


def _remembered_table(estimator: "_RatioEstimator", policy: Policy) -> Drawn:
    """The table of a logging policy, which several logs and estimators in a row divide by: computed once."""
    try:
        known = _TABLES.setdefault(policy, {})
    except TypeError:
        # A policy of the user's own that cannot be hashed, or not be referred to weakly.
        known = {}
    key = (
        type(estimator)._logging_table,
        estimator.examination.tobytes(),
        estimator.collapsed_.k,
        estimator.method,
        estimator.n_samples,
        estimator.seed,
    )
    if key not in known:
        if len(known) >= REMEMBERED:
            known.pop(next(iter(known)))
        value, batches = estimator._logging_table(policy)
        # Copies, as the policy may hand out arrays of its own.
        known[key] = np.array(value), None if batches is None else np.array(batches)
    return known[key]


def _mixture(tables: list[Drawn], log: CollapsedLog) -> LoggingTable:
    """The tables of several logs, mixed by their shares in the sessions of each query."""
    parts = np.stack([table for table, _ in tables])
    shares = np.repeat(part_shares(log), log.pool.sizes, axis=1)
    shares = shares.reshape(*shares.shape, *[1] * (parts.ndim - 2))
    value = (shares * parts).sum(axis=0)
    if all(batches is None for _, batches in tables):
        return LoggingTable(value, parts=parts)
    drawn = sum(
        share * (table[None] if batches is None else batches)
        for share, (table, batches) in zip(shares, tables, strict=True)
    )
    return LoggingTable(value, np.asarray(drawn), parts)


def _require_whole_lists(policy: Policy, table: FloatArray, log: CollapsedLog, number: int) -> None:
    """Raise an ArgumentError if a log has longer lists than its policy shows, or only the first ranks of them."""
    if policy.k == log.k:
        return
    of_log = log.k if (log.rows[log.part == number, policy.k :] >= 0).any() else policy.k
    if policy.k > log.k:
        of_row = table if table.ndim == 1 else table.sum(axis=1)
        of_log = log.k if longest_list(policy, of_row, log.part_queries[number] > 0) > log.k else policy.k
    if of_log != policy.k:
        raise ArgumentError(
            f"the log has lists of {of_log} documents and its logging policy shows {policy.k}; expected equal lengths"
        )


def _checked_table(table: FloatArray, shape: tuple[int, ...], largest: float, pool: Pool) -> FloatArray:
    if table.shape != shape:
        raise ArgumentError(f"logging has shape {table.shape}; expected {list(shape)}, or a policy")
    bad = ~((table >= 0) & (table <= 1 + 1e-9))
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise ArgumentError(f"logging is {table[place]} for {pool.row_name(place[0])}; expected a probability")
    beyond = table > largest * (1 + TOLERANCE)
    if beyond.any():
        row = int(np.argwhere(beyond)[0][0])
        raise ArgumentError(
            f"logging is {table[row]} for {pool.row_name(row)}; expected at most {largest}, the largest examination: "
            "the probability that a document is shown is another thing than that it is examined"
        )
    return table
