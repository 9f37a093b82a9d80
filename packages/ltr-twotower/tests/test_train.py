import copy
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from irworks.data import ClickLog
from irworks.errors import ArgumentError, IrworksError, MissingDependencyError
from irworks.simulate import AdditiveTwoTower, EpsilonGreedy, log_position_bias, simulate_clicks
from ltr_twotower import PlacementPropensity, TwoTowerClickModel
from ltr_twotower.batches import deal, split_cells
from ltr_twotower.cells import Cells
from ltr_twotower.newton import ConvergenceWarning, Problem, solve_newton
from ltr_twotower.towers import linear_tower
from ltr_twotower.train import TrainConfig, deep_tower, fit_neural, forward, polish_theta

pytestmark = pytest.mark.filterwarnings("ignore:training stopped after 2 epochs")

K = 6
THETA = log_position_bias(K)
FAST = TrainConfig(learning_rate=1e-2, batch_size=256, min_steps=40, epochs=100, device="cpu")
# All impressions are for training and the loss must stand still: for comparisons with exact solutions.
EXACT = replace(FAST, validation_share=0.0, min_delta=0.0, weight_decay=0.0)
QUICK = replace(FAST, epochs=2, min_steps=10)


def make_log(logits, X, *, temperature: float = 1.0, n_sessions: int = 30_000, seed: int = 0) -> ClickLog:
    rng = np.random.default_rng(seed)
    policy = EpsilonGreedy(logits, np.arange(0, len(logits) + 1, K), temperature, K)
    return simulate_clicks(policy, AdditiveTwoTower(THETA), logits, n_sessions, rng, doc_features=X.astype(np.float32))


def features(n_queries: int = 60, n_features: int = 3, seed: int = 1):
    return np.random.default_rng(seed).normal(size=(n_queries * K, n_features))


def table(log: ClickLog):
    return log.features.astype(np.float64)


@pytest.fixture(scope="module")
def nonlinear():
    X = features()
    return make_log(np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2] - 1, X)


@pytest.fixture(scope="module")
def linear():
    X = features(seed=2)
    return make_log(X @ [1.0, -0.5, 0.3] - 1, X, temperature=0.7)


@pytest.fixture(scope="module")
def small():
    X = features(n_queries=10, seed=3)
    log = make_log(X @ [1.0, -0.5, 0.3], X, n_sessions=500)
    return Cells.from_log(log), table(log)


# -- what training finds ----------------------------------------------------------------------------------------------


def test_a_deep_tower_recovers_theta_and_relevance_in_a_well_specified_nonlinear_world(nonlinear):
    X = table(nonlinear)
    result = fit_neural(Cells.from_log(nonlinear), X, "deep", "position", FAST, 0, 0.1)
    truth = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]
    assert result.converged
    assert result.theta.dtype == result.gamma.dtype == np.float64
    assert np.abs(result.theta - result.theta[0] - THETA).max() < 0.1
    assert np.corrcoef(result.gamma, truth)[0, 1] > 0.95
    # No linear tower could have found it.
    assert np.corrcoef(X @ np.linalg.lstsq(X, truth, rcond=None)[0], truth)[0, 1] < 0.7


def test_a_linear_tower_agrees_with_the_exact_solution(linear):
    cells, X = Cells.from_log(linear), table(linear)
    exact = solve_newton(Problem(cells, X=X, l2=0.1))
    result = fit_neural(cells, X, "linear", "position", EXACT, 0, 0.1)
    assert np.abs((result.theta - result.theta[0]) - (exact.v - exact.v[0])).max() < 0.02
    difference = result.gamma - scipy.stats.zscore(X) @ exact.u
    assert np.abs(difference - difference.mean()).max() < 0.05


def test_the_ridge_on_a_linear_tower_is_that_of_the_exact_solution(linear):
    cells, X = Cells.from_log(linear), table(linear) * [1.0, 5.0, 0.2] + [0.0, 3.0, -20.0]
    exact = solve_newton(Problem(cells, X=X, l2=3000.0))
    free = solve_newton(Problem(cells, X=X, l2=0.1))
    result = fit_neural(cells, X, "linear", "position", EXACT, 0, 3000.0)
    slope = np.linalg.lstsq(np.c_[scipy.stats.zscore(X), np.ones(len(X))], result.gamma, rcond=None)[0][:-1]
    assert np.abs(slope - exact.u).max() < 0.05
    assert np.abs(free.u - exact.u).max() > 0.2


