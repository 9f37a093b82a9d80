"""Tables as they stand in CSV and Parquet files, read so that ids keep their meaning.

For the readers of click logs, score tables and the like: read the file here, then check its columns with
`irworks.data.columns`.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irworks.data.columns import Place, line_of_row
from irworks.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["csv_delimiter", "is_parquet", "one_line", "read_csv", "read_parquet", "scan_parquet"]


def is_parquet(file: Path) -> bool:
    """Whether a file is Parquet rather than CSV, by its name.

    Raises:
        DataError: It is neither.
    """
    suffix = file.suffix if file.suffix != ".gz" else Path(file.stem).suffix
    if suffix in {".parquet", ".pq"}:
        return True
    if suffix in {".csv", ".tsv", ".txt"}:
        return False
    raise DataError("not a table by its name", source=file, found=suffix, expected=".parquet, .csv, .tsv or .csv.gz")


def csv_delimiter(file: Path) -> str:
    """A tab for `.tsv` and `.tsv.gz`, else a comma."""
    return "\t" if ".tsv" in file.suffixes else ","


def read_csv(file: Path, ids: Sequence[str]) -> "pd.DataFrame":
    """Read a CSV file.

    Args:
        file: The file.
        ids: Columns of ids. They become integers only if all of them are written as integers are (not as 007), so that
            no two ids become one.

    Raises:
        DataError: The file is missing, empty or malformed.
    """
    import pyarrow as pa
    from pyarrow import csv

    if not file.is_file():
        raise DataError("no such file", source=file)
    parse = csv.ParseOptions(delimiter=csv_delimiter(file))
    convert = csv.ConvertOptions(
        column_types={name: pa.string() for name in ids}, strings_can_be_null=True, null_values=[""]
    )
    try:
        table = csv.read_csv(file, parse_options=parse, convert_options=convert)
    except (pa.ArrowInvalid, OSError, EOFError) as error:
        raise _unreadable_csv(file, parse, convert, error) from None
    for place, name in enumerate(table.column_names):
        if name in ids:
            table = table.set_column(place, name, _narrowed(table.column(place)))
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _narrowed(column: Any) -> Any:
    """Strings as integers where that loses nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for kind in (pa.int64(), pa.uint64()):
        try:
            integers = pc.cast(column, kind)
        except pa.ArrowInvalid:
            continue
        if pc.all(pc.equal(pc.cast(integers, pa.string()), column)).as_py() is not False:
            return integers
    return column


def _unreadable_csv(file: Path, parse: Any, convert: Any, error: Exception) -> DataError:
    import pyarrow as pa
    from pyarrow import csv

    if "Empty CSV file" in str(error):
        return Place(file.name).empty()
    try:
        # Slower, but alone the one that counts rows.
        options = csv.ReadOptions(use_threads=False)
        csv.read_csv(file, read_options=options, parse_options=parse, convert_options=convert)
    except (pa.ArrowInvalid, OSError, EOFError) as detailed:
        error = detailed
    counted = re.search(r"Row #(\d+): (.*)", one_line(error))
    if counted is None:
        return DataError(f"not a readable CSV file: {one_line(error)}", source=file.name)
    line = line_of_row(file, int(counted[1]) - 2)
    return DataError(f"not a readable CSV file: {counted[2]}", source=file.name, row=f"line {line}")


def read_parquet(file: Path) -> "pd.DataFrame":
    """Read a Parquet file, or a folder of them.

    Raises:
        DataError: The file is missing, truncated or not Parquet.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not file.exists():
        raise DataError("no such file", source=file)
    try:
        # As objects: integers beside nulls would become floats, and large ids others.
        frame: pd.DataFrame = pq.read_table(file).to_pandas(integer_object_nulls=True)
        return frame
    except (pa.ArrowException, OSError) as error:
        raise _unreadable_parquet(file, error) from None


def scan_parquet(file: Path, batch_rows: int) -> "Iterator[pd.DataFrame]":
    """Read a Parquet file in parts of about `batch_rows` rows.

    Raises:
        DataError: As `read_parquet`; or the file has no row.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not file.is_file():
        raise DataError("no such file", source=file)
    try:
        with pq.ParquetFile(file) as parquet:
            if parquet.metadata.num_rows == 0:
                raise Place(file.name).empty()
            for batch in parquet.iter_batches(batch_size=batch_rows):
                yield batch.to_pandas(integer_object_nulls=True)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable_parquet(file, error) from None


def _unreadable_parquet(file: Path, error: Exception) -> DataError:
    return DataError(
        f"not a readable Parquet file: {one_line(error)}",
        source=file.name,
        hint="It may be truncated or still being written",
    )


def one_line(error: Exception) -> str:
    """The first line of an error's message."""
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
