"""The worlds: built as they say, clicked as they say, and worth what enumeration says."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cltr_twostage.movielens import Ratings
from cltr_twostage.policy import TwoStagePolicy
from cltr_twostage.simulate import (
    World,
    letor_world,
    lowrank_ratings,
    lowrank_world,
    movielens_world,
    natural_world,
    shift_world,
    tiny_world,
)
from irworks.data import RankingDataset, read_letor, write_letor
from irworks.errors import ArgumentError, DataError

WORLDS: dict[str, Callable[[np.random.Generator], World]] = {
    "tiny": lambda rng: tiny_world(rng, n_queries=2),
    "natural": lambda rng: natural_world(rng, n_queries=10),
    "shift": lambda rng: shift_world(rng, n_queries=10),
    "lowrank": lambda rng: lowrank_world(rng, n_users=60),
}


def rankings(scores: np.ndarray, k: int) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Every Plackett-Luce list of the first k, with its probability."""
    for order in permutations(range(len(scores)), k):
        left, probability = np.exp(scores).sum(), 1.0
        for doc in order:
            probability *= np.exp(scores[doc]) / left
            left -= np.exp(scores[doc])
        yield probability, order


def enumerated_value(world: World, policy: TwoStagePolicy) -> float:
    """U = sum over queries, candidate lists and shown lists, one by one."""
    total = 0.0
    for query, share in enumerate(world.query_weights):
        own = slice(world.pool.offsets[query], world.pool.offsets[query + 1])
        relevance, ranker = world.relevance[own], policy.ranker_scores[own]
        for p_candidates, candidates in rankings(policy.candidate_scores[own], world.n_candidates):
            for p_list, places in rankings(ranker[list(candidates)], world.k):
                shown = relevance[[candidates[place] for place in places]]
                total += share * p_candidates * p_list * float(world.rank_weights @ shown)
    return total


def slope(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.polyfit(x, y, 1)[0])


def explained(X: np.ndarray, y: np.ndarray) -> float:
    """Share of the variance of y that is linear in X."""
    Z = np.column_stack([X.astype(np.float64), np.ones(len(X))])
    residual = y - Z @ np.linalg.lstsq(Z, y, rcond=None)[0]
    return float(1 - residual.var() / y.var())


# -- truth ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_the_value_of_a_policy_is_what_enumeration_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world = tiny_world(rng, n_docs=5, n_candidates=3, k=2, n_queries=2)
    other = world.logging.replace(candidate=rng.normal(size=10), ranker=2 * rng.normal(size=10))
    for policy in (world.logging, other):
        expected = enumerated_value(world, policy)
        assert world.value(policy, "exact") == pytest.approx(expected, abs=1e-9)
        assert world.value(policy, "mc", n_samples=20_000, rng=rng) == pytest.approx(expected, abs=0.02)


def test_the_ideal_is_the_best_of_all_lists_and_a_two_stage_policy_with_free_scores_reaches_it() -> None:
    world = tiny_world(np.random.default_rng(0), n_queries=3)
    best = [
        max(float(world.rank_weights @ docs[list(order)]) for order in permutations(range(6), 3))
        for docs in world.relevance.reshape(3, 6)
    ]
    assert world.ideal() == pytest.approx(float(world.query_weights @ best), rel=1e-12)
    oracle = world.logging.replace(candidate=1e6 * world.relevance, ranker=1e6 * world.relevance)
    assert world.value(oracle) == pytest.approx(world.ideal(), abs=1e-9)
    assert world.value(world.logging) < world.ideal()


def test_short_queries_have_an_ideal_of_all_their_documents() -> None:
    tiny = tiny_world(np.random.default_rng(0), n_docs=2, n_candidates=4, k=3, n_queries=1)
    low, high = np.sort(tiny.relevance)
    assert tiny.ideal() == pytest.approx(high + low * tiny.rank_weights[1])


def test_clicks_at_each_rank_are_examination_times_relevance() -> None:
    rng = np.random.default_rng(1)
    world = replace(tiny_world(rng, n_queries=2), examination=np.array([0.9, 0.5, 0.2]))
    log = world.simulate(200_000, rng)

    n = np.zeros((world.pool.n_rows, 3))
    clicks = np.zeros_like(n)
    ranks = np.broadcast_to(np.arange(3), log.docs.shape)
    np.add.at(n, (log.docs, ranks), 1)
    np.add.at(clicks, (log.docs, ranks), log.clicks)
    expected = world.relevance[:, None] * world.examination
    z = (clicks - n * expected) / np.sqrt(n * expected * (1 - expected))
    assert n.min() > 100
    assert np.abs(z).max() < 4
    # Standard normal: the mean square of 36 lies within these bounds but once in thousands.
    assert 0.4 < (z**2).mean() < 2.0


