"""Tables in files: ids keep their meaning, and what is wrong is told by its place."""

import csv
import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from irworks.data.columns import Place, check_present, line_of_row, numbers, plain, zeros_and_ones
from irworks.data.tables import csv_delimiter, is_parquet, read_csv, read_parquet, read_table, scan_parquet
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


# -- what test_fuzz_readers.py found -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("last", ['"b\n2,c\n', '"b\r2,c\r', '"b\n2,"c"\n'])
def test_a_quote_that_never_ends_swallows_no_lines(tmp_path, name, last):
    text = f"x,id\n0,a\n1,{last}".encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    with pytest.raises(DataError, match=r"line 3: a quoted field does not end where it should"):
        read_csv(tmp_path / name, ["id"])


def test_a_quoted_text_of_several_lines_is_one_cell(tmp_path):
    (tmp_path / "a.csv").write_text('id,x\n"a\nb",1\n"c ""d""\n",2\n')
    assert read_csv(tmp_path / "a.csv", ["id"]).to_dict("list") == {"id": ["a\nb", 'c "d"\n'], "x": [1, 2]}


@pytest.mark.parametrize("zipped", [False, True])
def test_quoted_texts_of_several_lines_may_stand_anywhere_in_a_large_file(tmp_path, zipped):
    texts = ["a line\n" * (1 + number % 7) for number in range(200_000)]
    file = tmp_path / ("a.csv.gz" if zipped else "a.csv")
    pd.DataFrame({"x": range(len(texts)), "text": texts}).to_csv(file, index=False)
    frame = read_csv(file, [])
    assert frame["text"].tolist() == texts
    assert frame["x"].tolist() == list(range(len(texts)))


@pytest.mark.parametrize("length", [131_073, 3_000_000])
def test_a_quoted_text_may_be_long(tmp_path, length):
    texts = ["a\n" + "b" * length, "c"]
    pd.DataFrame({"id": texts, "x": [1, 2]}).to_csv(tmp_path / "a.csv", index=False)
    limit = csv.field_size_limit()
    assert read_csv(tmp_path / "a.csv", ["id"])["id"].tolist() == texts
    assert csv.field_size_limit() == limit


def test_a_quote_that_never_ends_is_told_in_a_large_file_too(tmp_path):
    rows = [f'{number},"a\nline"' for number in range(200_000)]
    rows[100_000] = '100000,"a'
    (tmp_path / "a.csv").write_text("\n".join(["x,text", *rows]))
    with pytest.raises(DataError, match=r"^a\.csv, line 200002: "):
        read_csv(tmp_path / "a.csv", [])


def test_a_file_that_may_not_be_read_is_told_so(tmp_path, monkeypatch):
    for name in ("a.csv", "a.parquet"):
        pd.DataFrame({"x": [1]}).to_csv(tmp_path / name)

    def closed(*arguments, **options):
        raise PermissionError(13, "Failed to open local file")

    for module, name in ((pa.csv, "read_csv"), (pq, "read_table"), (pq, "ParquetFile")):
        monkeypatch.setattr(module, name, closed)
    reads = [lambda file: read_csv(file, []), read_parquet, lambda file: list(scan_parquet(file, 4))]
    for read, name in zip(reads, ("a.csv", "a.parquet", "a.parquet"), strict=True):
        with pytest.raises(PermissionError, match=rf"Permission denied: '.*{name}'"):
            read(tmp_path / name)


def test_a_file_larger_than_memory_is_read_in_parts(tmp_path, monkeypatch):
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "a.parquet")

    def large(*arguments, **options):
        raise MemoryError("malloc of size 549755813888 failed")

    monkeypatch.setattr(pq, "read_table", large)
    with pytest.raises(DataError, match=r"malloc of size.*scan_click_log") as caught:
        read_parquet(tmp_path / "a.parquet")
    assert "truncated" not in str(caught.value)


def test_what_is_not_read_in_parts_is_told(tmp_path):
    (tmp_path / "a.csv").write_text("x\n1\n")
    with pytest.raises(DataError, match=r"a\.csv: only Parquet is read in parts"):
        list(scan_parquet(tmp_path / "a.csv", 4))
    (tmp_path / "a.parquet").mkdir()
    with pytest.raises(DataError, match=r"a\.parquet: a folder, which is not read in parts"):
        list(scan_parquet(tmp_path / "a.parquet", 4))


def test_a_column_name_that_is_no_utf8_is_one_clear_error(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"a,\xff\n1,2\n")
    with pytest.raises(DataError, match=r"^a\.csv, line 1: not UTF-8 text") as caught:
        read_csv(tmp_path / "a.csv", [])
    assert str(caught.value).isprintable()


def test_ids_beside_an_empty_cell_stay_what_they_are(tmp_path):
    (tmp_path / "a.csv").write_text("id,x\n9007199254740993,1\n,2\n")
    assert read_csv(tmp_path / "a.csv", ["id"])["id"].tolist()[0] == "9007199254740993"


def test_of_two_columns_with_one_name_each_keeps_its_cells(tmp_path):
    (tmp_path / "a.csv").write_text("a,a\nx,1.0\ny,2.5\n")
    frame = read_csv(tmp_path / "a.csv", [])
    assert frame.iloc[:, 0].tolist() == ["x", "y"]
    assert frame.iloc[:, 1].tolist() == [1.0, 2.5]


@pytest.mark.parametrize("text", ["2020-01-01", "0000-01-01", "2020-01-01 12:30:00", "2020-01-01T12:30:00Z", "12:30"])
def test_dates_and_times_are_no_numbers(tmp_path, text):
    (tmp_path / "a.csv").write_text(f"x\n{text}\n")
    with pytest.raises(DataError, match="not a number"):
        numbers(read_csv(tmp_path / "a.csv", []), "x", Place("a.csv"), "a number")


