"""Placement propensities against known policies and brute-force counts; the weights, and when they do nothing."""

import warnings
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.data import ClickLog
from irworks.errors import ArgumentError, DataError
from irworks.simulate import AdditiveTwoTower, EpsilonGreedy, log_position_bias, simulate_clicks
from ltr_twotower import Cells, PlacementPropensity, TwoTowerClickModel, WeightingWarning
from ltr_twotower.simulate import omitted_features_world, toy_world


def toy_log(temperature: float, sessions: int = 2000, n_queries: int = 8, k: int = 4, seed: int = 0) -> ClickLog:
    rng = np.random.default_rng(seed)
    return toy_world(rng, n_queries=n_queries, k=k).simulate(sessions, rng, temperature=temperature)


def ragged_log(seed: int) -> ClickLog:
    """Random lists with holes, and propensities."""
    rng = np.random.default_rng(seed)
    n, k = int(rng.integers(3, 40)), int(rng.integers(2, 5))
    docs = np.array([rng.permutation(6)[:k] for _ in range(n)])
    docs[rng.random((n, k)) < 0.2] = -1
    docs[0, 0] = 5
    docs[0, 1:][docs[0, 1:] == 5] = -1
    clicks = (rng.random((n, k)) < 0.4) & (docs >= 0)
    return ClickLog(
        query=rng.integers(0, 3, n), docs=docs, clicks=clicks, propensities=rng.uniform(0.01, 1, (n, k)), features=None
    )


@pytest.fixture(scope="module")
def mixed() -> ClickLog:
    return toy_log(0.3)


# -- propensities -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.05, 0.5, 1.0])
def test_counted_propensities_match_the_known_policy(temperature: float) -> None:
    log = toy_log(temperature, sessions=20_000)

    counted = PlacementPropensity("count").propensities(log)

    sessions = np.bincount(log.query)[log.query][:, None]
    stderr = np.sqrt(log.propensities * (1 - log.propensities) / sessions)
    assert (np.abs(counted - log.propensities) < 4 * stderr + 1e-9).all()


@pytest.mark.parametrize("temperature", [0.0, 0.3])
def test_counted_propensities_of_full_lists_sum_to_one_over_ranks(temperature: float) -> None:
    log = toy_log(temperature)
    cells = Cells.from_log(log)

    total = np.bincount(cells.pair, PlacementPropensity("count").cell_propensities(cells))

    np.testing.assert_allclose(total, 1, rtol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 1.5])
def test_counted_propensities_are_shares_of_the_sessions_of_the_query(smoothing: float) -> None:
    log = ragged_log(1)
    shown = list(zip(*np.nonzero(log.shown), strict=True))
    times = Counter((log.query[s], log.docs[s, r], r) for s, r in shown)
    ranks_seen = Counter((query, doc) for query, doc, _ in times)
    sessions = Counter(log.query.tolist())

    found = PlacementPropensity("count", smoothing=smoothing).propensities(log)

    for s, r in shown:
        query, doc = log.query[s], log.docs[s, r]
        expected = (times[query, doc, r] + smoothing) / (sessions[query] + smoothing * ranks_seen[query, doc])
        assert found[s, r] == pytest.approx(expected, rel=1e-12)
    assert np.isnan(found[~log.shown]).all()


def test_known_propensities_are_those_of_the_log(mixed: ClickLog) -> None:
    np.testing.assert_array_equal(PlacementPropensity("known").propensities(mixed), mixed.propensities)


def one_shot_log(temperature: float) -> ClickLog:
    """Every query is asked about once: counting is hopeless, the features tell where the policy puts a document."""
    rng = np.random.default_rng(2)
    n, k = 4000, 3
    features = rng.normal(size=(n * k, 2)).astype(np.float32)
    policy = EpsilonGreedy(features[:, 0], np.arange(0, n * k + 1, k), temperature, k=k)
    return simulate_clicks(
        policy,
        AdditiveTwoTower(log_position_bias(k)),
        features[:, 0].astype(float),
        n,
        rng,
        placement=policy.placement(),
        doc_features=features,
    )


def test_modelled_propensities_learn_the_policy_from_features() -> None:
    log = one_shot_log(0.5)

    modelled = PlacementPropensity("model").propensities(log)
    counted = PlacementPropensity("count").propensities(log)

    assert ((modelled > 0) & (modelled <= 1)).all()
    # The true probabilities are 2/3 and 1/6; counting, with a query asked once, says 1 to everything.
    assert np.abs(modelled - log.propensities).mean() < 0.2
    assert np.corrcoef(modelled.ravel(), log.propensities.ravel())[0, 1] > 0.5
    assert np.abs(counted - log.propensities).mean() > 0.3


def test_modelled_propensities_of_a_random_policy_are_uniform() -> None:
    np.testing.assert_allclose(PlacementPropensity("model").propensities(one_shot_log(1.0)), 1 / 3, atol=0.06)


def test_modelled_propensities_of_a_single_rank_are_one() -> None:
    log = one_shot_log(0.0)
    top = ClickLog(query=log.query, docs=log.docs[:, :1], clicks=log.clicks[:, :1])
    top = replace(top, features=np.ones((len(top.pairs), 1), dtype=np.float32))

    assert (PlacementPropensity("model").propensities(top) == 1).all()


