"""`rec-unlearn train`: a model to remove something from."""

from pathlib import Path
from typing import Annotated

import typer

from rec_unlearn.cli import options as opt


def train(
    data: opt.DataPath,
    model: opt.ModelName,
    out: Annotated[Path, typer.Option(dir_okay=False, help="File for the model: .npz.")],
    settings: opt.Settings = None,
    user_column: opt.UserColumn = "user",
    item_column: opt.ItemColumn = "item",
    time_column: opt.TimeColumn = None,
    basket_column: opt.BasketColumn = None,
    session_column: opt.SessionColumn = None,
    validate: Annotated[
        bool, typer.Option(help="First train without everybody's last step, and say how well that is predicted.")
    ] = True,
    seed: opt.Seed = 0,
    as_json: opt.Json = False,
) -> None:
    """Train a recommender on interactions, and write it as one file."""
    import time

    import numpy as np

    from irworks.runtime.outputs import require_apart
    from irworks.runtime.terminal import strict_json, warnings_as_lines
    from rec_unlearn.cli.inputs import Columns, parse_settings
    from rec_unlearn.cli.outputs import require_model_or_new
    from rec_unlearn.data import leave_last_out
    from rec_unlearn.evaluate import ndcg
    from rec_unlearn.models.registry import MODELS, make_model
    from rec_unlearn.models.store import save

    require_apart(out, [data])
    require_model_or_new(out)
    given = parse_settings(settings or [])
    make_model(model, **given)
    with warnings_as_lines():
        log = Columns(user_column, item_column, time_column, basket_column, session_column).read(data)
        quality = None
        if validate:
            split = leave_last_out(log)
            trial = make_model(model, **given).fit(split.train, seed=seed)
            quality = float(np.mean(ndcg(trial, split, exclude_seen=MODELS[model].once)))
        begin = time.perf_counter()
        fitted = make_model(model, **given).fit(log, seed=seed)
        seconds = time.perf_counter() - begin
    out.parent.mkdir(parents=True, exist_ok=True)
    save(fitted, out)
    if as_json:
        facts = {"model": model, "rows": len(log), "users": len(log.active_users), "items": log.n_items}
        typer.echo(strict_json({**facts, "ndcg@10": quality, "seconds": seconds, "out": str(out)}))
        return
    typer.echo(repr(log))
    if quality is not None:
        order = "" if time_column or basket_column or data.suffix == ".json" else " (of the rows as they stand)"
        typer.echo(f"nDCG@10 of everybody's last step{order}, not trained on: {quality:.4f}")
    typer.echo(f"{model} trained on all of it in {seconds:.1f} s, written to {out}")
