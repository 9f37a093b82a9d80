"""Eye tracking and clicks on carousel interfaces, from raw gaze to a decision."""

from recgaze import browse, events, models, recommend, study
from recgaze.data import ItemGrid, RecGazeDataset, StudyWarning, ValidationReport
from recgaze.gaze import Gaze, GazeWarning, Screen
from recgaze.gaze_files import read_coded, read_gaze, read_lund, read_tobii
from recgaze.impressions import Impressions
from recgaze.layout import Aoi, CarouselLayout, Located
from recgaze.simulate import Behaviour, Simulation, simulate_study
from recgaze.synthetic import gaze_from_fixations
from recgaze.visits import Visits

__all__ = [
    "Aoi",
    "Behaviour",
    "CarouselLayout",
    "Gaze",
    "GazeWarning",
    "Impressions",
    "ItemGrid",
    "Located",
    "RecGazeDataset",
    "Screen",
    "Simulation",
    "StudyWarning",
    "ValidationReport",
    "Visits",
    "browse",
    "events",
    "gaze_from_fixations",
    "models",
    "read_coded",
    "read_gaze",
    "read_lund",
    "read_tobii",
    "recommend",
    "simulate_study",
    "study",
]
