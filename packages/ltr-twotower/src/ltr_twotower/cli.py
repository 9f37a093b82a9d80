"""The command line: `ltr-twotower check | fit | report | simulate`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from irworks.errors import ArgumentError
from irworks.runtime.terminal import run_command_line, strict_json, version_callback, warnings_as_lines
from ltr_twotower.summaries import model_numbers, sizes, theta_lines

if TYPE_CHECKING:
    from irworks.data import ClickLog
    from ltr_twotower.weighting import PlacementPropensity

__all__ = ["app", "main"]

app = typer.Typer(
    name="ltr-twotower",
    help=(
        "Two-tower click models: can this click log identify one, has its logging policy bent it, and what corrects it?"
    ),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class TowerChoice(StrEnum):
    """Relevance towers for `check`."""

    embedding = "embedding"
    linear = "linear"
    deep = "deep"


class ExactTower(StrEnum):
    """Relevance towers with exact solvers."""

    embedding = "embedding"
    linear = "linear"


class WeightChoice(StrEnum):
    """Placement propensities."""

    none = "none"
    counts = "count"
    known = "known"
    model = "model"


class PropensityChoice(StrEnum):
    """Placement propensities for `report`, which always weighs."""

    counts = "count"
    known = "known"
    model = "model"


class CombineChoice(StrEnum):
    """Click models."""

    additive = "additive"
    pbm = "pbm"


class UnidentifiedChoice(StrEnum):
    """What to do when the log does not identify the model."""

    warn = "warn"
    error = "raise"
    component = "component-normalize"


class WorldChoice(StrEnum):
    """Simulated worlds."""

    toy = "toy"
    linear = "linear"
    omitted = "omitted-features"
    deep = "deep-labels"
    query_effect = "query-effect"


class PolicyChoice(StrEnum):
    """Logging rankers."""

    expert = "expert"
    random = "random"
    inverse = "inverse"


LogPath = Annotated[
    Path, typer.Argument(metavar="LOG", help="Click log: .parquet, .csv or .tsv (.gz), long or wide form.")
]
QueryColumn = Annotated[str, typer.Option("--query", metavar="COLUMN", help="Query id; 'none': the log has one query.")]
DocColumn = Annotated[str, typer.Option("--doc", metavar="COLUMN", help="Document id.")]
PositionColumn = Annotated[str, typer.Option("--position", metavar="COLUMN", help="Rank, from 1.")]
ClickColumn = Annotated[str, typer.Option("--click", metavar="COLUMN", help="0 or 1.")]
SessionColumn = Annotated[
    str, typer.Option("--session", metavar="COLUMN", help="Rows shown together; if absent, every row is a session.")
]
PropensityColumn = Annotated[
    str, typer.Option("--propensity", metavar="COLUMN", help="Placement propensity, if logged; 'none' ignores it.")
]
FeatureColumns = Annotated[
    list[str] | None, typer.Option("--feature", metavar="COLUMN", help="Feature column, repeatable; default: all f_*.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]
Ridge = Annotated[float, typer.Option("--l2", help="Ridge on the summed log-likelihood.")]
Clip = Annotated[float | None, typer.Option("--clip", help="Largest weight 1 / propensity; default: no clipping.")]


@dataclass(frozen=True)
class _Columns:
    query: str
    doc: str
    position: str
    click: str
    session: str
    propensity: str
    features: list[str] | None

    def read(self, path: Path) -> "ClickLog":
        from irworks.data import read_click_log

        return read_click_log(
            path,
            query=_named(self.query),
            doc=self.doc,
            position=self.position,
            click=self.click,
            session=_named(self.session),
            propensity=_named(self.propensity),
            features=self.features,
        )


def _named(column: str) -> str | None:
    return None if column == "none" else column


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=version_callback("ltr-twotower"), is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Two-tower click models: can this click log identify one, has its logging policy bent it, and what corrects it?"""


