"""Several retrievers as one, and reranking, against fusion by hand and sorts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.data import Collection, Documents, Run
from irworks.encoders import Scorer, TokenVectors
from irworks.errors import ArgumentError
from irworks.metrics import evaluate_run
from irworks.retrieval import BM25, Dense, Hybrid, LateInteraction, Rerank, Retriever, fuse
from irworks.retrieval.hybrid import EncoderScorer

IDS = [f"d{place}" for place in range(6)]
QUERIES = ["q0", "q1", "q2"]
FOUND = st.dictionaries(st.sampled_from(IDS), st.integers(-2, 3).map(float), max_size=6)
FOUND_OF_ALL = st.fixed_dictionaries(dict.fromkeys(QUERIES, FOUND))
QRELS = st.dictionaries(st.sampled_from(QUERIES), st.fixed_dictionaries({"d0": st.just(1)}), min_size=1)


class Known:
    """Finds what it was told to find."""

    def __init__(self, found):
        self.run, self.asked = Run.of(found), []

    def search(self, queries, k=10):
        self.asked.append(k)
        return self.run.of_queries(list(queries) if isinstance(queries, dict) else ["q0"]).top(k)


def collection(qrels, split="validation"):
    return Collection(Documents.of(dict.fromkeys(IDS, "text")), {q: q for q in QUERIES}, qrels, "known", split)


# -- hybrids ----------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(FOUND_OF_ALL, FOUND_OF_ALL, st.floats(0.05, 1), st.integers(1, 7))
def test_a_hybrid_is_the_fusion_of_its_arms(one, other, weight, k):
    arms = {"one": Known(one), "other": Known(other)}
    found = Hybrid(arms, {"one": weight, "other": 0.5}).search({q: q for q in QUERIES}, k)
    expected = fuse([Run.of(one), Run.of(other)], [weight, 0.5], k=k)
    assert found.to_dict() == expected.to_dict()
    assert [arm.asked for arm in arms.values()] == [[100], [100]]


@settings(deadline=None)
@given(FOUND_OF_ALL, FOUND_OF_ALL, st.integers(1, 7), st.booleans())
def test_an_arm_of_no_weight_changes_nothing(one, other, k, first):
    arms = {"one": Known(one), "other": Known(other)}
    found = Hybrid(arms, {"one": float(first), "other": float(not first)}).search({q: q for q in QUERIES}, k)
    alone = arms["one" if first else "other"].run.of_queries(QUERIES)
    assert {q: list(docs) for q, docs in found.to_dict().items()} == {
        q: [doc for doc, _ in alone[q]][:k] for q in QUERIES
    }
    assert arms["other" if first else "one"].asked == []


def test_arms_are_asked_for_as_much_as_is_wanted():
    arm = Known({"q0": {doc: -float(place) for place, doc in enumerate(IDS)}})
    assert len(Hybrid({"arm": arm}, depth=2).search({"q0": "?"}, 5)["q0"]) == 5
    assert len(Hybrid({"arm": arm}, depth=4).search({"q0": "?"}, 1)["q0"]) == 1
    assert arm.asked == [5, 4]


def test_a_hybrid_of_indexes_is_a_retriever():
    docs = {"x": "red apple", "y": "green pear", "z": ""}
    found = Hybrid({"words": BM25().add(docs), "more": BM25(b=0).add(docs)})
    assert isinstance(found, Retriever)
    assert list(dict(found.search("pear")["0"])) == ["y"]
    assert found.search({"a": "", "b": "plum"}).to_dict() == {"a": {}, "b": {}}


def test_bad_weights_are_told():
    arms = {"one": Known({}), "other": Known({})}
    with pytest.raises(ArgumentError, match="there is no arm; expected at least one retriever"):
        Hybrid({})
    with pytest.raises(ArgumentError, match=r"weights are of \['one', 'third'\]; expected of \['one', 'other'\]"):
        Hybrid(arms, {"one": 1, "third": 1})
    for one, other in ((-1, 2), (0, 0), (float("nan"), 1)):
        with pytest.raises(ArgumentError, match="expected none below 0, and one above"):
            Hybrid(arms, {"one": one, "other": other})
    with pytest.raises(ArgumentError, match="k=0; expected at least 1"):
        Hybrid(arms).search("a", 0)


# -- weights by validation --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=25)
@given(FOUND_OF_ALL, FOUND_OF_ALL, QRELS, st.sampled_from(["RR@10", "nDCG@3", "R@2"]))
def test_the_chosen_weight_is_never_worse_than_an_arm(one, other, qrels, measure):
    arms = {"one": Known(one), "other": Known(other)}
    hybrid = Hybrid.validated(arms, collection(qrels), measure=measure)

    def values(retriever):
        return evaluate_run(retriever.search({q: q for q in QUERIES}, 10), qrels, [measure])[measure].to_numpy()

    assert values(hybrid).mean() >= max(values(arm).mean() for arm in arms.values()) - 1e-12
    shares = [round(share / 20, 2) for share in range(21)]
    found = [values(Hybrid(arms, {"one": 1 - share, "other": share})) for share in shares]
    lost = max(found, key=np.mean) - values(hybrid)
    # It may be below the best by what chance explains.
    assert lost.mean() <= (lost.std(ddof=1) / len(lost) ** 0.5 if len(lost) > 1 else 0) + 1e-12


def test_of_weights_that_measure_alike_the_better_arm_has_most():
    good = Known({q: {"d0": 2.0, "d1": 1.0} for q in QUERIES})
    bad = Known({q: {"d1": 2.0, "d2": 1.5, "d0": 1.0} for q in QUERIES})
    qrels = {q: {"d0": 1} for q in QUERIES}
    assert Hybrid.validated({"good": good, "bad": bad}, collection(qrels)).weights == {"good": 1, "bad": 0}
    assert Hybrid.validated({"bad": bad, "good": good}, collection(qrels)).weights == {"bad": 0, "good": 1}


def test_an_arm_gets_weight_for_what_it_adds():
    sure, unsure = {"d0": 3.0, "d1": 1.0, "d2": 0.0}, {"d1": 2.0, "d0": 1.9, "d2": 0.0}

    def weights(n):
        """Of arms that are each sure of every second query."""
        queries = [f"n{number}" for number in range(n)]
        one = Known({q: (unsure if place % 2 else sure) for place, q in enumerate(queries)})
        other = Known({q: (sure if place % 2 else unsure) for place, q in enumerate(queries)})
        judged = Collection(
            Documents.of({doc: doc for doc in IDS}), {q: q for q in queries}, {q: {"d0": 1} for q in queries}
        )
        return Hybrid.validated({"one": one, "other": other}, judged).weights

    assert min(weights(20).values()) > 0
    assert sum(weights(20).values()) == pytest.approx(1)
    # Two queries show nothing.
    assert weights(2) == {"one": 1, "other": 0}


def test_validation_asks_judged_queries_alone():
    class Watched(Known):
        def search(self, queries, k=10):
            self.queries = list(queries)
            return super().search(queries, k)

    arms = {"one": Watched({"q1": {"d0": 1.0}}), "other": Watched({"q1": {"d1": 1.0}})}
    Hybrid.validated(arms, collection({"q1": {"d0": 1}}), depth=7)
    assert [arm.queries for arm in arms.values()] == [["q1"], ["q1"]]
    assert [arm.asked for arm in arms.values()] == [[7], [7]]


def test_what_no_weight_can_be_chosen_by_is_told():
    arms = {"one": Known({}), "other": Known({})}
    qrels = {"q0": {"d0": 1}}
    with pytest.raises(ArgumentError, match="known: its queries are the test split; expected others"):
        Hybrid.validated(arms, collection(qrels, "test"))
    with pytest.raises(ArgumentError, match="1 arms; a weight is validated for two"):
        Hybrid.validated({"one": arms["one"]}, collection(qrels))
    with pytest.raises(ArgumentError, match="none of the 0 queries of run 'Hybrid' is judged"):
        Hybrid.validated(arms, collection({}))
    with pytest.raises(ArgumentError, match=r"shares=\(0.5, 1.5\); expected numbers from 0 to 1"):
        Hybrid.validated(arms, collection(qrels), shares=[0.5, 1.5])


# -- reranking --------------------------------------------------------------------------------------------------------


class Marks:
    """The text of a document is its score."""

    def score(self, query, docs):
        return np.array([float(text) for text in docs.values()], dtype=np.float32)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([*range(-3, 4), -np.inf, 1e9]), max_size=6),
    st.integers(1, 7),
    st.integers(1, 7),
)
def test_what_is_judged_is_sorted_and_the_rest_stays_below(marks, depth, k):
    docs = {f"d{place}": str(mark) for place, mark in enumerate(marks)}
    first = Known({"q0": {doc: -float(place) for place, doc in enumerate(docs)}})
    found = Rerank(first, Marks(), docs, depth=depth).search({"q0": "?"}, k)["q0"]
    judged = sorted(list(docs)[:depth], key=lambda doc: -float(docs[doc]))
    assert [doc for doc, _ in found] == [*judged, *list(docs)[depth:]][:k]
    for doc, score in found:
        if doc in judged and np.isfinite(float(docs[doc])):
            assert score == float(docs[doc])
    assert first.asked == [max(depth, k)]


def test_a_query_that_finds_nothing_is_not_judged():
    docs = {"x": "red apple", "y": "green pear"}
    for scorer in (
        Marks(),
        EncoderScorer(OfTokens()),
        Dense(OfTexts()).add(docs),
        LateInteraction(OfTokens()).add(docs),
    ):
        found = Rerank(BM25().add(docs), scorer, docs).search({"a": "", "b": "plum"})
        assert found.to_dict() == {"a": {}, "b": {}}


class OfTexts:
    """A text is where its letters a, b and c are."""

    name, dim = "of-texts", 3

    def encode(self, texts, kind="doc"):
        return np.array([[text.count(letter) for letter in "abc"] for text in texts], np.float32).reshape(-1, 3)


class OfTokens:
    """A word is where its letters a, b and c are."""

    name, token_dim = "of-tokens", 3

    def encode_tokens(self, texts, kind="doc"):
        flat = OfTexts().encode([word for text in texts for word in text.split()])
        return TokenVectors(flat, np.append(0, np.cumsum([len(text.split()) for text in texts])).astype(np.int64))


def test_an_encoder_judges_by_the_vectors_that_it_has():
    docs = {"x": "a b", "y": "aa c", "z": ""}
    texts, tokens = EncoderScorer(OfTexts()), EncoderScorer(OfTokens())
    assert isinstance(texts, Scorer)
    assert texts.score("a c", docs).tolist() == [1, 3, 0]
    assert tokens.score("a c", docs).tolist() == [1, 3, -np.inf]
    assert texts.score("a", {}).shape == tokens.score("a", {}).shape == (0,)
    first = Known({"q0": {"z": 3.0, "x": 2.0, "y": 1.0}})
    for encoder in (OfTexts(), OfTokens()):
        assert list(dict(Rerank(first, encoder, docs).search({"q0": "a c"})["q0"])) == ["y", "x", "z"]


@pytest.mark.parametrize("index", [Dense(OfTexts()), LateInteraction(OfTokens())])
def test_an_index_judges_as_its_encoder_does(index):
    docs = {"x": "a b", "y": "aa c", "z": "b c"}
    index.add({"w": "c"} | docs)
    assert isinstance(index, Scorer)
    first = Known({"q0": {"z": 3.0, "x": 2.0, "y": 1.0}})
    by_index, by_encoder = (Rerank(first, scorer, docs).search({"q0": "a c"}) for scorer in (index, index.encoder))
    assert by_index.to_dict() == by_encoder.to_dict()


def test_what_cannot_be_reranked_is_told():
    first = Known({"q0": {"x": 2.0, "y": 1.0}})
    with pytest.raises(ArgumentError, match="depth=0; expected at least 1"):
        Rerank(first, Marks(), {}, depth=0)
    with pytest.raises(ArgumentError, match="k=0; expected at least 1"):
        Rerank(first, Marks(), {}).search("a", 0)
    with pytest.raises(ArgumentError, match="there is no text of document 'y', which was found"):
        Rerank(first, Marks(), {"x": "1"}).search({"q0": "?"})
    with pytest.raises(ArgumentError, match="score of document 'y' is NaN"):
        Rerank(first, Marks(), {"x": "1", "y": "nan"}).search({"q0": "?"})

    class Short(Marks):
        def score(self, query, docs):
            return super().score(query, docs)[:1]

    with pytest.raises(ArgumentError, match=r"the scorer made scores \(1,\); expected \[2\], one a document"):
        Rerank(first, Short(), {"x": "1", "y": "2"}).search({"q0": "?"})
