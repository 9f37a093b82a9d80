"""The methods of `benchmarks/cltr_twostage.py`, one per process, in the workspace's environment.

This file is apart from the benchmark because a script of that name hides the package `cltr_twostage` from its own
imports.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_context
from time import perf_counter
from typing import Any

import numpy as np
from meter import Arrays, Measured, cpu_seconds, peak_mebibytes, repeat, serve

# What the processes that share one method's work find when they are forked.
INHERITED: dict[str, Any] = {}


# -- worlds -----------------------------------------------------------------------------------------------------------


def world(
    _: Arrays, *, queries: int, docs: int, n_candidates: int, k: int, sessions: int, seed: int
) -> tuple[Measured, Arrays]:
    """A log of clicks under a logging pair of policies, and the scores of a pair to evaluate.

    The generator sees one half of what makes a document relevant and the ranker the other, both through noise; the
    pair to evaluate sees with less noise. Examination 1/k.

    Returns:
        Seconds to draw the log; `query` [n], `docs` and `clicks` [n, k], `offsets`, `examination`, `relevance`, and the
        scores of both stages of both pairs [n_rows].
    """
    from irworks.simulate import PositionBased, simulate_clicks

    rng = np.random.default_rng(seed)
    rows = queries * docs
    seen_first, seen_second = rng.normal(size=(2, rows))
    logits = 0.8 * (seen_first + seen_second) - 1.5
    arrays: Arrays = {
        "offsets": np.arange(queries + 1) * docs,
        "examination": 1 / np.arange(1, k + 1),
        "relevance": 1 / (1 + np.exp(-logits)),
        "n_candidates": np.array(n_candidates),
        "logging_candidate": 0.5 * seen_first + 0.5 * rng.normal(size=rows),
        "logging_ranker": 0.5 * seen_second + 0.5 * rng.normal(size=rows),
        "target_candidate": seen_first + 0.2 * rng.normal(size=rows),
        "target_ranker": seen_second + 0.2 * rng.normal(size=rows),
    }
    start = perf_counter()
    log = simulate_clicks(_policy(arrays, "logging"), PositionBased(arrays["examination"]), logits, sessions, rng)
    seconds = perf_counter() - start
    return {"fit_seconds": seconds}, arrays | {"query": log.query, "docs": log.docs, "clicks": log.clicks}


def placements(data: Arrays, *, sessions: int) -> tuple[Measured, Arrays]:
    """The first sessions of a world, with exact placement probabilities of both pairs: what obp has to be given."""
    out = {name: data[name][:sessions] for name in ("query", "docs", "clicks")}
    out |= {name: values for name, values in data.items() if name not in out}
    start = perf_counter()
    out |= {name: _policy(data, name).placement("exact").value for name in ("logging", "target")}
    return {"fit_seconds": perf_counter() - start}, out


# -- the log ----------------------------------------------------------------------------------------------------------


def aggregate(data: Arrays, *, repeats: int, n_samples: int) -> tuple[Measured, Arrays]:
    """`ExposureIPS.fit` from the raw arrays, given the exposure of the logging pair, which is timed apart."""
    from cltr_twostage import ExposureIPS, Pool

    policy = _policy(data, "logging")
    pool = Pool(data["offsets"])
    start = perf_counter()
    exposure = policy.exposure(data["examination"], n_samples=n_samples)
    exposure_seconds = perf_counter() - start
    # A million sessions show documents that the Monte Carlo has not drawn: its standard error stands in for their zero.
    given = np.maximum(exposure.value, exposure.stderr)
    before = peak_mebibytes()

    def fit() -> Any:
        return ExposureIPS(data["examination"]).fit(_log(data), given, pool=pool)

    begun = perf_counter()
    fit()
    first = perf_counter() - begun
    fitted, timing = repeat(fit, repeats)
    measured = {
        **timing,
        "first_fit_seconds": first,
        "log_seconds": repeat(lambda: _log(data), repeats)[1]["fit_seconds"],
        "exposure_seconds": exposure_seconds,
        "exposure_exact": bool(exposure.exact),
        "peak_mebibytes": peak_mebibytes(),
        "peak_mebibytes_before_fit": before,
        "relevance_error": _weighted_error(fitted.relevance_, data["relevance"], given),
    }
    return measured, {}


def pairs(data: Arrays, *, generators: int, rankers: int, jobs: int, seed: int) -> tuple[Measured, Arrays]:
    """Every pair of some generators and some rankers evaluated on one fitted estimator, exposures included.

    `jobs` processes share the pairs and the fitted estimator.
    """
    from cltr_twostage import ExposureIPS

    rng = np.random.default_rng(seed)
    noise = rng.normal(scale=0.3, size=(generators + rankers, int(data["offsets"][-1])))
    logging, target = _policy(data, "logging"), _policy(data, "target")
    estimator = ExposureIPS(data["examination"]).fit(_log(data), logging)
    before = peak_mebibytes()
    policies = [
        target.replace(candidate=target.candidate_scores + first, ranker=target.ranker_scores + second)
        for first in noise[:generators]
        for second in noise[generators:]
    ]
    INHERITED.update(estimator=estimator, policies=policies, jobs=jobs)
    start = perf_counter()
    with ProcessPoolExecutor(jobs, mp_context=get_context("fork")) as pool:
        parts = list(pool.map(_evaluate_part, range(jobs)))
    seconds = perf_counter() - start
    some = [target.replace(candidate=target.candidate_scores + first) for first in noise[:3]]
    exposures = [estimator._exposure(policy) for policy in some]
    measured = {
        "fit_seconds": seconds,
        "cpu_seconds": sum(cpu for _, _, cpu in parts),
        "jobs": jobs,
        "pairs": len(policies),
        "exact": all(one.exact for one in exposures),
        "mean_value": float(np.mean([value for values, _, _ in parts for value in values])),
        "mean_stderr": float(np.mean([error for _, errors, _ in parts for error in errors])),
        "peak_mebibytes": peak_mebibytes(),
        "peak_mebibytes_before_fit": before,
    }
    return measured, {}


def _evaluate_part(first: int) -> tuple[list[float], list[float], float]:
    """Values and standard errors of one process's share of the pairs, and its CPU seconds."""
    cpu = cpu_seconds()
    estimates = INHERITED["estimator"].values(INHERITED["policies"][first :: INHERITED["jobs"]])
    return [one.value for one in estimates], [one.stderr for one in estimates], cpu_seconds() - cpu


