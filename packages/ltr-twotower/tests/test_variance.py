"""Standard errors: against the inverted Hessian, sums over impressions, a bootstrap, and their coverage."""

import functools
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from irworks.data import ClickLog
from ltr_twotower import Cells, PlacementPropensity, TwoTowerClickModel
from ltr_twotower.newton import Problem, solve_newton
from ltr_twotower.simulate import linear_world, toy_world
from ltr_twotower.variance import difference_covariance, theta_covariance

TOWERS = pytest.mark.parametrize("tower", ["embedding", "linear"])


@pytest.fixture(scope="module")
def log() -> ClickLog:
    rng = np.random.default_rng(0)
    return linear_world(rng, n_queries=8, k=4, n_features=3).simulate(2000, rng, temperature=0.4)


def problem_of(log: ClickLog, tower: str, weights: np.ndarray | None = None) -> Problem:
    X = log.features.astype(float) if tower == "linear" else None
    return Problem(Cells.from_log(log, weights), X=X, l2=0.2)


def designs(problem: Problem) -> np.ndarray:
    """float64 [n_cells, n_parameters]: derivative of each cell's logit."""
    cells = problem.cells
    relevance = np.eye(cells.n_pairs) if problem.X is None else problem.X
    own = np.eye(cells.n_ranks) if problem.A is None else problem.A
    return np.hstack([own[cells.rank], relevance[cells.pair]])


def full_hessian(problem: Problem, v: np.ndarray, u: np.ndarray) -> np.ndarray:
    Z = designs(problem)
    A = np.eye(problem.cells.n_ranks) if problem.A is None else problem.A
    ridge = np.zeros((Z.shape[1], Z.shape[1]))
    ridge[: len(v), : len(v)] = problem.l2 * A.T @ A
    ridge[len(v) :, len(v) :] = problem.l2 * np.eye(len(u))
    return Z.T @ (Z * problem.curvature(v, u)[:, None]) + ridge


def contrasts(covariance: np.ndarray) -> np.ndarray:
    """Covariance of theta_k - theta_1, k = 2, ..., free of the constant that only the ridge determines."""
    to_first = np.hstack([-np.ones((len(covariance) - 1, 1)), np.eye(len(covariance) - 1)])
    return to_first @ covariance @ to_first.T


@TOWERS
@pytest.mark.parametrize("bias", ["position", "features"])
def test_the_covariance_is_the_block_of_the_inverted_hessian(log: ClickLog, tower: str, bias: str) -> None:
    plain = problem_of(log, tower)
    A = np.stack([np.log([1, 2, 3, 4]), [0, 0, 1, 1]], axis=1) if bias == "features" else None
    problem = Problem(plain.cells, X=plain.X, l2=plain.l2, A=A)
    solution = solve_newton(problem)

    inverse = np.linalg.inv(full_hessian(problem, solution.v, solution.u))[: problem.n_bias, : problem.n_bias]

    expected = inverse if A is None else A @ inverse @ A.T
    covariance = theta_covariance(problem, solution, robust=False)
    np.testing.assert_allclose(contrasts(covariance), contrasts(expected), rtol=1e-6, atol=1e-12)


@TOWERS
def test_the_sandwich_is_the_sum_over_single_impressions(log: ClickLog, tower: str) -> None:
    weights = np.random.default_rng(1).uniform(0.2, 4, log.docs.shape)
    problem = problem_of(log, tower, weights)
    solution = solve_newton(problem)

    meat = np.zeros((problem.n_bias + problem.n_relevance,) * 2)
    relevance = np.eye(problem.cells.n_pairs) if problem.X is None else problem.X
    for session, rank in zip(*np.nonzero(log.shown), strict=True):
        pair = log.pairs.index[session, rank]
        z = np.concatenate([np.eye(log.n_ranks)[rank], relevance[pair]])
        p = expit(solution.v[rank] + problem.gamma(solution.u)[pair])
        score = weights[session, rank] * (log.clicks[session, rank] - p) * z
        meat += np.outer(score, score)
    bread = np.linalg.inv(full_hessian(problem, solution.v, solution.u))
    expected = (bread @ meat @ bread)[: problem.n_bias, : problem.n_bias]

    covariance = theta_covariance(problem, solution, robust=True)
    np.testing.assert_allclose(contrasts(covariance), contrasts(expected), rtol=1e-6)


@TOWERS
def test_doubling_every_weight_leaves_the_sandwich_alone(log: ClickLog, tower: str) -> None:
    found = []
    for scale in (1.0, 2.0):
        problem = problem_of(log, tower, np.full(log.docs.shape, scale))
        problem = Problem(problem.cells, X=problem.X, l2=1e-6)
        found.append(contrasts(theta_covariance(problem, solve_newton(problem), robust=True)))

    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


