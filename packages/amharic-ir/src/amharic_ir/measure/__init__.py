"""How well systems search: one at a time, against each other, and when queries are typed in other ways."""

from amharic_ir.measure.comparison import Leaderboard, Standing, compare
from amharic_ir.measure.evaluation import MEASURES, Report, evaluate
from amharic_ir.measure.published import published
from amharic_ir.measure.robustness import Robustness, robustness

__all__ = [
    "MEASURES",
    "Leaderboard",
    "Report",
    "Robustness",
    "Standing",
    "compare",
    "evaluate",
    "published",
    "robustness",
]
