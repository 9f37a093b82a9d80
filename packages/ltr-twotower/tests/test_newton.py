"""The exact solvers against scikit-learn, finite differences and brute force over impressions."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from ltr_twotower import Cells, ConvergenceWarning, PlacementPropensity, TwoTowerClickModel
from ltr_twotower.newton import Problem, newton_step, solve_lbfgs, solve_newton
from ltr_twotower.simulate import linear_world, toy_world


def small_cells(rng: np.random.Generator, n_pairs: int = 7, n_ranks: int = 4, weighted: bool = True) -> Cells:
    """Cells in which every pair and every rank occurs, with uneven weights."""
    present = rng.random((n_pairs, n_ranks)) < 0.6
    present[np.arange(n_pairs), np.arange(n_pairs) % n_ranks] = True
    pair, rank = np.nonzero(present)
    impressions = rng.integers(1, 30, len(pair)).astype(float)
    clicks = rng.binomial(impressions.astype(int), 0.4).astype(float)
    cells = Cells(
        pair=pair.astype(np.int32),
        rank=rank.astype(np.int32),
        n=impressions,
        clicks=clicks,
        n_squared=impressions,
        clicks_squared=clicks,
        impressions=impressions,
        pair_query=np.zeros(n_pairs, dtype=np.int32),
        pair_doc=np.arange(n_pairs, dtype=np.int32),
        sessions=np.array([impressions.max()]),
        query_ids=np.array([0]),
        doc_ids=np.arange(n_pairs),
        n_ranks=n_ranks,
    )
    return cells.weighted(rng.uniform(0.2, 3, len(pair))) if weighted else cells


def small_problem(rng: np.random.Generator, tower: str, bias: str) -> Problem:
    cells = small_cells(rng)
    X = rng.normal(size=(cells.n_pairs, 3)) if tower == "linear" else None
    A = rng.normal(size=(cells.n_ranks, 2)) if bias == "features" else None
    b = rng.normal(size=cells.n_ranks) if bias == "features" else None
    return Problem(cells, X=X, l2=0.3, A=A, b=b)


TOWERS = pytest.mark.parametrize("tower", ["embedding", "linear"])
BIASES = pytest.mark.parametrize("bias", ["position", "features"])


@pytest.fixture(scope="module")
def log() -> ClickLog:
    rng = np.random.default_rng(0)
    return linear_world(rng, n_queries=12, k=5, n_features=4).simulate(2500, rng, temperature=0.3)


def sklearn_fit(log: ClickLog, tower: str, weights: np.ndarray, l2: float) -> tuple[np.ndarray, float]:
    """Theta and the weighted mean NLL of a logistic regression on one row per impression."""
    shown = log.shown
    rank = np.broadcast_to(np.arange(log.n_ranks), shown.shape)[shown]
    pair = log.pairs.index[shown]
    table = log.features.astype(float)
    # The ridge acts on features of mean 0 and deviation 1.
    document = np.eye(len(log.pairs))[pair] if tower == "embedding" else scipy.stats.zscore(table)[pair]
    design = np.hstack([np.eye(log.n_ranks)[rank], document])
    clicked, w = log.clicks[shown], weights[shown]
    model = LogisticRegression(C=1 / l2, fit_intercept=False, solver="newton-cholesky", tol=1e-12, max_iter=200)
    model.fit(design, clicked, sample_weight=w)
    z = design @ model.coef_[0]
    return model.coef_[0][: log.n_ranks], float((w * (np.logaddexp(0, z) - clicked * z)).sum() / w.sum())


@TOWERS
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_both_solvers_agree_with_scikit_learn(log: ClickLog, tower: str, weighted: bool, solver: str) -> None:
    propensity = PlacementPropensity("count") if weighted else None
    weights = propensity.weights(log) if propensity else log.shown.astype(float)
    theta, nll = sklearn_fit(log, tower, weights, l2=0.5)

    model = TwoTowerClickModel(tower, sample_weight=propensity, l2=0.5, solver=solver).fit(log)

    np.testing.assert_allclose(model.position_bias_, theta - theta[0], atol=1e-4)
    p = model.predict_proba(log)[log.shown]
    clicked, w = log.clicks[log.shown], weights[log.shown]
    own = -float((w * np.where(clicked, np.log(p), np.log1p(-p))).sum() / w.sum())
    assert own == pytest.approx(nll, abs=1e-6)


@TOWERS
@BIASES
def test_the_gradient_agrees_with_finite_differences(tower: str, bias: str) -> None:
    rng = np.random.default_rng(1)
    problem = small_problem(rng, tower, bias)
    x = rng.normal(size=problem.n_bias + problem.n_relevance)
    gradient = np.concatenate(problem.gradient(x[: problem.n_bias], x[problem.n_bias :]))

    for i, step in enumerate(1e-5 * np.eye(len(x))):
        up, down = (problem.value(*np.split(y, [problem.n_bias])) for y in (x + step, x - step))
        assert gradient[i] == pytest.approx((up - down) / 2e-5, rel=1e-6, abs=1e-6)


@TOWERS
@BIASES
def test_a_newton_step_solves_the_finite_difference_hessian(tower: str, bias: str) -> None:
    rng = np.random.default_rng(2)
    problem = small_problem(rng, tower, bias)
    cut = problem.n_bias
    x = rng.normal(size=cut + problem.n_relevance)

    def gradient(y: np.ndarray) -> np.ndarray:
        return np.concatenate(problem.gradient(y[:cut], y[cut:]))

    hessian = np.stack([(gradient(x + h) - gradient(x - h)) / 2e-5 for h in 1e-5 * np.eye(len(x))], axis=1)
    g = rng.normal(size=len(x))
    step = np.concatenate(newton_step(problem, problem.curvature(x[:cut], x[cut:]), g[:cut], g[cut:]))

    np.testing.assert_allclose(hessian @ step, g, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_cell_loss_is_the_loss_summed_over_impressions(weighted: bool) -> None:
    rng = np.random.default_rng(3)
    docs = np.array([rng.permutation(6)[:4] for _ in range(40)], dtype=np.int32)
    docs[::3, 2:] = -1
    docs[5, 0] = -1
    clicks = (rng.random(docs.shape) < 0.4) & (docs >= 0)
    log = ClickLog(query=rng.integers(0, 3, 40), docs=docs, clicks=clicks)
    weights = rng.uniform(0.1, 5, docs.shape) if weighted else None
    problem = Problem(Cells.from_log(log, weights), l2=1e-12)
    v, u = rng.normal(size=4), rng.normal(size=len(log.pairs))

    expected = 0.0
    for session, rank in zip(*np.nonzero(log.shown), strict=True):
        z = v[rank] + u[log.pairs.index[session, rank]]
        weight = 1.0 if weights is None else weights[session, rank]
        expected += weight * (np.log1p(np.exp(z)) - clicks[session, rank] * z)
    assert problem.value(v, u) == pytest.approx(expected, rel=1e-10)


def test_shifting_theta_against_the_relevance_leaves_the_likelihood_unchanged() -> None:
    rng = np.random.default_rng(4)
    problem = Problem(small_cells(rng), l2=1e-300)
    v, u = rng.normal(size=problem.n_bias), rng.normal(size=problem.n_relevance)

    before = problem.value(v, u)

    for shift in (-7.3, 0.1, 4.0):
        assert problem.value(v + shift, u - shift) == pytest.approx(before, abs=1e-10 * problem.cells.total)


@TOWERS
@BIASES
def test_newton_and_lbfgs_find_the_same_minimum(tower: str, bias: str) -> None:
    problem = small_problem(np.random.default_rng(5), tower, bias)

    newton, lbfgs = solve_newton(problem), solve_lbfgs(problem)

    assert newton.converged
    assert lbfgs.converged
    np.testing.assert_allclose(newton.v, lbfgs.v, atol=1e-4)
    np.testing.assert_allclose(newton.u, lbfgs.u, atol=1e-4)
    assert newton.value <= lbfgs.value + 1e-9
    assert problem.value(newton.v, newton.u) == newton.value


def test_a_fixed_part_of_theta_moves_what_is_learnt_and_not_the_fit() -> None:
    cells = small_cells(np.random.default_rng(6))
    b = np.array([0.0, 1.0, -2.0, 0.5])

    free, fixed = Problem(cells, l2=0.1), Problem(cells, l2=0.1, b=b)

    # The ridge falls on theta = v + b, so v alone moves.
    np.testing.assert_allclose(solve_newton(fixed).v + b, solve_newton(free).v, atol=1e-6)


def test_bias_features_that_span_all_ranks_give_the_fit_of_free_ranks() -> None:
    rng = np.random.default_rng(7)
    cells = small_cells(rng)
    A = rng.normal(size=(4, 4))

    free, spanned = Problem(cells, l2=0.1), Problem(cells, l2=0.1, A=A)

    np.testing.assert_allclose(A @ solve_newton(spanned).v, solve_newton(free).v, atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_newton_stops_where_rounding_hides_the_last_decrease() -> None:
    for seed in range(140, 150):
        rng = np.random.default_rng(seed)
        log = linear_world(rng, n_queries=50, k=5, n_features=6).simulate(3000, rng, temperature=0.3)
        solution = solve_newton(TwoTowerClickModel("linear").problem(log))
        assert solution.converged
        assert solution.iterations < 20


@pytest.mark.parametrize("l2", [1e-6, 0.1])
@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_documents_that_nobody_or_everybody_clicks_stay_finite(l2: float, rate: float) -> None:
    rng = np.random.default_rng(8)
    cells = small_cells(rng, weighted=False)
    separated = np.isin(cells.pair, [0, 3])
    clicks = np.where(separated, rate * cells.n, cells.clicks)

    solution = solve_newton(Problem(replace(cells, clicks=clicks, clicks_squared=clicks), l2=l2))

    assert solution.converged
    assert solution.iterations < 100
    assert np.isfinite(solution.v).all()
    assert np.isfinite(solution.u).all()
    sign = 1 if rate else -1
    assert (sign * solution.u[[0, 3]]).min() > (sign * np.delete(solution.u, [0, 3])).max()


@pytest.mark.filterwarnings("ignore:there is nothing to learn")
@TOWERS
@pytest.mark.parametrize("rate", [0, 1])
def test_a_log_with_no_click_or_only_clicks_converges(log: ClickLog, tower: str, rate: int) -> None:
    silent = replace(log, clicks=np.full(log.docs.shape, bool(rate)) & log.shown)

    model = TwoTowerClickModel(tower, l2=1e-6).fit(silent)

    assert model.converged_
    assert model.n_iter_ < 100
    assert np.isfinite(model.position_bias_).all()
    assert np.isfinite(model.gamma_).all()
    assert abs(model.predict_proba(silent)[silent.shown] - rate).max() < 1e-3


def test_two_million_impressions_worth_of_weight_do_not_upset_the_tolerance() -> None:
    rng = np.random.default_rng(9)
    cells = small_cells(rng).weighted(np.full(1, 1e5))

    solution = solve_newton(Problem(cells, l2=0.1))

    assert solution.converged
    gradient = np.concatenate(Problem(cells, l2=0.1).gradient(solution.v, solution.u))
    assert np.abs(gradient).max() / cells.total < 1e-8


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["embedding", "linear"]), st.sampled_from([1e-4, 0.1, 10.0]))
def test_newton_ends_at_a_point_without_slope(seed: int, tower: str, l2: float) -> None:
    rng = np.random.default_rng(seed)
    cells = small_cells(rng, n_pairs=int(rng.integers(1, 9)), n_ranks=int(rng.integers(1, 6)))
    X = rng.normal(size=(cells.n_pairs, 2)) if tower == "linear" else None
    problem = Problem(cells, X=X, l2=l2)

    solution = solve_newton(problem)

    assert solution.converged
    assert np.abs(np.concatenate(problem.gradient(solution.v, solution.u))).max() < 1e-4
    nearby = [problem.value(solution.v + rng.normal(0, 0.01, problem.n_bias), solution.u) for _ in range(5)]
    assert min(nearby) >= solution.value


@pytest.mark.parametrize("distance", [1.0, 30.0, 300.0])
def test_newton_arrives_from_far_away(distance: float) -> None:
    problem = small_problem(np.random.default_rng(10), "embedding", "position")
    start = (np.full(problem.n_bias, distance), np.full(problem.n_relevance, -distance / 2))

    solution = solve_newton(problem, start)

    assert solution.converged
    np.testing.assert_allclose(solution.v, solve_newton(problem).v, atol=1e-5)
    np.testing.assert_array_equal(start[0], distance)


@pytest.mark.parametrize("solve", [solve_newton, solve_lbfgs])
def test_a_solver_that_stops_early_warns_and_says_so(solve: object) -> None:
    problem = small_problem(np.random.default_rng(11), "embedding", "position")

    with pytest.warns(ConvergenceWarning, match="stopped"):
        solution = solve(problem, max_iterations=1)

    assert not solution.converged


@pytest.mark.parametrize("l2", [0, -1, float("nan"), float("inf")])
def test_a_ridge_that_is_not_positive_is_refused(l2: float) -> None:
    with pytest.raises(ArgumentError, match="l2="):
        Problem(small_cells(np.random.default_rng(0)), l2=l2)


def test_an_unidentified_problem_raises_no_numerical_warning() -> None:
    rng = np.random.default_rng(12)
    log = toy_world(rng, n_queries=20, k=5).simulate(2000, rng, temperature=0)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        solution = solve_newton(Problem(Cells.from_log(log), l2=0.1))

    assert solution.converged


@pytest.mark.filterwarnings("error")
def test_features_on_wild_scales_fit_without_numerical_warnings(log: ClickLog) -> None:
    scale = np.array([1e6, 1.0, 1e-3, 1.0])
    scaled = replace(log, features=log.features * scale)

    model = TwoTowerClickModel("linear", l2=1e-6).fit(scaled)

    plain = TwoTowerClickModel("linear", l2=1e-6).fit(log)
    np.testing.assert_allclose(model.position_bias_, plain.position_bias_, atol=1e-3)


def test_the_probability_of_a_solution_matches_its_logits() -> None:
    problem = small_problem(np.random.default_rng(13), "linear", "features")
    solution = solve_newton(problem)
    cells = problem.cells

    # At the minimum expected and observed clicks agree along every feature, up to the ridge.
    p = expit(problem.logits(solution.v, solution.u))
    surplus = problem.X.T @ np.bincount(cells.pair, cells.clicks - cells.n * p, minlength=cells.n_pairs)
    np.testing.assert_allclose(surplus, problem.l2 * solution.u, atol=1e-5)
