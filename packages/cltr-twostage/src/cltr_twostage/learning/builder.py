"""Building what is trained of each stage: from what it begins with, and what it is."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.learning.models import (
    FixedScores,
    LinearScorer,
    LinearScores,
    Scorer,
    StageModel,
    TableScores,
    checked_features,
)
from cltr_twostage.learning.neural import ModuleScorer, ModuleScores, Precision
from cltr_twostage.learning.objective import StageName
from cltr_twostage.learning.problem import Problem
from cltr_twostage.policy import TwoStagePolicy
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

__all__ = ["Beginning", "StageBuilder", "StageKind"]

FloatArray = NDArray[np.float64]
StageKind = Literal["linear", "table", "fixed"]


@dataclass(frozen=True, eq=False)
class Beginning:
    """What learning begins with.

    Attributes:
        policy: Scores of both stages; None: from zeros.
        scorers: What scored each stage by features, where the beginning was learned from features.
    """

    policy: TwoStagePolicy | None = None
    scorers: dict[StageName, Scorer | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StageBuilder:
    """Builds the stages of one run; see `TwoStageLearner` for the settings."""

    problem: Problem
    begin: Beginning
    learning_rate: float
    module_learning_rate: float
    l2: float
    device: str
    precision: Precision
    accelerator: "Accelerator | None"

    def build(self, stage: StageName, kind: "StageKind | torch.nn.Module", X: ArrayLike | None) -> StageModel:
        """One stage.

        Raises:
            ArgumentError: Features that are missing or bad, or a beginning that is of another kind.
        """
        if kind == "fixed":
            return FixedScores(self._fixed(stage))
        if kind == "table":
            return TableScores(self._table(stage), self.learning_rate, self.l2)
        features = checked_features("Xc" if stage == "candidate" else "Xr", X, self.problem.pool.n_rows)
        scorer = self._scorer(stage)
        if kind == "linear":
            return LinearScores(features, self.learning_rate, self.l2, _weights(stage, scorer, features.shape[1]))
        assert not isinstance(kind, str)
        return ModuleScores(
            kind if scorer is None else _module(stage, scorer),
            features,
            self.module_learning_rate,
            self.l2,
            device=self.device,
            precision=self.precision,
            accelerator=self.accelerator,
        )

    def _fixed(self, stage: StageName) -> FloatArray:
        policy = self.problem.logging if self.begin.policy is None else self.begin.policy
        if policy is None:
            raise ArgumentError(f"this mode keeps the {stage} stage; expected start=, or a TwoStagePolicy as logging")
        return _scores(policy, stage)

    def _table(self, stage: StageName) -> FloatArray:
        if self.begin.policy is None:
            return np.zeros(self.problem.pool.n_rows)
        return np.where(self.problem.allowed, _scores(self.begin.policy, stage), 0.0)

    def _scorer(self, stage: StageName) -> Scorer | None:
        if self.begin.policy is None:
            return None
        scorer = self.begin.scorers.get(stage)
        if scorer is None:
            raise ArgumentError(
                f"start has scores, but no weights, for the {stage} stage, which is learned from features; expected a "
                "TwoStageLearner that learned them"
            )
        return scorer


def _scores(policy: TwoStagePolicy, stage: StageName) -> FloatArray:
    return policy.candidate_scores if stage == "candidate" else policy.ranker_scores


def _weights(stage: StageName, scorer: Scorer | None, n_features: int) -> FloatArray | None:
    if scorer is None:
        return None
    if not isinstance(scorer, LinearScorer) or len(scorer.weights) != n_features:
        raise ArgumentError(f"the {stage} stage is linear in {n_features} features; expected a start that is so too")
    return scorer.weights


def _module(stage: StageName, scorer: Scorer) -> "torch.nn.Module":
    if not isinstance(scorer, ModuleScorer):
        raise ArgumentError(f"the {stage} stage is a module; expected a start whose {stage} stage is one too")
    return scorer.module
