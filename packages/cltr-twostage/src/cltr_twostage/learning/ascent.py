"""The learning loop: samples lists, follows the gradient of one stage or of both, keeps the best that it saw."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cltr_twostage.learning.checkpoint import Checkpoint, nested, unnested
from cltr_twostage.learning.models import StageModel
from cltr_twostage.learning.objective import GradientEstimator, StageName, UtilityGradient
from cltr_twostage.learning.problem import Problem
from cltr_twostage.learning.safe import ExposureTracker, Safe
from irworks.errors import IrworksError
from irworks.runtime import progress

if TYPE_CHECKING:
    from accelerate import Accelerator

__all__ = ["Ascent", "Learned", "LearningWarning", "Progress", "Schedule"]

logger = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]
LongArray = NDArray[np.int64]
State = dict[str, NDArray[np.generic]]
Models = dict[StageName, StageModel]

STAGES: tuple[StageName, StageName] = ("candidate", "ranker")


class LearningWarning(UserWarning):
    """Learning ended at its last step while it was still improving."""


@dataclass(frozen=True)
class Schedule:
    """When what is done.

    Attributes:
        turns: The stages that each step trains, in turn.
        n_steps: Most steps.
        batch_queries: Queries of a step.
        eval_every: Steps between two looks at the held-out part.
        patience: Looks without improvement after which learning ends.
        seed: Of everything.
    """

    turns: tuple[tuple[StageName, ...], ...]
    n_steps: int
    batch_queries: int
    eval_every: int
    patience: int
    seed: int


@dataclass(frozen=True)
class Progress:
    """One look at the policy while it was learned.

    Attributes:
        step: Number of steps made.
        objective: Mean of the training objective over the steps since the last look; NaN before the first step.
        held_out: Estimate on the held-out part of the log; NaN where there is none.
    """

    step: int
    objective: float
    held_out: float


@dataclass(eq=False)
class Learned:
    """Where learning stands.

    Attributes:
        step: Number of steps made.
        history: The looks so far.
        best_step: The step whose policy looked best; the last one where nothing is held out.
        best_value: How it looked.
        best: State of the models at that step.
    """

    step: int = 0
    history: list[Progress] = field(default_factory=list)
    best_step: int = 0
    best_value: float = -math.inf
    best: dict[StageName, State] = field(default_factory=dict)

    def waited(self) -> int:
        """Looks since the best one."""
        return sum(look.step > self.best_step for look in self.history)

    def still_improving(self) -> bool:
        """Whether more steps would likely have helped.

        So if the last look at the held-out part was the best one, and the last quarter of the steps brought more than a
        twentieth of the whole improvement and more than 1% of the value: less is what settling, or noise, brings too.
        """
        if self.step == 0 or self.best_step != self.step or not math.isfinite(self.best_value):
            return False
        before = max(look.held_out for look in self.history if look.step <= 0.75 * self.step)
        enough = max(0.05 * (self.best_value - self.history[0].held_out), 0.01 * abs(self.best_value))
        return self.best_value - before > enough


@dataclass(eq=False)
class Ascent:
    """A run of the learning loop.

    Attributes:
        problem: What is to be learned.
        models: The stages.
        estimator: Of the gradient.
        schedule: When what is done.
        look: Value of the current models on held-out data; None where nothing is held out.
        safe: Bounds on exposure; None for none.
        logging_exposure: float64 [n_rows], what `safe` stays close to.
        checkpoint: Where the run can be resumed from.
        accelerator: Of several processes, each of which has a share of the queries of a step.
    """

    problem: Problem
    models: Models
    estimator: GradientEstimator
    schedule: Schedule
    look: Callable[[], float] | None = None
    safe: Safe | None = None
    logging_exposure: FloatArray | None = None
    checkpoint: Checkpoint | None = None
    accelerator: "Accelerator | None" = None

    def __post_init__(self) -> None:
        self._asked = np.flatnonzero(self.problem.query_weights > 0)
        self._tracker: ExposureTracker | None = None
        # A stage that learns alone does not move the exposure that is bounded.
        if self.safe is not None and self.logging_exposure is not None and self.estimator.objective == "two_stage":
            self._tracker = ExposureTracker(self.logging_exposure, self.safe.momentum)
        self._batch_size = min(self.schedule.batch_queries, len(self._asked))

    def run(self, resume: bool) -> Learned:
        """Learn, and leave the models at their best."""
        learned, schedule = self._start(resume), self.schedule
        values: list[float] = []
        for step in progress(range(learned.step, schedule.n_steps), "learning", total=schedule.n_steps - learned.step):
            if learned.waited() >= schedule.patience:
                break
            values.append(self._step(step))
            learned.step = step + 1
            due = learned.step % schedule.eval_every == 0
            if due or learned.step == schedule.n_steps:
                # A longer run has no look at a last step between two: it must not find one in the checkpoint.
                self._take_a_look(learned, values, keep=due)
                values = []
        for stage in STAGES:
            self.models[stage].load(learned.best[stage])
        return learned

    # -- one step -----------------------------------------------------------------------------------------------------

    def _step(self, step: int) -> float:
        turn = self.schedule.turns[step % len(self.schedule.turns)]
        process, processes = self._process()
        queries = self._batch(step)
        own = np.array_split(queries, processes)[process]
        rows, bounds = self.problem.rows_of(own)
        rng = np.random.default_rng([self.schedule.seed, step, process, 1])
        candidate, ranker = (self._scores(stage, stage in turn, rows, int(rng.integers(2**62))) for stage in STAGES)
        # Each query stands for those that are not in the batch too.
        share = self.problem.query_weights[own] * (len(self._asked) / len(queries))
        result = self.estimator.estimate_unchecked(candidate, ranker, self._rewards(rows), share, bounds, rng, turn)
        value = self._ascend(result, queries, rows, turn)
        if not math.isfinite(value):
            raise IrworksError(f"learning diverged: the objective is {value} at step {step + 1}; lower learning_rate")
        return value

    def _process(self) -> tuple[int, int]:
        if self.accelerator is None:
            return 0, 1
        return self.accelerator.process_index, self.accelerator.num_processes

    def _batch(self, step: int) -> LongArray:
        """The queries of a step: each once in a pass, in an order that only the seed and the pass decide."""
        if self._batch_size == len(self._asked):
            return self._asked
        # All stages of a turn see the same queries.
        turn = step // len(self.schedule.turns)
        per_pass = len(self._asked) // self._batch_size
        order = np.random.default_rng([self.schedule.seed, turn // per_pass, 0, 2]).permutation(self._asked)
        begin = turn % per_pass * self._batch_size
        return np.sort(order[begin : begin + self._batch_size])

    def _scores(self, stage: StageName, trained: bool, rows: LongArray, seed: int) -> FloatArray:
        model = self.models[stage]
        scores = model.open(rows, seed) if trained else model.scores_of(rows)
        return np.where(self.problem.allowed[rows], scores, -np.inf)

    def _rewards(self, rows: LongArray) -> FloatArray:
        relevance = self.problem.relevance[rows]
        if self.safe is None or self._tracker is None:
            return relevance
        return self.safe.masked(relevance, self._tracker.exposure(rows), self._tracker.reference[rows])

    def _ascend(
        self, result: UtilityGradient, queries: LongArray, rows: LongArray, turn: tuple[StageName, ...]
    ) -> float:
        columns = [result.gradients[stage] for stage in turn] + [result.exposure]
        everyone, value, shared = self._shared(queries, rows, result.value, columns)
        if self._tracker is not None:
            self._tracker.update(everyone, shared[-1])
        for number, stage in enumerate(turn):
            model = self.models[stage]
            if model.sharded:
                model.ascend(rows, columns[number])
            else:
                model.ascend(everyone, shared[number])
        return value

    def _shared(
        self, queries: LongArray, rows: LongArray, value: float, columns: list[FloatArray]
    ) -> tuple[LongArray, float, list[FloatArray]]:
        """Rows, value and columns of the whole batch, from the part of it that each process has."""
        if self.accelerator is None or self.accelerator.num_processes == 1:
            return rows, value, columns
        import torch

        everyone, _ = self.problem.rows_of(queries)
        begin = int(np.searchsorted(everyone, rows[0])) if len(rows) else 0
        packed = np.zeros((len(columns), len(everyone) + 1))
        packed[:, begin : begin + len(rows)] = columns
        packed[0, -1] = value
        summed = self.accelerator.reduce(torch.as_tensor(packed, device=self.accelerator.device), "sum").cpu().numpy()
        return everyone, float(summed[0, -1]), list(summed[:, :-1])

    # -- looks and checkpoints ----------------------------------------------------------------------------------------

    def _take_a_look(self, learned: Learned, values: list[float], *, keep: bool = True) -> None:
        held_out = math.nan if self.look is None else self.look()
        objective = float(np.mean(values)) if values else math.nan
        learned.history.append(Progress(learned.step, objective, held_out))
        logger.debug("step %d: objective %.6f, held out %.6f", learned.step, objective, held_out)
        if self.look is None or held_out > learned.best_value:
            learned.best_step, learned.best_value = learned.step, held_out
            learned.best = {stage: self.models[stage].state() for stage in STAGES}
        if keep and self.checkpoint is not None and self._process()[0] == 0:
            self.checkpoint.save(self._state(learned))

    def _start(self, resume: bool) -> Learned:
        state = self.checkpoint.load() if self.checkpoint is not None and resume else None
        if self.accelerator is not None:
            # No process may write before all have read.
            self.accelerator.wait_for_everyone()
        learned = Learned()
        if state is None:
            self._take_a_look(learned, [])
            return learned
        for stage in STAGES:
            self.models[stage].load(unnested(stage, state))
            learned.best[stage] = unnested(f"best/{stage}", state)
        if self._tracker is not None:
            self._tracker.total = np.array(state["exposure/total"], dtype=np.float64)
            self._tracker.weight = np.array(state["exposure/weight"], dtype=np.float64)
        learned.step, learned.best_step = int(state["step"]), int(state["best_step"])
        learned.best_value = float(state["best_value"])
        learned.history = [Progress(int(step), objective, look) for step, objective, look in state["history"].tolist()]
        return learned

    def _state(self, learned: Learned) -> State:
        state: State = {
            "step": np.asarray(learned.step),
            "best_step": np.asarray(learned.best_step),
            "best_value": np.asarray(learned.best_value),
            "history": np.array([(look.step, look.objective, look.held_out) for look in learned.history]),
        }
        if self._tracker is not None:
            state |= {"exposure/total": self._tracker.total, "exposure/weight": self._tracker.weight}
        for stage in STAGES:
            state |= nested(stage, self.models[stage].state()) | nested(f"best/{stage}", learned.best[stage])
        return state
