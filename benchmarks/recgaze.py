"""Speed of recgaze: detecting events, mapping them to areas, loading and analysing studies; and pymovements beside it.

    uv run python benchmarks/recgaze.py [--quick] [--no-peer]

Every method runs in a process of its own, one after another, with one thread per numerical library. What is measured,
and how it is kept fair, is said in `benchmarks/README.md`.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from harness import HERE, ONE_THREAD, PEERS, MethodError, Row, cells, measure, show_targets, write_results
from peers.environments import PYMOVEMENTS, PeerUnavailableError

from irworks.runtime import environment

EVENTS = [sys.executable, str(PEERS / "workspace_recgaze_events.py"), "--method"]
STUDY = [sys.executable, str(PEERS / "workspace_recgaze_study.py"), "--method"]
THREADS = ONE_THREAD | {"POLARS_MAX_THREADS": "1"}
COLUMNS = [("fit_seconds", 10, ".4f"), ("cpu_seconds", 9, ".3f"), ("peak_mebibytes", 10, ".0f")]
SHOWN = {"best_seconds", "all_seconds", *(name for name, _, _ in COLUMNS)}
# What is compared: our settings, the peer's, and how many times faster the project asks us to be.
DETECTORS: dict[str, tuple[Row, Row, float]] = {
    "ivt": (
        {"velocity": 30.0, "min_duration": 0.05, "window": 0.02},
        {"velocity": 30.0, "min_duration": 50, "window": 11},
        2,
    ),
    "idt": ({"dispersion": 1.0, "min_duration": 0.1}, {"dispersion": 1.0, "min_duration": 100}, 15),
    "map_aois": ({}, {}, 100),
}


def main() -> None:
    """Run everything, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the users of the large study")
    parser.add_argument("--no-peer", action="store_true", help="leave pymovements out")
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of what takes under a second (median)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS), help="parts to run")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "recgaze.json")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")
    load = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="recgaze-") as scratch:
        bench = Bench(Path(scratch), arguments.quick, not arguments.no_peer, arguments.repeats, arguments.seed)
        for part in arguments.only:
            PARTS[part](bench)
    results: Row = {
        "benchmark": "recgaze",
        "environment": environment(),
        "load_average": {"before": load, "after": os.getloadavg()},
        "threads": THREADS,
        "quick": bench.quick,
        "rows": bench.rows,
        "peer_skipped": bench.peer_skipped,
        "against_pymovements": bench.against,
        "targets": bench.targets,
    }
    write_results(results, arguments.out)
    show(results)


class Bench:
    """One run of the benchmark: its settings, and what it has found so far.

    Attributes:
        rows: The table.
        against: Comparisons with pymovements.
        targets: What the project asks, and whether this run showed it.
        peer_skipped: Why pymovements was left out; None if it ran.
    """

    def __init__(self, folder: Path, quick: bool, peer: bool, repeats: int, seed: int) -> None:
        self.folder, self.quick, self.repeats, self.seed = folder, quick, repeats, seed
        self.rows: list[Row] = []
        self.against: list[Row] = []
        self.targets: dict[str, bool] = {}
        self.peer_skipped: str | None = None if peer else "left out by --no-peer"

    def run(self, command: list[str], data: Path, label: str, **settings: Any) -> Row:
        """Run one method, and add it to the table."""
        measured, _ = measure(command, data, settings, label, THREADS)
        row = {"label": label, "settings": settings, **measured}
        self.rows.append(row)
        return row

    def empty(self) -> Path:
        """An archive for methods that make their own world."""
        path = self.folder / "none.npz"
        np.savez(path)
        return path


# -- the parts --------------------------------------------------------------------------------------------------------


