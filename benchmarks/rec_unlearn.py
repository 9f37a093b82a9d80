"""Speed of rec-unlearn: forgetting beside training again, and training beside other libraries.

    uv run python benchmarks/rec_unlearn.py [--quick] [--no-peer]

Every method runs in a process of its own, one after another, with one thread per numerical library. What is measured,
and how it is kept fair, is said in `benchmarks/README.md`.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from harness import PEERS, Arrays, Bench, MethodError, Row, cells, measure, run_parts, show_targets
from peers.environments import LENSKIT, RECBOLE, PeerEnvironment, PeerUnavailableError

OURS = [sys.executable, str(PEERS / "workspace_rec_unlearn.py"), "--method"]
TORCH = [sys.executable, str(PEERS / "workspace_unlearning.py"), "--method"]
COLUMNS = [("fit_seconds", 10, ".4f"), ("cpu_seconds", 9, ".4f"), ("peak_mebibytes", 10, ".0f")]
# The second is Ta-Feng's size, the third half the users of Ta-Feng as the package's claims prepare it.
WORLDS: dict[str, Row] = {
    "catalogue": {"users": 20_000, "items": 5_000, "steps": 10, "basket": 5},
    "groceries": {"users": 10_000, "items": 12_000, "steps": 6, "basket": 6},
    "prepared": {"users": 5_000, "items": 3_660, "steps": 7, "basket": 5},
}
SESSIONS: Row = {"users": 2_000, "items": 2_000, "groups": 20, "shortest": 6, "longest": 20}
L2, NEIGHBOURS, PROBES = 500.0, 100, 50

# Learning rates were chosen on another draw of the world, for each side among .001, .003 and .01, by nDCG@10.
TRAINING: Row = {"dim": 64, "positions": 128, "epochs": 3, "width": SESSIONS["longest"] - 1}
RATES = {"SASRec": {"ours": 0.003, "RecBole": 0.001}, "GRU4Rec": {"ours": 0.003, "RecBole": 0.01}}

# Models on which an algorithm is timed. What is not named here, as a new one is not, is tried on all by gradients.
BY_GRADIENTS = ("GRU", "attention", "MF-BPR", "LightGCN")
NETWORKS = BY_GRADIENTS[:2]
MODELS: dict[str, tuple[str, ...]] = {
    "retrain": (),  # the row of each model's training
    "none": ("GRU",),
    "exact": ("EASE", "ItemKNN", "TIFU-kNN", "popularity", "Markov", "GRU in 8 shards"),
    "warm-start": ("iALS",),
    **dict.fromkeys(("calibrated", "block", "imcorrect"), NETWORKS),
    **dict.fromkeys(("fine-tune", "gradient-ascent", "neg-grad-plus", "kookmin", "fanchuan"), NETWORKS),
}


def main() -> None:
    """Run everything, print the table, write the results."""
    quick = "a tenth of users and items"
    also = {"worlds": {**WORLDS, "sessions": SESSIONS}, "training": TRAINING, "rates": RATES}
    show(run_parts("rec_unlearn", __doc__, Removals, PARTS, peer="LensKit and RecBole", quick=quick, also=also))


class Removals(Bench):
    """One run of this benchmark."""

    def size(self, number: int) -> int:
        """A number of things, or a tenth of it."""
        return number // 10 if self.quick else number

    def world(self, name: str) -> Path:
        """The file of a world."""
        settings = {**WORLDS[name], "seed": self.seed}
        settings |= {side: self.size(settings[side]) for side in ("users", "items")}
        _, arrays = measure([*OURS, "world"], self.folder / "none.npz", settings, f"drawing the {name} world")
        return self.save(name, arrays)

    def peer(
        self, environment: PeerEnvironment, script: str, method: str, data: Path, label: str, **settings: Any
    ) -> tuple[Row, Arrays] | None:
        """Run a method of a peer and add it to the table; None, and the reason kept, where it cannot be had."""
        left_out = self.peer_skipped or ""
        if left_out.startswith("left out") or environment.label in left_out:
            return None
        print(f"peer     {environment.label}: its environment is made on first use", flush=True)
        try:
            return self.run(
                [str(environment.interpreter()), str(PEERS / script), "--method", method], data, label, **settings
            )
        except (PeerUnavailableError, MethodError) as reason:
            self.peer_skipped = "; ".join(filter(None, (self.peer_skipped, f"{environment.label}: {reason}")))
            return None


# -- the parts --------------------------------------------------------------------------------------------------------


def exact(bench: Removals) -> None:
    """Models from which an account is removed as if it had never been there."""
    catalogue, groceries = bench.world("catalogue"), bench.world("groceries")
    requests = 20
    row, arrays = _row(bench, "ease", catalogue, requests, "EASE, {items:,} items: remove an account")
    faster = _against(bench, row, "cholesky", "Cholesky alone")
    # Other work on the machine stretches wall time, of some runs more than of others: both clocks must agree.
    if not bench.quick:
        bench.targets[f"{row['label']} 100x faster than inverting by Cholesky, both clocks"] = (
            min(faster.values()) >= 100
        )
    bench.targets["EASE: within 1e-8 of the model inverted again"] = row["same"]
    _lenskit(bench, row, arrays, "ease", catalogue, "LensKit EASE, float32: fit", l2=L2)
    for method, k, text in (
        ("itemknn", NEIGHBOURS, "ItemKNN, {items:,} items: remove an account"),
        ("tifuknn", 300, "TIFU-kNN, {users:,} users: remove an account"),
    ):
        row, arrays = _row(bench, method, groceries, requests, text, k=k)
        if method == "itemknn":
            _against(bench, row, "counting", "counting again alone")
        bench.targets[f"{method}: bit for bit the model fitted again"] = row["same"]
        if method == "itemknn":
            _lenskit(bench, row, arrays, method, groceries, "LensKit ItemKNN: fit, all neighbours", k=k)


def _row(bench: Removals, method: str, world: Path, requests: int, text: str, **settings: int) -> tuple[Row, Arrays]:
    label = text.format(**{side: bench.size(WORLDS[world.stem][side]) for side in ("users", "items")})
    row, arrays = bench.run([*OURS, method], world, label, requests=requests, seed=bench.seed, **settings)
    _against(bench, row, "refit", "fitting again")
    return row, arrays


def _against(bench: Removals, row: Row, name: str, what: str) -> dict[str, float]:
    """How many times faster a removal is than something else, by the median of both clocks."""
    return _faster(bench, f"{row['label']}, against {what}", row, row[f"{name}_seconds"], row[f"{name}_cpu_seconds"])


def _faster(bench: Removals, what: str, row: Row, wall: float, cpu: float) -> dict[str, float]:
    faster = {"wall": wall / row["fit_seconds"], "cpu": cpu / row["cpu_seconds"]}
    bench.against.append({"what": what, **faster})
    return faster


def _lenskit(
    bench: Removals, ours: Row, arrays: Arrays, method: str, world: Path, label: str, **settings: float
) -> None:
    """LensKit's fit beside our removal and our fit, and whether both fitted the same."""
    found = bench.peer(
        LENSKIT, "lenskit_fits.py", method, world, label, probes=PROBES, repeats=min(bench.repeats, 3), **settings
    )
    if found is None:
        return
    row, theirs = found
    name = label.split(":")[0]
    faster = _faster(bench, f"{ours['label']}, against {name}", ours, row["fit_seconds"], row["cpu_seconds"])
    bench.targets[f"{ours['label']} 10x faster than a fit of {name}, both clocks"] = min(faster.values()) >= 10
    bench.against.append(
        {
            "what": f"our fit of {method}, against {name}",
            "wall": row["fit_seconds"] / ours["refit_seconds"],
            "cpu": row["cpu_seconds"] / ours["refit_cpu_seconds"],
        }
    )
    # Items without users: ours are out of reach, LensKit does not know them.
    known = np.isfinite(arrays["scores"])
    apart = np.abs(arrays["scores"] - np.nan_to_num(theirs["scores"]))[known]
    row["scores_apart"], row["scores_equal"] = float(apart.max()), float((apart < 1e-5).mean())
    if "weights" in theirs:
        # Which of several neighbours of the same weight is kept is up to a library, how large the weights are is not.
        row["weights_apart"] = float(np.abs(arrays["weights"] - theirs["weights"]).max())
        bench.targets[f"{method}: weights of all neighbours as LensKit's to 1e-5"] = row["weights_apart"] < 1e-5
    else:
        bench.targets[f"{method}: scores as LensKit's to 1e-5"] = row["scores_apart"] < 1e-5


