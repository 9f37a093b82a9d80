"""Claims on what an estimate survives: short logs, clipped weights, wrong examination probabilities."""

from typing import TYPE_CHECKING, Any

from cltr_twostage.claims.paper import CLAIMS
from irworks.claims import Context, Evidence, verdict_from

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from cltr_twostage import TwoStagePolicy
    from cltr_twostage.simulate import World

    FloatArray = NDArray[np.float64]


@CLAIMS.claim(
    id="more-log-less-error",
    says="The joint estimator's error vanishes as the log grows; that of estimators which ignore a bias does not.",
    where="Not in the abstract; follows from the form of the joint estimator",
    paper="Follows from unbiasedness",
    rule=(
        "Natural world, a target pair that is better than the logging pair; RMSE over seeds at log sizes from the "
        "smallest to the largest. (1) The slope of log RMSE on log size lies in [-.65, -.35] for joint exposure IPS; "
        "(2) at the largest size naive clicks and ranker-only IPS keep at least half of the RMSE that they have at "
        "the smallest; (3) there joint exposure IPS has the lower RMSE. Reproduced if all hold, partly if some."
    ),
    cost=25,
    seeds={"smoke": 2, "small": 12, "full": 40},
)
def more_log_less_error(ctx: Context) -> Evidence:
    """RMSE of all estimators by log size."""
    import numpy as np
    import pandas as pd

    from cltr_twostage import DirectMethod, DoublyRobust, ExposureIPS, ItemPositionIPS, NaiveClicks, RankerOnlyIPS
    from cltr_twostage.claims.worlds import better_pair, natural, replicates
    from irworks.report.figures import canvas

    sizes = ctx.pick(
        smoke=[500, 2_000], small=[1_000, 4_000, 16_000, 64_000], full=[1_000, 4_000, 16_000, 64_000, 256_000]
    )
    classes: tuple[Any, ...] = (ExposureIPS, DoublyRobust, ItemPositionIPS, DirectMethod, RankerOnlyIPS, NaiveClicks)
    errors = np.zeros((len(ctx.seeds), len(sizes), len(classes)))
    for i, seed in enumerate(ctx.progress(replicates(ctx, "more-log-less-error"), "seeds")):
        rng = ctx.rng(seed)
        world = natural(ctx, seed, n_queries=40)
        target = better_pair(world)
        truth = _Truth(world, target)
        for j, size in enumerate(sizes):
            log = world.simulate(size, rng)
            for c, cls in enumerate(classes):
                estimator = cls(world.examination, world.rank_weights, method="exact")
                errors[i, j, c] = estimator.fit(log, world.logging).value(target).value / truth.value - 1
    rmse = np.sqrt((errors**2).mean(axis=0))
    slope = float(np.polyfit(np.log(sizes), np.log(rmse[:, 0]), 1)[0])
    kept = {cls.__name__: float(rmse[-1, c] / rmse[0, c]) for c, cls in enumerate(classes)}
    checks = {
        "joint falls with the root of the size": -0.65 <= slope <= -0.35,
        "biased estimators keep their error": min(kept["NaiveClicks"], kept["RankerOnlyIPS"]) >= 0.5,
        "joint is better in the end": rmse[-1, 0] < min(rmse[-1, 4], rmse[-1, 5]),
    }
    figure, axes = canvas()
    for c, cls in enumerate(classes):
        axes.plot(sizes, rmse[:, c], marker="o", markersize=4, label=cls.__name__)
    axes.set(xscale="log", yscale="log", xlabel="logged sessions", ylabel="RMSE / value")
    axes.legend()
    return Evidence(
        measured=(
            f"RMSE of joint exposure IPS falls from {rmse[0, 0]:.1%} to {rmse[-1, 0]:.1%} of the value (slope "
            f"{slope:.2f}); ranker-only IPS stays at {rmse[-1, 4]:.1%}, naive clicks at {rmse[-1, 5]:.1%}"
        ),
        verdict=verdict_from(checks),
        values={
            "slope": slope,
            "rmse_joint": rmse[-1, 0],
            "rmse_ranker_only": rmse[-1, 4],
            "rmse_naive": rmse[-1, 5],
            "kept_ranker_only": kept["RankerOnlyIPS"],
            "kept_naive": kept["NaiveClicks"],
        },
        table=pd.DataFrame({"sessions": sizes, **{cls.__name__: rmse[:, c] for c, cls in enumerate(classes)}}),
        figure=figure,
        caption=(
            "Error relative to the true value, root mean square over seeds; straight lines of slope -1/2 are noise."
        ),
        notes=(
            "The target is the logging pair moved towards the true relevance, so that it is better by construction "
            "and the weights stay small."
        ),
    )


