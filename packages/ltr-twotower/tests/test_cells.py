from functools import reduce

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from irworks.data import ClickLog, scan_click_log, write_click_log
from irworks.errors import ArgumentError, DataError
from ltr_twotower import Cells
from ltr_twotower.lookup import pair_lookup

seeds = st.integers(0, 2**32 - 1)
with_fixtures = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

COUNTS = ("n", "clicks", "n_squared", "clicks_squared", "impressions")


def by_ids(cells):
    """Counts keyed by the original ids and the rank: what must not depend on codes or order."""
    query, doc = cells.query_ids[cells.pair_query[cells.pair]], cells.doc_ids[cells.pair_doc[cells.pair]]
    keys = zip(query.tolist(), doc.tolist(), cells.rank.tolist(), strict=True)
    counts = np.column_stack([getattr(cells, name) for name in COUNTS])
    return dict(zip(keys, map(tuple, counts.tolist()), strict=True))


def features_by_ids(cells):
    pairs = zip(cells.query_ids[cells.pair_query].tolist(), cells.doc_ids[cells.pair_doc].tolist(), strict=True)
    return {pair: tuple(row) for pair, row in zip(pairs, cells.features.tolist(), strict=True)}


def sessions_by_ids(cells):
    return {query: n for query, n in zip(cells.query_ids.tolist(), cells.sessions.tolist(), strict=True) if n}


def same(first, second):
    return (
        by_ids(first) == by_ids(second)
        and sessions_by_ids(first) == sessions_by_ids(second)
        and first.n_ranks == second.n_ranks
    )


def is_sorted(cells):
    key = cells.pair.astype(np.int64) * cells.n_ranks + cells.rank
    pair = cells.pair_query.astype(np.int64) * len(cells.doc_ids) + cells.pair_doc
    return (np.diff(key) > 0).all() and (np.diff(pair) > 0).all()


def dyadic_weights(log, seed):
    """Weights whose sums are exact in floating point, whatever the order."""
    return np.random.default_rng(seed).integers(0, 64, log.docs.shape) / 8


# -- aggregation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@with_fixtures
@given(seed=seeds)
def test_cells_are_the_groups_of_the_long_table(weighted, seed, random_log):
    log = random_log(seed)
    weights = dyadic_weights(log, seed) if weighted else np.ones(log.docs.shape)
    frame = log.to_frame()
    frame["w"] = weights[log.shown]
    frame["wc"] = frame["w"] * frame["click"]
    frame["w2"], frame["wc2"] = frame["w"] ** 2, frame["wc"] ** 2
    groups = frame.groupby(["query_id", "doc_id", "position"])
    table = groups[["w", "wc", "w2", "wc2"]].sum().assign(size=groups.size().astype(float))
    cells = Cells.from_log(log, dyadic_weights(log, seed) if weighted else None)
    expected = {(query, doc, position - 1): tuple(row) for query, doc, position, *row in table.reset_index().values}
    assert by_ids(cells) == expected
    assert is_sorted(cells)
    sessions = pd.Series(log.query_vocabulary[log.query]).value_counts()
    assert sessions_by_ids(cells) == sessions.to_dict()


def test_cells_know_their_sums(random_log):
    log = random_log(11)
    weights = dyadic_weights(log, 0)
    cells = Cells.from_log(log, weights)
    w = weights[log.shown]
    assert cells.total == w.sum()
    assert cells.rank_impressions.tolist() == log.shown.sum(axis=0).tolist()
    assert cells.effective_sample_size() == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert Cells.from_log(log).effective_sample_size() == log.n_impressions
    assert cells.n_pairs == len(log.pairs)


def test_weights_of_masked_places_do_not_count():
    log = ClickLog([0], [[0, -1]], [[1, 0]])
    cells = Cells.from_log(log, np.array([[2.0, np.nan]]))
    assert (cells.total, cells.clicks.tolist(), cells.n_squared.tolist()) == (2.0, [2.0], [4.0])


