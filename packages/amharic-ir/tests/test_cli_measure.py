"""The command line's verbs that measure, and its tokenizers."""

import json

import pytest

from amharic_ir import cli
from amharic_ir.cli import collections, methods
from irworks.data import Documents
from irworks.errors import ArgumentError
from irworks.testing import run_main

TEXTS = {
    "a": "ሠላም ለዓለም ሁሉ",
    "b": "የኢትዮጵያ ዋና ከተማ አዲስ አበባ ናት",
    "c": "ኣስመራ ርእሰ ከተማ ኤርትራ እያ",
    "d": "የዓባይ ወንዝ ከጣና ሐይቅ ይነሳል",
}
QUERIES = {"1": "ሰላም ለአለም", "2": "አዲስ አበባ ከተማ", "3": "ጣና ሀይቅ", "4": "አስመራ"}
RELEVANT = {"1": "a", "2": "b", "3": "d", "4": "c"}


def jsonl(path, rows):
    path.write_text("".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows), encoding="utf-8")


@pytest.fixture
def here(tmp_path, monkeypatch):
    """One collection in every form."""
    monkeypatch.chdir(tmp_path)
    beir = tmp_path / "beir"
    (beir / "qrels").mkdir(parents=True)
    jsonl(beir / "corpus.jsonl", [{"_id": doc, "text": text} for doc, text in TEXTS.items()])
    jsonl(beir / "queries.jsonl", [{"_id": query, "text": text} for query, text in QUERIES.items()])
    rows = [f"{query}\t{doc}\t1\n" for query, doc in RELEVANT.items()]
    (beir / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(rows), encoding="utf-8")
    jsonl(tmp_path / "docs.jsonl", [{"id": doc, "text": text} for doc, text in TEXTS.items()])
    jsonl(tmp_path / "topics.jsonl", [{"id": query, "text": text} for query, text in QUERIES.items()])
    (tmp_path / "judged.qrels").write_text(
        "".join(f"{query} 0 {doc} 1\n" for query, doc in RELEVANT.items()), encoding="utf-8"
    )
    pairs = [f"{QUERIES[query]}\t{TEXTS[doc]}\n" for query, doc in RELEVANT.items()]
    (tmp_path / "pairs.tsv").write_text("headline\tbody\n" + "".join(pairs), encoding="utf-8")
    paragraphs = [{"context": TEXTS[doc], "qas": [{"question": QUERIES[query]}]} for query, doc in RELEVANT.items()]
    (tmp_path / "squad.json").write_text(json.dumps({"data": [{"paragraphs": paragraphs}]}), encoding="utf-8")
    return tmp_path


FORMS = [
    ["beir"],
    ["squad.json"],
    ["pairs.tsv", "--query-field", "headline", "--text-field", "body"],
    ["docs.jsonl", "--topics", "topics.jsonl", "--qrels", "judged.qrels"],
]


def run(*words):
    return run_main(cli.main, "amharic-ir", *words)


def ok(*words):
    done = run(*words)
    assert done.status == 0, done.err
    return done


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form[0])
def test_methods_are_compared_on_a_collection_in_any_form(here, form):
    asked = ("compare", *form, "--methods", "bm25,bm25:whitespace", "--measure", "RR@10")
    rows = {row["system"]: row for row in ok(*asked, "--json").json}
    assert rows["bm25"]["mean"] == 1
    assert rows["bm25:whitespace"]["mean"] == 0.25
    assert rows["bm25"]["p"] is None
    assert rows["bm25:whitespace"]["against"] == "bm25"
    assert "* differs from the best: paired permutation test" in ok(*asked).out


def test_an_index_is_a_method_and_with_judgements_a_collection(here):
    ok("index", "docs.jsonl", "--out", "index", "--tokens", "word")
    judged = ("--topics", "topics.jsonl", "--qrels", "judged.qrels")
    rows = ok("compare", "index", *judged, "--methods", "index", "--methods", "bm25:word", "--json").json
    assert len({row["mean"] for row in rows if row["measure"] == "RR@10"}) == 1
    found = ok("robustness", "index", *judged, "--kind", "homophone", "-p", "1", "--seed", "0", "--json").json
    assert [(row["system"], row["kind"], row["drop"]) for row in found] == [
        ("index", "none", 0),
        ("index", "homophone", 0),
    ]


