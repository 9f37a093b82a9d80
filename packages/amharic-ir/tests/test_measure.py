"""Measuring one system and several, against ir-measures, scipy and brute force."""

import itertools
import math
import random
import re
import time
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import amharic_ir
from amharic_ir import Analyzer, Searcher, compare, evaluate
from amharic_ir.measure import MEASURES, published
from amharic_ir.measure.paired import differences
from irworks.data import Collection, Documents, Run
from irworks.errors import ArgumentError

LETTERS = "ሀለሐመሠረሰሸቀበተኀነአከወዐዘየደገጠጸፀፈ"


def world(n_docs=60, n_queries=40, seed=0, name="world"):
    """Documents of random words, and queries of some of the words of one of them."""
    draw = random.Random(seed)
    words = ["".join(draw.choices(LETTERS, k=draw.randint(2, 5))) for _ in range(300)]
    docs = {f"d{number}": draw.choices(words, k=25) for number in range(n_docs)}
    chosen = draw.sample(sorted(docs), n_queries)
    queries = {f"q{number}": " ".join(draw.sample(docs[doc], 2)) for number, doc in enumerate(chosen)}
    qrels = {f"q{number}": {doc: 1} for number, doc in enumerate(chosen)}
    for query in list(qrels)[::3]:
        qrels[query] |= {draw.choice(sorted(docs)): 2}
    return Collection(Documents.of({doc: " ".join(text) for doc, text in docs.items()}), queries, qrels, name)


WORLD = world()
# A step that is left out: letters of one sound stay apart.
UNFOLDED = Analyzer(tokens="word", steps=("nfc", "punct"))


def words_of(docs):
    return Searcher.build(docs, analyzer=Analyzer(tokens="word"))


@pytest.fixture(scope="module")
def systems():
    recipes = {
        "3-grams": Searcher.build,
        "words": words_of,
        "unfolded": partial(Searcher.build, analyzer=UNFOLDED),
    }
    return {name: recipe(WORLD.docs) for name, recipe in recipes.items()}


@pytest.fixture(scope="module")
def board(systems):
    return compare(systems, WORLD, reported={"BM25": {"MRR@10": 0.5}})


def scrambled(seed, k=50):
    """A run without ties, good and bad by chance."""
    rng = np.random.default_rng(seed)
    found = {}
    for query, judged in WORLD.qrels.items():
        docs = rng.choice(WORLD.docs.ids, k, replace=False).tolist()
        for doc in judged:
            if rng.random() < 0.7 and doc not in docs:
                docs[rng.integers(10)] = doc
        found[query] = dict(zip(dict.fromkeys(docs), rng.permutation(1000)[: len(docs)].tolist(), strict=False))
    return Run.of(found, name=f"scrambled-{seed}")


# -- one system -------------------------------------------------------------------------------------------------------


def test_values_are_those_of_ir_measures():
    ir_measures = pytest.importorskip("ir_measures")
    run = scrambled(0)
    report = evaluate(run, WORLD, (*MEASURES, "AP", "P@5"))
    wanted = [ir_measures.parse_measure(name) for name in report.measures]
    seen = 0
    for one in ir_measures.iter_calc(wanted, {q: dict(of) for q, of in WORLD.qrels.items()}, run.to_dict()):
        assert report.per_query.loc[one.query_id, str(one.measure)] == pytest.approx(one.value, abs=1e-12)
        seen += 1
    assert seen == report.per_query.size
    assert report["RR@10"].estimate == pytest.approx(report.per_query["RR@10"].mean())


def test_a_report_says_what_was_measured(systems):
    report = evaluate(systems["3-grams"], WORLD, name="3-grams")
    assert (report.name, report.collection, len(report), report.measures) == ("3-grams", "world", 40, MEASURES)
    assert list(report.table.columns) == ["mean", "low", "high"]
    assert (report.table["low"] <= report.table["mean"]).all()
    assert (report.table["mean"] <= report.table["high"]).all()
    assert report.seconds > 0
    assert report.seconds_a_query == pytest.approx(report.seconds / 40)
    assert repr(report).splitlines()[0].startswith("Report('3-grams' on 'world', 40 queries, ")
    assert f"  RR@10    {report['RR@10']:.3f}" in repr(report).splitlines()
    again = evaluate(report.run, WORLD)
    assert again.per_query.equals(report.per_query)
    assert again.seconds is None


