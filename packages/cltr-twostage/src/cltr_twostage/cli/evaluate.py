"""`cltr-twostage evaluate`: what other pairs would earn."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cltr_twostage.cli import options as opt

if TYPE_CHECKING:
    import pandas as pd

    from cltr_twostage.evaluation import Comparison


class EstimatorChoice(StrEnum):
    """Estimators."""

    exposure = "exposure-ips"
    item_position = "item-position-ips"
    slate = "slate-ips"
    ranker_only = "ranker-only-ips"
    naive = "naive-clicks"
    direct = "direct-method"
    doubly_robust = "doubly-robust"
    all = "all"


def evaluate(
    log: opt.LogPaths,
    target: Annotated[list[Path], typer.Option(metavar="SCORES", help=f"Pair to evaluate, repeatable: {opt.SCORES}.")],
    examination: opt.Examination,
    logging: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="SCORES",
            help="Pair that made the log, one for each LOG. Without: propensities from the columns of the log.",
        ),
    ] = None,
    n_candidates: opt.NCandidates = None,
    k: opt.ListLength = None,
    rank_weights: opt.RankWeights = "examination",
    estimator: Annotated[
        list[EstimatorChoice] | None, typer.Option(help="Repeatable; 'all': all that apply. Default: exposure-ips.")
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="SCORES", help="Pair that others are compared with. Default: the first of several."),
    ] = None,
    clip: opt.Clip = None,
    self_normalized: opt.SelfNormalized = False,
    support: opt.Support = opt.SupportChoice.error,
    method: opt.Method = opt.MethodChoice.auto,
    samples: opt.Samples = 256,
    seed: opt.Seed = 0,
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Also write the table: .csv, .parquet or .json.")
    ] = None,
    query: opt.QueryColumn = "query_id",
    doc: opt.DocColumn = "doc_id",
    position: opt.PositionColumn = "position",
    click: opt.ClickColumn = "click",
    session: opt.SessionColumn = "session_id",
    rho0: Annotated[
        str, typer.Option(metavar="COLUMN", help="P(the logging pair gets the document examined).")
    ] = "rho0",
    p_candidate: Annotated[str, typer.Option(metavar="COLUMN", help="P(the document is a candidate).")] = "p_candidate",
    p_rank: Annotated[
        str, typer.Option(metavar="COLUMN", help="P(the document stands at this rank | it is a candidate).")
    ] = "p_rank",
    propensity: Annotated[
        str, typer.Option(metavar="COLUMN", help="P(the document stands at this rank).")
    ] = "propensity",
    p_list: Annotated[str, typer.Option(metavar="COLUMN", help="P(the whole list of the session).")] = "p_list",
    as_json: opt.Json = False,
) -> None:
    """What would other pairs earn? Values with intervals, and how far they can be trusted."""
    from cltr_twostage.cli.inputs import read_inputs
    from cltr_twostage.cli.printing import print_json, sizes
    from cltr_twostage.evaluation import ESTIMATORS, compare
    from cltr_twostage.logged import PropensityColumns
    from irworks.runtime.outputs import require_apart
    from irworks.runtime.terminal import warnings_as_lines

    require_table_name(out)
    require_apart(out, [*log, *target, *(logging or []), baseline, examination, rank_weights])
    if baseline is None and len(target) > 1:
        baseline = target[0]
    inputs = read_inputs(
        log,
        opt.LogColumns(query, doc, position, click, session),
        logging or [],
        [*target, *([baseline] if baseline else [])],
        (n_candidates, k),
        propensities=PropensityColumns(rho0, p_candidate, p_rank, propensity, p_list),
    )
    weights = opt.WeightOptions(examination, rank_weights, clip, self_normalized, support, method, samples, seed)
    wanted = [choice.value for choice in estimator or [EstimatorChoice.exposure]]
    everything = EstimatorChoice.all in wanted
    with warnings_as_lines():
        comparison = compare(
            inputs.evidence,
            weights.settings(inputs.n_ranks),
            list(ESTIMATORS) if everything else wanted,
            {str(path): policy for path, policy in inputs.policies.items()},
            baseline=None if baseline is None else str(baseline),
            lenient=everything,
        )
    table = comparison.to_frame()
    if out is not None:
        write_table(table, out)
    if as_json:
        print_json(sizes(inputs.evidence.logs) | _payload(comparison, table))
        return
    for read in inputs.evidence.logs:
        typer.echo(repr(read))
    typer.echo(comparison.text)
    for name, reason in comparison.skipped.items():
        typer.echo(f"not possible: {name}: {reason}")
    if out is not None:
        typer.echo(f"table written to {out}")


def require_table_name(out: Path | None) -> None:
    """Raise a DataError for a name that says no format, before the work and not after it."""
    from irworks.data.tables import is_parquet

    if out is not None and out.suffix != ".json":
        is_parquet(out)


def write_table(table: "pd.DataFrame", out: Path) -> None:
    """Write a table as CSV, Parquet or JSON, by the name; atomically."""
    from irworks.data.tables import csv_delimiter, is_parquet
    from irworks.runtime import atomic_path
    from irworks.runtime.terminal import strict_json

    with atomic_path(out) as scratch:
        if out.suffix == ".json":
            scratch.write_text(strict_json({"estimates": table.to_dict("records")}), encoding="utf-8")
        elif is_parquet(out):
            table.to_parquet(scratch, index=False)
        else:
            table.to_csv(scratch, index=False, sep=csv_delimiter(out))


def _payload(comparison: "Comparison", table: "pd.DataFrame") -> dict[str, object]:
    return {
        "baseline": comparison.baseline,
        "estimates": table.to_dict("records"),
        "not_possible": dict(comparison.skipped),
    }