def item_position(data: Arrays, *, repeats: int) -> tuple[Measured, Arrays]:
    """`ItemPositionIPS` from the raw arrays to value, standard error, interval and diagnostics.

    The placement probabilities of both pairs are there before the clock starts, as they are for obp.
    """
    from cltr_twostage import ItemPositionIPS

    logging, target = _policy(data, "logging"), _policy(data, "target")
    for policy in (logging, target):
        policy.placement("exact")
    before = peak_mebibytes()

    def fit() -> Any:
        return ItemPositionIPS(data["examination"], method="exact").fit(_log(data), logging)

    begun = perf_counter()
    estimate = fit().value(target)
    first = perf_counter() - begun
    fitted, fitting = repeat(fit, repeats)
    _, again = repeat(lambda: fitted.value(target), repeats)
    estimate, timing = repeat(lambda: fit().value(target), repeats)
    measured = {
        **timing,
        "first_fit_seconds": first,
        "log_seconds": repeat(lambda: _log(data), repeats)[1]["fit_seconds"],
        "log_and_fit_seconds": fitting["fit_seconds"],
        "value_seconds": again["fit_seconds"],
        "value": float(estimate.value),
        "stderr": float(estimate.stderr),
        "ci": [float(estimate.ci.low), float(estimate.ci.high)],
        "peak_mebibytes": peak_mebibytes(),
        "peak_mebibytes_before_fit": before,
    }
    return measured, {}


# -- policies ---------------------------------------------------------------------------------------------------------


def exposure(
    _: Arrays, *, queries: int, docs: int, n_candidates: int, k: int, n_samples: int, repeats: int, seed: int
) -> tuple[Measured, Arrays]:
    """Exposure of a pair of policies, exact and by Monte Carlo.

    Returns:
        Seconds of both, the largest difference between them and in standard errors of the Monte Carlo, and how far the
        exact exposures of a query are from the sum of the rank weights.
    """
    from cltr_twostage import TwoStagePolicy

    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(2, queries * docs))
    weights = 1 / np.log2(np.arange(2, k + 2))
    offsets = np.arange(queries + 1) * docs

    def drawn(method: str) -> Any:
        policy = TwoStagePolicy(*scores, n_candidates, k, pool=offsets)
        return policy.exposure(weights, method, n_samples=n_samples)

    drawn("exact")
    before = peak_mebibytes()
    exact, timing = repeat(lambda: drawn("exact"), repeats)
    after = peak_mebibytes()
    sampled, sampling = repeat(lambda: drawn("mc"), repeats)
    off = np.abs(sampled.value - exact.value)
    measured = {
        **timing,
        "sampling_seconds": sampling["fit_seconds"],
        "n_samples": n_samples,
        "largest_difference": float(off.max()),
        "largest_difference_in_stderr": float((off / sampled.stderr).max()),
        "sum_error": float(np.abs(exact.value.reshape(queries, docs).sum(axis=1) - weights.sum()).max()),
        "peak_mebibytes": after,
        "peak_mebibytes_before_fit": before,
    }
    return measured, {}


