"""`amharic-ir index`: from documents to a folder that can be searched."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from amharic_ir.cli import options as opt

if TYPE_CHECKING:
    from irworks.data import Documents


def index(
    docs: opt.Documents,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the index; one of ours is replaced.")],
    lang: opt.Language = opt.Lang.am,
    tokens: opt.Kind = opt.Tokens.ngram,
    n: opt.Letters = 3,
    id_field: Annotated[str | None, typer.Option(help="Field or column of the ids.")] = None,
    text_field: Annotated[str | None, typer.Option(help="Of the texts.")] = None,
    title_field: Annotated[str | None, typer.Option(help="Of the titles.")] = None,
    method: Annotated[
        str, typer.Option(help="bm25, dense, late (one vector a token), or several: bm25+late, hybrid (bm25+dense).")
    ] = "bm25",
    model: Annotated[
        str | None, typer.Option(help="For dense and late: a folder that train wrote, or a name on the hub.")
    ] = None,
    passage_words: Annotated[
        int | None, typer.Option(min=1, help="For dense: cut longer documents into passages of so many words.")
    ] = None,
) -> None:
    """Index documents for search.

    DOCS may also be hub:NAME, a data set of the Hugging Face hub, with --text-field.
    """
    import time

    from amharic_ir.search import Searcher
    from amharic_ir.search.arms import arms_of
    from amharic_ir.text.analyzer import Analyzer
    from irworks.data.text_files import read_documents
    from irworks.errors import ArgumentError, DataError
    from irworks.runtime.outputs import require_apart

    arms = arms_of(method)
    if model is not None and arms == ("bm25",):
        raise ArgumentError(f"--model goes with dense or late; --method is {method}")
    if passage_words is not None and "dense" not in arms:
        raise ArgumentError(f"--passage-words goes with dense; --method is {method}")
    require_apart(out, [docs])
    if out.exists() and any(out.iterdir()) and not (out / "searcher.json").is_file():
        raise DataError("the folder holds something else", source=out, expected="an empty or new one, or an index")
    if str(docs).startswith("hub:"):
        found = _of_hub(str(docs).removeprefix("hub:"), id_field, text_field, title_field)
    else:
        found = read_documents(docs, id_field=id_field, text_field=text_field, title_field=title_field)
    begin = time.perf_counter()
    searcher = Searcher.build(
        found,
        method,
        analyzer=Analyzer(lang.value, tokens=tokens.value, n=n),
        model=model,
        passage_words=passage_words,
    )
    searcher.save(out)
    documents = "1 document" if len(found) == 1 else f"{len(found):,} documents"
    typer.echo(f"{documents}, {method}, in {time.perf_counter() - begin:.1f} s: {out}")


def _of_hub(name: str, id_field: str | None, text_field: str | None, title_field: str | None) -> "Documents":
    from amharic_ir.datasets import read_hub
    from irworks.errors import ArgumentError

    if text_field is None:
        raise ArgumentError(f"hub:{name} needs --text-field, the column of the texts")
    return read_hub(name, text=text_field, doc_id=id_field, title=title_field).docs