def test_weights_that_differ_several_hundredfold_are_fitted_as_the_exact_solution_fits_them():
    X = features(seed=4)
    # The tower does not see the strongest feature, and the logger sorts by it: weighting changes the answer.
    log = make_log(X @ [1.0, -0.5, 0.3] - 1, X[:, 1:], temperature=0.02, n_sessions=60_000)
    raw, X = Cells.from_log(log), table(log)
    cells = PlacementPropensity().weigh(raw)
    weights = cells.n / cells.impressions
    exact, unweighted = (solve_newton(Problem(c, X=X, l2=0.1)).v for c in (cells, raw))
    result = fit_neural(cells, X, "linear", "position", EXACT, 0, 0.1)
    assert weights.max() / weights.min() > 300
    assert np.abs((result.theta - result.theta[0]) - (exact - exact[0])).max() < 0.02
    assert np.abs((unweighted - unweighted[0]) - (exact - exact[0])).max() > 0.3


def test_multiplying_all_weights_changes_nothing_but_the_meaning_of_the_ridge(small):
    cells, X = small
    first = fit_neural(cells, X, "deep", "position", QUICK, 0, 0.1)
    second = fit_neural(cells.weighted(np.full(len(cells), 4.0)), X, "deep", "position", QUICK, 0, 0.4)
    assert np.allclose(first.theta, second.theta, atol=1e-4)


def test_features_in_any_unit_are_learnt_alike(linear):
    cells, X = Cells.from_log(linear), table(linear)
    other = X * [1e4, 1e-4, 1.0] + [3e4, 0.0, -7.0]
    first, second = (fit_neural(cells, values, "deep", "position", FAST, 0, 0.1) for values in (X, other))
    assert np.abs(first.theta - second.theta).max() < 0.05
    assert np.corrcoef(first.gamma, second.gamma)[0, 1] > 0.99


def test_a_feature_that_never_varies_does_no_harm(small):
    cells, X = small
    constant = np.c_[X, np.full(len(X), 5.0)]
    assert np.isfinite(fit_neural(cells, constant, "deep", "position", QUICK, 0, 0.1).theta).all()


def test_a_rank_at_which_nothing_was_shown_has_theta_0(small):
    cells, X = small
    longer = replace(cells, n_ranks=cells.n_ranks + 1)
    assert fit_neural(longer, X, "deep", "position", QUICK, 0, 0.1).theta[-1] == 0


def test_a_log_without_a_click_and_one_with_nothing_else_stay_finite(small):
    cells, X = small
    for clicks in (np.zeros(len(cells)), cells.n):
        result = fit_neural(replace(cells, clicks=clicks), X, "deep", "position", QUICK, 0, 0.1)
        assert np.isfinite(result.theta).all()
        assert np.isfinite(result.gamma).all()


# -- the bias tower ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("A", [None, np.c_[np.log(np.arange(1, K + 1)), np.ones(K)]], ids=["theta", "features"])
def test_the_polished_theta_minimises_the_penalised_likelihood(small, A):
    cells, _ = small
    gamma = np.random.default_rng(0).normal(-2, 2, cells.n_pairs)
    design = np.eye(K) if A is None else A

    def objective(v):
        theta = design @ v
        z = theta[cells.rank] + gamma[cells.pair]
        return cells.n @ np.logaddexp(0, z) - cells.clicks @ z + theta @ theta

    theta = polish_theta(cells, gamma, 2.0, A)
    independent = minimize(objective, np.zeros(design.shape[1]), method="BFGS", options={"gtol": 1e-7})
    assert np.abs(theta - design @ independent.x).max() < 1e-4
    p = expit(theta[cells.rank] + gamma[cells.pair])
    score = np.bincount(cells.rank, cells.n * p - cells.clicks) + 2.0 * theta
    assert np.abs(design.T @ score).max() < 1e-8


def test_theta_carries_no_noise_of_the_optimiser(small):
    cells, X = small
    result = fit_neural(cells, X, "deep", "position", QUICK, 0, 0.1)
    assert np.array_equal(result.theta, polish_theta(cells, result.gamma, 0.1))


