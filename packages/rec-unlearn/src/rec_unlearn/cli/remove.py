"""`rec-unlearn remove`: one removal, from model and data."""

from pathlib import Path
from typing import Annotated

import typer

from rec_unlearn.cli import options as opt


def remove(
    model: opt.ModelPath,
    data: opt.DataPath,
    out: Annotated[
        Path, typer.Option(file_okay=False, help="New folder for model.npz, log.npz (the data left) and report.json.")
    ],
    user: opt.Users = None,
    item: opt.Items = None,
    algorithm: opt.Algorithm = "auto",
    settings: opt.Settings = None,
    user_column: opt.UserColumn = "user",
    item_column: opt.ItemColumn = "item",
    time_column: opt.TimeColumn = None,
    basket_column: opt.BasketColumn = None,
    session_column: opt.SessionColumn = None,
    other_data: opt.OtherData = False,
    seed: opt.Seed = 0,
    as_json: opt.Json = False,
) -> None:
    """Remove accounts, items of users, or items of everybody from a model and from its data.

    Exit status 1: the step was undone, and nothing is written.
    """
    from irworks.runtime import atomic_folder, atomic_write
    from irworks.runtime.outputs import require_apart
    from irworks.runtime.terminal import strict_json, warnings_as_lines
    from rec_unlearn.cli.inputs import (
        Columns,
        load_model,
        make_algorithm,
        not_applicable_as_sentence,
        parse_settings,
        requests_for,
    )
    from rec_unlearn.cli.outputs import require_new_folder
    from rec_unlearn.data.store import has_integers
    from rec_unlearn.data.store import save as save_log
    from rec_unlearn.models.store import save
    from rec_unlearn.unlearn import unlearn

    require_apart(out, [model, data])
    require_new_folder(out)
    chosen = make_algorithm(algorithm, parse_settings(settings or []))
    with warnings_as_lines(), not_applicable_as_sentence():
        log = Columns(user_column, item_column, time_column, basket_column, session_column).read(data)
        requests = requests_for(user or [], item, has_integers(log.user_ids), has_integers(log.item_ids))
        trained = load_model(model, log, other_data=other_data)
        report = unlearn(trained, requests, log=log, algorithm=chosen, seed=seed)
    facts = report.to_json()
    if report.applied:
        with atomic_folder(out) as folder:
            save(trained, folder / "model.npz")
            save_log(report.log, folder / "log.npz")
            with atomic_write(folder / "report.json") as handle:
                handle.write(strict_json(facts))
    if as_json:
        typer.echo(strict_json({**facts, "out": str(out) if report.applied else None}))
    else:
        typer.echo(str(report))
        for name, value in (("step", report.step_norm), ("loss of them before", report.loss_before)):
            if value == value:
                typer.echo(f"  {name}: {value:.4g}")
        if report.loss_after == report.loss_after:
            typer.echo(f"  loss of them after: {report.loss_after:.4g}")
        for sentence in report.stored_copies:
            typer.echo(f"  {sentence}")
        if report.applied:
            typer.echo(f"written to {out}: model.npz, log.npz; {model} and {data} still hold what was removed")
    if not report.applied:
        raise typer.Exit(1)
