"""The four tables of a study from its folder: whole, or in blocks of users."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from recgaze.data.blocks import blocks_of_users, with_those_left
from recgaze.data.checks import check_tables
from recgaze.data.files import TableFile, find_table, read_table
from recgaze.data.naming import normalized
from recgaze.data.schema import CLICKS, ITEMS, SUMMARY, TABLES, USERS, Table

__all__ = ["read_study", "study_blocks"]


def read_study(folder: Path, *, normalize: bool, check: bool) -> dict[str, TableFile]:
    """The tables by name; arguments, errors and warnings as `RecGazeDataset.load`."""
    if not normalize:
        return {spec.name: read_table(find_table(folder, spec), spec) for spec in TABLES}
    files = {spec.name: _read(folder, spec) for spec in TABLES}
    if check:
        check_tables(files).accept()
    return files


def study_blocks(folder: Path, users_per_block: int) -> Iterator[dict[str, TableFile]]:
    """The tables by name, some users at a time; arguments, errors and warnings as `RecGazeDataset.stream`."""
    path = find_table(folder, SUMMARY)
    others = {spec.name: _read(folder, spec) for spec in (CLICKS, ITEMS, USERS)}
    left = set(others[USERS.name].frame["UserID"].dropna())
    for block in with_those_left(blocks_of_users(path, users_per_block), left):
        ids = block["UserID"].unique() if len(block) else sorted(left)
        files = {SUMMARY.name: TableFile(SUMMARY, block, path.name)} | others
        for name in (CLICKS.name, USERS.name):
            frame = others[name].frame
            files[name] = replace(
                others[name], frame=frame[frame["UserID"].isin(ids)].reset_index(drop=True), path=None
            )
        if len(block):
            check_tables(files).accept()
        yield files


def _read(folder: Path, spec: Table) -> TableFile:
    file = read_table(find_table(folder, spec), spec)
    return replace(file, frame=normalized(file.frame))