@CLAIMS.claim(
    id="clipping-trades",
    says="Clipping weights trades bias for variance.",
    where="Not in the abstract; standard practice",
    paper="Not in what was available of the paper",
    rule=(
        "Natural world under a logging pair of strongly peaked scores, under which some documents are rare. (1) On the "
        "short logs one of the clips that bind on some seed, out of five, has a lower mean squared error than none "
        "(upper end of the t-interval of the paired difference over seeds below 0, at 1 - 5% / the number of clips "
        "that bind); (2) on the long logs the tightest clip "
        "has a higher one (lower end of the 95% t-interval above 0); (3) the tightest clip's estimates are below the "
        "truth on average, on both. Reproduced if all hold, partly if some."
    ),
    cost=24,
    seeds={"smoke": 2, "small": 12, "full": 40},
)
def clipping_trades(ctx: Context) -> Evidence:
    """RMSE by clip, on short and long logs."""
    import numpy as np
    import pandas as pd

    from cltr_twostage import ExposureIPS
    from cltr_twostage.claims.worlds import better_pair, natural, peaked, replicates
    from irworks.report.figures import canvas
    from irworks.stats import t_interval

    clips = (2.0, 5.0, 10.0, 30.0, 100.0, None)
    sizes = ctx.pick(smoke=(300, 3_000), small=(300, 60_000), full=(500, 400_000))
    errors = np.zeros((len(ctx.seeds), len(sizes), len(clips)))
    binds = np.zeros((len(sizes), len(clips)), dtype=bool)
    largest = []
    for i, seed in enumerate(ctx.progress(replicates(ctx, "clipping-trades"), "seeds")):
        rng = ctx.rng(seed)
        world = peaked(natural(ctx, seed, n_queries=24))
        target = better_pair(world)
        truth = _Truth(world, target)
        for j, size in enumerate(sizes):
            log = world.simulate(size, rng)
            fitted = ExposureIPS(world.examination, world.rank_weights, method="exact")
            fitted.fit(log, world.logging)
            for c, clip in enumerate(clips):
                fitted.clip = clip
                estimate = fitted.value(target)
                errors[i, j, c] = estimate.value / truth.value - 1
                binds[j, c] |= estimate.clipped > 0
            largest.append(estimate.max_weight)
    rmse, bias = np.sqrt((errors**2).mean(axis=0)), errors.mean(axis=0)
    more = errors[:, :, :-1] ** 2 - errors[:, :, -1:] ** 2
    compared = np.flatnonzero(binds[0])
    # A clip that never binds changes nothing.
    best_end = min((t_interval(more[:, 0, c], level=1 - 0.05 / len(compared)).high for c in compared), default=0.0)
    tightest = t_interval(more[:, 1, 0])
    checks = {
        "some clip helps short logs": best_end < 0,
        "the tightest hurts long logs": tightest.low > 0,
        "the tightest underestimates": bool((bias[:, 0] < 0).all()),
    }
    names = ["none" if clip is None else f"{clip:g}" for clip in clips]
    best = int(rmse[0].argmin())
    figure, axes = canvas()
    for j, size in enumerate(sizes):
        axes.plot(names, rmse[j], marker="o", markersize=4, label=f"{size:,} sessions")
    axes.set(yscale="log", xlabel="largest weight", ylabel="RMSE / value")
    axes.legend()
    return Evidence(
        measured=(
            f"{sizes[0]:,} sessions: RMSE {rmse[0, -1]:.1%} of the value unclipped, {rmse[0, best]:.1%} at "
            f"{names[best]}; {sizes[1]:,} sessions: {rmse[1, -1]:.1%} unclipped, {rmse[1, 0]:.1%} at {names[0]} "
            f"(bias {bias[1, 0]:+.1%})"
        ),
        verdict=verdict_from(checks),
        values={
            "short_clips_compared": float(len(compared)),
            "short_best_difference_high": best_end,
            "long_tightest_difference_low": tightest.low,
            "bias_short_tightest": bias[0, 0],
            "bias_long_tightest": bias[1, 0],
            "rmse_short_unclipped": rmse[0, -1],
            "rmse_short_best": rmse[0, best],
            "rmse_long_unclipped": rmse[1, -1],
            "rmse_long_tightest": rmse[1, 0],
            "median_largest_weight": float(np.median(largest)),
        },
        table=pd.DataFrame(
            {
                "clip": names,
                **{f"RMSE, {size:,} sessions": rmse[j] for j, size in enumerate(sizes)},
                **{f"bias, {size:,} sessions": bias[j] for j, size in enumerate(sizes)},
            }
        ),
        figure=figure,
        caption="RMSE relative to the true value by the largest weight allowed.",
        notes=(
            "The target is the logging pair moved towards the true relevance: the log knows its documents, so that "
            f"weights stay moderate (the largest of a log is {np.median(largest):.0f} in the median) and a clip has "
            "little variance to save. A target far from the log has more."
        ),
    )


