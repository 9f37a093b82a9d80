"""Parts of a collection that know nothing of one another."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amharic_ir.datasets import amqa, masakhanews, split
from amharic_ir.text.folding import same_text
from amharic_ir.text.perturb import perturb
from irworks.data import Collection, Documents
from irworks.errors import ArgumentError

WORDS = ["ሠላም", "ሰላም", "ዓለም", "አለም", "ሀገር", "ቤት", "ጸሐይ", "ፀሀይ"]


def collection_of(n, relevant=None):
    docs = Documents.of([f"ጽሑፍ {number}" for number in range(n)])
    return Collection(docs, {str(i): f"ጥያቄ {i}" for i in range(n)}, relevant or {str(i): {str(i): 1} for i in range(n)})


@st.composite
def collections(draw):
    texts = draw(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2), min_size=1, max_size=12))
    docs = Documents.of(["  ".join(words) for words in texts])
    queries, qrels = {}, {}
    for number in range(draw(st.integers(12, 40))):
        asked = draw(st.one_of(st.just(f"ጥያቄ {number}"), st.sampled_from(WORDS)))
        judged = draw(st.dictionaries(st.sampled_from(docs.ids), st.integers(0, 2), max_size=2))
        queries[f"q{number}"] = asked
        if judged:
            qrels[f"q{number}"] = judged
    return Collection(docs, queries, qrels)


def traces(part):
    """What a model could know of a query: what it asks, and the texts that are relevant."""
    asked = {("query", same_text(text)) for text in part.queries.values()}
    texts = {
        ("document", same_text(part.docs[doc]))
        for judged in part.qrels.values()
        for doc, label in judged.items()
        if label > 0
    }
    return asked | texts


@settings(max_examples=50)
@given(collections(), st.integers(0, 99), st.floats(0, 0.4), st.floats(0, 0.4))
def test_parts_cover_the_queries_and_share_nothing(whole, seed, validation, test):
    try:
        parts = list(split(whole, validation=validation, test=test, seed=seed))
    except ArgumentError:
        return
    queries = [query for part in parts for query in part.queries]
    assert sorted(queries) == sorted(whole.queries)
    assert [part.split for part in parts] == ["train", "validation", "test"]
    for place, part in enumerate(parts):
        assert part.docs is whole.docs
        assert part.qrels == {query: whole.qrels[query] for query in part.queries if query in whole.qrels}
        assert not any(traces(part) & traces(other) for other in parts[place + 1 :])


@given(st.integers(0, 99), st.floats(0, 1))
def test_spelling_and_white_space_hide_no_duplicate(seed, p):
    texts = ["ሠላም ለዓለም ሁሉ", "ፀሐይ በሀገር ላይ"]
    docs = [*texts, *(perturb(text, "homophone", p, seed=seed).replace(" ", "\n ") for text in texts)]
    docs += [f"ሌላ {number}" for number in range(10)]
    whole = Collection(
        Documents.of(docs), {str(i): f"ጥያቄ {i}" for i in range(14)}, {str(i): {str(i): 1} for i in range(14)}
    )
    parts = split(whole, validation=0.3, test=0.3, seed=seed)
    place = {query: part.split for part in parts for query in part.queries}
    assert (place["0"], place["1"]) == (place["2"], place["3"])


def test_the_seed_alone_decides():
    whole = collection_of(50)
    assert [list(part.queries) for part in split(whole, seed=3)] == [
        list(part.queries) for part in split(whole, seed=3)
    ]
    assert list(split(whole, seed=3).test.queries) != list(split(whole, seed=4).test.queries)


@given(st.integers(0, 99))
def test_shares_are_met_within_categories(seed):
    whole = collection_of(200)
    categories = {query: "abcd"[min(int(query) // 40, 3)] for query in whole.queries}
    parts = split(whole, validation=0.1, test=0.2, seed=seed, categories=categories)
    for part, share in ((parts.validation, 0.1), (parts.test, 0.2)):
        for category, size in (("a", 40), ("b", 40), ("c", 40), ("d", 80)):
            assert sum(categories[query] == category for query in part.queries) == round(size * share)


def test_many_small_categories_fill_the_parts():
    whole = collection_of(100)
    parts = split(whole, categories={query: query for query in whole.queries})
    assert [len(part.queries) for part in parts] == [80, 10, 10]


def test_what_is_judged_irrelevant_ties_no_queries():
    qrels = {str(i): {str(i): 1, "0": int(i == 0)} for i in range(20)}
    assert [len(part.queries) for part in split(collection_of(20, qrels))] == [16, 2, 2]


def test_an_empty_part_has_to_be_asked_for():
    parts = split(collection_of(10), validation=0, test=0.3)
    assert [len(part.queries) for part in parts] == [7, 0, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test": 1.0}, r"validation=0.1, test=1.0; expected shares"),
        ({"test": 0.6, "validation": 0.4}, "expected shares"),
        ({"validation": -0.1}, "expected shares"),
        ({"validation": float("nan")}, "expected shares"),
        ({"categories": {"0": "a"}}, "categories has no '1'"),
    ],
)
def test_arguments_out_of_range_are_told(options, message):
    with pytest.raises(ArgumentError, match=message):
        split(collection_of(30), **options)


def test_too_few_queries_are_told():
    with pytest.raises(ArgumentError, match=r"3 queries in 3 groups of equal ones, too few .* test would be empty"):
        split(collection_of(3), validation=0.2)
    tied = collection_of(12, {str(i): {"0": 1} for i in range(12)})
    with pytest.raises(ArgumentError, match=r"12 queries in 1 groups"):
        split(tied, test=0.3)


def test_real_collections_are_divided(amharic):
    questions = split(amqa(amharic / "amqa"))
    assert [len(part.queries) for part in questions] == [2098, 262, 262]
    news = masakhanews(amharic / "masakhanews")
    parts = split(news, categories=news.categories)
    assert [len(part.queries) for part in parts] == [591, 74, 74]
    assert {news.categories[query] for query in parts.test.queries} == set(news.categories.values())
