"""What the verbs read: interactions, models, settings and ids from the words of a command line."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irworks.errors import ArgumentError, DataError, MissingDependencyError

if TYPE_CHECKING:
    from rec_unlearn.algorithms import Algorithm
    from rec_unlearn.data import Interactions
    from rec_unlearn.requests import DeletionRequest


@dataclass(frozen=True)
class Columns:
    """Names of the columns of a table."""

    user: str
    item: str
    time: str | None
    basket: str | None
    session: str | None

    def read(self, path: Path) -> "Interactions":
        """Read interactions, in a form that the name of the file tells."""
        if path.suffix == ".npz":
            from rec_unlearn.data.store import load

            # Not the name of the table that it once came from, which has more in it.
            return replace(load(path), name=path.name)
        from rec_unlearn.data.readers import read_baskets, read_interactions

        if path.suffix == ".json":
            return read_baskets(path)
        return read_interactions(path, **vars(self))


def parse_settings(words: Sequence[str]) -> dict[str, Any]:
    """Settings from NAME=VALUE; what is no JSON is a text.

    Raises:
        ArgumentError: A word has no "=".
    """
    settings: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise ArgumentError(f"--set {word}; expected NAME=VALUE")
        try:
            settings[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            settings[name.replace("-", "_")] = value
    return settings


def parse_algorithm(word: str) -> tuple[str, tuple[tuple[str, Any], ...]]:
    """Name and settings from NAME[:SETTING=VALUE,...]."""
    name, _, settings = word.partition(":")
    return name, tuple(parse_settings([one for one in settings.split(",") if one]).items())


def make_algorithm(name: str, settings: dict[str, Any]) -> "str | Algorithm":
    """An algorithm by its name; "auto" stays a word."""
    if name == "auto":
        if settings:
            raise ArgumentError("--set needs an --algorithm by its name, not auto")
        return name
    from rec_unlearn import algorithms

    with _torch_if(True, name):
        return algorithms.make_algorithm(name, **settings)


def load_model(path: Path, log: "Interactions", *, other_data: bool = False) -> Any:
    """Read a model, and check that it stands for these interactions.

    Args:
        path: The model.
        log: The interactions.
        other_data: Whether others will do, if they have as many items.

    Raises:
        ArgumentError: It does not: which file to take instead.
    """
    from rec_unlearn.data.fingerprint import difference
    from rec_unlearn.models.store import load

    with _torch_if(True, str(path)):
        model = load(path)
    sizes = getattr(model, "sizes_", None)
    n_items = getattr(model, "n_items_", None) if sizes is None else sizes[1]
    if n_items is not None and n_items != log.n_items:
        raise ArgumentError(
            f"{path} was trained on {n_items:,} items, {log.name} has {log.n_items:,}; expected the same data, or the "
            "log.npz that stands beside a model from which something was removed"
        )
    if not other_data and (other := difference(model, log)):
        raise ArgumentError(f"{other} {_instead(path, model)}, or go on all the same with --other-data")
    return model


def _instead(path: Path, model: Any) -> str:
    """Which data to take for a model, as the beginning of a sentence."""
    from rec_unlearn.data.fingerprint import difference
    from rec_unlearn.data.store import load

    beside = path.parent / "log.npz"
    try:
        if not difference(model, load(beside)):
            return f"Take {beside}"
    except DataError:
        pass
    return "Take the data it was trained on or, after a removal, the log.npz that was written with it"


def typed(text: str, integers: bool, kind: str) -> int | str:
    """An id as the data have it.

    Raises:
        ArgumentError: Ids are integers there, and this is none.
    """
    if not integers:
        return text
    try:
        return int(text)
    except ValueError:
        raise ArgumentError(f"--{kind} {text!r}; expected an integer, as ids of {kind}s are in the data") from None


def requests_for(
    users: Sequence[str], items: Sequence[str] | None, integer_users: bool, integer_items: bool, **when: Any
) -> "list[DeletionRequest]":
    """A request for each user, or one for items of everybody."""
    from rec_unlearn.requests import DeletionRequest

    wanted = [typed(item, integer_items, "item") for item in items] if items else None
    if not users and wanted is None:
        raise ArgumentError("nothing is asked for; expected --user or --item")
    names: list[object] = [typed(user, integer_users, "user") for user in users] or [None]
    return [DeletionRequest(user=user, items=wanted, **when) for user in names]


@contextmanager
def not_applicable_as_sentence() -> Iterator[None]:
    """An algorithm that does not fit the model is the user's choice, and so an ArgumentError here."""
    from rec_unlearn.algorithms import NotApplicableError

    try:
        yield
    except NotApplicableError as error:
        raise ArgumentError(str(error)) from None


@contextmanager
def _torch_if(needed: bool, what: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if needed and error.name == "torch":
            raise MissingDependencyError("torch", what, "rec-unlearn[torch]") from None
        raise
