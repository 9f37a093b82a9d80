"""Readers of public data sets in the form in which they are published, and of RecBole's files."""

import gzip
import io
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from irworks.data.columns import Place, check_present, line_of_row, numbers, plain
from irworks.data.damage import one_line, refused
from irworks.data.tables import read_csv, refuse_folder
from irworks.errors import DataError
from rec_unlearn.data.frames import from_frame, seconds
from rec_unlearn.data.interactions import Interactions

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "SENSITIVE_AISLES",
    "Instacart",
    "read_diginetica",
    "read_instacart",
    "read_movielens",
    "read_recbole",
    "read_yoochoose",
]

# Of the code of arXiv 2508.17076: numbers of Instacart's aisles.
SENSITIVE_AISLES: Mapping[str, tuple[int, ...]] = {
    "alcohol": (27, 28, 62, 124, 134),
    "baby": (56, 82, 92, 102),
    "meat": (5, 15, 33, 34, 35, 49, 95, 96, 106, 122),
}

_RECBOLE_TYPES = ("token", "token_seq", "float", "float_seq")
_MALFORMED = (ValueError, OSError, EOFError, KeyError, zlib.error)
# Above it a float64 has no number for every integer.
_LARGEST = 2**53
_HEAD = 4096


class Instacart(NamedTuple):
    """Instacart's baskets.

    Attributes:
        log: Users and products by their numbers; a step is an order.
        categories: Products of each aisle, by its name, and of `SENSITIVE_AISLES`.
    """

    log: Interactions
    categories: dict[str, list[int]]


def read_recbole(
    path: str | Path, *, user: str = "user_id", item: str = "item_id", time: str | None = "timestamp"
) -> Interactions:
    """Read RecBole's `.inter`: fields separated by tabs, below a header of `name:type`.

    Args:
        path: The file; compressed if it ends with `.gz`.
        user: Field of the user, of type token.
        item: Field of the item, of type token.
        time: Field of the time, of type float, where the file has it; None: the order of rows is that of time.

    Raises:
        DataError: The file is missing or malformed, the header names no types, a field is missing or of another type,
            or a value is none: with its line.
    """
    file = Path(path)
    header = _head(file).split("\n", 1)[0].rstrip("\r")
    fields: dict[str, str] = {}
    for number, field in enumerate(header.split("\t"), start=1):
        name, _, kind = field.rpartition(":")
        if not name or kind not in _RECBOLE_TYPES:
            expected = f"name:type, with one of the types {', '.join(_RECBOLE_TYPES)}"
            raise DataError(
                f"no typed field in place {number}", source=file.name, row=1, found=field, expected=expected
            )
        if name in fields:
            raise DataError("two fields have one name", source=file.name, row=1, column=name)
        fields[name] = kind
    wanted = [(user, "token"), (item, "token"), *([(time, "float")] if time is not None and time in fields else [])]
    for name, kind in wanted:
        if fields.get(name) != kind:
            found = f"{name}:{fields[name]}" if name in fields else header
            raise DataError(
                "a field is missing or of another type", source=file.name, row=1, found=found, expected=f"{name}:{kind}"
            )
    ids = [f"{name}:token" for name in (user, item)]
    frame = read_csv(file, ids)
    place = Place(file.name, csv=file)
    moment = f"{time}:float" if time in fields else None
    check_present([*ids, *([moment] if moment else [])], list(frame.columns), file.name)
    if moment and len(frame):
        frame[moment] = _finite(frame, moment, place)
    return _log(frame, place, user=ids[0], item=ids[1], time=moment)


def read_movielens(path: str | Path, *, min_rating: float | None = None) -> Interactions:
    """Read the ratings of MovieLens: `u.data` (100k), `ratings.dat` (1m, 10m) or `ratings.csv` (20m, latest).

    Which of them is told from the first line. Users and items are integers, and a rating is an interaction.

    Args:
        path: The file.
        min_rating: Leave out what is rated lower.

    Raises:
        DataError: The file is missing or none of these, a line is malformed, or no rating is high enough.
    """
    file = Path(path)
    names = ["userId", "movieId", "rating", "timestamp"]
    first = _head(file).split("\n", 1)[0].strip()
    if first.replace('"', "").split(",") == names:
        frame, place = read_csv(file, []), Place(file.name, csv=file)
        check_present(names, list(frame.columns), file.name)
    elif (mark := next((mark for mark in ("::", "\t") if first.count(mark) == len(names) - 1), None)) is not None:
        frame, place = _headless(file, names, mark)
    else:
        expected = f"4 fields separated by tabs or ::, or the header {','.join(names)}"
        raise DataError("no ratings of MovieLens", source=file.name, row=1, found=first, expected=expected)
    frame = _integers(frame, names[:2], place)
    frame["timestamp"] = _finite(frame, "timestamp", place)
    ratings = _finite(frame, "rating", place)
    if min_rating is not None:
        rows = np.flatnonzero(ratings >= min_rating)
        if not len(rows):
            found, expected = f"the highest is {ratings.max():g}", f"some of at least {min_rating:g}"
            raise DataError("no rating is high enough", source=file.name, found=found, expected=expected)
        frame = frame.iloc[rows]
        place = Place(place.source, csv=file, rows=rows if place.rows is None else place.rows[rows])
    return _log(frame, place, user="userId", item="movieId", time="timestamp")


