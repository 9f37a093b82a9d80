"""What encoders learn from: pairs, negatives, sentences taken out of their texts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amharic_ir import Searcher
from amharic_ir.datasets import split
from amharic_ir.text.folding import same_text
from amharic_ir.text.perturb import perturb
from amharic_ir.text.sentences import sentences
from amharic_ir.train import Pairs, inverse_cloze, mine
from amharic_ir.train.cloze import cloze_split
from irworks.data import Collection, Documents, Run
from irworks.errors import ArgumentError

few = settings(max_examples=60, deadline=None)
# Pairs of these are the same text.
TEXTS = ["ሠላም ለዓለም", "ሰላም  ለአለም", "ሰላም፡ለአለም", "ጸሐይ", "ፀሀይ", "ሀገር ቤት", "ሐገር\nቤት", "ወንዝ", "ተራራ", "ባሕር", "ደመና"]


class Fixed:
    """Finds documents in one order, whatever is asked."""

    def __init__(self, order):
        self.order = order

    def search(self, queries, k=10):
        return Run.of({query: {doc: -float(i) for i, doc in enumerate(self.order[:k])} for query in queries})


@st.composite
def worlds(draw):
    docs = Documents.of(draw(st.lists(st.sampled_from(TEXTS), min_size=2, max_size=14)))
    labels = st.dictionaries(st.sampled_from(docs.ids), st.integers(0, 2), max_size=3)
    asked = st.sampled_from(["አንድ", "ሁለት", "ሦስት", "ሶስት"])

    def collection(name):
        n = draw(st.integers(1, 4))
        return Collection(
            docs,
            {f"{name}{i}": draw(asked) for i in range(n)},
            {f"{name}{i}": draw(labels) for i in range(n)},
            name,
            "test" if name == "held" else "train",
        )

    return collection("train"), collection("held"), draw(st.permutations(docs.ids))


def right(collection, query=None):
    """The texts that answer a query, whoever asked it; or any."""
    return {
        same_text(collection.docs[doc])
        for other, judged in collection.qrels.items()
        for doc, label in judged.items()
        if label > 0 and (query is None or same_text(collection.queries[other]) == query)
    }


@given(worlds(), st.integers(1, 5), st.integers(0, 3), st.integers(4, 14), st.booleans())
@few
def test_negatives_answer_nothing_and_stand_in_the_order_they_were_found_in(world, n, skip, depth, tested):
    train, held, order = world
    found = mine(Fixed(order), train, n=n, skip=skip, depth=depth, held_out=held if tested else None)
    assert list(found) == list(train.qrels)
    for query, negatives in found.items():
        never = right(train, same_text(train.queries[query])) | (right(held) if tested else set())
        texts = [same_text(train.docs[doc]) for doc in negatives]
        assert not never & set(texts)
        assert len(set(texts)) == len(texts)
        # By brute force: the first of each text that may be one, in order, without those passed by.
        firsts = {}
        for doc in order[:depth]:
            firsts.setdefault(same_text(train.docs[doc]), doc)
        assert negatives == [doc for text, doc in firsts.items() if text not in never][skip : skip + n]


def test_respelled_copies_of_an_answer_are_no_negatives():
    texts = ["ሠላም ለዓለም ሁሉ", "የሠላም ስምምነት ተፈረመ", "ሠላም ሚኒስቴር", "የሠላም ጉባኤ"]
    copies = [perturb(text, "homophone", 1.0, seed=seed) for seed, text in enumerate(texts)]
    docs = Documents.of([*texts, *copies])
    asked = Collection(docs, {"q": "ሠላም"}, {"q": {"0": 1}}, "news", "train")
    held = Collection(docs, {"t": "ጉባኤ"}, {"t": {"7": 1}}, "news", "test")
    found = mine(Searcher.build(docs), asked, skip=0, held_out=held)["q"]
    assert {same_text(docs[doc]) for doc in found} == {same_text(texts[1]), same_text(texts[2])}
    assert mine(Searcher.build(docs), asked, skip=0, held_out=held, exclude=["1"])["q"] in (["2"], ["6"])


def test_what_mining_cannot_do_is_told():
    docs = Documents.of(["ሠላም", "ሰላም ለሁሉ"])
    asked = Collection(docs, {"q": "ሠላም"}, {"q": {"0": 1}}, "news", "test")
    with pytest.raises(ArgumentError, match="news: its queries are the test split; expected those for training"):
        mine(Fixed(["0"]), asked)
    train = Collection(docs, {"q": "ሠላም"}, {"q": {"0": 1}}, "news", "train")
    for options in ({"n": 0}, {"skip": -1}, {"skip": 5, "depth": 5}):
        with pytest.raises(ArgumentError, match="expected n of at least 1, and depth above skip"):
            mine(Fixed(["0"]), train, **options)
    with pytest.raises(ArgumentError, match="news has no document 'x'; expected a retriever over its documents"):
        mine(Fixed(["x"]), train)
    with pytest.raises(ArgumentError, match="news has no document 'y'"):
        mine(Fixed(["0"]), train, exclude=["y"])


# -- pairs ------------------------------------------------------------------------------------------------------------


def test_pairs_of_a_collection_are_its_judgements():
    docs = Documents.of({"a": "አንድ", "b": "ሁለት", "c": "ሦስት"}, titles={"a": "ርዕስ", "b": "", "c": ""})
    whole = Collection(docs, {"1": "ጥያቄ", "2": "ሌላ", "3": "ባዶ"}, {"1": {"a": 1, "b": 2, "c": 0}, "2": {"c": 1}})
    pairs = Pairs.of(whole, {"1": ["c"]})
    assert list(zip(pairs.queries, pairs.docs, pairs.negatives, strict=True)) == [
        ("ጥያቄ", "ርዕስ\nአንድ", ["ሦስት"]),
        ("ጥያቄ", "ሁለት", ["ሦስት"]),
        ("ሌላ", "ሦስት", []),
    ]
    assert (len(pairs), len(Pairs.of(whole).negatives)) == (3, 0)


def test_the_test_split_makes_no_pairs():
    docs = Documents.of([f"ጽሑፍ {i}" for i in range(20)])
    parts = split(Collection(docs, {str(i): f"ጥያቄ {i}" for i in range(20)}, {str(i): {str(i): 1} for i in range(20)}))
    assert len(Pairs.of(parts.train)) == 16
    with pytest.raises(ArgumentError, match="its queries are the test split; expected those for training"):
        Pairs.of(parts.test)


@given(st.integers(0, 99))
@few
def test_parts_are_apart_for_training_too(seed):
    # Half of the queries are the other half, typed in another way.
    asked = [perturb(text, kind, 1.0, seed=i) for i, text in enumerate(["ሠላም ለዓለም", "ጸሐይ ወጣች", "ሀገር ቤት"] * 2)
             for kind in ("homophone", "wordspace")]  # fmt: skip
    asked += [f"ጥያቄ {i}" for i in range(10)]
    docs = Documents.of([f"ጽሑፍ {i}" for i in range(len(asked))])
    numbers = [str(i) for i in range(len(asked))]
    whole = Collection(docs, dict(zip(numbers, asked, strict=True)), {number: {number: 1} for number in numbers})
    parts = split(whole, validation=0.3, test=0.2, seed=seed)
    texts = [{same_text(text) for text in part.queries.values()} for part in parts]
    assert not texts[0] & texts[1]
    assert not (texts[0] | texts[1]) & texts[2]


def test_pairs_are_joined_and_left_out():
    one = Pairs(["ሠላም", "b"], ["x", "y"], [["n"], []], [[1, 0], [1]])
    two = Pairs(["ሰላም "], ["z"])
    both = one.joined(two)
    assert (both.queries, both.docs) == (["ሠላም", "b", "ሰላም "], ["x", "y", "z"])
    assert ([list(each) for each in both.negatives], both.scores) == ([["n"], [], []], ())
    assert one.joined(one).scores == [[1, 0], [1], [1, 0], [1]]
    left = one.without(["ሰላም"])
    assert (left.queries, left.docs, left.negatives, left.scores) == (["b"], ["y"], [[]], [[1]])
    with pytest.raises(ArgumentError, match="there is no pair to learn from"):
        two.without(["ሠላም"])


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (([], []), "there is no pair to learn from"),
        ((["a"], []), "1 queries, 0 docs; expected as many"),
        ((["a"], ["x", "y"]), "1 queries, 2 docs"),
        ((["a", "b"], ["x", "y"], [["n"]]), "2 queries, 1 negatives"),
        ((["a"], ["x"], [["n"]], [[1.0]]), "pair 0 has 1 scores; expected one of its document and each negative"),
        (("ab", "xy"), "one text; expected a list of texts"),
        ((["a"], "x"), "one text; expected a list of texts"),
    ],
)
def test_pairs_that_do_not_fit_are_told(parts, message):
    with pytest.raises(ArgumentError, match=message):
        Pairs(*parts)


def test_negatives_that_are_not_there_are_told():
    docs = Documents.of(["አንድ"])
    whole = Collection(docs, {"1": "ጥያቄ"}, {"1": {"0": 1}}, "news")
    with pytest.raises(ArgumentError, match="news has no document 'x', which is among the negatives"):
        Pairs.of(whole, {"1": ["x"]})
    with pytest.raises(ArgumentError, match="news: no document is relevant to a query"):
        Pairs.of(Collection(docs, {"1": "ጥያቄ"}, {"1": {"0": 0}}, "news"))


# -- sentences --------------------------------------------------------------------------------------------------------


def cut(text):
    return [text[begin:end] for begin, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("አንድ ነው። ሁለት ነው፧ ሦስት፡፡አራት", ["አንድ ነው።", "ሁለት ነው፧", "ሦስት፡፡", "አራት"]),
        ("በ1990 ዓ.ም. ተወለደ። ዶ.ር አበበ መጡ።", ["በ1990 ዓ.ም. ተወለደ።", "ዶ.ር አበበ መጡ።"]),
        ("እ.ኤ.አ. በ2001 ነበር። ፕ. አበበ", ["እ.ኤ.አ. በ2001 ነበር።", "ፕ. አበበ"]),
        ("ዋጋው 3.5 ነው። በ www.example.com ላይ.", ["ዋጋው 3.5 ነው።", "በ www.example.com ላይ."]),
        ('He said "No." Then he left. U.S. law', ['He said "No."', "Then he left.", "U.S. law"]),
        ("አለ «ና!» ሄደ", ["አለ «ና!»", "ሄደ"]),
        ("አንድ\n\nሁለት", ["አንድ", "ሁለት"]),
        ("... ። !", []),
        ("", []),
    ],
)
def test_sentences_end_where_they_do(text, expected):
    assert cut(text) == expected


@given(st.text(st.sampled_from('ሰላም አበ.። ፡፧!\n"»3a '), max_size=40))
@few
def test_sentences_cut_the_text_and_leave_no_letter_out(text):
    found = sentences(text)
    places = [place for begin, end in found for place in range(begin, end)]
    assert places == sorted(set(places))
    assert {i for i, letter in enumerate(text) if letter.isalnum()} <= set(places)
    for begin, end in found:
        assert text[begin:end] == text[begin:end].strip()
        assert any(map(str.isalnum, text[begin:end]))


# -- inverse cloze ----------------------------------------------------------------------------------------------------

words = st.lists(st.sampled_from(["ሠላም", "ዓለም", "ወንዝ", "ተራራ"]), min_size=1, max_size=6)


@given(st.lists(st.lists(words, min_size=1, max_size=5), min_size=1, max_size=4), st.integers(0, 9), st.integers(1, 3))
@few
def test_a_sentence_asks_for_its_text_without_it(texts, seed, per_doc):
    # A word of its own makes every sentence another one.
    docs = [
        " ".join(f"{' '.join(each)} ቁ{row}x{place}።" for place, each in enumerate(text))
        for row, text in enumerate(texts)
    ]
    long = [[cut(doc)[i] for i in range(len(cut(doc))) if len(cut(doc)[i].split()) >= 3] for doc in docs]
    expected = sum(min(per_doc, len(each)) for each in long if len(each) > 1)
    if not expected:
        with pytest.raises(ArgumentError, match="no document has two sentences"):
            inverse_cloze(docs, per_doc=per_doc, seed=seed)
        return
    taken = inverse_cloze(docs, per_doc=per_doc, keep=0.0, seed=seed)
    assert len(taken) == expected
    for query, answer in zip(taken.queries, taken.docs, strict=True):
        assert query not in answer
        source = next(doc for doc in docs if query in doc)
        assert sorted(f"{query} {answer}".split()) == sorted(source.split())
    kept = inverse_cloze(docs, per_doc=per_doc, keep=1.0, seed=seed)
    assert all(query in answer and answer in docs for query, answer in zip(kept.queries, kept.docs, strict=True))


def test_the_seed_alone_decides_which_sentence_is_taken():
    docs = [" ".join(f"ቃል ቃል ቁ{row}x{i}።" for i in range(6)) for row in range(20)]
    one, same, other = (inverse_cloze(docs, seed=seed) for seed in (1, 1, 2))
    assert (one.queries, one.docs) == (same.queries, same.docs)
    assert one.queries != other.queries
    from_documents = inverse_cloze(Documents.of(docs), seed=1)
    assert (from_documents.queries, from_documents.docs) == (one.queries, one.docs)
    share = np.mean([query in answer for query, answer in zip(one.queries, one.docs, strict=True)])
    assert share == pytest.approx(0.1, abs=0.1)
    assert {len(query.split()) for query in inverse_cloze(docs, words=2).queries} == {2}


@pytest.mark.parametrize("options", [{"keep": 1.5}, {"keep": float("nan")}, {"per_doc": 0}, {"words": 0}])
def test_arguments_of_inverse_cloze_are_told(options):
    with pytest.raises(ArgumentError, match=r"expected within \[0, 1\], and at least 1"):
        inverse_cloze(["አንድ ሁለት ሦስት። አራት አምስት ስድስት።"], **options)


def test_sentences_to_choose_by_are_taken_out_of_documents_that_are_not_learned_from():
    docs = [" ".join(f"ቃል ቃል ቁ{row}x{i}።" for i in range(4)) for row in range(20)]
    whole = Documents.of([*docs, docs[0].replace(" ", "  "), "አንድ ሁለት ሦስት።"])
    learned, judged = cloze_split(whole, share=0.2, seed=3)
    assert (len(judged.queries), len(judged.docs), judged.split) == (4, 21, "validation")
    assert learned == [doc for place, doc in enumerate(judged.docs.texts()) if str(place) not in judged.queries]
    for query, text in judged.queries.items():
        assert judged.qrels[query] == {query: 1}
        assert text not in judged.docs[query]
        source = next(doc for doc in docs if text in doc)
        assert sorted(f"{text} {judged.docs[query]}".split()) == sorted(source.split())
    assert cloze_split(whole, seed=3)[1].queries != cloze_split(whole, seed=4)[1].queries
    with pytest.raises(ArgumentError, match=r"1 of 2 documents have two sentences of three words; expected at least 2"):
        cloze_split(Documents.of([docs[0], "አንድ።"]))
    with pytest.raises(ArgumentError, match=r"share=1, words=24; expected above 0 and below 1"):
        cloze_split(whole, share=1)


def test_one_text_is_no_list_of_documents():
    with pytest.raises(ArgumentError, match="docs is the text 'mix'; expected documents, or a list of texts"):
        inverse_cloze("mix")
