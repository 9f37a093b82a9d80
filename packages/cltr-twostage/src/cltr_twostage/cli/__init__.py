"""The command line: `cltr-twostage evaluate | explain | learn | simulate`."""

from cltr_twostage.cli.app import app, main

__all__ = ["app", "main"]
