"""`rec-unlearn audit`: how sure one may be of a removal."""

from pathlib import Path
from typing import Annotated

import typer

from rec_unlearn.cli import options as opt


def audit(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="The model before the removal.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="The model after it.")],
    data: opt.DataPath,
    user: opt.Users = None,
    item: opt.Items = None,
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="An item to look at; repeatable. Default: those of --item."),
    ] = None,
    retrain: Annotated[int, typer.Option(min=2, help="Models to train again, each from another seed.")] = 3,
    user_column: opt.UserColumn = "user",
    item_column: opt.ItemColumn = "item",
    time_column: opt.TimeColumn = None,
    basket_column: opt.BasketColumn = None,
    session_column: opt.SessionColumn = None,
    other_data: opt.OtherData = False,
    as_json: opt.Json = False,
) -> None:
    """Compare a model after a removal with models trained again on what is left of DATA, the data before it.

    Exit status 1: the request is not removed.
    """
    import warnings

    from irworks.errors import ArgumentError
    from irworks.runtime import progress
    from irworks.runtime.terminal import strict_json, warnings_as_lines
    from rec_unlearn.audit import audit as run
    from rec_unlearn.cli.inputs import Columns, load_model, requests_for, typed
    from rec_unlearn.data.fingerprint import difference
    from rec_unlearn.data.store import has_integers
    from rec_unlearn.requests import resolve

    with warnings_as_lines():
        log = Columns(user_column, item_column, time_column, basket_column, session_column).read(data)
        removal = resolve(requests_for(user or [], item, has_integers(log.user_ids), has_integers(log.item_ids)), log)
        untouched = load_model(before, log, other_data=other_data)
        audited = load_model(after, log, other_data=True)
        if type(untouched) is not type(audited):
            raise ArgumentError(
                f"{before} is of {type(untouched).__name__}, {after} of {type(audited).__name__}; expected one kind"
            )
        if difference(audited, removal.after):
            warnings.warn(f"{after} does not stand for {log.name} without what is asked about", stacklevel=1)
        start = int(getattr(untouched, "seed_", 0))
        retrained = []
        for number in progress(range(retrain), "models trained again"):
            model = type(untouched).from_settings(untouched.settings())
            retrained.append(model.fit(removal.after, seed=start if not number else 1_000_003 + start + number))
        targets = [log.item_code(typed(one, has_integers(log.item_ids), "target")) for one in target or item or []]
        found = run(audited, removal, untouched=untouched, retrained=retrained, targets=targets)
    if as_json:
        rows = found.to_frame().to_dict(orient="records")
        typer.echo(strict_json({"verdict": found.verdict, "measures": rows, "sentences": list(found.sentences)}))
    else:
        typer.echo(str(found))
    if found.verdict == "not removed":
        raise typer.Exit(1)
