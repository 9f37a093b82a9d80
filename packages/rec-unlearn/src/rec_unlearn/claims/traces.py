"""Claims on what a removal leaves behind, and on whether anybody could tell."""

from typing import Any

from irworks.claims import Context, Evidence, verdict_from
from rec_unlearn.claims.paper import CLAIMS
from rec_unlearn.claims.sequential import INFLUENCE, LOGS, SHARE, closed, serve_all, table_of
from rec_unlearn.claims.worlds import canary_trial, groceries, train

LR = "AUC of the likelihood-ratio attack"


@CLAIMS.claim(
    id="sensitive-detectable",
    says="(Ours.) Whether forgetting sensitive items was served can be seen in the top 10 after cleaning the input.",
    where="The paper's scenario and metric: share of requesting users shown a sensitive item",
    paper="Reported for cleaned input; no control by another seed",
    rule=(
        "24 popular items of Ta-Feng stand for sensitive ones (or a category of the user's own data); requests of "
        "users who bought them. A measure sees a "
        "number of requests if the untouched model lies outside the range of three retrained ones by more than that "
        "range. The share on cleaned input sees (1) all requests, (2) 96 of them, (3) 24 of them. Reproduced if all "
        "hold, partly if some."
    ),
    data=("tafeng",),
    needs=("torch",),
    cost=45,
    seeds={"smoke": 1, "small": 1, "full": 3},
)
def sensitive_detectable(ctx: Context) -> Evidence:
    """Share and log mass, on cleaned and on original input, by number of requests."""
    from functools import partial

    import pandas as pd

    from rec_unlearn.audit import detect
    from rec_unlearn.scenarios import popular_kind, sensitive

    data = groceries(ctx)
    items = list(data.sensitive) or popular_kind(data.train, every=8, ranks=(10, 200))
    checks: dict[str, bool] = {}
    frames = []
    seen: dict[str, list[int | None]] = {}
    values: dict[str, float] = {}
    for seed in ctx.progress(ctx.seeds, "seeds"):
        scenario = sensitive(data.train, ctx.rng(200 + seed), items, least=2)
        n = len(scenario.requests)
        sizes = sorted({min(size, n) for size in ctx.pick(smoke=(4,), small=(24, 96), full=(24, 96))} | {n})
        found = detect(partial(train, "gru", ctx.device), scenario, sizes=sizes, first_seed=100 * seed)
        frame = found.to_frame()
        frames.append(frame.assign(seed=seed))
        for size in sizes:
            one = frame[(frame["requests"] == size) & (frame["measure"] == SHARE)].iloc[0]
            name = "all" if size == n else str(size)
            checks[name] = checks.get(name, True) and bool(one["detectable"])
        for name in frame["measure"].unique():
            seen.setdefault(name, []).append(found.smallest(name))
            values[f"least_{name}_{seed}"] = float(seen[name][-1] or 0)
    told = (
        f"{name} {', '.join('never' if one is None else str(one) for one in least)}" for name, least in seen.items()
    )
    return Evidence(
        measured=f"Smallest number of requests that is seen, of {n} at most, by seed: {'; '.join(told)}",
        verdict=verdict_from(checks),
        values={name.replace(" ", "_").replace(",", "").replace("-", "_"): value for name, value in values.items()},
        table=pd.concat(frames, ignore_index=True),
    )


