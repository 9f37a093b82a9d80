"""Tables as they stand in CSV and Parquet files, read so that ids keep their meaning.

For the readers of click logs, score tables and the like: read the file here, then check its columns with
`irworks.data.columns`.
"""

import contextlib
import csv as python_csv
import gzip
import re
import threading
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from irworks.data.columns import Place
from irworks.data.damage import closed, one_line, refused
from irworks.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["csv_delimiter", "is_parquet", "read_csv", "read_parquet", "read_table", "refuse_folder", "scan_parquet"]

# Of which `pyarrow.ArrowInvalid` and `UnicodeDecodeError` are kinds of `ValueError`.
_MALFORMED = (ValueError, OSError, EOFError, zlib.error)
_NOT_PARQUET = "not a readable Parquet file"
# A header is looked for in so much of a file.
_HEADER_BYTES = 1 << 16
_CUT_SHORT = "It may be truncated or still being written"
_TOO_LARGE = "Of a click log, scan_click_log reads one part after another; or the file is damaged"
_NOT_UTF8 = "Save it in UTF-8; or read it with pandas.read_csv(encoding=...) and pass the frame"
# A number as half of Europe writes it; dots are not told from those that group thousands.
_DECIMAL_COMMA = r"[+-]?(\d+|\d*,\d+)([eE][+-]?\d+)?"
# What is a number with three decimals to one half, and one of thousands to the other.
_THOUSANDS = r"[+-]?[1-9]\d{0,2},\d{3}"
# Arrow takes a row that is longer than this, or one of several lines that is cut by the end of it, for a broken one.
_LONG_BLOCK = 1 << 27
_FIELD_LIMIT = threading.Lock()


def is_parquet(file: Path) -> bool:
    """Whether a file is Parquet rather than CSV, by its name.

    Raises:
        DataError: It is neither.
    """
    suffix = (file.suffix if file.suffix.lower() != ".gz" else Path(file.stem).suffix).lower()
    if suffix in {".parquet", ".pq"}:
        return True
    if suffix in {".csv", ".tsv", ".txt"}:
        return False
    raise DataError("not a table by its name", source=file, found=suffix, expected=".parquet, .csv, .tsv or .csv.gz")


def refuse_folder(file: Path) -> None:
    """Raise a DataError for a folder in the place of a table, but for one of Parquet files, by its name."""
    if file.is_dir() and file.suffix.lower() not in (".parquet", ".pq"):
        raise DataError("a folder, and no table", source=file, expected="a file: .parquet, .csv, .tsv or .csv.gz")


def read_table(file: Path, ids: Sequence[str] = ()) -> "tuple[pd.DataFrame, Place]":
    """Read CSV or Parquet, by the name of the file.

    Args:
        file: The file.
        ids: Columns of a CSV file that hold ids, for which see `read_csv`.

    Returns:
        The table, and how to speak of its rows.

    Raises:
        DataError: The name says neither, or as `read_csv` and `read_parquet`.
    """
    refuse_folder(file)
    if is_parquet(file):
        return read_parquet(file), Place(file.name)
    return read_csv(file, ids), Place(file.name, csv=file)


def csv_delimiter(file: Path) -> str:
    """What to write between fields: a tab for `.tsv` and `.tsv.gz`, else a comma."""
    return "\t" if ".tsv" in [suffix.lower() for suffix in file.suffixes] else ","


def read_csv(file: Path, ids: Sequence[str]) -> "pd.DataFrame":
    """Read a CSV file in UTF-8.

    Fields are separated by commas, in `.tsv` by tabs; where the header has no comma, by the semicolons or tabs that it
    has instead, and then numbers may have a decimal comma. A column in which every comma may as well group thousands,
    as in 1,000, stays text.

    Args:
        file: The file.
        ids: Columns of ids. They become integers only if all of them are written as integers are (not as 007), so that
            no two ids become one.

    Raises:
        DataError: The file is missing, empty or malformed.
        PermissionError: It may not be read.
    """
    import pyarrow as pa
    from pyarrow import csv

    refuse_folder(file)
    if not file.is_file():
        raise DataError("no such file", source=file)
    delimiter = _delimiter(file)
    parse = csv.ParseOptions(delimiter=delimiter)
    convert = csv.ConvertOptions(
        column_types={name: pa.string() for name in ids}, strings_can_be_null=True, null_values=[""]
    )
    table = _parsed(file, parse, convert)
    names = _names(table, file)
    if delimiter != ",":
        commas = {name: _commas(table.column(i)) for i, name in enumerate(names) if name not in ids}
        if "decimal" in commas.values():
            convert.decimal_point = ","
            convert.column_types |= {name: pa.string() for name, use in commas.items() if use == "either"}
            table = _parsed(file, parse, convert)
    if any(pa.types.is_binary(column.type) for column in table.columns):
        raise _not_utf8(file)
    if any(_holds_line_break(column) for column in table.columns):
        _line_of_record(file, delimiter)
    for place, name in enumerate(names):
        if name in ids:
            table = table.set_column(place, name, _narrowed(table.column(place)))
    return _to_frame(table, integer_object_nulls=False)


