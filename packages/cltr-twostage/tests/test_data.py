"""The pool of documents, score tables from anywhere, and where a click log stands in a pool."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cltr_twostage import ClickLog, Pool, ScoreTable, TwoStagePolicy, read_scores, write_scores
from irworks.errors import ArgumentError, DataError


def pool_of_three() -> Pool:
    """Documents a and b for query x, b and c for query y, a alone for query z."""
    return Pool([0, 2, 4, 5], ["x", "y", "z"], ["a", "b", "b", "c", "a"])


def log_of(pairs: list[tuple[object, list[object]]]) -> ClickLog:
    """A log with ids: (query, documents in rank order) of each session."""
    rows = [
        {"session_id": session, "query_id": query, "doc_id": doc, "position": rank, "click": 0}
        for session, (query, docs) in enumerate(pairs)
        for rank, doc in enumerate(docs, start=1)
    ]
    frame = pd.DataFrame(rows).astype({"query_id": object, "doc_id": object})
    return ClickLog.from_frame(frame)


# -- Pool -------------------------------------------------------------------------------------------------------------


def test_a_pool_counts_its_queries_and_rows():
    pool = pool_of_three()
    assert (pool.n_queries, pool.n_rows) == (3, 5)
    assert pool.sizes.tolist() == [2, 2, 1]
    assert pool.owner().tolist() == [0, 0, 1, 1, 2]
    assert repr(pool) == "Pool(3 queries, 5 rows)"


def test_ids_default_to_numbers():
    pool = Pool([0, 2, 3])
    assert pool.query_ids.tolist() == [0, 1]
    assert pool.doc_ids.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("row", "name"), [(0, "(query x, document a)"), (2, "(query y, document b)"), (4, "(query z, d")]
)
def test_a_row_is_named_by_its_original_ids(row, name):
    assert pool_of_three().row_name(row).startswith(name)


def test_a_document_may_stand_under_many_queries_but_once_under_each():
    Pool([0, 2, 4], doc_ids=["a", "b", "a", "b"])
    with pytest.raises(ArgumentError, match=r"\(query 1, document b\) twice"):
        Pool([0, 2, 5], doc_ids=["a", "b", "b", "c", "b"])


def test_a_query_may_not_stand_in_a_pool_twice():
    with pytest.raises(ArgumentError, match=r"query_ids holds .*7.* twice"):
        Pool([0, 1, 2], query_ids=[7, 7])


@pytest.mark.parametrize(
    "offsets",
    [[0], [], [[0, 1]], [1, 2], [0.0, 1.0], [0, 0], [0, 2, 2], [0, 3, 1], "ab"],
    ids=["no query", "nothing", "two dimensions", "not from 0", "fractions", "empty", "empty last", "falling", "text"],
)
def test_offsets_that_do_not_rise_from_zero_are_refused(offsets):
    with pytest.raises(ArgumentError, match="offsets"):
        Pool(offsets)


def test_unsigned_offsets_that_fall_are_refused():
    with pytest.raises(ArgumentError, match="offsets go from 5 to 3 at query 1"):
        Pool(np.array([0, 5, 3], dtype=np.uint64))


@pytest.mark.parametrize(
    ("name", "ids"), [("query_ids", ["x"]), ("doc_ids", ["a", "b", "c"]), ("doc_ids", [["a", "b"]])]
)
def test_ids_of_the_wrong_number_are_refused(name, ids):
    with pytest.raises(ArgumentError, match=f"{name} has shape"):
        Pool([0, 1, 2], **{name: ids})


@pytest.mark.parametrize(
    "missing", [[1.5, np.nan], np.array(["a", None], dtype=object), np.array(["NaT", "NaT"], "M8[D]")]
)
@pytest.mark.parametrize("name", ["query_ids", "doc_ids"])
def test_an_id_that_is_missing_is_none(name, missing):
    with pytest.raises(ArgumentError, match=f"{name} is (nan|None|NaT) at [01]; expected an id"):
        Pool([0, 1, 2], **{name: missing})


def test_a_number_and_its_text_are_two_ids():
    pool = Pool([0, 2, 3], query_ids=[1, "1"], doc_ids=[1, "1", "a"])
    assert pool.query_ids.tolist() == [1, "1"]
    assert pool.doc_ids.tolist() == [1, "1", "a"]


def test_a_pool_does_not_change_with_the_offsets_it_was_made_from():
    offsets = np.array([0, 2, 3])
    pool = Pool(offsets)
    offsets[1] = 1
    assert pool.sizes.tolist() == [2, 1]


def test_a_pool_crosses_process_boundaries():
    copy = pickle.loads(pickle.dumps(pool_of_three()))
    assert copy.doc_ids.tolist() == ["a", "b", "b", "c", "a"]
    assert copy.offsets.tolist() == [0, 2, 4, 5]


def test_the_pool_of_a_log_holds_what_was_shown():
    pool = Pool.from_log(log_of([("y", ["b", "a"]), ("x", ["a"]), ("y", ["c"])]))
    assert pool.query_ids.tolist() == ["x", "y"]
    assert pool.doc_ids.tolist() == ["a", "a", "b", "c"]
    assert pool.offsets.tolist() == [0, 1, 4]


# -- locating a log ---------------------------------------------------------------------------------------------------


def test_a_log_is_located_by_its_ids_whatever_its_order():
    log = log_of([("z", ["a"]), ("y", ["c", "b"]), ("x", ["b", "a"]), ("y", ["b"])])
    query, rows = pool_of_three().locate(log)
    assert query.tolist() == [2, 1, 0, 1]
    assert rows.tolist() == [[4, -1], [3, 2], [1, 0], [2, -1]]
    assert (query.dtype, rows.dtype) == (np.int32, np.int32)


def test_gaps_in_a_list_stay_gaps():
    frame = pd.DataFrame({"query_id": "y", "doc_id": ["c"], "position": [3], "click": 1, "session_id": 0})
    _, rows = pool_of_three().locate(ClickLog.from_frame(frame))
    assert rows.tolist() == [[-1, -1, 3]]


def test_locating_by_codes_and_by_ids_agree():
    rng = np.random.default_rng(0)
    pool = Pool([0, 3, 7, 8])
    query = np.concatenate(([0, 1, 2], rng.integers(0, 3, 50)))
    docs = np.full((len(query), 4), -1)
    for session, code in enumerate(query):
        size = pool.sizes[code]
        docs[session, :size] = pool.offsets[code] + rng.permutation(size)
    log = ClickLog(query, docs, np.zeros(docs.shape, dtype=bool))
    assert pool._shares_codes(log)
    by_code, by_id = pool.locate(log), pool._locate_by_id(log)
    assert np.array_equal(by_code[0], by_id[0])
    assert np.array_equal(by_code[1], by_id[1])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_a_shuffled_log_of_shuffled_ids_is_found_again(seed, text):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, rng.integers(1, 5))
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    name = (lambda i: f"id {i}") if text else int
    query_ids = [name(i) for i in rng.permutation(100)[: len(sizes)]]
    doc_ids = np.concatenate([rng.permutation(8)[:size] for size in sizes])
    pool = Pool(offsets, query_ids, [name(i) for i in doc_ids])
    query = rng.integers(0, len(sizes), 12)
    rows = [offsets[q] + rng.permutation(sizes[q])[: rng.integers(1, sizes[q] + 1)] for q in query]
    log = log_of(
        [(pool.query_ids[q], [pool.doc_ids[row] for row in some]) for q, some in zip(query, rows, strict=True)]
    )
    found_query, found_rows = pool.locate(log)
    assert found_query.tolist() == query.tolist()
    assert [[row for row in some if row >= 0] for some in found_rows.tolist()] == [some.tolist() for some in rows]


@pytest.mark.parametrize(
    ("pairs", "what", "found"),
    [
        ([("x", ["a"]), ("w", ["a"])], "a query that", "w"),
        ([("x", ["a"]), ("x", ["b", "q"])], "a document that", "q"),
        ([("x", ["a"]), ("x", ["b", "c"])], "a document that", "c"),
    ],
    ids=["unknown query", "unknown document", "document of another query"],
)
def test_what_the_pool_lacks_is_named_with_its_session(pairs, what, found):
    with pytest.raises(DataError, match=what) as caught:
        pool_of_three().locate(log_of(pairs))
    assert found in str(caught.value.found)
    assert caught.value.row == "session 1"


def test_numbers_in_the_pool_are_not_the_same_numbers_as_text_in_the_log():
    pool = Pool([0, 2], query_ids=[5], doc_ids=[1, 2])
    with pytest.raises(DataError, match=r"a query that the pool lacks.* log are str .* pool int64: make them one type"):
        pool.locate(log_of([("5", ["1"])]))


def test_a_simulated_log_with_codes_of_another_query_is_refused():
    pool = Pool([0, 2, 4])
    log = ClickLog(np.array([0, 1]), np.array([[0, 2], [3, 2]]), np.zeros((2, 2), dtype=bool))
    with pytest.raises(DataError, match="a document that the pool lacks") as caught:
        pool.locate(log)
    assert caught.value.row == "session 0"


# -- score tables -----------------------------------------------------------------------------------------------------


def frame_of_scores(**changes: object) -> pd.DataFrame:
    columns = {
        "query_id": ["y", "x", "y", "x"],
        "doc_id": ["b", "a", "c", "b"],
        "score_c": [1.5, 0.0, -np.inf, -2.0],
        "score_r": [0.25, -1e12, 3.0, 1e12],
    }
    return pd.DataFrame(columns | changes)


def test_scores_are_grouped_by_query_in_the_order_of_first_rows():
    table = ScoreTable.from_frame(frame_of_scores())
    assert table.pool.query_ids.tolist() == ["y", "x"]
    assert table.pool.doc_ids.tolist() == ["b", "c", "a", "b"]
    assert table.candidate_scores.tolist() == [1.5, -np.inf, 0.0, -2.0]
    assert table.ranker_scores.tolist() == [0.25, 3.0, -1e12, 1e12]


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv", "parquet", "pq"])
def test_scores_survive_a_file(tmp_path, suffix):
    frame = frame_of_scores(score_c=[1 / 3, 1e-300, -np.inf, -1e12])
    table = ScoreTable.from_frame(frame)
    path = tmp_path / f"scores.{suffix}"
    write_scores(table, path)
    back = read_scores(path)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert back.pool.query_ids.tolist() == table.pool.query_ids.tolist()
    assert back.pool.doc_ids.tolist() == table.pool.doc_ids.tolist()
    assert back.candidate_scores.tolist() == table.candidate_scores.tolist()
    assert back.ranker_scores.tolist() == table.ranker_scores.tolist()


def test_integer_ids_and_ids_with_zeros_in_front_survive_csv(tmp_path):
    frame = frame_of_scores(query_id=[7, 8, 7, 8], doc_id=["007", "7", "7", "007"])
    write_scores(ScoreTable.from_frame(frame), tmp_path / "s.csv")
    back = read_scores(tmp_path / "s.csv")
    assert back.pool.query_ids.tolist() == [7, 8]
    assert back.pool.doc_ids.tolist() == ["007", "7", "7", "007"]


def test_columns_may_be_called_otherwise(tmp_path):
    frame = frame_of_scores().set_axis(["user", "item", "first", "second"], axis=1)
    names = {"query": "user", "doc": "item", "candidate": "first", "ranker": "second"}
    frame.to_csv(tmp_path / "s.csv", index=False)
    expected = ScoreTable.from_frame(frame, **names)
    assert read_scores(tmp_path / "s.csv", **names).candidate_scores.tolist() == expected.candidate_scores.tolist()


def test_columns_may_be_called_by_numbers():
    frame = frame_of_scores().set_axis([0, 1, 2, 3], axis=1)
    table = ScoreTable.from_frame(frame, query="0", doc="1", candidate="2", ranker="3")
    assert table.pool.n_rows == 4


def test_extra_columns_and_categories_are_no_problem():
    frame = frame_of_scores(note="x").astype({"query_id": "category", "doc_id": "category"})
    assert ScoreTable.from_frame(frame).pool.query_ids.tolist() == ["y", "x"]


@pytest.mark.parametrize("column", ["query_id", "doc_id", "score_c", "score_r"])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_missing_column_is_named(tmp_path, column, suffix):
    path = tmp_path / f"scores.{suffix}"
    frame = frame_of_scores().drop(columns=column)
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    with pytest.raises(DataError, match="a column is missing") as caught:
        read_scores(path)
    assert caught.value.column == column
    assert caught.value.source == f"scores.{suffix}"


BAD_ROWS = {
    "NaN": ({"score_c": [1.0, np.nan, 0.0, 0.0]}, 1, "score_c"),
    "text": ({"score_r": [1.0, 2.0, "high", 0.0]}, 2, "score_r"),
    "too large": ({"score_r": [1.0, 2.0, 0.0, 1e13]}, 3, "score_r"),
    "too small": ({"score_c": [-1e13, 2.0, 0.0, 1.0]}, 0, "score_c"),
    "infinite": ({"score_c": [1.0, 2.0, np.inf, 0.0]}, 2, "score_c"),
    "no query": ({"query_id": ["y", None, "y", "x"]}, 1, "query_id"),
    "no document": ({"doc_id": ["b", "a", "c", None]}, 3, "doc_id"),
    "twice": ({"doc_id": ["b", "a", "b", "b"]}, 2, "doc_id"),
}


@pytest.mark.parametrize("medium", ["table", "csv", "parquet"])
@pytest.mark.parametrize("name", BAD_ROWS)
def test_a_bad_row_is_named_by_its_place(tmp_path, name, medium):
    changes, row, column = BAD_ROWS[name]
    if (name, medium) == ("text", "parquet"):
        changes = {"score_r": ["1.0", "2.0", "high", "0.0"]}
    frame, path = frame_of_scores(**changes), tmp_path / f"scores.{medium}"
    if medium == "csv":
        frame.to_csv(path, index=False)
    elif medium == "parquet":
        frame.to_parquet(path)
    with pytest.raises(DataError) as caught:
        ScoreTable.from_frame(frame, source="table") if medium == "table" else read_scores(path)
    assert caught.value.source == ("table" if medium == "table" else path.name)
    assert caught.value.row == (f"line {row + 2}" if medium == "csv" else f"row {row}")
    assert caught.value.column == column


def test_a_pair_that_stands_in_a_csv_file_twice_is_named_by_its_line_blank_lines_counted(tmp_path):
    path = tmp_path / "scores.csv"
    path.write_text("query_id,doc_id,score_c,score_r\n1,2,0,0\n\n1,3,0,0\n1,2,1,1\n")
    with pytest.raises(DataError, match=r"scores\.csv, line 5, .*twice") as caught:
        read_scores(path)
    assert caught.value.found == "(1, 2)"


@pytest.mark.parametrize("text", ["", "query_id,doc_id,score_c,score_r\n"], ids=["nothing", "header"])
def test_a_file_without_rows_is_empty(tmp_path, text):
    (tmp_path / "scores.csv").write_text(text)
    with pytest.raises(DataError, match=r"scores\.csv: the table is empty"):
        read_scores(tmp_path / "scores.csv")


def test_files_that_are_missing_damaged_or_no_tables_are_told(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_scores(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="not a table by its name"):
        read_scores(tmp_path / "scores.xlsx")
    (tmp_path / "scores.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_scores(tmp_path / "scores.parquet")
    (tmp_path / "scores.csv").write_text("query_id,doc_id,score_c,score_r\n1,2,0,0\n1,3,0\n")
    with pytest.raises(DataError, match=r"scores\.csv, line 3"):
        read_scores(tmp_path / "scores.csv")


def test_a_table_is_not_written_to_a_name_that_says_no_format(tmp_path):
    with pytest.raises(DataError, match="not a table by its name"):
        write_scores(ScoreTable.from_frame(frame_of_scores()), Path(tmp_path) / "scores.txtx")
    assert list(tmp_path.iterdir()) == []


def test_ids_of_several_types_do_not_fit_a_file(tmp_path):
    table = ScoreTable(Pool([0, 2], doc_ids=[1, "1"]), [0.0, 1.0], [0.0, 1.0])
    with pytest.raises(DataError, match="ids cannot be written"):
        write_scores(table, tmp_path / "scores.parquet")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("scores", [[0.0], [0.0, np.nan], [0.0, np.inf], [0.0, 1e13]])
def test_a_score_table_checks_its_scores(scores):
    with pytest.raises(ArgumentError, match="candidate_scores"):
        ScoreTable(Pool([0, 2]), scores, [0.0, 0.0])


# -- aligning ---------------------------------------------------------------------------------------------------------


def test_scores_are_brought_into_the_order_of_another_pool():
    table = ScoreTable.from_frame(frame_of_scores())
    aligned = table.aligned_to(Pool([0, 2, 3], ["x", "y"], ["b", "a", "c"]), drop=True)
    assert aligned.candidate_scores.tolist() == [-2.0, 0.0, -np.inf]
    assert aligned.ranker_scores.tolist() == [1e12, -1e12, 3.0]


def test_alignment_tells_the_pair_without_a_score_and_how_many_more():
    table = ScoreTable.from_frame(frame_of_scores())
    with pytest.raises(DataError, match=r"new scores lack pairs .*\(query y, document q\), and 1 more"):
        table.aligned_to(Pool([0, 2, 3], ["y", "w"], ["b", "q", "b"]), "new scores")


def test_alignment_does_not_lose_a_document_that_can_be_shown():
    table = ScoreTable(pool_of_three(), np.zeros(5), np.zeros(5))
    smaller = Pool([0, 1, 3], ["x", "y"], ["b", "b", "c"])
    with pytest.raises(DataError, match=r"new scores have documents .* lacks .*\(query x, document a\), and 0 more"):
        table.aligned_to(smaller, "new scores")
    assert table.aligned_to(smaller, drop=True).pool is smaller
    for stage in ("candidate_scores", "ranker_scores"):
        never = replace(table, **{stage: np.array([-np.inf, 0, 0, 0, 0])})
        assert never.aligned_to(smaller).pool is smaller


def test_a_table_is_shown_by_its_size():
    assert repr(ScoreTable(pool_of_three(), np.zeros(5), np.zeros(5))) == "ScoreTable(3 queries, 5 rows)"


def test_alignment_there_and_back_changes_nothing():
    table = ScoreTable.from_frame(frame_of_scores())
    other = Pool([0, 2, 4], ["x", "y"], ["b", "a", "c", "b"])
    back = table.aligned_to(other).aligned_to(table.pool)
    assert back.ranker_scores.tolist() == table.ranker_scores.tolist()


# -- union ------------------------------------------------------------------------------------------------------------


def table_of(rows: list[tuple[object, object, float, float]]) -> ScoreTable:
    return ScoreTable.from_frame(pd.DataFrame(rows, columns=["query_id", "doc_id", "score_c", "score_r"]))


def test_a_union_has_every_pair_of_any_table_and_says_never_where_one_lacks_it():
    first = table_of([("x", "a", 1, 2), ("x", "b", 3, 4), ("y", "b", 5, 6)])
    second = table_of([("y", "c", 7, 8), ("x", "a", 9, 10), ("z", "a", 11, 12), ("y", "b", -np.inf, 13)])
    one, two = ScoreTable.union([first, second])
    assert one.pool is two.pool
    assert one.pool.query_ids.tolist() == ["x", "y", "z"]
    assert [one.pool.row_name(row) for row in range(5)] == [
        f"(query {query}, document {doc})" for query, doc in ("xa", "xb", "yb", "yc", "za")
    ]
    never = -np.inf
    assert one.candidate_scores.tolist() == [1, 3, 5, never, never]
    assert one.ranker_scores.tolist() == [2, 4, 6, never, never]
    assert two.candidate_scores.tolist() == [9, never, never, 7, 11]
    assert two.ranker_scores.tolist() == [10, never, 13, 8, 12]


pairs_of_scores = st.dictionaries(
    st.tuples(st.integers(0, 3), st.integers(0, 4)), st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=1
)


@given(st.lists(pairs_of_scores, min_size=1, max_size=4))
def test_a_union_keeps_every_score_and_adds_none(contents):
    tables = [table_of([(*pair, *scores) for pair, scores in content.items()]) for content in contents]
    together = ScoreTable.union(tables)
    everything = {pair for content in contents for pair in content}
    for content, table in zip(contents, together, strict=True):
        rows = table.to_frame().itertuples(index=False)
        found = {(row.query_id, row.doc_id): (row.score_c, row.score_r) for row in rows}
        assert found == {pair: content.get(pair, (-np.inf, -np.inf)) for pair in everything}


def test_policies_of_different_documents_can_be_compared_after_a_union():
    old = table_of([(0, 1, 0, 1), (0, 2, 1, 0)])
    new = table_of([(0, 3, 0, 1), (0, 2, 1, 0)])
    policies = [TwoStagePolicy.from_scores(table, 2, 2) for table in ScoreTable.union([old, new])]
    shown = [policy.exposure([1, 1]).value.round(9).tolist() for policy in policies]
    assert shown == [[1, 1, 0], [0, 1, 1]]


def test_tables_that_cannot_be_united_are_refused():
    numbers, text = table_of([(1, 1, 0, 0)]), table_of([(1, "1", 0, 0)])
    with pytest.raises(ArgumentError, match="no score tables"):
        ScoreTable.union([])
    with pytest.raises(ArgumentError, match="doc_ids are numbers in table 0 and text in table 1"):
        ScoreTable.union([numbers, text])


def test_every_id_of_a_union_counts_not_just_the_first():
    alike = table_of([("q", "a", 0, 0), ("q", "2", 0, 0)])
    mixed = table_of([("q", "a", 0, 0), ("q", 2, 0, 0)])
    problem = "doc_ids are text in table 0 and numbers and text in table 1; expected ids of one type in all tables"
    with pytest.raises(ArgumentError, match=problem):
        ScoreTable.union([alike, mixed])
    with pytest.raises(ArgumentError, match="doc_ids are numbers and text in table 0; expected"):
        ScoreTable.union([mixed, mixed])
    assert len(ScoreTable.union([table_of([(1, 1, 0, 0)]), table_of([(2.5, True, 0, 0)])])) == 2