@CLAIMS.claim(
    id="audit-calibrated",
    says="(Ours.) The audit's attacks find nothing where there is nothing: on models that never saw the users.",
    where="Against audits without a check of their error",
    paper="No interval is given",
    rule=(
        "The GRU, trained without canaries. Of 400 draws of 30 pairs of rare items and 30 others, the 95% interval of "
        "the canary AUC covers .5 in 90 to 99%; (2) so does that of the likelihood-ratio attack in 400 draws of 40 "
        "users never seen against 500 others, and (3) that of the loss attack. Means over seeds."
    ),
    data=("tafeng",),
    needs=("torch",),
    cost=25,
    seeds={"smoke": 1, "small": 2, "full": 5},
)
def audit_calibrated(ctx: Context) -> Evidence:
    """How often intervals hold .5 where it is the truth."""
    import numpy as np
    import pandas as pd

    from rec_unlearn.audit import auc, pair_scores, user_losses

    data = groceries(ctx, others=ctx.pick(smoke=60, small=1_500, full=3_000))
    log, never = data.train, data.others
    rare = _rare(log, *ctx.pick(smoke=(1, 15), small=(2, 15), full=(4, 60)))
    n, draws = ctx.pick(smoke=4, small=30, full=30), ctx.pick(smoke=20, small=400, full=400)
    asked, others = ctx.pick(smoke=(8, 40), small=(40, 500), full=(40, 500))

    def coverage(rng: np.random.Generator, scores: Any, sizes: tuple[int, int]) -> float:
        """Share of draws of two groups whose interval holds .5."""
        held = []
        for _ in range(draws):
            drawn = scores[rng.permutation(len(scores))[: sum(sizes)]]
            found = auc(drawn[: sizes[0]], drawn[sizes[0] :])
            held.append(found.low <= 0.5 <= found.high)
        return float(np.mean(held))

    rows: list[dict[str, Any]] = []
    for seed in ctx.progress(ctx.seeds, "seeds"):
        rng = ctx.rng(800 + seed)
        model, reference = (train("gru", ctx.device, log, start) for start in (seed, 10_000 + seed))
        pairs = rng.permutation(rare)[: 40 * n].reshape(-1, 2)
        planted = pair_scores(model, log, log.active_users[:30], pairs)
        losses, calibrated = (user_losses(one, never, never.active_users) for one in (model, reference))
        # The in-group of one scenario is drawn once: draws of the out-group alone are not independent.
        held = planted[rng.permutation(len(planted))]
        same = [auc(held[:n], rng.choice(held[n:], n, replace=False)) for _ in range(40)]
        rows.append(
            {
                "seed": seed,
                "canaries": coverage(rng, planted, (n, n)),
                "likelihood ratio": coverage(rng, calibrated - losses, (asked, others)),
                "loss": coverage(rng, -losses, (asked, others)),
                "canaries, 40 draws of the out-group": float(np.mean([one.low <= 0.5 <= one.high for one in same])),
            }
        )
    table = pd.DataFrame(rows)
    means = table.drop(columns="seed").mean()
    attacks = ("canaries", "likelihood ratio", "loss")
    return Evidence(
        measured=f"Intervals that hold .5: {'; '.join(f'{name} {means[name]:.3f}' for name in means.index)}",
        verdict=verdict_from({name: 0.90 <= means[name] <= 0.99 for name in attacks}),
        values={name.replace(" ", "_"): float(means[name]) for name in attacks} | {"out_group": float(means.iloc[-1])},
        table=table,
    )


def _rare(log: Any, least: int, most: int) -> Any:
    import numpy as np

    counts = np.bincount(log.item, minlength=log.n_items)
    return np.flatnonzero((counts >= least) & (counts <= most))


@CLAIMS.claim(
    id="share-saturates",
    says="(Ours.) The share of users shown an item hides what is left of it: its log-probability still gives it away.",
    where="Against the paper's metric",
    paper="Share of top k alone",
    rule=(
        "The GRU, spam scenario, 2 seeds (5 at full): of fine-tuning, the block method and the influence step, for at "
        "least half of (algorithm, seed) the share is within .02 of the retrained models' while the part of the gap "
        "that the share closes exceeds that of the log-probability by more than .3. Reproduced if so for at least "
        "half, partly if for any."
    ),
    data=("tafeng",),
    needs=("torch",),
    cost=50,
    seeds={"smoke": 1, "small": 2, "full": 5},
)
def share_saturates(ctx: Context) -> Evidence:
    """Both gaps, side by side."""
    from irworks.claims import Verdict

    algorithms: dict[str, dict[str, Any]] = {"scif": INFLUENCE["gru"], "fine-tune": {}, "block": {}}
    rows: list[Any] = []
    for seed in ctx.progress(ctx.seeds, "seeds"):
        rows += serve_all(ctx, "gru", seed, algorithms)
    hidden = [
        row[SHARE]["value"] <= 0.02 + max(row[SHARE]["retrained"]) and closed(row, SHARE) - closed(row, LOGS) > 0.3
        for row in rows
    ]
    part = sum(hidden) / len(hidden)
    verdict = Verdict.REPRODUCED if part >= 0.5 else Verdict.PARTLY if part else Verdict.NOT_REPRODUCED
    parts = {
        label: [(closed(row, SHARE), closed(row, LOGS)) for row in rows if row["label"] == label]
        for label in algorithms
    }
    return Evidence(
        measured="Closed of the gap by share and by log-probability: "
        + "; ".join(
            f"{label} {' '.join(f'{share:.2f}/{logs:.2f}' for share, logs in pairs)}" for label, pairs in parts.items()
        ),
        verdict=verdict,
        values={"hidden": part},
        table=table_of(rows),
    )


