import dataclasses
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from irworks.data import RankingDataset
from irworks.errors import ArgumentError, DataError

SIZES = np.array([3, 1, 4, 2])
N_DOCS = int(SIZES.sum())


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return RankingDataset(
        features=rng.normal(size=(N_DOCS, 3)),
        labels=np.array([0, 2, 1, 0, 4, 4, 0, 4, 0, 0]),
        offsets=np.concatenate([[0], np.cumsum(SIZES)]),
        query_ids=np.array([10, 20, 30, 40]),
        doc_ids=np.array([f"d{i}" for i in range(N_DOCS)]),
        feature_names=("a", "b", "c"),
    )


def rows_of(data, query):
    return slice(data.offsets[query], data.offsets[query + 1])


def test_sizes_and_dtypes_are_as_documented(data):
    assert (data.n_queries, data.n_docs, data.n_features) == (4, 10, 3)
    assert data.features.dtype == np.float32
    assert data.labels.dtype == np.int32
    assert data.offsets.dtype == np.int64
    assert data.query_of_doc.dtype == np.int32
    np.testing.assert_array_equal(data.list_sizes, SIZES)
    np.testing.assert_array_equal(data.query_of_doc, np.repeat(range(4), SIZES))
    assert repr(data) == "RankingDataset(4 queries, 10 documents, 3 features)"


