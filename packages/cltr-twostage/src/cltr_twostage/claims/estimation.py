"""Claims on the joint estimator: unbiased, unlike those that ignore the first stage, and less variable than rivals."""

from typing import TYPE_CHECKING, Any

from cltr_twostage.claims.paper import CLAIMS
from irworks.claims import Context, Evidence, verdict_from

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cltr_twostage.simulate import World


@CLAIMS.claim(
    id="joint-estimator-unbiased",
    says="A two-stage CLTR estimator considers the interaction of the stages and estimates their joint value offline.",
    where="Abstract; the joint estimator",
    paper="Estimates the joint value of the two policies; unbiased under the click model, by its form",
    rule=(
        "(1) By enumeration on random instances (world and policy pair), |E[estimate] - utility| < 1e-10 on all. On "
        "simulated logs of 500 sessions, of one instance a seed: (2) the 95% intervals cover the truth in [92%, 98%] "
        "of logs, and (3) the mean error is below 4 standard errors. Reproduced if all hold, partly if some."
    ),
    cost=6,
    seeds={"smoke": 1, "small": 4, "full": 10},
)
def joint_estimator_unbiased(ctx: Context) -> Evidence:
    """Enumerate tiny problems, then simulate logs of one of them."""
    import numpy as np

    from cltr_twostage import ExposureIPS, prove
    from cltr_twostage.claims.worlds import replicates
    from irworks.stats import wilson

    instances = ctx.pick(smoke=3, small=25, full=100)
    n_logs = ctx.pick(smoke=60, small=500, full=2_000)
    worst, covered, errors = 0.0, 0, []
    for seed in ctx.progress(replicates(ctx, "joint-estimator-unbiased"), "seeds"):
        rng = ctx.rng(seed)
        for _ in range(instances):
            world, target = _instance(rng)
            proof = prove(
                ExposureIPS(world.examination, world.rank_weights),
                world.logging,
                target,
                world.relevance,
                query_weights=world.query_weights,
            )
            worst = max(worst, abs(proof.bias))
        estimates, truth = _replicate(ExposureIPS, world, target, n_logs, rng)
        covered += sum(truth in one.ci for one in estimates)
        errors += [one.value - truth for one in estimates]
    cover = wilson(covered, len(errors))
    z = float(np.mean(errors) / (np.std(errors, ddof=1) / np.sqrt(len(errors))))
    checks = {
        "unbiased by enumeration": worst < 1e-10,
        "intervals cover": 0.92 <= cover.estimate <= 0.98,
        "mean error is noise": abs(z) < 4,
    }
    return Evidence(
        measured=(
            f"Largest |bias| {worst:.0e} over {instances * len(ctx.seeds)} enumerated instances; 95% intervals cover "
            f"{cover:.3f} of {len(errors):,} logs; mean error {z:+.1f} standard errors"
        ),
        verdict=verdict_from(checks),
        values={"max_bias": worst, "coverage": cover.estimate, "mean_error_z": z, "n_logs": len(errors)},
        notes=(
            "Exposures are integrated, expectations enumerated: two separate ways. Intervals are normal "
            "approximations, which at 500 sessions may cover a little less than they say."
        ),
    )


