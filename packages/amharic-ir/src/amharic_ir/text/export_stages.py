"""An analyzer as what Lucene has: tables of strings, replacements by pattern, and a pattern that cuts tokens."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

from amharic_ir.text.abbreviations import ABBREVIATIONS, BEFORE
from amharic_ir.text.analyzer import Analyzer
from amharic_ir.text.folding import Language, fold, folding
from amharic_ir.text.numerals import format_numeral
from amharic_ir.text.script import letters, skeleton
from amharic_ir.text.steps import INVISIBLE, MARKS, STEPS, TWO_POINTS, labialised
from irworks.errors import ArgumentError

__all__ = ["Chain", "Replacement", "Table", "chain"]

NAMES: dict[Language, str] = {"am": "amharic", "ti": "tigrinya", "geez": "geez"}
# Put around what may be an abbreviation, and after a letter that stands for a name. Unicode keeps them free of meaning,
# so that no text has them.
_OPEN, _CLOSE, _NAME = "\ufdd0", "\ufdd1", "\ufdd2"
_LETTER = r"[\u1200-\u135a]"
# What a word is made of, and what stands between spaces (those of `str.isspace`). The last letter of the first class is
# one of its letters anyway: a character that takes two places makes Java look back by characters, not by places.
_OF_WORD = r"\p{L}\p{N}" + "\U00020000"
_SPACES = r"\t-\r\u001c- \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_HUNDRED, _MYRIAD = format_numeral(100), format_numeral(10_000)


@dataclass(frozen=True)
class Table:
    """A character filter that replaces strings: at each place the longest that is known, from left to right.

    Attributes:
        name: What it does, in a word.
        entries: From what is written to what stands there instead.
    """

    name: str
    entries: Mapping[str, str]


@dataclass(frozen=True)
class Replacement:
    """A character filter that replaces what a pattern of Java finds.

    Attributes:
        name: What it does, in a word.
        pattern: Regular expression.
        by: What stands there instead, with $1 for the first group.
    """

    name: str
    pattern: str
    by: str


@dataclass(frozen=True)
class Chain:
    """What is done to a text, in this order.

    Attributes:
        name: "amharic", "tigrinya" or "geez".
        filters: Of characters.
        tokens: Regular expression whose first group is a token, wherever it is found.
        lower: Whether capitals of tokens become small.
        differences: What is left out or done otherwise, a sentence each.
    """

    name: str
    filters: tuple[Table | Replacement, ...]
    tokens: str
    lower: bool
    differences: tuple[str, ...] = field(default=())


def chain(analyzer: Analyzer) -> Chain:
    """What Lucene has to do to make the tokens of an analyzer.

    Raises:
        ArgumentError: Its tokens cannot be made there, or its steps are in another order than that of `STEPS`.
    """
    if analyzer.tokens in ("stem", "mixed"):
        way = "a stemmer" if analyzer.tokens == "stem" else "one field with n-grams, one with those of the skeleton,"
        raise ArgumentError(
            f"tokens={analyzer.tokens!r} needs {way} and cannot be exported; expected one of: "
            "whitespace, word, prefix, ngram, skeleton"
        )
    if analyzer.steps != tuple(step for step in STEPS if step in analyzer.steps):
        raise ArgumentError(f"steps={analyzer.steps}; to be exported, expected in this order: {', '.join(STEPS)}")
    return Chain(
        NAMES[analyzer.lang],
        (*_rewriting(analyzer), *_preparing(analyzer)),
        _cut(analyzer),
        "lower" in analyzer.steps,
        tuple(_differences(analyzer)),
    )


# -- the steps --------------------------------------------------------------------------------------------------------


def _rewriting(analyzer: Analyzer) -> Iterator[Table | Replacement]:
    steps, lang = analyzer.steps, analyzer.lang
    if "punct" in steps:
        yield Table("invisible", {chr(code): "" for code in INVISIBLE})
    if one := _letters(analyzer):
        yield Table("letters", one)
    if "abbrev" in steps and lang == "am":
        yield from _abbreviations(folded="fold" in steps)
    if "labial" in steps:
        found = labialised(lang).items()
        yield Table("labialised", {chr(code) + wa: chr(kept) for code, kept in found for wa in "\u12cb\u12a0"})
    if "numerals" in steps:
        yield from _numerals()


def _letters(analyzer: Analyzer) -> dict[str, str]:
    """Punctuation and letters that sound the same: as no entry makes what another one reads, one table for all.

    To fold before abbreviations are written out makes no difference if what is known of them is folded as well.
    """
    entries: dict[str, str] = {}
    if "punct" in analyzer.steps:
        entries |= TWO_POINTS | {chr(code): chr(kept) for code, kept in MARKS.items()}
    if "fold" in analyzer.steps:
        entries |= {chr(code): chr(kept) for code, kept in folding(analyzer.lang).items()}
    if analyzer.tokens == "ngram" and analyzer.boundary:
        entries["_"] = " "
    return entries


def _abbreviations(*, folded: bool) -> Iterator[Table | Replacement]:
    """Mark what may be one, whole as it is written, then look it up with its marks."""
    begins = f"(?<!{_LETTER})(?<!{_LETTER}[/.])"
    spelled = (lambda text: [fold(text)]) if folded else _spellings
    name_letters = {letter: full for short, full in BEFORE.items() for letter in spelled(short)}
    before = f"{begins}([{''.join(sorted(name_letters))}])/(?={_LETTER}{{3,}}(?![/.]?{_LETTER}))"
    yield Replacement("names", before, "$1" + _NAME)
    yield Replacement("marked", f"{begins}({_LETTER}?)({_LETTER}(?:[/.]{_LETTER}+)+)", f"$1{_OPEN}$2{_CLOSE}")
    entries = {_OPEN: "", _CLOSE: "", _NAME: ""}
    full_of = fold if folded else str
    for short, full in ABBREVIATIONS.items():
        entries |= {_OPEN + one + _CLOSE: full_of(full) for text in spelled(short) for one in _with_points(text)}
    yield Table(
        "abbreviations", entries | {letter + _NAME: full_of(full) + " " for letter, full in name_letters.items()}
    )


def _spellings(text: str) -> list[str]:
    """All that are folded to the same."""
    return ["".join(letters) for letters in product(*map(_family, fold(text)))]


def _family(kept: str) -> list[str]:
    return [kept, *(chr(code) for code, target in folding("am").items() if chr(target) == kept)]


def _with_points(text: str) -> list[str]:
    """With a point for each stroke or not."""
    parts = text.split("/")
    return [
        parts[0] + "".join(stroke + part for stroke, part in zip(strokes, parts[1:], strict=True))
        for strokes in product("/.", repeat=len(parts) - 1)
    ]


def _numerals() -> Iterator[Table | Replacement]:
    """Digits in pairs: what is left unsaid is written first, a one before a sign and the hundreds after a myriad."""
    group, sign = "[\u1369-\u137a]", "[\u1369-\u137c]"
    yield Replacement("ones", f"((?<!{group}){_HUNDRED}|(?<!{sign}){_MYRIAD})", format_numeral(1) + "$1")
    hundreds = f"({_MYRIAD})(?![\u1372-\u137a]?[\u1369-\u1371]?{_HUNDRED})"
    yield Replacement("hundreds", hundreds, "$1" + _HUNDRED)
    entries = {format_numeral(number): str(number) for number in range(1, 100)}
    for sign in (_HUNDRED, _MYRIAD):
        entries |= {sign: "00"} | {sign + format_numeral(number): f"{number:02}" for number in range(1, 100)}
    yield Table("numerals", entries)


# -- the tokens -------------------------------------------------------------------------------------------------------


def _class(analyzer: Analyzer) -> str:
    return f"[^{_SPACES}]" if analyzer.tokens == "whitespace" else f"[{_OF_WORD}]"


def _preparing(analyzer: Analyzer) -> Iterator[Table | Replacement]:
    """What the tokenizer expects: no stopwords, and what is more or less in tokens than in the text."""
    part = _class(analyzer)
    if stopwords := sorted(map(re.escape, analyzer.stopwords - {""})):
        flags = "(?iu)" if "lower" in analyzer.steps else ""
        yield Replacement("stopwords", f"{flags}(?<!{part})(?:{'|'.join(stopwords)})(?!{part})", "")
    if analyzer.tokens == "skeleton":
        bare = ((chr(code), skeleton(chr(code))) for code in map(int, letters()))
        yield Table("skeleton", {letter: consonant for letter, consonant in bare if letter != consonant})
    if analyzer.tokens == "ngram" and analyzer.boundary:
        # Two filters, each of which reads a character before it writes more, so that the others keep their places.
        yield Replacement("begin", f"(?<!{part})({part})", "_$1")
        yield Replacement("end", f"({part})([^{_OF_WORD}]|$)", "$1_$2")


def _cut(analyzer: Analyzer) -> str:
    part, n = _class(analyzer), analyzer.n
    if analyzer.tokens == "prefix":
        return f"({part}{{1,{n}}}){part}*"
    if analyzer.tokens != "ngram":
        return f"({part}+)"
    if analyzer.boundary:
        part = f"[{_OF_WORD}_]"
    shorter = f"|(?<!{part}){part}{{1,{n - 1}}}(?!{part})" if n > 1 else ""
    return f"(?=({part}{{{n}}}{shorter}))"


# -- what is otherwise ------------------------------------------------------------------------------------------------


def _differences(analyzer: Analyzer) -> Iterator[str]:
    if "nfc" in analyzer.steps:
        yield (
            "Characters are not composed (step nfc). Ethiopic letters never need it; for accents of other scripts put "
            "the normalizer of the ICU plugin first."
        )
    if "abbrev" in analyzer.steps and analyzer.lang == "am":
        yield "The noncharacters U+FDD0, U+FDD1 and U+FDD2 are used as marks, and lost where a text has them."
    if "numerals" in analyzer.steps:
        yield "Ethiopic numerals in an order that means nothing become digits sign by sign; ours stay as they are."
    if "abbrev" in analyzer.steps or "numerals" in analyzer.steps:
        yield "Of an abbreviation or a numeral a highlight marks a part, or nothing; all of it is found."
    if "lower" in analyzer.steps:
        yield "Capital I with a dot (U+0130) becomes i; ours stays, as its small letter is two characters."
    yield "Which characters are letters or numerals, and which small letter a capital has, is for the server's Java."
    yield "Lucene rounds the length of a document to one byte: scores and close ranks differ a little for equal tokens."
