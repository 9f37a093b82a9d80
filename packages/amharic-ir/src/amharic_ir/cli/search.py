"""`amharic-ir search`: ask an index."""

from typing import Annotated

import typer

from amharic_ir.cli import options as opt


def search(
    index: opt.IndexPath,
    query: Annotated[str, typer.Argument(help="In Ethiopic letters, or in Latin ones as in SERA (selam, adis abeba).")],
    k: Annotated[int, typer.Option("-k", min=1, help="How many documents.")] = 10,
    as_json: opt.Json = False,
) -> None:
    """Find documents, and show where they match."""
    from amharic_ir.search import Searcher
    from irworks.runtime.terminal import strict_json

    hits = Searcher.open(index).hits(query, k)
    if as_json:
        rows = [{"doc": hit.doc, "score": hit.score, "snippet": hit.marked()} for hit in hits]
        typer.echo(strict_json(rows))
        return
    for rank, hit in enumerate(hits, start=1):
        typer.echo(f"{rank:>3}  {hit.doc}  {hit.score:.2f}\n     {hit.marked().strip()}")
    if not hits:
        typer.echo("nothing found")
