"""A paper's claims as programs: declared by decorator, found by entry point, run in parallel, judged by a rule."""

from irworks.claims.claimset import ClaimSet
from irworks.claims.context import Context
from irworks.claims.discovery import Discovery, discover, select
from irworks.claims.model import SCALES, Claim, Evidence, NotRun, Paper, Scale, Verdict, verdict_from
from irworks.claims.results import ClaimResult, PackageInfo, Results
from irworks.claims.runner import Event, reproduce
from irworks.claims.settings import Settings
from irworks.report.tables import Table

__all__ = [
    "SCALES",
    "Claim",
    "ClaimResult",
    "ClaimSet",
    "Context",
    "Discovery",
    "Event",
    "Evidence",
    "NotRun",
    "PackageInfo",
    "Paper",
    "Results",
    "Scale",
    "Settings",
    "Table",
    "Verdict",
    "discover",
    "reproduce",
    "select",
    "verdict_from",
]
