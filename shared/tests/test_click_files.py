import gzip
import json
import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irworks.data import ClickLog, read_click_log, scan_click_log, write_click_log
from irworks.errors import ArgumentError, DataError

seeds = st.integers(0, 2**32 - 1)
in_a_temporary_folder = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def long_frame(**changes):
    """Two sessions of three documents; document a is shown for both queries."""
    columns = {
        "session_id": [10, 10, 10, 20, 20, 20],
        "query_id": ["q", "q", "q", "r", "r", "r"],
        "doc_id": ["a", "b", "c", "a", "d", "e"],
        "position": [1, 2, 3, 1, 2, 3],
        "click": [0, 1, 0, 0, 0, 1],
        "propensity": [0.5, 0.25, 1.0, 0.125, 1.0, 0.75],
        "f_age": [1.5, -2.0, 0.0, 4.0, 5.0, 1e-3],
    }
    return pd.DataFrame({name: value for name, value in (columns | changes).items() if value is not None})


def wide_frame(**changes):
    columns = {
        "query_id": ["q", "r"],
        "query_doc_ids": [["a", "b", "c"], ["a", "d"]],
        "positions": [[1, 2, 3], [1, 2]],
        "clicks": [[0, 1, 0], [0, 1]],
        "propensity": [[0.5, 0.25, 1.0], [0.125, 1.0]],
    }
    return pd.DataFrame({name: value for name, value in (columns | changes).items() if value is not None})


def random_log(seed, *, integer_ids=False):
    rng = np.random.default_rng(seed)
    n, k, n_queries, n_docs = (int(rng.integers(1, high)) for high in (25, 5, 5, 9))
    n_docs = max(n_docs, k)
    query = rng.integers(0, n_queries, n)
    docs = np.stack([rng.permutation(n_docs)[:k] for _ in range(n)])
    mask = rng.random((n, k)) < 0.8
    mask[:, 0] = True
    names = (np.arange(n_queries) * 7, np.arange(n_docs) * 3 + 2**60)
    if not integer_ids:
        names = tuple(np.array([f"ü {value}" for value in ids], dtype=object) for ids in names)
    parts = {"query": query, "docs": docs, "clicks": (rng.random((n, k)) < 0.4) & mask, "mask": mask}
    parts |= {"query_ids": names[0], "doc_ids": names[1], "propensities": rng.uniform(0.01, 1, (n, k))}
    n_pairs = len(ClickLog(**parts).pairs)
    return ClickLog(**parts, features=rng.normal(size=(n_pairs, 2)))


def rows_of(log):
    """The log as a table in the original ids, whatever the codes; sessions numbered in order."""
    frame = log.to_frame()
    frame["session_id"] = pd.factorize(frame["session_id"])[0]
    return frame.to_dict("list")


def assert_same_log(log, other):
    first, second = rows_of(log), rows_of(other)
    assert list(first) == list(second)
    for name in first:
        assert first[name] == second[name], name


def write(frame, folder, medium, name="log"):
    """Write a table the way a user's own script would; lists as JSON in text."""
    path = Path(folder) / f"{name}.{medium}"
    if medium == "parquet":
        frame.to_parquet(path, index=False)
        return path
    is_list = frame.map(lambda value: isinstance(value, (list, np.ndarray)))
    text = frame.where(~is_list, frame.map(lambda value: json.dumps(value) if isinstance(value, list) else value))
    text.to_csv(path, index=False, sep="\t" if "tsv" in medium else ",")
    return path


def read_as(frame, folder, medium, **columns):
    """Through a table, or a file of this kind."""
    if medium == "table":
        return ClickLog.from_frame(frame, **columns)
    return read_click_log(write(frame, folder, medium), **columns)


def place(medium, row):
    """What a message calls a 0-based row: text files count lines, and the header is the first."""
    return f"line {row + 2}" if medium == "csv" else f"row {row}"


every_medium = pytest.mark.parametrize("medium", ["table", "csv", "parquet"])


# -- what a good log reads as -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("medium", ["table", "csv", "csv.gz", "tsv", "tsv.gz", "parquet"])
def test_a_long_table_is_read_from_every_medium(medium, tmp_path):
    log = read_as(long_frame(), tmp_path, medium)
    assert log.query_vocabulary.tolist() == ["q", "r"]
    assert log.doc_vocabulary.tolist() == ["a", "b", "c", "d", "e"]
    assert log.query.tolist() == [0, 1]
    assert log.docs.tolist() == [[0, 1, 2], [0, 3, 4]]
    assert log.clicks.tolist() == [[False, True, False], [False, False, True]]
    assert log.propensities.tolist() == [[0.5, 0.25, 1.0], [0.125, 1.0, 0.75]]
    assert log.feature_names == ("f_age",)
    features = log.features[log.pairs.index][..., 0]
    np.testing.assert_array_equal(features, np.array([[1.5, -2, 0], [4, 5, 1e-3]], np.float32))


@pytest.mark.parametrize("medium", ["table", "csv", "csv.gz", "tsv", "parquet"])
def test_a_wide_table_is_read_from_every_medium(medium, tmp_path):
    log = read_as(wide_frame(), tmp_path, medium)
    assert log.query_vocabulary[log.query].tolist() == ["q", "r"]
    assert log.docs.tolist() == [[0, 1, 2], [0, 3, -1]]
    assert log.clicks.tolist() == [[False, True, False], [False, True, False]]
    np.testing.assert_array_equal(log.propensities, [[0.5, 0.25, 1.0], [0.125, 1.0, np.nan]])


