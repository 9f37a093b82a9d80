"""Claims on many small requests, one after the other."""

from typing import TYPE_CHECKING, Any

from irworks.claims import Context, Evidence, verdict_from
from rec_unlearn.claims.paper import CLAIMS
from rec_unlearn.claims.worlds import Kind, groceries, spam_trial

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARE, LOGS = "share shown a target", "log-probability of the targets"
# Names and settings of the algorithms that claims compare, as a user would make them.
INFLUENCE: dict[Kind, dict[str, Any]] = {"gru": {"damping": 3e-3}, "attention": {"damping": 3e-2}}
GENERAL = ("fine-tune", "kookmin", "fanchuan", "gradient-ascent")


def serve_all(ctx: Context, kind: Kind, seed: int, algorithms: dict[str, dict[str, Any]], **settings: Any) -> list[Any]:
    """Let algorithms serve the spam scenario; the last row of each, with its label."""
    from rec_unlearn.algorithms import make_algorithm
    from rec_unlearn.bench.trial import make_controls, serve

    trial = spam_trial(ctx, groceries(ctx), kind, seed, **settings)
    controls = make_controls(trial)
    found = []
    for label, arguments in algorithms.items():
        algorithm = make_algorithm(label.split(" ", maxsplit=1)[0], **arguments)
        found += [{**row, "label": label, "model": kind, "seed": seed} for row in serve(trial, controls, algorithm)]
    return found


