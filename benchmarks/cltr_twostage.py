"""Speed of cltr-twostage: reading a log, evaluating pairs, exposures, learning; and Open Bandit Pipeline beside it.

    uv run python benchmarks/cltr_twostage.py [--quick] [--no-peer]

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
from harness import HERE, ONE_THREAD, PEERS, Arrays, MethodError, Row, cells, measure, show_targets, write_results
from peers.environments import OBP, PeerUnavailableError

from irworks.runtime import environment

OURS = [sys.executable, str(PEERS / "workspace_two_stage.py"), "--method"]
WORLDS: dict[str, Row] = {
    "natural": {"queries": 80, "docs": 30, "n_candidates": 10, "k": 4},
    "large": {"queries": 2_000, "docs": 100, "n_candidates": 20, "k": 10},
    "wide": {"queries": 80, "docs": 30, "n_candidates": 15, "k": 10},
}
# obp's own default is 10,000 resamples; the front end of its slate estimators has 100, the kinder number.
BOOTSTRAP = 100
COLUMNS = [("fit_seconds", 10, ".3f"), ("cpu_seconds", 9, ".2f"), ("peak_mebibytes", 10, ".0f")]


def main() -> None:
    """Run everything, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of sessions, pairs and documents")
    parser.add_argument("--no-peer", action="store_true", help="leave Open Bandit Pipeline out")
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of what takes under a second (median)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=sorted(PARTS), default=list(PARTS), help="parts to run")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "cltr_twostage.json")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")
    load = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix="cltr-twostage-") as scratch:
        bench = Bench(Path(scratch), arguments.quick, not arguments.no_peer, arguments.repeats, arguments.seed)
        for part in arguments.only:
            PARTS[part](bench)
    results: Row = {
        "benchmark": "cltr_twostage",
        "environment": environment(),
        "load_average": {"before": load, "after": os.getloadavg()},
        "threads": ONE_THREAD,
        "quick": bench.quick,
        "worlds": WORLDS,
        "rows": bench.rows,
        "peer_skipped": bench.peer_skipped,
        "against_obp": bench.against,
        "targets": bench.targets,
    }
    write_results(results, arguments.out)
    show(results)


class Bench:
    """One run of the benchmark: its settings, and what it has found so far.

    Attributes:
        rows: The table.
        against: Comparisons with obp.
        targets: What the project asks, and whether this run showed it.
        peer_skipped: Why obp was left out; None if it ran.
    """

    def __init__(self, folder: Path, quick: bool, peer: bool, repeats: int, seed: int) -> None:
        self.folder, self.quick, self.repeats, self.seed = folder, quick, repeats, seed
        self.rows: list[Row] = []
        self.against: list[Row] = []
        self.targets: dict[str, bool] = {}
        self.peer_skipped: str | None = None if peer else "left out by --no-peer"
        self._worlds: dict[tuple[str, int], Path] = {}

    def size(self, number: int) -> int:
        """A number of things, or a tenth of it."""
        return number // 10 if self.quick else number

    def run(self, method: str, label: str, data: Path | None = None, **settings: Any) -> tuple[Row, Arrays]:
        """Run one of our methods, and add it to the table."""
        measured, arrays = self._run(method, label, data, settings)
        row = {"method": method, "label": label, "settings": settings, **measured}
        self.rows.append(row)
        return row, arrays

    def world(self, name: str, sessions: int) -> Path:
        """The file of a world's log, drawn when it is first needed."""
        key = (name, sessions)
        if key not in self._worlds:
            settings = WORLDS[name] | {"sessions": sessions, "seed": self.seed}
            _, arrays = self._run("world", f"drawing {sessions:,} sessions of the {name} world", None, settings)
            self._worlds[key] = self._save(f"{name}-{sessions}", arrays)
        return self._worlds[key]

    def with_placements(self, name: str, sessions: int) -> Path:
        """A world's log with the placement probabilities of both pairs."""
        label = f"exact placements of the {name} world"
        _, arrays = self._run("placements", label, self.world(name, sessions), {"sessions": sessions})
        return self._save(f"{name}-{sessions}-placements", arrays)

    def _run(self, method: str, label: str, data: Path | None, settings: Row) -> tuple[Row, Arrays]:
        return measure([*OURS, method], data or self.folder / "none.npz", settings, label)

    def _save(self, name: str, arrays: Arrays) -> Path:
        path = self.folder / f"{name}.npz"
        np.savez(path, **arrays)
        return path