def test_queries_are_asked_by_their_weights_and_lists_come_from_the_logging_policy() -> None:
    rng = np.random.default_rng(2)
    world = tiny_world(rng, n_queries=4)
    log = world.simulate(50_000, rng)
    np.testing.assert_allclose(np.bincount(log.query) / 50_000, world.query_weights, atol=0.01)
    shown = np.bincount(log.docs[:, 0], minlength=24) / 50_000
    owner_weights = np.repeat(world.query_weights, 6)
    np.testing.assert_allclose(shown, world.logging.placement("exact").value[:, 0] * owner_weights, atol=0.01)
    assert world.query_weights.sum() == pytest.approx(1)


def test_certain_and_impossible_relevance_are_clicked_always_and_never() -> None:
    rng = np.random.default_rng(3)
    world = tiny_world(rng)
    world = replace(world, relevance=np.array([1.0, 0, 1, 0, 1, 0]), examination=np.ones(3))
    log = world.simulate(500, rng)
    np.testing.assert_array_equal(log.clicks, log.docs % 2 == 0)


def test_another_policy_can_be_logged() -> None:
    rng = np.random.default_rng(4)
    world = tiny_world(rng)
    descending = -1e6 * np.arange(6)
    log = world.simulate(20, rng, policy=world.logging.replace(candidate=descending, ranker=descending))
    assert (log.docs == [0, 1, 2]).all()


@pytest.mark.parametrize("name", WORLDS)
def test_the_same_seed_builds_and_logs_the_same_world(name: str) -> None:
    worlds, logs = [], []
    for seed in (5, 5, 6):
        rng = np.random.default_rng(seed)
        worlds.append(WORLDS[name](rng))
        logs.append(worlds[-1].simulate(50, rng))
    for field in ("relevance", "generator_features", "ranker_features", "query_weights"):
        np.testing.assert_array_equal(getattr(worlds[0], field), getattr(worlds[1], field))
    np.testing.assert_array_equal(worlds[0].logging.ranker_scores, worlds[1].logging.ranker_scores)
    np.testing.assert_array_equal(logs[0].docs, logs[1].docs)
    np.testing.assert_array_equal(logs[0].clicks, logs[1].clicks)
    assert not np.array_equal(worlds[0].relevance, worlds[2].relevance)


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_says_what_it_is(name: str) -> None:
    world = WORLDS[name](np.random.default_rng(0))
    assert world.name == name
    assert len(world.about) > 200
    assert f"{world.n_candidates} candidates" in world.about
    assert f"lists of {world.k}" in world.about
    assert repr(world).startswith(f"World({name!r}, Pool(")
    assert world.generator_features.dtype == world.ranker_features.dtype == np.float32
    np.testing.assert_allclose(world.examination, 1 / np.arange(1, world.k + 1))
    np.testing.assert_allclose(world.rank_weights, 1 / np.log2(np.arange(2, world.k + 2)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"relevance": np.full(6, 1.1)}, r"relevance is 1.1 at 0; expected a number in \[0, 1\]"),
        ({"relevance": np.full(6, np.nan)}, "relevance is nan"),
        ({"relevance": np.zeros(5)}, r"relevance has shape \(5,\)"),
        ({"examination": np.array([1.0, 0.5])}, r"examination has shape \(2,\)"),
        ({"examination": np.array([1.0, 0.5, 0.0])}, "never examined"),
        ({"rank_weights": np.array([1.0, -0.5, 0.1])}, "rank_weights is -0.5"),
        ({"query_weights": np.zeros(1)}, "query_weights sum to 0"),
        ({"query_weights": np.array([np.inf])}, "query_weights is inf"),
        ({"ranker_features": np.zeros((5, 2))}, r"ranker_features has shape \(5, 2\)"),
        ({"generator_features": np.full((6, 2), np.nan)}, "generator_features.*finite"),
    ],
)
def test_a_world_whose_parts_do_not_fit_is_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        replace(tiny_world(np.random.default_rng(0)), **change)


def test_a_policy_of_another_world_has_no_value_here() -> None:
    world = tiny_world(np.random.default_rng(0))
    with pytest.raises(ArgumentError, match="expected the pool of the world"):
        world.value(tiny_world(np.random.default_rng(0), n_docs=7).logging)


# -- synthetic worlds -------------------------------------------------------------------------------------------------


