"""The verb on click models: fit one, or compare them."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irworks.runtime.terminal import warnings_as_lines
from recgaze.cli.options import DataFolder, Json, Rule, RuleChoice, Seed, TaskChoice, Tasks, echo_json, load

if TYPE_CHECKING:
    import pandas as pd

    from recgaze.impressions import Impressions

__all__ = ["fit"]


class ModelChoice(StrEnum):
    """Models."""

    oepbm = "oepbm"
    rcpbm = "rcpbm"
    cpbm = "cpbm"
    ccm = "ccm"
    tcm = "tcm"


class AttractionChoice(StrEnum):
    """What attraction belongs to."""

    user_genre = "user_genre"
    genre = "genre"
    rating = "rating"
    movie = "movie"


class SolverChoice(StrEnum):
    """Optimisers of click models."""

    auto = "auto"
    em = "em"
    lbfgs = "lbfgs"
    torch = "torch"


def fit(
    data: DataFolder,
    model: Annotated[ModelChoice, typer.Option(help="Click model.")] = ModelChoice.oepbm,
    attraction: Annotated[
        AttractionChoice, typer.Option(help="What attraction belongs to.")
    ] = AttractionChoice.user_genre,
    solver: Annotated[SolverChoice, typer.Option(help="Of cpbm and rcpbm.")] = SolverChoice.auto,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also compare oepbm, rcpbm and cpbm on held-out screens.")
    ] = False,
    out: Annotated[Path | None, typer.Option(file_okay=False, help="Folder for the fitted model.")] = None,
    task: Tasks = TaskChoice.free,
    rule: Rule = RuleChoice.closest,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit a click model, and say first what this design can tell of it."""
    with warnings_as_lines():
        impressions = load(data, task).impressions(rule.value)
        payload, lines = (
            _cascade(model, impressions)
            if model in (ModelChoice.ccm, ModelChoice.tcm)
            else _position(model, attraction, solver, impressions, out)
        )
        if compare:
            table = _compared(impressions, attraction, seed)
            payload["comparison"] = table.to_dict("list")
            lines.append(table.to_string(index=False, float_format=lambda value: f"{value:.5f}"))
    if as_json:
        echo_json(payload)
        return
    typer.echo(repr(impressions))
    for line in lines:
        typer.echo(line)


def _position(
    model: ModelChoice, attraction: AttractionChoice, solver: SolverChoice, impressions: "Impressions", out: Path | None
) -> tuple[dict[str, Any], list[str]]:
    from recgaze.models import CPBM, OEPBM, RCPBM, identifiability

    observed = model is ModelChoice.oepbm
    separable = model is ModelChoice.rcpbm
    design = identifiability(impressions, attraction.value, observed_examination=observed, separable=separable)
    kinds: dict[ModelChoice, Any] = {ModelChoice.oepbm: OEPBM, ModelChoice.rcpbm: RCPBM, ModelChoice.cpbm: CPBM}
    options = {"solver": solver.value} | ({"l2": 0.0} if solver is SolverChoice.em else {})
    fitted = kinds[model](attraction.value, **options).fit(impressions)
    score = fitted.log_likelihood(impressions)
    if out is not None:
        fitted.save(out)
    grid = fitted.examination_
    lines = [design.text, f"log-likelihood a cell: {score:.5f} (of the screens it was fitted to)"]
    lines.append(_grid_text(grid, impressions.visible))
    if out is not None:
        lines.append(f"saved to {out}")
    payload = {
        "model": model.value,
        "identifiability": design.verdict,
        "log_likelihood": score,
        "examination": grid,
        "saved": None if out is None else str(out),
    }
    return payload, lines


def _grid_text(grid: Any, visible: int) -> str:
    """Examination of the first page, a line a carousel."""
    rows = ["examination, first page:"]
    rows += [" ".join(f"{value:5.2f}" for value in row[:visible]) for row in grid]
    return "\n".join(rows)


def _cascade(model: ModelChoice, impressions: "Impressions") -> tuple[dict[str, Any], list[str]]:
    from recgaze.models import CCM, TCM

    kind = CCM if model is ModelChoice.ccm else TCM
    fitted = kind().fit(impressions, "conditional")
    variation, perplexity = fitted.total_variation(impressions), fitted.perplexity(impressions)
    lines = [repr(fitted), f"total variation {variation:.3f}, perplexity {perplexity:.2f}"]
    numbers = {"quit": fitted.quit_, "attraction": fitted.attraction_, "discount": fitted.discount_}
    return {"model": model.value, "total_variation": variation, "perplexity": perplexity} | numbers, lines


def _compared(impressions: "Impressions", attraction: AttractionChoice, seed: int) -> "pd.DataFrame":
    import numpy as np

    from recgaze.models import CPBM, OEPBM, RCPBM, compare

    models = [kind(attraction.value) for kind in (OEPBM, RCPBM, CPBM)]
    return compare(models, impressions, rng=np.random.default_rng(seed), by="screen").reset_index()
