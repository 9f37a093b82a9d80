"""Collections as people have them, and what is said of files that are broken."""

import csv
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from irworks.data.text_files import (
    read_beir,
    read_documents,
    read_jsonl,
    read_pairs,
    read_qrels,
    read_squad,
    read_topics,
    read_trec,
)
from irworks.data.text_rows import table_rows
from irworks.errors import DataError


def lines(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    written = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{row}\n" for row in written), encoding="utf-8")
    return path


def test_a_folder_of_files(tmp_path):
    lines(tmp_path / "a" / "one.txt", "ሰላም")
    lines(tmp_path / "two.html", "<html><style>p {}</style><p>a &amp; b</p>")
    lines(tmp_path / "three.csv", "no text")
    docs = read_documents(tmp_path)
    assert docs.ids == ["a/one.txt", "two.html"]
    assert docs["a/one.txt"] == "ሰላም\n"
    assert docs["two.html"].split() == ["a", "&", "b"]
    assert read_documents(tmp_path / "two.html").ids == ["two"]
    lines(tmp_path / ".git" / "x.txt", "hidden")
    lines(tmp_path / "a" / ".hidden.txt", "hidden")
    assert read_documents(tmp_path).ids == docs.ids


def test_a_folder_that_may_not_be_read_is_not_passed_over(tmp_path, monkeypatch):
    lines(tmp_path / "one.txt", "ሰላም")
    lines(tmp_path / "closed" / "two.txt", "ሰላም")
    scandir = os.scandir

    def closed(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(PermissionError, match="closed"):
        read_documents(tmp_path)


def test_json_lines_and_tables(tmp_path):
    rows = [{"_id": "x", "title": "T", "text": "one"}, {"_id": 7, "title": None, "text": "two"}]
    docs = read_jsonl(lines(tmp_path / "corpus.jsonl", *rows))
    assert list(docs.texts()) == ["T\none", "two"]
    assert docs.ids == ["x", "7"]
    table = lines(tmp_path / "docs.tsv", "name\tbody", '"a"\t"one\tand ""two""', 'lines"', "b\tthree")
    assert [*read_documents(table, id_field="name").texts()] == ['one\tand "two"\nlines', "three"]
    assert read_documents(table).ids == ["0", "1"]
    import pyarrow.parquet as pq

    pq.write_table(docs.table, tmp_path / "docs.parquet")
    assert list(read_documents(tmp_path / "docs.parquet").texts()) == list(docs.texts())


def test_beir(tmp_path):
    lines(tmp_path / "c" / "corpus.jsonl", {"_id": "d", "text": "one"}, {"_id": "e", "text": "two"})
    lines(tmp_path / "c" / "queries.jsonl", {"_id": "q", "text": "?"}, {"_id": "r", "text": "!"})
    lines(tmp_path / "c" / "qrels" / "test.tsv", "query-id\tcorpus-id\tscore", "q\td\t1", "q\te\t0")
    found = read_beir(tmp_path / "c")
    assert read_documents(tmp_path / "c").ids == ["d", "e"]
    assert (found.name, dict(found.queries), found.qrels) == ("c", {"q": "?"}, {"q": {"d": 1, "e": 0}})
    with pytest.raises(DataError, match=r"no judgements of split 'dev'.*expected one of: test"):
        read_beir(tmp_path / "c", "dev")


def test_trec(tmp_path):
    docs = lines(
        tmp_path / "docs.trec",
        "<DOC>",
        "<DOCNO> A1 </DOCNO>",
        "<HEADLINE>Head</HEADLINE>",
        "<TEXT>",
        "one",
        "two",
        "</TEXT>",
        "</DOC>",
        "<DOC><!-- -->",
        "<DOCNO>A2</DOCNO>",
        "<TEXT>three</TEXT>",
        "</DOC>",
    )
    topics = lines(tmp_path / "topics.txt", "<top>", "<num> Number: 5", "<title> ask", "<desc> Description", "</top>")
    qrels = lines(tmp_path / "judged.qrels", "5 0 A1 2", "5 0 gone 1", "9 0 A2 1")
    found = read_trec(docs, topics, qrels)
    assert list(found.docs.texts()) == ["Head\none two", "three"]
    assert (dict(found.queries), found.qrels) == ({"5": "ask"}, {"5": {"A1": 2}})
    assert read_topics(topics, field="desc") == {"5": "Description"}


def test_pairs_with_one_headline_and_with_one_article_are_kept(tmp_path):
    table = lines(tmp_path / "news.tsv", "headline\ttext", "H\tone", "H\ttwo", "G\tone ", 'G\t"a\nb"')
    found = read_pairs(table, "headline", "text")
    assert list(found.docs.texts()) == ["one", "two", "a\nb"]
    assert found.qrels == {"0": {"0": 1, "1": 1}, "1": {"0": 1, "2": 1}}


@pytest.mark.parametrize("shape", ["list", "object", "bare"])
def test_squad_in_its_shapes(tmp_path, shape):
    paragraph = {"context": "c  d", "qas": [{"question": "q?"}, {"question": "r?"}]}
    inside = {
        "list": {"data": [{"paragraphs": [paragraph]}]},
        "object": {"data": [{"paragraphs": paragraph}]},
        "bare": [paragraph],
    }
    path = lines(tmp_path / "a.json", inside[shape])
    again = lines(tmp_path / "b.json", [{"context": "e", "qas": {"question": "s?"}}, {**paragraph, "context": "c d"}])
    found = read_squad(path, again)
    assert list(found.docs.texts()) == ["c  d", "e"]
    assert list(found.queries.values()) == ["q?", "r?", "s?", "q?", "r?"]
    assert [list(judged) for judged in found.qrels.values()] == [["0"], ["0"], ["1"], ["0"], ["0"]]


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("a.jsonl", ['{"id": 1, "text": "x"}', "{"], "line 2: no JSON: Expecting property name"),
        ("a.jsonl", ["[1]"], "line 1: no JSON object"),
        ("a.jsonl", ['{"id": 1, "words": "x"}'], "line 1: no field holds the text .found 'id, words'"),
        ("a.jsonl", ['{"id": 1, "text": ["x"]}'], "line 1: 'text' is no text"),
        ("a.jsonl", ['{"id": 1, "text": null}'], "line 1: 'text' is null"),
        ("a.jsonl", ['{"id": 1, "text": "x"}', '{"id": "1", "text": "y"}'], "line 2: document '1' stands twice"),
        ("a.jsonl", [""], "no document is in it"),
        ("a.tsv", ["id\ttext", "1\tx", "2"], "line 3: a row has other fields .found 1; expected 2: id, text"),
        ("a.csv", [], "the file is empty"),
        ("a.csv", ["id,text,text", "1,x,y"], "line 1: column 'text' stands twice"),
        ("a.trec", ["<DOC>", "<TEXT>x</TEXT>", "</DOC>"], "line 1: a document has no <docno>"),
        ("a.trec", ["<DOC>", "<DOCNO>1</DOCNO>"], "line 1: <doc> is not closed"),
        ("a.xyz", ["x"], "no form of documents by its name"),
    ],
)
def test_what_is_malformed_is_told_by_its_line(tmp_path, name, rows, message):
    with pytest.raises(DataError, match=message):
        read_documents(lines(tmp_path / name, *rows))


