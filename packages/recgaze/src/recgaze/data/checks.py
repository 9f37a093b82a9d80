"""What must hold in the tables, and the sentence that says where it does not."""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import DataError
from recgaze import study
from recgaze.data.naming import did_you_mean
from recgaze.data.schema import EVENTS, STARS, Column

if TYPE_CHECKING:
    import pandas as pd

    from recgaze.data.files import TableFile

__all__ = ["StudyWarning", "ValidationReport", "check_tables", "complete", "fixation_unit"]

BoolArray = NDArray[np.bool_]

# Fixations last a few tenths of a second: a median below this cannot be milliseconds.
LONGEST_MEDIAN_SECONDS = 5.0
# None lasts longer than this, unless it is one of a whole short screen.
LONGEST_FIXATION = 2.0
# Seconds from the middle event of a screen: no screen is looked at for so long.
FARTHEST_EVENT = 1800.0


class StudyWarning(UserWarning):
    """Something in the tables of a study that can be read but is odd."""


@dataclass(frozen=True)
class ValidationReport:
    """What is wrong with a data set, and what is only odd.

    Attributes:
        errors: Each a `DataError` that names file, column and first row concerned.
        warnings: Sentences.
        counts: Rows of each table.
    """

    errors: tuple[DataError, ...]
    warnings: tuple[str, ...]
    counts: Mapping[str, int]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    def raise_if_errors(self) -> None:
        """Raise the first error, if there is one.

        Raises:
            DataError: The first of `errors`.
        """
        if self.errors:
            raise self.errors[0]

    def accept(self) -> None:
        """Raise the first error, or warn of what is odd.

        Raises:
            DataError: The first of `errors`.

        Warns:
            StudyWarning: Each of `warnings`.
        """
        self.raise_if_errors()
        for warning in self.warnings:
            warnings.warn(warning, StudyWarning, stacklevel=4)

    @property
    def text(self) -> str:
        """All of it, a line each."""
        lines = [f"{name}: {count:,} rows" for name, count in self.counts.items()]
        lines += [f"error: {error}" for error in self.errors]
        lines += [f"warning: {warning}" for warning in self.warnings]
        n = len(self.errors)
        return "\n".join([*lines, "valid" if self.ok else f"{n} error{'s' * (n > 1)}"])


def complete(frame: "pd.DataFrame", event: str) -> BoolArray:
    """Whether each row of a table has a whole event: a type, and what it is on.

    Source: the data set's README, by which an event only happens if its columns are filled.
    """
    kind = frame[f"{event}_type"]
    there = kind.notna().to_numpy()
    carousel = frame[f"{event}_Carousel_position"].notna().to_numpy()
    position = frame[f"{event}_Movie_position_in_carousel"].notna().to_numpy()
    background, movie = (kind == "Background").to_numpy(dtype=bool), (kind == "Movie").to_numpy(dtype=bool)
    return np.asarray(there & (background | (carousel & (position | ~movie))))


def fixation_unit(frame: "pd.DataFrame") -> str:
    """`"s"` or `"ms"`, by the median duration; `"ms"` where there is no fixation."""
    durations = frame["Fixation_Duration"].to_numpy(dtype=np.float64)
    durations = durations[np.isfinite(durations)]
    return "s" if len(durations) and float(np.median(durations)) < LONGEST_MEDIAN_SECONDS else "ms"


def check_tables(tables: Mapping[str, "TableFile"]) -> ValidationReport:
    """Check the four tables, each and against each other.

    Args:
        tables: By name, normalised.
    """
    errors: list[DataError] = []
    for table in tables.values():
        errors += _cell_errors(table)
    errors += _relation_errors(tables)
    counts = {name: len(table.frame) for name, table in tables.items()}
    return ValidationReport(tuple(errors), tuple(_warnings(tables)), counts)


def _cell_errors(table: "TableFile") -> Iterator[DataError]:
    if not len(table.frame):
        yield table.place().empty()
        return
    for column in table.spec.columns:
        if column.name in table.frame:
            yield from _column_errors(table, column)