@CLAIMS.claim(
    id="membership-survives",
    says="(Ours.) A membership test with a reference model still finds users whom an influence step removed.",
    where="Against utility and closeness as evidence of forgetting",
    paper="SCIF leads in utility and closeness",
    rule=(
        "The GRU; accounts, some with canaries, removed one after the other. Area under the curve of the "
        "likelihood-ratio attack (removed users against users never seen, one reference): (1) untouched at least .85; "
        "(2) after the influence step at least .15 above the largest of the retrained models, (3) while nDCG@10 is "
        "within .005 of theirs; means over seeds. (4) Calibrating the length of the step brings it to within .15 of "
        "the mean of the retrained models, (5) with nDCG@10 within .004 of theirs."
    ),
    data=("tafeng",),
    needs=("torch",),
    cost=85,
    seeds={"smoke": 1, "small": 2, "full": 3},
)
def membership_survives(ctx: Context) -> Evidence:
    """The attack on four algorithms."""
    import numpy as np

    from rec_unlearn.algorithms import make_algorithm
    from rec_unlearn.bench.trial import make_controls, serve

    data = groceries(ctx)
    labels = {"none": {}, "scif": INFLUENCE["gru"], "calibrated": {}, "fine-tune": {}}
    rows: list[Any] = []
    for seed in ctx.progress(ctx.seeds, "seeds"):
        trial = canary_trial(ctx, data, "gru", seed, n_references=1)
        controls = make_controls(trial)
        for label, arguments in labels.items():
            served = serve(trial, controls, make_algorithm(label, **arguments))
            rows += [{**row, "label": label, "seed": seed} for row in served]
    mean = {label: float(np.mean([row[LR]["value"] for row in rows if row["label"] == label])) for label in labels}
    retrained = [np.array(row[LR]["retrained"]) for row in rows if row["label"] == "none"]
    top, middle = float(np.mean([r.max() for r in retrained])), float(np.mean([r.mean() for r in retrained]))
    lost = {
        label: float(np.mean([np.mean(row["ndcg_retrained"]) - row["ndcg"] for row in rows if row["label"] == label]))
        for label in ("scif", "calibrated")
    }
    return Evidence(
        measured=(
            f"AUC untouched {mean['none']:.3f}, influence step {mean['scif']:.3f}, calibrated "
            f"{mean['calibrated']:.3f}, fine-tuned {mean['fine-tune']:.3f}, retrained {middle:.3f} (largest {top:.3f})"
            f"; nDCG@10 lost: influence step {lost['scif']:.4f}, calibrated {lost['calibrated']:.4f}"
        ),
        verdict=verdict_from(
            {
                "untouched": mean["none"] >= 0.85,
                "survives": mean["scif"] >= top + 0.15,
                "utility": abs(lost["scif"]) <= 0.005,
                "calibrated": abs(mean["calibrated"] - middle) <= 0.15,
                "utility when calibrated": abs(lost["calibrated"]) <= 0.004,
            }
        ),
        values={name.replace("-", "_"): value for name, value in mean.items()}
        | {"retrained": middle, "retrained_largest": top}
        | {f"ndcg_lost_{label}": value for label, value in lost.items()},
        table=_membership_table(rows),
    )


def _membership_table(rows: list[Any]) -> Any:
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "seed": row["seed"],
                "algorithm": row["label"],
                "likelihood-ratio AUC": row[LR]["value"],
                "retrained": ", ".join(f"{value:.3f}" for value in row[LR]["retrained"]),
                "loss attack AUC": row["AUC of the loss attack"]["value"],
                "canary AUC": row["AUC of the canaries"]["value"],
                "nDCG@10": row["ndcg"],
                "overlap": row["overlap"],
                "s a request": row["seconds"],
            }
            for row in rows
        ]
    )
