"""Letters that sound the same, written as one: Amharic has families of them, and writers choose freely among them."""

from functools import cache
from typing import Literal

from amharic_ir.text.codepoints import Codes, codes_of, table, text_of
from irworks.errors import ArgumentError

__all__ = ["LANGUAGES", "Language", "fold", "fold_codes", "folding", "same_text"]

Language = Literal["am", "ti", "geez"]
LANGUAGES: tuple[Language, ...] = ("am", "ti", "geez")

# From the row of a family's member to that of the letter it is written as.
_ROWS: dict[Language, dict[int, int]] = {
    "am": {0x1210: 0x1200, 0x1280: 0x1200, 0x12B8: 0x1200, 0x1220: 0x1230, 0x12D0: 0x12A0, 0x1340: 0x1338},
    # Tigrinya keeps h, hh and x apart, and the two glottal consonants; only what it lost is folded.
    "ti": {0x1220: 0x1230, 0x1340: 0x1338, 0x1280: 0x1210},
    # Ge'ez distinguished all of them.
    "geez": {},
}
# Rows whose fourth order sounds as the first: ha and a.
_OPEN_ROWS = (0x1200, 0x12A0)
# Labial letters: the first order sounds as the o of its plain row; of the three rows xw, hw and kxw one is kept.
_LABIALS = {0x1248: 0x1246, 0x12B0: 0x12AE, 0x1310: 0x130E, 0x1288: 0x1206, 0x12C0: 0x1206}
_XW = {0x12C2: 0x128A, 0x12C3: 0x128B, 0x12C4: 0x128C, 0x12C5: 0x128D, 0x1217: 0x128B}
_WU = {0x12C9: 0x12CD}


@cache
def folding(lang: Language) -> dict[int, int]:
    """From the code of a letter to the one it is written as, where that is another; empty for Ge'ez.

    Raises:
        ArgumentError: The language is none of `LANGUAGES`.
    """
    if lang not in LANGUAGES:
        raise ArgumentError(f"lang={lang!r}; expected one of: {', '.join(LANGUAGES)}")
    changes: dict[int, int] = {}
    for row, kept in _ROWS[lang].items():
        changes |= {row + order: kept + order for order in range(7)}
    if 0x1220 in _ROWS[lang]:
        changes[0x1227] = 0x1237
    if lang == "am":
        for row in _OPEN_ROWS:
            members = [member for member, kept in _ROWS["am"].items() if kept == row]
            changes |= {member + 3: row for member in (row, *members)}
        changes |= _LABIALS | _XW | _WU
    return changes


@cache
def _table(lang: Language) -> Codes:
    return table(folding(lang))


def fold_codes(codes: Codes, lang: Language = "am") -> Codes:
    """As `fold`, on code points: uint32 [n]."""
    return _table(lang)[codes]


def fold(text: str, lang: Language = "am") -> str:
    """Write letters that sound the same as one; length and everything else stay.

    Amharic: the four families of ha (four rows), sa, a and tsa (two rows each) in all their orders; ha and a also in
    the fourth order, which sounds as the first; labial letters of the first order as the o of their plain row.
    Tigrinya: what it does not tell apart. Ge'ez: nothing.

    Args:
        text: Any text.
        lang: "am", "ti" or "geez".

    Raises:
        ArgumentError: Another language.
    """
    return text_of(fold_codes(codes_of(text), lang))


def same_text(text: str) -> str:
    """What is equal for texts that differ in letters of one sound, white space and word spaces alone."""
    return " ".join(fold(text).replace("\u1361", " ").split())
