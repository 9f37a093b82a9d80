"""The report of a study, and the decision that it ends with."""

from recgaze.report.decision import PageOrder, multiverse, page_order
from recgaze.report.page import report

__all__ = ["PageOrder", "multiverse", "page_order", "report"]
