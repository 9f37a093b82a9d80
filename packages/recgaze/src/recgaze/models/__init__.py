"""Models of clicks and examination on carousel grids: what they predict, and what a study can tell of them."""

from recgaze.models.attraction import Features, Fixed, KeyValues
from recgaze.models.base import PositionModel
from recgaze.models.cascade import CCM, TCM, CascadeModel
from recgaze.models.compare import HeldOut, compare, held_out
from recgaze.models.errors import IdentifiabilityWarning, NotFittedError
from recgaze.models.files import load_model
from recgaze.models.identifiability import Component, IdentifiabilityReport, identifiability
from recgaze.models.position import CPBM, OEPBM, RCPBM
from recgaze.models.scoring import Score
from recgaze.models.selections import Selections, read_selections, selection_counts
from recgaze.models.tally import Tally
from recgaze.models.world import PbmTruth, f_shaped_examination, pbm_world

__all__ = [
    "CCM",
    "CPBM",
    "OEPBM",
    "RCPBM",
    "TCM",
    "CascadeModel",
    "Component",
    "Features",
    "Fixed",
    "HeldOut",
    "IdentifiabilityReport",
    "IdentifiabilityWarning",
    "KeyValues",
    "NotFittedError",
    "PbmTruth",
    "PositionModel",
    "Score",
    "Selections",
    "Tally",
    "compare",
    "f_shaped_examination",
    "held_out",
    "identifiability",
    "load_model",
    "pbm_world",
    "read_selections",
    "selection_counts",
]
