"""The command line: `rec-unlearn train | remove | queue`."""

from rec_unlearn.cli.app import app, main

__all__ = ["app", "main"]
