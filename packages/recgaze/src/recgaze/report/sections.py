"""The parts of the report: each a function from findings to a section, in words, a figure and a table."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from irworks.errors import ArgumentError
from recgaze import survey
from recgaze.browse.summary import Browsing
from recgaze.data.dataset import RecGazeDataset
from recgaze.impressions import Impressions

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from irworks.report import Section

__all__ = [
    "attention_sections",
    "best_in_words",
    "cursor_section",
    "data_section",
    "hypothesis_section",
    "identifiability_section",
    "model_sections",
    "move_sections",
    "pattern_section",
    "section",
    "survey_sections",
    "swipe_section",
]

_KINDS = {"free": "free browsing", "semi_free": "semi-free browsing", "direct": "direct search"}


def section(title: str, make: "Callable[[], Section]") -> "Section":
    """A section, or the reason why there is none: what one lacks does not take the others away."""
    from irworks.report import Section

    try:
        return make()
    except ArgumentError as error:
        return Section(title=title, text=f"Not measured: {error}.")


def _drawn(make: "Callable[[], Figure]") -> str:
    from irworks.report import figure_to_svg
    from irworks.report.style import context

    with context():
        return figure_to_svg(make())


def _need(found: Mapping[str, Any], name: str, missing: Mapping[str, str]) -> Any:
    if name not in found:
        raise ArgumentError(missing.get(name, f"{name} was not measured"))
    return found[name]


# -- the data ---------------------------------------------------------------------------------------------------------


def data_section(dataset: RecGazeDataset) -> "Section":
    """How much there is, what is left out and why, and whether the tables are valid."""
    import pandas as pd

    from irworks.report import Section

    screens = dataset.screens
    rows = []
    for kind, words in _KINDS.items():
        part = screens[screens["kind"] == kind]
        if len(part):
            lost, failed = int((~part["has_click"]).sum()), int(part["failed_search"].sum())
            kept = int((~part["excluded"]).sum())
            rows.append(
                {"screens of": words, "seen": len(part), "no final click": lost, "search failed": failed, "used": kept}
            )
    events = [f"{len(dataset.fixations()):,} fixations", f"{len(dataset.click_events()):,} clicks"]
    try:
        events.insert(1, f"{len(dataset.cursor()):,} dwells of the cursor")
    except ArgumentError:
        events.append("no cursor")
    report = dataset.validate()
    state = "The tables are valid." if report.ok else f"The tables have {len(report.errors)} errors, the first: "
    state += "" if report.ok else f"{report.errors[0]}"
    text = (
        f"{len(dataset.user_ids):,} users, {len(screens):,} seen screens, {len(dataset.clicks):,} selections; "
        f"{', '.join(events)}. Left out as in the study are searches that ended on another film, and screens whose "
        f"final click is missing.\n\n{state}"
    )
    return Section(
        title="The data", text=text, table=pd.DataFrame(rows), note="\n\n".join(map(str, report.warnings[:5]))
    )


# -- browsing ---------------------------------------------------------------------------------------------------------


def attention_sections(impressions: Impressions, browsing: Browsing, fixations: Any) -> "list[Section]":
    """Maps of what was looked at, for how long, and first."""
    from irworks.report import Section
    from recgaze.plots import dwell_figure, examination_figure, first_fixation_figure

    def examined() -> Section:
        coverage = browsing.estimates.get("row_reached")
        deep = "" if coverage is None else f" The last carousel was reached on {coverage[-1]:.0%} of the screens."
        looked = impressions.examined.sum(axis=(1, 2)).mean()
        return Section(
            title="What was looked at",
            text=f"On the mean screen {looked:.1f} of {impressions.examined[0].size} posters were looked at.{deep}",
            figure_svg=_drawn(lambda: examination_figure(impressions)),
            caption="Share of the screens on which each poster was looked at, in percent.",
        )

    def dwelt() -> Section:
        _need(browsing.estimates, "dwell_share", browsing.missing)
        return Section(
            title="For how long",
            figure_svg=_drawn(lambda: dwell_figure(impressions)),
            caption="Share of all time on posters that went to each, in percent.",
        )

    def first() -> Section:
        rows, columns = impressions.rows, impressions.columns
        return Section(
            title="What first",
            figure_svg=_drawn(lambda: first_fixation_figure(fixations, rows, columns, impressions.visible)),
            caption="Where the first look at a poster fell, in percent of the screens.",
        )

    made = (("What was looked at", examined), ("For how long", dwelt), ("What first", first))
    return [section(title, make) for title, make in made]


def pattern_section(browsing: Browsing) -> "Section":
    """Golden triangle, F and L in words and numbers."""
    from irworks.report import Section

    lines = [f"{_sentence(name)}: {share}." for name, share in browsing.shares.items()]
    lines += [f"F-pattern, {name}: {pattern}." for name, pattern in browsing.f_patterns.items()]
    if not lines:
        raise ArgumentError("there are neither looks nor clicks to see a pattern in")
    tables = browsing.tables
    return Section(
        title="Triangle, F and L",
        text="\n\n".join([*lines, _f_in_words(browsing)]).strip(),
        table=tables.get("patterns"),
        note=(
            "Golden triangle: share of the upper left triangle of the grid, beside that of a uniform spread. F: log "
            "odds of a look fall down the rows and along them. L: given the click, share of the other looks that lie "
            "on the way to it, beside the same with the clicks of the screen swapped. Intervals draw users again."
        ),
    )


def _f_in_words(browsing: Browsing) -> str:
    first, swiped = browsing.f_patterns.get("first page"), browsing.f_patterns.get("swiped pages")
    if first is None or swiped is None:
        return ""
    words = {
        "F": "downwards and to the right",
        "vertical only": "downwards only",
        "horizontal only": "to the right only",
        "none": "neither downwards nor to the right",
    }
    return f"Looks fall off {words[first.verdict]} on the first page, and {words[swiped.verdict]} on swiped pages."


def hypothesis_section(browsing: Browsing) -> "Section":
    """Whether place matters for the click once a poster was looked at."""
    from irworks.report import Section

    test = browsing.hypothesis
    if test is None:
        raise ArgumentError(browsing.missing.get("examination hypothesis", "there are too few clicks"))
    words = (
        "Among posters that were looked at, clicks depend on the place: a model that multiplies examination by "
        "attraction misses that."
        if test.verdict == "violated"
        else "Among posters that were looked at, no effect of the place on clicks was found."
    )
    last = browsing.estimates.get("last_look")
    stops = "" if last is None else f" The click is on the poster newly looked at last on {last[0]:.0%} of the screens"
    stops += "" if last is None else f" (by chance {last[1]:.0%}); users who stop at the first film that they like"
    stops += "" if last is None else " would make the test find an effect of place where there is none."
    return Section(
        title="The examination hypothesis",
        text=f"{words} {_sentence(str(test))}, method {test.method}.{stops}",
        table=browsing.tables.get("examination_hypothesis"),
        note=(
            "Change of the log odds of a click by one carousel down, one place to the right, one swipe page on. Films "
            "are taken for drawn: what is found goes beyond their luck. An order of films, such as by votes, is an "
            "effect of the place all the same."
        ),
    )


def move_sections(
    browsing: Browsing, impressions: Impressions, fixations: Any, rng: np.random.Generator
) -> "list[Section]":
    """Where gaze goes next."""
    from irworks.report import Section
    from recgaze.browse.transitions import aoi_transitions
    from recgaze.plots import flow_figure, move_figure, transition_figure

    def kinds() -> Section:
        moves = _need(browsing.estimates, "transitions", browsing.missing)
        order = np.argsort(-moves.value)[:3]
        text = "Most common: " + ", ".join(f"{moves.axes[0][1][one]} {moves[int(one)]:.1%}" for one in order) + "."
        return Section(title="Moves of the gaze", text=text, figure_svg=_drawn(lambda: move_figure(moves)))

    def rows() -> Section:
        found = _need(browsing.estimates, "row_transitions", browsing.missing)
        return Section(
            title="From carousel to carousel",
            figure_svg=_drawn(lambda: transition_figure(found)),
            caption="Share of the moves from each carousel that go to each; looks that stay on their poster left out.",
        )

    def flow() -> Section:
        pairs = aoi_transitions(impressions, fixations, rng=rng, n=200)
        size = (impressions.rows, impressions.columns)
        return Section(
            title="The most frequent moves",
            figure_svg=_drawn(lambda: flow_figure(pairs, *size, visible=impressions.visible)),
            caption="The 60 most frequent moves between posters and headings; thicker arrows are more frequent.",
        )

    made = (("Moves of the gaze", kinds), ("From carousel to carousel", rows), ("The most frequent moves", flow))
    return [section(title, make) for title, make in made]


def swipe_section(browsing: Browsing) -> "Section":
    """How often users swipe, and where they look then."""
    from irworks.report import Section

    swipes = _need(browsing.estimates, "swipes", browsing.missing)
    text = f"Screens with a swipe: {swipes[2]:.1%}; swipes forward a screen {swipes[0]:.2f}, backward {swipes[1]:.2f}."
    entry = browsing.estimates.get("swipe_entry")
    if entry is None:
        return Section(title="Swipes", text=text)
    forward = entry.value[0]
    if np.isfinite(forward).all():
        place = int(forward.argmax())
        text += f" After a swipe forward gaze lands most often on place {place + 1} of the page: {entry[0, place]:.1%}."
    return Section(title="Swipes", text=text, table=entry.frame())


def cursor_section(browsing: Browsing) -> "Section":
    """Whether the cursor tells where the gaze is."""
    from irworks.report import Section
    from recgaze.plots import cursor_figure

    agreement = _need(browsing.estimates, "cursor_agreement", browsing.missing)
    approach, lag = (
        _need(browsing.estimates, name, browsing.missing) for name in ("cursor_approach", "cursor_best_lag")
    )
    text = (
        f"Cursor and gaze are on the same area {approach[0]:.1%} of the time at least five seconds before the end, "
        f"{approach[1]:.1%} in the last second. The cursor trails the gaze by {lag.interval:.2f} seconds."
    )
    return Section(
        title="Cursor against gaze",
        text=text,
        figure_svg=_drawn(lambda: cursor_figure(agreement, browsing.estimates.get("cursor_row_agreement"))),
        caption="How often cursor and gaze are on one area, of the moments at which both are on any.",
    )


# -- models -----------------------------------------------------------------------------------------------------------


def best_in_words(leaders: Sequence[str]) -> str:
    """Which model predicts unseen clicks best, if one does.

    Args:
        leaders: The one with the largest held-out likelihood, then those not told apart from it.
    """
    first, *near = leaders
    if not near:
        return f"{first} predicts clicks of users that it has not seen best."
    names = ", ".join(leaders[:-1])
    return f"{names} and {leaders[-1]} are not told apart by how they predict clicks of users that they have not seen."


def model_sections(
    table: "pd.DataFrame", leaders: Sequence[str], fitted: Mapping[str, Any], impressions: Impressions
) -> "list[Section]":
    """Which model predicts unseen clicks best, and which sees examination as gaze does.

    Args:
        table: Of `recgaze.models.compare`.
        leaders: The best model, then those not told apart from it.
        fitted: The same models, fitted to all screens.
        impressions: The screens.
    """
    from irworks.report import Section
    from recgaze.plots import examination_curves_figure, model_figure

    observed = impressions.examined.mean(axis=0)
    close = {name: _correlation(model.examination_, observed) for name, model in fitted.items()}
    nearest = max(close, key=lambda name: close[name]) if close else ""
    text = best_in_words(leaders)
    if nearest:
        text += f" Examination as {nearest} has it is nearest to the gaze: correlation {close[nearest]:.3f}."
        if nearest not in leaders:
            text += " A better fit to clicks does not mean a truer picture of what was looked at."
    shown = table.assign(**{"correlation with gaze": [close.get(str(name), np.nan) for name in table.index]})
    return [
        Section(
            title="Click models",
            text=text,
            figure_svg=_drawn(lambda: model_figure(table)),
            caption="Held-out log-likelihood a cell against the first model, with intervals that draw users.",
            table=shown,
            note=(
                "OEPBM is fitted to gaze, and its correlation with gaze is one with its own data; the click models saw "
                "no gaze. Users are held out whole, so that attraction is that of the genre."
            ),
        ),
        Section(
            title="Examination by the models",
            figure_svg=_drawn(
                lambda: examination_curves_figure({n: m.examination_ for n, m in fitted.items()}, observed)
            ),
            caption="Mean examination by carousel and by position, relative to the largest; the wide line is the gaze.",
        ),
    ]


def identifiability_section(impressions: Impressions) -> "Section":
    """What clicks on these screens can tell of examination, and what only gaze can."""
    import pandas as pd

    from irworks.report import Section
    from recgaze.models import identifiability

    reports = {
        "clicks, attraction of each film": identifiability(impressions, "movie"),
        "clicks, attraction of user and genre": identifiability(impressions, "user_genre"),
        "gaze and clicks, attraction of user and genre": identifiability(impressions, "user_genre", True),
    }
    rows = [
        {"data and model": name, "verdict": one.verdict, "constants left open": one.free_scales}
        for name, one in reports.items()
    ]
    text = "\n\n".join(f"{_sentence(name)}: {one.text}" for name, one in reports.items())
    return Section(title="What can be told from clicks", text=text, table=pd.DataFrame(rows))


def _correlation(first: Any, second: Any) -> float:
    one, other = np.asarray(first, dtype=np.float64).ravel(), np.asarray(second, dtype=np.float64).ravel()
    known = np.isfinite(one) & np.isfinite(other)
    if known.sum() < 2 or np.ptp(one[known]) == 0 or np.ptp(other[known]) == 0:
        return float("nan")
    return float(np.corrcoef(one[known], other[known])[0, 1])


# -- the users --------------------------------------------------------------------------------------------------------


def survey_sections(dataset: RecGazeDataset, rng: np.random.Generator) -> "list[Section]":
    """Why films were selected, how well known they were, and who the users are."""
    from irworks.report import Section

    def why() -> Section:
        found = survey.reasons(dataset, rng=rng)
        top = found.iloc[int(found["share"].to_numpy().argmax())]
        text = f"Most often: {top['reason']} ({top['share']:.0%} of {top['n_screens']:,} answers)."
        return Section(title="Why films were selected", text=text, table=found)

    def known() -> Section:
        return Section(title="How well they were known", table=survey.familiarity(dataset, rng=rng))

    def who() -> Section:
        items = survey.maximization(dataset, rng=rng).set_index("measure")
        text = ""
        if len(items):
            mean, alpha = items.loc["mean of the six"], items.loc["Cronbach's alpha"]
            text = (
                f"Brief Maximization Scale: {mean['value']:.2f} [{mean['low']:.2f}, {mean['high']:.2f}] of 7, "
                f"Cronbach's alpha {alpha['value']:.2f} [{alpha['low']:.2f}, {alpha['high']:.2f}]."
            )
        return Section(title="Who the users are", text=text, table=survey.summary(dataset))

    def numbers() -> Section:
        return Section(title="Tastes and experience", table=survey.scores(dataset, rng=rng))

    made = (
        ("Why films were selected", why),
        ("How well they were known", known),
        ("Who the users are", who),
        ("Tastes and experience", numbers),
    )
    return [section(title, make) for title, make in made]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