def throughput(bench: Removals) -> None:
    """Training on sessions, beside RecBole's training on the same positions, with as many a step."""
    settings = {**SESSIONS, "users": bench.size(SESSIONS["users"]), "seed": bench.seed}
    _, arrays = measure([*TORCH, "sessions"], bench.folder / "none.npz", settings, "drawing the sessions")
    target, world = arrays.pop("target"), bench.save("sessions", arrays)
    for model, rates in RATES.items():
        same = {"model": model, **TRAINING, "seed": bench.seed}
        ours, scores = bench.run(
            [*TORCH, "sequences"], world, f"{model}: train, {TRAINING['epochs']} epochs", **same, lr=rates["ours"]
        )
        gains = _judge(ours, scores["scores"], target)
        label = f"RecBole {model}: train, {TRAINING['epochs']} epochs"
        found = bench.peer(RECBOLE, "recbole_sequences.py", "sequences", world, label, **same, lr=rates["RecBole"])
        if found is None:
            continue
        row, theirs = found
        gap = gains - _judge(row, theirs["scores"], target)
        ours["ndcg_minus_peer"] = [float(gap.mean()), float(gap.std(ddof=1) / np.sqrt(len(gap)))]
        faster = _faster(bench, f"{model}: train, against RecBole", ours, row["fit_seconds"], row["cpu_seconds"])
        bench.targets[f"{model}: same positions as RecBole"] = ours["positions"] == row["positions"]
        bench.targets[f"{model}: more positions a second than RecBole, both clocks"] = min(faster.values()) > 1
        mean, error = ours["ndcg_minus_peer"]
        bench.targets[f"{model}: nDCG@10 not below RecBole's, within 2 s.e."] = mean >= -2 * error


