"""Published formats: what the files say is what the interactions say; what is damaged is refused in one sentence."""

import gzip
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irworks.errors import DataError
from rec_unlearn.data import (
    SENSITIVE_AISLES,
    DuplicateRowsWarning,
    Interactions,
    read_diginetica,
    read_instacart,
    read_movielens,
    read_recbole,
    read_yoochoose,
)

RECBOLE = "user_id:token\titem_id:token\trating:float\ttimestamp:float\nb\tx 1\t4\t20\na\ty\t5\t7\nb\ty\t1\t3.5\n"
UDATA = "196\t242\t3\t881250949\n186\t302\t5\t891717742\n196\t302\t1\t881250940\n"
RATINGS_DAT = UDATA.replace("\t", "::")
RATINGS_CSV = "userId,movieId,rating,timestamp\n" + UDATA.replace("\t", ",").replace(",3,", ",3.5,")
CLICKS = (
    "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,S\n"
    "2,2014-04-07T13:56:37.614Z,214662742,0\n1,2014-04-07T10:50:00.000Z,214536502,0\n"
)
VIEWS = (
    "sessionId;userId;itemId;timeframe;eventdate\n"
    "1;NA;81766;526309;2016-05-09\n1;NA;31331;1031018;2016-05-09\n2;17;31331;5;2016-05-10\n"
)
INSTACART = {
    "orders.csv": "order_id,user_id,eval_set,order_number,order_dow,order_hour_of_day,days_since_prior_order\n"
    "20,1,prior,2,3,7,15.0\n10,1,prior,1,2,8,\n30,1,train,3,4,9,20.0\n40,2,prior,1,1,1,\n50,2,test,2,1,1,4.0\n",
    "order_products__prior.csv": "order_id,product_id,add_to_cart_order,reordered\n"
    "20,7,1,0\n10,8,1,0\n10,7,2,1\n40,9,1,0\n",
    "order_products__train.csv": "order_id,product_id,add_to_cart_order,reordered\n30,9,1,1\n",
    "products.csv": "product_id,product_name,aisle_id,department_id\n"
    '7,"Ale, ""strong""",27,5\n8,Cookies,61,19\n9,Spirits,124,5\n10,Never sold,61,19\n',
    "aisles.csv": "aisle_id,aisle\n27,beers coolers\n61,cookies cakes\n124,spirits\n",
}
READERS = [
    (read_recbole, "a.inter", RECBOLE),
    (read_movielens, "u.data", UDATA),
    (read_movielens, "ratings.dat", RATINGS_DAT),
    (read_movielens, "ratings.csv", RATINGS_CSV),
    (read_yoochoose, "yoochoose-clicks.dat", CLICKS),
    (read_diginetica, "train-item-views.csv", VIEWS),
]


def written(folder, name, text):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def triples(log):
    return [
        (user, item, time)
        for user, item, time in zip(log.user_ids[log.user], log.item_ids[log.item], log.time, strict=True)
    ]


def instacart(folder, **changes):
    for name, text in INSTACART.items():
        if (text := changes.get(name.split(".")[0], text)) is not None:
            written(folder, name, text)
    return folder


def test_recbole_files_are_read_by_their_typed_header(tmp_path):
    log = read_recbole(written(tmp_path, "a.inter", RECBOLE))
    assert triples(log) == [("a", "y", 7.0), ("b", "y", 3.5), ("b", "x 1", 20.0)]
    packed = tmp_path / "a.inter.gz"
    packed.write_bytes(gzip.compress(RECBOLE.encode()))
    assert triples(read_recbole(packed)) == triples(log)
    assert read_recbole(tmp_path / "a.inter", time=None).time is None
    plain = written(tmp_path, "b.inter", "s:token\titem_id:token\n07\t1\n7\t2\n")
    other = read_recbole(plain, user="s")
    assert other.time is None
    assert other.user_ids.tolist() == ["07", "7"]


