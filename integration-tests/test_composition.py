"""Packages work together in the hands of a user: what one estimates, another builds on."""

import numpy as np
import pytest

from cltr_twostage import ExposureIPS, TwoStagePolicy
from cltr_twostage.examination import read_examination
from cltr_twostage.simulate import natural_world
from irworks.errors import IrworksError
from ltr_twotower import TwoTowerClickModel

N_SESSIONS = 40_000


@pytest.fixture(scope="module")
def world():
    return natural_world(np.random.default_rng(5), n_queries=20)


@pytest.fixture(scope="module")
def log(world):
    return world.simulate(N_SESSIONS, np.random.default_rng(6))


@pytest.fixture(scope="module")
def click_model(log):
    return TwoTowerClickModel("embedding", combine="pbm").fit(log)


@pytest.fixture(scope="module")
def target(world):
    gain = 2.0 * world.relevance
    return world.logging.replace(
        candidate=world.logging.candidate_scores + gain, ranker=world.logging.ranker_scores + gain
    )


def _truth(world, policy: TwoStagePolicy) -> float:
    exposure = policy.exposure(world.examination, "mc", n_samples=4096, rng=np.random.default_rng(1)).value
    return float(np.repeat(world.query_weights, world.pool.sizes) * exposure @ world.relevance)


def test_examination_fitted_by_ltr_twotower_feeds_cltr_twostage_on_the_same_log(world, log, click_model, target):
    estimate = ExposureIPS(click_model).fit(log, world.logging).value(target)
    assert _truth(world, target) in estimate.ci
    # The interval says something: the target is told from the logging pair.
    assert estimate.ci.low > _truth(world, world.logging)


def test_a_saved_click_model_feeds_it_as_well(world, log, click_model, target, tmp_path):
    click_model.save_pretrained(tmp_path / "clicks")
    examination = read_examination(tmp_path / "clicks")
    np.testing.assert_allclose(examination, click_model.examination_)
    direct = ExposureIPS(click_model).fit(log, world.logging).value(target)
    assert ExposureIPS(examination).fit(log, world.logging).value(target).value == pytest.approx(direct.value)


def test_an_additive_theta_is_refused_as_a_probability_of_examination(world, log, tmp_path):
    additive = TwoTowerClickModel("embedding", combine="additive").fit(log)
    additive.save_pretrained(tmp_path / "additive")
    with pytest.raises(IrworksError, match="pbm"):
        read_examination(tmp_path / "additive")
    with pytest.raises(IrworksError, match="pbm"):
        ExposureIPS(additive)
    with pytest.raises(IrworksError, match=r"examination"):
        ExposureIPS(additive.position_bias_)
