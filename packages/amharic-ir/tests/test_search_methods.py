"""Searchers with encoders: small ones with random numbers, which need no training to find equal words."""

import numpy as np
import pytest

from amharic_ir import Searcher
from irworks.data import Collection, Documents
from irworks.errors import ArgumentError

pytest.importorskip("torch")

from amharic_ir.encoders import Ngrams, TinySettings, tiny

TEXTS = {
    "capital": "የኢትዮጵያ ዋና ከተማ አዲስ አበባ ናት።",
    "peace": "ሠላም ለዓለም ሁሉ! ጠ/ሚኒስትሩ በ፳፻፲፩ ዓ.ም ተናገሩ።",
    "coffee": "ቡና የኢትዮጵያ ዋና የውጭ ንግድ ምርት ነው።",
    "run": "አትሌት ኃይሌ ገብረሥላሴ የማራቶን ውድድር አሸነፈ።",
}
METHODS = ("bm25", "dense", "late", "bm25+dense", "bm25+late", "hybrid", "dense+late")


@pytest.fixture(scope="module")
def encoder():
    return tiny(Ngrams(buckets=4096), TinySettings(dim=32, token_dim=16), seed=1)


def built(method, encoder, texts=TEXTS, **options):
    return Searcher.build(texts, method, model=encoder, **options)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_finds_respelled_words_and_latin_ones(method, encoder):
    searcher = built(method, encoder)
    assert searcher.hits("ሰላም ለአለም")[0].doc == "peace"
    assert searcher.hits("አትሌት ሃይሌ ገብረስላሴ")[0].doc == "run"
    assert searcher.hits("adis abeba")[0].doc == "capital"
    assert len(searcher) == 4
    assert method.replace("hybrid", "bm25+dense") in repr(searcher)


@pytest.mark.parametrize("method", METHODS)
def test_what_is_opened_finds_what_was_saved(method, encoder, tmp_path):
    searcher = built(method, encoder, weights={"bm25": 0.9, "late": 0.1} if method == "bm25+late" else None)
    searcher.save(tmp_path / "index")
    opened = Searcher.open(tmp_path / "index")
    assert opened.weights == searcher.weights
    queries = ["ሰላም", "ቡና ምርት", "adis abeba", " "]
    assert opened.search(queries).to_dict() == searcher.search(queries).to_dict()


@pytest.mark.parametrize("method", METHODS)
def test_adding_and_removing_is_building_anew(method, encoder):
    some = {doc: TEXTS[doc] for doc in ("coffee", "capital", "peace")}
    changed = built(method, encoder, some).add({"run": TEXTS["run"]}).remove(["capital"])
    anew = built(method, encoder, {doc: TEXTS[doc] for doc in ("coffee", "peace", "run")})
    one, two = (searcher.search(["ዋና ከተማ", "ሰላም"]).to_dict() for searcher in (changed, anew))
    assert list(one["0"]) == list(two["0"])
    for query, docs in one.items():
        assert docs == pytest.approx(two[query], abs=1e-5)
    with pytest.raises(ArgumentError, match="'run' is indexed already"):
        changed.add({"run": "ቡና"})
    with pytest.raises(ArgumentError, match="there is no document 'capital'"):
        changed.remove(["capital"])


@pytest.mark.parametrize("method", METHODS)
def test_a_blank_query_finds_nothing_and_a_blank_document_does_no_harm(method, encoder):
    searcher = built(method, encoder, TEXTS | {"blank": "", "marks": "፡። !"})
    assert searcher.search([""])["0"] == []
    assert searcher.hits("ቡና")[0].doc == "coffee"


@pytest.mark.parametrize("method", METHODS)
def test_a_corpus_in_latin_letters_is_searched_as_it_is(method, encoder):
    searcher = built(method, encoder, ["coffee from Ethiopia", "a marathon was won"])
    assert searcher.hits("marathon")[0].doc == "1"


def test_the_weight_of_a_hybrid_is_chosen_on_queries_that_are_not_tested_on(encoder):
    docs = Documents.of(TEXTS)
    queries = {"a": "ሰላም", "b": "ቡና", "c": "ማራቶን"}
    qrels = {"a": {"peace": 1}, "b": {"coffee": 1}, "c": {"run": 1}}
    searcher = Searcher.build(
        docs, "bm25+late", model=encoder, validation=Collection(docs, queries, qrels, split="validation")
    )
    assert sum(searcher.weights.values()) == pytest.approx(1)
    with pytest.raises(ArgumentError, match="its queries are the test split"):
        searcher.validate(Collection(docs, queries, qrels, split="test"))
    with pytest.raises(ArgumentError, match="1 arms; a weight is validated for two"):
        Searcher.build(docs).validate(Collection(docs, queries, qrels))


def test_an_encoder_judges_again_what_was_found(encoder):
    first = Searcher.build(TEXTS)
    again = first.reranked(encoder, depth=2)
    found = again.search("ዋና ከተማ", 4)["0"]
    assert {doc for doc, _ in found[:2]} == {doc for doc, _ in first.search("ዋና ከተማ", 2)["0"]}
    scores = dict(built("late", encoder).search("ዋና ከተማ", 4)["0"])
    for doc, score in found[:2]:
        assert score == pytest.approx(scores[doc], abs=1e-2)  # an index keeps half precision
    with pytest.raises(ArgumentError, match="a searcher that reranks is not saved"):
        again.save("nowhere")


def test_long_documents_count_by_their_best_passage(encoder):
    filler = " ".join(["ቃል"] * 50)
    texts = {"long": f"{filler} የማራቶን ውድድር አሸነፈ {filler}", "short": "የእግር ኳስ ውድድር"}
    whole, passages = (built("dense", encoder, texts, passage_words=n) for n in (None, 10))
    assert len(passages.arms["dense"].vectors) == 8 + 1  # no more than eight of one document
    best = dict(passages.search("ማራቶን", 2)["0"])["long"]
    assert best > dict(whole.search("ማራቶን", 2)["0"])["long"]


class Own:
    """A user's encoder: a vector of letters."""

    name, dim = "letters", 7

    def encode(self, texts, kind="doc"):
        counts = np.array([[text.count(letter) for letter in "ሰላምቡናከተ"] for text in texts], dtype=np.float32)
        return counts / np.maximum(np.linalg.norm(counts, axis=1, keepdims=True), 1e-9)


def test_an_encoder_of_ones_own_is_handed_in_again_when_an_index_is_opened(tmp_path):
    Searcher.build(TEXTS, "dense", model=Own()).save(tmp_path / "index")
    with pytest.raises(ArgumentError, match=r"encoder of its own, 'letters'; expected model="):
        Searcher.open(tmp_path / "index")
    assert Searcher.open(tmp_path / "index", model=Own()).hits("ቡና")[0].doc == "coffee"
    with pytest.raises(ArgumentError, match="has no encode_tokens"):
        Searcher.build(TEXTS, "late", model=Own())


@pytest.mark.parametrize("method", ["splade", "bm25+bm25", "", "bm25+"])
def test_a_method_that_there_is_not(method):
    with pytest.raises(ArgumentError, match="expected bm25, dense, late, hybrid, or some of them"):
        Searcher.build(TEXTS, method)


def test_late_interaction_needs_a_model():
    with pytest.raises(ArgumentError, match="late interaction needs model="):
        Searcher.build(TEXTS, "late")


def test_weights_of_other_arms_are_refused(encoder):
    with pytest.raises(ArgumentError, match=r"weights are of \['bm25', 'late'\]; expected of \['bm25', 'dense'\]"):
        built("hybrid", encoder, weights={"bm25": 1, "late": 1}).search("ቡና")
