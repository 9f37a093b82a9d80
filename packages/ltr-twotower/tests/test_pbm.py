"""The position-based model: examination ratios, an independent minimum, and what it refuses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from irworks.simulate import EpsilonGreedy, PositionBased, simulate_clicks
from ltr_twotower import Cells, ConvergenceWarning, NotIdentifiedWarning, PlacementPropensity, TwoTowerClickModel
from ltr_twotower.pbm import fit_pbm

EXAMINATION = np.array([1.0, 0.7, 0.45, 0.3])


def pbm_log(
    sessions: int, temperature: float = 1.0, n_queries: int = 20, seed: int = 0
) -> tuple[ClickLog, np.ndarray, np.ndarray]:
    """A log, the true attraction logits and the features that they are linear in."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n_queries * 4, 3)).astype(np.float32)
    logits = features @ np.array([1.0, -0.5, 0.3]) - 0.4
    policy = EpsilonGreedy(logits, np.arange(0, n_queries * 4 + 1, 4), temperature, k=4)
    log = simulate_clicks(policy, PositionBased(EXAMINATION), logits, sessions, rng, doc_features=features)
    return log, logits, features


@pytest.mark.parametrize("relevance", ["embedding", "linear"])
@pytest.mark.parametrize("temperature", [0.3, 1.0])
def test_examination_ratios_are_recovered(relevance: Any, temperature: float) -> None:
    log, _, _ = pbm_log(40_000, temperature)

    model = TwoTowerClickModel(relevance, combine="pbm").fit(log)

    np.testing.assert_allclose(model.examination_, EXAMINATION, atol=0.035)
    np.testing.assert_allclose(model.position_bias_, np.log(EXAMINATION), atol=0.08)
    assert model.position_bias_[0] == 0
    assert model.examination_[0] == 1


def test_weighting_leaves_a_well_specified_pbm_right() -> None:
    log, _, _ = pbm_log(40_000, 0.3)

    model = TwoTowerClickModel("linear", combine="pbm", sample_weight=PlacementPropensity()).fit(log)

    np.testing.assert_allclose(model.examination_, EXAMINATION, atol=0.05)
    assert model.weights_.ess < log.n_impressions


def test_a_linear_attraction_has_its_intercept() -> None:
    log, logits, features = pbm_log(40_000)

    model = TwoTowerClickModel("linear", combine="pbm").fit(log)

    np.testing.assert_allclose(model.coef_, [1.0, -0.5, 0.3], atol=0.15)
    attraction = expit(model.predict_relevance(features)) * np.exp(model.log_scale_)
    np.testing.assert_allclose(attraction, expit(logits), atol=0.06)


@pytest.mark.parametrize("relevance", ["embedding", "linear"])
def test_predictions_are_examination_times_attraction(relevance: Any) -> None:
    log, _, _ = pbm_log(3000)
    model = TwoTowerClickModel(relevance, combine="pbm").fit(log)

    p = model.predict_proba(log)

    attraction = expit(model.predict_relevance(log))[log.pairs.index]
    np.testing.assert_allclose(p, model.examination_ * np.exp(model.log_scale_) * attraction, rtol=1e-12)
    assert ((p > 0) & (p < 1)).all()
    observed = log.clicks.mean(axis=0)
    np.testing.assert_allclose(p.mean(axis=0), observed, atol=0.01)


@pytest.mark.parametrize("weighted", [False, True])
def test_no_independent_search_finds_a_better_fit(weighted: bool) -> None:
    log, _, _ = pbm_log(400, n_queries=2)
    cells = Cells.from_log(log)
    if weighted:
        cells = cells.weighted(np.random.default_rng(0).uniform(0.3, 2, len(cells)))
    l2 = 0.5

    def loss(x: np.ndarray) -> float:
        t, u = x[:4], x[4:]
        p = expit(t)[cells.rank] * expit(u)[cells.pair]
        return float(
            -(cells.clicks * np.log(p) + (cells.n - cells.clicks) * np.log1p(-p)).sum() + l2 / 2 * (x**2).sum()
        )

    result = fit_pbm(cells, None, l2)

    t = np.log(np.exp(result.log_examination) / -np.expm1(result.log_examination))
    own = loss(np.concatenate([t, result.gamma]))
    rng = np.random.default_rng(1)
    found = [minimize(loss, rng.normal(size=4 + cells.n_pairs), method="BFGS").fun for _ in range(3)]
    assert result.converged
    assert own <= min(found) + 1e-4


def test_an_additive_model_has_no_examination_probabilities() -> None:
    log, _, _ = pbm_log(500)

    with pytest.raises(ArgumentError, match="not an examination probability"):
        _ = TwoTowerClickModel().fit(log).examination_


def test_a_pbm_gives_no_standard_errors() -> None:
    log, _, _ = pbm_log(500)

    model = TwoTowerClickModel(combine="pbm").fit(log)

    assert np.isnan(model.stderr_).all()
    assert np.isnan(model.contrast(1, 2)[1])


def test_a_deterministic_log_does_not_identify_a_pbm_either() -> None:
    log, _, _ = pbm_log(2000, temperature=0.0)

    with pytest.warns(NotIdentifiedWarning, match=r"\[\[1\], \[2\], \[3\], \[4\]\]"):
        model = TwoTowerClickModel(combine="pbm").fit(log)

    assert np.isnan(model.contrast(1, 2)[0])
    assert model.contrast(1, 2)[1] == np.inf


def test_a_rank_that_was_never_shown_has_no_examination() -> None:
    log, _, _ = pbm_log(2000)
    mask = np.tile([True, False, True, True], (len(log), 1))
    gap = ClickLog(query=log.query, docs=np.where(mask, log.docs, -1), clicks=log.clicks & mask)

    model = TwoTowerClickModel(combine="pbm").fit(gap)

    assert np.isnan(model.examination_).tolist() == [False, True, False, False]
    assert np.isnan(model.predict_proba(log)[:, 1]).all()
    assert np.isfinite(model.predict_proba(log)[:, [0, 2, 3]]).all()


@pytest.mark.filterwarnings("ignore:there is nothing to learn")
@pytest.mark.parametrize("rate", [0, 1])
def test_a_log_with_no_click_or_only_clicks_stays_finite(rate: int) -> None:
    log, _, _ = pbm_log(500)
    silent = replace(log, clicks=np.full(log.docs.shape, bool(rate)))

    model = TwoTowerClickModel(combine="pbm").fit(silent)

    assert np.isfinite(model.position_bias_).all()
    assert np.abs(model.predict_proba(silent) - rate).max() < 0.2
    assert np.isfinite(model.score(silent))


def test_streamed_parts_give_the_pbm_of_the_whole() -> None:
    log, _, _ = pbm_log(2000)
    streamed = TwoTowerClickModel(combine="pbm")

    for start in (2, 0, 1):
        streamed.partial_fit(log.select(slice(start, None, 3)))

    whole = TwoTowerClickModel(combine="pbm").fit(log)
    np.testing.assert_array_equal(streamed.position_bias_, whole.position_bias_)


def test_a_search_that_stops_early_warns() -> None:
    log, _, _ = pbm_log(500)

    with pytest.warns(ConvergenceWarning, match="stopped early"):
        result = fit_pbm(Cells.from_log(log), None, 0.1, max_iterations=2)

    assert not result.converged
