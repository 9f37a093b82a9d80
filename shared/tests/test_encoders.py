"""Small encoders and what they are made of, against loops in PyTorch."""

import json
import sys
from dataclasses import replace
from math import log

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.data.words import words
from irworks.encoders import (
    Bags,
    Cut,
    Encoder,
    HashedNgrams,
    TinyEncoder,
    TinySettings,
    TokenEncoder,
    TokenVectors,
    tiny,
)
from irworks.encoders.prompts import prompts_of
from irworks.errors import ArgumentError, DataError, MissingDependencyError
from irworks.retrieval import Dense, LateInteraction

TEXT = st.lists(st.sampled_from(["red", "green", "apple", "pears", "x"]), max_size=7).map(" ".join)
TEXTS = st.lists(TEXT, min_size=1, max_size=6)
SMALL = TinySettings(dim=8, token_dim=4, heads=2, query_length=4, doc_length=6)
CUT = HashedNgrams(buckets=64)


@pytest.fixture(scope="module", params=[0, 1], ids=["no layers", "one layer"])
def encoder(request):
    return tiny(CUT, replace(SMALL, layers=request.param), docs=["red apple", "red pears", "x"])


# -- texts as bags ----------------------------------------------------------------------------------------------------


def lists_of(bags):
    tokens = [bags.rows[b:e].tolist() for b, e in zip(bags.token_offsets, bags.token_offsets[1:], strict=False)]
    return [tokens[b:e] for b, e in zip(bags.text_offsets, bags.text_offsets[1:], strict=False)]


@given(st.lists(st.text(max_size=12), max_size=5))
def test_a_word_is_its_ngrams_and_itself(texts):
    cut = HashedNgrams(n=(2, 3), buckets=1 << 30)
    found = lists_of(cut.bags(texts))
    assert [len(text) for text in found] == [len(words(text)) for text in texts]
    for text, tokens in zip(texts, found, strict=True):
        for word, rows in zip(words(text), tokens, strict=True):
            framed = f"_{word}_"
            grams = {framed[i : i + n] for n in (2, 3) for i in range(len(framed) - n + 1)} | {framed}
            assert len(rows) == len(grams)
            assert rows == cut.rows_of_word(word)


@given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=5), st.data())
def test_some_texts_are_those_of_all(texts, data):
    bags = Bags.of(texts)
    assert (len(bags), lists_of(bags)) == (len(texts), [[[row] for row in text] for text in texts])
    some = data.draw(st.lists(st.sampled_from(range(len(texts))), max_size=6) if texts else st.just([]))
    length = data.draw(st.none() | st.integers(0, 6))
    expected = [[[row] for row in texts[place][:length]] for place in some]
    assert lists_of(bags.take(np.array(some, dtype=np.int64), length)) == expected


@given(st.lists(st.integers(0, 4), max_size=5), st.data())
def test_token_vectors_of_some_texts_are_those_of_all(sizes, data):
    offsets = np.append(0, np.cumsum(sizes)).astype(np.int64)
    vectors = TokenVectors(np.arange(2.0 * sum(sizes)).reshape(-1, 2), offsets)
    some = data.draw(st.lists(st.sampled_from(range(len(sizes))), max_size=6) if sizes else st.just([]))
    taken = vectors.take(np.array(some, dtype=np.int64))
    both = vectors.joined(taken)
    assert (len(taken), len(both)) == (len(some), len(sizes) + len(some))
    for place, text in enumerate(some):
        assert taken.of(place).tolist() == vectors.of(text).tolist() == both.of(len(sizes) + place).tolist()


def test_bad_ngrams_are_told():
    for n, buckets in (((0, 3), 9), ((4, 3), 9), ((3, 4), 0)):
        with pytest.raises(ArgumentError, match=r"expected 1 <= from <= to, and at least one bucket"):
            HashedNgrams(n, buckets)


# -- vectors ----------------------------------------------------------------------------------------------------------


