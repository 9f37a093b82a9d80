"""What the viewer shows, as JSON that stands inside the page: screens, films, events, and a model's prediction."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze import study
from recgaze.data.dataset import RecGazeDataset
from recgaze.data.naming import canonical_user
from recgaze.impressions import Impressions
from recgaze.layout import CarouselLayout
from recgaze.simulate.world import Simulation
from recgaze.viewer.events import ScreenEvents, screen_keys
from recgaze.visits import Visits

__all__ = ["LIMIT", "Options", "content", "embedded", "packed"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# Bytes of JSON; with the script and a report around it, a page stays under 5 MB.
LIMIT = 4_400_000

_LETTERS = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", dtype="S1")
_UNKNOWN = 4095
_LONGEST_TITLE = 90
_KINDS = {"free": "free browsing", "semi_free": "semi-free", "direct": "direct search"}


@dataclass(frozen=True, eq=False)
class Options:
    """What is shown.

    Attributes:
        user: Id of the user whose screen is shown first. Default: the first one.
        task: The screen that is shown first.
        model: A fitted model: `examination_` [R, C] and `click_prob(impressions)` [n, R, C], or `probability()`.
        model_name: How it is called on the page. Default: its class.
        rule: By which fixations belong to areas.
        positions: x and y of every fixation, float [n_fixations] each, in the order of `dataset.fixations(rule)`.
        max_screens: Most screens. Default: as many as fit.
        limit: Most bytes of JSON.
    """

    user: str | None = None
    task: int | None = None
    model: Any = None
    model_name: str | None = None
    rule: Any = "closest"
    positions: tuple[ArrayLike, ArrayLike] | None = None
    max_screens: int | None = None
    limit: int = LIMIT


def content(data: "RecGazeDataset | Simulation", options: Options) -> dict[str, Any]:
    """All that the viewer needs.

    Args:
        data: A study; of a simulation, fixations stand where the tracker saw them.
        options: What is shown.

    Raises:
        ArgumentError: There is no such user, screen, rule or place for it; no screen fits; positions or a model that
            do not fit the study.
    """
    dataset, places = _source(data, options)
    screens = dataset.screens
    impressions = dataset.impressions(options.rule, excluded=True)
    user, task = impressions.user.astype(np.int64), impressions.task.astype(np.int64)
    order = _order(impressions, options)[: options.max_screens]
    events = ScreenEvents(
        dataset.layout, dataset.fixations(options.rule), _cursor(dataset), dataset.click_events(), places
    )
    model, click = _prediction(options, impressions.where(order))
    made = events.of(screen_keys(user[order], task[order]))
    failed, excluded = (screens[name].to_numpy(dtype=bool) for name in ("failed_search", "excluded"))
    for number, (place, screen) in enumerate(zip(order.tolist(), made, strict=True)):
        screen |= {"u": int(user[place]), "t": int(task[place]), "s": _selected(impressions, place)}
        screen |= {"x": int(failed[place])} | ({} if click is None else {"m": packed(click[number])})
    counted = impressions if excluded.all() else impressions.where(~excluded)
    head = {
        "layout": _layout(dataset.layout),
        "genres": list(study.GENRES),
        "users": dataset.user_ids.tolist(),
        "tasks": _tasks(dataset, np.unique(task[order])),
        "model": model,
        "all": packed(counted.examined.mean(axis=0)),
        "notes": _notes(places is not None, options.rule),
    }
    return _fitting(head, made, len(screens), options.limit)


def packed(values: FloatArray) -> dict[str, Any]:
    """Numbers of at least 0 as two letters each, 12 bits of the largest; NaN is all ones."""
    flat = np.asarray(values, dtype=np.float64).ravel()
    most = float(np.nanmax(flat)) if np.isfinite(flat).any() else 0.0
    level = np.rint(np.nan_to_num(flat) / (most or 1.0) * (_UNKNOWN - 1)).astype(np.int64)
    level = np.where(np.isnan(flat), _UNKNOWN, level)
    return {"max": float(f"{most:.6g}"), "q": _LETTERS[np.stack([level >> 6, level & 63], axis=1)].tobytes().decode()}


def embedded(value: Any) -> str:
    """JSON that can stand inside a script element: nothing in it can end the element or begin a comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


# -- which screens ----------------------------------------------------------------------------------------------------


def _source(data: Any, options: Options) -> tuple[RecGazeDataset, IntArray | None]:
    places: tuple[ArrayLike, ArrayLike] | None = options.positions
    dataset = data
    if isinstance(data, Simulation):
        dataset = data.dataset
        places = places or (data.fixations.x, data.fixations.y)
    if not isinstance(dataset, RecGazeDataset):
        raise ArgumentError(f"data is a {type(data).__name__}; expected a RecGazeDataset or a Simulation")
    if places is None:
        return dataset, None
    x, y = (np.asarray(one, dtype=np.float64) for one in places)
    if x.ndim != 1 or x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ArgumentError(f"positions have shapes {x.shape} and {y.shape}; expected finite x and y of each fixation")
    return dataset, np.rint(np.stack([x, y], axis=1)).astype(np.int64)


