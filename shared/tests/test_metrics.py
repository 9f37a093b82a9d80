import itertools
import math

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks import metrics
from irworks.errors import ArgumentError
from irworks.metrics import evaluate, mean, parse_measure

NAMES = [
    "nDCG",
    "nDCG@3",
    "nDCG@10",
    "nDCG(dcg='exp-log2')",
    "nDCG(dcg='exp-log2')@5",
    "DCG@4",
    "DCG(dcg='exp-log2')",
    "RR",
    "RR@2",
    "RR(rel=2)@10",
    "P@1",
    "P@7",
    "P(rel=3)@5",
    "R@2",
    "R(rel=2)@5",
    "AP",
    "AP@3",
    "AP(rel=2)",
    "Success@1",
    "Success(rel=2)@4",
]
SHARED_NAMES = [name for name in NAMES if not name.startswith("DCG")]


def random_lists(rng, n_queries=30, most=15, labels=5):
    sizes = rng.integers(1, most, n_queries)
    return rng.integers(0, labels, sizes.sum()), np.concatenate([[0], sizes.cumsum()])


def from_ir_measures(names, scores, labels, offsets):
    """The values of ir-measures, query by query."""
    n_queries = len(offsets) - 1
    query = np.repeat(np.arange(n_queries), np.diff(offsets))
    qrels = [ir_measures.Qrel(f"{q}", f"d{d}", int(labels[d])) for d, q in enumerate(query)]
    run = [ir_measures.ScoredDoc(f"{q}", f"d{d}", float(scores[d])) for d, q in enumerate(query)]
    values = {name: np.zeros(n_queries) for name in names}
    # pytrec_eval has no 2^label - 1, but takes any mapping of labels to gains.
    gains = "{0: 0, 1: 1, 2: 3, 3: 7, 4: 15}"
    for name in names:
        measure = ir_measures.parse_measure(name.replace("dcg='exp-log2'", f"gains={gains}"))
        # One by one: together, nDCG with and without gains are mixed up, depending on the seed of Python's hashes.
        for one in ir_measures.iter_calc([measure], qrels, run):
            values[name][int(one.query_id)] = one.value
    return values


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("ties", ["average", "order"])
def test_without_ties_the_values_are_those_of_ir_measures(seed, ties):
    rng = np.random.default_rng(seed)
    labels, offsets = random_lists(rng)
    scores = rng.permutation(len(labels)) / 7 - 20
    ours = evaluate(scores, labels, offsets, SHARED_NAMES, ties=ties)
    theirs = from_ir_measures(SHARED_NAMES, scores, labels, offsets)
    assert list(ours) == SHARED_NAMES
    for name in SHARED_NAMES:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-6, err_msg=name)


def one_ranking(name, labels):
    """The definition of each measure, for labels in ranked order."""
    wanted = parse_measure(name)
    k = wanted.cutoff or len(labels)
    relevant = [label >= wanted.rel for label in labels]

    def gain(label):
        return max(label, 0) if wanted.gain == "log2" else 2 ** max(label, 0) - 1

    def dcg(ordered):
        return sum(gain(label) / math.log2(rank + 1) for rank, label in enumerate(ordered[:k], start=1))

    first = next((rank for rank, hit in enumerate(relevant[:k], start=1) if hit), None)
    hits = sum(relevant[:k])
    if wanted.family == "DCG":
        return dcg(labels)
    if wanted.family == "nDCG":
        best = dcg(sorted(labels, reverse=True))
        return dcg(labels) / best if best else 0.0
    if wanted.family == "RR":
        return 1 / first if first else 0.0
    if wanted.family == "Success":
        return float(first is not None)
    if wanted.family == "P":
        return hits / k
    if not any(relevant):
        return 0.0
    if wanted.family == "R":
        return hits / sum(relevant)
    return sum(sum(relevant[:rank]) / rank for rank in range(1, k + 1) if relevant[rank - 1 : rank] == [True]) / sum(
        relevant
    )


