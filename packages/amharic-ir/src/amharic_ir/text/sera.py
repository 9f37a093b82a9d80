"""SERA, the System for Ethiopic Representation in ASCII (Firdyiwek and Yaqob 1997), for Latin keyboards.

A letter is a consonant and a vowel (e u i a E, none, o); capitals and a backquote tell apart consonants that share a
Latin letter, and W marks labial ones. A vowel alone is the letter of the glottal stop's row, whose first order is A.
"""

import re
from functools import cache

from amharic_ir.text.script import LABIAL_ROWS, letters

__all__ = ["from_sera", "to_sera"]

_ROWS = {
    0x1200: "h",
    0x1208: "l",
    0x1210: "H",
    0x1218: "m",
    0x1220: "`s",
    0x1228: "r",
    0x1230: "s",
    0x1238: "x",
    0x1240: "q",
    0x1248: "qW",
    0x1250: "Q",
    0x1258: "QW",
    0x1260: "b",
    0x1268: "v",
    0x1270: "t",
    0x1278: "c",
    0x1280: "`h",
    0x1288: "`hW",
    0x1290: "n",
    0x1298: "N",
    0x12A8: "k",
    0x12B0: "kW",
    0x12B8: "K",
    0x12C0: "KW",
    0x12C8: "w",
    0x12D8: "z",
    0x12E0: "Z",
    0x12E8: "y",
    0x12F0: "d",
    0x12F8: "D",
    0x1300: "j",
    0x1308: "g",
    0x1310: "gW",
    0x1318: "G",
    0x1320: "T",
    0x1328: "C",
    0x1330: "P",
    0x1338: "S",
    0x1340: "`S",
    0x1348: "f",
    0x1350: "p",
}
_VOWELS = ("e", "u", "i", "a", "E", "", "o", "Wa")
# The glottal rows have no consonant to write: the letter is its vowel, and the sixth order gets one.
_GLOTTAL = dict(enumerate(("A", "u", "i", "a", "E", "I", "o", "e")))
_PHARYNGEAL = dict(enumerate(("`e", "`u", "`i", "`a", "`E", "`I", "`o")))
# The eighth place of these rows is -oa, not -wa.
_OA_ROWS = (0x1200, 0x1240, 0x1280, 0x12A8, 0x12C8, 0x12E8, 0x1308, 0x1340)
_BREAK = "'"


@cache
def _spellings() -> dict[str, str]:
    """Of every letter."""
    found = {}
    for code in map(int, letters()):
        row, order = code & ~7, code & 7
        if row == 0x12A0:
            spelling = _GLOTTAL[order]
        elif row == 0x12D0:
            spelling = _PHARYNGEAL[order]
        elif row in LABIAL_ROWS:
            spelling = _ROWS[row] + _VOWELS[order]
        elif order == 7 and row in _OA_ROWS:
            spelling = _ROWS[row] + "Wo"
        else:
            spelling = _ROWS[row] + _VOWELS[order]
        found[chr(code)] = spelling
    return found


@cache
def _reading() -> tuple[re.Pattern[str], dict[str, str]]:
    letter_of = {spelling: letter for letter, spelling in _spellings().items()}
    longest_first = sorted(letter_of, key=lambda spelling: (-len(spelling), spelling))
    vowels = "".join(sorted(_GLOTTAL.values()))
    spellings = "|".join(map(re.escape, longest_first))
    # A break is no letter: it keeps a vowel from the consonant before it.
    return re.compile(f"(?:(?<=[A-Za-z]){_BREAK}(?=[{vowels}]))|({spellings})"), letter_of


def to_sera(text: str) -> str:
    """Write Ethiopic letters in SERA; all else stays.

    A break (') stands between a letter without a vowel and a vowel that begins the next letter.
    """
    spellings = _spellings()
    parts: list[str] = []
    bare = False
    for letter in text:
        spelling = spellings.get(letter)
        if spelling is None:
            parts.append(letter)
            bare = False
            continue
        vowel_first = spelling in _GLOTTAL.values()
        parts.append(_BREAK + spelling if bare and vowel_first else spelling)
        bare = spelling[-1] not in "euiaEoIA"
    return "".join(parts)


def from_sera(text: str) -> str:
    """Read SERA: Latin letters become Ethiopic ones; all else stays.

    Every Latin letter has a reading but F, J, L, M, O, R, U, V, X, Y, which stay: a text that was not meant as SERA, an
    English word for instance, is read all the same.
    """
    pattern, letter_of = _reading()
    return pattern.sub(lambda match: letter_of[match[1]] if match[1] else "", text)
