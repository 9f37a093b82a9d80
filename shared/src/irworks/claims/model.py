"""The nouns of a claim: the paper, what it says, what was measured, and the verdict that a rule drew from it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal, get_args

from irworks.errors import ArgumentError, IrworksError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from irworks.claims.context import Context

__all__ = ["SCALES", "Claim", "Evidence", "NotRun", "Paper", "Scale", "Verdict", "verdict_from"]

Scale = Literal["smoke", "small", "full"]
SCALES: tuple[Scale, ...] = get_args(Scale)

_KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_DEFAULT_SEEDS = {"smoke": 1, "small": 3, "full": 5}


class Verdict(StrEnum):
    """What the measurement says about the claim."""

    REPRODUCED = "reproduced"
    PARTLY = "partly"
    NOT_REPRODUCED = "not reproduced"
    NOT_RUN = "not run"


def verdict_from(checks: Mapping[str, bool]) -> Verdict:
    """Draw a verdict from the checks of a rule: all hold, some hold, none holds.

    Args:
        checks: What was checked, and whether it holds.

    Returns:
        `REPRODUCED`, `PARTLY` or `NOT_REPRODUCED`.

    Raises:
        ArgumentError: There is nothing to decide on, or what was checked has no names.
    """
    if not isinstance(checks, Mapping):
        raise ArgumentError(f"verdict_from needs checks by name, such as {{'covers': True}}, found {checks!r}")
    if not checks:
        raise ArgumentError("verdict_from needs at least one check, found none")
    if all(checks.values()):
        return Verdict.REPRODUCED
    return Verdict.PARTLY if any(checks.values()) else Verdict.NOT_REPRODUCED


class NotRun(IrworksError):  # noqa: N818 - not a failure: the claim is reported as not run
    """Raised by a claim that lacks its data or hardware.

    Args:
        reason: What is missing.
        command: The command that would get it, where there is one.
    """

    def __init__(self, reason: str, command: str | None = None) -> None:
        self.reason, self.command = reason, command
        super().__init__(reason)

    def __reduce__(self) -> tuple[type, tuple[str, str | None]]:
        """Rebuild from both parts across a process boundary."""
        return type(self), (self.reason, self.command)


@dataclass(frozen=True)
class Paper:
    """The paper that a package reproduces.

    Attributes:
        title: As published.
        authors: As they should be cited: names, or one string.
        venue: Where it appeared.
        url: Where it can be read.
        year: Of publication.
        note: How the worlds of the claims are built, and what a reader must know to judge them; shown in the report.
    """

    title: str
    authors: tuple[str, ...] | str
    venue: str
    url: str
    year: int | None = None
    note: str = ""

    @property
    def byline(self) -> str:
        """The authors as one string."""
        return self.authors if isinstance(self.authors, str) else ", ".join(self.authors)


@dataclass(frozen=True)
class Evidence:
    """What a claim measured.

    Attributes:
        measured: The measurement in words, to stand beside the paper's.
        verdict: What the rule says of it.
        values: The numbers that the verdict was computed from.
        table: The same in more detail.
        figure: A matplotlib figure, or an SVG document.
        caption: What to see in the figure.
        notes: What else the reader should know.

    Raises:
        ArgumentError: `measured` is empty, or a value is not a number.
    """

    measured: str
    verdict: Verdict
    values: Mapping[str, float] = field(default_factory=dict)
    table: "pd.DataFrame | None" = None
    figure: "Figure | str | None" = None
    caption: str = ""
    notes: str = ""

    def __post_init__(self) -> None:
        """Check the words and turn the values into plain floats."""
        if not self.measured.strip():
            raise ArgumentError("Evidence.measured must say what was measured, found an empty text")
        object.__setattr__(self, "verdict", Verdict(self.verdict))
        object.__setattr__(self, "values", {name: _number(name, value) for name, value in self.values.items()})


def _number(name: str, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ArgumentError(f"Evidence.values[{name!r}] must be a number, found {value!r}") from None


@dataclass(frozen=True)
class Claim:
    """One claim of a paper and the function that measures it.

    Attributes:
        package: The distribution it belongs to.
        id: Its name within the package, in kebab-case.
        says: The claim in one sentence.
        where: Where the paper makes it.
        paper: What the paper reports, in short.
        rule: How the verdict follows from the measurement, written before the run.
        function: Measures it.
        data: Catalogued data sets it needs.
        needs: Importable modules it needs beyond the package's own.
        cost: About how many seconds it takes at scale `small` on one processor.
        seeds: How many seeds it uses at a scale, where that differs from the default.
    """

    package: str
    id: str
    says: str
    where: str
    paper: str
    rule: str
    function: "Callable[[Context], Evidence]"
    data: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    cost: float = 10.0
    seeds: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check what a typing error would break only at the end of a long run."""
        if not _KEBAB.fullmatch(self.id):
            raise ArgumentError(f"a claim's id must be kebab-case such as 'well-specified-unbiased', found {self.id!r}")
        for name in ("says", "where", "paper", "rule"):
            if not getattr(self, name).strip():
                raise ArgumentError(f"claim {self.id!r} of {self.package}: {name!r} must not be empty")
        if not self.cost > 0:
            raise ArgumentError(f"claim {self.id!r} of {self.package}: cost must be above 0 seconds, found {self.cost}")
        for scale, count in self.seeds.items():
            if scale not in SCALES or count < 1:
                raise ArgumentError(
                    f"claim {self.id!r} of {self.package}: seeds must map {', '.join(SCALES)} to at least 1, "
                    f"found {scale!r}: {count}"
                )

    def seeds_at(self, scale: Scale, count: int | None = None, first: int = 0) -> tuple[int, ...]:
        """Return the seeds of a run, from `first` on: `count` of them, or as many as the claim uses at this scale."""
        return tuple(range(first, first + (count or self.seeds.get(scale, _DEFAULT_SEEDS[scale]))))
