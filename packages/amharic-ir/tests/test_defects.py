"""What went wrong in the code that the paper was measured with, one test a defect: here it goes right."""

import csv

import numpy as np
import pytest

from amharic_ir import Analyzer, Searcher
from amharic_ir.datasets import airtc, masakhanews, split
from irworks.data import Collection, Documents
from irworks.data.text_files import read_pairs
from irworks.encoders.prompts import prompts_of
from irworks.errors import ArgumentError
from irworks.metrics import evaluate_run

HEADER = "category\theadline\ttext\turl"


def written(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_quotes_in_articles_merge_no_rows(tmp_path):
    rows = [f'a\tርዕስ {i}\t{quote}ጽሑፍ {i}\tu{i}' for i, quote in enumerate(['"', "", '"', "", '«"', '"'])]  # fmt: skip
    file = written(tmp_path / "news.tsv", HEADER, *rows)
    with file.open(encoding="utf-8") as lines:
        assert len(list(csv.reader(lines, delimiter="\t"))) < 1 + len(rows)
    assert len(masakhanews(file).queries) == len(rows)
    pairs = read_pairs(file, "headline", "text")
    assert [pairs.docs[doc] for doc in pairs.docs.ids] == [row.split("\t")[2] for row in rows]


def test_two_articles_with_one_headline_keep_a_judgement_each(tmp_path):
    file = written(tmp_path / "news.tsv", HEADER, "a\tሠላም\tአንድ\tu", "a\tሠላም\tሁለት\tv", "a\tሌላ\tሦስት\tw")
    news = masakhanews(file)
    assert news.qrels == {"0": {"0": 1}, "1": {"1": 1}, "2": {"2": 1}}
    pairs = read_pairs(file, "headline", "text")
    assert pairs.qrels == {"0": {"0": 1, "1": 1}, "1": {"2": 1}}
    # Nor is the one article a negative of the other's headline.
    pytest.importorskip("torch")
    from amharic_ir.train import Pairs, TrainConfig
    from amharic_ir.train.batches import Batches

    batch = next(Batches(Pairs.of(news), TrainConfig()).epoch(0))
    same = np.isin(batch.queries, [0, 1])
    np.testing.assert_array_equal(batch.answers[:, batch.own[:, 0]], np.outer(same, same) | np.eye(3, dtype=bool))


def test_the_best_step_is_not_chosen_on_the_test_queries():
    pytest.importorskip("torch")
    from amharic_ir.train import Pairs, bi_encoder, late_interaction, mine

    docs = Documents.of([f"ጽሑፍ {i}" for i in range(30)])
    whole = Collection(docs, {str(i): f"ጥያቄ {i}" for i in range(30)}, {str(i): {str(i): 1} for i in range(30)})
    parts = split(whole)
    for train in (bi_encoder, late_interaction):
        with pytest.raises(ArgumentError, match="its queries are the test split; expected others to choose the best"):
            train(Pairs.of(parts.train), validation=parts.test)
        with pytest.raises(ArgumentError, match="is to be tested on, and is among the validation queries"):
            train(
                Pairs.of(parts.train), validation=parts.validation, held_out=whole.of_queries(parts.validation.queries)
            )
    for learn in (Pairs.of, lambda part: mine(Searcher.build(docs), part)):
        with pytest.raises(ArgumentError, match="its queries are the test split; expected those for training"):
            learn(parts.test)


def test_models_are_asked_with_the_prompts_that_they_were_trained_with():
    # That a trained model keeps its prompts on disk stands in test_hub_models.py.
    arctic = prompts_of("Snowflake/snowflake-arctic-embed-l-v2.0", {})
    e5 = prompts_of("intfloat/multilingual-e5-large-instruct", {})
    assert arctic == ("query: ", "")
    assert e5[0].startswith("Instruct: Given a web search query")
    assert e5[0].endswith("\nQuery: ")
    assert prompts_of("rasyosef/roberta-amharic-text-embedding-base", {}) == ("", "")
    # What a model brings along comes first.
    assert prompts_of("Snowflake/snowflake-arctic-embed-l-v2.0", {"query": "ጥያቄ: "})[0] == "ጥያቄ: "


def test_copies_of_a_relevant_document_do_not_count_as_irrelevant(tmp_path):
    root = tmp_path / "2airtc"
    texts = {"d1": "የዓባይ ወንዝ", "d2": "የዓባይ  ወንዝ", "d3": "ወንዝ"}
    written(
        root / "documents.txt", *(f"<DOC><DOCNO>{doc}</DOCNO><TEXT>{text}</TEXT></DOC>" for doc, text in texts.items())
    )
    written(root / "topics.xml", "<top><num>1</num><title>ዓባይ</title></top>")
    written(root / "judged.qrels", "1 0 d2 1")
    with pytest.warns(UserWarning, match="1 of 3 documents of 2AIRTC have the text of another"):
        kept = airtc(root)
    merged = airtc(root, duplicates="merge")
    first = {
        part: evaluate_run(Searcher.build(one.docs).search(one.queries), one.qrels, ["RR@10"])["RR@10"].item()
        for part, one in (("kept", kept), ("merged", merged))
    }
    assert first == {"kept": 0.5, "merged": 1.0}


def test_bm25_leaves_out_no_words_of_english_and_none_of_one_letter():
    assert Analyzer().stopwords == frozenset()
    docs = {"a": "the ቤት", "b": "ነው ሰ ቤት", "c": "running ቤት", "d": "run ቤት"}
    for tokens in ("ngram", "word"):
        searcher = Searcher.build(docs, analyzer=Analyzer(tokens=tokens))
        assert list(searcher.search("the").to_dict()["0"]) == ["a"]
        assert list(searcher.search("ሰ").to_dict()["0"]) == ["b"]
    # No English stemmer, either.
    assert list(searcher.search("run").to_dict()["0"]) == ["d"]


def test_numbers_of_tokenizers_stand_under_their_own_names():
    pytest.importorskip("tokenizers")
    from amharic_ir.tokenizers import fertility, train

    texts = ["ሠላም ለዓለም ሁሉ", "አዲስ አበባ ዋና ከተማ"] * 10
    coarse = train(texts, "bpe", vocab_size=300, name="coarse")
    fine = train(texts, "byte", vocab_size=260, name="fine")
    expected = {one.name: sum(len(one.pieces(text)) for text in texts) / 70 for one in (coarse, fine)}
    assert expected["coarse"] < expected["fine"]
    for given in ([coarse, fine], [fine, coarse], {"fine": fine, "coarse": coarse}):
        assert fertility(given, texts)["pieces a word"].to_dict() == pytest.approx(expected)