def test_columns_may_have_any_name():
    names = {
        "session_id": "s",
        "query_id": "term",
        "doc_id": "item",
        "position": "pos",
        "click": "y",
        "propensity": "p",
        "f_age": "age",
    }
    log = ClickLog.from_frame(
        long_frame().rename(columns=names),
        session="s",
        query="term",
        doc="item",
        position="pos",
        click="y",
        propensity="p",
        features=["age"],
    )
    assert log.feature_names == ("age",)
    assert rows_of(log)["age"] == rows_of(ClickLog.from_frame(long_frame()))["f_age"]


def test_column_names_need_not_be_text():
    frame = long_frame().set_axis(list(range(7)), axis=1)
    log = ClickLog.from_frame(frame, session="0", query="1", doc="2", position="3", click="4", propensity="5")
    assert log.n_impressions == 6


def test_without_session_column_every_row_is_a_session():
    log = ClickLog.from_frame(long_frame(session_id=None))
    assert (log.n_sessions, log.n_impressions, log.n_ranks) == (6, 6, 3)
    assert log.query.tolist() == [0, 0, 0, 1, 1, 1]


def test_without_query_there_is_one_query():
    log = ClickLog.from_frame(long_frame(query_id=None), query=None, features=())
    assert log.n_queries == 1
    assert len(log.pairs) == 5
    wide = ClickLog.from_frame(wide_frame(query_id=None))
    assert wide.n_queries == 1


def test_no_default_column_is_needed_but_document_position_and_click():
    log = ClickLog.from_frame(pd.DataFrame({"doc_id": [1], "position": [1], "click": [0]}), query=None)
    assert (log.n_sessions, log.n_docs, log.clicks.sum()) == (1, 1, 0)
    assert log.features is None
    assert log.propensities is None


def test_unsorted_and_interleaved_rows_are_the_same_log():
    frame = long_frame()
    expected = rows_of(ClickLog.from_frame(frame))
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(6)
        shuffled = ClickLog.from_frame(frame.iloc[order])  # with a shuffled index, too
        first_session = frame["session_id"].iloc[order[0]]
        assert shuffled.query_vocabulary[shuffled.query[0]] == {10: "q", 20: "r"}[first_session]
        found = shuffled.to_frame().sort_values(["query_id", "position"])
        assert found["doc_id"].tolist() == expected["doc_id"]
        assert found["click"].tolist() == expected["click"]
        assert found["f_age"].tolist() == expected["f_age"]


def test_gaps_and_unequal_lengths_are_masked():
    log = ClickLog.from_frame(long_frame(position=[1, 3, 7, 2, 4, 5]))
    assert log.n_ranks == 7
    assert (log.shown.sum(axis=1) == 3).all()
    assert log.docs[1].tolist() == [-1, 0, -1, 3, 4, -1, -1]


def test_a_query_with_one_document_is_fine():
    log = ClickLog.from_frame(long_frame().iloc[[0, 3, 4]])
    assert log.shown.tolist() == [[True, False], [True, True]]


IDS = {
    "above 2^53": [2**53, 2**53 + 1, 2**53 + 2, 2**53, 2**60 + 1, 2**60],
    "negative": [-1, -2, -3, -1, -4, 5],
    "unicode": ["ä", "雪", "🦉", "ä", "ﬁ", "fi"],
    "almost alike": ["a", "A", " a", "a", "a ", "á"],
    "leading zeros": ["7", "07", "007", "7", "0007", "0"],
    "numbers and words": ["1", "two", "3", "1", "4.0", "4"],
    "scientific": ["1e5", "100000", "1E5", "1e5", "1e05", "10e4"],
    "dates": ["2020-01-01", "2020-1-1", "20200101", "2020-01-01", "2020-01-01 00:00", "x"],
    "truth": ["true", "True", "false", "true", "TRUE", "1"],
    "what pandas takes for nothing": ["NA", "nan", "None", "NA", "null", "NULL"],
    "quotes and commas": ['a,"b"', "a,b", "a\tb", 'a,"b"', "a;b", "'"],
    "urls": ["http://x/?q=1#a", "http://x/", "x", "http://x/?q=1#a", "y", "z"],
}


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("medium", ["table", "csv", "tsv", "parquet"])
def test_ids_keep_their_meaning(name, medium, tmp_path):
    ids = IDS[name]
    log = read_as(long_frame(doc_id=ids), tmp_path, medium)
    assert log.n_docs == 5
    assert rows_of(log)["doc_id"] == ids
    assert {type(value) for value in rows_of(log)["doc_id"]} == {type(ids[0])}


def test_unsigned_ids_beyond_signed_ones_stay_apart(tmp_path):
    ids = np.array([2**64 - 1, 2**64 - 2, 3, 2**64 - 1, 4, 5], dtype=np.uint64)
    for medium in ("table", "csv", "parquet"):
        log = read_as(long_frame(doc_id=ids), tmp_path, medium)
        assert rows_of(log)["doc_id"] == ids.tolist()


@pytest.mark.parametrize("values", [[1, "1", 2, 1, "2", "x"], [1, ("x", 2), b"b", 1, date(2020, 1, 1), "1"]])
def test_ids_of_several_types_stay_apart(values):
    log = ClickLog.from_frame(long_frame(doc_id=pd.Series(values, dtype=object)))
    assert log.n_docs == 5
    assert rows_of(log)["doc_id"] == values


def test_numbers_and_words_far_apart_in_a_csv_file_are_one_column_of_text(tmp_path):
    n = 100_000
    path = tmp_path / "log.csv"
    path.write_text("doc_id,position,click\n" + "".join(f"{i},1,0\n" for i in range(n)) + "x,1,1\n")
    log = read_click_log(path, query=None)
    assert log.n_docs == n + 1
    assert log.doc_vocabulary[log.docs[[0, n], 0]].tolist() == ["0", "x"]


