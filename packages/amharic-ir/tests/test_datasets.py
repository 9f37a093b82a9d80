"""Published collections, as they are found on disk and on the hub."""

import json
import sys
import unicodedata

import pytest

from amharic_ir.datasets import (
    abbreviations,
    airtc,
    amharic_news,
    amqa,
    homonyms,
    masakhanews,
    multilingual,
    ntrex,
    read_hub,
)
from irworks.errors import ArgumentError, DataError, DownloadError, MissingDependencyError

HEADER = "category\theadline\ttext\turl"


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The library of the hub, which keeps its copies in a folder of the test and opens no connection."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    datasets.disable_progress_bars()
    return datasets


def written(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    made = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    path.write_text("".join(f"{row}\n" for row in made), encoding="utf-8")
    return path


def parquet(path, rows):
    import pandas as pd

    path.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(path)
    return path


# -- MasakhaNEWS ------------------------------------------------------------------------------------------------------


def test_an_article_is_read_once_and_headlines_stay_apart(tmp_path):
    written(tmp_path / "test.tsv", HEADER, "a\tH \tone\tu", "b\tH\ttwo\tu")
    written(tmp_path / "train_50_per_class.tsv", HEADER, "a\tother\tone \tu", "c\tG\tthree\tu")
    news = masakhanews(tmp_path)
    assert list(news.docs.texts()) == ["one", "two", "three"]
    assert dict(news.queries) == {"0": "H", "1": "H", "2": "G"}
    assert news.qrels == {"0": {"0": 1}, "1": {"1": 1}, "2": {"2": 1}}
    assert news.categories == {"0": "a", "1": "b", "2": "c"}
    test = masakhanews(tmp_path, part="test")
    assert (list(test.queries), len(test.docs), test.split) == (["0", "1"], 3, "test")


def test_quotes_in_a_table_merge_no_rows(tmp_path):
    rows = ['a\t"Peace says he\tone\tu', 'b\t"Whole"\ttwo "and" more"\tu', 'c\tH"\t"three\tu', "d\tG\tfour\tu"]
    news = masakhanews(written(tmp_path / "raw.tsv", HEADER, *rows))
    assert list(news.queries.values()) == ['"Peace says he', "Whole", 'H"', "G"]
    assert list(news.docs.texts()) == ["one", 'two "and" more"', '"three', "four"]
    quoted = ['a\tH\t"one\nand\ttwo ""quoted"""\tu', "b\tG\tthree\tu"]
    assert list(masakhanews(written(tmp_path / "quoted.tsv", HEADER, *quoted)).docs.texts()) == [
        'one\nand\ttwo "quoted"',
        "three",
    ]


def test_real_news_are_whole(amharic):
    news = masakhanews(amharic / "masakhanews")
    sizes = {part: len(masakhanews(amharic / "masakhanews", part=part).queries) for part in ("test", "validation")}
    assert (len(news.docs), len(news.queries), sizes) == (739, 739, {"test": 373, "validation": 175})
    assert len(set(news.categories.values())) > 3
    assert len(masakhanews(amharic / "masakhanews-tir", "ti").docs) == 437


def test_what_is_wrong_with_news_is_told(tmp_path):
    with pytest.raises(ArgumentError, match="lang='om'; expected one of: am, ti"):
        masakhanews(tmp_path, "om")
    with pytest.raises(DataError, match="no news are in it"):
        masakhanews(tmp_path)
    written(tmp_path / "test.tsv", HEADER, "a\tH\tone\tu")
    with pytest.raises(ArgumentError, match=r"part='train' is not in .* expected one of: test"):
        masakhanews(tmp_path, part="train")
    written(tmp_path / "data" / "tir" / "dev.tsv", "headline\ttext", "H\tone")
    with pytest.raises(DataError, match=r"dev.tsv, line 2: there is no 'category'"):
        masakhanews(tmp_path / "data" / "tir", "ti")


# -- questions, sentences, words --------------------------------------------------------------------------------------


def test_questions_sentences_and_words_are_as_published(amharic):
    questions = amqa(amharic / "amqa")
    assert (len(questions.docs), len(questions.queries)) == (375, 2622)
    sentences = ntrex(amharic / "ntrex")
    assert {lang: len(found) for lang, found in sentences.items()} == {"am": 1997, "ti": 1997, "en": 1997}
    assert "Welsh" in sentences["en"][0]
    many = multilingual(amharic / "ntrex")
    assert len(many) == 13_000
    assert sentences["am"][0] in many
    assert len(multilingual(amharic / "ntrex", 3)) == 390
    rows = homonyms(amharic / "geezorg")
    assert len(rows) == 106
    assert ("ሠማ", "ሰማ") in rows
    assert len(abbreviations(amharic / "geezorg")) == 30
    assert abbreviations(amharic / "geezorg" / "abbreviations.txt")["መ/ቤት"] == "መሥሪያ ቤት"


def test_a_copy_of_a_repository_is_read_as_it_is(tmp_path):
    for name in ("ref.amh", "ref.tir", "src.eng"):
        written(tmp_path / "NTREX-128" / f"newstest2019-{name}.txt", f"{name} 1", f"{name} 2")
    written(tmp_path / "NTREX-additional" / "newstest2019-ref.gsw-BE.txt", "gsw 1", "gsw 2")
    assert ntrex(tmp_path) == {
        lang: [f"{n} 1", f"{n} 2"]
        for lang, n in zip(("am", "ti", "en"), ("ref.amh", "ref.tir", "src.eng"), strict=True)
    }
    assert multilingual(tmp_path, 1) == ["ref.amh 1", "ref.tir 1", "gsw 1"]
    written(tmp_path / "data" / "amh" / "test.tsv", HEADER, "a\tH\tone\tu")
    assert masakhanews(tmp_path).docs["0"] == "one"


def test_what_is_wrong_with_lists_is_told(tmp_path):
    with pytest.raises(DataError, match=r"no such file .*train.json, train_data.json"):
        amqa(tmp_path)
    with pytest.raises(DataError, match=r"amh.txt: no such file"):
        ntrex(tmp_path)
    for name, rows in (("amh", ["1", "2"]), ("tir", ["1"]), ("eng", ["1", "2"])):
        written(tmp_path / f"{name}.txt", *rows)
    with pytest.raises(DataError, match="the languages differ in length"):
        ntrex(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        multilingual(tmp_path)
    with pytest.raises(ArgumentError, match=r"n=200 of .*; expected at most 100"):
        multilingual(tmp_path, 200)
    with pytest.raises(DataError, match="line 1: no sentence"):
        multilingual(written(tmp_path / "multi_100.tsv", "afr").parent)
    with pytest.raises(DataError, match=r"line 2: no abbreviation .*expected short<tab>full"):
        abbreviations(written(tmp_path / "a.txt", "ዓ/ም\tዓመተ ምሕረት", "ት/ቤት"))
    with pytest.raises(DataError, match="nothing is in it"):
        homonyms(written(tmp_path / "b.txt", ""))


# -- the hub ----------------------------------------------------------------------------------------------------------

NEWS = [
    {
        "query_id": f"q{number}",
        "passage_id": f"p{number}",
        "query": f"ርዕስ {number}",
        "passage": f"ጽሑፍ {number}",
        "category": "abc"[number % 3],
        "link": "",
    }
    for number in range(60)
]


def test_any_data_set_is_read_by_its_columns(hub, tmp_path):
    rows = [{"q": "ጥያቄ", "p": "one"}, {"q": "ጥያቄ ", "p": "two"}, {"q": "ሌላ", "p": "one "}]
    found = read_hub(written(tmp_path / "pairs.jsonl", *rows), text="p", query="q")
    assert (list(found.docs.texts()), found.split) == (["one", "two"], "train")
    assert found.qrels == {"0": {"0": 1, "1": 1}, "1": {"0": 1}}
    table = [{"id": 7, "text": "one", "head": "T"}, {"id": 8, "text": "two", "head": None}]
    parquet(tmp_path / "folder" / "train.parquet", table)
    docs = read_hub(tmp_path / "folder", doc_id="id", title="head").docs
    assert (docs.ids, list(docs.texts())) == (["7", "8"], ["T\none", "two"])


def test_what_is_wrong_with_a_data_set_is_one_error(hub, tmp_path, monkeypatch):
    path = written(tmp_path / "a.jsonl", {"id": "1", "text": "one"}, {"id": "1", "text": "two"})
    with pytest.raises(DataError, match=r"has no column 'passage' .found 'id, text'; expected passage, query"):
        read_hub(path, text="passage", query="query")
    with pytest.raises(DataError, match="row 1: document '1' stands for two texts"):
        read_hub(path, doc_id="id")
    with pytest.raises(ArgumentError, match=r"split='test' is not in .*; expected one of: train"):
        read_hub(path, "test")
    with pytest.raises(DataError, match="no data set can be read from it"):
        read_hub(written(tmp_path / "b.jsonl", "{"))
    with pytest.raises(DataError, match=r"no data set by its name .found '.xyz'"):
        read_hub(written(tmp_path / "c.xyz", "x"))
    with pytest.raises(DownloadError, match="'nobody/nothing' is no file or folder, and cannot be had from the hub"):
        read_hub("nobody/nothing")
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependencyError, match=r"amharic-ir\[hub\]"):
        read_hub(path)


def test_the_papers_news_are_divided_as_the_notebooks_do(hub, tmp_path):
    path = parquet(tmp_path / "news" / "train.parquet", NEWS).parent
    whole, train, test = (amharic_news(path, part=part) for part in ("", "train", "test"))
    assert (len(whole.docs), len(whole.queries), whole.name) == (60, 60, "news")
    assert (len(train.queries), len(test.queries), len(test.docs), test.split) == (54, 6, 60, "test")
    assert not train.queries.keys() & test.queries.keys()
    assert sorted(test.categories.values()) == ["a", "a", "b", "b", "c", "c"]
    again = hub.load_dataset(str(path), split="train").class_encode_column("category")
    theirs = again.train_test_split(test_size=0.1, seed=16, stratify_by_column="category")["test"]
    assert set(theirs["query_id"]) == set(test.queries)
    with pytest.raises(ArgumentError, match="part='dev'"):
        amharic_news(path, part="dev")


def test_negatives_are_judged_and_one_headline_of_two_articles_is_kept(hub, tmp_path):
    rows = [row | {"negative_passages": [{"passage_id": "p9", "passage": "ጽሑፍ 9"}]} for row in NEWS[:3]]
    rows += [NEWS[3] | {"query": "ርዕስ 0", "negative_passages": [{"passage_id": "p3", "passage": "ጽሑፍ 3"}]}]
    rows += [NEWS[4] | {"query_id": "q0", "query": "ርዕስ 0", "negative_passages": []}]
    news = amharic_news(parquet(tmp_path / "n-with-negatives.parquet", rows))
    assert len(news.docs) == 6
    assert news.qrels["q0"] == {"p0": 1, "p9": 0, "p4": 1}
    assert news.qrels["q3"] == {"p3": 1}
    assert (news.queries["q0"], news.queries["q3"]) == ("ርዕስ 0", "ርዕስ 0")
    rows += [NEWS[0] | {"passage": "another", "negative_passages": []}]
    with pytest.raises(DataError, match="row 5: one id stands for two texts"):
        amharic_news(parquet(tmp_path / "two.parquet", rows))
    with pytest.raises(DataError, match="has no column 'passage_id'"):
        amharic_news(parquet(tmp_path / "x.parquet", [{"query_id": "1"}]))


# -- 2AIRTC -----------------------------------------------------------------------------------------------------------


def airtc_rows():
    """Five documents: one with the text of another, one that is too long for the notebook, one in a ligature."""
    topics = {"1": ("ርዕስ አንድ", "መግለጫ አንድ", "ትረካ አንድ"), "2": ("ርዕስ ሁለት", "መግለጫ ሁለት", "ትረካ ሁለት")}
    texts = {"d1": "ጽሑፍ አንድ", "d2": "ጽሑፍ  አንድ", "d3": "ቃል " * 1_200, "d4": "ﬁ ሌላ", "d5": "ሌላ ጽሑፍ"}
    relevant = {"d1": ["1"], "d2": ["2"], "d3": ["1", "2"], "d4": ["2"], "d5": []}
    return topics, texts, relevant


@pytest.fixture
def airtc_hub(hub, tmp_path):
    topics, texts, relevant = airtc_rows()
    names = ("relevant_topic_titles", "relevant_topic_descriptions", "relevant_topic_narratives")
    rows = [
        {"doc_no": doc, "doc_text": text, "relevant_topic_nos": relevant[doc]}
        | {name: [topics[topic][place] for topic in relevant[doc]] for place, name in enumerate(names)}
        for doc, text in texts.items()
    ]
    return parquet(tmp_path / "2airtc" / "documents-00000-of-00001.parquet", rows).parent


@pytest.fixture
def airtc_trec(tmp_path):
    topics, texts, relevant = airtc_rows()
    root = tmp_path / "trec"
    for part, docs in (("one", ["d1", "d2"]), ("two", ["d3", "d4", "d5"])):
        rows = [f"<DOC><DOCNO>{doc}</DOCNO>\n<TEXT>{texts[doc]}</TEXT></DOC>" for doc in docs]
        written(root / "Documents" / f"{part}.txt", *rows)
    for number, (title, desc, narr) in topics.items():
        text = f"<top><num>{number}</num><title>{title}</title>\n<desc>{desc}</desc><narr>{narr}</narr>\n</top>"
        with (written(root / "topics.xml") if number == "1" else root / "topics.xml").open(
            "a", encoding="utf-8"
        ) as file:
            file.write(f"{text}\n")
    written(root / "2airtc.qrels", *(f"{topic} 0 {doc} 1" for doc, of in relevant.items() for topic in of))
    return root


@pytest.mark.parametrize("form", ["airtc_hub", "airtc_trec"])
def test_both_forms_of_2airtc_are_one_collection(form, request):
    path = request.getfixturevalue(form)
    with pytest.warns(UserWarning, match="1 of 5 documents of 2AIRTC have the text of another; they are kept"):
        found = airtc(path)
    assert found.docs.ids == ["d1", "d2", "d3", "d4", "d5"]
    assert dict(found.queries) == {"1": "ርዕስ አንድ", "2": "ርዕስ ሁለት"}
    assert found.qrels == {"1": {"d1": 1, "d3": 1}, "2": {"d2": 1, "d3": 1, "d4": 1}}
    merged = airtc(path, field="desc", duplicates="merge")
    assert merged.docs.ids == ["d1", "d3", "d4", "d5"]
    assert merged.queries["2"] == "መግለጫ ሁለት"
    assert merged.qrels["2"] == {"d1": 1, "d3": 1, "d4": 1}
    prepared = airtc(path, as_published=True, duplicates="merge")
    assert prepared.docs.ids == ["d1", "d4", "d5"]
    assert prepared.docs["d4"] == unicodedata.normalize("NFKD", "ﬁ ሌላ") == "fi ሌላ"
    assert prepared.qrels["1"] == {"d1": 1}


def test_what_is_wrong_with_2airtc_is_told(airtc_hub, airtc_trec):
    with pytest.raises(ArgumentError, match="field='body'"):
        airtc(airtc_hub, field="body")
    (airtc_trec / "topics.xml").rename(airtc_trec / "asked.xml")
    with pytest.raises(DataError, match=r"no telling which are the topics .*expected one by its name"):
        airtc(airtc_trec)
    with pytest.raises(DataError, match="has no column 'relevant_topic_nos'"):
        airtc(parquet(airtc_trec.parent / "x" / "documents-0.parquet", [{"doc_no": "1", "doc_text": "x"}]).parent)
