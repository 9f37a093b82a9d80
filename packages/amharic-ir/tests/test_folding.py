"""Folding, over all of Unicode."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amharic_ir.text.codepoints import SIZE, codes_of, text_of
from amharic_ir.text.folding import fold, folding
from irworks.errors import ArgumentError

# The families of Amharic by their names in Unicode: what each syllable of a row is written as.
FAMILIES = {
    "HA": ["HA", "HHA", "XA", "KXA"],
    "SA": ["SA", "SZA"],
    "GLOTTAL A": ["GLOTTAL A", "PHARYNGEAL A"],
    "TSA": ["TSA", "TZA"],
}
VOWELS = ["A", "U", "I", "AA", "EE", "E", "O"]


def letter(row, vowel):
    stem = row.removesuffix("A")
    return unicodedata.lookup(f"ETHIOPIC SYLLABLE {stem}{vowel}")


@pytest.mark.parametrize("kept", FAMILIES)
@pytest.mark.parametrize("vowel", VOWELS)
def test_a_family_is_one_in_every_order(kept, vowel):
    folded = {fold(letter(member, vowel)) for member in FAMILIES[kept]}
    first_as_fourth = vowel == "AA" and kept in ("HA", "GLOTTAL A")
    assert folded == {letter(kept, "A" if first_as_fourth else vowel)}


LABIAL = {"ቈ": "ቆ", "ኰ": "ኮ", "ጐ": "ጎ", "ኈ": "ሆ", "ዀ": "ሆ", "ዂ": "ኊ", "ዃ": "ኋ", "ዄ": "ኌ", "ዅ": "ኍ", "ሗ": "ኋ", "ሧ": "ሷ"}


def test_nothing_else_changes_in_all_of_unicode():
    members = {letter(member, vowel) for rows in FAMILIES.values() for member in rows for vowel in VOWELS}
    members |= {*LABIAL, "ዉ"}
    every = "".join(map(chr, range(SIZE)))
    changed = {mark: folded for mark, folded in zip(every, fold(every), strict=True) if folded != mark}
    assert changed.keys() <= members
    assert {mark: changed[mark] for mark in LABIAL} == LABIAL
    assert changed["ዉ"] == "ው"
    assert len(changed) == len(folding("am")) == 6 * 7 + 2 + len(LABIAL) + 1


@pytest.mark.parametrize("lang", ["am", "ti", "geez"])
@given(text=st.text(st.characters(min_codepoint=0x1180, max_codepoint=0x1400, exclude_categories=[])))
def test_it_is_idempotent_and_keeps_the_length(lang, text):
    once = fold(text, lang)
    assert (fold(once, lang), len(once)) == (once, len(text))


def test_tigrinya_keeps_what_it_tells_apart_and_geez_all():
    assert fold("ሀሐኀኸ ሰሠ አዐ ጸፀ", "ti") == "ሀሐሐኸ ሰሰ አዐ ጸጸ"
    assert fold("ሀሐኀኸ ሰሠ አዐ ጸፀ", "geez") == "ሀሐኀኸ ሰሠ አዐ ጸፀ"
    with pytest.raises(ArgumentError, match="lang='en'; expected one of: am, ti, geez"):
        fold("a", "en")


@given(st.text(st.characters(exclude_categories=[])))
def test_any_text_survives_as_code_points(text):
    assert text_of(codes_of(text)) == text


def test_homonyms_are_spelled_as_one(amharic):
    rows = (amharic / "geezorg" / "homonyms.txt").read_text(encoding="utf-8-sig").splitlines()
    variants = [[word.strip() for word in row.split("\t") if word.strip()] for row in rows]
    variants = [words for words in variants if len(words) > 1]
    apart = [words for words in variants if len({fold(word) for word in words}) > 1]
    assert len(variants) == 106
    # Different words, and no homophones.
    assert apart == [["አልቦ", "ዐላባ"], ["ዐላቦ", "ዐልቦ"]]
