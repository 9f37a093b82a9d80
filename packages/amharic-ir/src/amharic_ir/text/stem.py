"""A light stemmer for Amharic: a prefix, and up to two suffixes, where enough of the word stays."""

from amharic_ir.text.folding import fold

__all__ = ["stem"]

# Folded, longest first.
_PREFIXES = tuple(
    sorted(
        map(
            fold,
            (
                *("እንዳይ", "እንደ", "እንዲ", "እንድ", "እስከ", "ስለ", "ወደ", "እየ", "ያለ", "ሲ", "ብት", "ቢ"),
                *("የ", "በ", "ለ", "ከ", "እን", "አል", "አይ"),
            ),
        ),
        key=lambda prefix: (-len(prefix), prefix),
    )
)
# What ends a word as it is written, and what the letter before it must be and becomes: its order, or None for any.
_SUFFIXES = tuple(
    sorted(
        [
            *((fold(text), None) for text in ("ዎች", "ዎቹ", "ዎችን", "ን", "ም", "ና", "ው", "ዋ", "ህ", "ሽ", "ቱ", "ት", "ያት")),
            *((fold(text), 6) for text in ("ች", "ቹ", "ችን", "ቻችን", "ቻቸው")),
            *((fold(text), 3) for text in ("ቸው", "ችን", "ችሁ", "ት")),
        ],
        key=lambda suffix: (-len(suffix[0]), suffix[0], suffix[1] or 0),
    )
)
_LEFT_AFTER_PREFIX, _LEFT_AFTER_SUFFIX = 3, 2


def stem(word: str) -> str:
    """Strip a prefix and up to two suffixes of a folded Amharic word: never more than leaves two letters.

    A vowel that belonged to a suffix leaves its consonant in the sixth order, as in dictionaries.
    """
    for prefix in _PREFIXES:
        if word.startswith(prefix) and len(word) - len(prefix) >= _LEFT_AFTER_PREFIX:
            word = word[len(prefix) :]
            break
    for _ in range(2):
        shorter = _without_suffix(word)
        if shorter == word:
            break
        word = shorter
    return _bare(word, (1, 4)) if len(word) > _LEFT_AFTER_SUFFIX else word


def _without_suffix(word: str) -> str:
    for suffix, order in _SUFFIXES:
        left = len(word) - len(suffix)
        if left < _LEFT_AFTER_SUFFIX or not word.endswith(suffix):
            continue
        if order is None:
            return word[:left]
        if _is_letter(word[left - 1]) and ord(word[left - 1]) & 7 == order:
            return _bare(word[:left], (order,))
    return word


def _bare(word: str, orders: tuple[int, ...]) -> str:
    """With the last letter in the sixth order, if it is in one of some others."""
    last = word[-1]
    return word[:-1] + chr(ord(last) & ~7 | 5) if _is_letter(last) and ord(last) & 7 in orders else word


def _is_letter(letter: str) -> bool:
    return "\u1200" <= letter <= "\u1357"
