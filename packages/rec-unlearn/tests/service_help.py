"""A small log, a model of numbers with a store of its own, an algorithm that draws and remembers, and kills."""

import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from rec_unlearn import DeletionRequest
from rec_unlearn.algorithms import Access, Algorithm, Step
from rec_unlearn.data import Interactions
from rec_unlearn.service import Queued, UnlearningService


def small_log(users: int = 40, items: int = 12, rows: int = 6, seed: int = 0) -> Interactions:
    """Users "person-000", ... with rows in single steps."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), rows)
    return Interactions(
        user=user,
        item=rng.integers(0, items, len(user)),
        sequence=user,
        step=np.tile(np.arange(rows), users),
        user_ids=np.array([f"person-{code:03d}" for code in range(users)], dtype=object),
        item_ids=np.arange(100, 100 + items),
        name="small",
    )


class Numbers:
    """Scores by the items of a history times a matrix."""

    def __init__(self, weights: np.ndarray) -> None:
        self.weights = weights

    @classmethod
    def drawn(cls, log: Interactions, seed: int = 1) -> "Numbers":
        return cls(np.random.default_rng(seed).normal(size=(log.n_items, log.n_items)))

    def scores(self, log: Interactions, users: Any) -> np.ndarray:
        return log.matrix(users) @ self.weights


class NumbersStore:
    def save(self, model: Any, path: Path) -> None:
        with path.open("wb") as handle:
            np.save(handle, model.weights)

    def load(self, path: Path) -> Numbers:
        return Numbers(np.load(path))


@dataclass(repr=False)
class Drift(Algorithm):
    """Moves by a drawn step with momentum: without the same seeds and the same moments, other weights come out."""

    length: float = 1e-3
    poison: str | None = None

    momentum_: np.ndarray | None = field(default=None, init=False)
    calls_: list[float] = field(default_factory=list, init=False)

    name: ClassVar[str] = "drift"
    access: ClassVar[Access] = Access(state=True)

    def apply(self, model: Any, removal: Any, rng: np.random.Generator) -> Step:
        self.calls_.append(float(len(removal)))
        drawn = rng.normal(size=model.weights.shape)
        self.momentum_ = drawn if self.momentum_ is None else 0.9 * self.momentum_ + drawn
        if self.poison is not None and self.poison in removal.before.user_ids[removal.users].tolist():
            raise FloatingPointError("the step has length inf")
        model.weights += self.length * len(self.calls_) * self.momentum_
        return Step(model.weights.size, float(np.linalg.norm(self.momentum_)))


def opened(folder: Path, *, length: float = 1e-3, poison: str | None = None, **options: Any) -> UnlearningService:
    """A service of `Drift` on `Numbers`, steps of three requests."""
    log = small_log()
    options = {"max_batch": 3, "probe_users": 10, **options}
    return UnlearningService(
        folder,
        model=Numbers.drawn(log),
        log=log,
        algorithm=Drift(length, poison),
        store=NumbersStore(),
        **options,
    )


def requests() -> list[DeletionRequest]:
    """Ten: accounts, items of a user, a user twice, a stranger, one whose steps are always undone."""
    log = small_log()
    item = int(log.item_ids[log.items_of(20)[0]])
    whole = [DeletionRequest(user=f"person-{code:03d}") for code in (3, 5, 7, 9, 11)]
    other = [DeletionRequest(user="person-020", items=[item]), DeletionRequest(user="person-003")]
    return [*whole, *other, DeletionRequest(user="stranger-1"), DeletionRequest(user="person-030"), whole[0]]


def life(folder: Path) -> tuple[np.ndarray, np.ndarray, list[Queued]]:
    """A service from its first day to its last, whatever was done of it before."""
    with opened(folder, poison="person-030") as service:
        if not service.queue.entries():
            service.submit(requests())
        service.run()
        return service.model.weights, service.algorithm.momentum_, service.queue.entries()


def without_times(entries: list[Queued]) -> list[tuple[object, ...]]:
    return [(entry.id, entry.state, entry.attempts, entry.step, entry.reason) for entry in entries]


def outcomes(folder: Path) -> list[tuple[str, str, int]]:
    lines = [json.loads(line) for line in (folder / "record.jsonl").read_text().splitlines()]
    return [(r["id"], r["outcome"], line["step"]) for line in lines for r in line.get("requests", ())]


def in_child(work: Callable[[], object], before: Callable[[str, int], object] | None = None) -> int:
    """Run something in a forked process; tell `before` of each operation on files. Returns the exit status."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    try:
        if before is not None:
            watch(before)
        work()
        os._exit(0)
    except BaseException as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.stderr.flush()
        os._exit(1)


def watch(before: Callable[[str, int], object]) -> None:
    """Call `before(operation, descriptor or -1)` ahead of each operation that can change a file, for good."""
    plain = os.fsync
    events = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "fcntl.flock"}

    def fsync(descriptor: int) -> None:
        before("fsync", descriptor)
        plain(descriptor)

    os.fsync = fsync
    sys.addaudithook(lambda event, _: before(event, -1) if event in events else None)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def writes_journal(operation: str, descriptor: int) -> bool:
    """Whether an operation ends the writing of a line of a journal or record."""
    return operation == "fsync" and Path(f"/proc/self/fd/{descriptor}").readlink().suffix == ".jsonl"


class KillAt:
    """Kill this process ahead of its n-th operation on files; a journal that is being written is torn first."""

    def __init__(self, n: int, tear: int = 0) -> None:
        self.left, self.tear = n, tear

    def __call__(self, operation: str, descriptor: int) -> None:
        self.left -= 1
        if self.left > 0:
            return
        self.left = 1 << 60
        if self.tear and writes_journal(operation, descriptor):
            size = os.fstat(descriptor).st_size
            os.ftruncate(descriptor, max(size - self.tear, 0))
        kill()


def bytes_under(folder: Path) -> bytes:
    """All names and contents of files under a folder, with texts of UTF-32 arrays readable."""
    parts = []
    for path in sorted(folder.rglob("*")):
        parts.append(str(path.relative_to(folder)).encode())
        if path.is_file():
            content = path.read_bytes()
            parts += [content, content.replace(b"\0", b"")]
    return b"\n".join(parts)