def test_in_the_natural_world_both_views_are_needed_and_the_logging_policy_is_weak() -> None:
    world = natural_world(np.random.default_rng(0))
    assert (world.pool.n_queries, world.pool.n_rows, world.n_candidates, world.k) == (80, 2400, 10, 4)
    logit = np.log(world.relevance / (1 - world.relevance))
    both = np.hstack([world.generator_features, world.ranker_features[:, 2:]])
    np.testing.assert_array_equal(world.generator_features[:, 4:], world.ranker_features[:, :2])
    assert explained(both, logit) > 0.999
    for view in (world.generator_features, world.ranker_features):
        assert 0.3 < explained(view, logit) < 0.9
    assert world.value(world.logging, "mc", n_samples=300) == pytest.approx(0.70, abs=0.08)
    assert world.ideal() == pytest.approx(2.37, abs=0.06)


def test_the_shift_world_is_the_formula_that_it_discloses() -> None:
    world = shift_world(np.random.default_rng(0))
    first = world.generator_features[:, 0] == 1
    s = world.ranker_features[:, 0] / np.sqrt(12) + 0.5
    assert first.reshape(80, 30).sum(axis=1).tolist() == [9] * 80
    np.testing.assert_allclose(world.relevance, np.where(first, 0.3 + 0.6 * s, 0.45 - 0.4 * s), atol=1e-6)
    assert world.about.startswith("Constructed to separate")
    assert slope(s[first], world.relevance[first]) == pytest.approx(0.6, abs=1e-3)
    assert slope(s, world.relevance) < -0.05


def test_in_the_shift_world_the_right_ranker_depends_on_the_generator() -> None:
    world = shift_world(np.random.default_rng(0), n_queries=30)
    good, s = 20.0 * world.generator_features[:, 0], 20.0 * world.ranker_features[:, 0]

    def value(candidate: np.ndarray, ranker: np.ndarray) -> float:
        return world.value(world.logging.replace(candidate=candidate, ranker=ranker), "mc", n_samples=200)

    joint, independent = value(good, s), value(good, -s)
    assert joint > independent + 0.4
    assert joint > 0.9 * world.ideal()
    assert value(0 * good, -s) > value(0 * good, s) - 0.05
    assert independent < world.value(world.logging, "mc", n_samples=200) < joint


def test_without_disagreement_both_types_of_the_shift_world_want_the_same_ranker() -> None:
    for disagreement, sign in ((0.0, 1), (0.5, 1), (0.75, 1), (0.9, -1), (1.0, -1)):
        world = shift_world(np.random.default_rng(0), n_queries=400, disagreement=disagreement)
        assert np.sign(slope(world.ranker_features[:, 0], world.relevance)) == sign
    agreeing = shift_world(np.random.default_rng(0), disagreement=0)
    second = agreeing.generator_features[:, 0] == 0
    assert slope(agreeing.ranker_features[second, 0], agreeing.relevance[second]) > 0.1
    with pytest.raises(ArgumentError, match=r"disagreement=1.5; expected a number in \[0, 1\]"):
        shift_world(np.random.default_rng(0), disagreement=1.5)


@pytest.mark.parametrize("build", [tiny_world, natural_world, shift_world])
def test_a_world_without_a_query_is_refused(build: Callable[..., World]) -> None:
    with pytest.raises(ArgumentError, match="n_queries=0"):
        build(np.random.default_rng(0), n_queries=0)


# -- MovieLens --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ratings() -> Ratings:
    return lowrank_ratings(np.random.default_rng(0), n_users=120)


def stars_of(ratings: Ratings, world: World) -> np.ndarray:
    """The stars of each row of the pool, looked up by the original ids."""
    users, items = ratings.user_ids[ratings.user].tolist(), ratings.item_ids[ratings.item].tolist()
    stars = dict(zip(zip(users, items, strict=True), ratings.rating.tolist(), strict=True))
    asked = world.pool.query_ids[world.pool.owner()].tolist()
    return np.array([stars[pair] for pair in zip(asked, world.pool.doc_ids.tolist(), strict=True)])


