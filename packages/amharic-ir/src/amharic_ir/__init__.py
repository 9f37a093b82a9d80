"""Search over Amharic, and other text in the Ge'ez script: analysis that is measured, and an index over it."""

from amharic_ir.measure import Leaderboard, Report, Robustness, compare, evaluate, robustness
from amharic_ir.search import Hit, Searcher, highlight
from amharic_ir.text.analyzer import Analyzer, Token
from amharic_ir.text.folding import fold
from amharic_ir.text.numerals import format_numeral, parse_numeral
from amharic_ir.text.perturb import perturb
from amharic_ir.text.script import compose, decompose, detect_script, skeleton
from amharic_ir.text.sera import from_sera, to_sera

__all__ = [
    "Analyzer",
    "Hit",
    "Leaderboard",
    "Report",
    "Robustness",
    "Searcher",
    "Token",
    "compare",
    "compose",
    "decompose",
    "detect_script",
    "evaluate",
    "fold",
    "format_numeral",
    "from_sera",
    "highlight",
    "parse_numeral",
    "perturb",
    "robustness",
    "skeleton",
    "to_sera",
]
