"""The data of a carousel study: four tables, and the arrays that follow from them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError, DataError
from recgaze import study
from recgaze.arguments import require_kind
from recgaze.data.checks import ValidationReport, check_tables, complete, fixation_unit, stars
from recgaze.data.files import TableFile
from recgaze.data.naming import canonical_user
from recgaze.data.places import Places, codes_of
from recgaze.data.reading import read_study, study_blocks
from recgaze.data.schema import CLICKS, ITEMS, SUMMARY, TABLES, USERS, Event, Table
from recgaze.data.screens import Clock, screens_begin, seen_screens
from recgaze.data.writing import require_one_format, write_parts, write_table
from recgaze.impressions import Impressions
from recgaze.layout import Aoi, CarouselLayout
from recgaze.visits import Visits

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ItemGrid", "RecGazeDataset"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Rule = Literal["strict", "closest"]

_EVENT_OF_RULE: dict[str, Event] = {"strict": "Fixation_AOI", "closest": "Fixation_AOI_Closest"}


@dataclass(frozen=True, eq=False)
class ItemGrid:
    """What stands where, on every screen.

    Attributes:
        tasks: int64 [n_screens], the screens, ascending.
        genre: int8 [n_screens, rows], code in `study.GENRES`; -1: unknown.
        movie: int64 [n_screens, rows, columns], id of the film; -1: unknown.
    """

    tasks: IntArray
    genre: NDArray[np.int8]
    movie: IntArray


@dataclass(frozen=True, eq=False)
class RecGazeDataset:
    """A carousel study in the published form, real or simulated.

    `summary` holds every fixation, cursor dwell and click; `clicks` the final one of each screen; `items` what stood
    where; `users` the surveys. Column names are the published ones.

    Attributes:
        summary: `summary_feedback`, a row an event, or several that begin at one time.
        clicks: `click_feedback`, a row a user and screen.
        items: `item_features`, a row a film.
        users: `user_features`, a row a user.
        layout: Where things stand on the page.
        source: Where it is from.
        is_normalized: Whether users, genres and areas have one name each.
        renamed: By file, the columns that were read under another name.
        paths: By table, the file that it was read from.
        clock: What `Timestamp` counts from: when the "screen" appeared, or when the "recording" began. Default: the
            former if half of the screens have their first event within five seconds.
    """

    summary: "pd.DataFrame"
    clicks: "pd.DataFrame"
    items: "pd.DataFrame"
    users: "pd.DataFrame"
    layout: CarouselLayout = field(default_factory=CarouselLayout.recgaze)
    source: str = "memory"
    is_normalized: bool = True
    renamed: dict[str, dict[str, str]] = field(default_factory=dict)
    paths: dict[str, Path] = field(default_factory=dict, repr=False)
    clock: Clock | None = None

    # -- reading and writing ------------------------------------------------------------------------------------------

    @classmethod
    def load(cls, folder: str | Path, *, normalize: bool = True, check: bool = True) -> "RecGazeDataset":
        """Read the four tables, as CSV or Parquet.

        The published files write one thing in several ways (`KINIT_3`, `Comedies`, `Genre_text`); `normalize` gives
        each one name.

        Args:
            folder: Where `summary_feedback`, `click_feedback`, `item_features` and `user_features` are.
            normalize: Whether to do that; without it the tables stay as they are written.
            check: Whether to check the tables first; without normalised names that is not done.

        Raises:
            DataError: A table is missing or malformed, or breaks the schema: with file, row and column.

        Warns:
            StudyWarning: What is odd in them, such as an event that stands there twice, or a fixation that lasts longer
                than its screen: a warning each, with the first row.
        """
        require_kind("folder", folder, (str, Path), "the path of a folder")
        files = read_study(Path(folder), normalize=normalize, check=check)
        return cls._of(files, str(folder), normalize)

    @classmethod
    def _of(cls, files: dict[str, TableFile], source: str, is_normalized: bool) -> "RecGazeDataset":
        return cls(
            files[SUMMARY.name].frame,
            files[CLICKS.name].frame,
            files[ITEMS.name].frame,
            files[USERS.name].frame,
            source=source,
            is_normalized=is_normalized,
            renamed={name: dict(file.renamed) for name, file in files.items() if file.renamed},
            paths={name: file.path for name, file in files.items() if file.path is not None},
        )

    @classmethod
    def stream(cls, folder: str | Path, *, users_per_block: int = 87) -> "Iterator[RecGazeDataset]":
        """Read a study that is larger than memory, block by block of users.

        The summary has to be Parquet, with the rows of a user together; the other tables, which are smaller, are read
        whole. Blocks are checked as they come.

        Args:
            folder: See `load`.
            users_per_block: Users in a block.

        Raises:
            DataError: As `load`; or a user's rows are not together.

        Warns:
            StudyWarning: As `load`.
        """
        for files in study_blocks(Path(folder), users_per_block):
            yield cls._of(files, str(folder), True)

    def save(self, folder: str | Path, *, format: Literal["csv", "parquet"] = "csv") -> None:  # noqa: A002
        """Write the four tables. Loading and saving again gives the same bytes.

        Raises:
            ArgumentError: An unknown format, or a folder with the tables in another one.
        """
        if format not in ("csv", "parquet"):
            raise ArgumentError(f'format={format!r}; expected "csv" or "parquet"')
        require_one_format(Path(folder), format)
        for spec, frame in self._tables():
            write_table(frame, Path(folder) / f"{spec.name}.{format}")

    @classmethod
    def save_blocks(cls, blocks: "Iterable[RecGazeDataset]", folder: str | Path) -> None:
        """Write the blocks of a study that is larger than memory, of different users each, as one study in Parquet.

        Args:
            blocks: In the order of their users; the films are those of the first.
            folder: Where to write. Nothing is there before all blocks are.

        Raises:
            ArgumentError: No blocks, or a folder with the tables in CSV.
            DataError: A block has other columns than the first.
        """
        require_one_format(Path(folder), "parquet")
        write_parts(
            ({spec.name: frame for spec, frame in block._tables()} for block in blocks), Path(folder), ITEMS.name
        )

    def _tables(self) -> "Iterator[tuple[Table, pd.DataFrame]]":
        return zip(TABLES, (self.summary, self.clicks, self.items, self.users), strict=True)

    def validate(self) -> ValidationReport:
        """Check every table, and the tables against each other."""
        return check_tables(
            {
                spec.name: TableFile(
                    spec, frame, self._file_name(spec.name), self.paths.get(spec.name), self.renamed.get(spec.name, {})
                )
                for spec, frame in self._tables()
            }
        )

    def _file_name(self, table: str) -> str:
        return self.paths[table].name if table in self.paths else table

    # -- parts --------------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return (
            f"RecGazeDataset({len(self.users):,} users, {len(self.clicks):,} selections, {len(self.summary):,} events)"
        )

    def where(self, *, users: Iterable[str] | None = None, tasks: Iterable[int] | None = None) -> "RecGazeDataset":
        """The part of some users and screens.

        Args:
            users: Their ids, or one. Default: all.
            tasks: The screens. Default: all.

        Raises:
            ArgumentError: A user whom the study does not have.
        """
        parts: dict[str, Any] = {
            "summary": self.summary,
            "clicks": self.clicks,
            "users": self.users,
            "items": self.items,
            "paths": {},
            # A part may not show any more what the whole did.
            "clock": self.clock or self._screens_begin[0],
        }
        if users is not None:
            ids = {canonical_user(one) for one in ([users] if isinstance(users, str) else users)}
            strangers = sorted(ids - set(self.users["UserID"].dropna()))
            if strangers:
                raise ArgumentError(f"users has {strangers[0]!r}; expected ids of the study's {len(self.users)} users")
            parts |= {name: parts[name][parts[name]["UserID"].isin(ids)] for name in ("summary", "clicks", "users")}
        if tasks is not None:
            numbers = set(tasks)
            parts |= {name: parts[name][parts[name]["TaskID"].isin(numbers)] for name in ("summary", "clicks", "items")}
        for name in ("summary", "clicks", "users", "items"):
            parts[name] = parts[name].reset_index(drop=True)
        return replace(self, **parts)

    def task(self, kind: study.TaskKind) -> "RecGazeDataset":
        """The screens of one kind: "free", "semi_free" or "direct".

        Raises:
            ArgumentError: There is no such kind.
        """
        if kind not in study.TASK_KINDS:
            raise ArgumentError(f"kind={kind!r}; expected one of {', '.join(map(repr, study.TASK_KINDS))}")
        return self.where(tasks=[task for task in study.TASKS if study.task_kind(task) == kind])

    @cached_property
    def user_ids(self) -> NDArray[np.str_]:
        """[n_users], the ids, in the order of `users`."""
        return self.users["UserID"].to_numpy(dtype=str)

    @cached_property
    def ratings(self) -> NDArray[np.int8]:
        """int8 [n_users, n_genres], stars 1 to 5 of each genre in `study.GENRES`; 0: none given."""
        self._require_normalized()
        return np.stack([stars(self.users[f"{genre}_rating"]) for genre in study.GENRES], axis=1)

    @cached_property
    def grid(self) -> ItemGrid:
        """What stood where."""
        self._require_normalized()
        cells = self.items.dropna(subset=["TaskID", "Carousel_position", "Movie_position_in_carousel"])
        task, row, column, movie = (
            cells[name].to_numpy(dtype=np.int64)
            for name in ("TaskID", "Carousel_position", "Movie_position_in_carousel", "MovieID")
        )
        tasks, screen = np.unique(task, return_inverse=True)
        films = np.full((len(tasks), self.layout.rows, self.layout.columns), -1, dtype=np.int64)
        films[screen, row - 1, column - 1] = movie
        genres = np.full((len(tasks), self.layout.rows), -1, dtype=np.int8)
        genres[screen, row - 1] = codes_of(cells["Carousel_genre"], study.GENRES)
        return ItemGrid(tasks, genres, films)

    @cached_property
    def screens(self) -> "pd.DataFrame":
        """The seen screens: `user, task, kind, has_click, failed_search, excluded`.

        Excluded by default are, as in the study, failed direct searches (the click is not on the target) and screens
        whose final click is missing.
        """
        self._require_normalized()
        return seen_screens(self.summary, self._final, self.user_ids)

    @cached_property
    def _final(self) -> "pd.DataFrame":
        """The selections: `UserID, TaskID, row, column`."""
        chosen = self.clicks[
            complete(self.clicks, "Click_AOI") & (self.clicks["Click_AOI_type"] == "Movie").to_numpy(bool)
        ]
        frame = chosen[["UserID", "TaskID", "Click_AOI_Carousel_position", "Click_AOI_Movie_position_in_carousel"]]
        frame.columns = ["UserID", "TaskID", "row", "column"]
        return frame.astype({"UserID": str})

    # -- events -------------------------------------------------------------------------------------------------------

    def fixations(self, rule: Rule = "closest") -> Visits:
        """The fixations, by one of the study's two rules of what they are on.

        Args:
            rule: "strict": inside the box. "closest": beside all boxes, the nearest within 60 pixels.

        Raises:
            ArgumentError: An unknown rule.
        """
        if rule not in _EVENT_OF_RULE:
            raise ArgumentError(f'rule={rule!r}; expected "strict" or "closest"')
        seconds = 1.0 if fixation_unit(self.summary) == "s" else 1e-3
        return self._visits(
            _EVENT_OF_RULE[rule], self.summary["Fixation_Duration"].to_numpy(dtype=np.float64) * seconds
        )

    def cursor(self) -> Visits:
        """The cursor's dwells.

        Raises:
            ArgumentError: The summary has none.
        """
        if "Cursor_AOI_type" not in self.summary or "Cursor_Duration" not in self.summary:
            raise ArgumentError("the summary has no columns of the cursor")
        return self._visits("Cursor_AOI", self.summary["Cursor_Duration"].to_numpy(dtype=np.float64))

    def click_events(self) -> Visits:
        """All clicks: on swipe arrows, and the final one on a poster."""
        return self._visits("Click_AOI", np.zeros(len(self.summary)))

    def _visits(self, event: Event, duration: FloatArray) -> Visits:
        self._require_normalized()
        rows = np.flatnonzero(complete(self.summary, event))
        part = self.summary.iloc[rows]
        labels = [aoi.label for aoi in Aoi]
        kind = codes_of(part[f"{event}_type"], labels)
        row = part[f"{event}_Carousel_position"].to_numpy(dtype=np.float64, na_value=0.0)
        column = part[f"{event}_Movie_position_in_carousel"].to_numpy(dtype=np.float64, na_value=0.0)
        return Visits(
            self.user_ids,
            self._user[rows].astype(np.int32),
            self._task[rows].astype(np.int16),
            self._time[rows],
            np.nan_to_num(duration[rows]),
            kind.astype(np.int8),
            np.where(kind > 0, row, 0).astype(np.int16),
            np.where(kind == Aoi.MOVIE, column, 0).astype(np.int16),
        )

    @cached_property
    def _user(self) -> IntArray:
        codes = codes_of(self.summary["UserID"], list(self.user_ids)).astype(np.int64)
        if len(codes) and codes.min() < 0:
            raise DataError("a user of the summary is not among the users", source=self.source, column="UserID")
        return codes

    @cached_property
    def _task(self) -> IntArray:
        return self.summary["TaskID"].to_numpy(dtype=np.int64)

    @cached_property
    def _screens_begin(self) -> tuple[Clock, FloatArray]:
        return screens_begin(self.summary)

    @cached_property
    def _time(self) -> FloatArray:
        """Seconds since the screen appeared: float64 [n_events].

        A clock that runs on from screen to screen does not say when one appeared: its first event stands for that.
        """
        time = self.summary["Timestamp"].to_numpy(dtype=np.float64)
        inferred, first = self._screens_begin
        since: FloatArray = time - first if (self.clock or inferred) == "recording" else time
        # Of times since 1970, the last digits of the difference are noise.
        return since.round(6)

    # -- arrays -------------------------------------------------------------------------------------------------------

    def impressions(self, rule: Rule = "closest", *, excluded: bool = False) -> Impressions:
        """The seen screens as arrays.

        Args:
            rule: See `fixations`.
            excluded: Whether to keep what `screens` marks as excluded.

        Raises:
            ArgumentError: An unknown rule, or no screen is left.
        """
        screens = self.screens if excluded else self.screens[~self.screens["excluded"]]
        if not len(screens):
            raise ArgumentError("no screen is left")
        user = codes_of(screens["user"].astype("category"), list(self.user_ids)).astype(np.int64)
        task = screens["task"].to_numpy(dtype=np.int64)
        places = Places(user, task, self.layout.rows, self.layout.columns)
        fixations, clicks = self.fixations(rule), self.click_events()
        dwell = places.sums(fixations, fixations.duration)
        at, known = np.searchsorted(self.grid.tasks, task), np.isin(task, self.grid.tasks)
        at = np.where(known, at, 0)
        genre = np.where(known[:, None], self.grid.genre[at], -1)
        return Impressions(
            users=self.user_ids,
            genres=study.GENRES,
            user=user.astype(np.int32),
            task=task.astype(np.int16),
            examined=places.sums(fixations, None) > 0,
            dwell=dwell.astype(np.float32),
            clicked=self._selections(places),
            genre=genre,
            movie=np.where(known[:, None, None], self.grid.movie[at], -1),
            rating=np.where(genre >= 0, self.ratings[user[:, None], genre], 0),
            pages=places.pages(fixations, clicks, self.layout.visible),
            visible=self.layout.visible,
        )

    def _selections(self, places: Places) -> BoolArray:
        final = self._final
        user = codes_of(final["UserID"].astype("category"), list(self.user_ids)).astype(np.int64)
        screen = places.screen(user, final["TaskID"].to_numpy(dtype=np.int64))
        clicked = np.zeros(places.shape, dtype=bool)
        row, column = (final[name].to_numpy(dtype=np.int64) - 1 for name in ("row", "column"))
        here = screen >= 0
        clicked[screen[here], row[here], column[here]] = True
        return clicked

    def _require_normalized(self) -> None:
        if not self.is_normalized:
            raise ArgumentError("the tables are as they were written; load them with normalize=True first")