def by_loops(encoder, text, kind):
    """Vectors of a text alone, as `BagNetwork` says."""
    network, length = encoder.network, encoder.settings.length(kind)
    rows = [CUT.rows_of_word(word) for word in words(text)][:length]
    if not rows:
        return np.zeros(encoder.dim), np.zeros((0, encoder.token_dim))
    with torch.no_grad():
        table = torch.stack([network.table.weight[each].mean(dim=0) for each in rows])
        weight = torch.stack([network.importance.weight[each].mean() for each in rows]).exp()
        if network.layers is not None:
            table = network.layers((table + network.places.weight[: len(rows)])[None])[0]
        vector = network.head((table * weight[:, None]).sum(dim=0))
        tokens = network.project(table)
        tokens = tokens / tokens.norm(dim=1, keepdim=True)
        if kind == "query":
            tokens = tokens * weight[:, None]
        return (vector / vector.norm()).numpy(), tokens.numpy()


@settings(deadline=None, max_examples=30)
@given(texts=TEXTS, kind=st.sampled_from(["query", "doc"]))
def test_neither_batches_nor_padding_change_vectors(encoder, texts, kind):
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, TokenEncoder)
    vectors, tokens = encoder.encode(texts, kind), encoder.encode_tokens(texts, kind)
    assert (vectors.dtype, tokens.vectors.dtype, len(tokens)) == (np.float32, np.float32, len(texts))
    for place, text in enumerate(texts):
        vector, of_tokens = by_loops(encoder, text, kind)
        np.testing.assert_allclose(vectors[place], vector, atol=1e-5)
        np.testing.assert_allclose(tokens.of(place), of_tokens, atol=1e-5)


def test_many_texts_are_encoded_in_several_batches(encoder):
    texts = [f"word{place} red" for place in range(300)]
    np.testing.assert_allclose(encoder.encode(texts)[[7, 280]], encoder.encode([texts[7], texts[280]]), atol=1e-5)
    assert len(encoder.encode_tokens(texts)) == 300


def test_vectors_have_length_1_and_a_text_without_words_has_none(encoder):
    texts = ["red apple", "", " \n", "...", "x"]
    assert np.linalg.norm(encoder.encode(texts), axis=1) == pytest.approx([1, 0, 0, 0, 1], abs=1e-5)
    tokens = encoder.encode_tokens(texts)
    assert np.diff(tokens.offsets).tolist() == [2, 0, 0, 0, 1]
    assert np.linalg.norm(tokens.vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    for none in ([], ["", "..."]):
        assert encoder.encode(none).shape == (len(none), 8)
        assert encoder.encode_tokens(none).vectors.shape == (0, 4)


@pytest.mark.parametrize("kind", [Dense, LateInteraction])
def test_indexes_take_it(encoder, kind):
    docs = {"x": "green pears", "y": "", "z": "red apple"}
    index = kind(encoder).add(docs)
    assert next(iter(dict(index.search("red apple")["0"]))) == "z"
    assert "y" not in dict(index.search("red apple")["0"])
    assert index.search(["", "..."]).to_dict() == {"0": {}, "1": {}}
    np.testing.assert_allclose(
        index.score("red apple", docs)[[0, 2]], [dict(index.search("red apple")["0"])[doc] for doc in "xz"], atol=1e-3
    )


def test_no_more_is_read_than_the_settings_say(encoder):
    long = "a b c d e f g h i"
    for kind, length in (("query", 4), ("doc", 6)):
        short = " ".join(long.split()[:length])
        np.testing.assert_allclose(encoder.encode([long, short], kind)[0], encoder.encode([short], kind)[0], atol=1e-6)
        assert len(encoder.encode_tokens([long], kind).vectors) == length
        assert np.diff(encoder.prepare([long, "x"], kind, 3).text_offsets).tolist() == [3, 1]
        assert np.diff(encoder.prepare([long], kind, 99).text_offsets).tolist() == [length]


def test_punctuation_does_not_take_the_place_of_words(encoder):
    prepared = encoder.prepare(["- | - red - | - green - | - apple - | - pear", "", "x"], "query")
    assert np.diff(prepared.text_offsets).tolist() == [4, 0, 1]


def test_a_prepared_batch_has_the_vectors_of_its_texts_and_gradients(encoder):
    texts = ["red apple", "", "green x pears"]
    batch = encoder.prepare(texts, "doc").take(np.array([2, 0]))
    embedded = encoder.embed(batch, "doc")
    np.testing.assert_allclose(
        embedded.vectors.detach().numpy(), encoder.encode(["green x pears", "red apple"]), atol=1e-5
    )
    encoder.network.zero_grad()
    embedded.vectors.sum().backward()
    assert encoder.network.table.weight.grad.abs().sum() > 0
    encoder.network.zero_grad()


def test_a_seed_makes_the_numbers_and_touches_no_others():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, same, other = (tiny(CUT, SMALL, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    texts = ["red apple", "x"]
    assert one.encode(texts).tolist() == same.encode(texts).tolist()
    assert np.abs(one.encode(texts) - other.encode(texts)).max() > 0.01


def test_rare_words_count_for_more_from_the_beginning():
    docs = ["red apple", "red pears", "red x", ""]
    cut = HashedNgrams(n=(20, 20), buckets=1 << 12)  # a word is one row
    rows = {word: cut.rows_of_word(word) for word in ("red", "x", "unseen")}
    assert len({row for found in rows.values() for row in found}) == 3
    weight = tiny(cut, SMALL, docs=docs).network.importance.weight.detach()
    ours = {word: float(weight[found].exp()) for word, found in rows.items()}
    idf = {"red": log(1 + 1.5 / 3.5), "x": log(1 + 3.5 / 1.5), "unseen": log(1 + 4.5 / 0.5)}
    assert ours["x"] / ours["red"] == pytest.approx(idf["x"] / idf["red"], rel=1e-4)
    assert ours["unseen"] / ours["red"] == pytest.approx(idf["unseen"] / idf["red"], rel=1e-4)
    assert not tiny(cut, SMALL).network.importance.weight.any()


def test_the_number_of_parameters_is_the_sum_of_the_tables():
    assert tiny(CUT, SMALL).parameters() == 64 * 8 + 64 + 8 * 8 + 8 * 4


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"dim": 0}, "dim=0; expected at least 1"),
        ({"token_dim": 0}, "token_dim=0; expected at least 1"),
        ({"layers": -1}, "layers=-1; expected at least 0"),
        ({"query_length": 0}, "query_length=0; expected at least 1"),
        ({"doc_length": 0}, "doc_length=0; expected at least 1"),
        ({"layers": 1, "dim": 8, "heads": 3}, "dim=8, heads=3; expected heads that divide dim"),
        ({"layers": 1, "heads": 0}, "heads=0; expected heads that divide dim"),
    ],
)
def test_bad_settings_are_told(wrong, said):
    with pytest.raises(ArgumentError, match=said):
        TinySettings(**wrong)


