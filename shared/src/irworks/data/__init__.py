"""Tables that packages share: ranking data sets, click logs, and the catalogue of public data."""

from irworks.data.click_files import read_click_log, scan_click_log, write_click_log
from irworks.data.clicks import ClickLog, Pairs

__all__ = ["ClickLog", "Pairs", "read_click_log", "scan_click_log", "write_click_log"]
