"""Claims of a paper that nobody wrote: each shows one way in which a run can go."""

import os
import signal
import time
from pathlib import Path

from irworks.claims import ClaimSet, Context, Evidence, NotRun, Paper, Verdict

CLAIMS = ClaimSet(
    package="fakepapers",
    options={"treasure": "yes", "diary": "a file", "gate": "a file"},
    paper=Paper(
        "On Nothing in Particular", ("A. Nobody", "B. Nobody"), "Journal of Tests", "https://example.org/p", 2024
    ),
    about="What a reader gets.",
    imports=("fakepapers.heavy",),
)
WORDS = {"where": "Section 1", "paper": "42", "rule": "Reproduced if the mean lies within 1 of 0."}


def _note(ctx: Context, name: str) -> None:
    """Write down that a claim runs, and in which process, where the test can read it."""
    if diary := ctx.options.get("diary"):
        with Path(diary).open("a", encoding="utf-8") as handle:
            handle.write(f"{name} {os.getpid()}\n")


def _mean(ctx: Context) -> Evidence:
    values = {f"seed {seed}": ctx.rng(seed).normal(size=1000).mean() for seed in ctx.seeds}
    return Evidence(f"{len(values)} means", Verdict.REPRODUCED, {**values, "undefined": float("nan")})


@CLAIMS.claim(id="drawn", says="It has a figure and a table.", cost=3, seeds={"small": 2}, **WORDS)
def drawn(ctx: Context) -> Evidence:
    """Measure, draw and tabulate."""
    import pandas as pd
    from matplotlib.figure import Figure

    _note(ctx, "drawn")
    figure = Figure()
    figure.subplots().plot([1, 2, 3], ctx.rng(0).random(3), label="line")
    table = pd.DataFrame({"seed": list(ctx.seeds), "mean": [ctx.rng(seed).random() for seed in ctx.seeds]})
    evidence = _mean(ctx)
    return Evidence(evidence.measured, Verdict.PARTLY, evidence.values, table, figure, "A line.", "A note.")


@CLAIMS.claim(id="quick", says="It is over at once.", cost=1, **WORDS)
def quick(ctx: Context) -> Evidence:
    """Measure."""
    _note(ctx, "quick")
    return _mean(ctx)


@CLAIMS.claim(id="gated", says="It takes until a file appears.", cost=9, **WORDS)
def gated(ctx: Context) -> Evidence:
    """Wait for the file that the option names, then measure."""
    _note(ctx, "gated")
    (ctx.run_dir / "checkpoint").write_text("begun", encoding="utf-8")
    while (gate := ctx.options.get("gate")) and not Path(gate).exists():
        time.sleep(0.02)
    return _mean(ctx)


@CLAIMS.claim(id="raises", says="It raises.", cost=2, **WORDS)
def raises(ctx: Context) -> Evidence:
    """Print something and fail."""
    _note(ctx, "raises")
    raise RuntimeError(f"the <b>reason</b> at scale {ctx.scale}")


@CLAIMS.claim(id="exits", says="It leaves.", cost=2, **WORDS)
def exits(ctx: Context) -> Evidence:
    """End the process without a word."""
    os.write(2, b"famous last words\n")
    os._exit(3)


@CLAIMS.claim(id="killed", says="It is killed.", cost=2, **WORDS)
def killed(ctx: Context) -> Evidence:
    """Die as if the machine had run out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


@CLAIMS.claim(id="lacking", says="It lacks its data.", cost=2, **WORDS)
def lacking(ctx: Context) -> Evidence:
    """Say what is missing, unless the option is there."""
    if "treasure" not in ctx.options:
        raise NotRun("needs the treasure", command="irworks reproduce fakepapers --option treasure=yes")
    return _mean(ctx)


@CLAIMS.claim(id="catalogued", says="It uses a data set.", cost=2, data=("letor",), **WORDS)
def catalogued(ctx: Context) -> Evidence:
    """Count the files of the data set."""
    files = len(list(ctx.data("letor").iterdir()))
    return Evidence(f"{files} files", Verdict.REPRODUCED, {"files": files})


@CLAIMS.claim(id="needy", says="It needs a library.", cost=2, needs=("a_library_that_nobody_has",), **WORDS)
def needy(ctx: Context) -> Evidence:
    """Never get here."""
    raise AssertionError("unreachable")