def _order(impressions: Impressions, options: Options) -> IntArray:
    """Screens in the order in which they are kept: the one asked for, then a screen of every user, then another."""
    n, user = len(impressions), impressions.user
    if options.max_screens is not None and options.max_screens < 1:
        raise ArgumentError(f"max_screens={options.max_screens}; expected at least 1")
    wanted = np.ones(n, dtype=bool)
    if options.user is not None:
        wanted &= impressions.users[user].astype(str) == canonical_user(options.user)
    if options.task is not None:
        if options.task not in study.TASKS:
            raise ArgumentError(f"screen {options.task} is none of the study; expected 1 to {max(study.TASKS)}")
        wanted &= impressions.task == options.task
    if not wanted.any():
        raise ArgumentError(f"user={options.user!r}, task={options.task!r}: there is no such screen in the data")
    begins = np.diff(user, prepend=-1) != 0
    turn = np.arange(n) - np.flatnonzero(begins)[np.cumsum(begins) - 1]
    return np.lexsort((user, turn, ~wanted)) if options.user or options.task else np.lexsort((user, turn))


def _fitting(head: dict[str, Any], screens: list[dict[str, Any]], n: int, limit: int) -> dict[str, Any]:
    """As many of the screens as fit, by user and screen."""
    sizes = np.array([len(embedded(screen)) + 1 for screen in screens])
    room = limit - len(embedded(head).encode()) - 1000
    number = int(np.searchsorted(np.cumsum(sizes), room, side="right"))
    if not number:
        raise ArgumentError(f"limit={limit} leaves no room for a screen; expected at least {limit - room + sizes[0]}")
    kept = sorted(range(number), key=lambda place: (screens[place]["u"], screens[place]["t"]))
    tasks = {str(screens[place]["t"]) for place in kept}
    notes = head["notes"]
    if number < n:
        notes = f"{number:,} of the {n:,} screens of the study are on this page. {notes}"
    return head | {
        "tasks": {name: value for name, value in head["tasks"].items() if name in tasks},
        "screens": [screens[place] for place in kept],
        "first": kept.index(0),
        "notes": notes,
    }


# -- what stands on them ----------------------------------------------------------------------------------------------


def _layout(layout: CarouselLayout) -> dict[str, Any]:
    def boxes(values: FloatArray) -> list[list[float] | None]:
        return [None if np.isnan(box).any() else box.tolist() for box in values]

    return {
        "rows": layout.rows,
        "visible": layout.visible,
        "pages": layout.pages,
        "width": layout.width,
        "height": layout.height,
        "bars": [list(bar) for bar in layout.bars],
        "headings": boxes(layout.headings),
        "forward": boxes(layout.forward),
        "backward": boxes(layout.backward),
    } | {name: getattr(layout, name).tolist() for name in ("left", "right", "top", "bottom")}


def _tasks(dataset: RecGazeDataset, tasks: IntArray) -> dict[str, Any]:
    """Genres and films of each screen: a title where there is one, else the number of the film."""
    grid, titles = dataset.grid, _titles(dataset)
    nothing = (np.full(dataset.layout.rows, -1), np.full((dataset.layout.rows, dataset.layout.columns), -1))
    rows = {int(task): place for place, task in enumerate(grid.tasks)}
    found = {}
    for task in tasks.tolist():
        genre, movie = (grid.genre[rows[task]], grid.movie[rows[task]]) if task in rows else nothing
        kind = study.task_kind(task)
        found[str(task)] = {
            "kind": _KINDS[kind],
            "genres": genre.tolist(),
            "films": [titles.get(film, film) if film >= 0 else "" for film in movie.ravel().tolist()],
            "target": list(study.search_target(task)) if kind == "direct" else None,
        }
    return found


def _titles(dataset: RecGazeDataset) -> dict[int, str]:
    if "TMDB_title" not in dataset.items:
        return {}
    named = dataset.items[["MovieID", "TMDB_title"]].dropna()
    titles = [str(title)[:_LONGEST_TITLE] for title in named["TMDB_title"]]
    return dict(zip(named["MovieID"].to_numpy(dtype=np.int64).tolist(), titles, strict=True))


def _cursor(dataset: RecGazeDataset) -> Visits | None:
    try:
        return dataset.cursor()
    except ArgumentError:
        return None


def _selected(impressions: Impressions, place: int) -> int:
    clicked = impressions.clicked[place].ravel()
    return int(clicked.argmax()) if clicked.any() else -1


def _prediction(options: Options, impressions: Impressions) -> tuple[dict[str, Any] | None, FloatArray | None]:
    """The model's name and examination, and click probabilities [n, R, C]."""
    model = options.model
    if model is None:
        return None, None
    shape = impressions.clicked.shape
    examination = getattr(model, "examination_", None)
    if hasattr(model, "click_prob"):
        click = np.asarray(model.click_prob(impressions), dtype=np.float64)
        examination = model.examination_ if examination is None else examination
    elif hasattr(model, "probability"):
        click = np.broadcast_to(np.asarray(model.probability(), dtype=np.float64), shape)
    else:
        raise ArgumentError(f"model is a {type(model).__name__}; expected one with click_prob or probability")
    for name, values in (("examination", examination), ("click probability", click)):
        if values is not None and np.shape(values)[-2:] != shape[-2:]:
            raise ArgumentError(f"the model's {name} has shape {np.shape(values)}; expected a grid {list(shape[-2:])}")
    name = options.model_name or type(model).__name__
    return {"name": name, "exam": None if examination is None else packed(examination)}, click


def _notes(measured: bool, rule: str) -> str:
    where = (
        "Circles stand where the tracker saw the gaze."
        if measured
        else "The data says which poster was looked at, not where on it: circles are spread over posters by a fixed "
        "rule. Looks beside all areas have no place, and are drawn dashed where the last one was."
    )
    return (
        f"{where} Looks belong to areas by the {rule} rule. Scrolling is not in the data: the page moves just enough "
        "to show what is looked at. Circles grow with the time of the look; shades are relative to the largest number."
    )
