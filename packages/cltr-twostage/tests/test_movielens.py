"""MovieLens files: read as published, and refused with the line and column where they are not."""

import gzip
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cltr_twostage.movielens import Ratings, read_movielens
from irworks.errors import DataError

# Real lines have ids with gaps, in no order.
ROWS = [(196, 242, 3.0, 881250949), (22, 377, 1.0, 878887116), (196, 51, 4.0, 881250950), (7, 242, 5.0, 0)]
SEPARATORS = {"u.data": "\t", "ratings.dat": "::", "ratings.csv": ","}
HEADER = "userId,movieId,rating,timestamp\n"


def text_of(name: str, rows: list[tuple[int, int, float, int]], end: str = "\n") -> str:
    # The older sets have whole stars, ratings.csv has half ones.
    stars = "{:.1f}" if name == "ratings.csv" else "{:g}"
    lines = [SEPARATORS[name].join([str(u), str(i), stars.format(r), str(t)]) + end for u, i, r, t in rows]
    return (HEADER if name == "ratings.csv" else "") + "".join(lines)


def rows_of(ratings: Ratings) -> list[tuple[int, int, float, int]]:
    columns = (ratings.user_ids[ratings.user], ratings.item_ids[ratings.item], ratings.rating, ratings.timestamp)
    return list(zip(*(column.tolist() for column in columns), strict=True))


@pytest.mark.parametrize("name", SEPARATORS)
def test_each_published_format_is_read_in_the_order_of_the_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(text_of(name, ROWS))
    ratings = read_movielens(tmp_path / name)
    assert rows_of(ratings) == ROWS
    assert ratings.user_ids.tolist() == [7, 22, 196]
    assert ratings.item_ids.tolist() == [51, 242, 377]
    assert (ratings.n_users, ratings.n_items, len(ratings)) == (3, 3, 4)
    assert [a.dtype.name for a in (ratings.user, ratings.item, ratings.rating)] == ["int32", "int32", "float32"]
    assert repr(ratings) == "Ratings(4 ratings of 3 items by 3 users)"


@pytest.mark.parametrize("name", SEPARATORS)
def test_windows_line_ends_and_a_missing_last_one_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(text_of(name, ROWS, end="\r\n").replace("timestamp\n", "timestamp\r\n").encode()[:-2])
    assert rows_of(read_movielens(tmp_path)) == ROWS


@pytest.mark.parametrize("name", SEPARATORS)
def test_a_folder_a_gzip_and_the_published_archive_are_read(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / name).write_text(text_of(name, ROWS))
    assert rows_of(read_movielens(tmp_path / "folder")) == ROWS

    (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text_of(name, ROWS).encode()))
    assert rows_of(read_movielens(tmp_path / f"{name}.gz")) == ROWS
    assert rows_of(read_movielens(tmp_path)) == ROWS

    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        archive.writestr("ml/README", "user::movie")
        archive.writestr(f"ml/{name}", text_of(name, ROWS))
    assert rows_of(read_movielens(tmp_path / "ml.zip")) == ROWS


@settings(max_examples=25)
@given(
    pairs=st.lists(st.tuples(st.integers(1, 300_000), st.integers(1, 200_000)), min_size=1, max_size=20, unique=True),
    name=st.sampled_from(sorted(SEPARATORS)),
    seed=st.integers(0, 99),
)
def test_any_ratings_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[int, int]], name: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rows = [(u, i, float(rng.integers(1, 11)) / 2, int(rng.integers(0, 2_000_000_000))) for u, i in pairs]
    file = tmp_path_factory.mktemp("ml") / name
    file.write_text(text_of(name, rows))
    assert rows_of(read_movielens(file)) == rows