@pytest.mark.parametrize("value", [10**400, -(10**400)])
def test_an_integer_beyond_every_float_is_infinite(value):
    frame = pd.DataFrame({"x": pd.Series([1, value], dtype=object)})
    assert np.abs(numbers(frame, "x", Place("t"), "a number")).tolist() == [1, np.inf]


def test_numbers_written_as_text_are_rounded_as_python_rounds_them():
    texts = [f"+{value:.25e}" for value in np.random.default_rng(0).uniform(size=1000).tolist()]
    frame = pd.DataFrame({"x": texts})
    assert numbers(frame, "x", Place("t"), "a number").tolist() == [float(text) for text in texts]


def test_a_parquet_text_that_is_no_utf8_is_refused(tmp_path):
    text = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"\xffx")]
    )
    pq.write_table(pa.table({"x": text}), tmp_path / "a.parquet")
    for read in (read_parquet, lambda file: list(scan_parquet(file, 10))):
        with pytest.raises(DataError, match=r"^a\.parquet: not a readable Parquet file: .*UTF8"):
            read(tmp_path / "a.parquet")


def test_a_part_with_fewer_rows_than_the_footer_says_is_refused(tmp_path, monkeypatch):
    pd.DataFrame({"x": np.arange(10)}).to_parquet(tmp_path / "a.parquet")
    whole = pq.ParquetFile.iter_batches
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", lambda self, batch_size: iter([*whole(self, batch_size)][:-1]))
    with pytest.raises(DataError, match=r"2 rows too few \(expected 10"):
        list(scan_parquet(tmp_path / "a.parquet", 4))


# -- tables of other spreadsheets -------------------------------------------------------------------------------------


def test_semicolons_and_decimal_commas_are_understood(tmp_path):
    (tmp_path / "a.csv").write_text("id;x;n\n7;0,25;1\n8;-1,5e3;2\n9;;3\n")
    frame = read_csv(tmp_path / "a.csv", ["id"])
    assert frame["id"].tolist() == [7, 8, 9]
    assert frame["x"].tolist()[:2] == [0.25, -1500.0]
    assert frame["n"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(("header", "row"), [("id;x", "1;0.5"), ("id\tx", "1\t0.5"), ("id\tx", "1\t0,5")])
def test_the_header_says_what_stands_between_fields(tmp_path, header, row):
    (tmp_path / "a.csv").write_text(f"{header}\n{row}\n")
    assert read_csv(tmp_path / "a.csv", ["id"])["x"].tolist() == [0.5]


def test_a_comma_in_the_header_leaves_semicolons_what_they_are(tmp_path):
    (tmp_path / "a.csv").write_text("id,x;y\na;b,c\n")
    assert read_csv(tmp_path / "a.csv", ["id"]).columns.tolist() == ["id", "x;y"]


def test_ids_with_a_comma_stay_ids_and_grouped_thousands_no_numbers(tmp_path):
    (tmp_path / "a.csv").write_text("id;x;y\n1,5;1.000,5;0,5\n1,6;2.000,5;0,6\n")
    frame = read_csv(tmp_path / "a.csv", ["id"])
    assert frame["id"].tolist() == ["1,5", "1,6"]
    assert frame["x"].tolist() == ["1.000,5", "2.000,5"]
    assert frame["y"].tolist() == [0.5, 0.6]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_comma_that_may_group_thousands_is_refused_with_its_row(tmp_path, name):
    rows = ["id;views;share;price", "1;12;0,125;1,000", "2;1,000;0,250;12,500", "3;-999,999;1,000;0,5"]
    (tmp_path / name).write_text("\n".join(rows).replace(";", "\t" if name == "a.tsv" else ";"))
    frame = read_csv(tmp_path / name, ["id"])
    assert frame["share"].tolist() == [0.125, 0.25, 1.0]
    assert frame["price"].tolist() == [1.0, 12.5, 0.5]
    with pytest.raises(DataError, match=r"line 3, column 'views': not a number.*without") as caught:
        numbers(frame, "views", Place(name, csv=tmp_path / name), "a number")
    assert caught.value.found == "1,000"


@pytest.mark.parametrize("text", ["1,000", "-123,456"])
def test_one_column_of_commas_that_may_group_thousands_is_no_number_either(tmp_path, text):
    (tmp_path / "a.csv").write_text(f"id;x\n1;{text}\n2;7\n")
    with pytest.raises(DataError, match=r"row 0, column 'x': not a number"):
        numbers(read_csv(tmp_path / "a.csv", ["id"]), "x", Place("a.csv"), "a number")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,x\n1,größe\n".encode("cp1252"), r"a\.csv, line 2: not UTF-8 text.*Save it in UTF-8"),
        ("id,x\n1,2\n".encode("utf-16"), r"a\.csv: not UTF-8 text.*UTF-16.*Save it in UTF-8"),
    ],
)
def test_another_encoding_is_told(tmp_path, content, message):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_csv(tmp_path / "a.csv", [])


def test_a_table_is_read_by_its_name_whatever_the_case(tmp_path):
    (tmp_path / "A.CSV").write_text("x\n1\n")
    frame, place = read_table(tmp_path / "A.CSV")
    assert (frame["x"].tolist(), place.where(0)) == ([1], "line 2")
    frame.to_parquet(tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet")[1].where(0) == "row 0"


def test_a_folder_in_the_place_of_a_table_is_told(tmp_path):
    (tmp_path / "a.csv").mkdir()
    for read in (lambda file: read_csv(file, []), read_table):
        with pytest.raises(DataError, match="a folder, and no table"):
            read(tmp_path / "a.csv")
