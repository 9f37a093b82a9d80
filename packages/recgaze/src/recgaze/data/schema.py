"""The columns of the four published tables, as data: name, type, what a value may be.

Source: the README of the published data set. Column names are the published ones; what the README abbreviates as
`[]_AOI_type` stands here for each event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from recgaze import study

__all__ = ["CLICKS", "EVENTS", "ITEMS", "SUMMARY", "TABLES", "USERS", "Column", "Event", "Table"]

Kind = Literal["text", "integer", "number"]
Event = Literal["Fixation_AOI", "Fixation_AOI_Closest", "Click_AOI", "Cursor_AOI"]
EVENTS: tuple[Event, ...] = ("Fixation_AOI", "Fixation_AOI_Closest", "Click_AOI", "Cursor_AOI")

AOI_TYPES = ("Movie", "Genre", "Forward", "Backward", "Background")
STARS = ("1 star - Awful", "2 stars - Poor", "3 stars - Ok", "4 stars - Good", "5 stars - Must Watch")
FAMILIARITY = (
    "I have seen the entire movie",
    "I have seen part of the movie",
    "I have seen a trailer/clip",
    "I have seen another part of the series or version of the movie",
    "I have heard of the movie",
    "I have never heard of the movie",
    "I did not select a movie",
    "I selected a movie by accident",
    "I don't remember",
)
REASONS = (
    "Because of the poster",
    "Because of the details",
    "I already wanted to watch it",
    "I want to watch it again or finish it",
    "I have enjoyed another part of the series or version of the movie",
    "I have been recommended this movie or heard good things about ( ratings, reviews, etc.)",
    "I am not sure/ I don't know",
    "I did not select a movie",
    "I selected a movie by accident",
    "I don't remember",
)


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: As published.
        kind: "text", "integer" or "number".
        low: Smallest number allowed.
        high: Largest number allowed.
        allowed: Texts allowed; empty: any.
        required: Whether the file must have the column.
        filled: Whether every row must have a value.
        group: Columns of one group stand together: the file has all of them or none.
    """

    name: str
    kind: Kind = "text"
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] = ()
    required: bool = True
    filled: bool = False
    group: str = ""

    @property
    def expected(self) -> str:
        """What a value may be, in words."""
        if self.allowed:
            return ", ".join(self.allowed)
        what = {"text": "a text", "integer": "a whole number", "number": "a number"}[self.kind]
        if self.low is not None and self.high is not None:
            return f"{what} from {self.low:g} to {self.high:g}"
        return what if self.low is None else f"{what} of at least {self.low:g}"


@dataclass(frozen=True)
class Table:
    """One of the published files.

    Attributes:
        name: Of the file, without suffix.
        columns: In their order.
    """

    name: str
    columns: tuple[Column, ...]

    @property
    def by_name(self) -> Mapping[str, Column]:
        """The columns by their names."""
        return {column.name: column for column in self.columns}


def _optional(*names: str, kind: Kind = "text") -> tuple[Column, ...]:
    return tuple(Column(name, kind, required=False) for name in names)


def aoi_columns(event: str, *, group: str = "") -> tuple[Column, ...]:
    """The columns that describe what an event was on; those of a group may be absent together."""
    needed = not group
    return (
        Column(f"{event}_type", allowed=AOI_TYPES, required=needed, group=group),
        Column(f"{event}_MovieID", "integer", required=needed, group=group),
        Column(f"{event}_Movie_position_in_carousel", "integer", 1, study.POSITIONS, required=needed, group=group),
        Column(f"{event}_Carousel_position", "integer", 1, study.CAROUSELS, required=needed, group=group),
        Column(f"{event}_Carousel_genre", allowed=study.GENRES, required=needed, group=group),
        Column(f"{event}_Carousel_genre_is_top_genre", allowed=("Top_Genre", "Not_Top_Genre"), required=False),
        Column(
            f"{event}_Carousel_genre_is_preferred_genre",
            allowed=("Preferred_Genre", "Not_Preferred_Genre"),
            required=False,
        ),
        Column(f"{event}_Carousel_genre_rating", "integer", 1, 5, required=False),
    )


