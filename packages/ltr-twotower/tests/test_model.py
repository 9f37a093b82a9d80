"""`TwoTowerClickModel`: what it learns, what it says where the log is silent, streaming, and misuse."""

import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from irworks.data import ClickLog
from irworks.errors import ArgumentError, DataError
from irworks.simulate import AdditiveTwoTower, EpsilonGreedy, SwapPolicy, log_position_bias, simulate_clicks
from ltr_twotower import (
    Cells,
    NotFittedError,
    NotIdentifiedError,
    NotIdentifiedWarning,
    PlacementPropensity,
    TwoTowerClickModel,
    UnknownPairsWarning,
    check_identifiability,
    logging_policy_report,
    profile_likelihood,
    swap_graph,
)
from ltr_twotower.simulate import World, linear_world, omitted_features_world, query_effect_world, toy_world


def toy_log(temperature: float, sessions: int = 3000, seed: int = 0, n_queries: int = 15, k: int = 5) -> ClickLog:
    rng = np.random.default_rng(seed)
    return toy_world(rng, n_queries=n_queries, k=k).simulate(sessions, rng, temperature=temperature)


def from_lists(lists: list[list[int]], clicks: list[list[int]], query: list[int] | None = None) -> ClickLog:
    """A log from lists of document codes, -1 where nothing is shown."""
    return ClickLog(
        query=np.zeros(len(lists), dtype=int) if query is None else np.array(query),
        docs=np.array(lists),
        clicks=np.array(clicks),
    )


@pytest.fixture(scope="module")
def mixed() -> ClickLog:
    return toy_log(0.5)


@pytest.fixture(scope="module")
def deterministic() -> ClickLog:
    return toy_log(0.0)


@pytest.fixture(scope="module")
def featured() -> ClickLog:
    rng = np.random.default_rng(1)
    return linear_world(rng, n_queries=20, k=4, n_features=3).simulate(2000, rng, temperature=0.3)


@pytest.fixture(scope="module")
def two_halves() -> ClickLog:
    """Ranks 1 and 2 are swapped with each other, and so are ranks 3, 4 and 5; no document crosses over."""
    rng = np.random.default_rng(2)
    offsets = np.arange(0, 10 * 5 + 1, 5)
    relevance = rng.normal(size=50)
    greedy = EpsilonGreedy(relevance, offsets, 0.0, k=5)
    policy = SwapPolicy(greedy, [(1, 2), (3, 4), (4, 5)], 0.7)
    return simulate_clicks(policy, AdditiveTwoTower(log_position_bias(5)), relevance, 4500, rng)


# -- what it learns ---------------------------------------------------------------------------------------------------


def test_a_long_randomised_log_gives_the_true_position_bias() -> None:
    log = toy_log(1.0, sessions=100_000, n_queries=200)

    model = TwoTowerClickModel().fit(log)

    np.testing.assert_allclose(model.position_bias_, -np.log(np.arange(1, 6)), atol=0.05)
    assert model.converged_


@pytest.mark.parametrize("options", [{}, {"solver": "lbfgs"}, {"sample_weight": PlacementPropensity()}])
@pytest.mark.parametrize("relevance", ["embedding", "linear"])
def test_theta_of_the_first_rank_is_exactly_zero(featured: ClickLog, relevance: Any, options: dict[str, Any]) -> None:
    model = TwoTowerClickModel(relevance, **options).fit(featured)

    assert model.position_bias_[0] == 0
    assert model.stderr_[0] == 0
    assert (model.stderr_[1:] > 0).all()


@pytest.mark.parametrize("relevance", ["embedding", "linear"])
def test_moving_a_constant_from_theta_to_the_relevance_changes_no_prediction(
    featured: ClickLog, relevance: Any
) -> None:
    model = TwoTowerClickModel(relevance).fit(featured)
    before, score = model.predict_proba(featured), model.score(featured)

    model.position_bias_ = model.position_bias_ + 1.7
    model.gamma_, model.intercept_ = model.gamma_ - 1.7, model.intercept_ - 1.7

    np.testing.assert_allclose(model.predict_proba(featured), before, atol=1e-10)
    assert model.score(featured) == pytest.approx(score, abs=1e-10)


@pytest.mark.parametrize("relevance", ["embedding", "linear"])
def test_predictions_are_the_sigmoid_of_theta_plus_relevance(featured: ClickLog, relevance: Any) -> None:
    model = TwoTowerClickModel(relevance).fit(featured)

    gamma = model.predict_relevance(featured)
    expected = expit(model.position_bias_ + gamma[featured.pairs.index])

    np.testing.assert_allclose(model.predict_proba(featured), expected, rtol=1e-12)
    np.testing.assert_allclose(gamma, model.gamma_, atol=1e-9)


