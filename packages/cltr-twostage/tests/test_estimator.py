"""What all estimators share: arguments, logs, several policies at a time, and what is refused."""

import warnings
from dataclasses import replace

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
from cltr_twostage.estimate import estimate_of
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
    with pytest.raises(SupportError, match=r'never shows 1 document that .*\(query b, document z\).*support="drop"'):
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
        ([1.0], {"clip": "a"}, "clip='a'"),
        ([1.0], {"level": "a"}, "level='a'"),
        ([1.0], {"level": None}, "level=None"),
        ([1.0], {"rank_weights": "dcg"}, r"rank_weights='dcg'; .* for DCG pass dcg_weights\(k\)"),
        ([1.0], {"rank_weights": ["a"]}, r"rank_weights=\['a'\]; expected numbers"),
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
    for n_samples in (0, 3, None, 20.0, True, "many"):
        with pytest.raises(ArgumentError, match=f"n_samples={n_samples!r}; expected a whole number of at least 16"):
            ExposureIPS(world.examination, n_samples=n_samples)


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


# -- rows taken for sessions ------------------------------------------------------------------------------------------


def rows_as_sessions(log):
    """The log as it is read where the column of the sessions is missing."""
    return ClickLog.from_frame(log.to_frame().drop(columns="session_id"))


@pytest.mark.parametrize("cls", EVERY)
@pytest.mark.parametrize("known", [True, False], ids=["policy", "counts"])
def test_rows_that_were_taken_for_sessions_are_refused(cls, known, world, log):
    with pytest.raises(DataError, match=r"every session shows one document.*400 sessions.*expected whole.*--session"):
        cls(world.examination).fit(rows_as_sessions(log), world.logging if known else "counts")


def test_rows_that_were_taken_for_sessions_are_found_in_each_log(world, log):
    with pytest.raises(DataError, match="every session shows one document"):
        ExposureIPS(world.examination).fit([log, rows_as_sessions(log)], [world.logging] * 2)


def test_lists_of_one_document_are_lists():
    pool, logging, _, log = gap()
    assert ExposureIPS([1.0]).fit(log, logging).value(logging).value == pytest.approx(0.5)
    assert ExposureIPS([1.0, 0.5]).fit(log, "counts", pool=pool).value(logging).value == pytest.approx(0.5)


# -- what is known of support -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [DirectMethod, NaiveClicks, RankerOnlyIPS])
def test_what_the_logging_pair_never_shows_is_a_gap_to_those_who_do_not_look(cls):
    pool, logging, target, log = gap()
    estimator = cls([1.0], method="exact")
    assert estimator.fit(log, logging).value(target).support_gap == pytest.approx(1 / 6)
    assert estimator.fit(log, logging).value(logging).support_gap == 0
    assert estimator.fit([log, log], [logging, target]).value(target).support_gap == 0
    assert np.isnan(estimator.fit(log, np.full(5, 0.3), pool=pool).value(logging).support_gap)


@pytest.mark.parametrize("cls", [DirectMethod, NaiveClicks])
def test_without_a_logging_policy_nothing_is_known_of_support(cls):
    pool, logging, target, log = gap()
    fitted = cls([1.0], method="exact").fit(log, pool=pool)
    assert np.isnan(fitted.value(target).support_gap)
    assert np.isnan(fitted.difference(logging, target).support_gap)


def test_one_unknown_gap_makes_that_of_a_difference_unknown():
    _, logging, _, log = gap()
    fitted = ExposureIPS([1.0], method="exact").fit(log, logging)
    one, other = fitted.contribution(logging), fitted.contribution(logging)
    unknown = replace(other, weights=replace(other.weights, support_gap=np.nan))
    for parts in ([one, unknown], [unknown, one]):
        assert np.isnan(estimate_of(parts, [1.0, -1.0], fitted.collapsed_, 0.95).support_gap)


# -- what is no log, and no weight ------------------------------------------------------------------------------------


def test_no_log_is_told_as_such(world):
    with pytest.raises(ArgumentError, match="log is an empty sequence; expected at least one click log"):
        ExposureIPS(world.examination).fit([], [])


@pytest.mark.parametrize(
    ("several", "weights", "message"),
    [
        (False, "a", "weights is a str; expected .200. numbers"),
        (True, "ab", "weights has 0 entries for 2 logs"),
        (True, 3, "weights has 0 entries for 2 logs"),
        (True, [np.ones(200), "a"], "weights is a str"),
    ],
)
def test_weights_that_are_no_numbers_are_refused(several, weights, message, world, log):
    logs, logging = ([log, log], [world.logging] * 2) if several else (log, world.logging)
    with pytest.raises(ArgumentError, match=message):
        ExposureIPS(world.examination).fit(logs, logging, weights=weights)
