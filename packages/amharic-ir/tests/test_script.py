import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from amharic_ir.text.numerals import format_numeral, parse_numeral
from amharic_ir.text.script import compose, decompose, detect_script, is_letter, letters, skeleton
from amharic_ir.text.sera import from_sera, to_sera
from irworks.errors import ArgumentError

LETTERS = [chr(code) for code in letters()]
WORDS = st.text(st.sampled_from(LETTERS), max_size=12)


def test_every_letter_is_a_consonant_and_a_sign():
    assert len(LETTERS) == 323
    assert [compose(decompose(letter)) for letter in LETTERS] == LETTERS
    assert len(set(map(decompose, LETTERS))) == len(LETTERS)
    assert (decompose("ሉብ"), skeleton("ሰላም ቋንቋ")) == ("ልᵘብ", "ስልም ቍንቍ")


@given(WORDS)
def test_words_survive_decomposition_and_sera(word):
    assert compose(decompose(word)) == word
    assert from_sera(to_sera(word)) == word
    assert len(skeleton(word)) == len(word)
    assert skeleton(skeleton(word)) == skeleton(word)


def test_every_letter_survives_sera_alone_and_before_every_other():
    for first in LETTERS:
        text = " ".join(first + second for second in LETTERS)
        assert from_sera(to_sera(text)) == text


@pytest.mark.parametrize(
    ("sera", "text"),
    [
        ("selam", "ሰላም"),
        ("adis abeba", "ኣዲስ ኣበባ"),
        ("qWanqWa", "ቋንቋ"),
        ("`semay", "ሠማይ"),
        ("`Inba", "ዕንባ"),
        ("m'Enat", "ምኤናት"),
    ],
)
def test_sera_as_people_type_it(sera, text):
    assert from_sera(sera) == text


def test_signs_that_fit_no_letter_stay():
    assert compose("ᵘaᵘ ልᵘ") == "ᵘaᵘ ሉ"


def test_numerals_survive_up_to_a_hundred_thousand_and_above():
    for number in [*range(1, 100_001), 999_999, 10**6, 12_345_678, 99_990_000, 99_999_999, 10**8, 10**8 + 7]:
        assert parse_numeral(format_numeral(number)) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("፩", 1),
        ("፲", 10),
        ("፲፪", 12),
        ("፻", 100),
        ("፩፻", 100),
        ("፲፱፻፺፪", 1992),
        ("፳፻፲፩", 2011),
        ("፼", 10_000),
        ("፻፼", 10**6),
        ("፼፼", 10**8),
    ],
)
def test_numerals_as_they_are_written(text, number):
    assert parse_numeral(text) == number


@given(st.integers(1, 99_999_999))
def test_numerals_survive(number):
    assert parse_numeral(format_numeral(number)) == number


@pytest.mark.parametrize("text", ["", "a", "፩፲", "፩፩", "፩፪፻", "፪፻፪፻", "፩ ፪"])
def test_what_is_no_number_says_where(text):
    with pytest.raises(ArgumentError, match="expected"):
        parse_numeral(text)
    with pytest.raises(ArgumentError, match="no zero"):
        format_numeral(0)


def test_scripts_are_told_apart():
    found = [detect_script(text) for text in ("ሰላም ለሁሉም (UN)", "selam ሰ", "привет", "12 ፩ !", "")]
    assert found == ["ethiopic", "latin", "other", "none", "none"]
    assert is_letter(np.array([0x1200, 0x1361, 0x41], dtype=np.uint32)).tolist() == [True, False, False]