def test_the_score_is_the_mean_log_likelihood_of_an_impression(mixed: ClickLog) -> None:
    model = TwoTowerClickModel().fit(mixed)
    p = model.predict_proba(mixed)

    expected = np.mean([np.log(q if c else 1 - q) for q, c in zip(p.ravel(), mixed.clicks.ravel(), strict=True)])

    assert model.score(mixed) == pytest.approx(expected, rel=1e-10)


def test_a_linear_tower_recovers_the_weights_of_a_linear_world() -> None:
    rng = np.random.default_rng(3)
    world = linear_world(rng, n_queries=50, k=5, n_features=3)
    model = TwoTowerClickModel("linear").fit(world.simulate(40_000, rng, temperature=0.5))

    relevance = model.predict_relevance(world.train.visible)

    np.testing.assert_allclose(relevance, world.train.labels - 2, atol=0.15)
    np.testing.assert_allclose(model.position_bias_, world.theta, atol=0.1)


def test_bias_features_of_the_true_shape_beat_free_ranks(mixed: ClickLog) -> None:
    shape = np.log(np.arange(1, 6))[:, None]

    model, free = TwoTowerClickModel(bias=shape).fit(mixed), TwoTowerClickModel().fit(mixed)

    np.testing.assert_allclose(model.position_bias_, model.position_bias_[1] / np.log(2) * shape[:, 0], atol=1e-10)
    assert (model.stderr_[1:] < free.stderr_[1:]).all()
    assert abs(model.position_bias_[-1] + np.log(5)) < 4 * model.stderr_[-1]


def test_the_same_log_gives_the_same_model_to_the_last_bit(featured: ClickLog) -> None:
    first, second = (TwoTowerClickModel("linear").fit(featured) for _ in range(2))

    np.testing.assert_array_equal(first.position_bias_, second.position_bias_)
    np.testing.assert_array_equal(first.stderr_, second.stderr_)


def test_features_may_be_passed_beside_the_log(featured: ClickLog) -> None:
    bare = replace(featured, features=None, feature_names=())

    beside = TwoTowerClickModel("linear").fit(bare, featured.features)

    np.testing.assert_array_equal(beside.position_bias_, TwoTowerClickModel("linear").fit(featured).position_bias_)


def test_an_unseen_document_gets_the_mean_relevance(mixed: ClickLog) -> None:
    seen = mixed.select(mixed.query < 10)
    model = TwoTowerClickModel().fit(seen)

    relevance = model.predict_relevance(mixed)

    new = mixed.pairs.query >= 10
    np.testing.assert_array_equal(relevance[~new], model.gamma_)
    np.testing.assert_array_equal(relevance[new], model.gamma_.mean())


def with_ids(log: ClickLog, **ids: Callable[[int], Any]) -> ClickLog:
    """The log with other ids: `doc_id=str` makes those of the documents text."""
    table = log.to_frame()
    return ClickLog.from_frame(table.assign(**{name: [new(i) for i in table[name]] for name, new in ids.items()}))


def test_a_log_of_strangers_is_scored_with_a_warning(mixed: ClickLog) -> None:
    model = TwoTowerClickModel().fit(mixed)
    elsewhere = with_ids(mixed, query_id=lambda query: query + 1000)

    for use in (model.predict_relevance, model.predict_proba, model.score):
        with pytest.warns(UnknownPairsWarning, match=r"knows none of the .* pairs of .*mean relevance$") as caught:
            use(elsewhere)
        assert len(caught) == 1


@pytest.mark.parametrize(("column", "what"), [("query_id", "query"), ("doc_id", "document")])
def test_ids_of_another_type_are_named_where_no_pair_is_known(mixed: ClickLog, column: str, what: str) -> None:
    model = TwoTowerClickModel().fit(mixed)

    with pytest.warns(UnknownPairsWarning, match=f"; {what} ids are numbers in the model and text in the log$"):
        model.score(with_ids(mixed, **{column: str}))


@pytest.mark.filterwarnings("error")
def test_one_known_pair_is_enough_to_be_silent(mixed: ClickLog) -> None:
    model = TwoTowerClickModel().fit(mixed.select(mixed.query < 3))

    model.score(mixed)


def test_parts_whose_ids_differ_in_type_are_refused_with_the_way_out(mixed: ClickLog) -> None:
    model = TwoTowerClickModel().partial_fit(mixed)

    with pytest.raises(DataError, match=r"the document ids .*numbers and text.*Read both parts with one type"):
        model.partial_fit(with_ids(mixed, doc_id=lambda doc: f"{doc}"))


