"""Reports: the page of a run of claims, pages for a package's own reports, and the look of their figures."""

from irworks.report.claims_page import claims_page, duration, environment_facts, write_report
from irworks.report.page import Section, page
from irworks.report.svg import figure_to_svg
from irworks.report.tables import Table

__all__ = [
    "Section",
    "Table",
    "claims_page",
    "duration",
    "environment_facts",
    "figure_to_svg",
    "page",
    "write_report",
]
