"""What can be told apart at all: the untouched model, and how much those trained again differ among themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from irworks.errors import ArgumentError

__all__ = ["LEAST", "Measured", "Verdict", "judge", "worst"]

# In place of the logarithm of 0, which models of counts give to what has left the catalogue: with it, the untouched and
# the retrained model would be infinitely far apart, and nothing could be said of what lies between.
LEAST = float(np.log(np.finfo(np.float64).tiny))

Verdict = Literal["removed within noise", "partly", "not removed", "overshot", "cannot tell"]


@dataclass(frozen=True)
class Measured:
    """One measure of an audited model beside its controls.

    Attributes:
        name: Of the measure.
        value: Of the audited model.
        untouched: Of the deployed model before the request.
        retrained: Of models trained without the request, with at least two different seeds.
        resolution: Differences below this do not matter, however well the retrained models agree.
    """

    name: str
    value: float
    untouched: float
    retrained: tuple[float, ...]
    resolution: float = 0.0

    def __post_init__(self) -> None:
        if len(self.retrained) < 2:
            raise ArgumentError(
                f"{self.name}: {len(self.retrained)} retrained models; expected at least two seeds, to see their noise"
            )

    @property
    def target(self) -> float:
        """What a model without the request shows on average."""
        return float(np.mean(self.retrained))

    @property
    def floor(self) -> float:
        """The largest difference between two retrained models, at least the resolution: what is smaller is noise."""
        return max(float(np.ptp(self.retrained)), self.resolution)

    @property
    def gap(self) -> float:
        """Untouched less retrained: what the request leaves in the model."""
        return self.untouched - self.target

    @property
    def detectable(self) -> bool:
        """Whether the untouched model lies outside the retrained ones, by more than they differ among themselves."""
        low, high = min(self.retrained) - self.floor, max(self.retrained) + self.floor
        return bool(np.isfinite(self.gap)) and not low <= self.untouched <= high

    @property
    def closed(self) -> float:
        """Share of the gap that is closed: 1 as retrained, above 1 beyond it; NaN where nothing can be told."""
        return (self.untouched - self.value) / self.gap if self.detectable else float("nan")

    @property
    def verdict(self) -> Verdict:
        """In words; see `judge`."""
        return judge(self)


def judge(measured: Measured, *, little: float = 0.2) -> Verdict:
    """Say in words what a measure shows of a removal.

    "cannot tell": the untouched model looks like a retrained one. Else "removed within noise": as far from the mean of
    the retrained models as these are from one another, at most. Else "overshot": beyond them, on the other side than
    the untouched model, which gives a request away as well. Else by the share of the gap that is closed: "not removed"
    below `little`, "partly" from there on.

    Args:
        measured: The measure and its controls.
        little: What share of the gap is as good as nothing.
    """
    if not measured.detectable:
        return "cannot tell"
    if abs(measured.value - measured.target) <= measured.floor:
        return "removed within noise"
    if measured.closed > 1:
        return "overshot"
    return "partly" if measured.closed >= little else "not removed"


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict of several measures together: the worst of those that can tell."""
    for verdict in ("not removed", "overshot", "partly", "removed within noise"):
        if verdict in verdicts:
            return verdict
    return "cannot tell"