# -- the parts --------------------------------------------------------------------------------------------------------


def log(bench: Bench) -> None:
    """Reading a log of a million sessions."""
    sessions = bench.size(1_000_000)
    for name in ("natural", "large"):
        shape = "{queries} queries x {docs} documents, k = {k}".format(**WORLDS[name])
        row, _ = bench.run(
            "aggregate",
            f"aggregate {sessions:,} sessions, {shape}",
            bench.world(name, sessions),
            repeats=min(bench.repeats, 5),
            n_samples=1_000,
        )
        bench.targets[f"{name} world: {sessions:,} sessions aggregated in under 2 s"] = (
            max(row["fit_seconds"], row["first_fit_seconds"]) < 2
        )


def pairs(bench: Bench) -> None:
    """Evaluating a thousand pairs of policies on one fitted estimator."""
    generators = 4 if bench.quick else 40
    row, _ = bench.run(
        "pairs",
        f"evaluate {generators * 25:,} pairs on the collapsed log, two processes",
        bench.world("natural", bench.size(1_000_000)),
        generators=generators,
        rankers=25,
        jobs=2,
        seed=bench.seed,
    )
    bench.targets[f"{row['pairs']:,} policy pairs evaluated in under 60 s by two processes"] = row["fit_seconds"] < 60


def obp(bench: Bench) -> None:
    """Item-position IPS from a million logged rows, and obp's."""
    for name, sessions in (("natural", bench.size(250_000)), ("wide", bench.size(100_000))):
        data = bench.with_placements(name, sessions)
        k = WORLDS[name]["k"]
        shape = f"{sessions * k:,} rows, k = {k}"
        ours, _ = bench.run("item_position", f"ItemPositionIPS with interval, {shape}", data, repeats=bench.repeats)
        peer = _obp_row(bench, data, sessions, shape)
        if peer is None:
            return
        bench.rows.append(peer)
        found = compare(ours, peer) | {"world": name, "shape": shape}
        bench.against.append(found)
        bench.targets[f"{shape}: same value as obp to 1e-12"] = found["difference"] < 1e-12
        for ratio, what in (
            ("value_and_interval", "obp's value with interval"),
            ("value_alone", "obp's value without interval, ours with"),
        ):
            # Other work on the machine stretches wall time, of some runs more than of others: both clocks must agree.
            faster = min(found[ratio], found[f"{ratio}_cpu"]) >= 10
            bench.targets[f"{shape}: 10x faster than {what}, wall and CPU"] = faster