def read_instacart(folder: str | Path) -> Instacart:
    """Read Instacart's market baskets (2017).

    Args:
        folder: Holds orders.csv, order_products__prior.csv, order_products__train.csv, products.csv and aisles.csv.

    Raises:
        DataError: A file is missing or malformed, or names an order or an aisle that is in none: with its line.
    """
    import pandas as pd

    root = Path(folder)
    orders, place = _numbered(root / "orders.csv", ["order_id", "user_id", "order_number"])
    known = pd.Index(orders["order_id"])
    _refuse(known.duplicated(), "an order stands twice", place, "order_id", known, "each order once")
    parts = []
    for name in ("order_products__prior.csv", "order_products__train.csv"):
        part, place = _numbered(root / name, ["order_id", "product_id"])
        order = known.get_indexer(part["order_id"])
        _refuse(order < 0, "no such order", place, "order_id", part["order_id"], "one of orders.csv")
        chosen = orders.iloc[order]
        columns = {"user": chosen["user_id"], "item": part["product_id"], "basket": chosen["order_number"]}
        parts.append(pd.DataFrame({column: values.to_numpy() for column, values in columns.items()}))
    aisles, place = _numbered(root / "aisles.csv", ["aisle_id"], others=["aisle"])
    names = dict(zip(aisles["aisle_id"].tolist(), map(str, aisles["aisle"]), strict=True))
    products, place = _numbered(root / "products.csv", ["product_id", "aisle_id"])
    at = products["aisle_id"]
    _refuse(~at.isin(list(names)).to_numpy(), "no such aisle", place, "aisle_id", at, "one of aisles.csv")
    categories: dict[str, list[int]] = {name: [] for name in names.values()}
    for aisle, members in products.groupby("aisle_id")["product_id"]:
        categories[names[int(str(aisle))]] += members.tolist()
    for group, numbers_of in SENSITIVE_AISLES.items():
        categories[group] = products.loc[at.isin(numbers_of), "product_id"].tolist()
    log = _log(pd.concat(parts, ignore_index=True), Place(root.name), user="user", item="item", basket="basket")
    return Instacart(log, categories)


def read_yoochoose(path: str | Path) -> Interactions:
    """Read yoochoose-clicks.dat (RecSys challenge 2015): session, time, item, category; a user is a session.

    Times are in seconds since 1970, in UTC.

    Raises:
        DataError: The file is missing, or a line is malformed.
    """
    file = Path(path)
    first = _head(file).split("\n", 1)[0].strip()
    if first.count(",") != 3:
        raise DataError("no clicks of YooChoose", source=file.name, row=1, found=first, expected="4 fields with commas")
    frame, place = _headless(file, ["session", "time", "item", "category"], ",")
    return _log(_integers(frame, ["session", "item"], place), place, user="session", item="item", time="time")


def read_diginetica(path: str | Path) -> Interactions:
    """Read train-item-views.csv (CIKM cup 2016): a user is a session.

    Times are in seconds since 1970: the date, and the milliseconds since the session began.

    Raises:
        DataError: The file is missing, or a line is malformed.
    """
    file = Path(path)
    frame, place = read_csv(file, []), Place(file.name, csv=file)
    # Copies of the file that go round write the names otherwise.
    plain_names = [re.sub("[^a-z]", "", str(name).lower()) for name in frame.columns]
    names = ["sessionid", "itemid", "timeframe", "eventdate"]
    frame.columns = type(frame.columns)(plain_names)
    check_present(names, plain_names, file.name)
    frame = _integers(frame, names[:2], place)
    frame["time"] = _days(frame, "eventdate", place) * 86400 + _finite(frame, "timeframe", place) / 1000
    return _log(frame, place, user="sessionid", item="itemid", time="time")


# -- what readers share


