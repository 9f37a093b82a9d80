"""Speed of recgaze: detecting events, mapping them to areas, loading and analysing studies; and pymovements beside it.

    uv run python benchmarks/recgaze.py [--quick] [--no-peer] [--only PART ...]

One part is of quality: how often the test of the examination hypothesis rejects on simulated studies.

Every method runs in a process of its own, one after another, with one thread per numerical library. What is measured,
and how it is kept fair, is said in `benchmarks/README.md`.
"""

import sys
from pathlib import Path

from harness import ONE_THREAD, PEERS, Bench, MethodError, Row, cells, measure, run_parts, show_targets
from peers.environments import PYMOVEMENTS, PeerUnavailableError

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

# Simulated studies that the examination hypothesis is tested on; place matters in the last alone.
STUDIES: dict[str, Row] = {
    "pattern f": {"users": 87, "studies": 60, "pattern": "f", "position_bias": 0.0},
    "pattern f, 400 users": {"users": 400, "studies": 20, "pattern": "f", "position_bias": 0.0},
    "pattern uniform": {"users": 87, "studies": 40, "pattern": "uniform", "position_bias": 0.0},
    "pattern f, position bias 1": {"users": 87, "studies": 12, "pattern": "f", "position_bias": 1.0},
}


def main() -> None:
    """Run everything, print the table, write the results."""
    quick = "a tenth of the users of the large study, and of the studies that the hypothesis is tested on"
    show(run_parts("recgaze", __doc__, Gazes, PARTS, peer="pymovements", quick=quick))


class Gazes(Bench):
    """One run of this benchmark."""

    threads = THREADS


# -- the parts --------------------------------------------------------------------------------------------------------


def events(bench: Gazes) -> None:
    """Detectors on 64,000 samples, and 3,000 points on 240 boxes."""
    settings = {"samples": 64_000, "rate": 500, "noise_px": 1.5, "points": 3_000, "seed": bench.seed}
    _, arrays = measure([*EVENTS, "world"], bench.folder / "none.npz", settings, "drawing 64,000 samples", THREADS)
    world = bench.save("gaze", arrays)
    for method, (ours, theirs, times) in DETECTORS.items():
        row, _ = bench.run([*EVENTS, method], world, f"recgaze {method}", repeats=bench.repeats, **ours)
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


def _peer(bench: Gazes, method: str, world: Path, settings: Row) -> Row | None:
    if bench.peer_skipped:
        return None
    # What takes a second is timed once.
    repeats = bench.repeats if method == "ivt" else 1
    try:
        command = [str(PYMOVEMENTS.interpreter()), str(PEERS / "pymovements_events.py"), "--method", method]
        return bench.run(command, world, f"pymovements {method}", repeats=repeats, **settings)[0]
    except (PeerUnavailableError, MethodError) as reason:
        bench.peer_skipped = str(reason)
        return None


def study(bench: Gazes) -> None:
    """A study of RecGaze's size: load it, and analyse it in full."""
    label = "load and analyse 87 users x 40 screens"
    row, _ = bench.run([*STUDY, "study"], bench.folder / "none.npz", label, users=87, seed=bench.seed)
    bench.targets["a study of 87 x 40 loaded in under 5 s"] = row["load_seconds"] < 5
    bench.targets["a study of 87 x 40 analysed in under 60 s"] = row["fit_seconds"] < 60


def large(bench: Gazes) -> None:
    """A study a hundred times as large, read from disk in blocks."""
    blocks = 10 if bench.quick else 100
    none = bench.folder / "none.npz"
    small, row = (
        bench.run([*STUDY, "stream"], none, f"stream {n} blocks of 87 users", blocks=n, seed=bench.seed)[0]
        for n in (1, blocks)
    )
    bounded = row["peak_mebibytes"] < small["peak_mebibytes"] + 10 * blocks
    bench.targets[f"{blocks} times the study in bounded memory: under 10 MiB more for each block"] = bounded


def hypothesis(bench: Gazes) -> None:
    """The test of the examination hypothesis: rejections with films given, and with films drawn."""
    for label, settings in STUDIES.items():
        settings = settings | {"seed": bench.seed}
        if bench.quick:
            settings["studies"] = -(-settings["studies"] // 10)
        bench.run([*STUDY, "hypothesis"], bench.folder / "none.npz", f"hypothesis, {label}", **settings)


PARTS = {part.__name__: part for part in (events, study, large, hypothesis)}


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
        if "rejected_drawn" in row:
            given, drawn, n = row["rejected_given"], row["rejected_drawn"], row["settings"]["studies"]
            print(f"    rejected in {given} of {n} studies with films given, in {drawn} of {n} with films drawn")
    for found in results["against"]:
        ratios = ", ".join(f"{name} {value:.1f}" for name, value in found.items() if isinstance(value, float))
        print(f"pymovements' seconds over ours, {found['method']}: {ratios}")
    if results["peer_skipped"]:
        print(f"\n{PYMOVEMENTS.label} skipped: {results['peer_skipped']}")
    show_targets(results["targets"])


if __name__ == "__main__":
    main()
