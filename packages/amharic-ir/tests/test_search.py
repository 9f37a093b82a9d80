"""The searcher, on real news and on small texts."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amharic_ir.search import Searcher, highlight
from amharic_ir.text.analyzer import Analyzer
from amharic_ir.text.perturb import perturb
from irworks.data import Collection, Documents
from irworks.data.text_files import read_pairs, read_squad
from irworks.errors import ArgumentError, DataError
from irworks.metrics import evaluate_run
from irworks.retrieval import Retriever

TEXTS = {"a": "ሠላም ለዓለም ሁሉ", "b": "የኢትዮጵያ ዋና ከተማ አዲስ አበባ ናት", "c": "ጠ/ሚኒስትሩ በአዲስ አበባ ተናገሩ።"}


def test_spelling_layout_and_script_make_no_difference():
    searcher = Searcher.build(TEXTS)
    assert isinstance(searcher, Retriever)
    assert searcher.hits("ሰላም ለአለም")[0].doc == "a"
    assert searcher.search("ሰላም፡ለአለም").to_dict() == searcher.search("ሠላም ለዓለም").to_dict()
    assert {hit.doc for hit in searcher.hits("adis abeba", 2)} == {"b", "c"}
    assert searcher.search("xyz").to_dict() == {"0": {}}
    tigrinya = Searcher.build({"t": "ሰላም ንዓለም", "u": "ኣስመራ ከተማ ኤርትራ"}, analyzer=Analyzer(lang="ti"))
    assert tigrinya.hits("ሠላም")[0].doc == "t"


@given(st.integers(0, 999), st.floats(0, 1))
def test_rankings_are_the_same_under_any_respelling(seed, p):
    searcher = Searcher.build(TEXTS)
    for query in TEXTS.values():
        asked = perturb(perturb(query, "homophone", p, seed=seed), "wordspace", p, seed=seed)
        assert searcher.search(asked).to_dict() == searcher.search(query).to_dict()


def test_what_is_found_is_shown_where_it_stands():
    hit = Searcher.build(TEXTS).hits("ሚኒስትሩ አዲስ")[0]
    assert hit.doc == "c"
    assert [hit.text[start:end] for start, end in hit.highlights] == ["ጠ/ሚኒስትሩ", "በአዲስ"]
    assert hit.marked() == "[ጠ/ሚኒስትሩ] [በአዲስ] አበባ ተናገሩ።"
    long = " ".join(["ቃል"] * 200 + ["ዓለም"] + ["ቃል"] * 200)
    shown = Searcher.build([long]).hits("አለም")[0]
    assert "[ዓለም]" in shown.marked()
    assert len(shown.marked()) < 200
    assert highlight("ሰላም", [], Analyzer()) == []


def test_every_place_of_a_word_is_shown_and_the_snippet_is_where_most_are():
    text = " ".join(["ቃል"] * 500 + ["አለም", "ቃል", "ዓለም"] + ["ቃል"] * 500 + ["ዐለም"])
    spans = highlight(text, Analyzer().tokens_of("ዓለም"), Analyzer())
    assert [text[start:end] for start, end in spans] == ["አለም", "ዓለም", "ዐለም"]
    assert "[አለም] ቃል [ዓለም]" in Searcher.build([text]).hits("ዓለም")[0].marked()


def test_a_book_is_shown_in_time_that_grows_with_its_length():
    book = "ዓለም " * 100_000
    begin = time.perf_counter()
    assert len(Searcher.build([book]).hits("አለም")[0].highlights) == 100_000
    assert time.perf_counter() - begin < 20  # pairs of highlights alone would take minutes


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Searcher.build("notes"), "docs='notes'; expected texts, not a name: read_documents reads"),
        (lambda: Searcher.build(Documents.of(TEXTS).table.to_pandas()), "docs is a table (DataFrame)"),
        (lambda: Searcher.build(TEXTS).add("d"), "docs='d'; expected texts"),
        (lambda: Searcher.build(TEXTS).reranked(None), "model=None cannot rerank"),
        (lambda: Searcher.build(TEXTS).remove("a"), "docs='a'; expected a list of ids"),
    ],
)
def test_what_would_be_misread_is_one_error(call, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        call()


def test_adding_removing_saving_and_opening(tmp_path):
    searcher = Searcher.build(Documents.of(TEXTS, titles={"a": "ርዕስ", "b": "", "c": ""}))
    searcher.add({"d": "አዲስ ሰላም"}).remove(["b"])
    fresh = Searcher.build(Documents.of({doc: searcher.docs[doc] for doc in searcher.docs.ids}))
    assert searcher.docs.ids == ["a", "c", "d"]
    assert searcher.search("አዲስ ርእስ").to_dict() == fresh.search("አዲስ ርእስ").to_dict()
    searcher.save(tmp_path / "index")
    again = Searcher.open(tmp_path / "index")
    assert again.analyzer == searcher.analyzer
    assert again.search("አዲስ ርእስ").to_dict() == fresh.search("አዲስ ርእስ").to_dict()
    assert len(again.add({"e": "አለም"})) == 4
    with pytest.raises(ArgumentError, match="document 'a' is indexed already"):
        searcher.add({"a": "x"})
    with pytest.raises(DataError, match="no index is in the folder"):
        Searcher.open(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        Searcher.open(tmp_path / "nowhere")


def measured(collection: Collection, analyzer: Analyzer) -> float:
    run = Searcher.build(collection.docs, analyzer=analyzer).search(collection.queries)
    return float(evaluate_run(run, collection.qrels, ["RR@10"])["RR@10"].mean())


def test_questions_are_answered_as_in_the_reference_table(amharic):
    amqa = read_squad(*(amharic / "amqa" / f"{part}.json" for part in ("train", "dev", "test")))
    assert (len(amqa.docs), len(amqa.queries)) == (375, 2622)
    assert measured(amqa, Analyzer()) == pytest.approx(0.949, abs=0.003)
    assert measured(amqa, Analyzer(tokens="word")) == pytest.approx(0.898, abs=0.003)
    assert measured(amqa, Analyzer(tokens="whitespace", steps=())) == pytest.approx(0.855, abs=0.003)


def test_news_are_found_by_their_headlines(amharic):
    news = read_pairs(amharic / "masakhanews" / "test.tsv", "headline", "text")
    assert measured(news, Analyzer()) > measured(news, Analyzer(tokens="word")) + 0.005


def test_a_query_is_cut_into_tokens_before_it_is_highlighted():
    with pytest.raises(ArgumentError, match="query_tokens is 'ሰላም'; expected tokens"):
        highlight("ሰላም ለዓለም", "ሰላም", Analyzer())
