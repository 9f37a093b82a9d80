"""The report of a study: one HTML page that needs no network."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from irworks.errors import ArgumentError
from recgaze import study
from recgaze.arguments import require_generator
from recgaze.browse.summary import Browsing
from recgaze.data.dataset import RecGazeDataset
from recgaze.impressions import Impressions
from recgaze.recommend.placing import FALL
from recgaze.report import sections as parts
from recgaze.report.decision import multiverse
from recgaze.visits import Visits

if TYPE_CHECKING:
    import pandas as pd

    from irworks.report import Section
    from recgaze.models.base import PositionModel
    from recgaze.viewer import Fragment

__all__ = ["report"]

# Bytes for the screens of the viewer; figures, tables and script add less than two million.
_VIEWER = 2_400_000
_HERE = "recgaze viewer stands here"


@dataclass(frozen=True, eq=False)
class _Study:
    """What the sections are made from.

    Attributes:
        dataset: All of it.
        impressions: The screens that are analysed.
        by_rule: The same by both AOI rules.
        fixations: Of these screens.
        about: Which they are, in words.
    """

    dataset: RecGazeDataset
    impressions: Impressions
    by_rule: dict[str, Impressions]
    fixations: Visits
    about: str


@dataclass(frozen=True, eq=False)
class _Compared:
    """Click models beside each other.

    Attributes:
        table: Of `recgaze.models.compare`; None where there is too little data.
        leaders: The model with the largest held-out likelihood, then those not told apart from it.
        fitted: The models, fitted to all screens.
        why: What there was to say against it.
    """

    table: "pd.DataFrame | None"
    leaders: tuple[str, ...]
    fitted: "dict[str, PositionModel]"
    why: str


def report(
    dataset: RecGazeDataset,
    out: str | Path,
    *,
    rng: np.random.Generator,
    models: "Mapping[str, PositionModel] | None" = None,
    browsing: Browsing | None = None,
    kind: study.TaskKind | None = "free",
    max_screens: int | None = None,
) -> Path:
    """Write the report of a study: one HTML file under 5 MB, with figures, tables, and the screen viewer.

    Args:
        dataset: The study.
        out: The file; it appears whole or not at all.
        rng: Source of all draws.
        models: Name to model (CPBM, RCPBM, OEPBM) to compare by cross-validation. Default: one of each.
        browsing: The measures of browsing, of the screens of `kind`. Default: they are worked out here.
        kind: The screens that are analysed: "free", "semi_free", "direct", None for all. Screens of direct search have
            their target at one place for all users, which a model of browsing takes for position bias.
        max_screens: Most screens in the viewer. Default: as many as fit, evenly over users.

    Returns:
        The file.

    Raises:
        ArgumentError: No screen is left after the exclusions, none is of the kind, or an unknown kind.
        MissingDependencyError: matplotlib or jinja2 is not installed.
    """
    from irworks.runtime import atomic_write

    require_generator(rng)
    chosen = _choose(dataset, kind)
    if browsing is None:
        browsing = _browsing(chosen, rng)
    compared = _models(chosen.impressions, models, rng)
    fitted = compared.fitted
    shown = fitted.get("OEPBM", next(iter(fitted.values()), None))
    name = next((name for name, model in fitted.items() if model is shown), None)
    decision = multiverse(chosen.by_rule, dataset.click_events(), rng=rng)
    html = _page(chosen, browsing, compared, decision, _viewer(dataset, shown, name, max_screens), rng)
    path = Path(out)
    with atomic_write(path) as handle:
        handle.write(html)
    return path


def _choose(dataset: RecGazeDataset, kind: study.TaskKind | None) -> _Study:
    if kind is not None and kind not in study.TASK_KINDS:
        raise ArgumentError(f"kind={kind!r}; expected one of {', '.join(map(repr, study.TASK_KINDS))}, or None")
    by_rule = {"strict": dataset.impressions("strict"), "closest": dataset.impressions("closest")}
    impressions = by_rule["closest"]
    kinds = np.array([study.task_kind(int(task)) for task in impressions.task])
    wanted = np.ones(len(kinds), dtype=bool) if kind is None else kinds == kind
    if not wanted.any():
        there = " and ".join(repr(one) for one in study.TASK_KINDS if one in kinds)
        raise ArgumentError(f"no screen of kind {kind!r}; the study has {there}: pass kind=..., or kind=None for all")
    by_rule = {rule: screens.where(wanted) for rule, screens in by_rule.items()}
    about = "all screens" if kind is None else f"the screens of {str(kind).replace('_', '-')} browsing"
    return _Study(dataset, by_rule["closest"], by_rule, dataset.fixations(), about)


def _browsing(chosen: _Study, rng: np.random.Generator) -> Browsing:
    dataset = chosen.dataset
    try:
        cursor: Visits | None = dataset.cursor()
    except ArgumentError:
        cursor = None
    fixations = chosen.fixations if len(chosen.fixations) else None
    return Browsing.of(
        chosen.impressions, fixations, cursor if fixations is not None else None, dataset.click_events(), rng=rng
    )


def _models(
    impressions: Impressions, models: "Mapping[str, PositionModel] | None", rng: np.random.Generator
) -> _Compared:
    from recgaze.models import CPBM, OEPBM, RCPBM
    from recgaze.models.compare import held_out

    named = {"CPBM": CPBM(), "RCPBM": RCPBM(), "OEPBM": OEPBM()} if models is None else dict(models)
    try:
        scores = held_out(named, impressions, rng=rng)
        table = scores.frame(rng)
        tuned = dict(zip(table.index, table["tuned"].to_numpy(dtype=float).tolist(), strict=True))
        fitted = {
            name: model.with_options(**{model.tuned: tuned[name]}).fit(impressions) for name, model in named.items()
        }
    except ArgumentError as error:
        return _Compared(None, (), {}, str(error))
    best = str(table["log_likelihood"].idxmax())
    others = [name for name in named if name != best]
    near = [name for name in others if not scores.difference(best, name, rng).low > 0]
    return _Compared(table, (best, *near), fitted, "")


def _viewer(
    dataset: RecGazeDataset, model: "PositionModel | None", name: str | None, max_screens: int | None
) -> "Fragment":
    from recgaze.viewer import viewer_fragment

    return viewer_fragment(dataset, model=model, model_name=name, max_screens=max_screens, limit=_VIEWER)


def _page(
    chosen: _Study,
    browsing: Browsing,
    compared: _Compared,
    decision: "pd.DataFrame",
    viewer: "Fragment",
    rng: np.random.Generator,
) -> str:
    from irworks.report import Section, page

    impressions, fixations = chosen.impressions, chosen.fixations
    made = [parts.section("The data", lambda: parts.data_section(chosen.dataset))]
    made += parts.attention_sections(impressions, browsing, _of_screens(fixations, impressions))
    made.append(parts.section("Triangle, F and L", lambda: parts.pattern_section(browsing)))
    made.append(parts.section("The examination hypothesis", lambda: parts.hypothesis_section(browsing)))
    made += parts.move_sections(browsing, impressions, fixations, rng)
    made.append(parts.section("Swipes", lambda: parts.swipe_section(browsing)))
    made.append(parts.section("Cursor against gaze", lambda: parts.cursor_section(browsing)))
    if compared.table is None:
        made.append(Section(title="Click models", text=f"Not measured: {compared.why}."))
    else:
        made += parts.model_sections(compared.table, compared.leaders, compared.fitted, impressions)
    title = "What can be told from clicks"
    made.append(parts.section(title, lambda: parts.identifiability_section(impressions)))
    made.append(_decision_section(decision))
    made += parts.survey_sections(chosen.dataset, rng)
    made.append(Section(title="Replay", text=f"{viewer.n_screens:,} screens to look at.\n\n{_HERE}"))
    html = page(
        title="How people browse carousels",
        lead=_lead(chosen, browsing, compared.leaders, decision),
        sections=made,
        footer=f"Made by recgaze from {chosen.dataset.source}. Analysed: {chosen.about}.",
    )
    # Data first: what stands in it is never searched for the place of something else.
    head, _, tail = html.rpartition(f"<p>{_HERE}</p>")
    return head.replace("</head>", f"<style>\n{viewer.style}</style>\n</head>", 1) + viewer.html + tail


def _of_screens(fixations: Visits, impressions: Impressions) -> Visits:
    keys = impressions.user.astype(np.int64) * 64 + impressions.task
    return fixations.where(np.isin(fixations.user.astype(np.int64) * 64 + fixations.task, keys))


def _lead(chosen: _Study, browsing: Browsing, leaders: tuple[str, ...], decision: "pd.DataFrame") -> str:
    impressions = chosen.impressions
    users = len(np.unique(impressions.user))
    lines = [f"{len(impressions):,} screens of {users:,} users: {chosen.about}."]
    triangle = browsing.shares.get("golden triangle of looks")
    if triangle is not None:
        lines.append(f"Golden triangle of looks: {triangle}.")
    if browsing.hypothesis is not None:
        lines.append(f"Examination hypothesis: {browsing.hypothesis.verdict}.")
    if leaders:
        lines.append(parts.best_in_words(leaders))
    lines.append(_decided(decision))
    return " ".join(lines)


def _decided(decision: "pd.DataFrame") -> str:
    """Whether gaze would change the order of films on swiped pages, in a sentence."""
    swiped = decision[(decision["pages"] == "swiped") & (decision["attraction"] == "estimated")]
    verdicts = dict(zip(swiped["looks by"], swiped["verdict"], strict=True))
    by_gaze = {name: verdict for name, verdict in verdicts.items() if name.startswith("gaze")}
    if set(by_gaze.values()) == {"better"}:
        return "Ordering the films of swiped pages by gaze earns more clicks than left to right, by either rule."
    if "better" in by_gaze.values():
        return "Whether ordering the films of swiped pages by gaze earns more clicks depends on the rule of areas."
    return "Ordering the films of swiped pages by gaze does not show a gain over left to right."


def _decision_section(decision: "pd.DataFrame") -> "Section":
    from irworks.report import Section

    return Section(
        title="Does the eye data change the decision?",
        text=(
            f"{_decided(decision)}\n\nThe decision: where on a page its best film should stand, its second best, and "
            "so on. By gaze, the best film goes to the place that is looked at most once the page is in view; by "
            "clicks, to the place that is clicked most. Which film is best is taken from clicks by look either way. "
            "The order comes from a random half of the users, its value from the looks of the other half."
        ),
        table=decision,
        note=(
            "Expected clicks on 1,000 pages in view, with films from left to right (as shown), and how many more with "
            "the order, with intervals that draw users. Attraction estimated: clicks by look at the films of each "
            f"place as they stood. Falling: each film {FALL:.0%} less attractive than the one before it, as if they "
            "were well ranked. Both suppose that a film attracts alike wherever it is looked at; see the examination "
            "hypothesis. *: the other half would order places otherwise."
        ),
    )