def _column_errors(table: "TableFile", column: Column) -> Iterator[DataError]:
    values = table.frame[column.name]
    missing = values.isna().to_numpy()
    if column.filled and missing.any():
        yield table.place().error(
            "a value is missing", int(np.flatnonzero(missing)[0]), column.name, "nothing", column.expected
        )
    if column.kind == "text":
        bad = (
            ~missing & ~values.isin(column.allowed).to_numpy() if column.allowed else np.zeros(len(values), dtype=bool)
        )
    else:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        low, high = (-np.inf if column.low is None else column.low), (np.inf if column.high is None else column.high)
        bad = ~missing & ~((numbers >= low) & (numbers <= high) & np.isfinite(numbers))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        more = int(bad.sum()) - 1
        found = values.iloc[row]
        hint = did_you_mean(found, column.allowed) if column.allowed else None
        problem = "a value that is not allowed" + (f", and {more:,} more" if more else "")
        yield table.place().error(problem, row, column.name, found, column.expected, hint)


def _relation_errors(tables: Mapping[str, "TableFile"]) -> Iterator[DataError]:
    clicks, users, items = tables["click_feedback"], tables["user_features"], tables["item_features"]
    yield from _duplicates(
        clicks, ["UserID", "TaskID"], "a screen with two final clicks", "one click a user and screen"
    )
    yield from _duplicates(users, ["UserID"], "a user stands in the table twice", "one row a user")
    shown = items.frame["TaskID"].notna().to_numpy()
    cells = ["TaskID", "Carousel_position", "Movie_position_in_carousel"]
    yield from _duplicates(items, cells, "two films in one place", "one film a screen, carousel and position", shown)
    yield from _mixed_genres(items)
    for name in ("summary_feedback", "click_feedback"):
        yield from _unknown_users(tables[name], users)
        for event in EVENTS:
            if f"{event}_type" in tables[name].frame:
                yield from _wrong_films(tables[name], items, event)
                yield from _wrong_genres(tables[name], items, event)
    yield from _wrong_units(tables["summary_feedback"])


def _duplicates(
    table: "TableFile", key: list[str], problem: str, expected: str, where: BoolArray | None = None
) -> Iterator[DataError]:
    twice = table.frame.duplicated(key).to_numpy() & (True if where is None else where)
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        found = ", ".join(f"{name} {table.frame[name].iloc[row]}" for name in key)
        yield table.place().error(problem, row, key[-1], found, expected)


def _unknown_users(table: "TableFile", users: "TableFile") -> Iterator[DataError]:
    known = set(users.frame["UserID"].dropna())
    strange = ~table.frame["UserID"].isin(known).to_numpy() & table.frame["UserID"].notna().to_numpy()
    if strange.any():
        row = int(np.flatnonzero(strange)[0])
        yield table.place().error(
            "an unknown user", row, "UserID", table.frame["UserID"].iloc[row], f"a UserID of {users.source}"
        )


def _wrong_films(table: "TableFile", items: "TableFile", event: str) -> Iterator[DataError]:
    """An event on a film that stands elsewhere."""
    place = ["TaskID", "Carousel_position", "Movie_position_in_carousel"]
    movie = (table.frame[f"{event}_type"] == "Movie").to_numpy(dtype=bool)
    known = _looked_up(table, items, event, place, "MovieID", complete(table.frame, event) & movie)
    if known is None:
        return
    rows, expected, found = known
    wrong = np.flatnonzero((expected != found).to_numpy(dtype=bool, na_value=True) & found.notna().to_numpy())
    if not len(wrong):
        return
    first = int(wrong[0])
    row = int(rows[first])
    values = [table.frame[name].iloc[row] for name in ("TaskID", *(f"{event}_{part}" for part in place[1:]))]
    where = "screen {}, carousel {}, position {}".format(*values)
    there = f"film {expected.iloc[first]} at {where}, by {items.source}"
    problem = "a film that does not stand there"
    if expected.isna().iloc[first]:
        problem, there = "a film at a place that has none", f"a place that {items.source} has, not {where}"
    yield table.place().error(problem, row, f"{event}_MovieID", int(found.iloc[first]), there)