def test_features_of_the_ranks_share_strength_across_ranks(linear):
    cells, X = Cells.from_log(linear), table(linear)
    logarithm = np.log(np.arange(1, K + 1))[:, None]
    result = fit_neural(cells, X, "deep", np.c_[logarithm * 100, np.ones(K)], FAST, 0, 0.1)
    assert np.abs(result.theta - result.theta[0] - THETA).max() < 0.1
    slope = np.diff(result.theta) / np.diff(logarithm[:, 0])
    assert np.ptp(slope) < 1e-8


def test_collinear_features_of_the_ranks_are_accepted(small):
    cells, X = small
    ranks = np.arange(K, dtype=float)[:, None]
    single, double = (
        fit_neural(cells, X, "linear", A, EXACT, 0, 0.1).theta for A in (ranks, np.hstack([ranks, 2 * ranks]))
    )
    assert np.allclose(single, double, atol=0.02)


def test_a_bias_module_over_one_hot_ranks_is_trained(linear):
    import torch

    tower = torch.nn.Sequential(torch.nn.Linear(K, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    result = fit_neural(Cells.from_log(linear), table(linear), "deep", tower, FAST, 0, 0.1)
    assert np.abs(result.theta - result.theta[0] - THETA).max() < 0.15


# -- modules ----------------------------------------------------------------------------------------------------------


def test_a_module_of_the_users_own_is_copied_so_that_fitting_twice_gives_the_same(small):
    import torch

    cells, X = small
    module = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1), torch.nn.Flatten(0))
    before = copy.deepcopy(module.state_dict())
    first, second = (fit_neural(cells, X, module, "position", QUICK, 0, 0.1) for _ in range(2))
    assert np.array_equal(first.gamma, second.gamma)
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
    assert not torch.equal(before["0.weight"], first.module.state_dict()["0.weight"])


def test_a_saved_state_restores_a_deep_tower_bit_for_bit(small):
    cells, X = small
    result = fit_neural(cells, X + 100, "deep", "position", QUICK, 0, 0.1)
    fresh = deep_tower(3, QUICK)
    fresh.load_state_dict(result.module.state_dict())
    assert np.array_equal(forward(fresh, X + 100), result.gamma)


def test_towers_can_be_pickled(small):
    cells, X = small
    module = fit_neural(cells, X, "deep", "position", QUICK, 0, 0.1).module
    assert np.array_equal(forward(pickle.loads(pickle.dumps(module)), X), forward(module, X))


def test_forward_scores_without_dropout_and_leaves_the_module_as_it_was():
    tower = deep_tower(3, TrainConfig(dropout=0.5)).train()
    X = features()
    first = forward(tower, X)
    assert first.dtype == np.float64
    assert np.array_equal(first, forward(tower, X))
    assert np.allclose(first[:7], forward(tower, X[:7]), atol=1e-6)
    assert tower.training
    assert not any(p.grad is not None for p in tower.parameters())
    assert forward(tower, X[:0]).shape == (0,)


def test_a_linear_tower_is_linear_without_intercept_up_to_the_centre():
    tower = linear_tower(2)
    tower[0].weight.data.fill_(1.0)
    tower.scale.copy_(tower.scale.new_tensor([2.0, 4.0]))
    assert np.allclose(forward(tower, np.array([[2.0, 4.0], [0.0, 0.0]])), [2.0, 0.0])


# -- randomness -------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_result_and_another_seed_another(small):
    cells, X = small
    first, again, other = (fit_neural(cells, X, "deep", "position", QUICK, seed, 0.1) for seed in (7, 7, 8))
    assert np.array_equal(first.theta, again.theta)
    assert np.array_equal(first.gamma, again.gamma)
    assert not np.array_equal(first.theta, other.theta)


def test_no_seed_gives_a_fresh_result_every_time(small):
    cells, X = small
    first, second = (fit_neural(cells, X, "deep", "position", QUICK, None, 0.1) for _ in range(2))
    assert not np.array_equal(first.theta, second.theta)


