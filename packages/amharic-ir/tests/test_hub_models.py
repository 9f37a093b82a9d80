"""Models of sentence-transformers: fine-tuned, saved and read again. One of two layers stands for those of the hub."""

import json

import numpy as np
import pytest

pytest.importorskip("sentence_transformers")

from amharic_ir import tokenizers
from amharic_ir.encoders import SentenceEncoder, load
from amharic_ir.train import PAPER, Pairs, TrainConfig, bi_encoder, late_interaction
from amharic_ir.train.base import encoder_of, settings_for
from irworks.data import Collection, Documents
from irworks.errors import ArgumentError

TEXTS = ["ሠላም ለዓለም ሁሉ", "አዲስ አበባ የኢትዮጵያ ዋና ከተማ ናት", "የዓባይ ወንዝ ከጣና ሐይቅ ይነሳል", "ጸሐይ ወጣች", "ተራራ ላይ ወጣ", "ባሕር ጥልቅ ነው"]
PAIRS = Pairs(["ሠላም ሁሉ", "ዋና ከተማ", "ዓባይ ጣና", "ጸሐይ", "ተራራ"], TEXTS[:5])
QUICK = TrainConfig(epochs=1, batch_size=2, learning_rate=1e-3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of sentence-transformers that reads Amharic pieces, with prompts."""
    import torch
    from sentence_transformers import SentenceTransformer, models
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    root = tmp_path_factory.mktemp("hub")
    pieces = tokenizers.train(TEXTS, "wordpiece", vocab_size=150)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=pieces.inner,
        unk_token="[UNK]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        cls_token="[PAD]",
        sep_token="[PAD]",
    )
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=24, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=40,
    )  # fmt: skip
    BertModel(config).save_pretrained(root / "bert")
    fast.save_pretrained(root / "bert")
    words = models.Transformer(str(root / "bert"), max_seq_length=32)
    model = SentenceTransformer(modules=[words, models.Pooling(24)], device="cpu", prompts={"query": "ጥያቄ: "})
    model.save_pretrained(str(root / "model"), create_model_card=False)
    return root / "model"


def vectors(encoder):
    return [encoder.encode(TEXTS, kind) for kind in ("query", "doc")]


def tokens(encoder):
    found = encoder.encode_tokens(TEXTS, "query")
    return found.vectors, found.offsets


def equal(one, other):
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(one, other, strict=True))


def test_one_vector_a_text_is_fine_tuned_saved_and_read_again(folder, tmp_path):
    base = load(folder, device="cpu")
    before = vectors(base)
    trained, history = bi_encoder(PAIRS, base, config=QUICK)
    # Five pairs by two: the one that would be left alone joins the last step.
    assert history.best_step == 2
    assert equal(vectors(base), before)
    assert not equal(vectors(trained), before)
    trained.save(tmp_path / "model")
    again = load(tmp_path / "model", device="cpu")
    assert equal(vectors(again), vectors(trained))
    assert (again.query_prompt, again.doc_prompt) == ("ጥያቄ: ", "")
    assert not np.array_equal(*vectors(again))


def test_vectors_of_tokens_are_fine_tuned_saved_and_read_again(folder, tmp_path):
    whole, _ = late_interaction(PAIRS, str(folder), token_dim=8, config=QUICK)
    assert whole.token_dim == 8
    whole.save(tmp_path / "model")
    again = load(tmp_path / "model", device="cpu")
    assert (again.token_dim, again.query_prompt) == (8, "ጥያቄ: ")
    assert equal(tokens(again), tokens(whole))
    # Trained further, it keeps the projection that it has.
    more, _ = late_interaction(PAIRS, tmp_path / "model", config=TrainConfig(epochs=1, learning_rate=1e-9))
    assert more.token_dim == 8
    np.testing.assert_allclose(tokens(more)[0], tokens(whole)[0], atol=1e-5)


def test_an_encoder_without_a_projection_gets_one_and_stays_as_it_was(folder):
    base = SentenceEncoder(str(folder), device="cpu")
    before = tokens(base)
    trained, _ = late_interaction(PAIRS, base, token_dim=8, config=QUICK)
    assert (trained.token_dim, base.token_dim) == (8, 24)
    assert equal(tokens(base), before)


def test_an_encoder_that_keeps_some_dimensions_alone_is_for_search(folder):
    encoder = SentenceEncoder(folder, truncate_dim=8, device="cpu")
    with pytest.raises(ArgumentError, match=r"truncate_dim=8 is for search; train with loss='matryoshka'"):
        bi_encoder(PAIRS, encoder)


def test_seeds_alone_decide_as_well(folder):
    found = [
        tokens(late_interaction(PAIRS, folder, token_dim=8, config=TrainConfig(**{**vars(QUICK), "seed": seed}))[0])
        for seed in (0, 0, 1)
    ]
    assert equal(found[0], found[1])
    assert not equal(found[0], found[2])


def test_gradients_by_chunks_resuming_and_choosing_work_on_it_too(folder, tmp_path):
    judged = Collection(Documents.of(TEXTS), {"q": "ጥልቅ"}, {"q": {"5": 1}}, "v", "validation")
    options = {"config": TrainConfig(epochs=2, batch_size=4, learning_rate=1e-3, chunk=2), "validation": judged}
    one, history = bi_encoder(PAIRS, folder, loss="matryoshka", dims=(8,), checkpoint=tmp_path / "state.pt", **options)
    same, again = bi_encoder(PAIRS, folder, loss="matryoshka", dims=(8,), checkpoint=tmp_path / "state.pt", **options)
    assert history == again
    assert equal(vectors(one), vectors(same))
    assert len(history.checks) == 3


def test_prompts_stand_before_texts_in_training(folder, monkeypatch):
    from irworks.encoders.sentence_network import SentenceNetwork

    read, seen = SentenceNetwork.forward, []

    def forward(self, texts, *wanted):
        seen.append(texts)
        return read(self, texts, *wanted)

    monkeypatch.setattr(SentenceNetwork, "forward", forward)
    bi_encoder(PAIRS, folder, config=TrainConfig(epochs=1, batch_size=5))
    assert sorted(seen[0]) == sorted(f"ጥያቄ: {query}" for query in PAIRS.queries)
    assert sorted(seen[1]) == sorted(PAIRS.docs)


def test_a_model_of_the_hub_has_the_papers_settings(folder):
    assert settings_for(encoder_of(str(folder), [])) == PAPER
    assert settings_for(encoder_of("scratch", ["ሠላም"])) == TrainConfig()


def test_the_command_line_trains_it_and_leaves_models_of_others_alone(folder, tmp_path):
    from amharic_ir import cli
    from irworks.testing import run_main

    rows = [{"q": query, "d": doc} for query, doc in zip(PAIRS.queries, PAIRS.docs, strict=True)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    (tmp_path / "v.jsonl").write_text(json.dumps({"q": "ጥልቅ", "d": TEXTS[5]}), encoding="utf-8")
    asked = ("train", tmp_path / "pairs.jsonl", "--query-field", "q", "--text-field", "d", "--base", folder)
    asked = (*asked, "--validation", tmp_path / "v.jsonl", "--late", "--token-dim", "8", "--json")
    done = run_main(cli.main, "amharic-ir", *asked, "--out", tmp_path / "model")
    assert done.status == 0, done.err
    assert len(done.json["losses"]) == PAPER.epochs
    assert done.json["gain"][1:] == [None, None]
    assert (
        "the encoder finds what it found before" in done.json["verdict"]
        or "one validation query" in done.json["verdict"]
    )
    assert load(tmp_path / "model", device="cpu").token_dim == 8
    refused = run_main(cli.main, "amharic-ir", *asked, "--out", tmp_path / "model")
    assert refused.status == 2
    assert "the folder exists and is not a small encoder" in refused.err


def test_a_folder_with_nothing_of_a_model_is_one_error(tmp_path):
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ArgumentError, match="no model can be had of"):
        load(tmp_path)
