import os
import subprocess
import sys
import time

import numpy as np
import pytest

from irworks.data.clicks import ClickLog
from irworks.errors import ArgumentError, DataError
from irworks.simulate import (
    AdditiveTwoTower,
    Cascade,
    EpsilonGreedy,
    PlackettLucePolicy,
    PositionBased,
    SwapPolicy,
    estimate_placement,
    iter_clicks,
    log_position_bias,
    simulate_clicks,
)

SIZES = np.array([5, 1, 3, 8])
OFFSETS = np.concatenate(([0], np.cumsum(SIZES)))
N_DOCS = int(OFFSETS[-1])
LOGITS = np.random.default_rng(0).normal(size=N_DOCS)
K = 4
BEHAVIOUR = AdditiveTwoTower(log_position_bias(K))
POLICY = PlackettLucePolicy(LOGITS, OFFSETS, K)


def rng(seed=0):
    return np.random.default_rng(seed)


def cells(log):
    """Sessions and clicks of each (document, rank)."""
    shown = log.shown
    cell = (log.docs * K + np.arange(K))[shown]
    sessions = np.bincount(cell, minlength=N_DOCS * K).reshape(N_DOCS, K)
    clicks = np.bincount(cell, weights=log.clicks[shown], minlength=N_DOCS * K).reshape(N_DOCS, K)
    return sessions, clicks


def test_a_simulated_log_is_a_click_log_of_the_given_size():
    log = simulate_clicks(POLICY, BEHAVIOUR, LOGITS, 1_000, rng())
    assert isinstance(log, ClickLog)
    assert (log.n_sessions, log.n_ranks, log.n_queries, log.n_docs) == (1_000, K, len(SIZES), N_DOCS)
    np.testing.assert_array_equal(log.shown.sum(axis=1), np.minimum(SIZES, K)[log.query])
    assert log.propensities is None


@pytest.mark.parametrize(
    "policy",
    [
        EpsilonGreedy(LOGITS, OFFSETS, 0.5, K),
        POLICY,
        SwapPolicy(EpsilonGreedy(LOGITS, OFFSETS, 0.2, K), "adjacent", 0.5),
    ],
    ids=["epsilon-greedy", "plackett-luce", "swaps"],
)
def test_documents_are_placed_and_clicked_as_planted(policy):
    n = 60_000
    log = simulate_clicks(policy, BEHAVIOUR, LOGITS, n, rng(1), chunk=7_000)
    sessions, clicks = cells(log)
    per_query = np.bincount(log.query, minlength=len(SIZES))
    assert np.abs(per_query - n / 4).max() < 4 * np.sqrt(n * 0.25 * 0.75)
    asked = np.repeat(per_query, SIZES)[:, None]
    placed = policy.placement()
    z = (sessions - asked * placed) / np.sqrt(np.maximum(asked * placed * (1 - placed), 1.0))
    assert np.abs(z).max() < 4.5
    clicked = 1 / (1 + np.exp(-(LOGITS[:, None] + log_position_bias(K))))
    seen = sessions > 30
    z = (clicks - sessions * clicked)[seen] / np.sqrt(sessions * clicked * (1 - clicked))[seen]
    assert np.abs(z).max() < 4.5


def test_query_weights_say_how_often_a_query_is_asked():
    log = simulate_clicks(POLICY, BEHAVIOUR, LOGITS, 40_000, rng(), query_weights=[1, 0, 3, 0])
    counts = np.bincount(log.query, minlength=4)
    assert counts[1] == counts[3] == 0
    assert counts[2] / 40_000 == pytest.approx(0.75, abs=4 * np.sqrt(0.75 * 0.25 / 40_000))


def test_propensities_are_the_placement_of_what_is_shown():
    placement = POLICY.placement()
    log = simulate_clicks(POLICY, BEHAVIOUR, LOGITS, 500, rng(), placement=placement)
    shown = log.shown
    expected = placement[log.docs, np.arange(K)]
    np.testing.assert_array_equal(log.propensities[shown], expected[shown])
    assert np.isnan(log.propensities[~shown]).all()


def test_inverse_propensities_count_each_session_of_a_query_once():
    log = simulate_clicks(POLICY, BEHAVIOUR, LOGITS, 80_000, rng(2), placement=POLICY.placement())
    at_top_of_first = (log.query == 0) & (log.docs[:, 0] == 2)
    asked = np.count_nonzero(log.query == 0)
    estimate = (1 / log.propensities[at_top_of_first, 0]).sum() / asked
    assert estimate == pytest.approx(1.0, abs=0.1)


def test_estimated_placement_can_stand_in_for_the_exact_one():
    estimate = estimate_placement(POLICY, 20_000, rng(1)).probabilities
    log = simulate_clicks(POLICY, BEHAVIOUR, LOGITS, 200, rng(), placement=estimate)
    assert ((log.propensities > 0) | ~log.shown).all()


