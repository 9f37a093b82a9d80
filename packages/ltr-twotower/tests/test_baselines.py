import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from irworks.simulate import AdditiveTwoTower, EpsilonGreedy, PositionBased, log_position_bias, simulate_clicks
from ltr_twotower import PlacementPropensity, TwoTowerClickModel
from ltr_twotower.baselines import GradientReversalTwoTower, PositionDropoutTwoTower, RegressionEM
from ltr_twotower.model import NotIdentifiedWarning
from ltr_twotower.newton import ConvergenceWarning
from ltr_twotower.train import TrainConfig

K = 6
THETA = log_position_bias(K)
EXAMINATION = 1 / np.arange(1, K + 1)
TRAIN = TrainConfig(
    learning_rate=1e-2, batch_size=256, min_steps=40, epochs=100, validation_share=0.0, min_delta=0.0, device="cpu"
)


def make_log(behaviour, temperature: float, n_sessions: int = 30_000, n_queries: int = 60) -> ClickLog:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_queries * K, 3))
    logits = X @ [1.0, -0.5, 0.3] - 0.5
    policy = EpsilonGreedy(logits, np.arange(0, len(X) + 1, K), temperature, K)
    return simulate_clicks(policy, behaviour, logits, n_sessions, rng, doc_features=X.astype(np.float32))


@pytest.fixture(scope="module")
def expert_log():
    return make_log(AdditiveTwoTower(THETA), temperature=0.3)


@pytest.fixture(scope="module")
def random_log():
    return make_log(AdditiveTwoTower(THETA), temperature=1.0)


@pytest.fixture(scope="module")
def pbm_log():
    return make_log(PositionBased(EXAMINATION), temperature=0.5)


# -- dropout of the position ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relevance", ["embedding", "linear"])
def test_without_dropout_the_position_dropout_model_is_the_plain_two_tower(expert_log, relevance):
    plain = TwoTowerClickModel(relevance).fit(expert_log)
    model = PositionDropoutTwoTower(0.0, relevance).fit(expert_log)
    assert np.allclose(model.position_bias_, plain.position_bias_, atol=1e-6)
    assert np.allclose(model.predict_relevance(expert_log), plain.predict_relevance(expert_log), atol=1e-6)


def test_without_dropout_a_deep_position_dropout_model_is_the_plain_two_tower(random_log):
    plain, model = (
        m.fit(random_log)
        for m in (
            TwoTowerClickModel("deep", random_state=0, train=TRAIN),
            PositionDropoutTwoTower(0.0, "deep", random_state=0, train=TRAIN),
        )
    )
    assert np.abs(model.position_bias_ - plain.position_bias_).max() < 0.03


def test_position_dropout_minimises_the_loss_expected_over_all_ways_to_drop(expert_log):
    rate, l2 = 0.3, 0.1
    model = PositionDropoutTwoTower(rate, "linear", l2=l2).fit(expert_log)
    cells, X = model.cells_, expert_log.features.astype(float)

    def loss(x):
        theta, missing, w = x[:K], x[K], x[K + 1 :]
        f = (X @ w)[cells.pair]

        def likelihood(z):
            return cells.n @ np.logaddexp(0, z) - cells.clicks @ z

        kept, dropped = likelihood(theta[cells.rank] + f), likelihood(missing + f)
        return ((1 - rate) * kept + rate * dropped + l2 / 2 * x @ x) / cells.total

    independent = minimize(loss, np.zeros(K + 4), method="BFGS", options={"gtol": 1e-8}).x
    assert np.abs(model.position_bias_ - (independent[:K] - independent[0])).max() < 1e-3
    assert np.abs(model.coef_ - independent[K + 1 :]).max() < 1e-3


def test_dropout_moves_clicks_from_position_to_relevance_where_the_logger_is_good(expert_log):
    plain = TwoTowerClickModel("linear").fit(expert_log)
    steps = [PositionDropoutTwoTower(rate, "linear").fit(expert_log) for rate in (0.1, 0.3, 0.5)]
    last_theta = [model.position_bias_[-1] for model in (plain, *steps)]
    length = [np.linalg.norm(model.coef_) for model in (plain, *steps)]
    assert (np.diff(last_theta) > 0).all()
    assert (np.diff(length) > 0).all()
    assert plain.score(expert_log) > steps[-1].score(expert_log)


def test_dropout_works_with_deep_towers_and_with_weights(expert_log):
    model = PositionDropoutTwoTower(0.2, "deep", sample_weight=PlacementPropensity(), random_state=0, train=TRAIN)
    model.fit(expert_log)
    assert model.position_bias_.shape == (K,)
    assert model.position_bias_[0] == 0
    assert np.isnan(model.stderr_[1:]).all()
    assert np.isfinite(model.predict_proba(expert_log)).all()


# -- gradient reversal ------------------------------------------------------------------------------------------------


def test_without_strength_the_gradient_reversal_model_is_the_plain_two_tower(random_log):
    plain = TwoTowerClickModel("linear").fit(random_log)
    model = GradientReversalTwoTower(0.0, "linear", random_state=0, train=TRAIN).fit(random_log)
    assert np.abs(model.position_bias_ - plain.position_bias_).max() < 0.03


def test_reversal_makes_position_alone_say_less_about_clicks(expert_log):
    def explained(model):
        """Squared correlation of theta with the click logits of the ranks, over impressions."""
        cells = model.cells_
        n, c = (np.bincount(cells.rank, values) for values in (cells.n, cells.clicks))
        return np.corrcoef(model.position_bias_, np.log(c / (n - c)))[0, 1] ** 2

    plain, reversed_ = (
        GradientReversalTwoTower(strength, "linear", random_state=0, train=TRAIN).fit(expert_log)
        for strength in (0.0, 0.7)
    )
    assert explained(reversed_) < explained(plain) - 0.05
    assert plain.score(expert_log) > reversed_.score(expert_log)