def _wrong_genres(table: "TableFile", items: "TableFile", event: str) -> Iterator[DataError]:
    """An event in a carousel of another genre."""
    place = ["TaskID", "Carousel_position"]
    there = table.frame[f"{event}_Carousel_position"].notna().to_numpy() & complete(table.frame, event)
    known = _looked_up(table, items, event, place, "Carousel_genre", there)
    if known is None:
        return
    rows, expected, found = known
    both = expected.isin(study.GENRES).to_numpy() & found.isin(study.GENRES).to_numpy()
    wrong = np.flatnonzero((expected.astype(str) != found.astype(str)).to_numpy() & both)
    if len(wrong):
        first = int(wrong[0])
        yield table.place().error(
            "another genre than that of the carousel",
            int(rows[first]),
            f"{event}_Carousel_genre",
            found.iloc[first],
            f"{expected.iloc[first]}, by {items.source}",
        )


def _mixed_genres(items: "TableFile") -> Iterator[DataError]:
    """A carousel whose films say different genres."""
    frame = items.frame.dropna(subset=["TaskID", "Carousel_position", "Carousel_genre"])
    first = frame.groupby(["TaskID", "Carousel_position"], sort=False)["Carousel_genre"].transform("first")
    wrong = np.flatnonzero((first.astype(str) != frame["Carousel_genre"].astype(str)).to_numpy())
    if len(wrong):
        row = int(frame.index[wrong[0]])
        expected = f"{first.iloc[wrong[0]]}, as above for this carousel"
        yield items.place().error(
            "a carousel of two genres", row, "Carousel_genre", items.frame["Carousel_genre"].iloc[row], expected
        )


def _looked_up(
    table: "TableFile", items: "TableFile", event: str, place: list[str], what: str, where: BoolArray
) -> "tuple[NDArray[np.intp], pd.Series[Any], pd.Series[Any]] | None":
    """Rows of events, what the items say of their place, and what the events say; None where there is nothing."""
    names = [place[0], *(f"{event}_{name}" for name in place[1:])]
    rows = np.flatnonzero(where & table.frame[names].notna().all(axis=1).to_numpy())
    cells = items.frame.dropna(subset=[*place, what]).drop_duplicates(place)
    if not len(rows) or not len(cells):
        return None
    events = table.frame[[*names, f"{event}_{what}"]].iloc[rows]
    said = cells[[*place, what]].set_axis([*names, "said"], axis=1)
    both = events.merge(said, on=names, how="left")
    return rows, both["said"], both[f"{event}_{what}"]


def _wrong_units(summary: "TableFile") -> Iterator[DataError]:
    """Times of events and of the cursor that cannot be seconds."""
    frame = summary.frame
    looks = frame[frame["Fixation_AOI_type"].notna() & frame["Timestamp"].notna()]
    seconds = 1.0 if fixation_unit(frame) == "s" else 1e-3
    duration = looks["Fixation_Duration"].median() * seconds
    if duration > LONGEST_MEDIAN_SECONDS:
        yield DataError(
            "fixations are longer than any",
            source=summary.source,
            column="Fixation_Duration",
            found=f"a median of {duration:.3g} s, taken for milliseconds",
            expected="milliseconds or seconds",
            hint="Divide microseconds by 1,000",
        )
        return
    gap = looks.groupby(["UserID", "TaskID"], observed=True)["Timestamp"].diff().median()
    if duration > 0 and gap > 100 * duration:
        yield DataError(
            "times do not go with the fixations",
            source=summary.source,
            column="Timestamp",
            found=f"fixations of {duration:.3g} s, {gap:.3g} apart",
            expected="seconds",
        )
    if "Cursor_Duration" not in frame:
        return
    span = frame.groupby(["UserID", "TaskID"], observed=True)["Timestamp"].agg(lambda times: times.max() - times.min())
    dwell, longest = frame["Cursor_Duration"].median(), span.median()
    if dwell > 10 * longest > 0:
        yield DataError(
            "dwells of the cursor are longer than screens",
            source=summary.source,
            column="Cursor_Duration",
            found=f"a median of {dwell:.3g} on screens of {longest:.3g} s",
            expected="seconds",
        )


