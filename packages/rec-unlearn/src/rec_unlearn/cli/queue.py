"""`rec-unlearn queue`: requests that come one after the other."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from rec_unlearn.cli import options as opt

queue = typer.Typer(
    help="Requests that come one after the other, served from a folder that survives kills.", no_args_is_help=True
)
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", file_okay=False, help="Of the service.")]


@queue.command()
def init(
    folder: Folder,
    model: opt.ModelPath,
    data: opt.DataPath,
    algorithm: opt.Algorithm = "auto",
    settings: opt.Settings = None,
    budget: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="How long a step may take; so many requests go into it.")
    ] = None,
    max_batch: Annotated[int | None, typer.Option(help="Most requests in a step.")] = None,
    drift_budget: Annotated[
        float | None,
        typer.Option(metavar="SHARE", help="Advise to retrain when overlap@10 with the deployed model falls below."),
    ] = None,
    probe_users: Annotated[int, typer.Option(min=0, help="Users on whom drift is measured.")] = 200,
    user_column: opt.UserColumn = "user",
    item_column: opt.ItemColumn = "item",
    time_column: opt.TimeColumn = None,
    basket_column: opt.BasketColumn = None,
    session_column: opt.SessionColumn = None,
    other_data: opt.OtherData = False,
    seed: opt.Seed = 0,
) -> None:
    """Set a service up in a new folder, with copies of a model and its data."""
    from irworks.runtime.terminal import warnings_as_lines
    from rec_unlearn.cli.inputs import (
        Columns,
        load_model,
        make_algorithm,
        not_applicable_as_sentence,
        parse_settings,
    )
    from rec_unlearn.cli.outputs import require_no_service
    from rec_unlearn.service import UnlearningService

    require_no_service(folder)
    chosen = make_algorithm(algorithm, parse_settings(settings or []))
    with warnings_as_lines(), not_applicable_as_sentence():
        log = Columns(user_column, item_column, time_column, basket_column, session_column).read(data)
        service = UnlearningService(
            folder,
            model=load_model(model, log, other_data=other_data),
            log=log,
            algorithm=chosen,
            budget_s=budget,
            max_batch=max_batch,
            drift_budget=drift_budget,
            probe_users=probe_users,
            seed=seed,
        )
    with service:
        typer.echo(f"{folder} is ready: {service.config.algorithm} on {log!r}")


@queue.command()
def add(
    folder: Folder,
    user: opt.Users = None,
    item: opt.Items = None,
    users_from: Annotated[
        Path | None, typer.Option(dir_okay=False, exists=True, help="File with the id of a user on each line.")
    ] = None,
    deadline: Annotated[datetime | None, typer.Option(help="When it must be done, in UTC.")] = None,
) -> None:
    """Take requests in; prints the id of each."""
    from rec_unlearn.cli.inputs import requests_for
    from rec_unlearn.service import RequestQueue
    from rec_unlearn.service.config import ServiceConfig

    config = ServiceConfig.read(folder)
    users = list(user or [])
    if users_from is not None:
        users += [line for line in users_from.read_text(encoding="utf-8").splitlines() if line.strip()]
    integers = (config.user_ids == "integer", config.item_ids == "integer")
    for request_id in RequestQueue(folder / "queue").extend(requests_for(users, item, *integers, deadline=deadline)):
        typer.echo(request_id)


@queue.command()
def run(
    folder: Folder,
    max_steps: Annotated[int | None, typer.Option(min=1, help="Stop after so many steps.")] = None,
    as_json: opt.Json = False,
) -> None:
    """Serve waiting requests until none is left. Killed, it goes on from where it was when it is run again."""
    from irworks.runtime.terminal import strict_json, warnings_as_lines
    from rec_unlearn.cli.inputs import not_applicable_as_sentence
    from rec_unlearn.service import UnlearningService
    from rec_unlearn.service.config import ServiceConfig

    ServiceConfig.read(folder)
    with warnings_as_lines(), not_applicable_as_sentence(), UnlearningService(folder) as service:
        steps = 0
        while (max_steps is None or steps < max_steps) and (served := service.run(max_steps=1)):
            steps += 1
            if not as_json:
                typer.echo(str(served[0]))
                for outcome in served[0].outcomes:
                    if outcome.reason:
                        typer.echo(f"  {outcome.id} {outcome.kind}: {outcome.reason}")
        found = service.status()
    typer.echo(strict_json(found.to_json()) if as_json else str(found))


@queue.command()
def status(folder: Folder, as_json: opt.Json = False) -> None:
    """How it stands, what it advises, and what still holds data."""
    from irworks.runtime.terminal import strict_json
    from rec_unlearn.service import read_status

    found = read_status(folder)
    typer.echo(strict_json(found.to_json()) if as_json else str(found))


@queue.command()
def verify(folder: Folder) -> None:
    """Whether the record is as it was written. Exit status 1: it is not, and where it breaks is said."""
    from rec_unlearn.service import verify_record

    found = verify_record(folder)
    typer.echo(str(found))
    if not found.ok:
        raise typer.Exit(1)


@queue.command()
def removed(
    folder: Folder,
    user: Annotated[str | None, typer.Option(metavar="ID", help="Of an account.")] = None,
    item: Annotated[str | None, typer.Option(metavar="ID", help="Of an item.")] = None,
) -> None:
    """Whether the record holds the removal of an account, an item, or an item of a user. Exit status 1: it does not."""
    from rec_unlearn.cli.inputs import typed
    from rec_unlearn.service import RemovalRecord
    from rec_unlearn.service.config import ServiceConfig

    config = ServiceConfig.read(folder)
    who = None if user is None else typed(user, config.user_ids == "integer", "user")
    what = None if item is None else typed(item, config.item_ids == "integer", "item")
    found = RemovalRecord(folder / "record.jsonl").was_removed(who, what)
    typer.echo("removed" if found else "not removed, as far as this record knows")
    if not found:
        raise typer.Exit(1)