def test_pairs_are_found_by_their_ids_whatever_their_codes() -> None:
    rows = [("q", "a", 1, 1), ("q", "b", 2, 0), ("q", "b", 1, 1), ("q", "a", 2, 0), ("r", "a", 1, 0), ("r", "c", 2, 1)]
    table = pd.DataFrame(rows, columns=["query_id", "doc_id", "position", "click"])
    model = TwoTowerClickModel().fit(ClickLog.from_frame(table))
    part = ClickLog.from_frame(table.iloc[[5, 3]])

    relevance = model.predict_relevance(part)

    by_name = dict(zip(_names(model), model.gamma_, strict=True))
    assert relevance.tolist() == [by_name["q", "a"], by_name["r", "c"]]


def _names(model: TwoTowerClickModel) -> list[tuple[str, str]]:
    cells = model.cells_
    return list(zip(cells.query_ids[cells.pair_query], cells.doc_ids[cells.pair_doc], strict=True))


# -- odd logs ---------------------------------------------------------------------------------------------------------


def test_a_rank_without_clicks_is_low_and_finite(mixed: ClickLog) -> None:
    clicks = mixed.clicks.copy()
    clicks[:, 3] = False

    model = TwoTowerClickModel().fit(replace(mixed, clicks=clicks))

    assert model.position_bias_[3] < -4
    assert np.isfinite(model.position_bias_).all()
    assert model.stderr_[3] > 5 * model.stderr_[2]


@pytest.mark.filterwarnings("error")
def test_a_log_with_one_rank_has_nothing_to_identify() -> None:
    log = from_lists([[0], [1], [0], [1]], [[1], [0], [0], [0]])

    model = TwoTowerClickModel().fit(log)

    assert model.position_bias_.tolist() == [0]
    assert model.stderr_.tolist() == [0]
    assert model.gamma_[0] > model.gamma_[1]


def test_queries_with_one_document_add_nothing_to_theta(mixed: ClickLog) -> None:
    lonely = ClickLog(
        query=np.concatenate([mixed.query, np.full(50, 99)]),
        docs=np.concatenate([mixed.docs, np.tile([900, -1, -1, -1, -1], (50, 1))]),
        clicks=np.concatenate([mixed.clicks, np.tile([True, False, False, False, False], (50, 1))]),
    )

    with_them, without = TwoTowerClickModel(l2=1e-6).fit(lonely), TwoTowerClickModel(l2=1e-6).fit(mixed)

    np.testing.assert_allclose(with_them.position_bias_, without.position_bias_, atol=1e-4)


@pytest.mark.filterwarnings("error")
def test_a_log_of_one_document_queries_fits() -> None:
    log = from_lists([[0], [1], [2]] * 5, [[1], [0], [1]] * 5, query=[0, 1, 2] * 5)

    model = TwoTowerClickModel().fit(log)

    assert model.converged_
    assert model.gamma_[1] < model.gamma_[0]


def test_a_rank_that_was_never_shown_has_no_theta_and_no_prediction() -> None:
    gap = from_lists([[0, -1, 1], [1, -1, 0]] * 20, [[1, 0, 0], [1, 0, 1]] * 20)
    full = from_lists([[0, 1, 2]], [[0, 0, 0]])

    model = TwoTowerClickModel().fit(gap)

    assert np.isnan(model.position_bias_).tolist() == [False, True, False]
    assert np.isnan(model.stderr_).tolist() == [False, True, False]
    assert np.isnan(model.predict_proba(full)).tolist() == [[False, True, False]]
    assert np.isnan(model.contrast(1, 2)[0])
    assert np.isfinite(model.contrast(1, 3)).all()
    assert np.isnan(model.predict_proba(gap)[:, 1]).all()


def test_the_first_shown_rank_is_the_reference_where_rank_one_is_missing() -> None:
    log = from_lists([[-1, 0, 1], [-1, 1, 0]] * 20, [[0, 1, 0], [0, 1, 1]] * 20)

    model = TwoTowerClickModel().fit(log)

    assert np.isnan(model.position_bias_[0])
    assert model.position_bias_[1] == 0
    assert np.isfinite(model.stderr_[1:]).all()


def test_lists_of_unequal_length_use_every_impression() -> None:
    rng = np.random.default_rng(4)
    log = toy_log(1.0, sessions=6000, n_queries=5)
    length = rng.integers(1, 6, len(log))
    cut = np.arange(5) >= length[:, None]
    truncated = replace(
        log, docs=np.where(cut, -1, log.docs), clicks=log.clicks & ~cut, mask=~cut, propensities=None, features=None
    )

    model = TwoTowerClickModel().fit(truncated)

    assert model.cells_.impressions.sum() == length.sum()
    assert (np.abs(model.position_bias_ + np.log(np.arange(1, 6)))[1:] < 4 * model.stderr_[1:]).all()
    assert np.isnan(model.predict_proba(truncated)[cut]).all()
    assert np.isfinite(model.predict_proba(truncated)[~cut]).all()


