"""Speed and quality of ltr-twotower against CLAX, scikit-learn, L-BFGS and networkx, on one world.

    uv run python benchmarks/ltr_twotower.py [--quick] [--no-peer]

Every method runs in a process of its own, one after another, with one thread per numerical library. What is measured,
and how it is kept fair, is said in `benchmarks/README.md`.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from harness import HERE, ONE_THREAD, PEERS, Arrays, MethodError, Row, cells, measure, show_targets, write_results
from peers.environments import CLAX, PeerUnavailableError

from irworks.runtime import environment
from irworks.simulate import AdditiveTwoTower, EpsilonGreedy, simulate_clicks

THREADS = ONE_THREAD | {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}
RIDGES = [0.03, 0.1, 0.3, 1.0, 3.0]
DEFAULT_RIDGE = 0.1
# Learning rates and batch sizes of CLAX's README, examples and experiments, and neighbours of them.
TUNING = [(512, 0.003), (512, 0.01), (4096, 0.003), (4096, 0.01), (4096, 0.03)]
QUICK_TUNING = [(512, 0.01), (4096, 0.01)]
MAX_EPOCHS = 100


@dataclass(frozen=True)
class World:
    """The simulated world: theta = -ln k, gamma ~ N(0, 1), an epsilon-greedy logger that sorts by gamma.

    Attributes:
        sessions: Sessions to fit on.
        held_out: Sessions of the selection split, and again of the reporting split.
        queries: Number of queries, asked equally often.
        ranks: Documents per query, and ranks.
        temperature: Probability of a shuffled list.
        seed: Of everything random in it.
    """

    sessions: int = 200_000
    held_out: int = 20_000
    queries: int = 2_000
    ranks: int = 10
    temperature: float = 0.3
    seed: int = 0

    def arrays(self) -> Arrays:
        """`{fit,select,report}_{query,docs,clicks}`, `n_docs`, `theta`."""
        rng = np.random.default_rng(self.seed)
        theta = -np.log(np.arange(1, self.ranks + 1))
        n_docs = self.queries * self.ranks
        gamma = rng.normal(size=n_docs)
        policy = EpsilonGreedy(gamma, np.arange(self.queries + 1) * self.ranks, self.temperature, self.ranks)
        out: Arrays = {"n_docs": np.array(n_docs), "theta": theta, "gamma": gamma}
        for split, size in (("fit", self.sessions), ("select", self.held_out), ("report", self.held_out)):
            log = simulate_clicks(policy, AdditiveTwoTower(theta), gamma, size, rng)
            out |= {f"{split}_query": log.query, f"{split}_docs": log.docs, f"{split}_clicks": log.clicks}
        return out


def main() -> None:
    """Run everything, print the table, write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the sessions and fewer settings")
    parser.add_argument("--no-peer", action="store_true", help="leave CLAX out")
    parser.add_argument("--repeats", type=int, default=7, help="timed fits of our methods (the median counts)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "ltr_twotower.json")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")
    size = {"sessions": 20_000, "held_out": 4_000, "queries": 400} if arguments.quick else {}
    world = World(seed=arguments.seed, **size)
    arrays = world.arrays()
    with tempfile.TemporaryDirectory(prefix="ltr-twotower-") as scratch:
        data = Path(scratch) / "world.npz"
        np.savez(data, **arrays)
        rows = workspace_rows(data, arrays, arguments.repeats)
        peer_rows: list[Row] = []
        reason: str | None = "left out by --no-peer"
        if not arguments.no_peer:
            peer_rows, reason = clax_rows(data, arrays, QUICK_TUNING if arguments.quick else TUNING)
    results: Row = {
        "benchmark": "ltr_twotower",
        "environment": environment(),
        "threads": THREADS,
        "world": asdict(world) | {"impressions": world.sessions * world.ranks, "nll_of_the_truth": truth(arrays)},
        "rows": [without_losses(row) for row in rows + peer_rows],
        "peer_skipped": reason,
        "ratios": ratios(rows, peer_rows),
    }
    results["targets"] = targets(rows, results["ratios"])
    write_results(results, arguments.out)
    show(results)


# -- running ----------------------------------------------------------------------------------------------------------


