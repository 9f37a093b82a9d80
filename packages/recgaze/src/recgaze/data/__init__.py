"""The data of a carousel study: the published tables, their names, checks and files."""

from recgaze.data.checks import ValidationReport
from recgaze.data.dataset import ItemGrid, RecGazeDataset

__all__ = ["ItemGrid", "RecGazeDataset", "ValidationReport"]