@pytest.mark.parametrize(
    "ids",
    [
        pd.array([1, 2, 3, 1, 4, 5], dtype="Int64"),
        pd.array([1, 2, 3, 1, 4, 5], dtype="UInt16"),
        pd.array([1, 2, 3, 1, 4, 5], dtype="int64[pyarrow]"),
        pd.array(list("abcade"), dtype="string"),
        pd.array(list("abcade"), dtype="string[pyarrow]"),
        pd.array(list("abcade"), dtype=pd.ArrowDtype(pa.string())),
        pd.Categorical(list("abcade")),
        pd.Categorical(list("abcade"), categories=list("zedcba")),
        pd.Categorical([1, 2, 3, 1, 4, 5]),
        np.array(list("abcade")),
        np.array(list("abcade"), dtype=object),
        pd.to_datetime(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-01", "2020-01-04", "2020-01-05"]),
    ],
    ids=lambda ids: str(ids.dtype),
)
def test_ids_of_every_pandas_dtype_are_read(ids):
    log = ClickLog.from_frame(long_frame(doc_id=ids, session_id=pd.array([1, 1, 1, 2, 2, 2], dtype="Int64")))
    assert (log.n_sessions, log.n_docs, len(log.pairs)) == (2, 5, 6)
    assert log.docs[0, 0] == log.docs[1, 0]
    assert log.doc_vocabulary.dtype.kind in "iuO"


@pytest.mark.parametrize(
    "dtype", ["int8", "uint64", "float32", "Int64", "Float64", "int32[pyarrow]", "category", object]
)
def test_positions_and_clicks_of_every_dtype_are_read(dtype):
    frame = long_frame()
    frame["position"] = frame["position"].astype(dtype)
    frame["click"] = frame["click"].astype(dtype)
    assert_same_log(ClickLog.from_frame(frame), ClickLog.from_frame(long_frame()))


@pytest.mark.parametrize("dtype", [bool, "boolean", "bool[pyarrow]", object])
@pytest.mark.parametrize("medium", ["table", "csv", "parquet"])
def test_clicks_may_be_booleans(dtype, medium, tmp_path):
    frame = long_frame()
    frame["click"] = (frame["click"] == 1).astype(dtype)
    assert_same_log(read_as(frame, tmp_path, medium), ClickLog.from_frame(long_frame()))


def test_a_table_of_arrow_dtypes_is_read():
    frame = long_frame().convert_dtypes(dtype_backend="pyarrow")
    assert_same_log(ClickLog.from_frame(frame), ClickLog.from_frame(long_frame()))


def test_windows_line_ends_and_a_byte_order_mark_are_read(tmp_path):
    path = tmp_path / "log.csv"
    text = long_frame().to_csv(index=False).replace("\n", "\r\n")
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert_same_log(read_click_log(path), ClickLog.from_frame(long_frame()))


def test_columns_that_the_log_does_not_need_may_hold_anything(tmp_path):
    frame = long_frame(note=["", "a,b", None, "ü", "1", "\u2028"], when=pd.Timestamp("2020-01-01"))
    for medium in ("table", "csv", "parquet"):
        assert_same_log(read_as(frame, tmp_path, medium), ClickLog.from_frame(long_frame()))


def test_features_are_kept_to_single_precision():
    log = ClickLog.from_frame(long_frame(f_age=[1 / 3] * 6))
    assert log.features.dtype == np.float32
    assert (log.features == np.float32(1 / 3)).all()


def test_a_feature_that_is_the_same_in_every_row_of_a_pair_is_read():
    frame = pd.concat([long_frame(), long_frame(session_id=[30, 30, 30, 40, 40, 40])])
    log = ClickLog.from_frame(frame)
    assert (log.n_sessions, len(log.features)) == (4, 6)


# -- the wide form ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("medium", ["table", "csv", "parquet"])
def test_padding_is_masked(medium, tmp_path):
    padded = wide_frame(
        query_doc_ids=[["a", "b", "c"], ["a", "d", "?"]],
        positions=[[1, 2, 3], [1, 2, 0]],
        clicks=[[0, 1, 0], [0, 1, 0]],
        propensity=[[0.5, 0.25, 1.0], [0.125, 1.0, 0.0]],
        mask=[[True, True, True], [True, True, False]],
    )
    assert_same_log(read_as(padded, tmp_path, medium), ClickLog.from_frame(wide_frame()))


@pytest.mark.parametrize("medium", ["table", "csv", "parquet"])
def test_padding_may_be_null_beside_large_ids(medium, tmp_path):
    ids = [[2**62 + 1, 2**62, 5], [2**62 + 1, None, None]]
    frame = wide_frame(
        query_doc_ids=ids, positions=[[1, 2, 3], [1, 0, 0]], clicks=[[0, 1, 0], [0, 0, 0]], propensity=None
    ).assign(mask=[[1, 1, 1], [1, 0, 0]])
    log = read_as(frame, tmp_path, medium)
    assert rows_of(log)["doc_id"] == [2**62 + 1, 2**62, 5, 2**62 + 1]


@pytest.mark.parametrize("ids", [[[2**63 + 1, 5], [7, 8], [2**63 + 3, 5]], [[1, "1"], [1, 2], ["2", 3]]])
def test_ids_in_lists_stay_apart_whatever_their_types(ids):
    frame = pd.DataFrame({"query_doc_ids": ids, "positions": [[1, 2]] * 3, "clicks": [[0, 1]] * 3})
    assert rows_of(ClickLog.from_frame(frame))["doc_id"] == [doc for row in ids for doc in row]


def test_arrays_are_as_good_as_lists():
    frame = wide_frame()
    for name in ("query_doc_ids", "positions", "clicks", "propensity"):
        frame[name] = [np.array(value) for value in frame[name]]
    assert_same_log(ClickLog.from_frame(frame), ClickLog.from_frame(wide_frame()))


def test_positions_in_lists_need_no_order():
    frame = wide_frame(positions=[[3, 1, 2], [2, 1]])
    assert ClickLog.from_frame(frame).docs.tolist() == [[1, 2, 0], [3, 0, -1]]


def test_an_empty_list_is_a_session_in_which_nothing_was_shown():
    frame = wide_frame(query_doc_ids=[["a"], []], positions=[[1], []], clicks=[[1], []], propensity=[[0.5], []])
    log = ClickLog.from_frame(frame)
    assert (log.n_impressions, log.clicks.sum()) == (1, 1)


# -- what is refused --------------------------------------------------------------------------------------------------

POSITION = "a whole number from 1 to 10000"
BAD_CELLS = {
    "position 0": ("position", 2, 0, "found 0", POSITION),
    "negative position": ("position", 1, -3, "found -3", POSITION),
    "fractional position": ("position", 4, 2.5, "found 2.5", POSITION),
    "huge position": ("position", 5, 1e9, "found 1000000000", POSITION),
    "infinite position": ("position", 5, np.inf, "found inf", POSITION),
    "no position": ("position", 3, None, "found nan", POSITION),
    "click 2": ("click", 3, 2, "found 2", "0 or 1"),
    "half a click": ("click", 3, 0.5, "found 0.5", "0 or 1"),
    "click -1": ("click", 0, -1, "found -1", "0 or 1"),
    "no click": ("click", 5, None, "found nan", "0 or 1"),
    "propensity 0": ("propensity", 4, 0.0, "found 0.0", "a probability in (0, 1]"),
    "negative propensity": ("propensity", 4, -0.1, "found -0.1", "a probability in (0, 1]"),
    "propensity above 1": ("propensity", 0, 1.01, "found 1.01", "a probability in (0, 1]"),
    "infinite propensity": ("propensity", 0, np.inf, "found inf", "a probability in (0, 1]"),
    "no propensity": ("propensity", 2, None, "found nan", "a probability in (0, 1]"),
    "no feature": ("f_age", 1, None, "found nan", "a finite number"),
    "infinite feature": ("f_age", 5, -np.inf, "found -inf", "a finite number (of 32 bits)"),
    "a feature too large for single precision": ("f_age", 5, 1e300, "found 1e+300", "a finite number (of 32 bits)"),
    "no query": ("query_id", 4, None, "found 'an empty value'", "an id"),
    "no document": ("doc_id", 2, None, "found 'an empty value'", "an id"),
    "no session": ("session_id", 1, None, "found 'an empty value'", "an id"),
    "document twice": ("doc_id", 5, "a", "found 'a'", "each document once per session (first seen at {3})"),
    "position twice": ("position", 5, 2, "found 2", "each position once per session (first seen at {4})"),
    "two queries in a session": ("query_id", 2, "r", "found 'r'", "'q' as at {0}"),
}


@pytest.mark.filterwarnings("error")  # nothing but the error reaches the user
@every_medium
@pytest.mark.parametrize("name", BAD_CELLS)
def test_a_bad_cell_is_named_by_source_row_column_found_and_expected(name, medium, tmp_path):
    column, row, value, found, expected = BAD_CELLS[name]
    frame = long_frame()
    cells = frame[column].tolist()
    cells[row] = value
    frame[column] = cells
    with pytest.raises(DataError) as caught:
        read_as(frame, tmp_path, medium)
    error = caught.value
    assert str(error.source) == ("table" if medium == "table" else f"log.{medium}")
    assert error.row == place(medium, row)
    assert error.column == column
    assert found in str(error)
    assert error.expected == expected.format(*(place(medium, other) for other in range(6)))


@every_medium
@pytest.mark.parametrize("column", ["position", "click", "propensity", "f_age"])
def test_a_word_where_a_number_belongs_is_named(column, medium, tmp_path):
    frame = long_frame()
    frame[column] = [*frame[column].astype(str)[:4], "yes", *frame[column].astype(str)[5:]]
    with pytest.raises(DataError, match=r"not a number \(found 'yes'") as caught:
        read_as(frame, tmp_path, medium)
    assert (caught.value.row, caught.value.column) == (place(medium, 4), column)


@every_medium
def test_a_feature_that_changes_within_a_pair_names_the_pair_and_both_values(medium, tmp_path):
    frame = long_frame(query_id=["q"] * 6)  # now (q, a) stands in rows 0 and 3, with ages 1.5 and 4
    with pytest.raises(DataError, match=r"the pair \(q, a\) changes between rows") as caught:
        read_as(frame, tmp_path, medium)
    error = caught.value
    assert error.column == "f_age"
    assert {error.row, error.found} in ({place(medium, 0), 1.5}, {place(medium, 3), 4.0})
    assert error.expected.startswith("4.0" if error.found == 1.5 else "1.5")


@every_medium
@pytest.mark.parametrize("column", ["query_id", "doc_id", "position", "click"])
def test_a_missing_column_is_named_with_those_that_are_there(column, medium, tmp_path):
    with pytest.raises(DataError, match="a column is missing") as caught:
        read_as(long_frame().drop(columns=column), tmp_path, medium)
    assert caught.value.column == column
    assert "session_id" in caught.value.found
    assert caught.value.hint


@pytest.mark.parametrize(
    ("frame", "option"),
    [(long_frame(), option) for option in ("session", "propensity", "query", "doc", "position", "click")]
    + [(wide_frame(), option) for option in ("query", "propensity")],
)
def test_a_column_that_the_caller_names_must_be_there(frame, option):
    with pytest.raises(DataError, match="a column is missing") as caught:
        ClickLog.from_frame(frame, **{option: "nope"})
    assert caught.value.column == "nope"


@pytest.mark.parametrize("frame", [long_frame(), wide_frame()], ids=["long", "wide"])
def test_a_feature_that_the_caller_names_must_be_there(frame):
    with pytest.raises(DataError, match="a column is missing") as caught:
        ClickLog.from_frame(frame, features=["nope"])
    assert caught.value.column == "nope"


@pytest.mark.parametrize("medium", ["table", "csv"])  # pandas writes no such Parquet file
def test_two_columns_of_one_name_are_refused(medium, tmp_path):
    frame = long_frame(click2=[0] * 6).rename(columns={"click2": "click"})
    with pytest.raises(DataError, match="several columns have one name") as caught:
        read_as(frame, tmp_path, medium)
    assert caught.value.column == "click"


@every_medium
@pytest.mark.parametrize("frame", [long_frame(), wide_frame()], ids=["long", "wide"])
def test_a_log_without_rows_is_empty(frame, medium, tmp_path):
    with pytest.raises(DataError, match="the log is empty") as caught:
        read_as(frame.iloc[:0], tmp_path, medium)
    assert str(caught.value.source) == ("table" if medium == "table" else f"log.{medium}")
    assert caught.value.expected == "at least one shown document"


@pytest.mark.parametrize("text", ["", "\n", "session_id,query_id,doc_id,position,click", "doc_id,position,click\n\n\n"])
def test_a_csv_file_without_rows_is_an_empty_log(text, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"log\.csv: the (log|table) is empty"):
        read_click_log(path)


WIDE_BAD = {
    "unequal lengths": ({"clicks": [[0, 1, 0], [0, 1, 0]]}, 1, "clicks", "found 3; expected 2, as in query_doc_ids"),
    "not a list": ({"positions": [[1, 2, 3], "[1, 2"]}, 1, "positions", "not a list (found '[1, 2'"),
    "a list in a list": ({"query_doc_ids": [[["a"], ["b"], ["c"]], [["a"], ["d"]]]}, 0, "query_doc_ids", "a flat list"),
    "ragged lists in a list": ({"query_doc_ids": [[["a"], [], []], [["a"], []]]}, 0, "query_doc_ids", "a flat list"),
    "position 0": ({"positions": [[1, 2, 3], [0, 1]]}, 1, "positions", "position out of range (found 0"),
    "position twice": ({"positions": [[1, 3, 3], [1, 2]]}, 0, "positions", "a position stands in one session twice"),
    "click 2": ({"clicks": [[0, 1, 0], [0, 2]]}, 1, "clicks", "click is not 0 or 1 (found 2"),
    "no click": ({"clicks": [[0, 1, 0], [0, None]]}, 1, "clicks", "not a number"),
    "document twice": ({"query_doc_ids": [["a", "b", "b"], ["a", "d"]]}, 0, "query_doc_ids", "(found 'b'"),
    "no document": ({"query_doc_ids": [["a", "b", "c"], ["a", None]]}, 1, "query_doc_ids", "an id is missing"),
    "no query": ({"query_id": ["q", None]}, 1, "query_id", "an id is missing"),
    "propensity 0": ({"propensity": [[0.5, 0.25, 1.0], [0.0, 1.0]]}, 1, "propensity", "unusable (found 0.0"),
    "mask 2": ({"mask": [[1, 1, 1], [1, 2]]}, 1, "mask", "mask is not 0 or 1 (found 2"),
}


@pytest.mark.parametrize(
    ("name", "medium"),
    # A Parquet column of lists holds nothing else.
    [(n, m) for n in WIDE_BAD for m in ("table", "csv", "parquet") if (n, m) != ("not a list", "parquet")],
)
def test_a_bad_list_is_named_by_source_row_and_column(name, medium, tmp_path):
    changes, row, column, message = WIDE_BAD[name]
    with pytest.raises(DataError) as caught:
        read_as(wide_frame(**changes), tmp_path, medium)
    error = caught.value
    assert str(error.source) == ("table" if medium == "table" else f"log.{medium}")
    assert (error.row, error.column) == (place(medium, row), column)
    assert message in str(error)


@pytest.mark.parametrize("column", ["positions", "clicks"])
def test_a_missing_list_column_is_named(column):
    with pytest.raises(DataError, match="a column is missing") as caught:
        ClickLog.from_frame(wide_frame().drop(columns=column))
    assert caught.value.column == column


def test_wide_lists_that_are_all_padding_are_an_empty_log():
    with pytest.raises(DataError, match="the log is empty"):
        ClickLog.from_frame(wide_frame(mask=[[0, 0, 0], [0, 0]]))
    with pytest.raises(DataError, match="the log is empty"):
        ClickLog.from_frame(wide_frame(query_doc_ids=[[], []], positions=[[], []], clicks=[[], []], propensity=None))


def test_features_of_the_wide_form_are_refused_rather_than_ignored():
    with pytest.raises(DataError, match="long form only"):
        ClickLog.from_frame(wide_frame(f_age=[[1, 2, 3], [1, 2]]), features=["f_age"])


# -- damaged and foreign files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["log.csv", "log.parquet", "log.tsv.gz"])
@pytest.mark.parametrize("read", [read_click_log, lambda path: next(scan_click_log(path))])
def test_a_missing_file_is_named(name, read, tmp_path):
    with pytest.raises(DataError, match="no such file") as caught:
        read(tmp_path / name)
    assert caught.value.source == tmp_path / name


@pytest.mark.parametrize("name", ["log", "log.json", "log.csv.bz2", "log.xlsx", ".csv"])
def test_an_unknown_kind_of_file_is_refused_with_the_known_ones(name, tmp_path):
    (tmp_path / name).write_text("x")
    with pytest.raises(DataError, match=r"expected \.parquet, \.csv, \.tsv or \.csv\.gz"):
        read_click_log(tmp_path / name)


@settings(in_a_temporary_folder, max_examples=40)
@given(share=st.floats(0, 0.999))
def test_a_parquet_file_cut_anywhere_is_not_readable(share, tmp_path):
    path = write(long_frame(), tmp_path, "parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    for read in (read_click_log, lambda path: list(scan_click_log(path))):
        with pytest.raises(DataError, match=r"log\.parquet: not a readable Parquet file: .* truncated"):
            read(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PAR1" * 10, b"\0" * 500], ids=["empty", "text", "magic", "zeros"])
def test_a_file_that_is_not_parquet_is_not_readable(content, tmp_path):
    path = tmp_path / "log.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read_click_log(path)


@pytest.mark.parametrize(("row", "count"), [("10,q,x,4", 4), ("10,q,x,4,0,0.5,1.0,9,9", 9), ("x", 1)])
@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "tsv"])
def test_a_ragged_row_is_named_by_its_line(row, count, suffix, tmp_path):
    lines = long_frame().to_csv(index=False).splitlines()
    text = "\n".join([*lines[:4], row, *lines[4:]]) + "\n"
    text = text.replace(",", "\t") if suffix == "tsv" else text
    path = tmp_path / f"log.{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    with pytest.raises(DataError, match=f"Expected 7 columns, got {count}") as caught:
        read_click_log(path)
    assert caught.value.row == "line 5"


def test_blank_lines_do_not_shift_the_line_of_an_error(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("\n\ndoc_id,position,click\na,1,0\n\n\nb,1,0\n\nc,1,2\n")
    with pytest.raises(DataError, match="click is not 0 or 1") as caught:
        read_click_log(path, query=None)
    assert caught.value.row == "line 9"


def test_an_error_far_down_a_large_csv_file_names_its_line(tmp_path):
    n = 150_000
    path = tmp_path / "log.csv"
    rows = [f"{i},1,0" for i in range(n)]
    for bad, message in (("7,1,yes", "not a number"), ("7,1", "got 2")):
        path.write_text("\n".join(["doc_id,position,click", *rows, bad, ""]))
        with pytest.raises(DataError, match=message) as caught:
            read_click_log(path, query=None)
        assert caught.value.row == f"line {n + 2}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sep": ";"}, r"sep=';' names no column of a log; expected query=, doc=.*ClickLog.from_frame"),
        ({"doc_id": "x"}, r"doc_id='x' names no column of a log"),
        ({"features": "f_x"}, r"features='f_x'; expected a list of columns, such as \['f_x'\]"),
        ({"position": None}, "position=None; expected the name of a column"),
        ({"query": 3}, "query=3; expected the name of a column"),
    ],
)
def test_arguments_that_name_no_column_are_refused(tmp_path, arguments, message):
    with pytest.raises(ArgumentError, match=message):
        read_click_log(write(long_frame(), tmp_path, "csv"), **arguments)
    with pytest.raises(ArgumentError, match=message):
        ClickLog.from_frame(long_frame(), **arguments)