def test_reports_take_the_form_of_their_names(here):
    asked = ("compare", "beir", "squad.json", "--methods", "bm25:word, bm25:stem", "--baseline", "bm25:word")
    reports = ("--report", "a.html", "--report", "a.md", "--report", "a.csv")
    told = ok(*asked, "--published", "--measure", "RR@10", "--test", "t", *reports).out
    assert "beir (test): 4 queries, 4 documents" in told
    assert "differs from bm25:word: paired t-test" in told
    assert "Reported on another collection, Amharic News" in told
    assert (here / "a.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "| bm25:stem |" in (here / "a.md").read_text(encoding="utf-8")
    assert (here / "a.csv").read_text(encoding="utf-8").startswith("collection,system,mark,measure,mean")
    told = ok("robustness", "beir", "-p", "0.5", "--methods", "bm25,bm25:word", "--report", "b.html").out
    assert told.startswith("Robustness(RR@10 on 'beir (test)', 4 queries)")
    assert "What changes" in (here / "b.html").read_text(encoding="utf-8")


def test_tokenizers_are_trained_and_compared(here):
    pytest.importorskip("tokenizers")
    told = ok("tokenizer", "train", "docs.jsonl", "docs.jsonl", "--vocab-size", "60", "--out", "folded.json").out
    assert "from 8 texts: folded.json" in told
    assert (here / "folded.analyzer.json").is_file()
    ok("tokenizer", "train", "docs.jsonl", "--kind", "byte", "--vocab-size", "300", "--no-fold", "--out", "bytes.json")
    assert not (here / "bytes.analyzer.json").exists()
    asked = ("tokenizer", "fertility", "docs.jsonl", "folded.json", "bytes.json")
    rows = {row["tokenizer"]: row for row in ok(*asked, "--json").json}
    assert 1 < rows["folded.json"]["pieces a word"] < rows["bytes.json"]["pieces a word"]
    assert rows["bytes.json"]["unknown"] == 0
    assert "pieces a word" in ok(*asked, "--limit", "3").out
    for words, message in (
        (("fertility", "docs.jsonl", "folded.json", "folded.json"), "a tokenizer stands twice among folded.json"),
        (("fertility", "nowhere", "folded.json"), "nowhere: no such file or folder"),
        (("train", "docs.jsonl", "--out", "docs.jsonl"), "--out docs.jsonl would overwrite docs.jsonl"),
    ):
        done = run("tokenizer", *words)
        assert (done.status, message in done.err) == (2, True), done.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "--methods", "bm25"], "nowhere: no such file or folder"),
        (["web:x", "--methods", "bm25"], "there is no web:x; expected a file or folder"),
        (["pairs.tsv", "--methods", "bm25"], "expected --query-field and --text-field of a table of pairs"),
        (["pairs.tsv", "--methods", "bm25", "--query-field", "headline"], "--query-field and --text-field go together"),
        (["docs.jsonl", "--methods", "bm25", "--topics", "topics.jsonl"], "--topics and --qrels go together"),
        (["empty", "--methods", "bm25"], "empty: no collection is in the folder"),
        (["beir", "--methods", "bm25", "--split", "dev"], "no judgements of split 'dev' (expected one of: test)"),
        (["beir", "--methods", "tfidf"], "tfidf is no method; expected bm25"),
        (["beir", "--methods", "bm25:letters"], "there are no tokens 'letters'; expected one of: whitespace"),
        (["beir", "--methods", "bm25,bm25"], "--methods is bm25, bm25; expected at least one, each once"),
        (["beir", "--methods", "empty"], "no index is in the folder"),
        (["beir", "--methods", "other"], "other is an index of other documents: '0' is in one of them alone"),
        (["beir", "beir", "--methods", "bm25"], "each under its own name"),
        (["other", "--methods", "bm25"], "other is an index, which has no queries; expected --topics and --qrels"),
        (["beir", "--methods", "bm25", "--report", "x.pdf"], "expected a name that ends in .html, .md or .csv"),
        (["docs.jsonl", "--methods", "bm25", "--report", "docs.csv", "--baseline", "x"], "nothing says what"),
        (["beir", "--methods", "bm25", "--baseline", "x"], "baseline='x'; expected one of the systems: bm25"),
    ],
)
def test_bad_input_is_one_sentence(here, words, message):
    (here / "empty").mkdir()
    ok("index", "pairs.tsv", "--text-field", "body", "--out", "other")
    done = run("compare", *words)
    assert done.status == 2, done.out
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_data_sets_go_by_name(tmp_path, monkeypatch, amharic):
    monkeypatch.setenv("IRWORKS_DATA", str(amharic.parent))
    found = collections.collection_of("data:masakhanews-tir", collections.Fields())
    assert (len(found.docs), found.name) == (437, "MasakhaNEWS ti")
    with pytest.raises(ArgumentError, match="data:msmarco is no collection; expected data: and one of: amqa"):
        collections.collection_of("data:msmarco", collections.Fields())


def test_a_data_set_of_the_hub_is_read_by_its_columns(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"q": "ሰላም", "p": "ሰላም ለዓለም"}\n', encoding="utf-8")
    fields = collections.Fields(query_field="q", text_field="p", split="train")
    assert list(collections.collection_of(f"hub:{path}", fields).queries.values()) == ["ሰላም"]
    with pytest.raises(ArgumentError, match="hub:org/name needs --query-field and --text-field"):
        collections.collection_of("hub:org/name", collections.Fields())
    with pytest.raises(ArgumentError, match="there is no web:x; expected a file or folder, data:NAME, hub:NAME"):
        collections.collection_of("web:x", collections.Fields())


def test_methods_search_the_documents_in_the_language_that_is_asked_for():
    docs = Documents.of({"x": "ሓለፈ", "y": "ሰላም"})
    assert methods.searcher_of("bm25:word", docs, "am").search("ሀለፈ").to_dict()["0"]
    assert not methods.searcher_of("bm25:word", docs, "ti").search("ሀለፈ").to_dict()["0"]
