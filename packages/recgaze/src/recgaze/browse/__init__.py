"""How people browse carousels: counts of each user, and what follows from them."""

from recgaze.browse.choice import ChoiceSets, choice_sets
from recgaze.browse.counting import Block, last_look, tally
from recgaze.browse.cursor import click_lift, cursor_agreement, cursor_approach, cursor_distance, cursor_lag
from recgaze.browse.estimates import Estimate
from recgaze.browse.examine import (
    dwell_share,
    examination,
    first_fixation,
    returns,
    row_coverage,
    time_by_kind,
    time_to_first_fixation,
)
from recgaze.browse.fpattern import FPattern, f_pattern
from recgaze.browse.hypothesis import ExaminationTest, examination_hypothesis
from recgaze.browse.patterns import LPattern, Separability, Share, golden_triangle, l_pattern, l_share, separability
from recgaze.browse.planted import Planted, planted_study, rejection_rate
from recgaze.browse.scanpaths import Scanpaths, edit_distance, scanmatch, scanpath_similarity, scanpaths
from recgaze.browse.summary import Browsing
from recgaze.browse.tally import Resampled, Tally
from recgaze.browse.transitions import (
    MOVES,
    aoi_transitions,
    column_transitions,
    row_transitions,
    swipe_entry,
    swipes,
    transitions,
)

__all__ = [
    "MOVES",
    "Block",
    "Browsing",
    "ChoiceSets",
    "Estimate",
    "ExaminationTest",
    "FPattern",
    "LPattern",
    "Planted",
    "Resampled",
    "Scanpaths",
    "Separability",
    "Share",
    "Tally",
    "aoi_transitions",
    "choice_sets",
    "click_lift",
    "column_transitions",
    "cursor_agreement",
    "cursor_approach",
    "cursor_distance",
    "cursor_lag",
    "dwell_share",
    "edit_distance",
    "examination",
    "examination_hypothesis",
    "f_pattern",
    "first_fixation",
    "golden_triangle",
    "l_pattern",
    "l_share",
    "last_look",
    "planted_study",
    "rejection_rate",
    "returns",
    "row_coverage",
    "row_transitions",
    "scanmatch",
    "scanpath_similarity",
    "scanpaths",
    "separability",
    "swipe_entry",
    "swipes",
    "tally",
    "time_by_kind",
    "time_to_first_fixation",
    "transitions",
]
