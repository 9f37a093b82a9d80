"""Could anybody tell? Whether a request leaves a trace in a model at all, and from which size on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from irworks.errors import ArgumentError
from irworks.runtime import progress
from rec_unlearn.audit.audit import measures
from rec_unlearn.audit.floor import Measured
from rec_unlearn.data import Interactions
from rec_unlearn.protocols import Recommender
from rec_unlearn.requests import resolve
from rec_unlearn.scenarios import Scenario

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Detectability", "detect"]


@dataclass(frozen=True)
class Detectability:
    """What can be told of a scenario.

    Attributes:
        scenario: Its name.
        measured: For each number of requests, what the untouched and the retrained models show; the audited value is
            that of the untouched model.
    """

    scenario: str
    measured: dict[int, tuple[Measured, ...]]

    def smallest(self, measure: str) -> int | None:
        """The smallest number of requests that a measure sees, and all larger ones too; None if it sees none.

        Raises:
            ArgumentError: There is no such measure.
        """
        seen = None
        for size in sorted(self.measured, reverse=True):
            one = {found.name: found for found in self.measured[size]}
            if measure not in one:
                raise ArgumentError(f"there is no measure {measure!r}; there are: {', '.join(one)}")
            if not one[measure].detectable:
                break
            seen = size
        return seen

    def to_frame(self) -> "pd.DataFrame":
        """A row a size and measure: requests, measure, untouched, retrained, floor, gap, detectable."""
        import pandas as pd

        return pd.DataFrame(
            [
                {
                    "requests": size,
                    "measure": one.name,
                    "untouched": one.untouched,
                    "retrained": one.target,
                    "floor": one.floor,
                    "gap": one.gap,
                    "detectable": one.detectable,
                }
                for size, found in sorted(self.measured.items())
                for one in found
            ]
        )

    def __str__(self) -> str:
        names = [one.name for one in next(iter(self.measured.values()))]
        lines = []
        for name in names:
            least = self.smallest(name)
            what = "not detectable" if least is None else f"detectable from {least} requests on"
            lines.append(f"{name}: {what} (of {', '.join(map(str, sorted(self.measured)))} tried)")
        return "\n".join([f"{self.scenario}:", *lines])


def detect(
    train: Callable[[Interactions, int], Recommender],
    scenario: Scenario,
    *,
    sizes: Sequence[int] | None = None,
    seeds: int = 3,
    first_seed: int = 0,
    references: Sequence[Recommender] = (),
    others: Interactions | None = None,
) -> Detectability:
    """Compare the untouched model with retrained ones, and these with one another, for requests of growing number.

    Args:
        train: Trains a model on a log from a seed; called 1 + seeds times a size.
        scenario: The log, and requests of which the first so-many are served.
        sizes: How many; by default a quarter, half and all of them.
        seeds: How many retrained models, at least 2; the first has the seed of the untouched one.
        first_seed: Their seeds count from here.
        references: For the likelihood-ratio attack.
        others: Rows of users never seen, for the attacks.

    Raises:
        ArgumentError: A size is no number of requests, or there are less than two seeds.
    """
    n = len(scenario.requests)
    chosen = sorted({max(1, n // 4), max(1, n // 2), n}) if sizes is None else list(sizes)
    if not chosen or min(chosen) < 1 or max(chosen) > n:
        raise ArgumentError(f"sizes={chosen}; expected numbers of 1 to {n} requests")
    if seeds < 2:
        raise ArgumentError(f"seeds={seeds}; expected at least 2, as one retrained model shows no noise")
    untouched = train(scenario.log, first_seed)
    found: dict[int, tuple[Measured, ...]] = {}
    for size in progress(chosen, "sizes"):
        removal = resolve(scenario.requests[:size], scenario.log)
        retrained = [train(removal.after, first_seed + number) for number in range(seeds)]
        asking = np.intersect1d(scenario.users, removal.users)
        probes = asking if len(asking) else scenario.users
        wanted = measures(removal, probes, scenario.targets, references, others)
        found[size] = tuple(one.compare(name, untouched, untouched, retrained) for name, one in wanted.items())
    return Detectability(scenario.name, found)
