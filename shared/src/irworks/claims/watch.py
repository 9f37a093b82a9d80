"""What a person sees of a run on the terminal: a line per finished claim, and live what is under way."""

import time
from typing import TYPE_CHECKING

from irworks.claims.model import Claim
from irworks.claims.results import ClaimResult, Results
from irworks.claims.runner import Event
from irworks.report import duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

__all__ = ["Watch", "summary_table"]

_COLOURS = {
    "reproduced": "green",
    "partly": "yellow",
    "not reproduced": "red",
    "not run": "bright_black",
    "errored": "magenta",
}


class Watch:
    """Shows the events of a run; a context manager.

    On a terminal, finished claims scroll by above a live list of those under way; elsewhere only finished claims are
    written, a line each.

    Args:
        console: Where to show it.
        total: How many claims there are.
    """

    def __init__(self, console: "Console", total: int) -> None:
        from rich.live import Live

        self._console, self._total = console, total
        self._done = 0
        self._running: dict[tuple[str, str], float] = {}
        self._end: float | None = None
        self._live = Live(console=console, get_renderable=self._under_way, refresh_per_second=4, transient=True)

    def __enter__(self) -> "Watch":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take note of an event and show it."""
        if event.seconds_left is not None:
            self._end = time.monotonic() + event.seconds_left
        if event.kind == "notice":
            self._print(event.text)
        elif event.claim is not None and event.kind == "started":
            self._running[_key(event.claim)] = time.monotonic()
        elif event.claim is not None and event.result is not None:
            self._ended(event.claim, event.result, reused=event.kind == "reused")

    def _ended(self, claim: Claim, result: ClaimResult, *, reused: bool) -> None:
        from rich.text import Text

        self._running.pop(_key(claim), None)
        self._done += 1
        words = result.measured or result.reason
        time_taken = "kept from before" if reused else duration(result.seconds)
        self._print(
            Text.assemble(
                f"[{self._done:>{len(str(self._total))}}/{self._total}] {claim.package} {claim.id}: ",
                (result.status, _COLOURS[result.status]),
                f" ({time_taken}) ",
                (words, "dim"),
            )
        )

    def _print(self, line: "RenderableType") -> None:
        self._console.print(line, soft_wrap=not self._console.is_terminal, markup=False, highlight=False)

    def _under_way(self) -> "RenderableType":
        from rich.table import Table

        now = time.monotonic()
        grid = Table.grid(padding=(0, 2))
        for (package, claim_id), started in list(self._running.items()):
            grid.add_row("  …", f"{package} {claim_id}", duration(now - started))
        grid.add_row("", f"{self._done} of {self._total} claims done", self._time_left(now))
        return grid

    def _time_left(self, now: float) -> str:
        if self._end is None or self._done == self._total:
            return ""
        left = self._end - now
        return f"about {duration(left)} left" if left >= 1 else "a little longer than expected"


def _key(claim: Claim) -> tuple[str, str]:
    return claim.package, claim.id


def summary_table(results: Results) -> "Table":
    """Return the verdicts of a run as a table for the terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("package", no_wrap=True)
    table.add_column("claim")
    table.add_column("verdict", no_wrap=True)
    table.add_column("measured", ratio=1)
    table.add_column("time", justify="right", no_wrap=True)
    for claim in results.claims:
        verdict = Text(claim.status, style=_COLOURS[claim.status])
        took = duration(claim.seconds) if claim.settled or claim.errored else ""
        table.add_row(claim.package, claim.id, verdict, Text(claim.measured or claim.reason), took)
    return table
