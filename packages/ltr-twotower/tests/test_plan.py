import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.data import ClickLog
from irworks.errors import ArgumentError
from ltr_twotower import Swap, check_identifiability

seeds = st.integers(0, 2**32 - 1)
GAMMA = np.random.default_rng(99).normal(0, 0.7, 1000)


def clicks_on(docs, rng):
    logits = GAMMA[docs] - np.log(np.arange(1, docs.shape[1] + 1))
    return rng.random(docs.shape) < 1 / (1 + np.exp(-logits))


def ranker_log(seed, *, n=2000, k=5, n_queries=10, temperature=0.0, popular=False):
    """Lists of a ranker that shuffles some of them; with `popular` queries of very different frequency."""
    rng = np.random.default_rng(seed)
    share = 1 / np.arange(1, n_queries + 1) if popular else np.ones(n_queries)
    query = rng.choice(n_queries, n, p=share / share.sum())
    docs = query[:, None] * k + np.arange(k)
    rows = rng.random(n) < temperature
    docs[rows] = rng.permuted(docs[rows], axis=1)
    return ClickLog(query, docs, clicks_on(docs, rng))


def log_after(log, swaps, rng):
    """The log and, beside it, the planned sessions: lists of the query with two ranks swapped, and new clicks."""
    queries, lists = [log.query], [log.docs]
    for query, (a, b), sessions in swaps:
        rows = rng.choice(np.flatnonzero(log.query == query), sessions, replace=False)
        docs = log.docs[rows].copy()
        docs[:, [a - 1, b - 1]] = docs[:, [b - 1, a - 1]]
        queries.append(log.query[rows])
        lists.append(docs)
    docs = np.concatenate(lists)
    clicks = np.concatenate([log.clicks, clicks_on(docs[len(log) :], rng)])
    return ClickLog(np.concatenate(queries), docs, clicks)


def worst_after(log, swaps, rng):
    return check_identifiability(log_after(log, swaps, rng)).worst[2]


def as_tuples(plan):
    return [(swap.query, swap.ranks, swap.sessions) for swap in plan]


def random_swaps(log, total, rng):
    """As many sessions, spent without a plan."""
    pairs = [tuple(sorted((rng.choice(log.n_ranks, 2, replace=False) + 1).tolist())) for _ in range(total)]
    return [(int(query), pair, 1) for query, pair in zip(rng.choice(log.query, total), pairs, strict=True)]


def assert_sound(plan, log, budget):
    assert sum(swap.sessions for swap in plan) <= budget
    spent = {}
    for swap in plan:
        a, b = swap.ranks
        assert 1 <= a < b <= log.n_ranks
        assert swap.sessions >= 1
        assert isinstance(swap.sessions, int)
        spent[swap.query] = spent.get(swap.query, 0) + swap.sessions
    ids = log.query_vocabulary[log.query].tolist()
    assert all(sessions <= ids.count(query) for query, sessions in spent.items())
    promised = [swap.worst_stderr for swap in plan]
    assert all(later <= earlier * (1 + 1e-9) for earlier, later in pairwise(promised))


# -- what a plan achieves ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [2, 3, 5, 10])
@pytest.mark.parametrize("popular", [False, True])
def test_a_plan_connects_the_ranks_of_a_deterministic_log(k, popular):
    log = ranker_log(k, k=k, popular=popular)
    report = check_identifiability(log)
    assert report.components == [[rank] for rank in range(1, k + 1)]
    plan = report.suggest_swaps(60)
    assert_sound(plan, log, 60)
    after = check_identifiability(log_after(log, as_tuples(plan), np.random.default_rng(0)))
    assert after.ok
    assert np.isfinite(plan[-1].worst_stderr)


def test_the_first_swaps_promise_nothing_while_ranks_are_apart():
    plan = check_identifiability(ranker_log(0, k=5)).suggest_swaps(60)
    log = ranker_log(0, k=5)
    for swap in range(1, len(plan) + 1):
        after = check_identifiability(log_after(log, as_tuples(plan[:swap]), np.random.default_rng(0)))
        assert np.isfinite(plan[swap - 1].worst_stderr) == after.ok