@app.command()
def check(
    log: LogPath,
    tower: Annotated[TowerChoice, typer.Option(help="Relevance tower that is to be fitted.")] = TowerChoice.embedding,
    swaps: Annotated[int, typer.Option(min=0, help="Suggest randomised swaps for this many sessions.")] = 0,
    query: QueryColumn = "query_id",
    doc: DocColumn = "doc_id",
    position: PositionColumn = "position",
    click: ClickColumn = "click",
    session: SessionColumn = "session_id",
    propensity: PropensityColumn = "propensity",
    feature: FeatureColumns = None,
    as_json: Json = False,
) -> None:
    """Can this log identify a two-tower model, and how precisely? Exit status 3 if not."""
    from ltr_twotower.identify import check_identifiability

    data = _Columns(query, doc, position, click, session, propensity, feature).read(log)
    with warnings_as_lines():
        report = check_identifiability(data, tower=tower.value)
    plan = report.suggest_swaps(swaps) if swaps else []
    if as_json:
        payload = report.to_dict() | {"suggested_swaps": [vars(swap) for swap in plan]}
        _print_json(sizes(data) | payload)
    else:
        typer.echo(repr(data))
        typer.echo(report.summary())
        _print_stderr(report.se_theta[0])
        for swap in plan:
            a, b = swap.ranks
            typer.echo(
                f"swap ranks {a} and {b} of query {swap.query} in {swap.sessions} sessions: worst standard error then "
                f"{swap.worst_stderr:.3g}"
            )
    if not report.ok:
        raise typer.Exit(3)


