"""What the tests of every package need: run a README as it is written, and a command line as a user would."""

from irworks.testing.commands import Outcome, run_main
from irworks.testing.readme import Readme, run_python

__all__ = ["Outcome", "Readme", "run_main", "run_python"]