def test_what_is_no_file_and_what_is_no_frame_is_told():
    with pytest.raises(ArgumentError, match="path is a DataFrame; expected a file, or a frame"):
        read_click_log(long_frame())
    with pytest.raises(ArgumentError, match="frame is a str; expected a pandas data frame"):
        ClickLog.from_frame("log.csv")


@pytest.mark.parametrize("field", ["doc", "position", "click", "session"])
def test_in_wide_form_a_column_is_not_asked_for_by_another_name(field, tmp_path):
    frame = wide_frame(mine=[[1, 2, 3], [1, 2]])
    frame.to_parquet(tmp_path / "log.parquet")
    for read in (ClickLog.from_frame, read_click_log, lambda path, **columns: next(scan_click_log(path, **columns))):
        given = frame if read == ClickLog.from_frame else tmp_path / "log.parquet"
        with pytest.raises(ArgumentError, match=rf"^{field}='mine', but .*wide form"):
            read(given, **{field: "mine"})
    assert_same_log(
        ClickLog.from_frame(frame, doc="doc_id", position="position", click="click", session=None),
        ClickLog.from_frame(wide_frame()),
    )


def test_text_in_another_encoding_is_refused_not_garbled(tmp_path):
    path = tmp_path / "log.csv"
    path.write_bytes("doc_id,position,click\na,1,0\né,1,0\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8 text") as caught:
        read_click_log(path, query=None)
    assert caught.value.row == "line 3"


