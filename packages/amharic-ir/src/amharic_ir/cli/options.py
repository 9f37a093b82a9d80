"""The options that several verbs have."""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amharic_ir.cli import collections, methods

if TYPE_CHECKING:
    from amharic_ir.measure import Leaderboard, Robustness

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
Data = Annotated[list[str], typer.Argument(metavar="DATA", help=collections.HELP)]
Methods = Annotated[list[str], typer.Option("--methods", help=methods.HELP)]
Measures = Annotated[
    list[str] | None, typer.Option("--measure", help="Repeatable. Default: RR@10, nDCG@10, R@10, R@50, R@100.")
]
Reports = Annotated[list[Path] | None, typer.Option("--report", help="Write a report: .html, .md or .csv. Repeatable.")]
Depth = Annotated[int, typer.Option("-k", min=1, help="How many documents a query to search for.")]
Topics = Annotated[Path | None, typer.Option(help="Of documents or an index: TREC topics, or a table of id and text.")]
Qrels = Annotated[Path | None, typer.Option(help="Of documents or an index: TREC judgements.")]
QueryField = Annotated[str | None, typer.Option(help="Of a table of pairs: column of the queries.")]
TextField = Annotated[str | None, typer.Option(help="Of a table of pairs: column of the texts.")]
Split = Annotated[str, typer.Option(help="Of a BEIR folder.")]


class Test(StrEnum):
    """Tests of differences."""

    permutation = "permutation"
    t = "t"


def require_reports(paths: list[Path] | None, inputs: Iterable[str | Path | None]) -> None:
    """Check, before the work, that reports can be written where they should be.

    Raises:
        ArgumentError: A name has another ending, or is of what is read.
    """
    from irworks.errors import ArgumentError
    from irworks.runtime.outputs import require_apart

    read = list(inputs)
    for path in paths or ():
        if path.suffix.lower() not in (".html", ".md", ".csv"):
            raise ArgumentError(f"--report {path}; expected a name that ends in .html, .md or .csv")
        require_apart(path, read, name="--report")


def write_reports(found: "Leaderboard | Robustness", paths: list[Path] | None) -> None:
    """Write reports, each in the form that its name asks for."""
    for path in paths or ():
        {".html": found.to_html, ".md": found.to_markdown, ".csv": found.to_csv}[path.suffix.lower()](path)
