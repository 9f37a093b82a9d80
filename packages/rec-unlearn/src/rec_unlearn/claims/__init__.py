"""The claims of the papers, each measured on this machine; `irworks reproduce rec-unlearn` runs them.

At scale "small" they use a part of Ta-Feng, at "full" all of it; spam, canaries and requests are drawn from the seed.
"""

# Each import registers its claims; the order is that of the report.
from rec_unlearn.claims import foundations, sequential, traces
from rec_unlearn.claims.paper import CLAIMS

__all__ = ["CLAIMS", "foundations", "sequential", "traces"]