TOKENS = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"], exclude_characters='"'), min_size=1)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(TOKENS, TOKENS, st.integers(-(2**40), 2**40)), min_size=1, unique_by=lambda row: row[2]),
    st.booleans(),
)
def test_what_is_written_for_recbole_is_read(tmp_path, rows, windows):
    end = "\r\n" if windows else "\n"
    lines = ["timestamp:float\titem_id:token\tuser_id:token", *(f"{time}\t{item}\t{user}" for user, item, time in rows)]
    log = read_recbole(written(tmp_path, "a.inter", end.join(lines) + end))
    # Ids are integers if all are written as such.
    found = [(str(user), str(item), int(time)) for user, item, time in triples(log)]
    assert sorted(found) == sorted(rows)
    assert all(np.diff(log.time)[np.diff(log.user) == 0] > 0)


@pytest.mark.parametrize(("name", "text"), [row[1:] for row in READERS[1:4]])
def test_movielens_is_told_from_its_first_line(tmp_path, name, text):
    path = written(tmp_path, name, text)
    everything = [(186, 302, 891717742.0), (196, 302, 881250940.0), (196, 242, 881250949.0)]
    assert triples(read_movielens(path)) == everything
    assert triples(read_movielens(path, min_rating=3)) == [everything[0], everything[2]]
    with pytest.raises(DataError, match=r"no rating is high enough \(found 'the highest is 5'"):
        read_movielens(path, min_rating=5.5)


def test_instacart_has_baskets_and_the_products_of_its_aisles(tmp_path):
    log, categories = read_instacart(instacart(tmp_path))
    table = log.to_pandas()
    baskets = table.groupby(["user", "step"])["item"].apply(sorted).to_dict()
    assert baskets == {(1, 0): [7, 8], (1, 1): [7], (1, 2): [9], (2, 0): [9]}
    assert categories["beers coolers"] == [7]
    assert categories["cookies cakes"] == [8, 10]
    assert categories["alcohol"] == [7, 9]
    assert categories["meat"] == []
    assert set(SENSITIVE_AISLES) <= set(categories)


def test_yoochoose_sessions_are_sorted_by_time(tmp_path):
    log = read_yoochoose(written(tmp_path, "yoochoose-clicks.dat", CLICKS))
    start = pd.Timestamp("2014-04-07T10:50:00Z").timestamp()
    assert [item for user, item, _ in triples(log) if user == 1] == [214536502, 214536502, 214536500]
    assert log.time[0] == start
    assert log.time[1] == pytest.approx(start + 69.277)


def test_diginetica_adds_the_time_in_the_session_to_the_date(tmp_path):
    log = read_diginetica(written(tmp_path, "v.csv", VIEWS))
    day = pd.Timestamp("2016-05-09").timestamp()
    assert triples(log) == [
        (1, 81766, pytest.approx(day + 526.309)),
        (1, 31331, pytest.approx(day + 1031.018)),
        (2, 31331, pytest.approx(day + 86400.005)),
    ]
    again = written(tmp_path, "w.csv", VIEWS.replace("sessionId", "session_id").replace("itemId", "item_id"))
    assert triples(read_diginetica(again)) == triples(log)


