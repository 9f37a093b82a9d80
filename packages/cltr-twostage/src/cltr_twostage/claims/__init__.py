"""The claims of the paper, each measured on this machine; `irworks reproduce cltr-twostage` runs them.

At scale "small" the worlds are simulated (`cltr_twostage.simulate`) or built on a small LETOR set; at "full" the
semi-synthetic claim uses MovieLens-1M from a path the user gives with `--option ml-1m=PATH`.
"""

# Each import registers its claims; the order is that of the report.
from cltr_twostage.claims import estimation, learning, robustness, stages
from cltr_twostage.claims.paper import CLAIMS

__all__ = ["CLAIMS", "estimation", "learning", "robustness", "stages"]