# -- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::ltr_twotower.WeightingWarning")
@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000), st.sampled_from(["count", "known"]), st.sampled_from([None, 1.0, 3.0, 50.0]), st.booleans()
)
def test_weights_are_clipped_inverse_propensities(
    seed: int, method: Any, clip: float | None, self_normalize: bool
) -> None:
    log = ragged_log(seed)
    propensity = PlacementPropensity(method, clip=clip, self_normalize=self_normalize)

    weights = propensity.weights(log)

    raw = np.where(log.shown, np.minimum(1 / propensity.propensities(log), clip or np.inf), 0)
    mean = raw.sum() / log.shown.sum()
    np.testing.assert_allclose(weights, raw / mean if self_normalize else raw, rtol=1e-12)
    assert (weights[~log.shown] == 0).all()
    w = weights[log.shown]
    assert propensity.ess_ == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-9)
    assert propensity.ess_ <= log.n_impressions * (1 + 1e-9)
    # Equal propensities make a cell of "count"; those of "known" differ within one, and the summary sees cells.
    if method == "count":
        assert propensity.summary_.largest == pytest.approx(w.max() / w.mean(), rel=1e-9)
    assert propensity.summary_.impressions == log.n_impressions


@pytest.mark.filterwarnings("ignore::ltr_twotower.WeightingWarning")
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["count", "known"]), st.booleans())
def test_weighing_cells_is_weighing_impressions(seed: int, method: Any, self_normalize: bool) -> None:
    log = ragged_log(seed)
    propensity = PlacementPropensity(method, self_normalize=self_normalize)

    by_cell = propensity.weigh(propensity.aggregate(log))
    by_impression = Cells.from_log(log, propensity.weights(log))

    for name in ("n", "clicks", "n_squared", "clicks_squared", "impressions"):
        np.testing.assert_allclose(getattr(by_cell, name), getattr(by_impression, name), rtol=1e-9)


def test_weighing_merged_parts_is_weighing_the_whole(mixed: ClickLog) -> None:
    for method in ("count", "known"):
        propensity = PlacementPropensity(method)
        parts = [propensity.aggregate(mixed.select(slice(start, None, 3))) for start in range(3)]

        merged = propensity.weigh(parts[2].merge(parts[0]).merge(parts[1]))
        whole = propensity.weigh(propensity.aggregate(mixed))

        np.testing.assert_allclose(merged.n, whole.n, rtol=1e-12)
        np.testing.assert_allclose(merged.n_squared, whole.n_squared, rtol=1e-12)


@pytest.mark.parametrize("method", ["count", "known"])
def test_the_clipped_share_is_counted(mixed: ClickLog, method: Any) -> None:
    propensity = PlacementPropensity(method, clip=5.0).fit(mixed)

    expected = (propensity.propensities(mixed) < 1 / 5).mean()

    assert 0 < expected < 1
    assert propensity.summary_.clipped == pytest.approx(expected)
    assert "clipped" in str(propensity.summary_)
    assert PlacementPropensity("known").fit(mixed).summary_.clipped == 0


def test_clipping_bounds_the_largest_weight_and_raises_the_sample_size(mixed: ClickLog) -> None:
    free, clipped = (PlacementPropensity("count", clip=clip, self_normalize=False) for clip in (None, 4.0))

    assert free.weights(mixed).max() > 4
    assert clipped.weights(mixed).max() == 4
    assert clipped.ess_ > free.ess_


def test_normalising_the_weights_does_not_move_theta_beyond_the_ridge(mixed: ClickLog) -> None:
    thetas = [
        TwoTowerClickModel(sample_weight=PlacementPropensity(self_normalize=flag), l2=1e-8).fit(mixed).position_bias_
        for flag in (True, False)
    ]

    np.testing.assert_allclose(*thetas, atol=1e-6)


def test_the_fit_of_a_model_reports_its_weights(mixed: ClickLog) -> None:
    model = TwoTowerClickModel(sample_weight=PlacementPropensity()).fit(mixed)

    assert model.weights_ == PlacementPropensity().fit(mixed).summary_
    assert "effective sample size" in str(model.weights_)
    assert TwoTowerClickModel().fit(mixed).weights_ is None


def test_a_stronger_policy_leaves_fewer_effective_impressions() -> None:
    sizes = [PlacementPropensity("known").fit(toy_log(t)).ess_ for t in (0.02, 0.2, 0.7)]

    assert sizes == sorted(sizes)
    assert sizes[0] < 0.5 * sizes[-1]


