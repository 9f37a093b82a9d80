"""Which requests are served together, written down before they are."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rec_unlearn.service.durable import read_checked, remove, write_checked
from rec_unlearn.service.queue import Queued

__all__ = ["Plan", "choose", "next_limit"]

_FILE = "plan.json"
# A step serves at most so many times the requests of the one before: times measured on few do not reach further.
_GROWTH = 4


@dataclass(frozen=True)
class Plan:
    """What a step is to do.

    Attributes:
        number: Of the step.
        requests: Their ids, in the order in which they are served.
        seed: Of what the algorithm draws.
    """

    number: int
    requests: tuple[str, ...]
    seed: int

    @classmethod
    def of(cls, number: int, requests: Sequence[str], seed: int) -> "Plan":
        """Plan a step; its seed follows from that of the service, the step, and the requests."""
        text = f"{seed} {number} {' '.join(requests)}"
        return cls(number, tuple(requests), int.from_bytes(hashlib.sha256(text.encode()).digest()[:6]))

    def write(self, folder: Path) -> None:
        """Write it down, so that a step that is killed is done again as it was planned."""
        write_checked(folder / _FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> "Plan | None":
        """Read what was planned; None if nothing was."""
        path = folder / _FILE
        if not path.exists():
            return None
        planned = read_checked(path, "the plan")
        return cls(planned["number"], tuple(planned["requests"]), planned["seed"])

    @staticmethod
    def done(folder: Path) -> None:
        """Forget what was planned."""
        remove(folder / _FILE)


def choose(waiting: Sequence[Queued], limit: int | None) -> list[str]:
    """Choose what the next step serves: the most urgent request, and others that wait with it.

    A request that was undone before is served alone, so that it holds up no other.

    Args:
        waiting: The most urgent first.
        limit: How many at most.
    """
    if not waiting:
        return []
    if waiting[0].attempts:
        return [waiting[0].id]
    return [entry.id for entry in waiting if not entry.attempts][:limit]


def next_limit(served: int, seconds: float, budget_s: float | None) -> int | None:
    """How many requests fit into the budget of a step, judging by the last one; None without a budget."""
    if budget_s is None:
        return None
    fit = int(served * budget_s / max(seconds, 1e-9))
    return max(1, min(fit, _GROWTH * served))
