"""Words of a text, in any script that separates them."""

import re

__all__ = ["words"]

_WORDS = re.compile(r"[^\W_]+")


def words(text: str) -> list[str]:
    """Words in small letters: what stands between spaces and punctuation."""
    found: list[str] = _WORDS.findall(text.lower())
    return found
