"""A summary that is larger than memory, block by block of users."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from irworks.errors import DataError
from recgaze.data.files import scan_table
from recgaze.data.naming import normalized
from recgaze.data.schema import SUMMARY

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["blocks_of_users", "with_those_left"]


def blocks_of_users(path: Path, users_per_block: int) -> "Iterator[pd.DataFrame]":
    """The rows of a Parquet summary in blocks of whole users.

    Raises:
        DataError: The rows of a user are not together.
    """
    import pandas as pd

    rows: pd.DataFrame | None = None
    came: dict[str, None] = {}
    for part in scan_table(path, SUMMARY):
        part = normalized(part).astype({"UserID": str})
        _require_together(part["UserID"], came, path)
        rows = part if rows is None else pd.concat([rows, part], ignore_index=True)
        order = pd.unique(rows["UserID"])
        # The last user may go on in the next part.
        while len(order) > users_per_block:
            chosen = rows["UserID"].isin(order[:users_per_block])
            yield _block(rows[chosen])
            rows, order = rows[~chosen], order[users_per_block:]
    if rows is not None and len(rows):
        yield _block(rows)


def with_those_left(blocks: "Iterator[pd.DataFrame]", left: set[str]) -> "Iterator[pd.DataFrame]":
    """The blocks, and an empty one at the end if users in `left`, from which those of the blocks are taken, remain."""
    empty = None
    for block in blocks:
        left -= set(block["UserID"])
        empty = block.iloc[:0]
        yield block
    if left and empty is not None:
        yield empty.astype({"UserID": "category"})


def _require_together(ids: "pd.Series[str]", came: dict[str, None], path: Path) -> None:
    """Raise a DataError for a user who comes back; `came` holds all that came before, in their order."""
    runs = ids[ids != ids.shift()].tolist()
    # What a part begins with may go on from the part before.
    goes_on = bool(came) and next(reversed(came)) == runs[0]
    for user in runs[goes_on:]:
        if user in came:
            raise DataError("the rows of a user are not together", source=path.name, column="UserID", found=user)
        came[user] = None


def _block(rows: "pd.DataFrame") -> "pd.DataFrame":
    return rows.astype({"UserID": "category"}).reset_index(drop=True)
