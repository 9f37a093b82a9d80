"""Queries typed in other ways: what has an effect, what has none, and what decides."""

import random
import re
from functools import partial

import pytest

from amharic_ir import Analyzer, Searcher, robustness
from irworks.data import Collection, Documents, Run
from irworks.errors import ArgumentError


def world():
    """Documents of random words with many homophones, and queries of two words of one of them."""
    draw = random.Random(0)
    words = ["".join(draw.choices("ሀለሐመሠረሰሸቀበተኀነአከወዐዘየደገጠጸፀፈ", k=draw.randint(2, 5))) for _ in range(300)]
    docs = {f"d{number}": draw.choices(words, k=25) for number in range(60)}
    queries = {f"q{number}": " ".join(draw.sample(docs[f"d{number}"], 2)) for number in range(40)}
    texts = Documents.of({doc: " ".join(text) for doc, text in docs.items()})
    return Collection(texts, queries, {f"q{number}": {f"d{number}": 1} for number in range(40)}, "world")


WORLD = world()


@pytest.fixture(scope="module")
def systems():
    # Without folding, letters of one sound stay apart.
    unfolded = Analyzer(tokens="word", steps=("nfc", "punct"))
    return {"3-grams": Searcher.build(WORLD.docs), "unfolded": Searcher.build(WORLD.docs, analyzer=unfolded)}


@pytest.fixture(scope="module")
def typed(systems):
    return robustness(systems, WORLD, p=(0.0, 0.5, 1.0), seeds=(0, 1))


def test_without_a_change_and_without_an_effect_nothing_falls(typed):
    table = typed.table
    clean = {name: rows["RR@10"].iloc[0] for name, rows in table.groupby("system")}
    unchanged = table[table["p"] == 0]
    assert len(unchanged) == 2 * 9
    assert (unchanged["RR@10"] == unchanged["system"].map(clean)).all()
    assert (unchanged[["changed", "drop", "drop low", "drop high"]] == 0).all(axis=None)
    assert (unchanged["same top 10"] == 1).all()
    # What the analyzer folds has no effect, exactly.
    folded = table[(table["system"] == "3-grams") & table["kind"].isin(["homophone", "wordspace", "labial"])]
    assert (folded[["drop", "drop low", "drop high"]] == 0).all(axis=None)
    assert (folded["same top 10"] == 1).all()
    felt = table[(table["system"] == "unfolded") & (table["kind"] == "homophone") & (table["p"] == 1)].iloc[0]
    assert felt["drop low"] > 0
    assert felt["changed"] > 0.5
    assert felt["same top 10"] < 1


def test_the_table_is_what_the_queries_say(typed):
    means = typed.per_query.mean(axis=1)
    assert list(means.index) == list(typed.table[["system", "kind", "p"]].itertuples(index=False, name=None))
    assert means.to_numpy() == pytest.approx(typed.table["RR@10"].to_numpy())
    assert list(typed.table["system"].drop_duplicates()) == ["3-grams", "unfolded"]
    assert typed.drops.shape == (16, 3)
    assert typed.drops.loc[("unfolded", "swap"), 1.0] == pytest.approx(
        (typed.per_query.loc["unfolded", "none", 0.0] - typed.per_query.loc["unfolded", "swap", 1.0]).mean()
    )


def test_seeds_decide_and_other_queries_do_not(systems):
    asked = partial(robustness, systems["unfolded"], kinds=["vowel"], p=[0.5])
    first, again, other = (asked(WORLD, seeds=seeds) for seeds in ([0], [0], [7]))
    assert first.table.equals(again.table)
    assert not first.per_query.equals(other.per_query)
    some = list(WORLD.queries)[5:15]
    assert asked(WORLD.of_queries(some), seeds=[0]).per_query.equals(first.per_query[some])
    both = asked(WORLD, seeds=[0, 7]).per_query
    assert both.to_numpy() == pytest.approx((first.per_query.to_numpy() + other.per_query.to_numpy()) / 2)


def test_robustness_is_a_page_a_table_and_rows(typed, tmp_path):
    page = typed.to_html(tmp_path / "page.html")
    assert page == typed.to_html()
    assert len(page.encode()) < 1_000_000
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)[^"']+|@import""", page)
    before, after = typed.examples["nospace"]
    assert after == before.replace(" ", "")
    assert after in page
    assert len(typed.to_markdown().splitlines()) == len(typed.table) + 2
    assert len(typed.to_csv().splitlines()) == len(typed.table) + 1
    assert "Robustness(RR@10 on 'world', 40 queries)" in repr(typed)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ["typo"]}, "kind='typo'; expected one of: homophone"),
        ({"kinds": []}, "kinds is []"),
        ({"kinds": "drop"}, "kinds='drop'; expected a list"),
        ({"p": 0.5}, "p=0.5; expected a list"),
        ({"kinds": ["drop", "drop"]}, "kinds is ['drop', 'drop']; expected at least one, each once"),
        ({"p": [2]}, "p=2; expected within [0, 1]"),
        ({"seeds": []}, "seeds is []"),
        ({"measure": "X"}, "'X' is not known"),
    ],
)
def test_what_cannot_be_tried_is_one_error(systems, options, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        robustness(systems["unfolded"], WORLD, **options)


def test_robustness_needs_something_that_can_search_and_judgements(systems):
    with pytest.raises(ArgumentError, match="cannot search"):
        robustness(Run.of({"q0": {"d0": 1}}), WORLD)
    with pytest.raises(ArgumentError, match="no query is judged"):
        robustness(systems, Collection(WORLD.docs, WORLD.queries))
