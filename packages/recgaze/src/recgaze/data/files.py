"""Tables from and to CSV and Parquet: columns found under their several names, numbers as numbers, whole files."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irworks.errors import DataError
from recgaze.data.naming import canonical_columns, did_you_mean
from recgaze.data.schema import Column, Table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from irworks.data.columns import Place

__all__ = [
    "SUFFIXES",
    "TableFile",
    "find_table",
    "read_table",
    "scan_table",
    "table_paths",
]

SUFFIXES = (".parquet", ".csv", ".csv.gz")
# What the published files, pandas and R write for a missing value.
MISSING = ["", "NA", "NaN", "nan", "N/A", "<NA>", "None", "null"]
BATCH_ROWS = 1 << 18


@dataclass(frozen=True, eq=False)
class TableFile:
    """A table as it was read.

    Attributes:
        spec: What it should be.
        frame: Columns under their published names, others behind them: text as categories, whole numbers as Int64.
        source: Name of the file.
        path: The file; None for a table that never was one.
        renamed: For each published name, the column of the file, where they differ.
    """

    spec: Table
    frame: "pd.DataFrame"
    source: str
    path: Path | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)

    def place(self) -> "Place":
        """How to speak of a row: by its line, where every row of the file is one line."""
        from irworks.data.columns import Place

        csv = self.path if self.path is not None and not self._spans_lines() else None
        return Place(self.source, csv=csv)

    def _spans_lines(self) -> bool:
        import gzip

        assert self.path is not None
        if self.path.suffix == ".parquet":
            return True
        with gzip.open(self.path) if self.path.suffix == ".gz" else self.path.open("rb") as lines:
            return sum(bool(line.strip(b"\r\n")) for line in lines) != len(self.frame) + 1


def table_paths(folder: Path, spec: Table) -> list[Path]:
    """Where a table can stand in a folder."""
    return [folder / f"{spec.name}{suffix}" for suffix in SUFFIXES]


def find_table(folder: Path, spec: Table) -> Path:
    """The file of a table: `<name>.parquet`, `<name>.csv` or `<name>.csv.gz`.

    Raises:
        DataError: There is none, or there are several.
    """
    if folder.is_file():
        raise DataError("a file, not a folder", source=folder, hint="Name the folder that the four tables stand in")
    if not folder.is_dir():
        raise DataError("no such folder", source=folder)
    found = [path for path in table_paths(folder, spec) if path.is_file()]
    if len(found) == 1:
        return found[0]
    here = ", ".join(path.name for path in found) or ", ".join(sorted(path.name for path in folder.iterdir())[:8])
    raise DataError(
        "a table is missing" if not found else "a table stands there several times",
        source=folder,
        found=here or "an empty folder",
        expected=f"one of {', '.join(spec.name + suffix for suffix in SUFFIXES)}",
    )


def read_table(path: Path, spec: Table) -> TableFile:
    """Read a whole table.

    Raises:
        DataError: The file is malformed, lacks a column or has one twice, or a number is none: with its line.
    """
    columns = _matched(_column_names(path), spec, path.name)
    table = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    frame = _frame(table, columns, spec, path)
    return TableFile(spec, frame, path.name, path, {name: raw for name, raw in columns.items() if name != raw})


def scan_table(path: Path, spec: Table) -> Iterator["pd.DataFrame"]:
    """Read a Parquet table in parts of some hundred thousand rows.

    Raises:
        DataError: As `read_table`; or the file is not Parquet.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.suffix != ".parquet":
        raise DataError("only Parquet is read in parts", source=path, expected=f"{spec.name}.parquet")
    columns = _matched(_column_names(path), spec, path.name)
    with pq.ParquetFile(path) as parquet:
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS):
            yield _frame(pa.Table.from_batches([batch]), columns, spec, path)


# -- columns ----------------------------------------------------------------------------------------------------------


