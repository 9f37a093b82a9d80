"""`cltr-twostage simulate`: a log, scores and features from a world with known truth."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cltr_twostage.cli import options as opt
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from cltr_twostage.world import World


# Draws a query for the true value of a pair, where it is not integrated: an error in the fourth digit.
TRUTH_SAMPLES = 4096
# What a folder of results can hold.
TABLES = ("log.parquet", "logging.parquet", "features.parquet", "truth.parquet", "examination.csv")
WRITTEN = (*TABLES, "truth.json", "README.md")


class WorldChoice(StrEnum):
    """Simulated worlds."""

    tiny = "tiny"
    natural = "natural"
    shift = "shift"
    lowrank = "lowrank"
    movielens = "movielens"
    letor = "letor"


def simulate(
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    world: Annotated[
        WorldChoice, typer.Option(help="Population of queries and documents; movielens and letor need --data.")
    ] = WorldChoice.natural,
    data: Annotated[Path | None, typer.Option(metavar="PATH", help="Ratings (movielens) or LETOR folder.")] = None,
    sessions: Annotated[int, typer.Option(min=1, help="Number of sessions.")] = 20_000,
    seed: opt.Seed = 0,
    propensities: Annotated[
        bool, typer.Option("--propensities", help="Write rho0, p_candidate, p_rank, propensity beside the clicks.")
    ] = False,
    as_json: opt.Json = False,
) -> None:
    """Write a click log, the scores that made it, features for learning, and the truth."""
    from dataclasses import replace

    import numpy as np

    from cltr_twostage.cli.folders import result_folder
    from cltr_twostage.cli.printing import print_json, sizes
    from irworks.runtime.outputs import require_apart

    require_apart(out, [data])
    rng = np.random.default_rng(seed)
    built = _world(world, data, rng)
    log = built.simulate(sessions, rng)
    truth = {
        "world": built.name,
        "about": built.about,
        "seed": seed,
        "sessions": sessions,
        "n_candidates": built.n_candidates,
        "k": built.k,
        "examination": built.examination,
        "rank_weights": built.rank_weights,
        "logging_value": built.value(built.logging, n_samples=TRUTH_SAMPLES),
        "logging_clicks": replace(built, rank_weights=built.examination).value(built.logging, n_samples=TRUTH_SAMPLES),
        "ideal_value": built.ideal(),
    }
    about = {"command": "simulate", "world": world.value, "seed": seed, "sessions": sessions}
    with result_folder(out, about, WRITTEN) as folder:
        _write(built, log.to_frame() if not propensities else _with_propensities(built, log), truth, folder)
    if as_json:
        print_json(sizes([log]) | {"out": str(out)} | truth)
        return
    typer.echo(repr(log))
    typer.echo(built.about)
    values = f"{truth['logging_value']:.4f} (DCG@{built.k}), the best lists {truth['ideal_value']:.4f}"
    typer.echo(f"The logging pair earns {values}.")
    typer.echo(f"written to {out}: log, logging (scores), features, truth, examination")


def _world(choice: WorldChoice, data: Path | None, rng: "np.random.Generator") -> "World":
    from cltr_twostage import simulate as worlds
    from cltr_twostage.movielens import read_movielens

    if (choice in (WorldChoice.movielens, WorldChoice.letor)) != (data is not None):
        needs = "needs --data PATH" if data is None else "has no use for --data"
        raise ArgumentError(f"--world {choice.value} {needs}")
    if data is not None:
        if choice is WorldChoice.movielens:
            return worlds.movielens_world(read_movielens(data), rng)
        return worlds.letor_world(data, rng)
    makers: dict[WorldChoice, Callable[[np.random.Generator], World]] = {
        WorldChoice.tiny: worlds.tiny_world,
        WorldChoice.natural: worlds.natural_world,
        WorldChoice.shift: worlds.shift_world,
        WorldChoice.lowrank: worlds.lowrank_world,
    }
    return makers[choice](rng)


def _with_propensities(world: "World", log: Any) -> "pd.DataFrame":
    from cltr_twostage.logged import log_with_propensities

    return log_with_propensities(log, world.logging, world.examination)


def _write(world: "World", log: "pd.DataFrame", truth: dict[str, Any], out: Path) -> None:
    import numpy as np
    import pandas as pd

    from cltr_twostage.scores import ScoreTable, write_scores
    from irworks.runtime import atomic_path, atomic_write
    from irworks.runtime.terminal import strict_json

    pool = world.pool
    ids = {"query_id": pool.query_ids[pool.owner()], "doc_id": pool.doc_ids}
    seen = {"c": world.generator_features, "r": world.ranker_features}
    features = {f"{name}_{j}": X[:, j] for name, X in seen.items() for j in range(X.shape[1])}
    tables = {
        "log.parquet": log,
        "features.parquet": pd.DataFrame(ids | features),
        "truth.parquet": pd.DataFrame(ids | {"relevance": world.relevance}),
    }
    for name, table in tables.items():
        with atomic_path(out / name) as scratch:
            table.to_parquet(scratch, index=False, compression="zstd")
    write_scores(ScoreTable(pool, world.logging.candidate_scores, world.logging.ranker_scores), out / "logging.parquet")
    ranks = np.arange(1, world.k + 1)
    with atomic_path(out / "examination.csv") as scratch:
        pd.DataFrame({"position": ranks, "examination": world.examination}).to_csv(scratch, index=False)
    for name, text in (("truth.json", strict_json(truth)), ("README.md", f"{world.about}\n")):
        with atomic_write(out / name) as handle:
            handle.write(text)
