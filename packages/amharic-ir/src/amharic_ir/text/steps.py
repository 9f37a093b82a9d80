"""Steps that rewrite a text, each a function from `Aligned` to `Aligned`."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from amharic_ir.text.abbreviations import expand
from amharic_ir.text.aligned import Aligned, Edit
from amharic_ir.text.codepoints import SIZE, Codes, table
from amharic_ir.text.folding import Language, fold_codes
from amharic_ir.text.numerals import NUMERAL, parse_numeral
from amharic_ir.text.script import letters

__all__ = ["INVISIBLE", "MARKS", "STEPS", "TWO_POINTS", "Step", "labialised"]

Step = Callable[[Aligned, Language], Aligned]

# Of Unicode's capital letters.
_LAST_CAPITAL = 0x1E943
# Marks of direction and of joining, byte order marks, soft hyphens: they are seen by nobody.
INVISIBLE = (0x00AD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF)
# What stands for a space, and quotes.
MARKS = (
    {0x1361: ord(" ")}
    | {ord(mark): ord('"') for mark in "\u00ab\u00bb\u2039\u203a\u201c\u201d\u201e\u201f"}
    | {ord(mark): ord("'") for mark in "\u2018\u2019\u201a\u201b\u02bc"}
)
# The full stop, as it is typed where no key has it.
TWO_POINTS = {"\u1361\u1361": "\u1362", "::": "\u1362"}
_TWO_POINTS = re.compile("|".join(TWO_POINTS))
_WORD = re.compile(r"\S+")
# Rows whose eighth letter is -oa: their -wa stands in the row of the labial consonant.
_WA = {0x1200: 0x128B, 0x1240: 0x124B, 0x1280: 0x128B, 0x12A8: 0x12B3, 0x1308: 0x1313}
_NO_WA = (0x12A0, 0x12C8, 0x12E8, 0x1340)


def _nfc(aligned: Aligned, lang: Language) -> Aligned:
    """Composed characters, and those that stand for presentation forms."""
    text = aligned.text
    if unicodedata.is_normalized("NFC", text):
        return aligned
    words = ((match.start(), match.end(), match[0]) for match in _WORD.finditer(text))
    return aligned.edited(
        (begin, end, unicodedata.normalize("NFC", word))
        for begin, end, word in words
        if not unicodedata.is_normalized("NFC", word)
    )


@cache
def _seen() -> NDArray[np.bool_]:
    seen = np.ones(SIZE, dtype=bool)
    seen[list(INVISIBLE)] = False
    return seen


@cache
def _marks() -> Codes:
    return table(MARKS)


def _punctuation(aligned: Aligned, lang: Language) -> Aligned:
    """Word spaces as spaces, two of them as the full stop that they stand for, quotes of one kind; nothing unseen."""
    aligned = aligned.kept(_seen()[aligned.codes])
    text = aligned.text
    if any(points in text for points in TWO_POINTS):
        aligned = aligned.edited(
            (match.start(), match.end(), TWO_POINTS[match[0]]) for match in _TWO_POINTS.finditer(text)
        )
    return aligned.mapped(_marks())


def _abbreviations(aligned: Aligned, lang: Language) -> Aligned:
    """Known abbreviations written out; Amharic only."""
    return expand(aligned) if lang == "am" else aligned


@cache
def labialised(lang: Language = "am") -> Mapping[int, int]:
    """From the code of a letter of the second order to that of its consonant with -wa.

    The -wa of the first row is that of U+1280, which sounds the same in Amharic alone.
    """
    every = set(map(int, letters()))
    without = _NO_WA if lang == "am" else (*_NO_WA, 0x1200)
    found = {}
    for code in every:
        row = code & ~7
        target = _WA.get(row, row | 7)
        if code & 7 == 1 and row not in without and target in every:
            found[code] = target
    return found


@cache
def _labial_pattern(lang: Language) -> re.Pattern[str]:
    return re.compile(f"[{''.join(map(chr, sorted(labialised(lang))))}][\u12cb\u12a0]")


def _labial(aligned: Aligned, lang: Language) -> Aligned:
    """A letter with u and one with wa or a, as the one letter that they are spoken as."""
    known = labialised(lang)
    return aligned.edited(
        (match.start(), match.end(), chr(known[ord(match[0][0])]))
        for match in _labial_pattern(lang).finditer(aligned.text)
    )


def _fold(aligned: Aligned, lang: Language) -> Aligned:
    """Letters that sound the same as one; see `fold`."""
    return Aligned(fold_codes(aligned.codes, lang), aligned.start, aligned.end)


def _numerals(aligned: Aligned, lang: Language) -> Aligned:
    """Ethiopic numerals as digits; those in an order that means nothing stay."""
    return aligned.edited(_readable(aligned.text))


def _readable(text: str) -> Iterator[Edit]:
    for match in NUMERAL.finditer(text):
        try:
            yield match.start(), match.end(), str(parse_numeral(match[0]))
        except ValueError:
            continue


@cache
def _small() -> Codes:
    changes = {}
    for code in range(_LAST_CAPITAL + 1):
        lower = chr(code).lower()
        if len(lower) == 1 and ord(lower) != code:
            changes[code] = ord(lower)
    return table(changes)


def _lower(aligned: Aligned, lang: Language) -> Aligned:
    """Small letters of scripts that have them."""
    return aligned.mapped(_small())


# In the order in which they make sense.
STEPS: dict[str, Step] = {
    "nfc": _nfc,
    "punct": _punctuation,
    "abbrev": _abbreviations,
    "fold": _fold,
    "labial": _labial,
    "numerals": _numerals,
    "lower": _lower,
}