def test_ranks_beyond_the_fitted_ones_have_no_prediction(mixed: ClickLog) -> None:
    short = mixed.select(np.arange(len(mixed)))
    short = ClickLog(query=short.query, docs=short.docs[:, :3], clicks=short.clicks[:, :3])
    model = TwoTowerClickModel().fit(short)

    p = model.predict_proba(mixed)

    assert np.isfinite(p[:, :3]).all()
    assert np.isnan(p[:, 3:]).all()
    assert model.score(mixed) == pytest.approx(model.score(short), rel=1e-12)


# -- not identified ---------------------------------------------------------------------------------------------------


def test_a_deterministic_log_warns_and_names_the_ranks(deterministic: ClickLog) -> None:
    with pytest.warns(NotIdentifiedWarning, match=r"\[\[1\], \[2\], \[3\], \[4\], \[5\]\]"):
        model = TwoTowerClickModel().fit(deterministic)

    assert model.stderr_.tolist() == [0] + [np.inf] * 4
    value, stderr = model.contrast(1, 3)
    assert np.isnan(value)
    assert stderr == np.inf


def test_raise_raises_and_names_the_components(two_halves: ClickLog) -> None:
    with pytest.raises(NotIdentifiedError, match=r"\[\[1, 2\], \[3, 4, 5\]\]"):
        TwoTowerClickModel(on_unidentified="raise").fit(two_halves)


@pytest.mark.filterwarnings("error")
def test_raise_is_silent_where_the_log_identifies(mixed: ClickLog) -> None:
    assert TwoTowerClickModel(on_unidentified="raise").fit(mixed).converged_


@pytest.mark.filterwarnings("ignore::ltr_twotower.NotIdentifiedWarning")
def test_component_normalize_compares_nothing_across_components(two_halves: ClickLog) -> None:
    model = TwoTowerClickModel(on_unidentified="component-normalize").fit(two_halves)
    warned = TwoTowerClickModel().fit(two_halves)

    assert model.position_bias_[[0, 2]].tolist() == [0, 0]
    assert model.stderr_[[0, 2]].tolist() == [0, 0]
    assert np.isfinite(model.stderr_).all()
    for a, b in [(1, 3), (2, 4), (5, 1)]:
        assert np.isnan(model.contrast(a, b)[0])
        assert model.contrast(a, b)[1] == np.inf
        assert np.isnan(warned.contrast(a, b)[0])
    # Within a component the two agree, and both are right.
    assert model.contrast(2, 1)[0] == pytest.approx(warned.contrast(2, 1)[0])
    assert abs(model.contrast(5, 3)[0] - np.log(3 / 5)) < 4 * model.contrast(5, 3)[1]


@pytest.mark.filterwarnings("ignore::ltr_twotower.NotIdentifiedWarning")
def test_component_normalize_predicts_nothing_across_components(two_halves: ClickLog) -> None:
    model = TwoTowerClickModel(on_unidentified="component-normalize").fit(two_halves)
    turned = ClickLog(query=two_halves.query, docs=two_halves.docs[:, ::-1], clicks=two_halves.clicks)

    p = model.predict_proba(turned)

    # Documents of ranks 4 and 5 now stand at ranks 1 and 2, and those of ranks 1 and 2 at ranks 4 and 5.
    own = {rank: set(two_halves.docs[:, rank].tolist()) for rank in range(5)}
    for rank in range(5):
        component = (0, 1) if rank < 2 else (2, 3, 4)
        known = np.isin(turned.docs[:, rank], sorted(set().union(*(own[r] for r in component))))
        np.testing.assert_array_equal(np.isnan(p[:, rank]), ~known)
    assert np.isnan(p[:, [0, 1, 3, 4]]).any()
    at_home = model.predict_proba(two_halves)
    np.testing.assert_allclose(at_home, TwoTowerClickModel().fit(two_halves).predict_proba(two_halves), rtol=1e-9)


@pytest.mark.filterwarnings("ignore::ltr_twotower.NotIdentifiedWarning")
def test_a_model_without_any_prediction_for_a_log_cannot_be_scored(two_halves: ClickLog) -> None:
    model = TwoTowerClickModel(on_unidentified="component-normalize").fit(two_halves)
    top = two_halves.docs[:, :2]
    elsewhere = ClickLog(
        query=two_halves.query,
        docs=np.column_stack([np.full((len(top), 3), -1), top]),
        clicks=np.zeros((len(top), 5), dtype=bool),
    )

    with pytest.raises(ArgumentError, match="no prediction"):
        model.score(elsewhere)