def test_graded_labels_stay_real_numbers(data):
    graded = replace(data, labels=data.labels / 3)
    assert graded.labels.dtype == np.float64
    np.testing.assert_array_equal(graded.labels, data.labels / 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"features": np.ones(10)}, "features"),
        ({"features": np.array([["x"] * 3] * 10)}, "features"),
        ({"features": np.where(np.arange(30).reshape(10, 3) == 7, np.nan, 1.0)}, r"row 2, column 'feature 1'.*nan"),
        ({"features": np.where(np.arange(30).reshape(10, 3) == 7, 1e300, 1.0)}, r"row 2, column 'feature 1'.*1e\+300"),
        ({"labels": np.zeros(9)}, "labels"),
        ({"labels": np.array([0.0] * 9 + [np.inf])}, "row 9, column 'label'"),
        ({"labels": np.array([0] * 9 + [2**40])}, "row 9, column 'label'"),
        ({"offsets": np.array([0, 3, 4, 8, 9])}, "from 0 to 10"),
        ({"offsets": np.array([1, 3, 4, 8, 10])}, "from 0 to 10"),
        ({"offsets": np.array([0, 4, 4, 8, 10])}, "query number 1"),
        ({"offsets": np.array([0.0, 3, 4, 8, 10])}, "offsets"),
        ({"query_ids": np.array([1, 2, 2, 3])}, "twice.*2"),
        ({"query_ids": np.array([1, 2, 3])}, "query_ids"),
        ({"query_ids": np.array([1.5, 2, 3, 4])}, "query_ids"),
        ({"query_ids": np.array([1, "2", 3, 4], dtype=object)}, "query_ids"),
        ({"doc_ids": np.arange(9)}, "doc_ids"),
        ({"feature_names": ("a", "b")}, "feature_names"),
        ({"feature_names": ("a", "b", "b")}, "feature_names"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(data, change, says):
    with pytest.raises(DataError, match=says):
        replace(data, **change)


def test_documents_are_grouped_by_the_query_of_each(data):
    grouped = RankingDataset.grouped(data.features, data.labels, data.query_ids[data.query_of_doc])
    np.testing.assert_array_equal(grouped.offsets, data.offsets)
    np.testing.assert_array_equal(grouped.query_ids, data.query_ids)


def test_a_query_that_comes_back_later_is_refused():
    with pytest.raises(DataError, match=r"row 3.*'q'"):
        RankingDataset.grouped(np.ones((4, 1)), np.ones(4), np.array(["q", "q", "r", "q"]))


@pytest.mark.parametrize(
    ("index", "queries"),
    [([2, 0], [2, 0]), ([-1], [3]), ([False, True, True, False], [1, 2]), (np.array([3], dtype=np.uint8), [3])],
)
def test_selected_queries_bring_their_documents_in_the_order_asked_for(data, index, queries):
    chosen = data.select_queries(index)
    np.testing.assert_array_equal(chosen.query_ids, data.query_ids[queries])
    for new, old in enumerate(queries):
        np.testing.assert_array_equal(chosen.features[rows_of(chosen, new)], data.features[rows_of(data, old)])
        np.testing.assert_array_equal(chosen.doc_ids[rows_of(chosen, new)], data.doc_ids[rows_of(data, old)])
    assert chosen.feature_names == data.feature_names


@pytest.mark.parametrize("index", [[], [4], [-5], [1, 1], [1, -3], [0.5], [True, False], [False] * 4, 2])
def test_queries_that_cannot_be_selected_are_refused(data, index):
    with pytest.raises(ArgumentError):
        data.select_queries(index)


def test_queries_without_a_relevant_document_are_dropped(data):
    np.testing.assert_array_equal(data.drop_queries_without_relevant().query_ids, [10, 30])
    np.testing.assert_array_equal(data.drop_queries_without_relevant(rel=3).query_ids, [30])
    with pytest.raises(ArgumentError, match="highest label is 4"):
        data.drop_queries_without_relevant(rel=5)


def test_the_best_labelled_documents_stay_in_their_order_and_ties_go_to_the_earlier(data):
    top = data.top_n_by_label(2)
    assert top.doc_ids.tolist() == ["d1", "d2", "d3", "d4", "d5", "d8", "d9"]
    np.testing.assert_array_equal(top.list_sizes, [2, 1, 2, 2])
    assert data.top_n_by_label(99).doc_ids.tolist() == data.doc_ids.tolist()
    with pytest.raises(ArgumentError):
        data.top_n_by_label(0)


def test_features_are_compressed_on_both_sides_of_zero(data):
    expected = np.sign(data.features) * np.log1p(np.abs(data.features))
    np.testing.assert_allclose(data.log1p_features().features, expected, rtol=1e-6)


@pytest.mark.parametrize("width", [None, 1, 3])
def test_padding_keeps_every_document_and_marks_the_rest(data, width):
    values = data.labels if width is None else data.features[:, :width]
    padded, mask = data.to_padded(values, fill=-7)
    assert padded.shape == (4, 4, *values.shape[1:])
    np.testing.assert_array_equal(mask.sum(axis=1), SIZES)
    np.testing.assert_array_equal(padded[mask], values)
    assert (padded[~mask] == -7).all()
    for query in range(4):
        np.testing.assert_array_equal(padded[query, : SIZES[query]], values[rows_of(data, query)])
    with pytest.raises(ArgumentError, match="10 rows"):
        data.to_padded(values[1:])


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 60), st.lists(st.floats(0.05, 1), min_size=1, max_size=3), st.integers(0, 5))
def test_a_split_deals_out_distinct_whole_queries_in_about_the_shares(n_queries, weights, seed):
    shares = np.array(weights) / max(1, sum(weights))
    sizes = np.random.default_rng(seed).integers(1, 4, n_queries)
    n_docs = sizes.sum()
    data = RankingDataset(
        np.arange(n_docs)[:, None], np.zeros(n_docs), np.concatenate([[0], sizes.cumsum()]), np.arange(n_queries)
    )
    if (np.diff(np.rint(np.concatenate([[0], shares.cumsum()]) * n_queries)) == 0).any():
        with pytest.raises(ArgumentError, match="empty"):
            data.split(shares, np.random.default_rng(seed))
        return
    parts = data.split(shares, np.random.default_rng(seed))
    ids = np.concatenate([part.query_ids for part in parts])
    assert len(np.unique(ids)) == len(ids)
    for part, share in zip(parts, shares, strict=True):
        assert abs(part.n_queries - share * n_queries) <= 1
        assert (np.diff(part.query_ids) > 0).all()
        np.testing.assert_array_equal(part.list_sizes, sizes[part.query_ids])
    again = data.split(shares, np.random.default_rng(seed))
    assert [part.query_ids.tolist() for part in again] == [part.query_ids.tolist() for part in parts]


