import pytest
from hypothesis import given
from hypothesis import strategies as st

from amharic_ir.text.analyzer import Analyzer
from amharic_ir.text.perturb import PERTURBATIONS, families, perturb
from amharic_ir.text.sera import from_sera
from irworks.errors import ArgumentError

TEXT = "ዐቢይ አሕመድ ሷ ኋላ ጸሐፊ ሀገር ለ ቋንቋ"
WORD = Analyzer(tokens="word").tokens_of


@pytest.mark.parametrize("kind", PERTURBATIONS)
def test_a_seed_gives_one_text_and_no_chance_gives_the_same(kind):
    changed = {perturb(TEXT, kind, 0.7, seed=seed) for seed in range(20)}
    assert changed != {TEXT}
    assert perturb(TEXT, kind, 0.7, seed=3) == perturb(TEXT, kind, 0.7, seed=3)
    assert perturb(TEXT, kind, 0.0) == TEXT


@given(st.integers(0, 1000), st.floats(0, 1))
def test_what_an_analyzer_should_not_see_it_does_not_see(seed, p):
    for kind in ("homophone", "wordspace", "labial"):
        assert WORD(perturb(TEXT, kind, p, seed=seed)) == WORD(TEXT)
    assert from_sera(perturb(TEXT, "sera", p, seed=seed)) == TEXT


def test_slips_change_one_letter_of_a_word():
    words = TEXT.split()
    for kind, longer in (("vowel", 0), ("drop", -1), ("swap", 0)):
        changed = perturb(TEXT, kind, 1.0, seed=5).split()
        assert [len(word) + (longer if len(word) > 1 else 0) for word in words] == list(map(len, changed))
        assert changed[-2] == "ለ"
    assert perturb("ሀ ለ", "nospace") == "ሀለ"


def test_families_are_those_of_folding():
    assert families()["ጸ"] == ["ጸ", "ፀ"]
    assert families()["ሃ"] == sorted("ሀሃሐሓኀኃኸኻ")
    assert "ለ" not in families()


def test_bad_arguments_are_told():
    with pytest.raises(ArgumentError, match="kind='typo'; expected one of: homophone"):
        perturb("a", "typo")
    with pytest.raises(ArgumentError, match="p=2"):
        perturb("a", "drop", 2)
