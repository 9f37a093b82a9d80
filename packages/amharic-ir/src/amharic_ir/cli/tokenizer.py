"""`amharic-ir tokenizer`: train one, and see what any makes of text."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from amharic_ir.cli import options as opt

app = typer.Typer(
    name="tokenizer",
    help="Tokenizers of language models: trained, and compared.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Pieces(StrEnum):
    """Kinds of tokenizers."""

    bpe = "bpe"
    unigram = "unigram"
    wordpiece = "wordpiece"
    byte = "byte"


@app.command()
def train(
    files: Annotated[list[Path], typer.Argument(metavar="TEXTS", help="What to learn from, as index reads it.")],
    out: Annotated[Path, typer.Option(dir_okay=False, help="File for the tokenizer, a .json.")],
    kind: Annotated[Pieces, typer.Option(help="How pieces are found.")] = Pieces.bpe,
    vocab_size: Annotated[int, typer.Option(min=1, help="Pieces, at most; no fewer than letters.")] = 8_000,
    fold: Annotated[
        bool, typer.Option(help="Write homophones as one letter first, here and whenever the tokenizer is used.")
    ] = True,
    text_field: Annotated[str | None, typer.Option(help="Field or column of the texts.")] = None,
) -> None:
    """Train a tokenizer from nothing."""
    from amharic_ir import tokenizers
    from irworks.runtime.outputs import require_apart

    require_apart(out, files)
    texts = [text for file in files for text in _texts(file, text_field)]
    made = tokenizers.train(texts, kind.value, vocab_size=vocab_size, normalize=tokenizers.FOLDED if fold else None)
    made.save(out)
    typer.echo(f"{len(made):,} pieces, from {len(texts):,} texts: {out}")


@app.command()
def fertility(
    texts: Annotated[Path, typer.Argument(metavar="TEXTS", help="What to cut into pieces, as index reads it.")],
    sources: Annotated[
        list[str], typer.Argument(metavar="TOKENIZER", help="A file, a folder with tokenizer.json, or a hub name.")
    ],
    limit: Annotated[int, typer.Option(min=1, help="Pieces that a model reads.")] = 512,
    text_field: Annotated[str | None, typer.Option(help="Field or column of the texts.")] = None,
    as_json: opt.Json = False,
) -> None:
    """Pieces a word, and what else tokenizers make of texts."""
    from amharic_ir import tokenizers
    from irworks.errors import ArgumentError
    from irworks.runtime.terminal import strict_json

    if len(set(sources)) < len(sources):
        raise ArgumentError(f"a tokenizer stands twice among {', '.join(sources)}; expected each once")
    read = _texts(texts, text_field)
    found = tokenizers.fertility({one: tokenizers.load(one) for one in sources}, read, limit=limit)
    if as_json:
        typer.echo(strict_json(found.reset_index().to_dict("records")))
        return
    typer.echo(found.to_string(float_format="{:.3f}".format))


def _texts(path: Path, field: str | None) -> list[str]:
    from irworks.data.text_files import read_documents

    return list(read_documents(path, text_field=field).texts())
