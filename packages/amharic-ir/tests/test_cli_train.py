"""The command line's verbs that learn."""

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

pytest.importorskip("torch")

from amharic_ir import cli
from amharic_ir.cli.generated import with_settings
from amharic_ir.encoders import load
from amharic_ir.train import TrainConfig
from amharic_ir.train.outcome import Outcome
from irworks.testing import run_main

N = 60
QUICK = ("--epochs", "2", "--batch-size", "16", "--learning-rate", "0.01")
FIELDS = ("--query-field", "headline", "--text-field", "body")


def run(*words):
    return run_main(cli.main, "amharic-ir", *words)


def ok(*words):
    done = run(*words)
    assert done.status == 0, done.err
    return done


def jsonl(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Headlines of one language, articles of another, in every form."""
    root = tmp_path_factory.mktemp("world")
    rng = np.random.default_rng(0)
    letters = [chr(0x1208 + row * 8 + order) for row in (0, 3, 4, 6, 10, 18, 34, 42) for order in range(7)]
    words = ["".join(rng.choice(letters, 4)) for _ in range(40)]
    meanings = [rng.choice(20, 4, replace=False) for _ in range(N)]
    queries = [" ".join(words[each] for each in meaning) for meaning in meanings]
    docs = [
        f"{' '.join(words[20 + each] for each in meaning)}። {q} ቃል።"
        for meaning, q in zip(meanings, queries, strict=True)
    ]
    bodies = [doc.split("።")[0] for doc in docs]
    jsonl(root / "pairs.jsonl", [{"headline": q, "body": d} for q, d in zip(queries, bodies, strict=True)])
    jsonl(root / "other.jsonl", [{"headline": f"ሌላ {q}", "body": d} for q, d in zip(queries[:9], bodies, strict=False)])
    jsonl(root / "tested.jsonl", [{"headline": queries[3], "body": "ሌላ ጽሑፍ"}])
    paragraphs = [{"context": d, "qas": [{"question": q}]} for q, d in zip(queries, bodies, strict=True)]
    (root / "squad.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
    beir = root / "beir"
    jsonl(beir / "corpus.jsonl", [{"_id": f"d{i}", "text": text} for i, text in enumerate(bodies)])
    jsonl(beir / "queries.jsonl", [{"_id": f"q{i}", "text": text} for i, text in enumerate(queries)])
    (beir / "qrels").mkdir()
    for part, rows in (("train", range(40)), ("dev", range(40, 50)), ("test", range(50, N))):
        lines = "".join(f"q{i}\td{i}\t1\n" for i in rows)
        (beir / "qrels" / f"{part}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}", encoding="utf-8")
    jsonl(root / "docs.jsonl", [{"id": str(i), "text": text} for i, text in enumerate(docs)])
    return root


@pytest.fixture
def here(world, monkeypatch, tmp_path):
    monkeypatch.chdir(world)
    return tmp_path


@pytest.mark.parametrize(
    ("form", "n_pairs", "n_judged"),
    [
        (["pairs.jsonl", *FIELDS], 54, 6),
        (["squad.json"], 54, 6),
        (["beir"], 36, 4),
        (["beir", "--validation", "beir", "--held-out", "beir"], 40, 10),
        (["pairs.jsonl", "other.jsonl", *FIELDS], 62, 7),
    ],
)
def test_pairs_in_any_form_are_learned_from(here, form, n_pairs, n_judged):
    out = here / "model"
    told = ok("train", *form, "--out", out, *QUICK).out
    part = "given" if "--validation" in form else "a tenth, split off"
    assert f"{n_pairs} pairs; {n_judged} validation queries ({part})" in told
    for name in ("before", "after", "BM25", "gain"):
        assert f"\n  {name} " in told
    assert load(out, device="cpu").encode(["ሠላም"]).shape == (1, 128)


def test_before_and_after_are_those_of_the_encoder_that_is_written(here):
    from irworks.data.text_files import read_beir
    from irworks.metrics import evaluate_run
    from irworks.retrieval import Dense

    found = ok("train", "beir", "--validation", "beir", "--out", here / "one", "--json", *QUICK).json
    judged = read_beir("beir", "dev")
    texts = dict(zip(judged.docs.ids, judged.docs.texts(), strict=True))
    run_ = Dense(load(here / "one", device="cpu")).add(texts).search(judged.queries, 10)
    expected = float(evaluate_run(run_, judged.qrels, ["nDCG@10"])["nDCG@10"].mean())
    assert found["after"][0] == pytest.approx(expected, abs=1e-6)
    assert found["gain"][0] == pytest.approx(found["after"][0] - found["before"][0])
    assert (found["queries"], len(found["losses"])) == (10, 2)
    assert found["losses"][1] < found["losses"][0]
    more = ok("train", "beir", "--base", here / "one", "--validation", "beir", "--out", here / "two", "--json", *QUICK)
    assert more.json["before"][0] == pytest.approx(expected, abs=1e-6)
    # A small encoder may be replaced.
    ok("train", "beir", "--out", here / "two", "--late", *QUICK, "--epochs", "1")


def test_documents_alone_are_learned_from_and_no_more_is_said_than_was_found(here):
    asked = ("train", "docs.jsonl", "--inverse-cloze", "--out", here / "m", "--batch-size", "16")
    told = ok(*asked, "--epochs", "8", "--learning-rate", "0.01").out
    assert "validation queries (a tenth, split off)" in told
    assert "which flatters it" in told
    told = ok(*asked, "--epochs", "1", "--learning-rate", "1e-9").out
    assert "Training made it no better: the encoder finds what it found before." in told


def test_a_gain_whose_interval_holds_0_is_no_telling():
    before, after = np.array([0.5, 0.2, 1.0, 0.4]), np.array([0.9, 0.1, 0.9, 0.4])
    assert Outcome(before, after, before).verdict.endswith("is better than it was: the interval holds 0")
    assert Outcome(before, before + 0.1, before).verdict == "the trained encoder is better than it was"
    assert Outcome(before[:1], after[:1], before[:1]).verdict.endswith("there is one validation query")


def test_an_encoder_that_training_makes_no_better_stays_as_it_was(here):
    judged = ("--validation", "beir", "--out", here / "m", "--batch-size", "16", "--learning-rate", "0.02")
    told = ok("train", "beir", *judged, "--epochs", "8").out
    assert "The trained encoder is better than it was." in told
    rows = [json.loads(line) for line in Path("pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    bodies = [row["body"] for row in rows]
    jsonl(here / "wrong.jsonl", [{**row, "body": bodies[i - 7]} for i, row in enumerate(rows[:40])])
    wrong = ("train", here / "wrong.jsonl", *FIELDS, "--base", here / "m", *judged[:-2], "--out", here / "n")
    told = ok(*wrong, "--epochs", "6", "--learning-rate", "0.05").out
    assert "Training made it no better: the encoder finds what it found before." in told
    assert "Step 0 is kept" in told


def test_negatives_are_mined_and_learned_from(here):
    file = here / "negatives.jsonl"
    told = ok("mine", "docs.jsonl", "--topics", "beir/queries.jsonl", "--qrels", write_qrels(here), "--out", file).out
    assert "of 40 of 40 queries" in told
    ok("index", "beir/corpus.jsonl", "--out", here / "index")
    told = ok(
        "mine", "beir", "--index", here / "index", "--held-out", "beir", "-n", "3", "--skip", "0", "--out", file
    ).out
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    assert [row["query"] for row in rows] == [f"q{i}" for i in range(40)]
    tested = {f"d{i}" for i in range(50, N)}
    for row in rows:
        assert len(row["negatives"]) <= 3
        assert not {row["query"].replace("q", "d"), *tested} & set(row["negatives"])


def write_qrels(folder):
    path = folder / "train.qrels"
    path.write_text("".join(f"q{i} 0 {i} 1\n" for i in range(40)), encoding="utf-8")
    return path


def test_mined_negatives_and_a_teacher_are_used(here):
    file = here / "negatives.jsonl"
    jsonl(file, [{"query": f"q{i}", "negatives": [f"d{(i + j) % N}" for j in (1, 2, 3)]} for i in range(40)])
    options = ("beir", "--mined", file, "--out", here / "m", "--json", *QUICK)
    with_negatives = ok("train", *options).json["losses"]
    without = ok("train", "beir", "--out", here / "m", "--json", *QUICK).json["losses"]
    assert with_negatives[0] > without[0]
    taught = ok("train", *options, "--loss", "distill", "--negatives", "2", "--temperature", "0.5").json["losses"]
    # To BM25, which has not a word in common with any, all documents are alike; as to a new encoder.
    assert taught[0] < 0.2
    by_encoder = ok("train", *options, "--loss", "distill", "--teacher", f"late:{here / 'm'}", "--late").json["losses"]
    assert by_encoder[0] != taught[0]
    assert ok("train", *options, "--loss", "distill", "--teacher", f"dense:{here / 'm'}").json["losses"] != by_encoder


def test_a_tokenizer_is_read_and_dimensions_are_nested(here):
    pytest.importorskip("tokenizers")
    from amharic_ir.encoders import Pieces

    ok("tokenizer", "train", "docs.jsonl", "--vocab-size", "90", "--out", here / "pieces.json")
    ok(
        "train",
        "beir",
        "--tokenizer",
        here / "pieces.json",
        "--out",
        here / "m",
        "--loss",
        "matryoshka",
        "--dim",
        "32",
        *QUICK,
    )
    one = load(here / "m", device="cpu")
    assert isinstance(one.cut, Pieces)
    assert one.cut.tokenizer.normalize is not None


def test_training_goes_on_from_its_checkpoint(here):
    asked = ("train", "beir", "--checkpoint", here / "state.pt", "--json", *QUICK)
    first = ok(*asked, "--out", here / "one").json
    again = ok(*asked, "--out", here / "two").json
    assert {**first, "out": ""} == {**again, "out": ""}
    refused = run(*asked, "--seed", "5", "--out", here / "one")
    assert refused.status == 2
    assert "state.pt: the checkpoint is of another training" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pairs.jsonl"], "nothing says what the queries are"),
        (["beir", "--split", "test"], "beir: its queries are the test split; expected those for training"),
        (["beir", "--validation", "beir", "--validation-split", "test"], "beir: its queries are the test split"),
        (["beir", "--validation", "beir", "--validation-split", "train"], "is among the pairs; expected others"),
        (["pairs.jsonl", *FIELDS, "--held-out", "tested.jsonl"], "is to be tested on, and is among"),
        (["beir", "--epochs", "0"], "epochs=0; expected at least 1"),
        (["beir", "--precision", "int8"], "precision='int8'"),
        (["beir", "--negatives", "2"], "negatives=2, and the pairs have none; see mine"),
        (["beir", "--loss", "distill"], "expected --mined, a file that mine wrote"),
        (["beir", "--loss", "distill", "--mined", "good.jsonl", "--teacher", "me"], "me is no teacher; expected bm25"),
        (["beir", "--late", "--loss", "matryoshka"], "expected another --loss"),
        (["beir", "--dim", "8"], "expected loss='matryoshka'"),
        (["beir", "--tokenizer", "squad.json"], "no tokenizer can be read from it"),
        (["beir", "--tokenizer", "x", "--base", "beir"], "--tokenizer goes with an encoder from scratch"),
        (["beir", "--base", "beir"], "beir: no encoder is in the folder"),
        (["beir", "beir", "--mined", "good.jsonl"], "--mined goes with one PAIRS"),
        (["beir", "--mined", "bad.jsonl"], "bad.jsonl, line 1: no negatives"),
        (["beir", "--mined", "strange.jsonl"], "beir has no document 'x'. Mine again"),
        (["beir", "--mined", "twice.jsonl"], "query 'q1' stands twice"),
        (["docs.jsonl", "--inverse-cloze", "--mined", "x"], "expected no queries and no negatives with it"),
        (["beir/corpus.jsonl", "--inverse-cloze"], "0 of 60 documents have two sentences"),
        (["beir", "--out", "beir"], "--out beir would overwrite beir"),
        (["beir", "--out", "full"], "the folder exists and is not a small encoder"),
        (["beir", "--checkpoint", "squad.json"], "squad.json: no checkpoint can be read from it"),
        (["squad.json", "--checkpoint", "squad.json"], "--checkpoint squad.json would overwrite squad.json"),
    ],
)
def test_bad_input_is_one_sentence(here, world, words, message):
    jsonl(world / "good.jsonl", [{"query": f"q{i}", "negatives": ["d50"]} for i in range(40)])
    jsonl(world / "bad.jsonl", [{"query": "q1", "docs": []}])
    jsonl(world / "strange.jsonl", [{"query": "q1", "negatives": ["x"]}])
    jsonl(world / "twice.jsonl", [{"query": "q1", "negatives": []}] * 2)
    (world / "full").mkdir(exist_ok=True)
    (world / "full" / "mine.txt").touch()
    done = run("train", *words, *(() if "--out" in words else ("--out", here / "m")))
    assert done.status == 2, done.out
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (here / "m").exists()


def test_options_are_the_fields_of_the_settings():
    app, seen = typer.Typer(), []

    @app.command()
    @with_settings(TrainConfig)
    def verb(name: str, settings: dict) -> None:
        seen.append((name, settings))

    words = [
        "x",
        "--epochs",
        "3",
        "--no-symmetric",
        "--learning-rate",
        "0.5",
        "--chunk",
        "7",
        "--precision",
        "bfloat16",
    ]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert CliRunner().invoke(app, ["y"]).exit_code == 0
    given = {"epochs": 3, "symmetric": False, "learning_rate": 0.5, "chunk": 7, "precision": "bfloat16"}
    assert seen == [("x", given), ("y", {})]
    told = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output.split())
    for name in TrainConfig.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in told
    assert "Passes over the pairs. Default: 10." in told
