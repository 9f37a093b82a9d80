"""The verbs together, and what every run of the command has in common."""

from typing import Annotated

import typer

from amharic_ir.cli import tokenizer
from amharic_ir.cli.analyze import analyze
from amharic_ir.cli.compare import compare
from amharic_ir.cli.evaluate import evaluate
from amharic_ir.cli.index import index
from amharic_ir.cli.mine import mine
from amharic_ir.cli.robustness import robustness
from amharic_ir.cli.search import search
from amharic_ir.cli.train import train
from irworks.runtime.terminal import run_command_line, version_callback

__all__ = ["app", "main"]

_ABOUT = "Search text in Amharic, Tigrinya and Ge'ez, and see how it is analysed."

app = typer.Typer(
    name="amharic-ir",
    help=_ABOUT,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (index, search, evaluate, compare, robustness, analyze, train, mine):
    app.command()(verb)
app.add_typer(tokenizer.app)


@app.callback(help=_ABOUT)
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=version_callback("amharic-ir"), is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; errors are one sentence on standard error and exit status 2."""
    run_command_line(app)
