"""Speed of rec-unlearn: removing a user from the models that allow it exactly, beside fitting them again.

    uv run python benchmarks/rec_unlearn.py [--quick]

Every method runs in a process of its own, one after another, with one thread per numerical library. What is measured,
and how it is kept fair, is said in `benchmarks/README.md`.
"""

import sys
from pathlib import Path

from harness import PEERS, Bench, Row, cells, measure, run_parts, show_targets

OURS = [sys.executable, str(PEERS / "workspace_rec_unlearn.py"), "--method"]
COLUMNS = [("fit_seconds", 10, ".4f"), ("cpu_seconds", 9, ".4f"), ("peak_mebibytes", 10, ".0f")]
# The second is Ta-Feng's size, where the project measured its prototypes.
WORLDS: dict[str, Row] = {
    "catalogue": {"users": 20_000, "items": 5_000, "steps": 10, "basket": 5},
    "groceries": {"users": 10_000, "items": 12_000, "steps": 6, "basket": 6},
}


def main() -> None:
    """Run everything, print the table, write the results."""
    quick = "a tenth of users and items"
    show(run_parts("rec_unlearn", __doc__, Removals, PARTS, peer="nothing yet", quick=quick, also={"worlds": WORLDS}))


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


# -- the parts --------------------------------------------------------------------------------------------------------


def exact(bench: Removals) -> None:
    """Models from which an account is removed as if it had never been there."""
    catalogue, groceries = bench.world("catalogue"), bench.world("groceries")
    requests = 20
    row = _row(bench, "ease", catalogue, requests, "EASE, {items:,} items: remove an account")
    faster = _against(bench, row, "cholesky", "Cholesky alone")
    # Other work on the machine stretches wall time, of some runs more than of others: both clocks must agree.
    if not bench.quick:
        bench.targets[f"{row['label']} 100x faster than inverting by Cholesky, both clocks"] = (
            min(faster.values()) >= 100
        )
    bench.targets["EASE: within 1e-8 of the model inverted again"] = row["same"]
    for method, k, text in (
        ("itemknn", 100, "ItemKNN, {items:,} items: remove an account"),
        ("tifuknn", 300, "TIFU-kNN, {users:,} users: remove an account"),
    ):
        row = _row(bench, method, groceries, requests, text, k=k)
        if method == "itemknn":
            _against(bench, row, "counting", "counting again alone")
        bench.targets[f"{method}: bit for bit the model fitted again"] = row["same"]


def _row(bench: Removals, method: str, world: Path, requests: int, text: str, **settings: int) -> Row:
    label = text.format(**{side: bench.size(WORLDS[world.stem][side]) for side in ("users", "items")})
    row, _ = bench.run([*OURS, method], world, label, requests=requests, seed=bench.seed, **settings)
    _against(bench, row, "refit", "fitting again")
    return row


def _against(bench: Removals, row: Row, name: str, what: str) -> dict[str, float]:
    """How many times faster a removal is than something else, by the median of both clocks."""
    faster = {
        "wall": row[f"{name}_seconds"] / row["fit_seconds"],
        "cpu": row[f"{name}_cpu_seconds"] / row["cpu_seconds"],
    }
    bench.against.append({"what": f"{row['label']}, against {what}", **faster})
    return faster


PARTS = {part.__name__: part for part in (exact,)}


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
        print(f"{found['what']:<84}{cells(found, [('wall', 10, '.0f'), ('cpu', 9, '.0f')])}")
    show_targets(results["targets"])


def notes(row: Row) -> list[str]:
    """What a row says beside its columns."""
    shown = {"fit_seconds", "cpu_seconds", "all_seconds"}
    times = [
        f"{name.removesuffix('_seconds').replace('_', ' ')} {value:.4g} s"
        for name, value in row.items()
        if name.endswith("_seconds") and name not in shown
    ]
    other = [f"largest difference {row['largest_difference']:.2g}"] if "largest_difference" in row else []
    return ["; ".join(times + other)] if times or other else []


if __name__ == "__main__":
    main()
