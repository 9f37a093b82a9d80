"""Text as an array of code points, so that a letter is looked up in a table and not replaced one kind at a time."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIZE", "Codes", "codes_of", "table", "text_of"]

Codes = NDArray[np.uint32]
# Of Unicode.
SIZE = 0x110000


def codes_of(text: str) -> Codes:
    """The code points of a text: uint32 [n]; lone surrogates, as damaged files have them, stay what they are."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint32, copy=False)


def text_of(codes: Codes) -> str:
    """The text of code points: the inverse of `codes_of`."""
    return codes.astype("<u4", copy=False).tobytes().decode("utf-32-le", "surrogatepass")


def table(changes: Mapping[int, int]) -> Codes:
    """What each code point becomes: uint32 [1,114,112], itself where nothing is said."""
    result = np.arange(SIZE, dtype=np.uint32)
    result[np.fromiter(changes.keys(), dtype=np.int64)] = np.fromiter(changes.values(), dtype=np.uint32)
    return result
