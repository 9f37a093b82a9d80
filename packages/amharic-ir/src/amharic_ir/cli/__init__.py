"""The commands: `amharic-ir index | search | evaluate | compare | robustness | analyze | train | mine | tokenizer`."""

from amharic_ir.cli.app import app, main

__all__ = ["app", "main"]
