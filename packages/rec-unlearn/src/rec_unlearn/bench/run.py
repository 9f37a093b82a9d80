"""Run the cells of a benchmark in parallel, keep what is finished, and write the leaderboard."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from irworks.errors import ArgumentError, DataError, IrworksError
from irworks.runtime import atomic_write, cpu_count, map_parallel
from rec_unlearn.bench.grid import Cell
from rec_unlearn.models.registry import MODELS

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["bench", "leaderboard", "run_cell"]

_IMPORTS = ("pandas", "scipy.sparse")
# What the first step of an optimiser would import, seconds in each process.
_IMPORTS_OF_NETWORKS = ("torch._dynamo",)


def bench(
    cells: Sequence[Cell],
    out: str | Path,
    *,
    jobs: int | None = None,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    imports: Sequence[str] | None = None,
    on_result: Callable[[str], None] | None = None,
) -> "pd.DataFrame":
    """Run what is not there yet, and write `results.json` and `leaderboard.html` under `out`.

    Each finished cell has a file of its own, named by what it was run with, so that a run that is killed goes on where
    it was, and a grid can grow.

    Args:
        cells: What to run.
        out: The folder.
        jobs: Cells at once; by default one a processor.
        engine: As of `irworks.runtime.map_parallel`.
        address: Of a Ray cluster.
        imports: What a cell's process finds imported, as of `irworks.runtime.map_parallel`; by default what its model
            would import.
        on_result: Called with a sentence for each cell that ends.

    Returns:
        The leaderboard, see `leaderboard`.

    Raises:
        ArgumentError: There is no cell.
        IrworksError: All cells failed, or no algorithm fits its model: with the first reason.
    """
    if not cells:
        raise ArgumentError("there is no cell to run")
    folder = Path(out) / "cells"
    folder.mkdir(parents=True, exist_ok=True)
    files = {cell: folder / f"{name_of(cell)}.json" for cell in cells}
    waiting = [cell for cell in cells if not files[cell].exists()]
    if imports is None:
        networks = any(MODELS[cell.model].network for cell in waiting)
        imports = (*_IMPORTS, *(_IMPORTS_OF_NETWORKS if networks else ()))
    failed: list[str] = []

    def ended(outcome: Any) -> None:
        cell = waiting[outcome.index]
        what = f"{cell.model}, {cell.scenario}, seed {cell.seed}"
        if outcome.ok:
            with atomic_write(files[cell], mode="w") as handle:
                json.dump({"cell": asdict(cell), "rows": outcome.value}, handle, indent=1)
        else:
            failed.append(f"{what}: {outcome.error.splitlines()[-1]}")
        if on_result is not None:
            on_result(f"{what}: {'done' if outcome.ok else failed[-1]} ({outcome.seconds:.0f} s)")

    map_parallel(
        run_cell,
        waiting,
        jobs=min(jobs or cpu_count(), max(1, len(waiting))),
        engine=engine,
        address=address,
        threads=1,
        imports=imports,
        on_result=ended,
    )
    if len(failed) == len(cells):
        raise IrworksError(f"every cell failed; the first: {failed[0]}")
    rows = [row for cell in cells if files[cell].exists() for row in _read(files[cell])]
    with atomic_write(Path(out) / "results.json", mode="w") as handle:
        json.dump({"rows": rows, "failed": failed}, handle, indent=1)
    if all("not_applicable" in row for row in rows):
        raise IrworksError(
            f"no algorithm could be run; the first: {rows[0]['not_applicable'] if rows else 'none given'}"
        )
    from rec_unlearn.bench.page import write_page

    board = leaderboard(rows)
    write_page(board, rows, failed, Path(out) / "leaderboard.html")
    return board


def run_cell(cell: Cell) -> list[dict[str, Any]]:
    """The rows of one cell: every algorithm after each checkpoint."""
    import resource

    from rec_unlearn.algorithms import NotApplicableError, make_algorithm
    from rec_unlearn.bench.grid import make_trial
    from rec_unlearn.bench.trial import make_controls, serve

    trial = make_trial(cell)
    controls = make_controls(trial)
    rows = []
    for name, settings in cell.algorithms:
        label = name + (f" ({', '.join(f'{key}={value}' for key, value in settings)})" if settings else "")
        facts = {"model": cell.model, "scenario": trial.scenario.name, "kind": cell.scenario, "seed": cell.seed}
        facts |= {"label": label}
        try:
            served = serve(trial, controls, make_algorithm(name, **dict(settings)), seed=cell.seed)
        except NotApplicableError as error:
            rows.append({**facts, "not_applicable": str(error)})
            continue
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows += [{**facts, **row, "peak_mib": peak} for row in served]
    return rows


def name_of(cell: Cell) -> str:
    """A name that says what was run, for its file."""
    digest = hashlib.sha256(json.dumps(asdict(cell), sort_keys=True).encode()).hexdigest()[:12]
    return f"{cell.model}-{cell.scenario}-{cell.seed}-{digest}"


def _read(file: Path) -> list[dict[str, Any]]:
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))["rows"]
    except (ValueError, KeyError, TypeError):
        raise DataError("not a finished cell", source=file, hint="Delete it to run it again") from None
    return list(rows)


# The measures that the leaderboard shows, and their short names.
COLUMNS = {
    "share shown a target": "share",
    "share shown a target, original input": "share, original input",
    "log-probability of the targets": "log-prob.",
    "AUC of the likelihood-ratio attack": "LR attack",
    "AUC of the canaries": "canaries",
}


def leaderboard(rows: Sequence[dict[str, Any]]) -> "pd.DataFrame":
    """Means over seeds after all requests: a row a model, scenario and algorithm, the controls among them.

    For each measure: the value, that of the untouched and of the retrained models, the share of the gap that is closed
    (NaN if no seed can tell), and the worst verdict; beside them nDCG@10, agreement, and processor seconds a request
    with how many times faster than training again that is.
    """
    import numpy as np
    import pandas as pd

    from rec_unlearn.audit.floor import worst

    last: dict[tuple[str, str, str, int], dict[str, Any]] = {}
    for row in rows:
        if "not_applicable" not in row:
            key = (row["model"], row["scenario"], row["label"], row["seed"])
            last[key] = max(last.get(key, row), row, key=lambda one: one["requests"])
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for (model, scenario, label, _), row in last.items():
        groups.setdefault((model, scenario, label), []).append(row)
    table = []
    for (model, scenario, label), found in groups.items():
        line: dict[str, Any] = {"model": model, "scenario": scenario, "algorithm": label, "seeds": len(found)}
        line["nDCG@10"] = np.mean([row["ndcg"] for row in found])
        line["retrained nDCG@10"] = np.mean([np.mean(row["ndcg_retrained"]) for row in found])
        line["overlap"] = np.mean([row["overlap"] for row in found])
        line["floor"] = np.mean([np.mean(row["overlap_floor"]) for row in found])
        for measure, name in COLUMNS.items():
            if measure not in found[0]:
                continue
            ones = [row[measure] for row in found]
            line[name] = np.mean([one["value"] for one in ones])
            line[f"{name}, untouched"] = np.mean([one["untouched"] for one in ones])
            line[f"{name}, retrained"] = np.mean([np.mean(one["retrained"]) for one in ones])
            seen = [one["closed"] for one in ones if one["verdict"] != "cannot tell"]
            line[f"{name}, closed"] = float(np.mean(seen)) if seen else float("nan")
            line[f"{name}, verdict"] = worst([one["verdict"] for one in ones])
        line["s a request"] = np.mean([row["seconds"] for row in found])
        line["times faster"] = np.mean([row["train_seconds"] / max(row["seconds"], 1e-9) for row in found])
        line["peak MiB"] = max(row["peak_mib"] for row in found)
        table.append(line)
    return pd.DataFrame(table)
