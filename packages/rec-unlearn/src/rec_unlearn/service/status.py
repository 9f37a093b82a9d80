"""How a service stands, read from its folder, also while another process is at work there."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from irworks.errors import DataError
from rec_unlearn.service.checkpoint import MODEL, Checkpoint, Checkpoints
from rec_unlearn.service.config import ServiceConfig
from rec_unlearn.service.queue import Queued, RequestQueue
from rec_unlearn.service.record import RemovalRecord, Verification

__all__ = ["Status", "read_status", "verify_record"]


@dataclass(frozen=True)
class Status:
    """How a service stands.

    Attributes:
        steps: How many it has taken.
        waiting: Requests to be served.
        applied: Requests served.
        refused: Requests refused.
        overdue: Waiting requests whose deadline has passed.
        algorithm: What unlearns.
        exact: Whether it is exact.
        overlap: Mean overlap of the first 10 with the deployed model on the probe users; None without.
        seconds: How long the last step that removed something took; None before.
        model: The file of the model as it is now.
        model_digest: Its SHA-256.
        advice: What to do, a sentence each; empty if all is well.
        stored_copies: What still holds interactions or ids, a sentence each.
    """

    steps: int
    waiting: int
    applied: int
    refused: int
    overdue: int
    algorithm: str
    exact: bool
    overlap: float | None
    seconds: float | None
    model: str
    model_digest: str
    advice: tuple[str, ...]
    stored_copies: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    def __str__(self) -> str:
        how = "exact" if self.exact else "approximate"
        lines = [
            f"{self.steps} steps by {self.algorithm} ({how}): {self.applied} requests applied, "
            f"{self.refused} refused, {self.waiting} waiting, {self.overdue} of them overdue",
            "drift: not measured"
            if self.overlap is None
            else f"overlap@10 with the deployed model: {self.overlap:.3f}",
            *(f"advice: {sentence}" for sentence in self.advice),
            *(f"still holds data: {sentence}" for sentence in self.stored_copies),
        ]
        return "\n".join(lines)


def read_status(folder: str | Path) -> Status:
    """Read how a service stands; nothing is changed, and no model is loaded.

    Raises:
        DataError: There is none in the folder, or it is damaged.
    """
    root = Path(folder)
    config = ServiceConfig.read(root)
    checkpoint = _latest(Checkpoints(root / "checkpoints"), root)
    entries = RequestQueue(root / "queue").entries()
    waiting = [entry for entry in entries if entry.state == "waiting"]
    now = datetime.now(UTC)
    overdue = [entry for entry in waiting if entry.deadline is not None and entry.deadline < now]
    about = checkpoint.about
    return Status(
        steps=checkpoint.number,
        waiting=len(waiting),
        applied=sum(entry.state == "applied" for entry in entries),
        refused=sum(entry.state == "refused" for entry in entries),
        overdue=len(overdue),
        algorithm=config.algorithm,
        exact=config.exact,
        overlap=about["overlap"],
        seconds=about["seconds"],
        model=str(checkpoint.folder / MODEL),
        model_digest=about["files"][MODEL],
        advice=tuple(_advice(config, about, entries, len(overdue))),
        stored_copies=(*about["stored_copies"], *_copies(root, about["rows"], len(waiting))),
    )


def verify_record(folder: str | Path) -> Verification:
    """Whether the record of a service is as it was written, to the end that its checkpoint names."""
    root = Path(folder)
    checkpoint = _latest(Checkpoints(root / "checkpoints"), root)
    found = RemovalRecord(root / "record.jsonl").verify()
    if found.ok and found.head != checkpoint.about["entry"]["hash"]:
        return Verification(found.lines, found.head, "it does not end where the checkpoint says")
    return found


def _latest(checkpoints: Checkpoints, root: Path) -> Checkpoint:
    # Another process may replace a checkpoint between looking for it and reading it.
    for _ in range(5):
        try:
            checkpoint = checkpoints.latest()
            break
        except DataError as error:
            last = error
    else:
        raise last
    if checkpoint is None:
        # For its error, where nothing is here at all.
        ServiceConfig.read(root)
        raise DataError("the service was not set up to the end", source=root, hint="Make it again")
    return checkpoint


def _advice(config: ServiceConfig, about: dict[str, Any], entries: list[Queued], overdue: int) -> list[str]:
    advice = []
    overlap, seconds = about["overlap"], about["seconds"]
    # What was removed exactly is as retrained already, however different it is.
    budget = None if config.exact else config.drift_budget
    if budget is not None and overlap is not None and overlap < budget:
        advice.append(
            f"retrain on the remaining log and deploy that: overlap@10 with the deployed model is {overlap:.3f}, "
            f"below the budget of {budget:g}"
        )
    if overdue:
        advice.append(f"{overdue} requests wait past their deadline: run the service")
    if config.budget_s is not None and seconds is not None and seconds > config.budget_s and about["served"] == 1:
        advice.append(f"one request took {seconds:.2f} s, more than the budget of {config.budget_s:g} s")
    failed = [entry.id for entry in entries if entry.state == "refused" and entry.attempts]
    if failed:
        some = ", ".join(failed[:5]) + (", ..." if len(failed) > 5 else "")
        advice.append(
            f"{len(failed)} requests were given up after every step for them was undone ({some}): their rows are still "
            "in the log and in the model; retrain without them (who sent them knows whom they are about)"
        )
    return advice


def _copies(root: Path, rows: int, waiting: int) -> list[str]:
    copies = [f"the checkpoint keeps the remaining log, {rows:,} rows; what was removed is gone from it, ids included"]
    if waiting:
        copies.append(f"the queue keeps the ids that {waiting} waiting requests name, until they are served")
    if (root / "salt").exists():
        copies.append(
            "the record tells whoever asks for an id whether it was removed, until its salt is destroyed: "
            f"{root / 'salt'}"
        )
    copies.append(
        "not touched by any of this: the tables the model was trained from, features and exports made of them, "
        "backups, and copies of earlier models, such as the one being served"
    )
    return copies
