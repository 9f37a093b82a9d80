"""Models by the names that command lines and benchmarks call them; a class is imported when it is asked for."""

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from irworks.errors import ArgumentError, MissingDependencyError

__all__ = ["CLASSES", "MODELS", "Kind", "class_of", "kind_of", "make_model"]


@dataclass(frozen=True)
class Kind:
    """What a name stands for.

    Attributes:
        module: Of `rec_unlearn.models`.
        name: The class there.
        network: Whether it needs torch, and so has settings of training and algorithms by gradients.
        ordered: Whether it learns from what follows what, and so from nothing where everybody has one step.
        once: Whether it is for what nobody takes twice: what a user has is not recommended again.
        training: Settings of training that were found to do, where the defaults of `TrainConfig` do not.
    """

    module: str
    name: str
    network: bool = False
    ordered: bool = False
    once: bool = False
    training: Mapping[str, Any] = field(default_factory=dict)


MODELS: dict[str, Kind] = {
    "gru": Kind("sequence", "NextBasketGRU", network=True, ordered=True),
    "attention": Kind("sequence", "NextBasketAttention", network=True, ordered=True, training={"lr": 1e-3}),
    "gru4rec": Kind("sequence", "GRU4Rec", network=True, ordered=True),
    "sasrec": Kind("sequence", "SASRec", network=True, ordered=True, training={"lr": 1e-3}),
    "sets2sets": Kind("sets2sets", "Sets2Sets", network=True, ordered=True),
    "mf-bpr": Kind("factors", "MFBPR", network=True, once=True),
    "lightgcn": Kind("lightgcn", "LightGCN", network=True, once=True),
    "ease": Kind("ease", "EASE", once=True),
    "itemknn": Kind("itemknn", "ItemKNN", once=True),
    "tifuknn": Kind("tifuknn", "TIFUKNN"),
    "ials": Kind("ials", "IALS", once=True),
    "popularity": Kind("popularity", "Popularity"),
    "markov": Kind("markov", "Markov", ordered=True),
}

# By the name of the class, as files have it: the module.
CLASSES: dict[str, str] = {kind.name: kind.module for kind in sorted(MODELS.values(), key=lambda kind: kind.name)} | {
    "Sharded": "sharded"
}
_OF_SHARDS = {"shards": "n_shards", "partition": "partition", "aggregate": "aggregate"}


def kind_of(name: str) -> Kind:
    """What a name of `MODELS` stands for.

    Raises:
        ArgumentError: There is none of this name.
    """
    if name not in MODELS:
        raise ArgumentError(f"there is no model {name!r}; there are: {', '.join(MODELS)}")
    return MODELS[name]


def class_of(name: str) -> Any:
    """A class of `CLASSES`.

    Raises:
        MissingDependencyError: It is a network, and torch is not installed.
    """
    try:
        return getattr(import_module(f"rec_unlearn.models.{CLASSES[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingDependencyError("torch", name, "rec-unlearn[torch]") from None


def make_model(name: str, /, **settings: Any) -> Any:
    """Make an untrained model by its name; settings of its training may stand among its own.

    With `shards`, a number, and perhaps `partition` and `aggregate`, so many of them: see `Sharded`.

    Raises:
        ArgumentError: There is none of this name, or it has no such setting: which it has.
        MissingDependencyError: It is a network, and torch is not installed.
    """
    if "shards" in settings:
        from rec_unlearn.models.sharded import Sharded

        inner = {each: value for each, value in settings.items() if each not in _OF_SHARDS}
        # Once, for its errors.
        make_model(name, **inner)
        arguments = {argument: settings[each] for each, argument in _OF_SHARDS.items() if each in settings}
        return Sharded(functools.partial(make_model, name, **inner), **arguments)
    kind, trainable = kind_of(name), set()
    make = class_of(kind.name)
    if kind.network:
        from rec_unlearn.models.torch_base import TrainConfig

        trainable = set(inspect.signature(TrainConfig).parameters)
    own = set(inspect.signature(make).parameters) - {"train"}
    for each in settings:
        if each not in own | trainable:
            raise ArgumentError(f"{name} has no setting {each!r}; it has: {', '.join(sorted(own | trainable))}")
    training = {**kind.training, **{each: value for each, value in settings.items() if each in trainable}}
    try:
        model = make(**{each: value for each, value in settings.items() if each in own})
        # Not a TrainConfig of its own, which would put aside what the class has for default.
        return model.with_config(**training) if training else model
    except TypeError as error:
        raise ArgumentError(f"{name}: {error}") from None