@with_fixtures
@given(seed=seeds)
def test_weighting_cells_is_weighting_their_impressions(seed, random_log):
    log = random_log(seed)
    cells = Cells.from_log(log, dyadic_weights(log, seed))
    factor = np.random.default_rng(seed + 1).integers(1, 9, len(cells)) / 4
    cell_of = {(int(pair), int(rank)): i for i, (pair, rank) in enumerate(zip(cells.pair, cells.rank, strict=True))}
    weights = dyadic_weights(log, seed)
    for i, j in np.argwhere(log.shown):
        weights[i, j] *= factor[cell_of[int(log.pairs.index[i, j]), int(j)]]
    assert same(cells.weighted(factor), Cells.from_log(log, weights))


def test_one_impression_is_one_cell():
    cells = Cells.from_log(ClickLog([0], [[-1, -1, 4]], [[0, 0, 1]]))
    assert len(cells) == 1
    assert (cells.rank.tolist(), cells.clicks.tolist(), cells.n_ranks) == ([2], [1.0], 3)
    assert cells.rank_impressions.tolist() == [0, 0, 1]


# -- merging ----------------------------------------------------------------------------------------------------------


def recoded(log, names):
    """The same log with its own, smaller vocabularies, as another process would read it."""
    frame = log.to_frame()
    for column, name in zip(("query_id", "doc_id"), names, strict=True):
        frame[column] = [name(value) for value in frame[column].tolist()]
    return ClickLog.from_frame(frame)


NAMES = {
    "integers": (int, lambda doc: doc * 3 - 5),
    "large integers": (int, lambda doc: 2**62 + doc),
    "words": (lambda query: f"q{query % 7}-{query}", lambda doc: f"ü{doc}"),
    "words and integers": (lambda query: query if query % 2 else f"q{query}", lambda doc: f"{doc}" if doc % 3 else doc),
}


# A part of a log with ids of both kinds may hold only numbers or only text: those parts are refused.
@pytest.mark.parametrize("kind", ["integers", "large integers", "words"])
@with_fixtures
@given(seed=seeds)
def test_cells_of_the_parts_of_a_log_merge_to_the_cells_of_the_whole_in_any_order(kind, seed, random_log):
    log = random_log(seed)
    rng = np.random.default_rng(seed)
    part_of = rng.integers(0, 4, log.n_sessions)
    shown = log.shown.any(axis=1)
    parts = [recoded(log.select(part_of == part), NAMES[kind]) for part in range(4) if (part_of == part)[shown].any()]
    whole = Cells.from_log(recoded(log, NAMES[kind]))
    cells = [Cells.from_log(part) for part in parts]
    merged = [
        reduce(Cells.merge, cells),
        reduce(Cells.merge, [cells[i] for i in rng.permutation(len(cells))]),
        reduce(lambda rest, part: part.merge(rest), cells),
    ]
    assert all(by_ids(other) == by_ids(whole) for other in merged)
    empty = (~shown).sum()  # a session without a shown document is not in the long table
    assert all(sum(sessions_by_ids(other).values()) == log.n_sessions - empty for other in merged)
    assert all(same(other, merged[0]) and is_sorted(other) for other in merged)


@with_fixtures
@given(first=seeds, second=seeds, third=seeds)
def test_merging_is_commutative_and_associative(first, second, third, random_log):
    a, b, c = (Cells.from_log(log, dyadic_weights(log, 1)) for log in map(random_log, (first, second, third)))
    assert same(a.merge(b), b.merge(a))
    assert same(a.merge(b).merge(c), a.merge(b.merge(c)))
    assert a.merge(b).total == a.total + b.total


def test_merging_leaves_the_merged_as_they_were(random_log):
    a, b = Cells.from_log(random_log(1)), Cells.from_log(random_log(2))
    before = by_ids(a), by_ids(b)
    a.merge(b)
    a.merge(a)
    assert (by_ids(a), by_ids(b)) == before


