"""The command line: `amharic-ir index | search | evaluate | analyze`."""

from amharic_ir.cli.app import app, main

__all__ = ["app", "main"]