def workspace_rows(data: Path, arrays: Arrays, repeats: int) -> list[Row]:
    """Our methods, scikit-learn and networkx. The other solvers have its ridge of theta for all."""
    script = [sys.executable, str(PEERS / "workspace_two_tower.py")]

    def run(method: str, label: str, **settings: Any) -> tuple[Row, Arrays]:
        measured, parameters = measure([*script, "--method", method], data, settings, label, THREADS)
        return {"method": method, "label": label, **measured}, parameters

    newton, parameters = run(
        "newton", "ltr-twotower, Newton", ridges=RIDGES, default_ridge=DEFAULT_RIDGE, repeats=repeats
    )
    newton |= quality(parameters["theta"], parameters["gamma"], arrays)
    default = quality(parameters["theta_without_second_ridge"], parameters["gamma_without_second_ridge"], arrays)
    newton["without_second_ridge"] = without_losses(default)
    rows = [newton]
    for method, label, times in (
        ("lbfgs", "ltr-twotower, L-BFGS (scipy)", 2),
        ("sklearn", "scikit-learn LogisticRegression", 1),
    ):
        row, other = run(method, label, ridge=newton["l2"], repeats=times)
        difference = float(np.abs(other["theta"] - parameters["theta"]).max())
        rows.append(row | quality(other["theta"], other["gamma"], arrays) | {"theta_against_newton": difference})
    rows.append(run("swap_graph", "swap graph, ltr-twotower", repeats=repeats)[0])
    rows.append(run("networkx", "swap graph, networkx", repeats=2)[0])
    return rows


def clax_rows(data: Path, arrays: Arrays, tuning: list[tuple[int, float]]) -> tuple[list[Row], str | None]:
    """One row per CLAX setting, or none and the reason."""
    print(f"peer     {CLAX.label}: its environment is made on first use", flush=True)
    try:
        python = CLAX.interpreter()
    except PeerUnavailableError as reason:
        return [], str(reason)
    rows = []
    for feed in ("loader", "prepared"):
        for batch_size, rate in tuning:
            label = f"CLAX, {feed}, batch {batch_size}, rate {rate:g}"
            settings = {"feed": feed, "batch_size": batch_size, "learning_rate": rate}
            settings |= {"patience": 0, "epochs": MAX_EPOCHS, "seed": 42}
            try:
                command = [str(python), str(PEERS / "clax_two_tower.py"), "--method", "fit"]
                measured, parameters = measure(command, data, settings, label, THREADS)
            except MethodError as error:
                return [], f"CLAX failed: {error}"
            row = {"method": "clax", "label": label, "settings": settings, **measured}
            row["select_nll"] = float(losses(parameters["theta"], parameters["gamma"], arrays, "select").mean())
            rows.append(row | quality(parameters["theta"], parameters["gamma"], arrays))
    return rows, None


# -- judging ----------------------------------------------------------------------------------------------------------


def losses(theta: np.ndarray, gamma: np.ndarray, arrays: Arrays, split: str) -> np.ndarray:
    """Mean negative log-likelihood of each session, in float64, by the same code for every method."""
    z = theta + gamma[arrays[f"{split}_docs"]]
    return np.asarray((np.logaddexp(0, z) - arrays[f"{split}_clicks"] * z).mean(axis=1))


def quality(theta: np.ndarray, gamma: np.ndarray, arrays: Arrays) -> Row:
    """Loss on the reporting split and largest error of theta; theta_1 = 0."""
    per_session = losses(theta, gamma, arrays, "report")
    error = np.abs(theta - arrays["theta"])
    return {
        "nll": float(per_session.mean()),
        "theta_error_max": float(error.max()),
        "theta_error_mean": float(error[1:].mean()),
        "losses": per_session,
    }


def truth(arrays: Arrays) -> float:
    """Loss of the true parameters on the reporting split."""
    return float(losses(arrays["theta"], arrays["gamma"], arrays, "report").mean())


def without_losses(row: Row) -> Row:
    """The row as it is written down."""
    return {name: value for name, value in row.items() if name != "losses"}