def test_a_log_merged_with_itself_has_every_count_twice(random_log):
    cells = Cells.from_log(random_log(4))
    double = cells.merge(cells)
    assert by_ids(double) == {key: tuple(2 * value for value in row) for key, row in by_ids(cells).items()}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.array([1, "2", "3"], dtype=object), np.array([2, 3])),
        (np.array([2**63 + 1, 2**63 + 3], dtype=np.uint64), np.array([2**53, 2**53 + 1])),
        (np.array([2**63 + 1, 2**63 + 3], dtype=np.uint64), np.array([-1, 3])),
        (np.array([2**53, 2**53 + 1]), np.array([0.5, 1.5])),
        (np.array([b"a", 1, "a"], dtype=object), np.array(["b", 2], dtype=object)),
    ],
)
def test_ids_of_different_types_never_become_one(first, second):
    def one_list(ids):
        k = len(ids)
        return Cells.from_log(ClickLog([0], np.arange(k)[None], np.zeros((1, k)), doc_ids=ids))

    for a, b in ((first, second), (second, first)):
        merged = one_list(a).merge(one_list(b))
        assert merged.n_pairs == len(a) + len(b)
        assert set(merged.doc_ids.tolist()) == set(a.tolist()) | set(b.tolist())


@pytest.mark.parametrize("what", ["query", "document"])
@pytest.mark.parametrize("text", [np.array(["1", "2", "x"]), np.array(["1", "2", "x"], dtype=object)], ids=["U", "O"])
def test_numbers_and_text_as_ids_of_two_parts_are_refused_because_none_would_match(what, text):
    field = {"query": "query_ids", "document": "doc_ids"}[what]

    def part(ids):
        return Cells.from_log(ClickLog([0, 1, 2], [[0, 1, 2]] * 3, np.zeros((3, 3)), **{field: ids}))

    numbers = part(np.array([1, 2, 3]))
    for first, second, found in ((numbers, part(text), "numbers and text"), (part(text), numbers, "text and numbers")):
        with pytest.raises(DataError, match=rf"the {what} ids .* \(found '{found}'\)\. Read both parts with one type"):
            first.merge(second)


def test_ids_that_cannot_be_compared_are_refused():
    ids = np.empty(2, dtype=object)
    ids[:] = [[1], [2]]
    for field in ("query_ids", "doc_ids"):
        with pytest.raises(DataError, match="ids cannot be compared"):
            Cells.from_log(ClickLog([0], [[0, 1]], [[0, 1]], **{field: ids}))


@pytest.mark.parametrize("wrong", ["clicks.csv", pd.DataFrame({"click": [1]}), None])
def test_what_is_no_log_is_refused(wrong):
    with pytest.raises(ArgumentError, match="no click log; make one with read_click_log"):
        Cells.from_log(wrong)


def test_the_same_ids_in_different_integer_types_are_the_same():
    def one_list(ids):
        return Cells.from_log(ClickLog([0], [[0, 1]], [[0, 1]], doc_ids=ids))

    kinds = [np.array([7, 8], dtype=kind) for kind in (np.int64, np.int32, np.uint64, object)]
    merged = reduce(Cells.merge, map(one_list, kinds))
    assert merged.n_pairs == 2
    assert merged.n.tolist() == [4.0, 4.0]


def test_ranks_of_the_longer_log_are_kept():
    short = Cells.from_log(ClickLog([0], [[0, 1]], [[0, 1]]))
    long = Cells.from_log(ClickLog([0], [[2, 1, 0]], [[0, 0, 1]]))
    for merged in (short.merge(long), long.merge(short)):
        assert merged.n_ranks == 3
        assert merged.rank_impressions.tolist() == [2, 2, 1]


@with_fixtures
@given(seed=seeds)
def test_features_of_both_logs_stay_with_their_pairs(seed, random_log):
    log = random_log(seed, features=True)
    half = np.arange(log.n_sessions) % 2 == 0
    if not (log.shown[half].any() and log.shown[~half].any()):
        return
    merged = Cells.from_log(log.select(half)).merge(Cells.from_log(log.select(~half)))
    assert features_by_ids(merged) == features_by_ids(Cells.from_log(log))


