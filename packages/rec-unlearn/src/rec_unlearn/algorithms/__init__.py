"""Ways to unlearn, a small class each, by their names."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from irworks.errors import ArgumentError
from rec_unlearn.algorithms.base import Access, Algorithm, NotApplicableError, Step

__all__ = ["ALGORITHMS", "Access", "Algorithm", "NotApplicableError", "Step", "make_algorithm"]

# By name: module and class, imported when asked for, as most need torch.
ALGORITHMS: dict[str, tuple[str, str]] = {
    "none": ("controls", "DoNothing"),
    "retrain": ("controls", "Retrain"),
    "exact": ("controls", "Exact"),
    "scif": ("scif", "Scif"),
    "calibrated": ("calibrated", "Calibrated"),
    "block": ("block", "Block"),
    "fine-tune": ("general", "FineTune"),
    "gradient-ascent": ("general", "GradientAscent"),
    "neg-grad-plus": ("general", "NegGradPlus"),
    "kookmin": ("general", "Kookmin"),
    "fanchuan": ("general", "Fanchuan"),
    "imcorrect": ("imcorrect", "ImCorrect"),
    "gif": ("gif", "Gif"),
    "ceu": ("noise", "Ceu"),
    "idea": ("noise", "Idea"),
    "seif": ("general", "Seif"),
    "warm-start": ("warm", "WarmStart"),
}


def make_algorithm(name: str, **settings: Any) -> Algorithm:
    """Make an algorithm by its name.

    Raises:
        ArgumentError: There is none of this name, or it has no such setting.
    """
    if name not in ALGORITHMS:
        raise ArgumentError(f"there is no algorithm {name!r}; there are: {', '.join(sorted(ALGORITHMS))}")
    module, kind = ALGORITHMS[name]
    make: Callable[..., Algorithm] = getattr(import_module(f"{__name__}.{module}"), kind)
    try:
        return make(**settings)
    except TypeError as error:
        raise ArgumentError(f"{name}: {error}") from None
