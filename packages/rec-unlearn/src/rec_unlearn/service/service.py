"""`UnlearningService`: serves deletion requests one step after the other, and survives a kill at any point."""

import copy
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from irworks.errors import DataError
from irworks.runtime import remove_leftovers
from rec_unlearn.algorithms import Algorithm, NotApplicableError
from rec_unlearn.data import Interactions, UnknownIdError
from rec_unlearn.data.fingerprint import OtherDataWarning, difference, stand_for
from rec_unlearn.data.store import forget_ids
from rec_unlearn.protocols import Recommender
from rec_unlearn.requests import DeletionRequest, EmptyRequestError, resolve
from rec_unlearn.service.algorithm_state import restore_state, state_of
from rec_unlearn.service.checkpoint import MODEL, Checkpoint, Checkpoints, ModelStore, Parts
from rec_unlearn.service.config import ServiceConfig, first_config, plain, stored_algorithm
from rec_unlearn.service.durable import lock, make_folder
from rec_unlearn.service.plan import Plan, choose, next_limit
from rec_unlearn.service.probe import Probe
from rec_unlearn.service.queue import KINDS, Outcome, RequestQueue
from rec_unlearn.service.record import RemovalRecord, SaltDestroyedError, Verification
from rec_unlearn.service.status import Status, read_status, verify_record
from rec_unlearn.snapshot import stored_copies
from rec_unlearn.unlearn import Report, choose_algorithm, unlearn

__all__ = ["Served", "UnlearningService"]

# Of a report, what goes into the record: nothing that tells how one user's interactions were.
_RECORDED = ("algorithm", "exact", "rows", "users", "touched", "step_norm", "seconds", "cpu_seconds", "settings")


@dataclass(frozen=True)
class Served:
    """What a step did.

    Attributes:
        step: Its number.
        outcomes: What became of each request.
        report: Of `unlearn`; None if no request could be served.
        overlap: Overlap@10 with the deployed model afterwards; None without probe users.
    """

    step: int
    outcomes: tuple[Outcome, ...]
    report: Report | None
    overlap: float | None

    def ids(self, kind: str) -> list[str]:
        """Ids of requests of which this became; see `Outcome`."""
        return [outcome.id for outcome in self.outcomes if outcome.kind == kind]

    def __str__(self) -> str:
        counts = ", ".join(f"{len(self.ids(kind))} {kind}" for kind in KINDS if self.ids(kind))
        return f"step {self.step}: {counts}{'' if self.report is None else f'; {self.report}'}"


