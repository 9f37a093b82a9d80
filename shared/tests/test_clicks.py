import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.data import ClickLog
from irworks.errors import ArgumentError, DataError

seeds = st.integers(0, 2**32 - 1)


def small(**changes):
    """Two sessions of two documents; q0 shows d0, d1 and q1 shows d1, d2."""
    columns = {
        "query": np.array([0, 1]),
        "docs": np.array([[0, 1], [1, 2]]),
        "clicks": np.array([[0, 1], [0, 0]]),
    }
    return ClickLog(**(columns | changes))


def random_log(seed, *, private_docs=False, features=True):
    """Lists of unequal length with gaps. `private_docs`: no document is shown for two queries."""
    rng = np.random.default_rng(seed)
    n, k, n_queries, per_query = (int(rng.integers(1, high)) for high in (30, 6, 6, 8))
    per_query = max(per_query, k)
    query = rng.integers(0, n_queries, n)
    docs = np.stack([rng.permutation(per_query)[:k] for _ in range(n)])
    if private_docs:
        docs += query[:, None] * per_query
    mask = rng.random((n, k)) < 0.8
    mask[0, 0] = True
    clicks = (rng.random((n, k)) < 0.4) & mask
    propensities = rng.uniform(0.01, 1, (n, k)) if seed % 2 else None
    log = ClickLog(query, docs, clicks, mask, propensities=propensities)
    if not features:
        return log
    return ClickLog(query, docs, clicks, mask, propensities=propensities, features=rng.normal(size=(len(log.pairs), 2)))


def shown_places(log):
    """(session, rank, query, document) of every shown document, by a plain loop."""
    return [
        (i, j, int(log.query[i]), int(log.docs[i, j]))
        for i in range(log.n_sessions)
        for j in range(log.n_ranks)
        if log.shown[i, j]
    ]


def feature_table(log):
    """Features by (query, document)."""
    return {
        (int(q), int(d)): tuple(row) for q, d, row in zip(log.pairs.query, log.pairs.doc, log.features, strict=True)
    }


# -- construction -----------------------------------------------------------------------------------------------------


def test_a_log_counts_what_was_shown():
    log = ClickLog(np.array([0, 1, 0]), np.array([[0, 1], [2, -1], [-1, 1]]), np.array([[1, 0], [0, 0], [0, 1]]))
    assert (log.n_sessions, log.n_ranks, log.n_impressions, log.n_queries, log.n_docs) == (3, 2, 4, 2, 3)
    assert log.shown.tolist() == [[True, True], [True, False], [False, True]]
    assert len(log) == 3
    assert "2 clicks" in repr(log)


def test_plain_lists_are_as_good_as_arrays():
    log = ClickLog([0, 1], [[0, 1], [1, 2]], [[0, 1], [0, 0]])
    assert log.docs.dtype == np.int32
    assert log.clicks.dtype == bool


def test_what_stands_at_a_masked_place_is_ignored():
    mask = np.array([[True, False], [True, True]])
    for filler in (-1, -77, 0, 5_000, 2**40):
        log = small(docs=np.array([[0, filler], [1, 2]]), clicks=np.zeros((2, 2)), mask=mask)
        assert log.docs.tolist() == [[0, -1], [1, 2]]
        assert log.n_docs == 3
    log = small(clicks=np.zeros((2, 2)), mask=mask, propensities=np.array([[0.5, np.nan], [0.1, 1]]))
    assert np.isnan(log.propensities[0, 1])


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.uint64, float, bool])
def test_clicks_may_be_any_kind_of_zeros_and_ones(kind):
    assert small(clicks=np.array([[0, 1], [0, 0]], dtype=kind)).clicks.tolist() == [[False, True], [False, False]]