def test_a_bias_tower_on_rank_features_does_not_hide_that_a_log_is_deterministic(deterministic: ClickLog) -> None:
    shape = np.log(np.arange(1, 6))[:, None]

    with pytest.warns(NotIdentifiedWarning, match=r"\[\[1\], \[2\]"):
        model = TwoTowerClickModel(bias=shape).fit(deterministic)

    assert np.isinf(model.stderr_[1:]).all()
    assert np.isnan(model.contrast(1, 2)[0])


@pytest.mark.filterwarnings("error")
def test_a_bias_tower_on_rank_features_ties_components_together(two_halves: ClickLog) -> None:
    model = TwoTowerClickModel(bias=np.log(np.arange(1, 6))[:, None]).fit(two_halves)

    value, stderr = model.contrast(5, 1)
    assert abs(value + np.log(5)) < 4 * stderr < 1


def test_a_bias_feature_of_the_component_is_not_identified(two_halves: ClickLog) -> None:
    features = np.column_stack([np.log(np.arange(1, 6)), [0, 0, 1, 1, 1]])

    with pytest.warns(NotIdentifiedWarning, match=r"\[\[1, 2\], \[3, 4, 5\]\]"):
        model = TwoTowerClickModel(bias=features).fit(two_halves)

    assert np.isinf(model.stderr_[2:]).all()
    assert np.isfinite(model.stderr_[:2]).all()


def test_a_linear_tower_whose_features_tell_the_rank_is_not_identified(deterministic: ClickLog) -> None:
    rank_of_pair = np.zeros(len(deterministic.pairs), dtype=int)
    rank_of_pair[deterministic.pairs.index] = np.arange(5)
    telling = np.column_stack([rank_of_pair == 4, np.random.default_rng(0).normal(size=len(rank_of_pair))])

    with pytest.warns(NotIdentifiedWarning, match=r"\[\[1, 2, 3, 4\], \[5\]\]"):
        model = TwoTowerClickModel("linear").fit(deterministic, telling)

    assert np.isinf(model.stderr_[4])
    assert np.isfinite(model.stderr_[:4]).all()
    assert np.isnan(model.contrast(4, 5)[0])


@pytest.mark.filterwarnings("error")
def test_overlapping_features_identify_a_deterministic_log(featured: ClickLog) -> None:
    rng = np.random.default_rng(5)
    world = linear_world(rng, n_queries=100, k=4, n_features=3)
    log = world.simulate(20_000, rng, temperature=0)

    model = TwoTowerClickModel("linear", on_unidentified="raise").fit(log)

    assert (np.abs(model.position_bias_ - world.theta)[1:] < 4 * model.stderr_[1:]).all()


def test_the_model_reports_the_identifiability_of_its_own_tower(featured: ClickLog) -> None:
    for tower in ("embedding", "linear"):
        own = TwoTowerClickModel(tower).fit(featured).identifiability()
        assert own.to_dict() == check_identifiability(featured, tower=tower).to_dict()


# -- streaming --------------------------------------------------------------------------------------------------------


def cut_in_parts(log: ClickLog, n: int) -> list[ClickLog]:
    """Parts with vocabularies of their own, as from files read one by one."""
    table = log.to_frame()
    code = table["session_id"] % n
    return [ClickLog.from_frame(table[code == i]) for i in range(n)]


@pytest.mark.parametrize("relevance", ["embedding", "linear"])
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_partial_fits_in_any_order_equal_the_fit_of_the_whole(
    featured: ClickLog, relevance: Any, order: list[int]
) -> None:
    whole = TwoTowerClickModel(relevance).fit(ClickLog.from_frame(featured.to_frame()))
    parts = cut_in_parts(featured, 4)
    streamed = TwoTowerClickModel(relevance)

    for i in order:
        streamed.partial_fit(parts[i])

    np.testing.assert_array_equal(streamed.position_bias_, whole.position_bias_)
    np.testing.assert_array_equal(streamed.gamma_, whole.gamma_)
    np.testing.assert_array_equal(streamed.stderr_, whole.stderr_)
    assert streamed.score(featured) == whole.score(featured)


@pytest.mark.parametrize("method", ["count", "known", "model"])
def test_weighted_partial_fits_equal_the_fit_of_the_whole(featured: ClickLog, method: Any) -> None:
    whole, streamed = (TwoTowerClickModel("linear", sample_weight=PlacementPropensity(method, clip=9)) for _ in "ab")
    whole.fit(featured)

    for part in cut_in_parts(featured, 3):
        streamed.partial_fit(part)

    np.testing.assert_allclose(streamed.position_bias_, whole.position_bias_, atol=1e-6)
    np.testing.assert_allclose(streamed.stderr_, whole.stderr_, rtol=1e-5)
    assert streamed.weights_.ess == pytest.approx(whole.weights_.ess)


