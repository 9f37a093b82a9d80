import numpy as np
import pytest

from cltr_twostage import (
    DirectMethod,
    DoublyRobust,
    ExposureIPS,
    NaiveClicks,
    Pool,
    RankerOnlyIPS,
    TwoStagePolicy,
    enumerate_two_stage,
    prove,
)
from irworks.errors import ArgumentError


def as_lists(enumeration):
    """The enumeration as a dictionary: (query, list) -> probability."""
    keys = [
        (int(query), tuple(int(row) for row in rows if row >= 0))
        for query, rows in zip(enumeration.query, enumeration.rows, strict=True)
    ]
    assert len(set(keys)) == len(keys)
    return dict(zip(keys, enumeration.probability, strict=True))


def test_every_list_has_the_probability_that_brute_force_finds(tiny_world, lists_of):
    for seed in range(40):
        world = tiny_world(seed)
        found, expected = as_lists(enumerate_two_stage(world.target)), lists_of(world.target)
        assert found.keys() == expected.keys()
        np.testing.assert_allclose([found[key] for key in expected], list(expected.values()), rtol=1e-12, atol=0)


def test_documents_of_score_minus_infinity_are_left_out(lists_of):
    pool = Pool([0, 4, 6])
    candidate = np.array([0.3, -np.inf, 0.1, 1.0, 0.0, 0.5])
    ranker = np.array([0.2, 1.0, -np.inf, 0.4, -np.inf, 0.1])
    policy = TwoStagePolicy(candidate, ranker, 2, 2, pool=pool)
    found, expected = as_lists(enumerate_two_stage(policy)), lists_of(policy)
    assert found.keys() == expected.keys()
    assert not any({1, 2, 4} & set(rows) for _, rows in found)
    np.testing.assert_allclose([found[key] for key in expected], list(expected.values()), rtol=1e-12)


def test_candidates_that_can_all_not_be_shown_give_an_empty_list():
    policy = TwoStagePolicy(np.log([3.0, 1.0]), [-np.inf, 0.0], 1, 1, pool=[0, 2])
    assert as_lists(enumerate_two_stage(policy)) == pytest.approx({(0, ()): 0.75, (0, (1,)): 0.25})


def test_probabilities_of_a_query_sum_to_one_even_at_scores_of_ten_thousand():
    rng = np.random.default_rng(0)
    scores = rng.choice([-1e4, 0.0, 1e4, -np.inf], size=(2, 12), p=[0.3, 0.3, 0.3, 0.1])
    scores[:, ::6] = 0.0
    enumeration = enumerate_two_stage(TwoStagePolicy(*scores, 4, 3, pool=[0, 6, 12]))
    assert np.isfinite(enumeration.probability).all()
    np.testing.assert_allclose(np.bincount(enumeration.query, weights=enumeration.probability), 1, atol=1e-12)


def test_the_value_is_the_sum_over_lists(tiny_world):
    for seed in range(20):
        world = tiny_world(seed)
        enumeration = enumerate_two_stage(world.target)
        found = enumeration.value(world.relevance, world.dcg, world.query_weights)
        assert found == pytest.approx(world.truth(rank_weights=world.dcg), abs=1e-13)


def test_exposures_are_those_of_the_policy(tiny_world):
    for seed in range(20):
        world = tiny_world(seed)
        exact = world.target.exposure(world.examination, "exact").value
        np.testing.assert_allclose(enumerate_two_stage(world.target).exposure(world.examination), exact, atol=1e-10)


def test_sessions_have_the_probability_that_brute_force_finds(tiny_world, sessions_of):
    for seed in range(15):
        world = tiny_world(seed)
        log, weights = world.sessions()
        expected = sessions_of(world)
        found = {}
        for query, rows, clicks, weight in zip(log.query, log.docs, log.clicks, weights, strict=True):
            shown = rows >= 0
            key = (int(query), tuple(int(row) for row in rows[shown]), tuple(bool(one) for one in clicks[shown]))
            found[key] = found.get(key, 0.0) + weight
        assert weights.sum() == pytest.approx(1, abs=1e-12)
        assert found.keys() == {key for key, chance in expected.items() if chance > 0}
        assert all(found[key] == pytest.approx(expected[key], rel=1e-11) for key in found)


def test_a_query_without_weight_is_in_no_session(tiny_world):
    world = tiny_world(0, sizes=(3, 3))
    log, weights = enumerate_two_stage(world.logging).log(world.relevance, world.examination, [0, 5])
    assert set(log.query) == {1}
    assert weights.sum() == pytest.approx(1)


def test_too_large_a_problem_names_the_query():
    pool = Pool([0, 2, 32], ["small", "large"])
    with pytest.raises(ArgumentError, match=r"query large has too many candidate lists.*30 documents, 12 candidates"):
        enumerate_two_stage(TwoStagePolicy(np.zeros(32), np.zeros(32), 12, 2, pool=pool))


