"""Tables in files: ids keep their meaning, and what is wrong is told by its place."""

import gzip

import numpy as np
import pandas as pd
import pytest

from irworks.data.columns import Place, check_present, line_of_row, numbers, plain, zeros_and_ones
from irworks.data.tables import csv_delimiter, is_parquet, read_csv, read_parquet, scan_parquet
from irworks.errors import DataError


@pytest.mark.parametrize(
    ("name", "parquet"),
    [
        ("a.parquet", True),
        ("a.pq", True),
        ("a.csv", False),
        ("a.b.csv.gz", False),
        ("a.tsv.gz", False),
        ("a.txt", False),
    ],
)
def test_a_name_says_whether_a_file_is_parquet(tmp_path, name, parquet):
    assert is_parquet(tmp_path / name) == parquet


@pytest.mark.parametrize("name", ["a", "a.json", "a.gz", "a.parquet.zip"])
def test_a_name_that_says_no_format_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="not a table by its name"):
        is_parquet(tmp_path / name)


def test_tabs_separate_only_what_is_called_so(tmp_path):
    assert csv_delimiter(tmp_path / "a.tsv.gz") == "\t"
    assert csv_delimiter(tmp_path / "a.csv") == ","


def test_ids_are_integers_only_where_that_loses_nothing(tmp_path):
    (tmp_path / "a.csv").write_text("a,b,c,x\n1,007,1.0,1\n-2,7,2,2.5\n")
    frame = read_csv(tmp_path / "a.csv", ("a", "b", "c"))
    assert frame["a"].tolist() == [1, -2]
    assert frame["b"].tolist() == ["007", "7"]
    assert frame["c"].tolist() == ["1.0", "2"]
    assert frame["x"].tolist() == [1.0, 2.5]


def test_a_parquet_file_is_read_whole_or_in_parts(tmp_path):
    frame = pd.DataFrame({"a": np.arange(10)})
    frame.to_parquet(tmp_path / "a.parquet")
    assert read_parquet(tmp_path / "a.parquet").equals(frame)
    parts = list(scan_parquet(tmp_path / "a.parquet", 4))
    assert [len(part) for part in parts] == [4, 4, 2]
    assert pd.concat(parts)["a"].tolist() == frame["a"].tolist()


@pytest.mark.parametrize("column", [["a", "b"], ["b", "a"]])
def test_a_missing_or_doubled_column_is_named(column):
    with pytest.raises(DataError, match="a column is missing") as caught:
        check_present(column, ["a", "c"], "table")
    assert caught.value.column == "b"
    with pytest.raises(DataError, match="several columns have one name") as caught:
        check_present(column, ["b", "a", "b"], "table")
    assert caught.value.column == "b"
    check_present(column, ["b", "x", "x", "a"], "table")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_row_has_the_line_that_an_editor_shows_blank_lines_counted(tmp_path, zipped):
    text = b"a,b\n\n1,2\n\r\n\n3,4\n"
    path = tmp_path / ("a.csv.gz" if zipped else "a.csv")
    path.write_bytes(gzip.compress(text) if zipped else text)
    assert [line_of_row(path, row) for row in (0, 1)] == [3, 6]
    assert Place("a", csv=path).where(1) == "line 6"


def test_a_place_counts_rows_from_where_its_part_begins():
    assert Place("table", first=100).where(5) == "row 105"
    assert Place("table", rows=np.array([7, 9])).where(1) == "row 9"


def test_numbers_are_numbers_and_the_first_that_is_none_is_told():
    frame = pd.DataFrame({"a": ["1", "2.5", "-inf"], "b": ["1", "x", None]})
    assert numbers(frame, "a", Place("table"), "a number").tolist() == [1.0, 2.5, -np.inf]
    with pytest.raises(DataError, match="table, row 1, column 'b': not a number") as caught:
        numbers(frame, "b", Place("table"), "a number")
    assert caught.value.found == "x"


def test_zeros_and_ones_are_booleans():
    frame = pd.DataFrame({"a": [0, 1], "b": [True, False], "c": [0, 2]})
    assert zeros_and_ones(frame, "a", Place("table"), "click").tolist() == [False, True]
    assert zeros_and_ones(frame, "b", Place("table"), "click").tolist() == [True, False]
    with pytest.raises(DataError, match="click is not 0 or 1"):
        zeros_and_ones(frame, "c", Place("table"), "click")


def test_a_value_of_an_array_is_told_as_a_plain_one():
    assert type(plain(np.float64(1.5))) is float
    assert plain("x") == "x"
