"""`amharic-ir compare`: systems side by side."""

from functools import partial
from typing import Annotated

import typer

from amharic_ir.cli import collections, methods
from amharic_ir.cli import options as opt


def compare(
    data: opt.Data,
    method: opt.Methods,
    measure: opt.Measures = None,
    baseline: Annotated[str | None, typer.Option(help="The method to compare with. Default: the best.")] = None,
    test: Annotated[opt.Test, typer.Option(help="Of the differences: random signs, or Student's t.")] = (
        opt.Test.permutation
    ),
    published: Annotated[bool, typer.Option("--published", help="Show the paper's numbers beside these.")] = False,
    report: opt.Reports = None,
    k: opt.Depth = 100,
    lang: opt.Language = opt.Lang.am,
    topics: opt.Topics = None,
    qrels: opt.Qrels = None,
    query_field: opt.QueryField = None,
    text_field: opt.TextField = None,
    split: opt.Split = "test",
    as_json: opt.Json = False,
) -> None:
    """Measure methods on the same queries, and test their differences."""
    from amharic_ir import measure as measuring
    from irworks.runtime.terminal import strict_json

    fields = collections.Fields(topics, qrels, query_field, text_field, split)
    specs = methods.specs_of(method)
    opt.require_reports(report, [*data, *specs, topics, qrels])
    board = measuring.compare(
        {spec: partial(methods.searcher_of, spec, lang=lang.value) for spec in specs},
        [collections.collection_of(one, fields) for one in data],
        measure or measuring.MEASURES,
        baseline=baseline,
        test=test.value,
        k=k,
        reported=measuring.published() if published else None,
    )
    opt.write_reports(board, report)
    if as_json:
        typer.echo(strict_json(board.rows.to_dict("records")))
        return
    typer.echo(board)
