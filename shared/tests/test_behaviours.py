from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from irworks.errors import ArgumentError
from irworks.simulate import (
    AdditiveTwoTower,
    Cascade,
    DependentClick,
    PositionBased,
    TrustBias,
    log_position_bias,
)

EXAMINATION = np.array([1.0, 0.6, 0.3, 0.1])
PLUS, MINUS = np.array([0.95, 0.9, 0.9, 0.8]), np.array([0.5, 0.3, 0.2, 0.0])
CONTINUATION = np.array([0.9, 0.5, 0.3, 0.7])
BEHAVIOURS = {
    "additive": AdditiveTwoTower(log_position_bias(4)),
    "position-based": PositionBased(EXAMINATION),
    "trust": TrustBias(EXAMINATION, PLUS, MINUS),
    "cascade": Cascade(),
    "dependent": DependentClick(CONTINUATION),
}
every_behaviour = pytest.mark.parametrize("name", list(BEHAVIOURS))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def browse(relevant, continues):
    """One user, told which documents attract and whether they would go on after a click: the clicks, step by step."""
    clicks = []
    gone = False
    for attracts, goes_on in zip(relevant, continues, strict=True):
        clicks.append(attracts and not gone)
        gone = gone or (clicks[-1] and not goes_on)
    return clicks


def expected_by_enumeration(relevance, continuation):
    """Marginal clicks over all outcomes of every coin."""
    k = len(relevance)
    total = np.zeros(k)
    for coins in product([False, True], repeat=2 * k):
        relevant, continues = coins[:k], coins[k:]
        weight = np.prod(np.where(relevant, relevance, 1 - relevance))
        weight *= np.prod(np.where(continues, continuation, 1 - continuation))
        total += weight * np.array(browse(relevant, continues))
    return total


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("additive", lambda k, r, logit: sigmoid(logit - np.log(k + 1))),
        ("position-based", lambda k, r, logit: EXAMINATION[k] * r),
        ("trust", lambda k, r, logit: EXAMINATION[k] * (PLUS[k] * r + MINUS[k] * (1 - r))),
    ],
)
def test_independent_clicks_have_their_formula(name, formula):
    logits = np.random.default_rng(0).normal(size=(20, 4)) * 3
    expected = [[formula(k, sigmoid(row[k]), row[k]) for k in range(4)] for row in logits]
    np.testing.assert_allclose(BEHAVIOURS[name].probability(logits), expected, rtol=1e-12)


@settings(max_examples=25, deadline=None)
@given(logits=arrays(np.float64, 4, elements=st.floats(-6, 6)))
def test_browsing_probabilities_equal_the_enumeration_of_all_coins(logits):
    relevance = sigmoid(logits)
    np.testing.assert_allclose(
        DependentClick(CONTINUATION).probability(logits[None])[0],
        expected_by_enumeration(relevance, CONTINUATION),
        rtol=0,
        atol=1e-12,
    )
    np.testing.assert_allclose(
        Cascade().probability(logits[None])[0],
        expected_by_enumeration(relevance, np.zeros(4)),
        rtol=0,
        atol=1e-12,
    )


@every_behaviour
def test_sampled_clicks_have_the_marginal_probabilities(name):
    logits = np.array([[0.5, -1.0, 2.0, 0.0], [-2.0, 1.0, 0.3, 4.0]])
    mask = np.array([[True] * 4, [True, True, False, True]])
    n = 40_000
    clicks = BEHAVIOURS[name].sample(
        np.repeat(logits, n, axis=0), np.repeat(mask, n, axis=0), np.random.default_rng(17)
    )
    assert clicks.dtype == bool
    expected = BEHAVIOURS[name].probability(logits, mask)
    observed = clicks.reshape(2, n, 4).mean(axis=1)
    standard_error = np.sqrt(expected * (1 - expected) / n)
    assert (np.abs(observed - expected) <= 4 * standard_error).all()