def test_a_truncated_gzip_file_is_not_readable(tmp_path):
    path = write(pd.concat([long_frame()] * 50), tmp_path, "csv.gz")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match="not a readable CSV file"):
        read_click_log(path)


# -- round trips ------------------------------------------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(seed=seeds, integer_ids=st.booleans())
def test_a_log_survives_the_way_through_a_table(seed, integer_ids):
    log = random_log(seed, integer_ids=integer_ids)
    assert_same_log(ClickLog.from_frame(log.to_frame()), log)


@pytest.mark.parametrize("suffix", ["parquet", "csv", "csv.gz", "tsv"])
@in_a_temporary_folder
@given(seed=seeds, integer_ids=st.booleans())
def test_a_log_survives_the_way_through_a_file_bit_by_bit(suffix, seed, integer_ids, tmp_path):
    log = random_log(seed, integer_ids=integer_ids)
    path = tmp_path / f"log.{suffix}"
    write_click_log(log, path)
    assert_same_log(read_click_log(path), log)
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_survives_the_way_through_a_log():
    frame = long_frame()
    back = ClickLog.from_frame(frame).to_frame()
    expected = frame.assign(session_id=[0, 0, 0, 1, 1, 1], f_age=frame["f_age"].astype(np.float32))
    pd.testing.assert_frame_equal(back, expected[back.columns], check_dtype=False)


