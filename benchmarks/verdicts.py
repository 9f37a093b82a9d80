"""How often a verdict depends on the seeds: every claim measured with ten sets of seeds that it has never seen.

    uv run python benchmarks/verdicts.py [PACKAGE ...] [--runs 10] [--scale small]

Writes the table `benchmarks/verdicts.md`, and beside it in `results/` the numbers behind each verdict. A run of all
packages takes ten times as long as `irworks reproduce`, and goes on where it was interrupted.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import HERE, Row, write_results

from irworks.claims import ClaimResult
from irworks.runtime import atomic_write, environment

# The seeds of a claim are 0, 1, ...: it was written, and its sizes were chosen, with these. No run uses one of them.
APART = 10_000
LETTERS = {"reproduced": "R", "partly": "p", "not reproduced": "N", "not run": "-", "errored": "E"}


@dataclass(frozen=True)
class Claim:
    """One claim over all runs.

    Attributes:
        results: How it came out, run by run.
    """

    results: Sequence[ClaimResult]

    @property
    def verdicts(self) -> list[str]:
        """The verdict of each run."""
        return [result.status for result in self.results]

    @property
    def usual(self) -> str:
        """The most frequent verdict."""
        return Counter(self.verdicts).most_common(1)[0][0]

    @property
    def flips(self) -> int:
        """In how many runs the verdict was another than usual."""
        return sum(verdict != self.usual for verdict in self.verdicts)


def main() -> None:
    """Run everything, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="all that are installed, if none is named")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--scale", choices=("smoke", "small", "full"), default="small")
    parser.add_argument("--jobs", type=int, help="claims at once; by default one per processor")
    parser.add_argument("--out", type=Path, default=HERE / "verdicts.md", help="the table")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    folder = HERE / "results" / "verdicts"
    runs = []
    for number in range(1, arguments.runs + 1):
        print(f"run {number} of {arguments.runs}", flush=True)
        out = folder / arguments.scale / f"run-{number:02d}"
        runs.append(reproduce(arguments.packages, arguments.scale, number * APART, arguments.jobs, out))
    claims = [Claim(results) for results in zip(*runs, strict=True)]
    write_results({"environment": environment(), "claims": [record(claim) for claim in claims]}, folder / "table.json")
    with atomic_write(arguments.out, mode="w") as handle:
        handle.write(table(claims, arguments.scale))
    print(table(claims, arguments.scale))


def reproduce(packages: list[str], scale: str, first_seed: int, jobs: int | None, out: Path) -> list[ClaimResult]:
    """Measure all claims with seeds from `first_seed` on. By the command: in this folder, files hide the packages."""
    command = [Path(sys.executable).with_name("irworks"), "reproduce", *packages, "--scale", scale, "--resume"]
    command += ["--first-seed", str(first_seed), "--out", out, *(["--jobs", str(jobs)] if jobs else [])]
    done = subprocess.run(command, check=False)
    if done.returncode not in (0, 1):
        sys.exit(done.returncode)
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    if results["broken"]:
        sys.exit(f"cannot be loaded: {', '.join(results['broken'])}")
    return [ClaimResult.from_json(claim) for claim in results["claims"]]


def record(claim: Claim) -> Row:
    """What is written of a claim: the numbers of each verdict."""
    first = claim.results[0]
    runs = [{"seeds": list(run.seeds), "verdict": run.status, "values": dict(run.values)} for run in claim.results]
    return {"package": first.package, "id": first.id, "usual": claim.usual, "flips": claim.flips, "runs": runs}


def table(claims: Sequence[Claim], scale: str) -> str:
    """The table, as Markdown."""
    n_runs = len(claims[0].results)
    measured = [claim for claim in claims if claim.usual != "not run"]
    steady = sum(not claim.flips for claim in measured)
    letters = ", ".join(f"{letter} {name}" for name, letter in LETTERS.items())
    lines = [
        "# Do the verdicts depend on the seeds?",
        "",
        f"Each claim was measured {n_runs} times at scale `{scale}`, with seeds that no other run has and that the",
        f"claim was not written with. A letter a run: {letters}",
        f"(failed). {steady} of the {len(measured)} claims that ran came out the same every time.",
        "",
        "Made by `uv run python benchmarks/verdicts.py`, which also keeps the numbers behind each verdict.",
        "",
        "| package | claim | seeds a run | verdicts | usual | flips |",
        "|---|---|---|---|---|---|",
    ]
    for claim in claims:
        first, outcome = claim.results[0], "".join(LETTERS[verdict] for verdict in claim.verdicts)
        lines.append(
            f"| {first.package} | {first.id} | {len(first.seeds)} | `{outcome}` | {claim.usual} | {claim.flips} |"
        )
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
