"""SVG documents that can stand side by side inside one HTML page."""

import io
import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["INK", "clean", "figure_to_svg"]

# The colour of text and axes in `irworks.report.style`: on the page it gives way to the page's own text colour.
INK = "#20242b"

_SVG = "{http://www.w3.org/2000/svg}"
_ALLOWED = frozenset(
    {"svg", "g", "defs", "symbol", "use", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "image"}
    | {"text", "tspan", "textPath", "title", "desc", "marker", "clipPath", "mask", "pattern"}
    | {"linearGradient", "radialGradient", "stop"}
)
_REFERENCE = re.compile(r"url\(\s*['\"]?#([^'\")]+)['\"]?\s*\)")
_FOREIGN_REFERENCE = re.compile(r"url\(\s*['\"]?(?!#)|javascript:|@import", re.IGNORECASE)
_EMBEDDED_IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,", re.IGNORECASE)


def figure_to_svg(figure: "Figure", prefix: str = "figure") -> str:
    """Draw a matplotlib figure as SVG: the same figure gives the same bytes.

    Args:
        figure: Made within `irworks.report.style.context()`, its text and axes take the colour of the page that it
            stands on, dark or light; any other figure keeps its colours and its background.
        prefix: Distinguishes the ids inside from those of other figures on the page.

    Returns:
        An SVG element without XML declaration.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": "irworks", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    drawing = buffer.getvalue()
    return clean(drawing.replace(INK, "currentColor") if _transparent(figure) else drawing, prefix)


def _transparent(figure: "Figure") -> bool:
    from matplotlib.colors import to_rgba

    faces = [figure.get_facecolor(), *(axes.get_facecolor() for axes in figure.axes)]
    return all(to_rgba(face)[3] == 0 for face in faces)


def clean(svg: str, prefix: str, label: str = "") -> str:
    """Make an SVG document safe to stand inside a page.

    Scripts, style sheets, foreign content and references to anything outside of it are left out, and ids are prefixed,
    so that two drawings on one page cannot disturb each other or the page.

    Args:
        svg: The document.
        prefix: Put before every id.
        label: What the drawing shows, for those who cannot see it.

    Returns:
        An SVG element without XML declaration.

    Raises:
        ArgumentError: It is not an SVG document.
    """
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise ArgumentError(
            f"a figure must be a matplotlib figure or an SVG document; it does not parse: {error}"
        ) from None
    if root.tag != f"{_SVG}svg":
        raise ArgumentError(f"a figure must be a matplotlib figure or an SVG document, found <{root.tag}>")
    _clean_element(root, re.sub(r"[^\w-]", "-", prefix))
    # matplotlib says this in a style sheet, which would reach beyond the drawing.
    root.set("style", "stroke-linejoin: round; stroke-linecap: butt")
    root.set("xmlns", _SVG.strip("{}"))
    root.set("role", "img")
    if label:
        root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def _clean_element(element: ElementTree.Element, prefix: str) -> None:
    element.tag = element.tag.removeprefix(_SVG)
    attributes = [(name.rpartition("}")[2], value) for name, value in element.attrib.items()]
    element.attrib.clear()
    for name, value in attributes:
        if (kept := _clean_attribute(name, value, prefix)) is not None:
            element.set(name, kept)
    for child in list(element):
        if child.tag.removeprefix(_SVG) in _ALLOWED:
            _clean_element(child, prefix)
        else:
            element.remove(child)


def _clean_attribute(name: str, value: str, prefix: str) -> str | None:
    """Return the value with its ids prefixed, None for an attribute that has no place on the page."""
    if name.lower().startswith(("on", "aria-")) or name in ("role", "class") or _FOREIGN_REFERENCE.search(value):
        return None
    if name == "id":
        return f"{prefix}-{value}"
    if name == "href":
        local = f"#{prefix}-{value[1:]}" if value.startswith("#") else None
        return value if _EMBEDDED_IMAGE.match(value) else local
    return _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
