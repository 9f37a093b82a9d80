"""One trial: a model, a stream of requests, the controls, and an algorithm that serves them one after the other."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from irworks.errors import ArgumentError
from irworks.runtime import progress
from rec_unlearn.algorithms.base import Algorithm
from rec_unlearn.audit.audit import measures
from rec_unlearn.audit.canary import canary_auc
from rec_unlearn.audit.floor import Measured
from rec_unlearn.data import Interactions, Split, leave_last_out
from rec_unlearn.evaluate import ndcg, overlap
from rec_unlearn.protocols import Recommender
from rec_unlearn.requests import Removal, resolve
from rec_unlearn.scenarios import Scenario
from rec_unlearn.unlearn import unlearn

__all__ = ["Controls", "Trial", "make_controls", "serve"]

Row: TypeAlias = dict[str, Any]
Train: TypeAlias = Callable[[Interactions, int], Recommender]


@dataclass(frozen=True)
class Trial:
    """What algorithms are compared on.

    Attributes:
        scenario: Log and requests; the log holds what models are trained on.
        split: Histories and what came after, of real users; the histories must be the log's.
        train: Trains a model on a log from a seed.
        others: Rows of users whom no model sees, for the attacks; None leaves these out.
        seed: Of the deployed model.
        other_seeds: Of the retrained models that show the noise, at least one.
        checkpoints: After which shares of the requests is measured.
        n_references: Models for the likelihood-ratio attack, trained on what is left after all requests.
        probes: How many real users, drawn once, recommendations are measured on; None: all.
    """

    scenario: Scenario
    split: Split
    train: Train
    others: Interactions | None = None
    seed: int = 0
    other_seeds: tuple[int, ...] = (1000, 1001)
    checkpoints: tuple[float, ...] = (1.0,)
    n_references: int = 0
    probes: int | None = None

    def __post_init__(self) -> None:
        if not self.other_seeds:
            raise ArgumentError("other_seeds is empty; without a second seed nothing shows the noise")
        if not self.checkpoints or any(not 0 < share <= 1 for share in self.checkpoints):
            raise ArgumentError(f"checkpoints={self.checkpoints}; expected shares in (0, 1]")

    @property
    def stops(self) -> list[int]:
        """After how many requests is measured, ascending."""
        n = len(self.scenario.requests)
        return sorted({max(1, round(share * n)) for share in self.checkpoints})


@dataclass(frozen=True)
class Controls:
    """Models that every algorithm is compared with.

    Attributes:
        untouched: The deployed model.
        retrained: For each stop, models trained on what is left: the first with the deployed model's seed.
        references: For the likelihood-ratio attack.
        train_seconds: Processor time of one training.
        removals: For each stop, what is gone by then.
        users: Codes of the users that recommendations are measured on.
    """

    untouched: Recommender
    retrained: Mapping[int, Sequence[Recommender]]
    references: Sequence[Recommender]
    train_seconds: float
    removals: Mapping[int, Removal]
    users: Any = field(repr=False)


def make_controls(trial: Trial) -> Controls:
    """Train the deployed model and what it is compared with."""
    scenario, seconds = trial.scenario, []

    def train(log: Interactions, seed: int) -> Recommender:
        started = time.process_time()
        model = trial.train(log, seed)
        seconds.append(time.process_time() - started)
        return model

    untouched = train(scenario.log, trial.seed)
    removals = {stop: resolve(scenario.requests[:stop], scenario.log) for stop in trial.stops}
    retrained = {
        stop: [train(removals[stop].after, seed) for seed in (trial.seed, *trial.other_seeds)]
        for stop in progress(trial.stops, "retrained models")
    }
    last = removals[trial.stops[-1]]
    references = [train(last.after, 2000 + trial.seed + number) for number in range(trial.n_references)]
    users = scenario.users
    if trial.probes is not None and trial.probes < len(users):
        users = np.sort(np.random.default_rng(trial.seed).choice(users, trial.probes, replace=False))
    return Controls(untouched, retrained, references, float(np.median(seconds)), removals, users)


def serve(trial: Trial, controls: Controls, algorithm: Algorithm, *, seed: int = 0) -> list[Row]:
    """Let an algorithm serve the requests one after the other, on a copy of the deployed model.

    Args:
        trial: The trial.
        controls: Of this trial.
        algorithm: Fresh, without state from another trial.
        seed: Of what it draws.

    Returns:
        A row a stop: how many requests, nDCG@10 with that of the retrained models, agreement with the retrained model
        beside the floor, processor seconds a request and to prepare, and for each measure of the audit the value, the
        share of the gap that is closed, and the verdict.
    """
    scenario, model, log = trial.scenario, copy.deepcopy(controls.untouched), trial.scenario.log
    started = time.process_time()
    algorithm.prepare(model, log, np.random.default_rng(seed))
    prepared = time.process_time() - started
    rows: list[Row] = []
    seconds: list[float] = []
    undone = 0
    for number, request in enumerate(progress(scenario.requests[: trial.stops[-1]], algorithm.name), start=1):
        report = unlearn(model, request, log=log, algorithm=algorithm, seed=seed + number)
        # What cannot be undone in the model is gone from the data all the same.
        log = resolve(request, log).after
        seconds.append(report.cpu_seconds)
        undone += not report.applied
        if number in trial.stops:
            row = measure(trial, controls, model, number)
            rows.append(
                {
                    "algorithm": algorithm.name,
                    **row,
                    "seconds": float(np.mean(seconds)),
                    "seconds_median": float(np.median(seconds)),
                    "prepare_seconds": prepared,
                    "train_seconds": controls.train_seconds,
                    "undone": undone,
                }
            )
    return rows


def measure(trial: Trial, controls: Controls, model: Recommender, stop: int) -> Row:
    """All measures of a model after so many requests."""
    removal, retrained, users = controls.removals[stop], controls.retrained[stop], controls.users
    row: Row = {"requests": stop, "ndcg": float(ndcg(model, trial.split).mean())}
    row["ndcg_retrained"] = [float(ndcg(one, trial.split).mean()) for one in retrained]
    row["overlap"] = float(overlap(model, retrained[0], removal.after, users).mean())
    row["overlap_floor"] = [float(overlap(retrained[0], one, removal.after, users).mean()) for one in retrained[1:]]
    wanted = measures(removal, users, trial.scenario.targets, controls.references, trial.others)
    if len(trial.scenario.pairs):
        wanted["AUC of the canaries"] = lambda m: (
            canary_auc(m, trial.split.train, users[:30], trial.scenario.pairs, trial.scenario.controls)[0].value
        )
    for name, of in wanted.items():
        found = Measured(name, of(model), of(controls.untouched), tuple(of(one) for one in retrained))
        row[name] = {
            "value": found.value,
            "untouched": found.untouched,
            "retrained": list(found.retrained),
            "closed": found.closed,
            "verdict": found.verdict,
        }
    return row


def split_of(log: Interactions) -> tuple[Interactions, Split]:
    """The log to train on, and the split that recommendations are measured by: each user's last step is held out."""
    split = leave_last_out(log)
    return split.train, split
