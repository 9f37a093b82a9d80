"""`rec-unlearn simulate`: a small world to try the others on."""

from pathlib import Path
from typing import Annotated

import typer

from rec_unlearn.cli import options as opt


def simulate(
    out: Annotated[Path, typer.Option(dir_okay=False, help="CSV to write: user, item, basket.")],
    users: Annotated[int, typer.Option(min=1, help="How many.")] = 200,
    items: Annotated[int, typer.Option(min=6, help="How many.")] = 60,
    seed: opt.Seed = 0,
) -> None:
    """Write baskets of simulated users, in place of your own data."""
    import numpy as np

    from irworks.runtime import atomic_write
    from rec_unlearn.simulate import simulate_baskets

    log = simulate_baskets(np.random.default_rng(seed), n_users=users, n_items=items).log
    frame = log.to_pandas().rename(columns={"step": "basket"})[["user", "item", "basket"]]
    out.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(out, mode="w") as handle:
        frame.to_csv(handle, index=False)
    typer.echo(f"{len(log):,} rows of {users} users written to {out}")