def test_other_files_that_are_wrong(tmp_path):
    (tmp_path / "latin.txt").write_bytes("h\xe9".encode("latin-1"))
    with pytest.raises(DataError, match=r"latin.txt, line 1: not UTF-8 .*Convert it first"):
        read_documents(tmp_path)
    (tmp_path / "latin.txt").write_bytes("ሰላም".encode("utf-16"))
    with pytest.raises(DataError, match=r"line 1: not UTF-8 .found 'UTF-16'"):
        read_documents(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="no document is in the folder"):
        read_documents(tmp_path / "none")
    with pytest.raises(DataError, match="no such file or folder"):
        read_documents(tmp_path / "nowhere")
    with pytest.raises(DataError, match="line 1: a judgement has four fields"):
        read_qrels(lines(tmp_path / "a.qrels", "q d 1"))
    with pytest.raises(DataError, match="line 1: the label is no whole number"):
        read_qrels(lines(tmp_path / "a.qrels", "q 0 d yes"))
    with pytest.raises(DataError, match="no topic is in it"):
        read_topics(lines(tmp_path / "a.topics", "nothing"))
    with pytest.raises(DataError, match=r"a query has no id .*The first line of a table names its columns"):
        read_topics(lines(tmp_path / "topics.tsv", "1\tone", "2\ttwo"))
    with pytest.raises(DataError, match="no paragraph is in it"):
        read_squad(lines(tmp_path / "a.json", "{}"))
    with pytest.raises(DataError, match="there is no 'headline'"):
        read_pairs(lines(tmp_path / "a.csv", "title,text", "a,b"), "headline", "text")


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_csv_is_separated_by_what_its_header_has(tmp_path, mark):
    table = lines(
        tmp_path / "a.csv", mark.join(("\ufeffid", "text")), mark.join(("1", '"one, two; three"')), f"2{mark}b"
    )
    docs = read_documents(table)
    assert dict(zip(docs.ids, docs.texts(), strict=True)) == {"1": "one, two; three", "2": "b"}


