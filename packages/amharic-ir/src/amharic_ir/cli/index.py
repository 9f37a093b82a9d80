"""`amharic-ir index`: from documents to a folder that can be searched."""

from pathlib import Path
from typing import Annotated

import typer

from amharic_ir.cli import options as opt


def index(
    docs: opt.Documents,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the index; one of ours is replaced.")],
    lang: opt.Language = opt.Lang.am,
    tokens: opt.Kind = opt.Tokens.ngram,
    n: opt.Letters = 3,
    id_field: Annotated[str | None, typer.Option(help="Field or column of the ids.")] = None,
    text_field: Annotated[str | None, typer.Option(help="Of the texts.")] = None,
    title_field: Annotated[str | None, typer.Option(help="Of the titles.")] = None,
) -> None:
    """Index documents for search."""
    import time

    from amharic_ir.search import Searcher
    from amharic_ir.text.analyzer import Analyzer
    from irworks.data.text_files import read_documents
    from irworks.errors import DataError
    from irworks.runtime.outputs import require_apart

    require_apart(out, [docs])
    if out.exists() and any(out.iterdir()) and not (out / "searcher.json").is_file():
        raise DataError("the folder holds something else", source=out, expected="an empty or new one, or an index")
    found = read_documents(docs, id_field=id_field, text_field=text_field, title_field=title_field)
    begin = time.perf_counter()
    searcher = Searcher.build(found, analyzer=Analyzer(lang.value, tokens=tokens.value, n=n))
    searcher.save(out)
    tokens_found = len(searcher.index.tokens.vocabulary)
    typer.echo(
        f"{len(found):,} documents, {tokens_found:,} different tokens, in {time.perf_counter() - begin:.1f} s: {out}"
    )
