"""Claims on the logging policy: when it biases a two-tower model, and when not (Sections 5.2 and 5.3)."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from irworks.claims import Context, Evidence, verdict_from
from ltr_twotower.claims import worlds
from ltr_twotower.claims.paper import CLAIMS

if TYPE_CHECKING:
    from ltr_twotower.simulate import World


@CLAIMS.claim(
    id="well-specified-unbiased",
    says="A logging policy adds no bias when the model captures user behaviour perfectly.",
    where="Section 5.2",
    paper="nDCG unchanged from uniform to expert logging",
    rule=(
        "Linear relevance, linear tower, all features visible; expert, random and inverse policies at T = 0.05, 0.333 "
        "and 1. The range of held-out nDCG@10 over the nine policies is below 0.002 on every seed, and theta's mean "
        "absolute error is below 0.05 on average over seeds for each policy. Reproduced if both hold, partly if one."
    ),
    cost=25,
    seeds={"smoke": 2, "small": 5, "full": 5},
)
def well_specified_unbiased(ctx: Context) -> Evidence:
    """Nine policies on a world that the model can represent."""
    import numpy as np
    import pandas as pd

    from irworks.report.figures import lines_figure
    from ltr_twotower.claims.experiments import compare

    n_sessions = ctx.pick(smoke=4_000, small=150_000, full=1_000_000)
    policies = [(strength, T) for strength in (1.0, 0.0, -1.0) for T in (0.05, 0.333, 1.0)]
    ndcg = np.zeros((len(ctx.seeds), len(policies)))
    error = np.zeros_like(ndcg)
    for i, seed in enumerate(ctx.progress(ctx.seeds, "seeds")):
        world, rng = worlds.linear(ctx, seed), ctx.rng(1000 + seed)
        for j, (strength, T) in enumerate(policies):
            result = compare(world, n_sessions, rng, temperature=T, strength=strength, fits=("naive",))
            ndcg[i, j], error[i, j] = result.ndcg["naive"], result.theta_error["naive"]
    spread = np.ptp(ndcg, axis=1)
    checks = {"nDCG is flat": bool(spread.max() < 0.002), "theta is right": bool(error.mean(axis=0).max() < 0.05)}
    names = [f"{_policy_name(s)} T={T:g}" for s, T in policies]
    return Evidence(
        measured=(
            f"Range of nDCG@10 over nine policies at most {spread.max():.1g}; theta error at most "
            f"{error.mean(axis=0).max():.3f} on average"
        ),
        verdict=verdict_from(checks),
        values={"max_ndcg_range": spread.max(), "max_mean_theta_error": error.mean(axis=0).max()},
        table=pd.DataFrame({"policy": names, "nDCG@10": ndcg.mean(axis=0), "theta error": error.mean(axis=0)}),
        figure=lines_figure(
            [f"{T:g}" for T in (0.05, 0.333, 1.0)],
            {_policy_name(s): error[:, 3 * i : 3 * i + 3] for i, s in enumerate((1.0, 0.0, -1.0))},
            xlabel="share of shuffled lists T",
            ylabel="mean |θ error|",
        ),
        caption=(
            "Error of theta stays at sampling noise from a strong policy (left) to a uniform one (right): compare its "
            "size with the next claims'."
        ),
    )


@CLAIMS.claim(
    id="misspecified-biased",
    says=(
        "When the model misses something that correlates with placement, the logging policy biases theta, the more so "
        "the stronger the correlation."
    ),
    where="Section 5.3",
    paper="Position bias is overestimated under an expert policy and underestimated under its inverse",
    rule=(
        "Tower without 8 of 20 features; the bias of a policy is the mean absolute distance of its theta from that of "
        "a uniform policy on another log. (1) At T = 0.05 it is above 0.1: lower end of the 95% t-interval over "
        "seeds. (2) Over T = 1, 0.666, 0.333, 0.1, 0.05 its mean rises at every step. (3) The expert moves theta_10 "
        "down and the inverse policy moves it up, on every seed at T = 0.05. (4) Control: with all features (1) "
        "fails. Reproduced if all hold, partly if some."
    ),
    cost=40,
    seeds={"smoke": 2, "small": 5, "full": 5},
)
def misspecified_biased(ctx: Context) -> Evidence:
    """Distance of theta from the uniform policy's by strength of the policy, for a tower that misses features."""
    import numpy as np
    import pandas as pd

    from irworks.report.figures import lines_figure
    from irworks.stats import t_interval
    from ltr_twotower.claims.experiments import compare, placement_correlation

    n_sessions = ctx.pick(smoke=4_000, small=150_000, full=1_000_000)
    temperatures = (1.0, 0.666, 0.333, 0.1, 0.05)
    shape = (len(ctx.seeds), len(temperatures))
    expert, control, last_expert, last_inverse, placement = np.zeros((5, *shape))
    for i, seed in enumerate(ctx.progress(ctx.seeds, "seeds")):
        world, complete, rng = worlds.omitted(ctx, seed), worlds.linear(ctx, seed), ctx.rng(1000 + seed)
        target, complete_target = (
            compare(w, n_sessions, rng, temperature=1.0, fits=("naive",)).theta["naive"] for w in (world, complete)
        )
        for j, T in enumerate(temperatures):
            result = compare(world, n_sessions, rng, temperature=T, fits=("naive",))
            inverse = compare(world, n_sessions, rng, temperature=T, strength=-1.0, fits=("naive",))
            whole = compare(complete, n_sessions, rng, temperature=T, fits=("naive",))
            expert[i, j] = np.abs(result.theta["naive"] - target)[1:].mean()
            control[i, j] = np.abs(whole.theta["naive"] - complete_target)[1:].mean()
            last_expert[i, j] = (result.theta["naive"] - target)[-1]
            last_inverse[i, j] = (inverse.theta["naive"] - target)[-1]
            placement[i, j] = placement_correlation(result.log)
    bias, control_bias = t_interval(expert[:, -1]), t_interval(control[:, -1])
    checks = {
        "a strong policy biases theta": bias.low > 0.1,
        "the stronger, the more": bool((np.diff(expert.mean(axis=0)) > 0).all()),
        "expert and inverse bias in opposite directions": bool(
            (last_expert[:, -1] < 0).all() and (last_inverse[:, -1] > 0).all()
        ),
        "the control shows none of it": control_bias.low <= 0.1,
    }
    return Evidence(
        measured=(
            f"Theta at T = 0.05 lies {bias} from the uniform policy's (with all features {control_bias}); theta_10 "
            f"moves by {last_expert[:, -1].mean():+.2f} under the expert and {last_inverse[:, -1].mean():+.2f} under "
            "its inverse"
        ),
        verdict=verdict_from(checks),
        values={
            "bias": bias.estimate,
            "bias_low": bias.low,
            "control_bias": control_bias.estimate,
            "control_bias_low": control_bias.low,
            "max_shift_of_last_rank_expert": last_expert[:, -1].max(),
            "min_shift_of_last_rank_inverse": last_inverse[:, -1].min(),
            "min_step": float(np.diff(expert.mean(axis=0)).min()),
        },
        table=pd.DataFrame(
            {
                "T": temperatures,
                "residual-placement correlation": placement.mean(axis=0),
                "distance from uniform theta": expert.mean(axis=0),
                "shift of the last rank, expert": last_expert.mean(axis=0),
                "shift of the last rank, inverse": last_inverse.mean(axis=0),
                "distance, control": control.mean(axis=0),
            }
        ),
        figure=lines_figure(
            temperatures,
            {"features omitted": expert, "all features (control)": control},
            xlabel="share of shuffled lists T (right: strong policy)",
            ylabel="mean |θ − θ of a uniform policy|",
        ),
        caption=(
            "The stronger the policy, the more of the missing relevance theta absorbs. With all features nothing "
            "happens."
        ),
        notes=(
            "The distance is to the uniform policy's theta rather than to the true one: a misspecified model misses "
            "the truth under any policy, and the two errors can cancel."
        ),
    )


