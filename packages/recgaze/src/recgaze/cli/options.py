"""Arguments that several verbs have."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recgaze import study

if TYPE_CHECKING:
    from recgaze import RecGazeDataset

__all__ = [
    "KINDS",
    "DataFolder",
    "Json",
    "Rule",
    "RuleChoice",
    "Seed",
    "TaskChoice",
    "Tasks",
    "echo_json",
    "load",
    "of_task",
    "refuse",
]


class TaskChoice(StrEnum):
    """Kinds of screens."""

    free = "free"
    semi_free = "semi-free"
    direct = "direct"
    everything = "all"


KINDS: dict[TaskChoice, study.TaskKind] = {
    TaskChoice.free: "free",
    TaskChoice.semi_free: "semi_free",
    TaskChoice.direct: "direct",
}


class RuleChoice(StrEnum):
    """Rules by which fixations get their area."""

    closest = "closest"
    strict = "strict"


DataFolder = Annotated[
    Path,
    typer.Argument(metavar="DATA", help="Folder with summary_feedback, click_feedback, item_features, user_features."),
]
Tasks = Annotated[TaskChoice, typer.Option("--task", help="Screens to look at.")]
Rule = Annotated[
    RuleChoice, typer.Option("--rule", help="A fixation beside all areas: the closest within 60 pixels, or background.")
]
Seed = Annotated[int, typer.Option(min=0, help="Of everything random.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def load(folder: Path, task: TaskChoice) -> "RecGazeDataset":
    """Read a study, and keep the screens of one kind."""
    from recgaze import RecGazeDataset

    return of_task(RecGazeDataset.load(folder), task)


def of_task(data: "RecGazeDataset", task: TaskChoice) -> "RecGazeDataset":
    """The screens of one kind."""
    return data.task(KINDS[task]) if task in KINDS else data


def refuse(options: dict[str, Any], what: str, because: str) -> None:
    """Raise an ArgumentError if options were given that would have no effect.

    Args:
        options: By name; None: not given.
        what: What has no use for them.
        because: Why, in words.
    """
    from irworks.errors import ArgumentError

    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ArgumentError(f"{what} has no {' and no '.join(given)}; {because}")


def echo_json(payload: Any) -> None:
    """Print a payload as strict JSON."""
    from irworks.runtime.terminal import strict_json

    typer.echo(strict_json(payload))
