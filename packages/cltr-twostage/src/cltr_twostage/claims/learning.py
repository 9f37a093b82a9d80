"""Claims on learning: both stages together, each on its own, one stage only."""

from typing import TYPE_CHECKING, Any

from cltr_twostage.claims.paper import CLAIMS
from irworks.claims import Context, Evidence, verdict_from

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cltr_twostage.simulate import World
    from cltr_twostage.train import Mode

    FloatArray = NDArray[np.float64]

COMPARED: "tuple[Mode, ...]" = ("independent", "candidate_only", "ranker_only", "alternating")


@CLAIMS.claim(
    id="joint-where-stages-disagree",
    says="Training candidate generator and ranker jointly beats baselines that train them apart, or one of them only.",
    where="Abstract; the joint optimisation method",
    paper="The joint CLTR method is effective over baselines on a semi-synthetic benchmark",
    rule=(
        "Shift world (constructed), 200 sessions a query, linear policies, DCG@4. Alternating optimisation (1) beats "
        "independent learning by at least .40 on every seed, (2) reaches at least 90% of the ideal on every seed, and "
        "beats (3) generator-only and (4) ranker-only learning from the logging pair (lower end of the 95% t-interval "
        "of the paired difference above 0). Reproduced if all hold, partly if some."
    ),
    cost=45,
    seeds={"smoke": 2, "small": 4, "full": 10},
)
def joint_where_stages_disagree(ctx: Context) -> Evidence:
    """All modes in the shift world."""
    from cltr_twostage.claims.worlds import replicates, shift
    from irworks.stats import t_interval

    seeds = replicates(ctx, "joint-where-stages-disagree")
    values = _all_modes(ctx, [shift(ctx, seed) for seed in seeds], seeds, (*COMPARED, "joint"))
    gain = values["alternating"] - values["independent"]
    share = values["alternating"] / values["ideal"]
    over = {mode: t_interval(values["alternating"] - values[mode]) for mode in ("candidate_only", "ranker_only")}
    checks = {
        "joint beats independent by .40": bool((gain >= 0.40).all()),
        "joint reaches 90% of the ideal": bool((share >= 0.90).all()),
        "joint beats generator-only": over["candidate_only"].low > 0,
        "joint beats ranker-only": over["ranker_only"].low > 0,
    }
    return Evidence(
        measured=(
            f"DCG@4: {_means(values)}; joint at least {gain.min():.2f} above independent and {share.min():.0%} of the "
            f"ideal on every seed; over generator-only {over['candidate_only']}, over ranker-only {over['ranker_only']}"
        ),
        verdict=verdict_from(checks),
        values=_summary(values)
        | {
            "min_gain": gain.min(),
            "min_share_of_ideal": share.min(),
            "over_candidate_only_low": over["candidate_only"].low,
            "over_ranker_only_low": over["ranker_only"].low,
        },
        **_display(values),
        notes=(
            "The world was built to separate the methods: over all documents relevance falls with what the ranker "
            "sees, among the candidates of a good generator it rises. `joint` takes a step in both stages from the "
            "same draws; `alternating` is the paper's order, and what is called joint above."
        ),
    )


@CLAIMS.claim(
    id="joint-where-stages-agree",
    says="Joint learning is effective over baselines; where the stages want the same, it should at least not be worse.",
    where="Abstract; the joint optimisation method",
    paper="The joint CLTR method is effective over baselines on a semi-synthetic benchmark",
    rule=(
        "Natural world, 200 sessions a query, linear policies, DCG@4. (1) Alternating minus independent is at least "
        "-.02 on the mean over seeds, and (2) its 95% t-interval's lower end is above -.05; (3) alternating beats "
        "ranker-only learning (lower end above 0); (4) it beats the logging pair by at least 1 on every seed. "
        "Reproduced if all hold, partly if some."
    ),
    cost=37,
    seeds={"smoke": 2, "small": 5, "full": 10},
)
def joint_where_stages_agree(ctx: Context) -> Evidence:
    """All modes in the natural world."""
    from cltr_twostage.claims.worlds import natural, replicates
    from irworks.stats import t_interval

    seeds = replicates(ctx, "joint-where-stages-agree")
    values = _all_modes(
        ctx, [natural(ctx, seed) for seed in seeds], seeds, ("independent", "ranker_only", "alternating")
    )
    gap = t_interval(values["alternating"] - values["independent"])
    over = t_interval(values["alternating"] - values["ranker_only"])
    lift = values["alternating"] - values["logging"]
    checks = {
        "joint is not worse on the mean": gap.estimate >= -0.02,
        "nor at the interval's end": gap.low > -0.05,
        "joint beats ranker-only": over.low > 0,
        "joint beats logging": bool((lift >= 1.0).all()),
    }
    return Evidence(
        measured=(f"DCG@4: {_means(values)}; joint minus independent {gap}, minus ranker-only {over}"),
        verdict=verdict_from(checks),
        values=_summary(values)
        | {
            "gap": gap.estimate,
            "gap_low": gap.low,
            "over_ranker_only_low": over.low,
            "min_lift": lift.min(),
        },
        **_display(values),
        notes="Joint is the alternating mode. The claim is that nothing is lost; that something is gained is not.",
    )


