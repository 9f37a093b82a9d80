"""What tests of several packages need: to run a README, a command line, or a program in several processes."""

from irworks.testing.commands import Outcome, run_main
from irworks.testing.readme import Readme, run_python
from irworks.testing.together import meet, run_together

__all__ = ["Outcome", "Readme", "meet", "run_main", "run_python", "run_together"]
