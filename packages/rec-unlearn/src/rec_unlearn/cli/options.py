"""The options that several verbs have."""

from pathlib import Path
from typing import Annotated

import typer

from rec_unlearn.models.registry import MODELS

DataPath = Annotated[
    Path,
    typer.Argument(
        metavar="DATA",
        help="Interactions: .csv, .tsv or .parquet with a row each, .json with baskets ({user: [[item, ...], ...]}), "
        "or the log.npz that remove wrote.",
    ),
]
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A model that train or remove wrote.")]
UserColumn = Annotated[str, typer.Option(metavar="COLUMN", help="Of the user, in a table.")]
ItemColumn = Annotated[str, typer.Option(metavar="COLUMN", help="Of the item.")]
TimeColumn = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Of the time. Without: rows stand in their order.")
]
BasketColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="Of what was taken together.")]
SessionColumn = Annotated[str | None, typer.Option(metavar="COLUMN", help="Of a user's sessions.")]
ModelName = Annotated[str, typer.Option(metavar="NAME", help=f"What to train: {', '.join(MODELS)}.")]
Algorithm = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="How to unlearn; auto: exactly where the model allows it, else an influence step."
    ),
]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A setting, repeatable; values as in JSON.")
]
Users = Annotated[list[str] | None, typer.Option("--user", metavar="ID", help="Whose interactions; repeatable.")]
Items = Annotated[
    list[str] | None,
    typer.Option("--item", metavar="ID", help="Only these items; repeatable. Without a user: of everybody."),
]
OtherData = Annotated[bool, typer.Option("--other-data", help="Go on although DATA is not what the model stands for.")]
Seed = Annotated[int, typer.Option(help="Of all that is drawn.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
