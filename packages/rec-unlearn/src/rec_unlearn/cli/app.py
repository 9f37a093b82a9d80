"""The verbs together, and what every run of the command has in common."""

from typing import Annotated

import typer

from irworks.runtime.terminal import run_command_line, version_callback
from rec_unlearn.cli.audit import audit
from rec_unlearn.cli.bench import bench
from rec_unlearn.cli.queue import queue
from rec_unlearn.cli.remove import remove
from rec_unlearn.cli.simulate import simulate
from rec_unlearn.cli.train import train

__all__ = ["app", "main"]

_ABOUT = "Remove users and interactions from trained recommenders, audit the removal, and compare ways to do it."

app = typer.Typer(
    name="rec-unlearn",
    help=_ABOUT,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (simulate, train, remove, audit, bench):
    app.command()(verb)
app.add_typer(queue, name="queue")


@app.callback(help=_ABOUT)
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=version_callback("rec-unlearn"), is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; errors are one sentence on standard error and exit status 2."""
    run_command_line(app)
