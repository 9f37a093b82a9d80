from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cltr_twostage import ClickLog, Pool
from cltr_twostage.collapse import collapse
from irworks.errors import ArgumentError, DataError


def random_log(seed, pool, n=50, k=3):
    """Lists of unequal length, some with gaps, of documents of their query."""
    rng = np.random.default_rng(seed)
    query = rng.integers(0, pool.n_queries, n)
    docs = np.full((n, k), -1)
    for session, one in enumerate(query):
        own = np.arange(pool.offsets[one], pool.offsets[one + 1])
        shown = min(len(own), k)
        docs[session, :shown] = rng.permutation(own)[:shown]
    docs[rng.random((n, k)) < 0.1] = -1
    docs[0, 0] = pool.offsets[query[0]] if docs[0].max() < 0 else docs[0, 0]
    clicks = (rng.random((n, k)) < 0.4) & (docs >= 0)
    return ClickLog(query, docs, clicks, query_ids=pool.query_ids, doc_ids=pool.doc_ids)


def as_counter(collapsed):
    keys = zip(
        collapsed.part.tolist(),
        collapsed.query.tolist(),
        map(tuple, collapsed.rows.tolist()),
        map(tuple, collapsed.clicks.tolist()),
        strict=True,
    )
    counts = dict(zip(keys, collapsed.count.tolist(), strict=True))
    assert len(counts) == len(collapsed.count)
    return counts


def counted(logs, weights=None):
    """The distinct sessions of logs, counted one by one."""
    out = Counter()
    for part, log in enumerate(logs):
        for session in range(len(log)):
            key = (
                part,
                int(log.query[session]),
                tuple(log.docs[session].tolist()),
                tuple(log.clicks[session].tolist()),
            )
            out[key] += 1 if weights is None else weights[part][session]
    return dict(out)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(1, 4))
def test_sessions_are_counted(seed, sizes, k):
    pool = Pool(np.concatenate(([0], np.cumsum(sizes))))
    logs = [random_log([seed, part], pool, k=k) for part in range(2)]
    assert as_counter(collapse(logs, pool)) == counted(logs)
    weights = [np.random.default_rng([seed, 9, part]).uniform(0, 2, len(log)) for part, log in enumerate(logs)]
    assert as_counter(collapse(logs, pool, weights)) == pytest.approx(counted(logs, weights))


def test_every_session_knows_its_distinct_one():
    pool = Pool([0, 3, 5])
    log = random_log(0, pool)
    collapsed = collapse(log, pool)
    np.testing.assert_array_equal(collapsed.query[collapsed.code], log.query)
    np.testing.assert_array_equal(collapsed.rows[collapsed.code], log.docs)
    np.testing.assert_array_equal(collapsed.clicks[collapsed.code], log.clicks)
    assert (collapsed.n_read, collapsed.total, collapsed.n_parts, collapsed.k) == (50, 50.0, 1, 3)


def test_sessions_too_many_to_number_in_64_bits_are_still_told_apart():
    rng = np.random.default_rng(0)
    pool = Pool(np.arange(41) * 1000)
    query = rng.integers(0, 40, 500)
    docs = query[:, None] * 1000 + np.argsort(rng.random((500, 1000)), axis=1)[:, :10]
    docs[::2] = docs[1::2]
    query[::2] = query[1::2]
    clicks = np.zeros((500, 10), dtype=bool)
    clicks[::50, 9] = True
    log = ClickLog(query, docs, clicks, doc_ids=pool.doc_ids)
    assert as_counter(collapse(log, pool)) == counted([log])


def test_impressions_and_clicks_are_counted_by_place():
    pool = Pool([0, 3, 5])
    log = random_log(1, pool)
    weights = np.random.default_rng(0).uniform(0, 2, len(log))
    shown, clicked = np.zeros((5, 3)), np.zeros((5, 3))
    for session in range(len(log)):
        for rank, row in enumerate(log.docs[session]):
            if row >= 0:
                shown[row, rank] += weights[session]
                clicked[row, rank] += weights[session] * log.clicks[session, rank]
    collapsed = collapse(log, pool, weights)
    np.testing.assert_allclose(collapsed.impressions, shown, atol=1e-12)
    np.testing.assert_allclose(collapsed.click_counts, clicked, atol=1e-12)
    np.testing.assert_allclose(collapsed.query_counts, np.bincount(log.query, weights=weights), atol=1e-12)


@pytest.mark.parametrize("n_logs", [1, 2])
def test_sums_over_patterns_of_clicks_are_those_over_sessions(n_logs):
    pool = Pool([0, 3, 5])
    logs = [random_log(part, pool) for part in range(n_logs)]
    collapsed = collapse(logs, pool)
    tables = np.random.default_rng(0).normal(size=(5, 3))
    for patterns, table in ((collapsed.clicked_rows, tables[:, 0]), (collapsed.clicked_places, tables)):
        for part, log in enumerate(logs):
            rows, ranks = log.docs[log.clicks], np.nonzero(log.clicks)[1]
            expected = table[rows].sum() if table.ndim == 1 else table[rows, ranks].sum()
            here = patterns.part == part
            assert patterns.count[here] @ patterns.sums(table)[here] == pytest.approx(expected)
            assert patterns.sums(table) @ patterns.count == pytest.approx(collapsed.sums(table) @ collapsed.count)
        # Sessions without a click only count where logs are compared.
        idle = sum(int((~log.clicks.any(axis=1)).sum()) for log in logs)
        assert patterns.count.sum() == collapsed.total - (idle if n_logs == 1 else 0)
        np.testing.assert_array_equal(patterns.query[patterns.pattern], pool.owner()[patterns.row])