def test_a_feature_with_its_own_name_is_written_and_read_by_that_name(tmp_path):
    log = ClickLog.from_frame(long_frame().rename(columns={"f_age": "age"}), features=["age"])
    log.to_parquet(tmp_path / "log.parquet")
    assert_same_log(read_click_log(tmp_path / "log.parquet", features=["age"]), log)


def test_a_feature_named_like_a_column_of_the_log_cannot_be_written(tmp_path):
    log = ClickLog([0], [[0]], [[1]], features=np.ones((1, 1)), feature_names=("click",))
    with pytest.raises(ArgumentError, match="'click'"):
        log.to_parquet(tmp_path / "log.parquet")
    assert list(tmp_path.iterdir()) == []


def test_ids_of_several_types_cannot_be_a_parquet_column_and_leave_no_file(tmp_path):
    log = ClickLog([0], [[0, 1]], [[1, 0]], doc_ids=np.array([1, "x"], dtype=object))
    with pytest.raises(ArgumentError, match="ids of one type"):
        log.to_parquet(tmp_path / "log.parquet")
    assert list(tmp_path.iterdir()) == []


def test_writing_to_an_unknown_kind_of_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"found '\.feather'"):
        write_click_log(ClickLog([0], [[0]], [[1]]), tmp_path / "log.feather")


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "log.parquet"
    good = ClickLog.from_frame(long_frame())
    good.to_parquet(path)
    with pytest.raises(ArgumentError):
        ClickLog([0], [[0, 1]], [[1, 0]], doc_ids=np.array([1, "x"], dtype=object)).to_parquet(path)
    assert_same_log(read_click_log(path), good)