@CLAIMS.claim(
    id="ignoring-stage-one-biases",
    says="Estimators that assume a single ranking policy over all documents do not fit a two-stage system.",
    where="Abstract; motivation",
    paper="Existing CLTR assumes a single stage; the interaction of the stages must be part of the estimator",
    rule=(
        "By enumeration on random instances: (1) the relative bias of the ranker-only estimator, |E[estimate] - "
        "utility| / utility, is at least 5% on average (lower end of the 95% t-interval over instances); (2) that of "
        "the joint estimator is below 1e-10 on all. (3) On logs of 2,000 sessions the ranker-only estimator's 95% "
        "intervals cover the truth in fewer than 80% of instances. Reproduced if all hold, partly if some."
    ),
    cost=5,
    seeds={"smoke": 2, "small": 4, "full": 10},
)
def ignoring_stage_one(ctx: Context) -> Evidence:
    """Compare the estimators that know of the first stage with those that do not, exactly."""
    import numpy as np
    import pandas as pd

    from cltr_twostage import ExposureIPS, NaiveClicks, RankerOnlyIPS, prove
    from cltr_twostage.claims.worlds import replicates
    from irworks.stats import t_interval

    instances = ctx.pick(smoke=4, small=15, full=100)
    classes: tuple[Any, ...] = (ExposureIPS, RankerOnlyIPS, NaiveClicks)
    bias: list[list[float]] = []
    covered = []
    for seed in ctx.progress(replicates(ctx, "ignoring-stage-one-biases"), "seeds"):
        rng = ctx.rng(seed)
        for _ in range(instances):
            world, target = _instance(rng)
            proofs = [
                prove(
                    cls(world.examination, world.rank_weights),
                    world.logging,
                    target,
                    world.relevance,
                    query_weights=world.query_weights,
                )
                for cls in (ExposureIPS, RankerOnlyIPS)
            ]
            naive = _in_an_infinite_log(NaiveClicks, world, target) / proofs[0].truth - 1
            bias.append([*(proof.bias / proof.truth for proof in proofs), naive])
            one = _replicate(RankerOnlyIPS, world, target, 1, rng, n_sessions=2_000)
            covered.append(one[1] in one[0][0].ci)
    table = np.array(bias)
    size = t_interval(np.abs(table[:, 1]))
    coverage = float(np.mean(covered))
    checks = {
        "ranker-only is biased": size.low >= 0.05,
        "joint is not": float(np.abs(table[:, 0]).max()) < 1e-10,
        "ranker-only intervals miss": coverage < 0.8,
    }
    return Evidence(
        measured=(
            f"Ranker-only IPS is off by {100 * size.estimate:.0f}% [{100 * size.low:.0f}, {100 * size.high:.0f}] of "
            f"the utility on average, at worst {100 * np.abs(table[:, 1]).max():.0f}%, and its intervals cover the "
            f"truth in {coverage:.0%} of {len(covered)} instances; joint IPS by {np.abs(table[:, 0]).max():.0e} at most"
        ),
        verdict=verdict_from(checks),
        values={
            "ranker_only_bias": size.estimate,
            "ranker_only_bias_low": size.low,
            "joint_max_bias": np.abs(table[:, 0]).max(),
            "ranker_only_coverage": coverage,
        },
        table=pd.DataFrame(
            {
                "estimator": [cls.__name__ for cls in classes],
                "mean |bias| / utility": np.abs(table).mean(axis=0),
                "largest |bias| / utility": np.abs(table).max(axis=0),
                "mean bias / utility": table.mean(axis=0),
            }
        ),
        notes=(
            "The targets are random pairs, unrelated to relevance. Naive clicks stand beside it for scale; as their "
            "relevance is fitted to the log, their bias is that in an infinite log: every session that can happen, as "
            "often as it happens in a billion."
        ),
    )