def test_reversal_works_with_deep_towers_and_repeats_itself(expert_log):
    first, again = (
        GradientReversalTwoTower(0.3, "deep", random_state=3, train=TRAIN).fit(expert_log) for _ in range(2)
    )
    assert np.array_equal(first.position_bias_, again.position_bias_)
    assert np.isfinite(first.predict_proba(expert_log)).all()
    assert np.array_equal(first.predict_relevance(expert_log), again.predict_relevance(expert_log))


# -- regression EM ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("relevance", ["embedding", "linear"])
def test_em_recovers_the_examination_of_a_position_based_world(pbm_log, relevance):
    model = RegressionEM(relevance).fit(pbm_log)
    assert model.converged_
    assert model.examination_[0] == 1
    assert np.abs(model.examination_ - EXAMINATION).max() < 0.03


@pytest.mark.parametrize("relevance", ["embedding", "linear"])
def test_the_likelihood_never_falls_during_em(pbm_log, relevance):
    trace = RegressionEM(relevance).fit(pbm_log).log_likelihood_
    assert len(trace) > 10
    assert np.diff(trace).min() > -1e-9 * abs(trace[0])
    assert trace[-1] > trace[0] + 100


def test_em_and_lbfgs_reach_the_same_likelihood(pbm_log):
    em, lbfgs = RegressionEM("linear").fit(pbm_log), TwoTowerClickModel("linear", combine="pbm").fit(pbm_log)
    assert np.abs(em.examination_ - lbfgs.examination_).max() < 0.01
    assert np.abs(em.coef_ - lbfgs.coef_).max() < 0.05
    assert em.score(pbm_log) == pytest.approx(lbfgs.score(pbm_log), abs=1e-5)


def test_an_em_step_is_the_mean_over_impressions_of_the_posterior():
    log = make_log(PositionBased(EXAMINATION), temperature=0.5, n_sessions=200, n_queries=3)
    l2 = 0.2
    with pytest.warns(ConvergenceWarning, match="after 2 steps"):
        model = RegressionEM("embedding", l2=l2, max_iterations=2).fit(log)
    examination, relevance = np.full(K, 0.5), np.full(len(log.pairs), 0.5)
    for _ in range(2):
        e, r = np.broadcast_to(examination, log.docs.shape), relevance[log.pairs.index]
        examined = np.where(log.clicks, 1.0, e * (1 - r) / (1 - e * r))
        relevant = np.where(log.clicks, 1.0, r * (1 - e) / (1 - e * r))
        examination = examined.mean(axis=0)
        pair = log.pairs.index.ravel()
        relevance = (np.bincount(pair, relevant.ravel()) + l2) / (np.bincount(pair) + 2 * l2)
    assert np.allclose(model.examination_, examination / examination[0])
    assert np.allclose(expit(model.gamma_), relevance)
    assert np.allclose(model.predict_proba(log), examination * relevance[log.pairs.index])


def test_pairs_without_or_with_only_clicks_keep_a_finite_relevance():
    docs = np.tile([[0, 1, 2]], (50, 1))
    docs[25:] = [[1, 0, 2]]
    clicks = np.zeros((50, 3), dtype=bool)
    clicks[:25, 0] = clicks[25:, 1] = True
    log = ClickLog(np.zeros(50, int), docs, clicks)
    with pytest.warns(NotIdentifiedWarning, match=r"\[\[1, 2\], \[3\]\]"):
        model = RegressionEM("embedding").fit(log)
    assert np.isfinite(model.gamma_).all()
    assert np.isfinite(model.position_bias_).all()
    assert model.gamma_.argmax() == 0
    assert model.score(log) > -0.1


def test_em_takes_weights_and_unequal_lists(pbm_log):
    mask = pbm_log.shown.copy()
    mask[::3, -1] = False
    shorter = ClickLog(pbm_log.query, pbm_log.docs, pbm_log.clicks & mask, mask)
    model = RegressionEM(sample_weight=PlacementPropensity()).fit(shorter)
    assert np.abs(model.examination_ - EXAMINATION).max() < 0.1


# -- bad input --------------------------------------------------------------------------------------------------------


def test_options_out_of_range_are_named():
    with pytest.raises(ArgumentError, match="rate=1"):
        PositionDropoutTwoTower(1.0)
    with pytest.raises(ArgumentError, match="strength=-1"):
        GradientReversalTwoTower(-1.0)
    with pytest.raises(ArgumentError, match="max_iterations=0"):
        RegressionEM(max_iterations=0)


def test_towers_that_do_not_fit_the_baseline_are_refused(random_log):
    with pytest.raises(ArgumentError):
        GradientReversalTwoTower(0.1, "embedding").fit(random_log)
    with pytest.raises(ArgumentError):
        RegressionEM("deep").fit(random_log)


def test_features_that_the_log_lacks_are_asked_for_and_can_be_passed(pbm_log):
    bare = ClickLog(pbm_log.query, pbm_log.docs, pbm_log.clicks)
    with pytest.raises(ArgumentError, match="needs features"):
        RegressionEM("linear").fit(bare)
    passed = RegressionEM("linear").fit(bare, X=pbm_log.features)
    assert np.allclose(passed.position_bias_, RegressionEM("linear").fit(pbm_log).position_bias_)