def table_of(rows: list[Any]) -> Any:
    """A row an algorithm and seed, with the columns that a reader compares."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "model": row["model"],
                "seed": row["seed"],
                "algorithm": row["label"],
                "requests": row["requests"],
                "share shown": row[SHARE]["value"],
                "retrained": max(row[SHARE]["retrained"]),
                "log-prob. gap closed": closed(row, LOGS),
                "nDCG@10": row["ndcg"],
                "retrained nDCG": sum(row["ndcg_retrained"]) / len(row["ndcg_retrained"]),
                "overlap": row["overlap"],
                "floor": sum(row["overlap_floor"]) / len(row["overlap_floor"]),
                "s a request": row["seconds"],
            }
            for row in rows
        ]
    )


def closed(row: Any, measure: str) -> float:
    """Share of the gap between the untouched and the retrained models that is closed, even where the gap is noise."""
    one = row[measure]
    target = sum(one["retrained"]) / len(one["retrained"])
    gap = one["untouched"] - target
    return float((one["untouched"] - one["value"]) / gap) if gap else float(one["value"] == target)


def passes(rows: list[Any]) -> dict[str, bool]:
    """Whether an algorithm, over seeds, forgets spam and keeps the rest: the rule of `works-for-sequential`."""
    from irworks.stats import t_interval

    share = all(row[SHARE]["value"] <= 0.02 + max(row[SHARE]["retrained"]) for row in rows)
    near = [row["overlap"] - sum(row["overlap_floor"]) / len(row["overlap_floor"]) for row in rows]
    good = [row["ndcg"] - sum(row["ndcg_retrained"]) / len(row["ndcg_retrained"]) for row in rows]
    low = (t_interval(values).low if len(values) > 1 else values[0] for values in (near, good))
    overlap_low, ndcg_low = low
    return {"share": share, "overlap": overlap_low >= -0.03, "ndcg": ndcg_low >= -0.005}


@CLAIMS.claim(
    id="works-for-sequential",
    says="Unlearning also works for sequential recommendation models that face many small requests.",
    where="Abstract; preliminary experiment",
    paper="Sets2Sets on Instacart; utility kept, sensitive items gone",
    rule=(
        "Ta-Feng, spam accounts that push one item, removed one after the other, 3 seeds. The untouched model shows "
        "the item to more than .15 of real users and the retrained ones to less than .02, else nothing can be told. "
        "On a model, an algorithm passes if (1) on every seed the share shown the item is at most .02 above the "
        "retrained models', (2) agreement of the top 10 with the retrained model is not below that of another seed "
        "(lower end of the paired 95% t-interval above -.03), (3) nor nDCG@10 (above -.005). Reproduced if one of the "
        "influence steps passes on the GRU and one on the attention model; partly if on one of them."
    ),
    data=("tafeng",),
    needs=("torch",),
    cost=130,
    seeds={"smoke": 1, "small": 3, "full": 5},
)
def works_for_sequential(ctx: Context) -> Evidence:
    """Two influence steps on two architectures."""
    kinds: tuple[Kind, ...] = ("gru", "attention")
    rows: list[Any] = []
    for seed in ctx.progress(ctx.seeds, "seeds"):
        for kind in kinds:
            algorithms: dict[str, dict[str, Any]] = {"none": {}, "scif": INFLUENCE[kind], "calibrated": {}}
            rows += serve_all(ctx, kind, seed, algorithms)
    checks: dict[str, bool] = {}
    values: dict[str, float] = {}
    told: list[str] = []
    for kind in kinds:
        mine = [row for row in rows if row["model"] == kind]
        untouched = [row for row in mine if row["label"] == "none"]
        seen = all(row[SHARE]["value"] > 0.15 and max(row[SHARE]["retrained"]) < 0.02 for row in untouched)
        results = {label: passes([row for row in mine if row["label"] == label]) for label in ("scif", "calibrated")}
        best = max(results, key=lambda label: sum(results[label].values()))
        checks[kind] = seen and all(results[best].values())
        last = [row for row in mine if row["label"] == best]
        shares = [row[SHARE]["value"] for row in last]
        values[f"{kind}_seen"] = float(seen)
        values[f"{kind}_share"] = max(shares)
        values[f"{kind}_untouched"] = min(row[SHARE]["value"] for row in untouched)
        values[f"{kind}_overlap"] = sum(row["overlap"] for row in last) / len(last)
        values[f"{kind}_ndcg"] = sum(row["ndcg"] for row in last) / len(last)
        values |= {f"{kind}_{name}_holds": float(value) for name, value in results[best].items()}
        told.append(
            f"{kind}: share {values[f'{kind}_untouched']:.3f} to at most {max(shares):.3f}, overlap "
            f"{values[f'{kind}_overlap']:.3f}, nDCG@10 {values[f'{kind}_ndcg']:.3f} ({best})"
            + ("" if seen else "; not detectable")
        )
    return Evidence(
        measured="; ".join(told),
        verdict=verdict_from(checks),
        values=values,
        table=table_of(rows),
    )


@CLAIMS.claim(
    id="influence-beats-general",
    says="A recommender-specific algorithm, modified SCIF, clearly outperforms general unlearning algorithms.",
    where="Abstract; preliminary experiment",
    paper="SCIF ahead of Kookmin and Fanchuan",
    rule=(
        "The GRU, spam scenario, 3 seeds; against fine-tuning, Kookmin, Fanchuan and gradient ascent, each by the "
        "paired 95% t-interval over seeds: (1) agreement with the retrained model is higher; (2) nDCG@10 is not lower "
        "by more than .005; (3) the share of the log-probability gap that stays open, |1 - closed|, is smaller. "
        "Reproduced if all hold against all four; partly if (1) does."
    ),
    data=("tafeng",),
    needs=("torch",),
    cost=110,
    seeds={"smoke": 2, "small": 3, "full": 5},
)
def influence_beats_general(ctx: Context) -> Evidence:
    """SCIF and four general algorithms side by side."""
    from irworks.claims import Verdict
    from irworks.stats import t_interval

    algorithms: dict[str, dict[str, Any]] = {"scif": INFLUENCE["gru"]} | {name: {} for name in GENERAL}
    rows: list[Any] = []
    for seed in ctx.progress(ctx.seeds, "seeds"):
        rows += serve_all(ctx, "gru", seed, algorithms)

    def of(label: str, what: Any) -> list[float]:
        return [what(row) for row in rows if row["label"] == label]

    measures = {
        "overlap": (lambda row: row["overlap"], 0.0),
        "ndcg": (lambda row: row["ndcg"], -0.005),
        "gap": (lambda row: -abs(1 - closed(row, LOGS)), 0.0),
    }
    checks, values = {}, {}
    for name, (what, least) in measures.items():
        for label in GENERAL:
            paired = [a - b for a, b in zip(of("scif", what), of(label, what), strict=True)]
            low = t_interval(paired).low
            checks[f"{name} {label}"] = low > least
            values[f"{name}_over_{label.replace('-', '_')}_low"] = low
    verdict = verdict_from(checks)
    if verdict is not Verdict.REPRODUCED:
        ahead = all(checks[f"overlap {label}"] for label in GENERAL)
        verdict = Verdict.PARTLY if ahead else Verdict.NOT_REPRODUCED
    means = {label: sum(of(label, lambda row: row["overlap"])) / len(ctx.seeds) for label in algorithms}
    gaps = {label: sum(of(label, lambda row: closed(row, LOGS))) / len(ctx.seeds) for label in algorithms}
    return Evidence(
        measured="Overlap with the retrained model and log-probability gap closed: "
        + "; ".join(f"{label} {means[label]:.3f}, {gaps[label]:.2f}" for label in algorithms),
        verdict=verdict,
        values=values | {f"overlap_{label.replace('-', '_')}": value for label, value in means.items()},
        table=table_of(rows),
    )


@CLAIMS.claim(
    id="latency",
    says="Unlearning can be executed with a latency of only several seconds.",
    where="Abstract",
    paper="Several seconds a request, on a GPU",
    rule=(
        "The GRU, 2,500 users, spam scenario, one processor: (1) a request takes the influence step less than a second "
        "of processor time, (2) at most a twentieth of training again (geometric mean over seeds)."
    ),
    data=("tafeng",),
    needs=("torch",),
    cost=25,
    seeds={"smoke": 1, "small": 3, "full": 3},
)
def latency(ctx: Context) -> Evidence:
    """Processor seconds of a request and of a training, in one run."""
    import time

    import numpy as np

    from rec_unlearn import unlearn
    from rec_unlearn.algorithms import make_algorithm
    from rec_unlearn.claims.worlds import train

    data, requests, trainings = groceries(ctx, small=2_500), [], []
    for seed in ctx.progress(ctx.seeds, "seeds"):
        scenario = spam_trial(ctx, data, "gru", seed).scenario
        started = time.process_time()
        model = train("gru", ctx.device, scenario.log, seed)
        trainings.append(time.process_time() - started)
        log, algorithm = scenario.log, make_algorithm("scif", **INFLUENCE["gru"])
        seconds: list[float] = []
        for request in scenario.requests[:20]:
            report = unlearn(model, request, log=log, algorithm=algorithm)
            log, seconds = report.log, [*seconds, report.cpu_seconds]
        requests.append(float(np.median(seconds)))
    ratio = float(np.exp(np.mean(np.log(np.array(trainings) / requests))))
    slowest = max(requests)
    return Evidence(
        measured=f"{1000 * slowest:.0f} ms a request at most (median), {ratio:.0f} times faster than training again",
        verdict=verdict_from({"under a second": slowest < 1, "a twentieth": ratio >= 20}),
        values={"seconds": slowest, "ratio": ratio, "train_seconds": float(np.mean(trainings))},
    )


@CLAIMS.claim(
    id="sequential-decay",
    says="Repeated requests expose weaknesses of general algorithms; recommender-specific ones are more reliable.",
    where="ERASE (arXiv 2603.08341), abstract",
    paper="Most on attention and recurrent models",
    rule=(
        "Spam scenario, agreement with the model trained again after 1/4 and 4/4 of the requests: (1) the influence "
        "step loses less of it than fine-tuning on the GRU, and (2) on the attention model (mean over seeds, by more "
        "than .02)."
    ),
    data=("tafeng",),
    needs=("torch",),
    cost=55,
    seeds={"smoke": 1, "small": 1, "full": 5},
)
def sequential_decay(ctx: Context) -> Evidence:
    """Agreement by number of requests, for two algorithms and two architectures."""
    import numpy as np

    kinds: tuple[Kind, ...] = ("gru", "attention")
    rows: list[Any] = []
    for seed in ctx.progress(ctx.seeds, "seeds"):
        for kind in kinds:
            algorithms: dict[str, dict[str, Any]] = {"scif": INFLUENCE[kind], "fine-tune": {}}
            rows += serve_all(ctx, kind, seed, algorithms, checkpoints=(0.25, 1.0))
    checks: dict[str, bool] = {}
    values: dict[str, float] = {}
    curves: dict[str, tuple[list[int], list[float]]] = {}
    for kind in kinds:
        for label in ("scif", "fine-tune"):
            mine = [row for row in rows if row["model"] == kind and row["label"] == label]
            stops = sorted({row["requests"] for row in mine})
            curve = [float(np.mean([row["overlap"] for row in mine if row["requests"] == stop])) for stop in stops]
            curves[f"{kind}, {label}"] = (stops, curve)
            values[f"{kind}_{label.replace('-', '_')}_loss"] = curve[0] - curve[-1]
        checks[kind] = values[f"{kind}_fine_tune_loss"] - values[f"{kind}_scif_loss"] > 0.02
    return Evidence(
        measured="Loss of agreement from a quarter to all of the requests: "
        + "; ".join(f"{name} {curve[0] - curve[-1]:+.3f}" for name, (_, curve) in curves.items()),
        verdict=verdict_from(checks),
        values=values,
        table=table_of(rows),
        figure=_decay_figure(curves),
        caption="Agreement of the top 10 with the model trained again on what is left.",
    )


def _decay_figure(curves: dict[str, tuple[list[int], list[float]]]) -> "Figure":
    from irworks.report.figures import canvas

    figure, axes = canvas()
    for name, (stops, curve) in curves.items():
        axes.plot(stops, curve, marker="o", label=name)
    axes.set(xlabel="requests served", ylabel="overlap@10")
    axes.legend()
    return figure
