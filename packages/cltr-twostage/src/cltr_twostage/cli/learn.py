"""`cltr-twostage learn`: a better pair, from the clicks under the one in use."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cltr_twostage.cli import options as opt
from irworks.errors import ArgumentError

if TYPE_CHECKING:
    from cltr_twostage.sources import StageFeatures
    from cltr_twostage.train import TwoStageLearner


class ModeChoice(StrEnum):
    """What is learned, and against what."""

    alternating = "alternating"
    joint = "joint"
    independent = "independent"
    ranker_only = "ranker-only"
    candidate_only = "candidate-only"


class RelevanceEstimator(StrEnum):
    """Estimators that estimate the relevance of documents."""

    exposure = "exposure-ips"
    doubly_robust = "doubly-robust"
    direct = "direct-method"
    naive = "naive-clicks"


class TowerChoice(StrEnum):
    """What scores documents from their features."""

    linear = "linear"
    mlp = "mlp"


class CandidateGradientChoice(StrEnum):
    """Gradients of the generator."""

    credit = "credit"
    reinforce = "reinforce"


class RankerGradientChoice(StrEnum):
    """Gradients of the ranker."""

    plrank = "plrank"
    reinforce = "reinforce"


# What a folder of results can hold.
WRITTEN = ("policy", "learner", "history.csv", "scores.parquet")
_RATES = {TowerChoice.linear: "learning_rate", TowerChoice.mlp: "module_learning_rate"}


def learn(
    log: opt.LogPaths,
    logging: Annotated[
        list[Path], typer.Option(metavar="SCORES", help=f"Pair that made the log, one for each LOG: {opt.SCORES}.")
    ],
    features: Annotated[
        Path,
        typer.Option(
            dir_okay=False, help="Table with query_id, doc_id, c_* (the generator's features) and r_* (the ranker's)."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the learned pair.")],
    examination: opt.Examination,
    mode: Annotated[
        ModeChoice, typer.Option(help="Both stages in turn, at once, each for itself, or one alone.")
    ] = ModeChoice.alternating,
    n_candidates: opt.NCandidates = None,
    k: opt.ListLength = None,
    rank_weights: opt.RankWeights = "examination",
    estimator: Annotated[
        RelevanceEstimator, typer.Option(help="What estimates relevance, and the value on held-out sessions.")
    ] = RelevanceEstimator.exposure,
    clip: opt.Clip = None,
    support: opt.Support = opt.SupportChoice.error,
    candidate_gradient: Annotated[
        CandidateGradientChoice, typer.Option(help="Of the generator.")
    ] = CandidateGradientChoice.credit,
    ranker_gradient: Annotated[RankerGradientChoice, typer.Option(help="Of the ranker.")] = RankerGradientChoice.plrank,
    tower: Annotated[TowerChoice, typer.Option(help="What scores documents; mlp needs torch.")] = TowerChoice.linear,
    hidden: Annotated[list[int] | None, typer.Option(min=1, help="Width of a hidden layer, repeatable.")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Most steps.")] = 400,
    samples: Annotated[int, typer.Option(min=1, help="Lists drawn for each query in a step.")] = 16,
    exposure_samples: Annotated[
        int, typer.Option(min=16, help="Draws a query, where the estimator's exposures are sampled.")
    ] = 256,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of Adam. Default: 0.1 for linear towers, 0.003 for mlp.")
    ] = None,
    l2: Annotated[float, typer.Option(help="Ridge.")] = 0.0,
    held_out: Annotated[
        float,
        typer.Option(
            min=0, max=0.5, help="Share of sessions that judges the result, and of the rest that chooses the step."
        ),
    ] = 0.2,
    patience: Annotated[int, typer.Option(min=1, help="Looks without improvement that end learning.")] = 10,
    safe: Annotated[
        float | None,
        typer.Option(
            metavar="MAX_RATIO", help="No document's exposure changes by more than this factor; needs one logging pair."
        ),
    ] = None,
    checkpoint: Annotated[
        Path | None, typer.Option(file_okay=False, help="Folder for the state of an unfinished run.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint.")] = False,
    device: Annotated[str, typer.Option(help="Of the mlp: auto, cpu, cuda.")] = "auto",
    seed: opt.Seed = 0,
    query: opt.QueryColumn = "query_id",
    doc: opt.DocColumn = "doc_id",
    position: opt.PositionColumn = "position",
    click: opt.ClickColumn = "click",
    session: opt.SessionColumn = "session_id",
    as_json: opt.Json = False,
) -> None:
    """Learn a pair from clicks, and say on held-out sessions what it would earn."""
    import numpy as np

    from cltr_twostage.cli.folders import result_folder
    from cltr_twostage.cli.inputs import read_inputs
    from cltr_twostage.cli.printing import estimate_fields, print_json, sizes
    from cltr_twostage.learning.safe import Safe
    from cltr_twostage.sources import read_features
    from cltr_twostage.train import TwoStageLearner
    from irworks.runtime.outputs import require_apart
    from irworks.runtime.terminal import warnings_as_lines

    if resume and checkpoint is None:
        raise ArgumentError("--resume needs --checkpoint")
    if hidden and tower is TowerChoice.linear:
        raise ArgumentError("--hidden needs --tower mlp")
    require_apart(out, [*log, *logging, features, examination, rank_weights])
    if checkpoint is not None and checkpoint.resolve().is_relative_to(out.resolve()):
        raise ArgumentError(f"--checkpoint {checkpoint} lies in --out {out}; expected a folder of its own")
    columns = opt.LogColumns(query, doc, position, click, session)
    inputs = read_inputs(log, columns, logging, logging, (n_candidates, k), logged_only=False)
    old = inputs.policies[logging[0]]
    seen = read_features(features, inputs.evidence.pool)
    candidate, ranker = _towers(tower, seen, hidden or [32], seed)
    rate: dict[str, Any] = {} if learning_rate is None else {_RATES[tower]: learning_rate}
    learner = TwoStageLearner(
        mode.value.replace("-", "_"),  # type: ignore[arg-type]
        candidate=candidate,
        ranker=ranker,
        candidate_gradient=candidate_gradient.value,
        ranker_gradient=ranker_gradient.value,
        n_candidates=old.n_candidates or n_candidates,
        k=old.k,
        n_steps=steps,
        n_samples=samples,
        **rate,
        l2=l2,
        held_out=held_out,
        patience=patience,
        safe=None if safe is None else Safe(safe),
        random_state=seed,
        device=device,
    )
    weights = opt.WeightOptions(
        examination, rank_weights, clip, False, support, opt.MethodChoice.auto, samples=exposure_samples, seed=seed
    )
    settings = weights.settings(inputs.n_ranks)
    settings.require_use([estimator.value])
    about = {"command": "learn", "mode": mode.value, "seed": seed, "estimator": estimator.value}
    # Neither learned from nor used to choose the step, so that what is said of the result does not flatter it.
    train, judge = inputs.evidence.split(held_out, np.random.default_rng([seed, 4]))
    with result_folder(out, about, WRITTEN) as folder, warnings_as_lines():
        learner.fit(
            train.logs,
            seen.generator,
            seen.ranker,
            logging=list(train.logging),
            estimator=settings.make(estimator.value),
            checkpoint=checkpoint,
            resume=resume,
        )
        judging = judge.fit(estimator.value, settings.make(estimator.value))
        estimates = {
            "old": judging.value(old),
            "new": judging.value(learner.policy_),
            "difference": judging.difference(learner.policy_, old),
        }
        written = _write(learner, folder)
    files = {name: str(out / file) for name, file in written.items()}
    if as_json:
        found = {name: estimate_fields(estimate) for name, estimate in estimates.items()}
        print_json(sizes(inputs.evidence.logs) | about | found | {"best_step": learner.best_step_} | files)
        return
    for read in inputs.evidence.logs:
        typer.echo(repr(read))
    typer.echo(
        f"learned {mode.value} from {len(seen.generator_names)} features of the generator and "
        f"{len(seen.ranker_names)} of the ranker; step {learner.best_step_} kept"
    )
    where = f"{judging.collapsed_.total:,.0f} held-out sessions" if held_out else "the sessions learned from"
    typer.echo(f"on {where}, by {estimator.value}:")
    for name, estimate in estimates.items():
        typer.echo(f"  {name:<10}  {estimate}")
    typer.echo(f"written to {out}: {', '.join(file for name, file in written.items() if name != 'learner')}")
    bounds = "" if safe is None else " (the learned pair itself, for which no bounds hold)"
    typer.echo(f"and {out / 'learner'}, which scores new documents{bounds}: TwoStageLearner.load(folder).policy_for")


def _towers(tower: TowerChoice, seen: "StageFeatures", hidden: list[int], seed: int) -> tuple[Any, Any]:
    from cltr_twostage.learning.towers import mlp_tower

    if tower is TowerChoice.linear:
        return "linear", "linear"
    return mlp_tower(seen.generator, hidden, seed=seed), mlp_tower(seen.ranker, hidden, seed=seed + 1)


def _write(learner: "TwoStageLearner", out: Path) -> dict[str, str]:
    """The learned policy as a folder, a pair also as a score table, how it was learned, and what scores documents."""
    from cltr_twostage.learning.files import HISTORY, write_history
    from cltr_twostage.policy import TwoStagePolicy
    from cltr_twostage.scores import ScoreTable, write_scores

    policy, files = learner.policy_, {"policy": "policy", "history": HISTORY, "learner": "learner"}
    policy.save(out / files["policy"])
    if isinstance(policy, TwoStagePolicy):
        files["scores"] = "scores.parquet"
        table = ScoreTable(policy.pool, policy.candidate_scores, policy.ranker_scores)
        write_scores(table, out / files["scores"])
    write_history(learner.history_, out / files["history"])
    learner.save(out / files["learner"])
    return files