def test_equal_scores_stand_in_the_order_of_the_collection_and_queries_without_a_token_count_nothing():
    docs = Documents.of({"a": "ሀ", "b": "ለ", "c": "መ"})
    both = Collection(docs, {"1": "ሀ", "2": "?! _", "3": "ለ"}, {"1": {"b": 1}, "2": {"a": 1}, "3": {"a": 0}})
    tied = {query: [("c", 1.0), ("b", 1.0), ("a", 1.0)] for query in both.queries}
    report = evaluate(Run.of(tied), both, ["RR", "R@1"])
    assert [doc for doc, _ in report.run["1"]] == ["a", "b", "c"]
    assert report.per_query["RR"].tolist() == [0.5, 0, 0]
    assert report.empty == ("2",)
    asked = []

    class Listening:
        def search(self, queries, k=10):
            asked.extend(queries)
            return Run.of({query: [("b", 1.0)] for query in queries})

    assert evaluate(Listening(), both, ["RR"]).per_query["RR"].tolist() == [1, 0, 0]
    assert set(asked) == {"1", "3"}


def test_what_a_system_does_not_answer_counts_nothing():
    run = scrambled(0)
    some = list(WORLD.qrels)[:5]
    report = evaluate(run.of_queries(some), WORLD)
    assert (report.per_query.loc[list(WORLD.qrels)[5:]] == 0).all(axis=None)
    assert report.per_query.loc[some].equals(evaluate(run, WORLD).per_query.loc[some])


class Stranger:
    def search(self, queries, k=10):
        return Run.of({"another": {"d0": 1.0}}, name="stranger")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluate(scrambled(0), Collection(WORLD.docs, WORLD.queries)), "no query is judged"),
        (lambda: evaluate(scrambled(0), WORLD.of_queries(["q0"])), "one query is judged; an interval needs"),
        (lambda: evaluate(Run.of({"x": {"d0": 1}}), WORLD), "none of its queries is judged in world; its first is 'x'"),
        (lambda: evaluate(Run.of({"q0": {"z": 1}}), WORLD), "found document 'z', which is not in world"),
        (lambda: evaluate(Stranger(), WORLD), "searched for query 'another', which it was not asked"),
        (lambda: evaluate("bm25", WORLD), "'bm25' cannot search"),
        (lambda: evaluate(Searcher, WORLD), "cannot search"),
        (
            lambda: evaluate(Stranger(), WORLD, ["R@100"], k=50),
            "k=50; R@100 needs at least 100: raise k, or name other measures",
        ),
        (lambda: evaluate(Stranger(), WORLD, ["RR@10", "MRR@10"]), "which are one"),
        (lambda: evaluate(Stranger(), WORLD, []), "measures is empty"),
        (lambda: evaluate(Stranger(), WORLD, "RR@10"), "expected a list of names"),
        (lambda: evaluate(Stranger(), WORLD, ["RR@ten"]), "is not known"),
    ],
)
def test_what_cannot_be_measured_is_one_error(call, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        call()


# -- several systems --------------------------------------------------------------------------------------------------


def test_tests_are_those_of_scipy_and_of_all_permutations():
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(1)
    a, b = rng.random(11), rng.random(11)
    a[3] = b[3]
    found = differences({"a": a, "b": b}, "b", "t")["a"]
    assert found.p_value == pytest.approx(ttest_rel(a, b).pvalue)
    assert found.difference.estimate == pytest.approx((a - b).mean())
    assert (found.better, found.equal, found.worse) == (int((a > b).sum()), 1, int((a < b).sum()))
    gain = a - b
    sums = [abs(np.dot(signs, gain)) for signs in itertools.product((-1, 1), repeat=11)]
    brute = np.mean([one >= abs(gain.sum()) - 1e-12 for one in sums])
    assert differences({"a": a, "b": b}, "b", "permutation")["a"].p_value == pytest.approx(brute)
    assert differences({"a": a, "b": a}, "b", "permutation")["a"].p_value == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 5), st.sampled_from(["permutation", "t"]))
def test_adjusted_p_values_rise_with_the_p_values_and_are_never_below_them(seed, n_systems, test):
    rng = np.random.default_rng(seed)
    values = {f"s{number}": rng.random(30) + 0.1 * number for number in range(n_systems)}
    found = sorted(differences(values, "s0", test).values(), key=lambda one: one.p_value)
    adjusted = [one.p_adjusted for one in found]
    assert adjusted == sorted(adjusted)
    assert all(one.p_value <= one.p_adjusted <= 1 for one in found)
    assert adjusted[0] == pytest.approx(min(1, found[0].p_value * len(found)))
    assert all(one.better + one.equal + one.worse == 30 for one in found)


