"""ColBERT models of PyLate as encoders of tokens; those that need PyLate run where it is installed."""

import importlib.util
import itertools

import numpy as np
import pytest

from amharic_ir.pylate import PylateEncoder
from irworks.encoders import TokenEncoder
from irworks.errors import ArgumentError, MissingDependencyError
from irworks.retrieval import LateInteraction

DOCS = {"1": "የአዲስ አበባ ከተማ", "2": "የኢትዮጵያ ቡና ዋጋ", "3": "እግር ኳስ ቡድን", "4": "ቡና"}


def test_without_pylate_the_error_names_the_extra():
    if importlib.util.find_spec("pylate"):
        pytest.skip("PyLate is installed")
    with pytest.raises(MissingDependencyError, match=r"amharic-ir\[pylate\]"):
        PylateEncoder("somewhere")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny ColBERT with random numbers."""
    models = pytest.importorskip("pylate.models", reason="PyLate is not installed")
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    root = tmp_path_factory.mktemp("colbert")
    letters = sorted({letter for text in DOCS.values() for letter in text if letter != " "})
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", "[unused0]", "[unused1]"]
    words += [*letters, *(f"##{letter}" for letter in letters)]
    (root / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(root / "bert")
    BertTokenizerFast(str(root / "vocab.txt"), strip_accents=False).save_pretrained(root / "bert")
    made = models.ColBERT(str(root / "bert"), embedding_size=8, device="cpu", query_length=16, document_length=32)
    made.save_pretrained(str(root / "colbert"))
    return root / "colbert"


def test_vectors_of_tokens_are_those_of_pylate(folder):
    encoder = PylateEncoder(str(folder), device="cpu")
    assert isinstance(encoder, TokenEncoder)
    assert encoder.token_dim == 8
    for kind in ("query", "doc"):
        found = encoder.encode_tokens(list(DOCS.values()), kind)
        theirs = encoder.model.encode(list(DOCS.values()), is_query=kind == "query", show_progress_bar=False)
        assert len(found) == len(DOCS)
        for place, expected in enumerate(theirs):
            np.testing.assert_allclose(found.of(place), expected, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
    # Queries are filled up to one length; documents are as long as they are.
    assert set(np.diff(encoder.encode_tokens(list(DOCS.values()), "query").offsets)) == {16}
    assert len(set(np.diff(encoder.encode_tokens(list(DOCS.values()), "doc").offsets))) > 1


def test_scores_of_an_index_are_those_of_pylate(folder):
    from pylate import scores

    encoder = PylateEncoder(str(folder), device="cpu")
    run = LateInteraction(encoder, dtype="float32").add(DOCS).search({"q": "ቡና ዋጋ", "r": "ከተማ"}, len(DOCS))
    queries = encoder.model.encode(["ቡና ዋጋ", "ከተማ"], is_query=True, show_progress_bar=False)
    docs = encoder.model.encode(list(DOCS.values()), is_query=False, show_progress_bar=False)
    for (query, vectors), (doc, others) in itertools.product(
        zip("qr", queries, strict=True), zip(DOCS, docs, strict=True)
    ):
        assert dict(run[query])[doc] == pytest.approx(
            float(scores.colbert_scores(vectors[None], others[None])[0, 0]), abs=1e-4
        )


def test_no_texts_give_no_vectors(folder):
    found = PylateEncoder(str(folder), device="cpu").encode_tokens([], "doc")
    assert len(found) == 0
    assert found.vectors.shape == (0, 8)


def test_a_model_in_hand_is_taken_as_it_is(folder):
    from pylate import models

    model = models.ColBERT(str(folder), device="cpu")
    assert PylateEncoder(model).model is model


def test_what_is_no_model_is_refused_by_name(folder, tmp_path):
    with pytest.raises(ArgumentError, match="no ColBERT can be had of"):
        PylateEncoder(str(tmp_path / "absent"), device="cpu")


def test_a_blank_text_has_no_token(folder):
    found = PylateEncoder(str(folder), device="cpu").encode_tokens([" ", "ቡና", ""])
    assert (np.diff(found.offsets) > 0).tolist() == [False, True, False]