_WHO = (
    Column("UserID", filled=True),
    Column("SubjectID", "integer", required=False),
    Column("TaskID", "integer", 1, 40, filled=True),
    Column("StimulusID", required=False),
    Column("Timestamp", "number", 0, filled=True),
)

SUMMARY = Table(
    "summary_feedback",
    (
        *_WHO,
        Column("Fixation_Duration", "number", 0),
        *aoi_columns("Fixation_AOI"),
        *aoi_columns("Fixation_AOI_Closest"),
        *aoi_columns("Click_AOI"),
        Column("Cursor_Duration", "number", 0, required=False, group="cursor"),
        *aoi_columns("Cursor_AOI", group="cursor"),
    ),
)

CLICKS = Table(
    "click_feedback",
    (
        *_WHO,
        *aoi_columns("Click_AOI"),
        Column("Movie_Familiarity", allowed=FAMILIARITY, required=False),
        *_optional("Why_Selected"),
    ),
)

ITEMS = Table(
    "item_features",
    (
        *_optional("TMDB_id", kind="integer"),
        *_optional("TMDB_title", "TMDB_original_language", "TMDB_genres", "TMDB_release_date", "TMDB_cast"),
        *_optional("TMDB_overview"),
        *_optional("TMDB_popularity", "TMDB_rating_avg", kind="number"),
        *_optional("TMDB_rating_count", kind="integer"),
        *_optional("TMDB_poster_path", "TMDB_extraction_date", "IMDB_id"),
        *_optional("IMDB_rating_avg", kind="number"),
        *_optional("IMDB_numVotes", kind="integer"),
        *_optional("IMDB_extraction__date"),
        Column("TaskID", "integer", 1, 40),
        Column("Carousel_position", "integer", 1, study.CAROUSELS),
        Column("Carousel_genre", allowed=study.GENRES),
        Column("MovieID", "integer", filled=True),
        Column("Movie_position_in_carousel", "integer", 1, study.POSITIONS),
    ),
)

USERS = Table(
    "user_features",
    (
        *_optional("Pre_survey_timestamp"),
        Column("UserID", filled=True),
        *_optional("SubjectIDs", kind="integer"),
        *_optional("Age", "Gender"),
        Column("Location", allowed=("Bratislava", "Amsterdam"), required=False),
        Column("First_task", allowed=("Semi_free_direct_search", "Free_browsing"), required=False),
        Column("Netflix_user", allowed=("Yes", "No"), required=False),
        *_optional("Netflix_usage", "Movie_watching_frequency"),
        Column("Top_genre", allowed=study.GENRES),
        Column("Preferred_genres"),
        *(Column(f"{genre}_rating", allowed=STARS) for genre in study.GENRES),
        *(Column(f"MAX_Q{number}", "integer", 1, 7, required=False) for number in range(1, 7)),
        *(
            Column(f"TaskID_{task}_{name}", allowed=allowed, required=False)
            for task in range(1, 36)
            for name, allowed in (("Why_Selected", ()), ("Movie_Familiarity", FAMILIARITY))
        ),
        *_optional("Post_survey_timestamp", "Overwhelmed_by_genres", "Enough_genres_to_decide"),
        *_optional("Overwhelmed_by_movies", "Enough_movies_to_decide", "Other_carousel_topics"),
        *_optional("Comments_suggestions", "Customize_interface"),
        Column("FreeBrowsing_experience_rating", "integer", 1, 10, required=False),
        *_optional("Tiredness_level"),
        Column("Distance_eyes_center_screen", "number", 0, required=False),
        *_optional("Speed_reminder"),
    ),
)

TABLES = (SUMMARY, CLICKS, ITEMS, USERS)
