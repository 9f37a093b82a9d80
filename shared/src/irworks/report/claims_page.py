"""The report of a run: a table of all claims, then a section per package."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irworks.report.page import drawing, render
from irworks.report.tables import Column, format_number, typeset
from irworks.runtime import atomic_write

if TYPE_CHECKING:
    from irworks.claims.model import Claim
    from irworks.claims.results import ClaimResult, PackageInfo, Results

__all__ = ["claims_page", "duration", "environment_facts", "write_report"]

_ORDER = ("reproduced", "partly", "not reproduced", "not run", "errored", "pending")
_TITLE = "Papers’ claims, measured"
_FACTS = {"cpus": "Processors", "memory_gib": "Memory (GiB)"}


@dataclass(frozen=True)
class _Row:
    """A claim on the page: its words, and what there is of a result."""

    claim: "Claim | ClaimResult"
    anchor: str
    status: str
    result: "ClaimResult | None" = None
    time: str = ""
    figure: Any = None
    columns: Sequence[Column] = ()
    numbers: Sequence[tuple[str, str]] = ()
    seeds: str = ""


@dataclass(frozen=True)
class _Package:
    """A package on the page."""

    info: "PackageInfo"
    url: str
    rows: Sequence[_Row]
    tally: Sequence[tuple[int, str]]
    command: str


def write_report(results: "Results", out: str | Path) -> Path:
    """Write `index.html` under `out`.

    Args:
        results: A run, finished or under way.
        out: The folder.

    Returns:
        The page.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    path = Path(out) / "index.html"
    text = claims_page(results)
    with atomic_write(path) as handle:
        handle.write(text)
    return path


def claims_page(results: "Results") -> str:
    """Return the report of a run as one HTML page.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    packages = [_package(package, results) for package in results.packages]
    return render(
        "claims.html.j2",
        title=_TITLE,
        results=results,
        packages=packages,
        tally=_tally([row for package in packages for row in package.rows]),
        environment=environment_facts(results.environment),
    )


def _tally(rows: Sequence[_Row]) -> list[tuple[int, str]]:
    counts = Counter(row.status for row in rows)
    return [(counts[status], status) for status in _ORDER if counts[status]]


def _package(package: "PackageInfo", results: "Results") -> _Package:
    rows = [_measured_row(result) for result in results.claims if result.package == package.name]
    rows += [_pending_row(claim) for claim in results.pending if claim.package == package.name]
    # A link may not run anything: javascript: and its like are left out.
    url = package.paper.url if package.paper.url.startswith(("https://", "http://")) else ""
    # Results that another program made need not say it.
    command = package.command or f"irworks reproduce {package.name} --scale {results.scale}"
    return _Package(package, url, rows, _tally(rows), command)


def _measured_row(result: "ClaimResult") -> _Row:
    anchor = f"{result.package}-{result.id}"
    return _Row(
        claim=result,
        anchor=anchor,
        status=result.status,
        result=result,
        time=duration(result.seconds) if result.settled or result.errored else "",
        figure=_figure(result.figure, anchor, result.caption or result.says),
        columns=typeset(result.table) if result.table else [],
        numbers=[(name, format_number(value)) for name, value in result.values.items()],
        seeds=_seeds(result.seeds),
    )


def _pending_row(claim: "Claim") -> _Row:
    return _Row(claim=claim, anchor=f"{claim.package}-{claim.id}", status="pending")


# The page is written anew each time a claim finishes; the drawings of the others have not changed.
@lru_cache(maxsize=512)
def _figure(svg: str | None, prefix: str, label: str) -> Any:
    return drawing(svg, prefix, label)


def _seeds(seeds: tuple[int, ...]) -> str:
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    consecutive = seeds == tuple(range(seeds[0], seeds[0] + len(seeds))) if seeds else False
    return f"seeds {seeds[0]}–{seeds[-1]}" if consecutive else f"seeds {', '.join(map(str, seeds))}"


def duration(seconds: float) -> str:
    """Return a length of time in words: "0.8 s", "41 s", "2 min 05 s", "1 h 20 min"."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 100:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def environment_facts(environment: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what `irworks.runtime.environment` says as names and words, without what is unknown."""
    facts = []
    for name, value in environment.items():
        if text := _fact(value):
            facts.append((_FACTS.get(name, name.capitalize()), text))
    return facts


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