@TOWERS
def test_four_times_the_log_halves_the_standard_errors(log: ClickLog, tower: str) -> None:
    model = TwoTowerClickModel(tower, l2=1e-4)
    once = model.fit(log).stderr_
    four = model.fit(log.select(np.tile(np.arange(len(log)), 4))).stderr_

    np.testing.assert_allclose(four[1:], once[1:] / 2, rtol=1e-3)


@TOWERS
def test_the_covariance_of_a_difference_agrees_with_a_session_bootstrap(tower: str) -> None:
    rng = np.random.default_rng(2)
    log = linear_world(rng, n_queries=10, k=4, n_features=3).simulate(2000, rng, temperature=0.4)
    propensity = PlacementPropensity("known")

    def fits(part: ClickLog) -> list[tuple[Problem, np.ndarray]]:
        found = []
        for cells in (Cells.from_log(part), propensity.weigh(propensity.aggregate(part))):
            problem = Problem(cells, X=part.features.astype(float) if tower == "linear" else None, l2=0.01)
            found.append((problem, solve_newton(problem)))
        return found

    covariance = difference_covariance(*fits(log))
    moved = []
    for _ in range(120):
        naive, weighted = fits(log.select(rng.integers(0, len(log), len(log))))
        difference = weighted[1].v - naive[1].v
        moved.append(difference[1:] - difference[0])

    # 120 replicates know a standard deviation to about 7%.
    ratio = np.sqrt(np.diag(contrasts(covariance))) / np.std(moved, axis=0)
    np.testing.assert_allclose(ratio, 1, atol=0.25)


def test_the_covariance_of_a_difference_of_equal_fits_is_zero(log: ClickLog) -> None:
    problem = problem_of(log, "linear")
    estimate = (problem, solve_newton(problem))

    np.testing.assert_allclose(contrasts(difference_covariance(estimate, estimate)), 0, atol=1e-15)


def test_a_rank_with_hardly_any_click_does_not_make_a_difference_of_fits_certain() -> None:
    propensity = PlacementPropensity("known")
    large, below = [], []
    for seed in range(60):
        rng = np.random.default_rng(500 + seed)
        world = linear_world(rng, n_queries=10, k=4, n_features=3)
        world = replace(world, theta=np.append(world.theta[:-1], -6.5))
        log = world.simulate(2000, rng, temperature=0.3)
        problems = [
            Problem(cells, X=log.features.astype(float), l2=0.1)
            for cells in (Cells.from_log(log), propensity.weigh(propensity.aggregate(log)))
        ]
        fits = [(problem, solve_newton(problem)) for problem in problems]
        variance = contrasts(difference_covariance(*fits))[-1, -1]
        moved = fits[1][1].v - fits[0][1].v
        large.append(abs(moved[-1] - moved[0]) > 1.96 * np.sqrt(variance))
        cells = problems[0].cells
        expected = np.bincount(cells.rank, cells.n * expit(problems[0].logits(fits[0][1].v, fits[0][1].u)))
        below.append(expected[-1] < np.bincount(cells.rank, cells.clicks)[-1])

    # Of intervals from the clicks that there were, a quarter would miss.
    assert np.mean(large) < 0.05
    assert not any(below)


@functools.cache
def coverage(tower: str) -> dict[str, float]:
    """Share of 95% intervals over 100 logs that hold the true theta, by weighting."""
    hits: dict[str, list[np.ndarray]] = {"unweighted": [], "count": [], "known": []}
    for seed in range(100):
        rng = np.random.default_rng(5000 + seed)
        world = (
            toy_world(rng, n_queries=12, k=5)
            if tower == "embedding"
            else linear_world(rng, n_queries=30, k=5, n_features=4)
        )
        log = world.simulate(3000, rng, temperature=0.5)
        for method, held in hits.items():
            propensity = None if method == "unweighted" else PlacementPropensity(method)
            model = TwoTowerClickModel(tower, sample_weight=propensity, l2=0.01).fit(log)
            held.append(np.abs(model.position_bias_ - world.theta)[1:] < 1.96 * model.stderr_[1:])
    return {method: float(np.mean(held)) for method, held in hits.items()}


@TOWERS
@pytest.mark.parametrize("method", ["unweighted", "count", "known"])
def test_the_intervals_cover_the_truth_as_often_as_they_say(tower: str, method: str) -> None:
    assert 0.90 <= coverage(tower)[method] <= 0.99


def test_plain_inverse_information_would_be_too_sure_of_a_weighted_fit() -> None:
    rng = np.random.default_rng(3)
    log = linear_world(rng, n_queries=30, k=5, n_features=4).simulate(4000, rng, temperature=0.05)
    weighted = TwoTowerClickModel("linear", sample_weight=PlacementPropensity("known")).fit(log)
    problem = weighted.problem(log)

    plain = theta_covariance(problem, solve_newton(problem), robust=False)

    assert (np.sqrt(np.diag(contrasts(plain))) < 0.7 * weighted.stderr_[1:]).all()