def _delimiter(file: Path) -> str:
    """What stands between the names of the header.

    Raises:
        DataError: The file is in UTF-16.
    """
    opened = gzip.open if file.suffix.lower() == ".gz" else open
    try:
        with opened(file, "rb") as text:
            header = re.split(rb"[\r\n]", text.read(_HEADER_BYTES).lstrip(b"\r\n"), maxsplit=1)[0]
    except _MALFORMED:
        # What is wrong is told where the file is read.
        return csv_delimiter(file)
    if header.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError("not UTF-8 text", source=file.name, found="UTF-16", hint=_NOT_UTF8)
    usual = csv_delimiter(file).encode()
    others = [mark for mark in (b";", b"\t", b",") if mark in header and mark != usual]
    return (usual if usual in header or not others else max(others, key=header.count)).decode()


def _parsed(file: Path, parse: Any, convert: Any) -> Any:
    """The table of a CSV file, whose quoted texts may have several lines and be longer than a block.

    Raises:
        DataError: The file is empty or malformed.
        PermissionError: It may not be read.
    """
    from pyarrow import csv

    with contextlib.suppress(*_MALFORMED):
        return csv.read_csv(file, parse_options=parse, convert_options=convert)
    # Again: asked for from the start it would cost every file a sixth more, and few need it.
    parse.newlines_in_values = True
    try:
        return csv.read_csv(
            file,
            read_options=csv.ReadOptions(block_size=_LONG_BLOCK),
            parse_options=parse,
            convert_options=convert,
        )
    except PermissionError:
        raise closed(file) from None
    except _MALFORMED as error:
        raise _unreadable_csv(file, parse, convert, error) from None


def _names(table: Any, file: Path) -> list[str]:
    try:
        return list(table.column_names)
    except UnicodeDecodeError:
        raise _not_utf8(file) from None


def _commas(column: Any) -> Literal["none", "decimal", "either"]:
    """What the commas in a column of numbers are; none where there is none, or some text is no number."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_string(column.type):
        return "none"
    numbers = pc.match_substring_regex(column, f"^{_DECIMAL_COMMA}$")
    with_comma = column.filter(pc.match_substring(column, ","))
    if not len(with_comma) or not pc.all(numbers, min_count=1).as_py():
        return "none"
    return "either" if pc.all(pc.match_substring_regex(with_comma, f"^{_THOUSANDS}$")).as_py() else "decimal"


def _holds_line_break(column: Any) -> bool:
    """Whether one of the texts of a column has several lines."""
    import pyarrow as pa

    if not (pa.types.is_string(column.type) or pa.types.is_binary(column.type)):
        return False
    texts = (chunk.buffers()[2] for chunk in column.chunks)
    return any(b"\n" in text or b"\r" in text for text in (data.to_pybytes() for data in texts if data is not None))


def _line_of_record(file: Path, delimiter: str, number: int | None = None) -> int:
    """The line at which a record begins, the header being the first; without a number, of the end.

    Raises:
        DataError: A quoted field before it does not end: it takes in the lines after it, and Arrow lets it pass.
    """
    opened = gzip.open if file.suffix.lower() == ".gz" else open
    begin = 1
    with opened(file, "rt", encoding="utf-8", errors="replace", newline="") as text, _fields_of_any_length():
        rows = python_csv.reader(text, delimiter=delimiter, strict=True)
        try:
            seen = 0
            for record in rows:
                seen += bool(record)
                if seen == number:
                    return begin
                begin = rows.line_num + 1
        except python_csv.Error as error:
            raise DataError(
                "a quoted field does not end where it should",
                source=file.name,
                row=f"line {begin}",
                found=str(error),
                expected='a closing quote before the next delimiter, and quotes within the field doubled ("")',
            ) from None
    return begin


@contextlib.contextmanager
def _fields_of_any_length() -> Iterator[None]:
    """Python's reader refuses texts longer than 131,072 characters, by a limit that all its users share."""
    with _FIELD_LIMIT:
        usual = python_csv.field_size_limit()
        # What a C long holds everywhere.
        python_csv.field_size_limit(max(usual, 2**31 - 1))
        try:
            yield
        finally:
            python_csv.field_size_limit(usual)


