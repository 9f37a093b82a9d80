"""Stands for a library that is slow to import."""

import os

IMPORTED_IN = os.getpid()
TOUCHED: list[int] = []
