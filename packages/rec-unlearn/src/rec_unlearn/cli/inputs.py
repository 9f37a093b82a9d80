"""What the verbs read: interactions, models, settings and ids from the words of a command line."""

import inspect
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from irworks.errors import ArgumentError, MissingDependencyError

if TYPE_CHECKING:
    from rec_unlearn.algorithms import Algorithm
    from rec_unlearn.data import Interactions
    from rec_unlearn.requests import DeletionRequest

# By the name on the command line: the class, and whether it is a network.
MODELS = {
    "gru": ("NextBasketGRU", True),
    "attention": ("NextBasketAttention", True),
    "gru4rec": ("GRU4Rec", True),
    "sasrec": ("SASRec", True),
    "ease": ("EASE", False),
    "itemknn": ("ItemKNN", False),
    "tifuknn": ("TIFUKNN", False),
    "ials": ("IALS", False),
    "popularity": ("Popularity", False),
    "markov": ("Markov", False),
}


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

            return load(path)
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


def make_model(name: str, settings: dict[str, Any]) -> Any:
    """Make an untrained model; settings of its training may stand among its own.

    Raises:
        ArgumentError: It has no such setting: which it has.
        MissingDependencyError: It is a network, and torch is not installed.
    """
    from importlib import import_module

    from rec_unlearn.models.store import CLASSES

    kind, is_network = MODELS[name]
    with _torch_if(is_network, name):
        make = getattr(import_module(f"rec_unlearn.models.{CLASSES[kind]}"), kind)
    known = [each for each in inspect.signature(make).parameters if each != "train"]
    training: dict[str, Any] = {}
    if is_network:
        from rec_unlearn.models.torch_base import TrainConfig

        trainable = list(inspect.signature(TrainConfig).parameters)
        training = {each: settings[each] for each in trainable if each in settings}
        known += trainable
    for each in settings:
        if each not in known:
            raise ArgumentError(f"{name} has no setting {each!r}; it has: {', '.join(sorted(known))}")
    own = {each: value for each, value in settings.items() if each not in training}
    with _sentence(name):
        return make(**own, train=TrainConfig(**training)) if is_network else make(**own)


def make_algorithm(name: str, settings: dict[str, Any]) -> "str | Algorithm":
    """An algorithm by its name; "auto" stays a word."""
    if name == "auto":
        if settings:
            raise ArgumentError("--set needs an --algorithm by its name, not auto")
        return name
    from rec_unlearn import algorithms

    with _torch_if(True, name):
        return algorithms.make_algorithm(name, **settings)


def load_model(path: Path, log: "Interactions") -> Any:
    """Read a model, and check that it is one of these interactions.

    Raises:
        ArgumentError: It was trained on another number of items.
    """
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
    return model


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


@contextmanager
def _sentence(name: str) -> Iterator[None]:
    try:
        yield
    except TypeError as error:
        raise ArgumentError(f"{name}: {error}") from None
