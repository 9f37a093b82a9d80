"""What all estimators share: arguments, logs, several policies at a time, and what is refused."""

import warnings

import numpy as np
import pytest

from cltr_twostage import (
    ClickLog,
    DirectMethod,
    DoublyRobust,
    Estimator,
    ExposureIPS,
    ItemPositionIPS,
    NaiveClicks,
    NotFittedError,
    Pool,
    RankerOnlyIPS,
    ScoreTable,
    SlateIPS,
    SupportError,
    SupportWarning,
    TwoStagePolicy,
)
from irworks.errors import ArgumentError, DataError

WITH_WEIGHTS = [ExposureIPS, ItemPositionIPS, RankerOnlyIPS, DoublyRobust, SlateIPS]
EVERY = [*WITH_WEIGHTS, DirectMethod, NaiveClicks]


@pytest.fixture(scope="module")
def world(tiny_world):
    return tiny_world(21, sizes=(4, 3), n_candidates=3, k=2)


@pytest.fixture(scope="module")
def log(world):
    return world.simulate(200, 0)


def gap():
    """A logging policy that never shows document z of query b, a target that does, and a log of strings."""
    pool = Pool([0, 2, 5], ["a", "b"], ["x", "y", "x", "y", "z"])
    logging = TwoStagePolicy([0, 0, 0, 0, -np.inf], np.zeros(5), 2, 1, pool=pool)
    target = TwoStagePolicy(np.zeros(5), np.zeros(5), 2, 1, pool=pool)
    docs = np.array([["x"], ["y"], ["y"], ["x"]])
    names, codes = np.unique(docs, return_inverse=True)
    log = ClickLog([0, 0, 1, 1], codes.reshape(4, 1), [[1], [0], [1], [0]], query_ids=["a", "b"], doc_ids=names)
    return pool, logging, target, log


@pytest.mark.parametrize("cls", EVERY)
def test_no_value_before_fit(cls, world):
    with pytest.raises(NotFittedError, match=f"{cls.__name__} is not fitted"):
        cls(world.examination).value(world.target)


@pytest.mark.parametrize("cls", EVERY)
def test_a_fit_that_fails_leaves_no_old_answer(cls, world, log):
    estimator = cls(world.examination, method="exact").fit(log, world.logging)
    if cls in (DirectMethod, NaiveClicks):
        estimator.relevance = np.ones(3)
        with pytest.raises(ArgumentError):
            estimator.fit(log, world.logging)
    else:
        with pytest.raises((ArgumentError, DataError)):
            estimator.fit(log, np.zeros(7), pool=world.pool)
    with pytest.raises(NotFittedError):
        estimator.value(world.target)


@pytest.mark.parametrize("cls", EVERY)
def test_policies_of_another_pool_are_refused(cls, world, log):
    fitted = cls(world.examination, method="exact").fit(log, world.logging)
    other = TwoStagePolicy(np.zeros(7), np.zeros(7), 3, 2, pool=[0, 3, 7])
    with pytest.raises(ArgumentError, match="different pools"):
        fitted.value(other)
    named = Pool(world.pool.offsets, ["a", "b"])
    with pytest.raises(ArgumentError, match="different pools"):
        fitted.value(TwoStagePolicy(np.zeros(7), np.zeros(7), 3, 2, pool=named))
    with pytest.raises(ArgumentError, match="policy is a list; expected a TwoStagePolicy"):
        fitted.value([world.target])


@pytest.mark.parametrize(
    ("cls", "options"),
    [(cls, {}) for cls in EVERY]
    + [(cls, {"self_normalized": True}) for cls in WITH_WEIGHTS if cls is not DoublyRobust],
)
def test_a_log_without_any_click_is_worth_nothing(cls, options, world, log):
    silent = ClickLog(log.query, log.docs, np.zeros_like(log.clicks), query_ids=log.query_ids, doc_ids=log.doc_ids)
    estimate = cls(world.examination, method="exact", **options).fit(silent, world.logging).value(world.target)
    assert (estimate.value, estimate.stderr) == (0, 0)
    assert estimate.ess > 0


@pytest.mark.parametrize("cls", EVERY)
def test_a_log_of_one_session_has_no_finite_interval(cls, world, log):
    estimate = cls(world.examination, method="exact").fit(log.select([0]), world.logging, pool=world.pool)
    estimate = estimate.value(world.target) if cls not in WITH_WEIGHTS else _dropped(estimate, world.target)
    assert np.isfinite(estimate.value)
    assert estimate.stderr == np.inf
    assert (estimate.ci.low, estimate.ci.high) == (-np.inf, np.inf)


def _dropped(estimator, policy):
    estimator.support = "drop"
    return estimator.value(policy)


