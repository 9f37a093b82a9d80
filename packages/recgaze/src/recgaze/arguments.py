"""Checks of arguments that several rooms need."""

from typing import Any

import numpy as np

from irworks.errors import ArgumentError

__all__ = ["require_generator", "require_kind"]


def require_kind(name: str, value: object, kind: type[Any] | tuple[type[Any], ...], expected: str) -> None:
    """Raise an ArgumentError unless a value is of a type.

    Args:
        name: Of the argument.
        value: What was given.
        kind: The type, or several.
        expected: What it is, and how it is made.
    """
    if not isinstance(value, kind):
        raise ArgumentError(f"{name}={value!r:.60}; expected {expected}")


def require_generator(rng: object) -> None:
    """Raise an ArgumentError unless a source of randomness is a generator, and not a seed."""
    require_kind("rng", rng, np.random.Generator, "a generator, such as numpy.random.default_rng(0)")