def ratios(rows: list[Row], peer_rows: list[Row]) -> Row:
    """Every ratio is peer over ours: above 1, ours is faster. Ours is the median of its repeats."""
    by_method = {row["method"]: row for row in rows}
    ours = by_method["newton"]
    out: Row = {name: by_method[name]["fit_seconds"] / ours["fit_seconds"] for name in ("lbfgs", "sklearn")} | {
        "networkx_swap_graph": by_method["networkx"]["fit_seconds"] / by_method["swap_graph"]["fit_seconds"]
    }
    if not peer_rows:
        return out
    loader = [row for row in peer_rows if row["settings"]["feed"] == "loader"]
    chosen = min(loader, key=lambda row: row["select_nll"])
    fastest = min(peer_rows, key=lambda row: row["fit_seconds"])
    best = min(peer_rows, key=lambda row: row["select_nll"])
    for name, row in (("clax_chosen", chosen), ("clax_fastest", fastest)):
        out[name] = {
            "label": row["label"],
            "fit": row["fit_seconds"] / ours["fit_seconds"],
            "fit_without_compile": (row["fit_seconds"] - row["compile_seconds"]) / ours["fit_seconds"],
            "cpu": row["cpu_seconds"] / ours["cpu_seconds"],
            "one_fit_against_our_sweep_and_fit": row["fit_seconds"] / (ours["sweep_seconds"] + ours["fit_seconds"]),
        }
    out["clax_chosen"]["sweep_and_fit_of_both"] = sum(row["fit_seconds"] for row in loader) / ours["sweep_seconds"]
    out["nll_ours_minus_clax"] = {
        name: difference(ours, row) for name, row in (("chosen", chosen), ("fastest", fastest), ("best", best))
    }
    return out


def difference(ours: Row, peer: Row) -> Row:
    """Difference of the reported losses, with the standard error of the paired difference over sessions."""
    paired = ours["losses"] - peer["losses"]
    return {
        "label": peer["label"],
        "mean": float(paired.mean()),
        "standard_error": float(paired.std(ddof=1) / np.sqrt(len(paired))),
    }


def targets(rows: list[Row], ratio: Row) -> dict[str, bool]:
    """What the project asks of this benchmark, and whether this run showed it."""
    by_method = {row["method"]: row for row in rows}
    apart = max(by_method[name]["theta_against_newton"] for name in ("lbfgs", "sklearn"))
    ours, peer = by_method["swap_graph"], by_method["networkx"]
    out = {
        "swap graph in under 2 s": ours["fit_seconds"] < 2,
        "swap graph agrees with networkx": ours["components"] == peer["components"],
        "solvers agree on theta to 1e-4": apart < 1e-4,
        "peak memory under 1 GiB": by_method["newton"]["peak_mebibytes"] < 1024,
    }
    if "clax_chosen" in ratio:
        for name in ("chosen", "fastest"):
            # Other work on the machine stretches wall time, of some runs more than of others: both clocks must agree.
            entry = ratio[f"clax_{name}"]
            out[f"50x faster than the {name} CLAX run, wall and CPU"] = min(entry["fit"], entry["cpu"]) >= 50
        for name, entry in ratio["nll_ours_minus_clax"].items():
            out[f"loss not above the {name} CLAX run"] = entry["mean"] <= 0
            out[f"loss not above the {name} CLAX run, within 2 s.e."] = entry["mean"] <= 2 * entry["standard_error"]
    return out


# -- showing ----------------------------------------------------------------------------------------------------------


def show(results: dict[str, Any]) -> None:
    """Print the tables."""
    world, newton = results["world"], results["rows"][0]
    documents = world["queries"] * world["ranks"]
    print(f"\n{world['impressions']:,} impressions, {documents:,} documents; one thread per library")
    print(f"loss of the true parameters {world['nll_of_the_truth']:.5f}\n")
    print(f"{'method':<40}{'fit s':>9}{'compile':>9}{'CPU s':>8}{'loss':>9}{'theta err':>10}{'peak MiB':>10}  note")
    for row in results["rows"]:
        print(line(row))
    print("\nNewton, beside the median fit of the table:")
    for name in ("first_fit_seconds", "best_seconds", "log_seconds", "sweep_seconds", "without_second_ridge"):
        print(f"  {name:<18} {newton[name]}")
    if results["peer_skipped"]:
        print(f"\nCLAX skipped: {results['peer_skipped']}")
    print("\nratios (peer over ours)")
    print(json.dumps(results["ratios"], indent=2))
    show_targets(results["targets"])


def line(row: Row) -> str:
    """One row of the table."""
    columns = [("fit_seconds", 9, ".3f"), ("compile_seconds", 9, ".2f"), ("cpu_seconds", 8, ".2f"), ("nll", 9, ".5f")]
    columns += [("theta_error_max", 10, ".3f"), ("peak_mebibytes", 10, ".0f")]
    notes = ", ".join(f"{name} {row[name]}" for name in ("l2", "relevance_l2", "iterations", "epochs") if name in row)
    return f"{row['label']:<40}{cells(row, columns)}  {notes}"


if __name__ == "__main__":
    main()