def _column_names(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    try:
        if path.suffix == ".parquet":
            return list(pq.read_schema(path).names)
        with csv.open_csv(path, parse_options=_parse_options()) as reader:
            return list(reader.schema.names)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        if "Empty CSV file" in str(error):
            raise DataError("the table is empty", source=path.name, found="no header") from None
        raise _unreadable(path, error) from None


def _matched(names: list[str], spec: Table, source: str) -> dict[str, str]:
    """The column of the file for each published name that it has."""
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError("several columns have one name", source=source, column=twice, expected="one of this name")
    candidates = canonical_columns(names, spec)
    for name, found in candidates.items():
        if len(found) > 1:
            raise DataError(
                "several columns can be one",
                source=source,
                column=name,
                found=", ".join(found),
                expected="one of them",
                hint=f"Keep one and call it {name}",
            )
    # Who has one column of the cursor has to have those that say where it was, and for how long.
    groups = {column.group for column in spec.columns if column.group and column.name in candidates}
    for column in spec.columns:
        if (column.required or column.group in groups) and column.name not in candidates:
            raise _missing(column, names, spec, source)
    # In the published order.
    return {column.name: candidates[column.name][0] for column in spec.columns if column.name in candidates}


def _missing(column: Column, names: list[str], spec: Table, source: str) -> DataError:
    hint: str | None
    if len(names) == 1 and (separator := next((one for one in ";\t|" if one in names[0]), None)):
        hint = f"The columns seem to be separated by {separator!r}; expected commas"
    else:
        hint = did_you_mean(column.name, [name for name in names if name not in spec.by_name])
    found = f"{len(names)} other columns"
    return DataError("a column is missing", source=source, column=column.name, found=found, hint=hint)


# -- reading ----------------------------------------------------------------------------------------------------------


def _parse_options() -> Any:
    from pyarrow import csv

    return csv.ParseOptions(newlines_in_values=True)


def _read_parquet(path: Path) -> "pa.Table":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> DataError:
    from irworks.data.damage import one_line

    with path.open("rb") as file:
        wide = path.suffix == ".csv" and b"\0" in file.read(64)
    if wide or isinstance(error, UnicodeDecodeError) or "UTF8" in str(error):
        return DataError("not UTF-8 text", source=path.name, hint="Save it as CSV in UTF-8")
    return DataError(f"not a readable table: {one_line(error)}", source=path.name)


def _read_csv(path: Path) -> "pa.Table":
    """Everything as text: what should be a number is looked at afterwards, where a bad one can be named."""
    import pyarrow as pa
    from pyarrow import csv

    names = _column_names(path)
    convert = csv.ConvertOptions(
        column_types={name: pa.dictionary(pa.int32(), pa.string()) for name in names},
        null_values=MISSING,
        strings_can_be_null=True,
    )
    try:
        return csv.read_csv(path, parse_options=_parse_options(), convert_options=convert)
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from None


def _frame(table: "pa.Table", columns: Mapping[str, str], spec: Table, path: Path) -> "pd.DataFrame":
    """Columns of the table in the published order and types, others behind them as they are."""
    import pandas as pd

    taken = set(columns.values())
    parts: dict[str, Any] = {}
    for name, raw in columns.items():
        parts[name] = _typed(table.column(raw), spec.by_name[name], path)
    for raw in table.column_names:
        if raw not in taken:
            parts[raw] = _categories(table.column(raw))
    return pd.DataFrame(parts)


def _typed(values: "pa.ChunkedArray", column: Column, path: Path) -> Any:
    import pandas as pd
    import pyarrow as pa

    kinds = pa.types
    text = kinds.is_dictionary(values.type) or kinds.is_string(values.type) or kinds.is_large_string(values.type)
    number = kinds.is_integer(values.type) or kinds.is_floating(values.type) or kinds.is_null(values.type)
    if not (text or number):
        found = f"values of type {values.type}"
        raise DataError(
            "a column of another type", source=path.name, column=column.name, found=found, expected=column.expected
        )
    if column.kind == "text":
        return _categories(values if text else values.cast(pa.string()))
    if text:
        return _numbers_from_text(_categories(values), column, path)
    if kinds.is_integer(values.type) and column.kind == "integer":
        return values.to_pandas(types_mapper={values.type: pd.Int64Dtype()}.get).astype("Int64")
    return _whole(values.to_pandas().astype("float64"), column, path)


def _categories(values: "pa.ChunkedArray") -> Any:
    """Texts as categories in alphabetical order, so that equal tables have equal categories."""
    import pandas as pd
    import pyarrow as pa

    if not pa.types.is_dictionary(values.type):
        if not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
            return values.to_pandas()
        values = values.dictionary_encode()
    series = pd.Series(values.unify_dictionaries().combine_chunks().to_pandas())
    return series.cat.reorder_categories(sorted(series.cat.categories))


def _numbers_from_text(values: Any, column: Column, path: Path) -> Any:
    """Numbers by way of the distinct texts."""
    import numpy as np
    import pandas as pd

    read = _integer if column.kind == "integer" else _number
    distinct = [read(text) for text in values.cat.categories]
    bad = np.array([one is None for one in distinct] + [False])
    codes = values.cat.codes.to_numpy()
    if bad.any():
        row = int(np.flatnonzero(bad[codes])[0])
        raise _bad_cell(values, row, column, path, _what_is_wrong(values.iloc[row], column))
    if column.kind == "number":
        return pd.Series(np.append(np.array(distinct, dtype=np.float64), np.nan)[codes])
    whole = np.append(np.array(distinct, dtype=np.int64), np.int64(0))[codes]
    return pd.Series(pd.arrays.IntegerArray(whole, codes < 0))


def _what_is_wrong(text: str, column: Column) -> str:
    found = _number(text)
    if found is None or column.kind != "integer":
        return "not a number"
    return "not a whole number" if found != math.floor(found) else "a whole number beyond 64 bits"


def _number(text: str) -> float | None:
    """The finite number that a text is, if it is one."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _integer(text: str) -> int | None:
    """The whole number that a text is, if it is one of 64 bits: exactly, `7.0` included."""
    found = _number(text)
    if found is None or found != math.floor(found):
        return None
    try:
        whole = int(text)
    except ValueError:
        whole = int(found)
    return whole if -(2**63) <= whole < 2**63 else None


def _whole(numbers: Any, column: Column, path: Path) -> Any:
    import numpy as np

    if column.kind == "number":
        return numbers
    # Beyond 2^53 a floating-point number no longer says which whole number it was.
    broken = (numbers.notna() & ((numbers != np.floor(numbers)) | (numbers.abs() > 2.0**53))).to_numpy()
    if broken.any():
        raise _bad_cell(numbers, int(np.flatnonzero(broken)[0]), column, path, "not a whole number")
    return numbers.astype("Int64")


def _bad_cell(values: Any, row: int, column: Column, path: Path, problem: str) -> DataError:
    place = TableFile(Table(path.stem, ()), values.to_frame(), path.name, path).place()
    return place.error(problem, row, column.name, values.iloc[row], column.expected)
