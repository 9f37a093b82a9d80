"""`amharic-ir train`: an encoder for your texts, and whether it is worth having."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from amharic_ir.cli import collections, learning
from amharic_ir.cli import options as opt
from amharic_ir.cli.generated import with_settings
from amharic_ir.train.config import PAPER, TrainConfig

if TYPE_CHECKING:
    from amharic_ir.train.loop import History
    from amharic_ir.train.outcome import Outcome


class Loss(StrEnum):
    """What training makes small."""

    contrastive = "contrastive"
    matryoshka = "matryoshka"
    distill = "distill"


@with_settings(TrainConfig)
def train(
    data: Annotated[
        list[str],
        typer.Argument(
            metavar="PAIRS", help=f"{collections.HELP} With --inverse-cloze: documents, as index reads them."
        ),
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the encoder; a small one is replaced.")],
    late: Annotated[bool, typer.Option("--late", help="One vector a token (late interaction), not a text.")] = False,
    base: Annotated[
        str,
        typer.Option(
            metavar="scratch|FOLDER|NAME",
            help="What to begin with. A model of the hub has defaults of its own: "
            f"{PAPER.epochs} epochs, {PAPER.batch_size} pairs a step, learning rate {PAPER.learning_rate}.",
        ),
    ] = "scratch",
    tokenizer: Annotated[
        str | None, typer.Option(metavar="FILE", help="From scratch: read pieces of this tokenizer, not n-grams.")
    ] = None,
    loss: Annotated[
        Loss, typer.Option(help="matryoshka: first dimensions serve alone, too; distill: scores of a --teacher.")
    ] = Loss.contrastive,
    dim: Annotated[
        list[int] | None, typer.Option(min=1, help="Of matryoshka; repeatable. Default: a half and a quarter.")
    ] = None,
    token_dim: Annotated[
        int, typer.Option(min=1, help="Of tokens, for --late of a model of the hub that has no projection.")
    ] = 128,
    teacher: Annotated[
        str, typer.Option(help="Of distill: bm25, dense:MODEL, late:MODEL, or cross:MODEL of the hub.")
    ] = "bm25",
    inverse_cloze: Annotated[
        bool, typer.Option("--inverse-cloze", help="Learn from documents alone: sentences ask for their texts.")
    ] = False,
    mined: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Negatives that mine wrote, of PAIRS; 4 a pair.")
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Queries to choose the best step by. Default: a tenth, split off."),
    ] = None,
    held_out: Annotated[
        str | None, typer.Option(metavar="DATA", help="What will be tested on: refuse to learn from its queries.")
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            dir_okay=False, help="File for the state after each epoch; if it is there, training goes on from it."
        ),
    ] = None,
    topics: opt.Topics = None,
    qrels: opt.Qrels = None,
    query_field: opt.QueryField = None,
    text_field: opt.TextField = None,
    split: opt.Split = "train",
    validation_split: Annotated[str, typer.Option(help="Of --validation, if that is a BEIR folder.")] = "dev",
    held_out_split: Annotated[str, typer.Option(help="Of --held-out, if that is a BEIR folder.")] = "test",
    as_json: opt.Json = False,
    settings: dict[str, Any] | None = None,
) -> None:
    """Train an encoder, and measure it before and after on queries that it did not learn from."""
    from dataclasses import replace

    from amharic_ir import train as training
    from amharic_ir.train.base import settings_for
    from amharic_ir.train.encoders import require_fit
    from amharic_ir.train.outcome import Outcome
    from amharic_ir.train.teachers import teacher_of
    from amharic_ir.train.validation import Validation
    from irworks.errors import ArgumentError
    from irworks.runtime.outputs import require_apart

    given = dict(settings or {})
    require_apart(out, [*data, base, tokenizer, mined, validation, held_out, topics, qrels, checkpoint])
    require_apart(checkpoint, [*data, tokenizer, mined, validation, held_out, topics, qrels], name="--checkpoint")
    _require_new(out)
    if late and loss is Loss.matryoshka:
        raise ArgumentError("--late has vectors of tokens, and no dimensions to nest; expected another --loss")
    if inverse_cloze and (mined or topics or qrels or query_field):
        raise ArgumentError("--inverse-cloze reads documents alone; expected no queries and no negatives with it")
    if tokenizer is not None and base != "scratch":
        raise ArgumentError(f"--tokenizer goes with an encoder from scratch; {base} has its own")
    if loss is Loss.distill and mined is None:
        raise ArgumentError("--loss distill compares answers with negatives; expected --mined, a file that mine wrote")
    seed = given.get("seed", TrainConfig().seed)
    others = {"query_field": query_field, "text_field": text_field}
    chosen_by = learning.collection(validation, validation_split, **others)
    tested = learning.collection(held_out, held_out_split, **others)
    if inverse_cloze:
        pairs, judged = learning.cloze_parts(data, text_field, chosen_by, tested, seed)
    else:
        fields = collections.Fields(topics, qrels, query_field, text_field, split)
        pairs, judged = learning.labelled_parts(data, fields, chosen_by, mined, seed)
    if mined is not None:
        # As many as the paper's late interaction has.
        given.setdefault("negatives", 4)
    encoder = learning.beginning(base, tokenizer, pairs, seed, token_dim if late else None)
    config = replace(settings_for(encoder), **given)
    if not as_json:
        part = "given" if chosen_by is not None else "a tenth, split off"
        typer.echo(f"{len(pairs):,} pairs; {len(judged.qrels):,} validation queries ({part})")
    if loss is Loss.distill:
        texts = [*pairs.docs, *(text for each in pairs.negatives for text in each)]
        pairs = pairs.taught(teacher_of(teacher, texts))
    require_fit(pairs, loss.value, config, judged, tested)
    before = Validation(encoder, judged, late).values()
    options: dict[str, Any] = {"config": config, "validation": judged, "held_out": tested, "checkpoint": checkpoint}
    if late:
        kind: Literal["contrastive", "distill"] = "distill" if loss is Loss.distill else "contrastive"
        made, history = training.late_interaction(pairs, encoder, loss=kind, token_dim=token_dim, **options)
    else:
        made, history = training.bi_encoder(pairs, encoder, loss=loss.value, dims=dim or (), **options)
    made.save(out)
    _tell(Outcome.of(before, made, judged, late=late), history, out, as_json=as_json)


def _require_new(out: Path) -> None:
    from irworks.runtime.outputs import require_replaceable

    require_replaceable(
        out,
        "a small encoder",
        header="tiny.json",
        is_ours=lambda facts: "format" in facts,
        names={"cut.json", "network.safetensors"},
    )


def _tell(outcome: "Outcome", history: "History", out: Path, *, as_json: bool) -> None:
    from irworks.runtime.terminal import strict_json

    parts = {"before": outcome.before, "after": outcome.after, "BM25": outcome.sparse}
    found = {name: outcome.interval(values) for name, values in parts.items()} | {"gain": outcome.gain}
    if as_json:
        numbers = {name: [each.estimate, each.low, each.high] for name, each in found.items()}
        facts = {"queries": len(outcome.before), "best_step": history.best_step, "losses": history.losses}
        typer.echo(strict_json({**numbers, "verdict": outcome.verdict, **facts, "out": str(out)}))
        return
    typer.echo(f"nDCG@10 on the {len(outcome.before):,} validation queries, with 95% intervals over them:")
    for name, each in found.items():
        typer.echo(f"  {name:<7} {each}")
    if len(history.checks) > 1:
        typer.echo(f"The best of {len(history.checks)} checks was chosen by these queries, which flatters it.")
    typer.echo(f"{outcome.verdict[0].upper()}{outcome.verdict[1:]}.")
    if found["BM25"].estimate > found["after"].estimate:
        typer.echo("BM25 finds more on its own.")
    typer.echo(f"Step {history.best_step:,} is kept: {out}")
