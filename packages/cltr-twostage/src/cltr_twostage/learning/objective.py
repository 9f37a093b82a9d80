"""The gradient of the two-stage utility on the flat table: which estimator, for which stages, from how many samples."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.data import Pool
from cltr_twostage.learning.gradients import candidate_credit, candidate_reinforce, ranker_plrank, ranker_reinforce
from cltr_twostage.learning.races import blocks, exposures, list_values, race, take
from irworks.errors import ArgumentError
from irworks.simulate.plackett_luce import checked_scores, require_at_least_one

__all__ = ["CandidateGradient", "GradientEstimator", "Objective", "RankerGradient", "StageName", "UtilityGradient"]

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]

StageName = Literal["candidate", "ranker"]
Objective = Literal["two_stage", "single_stage"]
CandidateGradient = Literal["credit", "reinforce"]
RankerGradient = Literal["plrank", "reinforce"]


@dataclass(frozen=True, eq=False)
class UtilityGradient:
    """One estimate of the gradient on the flat (query, document) table.

    Attributes:
        value: The objective, estimated from the same samples.
        gradients: For each stage asked for, float64 [n_rows]: derivative by the score of each row.
        exposure: float64 [n_rows], mean rank weight of each row in the sampled lists.
    """

    value: float
    gradients: dict[StageName, FloatArray]
    exposure: FloatArray


@dataclass(frozen=True, eq=False)
class GradientEstimator:
    """How the gradient of the utility sum_q p_q E[ sum_k alpha_k r(y_r[k]) ] is estimated.

    Args:
        rank_weights: float [k], alpha.
        n_candidates: Length of the candidate list, at least k.
        n_samples: Pairs of lists drawn for each query.
        candidate: Estimator for the candidate stage.
        ranker: Estimator for the ranker.
        objective: "two_stage": the utility. "single_stage": each stage as if it were alone: the candidate stage earns
            the summed relevance of its candidates, the ranker ranks all documents; values are summed over the stages.

    Raises:
        ArgumentError: A number is out of range, a rank weight is not finite, or a name is unknown.
    """

    rank_weights: FloatArray
    n_candidates: int
    n_samples: int = 16
    candidate: CandidateGradient = "credit"
    ranker: RankerGradient = "plrank"
    objective: Objective = "two_stage"

    def __post_init__(self) -> None:
        weights = np.asarray(self.rank_weights, dtype=np.float64)
        if weights.ndim != 1 or len(weights) == 0 or not np.isfinite(weights).all():
            raise ArgumentError(f"rank_weights is {self.rank_weights!r}; expected finite numbers [k]")
        object.__setattr__(self, "rank_weights", weights)
        require_at_least_one("n_candidates", self.n_candidates)
        require_at_least_one("n_samples", self.n_samples)
        if self.n_candidates < len(weights):
            raise ArgumentError(f"n_candidates={self.n_candidates}; expected at least k={len(weights)}")
        for name in ("candidate", "ranker", "objective"):
            choices = get_args({"candidate": CandidateGradient, "ranker": RankerGradient, "objective": Objective}[name])
            if getattr(self, name) not in choices:
                raise ArgumentError(f"{name}={getattr(self, name)!r}; expected one of {', '.join(map(repr, choices))}")
        if "reinforce" in (self.candidate, self.ranker) and self.n_samples < 2:
            raise ArgumentError(f"n_samples={self.n_samples}; expected at least 2 for REINFORCE with its baseline")

    def estimate(
        self,
        candidate: ArrayLike,
        ranker: ArrayLike,
        relevance: ArrayLike,
        offsets: ArrayLike,
        rng: np.random.Generator,
        *,
        query_weights: ArrayLike | None = None,
        stages: tuple[StageName, ...] = ("candidate", "ranker"),
    ) -> UtilityGradient:
        """Estimate the gradient with respect to the scores of both stages.

        Args:
            candidate: float [n_rows], log-weights of the candidate stage; -inf: never drawn.
            ranker: float [n_rows], log-weights of the ranker; -inf: never shown.
            relevance: float [n_rows], r; may be negative.
            offsets: int [n_queries + 1], query q owns the rows offsets[q]:offsets[q + 1].
            rng: Source of randomness.
            query_weights: float [n_queries], p. Default: 1 / n_queries.
            stages: Whose gradient is wanted; with the two-stage objective, one set of samples serves both.

        Raises:
            ArgumentError: Shapes that do not match, or a value that is not finite (scores may be -inf).
        """
        pool = Pool.of(offsets)
        first, second = checked_scores(candidate), checked_scores(ranker)
        earned = np.asarray(relevance, dtype=np.float64)
        share = np.full(pool.n_queries, 1 / pool.n_queries) if query_weights is None else np.asarray(query_weights)
        for name, column, size in (
            ("candidate", first, pool.n_rows),
            ("ranker", second, pool.n_rows),
            ("relevance", earned, pool.n_rows),
            ("query_weights", share, pool.n_queries),
        ):
            if column.shape != (size,):
                raise ArgumentError(f"{name} has shape {column.shape}; expected [{size}]")
        for name, column in (("relevance", earned), ("query_weights", share)):
            if not np.isfinite(column).all():
                raise ArgumentError(f"{name} holds {column[~np.isfinite(column)][0]}; expected finite numbers")
        return self.estimate_unchecked(first, second, earned, share, pool.offsets, rng, stages)

    def estimate_unchecked(
        self,
        candidate: FloatArray,
        ranker: FloatArray,
        relevance: FloatArray,
        query_weights: FloatArray,
        offsets: LongArray,
        rng: np.random.Generator,
        stages: tuple[StageName, ...],
    ) -> UtilityGradient:
        """As `estimate`, for training loops that have checked their arrays."""
        n_rows = len(relevance)
        out = UtilityGradient(0.0, {stage: np.zeros(n_rows) for stage in stages}, np.zeros(n_rows))
        value = 0.0
        for queries, rows in blocks(offsets, self.n_samples):
            absent = rows < 0
            block = _Block(
                np.where(absent, -np.inf, candidate[rows]),
                np.where(absent, -np.inf, ranker[rows]),
                np.where(absent, 0.0, relevance[rows]),
            )
            share, present = query_weights[queries], ~absent
            for part in self._parts(block, stages, rng):
                value += float(share @ part.value)
                out.exposure[rows[present]] = part.exposure[present]
                for stage, gradient in part.gradients.items():
                    out.gradients[stage][rows[present]] = (share[:, None] * gradient)[present]
        return replace(out, value=value)

    def _parts(self, block: "_Block", stages: tuple[StageName, ...], rng: np.random.Generator) -> "Iterator[_Part]":
        """The gradients of one block, from one set of samples where the stages share their objective."""
        if self.objective == "two_stage":
            yield self._two_stage(block, stages, rng)
            return
        if "candidate" in stages:
            yield self._candidate_alone(block, rng)
        if "ranker" in stages:
            everything = np.where(np.isfinite(block.ranker), 0.0, -np.inf)
            alone = replace(self, n_candidates=max(block.ranker.shape[1], self.n_candidates), objective="two_stage")
            yield alone._two_stage(replace(block, candidate=everything), ("ranker",), rng)

    def _two_stage(self, block: "_Block", stages: tuple[StageName, ...], rng: np.random.Generator) -> "_Part":
        draws = race(block.candidate, block.ranker, self.n_candidates, self.n_samples, rng)
        values = list_values(draws, block.relevance, self.rank_weights)
        gradients: dict[StageName, FloatArray] = {}
        if "candidate" in stages and self.candidate == "credit":
            gradients["candidate"] = candidate_credit(draws, block.relevance, self.rank_weights)
        elif "candidate" in stages:
            gradients["candidate"] = candidate_reinforce(draws, values)
        if "ranker" in stages and self.ranker == "plrank":
            gradients["ranker"] = ranker_plrank(draws, block.relevance, self.rank_weights)
        elif "ranker" in stages:
            gradients["ranker"] = ranker_reinforce(draws, values, len(self.rank_weights))
        return _Part(values.mean(axis=0), gradients, exposures(draws, self.rank_weights))

    def _candidate_alone(self, block: "_Block", rng: np.random.Generator) -> "_Part":
        draws = race(block.candidate, block.ranker, self.n_candidates, self.n_samples, rng)
        earned = np.where(np.isfinite(block.candidate), block.relevance, 0.0)
        values = take(earned, draws.candidates).sum(axis=-1)
        if self.candidate == "credit":
            gradient = candidate_credit(draws, block.relevance, None)
        else:
            gradient = candidate_reinforce(draws, values)
        return _Part(values.mean(axis=0), {"candidate": gradient}, exposures(draws, self.rank_weights))


@dataclass(frozen=True, eq=False)
class _Block:
    """Scores and relevance [n_queries, width] of some queries."""

    candidate: FloatArray
    ranker: FloatArray
    relevance: FloatArray


@dataclass(frozen=True, eq=False)
class _Part:
    """Value [n_queries], gradients and exposure [n_queries, width] of a block."""

    value: FloatArray
    gradients: dict[StageName, FloatArray]
    exposure: FloatArray
