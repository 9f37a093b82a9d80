"""The verbs together, and what every run of the command has in common."""

from typing import Annotated

import typer

from cltr_twostage.cli.evaluate import evaluate
from cltr_twostage.cli.explain import explain
from cltr_twostage.cli.learn import learn
from cltr_twostage.cli.simulate import simulate
from irworks.runtime.terminal import run_command_line, version_callback

__all__ = ["app", "main"]

_ABOUT = (
    "From logged clicks: what would another candidate generator and ranker earn, which stage brings it, and which pair "
    "is best?"
)

app = typer.Typer(
    name="cltr-twostage",
    help=_ABOUT,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (evaluate, explain, learn, simulate):
    app.command()(verb)


@app.callback(help=_ABOUT)
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=version_callback("cltr-twostage"), is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; errors are one sentence on standard error and exit status 2."""
    run_command_line(app)
