"""`RequestQueue`: deletion requests on disk, from the moment they are taken in until they are served or refused."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from irworks.errors import ArgumentError, DataError
from irworks.runtime import remove_leftovers
from rec_unlearn.requests import DeletionRequest
from rec_unlearn.service.durable import Journal, lock, make_folder, read_checked, remove, sync_folder, write_checked

__all__ = ["KINDS", "Outcome", "Queued", "RequestQueue"]

KINDS = ("applied", "refused", "failed", "undone")
_FAR = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Queued:
    """What the queue knows of a request; nothing of it says whom it is about.

    Attributes:
        id: Of the request, given by the queue.
        received: When it came in.
        deadline: When it must be done; None without.
        state: "waiting", "applied" or "refused".
        attempts: How often it was tried and undone.
        step: The step of the service that served, refused or last tried it; None before.
        reason: Why it was refused or last undone, or "".
    """

    id: str
    received: datetime
    deadline: datetime | None = None
    state: Literal["waiting", "applied", "refused"] = "waiting"
    attempts: int = 0
    step: int | None = None
    reason: str = ""

    @property
    def urgency(self) -> tuple[datetime, datetime, str]:
        """What requests are sorted by: the deadline, then when they came in."""
        return self.deadline or _FAR, self.received, self.id


@dataclass(frozen=True)
class Outcome:
    """What became of a request in a step.

    Attributes:
        id: Of the request.
        kind: "applied"; "refused" as nothing can be done; "undone", and it stays in the queue; or "failed", which is
            undone once too often, so that it is refused.
        reason: Of all but the first.
    """

    id: str
    kind: Literal["applied", "refused", "failed", "undone"]
    reason: str = ""


class RequestQueue:
    """Deletion requests in a folder.

    A journal tells what happened to each request, by number. Whom a request is about stands in a file of its own, and
    only as long as the request waits: served or refused, no id of a user or an item is left. Every method that changes
    something holds a lock, so that several processes can take requests in while another serves them.

    Args:
        folder: Made if it is absent.

    Raises:
        DataError: The journal is damaged: at which line.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._payloads = self.folder / "waiting"
        make_folder(self._payloads)
        self._journal = Journal(self.folder / "journal.jsonl")
        self._entries: dict[str, Queued] = {}
        with self._alone():
            self._clear()

    def add(self, request: DeletionRequest) -> str:
        """Take a request in; when this returns, it is on disk.

        Returns:
            The id of the request.

        Raises:
            ArgumentError: An id in it is neither an integer nor a text.
        """
        return self.extend([request])[0]

    def extend(self, requests: Iterable[DeletionRequest]) -> list[str]:
        """Take several requests in, all of them or, if this does not return, none; see `add`."""
        pending = [(request, _to_payload(request)) for request in requests]
        now = datetime.now(UTC)
        with self._alone():
            taken: list[dict[str, Any]] = []
            for number, (request, payload) in enumerate(pending, len(self._entries) + 1):
                deadline = None if request.deadline is None else _utc(request.deadline).isoformat()
                received = _utc(request.received or now).isoformat()
                taken.append({"id": f"r{number:06d}", "at": received, "deadline": deadline})
                write_checked(self._payload(f"r{number:06d}"), payload, sync=False)
            sync_folder(self._payloads)
            # One line, so that a kill leaves all of them or none.
            self._write([{"event": "received", "requests": taken}] if taken else [])
        return [str(entry["id"]) for entry in taken]

    def entries(self) -> list[Queued]:
        """All requests ever taken in, in this order."""
        self._read()
        return list(self._entries.values())

    def waiting(self) -> list[Queued]:
        """Requests to be served, the most urgent first."""
        return sorted((entry for entry in self.entries() if entry.state == "waiting"), key=lambda entry: entry.urgency)

    def entry(self, request_id: str) -> Queued:
        """What is known of a request.

        Raises:
            ArgumentError: There is none with this id.
        """
        self._read()
        if request_id not in self._entries:
            raise ArgumentError(f"{self.folder} has no request {request_id!r}; it has {len(self._entries)}")
        return self._entries[request_id]

    def request(self, request_id: str) -> DeletionRequest:
        """What a waiting request asks for.

        Raises:
            ArgumentError: There is no such request, or it waits no more, so that nobody knows.
            DataError: Its file is missing or damaged.
        """
        entry = self.entry(request_id)
        if entry.state != "waiting":
            raise ArgumentError(f"{request_id} is {entry.state}: what it asked for is not kept")
        payload = read_checked(self._payload(request_id), f"request {request_id}")
        pairs = payload["pairs"] and [(user, item) for user, item in payload["pairs"]]
        return DeletionRequest(**{**payload, "pairs": pairs}, received=entry.received, deadline=entry.deadline)

    def settle(self, step: int, outcomes: Iterable[Outcome]) -> None:
        """Note what became of requests in a step, and forget what those asked for that wait no more.

        Calling it again for the same step changes nothing.
        """
        with self._alone():
            lines = []
            for outcome in outcomes:
                entry = self.entry(outcome.id)
                if entry.state == "waiting" and (entry.step is None or entry.step < step):
                    lines.append({"event": outcome.kind, "id": outcome.id, "step": step, "reason": outcome.reason})
            self._write(lines)
            self._clear()

    # -- on disk

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with lock(self.folder / "lock"):
            self._read(mend=True)
            yield

    def _read(self, *, mend: bool = False) -> None:
        before = self._journal.lines
        for number, line in enumerate(self._journal.new(mend=mend), before + 1):
            self._take(line, number)

    def _write(self, lines: list[dict[str, Any]]) -> None:
        before = self._journal.lines
        self._journal.append(lines)
        for number, line in enumerate(lines, before + 1):
            self._take(line, number)

    def _take(self, line: dict[str, Any], number: int) -> None:
        try:
            if line["event"] == "received":
                new = [_received(taken) for taken in line["requests"]]
                if any(entry.id in self._entries for entry in new):
                    raise ValueError
                self._entries |= {entry.id: entry for entry in new}
            else:
                self._entries[line["id"]] = _after(self._entries[line["id"]], line)
        except (KeyError, TypeError, ValueError):
            raise DataError(
                "no event of a queue", source=self._journal.path, row=f"line {number}", found=line.get("event")
            ) from None

    def _payload(self, request_id: str) -> Path:
        return self._payloads / f"{request_id}.json"

    def _clear(self) -> None:
        """Remove files of requests that wait no more, or that were never acknowledged because of a kill."""
        remove_leftovers(self._payloads)
        for path in self._payloads.iterdir():
            entry = self._entries.get(path.stem)
            if entry is None or entry.state != "waiting":
                remove(path)


