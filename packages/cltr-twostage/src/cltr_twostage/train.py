"""Learning a candidate generator and a ranker from logged clicks: both together, one of them, or each for itself."""

import copy
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cltr_twostage.data import Pool
from cltr_twostage.estimator import Estimator, Logging, is_real, logging_policies, require_seed, users_level
from cltr_twostage.learning.ascent import STAGES, Ascent, LearningWarning, Progress, Schedule
from cltr_twostage.learning.builder import Beginning, StageBuilder, StageKind
from cltr_twostage.learning.checkpoint import Checkpoint, fingerprint
from cltr_twostage.learning.looks import look_at_policy, look_at_stages
from cltr_twostage.learning.models import Scorer, StageModel, numbers_of
from cltr_twostage.learning.neural import Precision, is_module
from cltr_twostage.learning.objective import CandidateGradient, GradientEstimator, RankerGradient, StageName
from cltr_twostage.learning.problem import (
    Problem,
    problem_from_estimate,
    problem_from_relevance,
    require_one_policy,
    require_relevance,
)
from cltr_twostage.learning.safe import Bounds, Safe
from cltr_twostage.mixture import MixturePolicy
from cltr_twostage.policy import TwoStagePolicy, require_same_pool
from irworks.data import ClickLog
from irworks.errors import ArgumentError
from irworks.simulate.plackett_luce import require_at_least_one

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

__all__ = ["LearningWarning", "Mode", "Progress", "Safe", "TwoStageLearner"]

FloatArray = NDArray[np.float64]
Mode = Literal["alternating", "joint", "independent", "ranker_only", "candidate_only"]
Trainable = Literal["linear", "table"]
Features = tuple[ArrayLike | None, ArrayLike | None]

# Whether this machine has the device, torch says when a module needs it.
DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

TURNS: dict[Mode, tuple[tuple[StageName, ...], ...]] = {
    "alternating": (("candidate",), ("ranker",)),
    "joint": (("candidate", "ranker"),),
    "independent": (("candidate",), ("ranker",)),
    "ranker_only": (("ranker",),),
    "candidate_only": (("candidate",),),
}


