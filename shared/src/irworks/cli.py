"""The command line of irworks: run the claims of the installed packages, see what is there, fetch data."""

import json
import signal
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irworks.errors import ArgumentError, MissingDependencyError
from irworks.runtime.terminal import run_command_line, version_callback

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from irworks.claims import ClaimSet, Discovery, Results

app = typer.Typer(
    name="irworks",
    help="Papers as libraries, and their claims as programs that you can run.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
data_app = typer.Typer(help="The small public data sets that claims and examples use.", no_args_is_help=True)
app.add_typer(data_app, name="data")


class ScaleChoice(StrEnum):
    """How large the worlds of the claims are."""

    smoke = "smoke"
    small = "small"
    full = "full"


class EngineChoice(StrEnum):
    """What runs the claims."""

    local = "local"
    ray = "ray"


def _package_names(incomplete: str) -> list[str]:
    from importlib.metadata import entry_points

    return sorted(point.name for point in entry_points(group="irworks.claims") if point.name.startswith(incomplete))


def _data_names(incomplete: str) -> list[str]:
    from irworks.data import catalog

    return [entry.name for entry in catalog.entries() if entry.name.startswith(incomplete)]


JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
DataNames = Annotated[list[str] | None, typer.Argument(metavar="NAME", autocompletion=_data_names)]


@app.callback()
def _irworks(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=version_callback("irworks"), is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Papers as libraries, and their claims as programs that you can run."""


@app.command()
def reproduce(
    packages: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PACKAGE", help="All that are installed, if none is named.", autocompletion=_package_names
        ),
    ] = None,
    claim: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this claim; may be repeated.")] = None,
    scale: Annotated[
        ScaleChoice, typer.Option(help="smoke: seconds; small: a few minutes; full: the paper's own data and sizes.")
    ] = ScaleChoice.small,
    seeds: Annotated[int | None, typer.Option(min=1, help="Seeds per claim; by default what the claim says.")] = None,
    first_seed: Annotated[
        int, typer.Option(min=0, help="The first of them: does a verdict hold with other seeds?")
    ] = 0,
    jobs: Annotated[int | None, typer.Option(min=1, help="Claims at once; by default one per processor.")] = None,
    engine: Annotated[EngineChoice, typer.Option(help="Processes on this machine, or Ray.")] = EngineChoice.local,
    address: Annotated[str | None, typer.Option(help="A Ray cluster; by default one on this machine.")] = None,
    out: Annotated[Path, typer.Option(file_okay=False, help="Where the results go.")] = Path("irworks-report"),
    resume: Annotated[bool, typer.Option("--resume", help="Keep what was measured with the same settings.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Forbid downloads.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:<index> or mps.")] = "auto",
    option: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="For the claims, such as mslr=/path; may be repeated."),
    ] = None,
) -> None:
    """Run the claims of the installed packages and write a report.

    OUT/index.html is the page, OUT/results.json and OUT/results.parquet hold the same for machines. Exit status: 0 if
    no claim failed (whatever the verdicts; one without its data counts as not run), 1 if one failed, 2 for a mistake
    on the command line.
    """
    from irworks.claims import Settings, discover, select
    from irworks.claims import reproduce as run_claims
    from irworks.claims.watch import Watch

    if address is not None and engine is not EngineChoice.ray:
        raise ArgumentError("--address is for --engine ray")
    settings = Settings(scale.value, seeds, first_seed, device, offline, _options(option or []))
    found = select(discover(packages or []), claim or [])
    _report_broken(found)
    try:
        with Watch(_console(stderr=True), sum(len(claims) for claims in found.sets)) as watch:
            results = run_claims(
                found.sets,
                out=out,
                settings=settings,
                jobs=jobs,
                engine=engine.value,
                address=address,
                resume=resume,
                broken=found.broken,
                on_event=watch,
            )
    except KeyboardInterrupt:
        typer.echo(
            f"Stopped. What has finished is in {out}; the same command with --resume goes on from there.", err=True
        )
        raise typer.Exit(130) from None
    _print_verdicts(results, out)
    raise typer.Exit(1 if results.errored else 0)


def _options(pairs: Sequence[str]) -> dict[str, str]:
    options = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise ArgumentError(f"--option takes NAME=VALUE, found {pair!r}")
        options[name] = value
    return options


def _report_broken(found: "Discovery") -> None:
    for name, error in found.broken.items():
        typer.echo(f"irworks: {name} cannot be loaded: {error.splitlines()[-1]}", err=True)


def _print_verdicts(results: "Results", out: Path) -> None:
    from irworks.claims.watch import summary_table

    console = _console()
    console.print()
    console.print(summary_table(results))
    console.print()
    for claim in results.claims:
        if claim.remedy:
            _line(console, f"{claim.id} was not run; to get what is missing: {claim.remedy}")
    _line(console, f"The report is {out / 'index.html'}")


def _line(console: "Console", text: str) -> None:
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def _console(*, stderr: bool = False) -> "Console":
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = 120
    return console


@app.command("list")
def list_claims(as_json: JsonFlag = False) -> None:
    """Show the installed packages and their claims."""
    from irworks.claims import discover

    found = discover()
    if as_json:
        _print_json({"packages": [_describe(claims) for claims in found.sets], "broken": dict(found.broken)})
        return
    _report_broken(found)
    console = _console()
    for claims in found.sets:
        _line(console, f"{claims.package}: {claims.paper.title}")
        console.print(_grid([(f"  {claim.id}", claim.says, claim.where) for claim in claims]))
        for name, text in claims.options.items():
            _line(console, f"  --option {name}=...: {text}")
    if not found.sets:
        _line(console, "No package with claims is installed; try: pip install ltr-twotower")


def _describe(claims: "ClaimSet") -> dict[str, Any]:
    from dataclasses import asdict

    fields = ("id", "says", "where", "paper", "rule", "data", "needs", "cost")
    return {
        "package": claims.package,
        "paper": asdict(claims.paper),
        "about": claims.about,
        "options": claims.options,
        "claims": [{name: getattr(claim, name) for name in fields} for claim in claims],
    }


@app.command()
def doctor(as_json: JsonFlag = False) -> None:
    """Show versions, devices and data, and what is missing; exit status 1 if a package cannot be loaded."""
    from irworks.claims.doctor import diagnose

    found = diagnose()
    if as_json:
        _print_json(found)
    else:
        _print_diagnosis(found)
    raise typer.Exit(1 if found["broken"] else 0)


def _print_diagnosis(found: dict[str, Any]) -> None:
    from irworks.report import environment_facts

    console = _console()
    facts = [*environment_facts(found["environment"]), ("Device", found["device"])]
    console.print(_grid(facts))
    console.print()
    packages = [(name, f"{count} claims") for name, count in found["packages"].items()]
    broken = [(name, f"cannot be loaded: {error.splitlines()[-1]}") for name, error in found["broken"].items()]
    console.print(_grid([*packages, *broken]))
    console.print()
    console.print(_grid([(e["name"], e["use"], "found" if e["found"] else e["command"]) for e in found["extras"]]))
    console.print()
    console.print(
        _grid([(entry["name"], entry["title"], entry["path"] or entry["command"]) for entry in found["data"]])
    )


def _grid(rows: Sequence[tuple[str, ...]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 3, 0, 0))
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    return grid


def _print_json(data: Any) -> None:
    typer.echo(json.dumps(data, indent=2, ensure_ascii=False))


@data_app.command("list")
def list_data(as_json: JsonFlag = False) -> None:
    """Show the data sets: what they are, under which licence, how large, and who uses them."""
    from dataclasses import asdict

    from irworks.data import catalog

    if as_json:
        _print_json([{**asdict(entry), "size": entry.size} for entry in catalog.entries()])
        return
    rows = [(e.name, e.title, e.licence, _size(e.size), ", ".join(e.used_by)) for e in catalog.entries()]
    _console().print(_grid([("name", "title", "licence", "size", "used by"), *rows]))


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e5 else f"{count / 1e3:.1f} kB"


@data_app.command("get")
def get_data(
    names: DataNames = None,
    everything: Annotated[bool, typer.Option("--all", help="All data sets.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Forbid downloads: only say where it is.")] = False,
) -> None:
    """Make sure that data sets are here, downloading them if need be, and print their folders."""
    from irworks.data import catalog

    if bool(names) == everything:
        raise ArgumentError("name the data sets to get, or pass --all")
    for name in names or [entry.name for entry in catalog.entries()]:
        folder = catalog.get(name, offline=offline, announce=lambda text: typer.echo(text, err=True))
        typer.echo(f"{name}: {folder}")


@data_app.command("verify")
def verify_data(names: DataNames = None) -> None:
    """Compare the files of data sets with the checksums of the catalogue; exit status 1 if something is wrong."""
    from irworks.data import catalog

    problems = 0
    for name in names or [entry.name for entry in catalog.entries()]:
        found = catalog.verify(name)
        problems += len(found)
        typer.echo("\n".join(f"{name}: {problem}" for problem in found) or f"{name}: as published")
    raise typer.Exit(1 if problems else 0)


def main() -> None:
    """Run the command line; an error of irworks or of the file system is one sentence on standard error."""
    # So that a polite `kill` unwinds the stack: half-written files go, child processes are stopped.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    run_command_line(app, "irworks", mistakes=(ArgumentError, MissingDependencyError))


if __name__ == "__main__":
    main()
