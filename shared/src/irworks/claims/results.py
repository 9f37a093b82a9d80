"""What a run found out, in a form that crosses processes and goes to JSON, Parquet and the page."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from irworks.claims.model import Claim, Evidence, Paper, Verdict
from irworks.report.tables import Table

__all__ = ["RECORD_FIELDS", "ClaimResult", "PackageInfo", "Results"]


def finite(value: float) -> float | None:
    """Return the number, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


@dataclass(frozen=True)
class ClaimResult:
    """One claim as it came out. The fields up to `notes` are those of `results.json`.

    Attributes:
        package: The distribution of the claim.
        id: Its name within the package.
        says: The claim in one sentence.
        where: Where the paper makes it.
        paper: What the paper reports.
        rule: How the verdict follows from the measurement.
        measured: The measurement in words; "" if it was not run.
        verdict: What the rule says of it.
        values: The numbers that the verdict was computed from; None for one that is not finite.
        seconds: How long it took.
        scale: At which scale.
        seeds: The replicates.
        error: The traceback of a claim that failed; None otherwise.
        reason: Why it was not run, in a sentence.
        remedy: The command that would get what is missing.
        command: The command that runs this claim again.
        caption: What to see in the figure.
        notes: What else the reader should know.
        figure: An SVG document; stored beside the result.
        table: Stored beside the result.
    """

    package: str
    id: str
    says: str
    where: str
    paper: str
    rule: str
    measured: str = ""
    verdict: Verdict = Verdict.NOT_RUN
    values: Mapping[str, float | None] = field(default_factory=dict)
    seconds: float = 0.0
    scale: str = "small"
    seeds: tuple[int, ...] = ()
    error: str | None = None
    reason: str = ""
    remedy: str | None = None
    command: str = ""
    caption: str = ""
    notes: str = ""
    figure: str | None = None
    table: Table | None = None

    @classmethod
    def blank(cls, claim: Claim, *, scale: str, seeds: tuple[int, ...], command: str) -> "ClaimResult":
        """Return the result of a claim that has not been run."""
        return cls(
            claim.package,
            claim.id,
            claim.says,
            claim.where,
            claim.paper,
            claim.rule,
            scale=scale,
            seeds=seeds,
            command=command,
        )

    def with_evidence(self, evidence: Evidence, figure: str | None) -> "ClaimResult":
        """Return the result with what was measured; `figure` is the evidence's own, as SVG."""
        return replace(
            self,
            measured=evidence.measured,
            verdict=evidence.verdict,
            values={name: finite(value) for name, value in evidence.values.items()},
            caption=evidence.caption,
            notes=evidence.notes,
            figure=figure,
            table=None if evidence.table is None else Table.from_frame(evidence.table),
        )

    def with_error(self, error: str) -> "ClaimResult":
        """Return the result of a claim that failed with this traceback."""
        return replace(self, error=error, reason=next(reversed(error.strip().splitlines()), "failed"))

    @property
    def errored(self) -> bool:
        """Whether the claim failed, rather than being measured or lacking its data."""
        return self.error is not None

    @property
    def settled(self) -> bool:
        """Whether there is nothing to be gained from running it again: it has been measured."""
        return self.verdict is not Verdict.NOT_RUN

    @property
    def status(self) -> str:
        """The verdict in words, "errored" for a claim that failed."""
        return "errored" if self.errored else self.verdict.value

    def to_json(self) -> dict[str, Any]:
        """Return what `results.json` holds of this claim."""
        data = asdict(replace(self, figure=None, table=None))
        del data["figure"], data["table"]
        return {**data, "verdict": self.verdict.value, "seeds": list(self.seeds), "seconds": round(self.seconds, 3)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "ClaimResult":
        """Read what `to_json` wrote.

        Raises:
            TypeError, KeyError, ValueError: It is something else.
        """
        return cls(**{**data, "verdict": Verdict(data["verdict"]), "seeds": tuple(data["seeds"])})


RECORD_FIELDS = tuple(entry.name for entry in fields(ClaimResult) if entry.name not in ("figure", "table"))


@dataclass(frozen=True)
class PackageInfo:
    """What the report says about a package.

    Attributes:
        name: The distribution.
        version: As installed.
        paper: The paper it reproduces.
        about: What a reader of it gets.
        command: The command that runs its claims again, with the settings of this run.
    """

    name: str
    version: str
    paper: Paper
    about: str = ""
    command: str = ""


@dataclass(frozen=True)
class Results:
    """A run of claims, finished or under way.

    Attributes:
        claims: Those that have ended, in the order of their declaration.
        packages: The packages they belong to.
        environment: What `irworks.runtime.environment` says.
        scale: The scale of the run.
        broken: Package name to the traceback that loading it ended in.
        pending: Claims that have not ended yet.
    """

    claims: tuple[ClaimResult, ...]
    packages: tuple[PackageInfo, ...]
    environment: Mapping[str, Any]
    scale: str
    broken: Mapping[str, str] = field(default_factory=dict)
    pending: tuple[Claim, ...] = ()

    @property
    def errored(self) -> bool:
        """Whether a claim failed or a package could not be loaded."""
        return bool(self.broken) or any(claim.errored for claim in self.claims)

    def to_json(self) -> dict[str, Any]:
        """Return the contents of `results.json`."""
        return {
            "irworks": self.environment.get("packages", {}).get("irworks"),
            "environment": dict(self.environment),
            "scale": self.scale,
            "complete": not self.pending,
            "broken": dict(self.broken),
            "packages": [asdict(package) for package in self.packages],
            "claims": [claim.to_json() for claim in self.claims],
        }
