"""Reader of MovieLens ratings, from files that the user has: their licence forbids to pass them on."""

import gzip
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import DataError

__all__ = ["Ratings", "read_movielens"]

LongArray = NDArray[np.int64]

MAX_RATING = 5.0


@dataclass(frozen=True, eq=False)
class Ratings:
    """Who rated what, one rating for each (user, item) pair.

    Attributes:
        user: int32 [n], index into `user_ids`.
        item: int32 [n], index into `item_ids`.
        rating: float32 [n], above 0 and up to 5 stars.
        timestamp: int64 [n], seconds since 1970.
        user_ids: int64 [n_users], original ids, ascending.
        item_ids: int64 [n_items], original ids, ascending; items without a rating are not among them.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    rating: NDArray[np.float32]
    timestamp: LongArray
    user_ids: LongArray
    item_ids: LongArray

    def __len__(self) -> int:
        return len(self.rating)

    @property
    def n_users(self) -> int:
        """Number of users."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Number of items that have a rating."""
        return len(self.item_ids)

    def __repr__(self) -> str:
        return f"Ratings({len(self):,} ratings of {self.n_items:,} items by {self.n_users:,} users)"


@dataclass(frozen=True)
class _Format:
    """How one of the published files is written."""

    separator: str
    header: bool
    columns: tuple[str, str, str, str]


_PLAIN = ("user", "item", "rating", "timestamp")
_FORMATS = {
    "u.data": _Format("\t", False, _PLAIN),
    "ratings.dat": _Format("::", False, _PLAIN),
    "ratings.csv": _Format(",", True, ("userId", "movieId", "rating", "timestamp")),
}
_NAMES = ", ".join(_FORMATS)
_NUMBER = {name: re.compile(r"[+-]?(\d+\.?\d*|\.\d+)" if name == "rating" else r"-?\d{1,18}") for name in _PLAIN}
_KIND = {name: "a number" if name == "rating" else "a whole number" for name in _PLAIN}
_EXPECTED_RATING = f"a rating above 0 and up to {MAX_RATING:g}"


def read_movielens(path: str | Path) -> Ratings:
    """Read the ratings of a MovieLens data set.

    Args:
        path: `u.data` (100K: `user <tab> item <tab> rating <tab> timestamp`), `ratings.dat` (1M, 10M:
            `user::movie::rating::timestamp`) or `ratings.csv` (later sets, with a header), any of them gzipped; a
            folder or zip archive that holds one of them, such as the published `ml-1m.zip`.

    Returns:
        The ratings, in the order of the file.

    Raises:
        DataError: No such file in `path`, or a line that breaks the format, is out of range or rates a pair for the
            second time: with its line and column.
    """
    source = Path(path)
    if not source.exists():
        raise DataError("no such file or folder", source=source, hint="Get MovieLens from https://grouplens.org")
    file = _file_in(source) if source.is_dir() else source
    name, text = _contents(file)
    return _parse(text, _FORMATS[name], file)


def _file_in(folder: Path) -> Path:
    for name in _FORMATS:
        for file in (folder / name, folder / f"{name}.gz"):
            if file.is_file():
                return file
    raise DataError("the folder holds no ratings", source=folder, expected=f"one of {_NAMES}")


def _contents(source: Path) -> tuple[str, bytes]:
    """Which of the files it is, and its bytes."""
    try:
        if source.suffix == ".zip":
            return _from_zip(source)
        name = source.name.removesuffix(".gz")
        if name not in _FORMATS:
            raise DataError("not a MovieLens file by its name", source=source, expected=f"one of {_NAMES}")
        return name, gzip.decompress(source.read_bytes()) if source.suffix == ".gz" else source.read_bytes()
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(f"not readable: {error}", source=source) from None


def _from_zip(source: Path) -> tuple[str, bytes]:
    with zipfile.ZipFile(source) as archive:
        for member in archive.namelist():
            name = member.rsplit("/", 1)[-1]
            if name in _FORMATS:
                return name, archive.read(member)
    raise DataError("the archive holds no ratings", source=source, expected=f"one of {_NAMES}")


