"""The exact oracle for tiny problems: every candidate set, every shown list, every pattern of clicks, and its chance.

It shares no code with the estimators or with the integrals of the policies, so that it can prove them.
"""

from copy import copy
from dataclasses import dataclass
from math import comb, perm
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.data import Pool
from cltr_twostage.exposure import checked_rank_weights
from cltr_twostage.policy import TwoStagePolicy
from irworks.data import ClickLog
from irworks.errors import ArgumentError
from irworks.simulate import enumerate_rankings
from irworks.simulate.plackett_luce import MAX_ENUMERATED

if TYPE_CHECKING:
    from cltr_twostage.estimator import Estimator

__all__ = ["Enumeration", "Proof", "enumerate_two_stage", "prove"]

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float64]

MAX_OUTCOMES = 2_000_000
# A variance this small beside the square of the mean is rounding.
ROUNDING = 1e-14


@dataclass(frozen=True, eq=False)
class Enumeration:
    """Every list that a two-stage policy can show, with its probability.

    Attributes:
        pool: The documents.
        query: int32 [n_lists], the query of each list.
        rows: int32 [n_lists, k], its rows, -1 after the last document.
        probability: float64 [n_lists], given the query; sums to one for each query.
    """

    pool: Pool
    query: IntArray
    rows: IntArray
    probability: FloatArray

    @property
    def k(self) -> int:
        """Length of the lists."""
        return int(self.rows.shape[1])

    def placement(self) -> FloatArray:
        """Probability of each document at each rank: float64 [n_rows, k]."""
        out = np.zeros((self.pool.n_rows, self.k))
        for rank in range(self.k):
            shown = self.rows[:, rank] >= 0
            np.add.at(out[:, rank], self.rows[shown, rank], self.probability[shown])
        return out

    def exposure(self, rank_weights: ArrayLike) -> FloatArray:
        """Expected rank weight of each document: float64 [n_rows]."""
        return np.asarray(self.placement() @ checked_rank_weights(rank_weights, self.k))

    def value(self, relevance: ArrayLike, rank_weights: ArrayLike, query_weights: ArrayLike | None = None) -> float:
        """True utility: the sum of exposure times relevance, averaged over queries."""
        share = _query_shares(query_weights, self.pool.n_queries)[self.pool.owner()]
        return float(share * self.exposure(rank_weights) @ np.asarray(relevance, dtype=np.float64))

    def log(
        self, relevance: ArrayLike, examination: ArrayLike, query_weights: ArrayLike | None = None
    ) -> tuple[ClickLog, FloatArray]:
        """Every session that can happen under the position-based model, with its probability.

        Handed to an estimator as a log with these weights, it makes the estimate the exact expectation of the estimate,
        for every estimator that is an average over sessions. It stands for one session, of which no standard error can
        be told; `prove` gives the exact variance.

        Args:
            relevance: float [n_rows], probability that an examined document is clicked.
            examination: float [>= k], probability that a rank is examined.
            query_weights: float [n_queries], how often each query is asked. Default: equally often.

        Returns:
            The log and the probabilities [n_sessions], which sum to one.

        Raises:
            ArgumentError: Relevance or examination outside [0, 1], or more than two million outcomes.
        """
        chance = _checked_probabilities("relevance", relevance, self.pool.n_rows)
        seen = _checked_probabilities("examination", np.asarray(examination)[: self.k], self.k)
        patterns = (np.arange(1 << self.k)[:, None] >> np.arange(self.k) & 1).astype(bool)
        if len(self.rows) * len(patterns) > MAX_OUTCOMES:
            raise ArgumentError(
                f"{len(self.rows):,} lists have {len(self.rows) * len(patterns):,} outcomes; expected at most "
                f"{MAX_OUTCOMES:,}"
            )
        click = np.where(self.rows >= 0, seen * chance[self.rows], 0.0)[:, None, :]
        of_pattern = np.where(patterns, click, 1.0 - click).prod(axis=2)
        share = _query_shares(query_weights, self.pool.n_queries)[self.query]
        weight = (share * self.probability)[:, None] * of_pattern
        some = weight > 0
        source, pattern = np.nonzero(some)
        log = ClickLog(
            query=self.query[source],
            docs=self.rows[source],
            clicks=patterns[pattern],
            query_ids=self.pool.query_ids,
            doc_ids=self.pool.doc_ids,
            source="enumerated sessions",
        )
        return log, weight[some]


@dataclass(frozen=True)
class Proof:
    """An estimator on trial, by enumeration.

    Attributes:
        expected: Exact expectation of the estimate.
        truth: True utility of the target policy.
        variance: Exact variance of the estimate from one session (divide by the number of sessions).
    """

    expected: float
    truth: float
    variance: float

    @property
    def bias(self) -> float:
        """Expectation minus truth."""
        return self.expected - self.truth


def enumerate_two_stage(policy: TwoStagePolicy) -> Enumeration:
    """Every list that a policy can show, by going through all candidate sets and all orders.

    Raises:
        ArgumentError: A query has more than a million candidate lists, each order counted, and shown lists of each
            candidate set.
    """
    parts = [_enumerate_query(policy, query) for query in range(policy.pool.n_queries)]
    return Enumeration(
        pool=policy.pool,
        query=np.repeat(np.arange(len(parts), dtype=np.int32), [len(rows) for rows, _ in parts]),
        rows=np.concatenate([rows for rows, _ in parts]),
        probability=np.concatenate([probability for _, probability in parts]),
    )