def test_quotes_merge_no_lines_of_a_table_that_was_written_without_quoting(tmp_path):
    rows = ["query\ttext", '"a\tone', 'b"\ttwo', '"c"\t"say ""three"""', '\t""', "d\t"]
    found = list(table_rows(lines(tmp_path / "raw.tsv", *rows)))
    assert [place for place, _ in found] == [f"line {number}" for number in range(2, 7)]
    assert [tuple(row.values()) for _, row in found] == [
        ('"a', "one"),
        ('b"', "two"),
        ("c", 'say "three"'),
        ("", ""),
        ("d", ""),
    ]
    quoted = lines(tmp_path / "quoted.tsv", "query\ttext", '"a"\t"one', 'two"', "", "b\tthree")
    assert [tuple(row.values()) for _, row in table_rows(quoted)] == [("a", "one\ntwo"), ("b", "three")]


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\t")), min_size=3, max_size=3)))
def test_a_table_with_quoting_is_read_as_it_was_written(rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tsv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL).writerows([["x", "y", "z"], *rows])
        assert [list(row.values()) for _, row in table_rows(path)] == rows


def test_pairs_in_parquet(tmp_path):
    import pandas as pd

    pd.DataFrame({"headline": ["H"], "text": ["one"]}).to_parquet(tmp_path / "a.parquet")
    assert list(read_pairs(tmp_path / "a.parquet", "headline", "text").docs.texts()) == ["one"]


def test_elements_of_trec_may_share_a_line_with_what_holds_them(tmp_path):
    path = lines(
        tmp_path / "a.trec",
        "<DOC><DOCNO>1</DOCNO>",
        "<TEXT>one</TEXT></DOC>",
        "<doc><docno>2</docno></doc><DOC><DOCNO>3",
    )
    lines(path, path.read_text(encoding="utf-8"), "</DOCNO></DOC>")
    assert read_documents(path).ids == ["1", "2", "3"]
    assert list(read_documents(path).texts()) == ["one", "", ""]
    with pytest.raises(DataError, match=r"line 1: <doc> is not closed .found 'line 2'"):
        read_documents(lines(tmp_path / "b.trec", "<DOC><DOCNO>1</DOCNO>", "<DOC><DOCNO>2</DOCNO></DOC>"))
