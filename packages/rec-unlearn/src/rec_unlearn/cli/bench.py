"""`rec-unlearn bench`: algorithms against one another and against their controls."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rec_unlearn.cli import options as opt

MODELS, SCENARIOS = ("gru", "attention"), ("spam",)


class Engine(StrEnum):
    """Where cells run."""

    local = "local"
    ray = "ray"


def bench(
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for results.json and leaderboard.html.")],
    data: Annotated[Path | None, typer.Argument(metavar="[DATA]", help="As of train; none: a simulated world.")] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help=f"Of those of train; repeatable. Default: {', '.join(MODELS)}."),
    ] = None,
    scenario: Annotated[list[str] | None, typer.Option(help=f"Repeatable. Default: {', '.join(SCENARIOS)}.")] = None,
    algorithm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:SETTING=VALUE,...]",
            help="Repeatable, with settings. Default: the controls, and what the model allows.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds of scenario and deployed model.")] = 3,
    first_seed: Annotated[int, typer.Option(min=0, help="They count from here.")] = 0,
    users: Annotated[int, typer.Option(min=0, help="Train on so many; 0: on all but those held out.")] = 0,
    others: Annotated[int, typer.Option(min=0, help="Users held out from every model, for the attacks.")] = 200,
    requests: Annotated[int, typer.Option(min=0, help="How many; 0: as many as the scenario has by itself.")] = 0,
    epochs: Annotated[int, typer.Option(min=0, help="Of training a network; 0: as it has by itself.")] = 0,
    user_column: opt.UserColumn = "user",
    item_column: opt.ItemColumn = "item",
    time_column: opt.TimeColumn = None,
    basket_column: opt.BasketColumn = None,
    session_column: opt.SessionColumn = None,
    device: Annotated[str, typer.Option(help="What torch computes on.")] = "auto",
    jobs: Annotated[int | None, typer.Option(min=1, help="Cells at once; by default one a processor.")] = None,
    engine: Annotated[Engine, typer.Option(help="Processes of this machine, or a Ray cluster.")] = Engine.local,
    address: Annotated[str | None, typer.Option(help="Of the Ray cluster.")] = None,
    as_json: opt.Json = False,
) -> None:
    """Run a grid of models, scenarios, algorithms and seeds; what is finished is not run again."""
    from irworks.runtime.terminal import strict_json
    from rec_unlearn.bench import Cell, default_algorithms
    from rec_unlearn.bench import bench as run
    from rec_unlearn.cli.inputs import parse_algorithm

    columns = {"user": user_column, "item": item_column, "time": time_column}
    columns |= {"basket": basket_column, "session": session_column}
    cells = [
        Cell(
            one,
            what,
            seed,
            tuple(parse_algorithm(word) for word in algorithm or default_algorithms(one)),
            data="" if data is None else str(data),
            columns=tuple(columns.items()),
            users=users,
            others=others,
            requests=requests,
            epochs=epochs,
            device=device,
        )
        for one in model or MODELS
        for what in scenario or SCENARIOS
        for seed in range(first_seed, first_seed + seeds)
    ]
    board = run(
        cells,
        out,
        jobs=jobs,
        engine=engine.value,
        address=address,
        on_result=lambda line: typer.echo(line, err=True),
    )
    rows = json.loads((out / "results.json").read_text(encoding="utf-8"))["rows"]
    missing = [f"{row['model']}: {row['not_applicable']}" for row in rows if "not_applicable" in row]
    for line in dict.fromkeys(missing):
        typer.echo(line, err=True)
    if as_json:
        typer.echo(strict_json(board.to_dict(orient="records")))
        return
    shown = [name for name in ("share", "share, retrained", "log-prob., closed") if name in board]
    shown = [name for name in shown if board[name].notna().any()]
    named = ["model", *(["scenario"] if board["scenario"].nunique() > 1 else []), "algorithm"]
    typer.echo(board[[*named, *shown, "nDCG@10", "overlap", "floor", "times faster"]].round(3).to_string())
    typer.echo(f"\nThe leaderboard is {out / 'leaderboard.html'}")
