"""Words that are written as two letters and a stroke: what they stand for."""

import re
from collections.abc import Iterator
from functools import cache

from amharic_ir.text.aligned import Aligned, Edit
from amharic_ir.text.folding import fold

__all__ = ["ABBREVIATIONS", "BEFORE", "expand"]

# With a stroke; a point does as well. Several readings are several words of the text.
ABBREVIATIONS: dict[str, str] = {
    "ዓ/ም": "ዓመተ ምሕረት",
    "ዓ/ዓ": "ዓመተ ዓለም",
    "እ/ኤ/አ": "እንደ ኤውሮፓውያን አቆጣጠር",
    "እ/አ/አ": "እንደ አውሮፓውያን አቆጣጠር",
    "ት/ቤት": "ትምህርት ቤት",
    "መ/ቤት": "መሥሪያ ቤት",
    "ፍ/ቤት": "ፍርድ ቤት",
    "ጽ/ቤት": "ጽሕፈት ቤት",
    "ም/ቤት": "ምክር ቤት",
    "ጠ/ፍ/ቤት": "ጠቅላይ ፍርድ ቤት",
    "ከ/ፍ/ቤት": "ከፍተኛ ፍርድ ቤት",
    "ቤ/ክ": "ቤተ ክርስቲያን",
    "ቤ/ክርስቲያን": "ቤተ ክርስቲያን",
    "ቤ/መ": "ቤተ መንግሥት",
    "መ/ቅ": "መጽሐፍ ቅዱስ",
    "ጠ/ሚ": "ጠቅላይ ሚኒስትር",
    "ጠ/ሚኒስትር": "ጠቅላይ ሚኒስትር",
    "ጠ/ሚኒስትሩ": "ጠቅላይ ሚኒስትሩ",
    "ሚ/ር": "ሚኒስትር",
    "ሚ/ሩ": "ሚኒስትሩ",
    "ም/ጠ/ሚ": "ምክትል ጠቅላይ ሚኒስትር",
    "ወ/ሮ": "ወይዘሮ",
    "ወ/ሪት": "ወይዘሪት",
    "ወ/ት": "ወይዘሪት",
    "ዶ/ር": "ዶክተር",
    "ፕ/ር": "ፕሮፌሰር",
    "ኢ/ር": "ኢንጂነር",
    "መ/ር": "መምህር",
    "ዲ/ን": "ዲያቆን",
    "ቀ/ኃ/ሥ": "ቀዳማዊ ኃይለ ሥላሴ",
    "ሻ/ል": "ሻምበል",
    "ሻ/ቃ": "ሻለቃ",
    "ኮ/ል": "ኮሎኔል",
    "ሌ/ኮ": "ሌተና ኮሎኔል",
    "ሌ/ኮ/ል": "ሌተና ኮሎኔል",
    "ጄ/ል": "ጄኔራል",
    "ጀ/ል": "ጀኔራል",
    "ሜ/ጄ": "ሜጀር ጄኔራል",
    "ሜ/ጄ/ል": "ሜጀር ጄኔራል",
    "ብ/ጄ": "ብርጋዴር ጄኔራል",
    "ብ/ጄ/ል": "ብርጋዴር ጄኔራል",
    "ሌ/ጄ": "ሌተና ጄኔራል",
    "ሌ/ጄ/ል": "ሌተና ጄኔራል",
    "አ/አ": "አዲስ አበባ",
    "ክ/ሀገር": "ክፍለ ሀገር",
    "ክ/ከተማ": "ክፍለ ከተማ",
    "ክ/ዘመን": "ክፍለ ዘመን",
    "ክ/ጦር": "ክፍለ ጦር",
    "ሆ/ል": "ሆስፒታል",
    "ማ/ር": "ማኅበር",
    "አ/ማ": "አክሲዮን ማኅበር",
    "ኃ/የተ/የግ/ማ": "ኃላፊነቱ የተወሰነ የግል ማኅበር",
    "ተ/መ/ድ": "የተባበሩት መንግሥታት ድርጅት",
    "ኪ/ሜ": "ኪሎ ሜትር",
    "ሴ/ሜ": "ሴንቲ ሜትር",
    "ኪ/ግ": "ኪሎ ግራም",
    "ወ/ዘ/ተ": "ወዘተ",
}
# Before a name or an office: the letter and its stroke are a word of their own.
BEFORE = {"ገ": "ገብረ", "ወ": "ወልደ", "ኃ": "ኃይለ", "ተ": "ተክለ", "ም": "ምክትል"}
_WRITTEN = re.compile("[\u1200-\u135a]{1,4}(?:[/.][\u1200-\u135a]+)+")


@cache
def _known() -> dict[str, str]:
    return {fold(short): full for short, full in ABBREVIATIONS.items()}


@cache
def _before() -> dict[str, str]:
    return {fold(letter): full for letter, full in BEFORE.items()}


def expand(aligned: Aligned) -> Aligned:
    """Write out the abbreviations of a text that are known; others stay, to be cut at the stroke."""
    return aligned.edited(_edits(aligned.text))


def _edits(text: str) -> Iterator[Edit]:
    for match in _WRITTEN.finditer(text):
        written = fold(match[0].replace(".", "/"))
        begin, end = match.span()
        if (full := _known().get(written)) is not None:
            yield begin, end, full
            continue
        # Prefixes such as those of "of" and "in" stand before an abbreviation without a space.
        if (full := _known().get(written[1:])) is not None and written[1] != "/":
            yield begin + 1, end, full
            continue
        first, _, rest = written.partition("/")
        if (full := _before().get(first)) is not None and match[0][1] == "/" and len(rest) > 2 and "/" not in rest:
            yield begin, begin + 2, full + " "