def prove(
    estimator: "Estimator",
    logging: TwoStagePolicy,
    target: TwoStagePolicy,
    relevance: ArrayLike,
    *,
    query_weights: ArrayLike | None = None,
) -> Proof:
    """Exact expectation and variance of an estimator under the position-based model, for a tiny problem of your own.

    For estimators that average over sessions: not for self-normalised ones, nor for those that fit relevance to the log
    (naive clicks, a direct method, cross-fitted relevance), whose expectation over a real log no single session has.

    Args:
        estimator: Its examination probabilities are taken as true.
        logging: The policy that makes the log.
        target: The policy that is evaluated.
        relevance: float [n_rows], true relevance.
        query_weights: float [n_queries]. Default: equally often.

    Raises:
        ArgumentError: An estimator that does not average over sessions, or a problem that is too large to enumerate.
    """
    if not estimator.averages_sessions:
        raise ArgumentError(
            f"{type(estimator).__name__} divides by a mean weight or fits relevance to the log, so its expectation "
            "depends on the size of the log; expected an estimator that averages over sessions"
        )
    log, weights = enumerate_two_stage(logging).log(relevance, estimator.examination, query_weights)
    on_trial = copy(estimator)
    on_trial.method = "exact"
    part = on_trial.fit(log, logging, weights=weights).contribution(target)
    rank_weights = estimator.examination if estimator.rank_weights is None else estimator.rank_weights
    truth = enumerate_two_stage(target).value(relevance, rank_weights, query_weights)
    # Sessions in no group, those without a click, add 0.
    elsewhere = max(0.0, 1.0 - float(part.count.sum()))
    variance = float(part.count @ (part.x - part.value) ** 2) + elsewhere * part.value**2
    return Proof(part.value, truth, 0.0 if variance < ROUNDING * part.value**2 else variance)


def _enumerate_query(policy: TwoStagePolicy, query: int) -> tuple[IntArray, FloatArray]:
    """Lists and their probabilities for one query."""
    begin, end = (int(policy.offsets[query + i]) for i in (0, 1))
    candidate, ranker = policy.candidate_scores[begin:end], policy.ranker_scores[begin:end]
    drawn = min(policy.n_candidates, int(np.isfinite(candidate).sum()))
    if perm(end - begin, drawn) + comb(end - begin, drawn) * perm(drawn, min(policy.k, drawn)) > MAX_ENUMERATED:
        raise ArgumentError(
            f"query {policy.pool.query_ids[query]} has too many candidate lists to enumerate ({end - begin} documents, "
            f"{drawn} candidates); expected at most {MAX_ENUMERATED:,}: take a smaller problem, or policy.exposure "
            "if exposures are enough"
        )
    ordered = enumerate_rankings(end - begin, drawn)
    sets, which = np.unique(np.sort(ordered, axis=1), axis=0, return_inverse=True)
    of_set = np.bincount(which.ravel(), weights=_chances(candidate, ordered))
    found: dict[tuple[int, ...], float] = {}
    for members, chance in zip(sets[of_set > 0], of_set[of_set > 0], strict=True):
        _add_lists(found, members, ranker[members], chance, policy.k)
    lists = np.full((len(found), policy.k), -1, dtype=np.int32)
    for number, rows in enumerate(found):
        lists[number, : len(rows)] = np.array(rows, dtype=np.int32) + begin
    return lists, np.array(list(found.values()))


def _add_lists(
    found: dict[tuple[int, ...], float], members: IntArray, scores: FloatArray, chance: float, k: int
) -> None:
    """Add the probability of every list that the ranker makes of one candidate set."""
    shown = min(k, int(np.isfinite(scores).sum()))
    if not shown:
        found[()] = found.get((), 0.0) + chance
        return
    rankings = enumerate_rankings(len(members), shown)
    for ranking, probability in zip(rankings, _chances(scores, rankings), strict=True):
        if probability > 0:
            key = tuple(int(row) for row in members[ranking])
            found[key] = found.get(key, 0.0) + chance * float(probability)


def _chances(scores: FloatArray, rankings: IntArray) -> FloatArray:
    """Probability that a Plackett-Luce draw begins with each ranking [n_rankings, k]: float64 [n_rankings].

    At each rank relative to the largest score that is left: logarithms of scores around 1e11 would lose their digits.
    """
    left = np.repeat(scores[None], len(rankings), axis=0)
    rows, chance = np.arange(len(rankings)), np.ones(len(rankings))
    for place in rankings.T:
        weight = np.exp(left - left.max(axis=1, keepdims=True))
        chance *= weight[rows, place] / weight.sum(axis=1)
        left[rows, place] = -np.inf
    return chance


def _query_shares(weights: ArrayLike | None, n_queries: int) -> FloatArray:
    array = np.ones(n_queries) if weights is None else np.asarray(weights, dtype=np.float64)
    if array.shape != (n_queries,) or not (np.isfinite(array) & (array >= 0)).all() or array.sum() <= 0:
        raise ArgumentError(f"query_weights is {array}; expected [{n_queries}] numbers of at least 0, not all zero")
    return np.asarray(array / array.sum())


def _checked_probabilities(name: str, values: ArrayLike, size: int) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (size,):
        raise ArgumentError(f"{name} has shape {array.shape}; expected [{size}]")
    bad = ~((array >= 0) & (array <= 1))
    if bad.any():
        raise ArgumentError(f"{name} holds {array[bad][0]}; expected probabilities in [0, 1]")
    return array