# -- reading in parts -------------------------------------------------------------------------------------------------


@settings(in_a_temporary_folder, max_examples=40)
@given(seed=seeds, batch_rows=st.integers(1, 40), group_rows=st.integers(1, 20))
def test_parts_hold_the_whole_log_and_never_cut_a_session(seed, batch_rows, group_rows, tmp_path):
    log = random_log(seed)
    frame = log.to_frame()
    path = tmp_path / "log.parquet"
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, row_group_size=group_rows)
    parts = list(scan_click_log(path, batch_rows=batch_rows))
    assert sum(len(part) for part in parts) == log.n_sessions
    together = pd.concat([part.to_frame() for part in parts], ignore_index=True)
    columns = [name for name in frame if name != "session_id"]
    assert together[columns].to_dict("list") == frame[columns].to_dict("list")
    # Were a session cut, one of its halves would come out shorter.
    lengths = [length for part in parts for length in part.shown.sum(axis=1).tolist()]
    assert lengths == log.shown.sum(axis=1).tolist()


def test_parts_are_about_as_large_as_asked(tmp_path):
    n = 1000
    log = ClickLog(np.zeros(n, int), np.tile([0, 1], (n, 1)), np.zeros((n, 2)))
    log.to_parquet(tmp_path / "log.parquet")
    parts = list(scan_click_log(tmp_path / "log.parquet", batch_rows=100))
    assert 18 <= len(parts) <= 22
    assert max(part.n_impressions for part in parts) <= 102


def test_without_sessions_every_row_is_one_in_parts_too(tmp_path):
    path = write(long_frame(session_id=None), tmp_path, "parquet")
    parts = list(scan_click_log(path, batch_rows=4))
    assert [len(part) for part in parts] == [4, 2]


def test_a_wide_log_is_read_in_parts(tmp_path):
    path = write(wide_frame(), tmp_path, "parquet")
    parts = list(scan_click_log(path, batch_rows=1))
    assert [part.n_impressions for part in parts] == [3, 2]
    together = pd.concat([part.to_frame() for part in parts])
    assert together["doc_id"].tolist() == ["a", "b", "c", "a", "d"]


@pytest.mark.parametrize(
    "sessions",
    [[1, 1, 2, 2, 3, 1], list("aabbca"), pd.array([1, 1, 2, 2, 3, 1], dtype="Int64"), [1.5, 1.5, 2, 2, 3, 1.5]],
)
@pytest.mark.parametrize("batch_rows", [1, 2, 3, 5])
def test_a_session_that_returns_is_refused(sessions, batch_rows, tmp_path):
    frame = long_frame(session_id=sessions, query_id=["q"] * 6, doc_id=list("abcdef"), position=[1, 2, 1, 2, 1, 3])
    path = write(frame, tmp_path, "parquet")
    with pytest.raises(DataError, match="a session returns in a later part") as caught:
        list(scan_click_log(path, batch_rows=batch_rows))
    assert (caught.value.row, caught.value.column) == ("row 5", "session_id")


@pytest.mark.parametrize("name", [name for name in BAD_CELLS if name != "two queries in a session"])
@pytest.mark.parametrize("batch_rows", [1, 4, 100])
def test_a_bad_cell_in_a_part_is_named_by_its_row_in_the_file(name, batch_rows, tmp_path):
    column, row, value, found, _ = BAD_CELLS[name]
    frame = long_frame()
    cells = frame[column].tolist()
    cells[row] = value
    frame[column] = cells
    with pytest.raises(DataError) as caught:
        list(scan_click_log(write(frame, tmp_path, "parquet"), batch_rows=batch_rows))
    assert (caught.value.row, caught.value.column) == (f"row {row}", column)
    assert found in str(caught.value)


def test_an_empty_parquet_file_has_no_part(tmp_path):
    with pytest.raises(DataError, match="the table is empty"):
        list(scan_click_log(write(long_frame().iloc[:0], tmp_path, "parquet")))