def test_parts_with_string_ids_new_documents_and_longer_lists_stream(mixed: ClickLog) -> None:
    table = mixed.to_frame()
    table["doc_id"] = "d" + table["doc_id"].astype(str)
    table["query_id"] = "q" + table["query_id"].astype(str)
    parts = [table[table["position"] <= 2], table[table["position"] > 2]]
    streamed = TwoTowerClickModel()

    with pytest.warns(NotIdentifiedWarning):
        streamed.partial_fit(ClickLog.from_frame(table[table["session_id"] == 0]))
    for part in (parts[0][parts[0]["session_id"] > 0], table[(table["session_id"] > 0) & (table["position"] > 2)]):
        streamed.partial_fit(ClickLog.from_frame(part))

    whole = TwoTowerClickModel().fit(ClickLog.from_frame(table))
    np.testing.assert_array_equal(streamed.position_bias_, whole.position_bias_)


def test_features_that_change_between_parts_are_refused(featured: ClickLog) -> None:
    model = TwoTowerClickModel("linear").partial_fit(featured)

    with pytest.raises(DataError, match="different features"):
        model.partial_fit(replace(featured, features=featured.features + 1))
    with pytest.raises(DataError, match="missing: f_0, f_1, f_2; extra: a, b"):
        model.partial_fit(replace(featured, features=featured.features[:, :2], feature_names=("a", "b")))
    with pytest.raises(ArgumentError, match="needs features"):
        model.partial_fit(replace(featured, features=None, feature_names=()))


def test_a_fit_forgets_what_was_streamed_before(featured: ClickLog) -> None:
    model = TwoTowerClickModel("linear").partial_fit(featured.select(slice(0, 500)))

    model.fit(featured)

    np.testing.assert_array_equal(model.position_bias_, TwoTowerClickModel("linear").fit(featured).position_bias_)


# -- misuse -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"combine": "multiplicative"},
        {"on_unidentified": "ignore"},
        {"solver": "sgd"},
        {"relevance": "quadratic"},
        {"relevance": 3},
        {"bias": "query"},
        {"bias": [[1.0], [2.0]]},
        {"bias": [[1.0], [2.0, 3.0]]},
        {"bias": [["a"]] * 4},
        {"bias": np.full((4, 1), np.nan)},
        {"bias": np.arange(4.0)},
        {"l2": 0.0},
        {"l2": -1.0},
        {"l2": float("nan")},
        {"l2": float("inf")},
        {"l2": "small"},
        {"l2": 0.0, "combine": "pbm"},
        {"sample_weight": "count"},
        {"solver": "newton", "relevance": "deep"},
        {"solver": "lbfgs", "relevance": "deep"},
        {"solver": "newton", "bias": abs},
        {"solver": "newton", "combine": "pbm"},
        {"solver": "adamw", "relevance": "embedding"},
        {"relevance": "embedding", "bias": abs},
        {"combine": "pbm", "relevance": "deep"},
        {"combine": "pbm", "relevance": "linear", "solver": "adamw"},
        {"combine": "pbm", "bias": np.ones((4, 1))},
        {"combine": "pbm", "bias_reduction": True},
        {"bias_reduction": True, "relevance": "linear"},
        {"bias_reduction": True, "solver": "lbfgs"},
        {"on_unidentified": "component-normalize", "relevance": "linear"},
        {"on_unidentified": "component-normalize", "combine": "pbm"},
    ],
    ids=str,
)
def test_options_that_do_not_go_together_are_refused(featured: ClickLog, options: dict[str, Any]) -> None:
    with pytest.raises(ArgumentError):
        TwoTowerClickModel(**options).fit(featured)


@pytest.mark.parametrize(
    "features",
    [np.ones((3, 2)), np.ones(80), np.full((80, 2), np.nan), np.full((80, 2), np.inf), [["a"]] * 80, None],
    ids=["rows", "flat", "nan", "inf", "text", "none"],
)
def test_unusable_features_are_refused(featured: ClickLog, features: Any) -> None:
    bare = replace(featured, features=None, feature_names=())

    with pytest.raises(ArgumentError, match=r"X|features"):
        TwoTowerClickModel("linear").fit(bare, features)


def test_features_that_an_embedding_would_ignore_are_refused(mixed: ClickLog) -> None:
    with pytest.raises(ArgumentError, match="takes no features"):
        TwoTowerClickModel().fit(mixed, np.ones((len(mixed.pairs), 2)))


