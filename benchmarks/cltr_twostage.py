"""Speed of cltr-twostage: reading a log, evaluating pairs, exposures, learning; and Open Bandit Pipeline beside it.

    uv run python benchmarks/cltr_twostage.py [--quick] [--no-peer]

Every method runs in a process of its own, one after another, with one thread per numerical library. What is measured,
and how it is kept fair, is said in `benchmarks/README.md`.
"""

import sys
from pathlib import Path
from typing import Any

from harness import PEERS, Bench, MethodError, Row, cells, measure, run_parts, show_targets
from peers.environments import OBP, PeerUnavailableError

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
    quick = "a tenth of sessions, pairs and documents"
    show(
        run_parts(
            "cltr_twostage", __doc__, Pairs, PARTS, peer="Open Bandit Pipeline", quick=quick, also={"worlds": WORLDS}
        )
    )


class Pairs(Bench):
    """One run of this benchmark; worlds are drawn when they are first needed."""

    def __init__(self, *settings: Any) -> None:
        super().__init__(*settings)
        self._worlds: dict[tuple[str, int], Path] = {}

    def size(self, number: int) -> int:
        """A number of things, or a tenth of it."""
        return number // 10 if self.quick else number

    def ours(self, method: str, label: str, data: Path | None = None, **settings: Any) -> Row:
        """Run one of our methods, and add it to the table."""
        row, _ = self.run([*OURS, method], data or self.folder / "none.npz", label, **settings)
        return row

    def world(self, name: str, sessions: int) -> Path:
        """The file of a world's log."""
        key = (name, sessions)
        if key not in self._worlds:
            settings = WORLDS[name] | {"sessions": sessions, "seed": self.seed}
            label = f"drawing {sessions:,} sessions of the {name} world"
            _, arrays = measure([*OURS, "world"], self.folder / "none.npz", settings, label)
            self._worlds[key] = self.save(f"{name}-{sessions}", arrays)
        return self._worlds[key]

    def with_placements(self, name: str, sessions: int) -> Path:
        """A world's log with the placement probabilities of both pairs."""
        label, settings = f"exact placements of the {name} world", {"sessions": sessions}
        _, arrays = measure([*OURS, "placements"], self.world(name, sessions), settings, label)
        return self.save(f"{name}-{sessions}-placements", arrays)


# -- the parts --------------------------------------------------------------------------------------------------------


def log(bench: Pairs) -> None:
    """Reading a log of a million sessions."""
    sessions = bench.size(1_000_000)
    for name in ("natural", "large"):
        shape = "{queries} queries x {docs} documents, k = {k}".format(**WORLDS[name])
        row = bench.ours(
            "aggregate",
            f"aggregate {sessions:,} sessions, {shape}",
            bench.world(name, sessions),
            repeats=min(bench.repeats, 5),
            n_samples=1_000,
        )
        bench.targets[f"{name} world: {sessions:,} sessions aggregated in under 2 s"] = (
            max(row["fit_seconds"], row["first_fit_seconds"]) < 2
        )


def pairs(bench: Pairs) -> None:
    """Evaluating a thousand pairs of policies on one fitted estimator."""
    generators = 4 if bench.quick else 40
    row = bench.ours(
        "pairs",
        f"evaluate {generators * 25:,} pairs on the collapsed log, two processes",
        bench.world("natural", bench.size(1_000_000)),
        generators=generators,
        rankers=25,
        jobs=2,
        seed=bench.seed,
    )
    bench.targets[f"{row['pairs']:,} policy pairs evaluated in under 60 s by two processes"] = row["fit_seconds"] < 60


def obp(bench: Pairs) -> None:
    """Item-position IPS from a million logged rows, and obp's."""
    for name, sessions in (("natural", bench.size(250_000)), ("wide", bench.size(100_000))):
        data = bench.with_placements(name, sessions)
        k = WORLDS[name]["k"]
        shape = f"{sessions * k:,} rows, k = {k}"
        ours = bench.ours("item_position", f"ItemPositionIPS with interval, {shape}", data, repeats=bench.repeats)
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


def _obp_row(bench: Pairs, data: Path, sessions: int, shape: str) -> Row | None:
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
    return {"label": label, "settings": settings, **measured}


def exposure(bench: Pairs) -> None:
    """Exposure of a pair of policies, exact and by Monte Carlo."""
    shapes = [(80, 30, 10, 4), (20, 100, 20, 10), (1, 1_000, 50, 10)]
    for queries, docs, n_candidates, k in shapes[:2] if bench.quick else shapes:
        bench.ours(
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


def generator(bench: Pairs) -> None:
    """Candidates from a million documents."""
    docs = bench.size(1_000_000)
    settings = {"docs": docs, "dim": 64, "queries": 100, "n_candidates": 200, "seed": bench.seed}
    for temperature, index in ((1.0, "flat"), (0.2, "flat"), (0.2, "IVF1024,Flat")):
        row = bench.ours(
            "generator",
            f"200 of {docs:,} documents for 100 queries, {index}, temperature {temperature:g}",
            **settings,
            temperature=temperature,
            index=index,
        )
        target = f"200 of {docs:,} documents for 100 queries in under 60 s, {index}, temperature {temperature:g}"
        bench.targets[target] = row["build_seconds"] + row["first_seconds"] < 60 and row["distinct"]


def learn(bench: Pairs) -> None:
    """Learning both stages in turn."""
    steps = bench.size(400)
    for held_out in (0.0, 0.2):
        row = bench.ours(
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
    for found in results["against"]:
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