def test_parts_of_no_rows_are_refused(tmp_path):
    with pytest.raises(ArgumentError, match="batch_rows=0"):
        list(scan_click_log(write(long_frame(), tmp_path, "parquet"), batch_rows=0))


# -- real data --------------------------------------------------------------------------------------------------------


@pytest.fixture
def open_bandit():
    root = os.environ.get("IRWORKS_DATA")
    if not root or not (Path(root) / "ltr" / "obd").is_dir():
        pytest.skip("IRWORKS_DATA does not point at the Open Bandit logs")
    return Path(root) / "ltr" / "obd"


@pytest.mark.data
@pytest.mark.parametrize(("name", "clicks"), [("random_men", 46), ("bts_men", 69)])
def test_the_open_bandit_logs_are_read_as_a_user_would(open_bandit, name, clicks):
    path = open_bandit / f"{name}.csv"
    raw = pd.read_csv(path)
    log = read_click_log(path, query=None, doc="item_id", propensity="propensity_score")
    assert (log.n_sessions, log.n_impressions, log.n_docs, log.n_ranks) == (10_000, 10_000, 34, 3)
    assert log.clicks.sum() == raw["click"].sum() == clicks
    back = log.to_frame()
    assert back["doc_id"].tolist() == raw["item_id"].tolist()
    assert back["position"].tolist() == raw["position"].tolist()
    np.testing.assert_allclose(back["propensity"], raw["propensity_score"], rtol=1e-15)
    with pytest.raises(DataError, match="a column is missing"):
        read_click_log(path)


def test_one_stray_position_in_a_long_log_is_an_error_and_not_a_full_memory(monkeypatch):
    monkeypatch.setattr("irworks.data.click_files.MAX_PLACES", 1000)
    frame = pd.DataFrame({"session_id": range(200), "query_id": 0, "doc_id": 1, "position": 1, "click": 0})
    frame.loc[17, "position"] = 9000
    with pytest.raises(DataError, match=r"row 17, column 'position'.*found 9000; expected at most 5 with so many"):
        ClickLog.from_frame(frame)


# -- what test_fuzz_readers.py found -----------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["session_id", "query_id", "doc_id"])
@pytest.mark.parametrize("value", [[1], {"a": 1}], ids=["list", "record"])
def test_ids_that_are_lists_or_records_are_refused(column, value, tmp_path):
    long_frame(**{column: [value] * 6}).to_parquet(tmp_path / "log.parquet")
    for read in (read_click_log, lambda path: list(scan_click_log(path))):
        with pytest.raises(DataError, match=f"row 0, column '{column}': an id is a list or a record"):
            read(tmp_path / "log.parquet")


@pytest.mark.parametrize("dtype", ["datetime64[ns]", "timedelta64[ns]", "complex128"])
@pytest.mark.parametrize("column", ["position", "propensity", "f_age"])
def test_times_and_complex_numbers_are_no_numbers(column, dtype):
    with pytest.raises(DataError, match=f"row 0, column '{column}': not a number"):
        ClickLog.from_frame(long_frame(**{column: np.ones(6).astype("int64").astype(dtype)}))


def wide_text(folder, **cells):
    """A wide log of one row, its cells as they stand in the file."""
    cells = {"query_id": "q", "query_doc_ids": '["a", "b"]', "positions": "[1, 2]", "clicks": "[0, 1]"} | cells
    path = folder / "log.csv"
    pd.DataFrame({name: [cell] for name, cell in cells.items()}).to_csv(path, index=False)
    return path


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        ({"query_doc_ids": "[" * 100_000}, "line 2, column 'query_doc_ids': not a list"),
        ({"query_doc_ids": '["\\ud800", "b"]'}, "line 2, column 'query_doc_ids': half of a surrogate pair"),
        ({"positions": f"[1, {10**400}]"}, "line 2, column 'positions': position out of range"),
    ],
    ids=["nested", "surrogate", "huge"],
)
def test_a_list_that_cannot_be_read_is_named(cells, says, tmp_path):
    with pytest.raises(DataError, match=says):
        read_click_log(wide_text(tmp_path, **cells))


@pytest.mark.parametrize(
    "ids", [["a", "a\0"], ["a\0", "a\0\0"], [1.5, 2**60, 2**60 + 1]], ids=["NUL", "NULs", "large beside a fraction"]
)
def test_ids_in_lists_stay_apart(ids, tmp_path):
    ranks = list(range(1, len(ids) + 1))
    path = wide_text(tmp_path, query_doc_ids=json.dumps(ids), positions=str(ranks), clicks=str([0] * len(ids)))
    assert rows_of(read_click_log(path))["doc_id"] == ids


@pytest.mark.parametrize("column", ["session_id", "query_id"])
def test_a_message_is_one_short_line_whatever_the_ids(column):
    name = "a\n" * 5000
    frame = long_frame(session_id=[name] * 6) if column == "session_id" else long_frame(query_id=[name] * 6)
    with pytest.raises(DataError) as caught:
        ClickLog.from_frame(frame)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000


def test_no_flipped_bit_in_a_page_of_our_own_parquet_files_changes_a_value(tmp_path):
    log, path = ClickLog.from_frame(long_frame()), tmp_path / "log.parquet"
    log.to_parquet(path)
    content = path.read_bytes()
    column = pq.ParquetFile(path).metadata.row_group(0).column(5)
    start = column.dictionary_page_offset or column.data_page_offset
    refused = 0
    for at in range(start, start + column.total_compressed_size):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        try:
            assert_same_log(read_click_log(path), log)
        except DataError:
            refused += 1
    assert refused > column.total_compressed_size / 2
