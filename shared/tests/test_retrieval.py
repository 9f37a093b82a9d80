"""Retrievers of the core, against bm25s and against loops."""

import bm25s
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.data import Collection, Documents, Run
from irworks.data.words import words
from irworks.errors import ArgumentError, DataError
from irworks.retrieval import BM25, Retriever, fuse, reciprocal_rank_fusion
from irworks.retrieval.tokens import Tokens

TEXT = st.lists(st.sampled_from(["ab", "ac", "b", "c", "dd"]), max_size=8).map(" ".join)
CORPORA = st.lists(TEXT, min_size=1, max_size=7)


@settings(max_examples=80)
@given(CORPORA, TEXT, st.sampled_from([0.9, 1.5]), st.sampled_from([0.0, 0.4, 1.0]))
def test_scores_are_those_of_bm25s(texts, query, k1, b):
    ours = BM25(k1=k1, b=b).add(texts)
    tokens = words(query)
    known = [token for token in tokens if any(token in words(text) for text in texts)]
    if not known:
        assert not ours.scores(query).any()
        return
    peer = bm25s.BM25(k1=k1, b=b, method="lucene")
    peer.index([words(text) for text in texts], show_progress=False)
    np.testing.assert_allclose(ours.scores(query), peer.get_scores(tokens), atol=1e-6)


@given(CORPORA, TEXT, st.integers(1, 9))
def test_a_search_is_a_sort_of_the_scores(texts, query, k):
    index = BM25().add(texts)
    scores = index.scores(query)
    found = index.search(query, k)["0"]
    order = sorted((place for place in range(len(texts)) if scores[place] > 0), key=lambda place: -scores[place])
    assert [doc for doc, _ in found] == [str(place) for place in order[:k]]
    assert [score for _, score in found] == [pytest.approx(scores[place]) for place in order[:k]]


@given(CORPORA, CORPORA, TEXT, st.randoms())
def test_adding_and_removing_is_indexing_what_is_left(first, second, query, random):
    named = {f"a{i}": text for i, text in enumerate(first)} | {f"b{i}": text for i, text in enumerate(second)}
    index = BM25().add({doc: text for doc, text in named.items() if doc[0] == "a"})
    index.search(query)
    index.add({doc: text for doc, text in named.items() if doc[0] == "b"})
    gone = [doc for doc in named if random.random() < 0.4]
    index.remove(gone)
    left = {doc: text for doc, text in named.items() if doc not in gone}
    assert len(index) == len(left)
    assert index.search(query).to_dict() == BM25().add(left).search(query).to_dict()


@given(st.lists(st.lists(st.sampled_from(["ab", "abc", "c"]), max_size=5), max_size=5))
def test_words_are_cut_into_tokens_as_texts_are(texts):
    both = [
        Tokens.of_words(texts, list),
        Tokens.of([" ".join(text) for text in texts], lambda t: [*t.replace(" ", "")]),
    ]
    assert both[0].lists() == both[1].lists()
    assert len(both[0]) == len(texts)


@given(CORPORA, TEXT)
def test_an_index_survives_its_folder(tmp_path_factory, texts, query):
    index = BM25(k1=1.2).add(texts)
    folder = tmp_path_factory.mktemp("bm25") / "index"
    index.save(folder)
    again = BM25.load(folder)
    assert (again.ids, again.k1, again.b) == (index.ids, index.k1, index.b)
    assert again.search(query).to_dict() == index.search(query).to_dict()


def test_a_damaged_index_is_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        BM25.load(tmp_path / "none")
    with pytest.raises(DataError, match="no index of BM25 can be read from it"):
        BM25.load(tmp_path)
    BM25().add(["a b"]).save(tmp_path / "index")
    facts = tmp_path / "index" / "bm25.json"
    facts.write_text(facts.read_text().replace('"0"', '"0", "1"'))
    with pytest.raises(DataError, match="its parts do not fit"):
        BM25.load(tmp_path / "index")


