"""The command line: `amharic-ir index | search | evaluate | compare | robustness | analyze | tokenizer`."""

from amharic_ir.cli.app import app, main

__all__ = ["app", "main"]