@CLAIMS.claim(
    id="wrong-examination",
    says="The estimator needs the examination probabilities; wrong ones bias it.",
    where="Not in the abstract; the click model",
    paper="Examination probabilities are known or estimated beforehand",
    rule=(
        "True examination 1 / rank; the estimator is told rank^-eta. Natural world, long logs. (1) At eta = 1 the "
        "95% t-interval of the mean relative error over seeds lies within 2% of 0; (2) at eta = 0 and at eta = 2 it "
        "lies beyond 5% on either side of 0, with opposite signs; (3) told eta = .5 or 1.5, the ratio of the target's "
        "to the logging pair's expected clicks, with the same wrong examination as rank weights, is off by less than a "
        "third of what the DCG estimate is, on the mean over seeds. Reproduced if all hold, partly if some."
    ),
    cost=20,
    seeds={"smoke": 2, "small": 8, "full": 20},
)
def wrong_examination(ctx: Context) -> Evidence:
    """Relative error of the value, and of a ratio of values, by the assumed decay of examination."""
    import numpy as np
    import pandas as pd

    from cltr_twostage import ExposureIPS
    from cltr_twostage.claims.worlds import better_pair, natural, replicates
    from cltr_twostage.examination import inverse_rank
    from irworks.report.figures import lines_figure
    from irworks.stats import t_interval

    powers = (0.0, 0.5, 1.0, 1.5, 2.0)
    n_sessions = ctx.pick(smoke=4_000, small=64_000, full=256_000)
    value, ratio = np.zeros((2, len(ctx.seeds), len(powers)))
    for i, seed in enumerate(ctx.progress(replicates(ctx, "wrong-examination"), "seeds")):
        world = natural(ctx, seed, n_queries=40)
        target = better_pair(world)
        truth = _Truth(world, target)
        log = world.simulate(n_sessions, ctx.rng(seed))
        for j, power in enumerate(powers):
            told = inverse_rank(world.k, power)
            dcg = ExposureIPS(told, world.rank_weights, method="exact").fit(log, world.logging)
            value[i, j] = dcg.value(target).value / truth.value - 1
            clicks = ExposureIPS(told, method="exact").fit(log, world.logging)
            estimated = clicks.value(target).value / clicks.value(world.logging).value
            ratio[i, j] = estimated / truth.click_ratio - 1
    intervals = [t_interval(column) for column in value.T]
    off, ratio_off = np.abs(value.mean(axis=0)), np.abs(ratio.mean(axis=0))
    checks = {
        "right examination, no bias": intervals[2].low > -0.02 and intervals[2].high < 0.02,
        "wrong examination, bias of either sign": (intervals[0].high < -0.05 and intervals[4].low > 0.05)
        or (intervals[0].low > 0.05 and intervals[4].high < -0.05),
        "ratios of expected clicks forgive": bool((ratio_off[[1, 3]] < off[[1, 3]] / 3).all()),
    }
    return Evidence(
        measured=_examination_sentence(intervals, ratio.mean(axis=0)),
        verdict=verdict_from(checks),
        values={
            "error_uniform_low": intervals[0].low,
            "error_uniform_high": intervals[0].high,
            "error_true": intervals[2].estimate,
            "error_true_low": intervals[2].low,
            "error_true_high": intervals[2].high,
            "error_square_low": intervals[4].low,
            "error_square_high": intervals[4].high,
            "dcg_error_half": off[1],
            "dcg_error_three_halves": off[3],
            "ratio_error_half": ratio_off[1],
            "ratio_error_three_halves": ratio_off[3],
        },
        table=pd.DataFrame(
            {
                "told examination": [f"rank^-{power:g}" for power in powers],
                "error of DCG": value.mean(axis=0),
                "error of the click ratio": ratio.mean(axis=0),
            }
        ),
        figure=lines_figure(
            [f"{power:g}" for power in powers],
            {"DCG": value, "ratio of expected clicks": ratio},
            xlabel="assumed decay of examination (truth: 1)",
            ylabel="relative error",
            reference=0.0,
        ),
        caption="Means over seeds with 95% intervals.",
        notes="The target is the logging pair moved towards the true relevance: better by construction.",
    )


def _examination_sentence(intervals: Any, ratio: Any) -> str:
    dcg = ", ".join(f"{intervals[j].estimate:+.1%}" for j in (0, 2, 4))
    clicks = ", ".join(f"{ratio[j]:+.1%}" for j in (0, 2, 4))
    return (
        f"Told examination rank^0, rank^-1 (true) and rank^-2, the DCG estimate is off by {dcg}; the ratio of target "
        f"to logging pair in expected clicks by {clicks}"
    )


class _Truth:
    """What is true of a target pair: its value, and its expected clicks over those of the logging pair."""

    def __init__(self, world: "World", target: "TwoStagePolicy") -> None:
        import numpy as np

        share = np.repeat(world.query_weights, world.pool.sizes) * world.relevance
        self.value = float(share @ target.exposure(world.rank_weights, "exact").value)
        new, old = (
            float(share @ policy.exposure(world.examination, "exact").value) for policy in (target, world.logging)
        )
        self.click_ratio = new / old