def test_users_are_queries_and_relevance_is_their_stars(ratings: Ratings) -> None:
    world = movielens_world(ratings, n_users=50, items_per_user=25)
    assert world.pool.n_queries == 50
    assert 10 < world.pool.sizes.min() <= world.pool.sizes.max() == 25
    np.testing.assert_allclose(world.relevance, (stars_of(ratings, world) - 1) / 4)
    assert world.generator_features.shape[1] == 5
    assert world.ranker_features.shape[1] == 17
    np.testing.assert_allclose(world.ranker_features.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(world.ranker_features.std(axis=0), 1, atol=1e-4)


def test_what_the_stages_see_is_learnt_from_other_ratings_only(ratings: Ratings) -> None:
    world = movielens_world(ratings, items_per_user=1000)
    users = ratings.user_ids[ratings.user]
    rows = np.isin(
        users * 10_000 + ratings.item_ids[ratings.item],
        world.pool.query_ids[world.pool.owner()] * 10_000 + world.pool.doc_ids,
    )
    assert rows.sum() == world.pool.n_rows
    inverted = replace(ratings, rating=np.where(rows, 6 - ratings.rating, ratings.rating).astype(np.float32))
    other = movielens_world(inverted, items_per_user=1000)
    np.testing.assert_array_equal(other.ranker_features, world.ranker_features)
    np.testing.assert_array_equal(other.generator_features, world.generator_features)
    np.testing.assert_allclose(other.relevance, 1 - world.relevance)


def test_the_stages_see_something_and_the_logging_policy_is_better_than_chance(ratings: Ratings) -> None:
    world = movielens_world(ratings)
    assert explained(world.ranker_features, world.relevance) > 0.2
    assert explained(world.generator_features, world.relevance) > 0.03
    # Popularity is no taste: the two stages see different things.
    assert explained(world.ranker_features, world.generator_features[:, -1].astype(np.float64)) < 0.9
    uniform = world.logging.replace(candidate=np.zeros(world.pool.n_rows), ranker=np.zeros(world.pool.n_rows))
    values = [world.value(policy, "mc", n_samples=100) for policy in (uniform, world.logging)]
    assert values[0] + 0.05 < values[1] < world.ideal() - 0.3


def test_half_a_star_is_no_negative_relevance(ratings: Ratings) -> None:
    halves = replace(ratings, rating=ratings.rating - 0.5)
    world = movielens_world(halves)
    np.testing.assert_allclose(world.relevance, np.maximum(stars_of(halves, world) - 1, 0) / 4)


def test_a_log_of_users_who_share_items_is_found_in_the_pool_again(ratings: Ratings) -> None:
    world = movielens_world(ratings)
    log = world.simulate(300, np.random.default_rng(0))
    query, rows = world.pool.locate(log)
    assert log.query_vocabulary[log.query].tolist() == world.pool.query_ids[query].tolist()
    assert (world.pool.owner()[rows] == query[:, None]).all()
    assert log.doc_vocabulary[log.docs].tolist() == world.pool.doc_ids[rows].tolist()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n_candidates": 500, "items_per_user": 600}, "none of 120 queries"),
        ({"n_candidates": 30, "items_per_user": 30}, "30 documents a query for 30 candidates"),
        ({"n_factors": 120}, "n_factors=120 with 120 users"),
        ({"n_generator_factors": 17}, "n_generator_factors=17"),
        ({"n_generator_factors": 0}, "n_generator_factors=0"),
        ({"n_users": 0}, "number of queries=0"),
        ({"k": 11}, "k=11"),
    ],
)
def test_sizes_that_the_ratings_do_not_allow_are_refused(ratings: Ratings, options: dict[str, int], says: str) -> None:
    with pytest.raises(ArgumentError, match=says):
        movielens_world(ratings, **options)


def test_the_stand_in_has_the_shape_of_movielens_and_says_that_it_is_none() -> None:
    ratings = lowrank_ratings(np.random.default_rng(1))
    assert np.bincount(ratings.user).min() >= 20
    shares = np.bincount(ratings.rating.astype(int), minlength=6)[1:] / len(ratings)
    np.testing.assert_allclose(shares, [0.06, 0.10, 0.26, 0.35, 0.23], atol=0.001)
    counts = np.sort(np.bincount(ratings.item))[::-1]
    # A tenth of the items has more than its share of the ratings.
    assert counts[:40].sum() > 0.2 * counts.sum()
    pairs = ratings.user.astype(np.int64) * ratings.n_items + ratings.item
    assert len(np.unique(pairs)) == len(ratings)
    assert np.bincount(ratings.item).min() > 0
    world = lowrank_world(np.random.default_rng(1), n_users=60)
    assert world.about.startswith("Synthetic:")
    assert "not MovieLens itself" in world.about
    with pytest.raises(ArgumentError, match="n_items=19"):
        lowrank_ratings(np.random.default_rng(0), n_items=19)


# -- LETOR ------------------------------------------------------------------------------------------------------------


def letor_file(folder: Path, sizes: list[int], seed: int = 0) -> RankingDataset:
    rng = np.random.default_rng(seed)
    n = sum(sizes)
    features = rng.exponential(size=(n, 12)).astype(np.float32)
    # A constant feature, and one that is another doubled, carry nothing of their own.
    features[:, 10], features[:, 11] = 1.0, features[:, 0]
    labels = np.clip(np.rint(features[:, :3].sum(axis=1) - 1), 0, 4).astype(np.int32)
    labels[: sizes[0]] = 0
    data = RankingDataset(features, labels, np.concatenate([[0], np.cumsum(sizes)]), 100 + np.arange(len(sizes)))
    write_letor(data, folder / "rank.train")
    return data


