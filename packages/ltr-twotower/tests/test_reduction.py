import numpy as np
import pytest
from scipy.special import expit

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from irworks.simulate import AdditiveTwoTower, EpsilonGreedy, log_position_bias, simulate_clicks
from ltr_twotower import PlacementPropensity, TwoTowerClickModel
from ltr_twotower.newton import Problem, solve_newton
from ltr_twotower.reduction import solve_bias_reduced


def sparse_log(seed: int, sessions_per_query: int, n_queries: int = 1000, k: int = 8) -> ClickLog:
    rng = np.random.default_rng(seed)
    gamma = rng.normal(-1, 1, n_queries * k)
    offsets = np.arange(0, n_queries * k + 1, k)
    policy = EpsilonGreedy(gamma, offsets, temperature=0.4, k=k)
    return simulate_clicks(policy, AdditiveTwoTower(log_position_bias(k)), gamma, n_queries * sessions_per_query, rng)


@pytest.mark.parametrize("weight", [None, PlacementPropensity()])
def test_few_impressions_per_pair_bias_theta_and_the_reduction_removes_most_of_it(weight):
    truth = log_position_bias(8)
    log = sparse_log(0, sessions_per_query=20)
    plain, reduced = (
        TwoTowerClickModel(sample_weight=weight, bias_reduction=flag).fit(log).position_bias_ for flag in (False, True)
    )
    bias, left = (abs((theta - truth)[1:].mean()) for theta in (plain, reduced))
    assert bias > 0.12
    assert left < bias / 2


def test_with_many_impressions_the_reduction_changes_little():
    log = sparse_log(1, sessions_per_query=400, n_queries=40)
    plain, reduced = (TwoTowerClickModel(bias_reduction=flag).fit(log) for flag in (False, True))
    assert np.abs(plain.position_bias_ - reduced.position_bias_).max() < 0.25 * plain.stderr_[1:].min()


def test_the_solution_solves_firths_adjusted_score_of_the_relevances():
    log = sparse_log(2, sessions_per_query=10, n_queries=50)
    cells = TwoTowerClickModel().fit(log).cells_
    problem = Problem(cells, l2=1e-6)
    solution = solve_bias_reduced(problem, tolerance=1e-10)
    p = expit(problem.logits(solution.v, solution.u))
    h = cells.n * p * (1 - p)
    leverage = h / np.bincount(cells.pair, h)[cells.pair]
    adjusted = cells.clicks - cells.n * p + leverage * (0.5 - p)
    assert solution.converged
    assert np.abs(np.bincount(cells.pair, adjusted)).max() < 1e-3
    assert np.abs(np.bincount(cells.rank, adjusted)).max() < 1e-3
    assert solution.value >= solve_newton(problem).value


def test_it_is_refused_where_there_are_no_incidental_relevances():
    log = sparse_log(3, sessions_per_query=5, n_queries=20)
    with pytest.raises(ArgumentError, match="bias_reduction"):
        TwoTowerClickModel("linear", bias_reduction=True).fit(log)