def _obp_row(bench: Bench, data: Path, sessions: int, shape: str) -> Row | None:
    if bench.peer_skipped:
        return None
    print(f"peer     {OBP.label}: its environment is made on first use", flush=True)
    sizes = [sessions // 8, sessions // 4, sessions // 2, sessions]
    settings = {"repeats": bench.repeats, "interval_sessions": sizes, "bootstrap": BOOTSTRAP}
    label = f"obp SlateIndependentIPS, value only, {shape}"
    try:
        command = [str(OBP.interpreter()), str(PEERS / "obp_slate.py"), "--method", "iips"]
        measured, _ = measure(command, data, settings, label)
    except (PeerUnavailableError, MethodError) as reason:
        bench.peer_skipped = str(reason)
        return None
    return {"method": "obp_iips", "label": label, "settings": settings, **measured}


def exposure(bench: Bench) -> None:
    """Exposure of a pair of policies, exact and by Monte Carlo."""
    shapes = [(80, 30, 10, 4), (20, 100, 20, 10), (1, 1_000, 50, 10)]
    for queries, docs, n_candidates, k in shapes[:2] if bench.quick else shapes:
        bench.run(
            "exposure",
            f"exact exposure, {queries} queries x {docs} documents, {n_candidates} candidates, k = {k}",
            queries=queries,
            docs=docs,
            n_candidates=n_candidates,
            k=k,
            n_samples=1_000,
            repeats=3,
            seed=bench.seed,
        )


def generator(bench: Bench) -> None:
    """Candidates from a million documents."""
    docs = bench.size(1_000_000)
    settings = {"docs": docs, "dim": 64, "queries": 100, "n_candidates": 200, "seed": bench.seed}
    for temperature, index in ((1.0, "flat"), (0.2, "flat"), (0.2, "IVF1024,Flat")):
        row, _ = bench.run(
            "generator",
            f"200 of {docs:,} documents for 100 queries, {index}, temperature {temperature:g}",
            **settings,
            temperature=temperature,
            index=index,
        )
        target = f"200 of {docs:,} documents for 100 queries in under 60 s, {index}, temperature {temperature:g}"
        bench.targets[target] = row["build_seconds"] + row["first_seconds"] < 60 and row["distinct"]


def learn(bench: Bench) -> None:
    """Learning both stages in turn."""
    steps = bench.size(400)
    for held_out in (0.0, 0.2):
        row, _ = bench.run(
            "learn",
            f"learn, {steps} alternating steps, 80 queries x 30 documents, {held_out:.0%} held out",
            world="natural",
            mode="alternating",
            sessions=16_000,
            steps=steps,
            held_out=held_out,
            repeats=3,
            seed=bench.seed,
        )
        if not held_out:
            bench.targets[f"{steps} alternating steps in under 5 s"] = row["fit_seconds"] < 5


PARTS = {part.__name__: part for part in (log, pairs, obp, exposure, generator, learn)}


# -- judging ----------------------------------------------------------------------------------------------------------


def compare(ours: Row, peer: Row) -> Row:
    """Every ratio is obp's seconds over ours: above 1, ours is faster."""
    interval, kinder = peer["intervals"][-1], peer["summed_interval"]
    seconds, cpu = ours["fit_seconds"], ours["cpu_seconds"]
    return {
        "difference": abs(ours["value"] - peer["value"]),
        "value_and_interval": (peer["fit_seconds"] + interval["seconds"]) / seconds,
        "value_and_interval_cpu": (peer["cpu_seconds"] + interval["cpu_seconds"]) / cpu,
        "value_and_summed_interval": (peer["fit_seconds"] + kinder["seconds"]) / seconds,
        "value_alone": peer["fit_seconds"] / seconds,
        "value_alone_cpu": peer["cpu_seconds"] / cpu,
        "value_alone_obp_given_its_rows": peer["call_seconds"] / seconds,
        "next_policy_on_the_same_log": peer["fit_seconds"] / ours["value_seconds"],
        "ours_ci": ours["ci"],
        "obp_ci": interval["ci"],
    }


# -- showing ----------------------------------------------------------------------------------------------------------


def show(results: Row) -> None:
    """Print the tables."""
    before, after = results["load_average"]["before"][0], results["load_average"]["after"][0]
    print(f"\none thread per library; load average {before:.2f} before and {after:.2f} after\n")
    print(f"{'method':<76}{'seconds':>10}{'CPU s':>9}{'peak MiB':>10}")
    for row in results["rows"]:
        print(f"{row['label']:<76}{cells(row, COLUMNS)}")
        for line in notes(row):
            print(f"    {line}")
    for found in results["against_obp"]:
        print(f"\n{found['shape']}: obp's seconds over ours")
        for name, value in found.items():
            if isinstance(value, float):
                print(f"  {name:<34}{value:>12.4g}")
    if results["peer_skipped"]:
        print(f"\n{OBP.label} skipped: {results['peer_skipped']}")
    show_targets(results["targets"])


def notes(row: Row) -> list[str]:
    """What a row says beside its columns: other seconds, errors."""
    out = [
        f"{name.removesuffix('_seconds').replace('_', ' ')} {row[name]:.4g} s"
        for name in row
        if name.endswith("_seconds") and name not in ("fit_seconds", "cpu_seconds", "best_seconds", "all_seconds")
    ]
    intervals = [
        f"obp's interval on {interval['sessions']:,} sessions: {interval['seconds']:.3g} s"
        for interval in row.get("intervals", [])
    ]
    return (["; ".join(out)] if out else []) + intervals


if __name__ == "__main__":
    main()
