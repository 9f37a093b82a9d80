"""How often a verdict depends on the seeds: every claim measured with ten sets of seeds that it has never seen.

    uv run python benchmarks/verdicts.py [PACKAGE ...] [--claim ID] [--runs 10] [--scale small]

Writes the table `benchmarks/verdicts.md`, and beside it `verdicts.json`, in which claims that are not named keep
their rows; the runs themselves stay in `results/`. All packages take ten times as long as `irworks reproduce`; what was
interrupted goes on.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from harness import HERE, Row, write_results

from irworks.claims import ClaimResult
from irworks.runtime import atomic_write

# The seeds of a claim are 0, 1, ...: it was written, and its sizes were chosen, with these. No run uses one of them.
APART = 10_000
ROWS = HERE / "verdicts.json"
LETTERS = {"reproduced": "R", "partly": "p", "not reproduced": "N", "not run": "-", "errored": "E"}


def main() -> None:
    """Run everything, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help="all that are installed, if none is named")
    parser.add_argument("--claim", action="append", default=[], metavar="ID", help="only this one; may be repeated")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--scale", choices=("smoke", "small", "full"), default="small")
    parser.add_argument("--jobs", type=int, help="claims at once; by default one per processor")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    folder = HERE / "results" / "verdicts"
    runs = []
    for number in range(1, arguments.runs + 1):
        print(f"run {number} of {arguments.runs}", flush=True)
        out = folder / arguments.scale / f"run-{number:02d}"
        runs.append(reproduce(arguments, number * APART, out))
    records = [record(results) for results in zip(*runs, strict=True)]
    rows = json.loads(ROWS.read_text()) if ROWS.exists() else []
    places = {(row["package"], row["id"]): place for place, row in enumerate(rows)}
    for row in records:
        place = places.get((row["package"], row["id"]), len(rows))
        rows[place : place + 1] = [row]
    rows.sort(key=lambda row: row["package"])
    write_results(rows, ROWS)
    with atomic_write(ROWS.with_suffix(".md"), mode="w") as handle:
        handle.write(table(rows))
    print(table(rows))


def reproduce(arguments: argparse.Namespace, first_seed: int, out: Path) -> list[ClaimResult]:
    """Measure claims with seeds from `first_seed` on. By the command: in this folder, files hide the packages."""
    command = [Path(sys.executable).with_name("irworks"), "reproduce", *arguments.packages, "--resume", "--out", out]
    command += ["--scale", arguments.scale, "--first-seed", str(first_seed)]
    command += [word for claim in arguments.claim for word in ("--claim", claim)]
    command += ["--jobs", str(arguments.jobs)] if arguments.jobs else []
    done = subprocess.run(command, check=False)
    if done.returncode not in (0, 1):
        sys.exit(done.returncode)
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    if results["broken"]:
        sys.exit(f"cannot be loaded: {', '.join(results['broken'])}")
    return [ClaimResult.from_json(claim) for claim in results["claims"]]


def record(results: Sequence[ClaimResult]) -> Row:
    """A row of the table: one claim over all runs."""
    first, verdicts = results[0], [result.status for result in results]
    usual, number = Counter(verdicts).most_common(1)[0]
    return {
        "package": first.package,
        "id": first.id,
        "scale": first.scale,
        "seeds": [list(result.seeds) for result in results],
        "verdicts": verdicts,
        "usual": usual,
        "flips": len(verdicts) - number,
    }


def table(rows: Sequence[Row]) -> str:
    """The table, as Markdown."""
    ran = [row for row in rows if row["usual"] != "not run"]
    letters = ", ".join(f"{letter} {name}" for name, letter in LETTERS.items())
    lines = [
        "# Do the verdicts depend on the seeds?",
        "",
        f"Each claim was measured {len(rows[0]['verdicts'])} times at scale `{rows[0]['scale']}`, with seeds that no",
        f"other run has and that the claim was not written with. A letter a run: {letters} (failed).",
        f"{sum(not row['flips'] for row in ran)} of the {len(ran)} claims that ran came out the same every time.",
        "",
        "Made by `uv run python benchmarks/verdicts.py`.",
        "",
        "| package | claim | seeds a run | verdicts | usual | flips |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        outcome = "".join(LETTERS[verdict] for verdict in row["verdicts"])
        cells = (row["package"], row["id"], len(row["seeds"][0]), f"`{outcome}`", row["usual"], row["flips"])
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    main()