def _parse(text: bytes, layout: _Format, source: Path) -> Ratings:
    try:
        columns = _columns(text, layout)
    except ValueError as error:
        raise _malformed(text, layout, source, str(error)) from None
    user, item, rating, timestamp = columns
    if len(rating) == 0:
        raise DataError("the file is empty", source=source, expected="a rating on each line")
    if not ((rating > 0) & (rating <= MAX_RATING)).all():
        raise _malformed(text, layout, source, "a rating is out of range")
    user_ids, user_codes = np.unique(user, return_inverse=True)
    item_ids, item_codes = np.unique(item, return_inverse=True)
    twice = _first_repeated(user_codes * len(item_ids) + item_codes)
    if twice is not None:
        raise DataError(
            "a user rates an item for the second time",
            source=source,
            row=f"line {_line_of(text, layout, twice)}",
            column=layout.columns[1],
            found=f"user {user[twice]}, item {item[twice]}",
            expected="one rating for each pair",
        )
    codes = (user_codes.astype(np.int32), item_codes.astype(np.int32))
    return Ratings(*codes, rating.astype(np.float32), timestamp, user_ids, item_ids)


def _columns(text: bytes, layout: _Format) -> tuple[Any, Any, Any, Any]:
    """The columns as int64, int64, float64, int64 [n].

    Raises:
        ValueError: Some line is malformed; the caller finds out which.
    """
    import pyarrow as pa
    from pyarrow import csv

    if not text.strip():
        return np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0)
    kinds = dict(zip(layout.columns, (pa.int64(), pa.int64(), pa.float64(), pa.int64()), strict=True))
    separator = layout.separator
    if len(separator) > 1:
        # The parser knows separators of one character; a line that had one already is malformed, and must stay so.
        text = text.replace(b"\t", b"\t\t").replace(separator.encode(), b"\t")
        separator = "\t"
    try:
        table = csv.read_csv(
            io.BytesIO(text),
            read_options=csv.ReadOptions(column_names=None if layout.header else list(kinds)),
            parse_options=csv.ParseOptions(delimiter=separator, quote_char=False),
            convert_options=csv.ConvertOptions(column_types=kinds, null_values=[]),
        )
    except pa.ArrowInvalid as error:
        raise ValueError(str(error)) from None
    if table.column_names != list(kinds):
        raise ValueError(f"the columns are {', '.join(table.column_names)}")
    user, item, rating, timestamp = (table.column(name).to_numpy() for name in kinds)
    return user, item, rating, timestamp


def _first_repeated(keys: LongArray) -> int | None:
    """The first place whose key stood at an earlier one."""
    order = np.argsort(keys, kind="stable")
    again = order[1:][keys[order[1:]] == keys[order[:-1]]]
    return int(again.min()) if len(again) else None


def _numbered_lines(text: bytes, layout: _Format) -> "list[tuple[int, str]]":
    """The lines with a rating, and their numbers from 1."""
    lines = text.decode("utf-8-sig", errors="replace").split("\n")
    filled = [(number, line.rstrip("\r")) for number, line in enumerate(lines, start=1) if line.strip("\r")]
    return filled[1:] if layout.header else filled


def _line_of(text: bytes, layout: _Format, row: int) -> int:
    return _numbered_lines(text, layout)[row][0]


def _malformed(text: bytes, layout: _Format, source: Path, problem: str) -> DataError:
    """The error for the first bad line, looked for slowly."""
    header = text.decode("utf-8-sig", errors="replace").split("\n", 1)[0].strip()
    if layout.header and header != ",".join(layout.columns):
        expected = ",".join(layout.columns)
        return DataError("the header is another", source=source, row="line 1", found=header, expected=expected)
    for number, line in _numbered_lines(text, layout):
        fields = line.split(layout.separator)
        place: dict[str, Any] = {"source": source, "row": f"line {number}"}
        if len(fields) != len(_PLAIN):
            expected = f"{len(_PLAIN)} fields with {layout.separator!r} between them"
            return DataError("a line has the wrong number of fields", **place, found=line, expected=expected)
        for field, column, name in zip(fields, layout.columns, _PLAIN, strict=True):
            if not _NUMBER[name].fullmatch(field.strip(" ")):
                return DataError("not a number", **place, column=column, found=field, expected=_KIND[name])
        if not 0 < float(fields[2]) <= MAX_RATING:
            column = layout.columns[2]
            return DataError("out of range", **place, column=column, found=fields[2], expected=_EXPECTED_RATING)
    return DataError(f"not readable as ratings: {problem}", source=source)
