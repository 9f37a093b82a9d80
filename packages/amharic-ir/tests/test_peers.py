"""Other libraries beside ours: which letters they write as one, and how they write numbers.

What etnltk and amseg leave apart, or take for one, is written out, so that it shows when either changes.
"""

import runpy
import warnings
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from amharic_ir import Analyzer, fold, format_numeral, parse_numeral

BLOCK = [chr(code) for code in range(0x1200, 0x1380)]


@pytest.fixture(scope="module")
def etnltk():
    """Its normalisation of letters."""
    pytest.importorskip("etnltk", exc_type=ImportError)
    from etnltk.lang.am import normalizer

    return normalizer


@pytest.fixture(scope="module")
def amseg():
    """Its normaliser, from the file: the package imports optical character recognition that it does not depend on."""
    spec = find_spec("amseg")
    if spec is None:
        pytest.skip("could not import 'amseg'")
    module = Path(spec.submodule_search_locations[0]) / "amharicNormalizer.py"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its escape sequences
        return runpy.run_path(str(module))["AmharicNormalizer"].normalize


@pytest.fixture(scope="module")
def abyssinica():
    return pytest.importorskip("abyssinica.numerals")


# -- letters ----------------------------------------------------------------------------------------------------------


def split(ours, theirs):
    """Of the classes that one function makes of the block, those that another splits: its parts, by their first."""
    classes = defaultdict(lambda: defaultdict(list))
    for letter in BLOCK:
        classes[ours(letter)][theirs(letter)].append(letter)
    parts = (sorted("".join(part) for part in parts.values()) for parts in classes.values() if len(parts) > 1)
    return sorted(" ".join(each) for each in parts)


# Labial letters, and wu, which both leave alone.
BOTH_LEAVE_APART = ["ሆሖኆኾ ኈ ዀ", "ሧ ሷ", "ቆ ቈ", "ኊ ዂ", "ኍ ዅ", "ኮ ኰ", "ጎ ጐ"]
# And what both merge that we do not: labial kx without a vowel with hu, qwi with qu, and kw without a vowel with ku.
BOTH_MERGE = ["ሁሑኁ ዅ", "ቁ ቊ", "ኩ ኵ"]

ETNLTK_LEAVES_APART = [*BOTH_LEAVE_APART, "ሁሑኁ ኹ", "ሄሔ ኄ ኼ", "ሗ ኋ ዃ", "ዉ ው"]
ETNLTK_MERGES = [*BOTH_MERGE, "ሄሔ ኌዄ"]

# Of the row kx it knows the fourth and the seventh order.
AMSEG_LEAVES_APART = [
    *BOTH_LEAVE_APART,
    *("ሀሃሐሓኃኻ ኀ ኸ", "ሁሑኁ ኹ", "ሂሒኂ ኺ", "ሄሔኄ ኼ", "ህሕ ኅ ኽ"),
    *("ሗኋ ዃ", "ኌ ዄ"),
]
# x without a vowel with xa; of sh, ch, ny, zh, y, d, j and ch' the order i with the one without a vowel, and that of ie
# with the first; w with wo.
AMSEG_MERGES = [
    *BOTH_MERGE,
    *("ሀሃሐሓኃኻ ኅ", "ሄሔኄ ዄ"),
    *("ሸ ሼ", "ሺ ሽ", "ቸ ቼ", "ቺ ች", "ኘ ኜ", "ኚ ኝ", "ወ ዎ", "ዠ ዤ", "ዢ ዥ", "የ ዬ", "ዪ ይ"),
    *("ደ ዴ", "ዲ ድ", "ጀ ጄ", "ጂ ጅ", "ጨ ጬ", "ጪ ጭ"),
]


def test_letters_that_etnltk_leaves_apart(etnltk):
    assert split(fold, etnltk.normalize_char) == sorted(ETNLTK_LEAVES_APART)


def test_letters_that_etnltk_takes_for_one(etnltk):
    assert split(etnltk.normalize_char, fold) == sorted(ETNLTK_MERGES)


def test_letters_that_amseg_leaves_apart(amseg):
    assert split(fold, amseg) == sorted(AMSEG_LEAVES_APART)


def test_letters_that_amseg_takes_for_one(amseg):
    assert split(amseg, fold) == sorted(AMSEG_MERGES)


@pytest.mark.data
def test_homonyms_that_the_peers_leave_apart(etnltk, amseg, amharic):
    """Of spellings of one word; the two that we leave apart as well are no homophones."""
    rows = (amharic / "geezorg" / "homonyms.txt").read_text(encoding="utf-8-sig").splitlines()
    variants = [row.split() for row in rows if row.strip()]
    apart = [
        {words[0] for words in variants if len(set(map(write, words))) > 1}
        for write in (fold, etnltk.normalize_char, amseg)
    ]
    ours = {"አልቦ", "ዐላቦ"}
    assert len(variants) == 106
    assert apart == [ours, ours | {"መንጎል"}, ours | {"መንጎል", "ሐልዮ", "ሕብር", "መርሕብ", "ብልኅ", "ውሕደት"}]


# Letters that we alone make one with the wa or a behind them, and those that they alone do. Both take de for du.
ETNLTK_LABIALISED = "ቩኹዡዱዹጁጙጱጹፁፑ", "ቊኵዅደ"
AMSEG_LABIALISED = "ቩኹዡዱዹጁጙጱፑ", "ዅደዴ"


@pytest.mark.parametrize("behind", ["ዋ", "አ"])
def test_labialised_spellings_are_those_of_the_peers_but_for_the_rows_they_miss_and_their_slip(etnltk, amseg, behind):
    ours = Analyzer(steps=("fold", "labial")).normalize
    for peer, named in (
        (lambda text: etnltk.normalize_labialized(etnltk.normalize_char(text)), ETNLTK_LABIALISED),
        (amseg, AMSEG_LABIALISED),
    ):
        one = {letter: (len(ours(letter + behind)) == 1, len(peer(letter + behind)) == 1) for letter in BLOCK}
        alone = ("".join(letter for letter in BLOCK if one[letter] == who) for who in ((True, False), (False, True)))
        assert tuple(alone) == named
        both = [letter for letter in BLOCK if one[letter] == (True, True)]
        assert len(both) >= 20
        assert all(ours(letter + behind) == peer(letter + behind) for letter in both)


# -- numerals ---------------------------------------------------------------------------------------------------------


def numbers():
    """All to 20,000, and 500 of every length from five to twelve digits."""
    rng = np.random.default_rng(0)
    sampled = [int(number) for digits in range(5, 13) for number in rng.integers(10 ** (digits - 1), 10**digits, 500)]
    return [*range(1, 20_001), *sampled]


def test_each_reads_what_the_other_writes(abyssinica):
    for number in numbers():
        written = abyssinica.arabic_to_geez(number)
        assert parse_numeral(written) == number == abyssinica.geez_to_arabic(format_numeral(number)), written


def test_both_write_the_same(abyssinica):
    assert [number for number in numbers() if format_numeral(number) != abyssinica.arabic_to_geez(number)] == []


@pytest.mark.parametrize(("text", "read"), [("", 0), ("፩፪", 3), ("፩፲", 11), ("a", 0)])
def test_what_means_nothing_is_a_number_for_abyssinica_and_an_error_here(abyssinica, text, read):
    assert abyssinica.geez_to_arabic(text) == read
    with pytest.raises(ValueError, match="expected"):
        parse_numeral(text)
