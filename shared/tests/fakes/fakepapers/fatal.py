"""Stands for a library that cannot be imported without harm."""

import os

os._exit(7)
