"""The verb on click models: fit one, or compare them."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irworks.runtime.terminal import warnings_as_lines
from recgaze.cli.options import DataFolder, Json, Rule, RuleChoice, Seed, TaskChoice, Tasks, echo_json, load, refuse
from recgaze.cli.outputs import require_out

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
        AttractionChoice | None,
        typer.Option(help="What attraction belongs to; default: user_genre."),
    ] = None,
    solver: Annotated[SolverChoice | None, typer.Option(help="Of cpbm and rcpbm; default: auto.")] = None,
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
    from recgaze.models.files import require_model_folder

    cascade = model in (ModelChoice.ccm, ModelChoice.tcm)
    if cascade:
        options = {"--attraction": attraction, "--solver": solver, "--out": out, "--compare": compare or None}
        refuse(options, f"--model {model.value}", "it has three numbers, printed here")
    require_out(out, [data], whole=True)
    if out is not None:
        require_model_folder(out)
    keys = attraction or AttractionChoice.user_genre
    with warnings_as_lines():
        impressions = load(data, task).impressions(rule.value)
        table = _compared(impressions, keys, seed) if compare else None
        if cascade:
            payload, lines = _cascade(model, impressions)
        else:
            payload, lines = _position(model, keys, solver or SolverChoice.auto, impressions, out)
    if table is not None:
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
    options: dict[str, Any] = {"solver": solver.value}
    if solver is SolverChoice.em and not observed:
        options["l2"] = 0.0
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
    perplexity = fitted.perplexity(impressions)
    cells = impressions.rows * impressions.columns
    lines = [repr(fitted), f"perplexity {perplexity:.2f} of {cells} places, given a selection"]
    numbers = {"quit": fitted.quit_, "attraction": fitted.attraction_, "discount": fitted.discount_}
    return {"model": model.value, "perplexity": perplexity} | numbers, lines


def _compared(impressions: "Impressions", attraction: AttractionChoice, seed: int) -> "pd.DataFrame":
    import numpy as np

    from irworks.errors import ArgumentError
    from recgaze.models import CPBM, OEPBM, RCPBM, compare

    users = len(np.unique(impressions.user))
    if users < 2:
        raise ArgumentError(f"--compare needs users to draw from; found {users}, expected at least 2")

    models = [kind(attraction.value) for kind in (OEPBM, RCPBM, CPBM)]
    return compare(models, impressions, rng=np.random.default_rng(seed), by="screen").reset_index()
