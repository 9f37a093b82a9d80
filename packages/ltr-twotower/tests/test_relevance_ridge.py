import numpy as np
import pytest

from irworks.errors import ArgumentError
from irworks.simulate import AdditiveTwoTower, EpsilonGreedy, log_position_bias, simulate_clicks
from ltr_twotower import TwoTowerClickModel


@pytest.fixture(scope="module")
def logs():
    rng = np.random.default_rng(0)
    gamma = rng.normal(-1, 1, 8000)
    policy = EpsilonGreedy(gamma, np.arange(0, 8001, 8), temperature=0.3, k=8)
    user = AdditiveTwoTower(log_position_bias(8))
    return [simulate_clicks(policy, user, gamma, n, rng) for n in (30_000, 10_000)]


def test_a_ridge_on_the_relevance_predicts_better_and_leaves_theta_alone(logs):
    train, test = logs
    plain, second_step, strong = (
        TwoTowerClickModel(**options).fit(train) for options in ({}, {"relevance_l2": 1.0}, {"l2": 1.0})
    )
    assert second_step.score(test) > plain.score(test)
    np.testing.assert_allclose(second_step.position_bias_, plain.position_bias_, atol=1e-12)
    error = [np.abs(m.position_bias_ - log_position_bias(8)).max() for m in (second_step, strong)]
    assert error[0] < error[1]


def test_a_relevance_ridge_equal_to_the_ridge_changes_little(logs):
    train, _ = logs
    plain, same = TwoTowerClickModel(l2=0.1).fit(train), TwoTowerClickModel(l2=0.1, relevance_l2=0.1).fit(train)
    assert np.abs(plain.gamma_ - same.gamma_).max() < 0.02


@pytest.mark.parametrize("options", [{"relevance": "linear"}, {"combine": "pbm"}, {"relevance_l2": -1.0}])
def test_a_relevance_ridge_without_a_use_is_refused(logs, options):
    with pytest.raises(ArgumentError, match="relevance_l2"):
        TwoTowerClickModel(**{"relevance_l2": 1.0, **options}).fit(logs[1])