@dataclass(eq=False)
class TwoStageLearner:
    """Learns both stages of a policy by ascent on its estimated utility.

    A reimplementation from the published objective; the paper's hyper-parameters are not known, and these are ours.

    Args:
        mode: "alternating": even steps train the generator, odd ones the ranker, each against the current other stage
            (the paper's). "joint": both in each step, from the same samples. "independent": in turn, but each as if it
            were alone: the generator for the summed relevance of its candidates, the ranker as if all documents were
            candidates. "ranker_only", "candidate_only": the other stage stays as it starts, by default that of the
            logging policy, of several the first.
        candidate: "linear" in the features Xc; "table": a free score per row; or a torch module over Xc; a copy
            of it is trained.
        ranker: Likewise, over Xr.
        candidate_gradient: "credit": each document answers for its own place; or "reinforce".
        ranker_gradient: "plrank" or "reinforce".
        n_candidates: Size of the candidate list. Default: that of the logging policy, of several the first.
        k: Length of the shown list. Default: likewise.
        n_steps: Most steps.
        n_samples: Pairs of lists drawn for each query in a step.
        learning_rate: Of Adam, for tables and linear stages.
        module_learning_rate: Of Adam, for torch modules.
        l2: Ridge on weights (of standardised features) or scores; weight decay of a module.
        batch_queries: Queries in a step.
        held_out: Share of the sessions that learning does not see, and that chooses the step to keep. 0: the last one.
        eval_every: Steps between two looks at the held-out part, and between two checkpoints.
        eval_samples: Lists drawn for each query in a look.
        patience: Looks in a row without improvement that end learning.
        safe: Bounds on the change of exposure, against the one policy that made the log. Default: none.
        random_state: Seed of everything: the same gives the same policy (on CUDA but for the order of sums).
        device: For torch modules: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:<index>".
        precision: For torch modules: "float32", or "bf16" autocast.
        accelerator: An `accelerate.Accelerator`: every process takes a share of the queries of each step. Call `fit` in
            all of them with the same arguments.

    Attributes after `fit`:
        policy_: The learned policy; with `safe`, a mixture with the logging policy.
        learned_policy_: The learned pair itself, `TwoStagePolicy`.
        history_: `Progress` of each look: step, objective, held-out estimate. With `safe` the estimate is that of the
            mixture. In mode "independent" both are those of the stages alone, which no bound holds for.
        best_step_: The step that was kept.
        held_out_: The estimator, fitted to the held-out part; None where there is none. As the part chose the step, it
            flatters the policy a little.
        candidate_scorer_, ranker_scorer_: What scores new documents by their features; None for tables, fixed stages.

    `fit` gives a `LearningWarning` if it ends at `n_steps` while the held-out estimate still rises: the last look was
    best, and the last quarter of the steps brought over a twentieth of the improvement and over 1% of the value.

    Raises:
        ArgumentError: A value is out of range.
    """

    mode: Mode = "alternating"
    _: KW_ONLY
    candidate: "Trainable | torch.nn.Module" = "linear"
    ranker: "Trainable | torch.nn.Module" = "linear"
    candidate_gradient: CandidateGradient = "credit"
    ranker_gradient: RankerGradient = "plrank"
    n_candidates: int | None = None
    k: int | None = None
    n_steps: int = 400
    n_samples: int = 16
    learning_rate: float = 0.1
    module_learning_rate: float = 3e-3
    l2: float = 0.0
    batch_queries: int = 512
    held_out: float = 0.2
    eval_every: int = 20
    eval_samples: int = 128
    patience: int = 10
    safe: Safe | None = None
    random_state: int = 0
    device: str = "auto"
    precision: Precision = "float32"
    accelerator: "Accelerator | None" = field(default=None, repr=False)

    def __post_init__(self) -> None:
        choices = {"mode": Mode, "candidate_gradient": CandidateGradient, "ranker_gradient": RankerGradient}
        for name, options in {**choices, "precision": Precision}.items():
            found = getattr(self, name)
            self._require(name, found in get_args(options), f"one of {', '.join(map(repr, get_args(options)))}")
        for name in ("candidate", "ranker"):
            found = getattr(self, name)
            self._require(name, is_module(found) or found in ("linear", "table"), "'linear', 'table' or a torch module")
        for name in ("n_steps", "n_samples", "batch_queries", "eval_every", "eval_samples", "patience"):
            require_at_least_one(name, getattr(self, name))
        for name in ("learning_rate", "module_learning_rate"):
            found = getattr(self, name)
            self._require(name, is_real(found) and 0 < found < np.inf, "a finite number above 0")
        self._require("l2", is_real(self.l2) and 0 <= self.l2 < np.inf, "a finite number of at least 0")
        self._require("held_out", is_real(self.held_out) and 0 <= self.held_out < 1, "a share in [0, 1)")
        self._require("safe", self.safe is None or isinstance(self.safe, Safe), "Safe(max_ratio), or None")
        known = DEVICE.fullmatch(str(self.device)) is not None
        self._require("device", known, "'auto', 'cpu', 'mps', 'cuda' or 'cuda:<index>'")
        require_seed("random_state", self.random_state)

    def _require(self, name: str, condition: bool, expected: str) -> None:
        if not condition:
            raise ArgumentError(f"{name}={getattr(self, name)!r}; expected {expected}")

    # -- learning -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        log: ClickLog | Sequence[ClickLog],
        Xc: ArrayLike | None = None,
        Xr: ArrayLike | None = None,
        *,
        logging: Logging,
        estimator: Estimator,
        pool: Pool | None = None,
        start: "TwoStageLearner | TwoStagePolicy | None" = None,
        checkpoint: str | Path | None = None,
        resume: bool = True,
    ) -> Self:
        """Learn from a click log.

        Args:
            log: What was shown and clicked; several logs, if several policies made them.
            Xc: float [n_rows, n_features], what the generator sees of each row of the pool; None for a table.
            Xr: float [n_rows, n_features], what the ranker sees.
            logging: What made the log; see `Estimator.fit`. Of several policies the first has the sizes of the lists
                and the fixed stages.
            estimator: An estimator with `relevance_`: `ExposureIPS`, `DirectMethod`, `DoublyRobust`, ... Copies are
                fitted, one to what is learned on and one to the held-out part. Documents that the logging policy never
                shows, as far as the estimator knows, keep out of the learned policy.
            pool: The documents that can be shown. Default: those of the logging policy, or of the whole log.
            start: What to begin with, instead of zeros: a fitted learner, or for tables and fixed stages a policy.
                Beginning with stages that were learned apart can end in a poor optimum.
            checkpoint: Folder that the state is written to at every look.
            resume: Whether to go on from a state in that folder; the result is that of an uninterrupted run.

        Raises:
            ArgumentError: Arguments that do not fit each other; an estimator that estimates no relevance; `safe` with
                several logging policies.
            DataError: A log that the estimator refuses, or a checkpoint of another run.
            MissingDependencyError: A module without torch.
            IrworksError: Learning diverged.
        """
        require_relevance(estimator)
        if self.safe is not None:
            require_one_policy(logging)
        if pool is None and isinstance(log, ClickLog) and not logging_policies(logging):
            # Each part of the log shows other documents.
            pool = Pool.from_log(log)
        train, held_out = self._split(log)
        fitted = copy.deepcopy(estimator).fit(train, logging, pool=pool)
        judge = None if held_out is None else copy.deepcopy(estimator).fit(held_out, logging, pool=pool)
        problem = problem_from_estimate(fitted, logging, self.n_candidates, self.k)
        return self._learn(problem, (Xc, Xr), start, judge, checkpoint, resume)

    def fit_relevance(
        self,
        relevance: ArrayLike,
        Xc: ArrayLike | None = None,
        Xr: ArrayLike | None = None,
        *,
        rank_weights: ArrayLike,
        pool: Pool | ArrayLike | None = None,
        query_weights: ArrayLike | None = None,
        logging: TwoStagePolicy | None = None,
        start: "TwoStageLearner | TwoStagePolicy | None" = None,
        checkpoint: str | Path | None = None,
        resume: bool = True,
    ) -> Self:
        """Learn from relevance that is known, or estimated elsewhere. Nothing is held out; the last step is kept.

        Args:
            relevance: float [n_rows].
            Xc: See `fit`.
            Xr: See `fit`.
            rank_weights: float [>= k], what a relevant document is worth at each rank.
            pool: The documents, or their offsets. Default: those of `logging`.
            query_weights: float [n_queries], how often each query is asked, in any unit. Default: equally often.
            logging: The policy in production. It has sizes of the lists and fixed stages, and `safe` stays close to it.
            start: See `fit`.
            checkpoint: See `fit`.
            resume: See `fit`.

        Raises:
            ArgumentError: Arguments that do not fit each other.
        """
        problem = problem_from_relevance(
            relevance, query_weights, rank_weights, pool, logging, self.n_candidates, self.k
        )
        return self._learn(problem, (Xc, Xr), start, None, checkpoint, resume)

    def policy_for(self, pool: Pool | ArrayLike, Xc: ArrayLike, Xr: ArrayLike) -> TwoStagePolicy:
        """The learned pair on other documents, such as those of new queries.

        Args:
            pool: The documents, or their offsets.
            Xc: float [n_rows, n_features], or, where the generator was not learned from features, its scores [n_rows].
            Xr: Likewise for the ranker.

        Raises:
            ArgumentError: Before `fit`; no numbers; scores for a stage that takes features, or the other way round.
        """
        if not hasattr(self, "learned_policy_"):
            raise ArgumentError("the learner is not fitted; call fit first")
        documents = Pool.of(pool)
        candidate, ranker = _scored("Xc", self.candidate_scorer_, Xc), _scored("Xr", self.ranker_scorer_, Xr)
        learned = self.learned_policy_
        return TwoStagePolicy(candidate, ranker, learned.n_candidates, learned.k, pool=documents)

    def save(self, folder: str | Path) -> None:
        """Write the fitted learner as a folder of plain files: see `cltr_twostage.learning.files.save_learner`."""
        from cltr_twostage.learning.files import save_learner

        save_learner(self, folder)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        candidate: "torch.nn.Module | None" = None,
        ranker: "torch.nn.Module | None" = None,
    ) -> Self:
        """Read a learner that `save` wrote: see `cltr_twostage.learning.files.load_learner`."""
        from cltr_twostage.learning.files import load_learner

        learner: Self = load_learner(folder, candidate, ranker, cls)
        return learner

    # -- inside -------------------------------------------------------------------------------------------------------

    def _split(self, log: ClickLog | Sequence[ClickLog]) -> tuple[Any, Any]:
        """What is learned on, and what is held out."""
        if self.held_out == 0:
            return log, None
        rng = np.random.default_rng([self.random_state, 0, 0, 3])
        if isinstance(log, ClickLog):
            return log.split(self.held_out, rng)
        parts = [one.split(self.held_out, rng) for one in log]
        return [train for train, _ in parts], [held_out for _, held_out in parts]

    def _learn(
        self,
        problem: Problem,
        features: Features,
        start: "TwoStageLearner | TwoStagePolicy | None",
        judge: Estimator | None,
        checkpoint: str | Path | None,
        resume: bool,
    ) -> Self:
        bounds = self._bounds(problem)
        begin = _beginning(start)
        if begin.policy is not None:
            require_same_pool(begin.policy.pool, problem.pool, "start and log")
            drawn = np.isfinite(begin.policy.candidate_scores) & np.isfinite(begin.policy.ranker_scores)
            problem = replace(problem, allowed=problem.allowed & drawn)
        builder = StageBuilder(
            problem,
            begin,
            self.learning_rate,
            self.module_learning_rate,
            self.l2,
            self.device,
            self.precision,
            self.accelerator,
        )
        models: dict[StageName, StageModel] = {
            "candidate": builder.build("candidate", self._kind("candidate"), features[0]),
            "ranker": builder.build("ranker", self._kind("ranker"), features[1]),
        }
        ascent = Ascent(
            problem,
            models,
            self._gradient(problem, self.n_samples),
            Schedule(
                TURNS[self.mode], self.n_steps, self.batch_queries, self.eval_every, self.patience, self.random_state
            ),
            look=None if judge is None else self._look(judge, problem, models, bounds),
            safe=self.safe,
            logging_exposure=None if bounds is None else bounds.reference,
            checkpoint=None
            if checkpoint is None
            else Checkpoint(checkpoint, self._fingerprint(problem, features, models)),
            accelerator=self.accelerator,
        )
        learned = ascent.run(resume)
        self.history_, self.best_step_ = tuple(learned.history), learned.best_step
        self.held_out_ = judge
        if learned.still_improving() and (self.accelerator is None or self.accelerator.is_main_process):
            warnings.warn(
                f"learning stopped at n_steps={learned.step} while still improving; more steps or a larger learning "
                "rate may help",
                LearningWarning,
                stacklevel=users_level(),
            )
        self.candidate_scorer_, self.ranker_scorer_ = (models[stage].scorer() for stage in STAGES)
        self.learned_policy_: TwoStagePolicy = problem.policy(models["candidate"].scores(), models["ranker"].scores())
        self.policy_: TwoStagePolicy | MixturePolicy = self.learned_policy_
        if bounds is not None:
            self.policy_ = bounds.mixture(self.learned_policy_)
        return self

    def _bounds(self, problem: Problem) -> Bounds | None:
        if self.safe is None:
            return None
        if problem.logging is None:
            raise ArgumentError("safe learning stays close to the logging policy; expected a TwoStagePolicy as logging")
        return Bounds.around(problem.logging, problem.rank_weights, self.safe)

    def _kind(self, stage: StageName) -> "StageKind | torch.nn.Module":
        if not any(stage in turn for turn in TURNS[self.mode]):
            return "fixed"
        return self.candidate if stage == "candidate" else self.ranker

    def _gradient(self, problem: Problem, n_samples: int) -> GradientEstimator:
        return GradientEstimator(
            problem.rank_weights,
            problem.n_candidates,
            n_samples,
            self.candidate_gradient,
            self.ranker_gradient,
            "single_stage" if self.mode == "independent" else "two_stage",
        )

    def _look(
        self, judge: Estimator, problem: Problem, models: dict[StageName, StageModel], bounds: Bounds | None
    ) -> Callable[[], float]:
        """What the current models are worth on the held-out part, by what is trained for."""
        if self.mode == "independent":
            alone = self._gradient(problem, max(2, self.eval_samples))
            return look_at_stages(judge, problem, models, alone, self.random_state)
        return look_at_policy(judge, problem, models, bounds, self.eval_samples)

    def _fingerprint(self, problem: Problem, features: Features, models: dict[StageName, StageModel]) -> str:
        """Of everything that decides the run but its length."""
        settings = {
            f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("n_steps", "accelerator", "_")
        }
        kinds = {name: kind if isinstance(kind, str) else "module" for name, kind in settings.items() if name in STAGES}
        arrays = [np.asarray(X) if X is not None else None for X in features]
        begin = [models[stage].scores() for stage in STAGES]
        return fingerprint(
            repr(settings | kinds | {"sizes": (problem.n_candidates, problem.k)}),
            problem.pool.offsets,
            problem.relevance,
            problem.query_weights,
            problem.rank_weights,
            problem.allowed,
            *arrays,
            *begin,
        )


def _beginning(start: TwoStageLearner | TwoStagePolicy | None) -> Beginning:
    if start is None:
        return Beginning()
    if isinstance(start, TwoStagePolicy):
        return Beginning(start)
    if not hasattr(start, "learned_policy_"):
        raise ArgumentError("start is a learner that is not fitted; call its fit first")
    scorers: dict[StageName, Scorer | None] = {"candidate": start.candidate_scorer_, "ranker": start.ranker_scorer_}
    return Beginning(start.learned_policy_, scorers)


def _scored(name: str, scorer: Scorer | None, X: ArrayLike) -> FloatArray:
    """Scores of one stage for other documents."""
    expected = "scores [n_rows], as the stage was not learned from features" if scorer is None else "features"
    table = numbers_of(name, X, expected)
    if table.ndim != (1 if scorer is None else 2):
        raise ArgumentError(f"{name} has shape {table.shape}; expected {expected}")
    return table if scorer is None else scorer(table)
