"""Where sentences begin and end."""

import re

__all__ = ["sentences"]

# What closes a quotation.
_CLOSING = "[\"'\u00bb\u203a\u201d\u2019)\\]]*"
# Ethiopic full stop, question mark and paragraph mark, two word spaces or colons for a full stop, and Latin marks, each
# with what closes a quotation behind it; or a line break. A full stop behind a single letter is of an abbreviation.
_STOP = rf"(?<!\b[^\W\d_])\.(?={_CLOSING}(?:\s|$))"
_END = re.compile(f"(?:[\u1362\u1367\u1368!?]|\u1361\u1361|::|{_STOP})+{_CLOSING}|\n+")


def sentences(text: str) -> list[tuple[int, int]]:
    """Sentences of a text: (start, end) of each in it, without white space at the ends, in order.

    A full stop between letters or behind a single one, as in an abbreviation, ends none.
    """
    found, begin = [], 0
    for end in [*(match.end() for match in _END.finditer(text)), len(text)]:
        part = text[begin:end]
        inner = part.strip()
        if any(map(str.isalnum, inner)):
            start = begin + len(part) - len(part.lstrip())
            found.append((start, start + len(inner)))
        begin = end
    return found
