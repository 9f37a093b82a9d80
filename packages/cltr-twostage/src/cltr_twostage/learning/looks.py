"""Looks at the held-out part of the log while learning goes on: what the current models are worth there."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from cltr_twostage.estimator import Estimator
from cltr_twostage.learning.models import StageModel
from cltr_twostage.learning.objective import GradientEstimator, StageName
from cltr_twostage.learning.problem import Problem, relevance_of
from cltr_twostage.learning.safe import Bounds

__all__ = ["look_at_policy", "look_at_stages"]

Models = Mapping[StageName, StageModel]


def look_at_policy(
    judge: Estimator, problem: Problem, models: Models, bounds: Bounds | None, n_samples: int
) -> Callable[[], float]:
    """What the policy of the current models is worth, within its bounds if there are any.

    Args:
        judge: An estimator, fitted to the held-out part.
        problem: What is learned.
        models: The stages, as they are at each call.
        bounds: What is learned is mixed with the logging policy to stay within them.
        n_samples: Lists drawn for each query, the same ones at every look: policies of two looks differ little.
    """
    quick, coarse = copy.copy(judge), None
    quick.method, quick.n_samples, quick.support = "mc", max(16, n_samples), "drop"
    if bounds is not None:
        coarse = replace(bounds, safe=replace(bounds.safe, method="mc", n_samples=quick.n_samples))

    def look() -> float:
        pair = problem.policy(models["candidate"].scores(), models["ranker"].scores())
        return quick.value(pair if coarse is None else coarse.mixture(pair)).value

    return look


def look_at_stages(
    judge: Estimator, problem: Problem, models: Models, estimator: GradientEstimator, seed: int
) -> Callable[[], float]:
    """What the candidates are worth by themselves, and the ranker over all documents.

    Args:
        judge: An estimator, fitted to the held-out part.
        problem: What is learned.
        models: The stages, as they are at each call.
        estimator: Of the objective of stages that are learned alone.
        seed: Of the lists that are drawn, the same ones at every look.
    """
    unseen = replace(problem, relevance=relevance_of(judge), query_weights=judge.query_weights_)

    def look() -> float:
        candidate, ranker = (
            np.where(unseen.allowed, models[stage].scores(), -np.inf) for stage in ("candidate", "ranker")
        )
        rng = np.random.default_rng([seed, 0, 0, 4])
        return estimator.estimate(
            candidate, ranker, unseen.relevance, unseen.pool.offsets, rng, query_weights=unseen.query_weights
        ).value

    return look
