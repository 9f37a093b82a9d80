"""Deletion requests, and what they mean for a log."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from irworks.errors import ArgumentError
from rec_unlearn.data import Interactions, UnknownIdError

__all__ = ["DeletionRequest", "EmptyRequestError", "Removal", "resolve"]

IntArray = NDArray[np.int32]
BoolArray = NDArray[np.bool_]


class EmptyRequestError(ArgumentError):
    """A request that asks for nothing that the log holds."""


@dataclass(frozen=True)
class DeletionRequest:
    """What somebody wants to be forgotten; ids are those of the log.

    Four kinds: a whole account (`user`), items of one user (`user` and `items`, or `category`), items of everybody
    (`items`, or `category`, without a user), and a list of `pairs`.

    Attributes:
        user: Whose interactions; None: everybody's.
        items: Which items; None: all of them.
        category: Items by the name of their category, in place of `items`; see `resolve`.
        pairs: (user, item) pairs, in place of all of the above.
        received: When it came in.
        deadline: When it must be done.

    Raises:
        ArgumentError: It asks for nothing, or mixes two kinds; or the deadline lies before the request.
    """

    user: object = None
    items: Sequence[object] | None = None
    category: str | None = None
    pairs: Sequence[tuple[object, object]] | None = None
    received: datetime | None = None
    deadline: datetime | None = None

    def __post_init__(self) -> None:
        if self.pairs is not None and (self.user is not None or self.items is not None or self.category is not None):
            raise ArgumentError("a request of pairs names no user, items or category beside them")
        if self.items is not None and self.category is not None:
            raise ArgumentError("a request names items or a category, not both")
        for name in ("items", "pairs"):
            values = getattr(self, name)
            if isinstance(values, str):
                raise ArgumentError(f"{name}={values!r}; expected a list")
            if values is not None and not len(values):
                raise EmptyRequestError(f"{name} is empty: the request asks for nothing; None means all")
            if values is not None:
                object.__setattr__(self, name, tuple(values))
        if self.user is None and self.items is None and self.category is None and self.pairs is None:
            raise EmptyRequestError("the request names no user, items, category or pairs: it asks for nothing")
        if self.received is not None and self.deadline is not None and self.deadline < self.received:
            raise ArgumentError(f"deadline {self.deadline} lies before the request was received, {self.received}")

    def __str__(self) -> str:
        if self.pairs is not None:
            return f"pairs {_some(self.pairs)}"
        what = "everything" if self.items is None else f"items {_some(self.items)}"
        if self.category is not None:
            what = f"category {self.category!r}"
        return f"{what} of {'everybody' if self.user is None else f'user {self.user!r}'}"


def _some(values: Sequence[object], most: int = 5) -> str:
    """Values for a message, not all of a thousand."""
    return ", ".join(map(repr, values[:most])) + (f" and {len(values) - most} more" if len(values) > most else "")


@dataclass(frozen=True, eq=False)
class Removal:
    """What requests mean for a log.

    Attributes:
        before: The log as the model knows it.
        rows: bool [n], which rows of `before` go.
    """

    before: Interactions
    rows: BoolArray = field(repr=False)

    @cached_property
    def after(self) -> Interactions:
        """The log without the rows; users and items keep their codes."""
        return self.before.keep(~self.rows)

    @cached_property
    def forgotten(self) -> Interactions:
        """The rows that go."""
        return self.before.keep(self.rows)

    @cached_property
    def users(self) -> IntArray:
        """int32, codes of the users who lose rows, ascending."""
        return np.asarray(np.unique(self.before.user[self.rows]))

    @cached_property
    def emptied_users(self) -> IntArray:
        """int32, those of `users` who have no row left."""
        return np.asarray(self.users[np.diff(self.after.user_offsets)[self.users] == 0])

    @cached_property
    def emptied_items(self) -> IntArray:
        """int32, codes of the items that nobody uses any more: they leave the catalogue."""
        return np.flatnonzero(self.before.active_items & ~self.after.active_items).astype(np.int32)

    def __len__(self) -> int:
        return int(self.rows.sum())


def resolve(
    requests: DeletionRequest | Iterable[DeletionRequest],
    log: Interactions,
    *,
    categories: Mapping[str, Iterable[Any]] | None = None,
) -> Removal:
    """Find the rows that requests ask for.

    Args:
        requests: One, or several that are served as one.
        log: The log as the model knows it.
        categories: The items of each category, by its name.

    Raises:
        ArgumentError: Something is no request, or the log is of another kind.
        UnknownIdError: The log has no such user or item, or `categories` no such category.
        EmptyRequestError: There is no request, or one of them asks for nothing that the log holds.
    """
    if not isinstance(log, Interactions):
        raise ArgumentError(
            f"log is a {type(log).__name__}; expected Interactions, as Interactions.from_pandas makes them"
        )
    every = (requests,) if isinstance(requests, DeletionRequest | str) else tuple(requests)
    if not every:
        raise EmptyRequestError("there is no request")
    for one in every:
        if not isinstance(one, DeletionRequest):
            raise ArgumentError(
                f"{one!r} is no request; expected DeletionRequest, for a user DeletionRequest(user=...)"
            )
    rows = np.zeros(len(log), dtype=bool)
    for request in every:
        found = _rows(request, log, categories or {})
        if not len(found):
            raise EmptyRequestError(f"{log.name} holds nothing of what is asked for: {request}")
        rows[found] = True
    return Removal(log, rows)


def _rows(request: DeletionRequest, log: Interactions, categories: Mapping[str, Iterable[Any]]) -> NDArray[np.int64]:
    if request.pairs is not None:
        keys = [log.user_code(user) * log.n_items + log.item_code(item) for user, item in request.pairs]
        return np.flatnonzero(np.isin(log.user.astype(np.int64) * log.n_items + log.item, keys))
    rows = np.arange(len(log)) if request.user is None else log.rows_of([log.user_code(request.user)])
    items: Iterable[object] | None = request.items
    if request.category is not None:
        if request.category not in categories:
            known = ", ".join(sorted(categories)) or "none"
            raise UnknownIdError(f"there is no category {request.category!r}; there are: {known}")
        known_items = set(log.item_ids.tolist())
        items = [item for item in categories[request.category] if item in known_items]
    if items is None:
        return rows
    wanted = np.zeros(log.n_items, dtype=bool)
    wanted[[log.item_code(item) for item in items]] = True
    return rows[wanted[log.item[rows]]]
