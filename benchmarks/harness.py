"""What the benchmarks share: methods run in processes of their own, results are written down and printed."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
from peers.environments import HOUR, last_line

from irworks.runtime import atomic_write

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


def write_results(results: Row, path: Path) -> None:
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