def events(bench: Bench) -> None:
    """Detectors on 64,000 samples, and 3,000 points on 240 boxes."""
    settings = {"samples": 64_000, "rate": 500, "noise_px": 1.5, "points": 3_000, "seed": bench.seed}
    _, arrays = measure([*EVENTS, "world"], bench.empty(), settings, "drawing 64,000 samples", THREADS)
    world = bench.folder / "gaze.npz"
    np.savez(world, **arrays)
    for method, (ours, theirs, times) in DETECTORS.items():
        row = bench.run([*EVENTS, method], world, f"recgaze {method}", repeats=bench.repeats, **ours)
        peer = _peer(bench, method, world, theirs)
        if peer is None:
            continue
        found = {"method": method} | {
            name.removesuffix("_seconds"): peer[name] / row[name]
            for name in ("fit_seconds", "cpu_seconds", "pixels_seconds")
            if name in row and name in peer
        }
        bench.against.append(found)
        faster = min(found["fit"], found["cpu"])
        bench.targets[f"{method}: at least {times:g}x faster than pymovements, wall and CPU"] = faster >= times
        for same in ("fixations", "box"):
            if same in row and method != "idt":
                bench.targets[f"{method}: the same {same} as pymovements"] = row[same] == peer[same]
    bench.run([*EVENTS, "adaptive"], world, "recgaze adaptive", repeats=bench.repeats)


def _peer(bench: Bench, method: str, world: Path, settings: Row) -> Row | None:
    if bench.peer_skipped:
        return None
    # What takes a second is timed once.
    repeats = bench.repeats if method == "ivt" else 1
    try:
        command = [str(PYMOVEMENTS.interpreter()), str(PEERS / "pymovements_events.py"), "--method", method]
        return bench.run(command, world, f"pymovements {method}", repeats=repeats, **settings)
    except (PeerUnavailableError, MethodError) as reason:
        bench.peer_skipped = str(reason)
        return None


def study(bench: Bench) -> None:
    """A study of RecGaze's size: load it, and analyse it in full."""
    row = bench.run(
        [*STUDY, "study"], bench.empty(), "load and analyse 87 users x 40 screens", users=87, seed=bench.seed
    )
    bench.targets["a study of 87 x 40 loaded in under 5 s"] = row["load_seconds"] < 5
    bench.targets["a study of 87 x 40 analysed in under 60 s"] = row["fit_seconds"] < 60


def large(bench: Bench) -> None:
    """A study a hundred times as large, read from disk in blocks."""
    blocks = 10 if bench.quick else 100
    small = bench.run([*STUDY, "stream"], bench.empty(), "stream 1 block of 87 users", blocks=1, seed=bench.seed)
    row = bench.run(
        [*STUDY, "stream"], bench.empty(), f"stream {blocks} blocks of 87 users", blocks=blocks, seed=bench.seed
    )
    bounded = row["peak_mebibytes"] < small["peak_mebibytes"] + 10 * blocks
    bench.targets[f"{blocks} times the study in bounded memory: under 10 MiB more for each block"] = bounded


PARTS = {part.__name__: part for part in (events, study, large)}


# -- showing ----------------------------------------------------------------------------------------------------------


def show(results: Row) -> None:
    """Print the tables."""
    before, after = results["load_average"]["before"][0], results["load_average"]["after"][0]
    print(f"\none thread per library; load average {before:.2f} before and {after:.2f} after\n")
    print(f"{'method':<50}{'seconds':>10}{'CPU s':>9}{'peak MiB':>10}")
    for row in results["rows"]:
        print(f"{row['label']:<50}{cells(row, COLUMNS)}")
        more = [f"{name} {row[name]:.3g}" for name in row if name.endswith("_seconds") and name not in SHOWN]
        if more:
            print(f"    {'; '.join(more)}")
    for found in results["against_pymovements"]:
        ratios = ", ".join(f"{name} {value:.1f}" for name, value in found.items() if isinstance(value, float))
        print(f"pymovements' seconds over ours, {found['method']}: {ratios}")
    if results["peer_skipped"]:
        print(f"\n{PYMOVEMENTS.label} skipped: {results['peer_skipped']}")
    show_targets(results["targets"])


if __name__ == "__main__":
    main()
