"""Simulated click logs: a policy shows, a behaviour clicks, and everything that was planted is known."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.data.clicks import ClickLog
from irworks.errors import ArgumentError
from irworks.simulate.behaviours import ClickBehaviour
from irworks.simulate.plackett_luce import require_at_least_one
from irworks.simulate.policies import RankingSampler

__all__ = ["iter_clicks", "simulate_clicks"]

IntArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

CHUNK = 1 << 17


def simulate_clicks(
    policy: RankingSampler,
    behaviour: ClickBehaviour,
    logits: ArrayLike,
    n_sessions: int,
    rng: np.random.Generator,
    *,
    query_weights: ArrayLike | None = None,
    placement: ArrayLike | None = None,
    query_ids: ArrayLike | None = None,
    doc_ids: ArrayLike | None = None,
    doc_features: ArrayLike | None = None,
    chunk: int = CHUNK,
) -> ClickLog:
    """Simulate a click log: draw queries, let the policy rank their documents, let the behaviour click.

    Args:
        policy: Shows one list per session.
        behaviour: Clicks in it.
        logits: float [n_docs], relevance logit of each row of the flat document table.
        n_sessions: Number of sessions.
        rng: Source of randomness. The same state, arguments and `chunk` give the same log.
        query_weights: float [n_queries], how often each query is asked, in any unit. Default: equally often.
        placement: float [n_docs, k], probability of each document at each rank; attached to the log as its
            propensities: `policy.placement()`, or `estimate_placement(policy, ...).probabilities`.
        query_ids: [n_queries], original ids. Default: the codes.
        doc_ids: [n_docs], original ids. Default: the rows of the document table.
        doc_features: float32 [n_docs, n_features], attached to the log.
        chunk: Sessions worked on at a time: bounds the memory beyond the log itself.

    Returns:
        A log whose document codes are rows of the flat table and whose query codes are those of the policy.

    Raises:
        ArgumentError: An array whose length does not match the policy, a NaN logit, negative or NaN query weights.
        DataError: A shown document has placement probability 0 (the table is not this policy's).
    """
    world = _World.of(policy, behaviour, logits, query_weights, placement, query_ids, doc_ids, doc_features)
    require_at_least_one("n_sessions", n_sessions)
    require_at_least_one("chunk", chunk)
    query = np.empty(n_sessions, dtype=np.int32)
    docs = np.empty((n_sessions, policy.k), dtype=np.int32)
    clicks = np.empty((n_sessions, policy.k), dtype=bool)
    for part in _parts(n_sessions, chunk):
        query[part], docs[part], clicks[part] = world.sessions(part.stop - part.start, rng)
    return world.log(query, docs, clicks)


def iter_clicks(
    policy: RankingSampler,
    behaviour: ClickBehaviour,
    logits: ArrayLike,
    n_sessions: int,
    rng: np.random.Generator,
    *,
    query_weights: ArrayLike | None = None,
    placement: ArrayLike | None = None,
    query_ids: ArrayLike | None = None,
    doc_ids: ArrayLike | None = None,
    doc_features: ArrayLike | None = None,
    chunk: int = CHUNK,
) -> Iterator[ClickLog]:
    """The log of `simulate_clicks` in parts of `chunk` sessions, for logs larger than memory; arguments as there.

    Yields:
        Logs with the same vocabularies, so that their codes agree.

    Raises:
        ArgumentError, DataError: As `simulate_clicks`; the arguments are checked at the call, not at the first part.
    """
    world = _World.of(policy, behaviour, logits, query_weights, placement, query_ids, doc_ids, doc_features)
    require_at_least_one("n_sessions", n_sessions)
    require_at_least_one("chunk", chunk)
    return (world.log(*world.sessions(part.stop - part.start, rng)) for part in _parts(n_sessions, chunk))


@dataclass(frozen=True, eq=False)
class _World:
    """Checked arguments of a simulation."""

    policy: RankingSampler
    behaviour: ClickBehaviour
    logits: FloatArray
    cumulative_weights: FloatArray | None
    placement: FloatArray | None
    query_ids: NDArray[Any]
    doc_ids: NDArray[Any]
    doc_features: NDArray[np.float32] | None

    @classmethod
    def of(
        cls,
        policy: RankingSampler,
        behaviour: ClickBehaviour,
        logits: ArrayLike,
        query_weights: ArrayLike | None,
        placement: ArrayLike | None,
        query_ids: ArrayLike | None,
        doc_ids: ArrayLike | None,
        doc_features: ArrayLike | None,
    ) -> "_World":
        """Check every argument against the policy's sizes."""
        n_queries, n_docs = len(policy.offsets) - 1, int(policy.offsets[-1])
        features = None if doc_features is None else np.asarray(doc_features, dtype=np.float32)
        if features is not None and (features.ndim != 2 or len(features) != n_docs):
            raise ArgumentError(f"doc_features has shape {features.shape}; expected [{n_docs}, n_features]")
        return cls(
            policy=policy,
            behaviour=behaviour,
            logits=_checked_logits(logits, n_docs),
            cumulative_weights=None if query_weights is None else _cumulative(query_weights, n_queries),
            placement=None if placement is None else _shaped("placement", placement, (n_docs, policy.k)),
            query_ids=_ids("query_ids", query_ids, n_queries),
            doc_ids=_ids("doc_ids", doc_ids, n_docs),
            doc_features=features,
        )

    def sessions(self, n: int, rng: np.random.Generator) -> tuple[IntArray, IntArray, BoolArray]:
        """Query codes [n], document rows [n, k] and clicks [n, k] of `n` sessions."""
        query = self._queries(n, rng)
        docs = self.policy.sample(query, rng)
        return query, docs, self.behaviour.sample(self.logits[docs], docs >= 0, rng)

    def _queries(self, n: int, rng: np.random.Generator) -> IntArray:
        if self.cumulative_weights is None:
            return rng.integers(len(self.query_ids), size=n, dtype=np.int32)
        # side="right" steps over queries of weight zero.
        return np.searchsorted(self.cumulative_weights, rng.random(n), side="right").astype(np.int32)

    def log(self, query: IntArray, docs: IntArray, clicks: BoolArray) -> ClickLog:
        """The sessions as a log, with propensities and features where they are known."""
        propensities = None
        if self.placement is not None:
            propensities = self.placement[docs, np.arange(docs.shape[1])]
        log = ClickLog(
            query=query,
            docs=docs,
            clicks=clicks,
            query_ids=self.query_ids,
            doc_ids=self.doc_ids,
            propensities=propensities,
            source="simulated clicks",
        )
        return log if self.doc_features is None else log.with_doc_features(self.doc_features)


def _parts(n: int, chunk: int) -> list[slice]:
    return [slice(begin, min(begin + chunk, n)) for begin in range(0, n, chunk)]


def _shaped(name: str, values: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != shape:
        raise ArgumentError(f"{name} has shape {array.shape}; expected {list(shape)}, as the policy has it")
    return array


def _checked_logits(logits: ArrayLike, n_docs: int) -> FloatArray:
    array = _shaped("logits", logits, (n_docs,))
    if np.isnan(array).any():
        raise ArgumentError(f"logits is nan at document {int(np.flatnonzero(np.isnan(array))[0])}; expected a number")
    return array


def _cumulative(weights: ArrayLike, n_queries: int) -> FloatArray:
    """Cumulative shares of the queries: float64 [n_queries], from above 0 to exactly 1 where weights are left."""
    array = _shaped("query_weights", weights, (n_queries,))
    bad = ~(np.isfinite(array) & (array >= 0))
    if bad.any():
        query = int(np.flatnonzero(bad)[0])
        raise ArgumentError(f"query_weights is {array[query]} at query {query}; expected a finite number of at least 0")
    cumulative = np.cumsum(array)
    if cumulative[-1] == 0:
        raise ArgumentError("query_weights sum to 0; expected a positive weight")
    return np.asarray(cumulative / cumulative[-1])


def _ids(name: str, ids: ArrayLike | None, size: int) -> NDArray[Any]:
    vocabulary = np.arange(size) if ids is None else np.asarray(ids)
    if vocabulary.shape != (size,):
        raise ArgumentError(f"{name} has shape {vocabulary.shape}; expected [{size}], as the policy has it")
    return vocabulary