def _log(
    frame: "pd.DataFrame", place: Place, *, user: str, item: str, time: str | None = None, basket: str | None = None
) -> Interactions:
    return from_frame(frame, place, user=user, item=item, time=time, basket=basket, session=None)


def _head(file: Path) -> str:
    """The first letters of a text file, without a mark of its byte order.

    Raises:
        DataError: There is no such file, it cannot be read, or it is empty.
    """
    refuse_folder(file)
    if not file.is_file():
        raise DataError("no such file", source=file)
    with refused("not a readable file", file.name), _opened(file) as text:
        head: str = text.read(_HEAD).decode("utf-8-sig", "replace")
    if not head.strip():
        raise Place(file.name).empty()
    return head.lstrip("\r\n")


def _opened(file: Path) -> Any:
    return gzip.open(file, "rb") if file.suffix.lower() == ".gz" else file.open("rb")


def _headless(file: Path, names: Sequence[str], mark: str) -> "tuple[pd.DataFrame, Place]":
    """Read lines of fields without a header and without quotes; dates become seconds since 1970."""
    import pyarrow as pa
    from pyarrow import csv

    with refused("not a readable file", file.name), _opened(file) as text:
        content = text.read()
    if len(mark) > 1:
        content = content.replace(mark.encode(), b"\t")
    # Row numbers are told by a reader in one thread alone.
    read = csv.ReadOptions(column_names=list(names), use_threads=False)
    parse = csv.ParseOptions(delimiter="\t" if len(mark) > 1 else mark, quote_char=False)
    dates = {"time": pa.timestamp("ms", tz="UTC")} if "time" in names else {}
    convert = csv.ConvertOptions(column_types={"category": pa.string(), **dates})
    try:
        table = csv.read_csv(io.BytesIO(content), read_options=read, parse_options=parse, convert_options=convert)
    except _MALFORMED as error:
        counted = re.search(r"Row #(\d+): (.*)", one_line(error))
        line = None if counted is None else f"line {line_of_row(file, int(counted[1]) - 2)}"
        problem = one_line(error) if counted is None else counted[2]
        raise DataError(f"a malformed line: {problem}", source=file.name, row=line) from None
    frame: pd.DataFrame = table.to_pandas()
    place = Place(file.name, csv=file, rows=np.arange(len(frame)) - 1)
    if dates:
        frame["time"] = _seconds(frame, "time", place)
    return frame, place


def _numbered(file: Path, columns: Sequence[str], others: Sequence[str] = ()) -> "tuple[pd.DataFrame, Place]":
    """Columns of integers of a CSV file with a header, and other columns as they are."""
    frame, place = read_csv(file, others), Place(file.name, csv=file)
    check_present([*columns, *others], list(frame.columns), file.name)
    return _integers(frame[[*columns, *others]], columns, place), place


def _integers(frame: "pd.DataFrame", columns: Sequence[str], place: Place) -> "pd.DataFrame":
    """The table with columns of integers."""
    if not len(frame):
        raise place.empty()
    found = {}
    for name in columns:
        values = numbers(frame, name, place, "an integer")
        _refuse(~(np.abs(values) <= _LARGEST), "not an integer", place, name, frame[name], f"at most {_LARGEST}")
        _refuse(values != np.rint(values), "not an integer", place, name, frame[name], "an integer")
        found[name] = values.astype(np.int64)
    return frame.assign(**found)


def _finite(frame: "pd.DataFrame", column: str, place: Place) -> NDArray[np.float64]:
    values = numbers(frame, column, place, "a number")
    _refuse(~np.isfinite(values), "not a finite number", place, column, frame[column], "a finite number")
    return values


def _days(frame: "pd.DataFrame", column: str, place: Place) -> NDArray[np.float64]:
    """Days since 1970 of a column of dates, which are dates or texts: float64 [n]."""
    return np.floor(_seconds(frame, column, place) / 86400)


def _seconds(frame: "pd.DataFrame", column: str, place: Place) -> NDArray[np.float64]:
    """Seconds since 1970 of a column of dates: float64 [n]."""
    import pandas as pd

    values = frame[column]
    if values.dtype.kind not in "OM":
        raise place.error("not a date", 0, column, plain(values.iloc[0]), "a date")
    dates = pd.to_datetime(values, errors="coerce", utc=True)
    _refuse(dates.isna().to_numpy(), "not a date", place, column, values, "a date")
    return seconds(dates)


def _refuse(bad: NDArray[np.bool_], problem: str, place: Place, column: str, values: Any, expected: str) -> None:
    """Raise a DataError for the first bad row, if there is one."""
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise place.error(problem, row, column, plain(np.asarray(values)[row]), expected)
