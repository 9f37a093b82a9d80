"""One name for each thing: the published files write users, genres and areas in several ways."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from recgaze.data.schema import EVENTS, Table

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "GENRE_ALIASES",
    "TYPE_ALIASES",
    "canonical_columns",
    "canonical_genres",
    "canonical_user",
    "did_you_mean",
    "normalized",
]

GENRE_ALIASES: Mapping[str, str] = {
    "Comedies": "Comedy",
    "Dramas": "Drama",
    "Sci-fi": "Sci-Fi",
    "SciFi": "Sci-Fi",
    "Science Fiction": "Sci-Fi",
    "Science-Fiction": "Sci-Fi",
}
TYPE_ALIASES: Mapping[str, str] = {
    "Genre_text": "Genre",
    "Forward_swipe": "Forward",
    "Backward_swipe": "Backward",
}

_USER = re.compile(r"(kinit|uva)_(\d+)", re.IGNORECASE)
_INSTITUTES = {"kinit": "KInIT", "uva": "UvA"}
# Parts of a column name that say which event it is about.
_EVENT_WORDS = {"fixation", "click", "cursor", "closest", "aoi"}
_SUFFIXES = {
    "type": "type",
    "movieid": "MovieID",
    "movie_id": "MovieID",
    "movie_position_in_carousel": "Movie_position_in_carousel",
    "carousel_position": "Carousel_position",
    "carousel_genre": "Carousel_genre",
    "carousel_genre_is_top_genre": "Carousel_genre_is_top_genre",
    "is_top_genre": "Carousel_genre_is_top_genre",
    "carousel_genre_is_preferred_genre": "Carousel_genre_is_preferred_genre",
    "is_preferred_genre": "Carousel_genre_is_preferred_genre",
    "carousel_genre_rating": "Carousel_genre_rating",
    "rating": "Carousel_genre_rating",
}
_DURATIONS = {"Fixation_AOI": "Fixation_Duration", "Cursor_AOI": "Cursor_Duration", "Click_AOI": "Click_Duration"}
_SUBJECTS = {"SubjectIDs": "SubjectID", "SubjectID": "SubjectIDs"}


def canonical_user(name: str) -> str:
    """`KInIT_7` for `KINIT_7`, `kinit_07` and the like; other ids as they are."""
    found = _USER.fullmatch(name.strip())
    return f"{_INSTITUTES[found[1].lower()]}_{int(found[2])}" if found else name


def canonical_genres(text: str) -> str:
    """A list of genres as the study writes it: `Comedies,Sci-fi` becomes `Comedy, Sci-Fi`."""
    return ", ".join(GENRE_ALIASES.get(part.strip(), part.strip()) for part in text.split(","))


def normalized(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The table with users, genres and areas under one name each."""
    changes: dict[str, Any] = {}
    for name in frame.columns:
        rename = _renaming(str(name))
        if rename is not None and hasattr(frame[name], "cat"):
            changes[name] = _renamed_categories(frame[name], rename)
    return frame.assign(**changes)


def _renaming(column: str) -> Any:
    if column == "UserID":
        return canonical_user
    if column.endswith(("Carousel_genre", "Top_genre")):
        return lambda text: GENRE_ALIASES.get(text, text)
    if column == "Preferred_genres":
        return canonical_genres
    if column.endswith("_type"):
        return lambda text: TYPE_ALIASES.get(text, text)
    return None


def _renamed_categories(values: "pd.Series[Any]", rename: Any) -> "pd.Series[Any]":
    import pandas as pd

    old = [str(one) for one in values.cat.categories]
    new = [rename(one) for one in old]
    if new == old:
        return values
    distinct: Any = sorted(set(new))
    place = np.array([distinct.index(one) for one in new] + [-1], dtype=np.int64)
    return pd.Series(pd.Categorical.from_codes(place[values.cat.codes], distinct), index=values.index)


def canonical_columns(found: Sequence[str], table: Table) -> dict[str, list[str]]:
    """For each column of a table, the columns of a file that seem to be it.

    Args:
        found: Columns of the file.
        table: What they should be.

    Returns:
        By published name, the candidates, those of exactly that name first.
    """
    known = set(table.by_name)
    candidates: dict[str, list[str]] = {}
    for name in found:
        target = name if name in known else _guess(name, known)
        if target is not None:
            candidates.setdefault(target, []).append(name)
    return {target: sorted(names, key=lambda one: one != target) for target, names in candidates.items()}


def _guess(name: str, known: Iterable[str]) -> str | None:
    """The published name that a column's name means; None if it means none."""
    names = set(known)
    if _SUBJECTS.get(name) in names:
        return _SUBJECTS[name]
    words = name.strip().lower().split("_")
    event = {word for word in words if word in _EVENT_WORDS}
    rest = "_".join(word for word in words if word not in _EVENT_WORDS)
    for one in EVENTS:
        if event | {"aoi"} != set(one.lower().split("_")):
            continue
        target = _DURATIONS.get(one) if rest == "duration" else f"{one}_{_SUFFIXES.get(rest)}"
        return target if target in names else None
    folded = {other.lower(): other for other in names}
    return folded.get(name.strip().lower())


def did_you_mean(found: object, allowed: Sequence[str]) -> str | None:
    """A hint naming the nearest of the allowed texts, None if none is near."""
    near = difflib.get_close_matches(str(found), allowed, n=1, cutoff=0.6)
    return f"Did you mean {near[0]!r}?" if near else None
