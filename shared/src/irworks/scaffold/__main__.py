"""The command: `python -m irworks.scaffold negir --title "…" --authors "…"`."""

from pathlib import Path
from typing import Annotated

import typer

from irworks.runtime.terminal import run_command_line
from irworks.scaffold import Names, Workspace, add_package

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def scaffold(
    name: Annotated[str, typer.Argument(help="Of the distribution, in kebab-case, such as negir or dense-scaling.")],
    title: Annotated[str, typer.Option(help="Of the paper.")] = "The Title of the Paper",
    authors: Annotated[str, typer.Option(help="Of the paper.")] = "A. Author and B. Author",
    venue: Annotated[str, typer.Option(help="Where the paper appeared.")] = "A Venue",
    year: Annotated[int, typer.Option(help="Of the paper.")] = 2025,
    url: Annotated[str, typer.Option(help="Where the paper can be read.")] = "https://example.org",
    root: Annotated[Path, typer.Option(help="The clone; by default the one that this folder is in.")] = Path(),
) -> None:
    """Add a package that installs, runs, and passes every check at once; then put your paper in its rooms.

    It holds a small method that really works, with one claim, so that each room shows what goes there.
    """
    workspace = Workspace.around(root)
    folder = add_package(workspace, Names(name, title, authors, venue, year, url))
    typer.echo(f"{folder.relative_to(workspace.root)} is there, with its pages in docs. Next:")
    typer.echo(f"  uv lock && uv run pytest packages/{name}")
    typer.echo(f"  uv run irworks reproduce {name} --scale smoke")


if __name__ == "__main__":
    run_command_line(app)
