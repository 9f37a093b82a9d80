"""Recommenders, each in a file of its own, imported when asked for: those of PyTorch need `rec-unlearn[torch]`."""

from typing import TYPE_CHECKING, Any

from irworks.errors import MissingDependencyError
from rec_unlearn.models.registry import CLASSES, MODELS, class_of, make_model
from rec_unlearn.models.store import load, save

if TYPE_CHECKING:
    from rec_unlearn.models.ease import EASE
    from rec_unlearn.models.factors import MFBPR
    from rec_unlearn.models.ials import IALS
    from rec_unlearn.models.itemknn import ItemKNN
    from rec_unlearn.models.lightgcn import LightGCN
    from rec_unlearn.models.markov import Markov
    from rec_unlearn.models.popularity import Popularity
    from rec_unlearn.models.sequence import GRU4Rec, NextBasketAttention, NextBasketGRU, SASRec
    from rec_unlearn.models.sets2sets import Sets2Sets
    from rec_unlearn.models.sharded import Sharded
    from rec_unlearn.models.tifuknn import TIFUKNN
    from rec_unlearn.models.torch_base import TrainConfig

__all__ = [
    "EASE",
    "IALS",
    "MFBPR",
    "MODELS",
    "TIFUKNN",
    "GRU4Rec",
    "ItemKNN",
    "LightGCN",
    "Markov",
    "NextBasketAttention",
    "NextBasketGRU",
    "Popularity",
    "SASRec",
    "Sets2Sets",
    "Sharded",
    "TrainConfig",
    "load",
    "make_model",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in CLASSES:
        return class_of(name)
    try:
        from rec_unlearn.models import torch_base
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingDependencyError("torch", name, "rec-unlearn[torch]") from None
    return getattr(torch_base, name)