def _narrowed(column: Any) -> Any:
    """Strings as integers where that loses nothing: not beside nulls, which would make them floats."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count:
        return column
    for kind in (pa.int64(), pa.uint64()):
        try:
            integers = pc.cast(column, kind)
        except pa.ArrowInvalid:
            continue
        if pc.all(pc.equal(pc.cast(integers, pa.string()), column)).as_py() is not False:
            return integers
    return column


def _unreadable_csv(file: Path, parse: Any, convert: Any, error: Exception) -> DataError:
    from pyarrow import csv

    if "Empty CSV file" in str(error):
        return Place(file.name).empty()
    try:
        # Slower, but alone the one that counts rows.
        options = csv.ReadOptions(use_threads=False, block_size=_LONG_BLOCK)
        csv.read_csv(file, read_options=options, parse_options=parse, convert_options=convert)
    except _MALFORMED as detailed:
        error = detailed
    if isinstance(error, UnicodeDecodeError) or "invalid UTF8" in str(error):
        return _not_utf8(file)
    counted = re.search(r"Row #(\d+): (.*)", one_line(error))
    if counted is None:
        return DataError(f"not a readable CSV file: {one_line(error)}", source=file.name)
    line = _line_of_record(file, parse.delimiter, int(counted[1]))
    return DataError(f"not a readable CSV file: {counted[2]}", source=file.name, row=f"line {line}")


def _not_utf8(file: Path) -> DataError:
    return DataError("not UTF-8 text", source=file.name, row=_first_line_of_other_text(file), hint=_NOT_UTF8)


def _first_line_of_other_text(file: Path) -> str | None:
    """The first line that is no UTF-8, where it can be found."""
    opened = gzip.open if file.suffix.lower() == ".gz" else open
    with contextlib.suppress(*_MALFORMED), opened(file, "rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not _is_utf8(line):
                return f"line {number}"
    return None


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def read_parquet(file: Path) -> "pd.DataFrame":
    """Read a Parquet file, or a folder of them.

    Raises:
        DataError: The file is missing, truncated or not Parquet, or larger than memory.
        PermissionError: It may not be read.
    """
    import pyarrow.parquet as pq

    if not file.exists():
        raise DataError("no such file", source=file)
    with refused(_NOT_PARQUET, file.name, hint=_CUT_SHORT, too_large=_TOO_LARGE):
        return _checked_frame(pq.read_table(file, page_checksum_verification=True))


def scan_parquet(file: Path, batch_rows: int) -> "Iterator[pd.DataFrame]":
    """Read a Parquet file in parts of about `batch_rows` rows.

    Raises:
        DataError: As `read_parquet`; or the file has no row, or is a folder or a table of another kind.
        PermissionError: It may not be read.
    """
    import pyarrow.parquet as pq

    if not file.exists():
        raise DataError("no such file", source=file)
    if not is_parquet(file):
        raise DataError("only Parquet is read in parts", source=file, found=file.suffix, expected="a .parquet file")
    if file.is_dir():
        raise DataError("a folder, which is not read in parts", source=file, expected="one of its Parquet files")
    with refused(_NOT_PARQUET, file.name, hint=_CUT_SHORT):
        parquet = pq.ParquetFile(file, page_checksum_verification=True)
    with parquet:
        if parquet.metadata.num_rows == 0:
            raise Place(file.name).empty()
        batches = parquet.iter_batches(batch_size=batch_rows)
        missing = parquet.metadata.num_rows
        while (frame := _next_frame(batches, file)) is not None:
            missing -= len(frame)
            yield frame
        if missing:
            # Arrow takes a column that ends early for the end of the file.
            raise DataError(
                f"{_NOT_PARQUET}: {abs(missing)} rows too {'few' if missing > 0 else 'many'}",
                source=file.name,
                expected=f"{parquet.metadata.num_rows}, as its footer says",
                hint=_CUT_SHORT,
            )


def _next_frame(batches: "Iterator[Any]", file: Path) -> "pd.DataFrame | None":
    import pyarrow as pa

    # Not around the whole loop: what the caller raises between two parts is no fault of the file.
    with refused(_NOT_PARQUET, file.name, hint=_CUT_SHORT, too_large="Read smaller parts; or the file is damaged"):
        batch = next(batches, None)
        return None if batch is None else _checked_frame(pa.Table.from_batches([batch]))


def _checked_frame(table: Any) -> "pd.DataFrame":
    # Arrow trusts the file: texts that are no UTF-8 would fail where they are used.
    table.validate(full=True)
    # As objects: integers beside nulls would become floats, and large ids others.
    return _to_frame(table, integer_object_nulls=True)


def _to_frame(table: Any, *, integer_object_nulls: bool) -> "pd.DataFrame":
    """An Arrow table for pandas: an index that was written beside the columns is a column as the others are."""
    # Numbered on the way: of two columns with one name, pandas would make the second what the first is. Dates are not
    # made objects, because Python has none for the year 0.
    numbered = table.rename_columns([str(place) for place in range(table.num_columns)])
    frame: pd.DataFrame = numbered.to_pandas(
        integer_object_nulls=integer_object_nulls, ignore_metadata=True, date_as_object=False
    )
    return frame.set_axis(table.column_names, axis=1)