def test_a_leaderboard_compares_with_the_best_by_each_measure(board, systems):
    (standing,) = board.standings
    assert standing is board["world"]
    for measure in MEASURES:
        means = {name: evaluate(one, WORLD)[measure].estimate for name, one in systems.items()}
        best = standing.against[measure]
        assert means[best] == max(means.values())
        assert set(standing.differences[measure]) == set(systems) - {best}
        table = board.table[measure]
        assert table["mean"].to_dict() == pytest.approx(means)
        assert math.isnan(table.loc[best, "p"])
        assert (table["difference"].dropna() <= 0).all()
    assert board.table["RR@10", "mean"].is_monotonic_decreasing
    assert (board.table["seconds a query"] > 0).all()
    assert len(board.tests) == 2 * len(MEASURES)


def test_a_baseline_takes_the_place_of_the_best(systems):
    from scipy.stats import ttest_rel

    board = compare(systems, WORLD, ["RR@10"], baseline="unfolded", test="t")
    reports = board.standings[0].reports
    for row in board.tests.itertuples():
        one, other = (reports[name].per_query["RR@10"] for name in (row.system, "unfolded"))
        expected = 1.0 if one.equals(other) else ttest_rel(one, other).pvalue
        assert row.p == pytest.approx(expected)
        assert row.against == "unfolded"
    assert "differs from unfolded: paired t-test" in repr(board)


def test_runs_reports_retrievers_and_recipes_are_all_systems(systems):
    report = evaluate(systems["words"], WORLD, name="as report")
    board = compare(
        {"report": report, "run": report.run, "retriever": systems["words"], "recipe": words_of}, WORLD, ["RR@10"]
    )
    assert board.table["RR@10", "mean"].nunique() == 1
    assert board.tests["p"].tolist() == [1, 1, 1]
    assert list(compare([report], WORLD).table.index) == ["as report"]


def test_several_collections_have_a_standing_each():
    other = world(seed=3, name="other")
    recipes = {"3-grams": Searcher.build, "words": words_of}
    board = compare(recipes, [WORLD, other], ["RR@10"], reported=published())
    assert board.table.index.names == ["collection", "system"]
    assert [one.name for one in board.standings] == ["world", "other"]
    alone = compare(recipes, other, ["RR@10"]).table["RR@10"]
    assert board.table["RR@10"].loc["other"].equals(alone)
    page = board.to_html()
    assert page.count("<svg") == 2
    assert "All collections" in page


def test_reported_numbers_are_shown_and_never_tested(board):
    assert board.reported.loc["BM25", "RR@10"] == 0.5
    assert "BM25" not in set(board.tests["system"])
    assert "BM25" not in board.table.index
    assert "| BM25 [reported] | 0.500 |  |  |  |  |" in board.to_markdown()
    (line,) = [line for line in repr(board).splitlines() if "BM25" in line]
    assert line.split() == ["BM25", "[reported]", "0.500"]
    row = board.rows[board.rows["mark"] == "reported"].iloc[0]
    assert (row["system"], row["measure"], row["mean"]) == ("BM25", "RR@10", 0.5)
    assert math.isnan(row["p"])
    frame = published("Amharic News").reset_index()
    elsewhere = compare({"words": words_of}, WORLD, reported=frame)
    assert "Reported on another collection, Amharic News" in repr(elsewhere)
    here = compare(
        {"words": words_of}, Collection(WORLD.docs, WORLD.queries, WORLD.qrels, "Amharic News", "test"), reported=frame
    )
    assert "another collection" not in repr(here)
    assert "RoBERTa-Base-Amharic-Embed [published]" in repr(here)


def test_published_numbers_are_those_of_the_paper_and_say_where_they_stand():
    frame = published()
    assert frame.groupby(["collection", "mark"]).size().to_dict() == {
        ("2AIRTC", "reported in notebooks"): 8,
        ("Amharic News", "published"): 11,
        ("Amharic News", "reported in notebooks"): 1,
    }
    news = published("Amharic News")
    best, arctic = news.loc["RoBERTa-Base-Amharic-Embed"], news.loc["snowflake-arctic-embed-l-v2.0"]
    # The abstract's 17.6% and 9.86%.
    assert round(100 * (best["RR@10"] / arctic["RR@10"] - 1), 1) == 17.6
    assert round(100 * (best["R@10"] / arctic["R@10"] - 1), 2) == pytest.approx(9.87, abs=0.011)
    assert frame["source"].str.contains("https://").all()
    measures = [column for column in frame if "@" in column]
    assert ((frame[measures] >= 0) & (frame[measures] <= 1) | frame[measures].isna()).all(axis=None)
    with pytest.raises(ArgumentError, match="collection='AmQA'; expected 'Amharic News' or '2AIRTC'"):
        published("AmQA")


