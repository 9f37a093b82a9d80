"""`rec-unlearn train`: a model to remove something from."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rec_unlearn.cli import options as opt

if TYPE_CHECKING:
    from rec_unlearn.data import Interactions


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
    distributed: Annotated[
        bool,
        typer.Option("--distributed", help="Share each batch among the processes of `accelerate launch` or torchrun."),
    ] = False,
    seed: opt.Seed = 0,
    as_json: opt.Json = False,
) -> None:
    """Train a recommender on interactions, and write it as one file."""
    import time
    import warnings

    from irworks.runtime.outputs import require_apart
    from irworks.runtime.terminal import strict_json, warnings_as_lines
    from rec_unlearn.cli.inputs import Columns, parse_settings
    from rec_unlearn.cli.outputs import require_model_or_new
    from rec_unlearn.models.base import NothingToLearnError
    from rec_unlearn.models.registry import kind_of, make_model
    from rec_unlearn.models.store import save

    require_apart(out, [data])
    require_model_or_new(out)
    given = parse_settings(settings or [])
    untrained, kind = make_model(model, **given), kind_of(model)
    shared = _shared(model, untrained) if distributed else {}
    named = bool(time_column or basket_column or session_column or data.suffix in (".json", ".npz"))
    with warnings_as_lines():
        log = Columns(user_column, item_column, time_column, basket_column, session_column).read(data)
        if kind.ordered and not log.has_order:
            raise NothingToLearnError(model, log.name)
        if kind.ordered and not named:
            warnings.warn(
                "rows are taken in the order in which they stand, as no column of time, basket or session is named",
                stacklevel=1,
            )
        quality = _quality(model, given, log, seed, shared) if validate else None
        begin = time.perf_counter()
        fitted = untrained.fit(log, seed=seed, **shared)
        seconds = time.perf_counter() - begin
    processes = 1
    if distributed:
        first, processes = shared["accelerator"].is_main_process, shared["accelerator"].num_processes
        shared["accelerator"].end_training()
        if not first:
            return
    out.parent.mkdir(parents=True, exist_ok=True)
    save(fitted, out)
    if as_json:
        facts = {"model": model, "rows": len(log), "users": len(log.active_users), "items": log.n_items}
        typer.echo(strict_json({**facts, "ndcg@10": quality, "seconds": seconds, "out": str(out)}))
        return
    typer.echo(repr(log))
    if quality is not None:
        order = "" if named else " (of the rows as they stand)"
        typer.echo(f"nDCG@10 of everybody's last step{order}, not trained on: {quality:.4f}")
    by = f" by {processes} processes" if processes > 1 else ""
    typer.echo(f"{model} trained on all of it{by} in {seconds:.1f} s, written to {out}")


def _shared(name: str, model: Any) -> dict[str, Any]:
    """What `fit` is told of the other processes.

    Raises:
        ArgumentError: The model is no network.
    """
    from irworks.errors import ArgumentError
    from rec_unlearn.models.registry import kind_of

    if not kind_of(name).network or not hasattr(model, "train"):
        what = "models in shards are several" if kind_of(name).network else f"{name} is none"
        raise ArgumentError(f"--distributed shares the training of a network; {what}")
    from rec_unlearn.models.distributed import make_accelerator

    return {"accelerator": make_accelerator(model.train.device)}


def _quality(name: str, given: dict[str, Any], log: "Interactions", seed: int, shared: dict[str, Any]) -> float | None:
    """nDCG@10 of everybody's last step by a model trained without it; None where nobody has a step to leave out."""
    import warnings

    from rec_unlearn.data import leave_last_out
    from rec_unlearn.evaluate import ndcg
    from rec_unlearn.models.registry import kind_of, make_model

    kind = kind_of(name)
    split = leave_last_out(log) if log.has_order else None
    if split is None or (kind.ordered and not split.train.has_order):
        steps = "three" if kind.ordered else "two"
        warnings.warn(
            f"nobody in {log.name} has {steps} steps, so none is left out to say how well it is predicted", stacklevel=1
        )
        return None
    trial = make_model(name, **given).fit(split.train, seed=seed, **shared)
    return float(ndcg(trial, split, exclude_seen=kind.once).mean())