@every_behaviour
def test_the_same_seed_gives_the_same_clicks(name):
    logits = np.random.default_rng(0).normal(size=(100, 4))
    one, two = (BEHAVIOURS[name].sample(logits, None, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


@every_behaviour
def test_masked_places_are_never_clicked_and_do_not_disturb_the_others(name):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(5_000, 4)) + 3
    mask = rng.random((5_000, 4)) < 0.6
    assert not (BEHAVIOURS[name].sample(logits, mask, rng) & ~mask).any()
    probability = BEHAVIOURS[name].probability(logits, mask)
    assert (probability[~mask] == 0).all()
    blanked = np.where(mask, logits, np.nan)
    np.testing.assert_array_equal(BEHAVIOURS[name].probability(blanked, mask), probability)


@every_behaviour
def test_shorter_lists_use_the_first_parameters(name):
    logits = np.random.default_rng(0).normal(size=(10, 4))
    np.testing.assert_allclose(
        BEHAVIOURS[name].probability(logits[:, :2]),
        BEHAVIOURS[name].probability(logits)[:, :2],
        rtol=0,
        atol=1e-15,
    )


@every_behaviour
def test_infinite_and_huge_logits_stay_probabilities(name):
    logits = np.array([[np.inf, -np.inf, 1e4, -1e4]])
    probability = BEHAVIOURS[name].probability(logits)
    assert ((probability >= 0) & (probability <= 1)).all()


def test_a_cascade_user_clicks_at_most_once():
    logits = np.random.default_rng(0).normal(size=(5_000, 6))
    clicks = Cascade().sample(logits, None, np.random.default_rng(1))
    assert set(clicks.sum(axis=1)) == {0, 1}


def test_a_dependent_click_user_who_never_leaves_clicks_all_that_is_relevant():
    logits = np.random.default_rng(0).normal(size=(10, 4))
    np.testing.assert_allclose(DependentClick(np.ones(4)).probability(logits), sigmoid(logits))
    np.testing.assert_allclose(DependentClick(np.zeros(4)).probability(logits), Cascade().probability(logits))


def test_without_trust_bias_the_trust_model_is_position_based():
    logits = np.random.default_rng(0).normal(size=(10, 4))
    trust = TrustBias(EXAMINATION, np.ones(4), np.zeros(4))
    np.testing.assert_allclose(trust.probability(logits), PositionBased(EXAMINATION).probability(logits))


def test_dependent_clicks_are_correlated_as_the_model_says():
    continuation = np.array([0.2, 1.0])
    clicks = DependentClick(continuation).sample(np.zeros((100_000, 2)), None, np.random.default_rng(0))
    second_after_click = clicks[clicks[:, 0], 1].mean()
    second_after_none = clicks[~clicks[:, 0], 1].mean()
    assert second_after_click == pytest.approx(0.2 * 0.5, abs=0.006)
    assert second_after_none == pytest.approx(0.5, abs=0.01)


def test_the_position_bias_curve_falls_with_the_logarithm_of_the_rank():
    np.testing.assert_allclose(log_position_bias(3, 2.0), [0.0, -2 * np.log(2), -2 * np.log(3)])
    assert not np.signbit(log_position_bias(5)[0])
    np.testing.assert_array_equal(log_position_bias(4, 0.0), np.zeros(4))


def test_parameters_are_copied_and_cannot_be_changed():
    examination = np.array([1.0, 0.5])
    behaviour = PositionBased(examination)
    examination[0] = 9.0
    assert behaviour.examination[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        behaviour.examination[0] = 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PositionBased([1.0, 1.2]), "examination is 1.2 at rank 2; expected a probability"),
        (lambda: PositionBased([1.0, np.nan]), "examination is nan at rank 2"),
        (lambda: PositionBased([]), r"examination has shape \(0,\)"),
        (lambda: PositionBased([[1.0]]), r"examination has shape \(1, 1\)"),
        (lambda: AdditiveTwoTower([0.0, np.inf]), "theta is inf at rank 2; expected a finite number"),
        (lambda: AdditiveTwoTower([np.nan]), "theta is nan at rank 1"),
        (lambda: DependentClick([-0.1]), "continuation is -0.1 at rank 1"),
        (lambda: TrustBias([1.0], [1.0], [2.0]), "trust_minus is 2.0 at rank 1"),
        (lambda: TrustBias([1.0, 1.0], [1.0], [0.0, 0.0]), r"lengths \[2, 1, 2\]"),
        (lambda: PositionBased([1.0]).probability([[0.0, 0.0]]), "lists have 2 ranks and examination has 1"),
        (lambda: TrustBias([1.0], [1.0], [0.0]).probability([[0.0, 0.0]]), "lists have 2 ranks"),
        (lambda: DependentClick([1.0]).sample([[0.0, 0.0]], None, np.random.default_rng(0)), "continuation has 1"),
        (lambda: Cascade().probability([[0.0, np.nan]]), "logits of list 0 is nan at rank 2"),
        (lambda: Cascade().probability([0.0]), r"logits has shape \(1,\); expected \[n, k\]"),
        (lambda: Cascade().probability([[0.0]], [[True, False]]), r"mask has shape \(1, 2\)"),
        (lambda: Cascade().probability([[0.0]], [[1]]), "expected bool"),
        (lambda: log_position_bias(0), "k=0"),
        (lambda: log_position_bias(3, np.nan), "strength=nan"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ArgumentError, match=message):
        call()