def test_an_index_of_nothing_finds_nothing():
    assert BM25().search({"q": "anything"}).to_dict() == {"q": {}}
    assert BM25().add(["", "..."]).search("anything").to_dict() == {"0": {}}
    assert isinstance(BM25(), Retriever)


def test_bad_arguments_are_told():
    index = BM25().add({"x": "a b"})
    with pytest.raises(ArgumentError, match="document 'x' is indexed already"):
        index.add({"x": "c"})
    with pytest.raises(ArgumentError, match="there is no document 'y'"):
        index.remove(["y"])
    with pytest.raises(ArgumentError, match=r"b=2; expected at least 0, and within"):
        BM25(b=2)
    with pytest.raises(ArgumentError, match="k=0"):
        index.search("a", 0)


def test_fusion_by_hand():
    one = Run.of({"q": {"x": 3.0, "y": 1.0}, "r": {"x": 1.0}})
    other = Run.of({"q": {"y": 10.0, "z": 0.0}})
    ranks = reciprocal_rank_fusion([one, other])
    assert ranks["q"] == [
        ("y", pytest.approx(1 / 62 + 1 / 61)),
        ("x", pytest.approx(1 / 61)),
        ("z", pytest.approx(1 / 62)),
    ]
    assert ranks["r"] == [("x", pytest.approx(1 / 61))]
    # Standardised, x is 1 and y -1 in the one, y 1 and z -1 in the other; who is missing has the lowest.
    assert dict(fuse([one, other], [1.0, 0.5])["q"]) == {"x": 0.5, "y": -0.5, "z": -1.5}
    assert fuse([one, other], k=1)["q"] == [("x", 0.0)]
    with pytest.raises(ArgumentError, match="1 weights of 2 runs"):
        fuse([one, other], [1.0])
    with pytest.raises(ArgumentError, match="there is no run"):
        fuse([])


def test_a_collection_knows_what_is_judged():
    docs = Documents.of({"a": "one", "b": "two"}, titles={"b": "B", "a": ""})
    assert list(docs.texts()) == ["one", "B\ntwo"]
    assert (docs["b"], docs.ids, len(docs)) == ("B\ntwo", ["a", "b"], 2)
    found = Collection(docs, {"q": "?", "r": "!"}, {"q": {"a": 1}}, "small")
    assert repr(found) == "Collection('small', documents=2, queries=2, judged=1)"
    assert found.of_queries(["r"]).qrels == {}
    with pytest.raises(ArgumentError, match="query 's' is judged and not among the queries"):
        Collection(docs, {"q": "?"}, {"s": {"a": 1}})
    with pytest.raises(ArgumentError, match="document 'c', judged for query 'q', is not there"):
        Collection(docs, {"q": "?"}, {"q": {"c": 1}})
    with pytest.raises(ArgumentError, match="1 titles of 2 documents"):
        Documents.of(["x", "y"], titles=["X"])


@pytest.mark.parametrize(
    "damage",
    [
        lambda parts: parts | {"starts": parts["starts"][:-1]},
        lambda parts: parts | {"docs": parts["docs"] + 2},
        lambda parts: parts | {"docs": parts["docs"].astype(np.int64)},
        lambda parts: parts | {"scores": parts["scores"][1:]},
    ],
)
def test_scores_of_another_index_are_told(tmp_path, damage):
    BM25().add(["ab b", "b c"]).save(tmp_path / "index")
    parts = {name: np.load(tmp_path / "index" / f"{name}.npy") for name in ("starts", "docs", "scores")}
    for name, part in damage(parts).items():
        np.save(tmp_path / "index" / f"{name}.npy", part)
    with pytest.raises(DataError, match="its scores are of another index"):
        BM25.load(tmp_path / "index")


def test_an_index_that_was_read_is_added_to(tmp_path):
    BM25().add({"x": "ab b", "y": "b c"}).save(tmp_path / "index")
    changed = BM25.load(tmp_path / "index").add({"z": "c c"}).remove(["x"])
    np.testing.assert_array_equal(changed.scores("b c"), BM25().add({"y": "b c", "z": "c c"}).scores("b c"))
