"""The command line: `rec-unlearn simulate | train | remove | audit | bench | queue`."""

from rec_unlearn.cli.app import app, main

__all__ = ["app", "main"]
