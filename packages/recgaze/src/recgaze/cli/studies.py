"""Verbs on whole studies: make one, check one, describe one."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irworks.runtime.terminal import warnings_as_lines
from recgaze.cli.options import DataFolder, Json, Rule, RuleChoice, Seed, TaskChoice, Tasks, echo_json, load, of_task
from recgaze.cli.outputs import require_out, require_replaceable_study, study_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

    from recgaze import RecGazeDataset
    from recgaze.browse import Block, Browsing

__all__ = ["analyze", "simulate", "validate"]

# A block of this many users fits into a few hundred megabytes.
BLOCK = 87


class PatternChoice(StrEnum):
    """How simulated users look."""

    f = "f"
    uniform = "uniform"


class FormatChoice(StrEnum):
    """Files of a study."""

    csv = "csv"
    parquet = "parquet"


def simulate(
    out: Annotated[Path, typer.Option(help="Folder for the four tables.")],
    users: Annotated[int, typer.Option(min=1, help="Number of users; more than 87 are written in blocks.")] = 87,
    pattern: Annotated[PatternChoice, typer.Option(help="From the upper left, or anywhere alike.")] = PatternChoice.f,
    position_bias: Annotated[
        float, typer.Option(help="Violate the examination hypothesis: utility of the first place over the last.")
    ] = 0.0,
    satisfice: Annotated[
        float, typer.Option(min=0, max=1, help="Chance to take a poster when it is looked at, at average utility.")
    ] = 0.0,
    error: Annotated[float, typer.Option(min=0, help="Of the tracker, in pixels.")] = 20.0,
    gaps: Annotated[bool, typer.Option(help="The study's failed searches and lost clicks.")] = True,
    form: Annotated[FormatChoice, typer.Option("--format", help="Of the files.")] = FormatChoice.csv,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Simulate the study on its real screens and layout, in the published form; `about.json` says what was planted.

    The folder appears whole or not at all. A study that an earlier run wrote there is replaced; one that was changed
    since, and whatever else the folder holds, is left alone, and the command refused. By default the
    examination hypothesis holds, looks on swiped pages fall off to the right, and nobody stops at the first film that
    they like; every film stands at one place, so that in large studies the luck of the films shows.
    """
    from dataclasses import asdict

    import numpy as np

    from irworks.errors import ArgumentError
    from recgaze import Behaviour, RecGazeDataset, simulate_study

    if users > BLOCK and form is FormatChoice.csv:
        raise ArgumentError(f"--users {users} are written in blocks, as Parquet alone; add --format parquet")
    require_out(out, whole=True)
    require_replaceable_study(out)
    behaviour = Behaviour(pattern=pattern.value, position_bias=position_bias, satisfice=satisfice, error=error)
    rng = np.random.default_rng(seed)
    # The whole of it, as defaults may change: what was planted is what a method is to find.
    about = {"users": users, "gaps": gaps, "format": form.value, "seed": seed, "behaviour": asdict(behaviour)}
    with study_folder(out, about) as folder:
        if users > BLOCK:
            RecGazeDataset.save_blocks(_blocks(users, rng, behaviour, gaps), folder)
        else:
            simulate_study(users, rng=rng, behaviour=behaviour, gaps=gaps).dataset.save(folder, format=form.value)
    if as_json:
        echo_json({"out": str(out)} | about)
        return
    typer.echo(f"{users:,} users written to {out}")


def _blocks(users: int, rng: "np.random.Generator", behaviour: Any, gaps: bool) -> "Iterator[RecGazeDataset]":
    from irworks.runtime import progress
    from recgaze import simulate_study

    for first in progress(range(0, users, BLOCK), "blocks of users"):
        number = min(BLOCK, users - first)
        yield simulate_study(number, rng=rng, behaviour=behaviour, gaps=gaps, first_user=first).dataset


def validate(
    data: DataFolder,
    raw: Annotated[bool, typer.Option("--raw", help="Check the names as they are written.")] = False,
    as_json: Json = False,
) -> None:
    """Check the four tables, each and against each other. Exit status 2 if there is an error."""
    from recgaze import RecGazeDataset

    found = RecGazeDataset.load(data, normalize=not raw, check=False).validate()
    if as_json:
        errors = [str(error) for error in found.errors]
        echo_json({"ok": found.ok, "rows": found.counts, "errors": errors, "warnings": found.warnings})
    else:
        typer.echo(found.text)
    if not found.ok:
        raise typer.Exit(2)


def analyze(
    data: DataFolder,
    out: Annotated[Path | None, typer.Option(file_okay=False, help="Folder for every table as CSV.")] = None,
    task: Tasks = TaskChoice.free,
    rule: Rule = RuleChoice.closest,
    draws: Annotated[int, typer.Option(min=2, help="Of users, for the intervals.")] = 2000,
    stream: Annotated[bool, typer.Option("--stream", help="Read Parquet in blocks of users.")] = False,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """How do people browse? Maps, patterns, transitions, swipes, cursor against gaze, each with its interval."""
    from recgaze.data.writing import write_table

    require_out(out, [data])
    with warnings_as_lines():
        found = _browsing(data, task, rule, draws, stream, seed)
    if out is not None:
        for name, table in found.tables.items():
            write_table(table, out / f"{name}.csv")
    if as_json:
        echo_json({name: table.to_dict("list") for name, table in found.tables.items()})
        return
    typer.echo(found.text)
    if out is not None:
        typer.echo(f"{len(found.tables)} tables written to {out}")


def _browsing(data: Path, task: TaskChoice, rule: RuleChoice, draws: int, stream: bool, seed: int) -> "Browsing":
    import numpy as np

    from recgaze.browse import Browsing

    rng = np.random.default_rng(seed)
    if stream:
        return Browsing.of_blocks(_streamed(data, task, rule), rng=rng, n=draws)
    return Browsing.of(*_block(load(data, task), rule), rng=rng, n=draws)


def _streamed(data: Path, task: TaskChoice, rule: RuleChoice) -> "Iterator[Block]":
    from irworks.runtime import progress
    from recgaze import RecGazeDataset

    for block in progress(RecGazeDataset.stream(data), "blocks of users"):
        yield _block(of_task(block, task), rule)


def _block(data: "RecGazeDataset", rule: RuleChoice) -> "Block":
    from recgaze.browse import Block

    cursor = data.cursor() if "Cursor_AOI_type" in data.summary else None
    return Block(data.impressions(rule.value), data.fixations(rule.value), cursor, data.click_events())