@CLAIMS.claim(
    id="disagreement-decides",
    says="(Ours.) What joint learning brings grows with how much the stages disagree.",
    where="Not in the paper",
    paper="The estimator considers the interaction between the two stages",
    rule=(
        "Shift world at disagreement 0 to 1. Alternating minus independent, DCG@4: (1) at disagreement 0 the mean over "
        "seeds is at least -.02; (2) at 1 it is above that at 0 (paired difference, lower end of the 95% t-interval "
        "above 0). Reproduced if both hold, partly if one."
    ),
    cost=45,
    seeds={"smoke": 2, "small": 3, "full": 8},
)
def disagreement_decides(ctx: Context) -> Evidence:
    """Alternating and independent learning by disagreement."""
    import numpy as np
    import pandas as pd

    from cltr_twostage.claims.worlds import replicates, shift_levels
    from irworks.report.figures import lines_figure
    from irworks.stats import t_interval

    levels = ctx.pick(smoke=(0.0, 1.0), small=(0.0, 0.8, 1.0), full=(0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 1.0))
    modes: tuple[Mode, ...] = ("independent", "alternating")
    values: dict[str, FloatArray] = {mode: np.zeros((len(ctx.seeds), len(levels))) for mode in modes}
    for i, seed in enumerate(ctx.progress(replicates(ctx, "disagreement-decides"), "seeds")):
        for j, world in enumerate(shift_levels(ctx, seed, levels)):
            for mode in modes:
                values[mode][i, j] = _learned_value(ctx, world, mode, seed)
    gain = values["alternating"] - values["independent"]
    growth = t_interval(gain[:, -1] - gain[:, 0])
    checks = {"no loss where they agree": float(gain[:, 0].mean()) >= -0.02, "more where they disagree": growth.low > 0}
    return Evidence(
        measured=(
            "Joint minus independent, DCG@4: "
            + ", ".join(f"{gain[:, j].mean():+.3f} at {level:g}" for j, level in enumerate(levels))
        ),
        verdict=verdict_from(checks),
        values={
            "growth_low": growth.low,
            **{f"gain_at_{level:g}": gain[:, j].mean() for j, level in enumerate(levels)},
        },
        table=pd.DataFrame({"disagreement": levels, **{name: column.mean(axis=0) for name, column in values.items()}}),
        figure=lines_figure(levels, values, xlabel="disagreement of the stages", ylabel="DCG@4"),
        caption="Means over seeds with 95% intervals.",
        notes=(
            "The world of the claim above, built to separate the methods, with the parameter that leads from agreement "
            "to it; the rule compares its two ends. A seed has the same documents and the same random numbers at every "
            "level."
        ),
    )


