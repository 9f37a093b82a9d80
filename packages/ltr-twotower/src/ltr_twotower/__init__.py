"""Two-tower click models: can a click log identify one, has its logging policy bent it, and what corrects it."""

from irworks.data import ClickLog, read_click_log, scan_click_log
from ltr_twotower.cells import Cells
from ltr_twotower.explain import LoggingPolicyReport, logging_policy_report
from ltr_twotower.identify import IdentifiabilityReport, check_identifiability
from ltr_twotower.model import NotFittedError, NotIdentifiedError, NotIdentifiedWarning, TwoTowerClickModel
from ltr_twotower.newton import ConvergenceWarning
from ltr_twotower.plan import Swap
from ltr_twotower.predict import UnknownPairsWarning
from ltr_twotower.profile import ProfileLikelihood, profile_likelihood
from ltr_twotower.swaps import SwapGraph, swap_graph
from ltr_twotower.weighting import PlacementPropensity, WeightingWarning, WeightSummary

__all__ = [
    "Cells",
    "ClickLog",
    "ConvergenceWarning",
    "IdentifiabilityReport",
    "LoggingPolicyReport",
    "NotFittedError",
    "NotIdentifiedError",
    "NotIdentifiedWarning",
    "PlacementPropensity",
    "ProfileLikelihood",
    "Swap",
    "SwapGraph",
    "TwoTowerClickModel",
    "UnknownPairsWarning",
    "WeightSummary",
    "WeightingWarning",
    "check_identifiability",
    "logging_policy_report",
    "profile_likelihood",
    "read_click_log",
    "scan_click_log",
    "swap_graph",
]
