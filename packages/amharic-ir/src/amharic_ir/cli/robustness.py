"""`amharic-ir robustness`: what other ways to type a query cost."""

from pathlib import Path
from typing import Annotated

import typer

from amharic_ir.cli import collections, methods
from amharic_ir.cli import options as opt


def robustness(
    data: Annotated[str, typer.Argument(metavar="DATA", help=collections.HELP)],
    method: Annotated[
        list[str] | None, typer.Option("--methods", help=f"{methods.HELP} Default: DATA, if it is an index, or bm25.")
    ] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Of change; repeatable. Default: all eight.")] = None,
    p: Annotated[list[float] | None, typer.Option("-p", help="Chance of a change; repeatable.")] = None,
    seed: Annotated[list[int] | None, typer.Option(help="Repeatable. Default: 0, 1 and 2.")] = None,
    measure: Annotated[str, typer.Option(help="Name of ir-measures.")] = "RR@10",
    report: opt.Reports = None,
    lang: opt.Language = opt.Lang.am,
    topics: opt.Topics = None,
    qrels: opt.Qrels = None,
    query_field: opt.QueryField = None,
    text_field: opt.TextField = None,
    split: opt.Split = "test",
    as_json: opt.Json = False,
) -> None:
    """Ask the queries again, respelled, mistyped, run together or in Latin letters."""
    from amharic_ir import measure as measuring
    from amharic_ir.text.perturb import PERTURBATIONS
    from irworks.runtime.terminal import strict_json

    specs = methods.specs_of(method or ([data] if collections.is_index(Path(data)) else ["bm25"]))
    opt.require_reports(report, [data, *specs, topics, qrels])
    collection = collections.collection_of(data, collections.Fields(topics, qrels, query_field, text_field, split))
    found = measuring.robustness(
        {spec: methods.searcher_of(spec, collection.docs, lang.value) for spec in specs},
        collection,
        kind or tuple(PERTURBATIONS),
        p or (0.25, 0.5, 1.0),
        seeds=seed or (0, 1, 2),
        measure=measure,
    )
    opt.write_reports(found, report)
    if as_json:
        typer.echo(strict_json(found.table.to_dict("records")))
        return
    typer.echo(found)
