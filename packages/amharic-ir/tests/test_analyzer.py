"""From text to tokens: what must not make a difference, and where tokens stand."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amharic_ir.text.analyzer import KINDS, Analyzer
from amharic_ir.text.folding import folding
from amharic_ir.text.script import letters
from irworks.errors import ArgumentError

FAMILY = {}
for code, kept in folding("am").items():
    FAMILY.setdefault(chr(kept), {chr(kept)}).add(chr(code))
MEMBERS = {member: sorted(members) for members in FAMILY.values() for member in members}
OTHERS = [*"፡። ፣ ፩፲፻፼ /.aB9\n«»", "፡፡", "ዓ.ም", "ት/ቤት", "\ufeff", "\u00e9", "e\u0301", "ልᵘ"]
CHARACTERS = [chr(code) for code in letters()] + OTHERS
TEXTS = st.lists(st.sampled_from(CHARACTERS), max_size=25).map("".join)
OTHER_WAYS = [Analyzer(boundary=False, n=2), Analyzer(lang="ti"), Analyzer(steps=())]
ANALYZERS = [Analyzer(tokens=kind) for kind in KINDS] + OTHER_WAYS


def respelled(text, seed):
    draw = random.Random(seed)
    return "".join(draw.choice(MEMBERS.get(letter, [letter])) for letter in text)


@given(TEXTS, st.integers(0, 99))
def test_homophones_and_word_spaces_make_no_difference(text, seed):
    analyzer = Analyzer()
    tokens = analyzer.tokens_of(text)
    assert analyzer.tokens_of(respelled(text, seed)) == tokens
    assert analyzer.tokens_of(text.replace(" ", "፡")) == tokens or "፡ " in text or " ፡" in text or "  " in text


@pytest.mark.parametrize("analyzer", ANALYZERS, ids=lambda analyzer: f"{analyzer.tokens}-{analyzer.lang}-{analyzer.n}")
@given(text=TEXTS)
def test_tokens_one_by_one_are_those_of_many_and_stand_in_the_text(analyzer, text):
    tokens = analyzer.tokens_of(text)
    assert analyzer.many([text, "", text]).lists() == [tokens, [], tokens]
    spans = analyzer.spans(text)
    assert [span.text for span in spans] == tokens
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    starts = [span.start for span in spans if span.text[0] != "˙"]
    assert starts == sorted(starts)


def test_spans_cut_the_original():
    text = "የኢትዮጵያ\ufeff ጠ/ሚኒስትር ዐቢይ በ፳፻፲፩ ዓ.ም፡፡ሉዋንዳ"
    spans = Analyzer(tokens="word").spans(text)
    assert [(span.text, text[span.start : span.end]) for span in spans] == [
        ("የኢትዮጵያ", "የኢትዮጵያ"),
        ("ጠቅላይ", "ጠ/ሚኒስትር"),
        ("ሚኒስትር", "ጠ/ሚኒስትር"),
        ("አቢይ", "ዐቢይ"),
        ("በ2011", "በ፳፻፲፩"),
        ("አመተ", "ዓ.ም"),
        ("ምህረት", "ዓ.ም"),
        ("ሏንዳ", "ሉዋንዳ"),
    ]
    grams = Analyzer().spans("አበበ")
    assert [(gram.text, gram.start, gram.end) for gram in grams] == [("_አበ", 0, 2), ("አበበ", 0, 3), ("በበ_", 1, 3)]


def test_each_step_is_explained():
    rows = dict(Analyzer(tokens="word").explain("ሠላም፡ዓለም፡፡ በ፲፪ ት/ቤት"))
    assert rows["punct"] == "ሠላም ዓለም። በ፲፪ ት/ቤት"
    assert rows["abbrev"] == "ሠላም ዓለም። በ፲፪ ትምህርት ቤት"
    assert rows["fold"] == "ሰላም አለም። በ፲፪ ትምህርት ቤት"
    assert rows["word"] == "ሰላም አለም በ12 ትምህርት ቤት"


def test_an_abbreviation_is_known_with_a_prefix_and_before_a_name():
    words = Analyzer(tokens="word", steps=("punct", "abbrev")).tokens_of
    assert words("በመ/ቤቱ በመ/ቤት ገ/ሥላሴ ም/ጠቅላይ ሀ/ለ") == ["በመ", "ቤቱ", "በመሥሪያ", "ቤት", "ገብረ", "ሥላሴ", "ምክትል", "ጠቅላይ", "ሀ", "ለ"]


def test_settings_survive_and_a_stemmer_is_asked_for():
    one = Analyzer(lang="ti", n=4, stopwords=["ነው"])
    assert Analyzer.from_json(one.to_json()) == one
    own = Analyzer(tokens="stem", stemmer=lambda word: word[:2])
    assert own.tokens_of("ሰላምታ") == ["ሰላ"]
    with pytest.raises(ArgumentError, match="the analyzer had a stemmer of its own"):
        Analyzer.from_json(own.to_json())
    assert Analyzer.from_json(own.to_json(), stemmer=own.stemmer).tokens_of("ሰላምታ") == ["ሰላ"]
    assert Analyzer(tokens="word", stopwords=["ነው"]).tokens_of("ሰላም ነው") == ["ሰላም"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lang": "en"}, "lang='en'"),
        ({"steps": ("punct", "magic")}, "steps has 'magic'; expected of: nfc, punct"),
        ({"tokens": "letters"}, "tokens='letters'; expected one of: whitespace, word"),
        ({"n": 0}, "n=0; expected at least 1"),
    ],
)
def test_bad_settings_are_told(settings, message):
    with pytest.raises(ArgumentError, match=message):
        Analyzer(**settings)


def test_the_labial_of_the_first_row_is_that_of_another_sound_in_tigrinya():
    assert Analyzer(steps=("labial",)).normalize("ሁዋላ ሉዋ") == "ኋላ ሏ"
    assert Analyzer("ti", steps=("labial",)).normalize("ሁዋላ ሉዋ") == "ሁዋላ ሏ"