def test_a_device_that_is_not_there_is_told():
    with pytest.raises(ArgumentError, match="device must be"):
        tiny(CUT, SMALL, device="abacus")


# -- on disk ----------------------------------------------------------------------------------------------------------


def test_an_encoder_survives_its_folder(encoder, tmp_path):
    texts = ["red apple", "", "green pears x"]
    encoder.save(tmp_path / "inside" / "model")
    again = TinyEncoder.load(tmp_path / "inside" / "model", HashedNgrams(buckets=64))
    assert (again.name, again.settings) == (encoder.name, encoder.settings)
    assert again.encode(texts).tolist() == encoder.encode(texts).tolist()
    assert (
        again.encode_tokens(texts, "query").vectors.tolist() == encoder.encode_tokens(texts, "query").vectors.tolist()
    )
    assert [path.name for path in (tmp_path / "inside").iterdir()] == ["model"]


def test_a_cut_that_it_was_not_trained_with_is_told(tmp_path):
    tiny(CUT, SMALL).save(tmp_path / "model")
    for other in (HashedNgrams(buckets=65), HashedNgrams(n=(3, 5), buckets=64)):
        with pytest.raises(DataError, match="text was cut in another way when it was trained"):
            TinyEncoder.load(tmp_path / "model", other)


def test_a_damaged_encoder_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        TinyEncoder.load(tmp_path / "none", CUT)
    with pytest.raises(DataError, match=r"no encoder can be read from it.*a folder that TinyEncoder.save wrote"):
        TinyEncoder.load(tmp_path, CUT)
    folder = tmp_path / "model"

    def fresh():
        tiny(CUT, SMALL).save(folder)
        return json.loads((folder / "tiny.json").read_text())

    for change in ({"format": 2}, {"dim": 9}, {"dim": 0}, {"depth": 1}, {"layers": 1}, {"size": 65}):
        (folder / "tiny.json").write_text(json.dumps(fresh() | change))
        with pytest.raises(DataError, match="no encoder can be read from it"):
            TinyEncoder.load(folder, CUT)
    for name in ("tiny.json", "cut.json", "network.safetensors"):
        fresh()
        (folder / name).write_bytes((folder / name).read_bytes()[:-5])
        with pytest.raises(DataError, match="no encoder can be read from it"):
            TinyEncoder.load(folder, CUT)
        (folder / name).unlink()
        with pytest.raises(DataError, match="no encoder can be read from it"):
            TinyEncoder.load(folder, CUT)


