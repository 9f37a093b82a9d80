"""`cltr-twostage explain`: which stage a gain comes from, and what it stands on."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cltr_twostage.cli import options as opt
from irworks.errors import DataError


class ExposureEstimator(StrEnum):
    """Estimators that weigh by exposure."""

    exposure = "exposure-ips"
    doubly_robust = "doubly-robust"


def explain(
    log: opt.LogPaths,
    logging: Annotated[
        list[Path], typer.Option(metavar="SCORES", help=f"Pair that made the log, one for each LOG: {opt.SCORES}.")
    ],
    new: Annotated[Path, typer.Option(metavar="SCORES", help="Pair to judge.")],
    examination: opt.Examination,
    old: Annotated[
        Path | None, typer.Option(metavar="SCORES", help="Pair in use. Default: the (first) logging pair.")
    ] = None,
    n_candidates: opt.NCandidates = None,
    k: opt.ListLength = None,
    rank_weights: opt.RankWeights = "examination",
    estimator: Annotated[ExposureEstimator, typer.Option(help="What estimates.")] = ExposureEstimator.exposure,
    clip: opt.Clip = None,
    self_normalized: opt.SelfNormalized = False,
    support: opt.Support = opt.SupportChoice.warn,
    method: opt.Method = opt.MethodChoice.auto,
    samples: opt.Samples = 256,
    seed: opt.Seed = 0,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="Also write an HTML page with figures.")] = None,
    query: opt.QueryColumn = "query_id",
    doc: opt.DocColumn = "doc_id",
    position: opt.PositionColumn = "position",
    click: opt.ClickColumn = "click",
    session: opt.SessionColumn = "session_id",
    as_json: opt.Json = False,
) -> None:
    """Which stage does a gain come from, which documents carry it, and what can the log not say?"""
    from cltr_twostage.cli.inputs import read_inputs
    from cltr_twostage.cli.printing import print_json, sizes
    from cltr_twostage.report import explain_gain
    from irworks.runtime.outputs import require_apart
    from irworks.runtime.terminal import warnings_as_lines

    if out is not None and out.suffix not in (".html", ".htm"):
        raise DataError("not a page by its name", source=out, found=out.suffix, expected=".html")
    require_apart(out, [*log, *logging, new, old, examination, rank_weights])
    old = logging[0] if old is None else old
    columns = opt.LogColumns(query, doc, position, click, session)
    inputs = read_inputs(log, columns, logging, [old, new], (n_candidates, k))
    weights = opt.WeightOptions(examination, rank_weights, clip, self_normalized, support, method, samples, seed)
    settings = weights.settings(inputs.n_ranks)
    with warnings_as_lines():
        fitted = inputs.evidence.fit(estimator.value, settings.make(estimator.value))
        report = explain_gain(fitted, inputs.policies[old], inputs.policies[new])
    names = f"{new} against {old}, by {estimator.value}"
    if out is not None:
        logs = ", ".join(path.name for path in log)
        report.to_html(out, about=f"{names}, on {logs}.")
    if as_json:
        about = {"old": str(old), "new": str(new), "estimator": estimator.value}
        print_json(sizes(inputs.evidence.logs) | about | report.to_dict())
        return
    typer.echo(names)
    typer.echo(report.text)
    for title, table in (("gain by stage", report.attribution.to_frame()), ("largest weights", report.documents)):
        typer.echo(f"\n{title}")
        typer.echo(table.to_string(index=False, float_format=lambda value: f"{value:.4g}"))
    if len(report.queries):
        typer.echo(f"\nlargest gaps of support\n{report.queries.to_string(index=False)}")
    if out is not None:
        typer.echo(f"\npage written to {out}")