def test_sessions_with_the_same_single_click_are_one_group():
    pool = Pool([0, 3])
    clicks = [[1, 0], [0, 1], [1, 0], [1, 1], [0, 0]]
    log = ClickLog([0] * 5, [[0, 1], [2, 0], [0, 2], [0, 1], [0, 1]], clicks, doc_ids=pool.doc_ids)
    collapsed = collapse(log, pool, merge=False)
    assert sorted(collapsed.clicked_rows.count) == [1, 3]
    assert sorted(collapsed.clicked_places.count) == [1, 1, 2]


def test_distinct_lists_are_those_that_were_shown():
    pool = Pool([0, 3, 5])
    log = random_log(2, pool)
    collapsed = collapse(log, pool)
    of_session, shown_by = collapsed.lists
    lists = {(int(query), tuple(rows)) for query, rows in zip(log.query, log.docs.tolist(), strict=True)}
    assert len(shown_by) == len(lists)
    np.testing.assert_array_equal(collapsed.rows[shown_by][of_session], collapsed.rows)
    np.testing.assert_array_equal(collapsed.query[shown_by][of_session], collapsed.query)


def test_logs_of_unequal_length_are_widened():
    pool = Pool([0, 3])
    short = ClickLog([0], [[0]], [[1]], doc_ids=pool.doc_ids)
    long = ClickLog([0], [[0, 2]], [[0, 1]], doc_ids=pool.doc_ids)
    collapsed = collapse([short, long], pool)
    assert collapsed.rows.tolist() == [[0, -1], [0, 2]]
    assert collapsed.clicks.tolist() == [[True, False], [False, True]]


def test_documents_are_found_by_their_ids():
    pool = Pool([0, 2, 4], ["q", "r"], ["x", "y", "y", "z"])
    log = ClickLog([1, 0, 1], [[2], [1], [1]], [[1], [0], [0]], query_ids=["q", "r"], doc_ids=["x", "y", "z"])
    collapsed = collapse(log, pool)
    assert collapsed.query[collapsed.code].tolist() == [1, 0, 1]
    assert collapsed.rows[collapsed.code, 0].tolist() == [3, 1, 2]


@pytest.mark.parametrize(
    ("query_ids", "doc_ids", "message"),
    [(["q", "nope"], ["x", "y"], "query that the pool lacks.*nope"), (["q", "r"], ["x", "w"], "document.*(r, w)")],
)
def test_what_the_pool_lacks_is_named(query_ids, doc_ids, message):
    pool = Pool([0, 2, 4], ["q", "r"], ["x", "y", "y", "z"])
    log = ClickLog([0, 1], [[0], [1]], [[0], [0]], query_ids=query_ids, doc_ids=doc_ids)
    with pytest.raises(DataError, match=message):
        collapse(log, pool)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, -1, 1], "weights is -1.0 at session 1"),
        ([1, 1, np.nan], "weights is nan at session 2"),
        ([np.inf, 1, 1], "weights is inf at session 0"),
        ([1, 1], r"weights has shape \(2,\); expected \[3\]"),
        ([0, 0, 0], "sum to 0"),
    ],
)
def test_bad_weights_are_refused(weights, message):
    log = ClickLog([0, 0, 0], [[0], [1], [0]], [[1], [0], [0]])
    with pytest.raises(ArgumentError, match=message):
        collapse(log, Pool([0, 2]), weights)


def test_what_is_no_log_is_refused():
    log, pool = ClickLog([0], [[0]], [[1]]), Pool([0, 2])
    with pytest.raises(ArgumentError, match="empty"):
        collapse([], pool)
    with pytest.raises(ArgumentError, match="log is a dict; expected a ClickLog"):
        collapse({"query": [0]}, pool)
    with pytest.raises(ArgumentError, match="expected a ClickLog"):
        collapse([log, "log.csv"], pool)
    with pytest.raises(ArgumentError, match="weights has 1 entries for 2 logs"):
        collapse([log, log], pool, [[1.0]])


def test_a_million_sessions_collapse_in_less_than_two_seconds():
    from time import process_time

    rng = np.random.default_rng(0)
    pool = Pool(np.arange(81) * 30)
    query = rng.integers(0, 80, 1_000_000)
    first = rng.integers(0, 30, 1_000_000)
    docs = query[:, None] * 30 + (first[:, None] + np.array([0, 7, 11, 20])) % 30
    log = ClickLog(query, docs, rng.random(docs.shape) < 0.2, query_ids=pool.query_ids, doc_ids=pool.doc_ids)
    collapse(log.select(slice(0, 10)), pool)
    begin = process_time()
    collapsed = collapse(log, pool)
    _ = collapsed.clicked_rows, collapsed.impressions
    assert process_time() - begin < 2
    assert collapsed.total == 1_000_000