def test_global_random_states_are_neither_read_nor_touched(small):
    import torch

    cells, X = small
    torch.manual_seed(1)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1]  # noqa: NPY002 - the state under test
    first = fit_neural(cells, X, "deep", "position", QUICK, 0, 0.1)
    assert torch.equal(before, torch.get_rng_state())
    assert np.array_equal(numpy_before, np.random.get_state()[1])  # noqa: NPY002
    torch.manual_seed(2)
    assert np.array_equal(first.theta, fit_neural(cells, X, "deep", "position", QUICK, 0, 0.1).theta)


# -- held-out impressions and batches ---------------------------------------------------------------------------------


@given(seed=st.integers(0, 10_000), share=st.floats(0, 0.99), weighted=st.booleans())
@settings(max_examples=50, deadline=None)
def test_held_out_cells_and_the_rest_are_exactly_the_cells(seed, share, weighted):
    rng = np.random.default_rng(seed)
    n, k = 20, 3
    docs = np.argsort(rng.random((n, k)), axis=1)
    log = ClickLog(query=rng.integers(0, 3, n), docs=docs, clicks=rng.random((n, k)) < 0.4)
    # Impressions of one cell have weights of their own here, as known propensities give them.
    cells = Cells.from_log(log, rng.exponential(size=(n, k)) ** 3 + 1e-3 if weighted else None)
    rest, held = split_cells(cells, share, rng)
    for name in ("n", "clicks", "n_squared", "clicks_squared", "impressions"):
        assert np.allclose(getattr(rest, name) + getattr(held, name), getattr(cells, name))
    for part in (rest, held):
        assert (part.impressions >= 0).all()
        assert (part.clicks >= -1e-12).all()
        assert (part.clicks <= part.n + 1e-9).all()
        assert weighted or np.array_equal(part.clicks, np.rint(part.clicks))


def test_the_held_out_share_and_its_click_rate_are_as_asked(linear):
    cells = Cells.from_log(linear)
    _, held = split_cells(cells, 0.2, np.random.default_rng(0))
    n = cells.impressions.sum()
    assert held.impressions.sum() / n == pytest.approx(0.2, abs=4 * np.sqrt(0.16 / n))
    rate = cells.clicks.sum() / n
    assert held.clicks.sum() / held.n.sum() == pytest.approx(rate, abs=4 * np.sqrt(rate / held.n.sum()))


def test_pairs_are_dealt_as_often_as_their_weight_says():
    weights = np.array([0.0, 1.0, 500.0, 3.5, 0.0, 20.0, 0.01])
    expected = 1000 * weights / weights.sum()
    drawn = np.bincount(deal(weights, 1000, np.random.default_rng(0)), minlength=len(weights))
    assert drawn.sum() == 1000
    assert (np.abs(drawn - expected) < 1).all()
    assert not drawn[weights == 0].any()


def test_the_heavy_pairs_are_spread_over_the_batches():
    order = deal(np.array([500.0] + [1.0] * 500), 1000, np.random.default_rng(0))
    shares = [(batch == 0).mean() for batch in np.split(order, 10)]
    assert 0.3 < min(shares) < max(shares) < 0.7


# -- stopping and precision -------------------------------------------------------------------------------------------


def test_training_that_runs_out_of_epochs_says_so(nonlinear):
    with pytest.warns(ConvergenceWarning, match="raise TrainConfig.epochs"):
        result = fit_neural(Cells.from_log(nonlinear), table(nonlinear), "deep", "position", QUICK, 0, 0.1)
    assert not result.converged
    assert result.epochs == 2


def test_training_stops_early_and_keeps_the_best_state(small):
    cells, X = small
    # A loss that must fall by 10 nats to count as improved never does after the first epoch.
    config = replace(QUICK, epochs=50, patience=2, min_delta=10.0)
    stopped = fit_neural(cells, X, "deep", "position", config, 0, 0.1)
    with pytest.warns(ConvergenceWarning):
        first = fit_neural(cells, X, "deep", "position", replace(QUICK, epochs=1), 0, 0.1)
    assert stopped.converged
    assert stopped.epochs == 3
    assert np.array_equal(stopped.gamma, first.gamma)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_loss_that_is_no_number_raises(small):
    cells, X = small
    with pytest.raises(IrworksError, match="diverged"):
        fit_neural(cells, X * [1, 1, np.nan], "deep", "position", QUICK, 0, 0.1)