def test_logs_of_one_session_each_tell_by_what_they_differ_from_each_other(world, log):
    pair = [log.select([0]), log.select([1])]
    apart = ExposureIPS(world.examination, method="exact").fit(pair, [world.logging] * 2).value(world.target)
    one = ExposureIPS(world.examination, method="exact").fit(log.select([0, 1]), world.logging).value(world.target)
    assert apart.value == pytest.approx(one.value)
    assert np.isfinite(apart.stderr)


@pytest.mark.parametrize("cls", EVERY)
def test_queries_that_are_never_asked_have_no_weight(cls, world, log):
    only_first = log.select(log.query == 0)
    fitted = cls(world.examination, method="exact").fit(only_first, world.logging)
    scores = np.where(world.pool.owner() == 1, 3.0, 0.0) * np.arange(7)
    changed = world.target.replace(
        candidate=world.target.candidate_scores + scores, ranker=world.target.ranker_scores - scores
    )
    assert fitted.value(changed).value == pytest.approx(fitted.value(world.target).value, abs=1e-9)
    np.testing.assert_array_equal(fitted.query_weights_, [1, 0])


@pytest.mark.parametrize("cls", [cls for cls in EVERY if cls is not SlateIPS])
def test_masked_places_are_places_where_nothing_was_shown(cls, world, log):
    mask = np.random.default_rng(0).random(log.docs.shape) < 0.8
    mask[0] = True
    masked = ClickLog(log.query, log.docs, log.clicks & mask, mask, query_ids=log.query_ids, doc_ids=log.doc_ids)
    bare = ClickLog(
        log.query,
        np.where(mask, log.docs, -1),
        log.clicks & mask,
        query_ids=log.query_ids,
        doc_ids=log.doc_ids,
    )
    found, expected = (
        cls(world.examination, method="exact").fit(one, world.logging).value(world.target) for one in (masked, bare)
    )
    assert found == expected
    assert found.value < cls(world.examination, method="exact").fit(log, world.logging).value(world.target).value


@pytest.mark.parametrize("cls", [cls for cls in EVERY if cls is not DoublyRobust])
def test_sessions_of_weight_zero_are_not_there(cls, world, log):
    weights = np.random.default_rng(0).integers(0, 3, len(log))
    kept = log.select(weights > 0)
    found = cls(world.examination, method="exact").fit(log, world.logging, weights=weights).value(world.target)
    expected = cls(world.examination, method="exact").fit(kept, world.logging, weights=weights[weights > 0])
    assert found.value == pytest.approx(expected.value(world.target).value, rel=1e-12)
    assert found.stderr == pytest.approx(expected.value(world.target).stderr, rel=1e-12)


@pytest.mark.parametrize("cls", WITH_WEIGHTS)
def test_zero_support_is_raised_by_name(cls):
    _, logging, target, log = gap()
    # Without a generator, z is only out of reach if the ranker says so.
    logging = logging.replace(ranker=[0, 0, 0, 0, -np.inf]) if cls is RankerOnlyIPS else logging
    fitted = cls([1.0], method="exact").fit(log, logging)
    with pytest.raises(SupportError, match=r'1 documents .*\(query b, document z\).*support="drop"'):
        fitted.value(target)


@pytest.mark.parametrize("cls", [ExposureIPS, ItemPositionIPS, DoublyRobust, SlateIPS])
def test_zero_support_is_warned_of_where_the_caller_stands(cls):
    _, logging, target, log = gap()
    fitted = cls([1.0], method="exact", support="warn").fit(log, logging)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warned = fitted.value(target)
        fitted.difference(target, logging)
    assert [one.category for one in caught] == [SupportWarning] * 2
    assert {one.filename for one in caught} == {__file__}
    dropped = cls([1.0], method="exact", support="drop").fit(log, logging).value(target)
    assert warned == dropped
    assert dropped.support_gap == pytest.approx(1 / 6)


@pytest.mark.parametrize("cls", EVERY)
def test_ids_can_be_strings(cls):
    pool, logging, _, log = gap()
    by_name = cls([1.0], method="exact").fit(log, logging).value(logging)
    codes = ClickLog(log.query, [[0], [1], [3], [2]], log.clicks, query_ids=[0, 1], doc_ids=np.arange(5))
    bare = TwoStagePolicy(logging.candidate_scores, logging.ranker_scores, 2, 1, pool=pool.offsets)
    by_code = cls([1.0], method="exact").fit(codes, bare).value(bare)
    assert by_name.value == pytest.approx(by_code.value, rel=1e-12)