def _judge(row: Row, scores: np.ndarray, target: np.ndarray) -> np.ndarray:
    """nDCG@10 of the item that came next, for each session, by the same code for every library; and positions a second.

    Args:
        row: What was measured; gets the mean.
        scores: float [n_sessions, n_items].
        target: int [n_sessions], the item.
    """
    rank = (scores > scores[np.arange(len(target)), target][:, None]).sum(axis=1)
    gains = np.where(rank < 10, 1 / np.log2(rank + 2), 0.0)
    row["ndcg"] = float(gains.mean())
    row["positions_a_second"] = [row["positions"] / row[name] for name in ("fit_seconds", "cpu_seconds")]
    return gains


def latency(bench: Removals) -> None:
    """A request, with every algorithm on a model that it works on, beside training that model again."""
    world = bench.world("prepared")
    there, _ = measure([*TORCH, "registry"], bench.folder / "none.npz", {}, "which algorithms there are")
    wanted = {name: MODELS.get(name, BY_GRADIENTS) for name in there["algorithms"]}
    served: list[tuple[Row, Row]] = []
    failed = False
    for model in dict.fromkeys(model for models in wanted.values() for model in models):
        algorithms = [name for name, models in wanted.items() if model in models]
        settings = {"model": model, "algorithms": algorithms, "requests": 20, "seconds": 3.0, "seed": bench.seed}
        measured, _ = measure([*TORCH, "unlearning"], world, settings, f"{model}: {', '.join(algorithms)}")
        trained = {"label": f"{model}: train", "settings": settings, **measured["trained"]}
        bench.rows.append(trained)
        for algorithm, found in measured["served"].items():
            row = {"label": f"{model}: a request, {algorithm}", "settings": settings, **found}
            bench.rows.append(row)
            failed |= "failed" in row
            if "fit_seconds" not in row:
                continue
            _faster(bench, f"{row['label']}, against training", row, trained["fit_seconds"], trained["cpu_seconds"])
            served.append((row, trained))
    bench.targets["no algorithm fails"] = not failed
    cheaper = [
        row["fit_seconds"] < trained["fit_seconds"] and row["cpu_seconds"] < trained["cpu_seconds"]
        for row, trained in served
    ]
    bench.targets["every request cheaper than training the model again, both clocks"] = all(cheaper)
    leaner = [row["peak_mebibytes"] <= trained["peak_mebibytes"] for row, trained in served]
    bench.targets["no removal takes more memory than training the model again"] = all(leaner)


