"""`Interactions`: who used what, in which order."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from irworks.errors import ArgumentError, DataError

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

__all__ = ["Interactions", "UnknownIdError"]

IntArray = NDArray[np.int32]
LongArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


class UnknownIdError(ArgumentError):
    """A user, an item or a category that the interactions do not know."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """Interactions of users with items, sorted by user and time.

    A user has one or more *sequences* (sessions; one, where the input names none), a sequence has *steps* (baskets, or
    single events), and a step has rows. Codes stay what they are when rows are removed, so that a model can be asked
    about the log with and without them; an item without rows is one that nobody uses any more.

    Attributes:
        user: int32 [n], code of each row's user; rows of a user stand together.
        item: int32 [n], code of each row's item.
        sequence: int32 [n], which sequence a row is in, from 0, ascending.
        step: int32 [n], which step of its sequence, ascending within the sequence; numbers may be left out.
        time: float64 [n] seconds since 1970 or whatever the input counts, ascending within a sequence; None without.
        user_ids: [n_users], the original id of each code.
        item_ids: [n_items], the original id of each code.
        name: What to call the data in messages.
    """

    user: IntArray
    item: IntArray
    sequence: IntArray
    step: IntArray
    user_ids: NDArray[Any]
    item_ids: NDArray[Any]
    time: FloatArray | None = None
    name: str = "interactions"

    def __post_init__(self) -> None:
        for name in ("user", "item", "sequence", "step"):
            column = np.asarray(getattr(self, name))
            if column.shape != (len(self.user),) or not np.issubdtype(column.dtype, np.integer):
                raise DataError(
                    f"{name} is no column of codes",
                    source=self.name,
                    found=f"{column.dtype} {column.shape}",
                    expected=f"integers [{len(self.user)}]",
                )
            object.__setattr__(self, name, column.astype(np.int32, copy=False))
        self._check_codes("user", self.user, len(self.user_ids))
        self._check_codes("item", self.item, len(self.item_ids))
        if self.time is not None:
            object.__setattr__(self, "time", np.asarray(self.time, dtype=np.float64))
        self._check_order()

    def _check_codes(self, name: str, codes: IntArray, n: int) -> None:
        bad = np.flatnonzero((codes < 0) | (codes >= n))
        if len(bad):
            raise DataError(
                f"a code of {name} has no id",
                source=self.name,
                row=int(bad[0]),
                column=name,
                found=int(codes[bad[0]]),
                expected=f"codes from 0 to {n - 1}",
            )

    def _check_order(self) -> None:
        same_user = np.diff(self.user) == 0
        same = np.diff(self.sequence) == 0
        wrong = (np.diff(self.user) < 0) | (np.diff(self.sequence) < 0) | (same & ~same_user)
        wrong |= same & (np.diff(self.step) < 0)
        if wrong.any():
            raise DataError(
                "rows are not sorted by user, sequence and step",
                source=self.name,
                row=int(np.flatnonzero(wrong)[0]) + 1,
                hint="Interactions.from_pandas sorts",
            )

    # -- sizes

    @property
    def n_users(self) -> int:
        """Users with an id, whether or not they have rows left."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """Items with an id, whether or not they have rows left."""
        return len(self.item_ids)

    def __len__(self) -> int:
        return len(self.user)

    def __repr__(self) -> str:
        return f"Interactions({self.name!r}, rows={len(self):,}, users={self.n_users:,}, items={self.n_items:,})"

    # -- ids

    def user_code(self, user: object) -> int:
        """The code of a user.

        Raises:
            UnknownIdError: There is none with this id.
        """
        return self._code(self._user_places, "user", user)

    def item_code(self, item: object) -> int:
        """The code of an item.

        Raises:
            UnknownIdError: There is none with this id.
        """
        return self._code(self._item_places, "item", item)

    def _code(self, places: dict[Any, int], kind: str, wanted: object) -> int:
        try:
            found = places.get(wanted)
        except TypeError:
            raise ArgumentError(f"{wanted!r} is no id of a {kind}; expected one value") from None
        if found is None:
            other = places.get(str(wanted)) if not isinstance(wanted, str) else _numeric(places, wanted)
            hint = f"; ids of {kind}s are {type(next(iter(places), '')).__name__} here" if other is not None else ""
            raise UnknownIdError(f"{self.name} has no {kind} {wanted!r}{hint}")
        return found

    @cached_property
    def _user_places(self) -> dict[Any, int]:
        return {value: code for code, value in enumerate(self.user_ids.tolist())}

    @cached_property
    def _item_places(self) -> dict[Any, int]:
        return {value: code for code, value in enumerate(self.item_ids.tolist())}

    # -- views

    @cached_property
    def user_offsets(self) -> LongArray:
        """int64 [n_users + 1]: the rows of user u are `user_offsets[u]:user_offsets[u + 1]`."""
        return np.searchsorted(self.user, np.arange(self.n_users + 1)).astype(np.int64)

    @cached_property
    def active_users(self) -> IntArray:
        """int32, codes of the users that have rows."""
        return np.flatnonzero(np.diff(self.user_offsets)).astype(np.int32)

    @cached_property
    def active_items(self) -> BoolArray:
        """Bool [n_items], which items have rows."""
        return np.bincount(self.item, minlength=self.n_items) > 0

    @cached_property
    def has_order(self) -> bool:
        """Whether anything follows anything: a sequence has two steps."""
        return bool(((np.diff(self.sequence) == 0) & (np.diff(self.step) != 0)).any())

    def rows_of(self, users: ArrayLike) -> LongArray:
        """int64, the rows of users, in the order of the users given."""
        codes = np.asarray(users, dtype=np.int64)
        starts, counts = self.user_offsets[codes], np.diff(self.user_offsets)[codes]
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.asarray(np.repeat(starts, counts) + within)

    def items_of(self, user: int) -> IntArray:
        """int32, the items of one user, each once, ascending."""
        return np.unique(self.item[self.user_offsets[user] : self.user_offsets[user + 1]])

    def matrix(self, users: ArrayLike | None = None) -> "sparse.csr_array":
        """How often each user used each item: float64 [n_users or len(users), n_items], sparse."""
        from scipy import sparse

        codes = np.arange(self.n_users) if users is None else np.asarray(users, dtype=np.int64)
        rows = self.rows_of(codes)
        counts = np.diff(self.user_offsets)[codes]
        owner = np.repeat(np.arange(len(codes)), counts)
        table = sparse.coo_array((np.ones(len(rows)), (owner, self.item[rows])), shape=(len(codes), self.n_items))
        return table.tocsr()

    # -- changes

    def keep(self, rows: ArrayLike) -> Self:
        """The same users and items with some of the rows.

        Args:
            rows: bool [n], which rows stay, or their places, ascending.
        """
        chosen = np.asarray(rows)
        time = None if self.time is None else self.time[chosen]
        return replace(
            self,
            user=self.user[chosen],
            item=self.item[chosen],
            sequence=self.sequence[chosen],
            step=self.step[chosen],
            time=time,
        )

    def of_users(self, users: ArrayLike) -> Self:
        """The same users and items with the rows of some users."""
        chosen = np.zeros(self.n_users, dtype=bool)
        chosen[np.asarray(users, dtype=np.int64)] = True
        return self.keep(chosen[self.user])

    def without(
        self,
        *,
        users: Iterable[object] = (),
        items: Iterable[object] = (),
        pairs: Iterable[tuple[object, object]] = (),
    ) -> Self:
        """The same users and items without the rows of users, of items, and of (user, item) pairs, by their ids.

        Raises:
            UnknownIdError: One of them is not known.
        """
        gone_users = np.zeros(self.n_users, dtype=bool)
        gone_users[[self.user_code(user) for user in users]] = True
        gone_items = np.zeros(self.n_items, dtype=bool)
        gone_items[[self.item_code(item) for item in items]] = True
        keys = [self.user_code(user) * self.n_items + self.item_code(item) for user, item in pairs]
        gone = gone_users[self.user] | gone_items[self.item]
        gone |= np.isin(self.user.astype(np.int64) * self.n_items + self.item, keys)
        return self.keep(~gone)

    def renumbered(self) -> Self:
        """The same rows with steps and sequences counted without gaps."""
        sequence = _counted(self.sequence, np.zeros(len(self), dtype=bool))
        return replace(self, sequence=sequence, step=_steps(sequence, self.step))

    # -- in and out

    @classmethod
    def from_pandas(
        cls,
        frame: "pd.DataFrame",
        *,
        user: str = "user",
        item: str = "item",
        time: str | None = None,
        basket: str | None = None,
        session: str | None = None,
        name: str = "interactions",
    ) -> "Interactions":
        """Check and sort a table with a row an interaction; see `rec_unlearn.data.frames.from_pandas`."""
        from rec_unlearn.data.frames import from_pandas

        return from_pandas(frame, user=user, item=item, time=time, basket=basket, session=session, name=name)

    @classmethod
    def read(cls, path: str | Path, **columns: Any) -> "Interactions":
        """Read a CSV or Parquet file with a row an interaction; see `rec_unlearn.data.readers.read_interactions`."""
        from rec_unlearn.data.readers import read_interactions

        return read_interactions(path, **columns)

    def to_pandas(self) -> "pd.DataFrame":
        """A table with the columns user, item, session, step, and time where it is known, with the original ids."""
        import pandas as pd

        columns: dict[str, Any] = {
            "user": self.user_ids[self.user],
            "item": self.item_ids[self.item],
            "session": self.sequence,
            "step": self.step,
        }
        if self.time is not None:
            columns["time"] = self.time
        return pd.DataFrame(columns)


def _numeric(places: dict[Any, int], text: str) -> int | None:
    try:
        return places.get(int(text))
    except ValueError:
        return None


def _counted(keys: IntArray, restart: BoolArray) -> IntArray:
    """Number runs of equal keys from 0; a run also begins where `restart` says."""
    begins = np.concatenate([[False], (np.diff(keys) != 0) | restart[1:]]) if len(keys) else restart
    return np.asarray(np.cumsum(begins), dtype=np.int32)


def _steps(sequence: IntArray, step: IntArray) -> IntArray:
    """Steps of each sequence, from 0 and without gaps."""
    if not len(sequence):
        return step
    begins = np.concatenate([[True], np.diff(sequence) != 0])
    number = _counted(step, begins)
    result: IntArray = (
        number - np.repeat(number[begins], np.diff(np.append(np.flatnonzero(begins), len(step))))
    ).astype(np.int32)
    return result