@CLAIMS.claim(
    id="lower-variance",
    says="Weighting by joint exposure varies less than weighting whole lists or document-rank pairs.",
    where="Not in the paper; implied by the form of the joint estimator",
    paper="The estimator needs exposure of documents only, not the probability of lists",
    rule=(
        "Exact variances by enumeration on random instances: (1) full-slate / joint is at least 3 (lower end of the "
        "95% t-interval of the geometric mean); (2) item-position / joint is above 1, likewise; (3) joint is the "
        "lowest of the three on at least 90% of instances. Reproduced if all hold, partly if some."
    ),
    cost=16,
    seeds={"smoke": 2, "small": 4, "full": 10},
)
def lower_variance(ctx: Context) -> Evidence:
    """Exact variances of three unbiased estimators."""
    import numpy as np
    import pandas as pd

    from cltr_twostage import ExposureIPS, ItemPositionIPS, SlateIPS, prove
    from cltr_twostage.claims.worlds import replicates
    from irworks.report.figures import paired_figure
    from irworks.stats import t_interval

    instances = ctx.pick(smoke=1, small=10, full=50)
    classes: tuple[Any, ...] = (ExposureIPS, ItemPositionIPS, SlateIPS)
    rows = []
    for seed in ctx.progress(replicates(ctx, "lower-variance"), "seeds"):
        rng = ctx.rng(seed)
        for _ in range(instances):
            world, target = _instance(rng)
            rows.append(
                [
                    prove(
                        cls(world.examination),
                        world.logging,
                        target,
                        world.relevance,
                        query_weights=world.query_weights,
                    ).variance
                    for cls in classes
                ]
            )
    variance = np.array(rows)
    item, slate = (t_interval(np.log(variance[:, i] / variance[:, 0])) for i in (1, 2))
    lowest = float((variance[:, 0] <= variance.min(axis=1) * (1 + 1e-12)).mean())
    figure = paired_figure([cls.__name__ for cls in classes], variance, ylabel="variance of one session")
    axes = figure.axes[0]
    axes.set_yscale("log")
    axes.lines[-1].set_label("mean over instances")
    axes.legend()
    checks = {
        "full-slate varies threefold": float(np.exp(slate.low)) >= 3,
        "item-position varies more": item.low > 0,
        "joint is lowest": lowest >= 0.9,
    }
    return Evidence(
        measured=(
            f"Variance over that of joint exposure IPS: full-slate {np.exp(slate.estimate):.1f} "
            f"[{np.exp(slate.low):.1f}, {np.exp(slate.high):.1f}], item-position {np.exp(item.estimate):.2f} "
            f"[{np.exp(item.low):.2f}, {np.exp(item.high):.2f}]; joint is lowest on {lowest:.0%} of instances"
        ),
        verdict=verdict_from(checks),
        values={
            "slate_ratio": np.exp(slate.estimate),
            "slate_ratio_low": np.exp(slate.low),
            "item_ratio": np.exp(item.estimate),
            "item_ratio_low": np.exp(item.low),
            "share_lowest": lowest,
        },
        table=pd.DataFrame(
            {
                "estimator": [cls.__name__ for cls in classes],
                "median variance": np.median(variance, axis=0),
                "largest variance": variance.max(axis=0),
            }
        ),
        figure=figure,
        caption="Each thin line is a random instance; exact variances.",
        notes=(
            "The rank weights are the examination, the case in which item-position and full-slate IPS need no click "
            "model; for DCG their ratios are others. All three are unbiased here."
        ),
    )


def _instance(rng: Any) -> "tuple[World, Any]":
    """A tiny world and a random target pair."""
    from cltr_twostage.simulate import tiny_world

    world = tiny_world(rng, n_queries=1)
    scores = rng.normal(0, 1, size=(2, world.pool.n_rows))
    return world, world.logging.replace(candidate=scores[0], ranker=scores[1])


def _in_an_infinite_log(cls: Any, world: "World", target: Any) -> float:
    """The estimate from every session that can happen, in a log so long that nothing is left to chance."""
    from cltr_twostage import enumerate_two_stage

    log, chance = enumerate_two_stage(world.logging).log(world.relevance, world.examination, world.query_weights)
    fitted = cls(world.examination, world.rank_weights, method="exact").fit(log, world.logging, weights=1e9 * chance)
    return float(fitted.value(target).value)


def _replicate(
    cls: Any, world: "World", target: Any, n_logs: int, rng: Any, n_sessions: int = 500
) -> "tuple[list[Any], float]":
    """Estimates from many logs of one world, drawn as counts of its enumerated sessions; and the truth."""
    from cltr_twostage import enumerate_two_stage

    log, chance = enumerate_two_stage(world.logging).log(world.relevance, world.examination, world.query_weights)
    truth = enumerate_two_stage(target).value(world.relevance, world.rank_weights, world.query_weights)
    counts: NDArray[Any] = rng.multinomial(n_sessions, chance / chance.sum(), size=n_logs)
    estimator = cls(world.examination, world.rank_weights, method="exact")
    return [estimator.fit(log, world.logging, weights=one).value(target) for one in counts], truth