PARTS = {part.__name__: part for part in (exact, throughput, latency)}


# -- showing ----------------------------------------------------------------------------------------------------------


def show(results: Row) -> None:
    """Print the tables."""
    before, after = results["load_average"]["before"][0], results["load_average"]["after"][0]
    print(f"\none thread per library; load average {before:.2f} before and {after:.2f} after\n")
    print(f"{'method':<64}{'seconds':>10}{'CPU s':>9}{'peak MiB':>10}")
    for row in results["rows"]:
        print(f"{row['label']:<64}{cells(row, COLUMNS)}")
        for line in notes(row):
            print(f"    {line}")
    print(f"\n{'times faster':<84}{'wall':>10}{'CPU':>9}")
    for found in results["against"]:
        form = ".0f" if found["wall"] >= 20 else ".2g"
        print(f"{found['what']:<84}{cells(found, [('wall', 10, form), ('cpu', 9, form)])}")
    if results["peer_skipped"]:
        print(f"\nskipped: {results['peer_skipped']}")
    show_targets(results["targets"])


def notes(row: Row) -> list[str]:
    """What a row says beside its columns."""
    if "not_applicable" in row:
        return [f"does not apply: {row['not_applicable']}"]
    if "failed" in row:
        return [f"failed: {row['failed']}"]
    shown = {"fit_seconds", "cpu_seconds", "all_seconds", "best_seconds"}
    times = [
        f"{name.removesuffix('_seconds').replace('_', ' ')} {value:.4g} s"
        for name, value in row.items()
        if name.endswith("_seconds") and name not in shown
    ]
    other = [text.format(row[name]) for name, text in NOTES.items() if name in row]
    if "positions_a_second" in row:
        other.append("positions a second {:,.0f} by wall, {:,.0f} by CPU".format(*row["positions_a_second"]))
    if "ndcg_minus_peer" in row:
        other.append("above RecBole's by {:.4f}, standard error {:.4f}".format(*row["ndcg_minus_peer"]))
    if "peak_before" in row:
        other.append(f"{row['peak_mebibytes'] - row['peak_before']:.0f} MiB of these its own")
    if row.get("undone"):
        other.append(f"{row['undone']} undone")
    return ["; ".join(times + other)] if times or other else []


NOTES = {
    "largest_difference": "largest difference {:.2g}",
    "scores_apart": "largest difference of scores {:.2g}",
    "scores_equal": "{:.2%} of scores within 1e-5",
    "weights_apart": "largest difference of weights {:.2g}",
    "requests": "{} requests",
    "parameters": "{:,} parameters",
    "ndcg": "nDCG@10 {:.4f}",
}


if __name__ == "__main__":
    main()
