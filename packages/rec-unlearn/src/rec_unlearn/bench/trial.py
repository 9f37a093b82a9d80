"""One trial: a model, a stream of requests, the controls, and an algorithm that serves them one after the other."""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from irworks.runtime import progress
from rec_unlearn.algorithms.base import Algorithm
from rec_unlearn.audit.audit import Measure, measures
from rec_unlearn.audit.canary import canary_auc
from rec_unlearn.audit.floor import Measured
from rec_unlearn.data import Interactions, Split
from rec_unlearn.data.fingerprint import stand_for
from rec_unlearn.evaluate import ndcg, overlap
from rec_unlearn.protocols import Recommender
from rec_unlearn.requests import Removal, resolve
from rec_unlearn.scenarios import Scenario
from rec_unlearn.unlearn import unlearn

__all__ = ["Controls", "Stop", "Trial", "make_controls", "measure", "serve", "split_for"]

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
        once: Whether nobody takes an item twice, so that nDCG leaves out what a user has.
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
    once: bool = False

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
class Stop:
    """What every algorithm is compared with after so many requests.

    Attributes:
        removal: What is gone by then.
        retrained: Models trained on what is left: the first with the deployed model's seed.
        measures: What is looked at, by name.
        measured: The untouched model beside the retrained ones, by name.
        ndcg: nDCG@10 of the retrained models.
        floor: Agreement of the first retrained model with the others.
    """

    removal: Removal
    retrained: Sequence[Recommender]
    measures: Mapping[str, Measure]
    measured: Mapping[str, Measured]
    ndcg: tuple[float, ...]
    floor: tuple[float, ...]


@dataclass(frozen=True)
class Controls:
    """Models that every algorithm is compared with.

    Attributes:
        untouched: The deployed model.
        stops: By number of requests.
        train_seconds: Processor time of one training.
        users: int32, codes of the users that recommendations are measured on.
    """

    untouched: Recommender
    stops: Mapping[int, Stop]
    train_seconds: float
    users: NDArray[np.int32] = field(repr=False)


def make_controls(trial: Trial) -> Controls:
    """Train the deployed model and what it is compared with."""
    scenario, seconds = trial.scenario, []

    def train(log: Interactions, seed: int) -> Recommender:
        started = time.process_time()
        model = trial.train(log, seed)
        seconds.append(time.process_time() - started)
        return model

    untouched = train(scenario.log, trial.seed)
    users = scenario.users
    if trial.probes is not None and trial.probes < len(users):
        users = np.sort(np.random.default_rng(trial.seed).choice(users, trial.probes, replace=False))
    everything = resolve(scenario.requests[: trial.stops[-1]], scenario.log).after
    references = [train(everything, 2000 + trial.seed + number) for number in range(trial.n_references)]
    stops = {}
    for number in progress(trial.stops, "retrained models"):
        removal = resolve(scenario.requests[:number], scenario.log)
        retrained = [train(removal.after, seed) for seed in (trial.seed, *trial.other_seeds)]
        wanted = measures(removal, users, scenario.targets, references, trial.others)
        if len(scenario.pairs):
            wanted["AUC of the canaries"] = Measure(partial(_canaries, trial, users[:30]), 0.02)
        stops[number] = Stop(
            removal,
            retrained,
            wanted,
            {name: one.compare(name, untouched, untouched, retrained) for name, one in wanted.items()},
            tuple(float(ndcg(one, trial.split, exclude_seen=trial.once).mean()) for one in retrained),
            tuple(float(overlap(retrained[0], one, removal.after, users).mean()) for one in retrained[1:]),
        )
    return Controls(untouched, stops, float(np.median(seconds)), users)


def _canaries(trial: Trial, users: NDArray[np.int32], model: Recommender) -> float:
    scenario = trial.scenario
    return canary_auc(model, trial.split.train, users, scenario.pairs, scenario.controls)[0].value


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
        log = report.log
        if not report.applied:
            # What stays in the model is gone from the data all the same.
            log = resolve(request, log).after
            stand_for(model, log)
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


def measure(trial: Trial, controls: Controls, model: Recommender, number: int) -> Row:
    """All measures of a model after so many requests, as `serve` gives them."""
    stop = controls.stops[number]
    row: Row = {
        "requests": number,
        "ndcg": float(ndcg(model, trial.split, exclude_seen=trial.once).mean()),
        "ndcg_retrained": list(stop.ndcg),
        "overlap": float(overlap(model, stop.retrained[0], stop.removal.after, controls.users).mean()),
        "overlap_floor": list(stop.floor),
    }
    for name, one in stop.measures.items():
        found = replace(stop.measured[name], value=one.of(model))
        row[name] = {
            "value": found.value,
            "untouched": found.untouched,
            "retrained": list(found.retrained),
            "closed": found.closed,
            "verdict": found.verdict,
        }
    return row


def split_for(scenario: Scenario, test: Interactions) -> Split:
    """The split of a scenario: its log as histories, and what its real users did afterwards.

    Args:
        scenario: Made from the histories of `test`, perhaps with more users.
        test: What came after the histories.
    """
    known = replace(test, user_ids=scenario.log.user_ids)
    return Split(scenario.log, known.of_users(np.intersect1d(scenario.users, test.active_users)))