BAD = {
    "a letter for a rating": (["196", "51", "x", "4"], "rating", "not a number.*found 'x'"),
    "no user": (["", "51", "3", "4"], "user", "not a number.*found ''.*a whole number"),
    "half an item": (["196", "5.5", "3", "4"], "item", "not a number.*found '5.5'"),
    "six stars": (["196", "51", "6", "4"], "rating", "out of range.*up to 5"),
    "no star": (["196", "51", "0", "4"], "rating", "out of range"),
    "no number": (["196", "51", "nan", "4"], "rating", "not a number.*found 'nan'"),
    "a date": (["196", "51", "3", "1997-12-04"], "timestamp", "not a number"),
    "an id beyond 64 bits": (["9" * 25, "51", "3", "4"], "user", "not a number"),
    "a field too few": (["196", "51", "3"], None, "wrong number of fields.*expected 4 fields"),
    "a field too many": (["196", "51", "3", "4", "5"], None, "wrong number of fields"),
}
COLUMNS = {"user": "userId", "item": "movieId"}


@pytest.mark.parametrize("name", SEPARATORS)
@pytest.mark.parametrize("bad", BAD)
def test_one_bad_line_is_refused_with_its_number_and_column(tmp_path: Path, name: str, bad: str) -> None:
    fields, column, says = BAD[bad]
    good = text_of(name, ROWS).splitlines()
    before = good[:-2]
    (tmp_path / name).write_text("\n".join([*before, "", SEPARATORS[name].join(fields), *good[-2:]]))
    with pytest.raises(DataError, match=says) as error:
        read_movielens(tmp_path)
    # Blank lines count.
    assert error.value.row == f"line {len(before) + 2}"
    assert error.value.column == (COLUMNS.get(column or "", column) if name == "ratings.csv" else column)
    assert error.value.source == tmp_path / name


@pytest.mark.parametrize("name", SEPARATORS)
def test_a_pair_that_is_rated_twice_is_refused_at_the_second_rating(tmp_path: Path, name: str) -> None:
    rows = [*ROWS, (22, 377, 2.0, 5), (7, 242, 2.0, 5)]
    (tmp_path / name).write_text(text_of(name, rows))
    with pytest.raises(DataError, match="user 22, item 377") as error:
        read_movielens(tmp_path / name)
    assert error.value.row == f"line {6 if name == 'ratings.csv' else 5}"


def test_another_header_or_separator_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\n1,2,3,4\n")
    with pytest.raises(DataError, match=r"line 1: the header is another.*expected userId,movieId,rating,timestamp"):
        read_movielens(tmp_path)
    (tmp_path / "u.data").write_text("1::2::3::4\n")
    with pytest.raises(DataError, match="line 1: a line has the wrong number of fields"):
        read_movielens(tmp_path / "u.data")
    (tmp_path / "ratings.dat").write_text("1::2::3::4\n1\t4\t3\t4\n")
    with pytest.raises(DataError, match="line 2: a line has the wrong number of fields"):
        read_movielens(tmp_path / "ratings.dat")


@pytest.mark.parametrize("name", SEPARATORS)
def test_a_file_without_a_rating_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(text_of(name, []))
    with pytest.raises(DataError, match="the file is empty"):
        read_movielens(tmp_path)


def test_what_is_no_movielens_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        read_movielens(tmp_path / "absent")
    with pytest.raises(DataError, match=r"the folder holds no ratings.*u\.data"):
        read_movielens(tmp_path)
    (tmp_path / "movies.dat").write_text("1::Toy Story (1995)::Animation\n")
    with pytest.raises(DataError, match="not a MovieLens file by its name"):
        read_movielens(tmp_path / "movies.dat")
    (tmp_path / "ml.zip").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="not readable"):
        read_movielens(tmp_path / "ml.zip")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("movies.dat", "")
    with pytest.raises(DataError, match="the archive holds no ratings"):
        read_movielens(tmp_path / "other.zip")
    whole = gzip.compress(text_of("u.data", ROWS * 100).encode())
    (tmp_path / "u.data.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not readable"):
        read_movielens(tmp_path)
