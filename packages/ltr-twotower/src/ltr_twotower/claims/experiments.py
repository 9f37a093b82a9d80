"""The experiments behind the claims: simulate, fit, compare. Each returns numbers; `claims` judges them."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from irworks.data import ClickLog
from ltr_twotower.cells import Cells
from ltr_twotower.explain import logging_policy_report
from ltr_twotower.identify import check_identifiability
from ltr_twotower.model import NotIdentifiedWarning, TwoTowerClickModel
from ltr_twotower.newton import Problem, solve_lbfgs
from ltr_twotower.simulate import World, toy_world
from ltr_twotower.weighting import PlacementPropensity, WeightingWarning

__all__ = [
    "Comparison",
    "DeterministicFit",
    "WeighedDeterministic",
    "compare",
    "fit_on_deterministic",
    "placement_correlation",
    "refit_toy",
    "weigh_deterministic",
]

FloatArray = NDArray[np.float64]

_CLIP = 10.0


@dataclass
class Comparison:
    """Fits of one tower to one world, by name of the fit.

    Attributes:
        log: The log of the policy.
        theta: float64 [k].
        theta_error: Mean absolute error against the true theta, ranks 2 to k.
        ndcg: nDCG@10 on held-out queries.
        train_ndcg: nDCG@10 on logged queries.
        ess_share: Effective sample size of the weighted fit, as a share of the impressions (NaN without one).
    """

    log: ClickLog
    theta: dict[str, FloatArray] = field(default_factory=dict)
    theta_error: dict[str, float] = field(default_factory=dict)
    ndcg: dict[str, float] = field(default_factory=dict)
    train_ndcg: dict[str, float] = field(default_factory=dict)
    ess_share: float = float("nan")


def compare(
    world: World,
    n_sessions: int,
    rng: np.random.Generator,
    *,
    temperature: float,
    strength: float = 1.0,
    fits: Sequence[str],
) -> Comparison:
    """Simulate one log and fit a linear tower in several ways.

    Args:
        world: The world.
        n_sessions: Sessions of the log, and of the uniform log.
        rng: Source of randomness.
        temperature: Of the logging policy.
        strength: Of the logging policy's ranker.
        fits: Among "naive", "weighted" (count propensities), "clipped" (the same, weights at most 10), "uniform"
            (naive, on another log of a uniformly random policy).
    """
    log = world.simulate(n_sessions, rng, temperature=temperature, strength=strength)
    result = Comparison(log)
    for name in fits:
        weight = {"weighted": PlacementPropensity(), "clipped": PlacementPropensity(clip=_CLIP)}.get(name)
        data = world.simulate(n_sessions, rng, temperature=1.0) if name == "uniform" else log
        model = TwoTowerClickModel("linear", sample_weight=weight).fit(data)
        result.theta[name] = model.position_bias_
        result.theta_error[name] = world.theta_error(model)
        result.ndcg[name] = world.ndcg(model)
        result.train_ndcg[name] = world.ndcg(model, part="train")
        if name == "weighted" and model.weights_ is not None:
            result.ess_share = model.weights_.ess / model.weights_.impressions
    return result


def placement_correlation(log: ClickLog) -> float:
    """Correlation of a linear tower's residuals with the policy's usual placement, within ranks."""
    report = logging_policy_report(TwoTowerClickModel("linear"), log, propensity=PlacementPropensity())
    return float("nan") if report.residuals is None else report.residuals.correlation


def refit_toy(
    rng: np.random.Generator, n_queries: int, temperature: float, n_sessions: int, n_refits: int = 6
) -> dict[str, float]:
    """Fit the toy world several times from random starts of both towers, with a vanishing ridge.

    Returns:
        `components` of the swap graph; `spread`, the largest disagreement of theta_k - theta_1 between refits;
        `nll_range`, of their negative log-likelihood per impression; `max_error` of the first refit's theta; and
        `worst_stderr` of any theta difference (inf where not identified).
    """
    world = toy_world(rng, n_queries=n_queries)
    cells = Cells.from_log(world.simulate(n_sessions, rng, temperature=temperature))
    problem = Problem(cells, l2=1e-9)
    thetas, values = [], []
    for _ in range(n_refits):
        start = rng.normal(size=cells.n_ranks), rng.normal(size=cells.n_pairs)
        solution = solve_lbfgs(problem, start)
        thetas.append(solution.v - solution.v[0])
        values.append(solution.value / cells.total)
    report = check_identifiability(cells)
    return {
        "components": report.graph.n_components,
        "spread": float(np.ptp(thetas, axis=0).max()),
        "nll_range": float(np.ptp(values)),
        "max_error": float(np.abs(thetas[0] - world.theta).max()),
        "worst_stderr": report.worst[2],
    }


@dataclass(frozen=True, eq=False)
class DeterministicFit:
    """A linear tower on a log without swaps.

    Attributes:
        identified: What the null-space check says of the visible features.
        control_identified: What it says of one indicator per rank instead.
        theta: float64 [k].
        stderr: float64 [k].
        theta_error: Mean absolute error, ranks 2 to k.
    """

    identified: bool
    control_identified: bool
    theta: FloatArray
    stderr: FloatArray
    theta_error: float


def fit_on_deterministic(world: World, n_sessions: int, rng: np.random.Generator) -> DeterministicFit:
    """Fit a linear tower to a log of the deterministic expert policy, and check features with and without overlap."""
    log = world.simulate(n_sessions, rng, temperature=0.0)
    model = TwoTowerClickModel("linear").fit(log)
    cells = model.cells_
    rank_of_pair = np.zeros(cells.n_pairs, dtype=int)
    rank_of_pair[cells.pair] = cells.rank
    indicator = np.eye(cells.n_ranks)[rank_of_pair]
    return DeterministicFit(
        identified=check_identifiability(cells, tower="linear").ok,
        control_identified=check_identifiability(cells, indicator, tower="linear").ok,
        theta=model.position_bias_,
        stderr=model.stderr_,
        theta_error=world.theta_error(model),
    )


@dataclass(frozen=True)
class WeighedDeterministic:
    """What weighting does to a deterministic log.

    Attributes:
        no_op: Whether all weights are equal.
        moved: Largest difference between weighted and naive theta.
        warned: Whether the weighting said aloud that it does nothing.
    """

    no_op: bool
    moved: float
    warned: bool


def weigh_deterministic(rng: np.random.Generator, n_sessions: int) -> WeighedDeterministic:
    """Weigh a log of a deterministic policy in the toy world."""
    log = toy_world(rng, n_queries=20).simulate(n_sessions, rng, temperature=0.0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        weighted = TwoTowerClickModel(sample_weight=PlacementPropensity()).fit(log)
        naive = TwoTowerClickModel().fit(log)
    assert weighted.weights_ is not None
    kinds = [warning.category for warning in caught]
    return WeighedDeterministic(
        no_op=weighted.weights_.no_op,
        moved=float(np.abs(weighted.position_bias_ - naive.position_bias_).max()),
        warned=WeightingWarning in kinds and NotIdentifiedWarning in kinds,
    )