def test_writing_that_is_interrupted_leaves_what_was_there(tmp_path):
    class Broken(HashedNgrams):
        def to_json(self):
            raise KeyboardInterrupt

    old = tiny(CUT, SMALL, seed=3)
    old.save(tmp_path / "model")
    for name in ("model", "new"):
        with pytest.raises(KeyboardInterrupt):
            tiny(Broken(buckets=64), SMALL).save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert TinyEncoder.load(tmp_path / "model", CUT).encode(["x"]).tolist() == old.encode(["x"]).tolist()


@pytest.mark.parametrize("library", ["torch", "safetensors"])
def test_a_library_that_is_missing_is_told(tmp_path, monkeypatch, library):
    encoder = tiny(CUT, SMALL)
    encoder.save(tmp_path / "model")
    for name in [name for name in sys.modules if name.partition(".")[0] == library]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    for use in (lambda: tiny(CUT, SMALL), lambda: TinyEncoder.load(tmp_path / "model", CUT)):
        with pytest.raises(MissingDependencyError, match=rf"an encoder needs {library}.*irworks\[encoders\]"):
            use()


def test_a_cut_of_ones_own_will_do(tmp_path):
    class Letters:
        size = 26

        def bags(self, texts):
            return Bags.of([[ord(letter) - 97 for letter in text] for text in texts])

        def to_json(self):
            return "letters"

    cut: Cut = Letters()
    encoder = tiny(cut, SMALL)
    encoder.save(tmp_path / "model")
    assert TinyEncoder.load(tmp_path / "model", cut).encode(["abc"]).tolist() == encoder.encode(["abc"]).tolist()


# -- prompts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "query", "doc"),
    [
        ("Snowflake/snowflake-arctic-embed-l-v2.0", "query: ", ""),
        ("Snowflake/snowflake-arctic-embed-m-v2.0", "query: ", ""),
        ("Snowflake/snowflake-arctic-embed-m-v1.5", "Represent this sentence for searching relevant passages: ", ""),
        ("Snowflake/snowflake-arctic-embed-xs", "Represent this sentence for searching relevant passages: ", ""),
        ("intfloat/multilingual-e5-base", "query: ", "passage: "),
        ("intfloat/e5-small-v2", "query: ", "passage: "),
        ("rasyosef/roberta-amharic-text-embedding-base", "", ""),
        ("a-fork/e5-small", "", ""),
    ],
)
def test_prompts_are_those_of_the_models_cards(name, query, doc):
    assert prompts_of(name, {}) == prompts_of(name.lower(), {"query": "", "document": None}) == (query, doc)


@pytest.mark.parametrize("name", ["intfloat/multilingual-e5-large-instruct", "intfloat/e5-mistral-7b-instruct"])
def test_models_that_take_instructions_have_no_prompt_of_documents(name):
    query, doc = prompts_of(name, {})
    assert query.startswith("Instruct: ")
    assert query.endswith("\nQuery: ")
    assert doc == ""


def test_a_models_own_prompts_come_first():
    assert prompts_of("intfloat/e5-small", {"query": "ask: "}) == ("ask: ", "")
    assert prompts_of("intfloat/e5-small", {"passage": "text: "}) == ("", "text: ")
    assert prompts_of("any", {"s2p_query": "find: ", "s2s_query": "like: "}) == ("find: ", "")
    assert prompts_of("any", {"search_query": "q: ", "search_document": "d: "}) == ("q: ", "d: ")
    assert prompts_of("any", {"web_search_query": "q: ", "sts_query": "s: "}) == ("q: ", "")
    assert prompts_of("any", {"query": "", "search_query": "q: "}) == ("q: ", "")
