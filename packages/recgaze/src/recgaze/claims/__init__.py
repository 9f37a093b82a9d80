"""The claims of the paper and of those that followed it; `irworks reproduce recgaze` runs them.

Real selections and hand-coded gaze come from the catalogue (`irworks data list`); the published gaze from the folder
that the user names with `--option recgaze=FOLDER`; the rest are simulated studies with planted truth.
"""

# Each import registers its claims; the order is that of the report.
from recgaze.claims import browsing, decisions, gaze, models, real
from recgaze.claims.paper import CLAIMS

__all__ = ["CLAIMS", "browsing", "decisions", "gaze", "models", "real"]
