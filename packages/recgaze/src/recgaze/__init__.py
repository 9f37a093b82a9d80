"""Eye tracking and clicks on carousel interfaces, from raw gaze to a decision."""

from recgaze.data import ItemGrid, RecGazeDataset, ValidationReport
from recgaze.impressions import Impressions
from recgaze.layout import Aoi, CarouselLayout, Located
from recgaze.simulate import Behaviour, Simulation, simulate
from recgaze.visits import Visits

__all__ = [
    "Aoi",
    "Behaviour",
    "CarouselLayout",
    "Impressions",
    "ItemGrid",
    "Located",
    "RecGazeDataset",
    "Simulation",
    "ValidationReport",
    "Visits",
    "simulate",
]
