"""The claims of the paper, each measured on this machine; `irworks reproduce ltr-twotower` runs them.

At scale "small" the worlds are simulated (`ltr_twotower.simulate`); at "full" the worlds with features are built on
MSLR-WEB30K from a path the user gives with `--option mslr=PATH`.
"""

# Each import registers its claims; the order is that of the report.
from ltr_twotower.claims import identification, policy, weighting
from ltr_twotower.claims.paper import CLAIMS

__all__ = ["CLAIMS", "identification", "policy", "weighting"]
