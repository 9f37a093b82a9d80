"""Figures of this package: maps of the grid, a scanpath on its page, moves of the gaze, models side by side.

Made within `irworks.report.style.context()` they take the colours of the page that they stand on.
"""

from recgaze.plots.grid import dwell_figure, examination_figure, first_fixation_figure, heatmap_figure
from recgaze.plots.models import examination_curves_figure, model_figure
from recgaze.plots.moves import cursor_figure, flow_figure, move_figure, transition_figure
from recgaze.plots.scanpath import scanpath_figure

__all__ = [
    "cursor_figure",
    "dwell_figure",
    "examination_curves_figure",
    "examination_figure",
    "first_fixation_figure",
    "flow_figure",
    "heatmap_figure",
    "model_figure",
    "move_figure",
    "scanpath_figure",
    "transition_figure",
]