@pytest.mark.parametrize(
    ("reader", "text", "message"),
    [
        (read_recbole, RECBOLE.replace("item_id:token", "item_id"), r"line 1|row 1.*no typed field in place 2"),
        (read_recbole, RECBOLE.replace("user_id:token", "user_id:float"), r"row 1.*'user_id:float'.*user_id:token"),
        (read_recbole, RECBOLE.replace("item_id", "user_id"), r"row 1.*two fields have one name"),
        (read_recbole, RECBOLE.replace("\t7\n", "\tnoon\n"), r"line 3.*not a number.*'noon'"),
        (read_recbole, RECBOLE.replace("\t7\n", "\tinf\n"), r"line 3.*not a finite number"),
        (read_recbole, RECBOLE.replace("a\ty", "a\t"), r"line 3.*an id is missing"),
        (read_recbole, RECBOLE.replace("a\ty\t5", "a\ty"), r"line 3"),
        (read_movielens, UDATA.replace("186\t", ""), r"line 2"),
        (read_movielens, UDATA.replace("302\t5", "302\tfive"), r"line 2.*'five'"),
        (read_movielens, "\n" + UDATA.replace("186", "x"), r"line 3.*not a number.*'x'"),
        (read_movielens, RATINGS_DAT.replace("186", "1.5"), r"line 2.*not an integer"),
        (read_movielens, RATINGS_CSV.replace("186", ""), r"line 3.*userId"),
        (read_movielens, "user,item\n1,2\n", r"row 1.*no ratings of MovieLens"),
        (read_yoochoose, CLICKS.replace("2014-04-07T13", "2014-14-07T13"), r"line 3"),
        (read_yoochoose, CLICKS.replace(",214662742,0", ",214662742"), r"line 3"),
        (read_yoochoose, CLICKS.replace("214662742", "item"), r"line 3.*'item'"),
        (read_diginetica, VIEWS.replace("2016-05-10", "soon"), r"line 4.*not a date.*'soon'"),
        (read_diginetica, VIEWS.replace("itemId", "product"), r"a column is missing"),
        (read_diginetica, VIEWS.replace(";5;", ";;"), r"line 4.*timeframe"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, reader, text, message):
    with pytest.raises(DataError) as caught:
        reader(written(tmp_path, "some.csv", text))
    assert re.search(message, str(caught.value)), caught.value
    assert "some.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"orders": None}, r"orders\.csv: no such file"),
        ({"order_products__train": "order_id,product_id\n31,9\n"}, r"train\.csv, line 2.*no such order.*31"),
        ({"order_products__prior": "order_id,product_id\n10,x\n"}, r"prior\.csv, line 2.*'x'"),
        ({"orders": INSTACART["orders.csv"].replace("10,1", "20,1")}, r"orders\.csv, line 3.*stands twice"),
        ({"aisles": "aisle_id,aisle\n27,beers coolers\n124,spirits\n"}, r"products\.csv, line 3.*no such aisle.*61"),
        ({"products": "product_id,aisle\n"}, r"products\.csv, column 'aisle_id'"),
    ],
)
def test_an_instacart_folder_that_does_not_fit_together_is_refused(tmp_path, changes, message):
    with pytest.raises(DataError, match=message):
        read_instacart(instacart(tmp_path, **changes))


@pytest.mark.parametrize(("reader", "name", "text"), READERS, ids=[name for _, name, _ in READERS])
def test_what_is_absent_empty_or_a_folder_is_refused(tmp_path, reader, name, text):
    with pytest.raises(DataError, match="no such file"):
        reader(tmp_path / name)
    with pytest.raises(DataError, match="empty"):
        reader(written(tmp_path, name, ""))
    with pytest.raises(DataError, match="folder"):
        reader(tmp_path)
    with pytest.raises(DataError):
        reader(written(tmp_path, name + ".gz", text))


@pytest.mark.filterwarnings("ignore", category=DuplicateRowsWarning)
@pytest.mark.parametrize(("reader", "name", "text"), READERS, ids=[name for _, name, _ in READERS])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_but_breaks_nothing(tmp_path, reader, name, text, data):
    content = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["change", "cut", "insert", "repeat"]))
        if kind == "change":
            content[place] = data.draw(st.sampled_from([0, 9, 10, 13, 34, 44, 45, 46, 48, 57, 58, 59, 101, 128, 255]))
        elif kind == "cut":
            del content[place:]
        elif kind == "insert":
            content[place:place] = data.draw(
                st.sampled_from([b"9" * 30, b"\xff\xfe", b"\n\n", b"nan", b"::", b"\t", b'"'])
            )
        else:
            content[place:place] = content[:place]
        content = content or bytearray(b"\n")
    path = written(tmp_path, name, bytes(content))
    refusal = None
    try:
        log = reader(path)
    except DataError as error:
        refusal = error
    assert (name in str(refusal)) if refusal else (isinstance(log, Interactions) and len(log) > 0)
