"""Tables that packages share: ranking data sets, click logs, and the catalogue of public data."""

from irworks.data.click_files import read_click_log, scan_click_log, write_click_log
from irworks.data.clicks import ClickLog
from irworks.data.collection import Collection, Documents
from irworks.data.letor import read_letor, write_letor
from irworks.data.pairs import Pairs
from irworks.data.ranking import RankingDataset
from irworks.data.runs import Run

__all__ = [
    "ClickLog",
    "Collection",
    "Documents",
    "Pairs",
    "RankingDataset",
    "Run",
    "read_click_log",
    "read_letor",
    "scan_click_log",
    "write_click_log",
    "write_letor",
]