def test_a_table_is_refused_with_the_way_to_read_it(mixed: ClickLog) -> None:
    with pytest.raises(ArgumentError, match="from_frame"):
        TwoTowerClickModel().fit(mixed.to_frame())


@pytest.mark.parametrize("ranks", [(0, 1), (1, 6), (-1, 2)])
def test_a_contrast_of_ranks_that_do_not_exist_is_refused(mixed: ClickLog, ranks: tuple[int, int]) -> None:
    with pytest.raises(ArgumentError, match="from 1 to 5"):
        TwoTowerClickModel().fit(mixed).contrast(*ranks)


@pytest.mark.parametrize(
    "use",
    [
        lambda model, log: model.predict_proba(log),
        lambda model, log: model.predict_relevance(log),
        lambda model, log: model.score(log),
        lambda model, log: model.contrast(1, 2),
        lambda model, log: model.identifiability(),
        lambda model, log: model.examination_,
        lambda model, log: model.position_bias_,
        lambda model, log: model.stderr_,
        lambda model, log: model.save_pretrained("nowhere"),
    ],
)
def test_an_unfitted_model_says_so(mixed: ClickLog, use: Callable[[TwoTowerClickModel, ClickLog], Any]) -> None:
    with pytest.raises(NotFittedError, match="fit"):
        use(TwoTowerClickModel(), mixed)


def test_what_a_model_has_not_is_told_from_what_it_has_not_yet(mixed: ClickLog) -> None:
    unfitted, fitted = TwoTowerClickModel(), TwoTowerClickModel().fit(mixed)

    assert not hasattr(unfitted, "position_bias_")
    assert hasattr(fitted, "position_bias_")
    assert pickle.loads(pickle.dumps(fitted)).position_bias_.tolist() == fitted.position_bias_.tolist()
    for model, name in ((unfitted, "theta"), (fitted, "theta_")):
        with pytest.raises(AttributeError, match="TwoTowerClickModel has no attribute 'theta") as raised:
            getattr(model, name)
        assert not isinstance(raised.value, NotFittedError)


def test_a_misspelt_option_is_told_before_any_log_is_read() -> None:
    with pytest.raises(ArgumentError, match="relevance='liner'; expected one of 'embedding', 'linear', 'deep'"):
        TwoTowerClickModel("liner")


@pytest.mark.parametrize(
    "use",
    [
        lambda log: TwoTowerClickModel().fit(log).predict_proba("clicks.csv"),
        lambda log: TwoTowerClickModel().fit(log).score("clicks.csv"),
        lambda log: TwoTowerClickModel().partial_fit("clicks.csv"),
        lambda log: check_identifiability("clicks.csv"),
        lambda log: swap_graph("clicks.csv"),
        lambda log: logging_policy_report(TwoTowerClickModel(), "clicks.csv"),
        lambda log: logging_policy_report(log, TwoTowerClickModel()),
        lambda log: profile_likelihood(TwoTowerClickModel(), "clicks.csv", 2),
        lambda log: profile_likelihood(log, TwoTowerClickModel(), 2),
        lambda log: PlacementPropensity("known").fit("clicks.csv"),
        lambda log: PlacementPropensity("known").propensities("clicks.csv"),
    ],
)
def test_a_path_or_swapped_arguments_are_told_everywhere(mixed: ClickLog, use: Callable[[ClickLog], Any]) -> None:
    with pytest.raises(ArgumentError, match=r"a str is no click log; make one with read_click_log|a ClickLog$"):
        use(mixed)


def test_relevance_of_the_wrong_kind_of_thing_is_refused(mixed: ClickLog, featured: ClickLog) -> None:
    linear = TwoTowerClickModel("linear").fit(featured)

    for wrong in (np.ones((2, 7)), np.ones(3), [["a", "b", "c"]], mixed):
        with pytest.raises((ArgumentError, DataError), match="features"):
            linear.predict_relevance(wrong)
    with pytest.raises(ArgumentError, match="pass a log"):
        TwoTowerClickModel().fit(mixed).predict_relevance(np.ones((2, 3)))


# -- the policy -------------------------------------------------------------------------------------------------------


def naive_weighted_uniform(world: World, rng: np.random.Generator, sessions: int, temperature: float) -> list[Any]:
    log = world.simulate(sessions, rng, temperature=temperature)
    uniform = world.simulate(sessions, rng, temperature=1.0)
    naive, target = (TwoTowerClickModel("linear").fit(part) for part in (log, uniform))
    return [naive, TwoTowerClickModel("linear", sample_weight=PlacementPropensity("count")).fit(log), target]


def test_weighting_mends_the_ranking_that_the_policy_has_bent() -> None:
    rng = np.random.default_rng(6)
    world = query_effect_world(rng)

    naive, weighted, uniform = (world.ndcg(m) for m in naive_weighted_uniform(world, rng, 120_000, 0.02))

    assert weighted - naive >= 0.05
    assert abs(weighted - uniform) < 0.03