def test_the_pool_of_the_log_does_where_no_policy_says_more():
    log = ClickLog([0, 1, 1], [[0], [1], [0]], [[1], [0], [1]], query_ids=["a", "b"], doc_ids=["x", "y"])
    fitted = ExposureIPS([1.0]).fit(log, "counts")
    assert [fitted.pool_.row_name(row) for row in range(3)] == [
        "(query a, document x)",
        "(query b, document x)",
        "(query b, document y)",
    ]
    np.testing.assert_allclose(fitted.relevance_, [1, 1, 0])
    with pytest.raises(ArgumentError, match="need pool="):
        ExposureIPS([1.0]).fit([log, log], "counts")


def test_examination_and_rank_weights_must_reach_the_last_rank(world, log):
    with pytest.raises(ArgumentError, match="examination has 1 ranks and the log 2"):
        ExposureIPS([1.0]).fit(log, world.logging)
    with pytest.raises(ArgumentError, match="rank_weights has 1 ranks and the log 2"):
        ExposureIPS(world.examination, [1.0]).fit(log, world.logging)
    fitted = ExposureIPS(world.examination).fit(log, world.logging)
    longer = TwoStagePolicy(np.zeros(7), np.zeros(7), 3, 3, pool=world.pool)
    with pytest.raises(ArgumentError, match="shows 3 documents and there are weights for 2 ranks"):
        fitted.value(longer)


@pytest.mark.parametrize(
    ("examination", "options", "message"),
    [
        ([0.5, -0.1], {}, "examination is -0.1 at rank 2"),
        ([np.nan], {}, "examination is nan"),
        ([], {}, "examination has shape"),
        ([1.0], {"rank_weights": [-1.0]}, "rank_weights is -1.0 at rank 1"),
        ([1.0], {"rank_weights": [1.0, np.nan]}, "rank_weights is nan at rank 2"),
        ([1.0], {"clip": 0}, "clip=0"),
        ([1.0], {"clip": np.nan}, "clip=nan"),
        ([1.0], {"support": "ignore"}, "support='ignore'"),
        ([1.0], {"level": 95}, "level=95"),
        ([1.0], {"seed": -1}, "seed=-1; expected a seed, a whole number of at least 0"),
        ([1.0], {"seed": None}, "seed=None"),
    ],
)
def test_bad_arguments_are_refused(examination, options, message):
    with pytest.raises(ArgumentError, match=message):
        ExposureIPS(examination, **options)


def test_bad_methods_are_refused_when_they_are_used(world, log):
    with pytest.raises(ArgumentError, match="method='guess'"):
        ExposureIPS(world.examination, method="guess").fit(log, world.logging)
    with pytest.raises(ArgumentError, match="n_samples=0"):
        ExposureIPS(world.examination, method="mc", n_samples=0).fit(log, world.logging)


@pytest.mark.parametrize("cls", WITH_WEIGHTS)
def test_each_log_needs_its_policy(cls, world, log):
    estimator = cls(world.examination, method="exact")
    with pytest.raises(ArgumentError, match="1 logging policies for 2 logs"):
        estimator.fit([log, log], world.logging)
    with pytest.raises(ArgumentError, match="2 logging policies for 1 logs"):
        estimator.fit(log, [world.logging, world.target])
    other = TwoStagePolicy(np.zeros(7), np.zeros(7), 3, 2, pool=[0, 3, 7])
    with pytest.raises(ArgumentError, match="logging policies stand on different pools"):
        estimator.fit([log, log], [world.logging, other])


def test_the_base_class_is_no_estimator(world, log):
    with pytest.raises(TypeError, match="use one of the subclasses"):
        Estimator(world.examination).fit(log, world.logging)


def test_a_score_table_in_the_place_of_a_policy_is_named(world, log):
    table = ScoreTable(world.logging.pool, world.logging.candidate_scores, world.logging.ranker_scores)
    with pytest.raises(ArgumentError, match="logging is a ScoreTable; expected a policy"):
        ExposureIPS(world.examination).fit(log, table)
    with pytest.raises(ArgumentError, match="policy is a ScoreTable; expected a TwoStagePolicy"):
        ExposureIPS(world.examination).fit(log, world.logging).value(table)


def test_an_unknown_method_is_refused_when_it_is_given(world):
    with pytest.raises(ArgumentError, match="method='montecarlo'; expected one of 'auto', 'exact', 'mc'"):
        ExposureIPS(world.examination, method="montecarlo")


def test_an_estimator_says_what_it_is(world, log):
    estimator = ExposureIPS([1, 0.5, 1 / 3])
    assert repr(estimator) == "ExposureIPS(examination=[1.0, 0.5, 0.333], rank_weights=examination)"
    assert repr(ExposureIPS(world.examination).fit(log, world.logging)).endswith("sessions)")