def test_modelled_weights_mend_if_they_are_clipped_and_warn_if_not() -> None:
    rng = np.random.default_rng(3)
    world = omitted_features_world(rng, n_queries=300, k=5, n_features=4, n_omitted=2)
    # What the policy goes by is known, though the relevance tower does not see all of it.
    score = EpsilonGreedy(world.train.labels, world.train.offsets, 0.2, k=5)
    log = simulate_clicks(
        score,
        AdditiveTwoTower(world.theta),
        world.train.labels - 2,
        6000,
        rng,
        placement=score.placement(),
        doc_features=world.train.labels[:, None],
    )
    visible = world.train.visible[log.pairs.doc]

    naive = TwoTowerClickModel("linear").fit(log, visible)
    weighted = TwoTowerClickModel("linear", sample_weight=PlacementPropensity("model", clip=10)).fit(log, visible)
    with pytest.warns(WeightingWarning, match="very few impressions: effective sample size"):
        TwoTowerClickModel("linear", sample_weight=PlacementPropensity("model")).fit(log, visible)

    assert world.theta_error(weighted) < 0.5 * world.theta_error(naive)


# -- no-ops -----------------------------------------------------------------------------------------------------------


def test_weighting_a_deterministic_log_is_said_to_do_nothing() -> None:
    log = toy_log(0.0)

    with pytest.warns(WeightingWarning, match="deterministic"):
        propensity = PlacementPropensity("count").fit(log)

    assert propensity.summary_.no_op
    assert propensity.ess_ == log.n_impressions
    assert "changes nothing" in str(propensity.summary_)


def test_weighting_queries_asked_once_is_said_to_do_nothing() -> None:
    rng = np.random.default_rng(0)
    docs = np.arange(40).reshape(10, 4)
    log = ClickLog(query=np.arange(10), docs=docs, clicks=rng.random(docs.shape) < 0.5)

    with pytest.warns(WeightingWarning, match="seen once"):
        model = TwoTowerClickModel("linear", sample_weight=PlacementPropensity()).fit(log, rng.normal(size=(40, 2)))

    plain = TwoTowerClickModel("linear").fit(log, np.random.default_rng(0).normal(size=(40, 2)))
    assert model.weights_.no_op
    assert len(plain.position_bias_) == 4


def test_a_no_op_fits_as_if_unweighted() -> None:
    log = toy_log(1.0)

    with pytest.warns(WeightingWarning, match="equally likely"):
        weighted = TwoTowerClickModel(sample_weight=PlacementPropensity("known")).fit(log)

    np.testing.assert_allclose(weighted.position_bias_, TwoTowerClickModel().fit(log).position_bias_, atol=1e-8)


def test_a_clip_at_one_takes_the_whole_correction_away(mixed: ClickLog) -> None:
    with pytest.warns(WeightingWarning):
        assert PlacementPropensity(clip=1).fit(mixed).summary_.no_op


def test_weights_that_differ_warn_of_nothing(mixed: ClickLog) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for method in ("count", "known"):
            assert not PlacementPropensity(method).fit(mixed).summary_.no_op


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0.0, -0.1, 1.5, float("nan"), float("inf")])
def test_an_unusable_propensity_is_named(mixed: ClickLog, value: float) -> None:
    propensities = mixed.propensities.copy()
    propensities[7, 2] = value

    with pytest.raises(DataError, match=r"session 7, rank 3.*propensity.*expected a probability in \(0, 1\]"):
        replace(mixed, propensities=propensities)

    table = mixed.to_frame()
    table.loc[30, "propensity"] = value
    with pytest.raises(DataError, match="row 30, column 'propensity'"):
        ClickLog.from_frame(table)


def test_a_method_that_the_log_cannot_serve_is_refused(mixed: ClickLog) -> None:
    bare = replace(mixed, propensities=None, features=None, feature_names=())

    with pytest.raises(DataError, match=r"no placement propensities.*method='count'"):
        PlacementPropensity("known").fit(bare)
    with pytest.raises(DataError, match="no features"):
        PlacementPropensity("model").fit(bare)
    with pytest.raises(DataError, match="no placement propensities"):
        TwoTowerClickModel(sample_weight=PlacementPropensity("known")).fit(bare)


@pytest.mark.parametrize(
    "options",
    [
        {"method": "guess"},
        {"smoothing": -1},
        {"smoothing": float("nan")},
        {"smoothing": float("inf")},
        {"clip": 0.5},
        {"clip": 0},
        {"clip": -3},
        {"clip": float("nan")},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(options))):
        PlacementPropensity(**options)


def test_a_propensity_names_its_options() -> None:
    text = repr(PlacementPropensity("known", clip=10.0))

    assert "known" in text
    assert "clip=10.0" in text


@pytest.mark.parametrize("tiny", [1e-320, 1e-300, 1e-160])
@pytest.mark.parametrize("use", ["fit", "weights", "model"])
def test_a_propensity_whose_weight_overflows_is_refused_unless_it_is_clipped(
    mixed: ClickLog, tiny: float, use: str
) -> None:
    chances = mixed.propensities.copy()
    chances[3, 1] = tiny
    log = replace(mixed, propensities=chances)

    def attempt(propensity: PlacementPropensity) -> Any:
        if use == "model":
            return TwoTowerClickModel(sample_weight=propensity).fit(log).position_bias_
        return getattr(propensity, use)(log)

    with pytest.raises(DataError, match=rf"so small that its weight overflows \(found {tiny}.*clip"):
        attempt(PlacementPropensity("known"))
    attempt(PlacementPropensity("known", clip=20))
