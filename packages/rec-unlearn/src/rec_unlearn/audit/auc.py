"""Area under the ROC curve, with an interval."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from irworks.errors import ArgumentError

__all__ = ["Auc", "auc"]

_Z = 1.959963984540054


class Auc(NamedTuple):
    """How well a score tells two groups apart: .5 not at all, 1 perfectly.

    Attributes:
        value: Share of (positive, negative) pairs in which the positive has the higher score; ties count half.
        low: Lower end of the 95% interval.
        high: Upper end.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def auc(positive: ArrayLike, negative: ArrayLike) -> Auc:
    """Area under the curve with DeLong's interval (DeLong et al. 1988, Biometrics 44), on the scale of the logit.

    With perfect separation the variance vanishes: the interval is then that of a share of the smaller group.

    Args:
        positive: float [n], scores of those that should have the higher ones.
        negative: float [m].

    Raises:
        ArgumentError: A group is empty or has a NaN.
    """
    first, second = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    for name, group in (("positive", first), ("negative", second)):
        if group.ndim != 1 or not len(group) or np.isnan(group).any():
            raise ArgumentError(f"{name} has shape {group.shape}; expected scores [n], at least one and no NaN")
    n, m = len(first), len(second)
    # Share of the other group below each score, ties half: the placements of DeLong.
    ordered = np.sort(second)
    above = (np.searchsorted(ordered, first, "left") + np.searchsorted(ordered, first, "right")) / (2 * m)
    ordered = np.sort(first)
    below = 1 - (np.searchsorted(ordered, second, "left") + np.searchsorted(ordered, second, "right")) / (2 * n)
    value = float(above.mean())
    variance = (above.var(ddof=1) / n if n > 1 else 0.25) + (below.var(ddof=1) / m if m > 1 else 0.25)
    if variance <= 0 or value in (0.0, 1.0):
        # As if each of the smaller group were one trial that had to succeed: Clopper and Pearson (1934).
        least = float(0.025 ** (1 / min(n, m)))
        return (
            Auc(value, least, 1.0) if value == 1 else Auc(value, 0.0, 1 - least) if value == 0 else Auc(value, 0.0, 1.0)
        )
    logit = np.log(value / (1 - value))
    width = _Z * np.sqrt(variance) / (value * (1 - value))
    low, high = 1 / (1 + np.exp(-(logit + np.array([-width, width]))))
    return Auc(value, float(low), float(high))