@pytest.mark.parametrize("temperature", [0.0, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("budget", [60, 400])
@pytest.mark.parametrize("k", [3, 8])
def test_the_promised_stderr_is_near_what_the_log_with_the_swaps_then_has(temperature, budget, k):
    log = ranker_log(1, k=k, temperature=temperature, popular=True)
    plan = check_identifiability(log).suggest_swaps(budget)
    found = worst_after(log, as_tuples(plan), np.random.default_rng(0))
    assert found == pytest.approx(plan[-1].worst_stderr, rel=0.2)


@pytest.mark.parametrize("temperature", [0.0, 0.02, 0.1])
@pytest.mark.parametrize("popular", [False, True])
def test_a_plan_lowers_the_worst_stderr_more_than_as_many_swaps_at_random(temperature, popular):
    ratios = []
    for seed in range(4):
        log = ranker_log(seed, k=6, temperature=temperature, popular=popular)
        plan = check_identifiability(log).suggest_swaps(60)
        rng = np.random.default_rng(seed)
        planned = worst_after(log, as_tuples(plan), rng)
        unplanned = worst_after(log, random_swaps(log, sum(swap.sessions for swap in plan), rng), rng)
        ratios.append(planned / unplanned)
    assert np.mean(ratios) < 0.98
    assert max(ratios) < 1.03


def test_a_plan_mends_the_weak_place_first():
    """Ranks 1-3 are swapped all the time, ranks 3 and 4 hardly ever."""
    rng = np.random.default_rng(0)
    n = 3000
    query = rng.integers(0, 5, n)
    docs = np.tile(np.arange(4), (n, 1))
    docs[:, :3] = rng.permuted(docs[:, :3], axis=1)
    docs[:6, 2:] = docs[:6, [3, 2]]
    docs += query[:, None] * 4
    report = check_identifiability(ClickLog(query, docs, clicks_on(docs, rng)))
    assert report.worst[1] == 4
    plan = report.suggest_swaps(50)
    assert all(4 in swap.ranks for swap in plan)
    assert plan[-1].worst_stderr < report.worst[2] / 2


def test_a_larger_budget_is_never_worse():
    report = check_identifiability(ranker_log(3, n=600, popular=True))
    promised = [report.suggest_swaps(budget)[-1].worst_stderr for budget in (10, 30, 100, 300, 1000, 10**9)]
    assert all(more <= less * 1.02 for less, more in pairwise(promised))


# -- odd logs and budgets ---------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(seed=seeds, budget=st.integers(1, 200))
def test_every_plan_keeps_to_its_budget_and_to_the_sessions_there_are(seed, budget, random_log):
    log = random_log(seed)
    report = check_identifiability(log)
    plan = report.suggest_swaps(budget)
    assert_sound(plan, log, budget)
    if plan:
        assert plan[-1].worst_stderr <= report.worst[2] * (1 + 1e-9)


def test_a_plan_depends_on_the_log_alone():
    report = check_identifiability(ranker_log(0))
    assert report.suggest_swaps(40) == report.suggest_swaps(40)


def test_a_budget_of_one_is_one_session():
    plan = check_identifiability(ranker_log(0)).suggest_swaps(1)
    assert [swap.sessions for swap in plan] == [1]
    assert check_identifiability(ranker_log(0, k=2)).suggest_swaps(1)[0].worst_stderr < np.inf


@pytest.mark.parametrize("budget", [100, 5000, 10**9])
def test_one_query_with_few_sessions_is_shared_among_the_ranks_however_large_the_budget(budget):
    log = ranker_log(0, n=100, k=5, n_queries=1)
    plan = check_identifiability(log).suggest_swaps(budget)
    assert_sound(plan, log, budget)
    assert sum(swap.sessions for swap in plan) == 100
    assert np.isfinite(plan[-1].worst_stderr)


def test_thousands_of_queries_with_one_session_each_are_planned_quickly():
    n, k = 3000, 5
    docs = np.arange(n * k).reshape(n, k)
    log = ClickLog(np.arange(n), docs, np.random.default_rng(0).random((n, k)) < 0.3)
    report = check_identifiability(log)
    start = time.process_time()
    plan = report.suggest_swaps(500)
    assert time.process_time() - start < 5
    assert {swap.sessions for swap in plan} == {1}
    assert len({swap.query for swap in plan}) == len(plan)
    assert np.isfinite(plan[-1].worst_stderr)


def test_frequent_queries_with_short_lists_do_not_hide_those_with_long_ones():
    heads, sessions = 500, 20
    query = np.concatenate([np.repeat(np.arange(heads), sessions), np.repeat(np.arange(heads, heads + 10), 10)])
    docs = np.full((len(query), 4), -1)
    docs[:, 0] = query * 4
    docs[heads * sessions :] = query[heads * sessions :, None] * 4 + np.arange(4)
    clicks = (np.random.default_rng(0).random(docs.shape) < 0.3) & (docs >= 0)
    plan = check_identifiability(ClickLog(query, docs, clicks)).suggest_swaps(60)
    assert {swap.query for swap in plan} <= set(range(heads, heads + 10))
    assert np.isfinite(plan[-1].worst_stderr)


@pytest.mark.parametrize("k", [25, 70])
def test_long_lists_are_connected_in_reasonable_time(k):
    rng = np.random.default_rng(0)
    query = rng.integers(0, 40, 4000)
    log = ClickLog(query, query[:, None] * k + np.arange(k), rng.random((4000, k)) < 0.2)
    start = time.process_time()
    plan = check_identifiability(log).suggest_swaps(1000)
    assert time.process_time() - start < 6
    assert_sound(plan, log, 1000)
    assert np.isfinite(plan[-1].worst_stderr)


@pytest.mark.parametrize("lists", [[[0], [1]], [[0, -1], [1, -1]], [[-1, 0], [-1, 1]]])
def test_one_shown_rank_needs_no_swap(lists):
    log = ClickLog([0, 1], lists, np.zeros((2, len(lists[0]))))
    assert check_identifiability(log).suggest_swaps(10) == []


def test_where_no_query_shows_two_ranks_there_is_nothing_to_swap():
    log = ClickLog([0, 1], [[0, -1], [-1, 1]], [[1, 0], [0, 0]])
    assert check_identifiability(log).suggest_swaps(10) == []


def test_ranks_at_which_nothing_was_shown_are_not_swapped():
    rng = np.random.default_rng(0)
    docs = np.array([0, -1, 1, -1, 2]) + np.where(np.array([1, 0, 1, 0, 1]), 5 * rng.integers(0, 3, 300)[:, None], 0)
    query = docs[:, 0] // 5
    plan = check_identifiability(ClickLog(query, docs, (rng.random(docs.shape) < 0.3) & (docs >= 0))).suggest_swaps(50)
    assert plan
    assert {rank for swap in plan for rank in swap.ranks} == {1, 3, 5}


def test_a_document_is_never_swapped_with_itself():
    """The same document is the most frequent one at both ranks; rank 3 alone has another."""
    lists = np.array([[0, 1, 2]] * 40 + [[1, 0, 2]] * 30 + [[3, 0, 2]] * 30)
    clicks = np.random.default_rng(0).random(lists.shape) < 0.3
    plan = check_identifiability(ClickLog(np.zeros(100, int), lists, clicks)).suggest_swaps(20)
    assert plan
    assert all(3 in swap.ranks for swap in plan)


def test_a_plan_carries_original_ids():
    log = ranker_log(0, n=200, n_queries=2)
    named = ClickLog(log.query, log.docs, log.clicks, query_ids=np.array(["shoes", "ü"], dtype=object))
    assert {swap.query for swap in check_identifiability(named).suggest_swaps(20)} <= {"shoes", "ü"}
    numbered = ClickLog(log.query, log.docs, log.clicks, query_ids=np.array([2**60, 7]))
    queries = [swap.query for swap in check_identifiability(numbered).suggest_swaps(20)]
    assert set(queries) <= {2**60, 7}
    assert {type(query) for query in queries} == {int}
    assert isinstance(check_identifiability(named).suggest_swaps(20)[0], Swap)


@pytest.mark.parametrize("budget", [0, -5])
def test_a_budget_that_is_not_positive_is_refused(budget):
    with pytest.raises(ArgumentError, match=f"budget={budget}; expected a positive number of sessions"):
        check_identifiability(ranker_log(0)).suggest_swaps(budget)


@pytest.mark.parametrize("tower", ["linear", "deep"])
def test_the_other_towers_get_plans_too(tower):
    log = ranker_log(0)
    X = (log.pairs.doc % 5)[:, None].astype(float) * 100  # the document's rank itself
    report = check_identifiability(log, X, tower)
    assert not report.ok
    plan = report.suggest_swaps(80)
    assert_sound(plan, log, 80)
    after = check_identifiability(log_after(log, as_tuples(plan), np.random.default_rng(0)), X, tower)
    assert after.ok
    assert after.worst[2] < 1
    assert plan[-1].worst_stderr < 1
