"""What makes a poster attractive: a free value for each key, a function of features, or values that are given."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError
from recgaze.impressions import Impressions
from recgaze.models.keys import CellKeys, Keying, KeyName, Table, distinct_rows, key_cells, match_rows, rows_of

__all__ = ["AttractionTable", "Features", "Fixed", "KeyValues", "given_keying", "named_keying"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class KeyValues:
    """Numbers of keys, as a function of impressions: for `Features` and `Fixed`.

    Attributes:
        key: How cells find their key: "movie", "genre", "user_genre" or "rating".
        table: The keys: columns [K], named as the parts of `key` ("user" and "genre" for "user_genre").
        values: float64 [K], or [K, p].

    Raises:
        ArgumentError: Columns or values that do not fit, values that are not finite, or a key that comes twice.
    """

    key: KeyName
    table: Table
    values: FloatArray

    def __post_init__(self) -> None:
        expected = ["user", "genre"] if self.key == "user_genre" else [self.key]
        if sorted(self.table) != sorted(expected):
            raise ArgumentError(f"table has the columns {sorted(self.table)}; expected {sorted(expected)}")
        table = {name: np.asarray(self.table[name]) for name in expected}
        values = np.asarray(self.values, dtype=np.float64)
        lengths = {len(column) for column in table.values()} | {len(values)}
        if len(lengths) != 1 or values.ndim not in (1, 2) or not len(values) or not np.isfinite(values).all():
            raise ArgumentError(f"values has shape {values.shape}; expected finite numbers [K] or [K, p], a row a key")
        if len(distinct_rows(list(table.values()))[0]) < len(values):
            raise ArgumentError(f"table names a {self.key} more than once; expected each key once")
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "values", values)

    def __call__(self, impressions: Impressions) -> FloatArray:
        """float64 [n, R, C] or [n, R, 1] (and [.., p]), the numbers of the cells; NaN where the key is unknown."""
        cells = key_cells(self.key, impressions)
        padded = np.concatenate([self.values, np.full((1, *self.values.shape[1:]), np.nan)])
        place = np.append(match_rows(cells.table, self.table), -1)
        return np.asarray(padded[place[cells.codes]])


@dataclass(frozen=True)
class Features:
    """Attraction as a logistic function of features, sigmoid(w x + b).

    Attributes:
        of: A function of impressions that gives float [n, R, C, p] (or [n, R, 1, p] where all positions of a carousel
            share them): `KeyValues`, or your own. A cell with a NaN is left out of the fit. Features of like spread
            suit the ridge.
    """

    of: Callable[[Impressions], ArrayLike]

    def __call__(self, impressions: Impressions) -> FloatArray:
        """float64 [n, R, C or 1, p].

        Raises:
            ArgumentError: The function gives another shape.
        """
        return _checked(self.of(impressions), impressions, "features", 4)


@dataclass(frozen=True)
class Fixed:
    """Attraction that is given, such as that of an editor's rating, of another study or of another model.

    Attributes:
        of: A function of impressions that gives float [n, R, C] (or [n, R, 1]), P(clicked | examined): `KeyValues`, the
            `attraction_of` method of a fitted model, or your own. A cell with a NaN is left out of the fit.
    """

    of: Callable[[Impressions], ArrayLike]

    def __call__(self, impressions: Impressions) -> FloatArray:
        """float64 [n, R, C or 1].

        Raises:
            ArgumentError: The function gives another shape, or numbers that are no probabilities.
        """
        values = _checked(self.of(impressions), impressions, "fixed attraction", 3)
        if ((values < 0) | (values > 1)).any():
            raise ArgumentError(
                f"the fixed attraction goes from {np.nanmin(values)} to {np.nanmax(values)}; expected 0 to 1"
            )
        return values


@dataclass(frozen=True, eq=False)
class AttractionTable:
    """Attraction by key, with what to expect of keys that were never seen.

    Attributes:
        table: The keys, columns [K].
        values: float64 [K].
        weight: float64 [K], evidence behind each value; means are weighted by it.
    """

    table: Table
    values: FloatArray
    weight: FloatArray

    @property
    def mean(self) -> float:
        """Weighted mean of all keys; their plain mean where there is no evidence at all."""
        total = float(self.weight.sum())
        return float(self.values @ self.weight / total) if total > 0 else float(self.values.mean())

    def at(self, cells: CellKeys) -> FloatArray:
        """float64, of the shape of the codes: a new user has the mean of the genre, any other new key that of all."""
        place = match_rows(cells.table, self.table)
        found = np.where(place >= 0, self.values[place], self._fallback(cells.table))
        return np.append(found, self.mean)[cells.codes]

    def _fallback(self, table: Table) -> FloatArray:
        names = list(table)
        size = len(table[names[0]])
        if len(names) < 2 or "genre" not in names:
            return np.full(size, self.mean)
        first, codes = distinct_rows([self.table["genre"]])
        total = np.bincount(codes, weights=self.weight)
        mean = np.bincount(codes, weights=self.weight * self.values) / np.where(total > 0, total, 1)
        place = match_rows({"genre": table["genre"]}, rows_of({"genre": self.table["genre"]}, first))
        return np.where((place >= 0) & (total[place] > 0), mean[place], self.mean)


def named_keying(name: KeyName) -> Keying:
    """The rule behind a name, as in `recgaze.models.keys.key_cells`."""
    return partial(key_cells, name)


def given_keying(given: Features | Fixed) -> Keying:
    """The rule by which cells with equal features, or equal given attraction, share a key.

    The columns of its tables are `x0, x1, ...`: the features, or the attraction.
    """
    return partial(_given_cells, given)


def _given_cells(given: Features | Fixed, impressions: Impressions) -> CellKeys:
    values = given(impressions)
    values = values if isinstance(given, Features) else values[..., None]
    known = np.isfinite(values).all(axis=-1)
    rows = values[known]
    first, codes = distinct_rows([rows[:, at] for at in range(rows.shape[1])])
    placed = np.full(known.shape, -1, dtype=np.int64)
    placed[known] = codes
    return CellKeys(placed, {f"x{at}": rows[first, at] for at in range(rows.shape[1])})


def _checked(values: ArrayLike, impressions: Impressions, name: str, ndim: int) -> FloatArray:
    found = np.asarray(values, dtype=np.float64)
    n, rows, columns = impressions.clicked.shape
    shapes = [(n, rows, columns), (n, rows, 1)]
    if found.ndim != ndim or found.shape[:3] not in shapes or 0 in found.shape[3:]:
        tail = ", p" if ndim == 4 else ""
        raise ArgumentError(f"{name} has shape {found.shape}; expected [{n}, {rows}, {columns} or 1{tail}]")
    if np.isinf(found).any():
        raise ArgumentError(f"{name} holds infinite values; expected finite numbers, or NaN where unknown")
    return found
