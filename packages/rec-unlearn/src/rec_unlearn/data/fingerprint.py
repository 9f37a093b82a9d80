"""A few numbers that tell one log from another, so that a model knows the data it stands for."""

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from rec_unlearn.data.interactions import Interactions

__all__ = ["Fingerprint", "OtherDataWarning", "carry_over", "difference", "stand_for"]

_CACHE = "fingerprint"
_WRAP = 2**64


class OtherDataWarning(UserWarning):
    """A log is not the one that the model stands for."""


class Fingerprint(NamedTuple):
    """What rows a log has; no row can be read from it, but from two of them what lies between can be guessed.

    Digests are sums of hashes of rows, so that the order in which rows were handed in makes no difference, and that of
    what is left follows from that of the rows that go. A row is hashed by its user's id and its item's code: users may
    be numbered anew, but a model scores items by their codes. They find mistakes, and resist no forger. The difference
    of those before and after the removal of a single row is its hash, which whoever tries all users and items finds: a
    model of before a removal is to be deleted for this reason, too.

    Attributes:
        rows: How many.
        users: How many users have some.
        what: Digest of who used what, how often.
        when: Digest of the same with the place of each row's step among those of its user; numbers that are left out,
            as after a removal, count for nothing.
    """

    rows: int
    users: int
    what: int
    when: int

    @classmethod
    def of(cls, log: "Interactions") -> Self:
        """That of a log; about 30 ms for a million rows, once for a log."""
        known = log.__dict__.get(_CACHE)
        if isinstance(known, cls):
            return known
        found = cls._of_rows(log)
        # As a cached property would: the log is frozen, and so is what is said of it.
        log.__dict__[_CACHE] = found
        return found

    @classmethod
    def _of_rows(cls, log: "Interactions") -> Self:
        first = np.ones(len(log), dtype=bool)
        first[1:] = np.diff(log.user) != 0
        begin = np.flatnonzero(first)
        counts = np.diff(np.append(begin, len(log)))
        who = np.repeat(_of_ids(np.asarray(log.user_ids)[log.user[begin]]), counts)
        key = _mixed(who + log.item.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        session = np.zeros(len(log), dtype=bool)
        session[1:] = np.diff(log.sequence) != 0
        step = session.copy()
        step[1:] |= np.diff(log.step) != 0
        place = np.cumsum(step, dtype=np.int64) * 2**20 + np.cumsum(session, dtype=np.int64)
        ordered = _mixed(
            key + (place - np.repeat(place[begin], counts)).astype(np.uint64) * np.uint64(0xD1B54A32D192ED03)
        )
        return cls(len(log), len(begin), int(key.sum()), int(ordered.sum()))

    def changed(self, old: "Interactions", new: "Interactions") -> "Fingerprint":
        """What becomes of it when some of the rows become others: those rows alone are looked at.

        Args:
            old: All rows of the users concerned.
            new: What comes in their place.
        """
        gone, come = Fingerprint._of_rows(old), Fingerprint._of_rows(new)
        counts = (self.rows - gone.rows + come.rows, self.users - gone.users + come.users)
        return Fingerprint(
            *counts, (self.what - gone.what + come.what) % _WRAP, (self.when - gone.when + come.when) % _WRAP
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values; digests as texts, because JSON's numbers are too short for them."""
        return {"rows": self.rows, "users": self.users, "what": f"{self.what:016x}", "when": f"{self.when:016x}"}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """From what `to_json` gave."""
        return cls(int(values["rows"]), int(values["users"]), int(values["what"], 16), int(values["when"], 16))


def carry_over(log: "Interactions", fingerprint: Fingerprint | None) -> None:
    """Let a log have the fingerprint that it is known to have, in place of computing it."""
    if fingerprint is not None:
        log.__dict__[_CACHE] = fingerprint


def stand_for(model: object, log: "Interactions") -> None:
    """Let a model stand for a log, if it is one that knows what it stands for."""
    if getattr(model, "fingerprint_", None) is not None:
        model.fingerprint_ = Fingerprint.of(log)  # type: ignore[attr-defined]


def difference(model: object, log: "Interactions") -> str:
    """How a log differs from the one that a model stands for, as a sentence; "" if not, or if the model does not know.

    A model of one's own has no `fingerprint_`, and one from a file of an earlier version neither.
    """
    known: Fingerprint | None = getattr(model, "fingerprint_", None)
    if known is None or (found := Fingerprint.of(log)) == known:
        return ""
    if found.what == known.what:
        return (
            f"{log.name} has the rows that the model stands for, but in other steps: name the columns of time, basket "
            "and session as in training."
        )
    less = " Something was removed from the model, or its data have grown." if found.rows > known.rows else ""
    return (
        f"{log.name} has {found.rows:,} rows of {found.users:,} users; the model stands for "
        f"{'other ' if found[:2] == known[:2] else ''}{known.rows:,} of {known.users:,}: what it was trained on, less "
        f"what was removed from it.{less}"
    )


def _of_ids(ids: NDArray[Any]) -> NDArray[np.uint64]:
    """A hash of each id, whatever stands beside it in which array: integers by their value, others by their text."""
    if ids.dtype.kind in "iub":
        return _mixed(ids.astype(np.uint64) + np.uint64(1))
    from pandas.api.types import infer_dtype

    values = ids.astype(object)
    if infer_dtype(values, skipna=False) == "string":
        return _of_texts(values)
    whole = np.array([isinstance(value, int | np.integer) and -_WRAP // 2 <= value < _WRAP for value in values], bool)
    found = np.empty(len(values), dtype=np.uint64)
    found[whole] = _mixed(np.array([int(value) % _WRAP for value in values[whole]], np.uint64) + np.uint64(1))
    found[~whole] = _of_texts(np.array([str(value) for value in values[~whole]], dtype=object))
    return found


def _of_texts(texts: NDArray[Any]) -> NDArray[np.uint64]:
    from pandas.util import hash_array

    return np.asarray(hash_array(texts, categorize=False), dtype=np.uint64)


def _mixed(key: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64, on integers that wrap around."""
    with np.errstate(over="ignore"):
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))
