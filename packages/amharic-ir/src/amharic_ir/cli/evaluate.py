"""`amharic-ir evaluate`: how well an index answers judged queries."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated

import typer

from amharic_ir.cli import options as opt


def evaluate(
    index: opt.IndexPath,
    queries: Annotated[Path, typer.Argument(help="TREC topics, or .jsonl, .csv or .tsv with an id and a text.")],
    qrels: Annotated[Path, typer.Argument(help="TREC judgements: query, 0, document, label.")],
    measure: Annotated[list[str] | None, typer.Option(help="Repeatable. Default: nDCG@10, RR@10, R@10, R@100.")] = None,
    run_file: Annotated[Path | None, typer.Option("--run", help="Write what was found as a TREC run.")] = None,
    as_json: opt.Json = False,
) -> None:
    """Measure an index, with 95% intervals over queries."""
    import numpy as np

    from amharic_ir.search import Searcher
    from irworks.data.text_files import read_qrels, read_topics
    from irworks.metrics import evaluate_run
    from irworks.runtime.terminal import strict_json
    from irworks.stats import bootstrap

    names = measure or ["nDCG@10", "RR@10", "R@10", "R@100"]
    searcher, topics, judged = Searcher.open(index), read_topics(queries), read_qrels(qrels)
    _require_common("documents", [doc for of in judged.values() for doc in of], searcher.docs.places, qrels, index)
    _require_common("queries", judged, topics, qrels, queries)
    run = searcher.search(topics, 100)
    if run_file is not None:
        run.write(run_file)
    values = evaluate_run(run, judged, names)
    found = {name: bootstrap(values[name].to_numpy(), rng=np.random.default_rng(0)) for name in names}
    if as_json:
        typer.echo(strict_json({name: [one.estimate, one.low, one.high] for name, one in found.items()}))
        return
    for name, one in found.items():
        typer.echo(f"{name:<10} {one}   ({len(values):,} queries)")


def _require_common(what: str, judged: Collection[str], known: Mapping[str, object], qrels: Path, source: Path) -> None:
    """Check that judgements are of the same documents or queries: others would count 0, as if nothing were found."""
    from irworks.errors import DataError

    if not any(each in known for each in judged):
        such = f"such as {next(iter(known))!r}" if known else "there is none"
        raise DataError(
            f"none of the judged {what} is in {source}", source=qrels, found=next(iter(judged), "none"), expected=such
        )