@CLAIMS.claim(
    id="semi-synthetic",
    says="On a semi-synthetic benchmark the joint CLTR method is effective over baselines.",
    where="Abstract; the experiments",
    paper="Joint learning beats two-stage baselines on MovieLens-1M",
    rule=(
        "Real documents (small LETOR set; at scale full MovieLens-1M), simulated clicks, 200 sessions a query, linear "
        "policies, DCG. Alternating learning beats (1) the logging pair and (2) ranker-only learning, and (3) is not "
        "worse than independent learning by more than .02 (lower ends of the 95% t-intervals of paired differences "
        "above 0, 0 and -.02); (4) it beats independent learning (lower end above 0). Reproduced if all hold, "
        "partly if some."
    ),
    data=("letor",),
    cost=260,
    # With six or twelve, the verdict was a matter of which.
    seeds={"smoke": 2, "small": 24, "full": 24},
)
def semi_synthetic(ctx: Context) -> Evidence:
    """All modes on real documents."""
    from cltr_twostage.claims.worlds import replicates
    from cltr_twostage.claims.worlds import semi_synthetic as build
    from irworks.stats import t_interval

    seeds = replicates(ctx, "semi-synthetic")
    worlds = [build(ctx, seed) for seed in seeds]
    values = _all_modes(ctx, worlds, seeds, COMPARED)
    over = {
        mode: t_interval(values["alternating"] - values[mode]) for mode in ("logging", "ranker_only", "independent")
    }
    checks = {
        "joint beats logging": over["logging"].low > 0,
        "joint beats ranker-only": over["ranker_only"].low > 0,
        "joint is not worse than independent": over["independent"].low > -0.02,
        "joint beats independent": over["independent"].low > 0,
    }
    return Evidence(
        measured=(
            f"DCG: {_means(values)}; joint minus independent {over['independent']}, minus ranker-only "
            f"{over['ranker_only']}"
        ),
        verdict=verdict_from(checks),
        values=_summary(values) | {f"over_{mode}_low": one.low for mode, one in over.items()},
        **_display(values),
        notes=(
            f"{worlds[0].about} Values are on the logged queries. A seed draws queries, documents, logging policy, "
            "clicks and training anew, but the file is the same: intervals say less about other data."
        ),
    )


def _all_modes(
    ctx: Context, worlds: "list[World]", seeds: list[int], modes: "tuple[Mode, ...]"
) -> "dict[str, FloatArray]":
    """True value of every mode's policy in every world: float64 [n_worlds] by name."""
    import numpy as np

    values = {name: np.zeros(len(worlds)) for name in ("logging", *modes, "ideal")}
    for i, (seed, world) in enumerate(ctx.progress(list(zip(seeds, worlds, strict=True)), "seeds")):
        values["logging"][i] = world.value(world.logging, "mc", n_samples=1024)
        values["ideal"][i] = world.ideal()
        for mode in modes:
            values[mode][i] = _learned_value(ctx, world, mode, seed)
    return values


def _learned_value(ctx: Context, world: "World", mode: "Mode", seed: int) -> float:
    """True value of the policy that a mode learns from a log of the world."""
    from cltr_twostage import ExposureIPS, TwoStageLearner

    per_query = ctx.pick(smoke=50, small=200, full=200)
    log = world.simulate(per_query * world.pool.n_queries, ctx.rng(400_000 + seed))
    learner = TwoStageLearner(mode=mode, n_steps=ctx.pick(smoke=30, small=400, full=400), random_state=seed)
    learner.fit(
        log,
        world.generator_features,
        world.ranker_features,
        logging=world.logging,
        # Exact exposures of the logging pair are kept by it: they are integrated once for all modes.
        estimator=ExposureIPS(world.examination, world.rank_weights, method="exact"),
    )
    return world.value(learner.policy_, "mc", n_samples=1024)


def _means(values: "dict[str, FloatArray]") -> str:
    names = {"logging": "logging", "independent": "independent", "alternating": "joint (alternating)", "ideal": "ideal"}
    return ", ".join(f"{name} {values[key].mean():.3f}" for key, name in names.items())


def _summary(values: "dict[str, FloatArray]") -> dict[str, float]:
    return {name: float(column.mean()) for name, column in values.items()}


def _display(values: "dict[str, FloatArray]") -> dict[str, Any]:
    """Table, figure and caption of a comparison of modes."""
    import numpy as np
    import pandas as pd

    from irworks.report.figures import paired_figure

    table = np.stack(list(values.values()), axis=1)
    figure = paired_figure([name.replace("_", "\n") for name in values], table, ylabel="true DCG")
    # Seven names need the width.
    figure.axes[0].margins(x=0.05)
    return {
        "table": pd.DataFrame(
            {
                "policy": list(values),
                "mean value": table.mean(axis=0),
                "lowest": table.min(axis=0),
                "highest": table.max(axis=0),
            }
        ),
        "figure": figure,
        "caption": "Each thin line is a seed: one world, one log, one training run a mode.",
    }
