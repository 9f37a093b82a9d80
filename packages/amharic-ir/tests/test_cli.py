import json

import pytest

from amharic_ir import cli
from irworks.testing import run_main


@pytest.fixture
def notes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs.tsv").write_text("id\ttext\na\tሠላም ለዓለም\nb\tአዲስ አበባ\n", encoding="utf-8")
    return tmp_path


def ok(*words):
    done = run_main(cli.main, "amharic-ir", *words)
    assert done.status == 0, done.err
    return done.out


def test_an_index_is_built_searched_and_measured(notes):
    assert ok("index", "docs.tsv", "--out", "index").startswith("2 documents")
    assert "[ሠላም] [ለዓለም]" in ok("search", "index", "ሰላም ለአለም")
    assert [row["doc"] for row in json.loads(ok("search", "index", "adis abeba", "--json"))] == ["b"]
    assert ok("search", "index", "zzz").strip() == "nothing found"
    (notes / "topics.tsv").write_text("id\ttext\n1\tሰላም\n2\tአበባ\n", encoding="utf-8")
    (notes / "judged.qrels").write_text("1 0 a 1\n2 0 a 1\n", encoding="utf-8")
    asked = ("evaluate", "index", "topics.tsv", "judged.qrels", "--run", "a.run", "--measure", "RR@10", "--json")
    assert json.loads(ok(*asked))["RR@10"][0] == 0.5
    assert (notes / "a.run").read_text().splitlines()[0].startswith("1 Q0 a 1 ")
    assert "ሰላም" in ok("analyze", "ሠላም", "--tokens", "word")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["search", "nowhere", "x"], "there is no folder nowhere"),
        (["search", ".", "x"], "no index is in the folder"),
        (["analyze"], "there is no text; expected one, or --export"),
        (["index", "docs.tsv", "--out", "index", "--model", "m"], "--model goes with dense or late; --method is bm25"),
        (["index", "docs.tsv", "--out", "index", "--passage-words", "9"], "--passage-words goes with dense"),
        (["index", "nothing.tsv", "--out", "index"], "no such file or folder"),
        (["index", "docs.tsv", "--out", "index", "--text-field", "body"], "there is no 'body'"),
    ],
)
def test_bad_input_is_one_sentence(notes, words, message):
    done = run_main(cli.main, "amharic-ir", *words)
    assert done.status == 2
    assert message in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert not (notes / "index").exists()


@pytest.mark.parametrize(
    ("judged", "message"),
    [
        ("1 0 x 1\n", "none of the judged documents is in index (found 'x'; expected such as 'a')"),
        ("3 0 a 1\n", "none of the judged queries is in topics.tsv (found '3'; expected such as '1')"),
        ("", "none of the judged documents is in index (found 'none'; expected such as 'a')"),
    ],
)
def test_judgements_of_something_else_are_told_and_count_for_nothing(notes, judged, message):
    ok("index", "docs.tsv", "--out", "index")
    (notes / "topics.tsv").write_text("id\ttext\n1\tሰላም\n", encoding="utf-8")
    (notes / "judged.qrels").write_text(judged, encoding="utf-8")
    done = run_main(cli.main, "amharic-ir", "evaluate", "index", "topics.tsv", "judged.qrels")
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_settings_of_another_engine_are_printed(notes):
    body = json.loads(ok("analyze", "--export", "elasticsearch", "--lang", "ti"))
    assert body["mappings"]["properties"]["text"]["analyzer"] == "tigrinya"
    assert "# fieldtype.xml" in ok("analyze", "--export", "solr")


def test_an_index_of_an_encoder_is_built_and_searched(notes):
    pytest.importorskip("torch")
    from amharic_ir.encoders import Ngrams, tiny

    tiny(Ngrams(buckets=1024)).save(notes / "model")
    assert "2 documents, bm25+late" in ok(
        "index", "docs.tsv", "--out", "index", "--method", "bm25+late", "--model", "model"
    )
    assert "[ሠላም] [ለዓለም]" in ok("search", "index", "ሰላም ለአለም")
    done = run_main(cli.main, "amharic-ir", "index", "docs.tsv", "--out", "other", "--method", "late")
    assert (done.status, "late interaction needs model=" in done.err) == (2, True)
    assert not (notes / "other").exists()
