"""Verbs that write pages: the report, and the viewer of screens."""

from pathlib import Path
from typing import Annotated

import typer

from irworks.runtime.terminal import warnings_as_lines
from recgaze.cli.options import KINDS, DataFolder, Json, Rule, RuleChoice, Seed, TaskChoice, Tasks, echo_json, load
from recgaze.cli.outputs import require_out, study_files

__all__ = ["report", "view"]


def report(
    data: DataFolder,
    out: Annotated[Path, typer.Option(dir_okay=False, help="Page to write.")] = Path("report.html"),
    task: Tasks = TaskChoice.free,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Write one self-contained page: what was found, what it means for the order of posters, and screens to replay."""
    import numpy as np

    from recgaze.report import report as write

    require_out(out, study_files(data))
    with warnings_as_lines():
        path = write(load(data, TaskChoice.everything), out, kind=KINDS.get(task), rng=np.random.default_rng(seed))
    _say(path, as_json)


def view(
    data: DataFolder,
    out: Annotated[Path, typer.Option(dir_okay=False, help="Page to write.")] = Path("view.html"),
    user: Annotated[str | None, typer.Option(help="Id of a user; default: several.")] = None,
    screen: Annotated[int | None, typer.Option(min=1, help="Number of a screen; default: several.")] = None,
    model: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Fitted model to show beside, by `recgaze fit --out`."),
    ] = None,
    max_screens: Annotated[int | None, typer.Option(min=1, help="Most screens; default: as fit into 5 MB.")] = None,
    task: Tasks = TaskChoice.everything,
    rule: Rule = RuleChoice.closest,
    as_json: Json = False,
) -> None:
    """Write a page that replays screens: gaze, cursor, swipes and click, with a time slider."""
    from recgaze.models import load_model
    from recgaze.viewer import view as write

    require_out(out, [*study_files(data), *([] if model is None else model.rglob("*"))])
    with warnings_as_lines():
        fitted = None if model is None else load_model(model)
        study = load(data, task)
        path = write(study, user, screen, out=out, model=fitted, max_screens=max_screens, rule=rule.value)
    _say(path, as_json)


def _say(path: Path, as_json: bool) -> None:
    if as_json:
        echo_json({"page": str(path), "bytes": path.stat().st_size})
        return
    typer.echo(f"written to {path} ({path.stat().st_size / 1e6:.1f} MB)")
