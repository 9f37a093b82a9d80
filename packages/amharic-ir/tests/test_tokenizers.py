import pytest

from amharic_ir.tokenizers import fertility, load, train
from irworks.errors import ArgumentError

pytest.importorskip("tokenizers")
TEXTS = ["ሠላም ለዓለም ሁሉ", "አዲስ አበባ ዋና ከተማ", "ሰላም ለአለም"] * 20


@pytest.mark.parametrize("kind", ["bpe", "unigram", "wordpiece", "byte"])
def test_a_tokenizer_is_trained_saved_and_read_again(kind, tmp_path):
    one = train(TEXTS, kind, vocab_size=300)
    assert one.pieces("ሠላም ለዓለም") == one.pieces("ሰላም ለአለም")
    assert one.ids(["ሠላም", ""])[1] == []
    one.save(tmp_path / "a.json")
    again = load(tmp_path / "a.json")
    assert again.pieces("ሠላም ለዓለም ሁሉ") == one.pieces("ሠላም ለዓለም ሁሉ")
    assert again.normalize == one.normalize


def test_fertility_counts_what_it_says():
    exact = train(TEXTS, "bpe", vocab_size=300, name="exact")
    table = fertility([exact], ["ሰላም ለዓለም", "ሰላም"], limit=1)
    row = table.loc["exact"]
    assert row["pieces a word"] == 1
    assert row["words continued"] == 0
    assert row["truncated"] == pytest.approx(1 / 3)
    assert row["unknown"] == 0
    assert fertility([exact], ["漢字"]).loc["exact", "unknown"] > 0


def test_what_a_model_reads_does_not_shorten_what_is_counted(tmp_path):
    whole = train(TEXTS, "bpe", vocab_size=300, normalize=None)
    text = " ".join(TEXTS)
    expected = fertility([whole], [text, "ሰላም"]).iloc[0].to_list()
    # As the models of the hub have it.
    whole.inner.enable_truncation(8)
    whole.inner.enable_padding(length=8, pad_token="[PAD]")
    (tmp_path / "a model").mkdir()
    whole.inner.save(str(tmp_path / "a model" / "tokenizer.json"))
    again = load(tmp_path / "a model")
    assert fertility([again], [text, "ሰላም"]).loc["a model"].to_list() == expected
    assert again.ids([text, ""])[1] == []


def test_tokenizers_of_one_name_are_told_apart_or_refused():
    one, other = (train(TEXTS, "bpe", vocab_size=size, name="same") for size in (30, 300))
    with pytest.raises(ArgumentError, match="two tokenizers have one name: same, same"):
        fertility([one, other], TEXTS)
    assert list(fertility({"a": one, "b": other}, TEXTS).index) == ["a", "b"]


def test_languages_come_in_their_order(amharic):
    lines = (amharic / "ntrex" / "amh.txt").read_text(encoding="utf-8").splitlines()
    # A quarter of the sentences of each language.
    many = [
        line.split("\t")[1]
        for line in (amharic / "ntrex" / "multi_100.tsv").read_text(encoding="utf-8").splitlines()[::4]
    ]
    english = (amharic / "ntrex" / "eng.txt").read_text(encoding="utf-8").splitlines()
    trained = [
        train(lines[200:], "bpe", vocab_size=4_000, name="Amharic"),
        train(many, "bpe", vocab_size=4_000, name="multilingual"),
        train(english, "byte", vocab_size=4_000, name="English bytes"),
    ]
    found = fertility(trained, lines[:200])["pieces a word"]
    assert found["Amharic"] * 2 < found["multilingual"] < found["English bytes"] / 2


def test_bad_arguments_are_told(tmp_path):
    with pytest.raises(ArgumentError, match="kind='letters'; expected one of: bpe"):
        train(TEXTS, "letters")
    with pytest.raises(ArgumentError, match="there is no text"):
        train(["", " "])
    with pytest.raises(ArgumentError, match="there is no word"):
        fertility([], [""])
