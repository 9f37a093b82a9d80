"""What users said: why they chose, how well they knew the film, who they are, how they decide."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from irworks.stats import Interval, bootstrap, wilson
from recgaze import study
from recgaze.data.schema import FAMILIARITY, REASONS

if TYPE_CHECKING:
    import pandas as pd

    from recgaze.data.dataset import RecGazeDataset

__all__ = [
    "OTHER",
    "UNKNOWN",
    "familiarity",
    "maximization",
    "maximization_scores",
    "parse_reasons",
    "reasons",
    "scores",
    "summary",
]

FloatArray = NDArray[np.float64]

OTHER = "Other"
UNKNOWN = "Not recognised"

_ITEMS = tuple(f"MAX_Q{number}" for number in range(1, 7))
# Questions with one answer of a few; what was asked in free text is left out.
_QUESTIONS = (
    "Location",
    "First_task",
    "Gender",
    "Netflix_user",
    "Netflix_usage",
    "Movie_watching_frequency",
    "Top_genre",
    "Overwhelmed_by_genres",
    "Enough_genres_to_decide",
    "Overwhelmed_by_movies",
    "Enough_movies_to_decide",
    "Tiredness_level",
)


def summary(dataset: "RecGazeDataset", *, level: float = 0.95) -> "pd.DataFrame":
    """Answers of the surveys that have a few choices, and the genres that users prefer.

    Each user answers once, so that shares have Wilson intervals.

    Args:
        dataset: The study.
        level: Confidence.

    Returns:
        `question, answer, n, share, low, high, n_users` (who answered), the most common answers of a question first. Of
        preferred genres a user may name several.
    """
    users = dataset.users
    rows: list[dict[str, Any]] = []
    for question in _QUESTIONS:
        if question in users:
            answers = users[question].dropna().astype(str)
            counts = answers.value_counts()
            rows += _shares(question, zip(counts.index, counts, strict=True), len(answers), level)
    if "Preferred_genres" in users:
        named = users["Preferred_genres"].dropna().astype(str)
        lists = [{part.strip() for part in text.split(",")} for text in named]
        counted = [(genre, sum(genre in one for one in lists)) for genre in study.GENRES]
        counted.sort(key=lambda pair: -pair[1])
        rows += _shares("Preferred_genres", counted, len(lists), level)
    return _frame(rows, ["question", "answer", "n", "share", "low", "high", "n_users"])


def scores(dataset: "RecGazeDataset", *, rng: np.random.Generator, level: float = 0.95) -> "pd.DataFrame":
    """Mean of what users gave as numbers: stars of each genre, how they liked free browsing (1-10), maximization (1-7).

    Args:
        dataset: The study.
        rng: Source of the bootstrap, which draws users.
        level: Confidence.

    Returns:
        `score, mean, low, high, sd, n_users`.
    """
    users = dataset.users
    stars = dataset.ratings.astype(np.float64)
    given = {
        f"{genre} (1-5)": np.where(column > 0, column, np.nan)
        for genre, column in zip(study.GENRES, stars.T, strict=True)
    }
    if "FreeBrowsing_experience_rating" in users:
        given["Experience of free browsing (1-10)"] = _numbers(users["FreeBrowsing_experience_rating"])
    given["Maximization (1-7)"] = maximization_scores(dataset)["score"].to_numpy()
    rows = []
    for name, values in given.items():
        known = values[np.isfinite(values)]
        if len(known):
            interval = _mean(known, None, rng, level)
            deviation = float(known.std(ddof=1)) if len(known) > 1 else np.nan
            rows.append({"score": name, **_ends("mean", interval), "sd": deviation, "n_users": len(known)})
    return _frame(rows, ["score", "mean", "low", "high", "sd", "n_users"])


def reasons(dataset: "RecGazeDataset", *, rng: np.random.Generator, level: float = 0.95) -> "pd.DataFrame":
    """Why films were selected: share of the answered screens on which each reason was given.

    Answers are those of the clicks, or, where these have none, of the columns `TaskID_<k>_...` of the users, for the
    screens k that stand in the other tables: of a part of a study, such as `dataset.task("free")`, those of its
    screens. Several reasons may be given for one film. Users answer for many screens, so that the bootstrap draws
    users; what nobody or everybody said has Wilson's interval, a user counting as one answer.

    Args:
        dataset: The study.
        rng: Source of the bootstrap.
        level: Confidence.

    Returns:
        `reason, n, share, low, high, n_screens, n_users`: the reasons of the survey in its order, then "Other" (own
        words) and, where there is any, "Not recognised".
    """
    user, answers = _answers(dataset, "Why_Selected")
    texts, which = np.unique(answers, return_inverse=True)
    parsed = [parse_reasons(text)[0] for text in texts.tolist()]
    names = [*REASONS, OTHER, *([UNKNOWN] if any(UNKNOWN in found for found in parsed) else [])]
    given = np.array([[name in found for name in names] for found in parsed], dtype=bool).reshape(-1, len(names))
    return _by_screen("reason", names, given[which], user, rng, level)


def familiarity(dataset: "RecGazeDataset", *, rng: np.random.Generator, level: float = 0.95) -> "pd.DataFrame":
    """How well users knew the films that they selected: share of the answered screens, as `reasons`.

    Args:
        dataset: The study.
        rng: Source of the bootstrap.
        level: Confidence.

    Returns:
        `familiarity, n, share, low, high, n_screens, n_users`; shares sum to 1.
    """
    user, answers = _answers(dataset, "Movie_Familiarity")
    given = answers[:, None] == np.array(FAMILIARITY)
    return _by_screen("familiarity", FAMILIARITY, given, user, rng, level)


def maximization_scores(dataset: "RecGazeDataset") -> "pd.DataFrame":
    """Brief Maximization Scale of each user: the mean of its six items, 1 (satisficer) to 7 (maximizer).

    Source: Nenkov, Morrin, Ward, Schwartz and Hulland, "A short form of the Maximization Scale", Judgment and Decision
    Making 2008.

    Returns:
        `user, score`; NaN for a user who left an item out.
    """
    import pandas as pd

    items = _items(dataset)
    return pd.DataFrame({"user": dataset.user_ids, "score": items.mean(axis=1)})


def maximization(dataset: "RecGazeDataset", *, rng: np.random.Generator, level: float = 0.95) -> "pd.DataFrame":
    """Brief Maximization Scale of all users: its items, their mean, and how well they go together.

    Args:
        dataset: The study.
        rng: Source of the bootstrap, which draws users.
        level: Confidence.

    Returns:
        `measure, value, low, high, n_users`: a row an item, "mean of the six", and "Cronbach's alpha" (NaN where
        answers do not vary). Users who left an item out are left out.
    """
    items = _items(dataset)
    items = items[np.isfinite(items).all(axis=1)]
    rows: list[dict[str, Any]] = []
    if len(items):
        columns = [*items.T, items.mean(axis=1)]
        for name, values in zip((*_ITEMS, "mean of the six"), columns, strict=True):
            rows.append({"measure": name, **_ends("value", _mean(values, None, rng, level))})
        rows.append({"measure": "Cronbach's alpha", **_ends("value", _mean(items, None, rng, level, _alpha))})
    rows = [row | {"n_users": len(items)} for row in rows]
    return _frame(rows, ["measure", "value", "low", "high", "n_users"])


def parse_reasons(text: str) -> tuple[tuple[str, ...], str]:
    """Take a joined answer apart: reasons are joined by commas, and may have commas in them.

    Args:
        text: As published, such as "Because of the poster, I already wanted to watch it, Other: a friend".

    Returns:
        The reasons, each once, in the order of the answer, "Other" for own words, "Not recognised" for what is neither;
        and the own words. All after "Other:" are the user's own words.
    """
    listed, marker, own = _plain(text).partition("Other:")
    found: dict[str, None] = {}
    rest = listed.strip(" ,;")
    while rest:
        reason = next((one for one in _BY_LENGTH if _begins(rest, one)), None)
        if reason is None:
            found[UNKNOWN] = None
            rest = re.split(r"[,;]", rest, maxsplit=1)[1] if re.search(r"[,;]", rest) else ""
        else:
            found[reason] = None
            rest = rest[len(_plain(reason)) :]
        rest = rest.strip(" ,;")
    if marker:
        found[OTHER] = None
    return tuple(found), own.strip(" ,;")


# -- reading ----------------------------------------------------------------------------------------------------------


def _plain(text: str) -> str:
    """One kind of space and apostrophe."""
    return " ".join(text.replace("\u2019", "'").split())


_BY_LENGTH = sorted(REASONS, key=len, reverse=True)


def _begins(text: str, reason: str) -> bool:
    plain = _plain(reason)
    return text[: len(plain)].casefold() == plain.casefold() and text[len(plain) :].lstrip()[:1] in ("", ",", ";")


def _answers(dataset: "RecGazeDataset", name: str) -> tuple[NDArray[Any], NDArray[np.str_]]:
    """User and answer of each kept screen with one: of the clicks, or of the survey where those have none."""
    clicks = dataset.clicks
    if name in clicks and clicks[name].notna().any():
        part = clicks[["UserID", name]].dropna()
        return part["UserID"].to_numpy(dtype=str), part[name].to_numpy(dtype=str)
    kept = {int(task) for part in (dataset.items, dataset.summary, clicks) for task in part["TaskID"].dropna().unique()}
    named = [(column, re.fullmatch(rf"TaskID_(\d+)_{name}", str(column))) for column in dataset.users]
    columns = [column for column, found in named if found and int(found[1]) in kept]
    long = dataset.users[["UserID", *columns]].astype(object).melt(id_vars="UserID").dropna()
    if not len(long):
        raise ArgumentError(
            f"the study has no answers {name} for its screens; expected them in click_feedback or user_features"
        )
    return long["UserID"].to_numpy(dtype=str), long["value"].to_numpy(dtype=str)


def _items(dataset: "RecGazeDataset") -> FloatArray:
    """float64 [n_users, 6], NaN where not answered."""
    users = dataset.users
    nothing = np.full(len(users), np.nan)
    return np.stack([_numbers(users[name]) if name in users else nothing for name in _ITEMS], axis=1)


def _numbers(values: "pd.Series[Any]") -> FloatArray:
    return np.asarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


# -- counting ---------------------------------------------------------------------------------------------------------


def _by_screen(
    what: str,
    names: Sequence[str],
    given: NDArray[np.bool_],
    user: NDArray[Any],
    rng: np.random.Generator,
    level: float,
) -> "pd.DataFrame":
    n_users = len(np.unique(user))
    rows = []
    for name, column in zip(names, given.T, strict=True):
        n = int(column.sum())
        # What nobody or everybody said has no spread to draw from: then each user counts as one answer.
        certain = n in (0, len(column))
        interval = (
            wilson(n_users * bool(n), n_users, level) if certain else _mean(column.astype(np.float64), user, rng, level)
        )
        rows.append({what: name, "n": n, **_ends("share", interval)})
    rows = [row | {"n_screens": len(given), "n_users": n_users} for row in rows]
    return _frame(rows, [what, "n", "share", "low", "high", "n_screens", "n_users"])


def _mean(
    values: FloatArray,
    groups: NDArray[Any] | None,
    rng: np.random.Generator,
    level: float,
    statistic: Callable[..., Any] = np.mean,
) -> Interval:
    """The statistic with its bootstrap interval; without one where there is a single user."""
    replicates = len(values) if groups is None else len(np.unique(groups))
    if replicates < 2:
        return Interval(float(statistic(values, axis=0)), np.nan, np.nan, level)
    return bootstrap(values, rng=rng, groups=groups, statistic=statistic, level=level)


def _alpha(items: FloatArray, axis: int) -> FloatArray:
    """Cronbach's alpha over users, of items [..., n_users, k]; NaN where the sums do not vary."""
    k = items.shape[-1]
    if items.shape[axis] < 2:
        return np.full(items.shape[:axis], np.nan)
    spread = items.var(axis=axis, ddof=1).sum(axis=-1)
    total = items.sum(axis=-1).var(axis=axis, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > 0, k / (k - 1) * (1 - spread / total), np.nan))


def _shares(question: str, counts: Iterable[tuple[Any, int]], n: int, level: float) -> list[dict[str, Any]]:
    rows = []
    for answer, count in counts:
        interval = wilson(int(count), n, level)
        rows.append(
            {"question": question, "answer": str(answer), "n": int(count), **_ends("share", interval), "n_users": n}
        )
    return rows


def _ends(name: str, interval: Interval) -> dict[str, float]:
    return {name: interval.estimate, "low": interval.low, "high": interval.high}


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(rows, columns=columns)
