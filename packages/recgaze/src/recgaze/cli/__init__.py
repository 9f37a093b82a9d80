"""The command line: `recgaze simulate | validate | events | analyze | fit | report | view`."""

from recgaze.cli.app import app, main

__all__ = ["app", "main"]
