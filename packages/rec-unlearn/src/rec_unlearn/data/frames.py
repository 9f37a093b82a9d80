"""From a table with a row an interaction to `Interactions`."""

import re
import warnings
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from irworks.data.columns import Place, check_present, id_codes, numbers
from rec_unlearn.data.interactions import Interactions

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DuplicateRowsWarning", "from_frame", "from_pandas", "seconds"]


_A_TIME = "a number, or a date as in 2024-03-31 or 2024-03-31T10:00:00+02:00"
_DATE = re.compile(r"\s*\d{4}-\d{2}-\d{2}")


class DuplicateRowsWarning(UserWarning):
    """Rows that stood twice were dropped."""


def from_pandas(
    frame: "pd.DataFrame",
    *,
    user: str = "user",
    item: str = "item",
    time: str | None = None,
    basket: str | None = None,
    session: str | None = None,
    name: str = "interactions",
) -> Interactions:
    """Check and sort a table with a row an interaction.

    Users, items, baskets and sessions are ids of any type. Rows are put in the order of time where there is one, else
    they keep theirs; baskets stand in the order of their first row, or without times of their numbers or dates.
    Without baskets every row is a step of its own, also where two have the same time. A row that stands twice, in one
    basket or at one time, counts once.

    Args:
        frame: The table.
        user: Column of the user; for anonymous sessions, of the session.
        item: Column of the item.
        time: Column of numbers or dates (texts as in ISO 8601 too; without a time zone: UTC), if there is one.
        basket: Column of what is bought together, if there is one; numbered per user or over all.
        session: Column of the sessions of a user, if there is one.
        name: What to call the table in messages.

    Returns:
        The interactions, with users and items in the order of their ids.

    Raises:
        DataError: The table is empty, a column is missing, an id is missing, or a time is none: with the row.

    Warns:
        DuplicateRowsWarning: Rows were dropped: how many.
    """
    return from_frame(frame, Place(name), user=user, item=item, time=time, basket=basket, session=session)


def from_frame(
    frame: "pd.DataFrame",
    place: Place,
    *,
    user: str,
    item: str,
    time: str | None,
    basket: str | None,
    session: str | None,
) -> Interactions:
    """As `from_pandas`, with a way to speak of a row."""
    wanted = [column for column in (user, item, time, basket, session) if column]
    check_present(wanted, list(frame.columns), place.source)
    if not len(frame):
        raise place.empty()
    users, user_ids = id_codes(frame, user, place)
    items, item_ids = id_codes(frame, item, place)
    when = None if time is None else _times(frame, time, place)
    row = np.arange(len(frame))
    order_by = row.astype(np.float64) if when is None else when
    sequence = _units(frame, session, users, order_by, place) if session else np.zeros(len(frame), dtype=np.int64)
    if basket:
        steps = _units(frame, basket, users, _basket_order(frame, basket, when, row), place)
    else:
        steps = np.lexsort((row, order_by)).argsort()
    order = np.lexsort((row, order_by, steps, sequence, users))
    users, items, sequence, steps = users[order], items[order], sequence[order], steps[order]
    when = None if when is None else when[order]
    kept = _first_of_each(users, items, sequence, steps if basket else when)
    if not kept.all():
        where = f" in one {'basket' if basket else 'moment'}"
        warnings.warn(
            f"{place.source}: {int((~kept).sum()):,} rows stand twice{where} and count once",
            DuplicateRowsWarning,
            stacklevel=4,
        )
    table = Interactions(
        user=users[kept],
        item=items[kept],
        sequence=_numbered(users[kept], sequence[kept]),
        step=_numbered(steps[kept]),
        time=None if when is None else when[kept],
        user_ids=user_ids,
        item_ids=item_ids,
        name=place.source,
    )
    return table.renumbered()


