"""`amharic-ir evaluate`: how well an index answers judged queries."""

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
    run = Searcher.open(index).search(read_topics(queries), 100)
    if run_file is not None:
        run.write(run_file)
    values = evaluate_run(run, read_qrels(qrels), names)
    found = {name: bootstrap(values[name].to_numpy(), rng=np.random.default_rng(0)) for name in names}
    if as_json:
        typer.echo(strict_json({name: [one.estimate, one.low, one.high] for name, one in found.items()}))
        return
    for name, one in found.items():
        typer.echo(f"{name:<10} {one}   ({len(values):,} queries)")