def test_bfloat16_gives_nearly_the_same_theta(nonlinear):
    cells, X = Cells.from_log(nonlinear), table(nonlinear)
    result = fit_neural(cells, X, "deep", "position", replace(FAST, precision="bf16"), 0, 0.1)
    assert np.abs(result.theta - result.theta[0] - THETA).max() < 0.1
    assert all(p.dtype.is_floating_point and p.element_size() == 4 for p in result.module.parameters())


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_cuda_device_finds_the_same_theta_and_leaves_its_random_state_alone(nonlinear, precision):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    cells, X = Cells.from_log(nonlinear), table(nonlinear)
    before = torch.cuda.get_rng_state()
    config = replace(FAST, device="cuda", precision=precision)
    first, again = (fit_neural(cells, X, "deep", "position", config, 0, 0.1) for _ in range(2))
    assert torch.equal(before, torch.cuda.get_rng_state())
    assert np.abs(first.theta - first.theta[0] - THETA).max() < 0.1
    assert np.allclose(first.theta, again.theta, atol=0.02)
    assert {p.device.type for p in first.module.parameters()} == {"cpu"}


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "option",
    [
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"epochs": 0},
        {"batch_size": -1},
        {"min_steps": 0},
        {"patience": 0},
        {"weight_decay": -1.0},
        {"min_delta": -1.0},
        {"validation_share": 1.0},
        {"dropout": 1.0},
        {"hidden": (32, 0)},
        {"precision": "float16"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_a_setting_out_of_range_is_named(option):
    (name,) = option
    with pytest.raises(ArgumentError, match=f"^{name}="):
        TrainConfig(**option)


def test_hidden_sizes_read_back_from_json_are_a_tuple_again():
    assert TrainConfig(hidden=[8, 4]) == TrainConfig(hidden=(8, 4))


def test_unknown_towers_and_devices_are_named(small):
    cells, X = small
    with pytest.raises(ArgumentError, match="relevance='wide'"):
        fit_neural(cells, X, "wide", "position", QUICK, 0, 0.1)
    with pytest.raises(ArgumentError, match="bias='rank'"):
        fit_neural(cells, X, "deep", "rank", QUICK, 0, 0.1)
    with pytest.raises(ArgumentError, match=r"bias has shape \(2, 1\); expected \[6, n_bias_features\]"):
        fit_neural(cells, X, "deep", np.ones((2, 1)), QUICK, 0, 0.1)
    with pytest.raises(ArgumentError, match="device"):
        fit_neural(cells, X, "deep", "position", replace(QUICK, device="tpu"), 0, 0.1)


def test_a_module_that_does_not_return_a_logit_per_row_is_refused(small):
    import torch

    cells, X = small
    with pytest.raises(ArgumentError, match=r"relevance tower returned shape \[\d+, 2\]"):
        fit_neural(cells, X, torch.nn.Linear(3, 2), "position", QUICK, 0, 0.1)


def test_features_of_another_width_are_refused():
    with pytest.raises(ArgumentError, match=r"features have shape \[4, 5\]; expected \[n, 3\]"):
        forward(deep_tower(3, TrainConfig()), np.zeros((4, 5)))


def test_without_torch_the_error_says_how_to_install_it(small, monkeypatch):
    cells, X = small
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(
        MissingDependencyError, match=r"a neural tower needs torch.*pip install 'ltr-twotower\[torch\]'"
    ):
        fit_neural(cells, X, "deep", "position", QUICK, 0, 0.1)


def test_importing_the_modules_does_not_import_torch():
    code = "import sys, ltr_twotower.train, ltr_twotower.baselines; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- through the model ------------------------------------------------------------------------------------------------


def test_the_model_fits_predicts_and_scores_with_a_deep_tower(nonlinear):
    model = TwoTowerClickModel("deep", random_state=0, train=FAST).fit(nonlinear)
    assert model.position_bias_[0] == 0
    assert np.abs(model.position_bias_ - THETA).max() < 0.1
    assert np.array_equal(model.predict_relevance(nonlinear), model.predict_relevance(table(nonlinear)))
    assert model.score(nonlinear) > TwoTowerClickModel("linear").fit(nonlinear).score(nonlinear)