@pytest.mark.parametrize("fractions", [[0.5, 0.6], [0.0, 1.0], [-0.1, 0.5], [0.01, 0.99], [np.nan]])
def test_shares_that_cannot_be_dealt_are_refused(data, fractions):
    with pytest.raises(ArgumentError, match="fractions"):
        data.split(fractions, np.random.default_rng(0))


@pytest.mark.parametrize("texts", [False, True])
@pytest.mark.parametrize("optional", [False, True])
def test_what_is_saved_is_loaded_back(data, tmp_path, texts, optional):
    kept = data if optional else replace(data, doc_ids=None, feature_names=None)
    kept = replace(kept, query_ids=kept.query_ids.astype(str)) if texts else kept
    kept.save(tmp_path / "set.npz")
    again = RankingDataset.load(tmp_path / "set.npz")
    for name in ("features", "labels", "offsets", "query_ids", "doc_ids"):
        np.testing.assert_array_equal(getattr(again, name), getattr(kept, name))
    assert again.feature_names == kept.feature_names
    assert [path.name for path in tmp_path.iterdir()] == ["set.npz"]


def test_only_npz_names_are_saved_to(data, tmp_path):
    with pytest.raises(ArgumentError, match=r"\.npz"):
        data.save(tmp_path / "set.bin")


def test_a_file_that_is_not_ours_is_refused(data, tmp_path):
    path = tmp_path / "set.npz"
    with pytest.raises(DataError, match="no such file"):
        RankingDataset.load(path)
    np.savez(path, features=np.ones(3))
    with pytest.raises(DataError, match="not a readable ranking data set"):
        RankingDataset.load(path)
    np.savez(path, irworks_ranking=np.array(99), features=1, labels=1, offsets=1, query_ids=1)
    with pytest.raises(DataError, match="version"):
        RankingDataset.load(path)
    data.save(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="not a readable ranking data set"):
        RankingDataset.load(path)


def test_loading_never_unpickles(tmp_path):
    path = tmp_path / "set.npz"
    np.savez(
        path,
        irworks_ranking=np.array(2),
        optional=[],
        labels=1,
        offsets=1,
        query_ids=1,
        features=np.array([{}], dtype=object),
    )
    with pytest.raises(DataError, match="not a readable ranking data set"):
        RankingDataset.load(path)


@pytest.mark.parametrize("missing", ["features", "offsets"])
def test_a_saved_set_that_lacks_an_array_is_refused(data, tmp_path, missing):
    parts = {"features": data.features, "labels": data.labels, "offsets": data.offsets, "query_ids": data.query_ids}
    del parts[missing]
    np.savez(tmp_path / "set.npz", irworks_ranking=np.array(2), optional=np.array([], dtype=np.str_), **parts)
    with pytest.raises(DataError, match="not a readable ranking data set"):
        RankingDataset.load(tmp_path / "set.npz")


# -- what test_fuzz_readers.py found -----------------------------------------------------------------------------------


def test_an_archive_that_lost_its_document_ids_is_refused(data, tmp_path):
    path = tmp_path / "set.npz"
    dataclasses.replace(data, doc_ids=np.arange(data.n_docs)).save(path)
    with np.load(path) as stored:
        parts = {name: stored[name] for name in stored.files if name != "doc_ids"}
    np.savez(path, **parts)
    with pytest.raises(DataError, match="not a readable ranking data set"):
        RankingDataset.load(path)


def test_damage_that_no_parser_expects_is_one_clear_error(data, tmp_path):
    path = tmp_path / "set.npz"
    data.save(path)
    content = path.read_bytes()
    # The way in which the first array is packed, as the directory at the end of the archive says.
    method = content.index(b"PK\x01\x02") + 10
    for damaged in (content[:method] + b"\x63" + content[method + 1 :], b"\x93NUMPY" + content, b"PK", b""):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="not a readable ranking data set"):
            RankingDataset.load(path)


def test_arrays_that_make_no_data_set_are_refused_with_the_name_of_their_file(data, tmp_path):
    path = tmp_path / "set.npz"
    data.save(path)
    with np.load(path) as stored:
        parts = dict(stored.items())
    np.savez(path, **parts | {"offsets": parts["offsets"][:-1]})
    with pytest.raises(DataError, match=r"set\.npz: not a ranking data set: offsets"):
        RankingDataset.load(path)
