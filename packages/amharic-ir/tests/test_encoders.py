"""Encoders of folded text: what makes no difference to them, and what is left of them on disk."""

import json
import shutil
import socket
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch")

from amharic_ir import Analyzer, tokenizers
from amharic_ir.encoders import Ngrams, Pieces, TinySettings, load, tiny
from amharic_ir.text.perturb import perturb
from irworks.encoders.hub import reaches_hub
from irworks.errors import ArgumentError, DataError, MissingDependencyError

TEXTS = ["ሠላም ለዓለም ሁሉ", "አዲስ አበባ የኢትዮጵያ ዋና ከተማ ናት።", "የዓባይ ወንዝ ከጣና ሐይቅ ይነሳል", "ጸሐይ ወጣች 1999", "ASCII ብቻ"]


def encoder_of(cut, **sizes):
    return tiny(cut, TinySettings(dim=16, token_dim=8, **sizes), docs=TEXTS, name="mine")


@pytest.fixture(scope="module")
def cuts():
    pytest.importorskip("tokenizers")
    return {
        "ngrams": Ngrams(buckets=512),
        "tigrinya": Ngrams((2, 3), 128, Analyzer("ti", tokens="stem")),
        "pieces": Pieces(tokenizers.train(TEXTS, "bpe", vocab_size=120)),
        "bytes": Pieces(tokenizers.train(TEXTS, "byte", vocab_size=300, normalize=None, name="bytes")),
    }


KINDS = ["ngrams", "tigrinya", "pieces", "bytes"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [0, 1])
def test_an_encoder_is_saved_and_read_again(cuts, kind, layers, tmp_path):
    one = encoder_of(cuts[kind], layers=layers)
    one.save(tmp_path / "model")
    again = load(tmp_path / "model", device="cpu")
    assert (again.name, again.settings, again.cut.to_json()) == ("mine", one.settings, cuts[kind].to_json())
    texts = [*TEXTS, "", "漢字 ⼀"]
    for role in ("query", "doc"):
        np.testing.assert_array_equal(again.encode(texts, role), one.encode(texts, role))
        mine, theirs = one.encode_tokens(texts, role), again.encode_tokens(texts, role)
        np.testing.assert_array_equal(theirs.vectors, mine.vectors)
        np.testing.assert_array_equal(theirs.offsets, mine.offsets)


@given(st.sampled_from(TEXTS), st.floats(0, 1), st.integers(0, 99), st.sampled_from(["ngrams", "pieces"]))
@settings(max_examples=60, deadline=None)
def test_homophones_make_no_difference_to_vectors(cuts, text, p, seed, kind):
    one = encoder_of(cuts[kind], layers=1)
    typed = perturb(text, "homophone", p, seed=seed)
    for role in ("query", "doc"):
        np.testing.assert_array_equal(one.encode([typed], role), one.encode([text], role))
        tokens = [one.encode_tokens([each], role).vectors for each in (typed, text)]
        np.testing.assert_array_equal(*tokens)


def test_letters_of_their_own_in_tigrinya_stay_apart(cuts):
    assert "ሀ" != "ሐ"
    amharic, tigrinya = (
        encoder_of(Ngrams(buckets=4096, analyzer=Analyzer(lang, tokens="word"))) for lang in ("am", "ti")
    )
    assert np.array_equal(*amharic.encode(["ሀለፈ", "ሐለፈ"])[:, None])
    assert not np.array_equal(*tigrinya.encode(["ሀለፈ", "ሐለፈ"])[:, None])


def test_a_text_in_a_batch_has_the_vector_it_has_alone(cuts):
    one = encoder_of(cuts["ngrams"], layers=1)
    together = one.encode(TEXTS)
    for text, vector in zip(TEXTS, together, strict=True):
        np.testing.assert_allclose(one.encode([text])[0], vector, atol=1e-6)


def test_a_folder_that_is_none_of_both_is_one_error(cuts, tmp_path):
    encoder_of(cuts["ngrams"]).save(tmp_path / "whole")

    def damaged(name, file, text):
        folder = shutil.copytree(tmp_path / "whole", tmp_path / name)
        (folder / file).unlink() if text is None else (folder / file).write_text(text, encoding="utf-8")
        return folder

    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "searcher.json").write_text("{}", encoding="utf-8")
    cut = json.loads((tmp_path / "whole" / "cut.json").read_text(encoding="utf-8"))
    for folder, message in (
        (tmp_path / "empty", "empty: no encoder is in the folder"),
        (tmp_path / "other", "other: no encoder is in the folder"),
        (damaged("1", "cut.json", None), "it does not say how text is cut"),
        (damaged("2", "cut.json", "{"), "it does not say how text is cut"),
        (damaged("3", "cut.json", json.dumps({**cut, "kind": "letters"})), "it does not say how text is cut"),
        (damaged("4", "cut.json", json.dumps({**cut, "buckets": 256})), "text was cut in another way"),
        (damaged("5", "tiny.json", "[]"), "no encoder can be read from it"),
        (damaged("6", "network.safetensors", "nothing"), "no encoder can be read from it"),
        (damaged("7", "network.safetensors", None), "no encoder can be read from it"),
    ):
        with pytest.raises(DataError, match=message):
            load(folder, device="cpu")
    with pytest.raises(ArgumentError, match=r"whole is a small encoder; it takes no token_dim"):
        load(tmp_path / "whole", token_dim=3)


def test_without_the_library_of_its_tokenizer_the_error_says_what_to_install(cuts, tmp_path, monkeypatch):
    encoder_of(cuts["pieces"]).save(tmp_path / "model")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'amharic-ir\[tokenizers\]'"):
        load(tmp_path / "model", device="cpu")


# -- tokenizers -------------------------------------------------------------------------------------------------------


def test_a_tokenizer_that_cannot_be_read_is_one_error(cuts, tmp_path):
    file = tmp_path / "broken.json"
    for text in ("", "{", "[]", '{"model": 1}'):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=r"broken\.json: no tokenizer can be read from it.*expected JSON"):
            tokenizers.load(file)
    cuts["pieces"].tokenizer.save(tmp_path / "a.json")
    (tmp_path / "a.analyzer.json").write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.analyzer\.json: it does not say how text is rewritten"):
        tokenizers.load(tmp_path / "a.json")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match=r"folder: no tokenizer is in the folder \(expected tokenizer\.json\)"):
        tokenizers.load(tmp_path / "folder")


def test_a_tokenizer_in_the_place_of_one_that_folds_does_not_fold(cuts, tmp_path):
    cuts["pieces"].tokenizer.save(tmp_path / "a.json")
    assert tokenizers.load(tmp_path / "a.json").normalize is not None
    cuts["bytes"].tokenizer.save(tmp_path / "a.json")
    assert tokenizers.load(tmp_path / "a.json").normalize is None


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """A hub that cannot be reached, and no copy of anything of it."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{one.getsockname()[1]}")
        yield


def test_without_a_network_a_name_is_refused_at_once(nowhere):
    begin = time.perf_counter()
    with pytest.raises(
        ArgumentError, match=r"no/such is no file, and no tokenizer of that name .* there is no network"
    ):
        tokenizers.load("no/such")
    assert time.perf_counter() - begin < 5


def test_whether_the_hub_is_reached_is_asked_of_its_address(nowhere, monkeypatch):
    assert not reaches_hub()
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert reaches_hub()
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        assert not reaches_hub()
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert reaches_hub()
