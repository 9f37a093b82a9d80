"""The Ethiopic script as arithmetic: rows of consonants, orders of vowels.

The main block of Unicode (from U+1200) has eight places to a consonant: seven orders, by vowel (e u i a ie, none, o),
and often an eighth, with -wa or -oa. Rows of consonants that are labial by themselves use the places 0, 2, 3, 4 and 5.
"""

import unicodedata
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from amharic_ir.text.codepoints import SIZE, Codes, codes_of, table, text_of

__all__ = [
    "LABIAL_ROWS",
    "SIGNS",
    "Script",
    "compose",
    "decompose",
    "detect_script",
    "is_letter",
    "letters",
    "skeleton",
]

Script = Literal["ethiopic", "latin", "other", "none"]

# First letters of the rows qw, qhw, xw, kw, kxw and gw.
LABIAL_ROWS = (0x1248, 0x1258, 0x1288, 0x12B0, 0x12C0, 0x1310)
# What stands for a vowel in decomposed text, by order; the sixth has none. Raised Latin letters, as no text has them.
SIGNS = ("\u1d49", "\u1d58", "\u2071", "\u1d43", "\u1d31", "", "\u1d52", "\u02b7")
_NO_VOWEL = 5
# Ethiopic and its extensions: supplement, extended, extended-A and extended-B.
_BLOCKS = ((0x1200, 0x139F), (0x2D80, 0x2DDF), (0xAB00, 0xAB2F), (0x1E7E0, 0x1E7FF))


@cache
def letters() -> Codes:
    """The letters that stand in rows of eight, ascending: uint32 [n]; U+1200 to U+1357 without what is unassigned."""
    return np.array(
        [code for code in range(0x1200, 0x1358) if unicodedata.category(chr(code)) == "Lo"], dtype=np.uint32
    )


@cache
def _marked() -> NDArray[np.bool_]:
    marked = np.zeros(SIZE, dtype=bool)
    marked[letters()] = True
    return marked


def is_letter(codes: Codes) -> NDArray[np.bool_]:
    """Which code points are of `letters`: bool [n]."""
    return _marked()[codes]


@cache
def _consonants() -> Codes:
    return table({int(code): int(code) & ~7 | _NO_VOWEL for code in letters()})


def skeleton(text: str) -> str:
    """The text with each letter in its sixth order: consonants without their vowels, as many as before."""
    return text_of(_consonants()[codes_of(text)])


@cache
def _syllables() -> tuple[dict[int, str], dict[str, str]]:
    """From a letter's code to consonant and sign, and back."""
    parts = {int(code): chr(int(code) & ~7 | _NO_VOWEL) + SIGNS[int(code) & 7] for code in letters()}
    return parts, {pair: chr(code) for code, pair in parts.items() if len(pair) == 2}


def decompose(text: str) -> str:
    """Each letter as its consonant, in the sixth order, and a sign of `SIGNS` for its vowel, if it has one."""
    return text.translate(_syllables()[0])


def compose(text: str) -> str:
    """The inverse of `decompose`, for texts that had none of its signs; a sign that fits no letter stays."""
    pairs = _syllables()[1]
    signs = set(SIGNS) - {""}
    found: list[str] = []
    for letter in text:
        joined = pairs.get(found[-1] + letter) if letter in signs and found else None
        if joined is None:
            found.append(letter)
        else:
            found[-1] = joined
    return "".join(found)


def detect_script(text: str) -> Script:
    """What most letters of a text are: "ethiopic", "latin" or "other"; "none" where it has no letter."""
    alphabetic = [letter for letter in text if letter.isalpha()]
    ethiopic = sum(any(first <= ord(letter) <= last for first, last in _BLOCKS) for letter in alphabetic)
    latin = sum(unicodedata.name(letter, "").startswith("LATIN") for letter in alphabetic)
    other = len(alphabetic) - latin - ethiopic
    best = max(ethiopic, latin, other)
    if best <= 0:
        return "none"
    return "ethiopic" if ethiopic == best else "latin" if latin == best else "other"
