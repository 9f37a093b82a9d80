"""`amharic-ir mine`: hard negatives for train."""

from pathlib import Path
from typing import Annotated

import typer

from amharic_ir.cli import collections, learning, methods
from amharic_ir.cli import options as opt


def mine(
    data: Annotated[str, typer.Argument(metavar="DATA", help=collections.HELP)],
    out: Annotated[Path, typer.Option(dir_okay=False, help="File for the negatives, JSON lines.")],
    method: Annotated[
        str, typer.Option("--method", "--index", help="What finds them: as of compare, or an index of DATA.")
    ] = "bm25",
    n: Annotated[int, typer.Option("-n", min=1, help="Negatives a query, at most.")] = 8,
    skip: Annotated[int, typer.Option(min=0, help="So many of the best are passed by, as they may be answers.")] = 1,
    depth: Annotated[int, typer.Option(min=1, help="Documents that are looked at.")] = 50,
    held_out: Annotated[
        str | None, typer.Option(metavar="DATA", help="What will be tested on: none of its answers is a negative.")
    ] = None,
    lang: opt.Language = opt.Lang.am,
    topics: opt.Topics = None,
    qrels: opt.Qrels = None,
    query_field: opt.QueryField = None,
    text_field: opt.TextField = None,
    split: opt.Split = "train",
    held_out_split: Annotated[str, typer.Option(help="Of --held-out, if that is a BEIR folder.")] = "test",
) -> None:
    """Find documents that look like answers and are none, for train --mined."""
    from amharic_ir import train as training
    from irworks.runtime.outputs import require_apart

    require_apart(out, [data, method, topics, qrels, held_out])
    collection = collections.collection_of(data, collections.Fields(topics, qrels, query_field, text_field, split))
    tested = None
    if held_out is not None:
        fields = collections.Fields(query_field=query_field, text_field=text_field, split=held_out_split)
        tested = collections.collection_of(held_out, fields)
    retriever = methods.searcher_of(method, collection.docs, lang.value)
    found = training.mine(retriever, collection, n=n, skip=skip, depth=depth, held_out=tested)
    learning.write_mined(out, found)
    total = sum(map(len, found.values()))
    typer.echo(f"{total:,} negatives of {sum(map(bool, found.values())):,} of {len(found):,} queries: {out}")
