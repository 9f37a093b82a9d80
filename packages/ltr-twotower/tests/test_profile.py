"""Profile likelihoods: against standard errors, a brute-force search, and logs that say nothing."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import chi2, zscore

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from irworks.simulate import AdditiveTwoTower, EpsilonGreedy, SwapPolicy, log_position_bias, simulate_clicks
from ltr_twotower import PlacementPropensity, TwoTowerClickModel, profile_likelihood
from ltr_twotower.simulate import linear_world


@pytest.fixture(scope="module")
def log() -> ClickLog:
    rng = np.random.default_rng(0)
    return linear_world(rng, n_queries=20, k=4, n_features=3).simulate(6000, rng, temperature=0.4)


@pytest.fixture(scope="module")
def small() -> ClickLog:
    rng = np.random.default_rng(1)
    return linear_world(rng, n_queries=3, k=3, n_features=2).simulate(150, rng, temperature=0.6)


@pytest.mark.parametrize("relevance", ["embedding", "linear"])
@pytest.mark.parametrize("method", [None, "count", "known"])
def test_the_interval_of_a_long_log_is_theta_with_its_standard_error(
    log: ClickLog, relevance: Any, method: Any
) -> None:
    model = TwoTowerClickModel(relevance, sample_weight=method and PlacementPropensity(method)).fit(log)

    profile = profile_likelihood(model, log, 3)

    assert profile.estimate == pytest.approx(model.position_bias_[2], abs=1e-6)
    expected = model.position_bias_[2] + 1.96 * model.stderr_[2] * np.array([-1, 1])
    np.testing.assert_allclose(profile.interval, expected, atol=0.06 * model.stderr_[2])


@pytest.mark.parametrize("relevance", ["embedding", "linear"])
def test_the_deviance_is_that_of_a_brute_force_search(small: ClickLog, relevance: Any) -> None:
    model = TwoTowerClickModel(relevance, l2=0.3)
    shown = list(zip(*np.nonzero(small.shown), strict=True))
    X = np.eye(len(small.pairs)) if relevance == "embedding" else zscore(small.features.astype(float))

    def loss(x: np.ndarray) -> float:
        theta, u = x[:3], x[3:]
        z = np.array([theta[r] + X[small.pairs.index[s, r]] @ u for s, r in shown])
        clicked = np.array([small.clicks[s, r] for s, r in shown])
        return float(np.logaddexp(0, z).sum() - z[clicked].sum() + 0.15 * (x**2).sum())

    def held_at(value: float) -> float:
        def inner(y: np.ndarray) -> float:
            return loss(np.concatenate([[y[0], y[0] + value], y[1:]]))

        return minimize(inner, np.zeros(2 + X.shape[1]), method="L-BFGS-B", options={"ftol": 1e-14}).fun

    best = minimize(loss, np.zeros(3 + X.shape[1]), method="L-BFGS-B", options={"ftol": 1e-14}).fun

    profile = profile_likelihood(model, small, 2, grid=[-2.0, 0.7])

    expected = [2 * (held_at(value) - best) for value in (-2.0, 0.7)]
    np.testing.assert_allclose(profile.deviance, expected, atol=1e-3)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_the_deviance_at_the_ends_of_the_interval_is_the_quantile(log: ClickLog, level: float) -> None:
    profile = profile_likelihood(TwoTowerClickModel(), log, 2, level=level)

    ends = profile_likelihood(TwoTowerClickModel(), log, 2, grid=[*profile.interval, profile.estimate])

    np.testing.assert_allclose(ends.deviance, [chi2.ppf(level, 1)] * 2 + [0], atol=0.03)
    assert profile.level == level


def test_the_profile_is_a_valley_around_the_estimate(log: ClickLog) -> None:
    profile = profile_likelihood(TwoTowerClickModel("linear"), log, 4)

    assert profile.grid.shape == profile.deviance.shape == (41,)
    assert (profile.deviance >= 0).all()
    left = profile.grid < profile.estimate
    assert (np.diff(profile.deviance[left]) < 0).all()
    assert (np.diff(profile.deviance[~left]) > 0).all()


@pytest.fixture(scope="module")
def two_halves() -> ClickLog:
    """Ranks 1 and 2 are swapped with each other, and so are ranks 3 and 4, in many queries."""
    rng = np.random.default_rng(2)
    relevance = rng.normal(size=400)
    greedy = EpsilonGreedy(relevance, np.arange(0, 401, 4), 0.0, k=4)
    policy = SwapPolicy(greedy, [(1, 2), (3, 4)], 0.8)
    return simulate_clicks(policy, AdditiveTwoTower(log_position_bias(4)), relevance, 8000, rng)


@pytest.mark.parametrize("position", [3, 4])
@pytest.mark.parametrize("l2", [1e-4, 0.1, 5.0])
def test_a_difference_that_is_not_identified_has_a_flat_profile(two_halves: ClickLog, position: int, l2: float) -> None:
    profile = profile_likelihood(TwoTowerClickModel(l2=l2), two_halves, position)

    assert profile.interval == (-np.inf, np.inf)
    assert np.isnan(profile.estimate)
    assert (profile.deviance == 0).all()
    given = profile_likelihood(TwoTowerClickModel(l2=l2), two_halves, position, grid=[-4.0, 9.0])
    assert given.grid.tolist() == [-4, 9]
    assert given.deviance.tolist() == [0, 0]


def test_a_difference_within_a_component_has_an_interval(two_halves: ClickLog) -> None:
    low, high = profile_likelihood(TwoTowerClickModel(), two_halves, 2).interval

    assert low < -np.log(2) < high
    assert high - low < 0.5


def test_a_rank_without_clicks_is_bounded_above_only_by_the_likelihood(small: ClickLog) -> None:
    clicks = small.clicks.copy()
    clicks[:, 2] = False

    low, high = profile_likelihood(TwoTowerClickModel(l2=1e-4), replace(small, clicks=clicks), 3).interval

    assert low < -8
    assert -8 < high < 0


@pytest.mark.parametrize("position", [0, 1, 5, -2])
def test_a_position_that_cannot_be_profiled_is_refused(log: ClickLog, position: int) -> None:
    with pytest.raises(ArgumentError, match="position="):
        profile_likelihood(TwoTowerClickModel(), log, position)


def test_a_rank_that_was_never_shown_cannot_be_profiled(log: ClickLog) -> None:
    for hidden, position in ((1, 2), (0, 2)):
        mask = np.ones(log.docs.shape, dtype=bool)
        mask[:, hidden] = False
        gap = ClickLog(query=log.query, docs=np.where(mask, log.docs, -1), clicks=log.clicks & mask)
        with pytest.raises(ArgumentError, match="shown"):
            profile_likelihood(TwoTowerClickModel(), gap, position)


@pytest.mark.parametrize("grid", [[np.nan], [np.inf], ["a"], [[1.0, 2.0]], 3.0], ids=str)
def test_an_unusable_grid_is_refused(log: ClickLog, grid: Any) -> None:
    with pytest.raises(ArgumentError, match="grid"):
        profile_likelihood(TwoTowerClickModel(), log, 2, grid=grid)


@pytest.mark.parametrize("level", [0, 1, -0.1, 95, float("nan")])
def test_a_level_outside_the_unit_interval_is_refused(log: ClickLog, level: float) -> None:
    with pytest.raises(ArgumentError, match="level="):
        profile_likelihood(TwoTowerClickModel(), log, 2, level=level)


@pytest.mark.parametrize(
    "options",
    [{"combine": "pbm"}, {"relevance": "deep"}, {"bias": np.ones((4, 1))}],
    ids=lambda options: next(iter(options)),
)
def test_a_model_without_exact_profiles_is_refused(log: ClickLog, options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="additive"):
        profile_likelihood(TwoTowerClickModel(**options), log, 2)
