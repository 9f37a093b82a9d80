"""`amharic-ir analyze`: what becomes of a text."""

from typing import Annotated

import typer

from amharic_ir.cli import options as opt


def analyze(
    text: Annotated[str, typer.Argument(help="Any text.")],
    lang: opt.Language = opt.Lang.am,
    tokens: opt.Kind = opt.Tokens.ngram,
    n: opt.Letters = 3,
) -> None:
    """Show step by step how a text becomes tokens."""
    from amharic_ir.text.analyzer import Analyzer

    for step, result in Analyzer(lang.value, tokens=tokens.value, n=n).explain(text):
        typer.echo(f"{step:<10} {result}")