def test_graded_labels_become_relevance_with_a_floor(tmp_path: Path) -> None:
    data = letor_file(tmp_path, [20, 9, 8, 40, 20])
    world = letor_world(tmp_path, docs_per_query=25)
    # Query 100 has no relevant document, 102 has no more documents than there are candidates.
    assert world.pool.query_ids.tolist() == [101, 103, 104]
    assert world.pool.sizes.tolist() == [9, 25, 20]
    of_label = 0.1 + 0.9 * (2.0 ** np.arange(5) - 1) / 15
    assert world.pool.doc_ids[:9].tolist() == list(range(20, 29))
    assert world.pool.doc_ids[34:].tolist() == list(range(77, 97))
    np.testing.assert_allclose(world.relevance, of_label[data.labels[world.pool.doc_ids]])


def test_the_documents_of_a_long_query_are_drawn_at_random(tmp_path: Path) -> None:
    letor_file(tmp_path, [20, 40])
    drawn = np.zeros(60)
    for seed in range(60):
        world = letor_world(tmp_path, np.random.default_rng(seed), docs_per_query=10)
        assert len(np.unique(world.pool.doc_ids)) == 10
        drawn[world.pool.doc_ids] += 1
    assert not drawn[:20].any()
    # Binomial with mean 15 and standard deviation 3.4.
    assert drawn[20:].min() >= 3
    assert drawn[20:].max() <= 30


def test_the_views_of_letor_documents_overlap_and_have_unit_variance(tmp_path: Path) -> None:
    letor_file(tmp_path, [30] * 20)
    world = letor_world(tmp_path / "rank.train", n_components=10)
    generator, ranker = world.generator_features, world.ranker_features
    assert (generator.shape[1], ranker.shape[1]) == (4, 8)
    np.testing.assert_array_equal(generator[:, :2], ranker[:, :2])
    together = np.hstack([generator, ranker[:, 2:]]).astype(np.float64)
    np.testing.assert_allclose(np.cov(together.T, ddof=0), np.eye(10), atol=1e-4)
    # Ten features of twelve differ: no component is made of the noise that is left.
    assert letor_world(tmp_path, n_components=50).ranker_features.shape[1] == 8


def test_the_letor_logging_policy_learnt_from_a_few_queries_is_better_than_chance(tmp_path: Path) -> None:
    letor_file(tmp_path, [30] * 60)
    world = letor_world(tmp_path, n_queries=40, n_logging_queries=10)
    assert world.pool.n_queries == 40
    uniform = world.logging.replace(candidate=np.zeros(world.pool.n_rows), ranker=np.zeros(world.pool.n_rows))
    chance, logging = (world.value(policy, "mc", n_samples=100) for policy in (uniform, world.logging))
    assert chance + 0.1 < logging < world.ideal() - 0.1


def test_bad_letor_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        letor_world(tmp_path)
    letor_file(tmp_path, [8, 8])
    with pytest.raises(ArgumentError, match="none of 2 queries has a relevant document and more than n_candidates=8"):
        letor_world(tmp_path)
    with pytest.raises(ArgumentError, match="n_components=0"):
        letor_world(tmp_path, n_components=0)


@pytest.mark.data
def test_the_real_letor_documents_make_a_world() -> None:
    root = os.environ.get("IRWORKS_DATA")
    if root is None:
        pytest.skip("IRWORKS_DATA is not set: the real data sets are elsewhere or absent")
    folder = Path(root) / "ltr" / "letor"
    if not folder.is_dir():
        pytest.skip("ltr/letor is not under IRWORKS_DATA")
    world = letor_world(folder, n_queries=None, docs_per_query=1000)
    data = read_letor(folder / "rank.train")
    keep = np.flatnonzero(
        (data.list_sizes > 8) & [part.max() > 0 for part in np.split(data.labels, data.offsets[1:-1])]
    )
    kept = data.select_queries(keep)
    np.testing.assert_array_equal(world.pool.offsets, kept.offsets)
    np.testing.assert_allclose(world.relevance, 0.1 + 0.9 * (2.0**kept.labels - 1) / 15)
    for view in (world.generator_features, world.ranker_features):
        assert explained(view, world.relevance) > 0.1
    assert world.value(world.logging, "mc", n_samples=50) < world.ideal() - 0.2
