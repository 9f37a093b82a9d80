"""What the benchmarks share: methods run in processes of their own, results are written down and printed."""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from peers.environments import HOUR, last_line

from irworks.runtime import atomic_write, environment

HERE = Path(__file__).parent
PEERS = HERE / "peers"

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)

Row = dict[str, Any]
Arrays = dict[str, np.ndarray]


class MethodError(Exception):
    """A measured process failed; the message is the last line that it wrote."""


def measure(
    command: list[str],
    data: Path,
    settings: dict[str, Any],
    label: str,
    threads: dict[str, str] = ONE_THREAD,
    seconds: float = HOUR,
) -> tuple[Row, Arrays]:
    """Run one method in its own process and read back what it measured and its parameters.

    Args:
        command: The program; it is given `--data`, `--out` and `--settings`.
        data: World of the benchmark, .npz.
        settings: Of the method.
        label: What to print.
        threads: Environment variables that say how many threads libraries may use.
        seconds: When to give up.

    Raises:
        MethodError: The process failed, or took too long.
    """
    print(f"running  {label}", flush=True)
    out = data.parent / "out.json"
    arguments = ["--data", str(data), "--out", str(out), "--settings", json.dumps(settings)]
    try:
        done = subprocess.run(
            command + arguments, env=os.environ | threads, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise MethodError(f"not done after {seconds:g} s") from None
    if done.returncode:
        raise MethodError(last_line(done.stderr) or f"exit code {done.returncode}")
    with np.load(out.with_suffix(".npz")) as archive:
        return json.loads(out.read_text()), dict(archive)


class Bench:
    """One run of a benchmark that consists of parts: its settings, and what it has found so far.

    Attributes:
        rows: The table.
        against: Comparisons with the peer.
        targets: What the project asks, and whether this run showed it.
        peer_skipped: Why the peer was left out; None if it ran.
    """

    threads = ONE_THREAD

    def __init__(self, folder: Path, quick: bool, peer: bool, repeats: int, seed: int) -> None:
        self.folder, self.quick, self.repeats, self.seed = folder, quick, repeats, seed
        self.rows: list[Row] = []
        self.against: list[Row] = []
        self.targets: dict[str, bool] = {}
        self.peer_skipped: str | None = None if peer else "left out by --no-peer"

    def run(self, command: list[str], data: Path, label: str, **settings: Any) -> tuple[Row, Arrays]:
        """Run one method, and add it to the table; the row, and the arrays that the method left."""
        measured, arrays = measure(command, data, settings, label, self.threads)
        row = {"label": label, "settings": settings, **measured}
        self.rows.append(row)
        return row, arrays

    def save(self, name: str, arrays: Arrays) -> Path:
        """Keep arrays for methods to come."""
        path = self.folder / f"{name}.npz"
        np.savez(path, **arrays)
        return path


def run_parts(
    name: str,
    about: str | None,
    bench: type[Bench],
    parts: Mapping[str, Callable[[Any], None]],
    *,
    peer: str,
    quick: str,
    also: Mapping[str, Any] | None = None,
) -> Row:
    """The command of a benchmark that consists of parts: run those that are asked for, and write down what they found.

    Args:
        name: Of the benchmark, and so of the file of its results.
        about: Its help.
        bench: Makes the run.
        parts: By name, what there is to run.
        peer: What `--no-peer` leaves out.
        quick: What `--quick` does.
        also: What else the results hold.
    """
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=quick)
    parser.add_argument("--no-peer", action="store_true", help=f"leave {peer} out")
    parser.add_argument("--repeats", type=int, default=7, help="timed runs of what takes under a second (median)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=sorted(parts), default=list(parts), help="parts to run")
    parser.add_argument("--out", type=Path, default=HERE / "results" / f"{name}.json")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats must be at least 1")
    load = os.getloadavg()
    with tempfile.TemporaryDirectory(prefix=name) as scratch:
        run = bench(Path(scratch), arguments.quick, not arguments.no_peer, arguments.repeats, arguments.seed)
        for part in arguments.only:
            parts[part](run)
    results = {
        "benchmark": name,
        "environment": environment(),
        "load_average": {"before": load, "after": os.getloadavg()},
        "threads": run.threads,
        "quick": run.quick,
        **(also or {}),
        "rows": run.rows,
        "peer_skipped": run.peer_skipped,
        "against": run.against,
        "targets": run.targets,
    }
    write_results(results, arguments.out)
    return results


def write_results(results: Row | list[Row], path: Path) -> None:
    """Write the results as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, mode="w") as handle:
        json.dump(results, handle, indent=2)


def show_targets(targets: dict[str, bool]) -> None:
    """Print what the project asks of a benchmark, and whether this run showed it."""
    print()
    for target, shown in targets.items():
        print(f"{'yes' if shown else 'NO':<4} {target}")


def cells(row: Row, columns: list[tuple[str, int, str]]) -> str:
    """The columns (name, width, format) of a row of a table, right-aligned; empty where the row lacks one."""
    texts = ["" if row.get(name) is None else format(row[name], form) for name, _, form in columns]
    return "".join(f"{text:>{width}}" for text, (_, width, _) in zip(texts, columns, strict=True))
