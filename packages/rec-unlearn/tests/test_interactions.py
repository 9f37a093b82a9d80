"""The table of interactions: what goes in, in which order it stands, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irworks.errors import ArgumentError, DataError
from rec_unlearn.data import DuplicateRowsWarning, Interactions, UnknownIdError, leave_last_out, split_at
from rec_unlearn.data.prepare import compact, first_users, frequent_items, last_steps, long_histories
from rec_unlearn.data.readers import read_baskets

ROWS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=40)


def frame(rows, columns=("user", "item", "time")):
    return pd.DataFrame(rows, columns=list(columns))


@given(ROWS)
@pytest.mark.filterwarnings("ignore::rec_unlearn.data.frames.DuplicateRowsWarning")
def test_rows_come_out_by_user_and_time_whatever_the_order_they_came_in(rows):
    log = Interactions.from_pandas(frame(rows), time="time")
    expected = sorted({(user, time, item) for user, item, time in rows}, key=lambda row: row[:2])
    assert [(u, t) for u, t, _ in expected] == list(zip(log.user_ids[log.user], log.time, strict=True))
    assert sorted(zip(log.user_ids[log.user], log.time, log.item_ids[log.item], strict=True)) == sorted(
        (user, time, item) for user, time, item in expected
    )
    shuffled = Interactions.from_pandas(frame(rows).iloc[::-1], time="time")
    assert set(zip(shuffled.user, shuffled.item, shuffled.time, strict=True)) == set(
        zip(log.user, log.item, log.time, strict=True)
    )


@given(ROWS)
@pytest.mark.filterwarnings("ignore::rec_unlearn.data.frames.DuplicateRowsWarning")
def test_what_to_pandas_gives_is_read_as_the_same_table(rows):
    log = Interactions.from_pandas(frame(rows, ("user", "item", "basket")), basket="basket")
    again = Interactions.from_pandas(log.to_pandas(), basket="step")
    for name in ("user", "item", "sequence", "step"):
        assert np.array_equal(getattr(again, name), getattr(log, name)), name


def test_baskets_are_steps_and_stand_by_their_number_or_their_first_time():
    rows = [("a", "x", 10, 7), ("a", "y", 2, 9), ("a", "z", 10, 8), ("b", "x", 10, 1)]
    table = frame(rows, ("user", "item", "basket", "time"))
    by_number = Interactions.from_pandas(table, basket="basket")
    assert by_number.item_ids[by_number.item].tolist() == ["y", "x", "z", "x"]
    assert by_number.step.tolist() == [0, 1, 1, 0]
    by_time = Interactions.from_pandas(table, basket="basket", time="time")
    assert by_time.item_ids[by_time.item].tolist() == ["x", "z", "y", "x"]


def test_sessions_of_a_user_are_sequences_of_their_own():
    rows = [("a", "x", "s2", 5), ("a", "y", "s1", 1), ("b", "x", "s1", 3), ("a", "z", "s1", 2)]
    log = Interactions.from_pandas(frame(rows, ("user", "item", "session", "time")), session="session", time="time")
    assert log.item_ids[log.item].tolist() == ["y", "z", "x", "x"]
    assert log.sequence.tolist() == [0, 0, 1, 2]
    assert log.step.tolist() == [0, 1, 0, 0]


def test_dates_are_times():
    rows = [("a", "x", pd.Timestamp("2025-01-02", tz="UTC")), ("a", "y", pd.Timestamp("2025-01-01", tz="UTC"))]
    log = Interactions.from_pandas(frame(rows), time="time")
    assert log.item_ids[log.item].tolist() == ["y", "x"]
    assert log.time[1] - log.time[0] == 86_400


@pytest.mark.parametrize(
    "when",
    [
        ["2024-03-31T01:00:00+01:00", "2024-03-31 00:00:01", "2024-03-31T00:00:02Z"],
        [pd.Timestamp("2024-03-31T01:00:00+01:00").to_pydatetime(), *pd.to_datetime(["2024-03-31 00:00:01Z"] * 2)],
        ["1711843200", "1711843201", "1711843202"],
    ],
)
def test_dates_of_any_time_zone_are_seconds_and_so_are_texts_of_numbers(when, tmp_path):
    table = pd.DataFrame({"user": "a", "item": ["x", "y", "z"], "day": pd.Series(when, dtype=object)})
    log = Interactions.from_pandas(table, time="day")
    assert log.time[0] == 1_711_843_200
    assert log.item.tolist() == [0, 1, 2]
    table.astype(str).to_csv(tmp_path / "t.csv", index=False)
    assert Interactions.read(tmp_path / "t.csv", time="day").time.tolist() == log.time.tolist()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_dates_far_from_now_are_times_too(unit):
    day = np.array(["1700-01-01" if unit == "ns" else "2914-04-07", "2014-01-01"], dtype=f"datetime64[{unit}]")
    log = Interactions.from_pandas(pd.DataFrame({"user": 1, "item": [1, 2], "day": day}), time="day")
    assert sorted(log.time) == sorted(day.astype("datetime64[s]").astype(np.int64).tolist())


@pytest.mark.parametrize(
    ("when", "row", "complaint"),
    [
        (["2024-03-31", "yesterday"], 1, "not a date, as others are"),
        (["31.03.2024", "01.04.2024"], 0, "as in 2024-03-31 or 2024-03-31T10:00:00"),
        (["2024-03-31", None], 1, "a time is missing"),
        ([1.0, np.inf], 1, "not a finite time"),
    ],
)
def test_a_time_that_is_none_is_named_with_its_row(when, row, complaint):
    table = pd.DataFrame({"user": 1, "item": 2, "day": when})
    with pytest.raises(DataError, match=rf"row {row}.*{complaint}"):
        Interactions.from_pandas(table, time="day")


def test_baskets_that_are_dates_stand_in_their_order_also_where_they_are_texts(tmp_path):
    table = pd.DataFrame({"user": "a", "item": ["x", "y", "z"], "basket": ["2024-02-01", "2024-01-01", "2024-01-15"]})
    assert Interactions.from_pandas(table, basket="basket").item.tolist() == [1, 2, 0]
    table.to_csv(tmp_path / "t.csv", index=False)
    assert Interactions.read(tmp_path / "t.csv", basket="basket").item.tolist() == [1, 2, 0]


def test_a_row_that_stands_twice_counts_once_and_is_told():
    with pytest.warns(DuplicateRowsWarning, match="2 rows stand twice in one moment"):
        log = Interactions.from_pandas(frame([("a", "x", 1)] * 3 + [("a", "x", 2)]), time="time")
    assert len(log) == 2


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([("a", "x", None)], "row 0, column 'time'"),
        ([("a", "x", 1), (None, "x", 1)], "row 1, column 'user': an id is missing"),
        ([("a", "x", "soon")], "not a number"),
        ([("a", ["x"], 1)], "an id is a list"),
        ([], "the table is empty"),
    ],
)
def test_a_bad_row_is_one_error_that_names_it(rows, complaint):
    with pytest.raises(DataError, match=complaint):
        Interactions.from_pandas(frame(rows), time="time")


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(DataError, match="column 'when'"):
        Interactions.from_pandas(frame([("a", "x", 1)]), time="when")


def test_codes_stay_when_rows_go():
    log = Interactions.from_pandas(frame([("a", "x", 1), ("b", "y", 1), ("c", "x", 1)]), time="time")
    less = log.without(users=["a"], pairs=[("b", "y")])
    assert less.user.tolist() == [2]
    assert less.item.tolist() == [0]
    assert less.n_users == 3
    assert less.active_users.tolist() == [2]
    assert less.active_items.tolist() == [True, False]
    assert log.without(items=["x"]).user.tolist() == [1]


@pytest.mark.parametrize("unknown", [{"users": ["z"]}, {"items": ["z"]}, {"pairs": [("a", "z")]}])
def test_an_id_that_nobody_has_is_refused(unknown):
    log = Interactions.from_pandas(frame([("a", "x", 1)]))
    with pytest.raises(UnknownIdError, match="'z'"):
        log.without(**unknown)


def test_an_id_of_another_type_is_told():
    log = Interactions.from_pandas(frame([(1, 2, 3)]))
    with pytest.raises(UnknownIdError, match="has no user '1'; ids of users are int here"):
        log.user_code("1")


@given(ROWS, st.lists(st.integers(0, 4), max_size=6))
@pytest.mark.filterwarnings("ignore::rec_unlearn.data.frames.DuplicateRowsWarning")
def test_rows_of_users_are_theirs_in_the_order_asked(rows, asked):
    log = Interactions.from_pandas(frame(rows), time="time")
    codes = [user for user in asked if user < log.n_users]
    expected = [row for user in codes for row in np.flatnonzero(log.user == user)]
    assert log.rows_of(codes).tolist() == expected
    table = log.matrix().toarray()
    assert table.sum() == len(log)
    assert all(table[user, item] >= 1 for user, item in zip(log.user, log.item, strict=True))


def test_rows_that_are_not_sorted_are_refused():
    with pytest.raises(DataError, match="row 1: rows are not sorted"):
        Interactions(np.array([1, 0]), np.array([0, 0]), np.array([0, 1]), np.array([0, 0]), np.arange(2), np.arange(1))


# Splitting and making smaller


def test_the_last_step_of_every_long_sequence_is_the_test():
    log = Interactions.from_pandas(frame([("a", "x", 1), ("a", "y", 2), ("a", "z", 2), ("b", "x", 1)]), basket="time")
    train, test = leave_last_out(log)
    assert log.item_ids[test.item].tolist() == ["y", "z"]
    assert log.item_ids[train.item].tolist() == ["x", "x"]
    with pytest.raises(ArgumentError, match="no sequence of interactions has 9 steps"):
        leave_last_out(log, min_steps=9)


def test_a_moment_splits_for_all_users_alike():
    log = Interactions.from_pandas(frame([("a", "x", 1), ("a", "y", 5), ("b", "x", 4)]), time="time")
    train, test = split_at(log, 4)
    assert train.time.tolist() == [1]
    assert test.time.tolist() == [5, 4]
    with pytest.raises(ArgumentError, match="leaves one side empty"):
        split_at(log, 0)
    with pytest.raises(ArgumentError, match="has no times"):
        split_at(Interactions.from_pandas(frame([("a", "x", 1)])), 1)


def test_data_are_made_smaller_and_keep_their_ids():
    rows = [("a", "x", 0), ("a", "y", 1), ("a", "x", 2), ("b", "x", 0), ("c", "z", 0), ("c", "x", 1)]
    log = Interactions.from_pandas(frame(rows, ("user", "item", "basket")), basket="basket")
    frequent = frequent_items(log, 2)
    assert set(log.item_ids[frequent.item]) == {"x"}
    assert frequent.step.tolist() == [0, 1, 0, 0]
    assert last_steps(log, 1).item_ids[last_steps(log, 1).item].tolist() == ["x", "x", "x"]
    assert set(long_histories(log, 2).user) == {0, 2}
    small = compact(first_users(long_histories(log, 2), 1))
    assert small.user_ids.tolist() == ["a"]
    assert small.item_ids.tolist() == ["x", "y"]


# Files


def test_baskets_as_json_are_read_with_what_came_next(tmp_path):
    (tmp_path / "history.json").write_text('{"1": [[-1], [5, 3], [3], [-1]], "2": [[-1], [9], [-1]]}')
    (tmp_path / "future.json").write_text('{"1": [[-1], [7], [-1]]}')
    log = read_baskets(tmp_path / "history.json", tmp_path / "future.json")
    assert log.user_ids.tolist() == ["1", "2"]
    assert log.item_ids[log.item[log.user == 0]].tolist() == [5, 3, 3, 7]
    assert log.step.tolist() == [0, 0, 1, 2, 0]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("[]", "no baskets"),
        ('{"1": 3}', "user '1': no list of baskets"),
        ('{"1": [["a"]]}', "user '1': no basket"),
        ('{"1": [[-1], [-1]]}', "none with an item"),
    ],
)
def test_json_that_holds_no_baskets_is_one_error(tmp_path, text, complaint):
    (tmp_path / "baskets.json").write_text(text)
    with pytest.raises(DataError, match=complaint):
        read_baskets(tmp_path / "baskets.json")


def test_a_csv_file_is_read_and_its_line_is_named(tmp_path):
    file = tmp_path / "log.csv"
    file.write_text("who,what,when\nb,007,2\na,7,1\n\na,8,\n")
    with pytest.raises(DataError, match=r"log\.csv, line 5, column 'when'"):
        Interactions.read(file, user="who", item="what", time="when")
    file.write_text("who,what,when\nb,007,2\na,7,1\n")
    log = Interactions.read(file, user="who", item="what", time="when")
    assert log.item_ids.tolist() == ["007", "7"]