def test_one_log_without_features_makes_cells_without(random_log):
    with_features, without = Cells.from_log(random_log(3, features=True)), Cells.from_log(random_log(4))
    assert with_features.merge(without).features is None
    assert without.merge(with_features).features is None


@pytest.mark.parametrize("change", ["another value", "another column"])
def test_conflicting_features_are_refused(change):
    first = ClickLog([0], [[0, 1]], [[0, 1]], features=np.array([[1.0], [2.0]]))
    other = np.array([[1.0], [2.5]]) if change == "another value" else np.ones((2, 2))
    second = ClickLog([0], [[0, 1]], [[0, 1]], features=other)
    with pytest.raises(DataError, match=r"different features|extra: f_1"):
        Cells.from_log(first).merge(Cells.from_log(second))


def test_another_number_of_features_is_refused_even_where_no_pair_is_shared():
    first = ClickLog([0], [[0, 1]], [[0, 1]], features=np.ones((2, 3)))
    second = ClickLog([0], [[0, 1]], [[0, 1]], query_ids=np.array([9]), features=np.ones((2, 1)))
    with pytest.raises(DataError, match=r"not those of the first \(missing: f_1, f_2\)"):
        Cells.from_log(first).merge(Cells.from_log(second))


@settings(with_fixtures, max_examples=15)
@given(seed=seeds, batch_rows=st.integers(1, 30))
def test_a_log_read_in_parts_merges_to_the_whole(seed, batch_rows, random_log, tmp_path):
    log = random_log(seed, features=True)
    path = tmp_path / "log.parquet"
    write_click_log(log, path)
    parts = scan_click_log(path, batch_rows=batch_rows)
    merged = reduce(Cells.merge, map(Cells.from_log, parts))
    whole = Cells.from_log(log)
    assert by_ids(merged) == by_ids(whole)
    assert features_by_ids(merged) == features_by_ids(whole)


# -- finding pairs again ----------------------------------------------------------------------------------------------


@with_fixtures
@given(seed=seeds, other=seeds)
def test_pairs_are_found_by_their_original_ids(seed, other, random_log):
    names = (lambda query: f"q{query}", lambda doc: doc * 2)
    cells, log = Cells.from_log(recoded(random_log(seed), names)), recoded(random_log(other), names)
    known = {
        (cells.query_ids[q], cells.doc_ids[d]): i
        for i, (q, d) in enumerate(zip(cells.pair_query, cells.pair_doc, strict=True))
    }
    expected = [
        known.get((log.query_vocabulary[q], log.doc_vocabulary[d]), -1)
        for q, d in zip(log.pairs.query, log.pairs.doc, strict=True)
    ]
    assert pair_lookup(cells, log).tolist() == expected


def test_a_number_is_not_found_by_its_digits():
    cells = Cells.from_log(ClickLog([0], [[0, 1]], [[0, 1]], doc_ids=np.array(["0", "1"], dtype=object)))
    assert pair_lookup(cells, ClickLog([0], [[0, 1]], [[0, 1]])).tolist() == [-1, -1]


def test_long_lists_of_rare_documents_give_the_cells_of_the_direct_count(monkeypatch):
    rng = np.random.default_rng(0)
    position = rng.integers(1, 3000, 2000)
    frame = pd.DataFrame(
        {"query_id": rng.integers(0, 400, 2000), "doc_id": rng.integers(0, 900, 2000), "position": position}
    ).assign(click=rng.random(2000) < 0.2)
    cells = Cells.from_log(ClickLog.from_frame(frame))
    expected = frame.groupby(["query_id", "doc_id", "position"])["click"].agg(["size", "sum"])
    assert cells.n_pairs * cells.n_ranks > 4 * 2000 + 1_000_000
    np.testing.assert_array_equal(cells.n, expected["size"])
    np.testing.assert_array_equal(cells.clicks, expected["sum"])