def test_ids_and_features_are_carried_into_the_log():
    features = rng(3).normal(size=(N_DOCS, 2)).astype(np.float32)
    log = simulate_clicks(
        POLICY,
        BEHAVIOUR,
        LOGITS,
        300,
        rng(),
        query_ids=["a", "b", "c", "d"],
        doc_ids=[f"doc-{i}" for i in range(N_DOCS)],
        doc_features=features,
    )
    assert list(log.query_vocabulary) == ["a", "b", "c", "d"]
    assert log.doc_vocabulary[log.docs[log.shown][0]].startswith("doc-")
    np.testing.assert_array_equal(log.features, features[log.pairs.doc])


def test_the_same_seed_gives_the_same_log():
    one, two = (simulate_clicks(POLICY, Cascade(), LOGITS, 2_000, rng(9)) for _ in range(2))
    np.testing.assert_array_equal(one.docs, two.docs)
    np.testing.assert_array_equal(one.clicks, two.clicks)
    other = simulate_clicks(POLICY, Cascade(), LOGITS, 2_000, rng(10))
    assert (one.docs != other.docs).any()


def test_parts_of_a_stream_make_up_the_whole_log():
    options = {"chunk": 300, "placement": POLICY.placement()}
    whole = simulate_clicks(POLICY, BEHAVIOUR, LOGITS, 1_000, rng(4), **options)
    parts = list(iter_clicks(POLICY, BEHAVIOUR, LOGITS, 1_000, rng(4), **options))
    assert [len(part) for part in parts] == [300, 300, 300, 100]
    for name in ("query", "docs", "clicks", "propensities"):
        together = np.concatenate([getattr(part, name) for part in parts])
        np.testing.assert_array_equal(together, getattr(whole, name))
    np.testing.assert_array_equal(parts[3].doc_vocabulary, whole.doc_vocabulary)


def test_a_policy_of_ones_own_needs_only_three_members():
    class Carousel:
        offsets = np.array([0, 2])
        k = 2

        def sample(self, query, rng):
            return np.tile(np.array([[1, 0]], dtype=np.int32), (len(query), 1))

    log = simulate_clicks(Carousel(), PositionBased([1.0, 0.0]), [0.0, 50.0], 10, rng())
    np.testing.assert_array_equal(log.clicks, np.tile([True, False], (10, 1)))


def test_a_million_sessions_of_ten_documents_take_seconds():
    scores, offsets = rng().normal(size=6_000), np.arange(0, 6_001, 10)
    policy = PlackettLucePolicy(scores, offsets, 10)
    begin = time.perf_counter()
    log = simulate_clicks(policy, AdditiveTwoTower(log_position_bias(10)), scores, 1_000_000, rng())
    assert time.perf_counter() - begin < 20.0
    assert log.n_impressions == 10_000_000


def test_importing_the_simulators_brings_no_heavy_library():
    code = (
        "import sys, irworks.simulate; print(sorted({'torch', 'pandas', 'matplotlib', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"logits": LOGITS[:-1]}, r"logits has shape \(16,\); expected \[17\]"),
        ({"logits": np.where(np.arange(N_DOCS) == 2, np.nan, LOGITS)}, "logits is nan at document 2"),
        ({"n_sessions": 0}, "n_sessions=0"),
        ({"chunk": 0}, "chunk=0"),
        ({"query_weights": [1, 1, 1]}, r"query_weights has shape \(3,\); expected \[4\]"),
        ({"query_weights": [1, -1, 1, 1]}, "query_weights is -1.0 at query 1"),
        ({"query_weights": [1, np.nan, 1, 1]}, "query_weights is nan at query 1"),
        ({"query_weights": [0, 0, 0, 0]}, "query_weights sum to 0"),
        ({"placement": np.ones((N_DOCS, K + 1))}, r"placement has shape \(17, 5\); expected \[17, 4\]"),
        ({"query_ids": ["a"]}, r"query_ids has shape \(1,\); expected \[4\]"),
        ({"doc_ids": ["a"]}, r"doc_ids has shape \(1,\); expected \[17\]"),
        ({"doc_features": np.ones((3, 2))}, r"doc_features has shape \(3, 2\); expected \[17, n_features\]"),
        ({"behaviour": PositionBased([1.0])}, "lists have 4 ranks and examination has 1"),
    ],
)
@pytest.mark.parametrize("simulate", [simulate_clicks, iter_clicks])
def test_bad_arguments_are_named(simulate, options, message):
    arguments = {"behaviour": BEHAVIOUR, "logits": LOGITS, "n_sessions": 10} | options
    with pytest.raises(ArgumentError, match=message):
        list(simulate(POLICY, rng=rng(), **arguments))


def test_a_placement_table_of_another_policy_is_noticed():
    deterministic = EpsilonGreedy(LOGITS, OFFSETS, 0.0, K)
    with pytest.raises(DataError, match="propensity"):
        simulate_clicks(POLICY, BEHAVIOUR, LOGITS, 1_000, rng(), placement=deterministic.placement())
