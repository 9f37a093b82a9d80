"""The report of a study, and the decision that it ends with."""

from recgaze.report.decision import multiverse
from recgaze.report.page import report

__all__ = ["multiverse", "report"]