class UnlearningService:
    """Serves the requests of a queue on one model, in a folder that holds all that is needed to go on after a kill.

    A step is planned on disk, then done in memory, and counts from the moment its checkpoint gets its name: model,
    remaining log, what the algorithm keeps, and outcome of each request, in one rename. The record and the journal
    follow from the checkpoint. A step that was killed is done again as planned, with the same seed, so that no request
    is lost or served twice, and the weights are those of a run without kills. With `budget_s`, how many requests go
    into later steps depends on measured times.

    Opened for the first time, a folder needs `model` and `log`; they are copied. Later it goes on from what it holds,
    and the two are not looked at; other values of the settings that are given take the place of the former ones.

    Args:
        folder: Of the service; one process at a time works on it.
        model: As deployed.
        log: What it was trained on.
        algorithm: As of `unlearn`.
        budget_s: See `ServiceConfig`, as `max_batch`, `max_attempts`, `drift_budget` and `seed`.
        probe_users: On whom drift is measured: how many to draw, or ids; fixed at the first opening.
        categories: The items of each category, for requests that name one.
        store: Writes and reads a model of one's own; see `ModelStore`.

    Warns:
        OtherDataWarning: A model that is handed in does not stand for the log.

    Raises:
        LockedError: Another process works on the folder.
        NotApplicableError: The algorithm keeps something that no checkpoint can hold.
        DataError: Something in the folder is damaged: what and where.
    """

    algorithm: Algorithm
    _unused: Algorithm
    _found: Checkpoint
    _parts: Parts
    _probe: Probe

    def __init__(
        self,
        folder: str | Path,
        *,
        model: Recommender | None = None,
        log: Interactions | None = None,
        algorithm: str | Algorithm = "auto",
        budget_s: float | None = None,
        drift_budget: float | None = None,
        probe_users: int | Iterable[object] = 200,
        max_batch: int | None = None,
        max_attempts: int | None = None,
        categories: Mapping[str, Iterable[Any]] | None = None,
        seed: int | None = None,
        store: ModelStore | None = None,
    ) -> None:
        self.folder = Path(folder)
        make_folder(self.folder)
        self.categories = dict(categories or {})
        self._held = ExitStack()
        self._held.enter_context(lock(self.folder / "lock", wait=False))
        try:
            remove_leftovers(self.folder, recursive=False)
            self.queue = RequestQueue(self.folder / "queue")
            self.record = RemovalRecord(self.folder / "record.jsonl")
            self._checkpoints = Checkpoints(self.folder / "checkpoints", store)
            knobs = {"budget_s": budget_s, "drift_budget": drift_budget}
            knobs |= {"max_batch": max_batch, "max_attempts": max_attempts}
            found = self._checkpoints.latest()
            if found is None:
                if model is None or log is None:
                    raise DataError("no service is here yet", source=self.folder, hint="Give a model and a log")
                self._begin_with(choose_algorithm(model, algorithm))
                self.config = first_config(self.algorithm, log, seed or 0).changed(**knobs)
                self.config.write(self.folder)
                found = self._begin(model, log, probe_users)
            else:
                stored = ServiceConfig.read(self.folder)
                self._begin_with(stored_algorithm(stored, algorithm, seed, self.folder))
                self.config = stored.changed(**knobs)
                if self.config != stored:
                    self.config.write(self.folder)
            self._settle(found)
            self._load(found)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let other processes work on the folder."""
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def model(self) -> Recommender:
        """As it is now."""
        return self._parts.model

    @property
    def log(self) -> Interactions:
        """What has not been removed."""
        return self._parts.log

    # -- what one does with it

    def submit(self, request: DeletionRequest | Iterable[DeletionRequest]) -> list[str]:
        """Take requests in; when this returns, they are on disk.

        Returns:
            Their ids, for `queue.entry`.

        Raises:
            ArgumentError: A category is not known, or an id is neither an integer nor a text.
        """
        requests = [request] if isinstance(request, DeletionRequest) else list(request)
        for one in requests:
            if one.category is not None and one.category not in self.categories:
                raise UnknownIdError(f"there is no category {one.category!r}; the service was opened without it")
        return self.queue.extend(requests)

    def run(self, *, max_steps: int | None = None) -> list[Served]:
        """Serve requests until none waits, or for so many steps.

        Raises:
            NotApplicableError: The model lacks what the algorithm needs; the requests wait.
        """
        served: list[Served] = []
        while max_steps is None or len(served) < max_steps:
            step = self._step()
            if step is None:
                break
            served.append(step)
        return served

    def status(self) -> Status:
        """How it stands, with advice."""
        return read_status(self.folder)

    def verify(self) -> Verification:
        """Whether the record is as it was written, to its end; see `RemovalRecord.verify`."""
        return verify_record(self.folder)

    def deploy(self, model: Recommender) -> None:
        """Put a model that was trained on `log` in the place of the one that drifted; drift is counted from it."""
        _check_data(model, self.log)
        Plan.done(self.folder)
        self._renew({})
        number = self._found.number + 1
        self.algorithm.prepare(model, self.log, np.random.default_rng([self.config.seed, number]))
        self._probe = Probe.of(model, self.log, self._probe.users)
        self._parts = Parts(model, self.log, {})
        self._commit(number, {"kind": "deployed"}, overlap=self._probe.overlap(model, self.log))
        self._load(self._found)

    # -- a step

    def _step(self) -> Served | None:
        plan = Plan.read(self.folder) or self._plan()
        if plan is None:
            return None
        if plan.number != self._found.number + 1:
            source, expected = self.folder / "plan.json", f"step {self._found.number + 1}"
            raise DataError("the plan is for another step", source=source, found=plan.number, expected=expected)
        requests, outcomes = self._resolved(plan)
        report, overlap = None, self._found.about["overlap"]
        subjects: dict[str, Any] = {}
        if requests:
            report, reason = self._unlearn(list(requests.values()), plan.seed)
            if reason:
                outcomes += [self._undone(request_id, reason) for request_id in requests]
            else:
                subjects = {request_id: self._subjects(request) for request_id, request in requests.items()}
                outcomes += [Outcome(request_id, "applied") for request_id in requests]
        if report is not None and report.applied:
            log = forget_ids(report.log)
            self._probe = self._probe.without(self.log, log)
            self._parts = Parts(self.model, log, {})
            overlap = self._probe.overlap(self.model, log)
        facts = {
            "kind": "step",
            "requests": [
                {"id": outcome.id, "outcome": outcome.kind, "reason": outcome.reason, **subjects.get(outcome.id, {})}
                for outcome in outcomes
            ],
        }
        self._commit(plan.number, facts, overlap=overlap, report=report, outcomes=outcomes)
        return Served(plan.number, tuple(outcomes), report, overlap)

    def _plan(self) -> Plan | None:
        limit = None
        if self.config.budget_s is not None:
            limit = self._found.about["limit"] or 1
        if self.config.max_batch is not None:
            limit = min(limit or self.config.max_batch, self.config.max_batch)
        chosen = choose(self.queue.waiting(), limit)
        if not chosen:
            return None
        plan = Plan.of(self._found.number + 1, chosen, self.config.seed)
        plan.write(self.folder)
        return plan

    def _resolved(self, plan: Plan) -> tuple[dict[str, DeletionRequest], list[Outcome]]:
        """Requests of a plan that the log can serve, and the refusals of the others; reasons name no ids."""
        requests: dict[str, DeletionRequest] = {}
        refused = []
        for request_id in plan.requests:
            request = self.queue.request(request_id)
            try:
                resolve(request, self.log, categories=self.categories)
            except UnknownIdError:
                reason = "it names a user, an item or a category not known here"
                if request.user is not None and self._gone(request.user):
                    reason = "the account was removed before"
                refused.append(Outcome(request_id, "refused", reason))
            except EmptyRequestError:
                refused.append(Outcome(request_id, "refused", "the log holds nothing of what it asks for"))
            else:
                requests[request_id] = request
        return requests, refused

    def _gone(self, user: object) -> bool:
        try:
            return self.record.was_removed(user)
        except SaltDestroyedError:
            return False

    def _unlearn(self, requests: Sequence[DeletionRequest], seed: int) -> tuple[Report | None, str]:
        """Take a step; if it was undone, everything is as in the checkpoint, and the reason is given."""
        try:
            report = unlearn(
                self.model,
                requests,
                log=self.log,
                algorithm=self.algorithm,
                categories=self.categories,
                seed=seed,
            )
        except (NotApplicableError, MemoryError, OSError):
            self._load(self._found)
            raise
        except Exception as error:
            # Whatever went wrong for these requests, others can be served; the message may hold ids.
            self._load(self._found)
            return None, f"{type(error).__name__} in {self.algorithm.name}"
        if not report.applied:
            self._load(self._found)
        return report, report.reason

    def _undone(self, request_id: str, reason: str) -> Outcome:
        attempts = self.queue.entry(request_id).attempts + 1
        if attempts < self.config.max_attempts:
            return Outcome(request_id, "undone", reason)
        return Outcome(request_id, "failed", f"undone {attempts} times, at last: {reason}")

    def _subjects(self, request: DeletionRequest) -> dict[str, Any]:
        if request.category is not None:
            known = set(self.log.item_ids.tolist())
            items = [item for item in self.categories[request.category] if item in known]
            request = DeletionRequest(user=request.user, items=items)
        salt, subjects = self.record.subjects(request)
        return {"salt": salt, "subjects": subjects}

    # -- on disk

    def _begin(self, model: Recommender, log: Interactions, probe_users: int | Iterable[object]) -> Checkpoint:
        _check_data(model, log)
        self.algorithm.prepare(model, log, np.random.default_rng([self.config.seed, 0]))
        self._probe = Probe.choose(model, log, probe_users, self.config.seed)
        self._parts = Parts(model, log, {})
        return self._commit(0, {"kind": "started"}, overlap=self._probe.overlap(model, log))

    def _commit(
        self,
        number: int,
        facts: dict[str, Any],
        *,
        overlap: float | None,
        report: Report | None = None,
        outcomes: Sequence[Outcome] = (),
    ) -> Checkpoint:
        before = None if number == 0 else self._found.about
        about: dict[str, Any] = {
            "limit": before and before["limit"],
            "seconds": before and before["seconds"],
            "served": 0 if before is None else before["served"],
            "overlap": overlap,
            "rows": len(self.log),
            "stored_copies": list(stored_copies(self.model)),
            "outcomes": [vars(outcome) for outcome in outcomes],
        }
        if report is not None:
            served = sum(outcome.kind != "refused" for outcome in outcomes) or 1
            about |= {"seconds": report.seconds, "served": served}
            about["limit"] = next_limit(served, report.seconds, self.config.budget_s)
            written = report.to_json()
            facts = {**facts, **{name: written[name] for name in _RECORDED}}

        def describe(files: dict[str, str]) -> dict[str, Any]:
            digests = {"model_before": before and before["files"][MODEL], "model_after": files[MODEL]}
            now = datetime.now(UTC).isoformat(timespec="seconds")
            entry = self.record.entry(plain({"step": number, "at": now, **facts, **digests, "overlap": overlap}))
            return {**plain(about), "entry": entry}

        arrays = {**self._probe.arrays(), **{f"algorithm/{k}": v for k, v in state_of(self.algorithm).items()}}
        self._found = self._checkpoints.write(number, self._parts._replace(arrays=arrays), describe)
        self._settle(self._found)
        self._renew(arrays)
        return self._found

    def _settle(self, checkpoint: Checkpoint) -> None:
        """Let the record, the journal, and what is to be forgotten follow the checkpoint; again, after a kill."""
        self.record.append(checkpoint.about["entry"])
        self.queue.settle(checkpoint.number, [Outcome(**outcome) for outcome in checkpoint.about["outcomes"]])
        plan = Plan.read(self.folder)
        if plan is not None and plan.number <= checkpoint.number:
            Plan.done(self.folder)
        self._checkpoints.clear(checkpoint)

    def _load(self, checkpoint: Checkpoint) -> None:
        self._found = checkpoint
        self._parts = self._checkpoints.read(checkpoint)
        self._probe = Probe.from_arrays(self._parts.arrays)
        self._renew(self._parts.arrays)

    def _begin_with(self, algorithm: Algorithm) -> None:
        self._unused, self.algorithm = algorithm, copy.deepcopy(algorithm)

    def _renew(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Let the algorithm know what a checkpoint holds of it and no more, as after a kill, before every step.

        So what it keeps without saying so, such as a cache of draws, cannot make a difference.
        """
        self.algorithm = copy.deepcopy(self._unused)
        kept = {name.removeprefix("algorithm/"): v for name, v in arrays.items() if name.startswith("algorithm/")}
        if kept:
            restore_state(self.algorithm, kept)


def _check_data(model: Recommender, log: Interactions) -> None:
    if other := difference(model, log):
        warnings.warn(other, OtherDataWarning, stacklevel=4)
        # Said once is enough: each step would say it again.
        stand_for(model, log)
