"""`amharic-ir analyze`: what becomes of a text."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from amharic_ir.cli import options as opt

if TYPE_CHECKING:
    from amharic_ir.text.analyzer import Analyzer


class Engine(StrEnum):
    """Whose settings can be written."""

    elasticsearch = "elasticsearch"
    solr = "solr"


def analyze(
    text: Annotated[str, typer.Argument(help="Any text.")] = "",
    lang: opt.Language = opt.Lang.am,
    tokens: opt.Kind = opt.Tokens.ngram,
    n: opt.Letters = 3,
    export: Annotated[
        Engine | None,
        typer.Option(help="Print settings of another search engine (also OpenSearch) that make the same tokens."),
    ] = None,
) -> None:
    """Show step by step how a text becomes tokens."""
    from amharic_ir.text.analyzer import Analyzer
    from irworks.errors import ArgumentError

    if export is not None:
        _export(Analyzer(lang.value, tokens=tokens.value, n=n), export)
        return
    if not text:
        raise ArgumentError("there is no text; expected one, or --export")
    for step, result in Analyzer(lang.value, tokens=tokens.value, n=n).explain(text):
        typer.echo(f"{step:<10} {result}")


def _export(analyzer: "Analyzer", engine: Engine) -> None:
    import json

    from amharic_ir.text.export import differences, elasticsearch, solr

    for sentence in differences(analyzer):
        typer.echo(f"differs: {sentence}", err=True)
    if engine is Engine.elasticsearch:
        typer.echo(json.dumps(elasticsearch(analyzer), indent=1))
        return
    for name, content in solr(analyzer).items():
        typer.echo(f"# {name}\n{content}")
