"""Ethiopic numerals: ten letters for ones and tens each hundred, and signs for 100 and 10,000."""

import re

from irworks.errors import ArgumentError

__all__ = ["NUMERAL", "format_numeral", "parse_numeral"]

_ONE, _TEN, _HUNDRED, _MYRIAD = 0x1369, 0x1372, "\u137b", "\u137c"
_VALUES = {chr(_ONE + i): i + 1 for i in range(9)} | {chr(_TEN + i): 10 * (i + 1) for i in range(9)}
# A run of numerals, in text.
NUMERAL = re.compile("[\u1369-\u137c]+")
_GROUP = re.compile("([\u1372-\u137a]?[\u1369-\u1371]?)([\u137b\u137c]?)")


def parse_numeral(text: str) -> int:
    """The number that Ethiopic numerals stand for.

    From the left in groups of tens and ones: the sign for 100 multiplies its group, that for 10,000 all that stands
    before it. A sign without a group before it means one of it.

    Raises:
        ArgumentError: There is something else in it, or the numerals are in an order that means nothing.
    """
    total = hundreds = 0
    position, last = 0, _MYRIAD
    if not text:
        raise ArgumentError("text is empty; expected Ethiopic numerals")
    while position < len(text):
        match = _GROUP.match(text, position)
        group, sign = match.groups() if match else ("", "")
        if not group and not sign:
            raise ArgumentError(f"{text!r} at place {position + 1}: expected Ethiopic numerals, tens before ones")
        if not sign and position + len(group) < len(text):
            raise ArgumentError(f"{text!r} at place {position + len(group) + 1}: expected a sign for 100 or 10,000")
        value = sum(_VALUES[letter] for letter in group)
        if sign == _HUNDRED:
            if last == _HUNDRED:
                raise ArgumentError(
                    f"{text!r}: two signs for 100 follow one another; expected one for 10,000 between them"
                )
            hundreds = 100 * (value or 1)
        elif sign == _MYRIAD:
            total = (total + hundreds + value or 1) * 10_000
            hundreds = 0
        else:
            total += hundreds + value
            hundreds = 0
        last = sign
        position += len(group) + len(sign)
    return total + hundreds


def format_numeral(number: int) -> str:
    """Ethiopic numerals for a number: the inverse of `parse_numeral`.

    A one before the sign for 100 is left out, and before that for 10,000 where nothing stands before it (CSS Counter
    Styles Level 3, section 7.1).

    Raises:
        ArgumentError: The number is below 1, as the script has no zero.
    """
    if number < 1:
        raise ArgumentError(f"number={number}; expected at least 1, as the script has no zero")
    high, low = divmod(number, 10_000)
    parts = [(format_numeral(high) if high > 1 else "") + _MYRIAD] if high else []
    hundreds, rest = divmod(low, 100)
    if hundreds:
        parts.append((_pair(hundreds) if hundreds > 1 else "") + _HUNDRED)
    return "".join([*parts, _pair(rest)])


def _pair(value: int) -> str:
    tens, ones = divmod(value, 10)
    return (chr(_TEN + tens - 1) if tens else "") + (chr(_ONE + ones - 1) if ones else "")