def _times(frame: "pd.DataFrame", column: str, place: Place) -> NDArray[np.float64]:
    """Numbers as they are, and dates in seconds since 1970; without a time zone, they are of UTC: float64 [n]."""
    import pandas as pd

    values = frame[column]
    if values.isna().any():
        row = int(np.flatnonzero(values.isna())[0])
        raise place.error("a time is missing", row, column, "an empty value", _A_TIME)
    if not (pd.api.types.is_datetime64_any_dtype(values.dtype) or _are_dates(values)):
        found = numbers(frame, column, place, _A_TIME)
        if not np.isfinite(found).all():
            row = int(np.flatnonzero(~np.isfinite(found))[0])
            raise place.error("not a finite time", row, column, values.iloc[row], _A_TIME)
        return found
    stamps = pd.to_datetime(values, utc=True, format="ISO8601", errors="coerce")
    if stamps.isna().any():
        row = int(np.flatnonzero(stamps.isna())[0])
        raise place.error("not a date, as others are", row, column, values.iloc[row], _A_TIME)
    return seconds(stamps)


def seconds(stamps: "pd.Series[Any]") -> NDArray[np.float64]:
    """Seconds since 1970 of dates with a time zone: float64 [n]."""
    # In the unit that they have: nanoseconds end in the year 2262.
    moments = stamps.dt.tz_localize(None).to_numpy()
    in_a_second = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[np.datetime_data(moments.dtype)[0]]
    return np.asarray(moments.astype(np.int64) / in_a_second)


def _are_dates(values: "pd.Series[Any]") -> bool:
    """Whether any is a date: an object of Python's, or a text that begins as one."""
    if values.dtype.kind != "O":
        return False
    return any(
        isinstance(value, date) or (isinstance(value, str) and _DATE.match(value) is not None) for value in values
    )


def _units(
    frame: "pd.DataFrame", column: str, users: NDArray[np.int32], order_by: NDArray[np.float64], place: Place
) -> NDArray[np.int64]:
    """Number a user's baskets or sessions in the order of their first row: int64 [n]."""
    codes, ids = id_codes(frame, column, place)
    _, unit = np.unique(users.astype(np.int64) * len(ids) + codes, return_inverse=True)
    first = np.full(unit.max() + 1, np.inf)
    np.minimum.at(first, unit, order_by)
    # Units that begin together keep the order of their ids.
    return np.lexsort((np.arange(len(first)), first)).argsort()[unit]


def _basket_order(
    frame: "pd.DataFrame", column: str, when: NDArray[np.float64] | None, row: NDArray[Any]
) -> NDArray[np.float64]:
    import pandas as pd

    if when is not None:
        return when
    values = frame[column]
    if pd.api.types.is_datetime64_any_dtype(values.dtype) or pd.api.types.is_numeric_dtype(values.dtype):
        return pd.factorize(values, sort=True)[0].astype(np.float64)
    codes, ids = pd.factorize(values)
    texts = pd.Series(ids, dtype=object)
    if _are_dates(texts):
        # Of a CSV file, where baskets are read as the ids that they are.
        stamps = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
        if not stamps.isna().any():
            return np.asarray(stamps.rank(method="dense").to_numpy()[codes], dtype=np.float64)
    return row.astype(np.float64)


def _first_of_each(
    users: NDArray[Any], items: NDArray[Any], sequence: NDArray[Any], moment: NDArray[Any] | None
) -> NDArray[np.bool_]:
    """Where a (user, item, sequence, moment) stands for the first time; everywhere, where moments are not known."""
    import pandas as pd

    if moment is None:
        return np.ones(len(users), dtype=bool)
    keys = pd.DataFrame({"user": users, "item": items, "sequence": sequence, "moment": moment})
    return ~keys.duplicated().to_numpy()


def _numbered(*keys: NDArray[Any]) -> NDArray[np.int32]:
    """Number runs of equal keys from 0."""
    changes = np.zeros(len(keys[0]), dtype=bool)
    for key in keys:
        changes[1:] |= np.diff(key) != 0
    return np.cumsum(changes).astype(np.int32)