def generator(
    _: Arrays, *, docs: int, dim: int, queries: int, n_candidates: int, temperature: float, index: str, seed: int
) -> tuple[Measured, Arrays]:
    """Candidate lists from embeddings by faiss. Scores have standard deviation 1 / temperature."""
    from cltr_twostage.generator import EmbeddingGenerator

    rng = np.random.default_rng(seed)
    embeddings = rng.standard_normal((docs, dim), dtype=np.float32) / np.float32(dim**0.25)
    vectors = rng.standard_normal((queries, dim), dtype=np.float32) / np.float32(dim**0.25)
    before = peak_mebibytes()
    start = perf_counter()
    made = EmbeddingGenerator(embeddings, n_candidates=n_candidates, temperature=temperature, index=index)
    build_seconds = perf_counter() - start
    lists, timing = repeat(lambda: made.sample(vectors, rng), 3)
    distinct = all(len(set(one)) == n_candidates for one in lists.tolist())
    measured = {
        **timing,
        "first_seconds": timing["all_seconds"][0],
        "build_seconds": build_seconds,
        "exact": bool(made.exact),
        "lists": list(lists.shape),
        "distinct": distinct,
        "peak_mebibytes": peak_mebibytes(),
        "peak_mebibytes_before_fit": before,
    }
    return measured, {}


def learn(
    _: Arrays, *, world: str, mode: str, sessions: int, steps: int, held_out: float, repeats: int, seed: int
) -> tuple[Measured, Arrays]:
    """`TwoStageLearner.fit` on a log of one of the package's own worlds, estimator included; every step is done."""
    from cltr_twostage import ExposureIPS
    from cltr_twostage import simulate as worlds
    from cltr_twostage.train import TwoStageLearner

    rng = np.random.default_rng(seed)
    made = getattr(worlds, f"{world}_world")(rng)
    log = made.simulate(sessions, rng)

    def fit() -> Any:
        learner = TwoStageLearner(mode, n_steps=steps, held_out=held_out, patience=steps, random_state=seed)
        return learner.fit(
            log,
            made.generator_features,
            made.ranker_features,
            logging=made.logging,
            estimator=ExposureIPS(made.examination, made.rank_weights),
        )

    before = peak_mebibytes()
    learner, timing = repeat(fit, repeats)
    measured = {
        **timing,
        "first_fit_seconds": timing["all_seconds"][0],
        "logging_value": float(made.value(made.logging)),
        "learned_value": float(made.value(learner.policy_)),
        "ideal_value": float(made.ideal()),
        "best_step": int(learner.best_step_),
        "peak_mebibytes": peak_mebibytes(),
        "peak_mebibytes_before_fit": before,
    }
    return measured, {}


METHODS: dict[str, Callable[..., tuple[Measured, Arrays]]] = {
    method.__name__: method
    for method in (world, placements, aggregate, pairs, item_position, exposure, generator, learn)
}


def import_everything() -> None:
    """Load what the methods import where they use it: no method's imports are timed, nor are the peer's."""
    for name in (
        "pandas",
        "scipy.special",
        "scipy.stats",
        "cltr_twostage",
        "cltr_twostage.simulate",
        "cltr_twostage.train",
    ):
        import_module(name)


def _policy(data: Arrays, which: str) -> Any:
    """A new pair of policies: nothing that an earlier one worked out and kept may be reused."""
    from cltr_twostage import Pool, TwoStagePolicy

    return TwoStagePolicy(
        data[f"{which}_candidate"],
        data[f"{which}_ranker"],
        int(data["n_candidates"]),
        len(data["examination"]),
        pool=Pool(data["offsets"]),
    )


def _log(data: Arrays) -> Any:
    """A new log. Its arrays are read-only, as those of a log that is mapped into memory are; then none is copied."""
    from irworks.data import ClickLog

    for name in ("query", "docs", "clicks"):
        data[name].setflags(write=False)
        if data[name].base is not None:
            # What numpy.load gives is a view of an array that could still be changed.
            data[name].base.setflags(write=False)

    n_queries, n_rows = len(data["offsets"]) - 1, int(data["offsets"][-1])
    return ClickLog(
        query=data["query"],
        docs=data["docs"],
        clicks=data["clicks"],
        query_ids=np.arange(n_queries),
        doc_ids=np.arange(n_rows),
    )


def _weighted_error(found: np.ndarray, truth: np.ndarray, weight: np.ndarray) -> float:
    """Mean absolute error, each row weighted by its exposure."""
    return float(np.abs(found - truth) @ weight / weight.sum())


if __name__ == "__main__":
    serve(METHODS, import_everything)
