"""Tables to CSV and Parquet: whole or not at all, one at a time or several in parts."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irworks.errors import ArgumentError, DataError
from recgaze.data.files import BATCH_ROWS, SUFFIXES, table_paths
from recgaze.data.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = ["require_one_format", "require_table_name", "write_parts", "write_table"]


def require_one_format(folder: Path, form: str) -> None:
    """Check that a folder holds no table in another format than what is to be written: "csv" or "parquet".

    Raises:
        ArgumentError: It does.
    """
    for spec in TABLES:
        for path in table_paths(folder, spec):
            if path.exists() and path.suffix != f".{form}":
                raise ArgumentError(f"{path} is there already; write that format, or another folder")


def require_table_name(path: Path) -> None:
    """Check that the name of a file to be written says CSV or Parquet.

    Raises:
        DataError: It says neither.
    """
    if not path.name.endswith(SUFFIXES):
        raise DataError("not a table by its name", source=path, expected=", ".join(SUFFIXES))


def write_table(frame: "pd.DataFrame", path: Path) -> None:
    """Write a table as CSV or Parquet, by its name; whole or not at all. The same table gives the same bytes.

    Raises:
        DataError: The name says neither.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from irworks.runtime import atomic_path

    require_table_name(path)
    with atomic_path(path) as scratch:
        if path.suffix == ".parquet":
            table = _plain(pa.Table.from_pandas(frame, preserve_index=False))
            pq.write_table(table, scratch, row_group_size=BATCH_ROWS)
            return
        # A compressed file would else hold the time at which it was written.
        packing: Any = {"method": "gzip", "mtime": 0} if path.suffix == ".gz" else None
        frame.to_csv(scratch, index=False, lineterminator="\n", compression=packing)


def write_parts(parts: "Iterable[Mapping[str, pd.DataFrame]]", folder: Path, once: str) -> None:
    """Write tables that come in parts, each as one Parquet file; whole or not at all.

    Args:
        parts: Tables by name.
        folder: Where to write.
        once: The table that is written from the first part alone.

    Raises:
        ArgumentError: No parts.
        DataError: A part has other columns than the first.
    """
    from contextlib import ExitStack

    import pyarrow as pa
    import pyarrow.parquet as pq

    from irworks.runtime import atomic_path

    writers: dict[str, pq.ParquetWriter] = {}
    with ExitStack() as files:
        for part in parts:
            for name, frame in part.items():
                if name == once and name in writers:
                    continue
                table = _plain(pa.Table.from_pandas(frame, preserve_index=False))
                if name not in writers:
                    scratch = files.enter_context(atomic_path(folder / f"{name}.parquet"))
                    writers[name] = files.enter_context(pq.ParquetWriter(scratch, table.schema))
                if table.schema != writers[name].schema:
                    raise DataError("a part has other columns than the first", source=name)
                writers[name].write_table(table)
        if not writers:
            raise ArgumentError("no blocks; expected at least one")


def _plain(table: "pa.Table") -> "pa.Table":
    """Without what does not belong to the data: how categories were coded, and what pandas notes beside."""
    import pyarrow as pa

    kinds = [pa.string() if pa.types.is_dictionary(column.type) else column.type for column in table.schema]
    fields = [pa.field(name, kind) for name, kind in zip(table.column_names, kinds, strict=True)]
    return table.cast(pa.schema(fields))
