"""`RemovalRecord`: proof of what was removed, when and how, without the data that was removed."""

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irworks.errors import DataError, IrworksError
from rec_unlearn.requests import DeletionRequest
from rec_unlearn.service.durable import Journal, remove, sync_folder

__all__ = ["RemovalRecord", "SaltDestroyedError", "Verification"]

_START = "0" * 64


class SaltDestroyedError(IrworksError):
    """Whether somebody was removed cannot be told any more, as the record means to allow."""


@dataclass(frozen=True)
class Verification:
    """Whether a record is as it was written.

    Attributes:
        lines: How many are whole and in their place, from the first.
        head: Hash of the last of them.
        problem: What is wrong with the next one, or "".
    """

    lines: int
    head: str
    problem: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem

    @property
    def broken_at(self) -> int | None:
        """Number of the first wrong line, from 1."""
        return None if self.ok else self.lines + 1

    def __str__(self) -> str:
        if self.ok:
            return f"{self.lines} lines, each following from the one before; head {self.head[:16]}"
        return f"broken at line {self.broken_at}: {self.problem}"


class RemovalRecord:
    """JSON lines, each with the hash of the one before.

    Users and items stand in it as HMAC-SHA256 under a salt that is kept in a file apart. While the salt is there, one
    can ask whether somebody was removed; once it is destroyed, nobody can, and the chain still verifies. A later entry
    gets a new salt.

    Args:
        path: The record.
        salt: The file of the salt; by default `salt` beside the record.
    """

    def __init__(self, path: str | Path, salt: str | Path | None = None) -> None:
        self.path = Path(path)
        self.salt_path = self.path.with_name("salt") if salt is None else Path(salt)
        self._journal = Journal(self.path, encode=_to_line, decode=_from_line)
        self._head = _START
        self._subjects: dict[str, set[str]] = {}

    @property
    def head(self) -> str:
        """Hash of the last line; zeros before the first."""
        self._read()
        return self._head

    def entry(self, facts: dict[str, Any]) -> dict[str, Any]:
        """The line that would come next, with the hash of the last one and its own; `append` writes it."""
        self._read(mend=True)
        linked = {"n": self._journal.lines + 1, **facts, "previous": self._head}
        return {**linked, "hash": _digest(linked)}

    def append(self, entry: dict[str, Any]) -> None:
        """Write a line that `entry` made; if it is the last one already, nothing.

        Raises:
            DataError: It does not follow from the last line.
        """
        self._read(mend=True)
        if entry["hash"] == self._head:
            return
        if entry["previous"] != self._head:
            raise DataError(
                "the record was changed: the next entry does not follow from its last line",
                source=self.path,
                row=f"line {self._journal.lines}",
                found=self._head[:16],
                expected=entry["previous"][:16],
                hint="Restore the record from a backup",
            )
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._journal.append([entry])
        self._take(entry)

    def verify(self) -> Verification:
        """Read the whole record and follow its chain.

        Lines cut off at the end leave a chain that is whole: compare `head` with one noted elsewhere.
        """
        head, lines = _START, 0
        if not self.path.exists():
            return Verification(0, head)
        *whole, torn = self.path.read_bytes().split(b"\n")
        for line in whole:
            entry = _from_line(line)
            problem = "not the JSON that was written" if entry is None else _wrong(entry, lines + 1, head)
            if entry is None or problem:
                return Verification(lines, head, problem)
            head, lines = entry["hash"], lines + 1
        return Verification(lines, head, "it breaks off" if torn else "")

    # -- whom it is about

    def subjects(self, request: DeletionRequest) -> tuple[str, list[str]]:
        """What a request with items in place of its category is about, hashed.

        Returns:
            Name of the salt, and a hash for each account, item, or pair.
        """
        salt = self._salt(make=True)
        if request.pairs is not None:
            about: Iterable[list[Any]] = (["pair", user, item] for user, item in request.pairs)
        elif request.items is None:
            about = [["user", request.user]]
        elif request.user is None:
            about = (["item", item] for item in request.items)
        else:
            about = (["pair", request.user, item] for item in request.items)
        return _name(salt), [_hashed(salt, subject) for subject in about]

    def was_removed(self, user: object = None, item: object = None) -> bool:
        """Whether the record holds the removal of an account, of an item, or of an item of a user.

        Args:
            user: Id of the account; None: ask about the item alone.
            item: Id of the item. With a user, removals of the whole account or of the whole item count too.

        Raises:
            SaltDestroyedError: No entry that can be read says so, but some cannot be read any more.
        """
        self._read()
        salt = self._salt(make=False)
        name = _name(salt)
        known = self._subjects.get(name, set())
        questions = [["user", user]] if user is not None else []
        questions += [["item", item]] if item is not None else []
        questions += [["pair", user, item]] if user is not None and item is not None else []
        if any(_hashed(salt, question) in known for question in questions):
            return True
        if set(self._subjects) - {name}:
            raise SaltDestroyedError(f"{self.path}: the salt of some entries was destroyed; nobody can tell any more")
        return False

    def destroy_salt(self) -> None:
        """Make it impossible to tell whom the entries so far are about; for good."""
        if self.salt_path.exists():
            size = self.salt_path.stat().st_size
            # Where the file system writes in place, nothing of it is left; elsewhere at least its name is gone.
            with self.salt_path.open("r+b") as handle:
                handle.write(bytes(size))
                handle.flush()
                os.fsync(handle.fileno())
        remove(self.salt_path)

    # -- on disk

    def _read(self, *, mend: bool = False) -> None:
        for entry in self._journal.new(mend=mend):
            self._take(entry)

    def _take(self, entry: dict[str, Any]) -> None:
        self._head = str(entry.get("hash"))
        for served in entry.get("requests", ()):
            if served.get("subjects"):
                self._subjects.setdefault(served["salt"], set()).update(served["subjects"])

    def _salt(self, *, make: bool) -> bytes:
        """The salt; empty if there is none and none is to be made."""
        if self.salt_path.exists():
            salt = self.salt_path.read_bytes().strip()
            # All zeros: `destroy_salt` was killed before it removed the file.
            if salt.strip(b"\0"):
                if len(salt) != 64:
                    found = f"{len(salt)} bytes"
                    raise DataError("no salt", source=self.salt_path, found=found, expected="64 hex digits")
                return salt
        if not make:
            return b""
        salt = secrets.token_hex(32).encode()
        self.salt_path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.salt_path.with_name(f"{self.salt_path.name}.new")
        with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
            handle.write(salt)
            handle.flush()
            os.fsync(handle.fileno())
        scratch.replace(self.salt_path)
        sync_folder(self.salt_path.parent)
        return salt


def _to_line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"


def _from_line(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _digest(entry: dict[str, Any]) -> str:
    content = {name: value for name, value in entry.items() if name != "hash"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _wrong(entry: dict[str, Any], number: int, head: str) -> str:
    if entry.get("n") != number:
        return f"it is number {entry.get('n')}"
    if entry.get("previous") != head:
        return "it does not follow from the line before"
    return "" if entry.get("hash") == _digest(entry) else "its hash is not that of its content"


def _name(salt: bytes) -> str:
    """What to call a salt: says nothing about it, as it is too long to be guessed."""
    return hashlib.sha256(b"name of " + salt).hexdigest()[:16]


def _hashed(salt: bytes, subject: list[Any]) -> str:
    plain = [part.item() if hasattr(part, "item") else part for part in subject]
    return hmac.new(salt, json.dumps(plain).encode(), hashlib.sha256).hexdigest()