BAD = {
    "no session": ({"query": np.zeros(0, int), "docs": np.zeros((0, 2), int), "clicks": np.zeros((0, 2))}, "empty"),
    "no rank": ({"docs": np.zeros((2, 0), int), "clicks": np.zeros((2, 0))}, "empty"),
    "everything masked": ({"docs": np.full((2, 2), -1), "clicks": np.zeros((2, 2))}, "empty"),
    "click 2": ({"clicks": np.array([[0, 1], [0, 2]])}, "session 1, rank 2: click is not 0 or 1 (found 2;"),
    "click -1": ({"clicks": np.array([[0, -1], [0, 0]])}, "session 0, rank 2: click is not 0 or 1 (found -1;"),
    "click NaN": ({"clicks": np.array([[0, 1], [np.nan, 0]])}, "session 1, rank 1: click is not 0 or 1 (found nan;"),
    "click 'yes'": ({"clicks": np.array([[0, 1], [0, "yes"]], dtype=object)}, "found 'yes'"),
    "a click on nothing": ({"mask": np.array([[1, 0], [1, 1]], bool)}, "session 0, rank 2: a click where nothing"),
    "fractional codes": ({"docs": np.array([[0.0, 1.0], [1.0, 2.0]])}, "float64"),
    "lists in one row": ({"docs": np.array([0, 1])}, "docs has the wrong shape (found (2,)"),
    "query too short": ({"query": np.array([0])}, "query has the wrong shape (found (1,)"),
    "clicks too narrow": ({"clicks": np.zeros((2, 1))}, "clicks has the wrong shape (found (2, 1)"),
    "mask too narrow": ({"mask": np.ones((2, 1), bool)}, "mask has the wrong shape (found (2, 1)"),
    "negative query": ({"query": np.array([-1, 0])}, "a code in query has no id (found -1"),
    "negative document": ({"docs": np.array([[0, -2], [1, 2]]), "mask": np.ones((2, 2), bool)}, "found -2"),
    "query without id": ({"query_ids": np.array(["a"])}, "a code in query has no id (found 1; expected codes from 0"),
    "document without id": ({"doc_ids": np.array(["a", "b"])}, "a code in docs has no id (found 2"),
    "raw id as a code": ({"docs": np.array([[2**32, 1], [1, 2]])}, "found 4294967296"),
    "raw query id as a code": ({"query": np.array([0, 2**32 + 1])}, "found 4294967297"),
    "document twice": ({"docs": np.array([[0, 1], [2, 2]])}, "session 1: a document stands in one list twice"),
    "propensity 0": ({"propensities": np.array([[1, 1], [0, 1]])}, "session 1, rank 1"),
    "propensity NaN": ({"propensities": np.array([[1, np.nan], [1, 1]])}, "session 0, rank 2"),
    "negative propensity": ({"propensities": np.array([[1, 1], [1, -0.5]])}, "found -0.5; expected a probability"),
    "propensity above 1": ({"propensities": np.array([[1, 1], [1, 1.5]])}, "found 1.5; expected a probability"),
    "infinite propensity": ({"propensities": np.array([[1, 1], [1, np.inf]])}, "found inf; expected a probability"),
    "propensities per session": ({"propensities": np.array([0.5, 0.5])}, "propensities has the wrong shape"),
    "a feature row missing": ({"features": np.zeros((3, 2))}, "features has the wrong shape (found (3, 2)"),
    "NaN feature": ({"features": [[0.0], [1], [np.nan], [1]]}, "pair (1, 1), column 'f_0': a feature is not finite"),
    "infinite feature": ({"features": [[0.0], [1], [1], [np.inf]]}, "found inf"),
    "words as features": ({"features": [["a"], ["b"], ["c"], ["d"]]}, "features does not hold numbers"),
    "a name too many": ({"features": np.zeros((4, 1)), "feature_names": ("a", "b")}, "feature_names has the wrong"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_broken_contract_is_one_data_error_that_names_the_log_and_what_was_found(name):
    changes, message = BAD[name]
    with pytest.raises(DataError) as caught:
        small(**changes, source="my log")
    assert caught.value.source == "my log"
    assert caught.value.found is not None
    assert caught.value.expected is not None
    assert message in str(caught.value)


def test_a_repeated_document_is_named_by_its_id_and_its_ranks():
    docs = np.array([[4, 0, 3, 0]])
    with pytest.raises(DataError, match=r"found 'document zebra at ranks \[2, 4\]'"):
        ClickLog([0], docs, np.zeros((1, 4)), doc_ids=np.array(["zebra", "b", "c", "d", "e"]))


def test_masked_places_never_count_as_a_repeated_document():
    log = ClickLog([0], [[-1, 3, -1, -1]], [[0, 1, 0, 0]])
    assert log.n_impressions == 1


@pytest.mark.parametrize("k", [1, 300])
def test_any_list_length_works(k):
    log = ClickLog(np.zeros(3, int), np.tile(np.arange(k), (3, 1)), np.zeros((3, k)))
    assert log.n_impressions == 3 * k


def test_a_query_with_one_document_is_fine():
    log = ClickLog([0, 1, 1], [[0, -1], [1, 2], [2, 1]], [[1, 0], [0, 0], [0, 1]])
    assert len(log.pairs) == 3


# -- pairs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("private_docs", [True, False])
@settings(max_examples=80, deadline=None)
@given(seed=seeds)
def test_pairs_are_the_sorted_distinct_query_document_pairs(private_docs, seed):
    log = random_log(seed, private_docs=private_docs, features=False)
    places = shown_places(log)
    expected = np.unique([(query, doc) for _, _, query, doc in places], axis=0)
    assert np.column_stack([log.pairs.query, log.pairs.doc]).tolist() == expected.tolist()
    index = {tuple(pair): code for code, pair in enumerate(expected.tolist())}
    table = np.full(log.docs.shape, -1)
    for i, j, query, doc in places:
        table[i, j] = index[query, doc]
    assert log.pairs.index.tolist() == table.tolist()


def test_a_document_shown_for_two_queries_is_two_pairs():
    log = small(query_ids=np.array(["q", "r"]), doc_ids=np.array(["a", "b", "c"]))
    assert [log.pair_name(pair) for pair in range(len(log.pairs))] == ["(q, a)", "(q, b)", "(r, b)", "(r, c)"]


def test_documents_that_are_in_the_vocabulary_but_were_not_shown_have_no_pair():
    log = small(doc_ids=np.arange(10), query_ids=np.arange(5))
    assert (log.n_docs, log.n_queries, len(log.pairs)) == (10, 5, 4)


# -- features ---------------------------------------------------------------------------------------------------------


def test_document_features_reach_every_pair_of_the_document():
    log = small().with_doc_features([[0.0], [10.0], [20.0]], names=["age"])
    assert feature_table(log) == {(0, 0): (0.0,), (0, 1): (10.0,), (1, 1): (10.0,), (1, 2): (20.0,)}
    assert log.feature_names == ("age",)


@pytest.mark.parametrize("table", [np.zeros((2, 1)), np.zeros(3)])
def test_document_features_of_the_wrong_shape_are_refused(table):
    with pytest.raises(ArgumentError, match=r"expected \[3, n_features\]"):
        small().with_doc_features(table)


def test_features_get_default_names():
    assert small(features=np.zeros((4, 3))).feature_names == ("f_0", "f_1", "f_2")


def test_features_may_have_no_column():
    assert small(features=np.zeros((4, 0))).features.shape == (4, 0)


# -- select and split -------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(seed=seeds)
def test_selected_sessions_keep_their_rows_and_each_pair_its_features(seed):
    log = random_log(seed)
    rng = np.random.default_rng(seed)
    rows = rng.choice(log.n_sessions, int(rng.integers(1, 2 * log.n_sessions)))  # with repetition, in any order
    rows[0] = 0  # the session that is never empty
    part = log.select(rows)
    assert part.query.tolist() == log.query[rows].tolist()
    assert part.docs.tolist() == log.docs[rows].tolist()
    assert part.clicks.tolist() == log.clicks[rows].tolist()
    if log.propensities is not None:
        np.testing.assert_array_equal(part.propensities, log.propensities[rows])
    whole = feature_table(log)
    assert feature_table(part) == {pair: whole[pair] for pair in feature_table(part)}
    assert part.feature_names == log.feature_names
    assert part.doc_vocabulary.tolist() == log.doc_vocabulary.tolist()


def test_sessions_can_be_selected_by_index_slice_and_mask():
    log = random_log(5)
    wanted = log.query[:1].tolist()
    for rows in ([0], slice(0, 1), np.arange(log.n_sessions) == 0, np.array([0], dtype=np.uint8)):
        assert log.select(rows).query.tolist() == wanted


def test_selecting_nothing_is_an_empty_log():
    with pytest.raises(DataError, match="the log is empty"):
        small().select([])


def test_a_split_is_a_partition_of_the_sessions_in_their_order():
    n = 100
    log = ClickLog(np.arange(n), np.tile([0, 1], (n, 1)), np.zeros((n, 2)), features=np.arange(2 * n)[:, None])
    first, second = log.split(0.3, np.random.default_rng(0))
    assert (len(first), len(second)) == (70, 30)
    assert sorted([*first.query, *second.query]) == list(range(n))
    assert sorted(first.query) == first.query.tolist()
    assert sorted(second.query) == second.query.tolist()
    for part in (first, second):
        assert part.features[:, 0].tolist() == [2 * q + d for q in part.query for d in (0, 1)]


def test_a_split_depends_on_the_generator_alone():
    log = random_log(3)
    split = [log.split(0.5, np.random.default_rng(seed))[0].query.tolist() for seed in (1, 1)]
    assert split[0] == split[1]


@pytest.mark.parametrize("share", [0, 1, -0.5, 2, 0.001, 0.999, float("nan"), float("inf")])
def test_a_split_that_leaves_a_side_empty_is_refused(share):
    with pytest.raises(ArgumentError, match="leaves one side empty"):
        small().split(share, np.random.default_rng(0))


def test_a_log_pickles():
    log = random_log(7)
    twin = pickle.loads(pickle.dumps(log))
    np.testing.assert_array_equal(twin.docs, log.docs)
    np.testing.assert_array_equal(twin.features, log.features)
    np.testing.assert_array_equal(twin.pairs.index, log.pairs.index)


def test_arrays_that_nobody_can_change_are_not_copied():
    query, docs = np.array([0, 1], np.int32), np.array([[0, 1], [1, 2]], np.int32)
    for array in (query, docs):
        array.setflags(write=False)
    log = ClickLog(query, docs, np.zeros((2, 2), dtype=bool))
    assert log.docs is docs
    assert log.query is query


def test_codes_in_a_file_that_is_mapped_for_reading_are_not_copied(tmp_path):
    np.save(tmp_path / "docs.npy", np.arange(6, dtype=np.int32).reshape(3, 2))
    docs = np.load(tmp_path / "docs.npy", mmap_mode="r")
    for part in (docs, docs[1:], np.asarray(docs)):
        log = ClickLog(np.zeros(len(part), dtype=np.int32), part, np.zeros(part.shape, dtype=bool))
        assert np.shares_memory(log.docs, docs)


def read_only_view(array):
    view = array.view()
    view.setflags(write=False)
    return view


def read_only_map(array, file):
    np.save(file, array)
    mapped = np.load(file, mmap_mode="r+")
    return mapped, read_only_view(mapped)


def test_a_log_does_not_change_with_what_is_seen_through_a_read_only_view(tmp_path):
    frame = pd.DataFrame({"q": np.array([0, 1, 0], dtype=np.int32)})
    docs, shown = read_only_map(np.array([[0, 1], [1, 2], [2, 0]], dtype=np.int32), tmp_path / "docs.npy")
    for query in (frame["q"].to_numpy(), read_only_view(frame["q"].to_numpy())):
        log = ClickLog(query, shown, np.zeros((3, 2), dtype=bool), query_ids=np.arange(9), doc_ids=np.arange(9))
        before = log.query.tolist(), log.docs.tolist()
        frame.loc[0, "q"] = 7
        docs[0] = [5, 6]
        assert (log.query.tolist(), log.docs.tolist()) == before


def test_a_log_does_not_change_with_the_arrays_that_it_was_made_of():
    query, docs = np.array([0, 1], np.int32), np.array([[0, 1], [1, 2]], np.int32)
    log = ClickLog(query, docs, np.zeros((2, 2)))
    query[:] = 5
    docs[:] = 7
    assert log.docs.tolist() == [[0, 1], [1, 2]]
    assert log.query.tolist() == [0, 1]