def mean_over_orders(name, scores, labels):
    """Mean over all permutations of the documents that sort by score."""
    values = [
        one_ranking(name, [labels[doc] for doc in order])
        for order in itertools.permutations(range(len(labels)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    return sum(values) / len(values)


@pytest.mark.parametrize("name", NAMES)
def test_tied_documents_count_as_the_mean_over_all_their_orders(name):
    rng = np.random.default_rng(NAMES.index(name))
    sizes = rng.integers(1, 7, 25)
    offsets = np.concatenate([[0], sizes.cumsum()])
    scores = rng.integers(0, 3, sizes.sum()).astype(float)
    labels = rng.integers(-1, 4, sizes.sum())
    found = evaluate(scores, labels, offsets, [name])[name]
    expected = [mean_over_orders(name, scores[a:b], labels[a:b].tolist()) for a, b in itertools.pairwise(offsets)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_ties_by_order_keep_the_order_given(name):
    rng = np.random.default_rng(1)
    labels, offsets = random_lists(rng)
    found = evaluate(np.zeros(len(labels)), labels, offsets, [name], ties="order")[name]
    expected = [one_ranking(name, labels[a:b].tolist()) for a, b in itertools.pairwise(offsets)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@st.composite
def rankings(draw):
    sizes = draw(st.lists(st.integers(0, 8), min_size=1, max_size=6))
    n_docs = sum(sizes)
    score = st.sampled_from([-math.inf, -1.5, 0.0, 0.5, 2.0, math.inf])
    scores = draw(st.lists(score, min_size=n_docs, max_size=n_docs))
    labels = draw(st.lists(st.integers(0, 4), min_size=n_docs, max_size=n_docs))
    return np.array(scores), np.array(labels, dtype=int), np.concatenate([[0], np.cumsum(sizes, dtype=int)])


@settings(max_examples=100, deadline=None)
@given(ranking=rankings(), seed=st.integers(0, 100))
def test_with_averaged_ties_the_order_of_the_documents_does_not_matter(ranking, seed):
    scores, labels, offsets = ranking
    rng = np.random.default_rng(seed)
    shuffled = np.concatenate([a + rng.permutation(b - a) for a, b in itertools.pairwise(offsets)]).astype(int)
    before = evaluate(scores, labels, offsets, NAMES)
    after = evaluate(scores[shuffled], labels[shuffled], offsets, NAMES)
    for name in NAMES:
        np.testing.assert_allclose(before[name], after[name], atol=1e-12)


@settings(max_examples=100, deadline=None)
@given(ranking=rankings())
def test_values_lie_between_zero_and_one_and_the_ranking_by_label_is_ideal(ranking):
    scores, labels, offsets = ranking
    names = [name for name in SHARED_NAMES if name != "RR(rel=2)@10"]
    ideal = evaluate(labels, labels, offsets, names)
    for name, values in evaluate(scores, labels, offsets, names).items():
        assert ((values >= 0) & (values <= 1 + 1e-12)).all()
        assert (values <= ideal[name] + 1e-9).all()
    np.testing.assert_allclose(ideal["nDCG"], np.isin(np.arange(len(offsets) - 1), queries_with(labels, offsets)))


def queries_with(labels, offsets):
    return [query for query, (a, b) in enumerate(itertools.pairwise(offsets)) if (labels[a:b] > 0).any()]


@settings(max_examples=50, deadline=None)
@given(ranking=rankings())
def test_a_query_without_a_relevant_document_is_zero_or_left_out(ranking):
    scores, labels, offsets = ranking
    names = ["nDCG@5", "DCG", "RR", "P@3", "AP"]
    zero, skip = (evaluate(scores, labels, offsets, names, empty=empty) for empty in ("zero", "skip"))
    filled = queries_with(labels, offsets)
    for name in names:
        np.testing.assert_array_equal(np.flatnonzero(~np.isnan(skip[name])), filled)
        np.testing.assert_array_equal(skip[name][filled], zero[name][filled])
        assert np.delete(zero[name], filled).sum() == 0
        expected = zero[name][filled].mean() if filled else math.nan
        np.testing.assert_allclose(mean(skip)[name], expected)
        np.testing.assert_allclose(mean(zero)[name], zero[name].mean())


def test_what_counts_as_relevant_decides_which_queries_are_empty():
    values = evaluate([1.0, 2.0], [1, 0], [0, 2], ["RR(rel=2)", "RR"], empty="skip")
    assert np.isnan(values["RR(rel=2)"][0])
    assert values["RR"][0] == 0.5


def test_real_valued_labels_are_their_own_gain():
    values = evaluate([3.0, 2.0, 1.0], [0.5, 1.5, 0.0], [0, 3], ["DCG", "DCG(dcg='exp-log2')", "P@2"])
    assert values["DCG"][0] == pytest.approx(0.5 + 1.5 / math.log2(3))
    assert values["DCG(dcg='exp-log2')"][0] == pytest.approx(2**0.5 - 1 + (2**1.5 - 1) / math.log2(3))
    assert values["P@2"][0] == 0.5


def test_many_small_parts_give_what_one_gives(monkeypatch):
    rng = np.random.default_rng(3)
    labels, offsets = random_lists(rng, n_queries=50)
    scores = rng.integers(0, 4, len(labels))
    whole = evaluate(scores, labels, offsets, NAMES)
    monkeypatch.setattr("irworks.metrics.flat._DOCS_AT_ONCE", 20)
    parts = evaluate(scores, labels, offsets, NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(parts[name], whole[name])


PADDED = {
    "nDCG@3": lambda *lists: metrics.ndcg(*lists, k=3),
    "nDCG(dcg='exp-log2')": lambda *lists: metrics.ndcg(*lists, gain="exp-log2"),
    "DCG@4": lambda *lists: metrics.dcg(*lists, k=4),
    "RR(rel=2)@10": lambda *lists: metrics.reciprocal_rank(*lists, k=10, rel=2),
    "P@7": lambda *lists: metrics.precision(*lists, k=7),
    "R@2": lambda *lists: metrics.recall(*lists, k=2),
    "AP@3": lambda *lists: metrics.average_precision(*lists, k=3),
}


@pytest.mark.parametrize("name", PADDED)
def test_padded_rows_give_what_flat_lists_give_whatever_stands_in_the_padding(name):
    rng = np.random.default_rng(4)
    labels, offsets = random_lists(rng)
    scores = rng.integers(0, 5, len(labels)).astype(float)
    mask = np.arange(20) < np.diff(offsets)[:, None]
    rows, relevance = np.full((2, *mask.shape), np.nan)
    rows[mask], relevance[mask] = scores, labels
    np.testing.assert_array_equal(PADDED[name](rows, relevance, mask), evaluate(scores, labels, offsets, [name])[name])


def test_without_a_mask_every_entry_is_a_document():
    np.testing.assert_allclose(metrics.ndcg([[2, 1], [1, 2]], [[1, 0], [1, 0]]), [1, 1 / math.log2(3)])


def test_a_row_without_documents_is_empty():
    mask = np.array([[False, False], [True, True]])
    assert metrics.ndcg(np.ones((2, 2)), np.ones((2, 2)), mask).tolist() == [0, 1]
    assert np.isnan(metrics.average_precision(np.ones((2, 2)), np.ones((2, 2)), mask, empty="skip")[0])


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("MRR@10", "RR@10"),
        ("NDCG @ 5", "nDCG@5"),
        ("MAP", "AP"),
        ("Precision(rel=2)@3", "P(rel=2)@3"),
        ("Recall@3", "R@3"),
        ("RR(cutoff=10, rel=3)", "RR(rel=3)@10"),
        ('nDCG(dcg="exp-log2")@7', "nDCG(dcg='exp-log2')@7"),
        ("nDCG(dcg='log2')", "nDCG"),
    ],
)
def test_names_are_read_as_ir_measures_reads_them(name, canonical):
    assert str(parse_measure(name)) == canonical
    theirs = ir_measures.parse_measure(name)
    assert repr(theirs).replace("(dcg='log2')", "") == canonical


@pytest.mark.parametrize("name", NAMES)
def test_a_measure_prints_the_name_it_was_read_from(name):
    assert str(parse_measure(name)) == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Rprec", "expected one of nDCG"),
        ("ndcg@10", "not known"),
        ("nDCG@", "not known"),
        ("nDCG@0", "at least 1"),
        ("nDCG@-1", "not known"),
        ("P", "needs a cutoff"),
        ("R(rel=2)", "needs a cutoff"),
        ("nDCG(rel=2)@5", "no parameter 'rel'"),
        ("RR(dcg='log2')", "no parameter 'dcg'"),
        ("RR(judged_only=1)", "no parameter 'judged_only'"),
        ("nDCG(dcg='exp')@5", "expected 'log2' or 'exp-log2'"),
        ("RR(rel='x')", "expected a whole number"),
        ("RR(2)", "expected parameter=value"),
    ],
)
def test_a_name_that_is_not_known_is_refused_with_what_is(name, says):
    with pytest.raises(ArgumentError, match=says):
        evaluate([1.0], [1], [0, 1], [name])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([1.0, np.nan], [1, 0], [0, 2]), "document 1 is NaN"),
        (([1.0, 2.0], [1, np.inf], [0, 2]), "label of document 1"),
        (([1.0, 2.0], [1], [0, 2]), "2 scores and 1 labels"),
        (([[1.0, 2.0]], [1, 0], [0, 2]), "scores has"),
        ((["a", "b"], [1, 0], [0, 2]), "scores has"),
        (([1.0, 2.0], [1, 0], [0, 1]), "offsets must rise"),
        (([1.0, 2.0], [1, 0], [0, 3, 2]), "offsets must rise"),
        (([1.0, 2.0], [1, 0], [0.0, 2.0]), "offsets has"),
    ],
)
def test_arrays_that_are_no_rankings_are_refused(arguments, says):
    with pytest.raises(ArgumentError, match=says):
        evaluate(*arguments)


@pytest.mark.parametrize("options", [{"ties": "random"}, {"empty": "nan"}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ArgumentError, match="expected"):
        evaluate([1.0], [1], [0, 1], **options)


def test_padded_arrays_that_do_not_fit_are_refused():
    with pytest.raises(ArgumentError, match="expected both"):
        metrics.ndcg(np.ones((2, 3)), np.ones((3, 2)))
    with pytest.raises(ArgumentError, match="mask"):
        metrics.ndcg(np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 3)))


def test_no_queries_give_no_values():
    assert evaluate([], [], [0], ["AP"])["AP"].shape == (0,)
    assert math.isnan(mean({"AP": []})["AP"])