def _warnings(tables: Mapping[str, "TableFile"]) -> Iterator[str]:
    for table in tables.values():
        if table.renamed:
            names = ", ".join(f"{raw} as {name}" for name, raw in table.renamed.items())
            yield f"{table.source}: columns read under other names: {names}"
    summary = tables["summary_feedback"]
    if fixation_unit(summary.frame) == "s":
        yield f"{summary.source}: fixation durations are taken for seconds, by their median"
    for event in EVENTS:
        if f"{event}_type" in summary.frame:
            broken = summary.frame[f"{event}_type"].notna().to_numpy() & ~complete(summary.frame, event)
            if broken.any():
                yield f"{summary.source}: {int(broken.sum()):,} events {event} lack what they are on and are left out"
    looks = summary.frame["Fixation_AOI_type"].notna()
    missing = int(summary.frame.loc[looks, "Fixation_Duration"].isna().sum())
    if missing:
        yield f"{summary.source}: {missing:,} fixations have no duration; they count as looks of 0 s"
    yield from _damage(summary)
    other = _other_selections(summary.frame, tables["click_feedback"].frame)
    if other:
        yield f"{tables['click_feedback'].source}: {other:,} selections are not the last click on a film in the summary"
    without = set(summary.frame["UserID"].dropna()) - set(tables["click_feedback"].frame["UserID"].dropna())
    if without:
        yield f"{tables['click_feedback'].source}: no click of {', '.join(sorted(map(str, without))[:5])}"


def _damage(summary: "TableFile") -> Iterator[str]:
    """Events that cannot have been, each kind with its first row."""
    frame = summary.frame
    known = frame.dropna(subset=["UserID", "TaskID", "Timestamp"])
    screens = known.groupby(["UserID", "TaskID"], observed=True)["Timestamp"]
    time = known["Timestamp"].to_numpy(dtype=np.float64)
    far = np.abs(time - screens.transform("median").to_numpy(dtype=np.float64)) > FARTHEST_EVENT
    span = (screens.transform("max") - screens.transform("min")).to_numpy(dtype=np.float64)
    seconds = known["Fixation_Duration"].to_numpy(dtype=np.float64) * (1.0 if fixation_unit(frame) == "s" else 1e-3)
    long = (seconds > LONGEST_FIXATION) & (seconds > span)
    # Only rows that share these can be equal: to compare them all, column by column, takes a second.
    key = ["UserID", "TaskID", "Timestamp", "Fixation_Duration"]
    alike = known[known.duplicated(key, keep=False)]
    twice = known.index.isin(alike.index[alike.duplicated()])
    screen = f"a time within {FARTHEST_EVENT / 60:g} minutes of the middle event of its screen"
    for bad, column, problem, expected in (
        (twice, "Timestamp", "an event stands in the table twice", "each event once"),
        (far, "Timestamp", "an event far from the others of its screen", screen),
        (long, "Fixation_Duration", "a fixation that lasts longer than its screen", "at most the time of its screen"),
    ):
        rows = known.index[bad]
        if len(rows):
            more = f", and {len(rows) - 1:,} more" if len(rows) > 1 else ""
            row = int(rows[0])
            found = frame[column].iloc[row]
            yield str(summary.place().error(f"{problem}{more}", row, column, found, expected))


def _other_selections(summary: "pd.DataFrame", clicks: "pd.DataFrame") -> int:
    """Screens whose selection is not the last click on a film that the summary has of them."""
    names = ["UserID", "TaskID", "Click_AOI_Carousel_position", "Click_AOI_Movie_position_in_carousel"]
    films = summary[(summary["Click_AOI_type"] == "Movie").to_numpy(dtype=bool)]
    last = films.sort_values("Timestamp", kind="stable").drop_duplicates(names[:2], keep="last")[names]
    both = (
        clicks[names].astype({"UserID": str}).merge(last.astype({"UserID": str}), on=names[:2], suffixes=("", "_last"))
    )
    same = [(both[name] == both[f"{name}_last"]).to_numpy(dtype=bool, na_value=True) for name in names[2:]]
    return int((~(same[0] & same[1])).sum())


def stars(values: "pd.Series[Any]") -> NDArray[np.int8]:
    """Ratings in words as 1 to 5; 0 where missing: int8 [n]."""
    codes = {text: number for number, text in enumerate(STARS, start=1)}
    return np.asarray(values.astype(object).map(codes).fillna(0), dtype=np.int8)