@app.command()
def fit(
    log: LogPath,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the fitted model.")],
    tower: Annotated[TowerChoice, typer.Option(help="Relevance tower; deep needs torch.")] = TowerChoice.embedding,
    combine: Annotated[
        CombineChoice, typer.Option(help="Additive two-tower, or position-based model.")
    ] = CombineChoice.additive,
    weight: Annotated[WeightChoice, typer.Option(help="Inverse placement propensities.")] = WeightChoice.none,
    clip: Clip = None,
    l2: Ridge = 0.1,
    unidentified: Annotated[
        UnidentifiedChoice, typer.Option(help="If the log does not identify the model.")
    ] = UnidentifiedChoice.warn,
    bias_reduction: Annotated[
        bool, typer.Option("--bias-reduction", help="Embedding tower: correct theta for few impressions per document.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="For the deep tower.")] = 0,
    query: QueryColumn = "query_id",
    doc: DocColumn = "doc_id",
    position: PositionColumn = "position",
    click: ClickColumn = "click",
    session: SessionColumn = "session_id",
    propensity: PropensityColumn = "propensity",
    feature: FeatureColumns = None,
    as_json: Json = False,
) -> None:
    """Fit a model and save it as plain files."""
    from irworks.runtime.outputs import require_apart
    from ltr_twotower.files import check_target
    from ltr_twotower.model import TwoTowerClickModel

    require_apart(out, [log])
    check_target(out)
    data = _Columns(query, doc, position, click, session, propensity, feature).read(log)
    model = TwoTowerClickModel(
        relevance=tower.value,
        combine=combine.value,
        sample_weight=_propensity(weight, clip),
        l2=l2,
        bias_reduction=bias_reduction,
        on_unidentified=unidentified.value,
        random_state=seed,
    )
    with warnings_as_lines():
        model.fit(data)
    model.save_pretrained(out)
    score = model.score(data)
    if as_json:
        _print_json(sizes(data) | model_numbers(model) | {"log_likelihood": score, "model": str(out)})
        return
    typer.echo(repr(data))
    for line in theta_lines(model):
        typer.echo(line)
    if model.weights_ is not None:
        typer.echo(f"weights: {model.weights_}")
    typer.echo(f"mean log-likelihood per impression: {score:.5f}")
    typer.echo(f"saved to {out}")


@app.command()
def report(
    log: LogPath,
    out: Annotated[Path | None, typer.Option(dir_okay=False, help="Also write an HTML page with plots.")] = None,
    tower: Annotated[
        ExactTower | None, typer.Option(help="Relevance tower to examine; default: linear if the log has features.")
    ] = None,
    weight: Annotated[
        PropensityChoice | None,
        typer.Option(help="Propensities to weigh with; without this option known ones if logged, else counted ones."),
    ] = None,
    clip: Clip = None,
    l2: Ridge = 0.1,
    query: QueryColumn = "query_id",
    doc: DocColumn = "doc_id",
    position: PositionColumn = "position",
    click: ClickColumn = "click",
    session: SessionColumn = "session_id",
    propensity: PropensityColumn = "propensity",
    feature: FeatureColumns = None,
    as_json: Json = False,
) -> None:
    """Has the logging policy bent the model? Residuals, thetas side by side, a verdict in words."""
    from irworks.runtime.outputs import require_apart
    from ltr_twotower.explain import logging_policy_report
    from ltr_twotower.model import TwoTowerClickModel

    require_apart(out, [log])
    data = _Columns(query, doc, position, click, session, propensity, feature).read(log)
    if tower is None:
        tower = ExactTower.embedding if data.features is None else ExactTower.linear
    model = TwoTowerClickModel(tower.value, l2=l2)
    with warnings_as_lines():
        weights = _propensity(WeightChoice.none if weight is None else WeightChoice(weight.value), clip)
        result = logging_policy_report(model, data, propensity=weights)
    if out is not None:
        result.to_html(out)
    if as_json:
        _print_json(sizes(data) | result.to_dict())
        return
    typer.echo(repr(data))
    typer.echo(result.text)
    typer.echo(result.thetas.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    if out is not None:
        typer.echo(f"page written to {out}")


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(dir_okay=False, help="Log to write: .parquet, .csv or .csv.gz.")],
    world: Annotated[
        WorldChoice, typer.Option(help="Population of documents, and what the tower misses.")
    ] = WorldChoice.linear,
    policy: Annotated[PolicyChoice, typer.Option(help="Logging ranker.")] = PolicyChoice.expert,
    temperature: Annotated[float, typer.Option(min=0, max=1, help="Share of lists shown in random order.")] = 0.1,
    sessions: Annotated[int, typer.Option(min=1, help="Number of sessions.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    propensities: Annotated[bool, typer.Option(help="Write the true placement propensities.")] = True,
    as_json: Json = False,
) -> None:
    """Write a click log from a world with known truth, and that truth beside it (OUT.truth.json).

    An existing file is replaced only if it is a log that this command wrote.
    """
    from dataclasses import replace

    import numpy as np

    from ltr_twotower import simulate as worlds
    from ltr_twotower.truth import check_target, write_with_truth

    check_target(out)
    makers = {
        WorldChoice.toy: worlds.toy_world,
        WorldChoice.linear: worlds.linear_world,
        WorldChoice.omitted: worlds.omitted_features_world,
        WorldChoice.deep: worlds.deep_label_world,
        WorldChoice.query_effect: worlds.query_effect_world,
    }
    rng = np.random.default_rng(seed)
    built = makers[world](rng)
    strength = {PolicyChoice.expert: 1.0, PolicyChoice.random: 0.0, PolicyChoice.inverse: -1.0}[policy]
    data = built.simulate(sessions, rng, temperature=temperature, strength=strength)
    truth = {
        "about": built.about,
        "policy": policy.value,
        "temperature": temperature,
        "seed": seed,
        "theta": built.theta.tolist(),
        "relevance_logit": (built.train.labels - 2).tolist(),
    }
    beside = write_with_truth(data if propensities else replace(data, propensities=None), built.name, truth, out)
    if as_json:
        _print_json(sizes(data) | {"log": str(out), "theta": truth["theta"]})
        return
    typer.echo(repr(data))
    typer.echo(built.about)
    typer.echo(f"written to {out}; the truth is in {beside.resolve()}")


def _propensity(weight: WeightChoice, clip: float | None) -> "PlacementPropensity | None":
    from ltr_twotower.weighting import PlacementPropensity

    if weight is WeightChoice.none:
        if clip is not None:
            raise ArgumentError("--clip needs --weight count, known or model")
        return None
    method: Literal["count", "known", "model"] = weight.value  # type: ignore[assignment]
    return PlacementPropensity(method, clip=clip)


def _print_json(payload: dict[str, Any]) -> None:
    typer.echo(strict_json(payload))


def _print_stderr(stderr: Any) -> None:
    shown = "  ".join(
        f"{rank}: {'not comparable' if value == float('inf') else f'{value:.3g}'}"
        for rank, value in enumerate(stderr, start=1)
    )
    typer.echo(f"standard error of theta against rank 1 by rank:  {shown}")


def main() -> None:
    """Run the command line; errors are one sentence on standard error and exit status 2."""
    run_command_line(app)
