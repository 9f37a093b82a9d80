"""Which cells share one attraction: the keys of cells, as small tables that blocks of a study can be joined by.

A table is a dict of columns, each [K], a row a key: {"user": ..., "genre": ...}. A cell holds the number of its row.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from recgaze.impressions import Impressions

__all__ = [
    "KEYS",
    "CellKeys",
    "KeyName",
    "Keying",
    "Table",
    "as_blocks",
    "compact",
    "distinct_rows",
    "key_cells",
    "match_rows",
    "rows_of",
]

LongArray = NDArray[np.int64]
Table = dict[str, NDArray[Any]]
KeyName = Literal["movie", "genre", "user_genre", "rating"]
KEYS: tuple[KeyName, ...] = get_args(KeyName)


@dataclass(frozen=True, eq=False)
class CellKeys:
    """The keys of the cells of some screens.

    Attributes:
        codes: int64 [n, R, C], or [n, R, 1] where all positions of a carousel share one; a row of `table`; -1: unknown.
        table: The keys, each with at least one cell.
    """

    codes: LongArray
    table: Table


Keying = Callable[[Impressions], CellKeys]


def key_cells(name: KeyName, impressions: Impressions) -> CellKeys:
    """Keys of the cells by one of the ready-made rules.

    Args:
        name: "movie": one a film. "genre": one a genre. "user_genre": one a user and genre. "rating": one for the
            stars, 1 to 5, that the user gives the genre.
        impressions: n screens.

    Raises:
        ArgumentError: There is no such rule.
    """
    if name not in KEYS:
        raise ArgumentError(f"attraction={name!r}; expected one of {', '.join(KEYS)}, or Features, Fixed or a model")
    if name == "movie":
        present, codes = compact(impressions.movie)
        return CellKeys(codes, {"movie": present})
    genre = impressions.genre.astype(np.int64)
    if name == "rating":
        stars = impressions.rating.astype(np.int64)
        present, codes = compact(np.where(stars > 0, stars, -1))
        return CellKeys(codes[:, :, None], {"rating": present})
    names = np.asarray(impressions.genres)
    if name == "genre":
        present, codes = compact(genre)
        return CellKeys(codes[:, :, None], {"genre": names[present]})
    raw = impressions.user.astype(np.int64)[:, None] * len(names) + genre
    present, codes = compact(np.where(genre >= 0, raw, -1))
    user, of_genre = np.divmod(present, max(len(names), 1))
    return CellKeys(codes[:, :, None], {"user": np.asarray(impressions.users)[user], "genre": names[of_genre]})


def compact(codes: LongArray) -> tuple[LongArray, LongArray]:
    """Renumber codes of at least 0; negative ones become -1.

    Returns:
        int64 [K], the codes that occur, ascending; and int64, of the shape of `codes`, the places therein.
    """
    known = codes >= 0
    present, inverse = np.unique(codes[known], return_inverse=True)
    renumbered = np.full(codes.shape, -1, dtype=np.int64)
    renumbered[known] = inverse
    return present.astype(np.int64), renumbered


def distinct_rows(columns: Sequence[NDArray[Any]]) -> tuple[LongArray, LongArray]:
    """Find equal rows of a table of any column types.

    Args:
        columns: Each [N].

    Returns:
        int64 [K], one place of each distinct row, rows ascending; and int64 [N], the distinct row of each.
    """
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    first = np.zeros(min(1, len(codes)), dtype=np.int64)
    for column in columns:
        values, inverse = np.unique(column, return_inverse=True)
        # Both factors are below N, so that the product fits; renumbering keeps it so for any number of columns.
        _, first, codes = np.unique(codes * max(len(values), 1) + inverse, return_index=True, return_inverse=True)
    return first.astype(np.int64), codes.astype(np.int64)


def match_rows(table: Table, into: Table) -> LongArray:
    """int64 [K], where the rows of `table` stand in `into`; -1: nowhere. Only columns of `table` count."""
    size = len(next(iter(into.values())))
    _, codes = distinct_rows([np.concatenate([into[name], table[name]]) for name in table])
    place = np.full(int(codes.max(initial=-1)) + 1, -1, dtype=np.int64)
    place[codes[:size]] = np.arange(size)
    return place[codes[size:]]


def rows_of(table: Table, rows: NDArray[Any]) -> Table:
    """Some rows of a table."""
    return {name: column[rows] for name, column in table.items()}


def as_blocks(impressions: "Impressions | Any") -> Iterator[Impressions]:
    """Impressions, or an iterable of blocks of them, as an iterator of blocks.

    Raises:
        ArgumentError: It is neither, there is no block, or the blocks are of different grids.
    """
    blocks = [impressions] if isinstance(impressions, Impressions) else impressions
    try:
        iterator = iter(blocks)
    except TypeError:
        raise ArgumentError(
            f"impressions is a {type(impressions).__name__}; expected Impressions or an iterable of them"
        ) from None
    shape: tuple[int, int] | None = None
    for block in iterator:
        if not isinstance(block, Impressions):
            raise ArgumentError(f"a block is a {type(block).__name__}; expected Impressions")
        shape = shape or (block.rows, block.columns)
        if (block.rows, block.columns) != shape:
            raise ArgumentError(
                f"a block has {block.rows} x {block.columns} cells; expected {shape[0]} x {shape[1]} as in the first"
            )
        yield block
    if shape is None:
        raise ArgumentError("there are no impressions; expected at least one block")
