"""Features: no fit may depend on their units or on where their zero lies, and columns are matched by name."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from irworks.data import ClickLog
from irworks.errors import DataError
from ltr_twotower import (
    Cells,
    PlacementPropensity,
    TwoTowerClickModel,
    check_identifiability,
    logging_policy_report,
    profile_likelihood,
)
from ltr_twotower.baselines import PositionDropoutTwoTower, RegressionEM
from ltr_twotower.features import Scaling
from ltr_twotower.simulate import linear_world, omitted_features_world

YEARS = np.array([2007.0, -1e6, 3.0])
UNITS = np.array([8.0, 1e4, 1e-5])


@pytest.fixture(scope="module")
def log() -> ClickLog:
    rng = np.random.default_rng(1)
    return linear_world(rng, n_queries=20, k=4, n_features=3).simulate(2000, rng, temperature=0.3)


@pytest.fixture(scope="module")
def bent() -> ClickLog:
    rng = np.random.default_rng(2)
    world = omitted_features_world(rng, n_queries=20, k=4, n_features=3, n_omitted=1)
    return world.simulate(3000, rng, temperature=0.3)


def newest_first(n: int = 3000, k: int = 4, n_queries: int = 40, n_docs: int = 6) -> tuple[ClickLog, np.ndarray]:
    """A policy that shows the newest first, but for a tenth of the lists; and the year of each pair, [n_pairs, 1]."""
    rng = np.random.default_rng(0)
    year = rng.uniform(1990, 2024, (n_queries, n_docs))
    query = rng.integers(0, n_queries, n)
    docs = np.argsort(-year, axis=1)[query]
    rows = rng.random(n) < 0.1
    docs[rows] = rng.permuted(docs[rows], axis=1)
    docs = docs[:, :k] + query[:, None] * n_docs
    clicks = rng.random((n, k)) < expit(0.12 * (year.ravel()[docs] - 2007) - 0.6 * np.arange(k))
    log = ClickLog(query, docs, clicks, doc_ids=np.arange(n_queries * n_docs))
    return log, year.ravel()[log.pairs.doc][:, None]


# -- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["year", "years since 2007", "ages"])
def test_a_year_is_as_good_a_feature_as_an_age(unit: str) -> None:
    log, year = newest_first()
    X = {"year": year, "years since 2007": year - 2007, "ages": (year - 2007) / 1e4}[unit]

    model = TwoTowerClickModel("linear").fit(log, X)

    assert (np.abs(model.position_bias_ + 0.6 * np.arange(4))[1:] < 3 * model.stderr_[1:]).all()
    assert model.stderr_.max() < 0.1


MODELS: dict[str, Callable[[], TwoTowerClickModel]] = {
    "newton": lambda: TwoTowerClickModel("linear"),
    "strong ridge": lambda: TwoTowerClickModel("linear", l2=100.0),
    "lbfgs": lambda: TwoTowerClickModel("linear", solver="lbfgs"),
    "weighted": lambda: TwoTowerClickModel("linear", sample_weight=PlacementPropensity("known")),
    "modelled weights": lambda: TwoTowerClickModel("linear", sample_weight=PlacementPropensity("model", clip=10)),
    "rank features": lambda: TwoTowerClickModel("linear", bias=np.log(np.arange(1, 5))[:, None]),
    "rank features with a level": lambda: TwoTowerClickModel("linear", bias=np.vander(np.log(np.arange(1, 5)), 3)),
    "pbm": lambda: TwoTowerClickModel("linear", combine="pbm"),
    "dropout": lambda: PositionDropoutTwoTower(0.2, "linear"),
    "EM": lambda: RegressionEM("linear"),
}


@pytest.mark.parametrize("name", MODELS)
def test_no_model_on_features_depends_on_their_units_or_their_zero(log: ClickLog, name: str) -> None:
    X = log.features.astype(float)
    # Written down in the units of the log, so that propensities modelled on the features see the new ones, too.
    moved = replace(log, features=(X * [8.0, 100.0, 1e-5] + [20.0, -30.0, 0.0]))

    plain, other = MODELS[name]().fit(log), MODELS[name]().fit(moved)

    # float32 keeps seven digits of the moved features.
    np.testing.assert_allclose(other.position_bias_, plain.position_bias_, atol=2e-4)
    np.testing.assert_allclose(other.stderr_, plain.stderr_, rtol=1e-3)
    np.testing.assert_allclose(other.gamma_, plain.gamma_, atol=2e-3)
    np.testing.assert_allclose(other.predict_relevance(moved), other.gamma_, atol=1e-6)
    np.testing.assert_allclose(other.coef_ * [8.0, 100.0, 1e-5], plain.coef_, atol=2e-3)


@settings(max_examples=25, deadline=None)
@given(
    a=st.lists(st.floats(1e-4, 1e4), min_size=3, max_size=3),
    sign=st.lists(st.sampled_from([-1, 1]), min_size=3, max_size=3),
    b=st.lists(st.floats(-1e5, 1e5), min_size=3, max_size=3),
    seed=st.integers(0, 1000),
)
def test_theta_does_not_change_when_every_feature_is_scaled_and_shifted(
    a: list[float], sign: list[int], b: list[float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    log = linear_world(rng, n_queries=8, k=3, n_features=3).simulate(300, rng, temperature=0.4)
    X = log.features.astype(float)
    unit = np.array(a) * sign
    plain = TwoTowerClickModel("linear").fit(log, X)

    # The shift is in units of the feature: 1e-4 x + 1e5 would itself lose digits of x in float64.
    model = TwoTowerClickModel("linear").fit(log, unit * X + unit * b)

    np.testing.assert_allclose(model.position_bias_, plain.position_bias_, atol=1e-6)
    np.testing.assert_allclose(model.stderr_, plain.stderr_, atol=1e-6)
    np.testing.assert_allclose(model.coef_ * unit, plain.coef_, atol=1e-5)


def test_what_is_said_about_a_linear_tower_does_not_depend_on_units_either(bent: ClickLog) -> None:
    moved = replace(bent, features=bent.features[:, :2] * [8.0, 0.1] + [200.0, -3.0])
    plain = replace(bent, features=bent.features[:, :2])
    checks = [check_identifiability(part, tower="linear") for part in (plain, moved)]
    reports = [logging_policy_report(TwoTowerClickModel("linear"), part) for part in (plain, moved)]
    profiles = [profile_likelihood(TwoTowerClickModel("linear"), part, 3, [-1.0, 0.0]) for part in (plain, moved)]

    np.testing.assert_allclose(checks[1].se_theta, checks[0].se_theta, rtol=1e-4)
    np.testing.assert_allclose(reports[1].thetas, reports[0].thetas, atol=2e-4)
    assert reports[1].verdict == reports[0].verdict
    assert reports[1].residuals.z == pytest.approx(reports[0].residuals.z, abs=1e-3)
    np.testing.assert_allclose(profiles[1].deviance, profiles[0].deviance, rtol=1e-3)
    np.testing.assert_allclose(profiles[1].interval, profiles[0].interval, atol=1e-3)


def test_a_constant_feature_changes_nothing_and_predicts_alike(log: ClickLog) -> None:
    X = log.features.astype(float)
    for constant in (0.0, 0.1, 2007.0):
        model = TwoTowerClickModel("linear").fit(log, np.c_[X, np.full(len(X), constant)])
        np.testing.assert_allclose(model.position_bias_, TwoTowerClickModel("linear").fit(log, X).position_bias_)
        assert abs(model.coef_[3] * (1 + constant)) < 1e-9


def test_relevances_have_a_level_of_their_own_where_features_of_the_ranks_give_theta_none() -> None:
    rng = np.random.default_rng(3)
    rare = linear_world(rng, n_queries=20, k=4, n_features=3)
    log = rare.simulate(4000, rng, temperature=0.5)
    shape = np.log(np.arange(1, 5))[:, None]

    model = TwoTowerClickModel("linear", bias=shape).fit(log)

    expected = model.predict_proba(log)[log.shown].sum()
    assert expected == pytest.approx(log.clicks.sum(), rel=1e-3)
    assert abs(model.position_bias_[-1] + np.log(4)) < 4 * model.stderr_[-1]


def test_scaling_there_and_back_is_the_same_line() -> None:
    rng = np.random.default_rng(4)
    X, w = rng.normal(size=(50, 3)) * UNITS + YEARS, rng.normal(size=3)
    scaling = Scaling.of(X)

    raw, constant = scaling.undo(w)

    np.testing.assert_allclose(X @ raw + constant, scaling.apply(X) @ w, atol=1e-8)
    np.testing.assert_allclose(scaling.apply(X).std(axis=0), 1)


# -- names ------------------------------------------------------------------------------------------------------------

NAMES = ("price", "age", "stars")
OTHER_ORDER = [2, 0, 1]


@pytest.fixture(scope="module")
def named(log: ClickLog) -> ClickLog:
    return replace(log, feature_names=NAMES)


def reordered(log: ClickLog) -> ClickLog:
    names = tuple(log.feature_names[i] for i in OTHER_ORDER)
    return replace(log, features=log.features[:, OTHER_ORDER], feature_names=names)


@pytest.mark.parametrize("use", ["predict_relevance", "predict_proba", "score"])
def test_columns_in_another_order_are_found_by_their_names(named: ClickLog, tmp_path: Path, use: str) -> None:
    model = TwoTowerClickModel("linear").fit(named)
    model.save_pretrained(tmp_path / "model")

    for fitted in (model, TwoTowerClickModel.from_pretrained(tmp_path / "model")):
        assert fitted.feature_names_ == NAMES
        np.testing.assert_array_equal(getattr(fitted, use)(reordered(named)), getattr(model, use)(named))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("price", "age", "size"), ["missing: stars", "extra: size"]),
        (("f_0", "f_1", "f_2"), ["missing: price, age, stars", "extra: f_0, f_1, f_2"]),
        (("price", "age"), ["missing: stars"]),
        (("price", "age", "stars", "size"), ["extra: size"]),
        (("price", "price", "age", "stars"), ["price, price"]),
    ],
)
def test_other_features_are_refused_by_name_wherever_they_meet(
    named: ClickLog, names: tuple[str, ...], words: list[str]
) -> None:
    other = replace(named, features=np.ones((len(named.pairs), len(names))), feature_names=names)
    model = TwoTowerClickModel("linear").fit(named)

    for use in (model.predict_relevance, model.predict_proba, model.score, model.partial_fit):
        with pytest.raises(DataError) as raised:
            use(other)
        for word in words:
            assert word in str(raised.value)


def test_parts_of_a_log_are_put_together_by_the_names_of_their_features(named: ClickLog) -> None:
    first, second = named.select(slice(0, 900)), named.select(slice(900, None))

    streamed = TwoTowerClickModel("linear").partial_fit(first).partial_fit(reordered(second))

    whole = TwoTowerClickModel("linear").fit(named)
    np.testing.assert_allclose(streamed.position_bias_, whole.position_bias_, atol=1e-8)
    assert streamed.feature_names_ == NAMES
    merged = Cells.from_log(first).merge(Cells.from_log(reordered(second)))
    np.testing.assert_array_equal(merged.features, Cells.from_log(named).features)


def test_features_passed_beside_the_log_have_no_names(named: ClickLog, log: ClickLog) -> None:
    model = TwoTowerClickModel("linear").fit(named, named.features)

    assert model.feature_names_ is None
    np.testing.assert_array_equal(model.predict_relevance(log), model.predict_relevance(named))


@pytest.mark.parametrize("tower", ["embedding", "linear"])
def test_an_embedding_asks_for_no_names(named: ClickLog, log: ClickLog, tower: Any) -> None:
    model = TwoTowerClickModel(tower).fit(named)

    assert model.feature_names_ == (None if tower == "embedding" else NAMES)
    if tower == "embedding":
        np.testing.assert_array_equal(model.predict_relevance(log), model.gamma_)
