"""Candidates from embeddings: the law of the draws against exact Plackett-Luce, pools, indexes, files, bad input."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2

from cltr_twostage.embedding import lazy_gumbel
from cltr_twostage.generator import EmbeddingGenerator
from irworks.data import ClickLog
from irworks.errors import ArgumentError, DataError, MissingDependencyError
from irworks.simulate import enumerate_rankings, log_prob, placement_probabilities


def embeddings(n: int, dim: int = 4, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    return (scale * np.random.default_rng(seed).normal(size=(n, dim))).astype(np.float32)


def true_scores(docs: np.ndarray, queries: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    return queries.astype(np.float64) @ docs.astype(np.float64).T / temperature


def p_value(observed: np.ndarray, expected: np.ndarray, constraints: int) -> float:
    """Chi-square over the cells that expect at least 5, the others as one cell."""
    large = expected >= 5
    observed = np.append(observed[large], observed[~large].sum())
    expected = np.append(expected[large], max(expected[~large].sum(), 1e-9))
    if expected[-1] < 5:
        assert observed[-1] < 25
        observed, expected = observed[:-1], expected[:-1]
    return float(chi2.sf(((observed - expected) ** 2 / expected).sum(), len(expected) - constraints))


def placement_p_values(draws: np.ndarray, scores: np.ndarray) -> list[float]:
    """Of each query and rank: draws [n_samples, n, k] against exact placement."""
    exact = placement_probabilities(scores, draws.shape[-1])
    return [
        p_value(np.bincount(draws[:, q, r], minlength=scores.shape[1]), len(draws) * exact[q, :, r], 1)
        for q in range(draws.shape[1])
        for r in range(draws.shape[2])
    ]


def is_tail_heavy(draws: np.ndarray, scores: np.ndarray, depth: int) -> bool:
    """Whether at least a tenth of the draws lie outside the `depth` best documents."""
    head = np.argsort(-scores, axis=1)[:, :depth]
    return bool(np.mean([np.isin(draws[:, q], head[q]) for q in range(len(scores))]) < 0.9)


# -- the law ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n_docs", "depth", "k", "scale"),
    [
        (30, 3, 3, 0.5),  # a head of n_candidates: documents left are scored in blocks
        (30, 6, 3, 1.0),
        (300, 6, 3, 0.7),  # a thin head: first band, second band and blocks
        (300, 40, 2, 0.4),
        (30, 30, 3, 1.0),  # the head is everything
        (30, None, 3, 1.0),
    ],
)
def test_draws_follow_the_exact_placement_probabilities(n_docs: int, depth: int | None, k: int, scale: float) -> None:
    docs, queries = embeddings(n_docs, scale=scale), embeddings(2, seed=1)
    scores = true_scores(docs, queries)

    draws = EmbeddingGenerator(docs, n_candidates=k, depth=depth).sample(queries, np.random.default_rng(7), 30_000)

    assert min(placement_p_values(draws, scores)) > 1e-3
    if depth is not None and depth < n_docs:
        assert is_tail_heavy(draws, scores, depth)


@pytest.mark.parametrize(("n_docs", "depth"), [(12, 3), (60, 4)])
def test_ordered_pairs_have_the_exact_log_probability(n_docs: int, depth: int) -> None:
    docs, queries = embeddings(n_docs, scale=0.6), embeddings(1, seed=2)
    n = 60_000

    draws = EmbeddingGenerator(docs, n_candidates=2, depth=depth).sample(queries, np.random.default_rng(3), n)[:, 0]

    pairs = enumerate_rankings(n_docs, 2)
    counts = np.bincount(draws[:, 0] * n_docs + draws[:, 1], minlength=n_docs**2)[pairs[:, 0] * n_docs + pairs[:, 1]]
    assert counts.sum() == n
    assert p_value(counts, n * np.exp(log_prob(true_scores(docs, queries), pairs)), 1) > 1e-3


@pytest.mark.parametrize("path", ["bands", "blocks"])
def test_every_way_of_drawing_the_tail_is_exact(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    docs, queries = embeddings(30, scale=0.5), embeddings(2, seed=5)
    ran: list[int] = []
    original = lazy_gumbel._Race._draw_band

    def watched(race: Any, cells: np.ndarray, limit: np.ndarray) -> np.ndarray:
        ran.append(len(cells))
        return original(race, cells, limit)

    monkeypatch.setattr(lazy_gumbel._Race, "_draw_band", watched)
    if path == "blocks":
        monkeypatch.setattr(lazy_gumbel, "SCANNED", 11)
        monkeypatch.setattr(lazy_gumbel, "DENSE_SHARE", 0.0)
    else:
        monkeypatch.setattr(lazy_gumbel, "DENSE_SHARE", 1.0)
        monkeypatch.setattr(lazy_gumbel, "TAIL", 50_000)
        monkeypatch.setattr(lazy_gumbel, "FIRST_BAND", 0.4)

    # A head no longer than the list leaves wide bands, in which many documents outside are drawn.
    draws = EmbeddingGenerator(docs, n_candidates=8, depth=8).sample(queries, np.random.default_rng(11), 20_000)

    assert min(placement_p_values(draws, true_scores(docs, queries))) > 1e-3
    assert (np.diff(np.sort(draws, axis=-1), axis=-1) > 0).all()
    assert sum(ran) == 0 if path == "blocks" else len(ran) > 2


def test_a_temperature_divides_the_scores() -> None:
    docs, queries = embeddings(30), embeddings(2, seed=1)

    draws = EmbeddingGenerator(docs, n_candidates=2, depth=4, temperature=2.5).sample(
        queries, np.random.default_rng(1), 30_000
    )

    assert min(placement_p_values(draws, true_scores(docs, queries, 2.5))) > 1e-3


def test_flat_scores_give_uniform_candidates() -> None:
    docs = np.ones((500, 3), dtype=np.float32)

    draws = EmbeddingGenerator(docs, n_candidates=5, depth=20).sample(docs[:1], np.random.default_rng(0), 20_000)

    assert p_value(np.bincount(draws[:, 0, 0], minlength=500), np.full(500, 40.0), 1) > 1e-3
    assert p_value(np.bincount(draws.ravel(), minlength=500), np.full(500, 200.0), 1) > 1e-3


def test_a_low_temperature_gives_the_best_documents_in_order() -> None:
    docs, queries = embeddings(500, 8), embeddings(5, 8, seed=1)
    generator = EmbeddingGenerator(docs, n_candidates=10, depth=20, temperature=1e-7)

    draws = generator.sample(queries, np.random.default_rng(0), 3)

    expected = np.argsort(-true_scores(docs, queries), axis=1)[:, :10]
    np.testing.assert_array_equal(draws, np.broadcast_to(expected, (3, 5, 10)))
    np.testing.assert_array_equal(generator.top(queries, 10)[0], expected)


def test_scores_of_ten_thousand_stay_finite() -> None:
    docs = np.array([[1e4]] * 3 + [[-1e4]] * 50, dtype=np.float32)

    with np.errstate(all="raise"):
        draws = EmbeddingGenerator(docs, n_candidates=4, depth=4).sample([[1.0]], np.random.default_rng(0), 2000)

    assert (np.sort(draws[:, 0, :3], axis=1) == [0, 1, 2]).all()
    assert p_value(np.bincount(draws[:, 0, 3], minlength=53)[3:], np.full(50, 40.0), 1) > 1e-3


def test_an_approximate_index_that_finds_too_little_still_fills_the_lists() -> None:
    docs = embeddings(400)
    generator = EmbeddingGenerator(
        docs, n_candidates=30, depth=60, temperature=20, index="IVF16,Flat", search_options="nprobe=1"
    )

    draws = generator.sample(embeddings(4, seed=1), np.random.default_rng(0), 50)

    assert draws.min() >= 0
    assert (np.diff(np.sort(draws, axis=-1), axis=-1) > 0).all()
    assert (generator.top(embeddings(4, seed=1), 300)[0][:, -1] == -1).all()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_list_never_holds_a_document_twice(data: st.DataObject) -> None:
    n_docs = data.draw(st.integers(1, 80), label="n_docs")
    k = data.draw(st.integers(1, n_docs), label="k")
    depth = data.draw(st.integers(k, n_docs + 5), label="depth")
    scale = data.draw(st.sampled_from([0.0, 0.3, 1.0, 30.0]), label="scale")
    seed = data.draw(st.integers(0, 999), label="seed")
    generator = EmbeddingGenerator(embeddings(n_docs, 3, seed, scale), n_candidates=k, depth=depth)

    draws = generator.sample(embeddings(3, 3, seed + 1), np.random.default_rng(seed), 5)

    assert draws.shape == (5, 3, k)
    assert draws.dtype == np.int32
    assert draws.min() >= 0
    assert draws.max() < n_docs
    assert (np.diff(np.sort(draws, axis=-1), axis=-1) > 0).all()


def test_the_same_seed_gives_the_same_draws() -> None:
    docs, queries = embeddings(2000, 8), embeddings(7, 8, seed=1)

    def draw(seed: int) -> np.ndarray:
        return EmbeddingGenerator(docs, n_candidates=20, depth=50).sample(queries, np.random.default_rng(seed), 4)

    np.testing.assert_array_equal(draw(1), draw(1))
    assert (draw(1) != draw(2)).any()


def test_a_draw_looks_at_a_small_part_of_the_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    original = lazy_gumbel.Catalogue.scores_at

    def counted(self: Any, vectors: np.ndarray, query: np.ndarray, docs: np.ndarray) -> np.ndarray:
        looked_at.append(len(docs))
        return original(self, vectors, query, docs)

    def never(*_: Any) -> None:
        raise AssertionError("all documents were scored")

    monkeypatch.setattr(lazy_gumbel.Catalogue, "scores_at", counted)
    monkeypatch.setattr(lazy_gumbel.Catalogue, "block", never)
    docs = embeddings(50_000, 8)
    for temperature in (0.1, 1.0, 3.0, 100.0):
        EmbeddingGenerator(docs, n_candidates=10, temperature=temperature).sample(
            embeddings(20, 8, seed=1), np.random.default_rng(0)
        )
        assert sum(looked_at) / 20 < 0.1 * len(docs)
        looked_at.clear()


def test_one_draw_and_several_have_the_documented_shapes() -> None:
    generator = EmbeddingGenerator(embeddings(50), n_candidates=3)

    assert generator.sample(embeddings(4), np.random.default_rng(0)).shape == (4, 3)
    assert generator.sample(embeddings(4), np.random.default_rng(0), 1).shape == (1, 4, 3)
    assert generator.sample(np.empty((0, 4)), np.random.default_rng(0)).shape == (0, 3)


def test_many_samples_are_drawn_in_bounded_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    docs, queries = embeddings(40), embeddings(3, seed=1)
    for module in (lazy_gumbel, sys.modules[EmbeddingGenerator.__module__]):
        monkeypatch.setattr(module, "CELLS", 64)

    draws = EmbeddingGenerator(docs, n_candidates=2, depth=5).sample(queries, np.random.default_rng(5), 3000)

    assert min(placement_p_values(draws, true_scores(docs, queries))) > 1e-3


# -- search and pools -------------------------------------------------------------------------------------------------


def test_top_returns_the_best_documents_and_their_scores() -> None:
    docs, queries = embeddings(300, 8), embeddings(6, 8, seed=1)
    scores = true_scores(docs, queries, 0.5)
    generator = EmbeddingGenerator(docs, n_candidates=5, temperature=0.5)

    best, values = generator.top(queries, 12)

    np.testing.assert_array_equal(best, np.argsort(-scores, axis=1)[:, :12])
    np.testing.assert_allclose(values, np.take_along_axis(scores, best.astype(int), axis=1), rtol=1e-12)
    np.testing.assert_allclose(generator.scores(queries, best), values, rtol=1e-12)


def test_a_pool_holds_the_top_documents_with_their_scores() -> None:
    docs, queries = embeddings(300, 8), embeddings(4, 8, seed=1)
    ids = np.array([f"d{row}" for row in range(300)])
    generator = EmbeddingGenerator(docs, n_candidates=5, doc_ids=ids)

    pool, scores, left_out = generator.pool(queries, 20, query_ids=["a", "b", "c", "d"])

    best, values = generator.top(queries, 20)
    np.testing.assert_array_equal(pool.offsets, [0, 20, 40, 60, 80])
    np.testing.assert_array_equal(pool.query_ids, ["a", "b", "c", "d"])
    np.testing.assert_array_equal(pool.doc_ids.reshape(4, 20), ids[best])
    np.testing.assert_allclose(scores.reshape(4, 20), values, rtol=1e-12)
    assert left_out.shape == (4,)


def test_what_a_pool_leaves_out_is_the_share_of_candidates_outside() -> None:
    docs, queries = embeddings(60), embeddings(3, seed=1)
    generator = EmbeddingGenerator(docs, n_candidates=6, depth=8, temperature=2)

    pool, _, left_out = generator.pool(queries, 15, n_samples=4000)

    inclusion = placement_probabilities(true_scores(docs, queries, 2), 6).sum(axis=2)
    for q in range(3):
        inclusion[q, pool.doc_ids[pool.offsets[q] : pool.offsets[q + 1]]] = 0
    expected = inclusion.sum(axis=1) / 6
    assert (expected > 0.05).all()
    np.testing.assert_allclose(left_out, expected, atol=0.01)
    assert (generator.pool(queries, 60)[2] == 0).all()
    assert np.isnan(generator.pool(queries, 15, n_samples=0).left_out).all()


def test_included_pairs_join_the_pool_once() -> None:
    docs, queries = embeddings(100), embeddings(2, seed=1)
    generator = EmbeddingGenerator(docs, n_candidates=5)
    order = np.argsort(-true_scores(docs, queries), axis=1)
    last, first = order[1, -1], order[1, 0]

    pool, scores, _ = generator.pool(queries, 10, include=(np.array([1, 1, 1]), np.array([last, last, first])))

    np.testing.assert_array_equal(pool.sizes, [10, 11])
    assert pool.doc_ids[-1] == last
    assert scores[-1] == pytest.approx(true_scores(docs, queries)[1, last])


def test_every_document_of_an_included_log_is_found_in_the_pool() -> None:
    rng = np.random.default_rng(0)
    docs, queries = embeddings(200), embeddings(3, seed=1)
    ids = np.array([f"d{row}" for row in range(200)], dtype=object)
    shown = np.array([rng.choice(200, 4, replace=False) for _ in range(50)])
    log = ClickLog(rng.integers(0, 3, 50), shown, np.zeros((50, 4)), query_ids=np.array([7, 8, 9]), doc_ids=ids)
    generator = EmbeddingGenerator(docs, n_candidates=5, doc_ids=ids)

    pool, scores, _ = generator.pool(queries, 10, query_ids=[9, 8, 7], include=log)

    query, rows = pool.locate(log)
    np.testing.assert_array_equal(pool.query_ids[query], log.query_vocabulary[log.query])
    np.testing.assert_array_equal(pool.doc_ids[rows], ids[shown])
    expected = true_scores(docs, queries)[query[:, None], shown]
    np.testing.assert_allclose(scores[rows], expected, rtol=1e-9)


def test_a_log_without_ids_is_included_by_row_number() -> None:
    log = ClickLog([0, 1], [[5, 99], [3, 4]], np.zeros((2, 2)))
    generator = EmbeddingGenerator(embeddings(100), n_candidates=5)

    pool, _, _ = generator.pool(embeddings(2, seed=1), 5, include=log)

    assert {5, 99} <= set(pool.doc_ids[: pool.sizes[0]])
    assert {3, 4} <= set(pool.doc_ids[pool.sizes[0] :])


@pytest.mark.parametrize(("ids", "named"), [(["a", "b"], "query"), ([0, 1], "document")])
def test_a_log_with_unknown_ids_is_refused_by_name(ids: list[Any], named: str) -> None:
    log = ClickLog([0, 1], [[0, 1], [1, 0]], np.zeros((2, 2)), doc_ids=np.array(["x", "y"]))
    generator = EmbeddingGenerator(embeddings(100), n_candidates=5)

    with pytest.raises(DataError, match=f"a {named} that the generator does not know.*0, x"):
        generator.pool(embeddings(2), 5, query_ids=ids, include=log)


# -- indexes and arrays -----------------------------------------------------------------------------------------------


def test_an_inverted_file_that_probes_every_list_is_as_good_as_flat() -> None:
    docs, queries = embeddings(1000, 8, scale=0.5), embeddings(2, 8, seed=1)
    generator = EmbeddingGenerator(docs, n_candidates=2, depth=8, index="IVF8,Flat", search_options="nprobe=8")

    draws = generator.sample(queries, np.random.default_rng(0), 5000)

    assert not generator.exact
    assert generator.check(queries).missed.tolist() == [0, 0]
    assert min(placement_p_values(draws, true_scores(docs, queries))) > 1e-3


def test_check_counts_what_an_approximate_index_misses() -> None:
    docs, queries = embeddings(1000, 8), embeddings(3, 8, seed=1)
    generator = EmbeddingGenerator(docs, n_candidates=5, depth=50, index="IVF8,Flat", search_options="nprobe=1")
    scores = true_scores(docs, queries)

    missed, mass = generator.check(queries)

    for q in range(3):
        _, found = generator.index.search(queries[q : q + 1], 50)
        found = found[found >= 0]
        above = np.setdiff1d(np.flatnonzero(scores[q] > scores[q, found].min() + 1e-4), found)
        assert missed[q] == len(above)
        assert mass[q] == pytest.approx(np.exp(scores[q, above]).sum() / np.exp(scores[q]).sum())
    assert missed.sum() > 0
    flat = EmbeddingGenerator(docs, n_candidates=5, depth=50)
    assert flat.exact
    assert flat.check(queries).missed.sum() == 0


@pytest.mark.parametrize("description", ["HNSW16", "IVF8,PQ4x4", "PCA6,IVF8,Flat"])
def test_scores_are_those_of_the_embeddings_whatever_the_index(description: str) -> None:
    docs, queries = embeddings(1500, 8), embeddings(3, 8, seed=1)
    generator = EmbeddingGenerator(docs, n_candidates=5, depth=100, index=description)

    best, values = generator.top(queries, 10)

    np.testing.assert_allclose(values, np.take_along_axis(true_scores(docs, queries), best.astype(int), axis=1))
    assert (np.diff(values, axis=1) <= 0).all()
    assert generator.sample(queries, np.random.default_rng(0)).shape == (3, 5)


def test_a_ready_index_gives_the_same_draws() -> None:
    docs, queries = embeddings(500), embeddings(3, seed=1)
    ready = faiss.IndexFlatIP(4)
    ready.add(docs)

    given_index = EmbeddingGenerator(docs, n_candidates=5, depth=30, index=ready)

    assert given_index.exact
    np.testing.assert_array_equal(
        given_index.sample(queries, np.random.default_rng(0)),
        EmbeddingGenerator(docs, n_candidates=5, depth=30).sample(queries, np.random.default_rng(0)),
    )


@pytest.mark.parametrize("kind", ["memory map", "float64", "Fortran order", "every second row", "float16", "list"])
def test_any_layout_of_the_embeddings_gives_the_same_draws(kind: str, tmp_path: Path) -> None:
    # Multiples of 1/8 are the same numbers in every precision.
    docs = np.round(embeddings(300) * 8) / 8
    queries = embeddings(3, seed=1)
    mapped = np.memmap(tmp_path / "docs", dtype=np.float32, mode="w+", shape=docs.shape)
    mapped[:] = docs
    layouts = {
        "memory map": mapped,
        "float64": docs.astype(np.float64),
        "Fortran order": np.asfortranarray(docs),
        "every second row": np.repeat(docs, 2, axis=0)[::2],
        "float16": docs.astype(np.float16),
        "list": docs.tolist(),
    }

    draws = EmbeddingGenerator(layouts[kind], n_candidates=5, depth=20).sample(
        np.asfortranarray(queries.astype(np.float64)), np.random.default_rng(0), 20
    )

    expected = EmbeddingGenerator(docs, n_candidates=5, depth=20).sample(queries, np.random.default_rng(0), 20)
    np.testing.assert_array_equal(draws, expected)


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", ["flat", "IVF8,Flat", "ready"])
def test_a_saved_generator_draws_the_same(index: str, tmp_path: Path) -> None:
    docs, queries = embeddings(600), embeddings(3, seed=1)
    ready: Any = index
    if index == "ready":
        ready = faiss.IndexHNSWFlat(4, 8, faiss.METRIC_INNER_PRODUCT)
        ready.add(docs)
    ids = np.array([f"d{row}" for row in range(600)], dtype=object)
    generator = EmbeddingGenerator(docs, n_candidates=5, depth=30, temperature=0.7, index=ready, doc_ids=ids)

    generator.save(tmp_path / "g")
    loaded = EmbeddingGenerator.load(tmp_path / "g")

    assert repr(loaded) == repr(generator)
    np.testing.assert_array_equal(
        loaded.sample(queries, np.random.default_rng(0)), generator.sample(queries, np.random.default_rng(0))
    )
    np.testing.assert_array_equal(loaded.pool(queries, 5).pool.doc_ids, generator.pool(queries, 5).pool.doc_ids)
    loaded.save(tmp_path / "g")
    assert repr(EmbeddingGenerator.load(tmp_path / "g")) == repr(generator)
    assert [path.name for path in tmp_path.iterdir()] == ["g"]


def test_embeddings_need_not_be_saved_twice(tmp_path: Path) -> None:
    docs = embeddings(100)
    EmbeddingGenerator(docs, n_candidates=5).save(tmp_path / "g", embeddings=False)

    assert [path.name for path in (tmp_path / "g").iterdir()] == ["config.json"]
    assert EmbeddingGenerator.load(tmp_path / "g", docs).n_docs == 100
    with pytest.raises(ArgumentError, match="pass them as doc_embeddings"):
        EmbeddingGenerator.load(tmp_path / "g")
    with pytest.raises(DataError, match="not those that the generator was saved with"):
        EmbeddingGenerator.load(tmp_path / "g", docs * 2)


def test_saving_does_not_destroy_what_stands_there(tmp_path: Path) -> None:
    generator = EmbeddingGenerator(embeddings(20), n_candidates=2)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("1")

    with pytest.raises(DataError, match="not a saved generator"):
        generator.save(tmp_path / "thesis")
    generator.save(tmp_path / "g")
    with pytest.raises(ArgumentError, match="holds embeddings"):
        generator.save(tmp_path / "g", embeddings=False)

    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "1"


@pytest.mark.parametrize("file", ["config.json", "doc_embeddings.npy", "index.faiss", "doc_ids.npy"])
@pytest.mark.parametrize("damage", ["cut", "absent"])
def test_a_damaged_folder_is_a_data_error(file: str, damage: str, tmp_path: Path) -> None:
    generator = EmbeddingGenerator(embeddings(100), n_candidates=5, index="HNSW4", doc_ids=np.arange(100) + 7)
    generator.save(tmp_path / "g")
    victim = tmp_path / "g" / file
    content = victim.read_bytes()
    victim.unlink()
    if damage == "cut":
        victim.write_bytes(content[: len(content) // 2])

    expected = ArgumentError if (file, damage) == ("doc_embeddings.npy", "absent") else DataError
    with pytest.raises(expected):
        EmbeddingGenerator.load(tmp_path / "g")


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_candidates": 0}, "n_candidates=0"),
        ({"n_candidates": 21}, "at most the number of documents, 20"),
        ({"n_candidates": 2.5}, "n_candidates=2.5"),
        ({"temperature": 0}, "temperature=0"),
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"temperature": np.nan}, "temperature=nan"),
        ({"temperature": np.inf}, "temperature=inf"),
        ({"depth": 1}, "at least n_candidates=2"),
        ({"index": "IVF"}, "faiss cannot build it"),
        ({"index": "IVF64,Flat"}, "faiss cannot build it"),
        ({"index": 3}, "index is a int"),
        ({"search_options": "nprobe=4"}, "the index refuses them"),
        ({"index": "HNSW4", "search_options": "efSearch=?"}, "the index refuses them"),
        ({"index": faiss.IndexFlatL2(4)}, "index holds 0 vectors"),
        ({"doc_ids": [1, 2]}, r"doc_ids has shape \(2,\)"),
        ({"doc_ids": [1] * 20}, "doc_ids has 1 twice|doc_ids has np.int64.1. twice"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        EmbeddingGenerator(embeddings(20), **{"n_candidates": 2, **options})


def test_an_index_over_other_vectors_is_refused() -> None:
    docs = embeddings(20)
    euclidean, shuffled, renamed = faiss.IndexFlatL2(4), faiss.IndexFlatIP(4), faiss.IndexIDMap(faiss.IndexFlatIP(4))
    euclidean.add(docs)
    shuffled.add(docs[::-1].copy())
    renamed.add_with_ids(docs, np.arange(20) + 1000)

    with pytest.raises(ArgumentError, match="another metric"):
        EmbeddingGenerator(docs, n_candidates=2, index=euclidean)
    with pytest.raises(ArgumentError, match="another vector than doc_embeddings at row 0"):
        EmbeddingGenerator(docs, n_candidates=2, index=shuffled)
    with pytest.raises(ArgumentError, match="ids are rows"):
        EmbeddingGenerator(docs, n_candidates=2, index=renamed).top(docs, 3)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((3, 0)), r"shape \(3, 0\)"),
        (np.zeros((0, 4)), "has 0 rows"),
        (np.zeros((3, 4), dtype=bool), "dtype bool"),
        (np.zeros((3, 4), dtype=complex), "dtype complex"),
        (np.array([["a"] * 4] * 3), "dtype <U1"),
        (np.where(np.arange(12).reshape(3, 4) == 6, np.nan, 1.0), r"doc_embeddings\[1, 2\] is nan"),
        (np.where(np.arange(12).reshape(3, 4) == 6, -np.inf, 1.0), r"doc_embeddings\[1, 2\] is -inf"),
        (np.where(np.arange(12).reshape(3, 4) == 6, 1e200, 1.0), r"doc_embeddings\[1, 2\] is 1e\+200"),
    ],
)
def test_bad_document_embeddings_are_refused(table: np.ndarray, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        EmbeddingGenerator(table, n_candidates=1)


def test_bad_queries_are_refused_by_every_method() -> None:
    generator = EmbeddingGenerator(embeddings(20), n_candidates=2, temperature=1e-6)
    for call in (
        lambda queries: generator.sample(queries, np.random.default_rng(0)),
        lambda queries: generator.top(queries, 3),
        lambda queries: generator.pool(queries, 3),
        lambda queries: generator.check(queries),
        lambda queries: generator.scores(queries, np.zeros((1, 1), dtype=int)),
    ):
        with pytest.raises(ArgumentError, match="dimension 5; expected 4"):
            call(np.zeros((1, 5)))
        with pytest.raises(ArgumentError, match=r"query_embeddings\[0, 3\] is nan"):
            call([[0.0, 0, 0, np.nan]])
        with pytest.raises(ArgumentError, match="scores reach"):
            call(np.full((1, 4), 1e9))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda g, u: g.sample(u, np.random.default_rng(0), 0), "n_samples=0"),
        (lambda g, u: g.top(u, 21), "k=21; expected at most the number of documents, 20"),
        (lambda g, u: g.top(u, 0), "k=0"),
        (lambda g, u: g.scores(u, np.zeros(2, dtype=int)), r"docs has shape \(2,\)"),
        (lambda g, u: g.scores(u, np.full((2, 1), 20)), "docs holds 20; expected numbers from 0 to 19"),
        (lambda g, u: g.scores(u, np.full((2, 1), 0.5)), "docs has dtype float64"),
        (lambda g, u: g.pool(u, 21), "depth=21"),
        (lambda g, u: g.pool(u, 5, n_samples=-1), "n_samples=-1"),
        (lambda g, u: g.pool(u[:0], 5), "no rows"),
        (lambda g, u: g.pool(u, 5, query_ids=[1, 1]), "query_ids has"),
        (lambda g, u: g.pool(u, 5, query_ids=[1]), r"query_ids has shape \(1,\)"),
        (lambda g, u: g.pool(u, 5, include="log"), "include is a str"),
        (lambda g, u: g.pool(u, 5, include=([0, 1], [0])), "two arrays"),
        (lambda g, u: g.pool(u, 5, include=([2], [0])), r"include\[0\] holds 2"),
        (lambda g, u: g.pool(u, 5, include=([0], [-1])), r"include\[1\] holds -1"),
    ],
)
def test_bad_calls_are_refused(call: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call(EmbeddingGenerator(embeddings(20), n_candidates=2), embeddings(2))


def test_without_faiss_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)

    with pytest.raises(MissingDependencyError, match=r"pip install 'cltr-twostage\[faiss\]'"):
        EmbeddingGenerator(embeddings(20), n_candidates=2)


# -- processes --------------------------------------------------------------------------------------------------------


def test_the_module_imports_neither_faiss_nor_torch() -> None:
    code = "import sys, cltr_twostage.generator; print(sorted({'faiss', 'torch'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.skipif(find_spec("torch") is None, reason="torch is not installed")
def test_faiss_works_in_a_process_that_has_used_torch() -> None:
    # The other way round is the process of these tests: faiss is imported above, torch used by tests that follow.
    code = """
import numpy as np
from cltr_twostage.generator import EmbeddingGenerator
def search():
    docs = np.random.default_rng(0).normal(size=(5000, 16)).astype(np.float32)
    return EmbeddingGenerator(docs, n_candidates=20, index="IVF16,Flat").sample(docs[:40], np.random.default_rng(1))
def learn():
    import torch
    weights = torch.randn(300, 300, requires_grad=True)
    (weights @ weights).relu().sum().backward()
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", code + "learn(); search(); learn(); search()"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)

    assert (run.returncode, run.stderr[-300:]) == (0, "")
