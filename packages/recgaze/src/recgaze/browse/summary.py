"""All measures of browsing at once, from a whole study or from its blocks."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from irworks.errors import ArgumentError
from recgaze.arguments import require_generator
from recgaze.browse import cursor, examine, patterns, transitions
from recgaze.browse.choice import ChoiceSets, choice_sets
from recgaze.browse.counting import Block, last_look, tally
from recgaze.browse.estimates import Estimate
from recgaze.browse.fpattern import FPattern, f_pattern
from recgaze.browse.hypothesis import ExaminationTest, examination_hypothesis
from recgaze.browse.patterns import LPattern, Share
from recgaze.browse.scanpaths import Scanpaths, scanpath_similarity, scanpaths
from recgaze.browse.tally import Resampled, Tally
from recgaze.impressions import Impressions
from recgaze.visits import Visits

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Browsing"]


@dataclass(frozen=True, eq=False)
class Browsing:
    """How the users of a study browsed: tables, tests, and the findings in words.

    Made by `of` or `of_blocks`.

    Attributes:
        study: The counts and the draws of users.
        choices: Choice sets, for the examination hypothesis.
        hypothesis: That test; None where there are too few clicks.
        paths: Similarity of scanpaths; None without fixations, or where no two users share a screen. Of streamed
            blocks only the first one's, as pairs of users would need all paths at once.
        missing: What the study has no data for, and why.
    """

    study: Resampled
    choices: ChoiceSets
    hypothesis: ExaminationTest | None
    paths: Estimate | None
    missing: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(
        cls,
        impressions: Impressions,
        fixations: Visits | None = None,
        cursor: Visits | None = None,
        clicks: Visits | None = None,
        *,
        rng: np.random.Generator,
        n: int = 2000,
        level: float = 0.95,
    ) -> "Browsing":
        """From a whole study.

        Args:
            impressions: The screens.
            fixations: Of gaze.
            cursor: Dwells of the cursor.
            clicks: On posters and arrows.
            rng: Source of the draws of users.
            n: Number of draws.
            level: Confidence.

        Raises:
            ArgumentError: As `recgaze.browse.tally`.
        """
        return cls.of_blocks([Block(impressions, fixations, cursor, clicks)], rng=rng, n=n, level=level)

    @classmethod
    def of_blocks(
        cls, blocks: Iterable[Block], *, rng: np.random.Generator, n: int = 2000, level: float = 0.95
    ) -> "Browsing":
        """From the blocks of a study, each seen once and forgotten.

        Memory: one block, the counts of each user (17 kB on the grid of RecGaze), and about four bytes for each poster
        that a user looked at. A user's screens may be spread over blocks.

        Args:
            blocks: `Block`s, or tuples of the same four.
            rng: Source of the draws of users.
            n: Number of draws.
            level: Confidence.

        Raises:
            ArgumentError: No blocks, or blocks that do not go together; as `recgaze.browse.tally`.
        """
        require_generator(rng)
        counts: list[Tally] = []
        choices: list[ChoiceSets] = []
        paths: Scanpaths | None = None
        for given in blocks:
            block = Block(*given)
            if not counts and block.fixations is not None:
                paths = scanpaths(block.impressions, block.fixations)
            counts.append(tally(*block))
            choices.append(choice_sets(block.impressions, block.fixations, block.clicks))
            # Merged whenever they have doubled, users that come again take no more room than once.
            if len(counts) > 1 and sum(len(part.users) for part in counts[1:]) > len(counts[0].users):
                counts = [Tally.merge(counts)]
        if not counts:
            raise ArgumentError("no blocks; expected at least one")
        study = Tally.merge(counts).resample(rng, n, level)
        merged = ChoiceSets.merge(choices)
        tests = cls(study, merged, None, None)
        measures: dict[str, Callable[[], Any]] = {
            "examination hypothesis": partial(examination_hypothesis, merged, rng=rng, n=n, level=level)
        }
        if paths is not None:
            measures["scanpath similarity"] = partial(scanpath_similarity, paths, rng=rng, n=n, level=level)
        found = tests._found(measures)
        made = replace(tests, hypothesis=found.get("examination hypothesis"), paths=found.get("scanpath similarity"))
        made._measure()
        return made

    def __repr__(self) -> str:
        return f"Browsing({len(self.study.tally.users):,} users, {len(self.tables)} tables)"

    @cached_property
    def estimates(self) -> Mapping[str, Estimate]:
        """Name to estimate, of the measures that the study has data for."""
        return self._found({name: partial(measure, self.study) for name, measure in _MEASURES.items()})

    @cached_property
    def shares(self) -> Mapping[str, Share | LPattern]:
        """Golden triangles and L-patterns, by name."""
        return self._found({name: partial(measure, self.study) for name, measure in _SHARES.items()})

    @cached_property
    def f_patterns(self) -> Mapping[str, FPattern]:
        """Of looks on the first page and on swiped pages, and of clicks."""
        return self._found({name: partial(measure, self.study) for name, measure in _F_PATTERNS.items()})

    @cached_property
    def tables(self) -> "dict[str, pd.DataFrame]":
        """Name to table, each with `value, low, high, n_users`."""
        import pandas as pd

        frames = {name: estimate.frame() for name, estimate in self.estimates.items()}
        shares = [
            _row(name, share.share) | {"null": _null(share), "verdict": share.verdict}
            for name, share in self.shares.items()
        ]
        terms = [
            _row(name, getattr(pattern, term)) | {"term": term, "verdict": pattern.verdict}
            for name, pattern in self.f_patterns.items()
            for term in ("beta_row", "beta_column", "interaction")
        ]
        for name, rows in (("patterns", shares), ("f_pattern", terms)):
            if rows:
                frames[name] = pd.DataFrame(rows)
        if self.hypothesis is not None:
            test = self.hypothesis
            frames["examination_hypothesis"] = test.effects.frame().assign(
                p_value=test.p_value, method=test.method, verdict=test.verdict
            )
        if self.paths is not None:
            frames["scanpath_similarity"] = self.paths.frame()
        return frames

    @cached_property
    def text(self) -> str:
        """The findings, a line each, and what could not be measured."""
        counts = self.study.tally
        screens = int(counts["screens"].sum())
        lines = [f"{screens:,} screens of {len(counts.users):,} users, {counts.rows} carousels of {counts.columns}."]
        lines += [f"{name[0].upper()}{name[1:]}: {share}." for name, share in self.shares.items()]
        lines += [f"F-pattern, {name}: {pattern}." for name, pattern in self.f_patterns.items()]
        if self.hypothesis is not None:
            lines.append(f"Examination hypothesis ({self.hypothesis.method}): {self.hypothesis}.")
        lines += [say(self.estimates[name]) for name, say in _SENTENCES.items() if name in self.estimates]
        reasons: dict[str, list[str]] = {}
        for name, reason in self.missing.items():
            reasons.setdefault(reason, []).append(name)
        lines += [f"Not measured: {', '.join(names)} ({reason})." for reason, names in reasons.items()]
        return "\n".join(lines)

    def _measure(self) -> None:
        """Work all measures out, so that `missing` is whole from the start."""
        _ = self.estimates, self.shares, self.f_patterns

    def _found(self, measures: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
        """What there is data for; the rest goes to `missing` with the reason."""
        found: dict[str, Any] = {}
        for name, measure in measures.items():
            try:
                found[name] = measure()
            except ArgumentError as error:
                self.missing[name] = str(error)
        return found


def _row(name: str, estimate: Estimate) -> dict[str, Any]:
    interval = estimate.interval
    numbers = {"value": interval.estimate, "low": interval.low, "high": interval.high}
    return {"pattern": name, **numbers, "n_users": estimate.n_users}


def _null(share: Share | LPattern) -> float:
    return share.uniform if isinstance(share, Share) else share.swapped.interval.estimate


_SHARES: dict[str, Callable[[Resampled], Share | LPattern]] = {
    "golden triangle of looks": patterns.golden_triangle,
    "golden triangle of looks, first page": partial(patterns.golden_triangle, part="first"),
    "golden triangle of dwell": partial(patterns.golden_triangle, of="dwell"),
    "golden triangle of clicks": partial(patterns.golden_triangle, of="clicked"),
    "first row and column of clicks": patterns.l_share,
    "L-pattern before the click": patterns.l_pattern,
}

_F_PATTERNS: dict[str, Callable[[Resampled], FPattern]] = {
    "first page": f_pattern,
    "swiped pages": partial(f_pattern, part="swiped"),
    "clicks": partial(f_pattern, of="clicked", part="all"),
}

_MEASURES: dict[str, Callable[[Resampled], Estimate]] = {
    "examination": examine.examination,
    "examination_by_row": partial(examine.examination, by="row"),
    "examination_by_column": partial(examine.examination, by="column"),
    "examination_given_page": partial(examine.examination, given_page=True),
    "dwell_share": examine.dwell_share,
    "row_coverage": examine.row_coverage,
    "row_reached": partial(examine.row_coverage, kind="reached"),
    "first_fixation": examine.first_fixation,
    "time_to_first_fixation": examine.time_to_first_fixation,
    "time_by_kind": examine.time_by_kind,
    "returns": examine.returns,
    "return_share": partial(examine.returns, by="all"),
    "transitions": transitions.transitions,
    "row_transitions": transitions.row_transitions,
    "column_transitions": transitions.column_transitions,
    "swipes": transitions.swipes,
    "swipe_entry": transitions.swipe_entry,
    "last_look": last_look,
    "cursor_agreement": cursor.cursor_agreement,
    "cursor_row_agreement": partial(cursor.cursor_agreement, of="row"),
    "cursor_distance": cursor.cursor_distance,
    "cursor_approach": cursor.cursor_approach,
    "cursor_lag": lambda study: cursor.cursor_lag(study)[0],
    "cursor_best_lag": lambda study: cursor.cursor_lag(study)[1],
    "click_lift_cursor": cursor.click_lift,
    "click_lift_gaze": partial(cursor.click_lift, of="gaze"),
}


def _moves(estimate: Estimate) -> str:
    order = np.argsort(-estimate.value)[:3]
    return "Most common moves: " + ", ".join(f"{estimate.axes[0][1][i]} {estimate[i]}" for i in order) + "."


_SENTENCES: dict[str, Callable[[Estimate], str]] = {
    "transitions": _moves,
    "swipes": lambda found: f"Screens with a swipe: {found[2]}; swipes forward a screen: {found[0]}.",
    "return_share": lambda found: f"Posters looked at again: {found}.",
    "last_look": lambda found: (
        f"Clicks on the poster that was newly looked at last: {found[0]} (by chance {found[1]})."
    ),
    "cursor_approach": lambda found: (
        f"Cursor on the area of the gaze: {found[0]} at least five seconds before the end, {found[1]} in the last one."
    ),
    "cursor_best_lag": lambda found: f"The cursor trails the gaze by {found.interval:.2f} seconds.",
}
