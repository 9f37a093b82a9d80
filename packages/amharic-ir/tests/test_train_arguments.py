"""What training refuses, and how it says so."""

import pytest

pytest.importorskip("torch")

from amharic_ir.encoders import Ngrams, TinySettings, tiny
from amharic_ir.train import PAPER, Pairs, TrainConfig, bi_encoder, late_interaction
from irworks.data import Collection, Documents
from irworks.errors import ArgumentError


def small():
    return tiny(Ngrams(buckets=256), TinySettings(dim=32, token_dim=16))


def judged(queries, split="validation", docs=("ጽሑፍ",)):
    numbered = {str(i): text for i, text in enumerate(queries)}
    return Collection(Documents.of(list(docs)), numbered, {query: {"0": 1} for query in numbered}, "news", split)


@pytest.mark.parametrize("train", [bi_encoder, late_interaction])
@pytest.mark.parametrize("asked", ["ሠላም ለዓለም", "ሰላም ለአለም", " ሰላም \n ለዓለም", "ሠላም፡ለዓለም"])
def test_what_is_tested_on_is_not_learned_from(train, asked):
    pairs = Pairs(["ሠላም ለዓለም", "አዲስ አበባ"], ["አንድ", "ሁለት"])
    with pytest.raises(ArgumentError, match=r"of news is to be tested on, and is among the pairs"):
        train(pairs, small(), held_out=judged([asked], "test"))
    with pytest.raises(ArgumentError, match=r"is to be tested on, and is among the validation queries"):
        train(Pairs(["ሌላ"], ["ጽሑፍ"]), small(), held_out=judged([asked], "test"), validation=judged(["ሰላም ለዓለም"]))
    with pytest.raises(ArgumentError, match=r"validation query .* is among the pairs"):
        train(pairs, small(), validation=judged([asked]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": judged(["x"], "test")}, "news: its queries are the test split; expected others to choose"),
        ({"validation": Collection(Documents.of(["x"]), {"1": "y"}, {"1": {"0": 0}})}, "no document is relevant to a"),
        ({"validation": Collection(Documents.of(["x"]))}, "no document is relevant to a validation query"),
        ({"config": TrainConfig(negatives=2)}, "negatives=2, and the pairs have none; see mine"),
        ({"loss": "distill"}, r"needs the scores of a teacher; see Pairs\.taught"),
        ({"loss": "triplet"}, "loss='triplet'; expected contrastive"),
    ],
)
@pytest.mark.parametrize("train", [bi_encoder, late_interaction])
def test_arguments_that_do_not_fit_are_told(train, options, message):
    with pytest.raises(ArgumentError, match=message):
        train(Pairs(["ሠላም"], ["ለዓለም"]), small(), **options)


def test_what_would_learn_nothing_is_told():
    taught = Pairs(["ሠላም"], ["ለዓለም"], [["አዲስ"]], [[1.0, 0.0]])
    with pytest.raises(ArgumentError, match=r"distill.* expected config\.negatives of at least 1"):
        bi_encoder(taught, small(), loss="distill")
    with pytest.raises(ArgumentError, match="the pairs have none; see mine"):
        bi_encoder(Pairs(["ሠላም"], ["ለዓለም"], [[]]), small(), config=TrainConfig(negatives=1))
    with pytest.raises(ArgumentError, match=r"dims=\(64,\); expected within 1 and 32"):
        bi_encoder(taught, small(), loss="matryoshka", dims=(64,))
    with pytest.raises(ArgumentError, match=r"dims=\(8,\) with loss='contrastive'; expected loss='matryoshka'"):
        bi_encoder(taught, small(), dims=(8,))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "epochs=0; expected at least 1"),
        ({"batch_size": 1}, "batch_size=1; expected at least 2"),
        ({"seed": -1}, "seed=-1; expected at least 0"),
        ({"chunk": 0}, "chunk=0; expected at least 1, or None"),
        ({"learning_rate": float("nan")}, "learning_rate=nan; expected above 0"),
        ({"learning_rate": float("inf")}, "learning_rate=inf; expected above 0"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0; expected at least 0"),
        ({"warmup": 1.0}, r"warmup=1.0; expected within \[0, 1\)"),
        ({"precision": "int8"}, "precision='int8'; expected float32, bfloat16 or float16"),
    ],
)
def test_settings_out_of_range_are_told(settings, message):
    with pytest.raises(ArgumentError, match=message):
        TrainConfig(**settings)


def test_the_settings_of_the_paper_are_its_own():
    assert (PAPER.epochs, PAPER.batch_size, PAPER.learning_rate) == (5, 128, 5e-5)
    assert (PAPER.temperature, PAPER.warmup) == (0.05, 0.1)


def test_one_pair_is_enough_to_run():
    encoder, history = bi_encoder(Pairs(["ሠላም"], ["ለዓለም"]), small(), config=TrainConfig(epochs=1))
    assert history.losses == [0.0]
    assert encoder.encode(["ሠላም"]).shape == (1, 32)