@pytest.mark.parametrize(
    ("relevance", "examination", "query_weights", "message"),
    [
        ([0.5, 0.5], [1, 0.5], None, r"relevance has shape \(2,\); expected \[3\]"),
        ([0.5, 1.5, 0.5], [1, 0.5], None, r"relevance holds 1\.5"),
        ([0.5, np.nan, 0.5], [1, 0.5], None, "relevance holds nan"),
        ([0.5, 0.5, 0.5], [1], None, r"examination has shape \(1,\); expected \[2\]"),
        ([0.5, 0.5, 0.5], [1, -0.1], None, r"examination holds -0\.1"),
        ([0.5, 0.5, 0.5], [1, 0.5], [0.0], "query_weights"),
        ([0.5, 0.5, 0.5], [1, 0.5], [1.0, 2.0], "query_weights"),
    ],
)
def test_bad_click_models_are_refused(relevance, examination, query_weights, message):
    enumeration = enumerate_two_stage(TwoStagePolicy(np.zeros(3), np.zeros(3), 2, 2, pool=[0, 3]))
    with pytest.raises(ArgumentError, match=message):
        enumeration.log(relevance, examination, query_weights)


def test_a_proof_gives_the_bias_and_the_variance_of_one_session(tiny_world, sessions_of):
    world = tiny_world(11, sizes=(5, 4), n_candidates=3, k=2)
    proof = prove(
        ExposureIPS(world.examination), world.logging, world.target, world.relevance, query_weights=world.query_weights
    )
    rho, rho_0 = (policy.exposure(world.examination, "exact").value for policy in (world.target, world.logging))
    first = second = 0.0
    for (_, rows, clicks), chance in sessions_of(world).items():
        x = sum(rho[row] / rho_0[row] for row, clicked in zip(rows, clicks, strict=True) if clicked)
        first, second = first + chance * x, second + chance * x**2
    assert abs(proof.bias) < 1e-10
    assert proof.truth == pytest.approx(world.truth(), abs=1e-12)
    assert proof.variance == pytest.approx(second - first**2, rel=1e-9)


def test_a_proof_finds_the_bias_of_what_is_biased_and_leaves_the_estimator_alone(tiny_world):
    world = tiny_world(11, sizes=(6,), n_candidates=3, k=2)
    estimator = RankerOnlyIPS(world.examination, method="mc")
    assert abs(prove(estimator, world.logging, world.target, world.relevance).bias) > 0.02
    assert estimator.method == "mc"
    assert not hasattr(estimator, "collapsed_")


@pytest.mark.parametrize(
    ("cls", "options"),
    [(DoublyRobust, {}), (DirectMethod, {}), (NaiveClicks, {}), (ExposureIPS, {"self_normalized": True})],
)
def test_a_proof_refuses_what_has_no_expectation_over_single_sessions(cls, options, tiny_world):
    world = tiny_world(0)
    with pytest.raises(ArgumentError, match=f"{cls.__name__} divides by a mean weight or fits relevance"):
        prove(cls(world.examination, **options), world.logging, world.target, world.relevance)


@pytest.mark.parametrize("cls", [DoublyRobust, DirectMethod])
def test_relevance_that_is_given_is_not_fitted_and_can_be_proved(cls, tiny_world):
    world = tiny_world(3, sizes=(5,), n_candidates=3, k=2)
    wrong = 0.5 * world.relevance
    proof = prove(cls(world.examination, relevance=wrong), world.logging, world.target, world.relevance)
    expected = proof.truth if cls is DoublyRobust else 0.5 * proof.truth
    assert proof.expected == pytest.approx(expected, abs=1e-10)


def test_what_always_happens_has_no_variance():
    sure = TwoStagePolicy([0.0], [0.0], 1, 1, pool=[0, 1])
    proof = prove(ExposureIPS([1.0]), sure, sure, [1.0])
    assert (proof.expected, proof.truth, proof.variance) == (1, 1, 0)
    assert prove(ExposureIPS([1.0]), sure, sure, [0.2]).variance == pytest.approx(0.16)


def test_large_scores_lose_no_digits():
    # Differences that numbers around 1e11 still hold.
    small = np.array([0.0, 0.25, -0.5, 1.0])
    plain = enumerate_two_stage(TwoStagePolicy(small, small[::-1], 2, 2, pool=[0, 4]))
    far = enumerate_two_stage(TwoStagePolicy(1e11 + small, small[::-1] - 1e11, 2, 2, pool=[0, 4]))
    np.testing.assert_allclose(far.probability, plain.probability, rtol=1e-12)
    mixed = enumerate_two_stage(TwoStagePolicy(np.zeros(3), [1e11, 0.3, 0.7], 3, 2, pool=[0, 3]))
    assert as_lists(mixed)[0, (0, 2)] == pytest.approx(1 / (1 + np.exp(-0.4)), rel=1e-12)


def test_a_problem_between_the_limits_names_its_query():
    # 1.8 million orders of 8 out of 10 candidates.
    with pytest.raises(ArgumentError, match=r"query 0 has too many candidate lists.*expected at most 1,000,000"):
        enumerate_two_stage(TwoStagePolicy(np.zeros(10), np.zeros(10), 8, 1, pool=[0, 10]))