def test_a_page_is_one_file_and_the_same_every_time(systems, tmp_path):
    runs = {name: evaluate(one, WORLD).run for name, one in systems.items()}
    pages = [
        compare(runs, WORLD, ["RR@10", "R@10"], reported=published()).to_html(tmp_path / f"{n}.html") for n in range(2)
    ]
    assert pages[0] == pages[1] == (tmp_path / "0.html").read_text(encoding="utf-8")
    assert len(pages[0].encode()) < 1_000_000
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#|data:)[^"']+|@import|url\(\s*["']?http""", pages[0])
    for part in ("standings", "wins and losses", "hardest queries", "Differences", "How it was measured"):
        assert part in pages[0]
    hardest = min(
        WORLD.queries, key=lambda q: sum(evaluate(run, WORLD).per_query.loc[q, "RR@10"] for run in runs.values())
    )
    assert WORLD.queries[hardest] in pages[0]


def test_rows_and_markdown_hold_the_numbers_of_the_table(board, tmp_path):
    import pandas as pd

    board.to_csv(tmp_path / "board.csv")
    rows = pd.read_csv(tmp_path / "board.csv").query("mark == 'measured'")
    assert len(rows) == 3 * len(MEASURES)
    wide = rows.pivot(index="system", columns="measure", values="mean")
    for measure in MEASURES:
        assert wide[measure].to_dict() == pytest.approx(board.table[measure, "mean"].to_dict())
    lines = board.to_markdown(tmp_path / "board.md").splitlines()
    assert (tmp_path / "board.md").read_text(encoding="utf-8").splitlines() == lines
    assert len({line.count(" | ") for line in lines if line.startswith("| ")}) == 1


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare({}, WORLD), "systems is empty"),
        (lambda: compare([evaluate(scrambled(0), WORLD)] * 2, WORLD), "two reports are named 'scrambled-0'"),
        (lambda: compare([scrambled(0)], WORLD), "expected {name: system}, or a list of reports"),
        (lambda: compare({"a": scrambled(0)}, WORLD, baseline="b"), "baseline='b'; expected one of the systems: a"),
        (lambda: compare({"a": scrambled(0)}, WORLD, test="wilcoxon"), "test='wilcoxon'; expected one of"),
        (lambda: compare({"a": scrambled(0)}, [WORLD, WORLD]), "each under its own name"),
        (lambda: compare({"a": scrambled(0)}, []), "expected at least one"),
        (lambda: compare({"a": 3}, WORLD), "a is 3; expected a retriever, a run, a report, or a recipe"),
        (
            lambda: compare({"a": scrambled(0)}, [WORLD, world(name="other")]),
            "a: a finished system belongs to one collection",
        ),
        (
            lambda: compare([evaluate(scrambled(0), WORLD.of_queries(["q0", "q1"]))], WORLD),
            "the report is of other queries (2, on world) than those judged in world",
        ),
        (lambda: compare([evaluate(scrambled(0), WORLD, ["RR@10"])], WORLD, ["R@50"]), "the report lacks R@50"),
        (
            lambda: compare({"a": scrambled(0)}, WORLD, reported={"x": {"R@3": 0.1}}),
            "reported has none of the measures",
        ),
        (lambda: compare({"a": scrambled(0)}, WORLD, reported={"x": {"size": 3}}), "measure 'size' is not known"),
        (lambda: compare({"a": scrambled(0)}, WORLD, reported={"x": {"RR@10": "high"}}), "is no number"),
        (lambda: compare({"a": scrambled(0)}, WORLD, reported={"x": {"RR@10": -1}}), "expected a number of at least 0"),
    ],
)
def test_what_cannot_be_compared_is_one_error(call, message):
    with pytest.raises(ArgumentError, match=re.escape(message)):
        call()


def test_a_star_is_explained_where_there_may_be_one():
    assert "differs from" not in repr(compare({"a": scrambled(0)}, WORLD))
    assert "differs from" in repr(compare({"a": scrambled(0), "b": scrambled(1)}, WORLD))


def test_what_a_first_search_prepares_is_no_price_of_a_query():
    class Slow:
        ready = False

        def search(self, queries, k=10):
            time.sleep(0 if self.ready else 0.5)
            self.ready = True
            return scrambled(0)

    assert evaluate(Slow(), WORLD).seconds < 0.4


def test_what_measures_is_at_hand():
    for name in ("evaluate", "compare", "robustness", "Report", "Leaderboard", "Robustness"):
        assert name in amharic_ir.__all__
