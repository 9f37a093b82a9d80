"""The four published tables, from what simulated users did."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recgaze import study
from recgaze.data.schema import CLICKS, FAMILIARITY, ITEMS, REASONS, STARS, SUMMARY, USERS, Column, Table
from recgaze.layout import Aoi, Located
from recgaze.simulate.browsing import Steps
from recgaze.simulate.timing import Cursor, Fixations

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["People", "Shown", "click_table", "item_table", "summary_table", "user_table"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

# As many films as the published table has beyond those on the screens is not known; some.
_UNUSED_FILMS = 20
_FIRST_FILM = 100_000


@dataclass(frozen=True, eq=False)
class People:
    """The users.

    Attributes:
        ids: Their ids.
        ratings: int64 [n_users, n_genres], stars 1 to 5.
        top: int64 [n_users], the genre that a user likes best.
        preferred: bool [n_users, n_genres].
    """

    ids: Sequence[str]
    ratings: IntArray
    top: IntArray
    preferred: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Shown:
    """Seen screens.

    Attributes:
        user: int64 [n_screens], number of the user.
        task: int64 [n_screens], the screen, 1 to 40.
        first_user: How many users have been simulated before.
    """

    user: IntArray
    task: IntArray
    first_user: int = 0


def genre_codes() -> IntArray:
    """int64 [40, 10], code of the genre of each carousel of each screen of the study."""
    codes = {genre: code for code, genre in enumerate(study.GENRES)}
    return np.array([[codes[genre] for genre in screen] for screen in study.SCREENS])


def movie_id(task: Any, row: Any, column: Any) -> Any:
    """Id of the simulated film on screen `task`, carousel and position from 1."""
    return _FIRST_FILM + ((task - 1) * study.CAROUSELS + row - 1) * study.POSITIONS + column - 1


# -- tables -----------------------------------------------------------------------------------------------------------


def summary_table(
    people: People, shown: Shown, fixations: Fixations, cursor: Cursor, clicked: IntArray
) -> "pd.DataFrame":
    """The events, by user, screen and time.

    Args:
        people: The users.
        shown: The screens.
        fixations: What they looked at.
        cursor: What the cursor did.
        clicked: int64, the fixations during which the mouse was clicked.
    """
    steps = fixations.steps
    end = fixations.time[clicked] + fixations.duration[clicked]
    time = np.concatenate([fixations.time, cursor.time, end])
    source = np.concatenate([np.arange(len(steps)), cursor.step, clicked])
    which = np.repeat(np.arange(3), [len(steps), len(cursor.step), len(clicked)])
    screen = steps.screen[source]
    order = np.lexsort((which, time, screen))
    time, source, which, screen = time[order], source[order], which[order], screen[order]
    fields: dict[str, Any] = _who(people, shown, screen)
    fields["Timestamp"] = time.round(3)
    looks, moves, clicks = which == 0, which == 1, which == 2
    duration = np.full(len(time), np.nan)
    duration[looks] = (1000 * fixations.duration[source[looks]]).round()
    fields["Fixation_Duration"] = duration
    dwell = np.full(len(time), np.nan)
    dwell[moves] = cursor.duration[order[moves] - len(steps)]
    fields["Cursor_Duration"] = dwell
    target = _target(steps)
    for event, where, what in (
        ("Fixation_AOI", looks, fixations.strict),
        ("Fixation_AOI_Closest", looks, fixations.closest),
        ("Click_AOI", clicks, target),
        ("Cursor_AOI", moves, target),
    ):
        fields |= _event(event, people, shown, screen, where, source, what)
    return _frame(fields, SUMMARY)


def click_table(
    people: People, shown: Shown, fixations: Fixations, last: IntArray, rng: np.random.Generator
) -> "pd.DataFrame":
    """The final click of each screen.

    Args:
        people: The users.
        shown: The screens.
        fixations: What they looked at.
        last: int64, the fixation that each screen ends with.
        rng: Of the answers to the questions after a selection.
    """
    steps = fixations.steps
    screen = steps.screen[last]
    fields = _who(people, shown, screen)
    fields["Timestamp"] = (fixations.time[last] + fixations.duration[last]).round(3)
    everything = np.ones(len(last), dtype=bool)
    fields |= _event("Click_AOI", people, shown, screen, everything, last, _target(steps))
    asked = shown.task[screen] <= 35
    nothing = np.full(len(last), None, dtype=object)
    fields["Movie_Familiarity"] = np.where(asked, rng.choice(FAMILIARITY[:6], size=len(last)), nothing)
    first, second = rng.choice(REASONS[:6], size=(2, len(last)))
    both = np.array(
        [f"{one}, {two}" if one != two else one for one, two in zip(first, second, strict=True)], dtype=object
    )
    fields["Why_Selected"] = np.where(asked, np.where(rng.random(len(last)) < 0.4, both, first), nothing)
    return _frame(fields, CLICKS)


def item_table(tasks: IntArray) -> "pd.DataFrame":
    """The films of the screens, and some that stand on none."""
    task, row, column = (
        part.ravel()
        for part in np.meshgrid(
            tasks, np.arange(1, study.CAROUSELS + 1), np.arange(1, study.POSITIONS + 1), indexing="ij"
        )
    )
    ids = movie_id(task, row, column)
    codes = genre_codes()
    unused = movie_id(len(study.SCREENS) + 1, 1, 1) + np.arange(_UNUSED_FILMS)
    n, more = len(task), len(unused)
    films = np.concatenate([ids, unused])
    genre = np.concatenate([codes[task - 1, row - 1], np.full(more, -1)])
    fields: dict[str, Any] = {
        "TMDB_id": films,
        "TMDB_title": np.array([f"Film {film}" for film in films], dtype=object),
        "TMDB_original_language": np.full(n + more, "en", dtype=object),
        "TMDB_genres": _names(genre, study.GENRES),
        "IMDB_id": np.array([f"tt{film:07d}" for film in films], dtype=object),
        "TaskID": np.concatenate([task.astype(float), np.full(more, np.nan)]),
        "Carousel_position": np.concatenate([row.astype(float), np.full(more, np.nan)]),
        "Carousel_genre": _names(genre, study.GENRES),
        "MovieID": films,
        "Movie_position_in_carousel": np.concatenate([column.astype(float), np.full(more, np.nan)]),
    }
    return _frame(fields, ITEMS)


def user_table(people: People, shown: Shown, clicks: "pd.DataFrame", rng: np.random.Generator) -> "pd.DataFrame":
    """The surveys."""
    n = len(people.ids)
    genres = np.array(study.GENRES)
    amsterdam = np.array([name.startswith("UvA") for name in people.ids])
    fields: dict[str, Any] = {
        "UserID": np.array(people.ids, dtype=object),
        "SubjectIDs": shown.first_user + np.arange(1001, 1001 + n),
        "Location": np.where(amsterdam, "Amsterdam", "Bratislava"),
        "First_task": rng.choice(["Semi_free_direct_search", "Free_browsing"], size=n),
        "Netflix_user": rng.choice(["Yes", "No"], size=n, p=[0.9, 0.1]),
        "Top_genre": genres[people.top],
        "Preferred_genres": np.array([", ".join(genres[mask]) for mask in people.preferred], dtype=object),
    }
    fields |= {
        f"{genre}_rating": np.array(STARS)[people.ratings[:, code] - 1] for code, genre in enumerate(study.GENRES)
    }
    fields |= {f"MAX_Q{number}": rng.integers(1, 8, size=n) for number in range(1, 7)}
    for name in ("Why_Selected", "Movie_Familiarity"):
        table = clicks.assign(UserID=clicks["UserID"].astype(str)).pivot(index="UserID", columns="TaskID", values=name)
        table = table.reindex(list(people.ids))
        asked: list[Any] = [task for task in table.columns if int(str(task)) <= 35]
        fields |= {f"TaskID_{task}_{name}": table[task].astype(object).to_numpy() for task in asked}
    fields["FreeBrowsing_experience_rating"] = rng.integers(4, 11, size=n)
    fields["Distance_eyes_center_screen"] = rng.normal(65, 4, size=n).round(1)
    return _frame(fields, USERS)


def _target(steps: Steps) -> Located:
    """What the users meant to look at, whatever the tracker saw."""
    row, column = (steps.row + 1).astype(np.int16), (steps.column + 1).astype(np.int16)
    return Located(steps.kind.astype(np.int8), row, column)


# -- columns ----------------------------------------------------------------------------------------------------------


def _who(people: People, shown: Shown, screen: IntArray) -> dict[str, Any]:
    import pandas as pd

    user = shown.user[screen]
    ids = list(people.ids)
    order = np.argsort(np.array(ids, dtype=object), kind="stable")
    rank = np.empty(len(ids), dtype=np.int64)
    rank[order] = np.arange(len(ids))
    names: Any = [ids[place] for place in order]
    return {
        "UserID": pd.Categorical.from_codes(rank[user], names),
        "SubjectID": shown.first_user + user + 1001,
        "TaskID": shown.task[screen],
    }


def _event(
    event: str,
    people: People,
    shown: Shown,
    screen: IntArray,
    where: NDArray[np.bool_],
    source: IntArray,
    what: Located,
) -> dict[str, Any]:
    """The columns of one event: filled in the rows `where`, from what their `source` is on."""
    n = len(screen)
    rows = np.flatnonzero(where)
    kind, row, column = (part[source[rows]].astype(np.int64) for part in (what.kind, what.row, what.column))
    task, user = shown.task[screen[rows]], shown.user[screen[rows]]
    carousel, poster = kind != Aoi.BACKGROUND, kind == Aoi.MOVIE
    genre = np.where(carousel, genre_codes()[task - 1, np.maximum(row, 1) - 1], -1)
    likes = np.maximum(genre, 0)

    def numbers(values: IntArray, filled: NDArray[np.bool_]) -> FloatArray:
        out = np.full(n, np.nan)
        out[rows] = np.where(filled, values, np.nan)
        return out

    def names(codes: IntArray, texts: Sequence[str]) -> Any:
        out = np.full(n, -1)
        out[rows] = codes
        return _names(out, texts)

    kinds = [aoi.label for aoi in Aoi]
    return {
        f"{event}_type": names(kind, kinds),
        f"{event}_MovieID": numbers(movie_id(task, row, column), poster),
        f"{event}_Movie_position_in_carousel": numbers(column, poster),
        f"{event}_Carousel_position": numbers(row, carousel),
        f"{event}_Carousel_genre": names(genre, study.GENRES),
        f"{event}_Carousel_genre_is_top_genre": names(
            np.where(carousel, people.top[user] == likes, -1), ("Not_Top_Genre", "Top_Genre")
        ),
        f"{event}_Carousel_genre_is_preferred_genre": names(
            np.where(carousel, people.preferred[user, likes], -1), ("Not_Preferred_Genre", "Preferred_Genre")
        ),
        f"{event}_Carousel_genre_rating": numbers(people.ratings[user, likes], carousel),
    }


def _names(codes: IntArray, texts: Sequence[str]) -> Any:
    """Codes, -1 for none, as categories in alphabetical order."""
    import pandas as pd

    used = np.unique(codes[codes >= 0])
    names = [str(texts[code]) for code in used]
    order = np.argsort(np.array(names, dtype=object))
    place = np.full(max(len(texts), 1) + 1, -1)
    place[used[order]] = np.arange(len(used))
    ordered: Any = [names[number] for number in order]
    return pd.Categorical.from_codes(place[codes], ordered)


def _frame(fields: dict[str, Any], spec: Table) -> "pd.DataFrame":
    """Fields as a table with all published columns in their order and types; those without a field are empty."""
    import pandas as pd

    n = len(next(iter(fields.values())))
    return pd.DataFrame({column.name: _column(fields.get(column.name), column, n) for column in spec.columns})


def _column(values: Any, column: Column, n: int) -> Any:
    import pandas as pd

    if column.kind == "integer":
        return pd.array(np.full(n, np.nan) if values is None else np.asarray(values, dtype=np.float64)).astype("Int64")
    if column.kind == "number":
        return np.full(n, np.nan) if values is None else np.asarray(values, dtype=np.float64)
    if isinstance(values, pd.Categorical):
        return values
    return pd.Categorical(np.full(n, None, dtype=object) if values is None else np.asarray(values, dtype=object))
