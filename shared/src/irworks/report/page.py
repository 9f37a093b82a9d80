"""HTML pages that are one file: no network, no external font, no script needed."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

from irworks.errors import MissingDependencyError
from irworks.report.svg import clean
from irworks.report.tables import Column, Table, typeset

if TYPE_CHECKING:
    import pandas as pd
    from jinja2 import Environment

__all__ = ["Section", "page", "render"]


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: Its heading.
        text: Plain prose; empty lines separate paragraphs.
        figure_svg: An SVG document, such as `figure_to_svg` returns.
        caption: What to see in the figure.
        table: Shown below the figure.
        note: Small print at the end.
    """

    title: str
    text: str = ""
    figure_svg: str | None = None
    caption: str = ""
    table: "pd.DataFrame | Table | None" = None
    note: str = ""


def page(*, title: str, lead: str = "", sections: Sequence[Section] = (), footer: str = "") -> str:
    """Return a self-contained HTML page in the style of the claims report.

    Args:
        title: Its heading.
        lead: What the page is about, in plain prose.
        sections: Its parts.
        footer: Small print at the end.

    Raises:
        MissingDependencyError: jinja2 is not installed.
        ArgumentError: A figure is not an SVG document.
    """
    parts = [_prepare(section, f"figure-{number}") for number, section in enumerate(sections)]
    return render("page.html.j2", title=title, lead=lead, sections=parts, footer=footer)


def _prepare(section: Section, prefix: str) -> dict[str, Any]:
    return {
        "title": section.title,
        "text": section.text,
        "figure": drawing(section.figure_svg, prefix, section.caption or section.title),
        "caption": section.caption,
        "columns": [] if section.table is None else typeset(as_table(section.table)),
        "note": section.note,
    }


def as_table(table: "pd.DataFrame | Table") -> Table:
    """Return the table itself, or a frame as one."""
    return table if isinstance(table, Table) else Table.from_frame(table)


def drawing(svg: str | None, prefix: str, label: str) -> Any:
    """Return an SVG document as markup for a template; its ids are unique if `prefix` is."""
    from markupsafe import Markup

    return Markup(clean(svg, prefix, label)) if svg else None


def render(template: str, **content: Any) -> str:
    """Fill one of the templates; everything in `content` is escaped unless it is markup.

    Raises:
        MissingDependencyError: jinja2 is not installed.
    """
    from markupsafe import Markup

    environment = _environment()
    style = Markup(_resource("style.css"))
    script = Markup(_resource("filter.js"))
    return environment.get_template(template).render(style=style, script=script, **content)


@cache
def _environment() -> "Environment":
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise MissingDependencyError("jinja2", "an HTML report", "irworks[report]") from error

    environment = Environment(
        loader=PackageLoader("irworks.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(code=_code, paragraphs=_paragraphs, rows=_rows)
    return environment


def _paragraphs(text: str) -> list[str]:
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def _code(text: str) -> Any:
    """Plain prose as markup, with what stands between backticks as code."""
    from markupsafe import Markup, escape

    parts = re.split(r"`([^`\n]+)`", text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if odd % 2 else escape(part) for odd, part in enumerate(parts)
    )


def _rows(columns: Sequence[Column]) -> Iterable[list[tuple[Column, str]]]:
    for cells in zip(*(column.cells for column in columns), strict=True):
        yield list(zip(columns, cells, strict=True))


@cache
def _resource(name: str) -> str:
    return (resources.files("irworks.report") / "templates" / name).read_text(encoding="utf-8")