def test_weighting_mends_the_theta_that_omitted_features_have_bent() -> None:
    rng = np.random.default_rng(7)
    world = omitted_features_world(rng)

    naive, weighted, uniform = (world.theta_error(m) for m in naive_weighted_uniform(world, rng, 150_000, 0.05))

    assert naive >= 3 * weighted
    assert abs(weighted - uniform) < 0.05


def test_no_policy_bends_a_well_specified_model() -> None:
    rng = np.random.default_rng(8)
    world = linear_world(rng, n_queries=150, k=10, n_features=10)

    ndcg = []
    for strength in (1.0, 0.0, -1.0):
        for temperature in (0.05, 0.333, 1.0):
            log = world.simulate(20_000, rng, temperature=temperature, strength=strength)
            model = TwoTowerClickModel("linear").fit(log)
            ndcg.append(world.ndcg(model))
            assert (np.abs(model.position_bias_ - world.theta)[1:] < 4.5 * model.stderr_[1:]).all()

    assert max(ndcg) - min(ndcg) < 0.002


def test_nothing_is_said_on_standard_output(capsys: pytest.CaptureFixture[str], deterministic: ClickLog) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        TwoTowerClickModel().fit(deterministic)

    assert capsys.readouterr() == ("", "")


def test_a_stream_that_may_not_be_unidentified_goes_on_until_it_is_identified() -> None:
    fixed, swapped = (
        ClickLog.from_frame(
            pd.DataFrame(
                {
                    "session_id": [0, 0, 1, 1],
                    "query_id": 0,
                    "doc_id": docs,
                    "position": [1, 2, 1, 2],
                    "click": [1, 0, 0, 1],
                }
            )
        )
        for docs in (["a", "b", "a", "b"], ["b", "a", "a", "b"])
    )
    model = TwoTowerClickModel(on_unidentified="raise")
    with pytest.raises(NotIdentifiedError):
        model.partial_fit(fixed)

    model.partial_fit(swapped)

    assert model.cells_.impressions.sum() == 8
    assert np.isfinite(model.stderr_).all()


@pytest.fixture
def swapped_and_fixed() -> tuple[ClickLog, ClickLog]:
    """A log that identifies the model, and one of other documents that does not."""

    def log(docs: list[str], clicks: list[int]) -> ClickLog:
        table = {"session_id": [0, 0, 1, 1], "query_id": 0, "doc_id": docs, "position": [1, 2, 1, 2], "click": clicks}
        return ClickLog.from_frame(pd.DataFrame(table))

    return log(["a", "b", "b", "a"], [1, 0, 1, 1]), log(["y", "z", "y", "z"], [1, 0, 0, 1])


def test_a_refused_fit_leaves_the_one_before_as_it_was(swapped_and_fixed: tuple[ClickLog, ClickLog]) -> None:
    good, refused = swapped_and_fixed
    model = TwoTowerClickModel(on_unidentified="raise").fit(good)
    before, fitted = model.predict_relevance(good), dict(vars(model))

    with pytest.raises(NotIdentifiedError):
        model.fit(refused)

    np.testing.assert_array_equal(model.predict_relevance(good), before)
    assert all(vars(model)[name] is value for name, value in fitted.items() if name.endswith("_"))
    with pytest.warns(UnknownPairsWarning):
        model.predict_relevance(refused)


def test_a_first_fit_that_is_refused_leaves_no_fit(swapped_and_fixed: tuple[ClickLog, ClickLog]) -> None:
    _, refused = swapped_and_fixed
    model = TwoTowerClickModel(on_unidentified="raise")

    for attempt in (model.fit, model.partial_fit):
        with pytest.raises(NotIdentifiedError):
            attempt(refused)

    assert not [name for name in vars(model) if name.endswith("_")]
    with pytest.raises(NotFittedError):
        model.identifiability()


def test_a_solver_that_fails_leaves_the_fit_before(mixed: ClickLog, monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = TwoTowerClickModel().fit(mixed), toy_log(0.5, seed=1)
    before = model.predict_relevance(mixed)
    monkeypatch.setattr("ltr_twotower.model.solve_newton", lambda problem: 1 / 0)

    for attempt in (model.fit, model.partial_fit):
        with pytest.raises(ZeroDivisionError):
            attempt(other)
    monkeypatch.undo()

    np.testing.assert_array_equal(model.predict_relevance(mixed), before)
    np.testing.assert_array_equal(model.partial_fit(mixed).cells_.impressions, 2 * Cells.from_log(mixed).impressions)
