"""How claims are to be run, and what identifies such a run."""

import functools
import hashlib
import json
import shlex
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from irworks.claims.model import SCALES, Claim, Scale
from irworks.errors import ArgumentError

__all__ = ["Settings", "version_of"]


@dataclass(frozen=True)
class Settings:
    """How to run claims.

    Attributes:
        scale: `"smoke"`, `"small"` or `"full"`.
        seeds: How many seeds each claim uses; by default what the claim says.
        first_seed: The first of them; the others follow it.
        device: What torch computes on; see `irworks.runtime.device`.
        offline: Forbid downloads.
        options: Passed to the claims by name.

    Raises:
        ArgumentError: The scale is unknown, there is no seed, or the first is below 0.
    """

    scale: Scale = "small"
    seeds: int | None = None
    first_seed: int = 0
    device: str = "auto"
    offline: bool = False
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the scale and the number of seeds."""
        if self.scale not in SCALES:
            raise ArgumentError(f"scale must be one of {', '.join(SCALES)}, found {self.scale!r}")
        if self.seeds is not None and self.seeds < 1:
            raise ArgumentError(f"seeds must be at least 1, found {self.seeds}")
        if self.first_seed < 0:
            raise ArgumentError(f"first_seed must be at least 0, found {self.first_seed}")

    def seeds_of(self, claim: Claim) -> tuple[int, ...]:
        """Return the seeds of a claim."""
        return claim.seeds_at(self.scale, self.seeds, self.first_seed)

    def command(self, claim: Claim, takes: Collection[str] | None = None) -> str:
        """Return the command that runs a claim with these settings.

        Args:
            claim: Which.
            takes: The options that its package takes: of others, the command would complain. Default: all.
        """
        return self._command([claim.package, "--claim", claim.id], len(self.seeds_of(claim)), takes)

    def package_command(self, package: str, takes: Collection[str] | None = None) -> str:
        """Return the command that runs all claims of a package with these settings; `takes` as in `command`."""
        return self._command([package], self.seeds, takes)

    def _command(self, what: Sequence[str], seeds: int | None, takes: Collection[str] | None) -> str:
        words = ["irworks", "reproduce", *what, "--scale", self.scale]
        words += ["--seeds", str(seeds)] if seeds is not None else []
        words += ["--first-seed", str(self.first_seed)] if self.first_seed else []
        words += ["--device", self.device] if self.device != "auto" else []
        for name, value in self.options.items():
            words += ["--option", f"{name}={value}"] if takes is None or name in takes else []
        return shlex.join(words)

    def fingerprint(self, claim: Claim) -> str:
        """Identify everything that decides a claim's values: settings, versions, and the code they run."""
        parts = {
            "claim": [claim.package, claim.id],
            "versions": [version_of(claim.package), version_of("irworks")],
            "code": [_code_of(claim.function.__module__), _code_of(__name__)],
            "scale": self.scale,
            "seeds": self.seeds_of(claim),
            "device": self.device,
            "options": dict(self.options),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def version_of(package: str) -> str:
    """Return the installed version of a distribution, "unknown" for one that is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


@functools.cache
def _code_of(module: str) -> str:
    """Digest the sources of the package that a module belongs to: a checkout changes without changing its version."""
    top = sys.modules.get(module.partition(".")[0])
    file = Path(getattr(top, "__file__", None) or "")
    files = sorted(file.parent.rglob("*.py")) if file.name == "__init__.py" else [file]
    digest = hashlib.sha256()
    for source in files:
        digest.update(source.read_bytes() if source.is_file() else b"")
    return digest.hexdigest()
