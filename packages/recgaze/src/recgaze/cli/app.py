"""The program: its verbs, and what they have in common."""

from typing import Annotated

import typer

from irworks.runtime.terminal import run_command_line, version_callback
from recgaze.cli import gaze, models, pages, studies

__all__ = ["app", "main"]

app = typer.Typer(
    name="recgaze",
    help="Eye tracking and clicks on carousel interfaces, from raw gaze to a decision.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (
    studies.simulate,
    studies.validate,
    gaze.events,
    studies.analyze,
    models.fit,
    pages.report,
    pages.view,
):
    app.command()(verb)


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=version_callback("recgaze"), is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Eye tracking and clicks on carousel interfaces, from raw gaze to a decision."""


def main() -> None:
    """Run the command line."""
    run_command_line(app)
