"""The data of a carousel study: the published tables, their names, checks and files."""

from recgaze.data.checks import StudyWarning, ValidationReport
from recgaze.data.dataset import ItemGrid, RecGazeDataset

__all__ = ["ItemGrid", "RecGazeDataset", "StudyWarning", "ValidationReport"]
