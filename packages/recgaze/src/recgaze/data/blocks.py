"""A summary that is larger than memory, block by block of users."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from irworks.errors import DataError
from recgaze.data.files import scan_table
from recgaze.data.schema import SUMMARY

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["blocks_of_users"]


def blocks_of_users(path: Path, users_per_block: int) -> "Iterator[pd.DataFrame]":
    """The rows of a Parquet summary in blocks of whole users."""
    import pandas as pd

    waiting: list[pd.DataFrame] = []
    done: set[str] = set()
    for part in scan_table(path, SUMMARY):
        waiting.append(part.astype({"UserID": str}))
        rows = pd.concat(waiting, ignore_index=True)
        order = pd.unique(rows["UserID"])
        # The last user may go on in the next part.
        while len(order) > users_per_block:
            chosen = rows["UserID"].isin(order[:users_per_block])
            yield _block(rows[chosen], done, path)
            rows, order = rows[~chosen], order[users_per_block:]
        waiting = [rows]
    rows = pd.concat(waiting, ignore_index=True) if waiting else pd.DataFrame()
    if len(rows):
        yield _block(rows, done, path)


def _block(rows: "pd.DataFrame", done: set[str], path: Path) -> "pd.DataFrame":
    ids = set(rows["UserID"])
    if ids & done:
        raise DataError(
            "the rows of a user are not together", source=path.name, column="UserID", found=sorted(ids & done)[0]
        )
    done |= ids
    return rows.astype({"UserID": "category"}).reset_index(drop=True)