def _received(taken: dict[str, Any]) -> Queued:
    """A request as it came in."""
    deadline = taken["deadline"]
    return Queued(taken["id"], datetime.fromisoformat(taken["at"]), deadline and datetime.fromisoformat(deadline))


def _after(entry: Queued, line: dict[str, Any]) -> Queued:
    """A request after an event."""
    kind = line["event"]
    if entry.state != "waiting":
        raise ValueError
    changed = replace(entry, step=line["step"], reason=line["reason"])
    if kind not in KINDS:
        raise ValueError
    if kind in ("failed", "undone"):
        changed = replace(changed, attempts=entry.attempts + 1)
    return changed if kind == "undone" else replace(changed, state="applied" if kind == "applied" else "refused")


def _to_payload(request: DeletionRequest) -> dict[str, Any]:
    return {
        "user": _plain(request.user),
        "items": request.items if request.items is None else [_plain(item) for item in request.items],
        "category": request.category,
        "pairs": request.pairs
        if request.pairs is None
        else [[_plain(part) for part in pair] for pair in request.pairs],
    }


def _plain(value: Any) -> int | str | None:
    if hasattr(value, "item"):
        value = value.item()
    if value is None or isinstance(value, int | str):
        return value
    raise ArgumentError(f"an id is {type(value).__name__}; expected an integer or a text, which a queue can keep")


def _utc(moment: datetime) -> datetime:
    """A moment with its zone; without one it is taken for UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