@CLAIMS.claim(
    id="misspecified-hurts-ranking",
    says="Under misspecification, well-performing logging policies can lower ranking performance.",
    where="Sections 1 and 6.3",
    paper="nDCG falls with the strength of the policy when the model is misspecified",
    rule=(
        "Query-effect world. (1) Held-out nDCG@10 after the expert policy at T = 0.02 minus that after the uniform "
        "policy: 95% t-interval of the paired difference over seeds below -0.02. (2) In the omitted-features world, "
        "an ordinary misfit, the same difference also lies below -0.005. Reproduced if both hold, partly if one: the "
        "first is a constructed case, the second asks whether it is common."
    ),
    cost=25,
    seeds={"smoke": 2, "small": 10, "full": 10},
)
def misspecified_hurts_ranking(ctx: Context) -> Evidence:
    """Held-out nDCG against the strength of the policy, in a constructed and in an ordinary misfit."""
    import numpy as np
    import pandas as pd

    from irworks.report.figures import lines_figure
    from irworks.stats import t_interval
    from ltr_twotower.claims.experiments import compare

    n_sessions = ctx.pick(smoke=4_000, small=120_000, full=1_000_000)
    temperatures = (1.0, 0.333, 0.1, 0.02)
    bad_case = ctx.pick(smoke="query effect", small="query effect", full="original labels")
    makers: dict[str, Callable[[Context, int], World]] = {
        bad_case: worlds.query_effect,
        "features omitted": worlds.omitted,
    }
    ndcg = {name: np.zeros((len(ctx.seeds), len(temperatures))) for name in makers}
    for i, seed in enumerate(ctx.progress(ctx.seeds, "seeds")):
        for name, make in makers.items():
            world, rng = make(ctx, seed), ctx.rng(1000 + seed)
            for j, T in enumerate(temperatures):
                ndcg[name][i, j] = compare(world, n_sessions, rng, temperature=T, fits=("naive",)).ndcg["naive"]
    drop = {name: t_interval(values[:, -1] - values[:, 0]) for name, values in ndcg.items()}
    checks = {
        bad_case: drop[bad_case].high < -0.02,
        "ordinary misfit": drop["features omitted"].high < -0.005,
    }
    return Evidence(
        measured=(
            f"nDCG@10, strong minus uniform policy: {drop[bad_case]} with {bad_case}, {drop['features omitted']} with "
            "omitted features"
        ),
        verdict=verdict_from(checks),
        values={
            f"{name.replace(' ', '_')}_{part}": getattr(drop[name], part)
            for name in drop
            for part in ("estimate", "low", "high")
        },
        table=pd.DataFrame(
            {"T": temperatures, **{f"nDCG@10, {name}": values.mean(axis=0) for name, values in ndcg.items()}}
        ),
        figure=lines_figure(
            temperatures, ndcg, xlabel="share of shuffled lists T (right: strong policy)", ylabel="held-out nDCG@10"
        ),
        caption=(
            "A strong policy costs ranking quality where the missing relevance interacts with the visible features, "
            "and hardly elsewhere."
        ),
        notes=(
            "With independent features an omitted part only shrinks the weights, which does not reorder documents: "
            "theta can be badly wrong and nDCG fine."
        ),
    )


def _policy_name(strength: float) -> str:
    return {1.0: "expert", 0.0: "random ranker", -1.0: "inverse"}[strength]
