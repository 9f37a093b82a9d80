"""The viewer as a page of its own, or as a part of another."""

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from numpy.typing import ArrayLike

from irworks.errors import MissingDependencyError
from recgaze.viewer.content import LIMIT, Options, content, embedded

if TYPE_CHECKING:
    from jinja2 import Environment

    from recgaze.data.dataset import RecGazeDataset
    from recgaze.simulate.world import Simulation

__all__ = ["Fragment", "view", "viewer_fragment", "viewer_html"]

Positions = tuple[ArrayLike, ArrayLike]
Rule = Literal["strict", "closest"]

_SCRIPTS = ("data.js", "draw.js", "viewer.js")


@dataclass(frozen=True)
class Fragment:
    """The viewer for another page.

    Attributes:
        html: Stands where the viewer is to be; holds data and script.
        style: CSS, for the head of the page.
        n_screens: Screens in it.
    """

    html: str
    style: str
    n_screens: int


def view(
    data: "RecGazeDataset | Simulation",
    user: str | None = None,
    task: int | None = None,
    *,
    out: str | Path,
    model: Any = None,
    model_name: str | None = None,
    rule: Rule = "closest",
    positions: Positions | None = None,
    max_screens: int | None = None,
) -> Path:
    """Write the viewer as one HTML file under 5 MB that needs no network.

    Args:
        data: A study, or a simulation, of which fixations stand where the tracker saw them.
        user: Id of the user whose screen is shown first. Default: the first one.
        task: The screen that is shown first.
        out: The file; it appears whole or not at all.
        model: A fitted model, whose examination and click probabilities are shown beside what happened.
        model_name: How it is called on the page. Default: its class.
        rule: By which fixations belong to areas: "strict" or "closest".
        positions: x and y of every fixation, float [n_fixations] each, pixels of the page before any scrolling, in the
            order of `dataset.fixations(rule)`. Default: a place inside the poster, by a fixed rule.
        max_screens: Most screens. Default: as many as fit, evenly over users.

    Returns:
        The file.

    Raises:
        ArgumentError: There is no such user or screen, or a model or positions that do not fit the study.
        MissingDependencyError: jinja2 is not installed.
    """
    from irworks.runtime import atomic_write

    path = Path(out)
    options = Options(user, task, model, model_name, rule, positions, max_screens)
    html = _page(data, options)
    with atomic_write(path) as handle:
        handle.write(html)
    return path


def viewer_html(
    data: "RecGazeDataset | Simulation",
    user: str | None = None,
    task: int | None = None,
    *,
    model: Any = None,
    model_name: str | None = None,
    rule: Rule = "closest",
    positions: Positions | None = None,
    max_screens: int | None = None,
) -> str:
    """The page that `view` writes, as text; arguments as there."""
    return _page(data, Options(user, task, model, model_name, rule, positions, max_screens))


def viewer_fragment(
    data: "RecGazeDataset | Simulation",
    *,
    model: Any = None,
    model_name: str | None = None,
    rule: Rule = "closest",
    max_screens: int | None = None,
    limit: int = LIMIT,
) -> Fragment:
    """The viewer as a part of another page, such as a report; arguments as `view`.

    Args:
        data: A study.
        model: A fitted model.
        model_name: How it is called.
        rule: By which fixations belong to areas.
        max_screens: Most screens.
        limit: Most bytes of data.

    Raises:
        ArgumentError: As `view`, or no screen fits.
        MissingDependencyError: jinja2 is not installed.
    """
    options = Options(model=model, model_name=model_name, rule=rule, max_screens=max_screens, limit=limit)
    found = content(data, options)
    return Fragment(_fragment(found, alone=False), _resource("viewer.css"), len(found["screens"]))


def _page(data: Any, options: Options) -> str:
    found = content(data, options)
    return _render(
        "page.html",
        title="Screens of a carousel study",
        style=_markup(_resource("viewer.css")),
        viewer=_markup(_fragment(found, alone=True)),
    )


def _fragment(found: dict[str, Any], *, alone: bool) -> str:
    script = "\n".join(_resource(name) for name in _SCRIPTS)
    return _render("viewer.html", alone=alone, data=_markup(embedded(found)), script=_markup(script))


def _render(template: str, **parts: Any) -> str:
    return _environment().from_string(_resource(template)).render(**parts)


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)


@cache
def _environment() -> "Environment":
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise MissingDependencyError("jinja2", "the screen viewer", "irworks[report]") from error
    return Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)


@cache
def _resource(name: str) -> str:
    return (resources.files("recgaze.viewer") / name).read_text(encoding="utf-8")
