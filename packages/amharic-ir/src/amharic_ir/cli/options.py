"""The options that several verbs have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Documents = Annotated[
    Path,
    typer.Argument(
        metavar="DOCS",
        help="A folder of .txt, .md and .html files; .jsonl, .csv, .tsv or .parquet with a text; or a TREC file.",
    ),
]
IndexPath = Annotated[Path, typer.Argument(metavar="INDEX", help="A folder that index wrote.")]
Json = Annotated[bool, typer.Option("--json", help="Print numbers for machines.")]


class Lang(StrEnum):
    """Whose letters are folded."""

    am = "am"
    ti = "ti"
    geez = "geez"


class Tokens(StrEnum):
    """Kinds of tokens."""

    ngram = "ngram"
    word = "word"
    stem = "stem"
    skeleton = "skeleton"
    mixed = "mixed"
    prefix = "prefix"
    whitespace = "whitespace"


Language = Annotated[Lang, typer.Option(help="Amharic, Tigrinya or Ge'ez.")]
Kind = Annotated[Tokens, typer.Option(help="What is looked up.")]
Letters = Annotated[int, typer.Option("-n", min=1, help="Letters of an n-gram or a prefix.")]
