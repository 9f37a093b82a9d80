"""The logging policy report: how often it cries wolf, whether it sees one, and what it says where none can be seen."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from irworks.simulate import EpsilonGreedy, PositionBased, simulate_clicks
from ltr_twotower import LoggingPolicyReport, PlacementPropensity, TwoTowerClickModel, logging_policy_report
from ltr_twotower.simulate import World, linear_world, omitted_features_world, query_effect_world, toy_world


def report(log: ClickLog, relevance: Any = "linear", **options: Any) -> LoggingPolicyReport:
    return logging_policy_report(TwoTowerClickModel(relevance), log, **options)


def small_world(kind: str, rng: np.random.Generator) -> World:
    sizes = {"n_queries": 50, "k": 5, "n_features": 6}
    if kind == "linear":
        return linear_world(rng, **sizes)
    if kind == "query-effect":
        return query_effect_world(rng, **sizes)
    return omitted_features_world(rng, **sizes, n_omitted=3)


@pytest.fixture(scope="module")
def bent() -> ClickLog:
    rng = np.random.default_rng(0)
    return small_world("omitted", rng).simulate(6000, rng, temperature=0.2)


@pytest.fixture(scope="module")
def bent_report(bent: ClickLog) -> LoggingPolicyReport:
    return report(bent)


@pytest.fixture(scope="module")
def deterministic() -> ClickLog:
    rng = np.random.default_rng(1)
    return small_world("linear", rng).simulate(4000, rng, temperature=0)


# -- the verdict ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["count", "known"])
def test_a_well_specified_linear_model_is_rarely_accused(method: Any) -> None:
    verdicts = []
    for seed in range(60):
        rng = np.random.default_rng(100 + seed)
        log = small_world("linear", rng).simulate(3000, rng, temperature=0.3)
        verdicts.append(report(log, propensity=PlacementPropensity(method)).verdict)

    # At level 0.05, 9 or more of 60 happen once in 500 times.
    assert verdicts.count("policy bias") <= 8
    assert set(verdicts) <= {"policy bias", "no sign of policy bias"}


def test_a_well_specified_embedding_model_is_rarely_accused() -> None:
    verdicts = []
    for seed in range(40):
        rng = np.random.default_rng(200 + seed)
        log = toy_world(rng, n_queries=30, k=5).simulate(4000, rng, temperature=0.5)
        verdicts.append(report(log, "embedding").verdict)

    assert verdicts.count("policy bias") <= 6
    assert set(verdicts) <= {"policy bias", "no sign of policy bias"}


def test_an_embedding_model_with_many_queries_is_not_accused_of_its_own_ridge() -> None:
    rng = np.random.default_rng(2)
    log = toy_world(rng, n_queries=800, k=5).simulate(40_000, rng, temperature=0.5)

    found = report(log, "embedding")

    assert found.residuals is None
    assert found.verdict != "policy bias"


@pytest.mark.parametrize("seed", range(3))
def test_few_impressions_per_document_are_not_mistaken_for_a_policy(seed: int) -> None:
    rng = np.random.default_rng(40 + seed)
    log = toy_world(rng, n_queries=800, k=5).simulate(800 * 50, rng, temperature=0.1)

    found = report(log, "embedding")

    assert found.verdict == "cannot tell"
    assert not found.shift.reliable
    assert "so few impressions per document" in found.text


@pytest.mark.parametrize("kind", ["omitted", "query-effect"])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_a_misspecified_model_is_found_out(kind: str, temperature: float) -> None:
    for seed in range(5):
        rng = np.random.default_rng(300 + seed)
        log = small_world(kind, rng).simulate(5000, rng, temperature=temperature)
        found = report(log)
        assert found.verdict == "policy bias"
        assert found.residuals.p_value < 0.01
        assert found.residuals.correlation > 0
        assert found.shift.p_value < 0.01


def test_the_wrong_click_model_is_found_out_by_the_shift_alone() -> None:
    rng = np.random.default_rng(3)
    relevance = np.repeat([-2.0, -1.0, 0.0, 1.0, 2.5], 40).reshape(5, 40).T.ravel()
    policy = EpsilonGreedy(relevance, np.arange(0, 201, 5), 0.1, k=5)
    log = simulate_clicks(policy, PositionBased([1, 0.5, 0.3, 0.2, 0.1]), relevance, 60_000, rng)

    found = report(log, "embedding")

    assert found.residuals is None
    assert found.verdict == "policy bias"


def test_a_deterministic_log_and_an_embedding_are_not_identified(deterministic: ClickLog) -> None:
    found = report(deterministic, "embedding")

    assert found.verdict == "not identified"
    assert found.residuals is None
    assert found.shift is None
    assert "NOT IDENTIFIED" in found.text
    row = found.thetas.iloc[1:]
    assert row[["naive", "weighted", "uniform", "naive_stderr", "weighted_stderr"]].isna().all(axis=None)


@pytest.mark.parametrize("policy", ["warn", "raise", "component-normalize"])
@pytest.mark.filterwarnings("error")
def test_the_report_itself_neither_warns_nor_raises(deterministic: ClickLog, policy: Any) -> None:
    found = logging_policy_report(TwoTowerClickModel(on_unidentified=policy), deterministic)

    assert found.verdict == "not identified"


def test_a_deterministic_log_cannot_tell_a_linear_model_anything(deterministic: ClickLog) -> None:
    found = report(deterministic)

    assert found.verdict == "cannot tell"
    assert found.weights.no_op
    assert found.residuals is None
    assert found.shift is None
    assert "changes nothing" in found.text


def test_queries_asked_once_cannot_tell() -> None:
    rng = np.random.default_rng(4)
    log = linear_world(rng, n_queries=400, k=5, n_features=4).simulate(400, rng, temperature=0.5)
    once = log.select(np.unique(log.query, return_index=True)[1])

    found = report(replace(once, propensities=None))

    assert found.verdict == "cannot tell"
    assert found.weights.no_op


def test_a_single_rank_cannot_tell(bent: ClickLog) -> None:
    top = ClickLog(query=bent.query, docs=bent.docs[:, :1], clicks=bent.clicks[:, :1])

    found = report(top, "embedding")

    assert found.verdict == "cannot tell"
    assert "Only one rank" in found.text
    json.dumps(found.to_dict(), allow_nan=False)


def test_few_clicks_are_said_to_be_weak_evidence(bent: ClickLog) -> None:
    clicks = bent.clicks & (np.random.default_rng(0).random(bent.clicks.shape) < 0.005)

    assert f"{clicks.sum()} clicks" in report(replace(bent, clicks=clicks)).text


def test_a_stricter_level_accuses_less(bent: ClickLog) -> None:
    rng = np.random.default_rng(5)
    log = small_world("linear", rng).simulate(2000, rng, temperature=0.3)
    lowest = min(found.p_value for found in (report(log).residuals, report(log).shift))

    assert report(log, level=min(3 * lowest, 0.999)).verdict == "policy bias"
    assert report(log, level=1.9 * lowest).verdict == "no sign of policy bias"


# -- the table --------------------------------------------------------------------------------------------------------


def test_the_thetas_are_those_of_the_models_side_by_side(bent: ClickLog, bent_report: LoggingPolicyReport) -> None:
    table = bent_report.thetas
    naive = TwoTowerClickModel("linear").fit(bent)
    weighted = TwoTowerClickModel("linear", sample_weight=PlacementPropensity("known")).fit(bent)

    assert table["position"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(table["naive"], naive.position_bias_, atol=1e-6)
    np.testing.assert_allclose(table["weighted"], weighted.position_bias_, atol=1e-6)
    np.testing.assert_allclose(table["weighted_stderr"], weighted.stderr_, rtol=1e-6)
    assert bent_report.weights == weighted.weights_


def test_the_uniform_target_is_what_a_uniform_logger_teaches() -> None:
    rng = np.random.default_rng(6)
    world = omitted_features_world(rng, n_queries=60, k=5, n_features=6, n_omitted=3)
    table = report(world.simulate(40_000, rng, temperature=0.3)).thetas

    uniform = TwoTowerClickModel("linear").fit(world.simulate(40_000, rng, temperature=1.0))

    assert np.abs(table["uniform"] - uniform.position_bias_).max() < 0.12
    assert np.abs(table["naive"] - uniform.position_bias_).max() > 0.3
    np.testing.assert_allclose(table["weighted"], uniform.position_bias_, atol=0.12)


def test_the_uniform_target_is_a_regression_on_every_document_at_every_rank(bent: ClickLog) -> None:
    # Queries asked unequally often, so that their weight shows.
    uneven = bent.select((bent.query < 15) | (np.arange(len(bent)) % 4 == 0))
    free = TwoTowerClickModel(bias_reduction=True).fit(uneven)
    asked = np.bincount(uneven.query)[uneven.pairs.query]
    p = expit(free.position_bias_ + free.gamma_[:, None])
    design = np.hstack([np.tile(np.eye(5), (len(asked), 1)), np.repeat(uneven.features.astype(float), 5, axis=0)])
    regression = LogisticRegression(C=1 / 0.1, fit_intercept=False, solver="newton-cholesky", tol=1e-10)
    regression.fit(
        np.vstack([design, design]),
        np.repeat([1, 0], p.size),
        sample_weight=np.concatenate([(asked[:, None] / 5 * q).ravel() for q in (p, 1 - p)]),
    )

    theta = regression.coef_[0][:5]
    np.testing.assert_allclose(report(uneven).thetas["uniform"], theta - theta[0], atol=1e-3)


def test_the_uniform_target_survives_few_impressions_per_document() -> None:
    rng = np.random.default_rng(7)
    world = omitted_features_world(rng, n_queries=200, k=8, n_features=6, n_omitted=3)
    table = report(world.simulate(400, rng, temperature=0.3)).thetas

    uniform = TwoTowerClickModel("linear").fit(world.simulate(40_000, rng, temperature=1.0))

    assert np.abs(table["uniform"] - uniform.position_bias_).mean() < 0.2


def test_there_is_no_uniform_target_where_the_swap_graph_is_not_connected(deterministic: ClickLog) -> None:
    table = report(deterministic).thetas

    assert table["uniform"].isna().all()
    assert table["naive"].notna().all()


def test_the_residual_bins_hold_every_impression_and_rise_with_placement(
    bent: ClickLog, bent_report: LoggingPolicyReport
) -> None:
    bins = bent_report.bins

    assert bins["n"].sum() == pytest.approx(bent.n_impressions)
    assert (bins["residual"] * bins["n"]).sum() == pytest.approx(0, abs=1)
    assert bins["residual"].iloc[-1] > 0 > bins["residual"].iloc[0]
    assert bins["placement"].is_monotonic_increasing


def test_the_propensity_of_the_argument_comes_before_that_of_the_model(bent: ClickLog) -> None:
    own = logging_policy_report(TwoTowerClickModel("linear", sample_weight=PlacementPropensity(clip=2)), bent)
    given = logging_policy_report(
        TwoTowerClickModel("linear", sample_weight=PlacementPropensity(clip=2)),
        bent,
        propensity=PlacementPropensity("known"),
    )

    assert own.weights.clipped > 0
    assert given.weights.clipped == 0
    assert report(replace(bent, propensities=None)).weights.ess != given.weights.ess


def test_a_rank_that_was_never_shown_has_no_theta(bent: ClickLog) -> None:
    mask = np.tile([True, False, True, True, True], (len(bent), 1))
    gap = ClickLog(query=bent.query, docs=np.where(mask, bent.docs, -1), clicks=bent.clicks & mask)

    table = report(gap, "embedding").thetas

    assert table["naive"].isna().tolist() == [False, True, False, False, False]
    assert table["uniform"].isna().tolist() == [False, True, False, False, False]


# -- in and out -------------------------------------------------------------------------------------------------------


def odd_logs(bent: ClickLog, deterministic: ClickLog) -> dict[str, ClickLog]:
    return {
        "bent": bent,
        "deterministic": deterministic,
        "no clicks": replace(bent, clicks=np.zeros_like(bent.clicks)),
        "one query": bent.select(bent.query == 0),
    }


@pytest.mark.parametrize("name", ["bent", "deterministic", "no clicks", "one query"])
@pytest.mark.parametrize("relevance", ["embedding", "linear"])
def test_the_report_is_strict_json(bent: ClickLog, deterministic: ClickLog, name: str, relevance: Any) -> None:
    found = report(odd_logs(bent, deterministic)[name], relevance)

    again = json.loads(json.dumps(found.to_dict(), allow_nan=False))

    assert again["verdict"] == found.verdict
    assert again["text"] == found.text
    assert [row["position"] for row in again["thetas"]] == [1, 2, 3, 4, 5]
    assert again["ess"] == pytest.approx(found.weights.ess)


@pytest.mark.parametrize("name", ["bent", "deterministic"])
def test_the_page_is_one_file_that_loads_nothing(
    bent: ClickLog, deterministic: ClickLog, tmp_path: Path, name: str
) -> None:
    found = report(odd_logs(bent, deterministic)[name])

    found.to_html(tmp_path / "report.html")

    html = (tmp_path / "report.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert html.count("<svg") == 3
    assert found.identifiability.summary().split(".")[0] in html
    assert html.lower().startswith("<!doctype html>")
    linked = re.findall(r"""(?:src|href)\s*=\s*["']?(?!#|data:)([^"' >]+)|url\((?!["']?(?:#|data:))""", html)
    assert [address for address in linked if address] == []
    assert "<script src" not in html


@pytest.mark.parametrize(
    "options",
    [{"combine": "pbm"}, {"relevance": "deep"}, {"relevance": "linear", "bias": np.ones((5, 1))}],
    ids=lambda options: str(list(options)),
)
def test_a_model_that_cannot_be_examined_is_refused(bent: ClickLog, options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match="additive"):
        logging_policy_report(TwoTowerClickModel(**options), bent)


@pytest.mark.parametrize("level", [0, 1, 5, float("nan")])
def test_a_level_outside_the_unit_interval_is_refused(bent: ClickLog, level: float) -> None:
    with pytest.raises(ArgumentError, match="level="):
        report(bent, level=level)


def test_a_linear_model_needs_features(bent: ClickLog) -> None:
    with pytest.raises(ArgumentError, match="features"):
        report(replace(bent, features=None, feature_names=()))
