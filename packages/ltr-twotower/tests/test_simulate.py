"""The worlds: built as they say, simulated as they say, and measured as they say."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from irworks.errors import ArgumentError, DataError
from ltr_twotower import TwoTowerClickModel
from ltr_twotower.simulate import (
    World,
    deep_label_world,
    letor_world,
    linear_world,
    omitted_features_world,
    query_effect_world,
    toy_world,
)

GAUSSIAN: dict[str, Callable[..., World]] = {
    "linear": linear_world,
    "omitted-features": omitted_features_world,
    "deep-labels": deep_label_world,
    "query-effect": query_effect_world,
}


@pytest.mark.parametrize("name", GAUSSIAN)
def test_a_world_has_logged_and_held_out_queries_of_the_asked_size(name: str) -> None:
    world = GAUSSIAN[name](np.random.default_rng(0), n_queries=30, k=6)

    assert world.name == name
    for docs in (world.train, world.test):
        assert docs.n_queries == 30
        assert docs.offsets.tolist() == list(range(0, 181, 6))
        assert len(docs.labels) == len(docs.visible) == 180
    assert not np.array_equal(world.train.visible, world.test.visible)
    np.testing.assert_allclose(world.theta, -np.log(np.arange(1, 7)))
    labels = np.concatenate([world.train.labels, world.test.labels])
    np.testing.assert_allclose(np.percentile(labels, [5, 95]), [0, 4], atol=1e-9)
    assert len(world.about) > 80


@pytest.mark.parametrize("name", GAUSSIAN)
def test_the_same_seed_builds_and_logs_the_same_world(name: str) -> None:
    logs = []
    for seed in (1, 1, 2):
        rng = np.random.default_rng(seed)
        world = GAUSSIAN[name](rng, n_queries=5, k=4)
        logs.append((world, world.simulate(50, rng, temperature=0.5)))

    np.testing.assert_array_equal(logs[0][0].train.visible, logs[1][0].train.visible)
    np.testing.assert_array_equal(logs[0][1].clicks, logs[1][1].clicks)
    assert not np.array_equal(logs[0][0].train.visible, logs[2][0].train.visible)


def explained(X: np.ndarray, y: np.ndarray) -> float:
    """R^2 of a linear regression with intercept."""
    design = np.column_stack([X, np.ones(len(X))])
    residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(1 - residual.var() / y.var())


def test_only_the_linear_world_is_linear_in_what_the_tower_sees() -> None:
    seen = {}
    for name, maker in GAUSSIAN.items():
        docs = maker(np.random.default_rng(3), n_queries=300).train
        seen[name] = explained(docs.visible.astype(float), docs.labels)

    assert seen["linear"] == pytest.approx(1, abs=1e-6)
    assert seen["omitted-features"] < 0.95
    assert seen["deep-labels"] < 0.95
    assert seen["query-effect"] < 0.5


def test_the_omitted_features_are_left_out_and_not_changed() -> None:
    full = omitted_features_world(np.random.default_rng(4), n_queries=20, n_features=12, n_omitted=1)
    fewer = omitted_features_world(np.random.default_rng(4), n_queries=20, n_features=12, n_omitted=9)

    assert full.train.visible.shape[1] == 11
    np.testing.assert_array_equal(fewer.train.visible, full.train.visible[:, 8:])
    np.testing.assert_array_equal(fewer.train.labels, full.train.labels)


@pytest.mark.parametrize("n_omitted", [0, 20, 25, -1])
def test_a_world_that_hides_nothing_or_everything_is_refused(n_omitted: int) -> None:
    with pytest.raises(ArgumentError, match="n_omitted"):
        omitted_features_world(np.random.default_rng(0), n_omitted=n_omitted)


def test_the_slope_between_queries_contradicts_the_slope_within() -> None:
    docs = query_effect_world(np.random.default_rng(5), n_queries=400, k=10).train
    X, y = (values.reshape(400, 10, -1) for values in (docs.visible.astype(float), docs.labels))

    centred = [values - values.mean(1, keepdims=True) for values in (X, y)]
    within = np.linalg.lstsq(centred[0].reshape(4000, -1), centred[1].ravel())[0]
    between = np.linalg.lstsq(X.mean(1) - X.mean((0, 1)), y.mean(1).ravel() - y.mean())[0]

    assert np.corrcoef(within, between)[0, 1] < -0.9


def test_the_toy_has_cut_normal_relevance_and_no_features() -> None:
    world = toy_world(np.random.default_rng(6), n_queries=400, k=5)
    logits = world.train.labels - 2

    assert np.abs(logits).max() <= 2
    assert 0.7 < logits.std() < 1
    assert world.train.visible.shape == (2000, 0)


# -- logging ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world() -> World:
    return linear_world(np.random.default_rng(7), n_queries=12, k=5, n_features=3)


@pytest.mark.parametrize("strength", [1.0, -1.0])
def test_a_cold_policy_shows_documents_by_label_or_by_its_inverse(world: World, strength: float) -> None:
    log = world.simulate(200, np.random.default_rng(0), temperature=0.0, strength=strength)

    shown = strength * world.train.labels[log.docs]
    assert (np.diff(shown, axis=1) <= 0).all()
    assert (log.propensities == 1).all()
    assert (log.docs // 5 == log.query[:, None]).all()


def test_a_random_ranker_pays_no_heed_to_the_labels(world: World) -> None:
    big = linear_world(np.random.default_rng(8), n_queries=300, k=5, n_features=3)
    log = big.simulate(4000, np.random.default_rng(0), temperature=0.0, strength=0.0)

    labels = big.train.labels[log.docs]
    assert np.ptp(labels.mean(axis=0)) < 0.4
    assert len({tuple(row) for row in log.docs}) == log.n_queries


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_the_logged_propensities_are_the_shares_of_placement(world: World, temperature: float) -> None:
    log = world.simulate(20_000, np.random.default_rng(1), temperature=temperature)

    top = 0
    order = np.argsort(-world.train.labels[:5])
    first = log.query == 0
    for rank in range(5):
        share = (log.docs[first, rank] == order[top]).mean()
        known = (1 - temperature) * (rank == top) + temperature / 5
        assert abs(share - known) < 4 * np.sqrt(known * (1 - known) / first.sum())
        placed = log.propensities[first, rank][log.docs[first, rank] == order[top]]
        np.testing.assert_allclose(placed, known)


def test_clicks_follow_the_additive_model(world: World) -> None:
    log = world.simulate(40_000, np.random.default_rng(2), temperature=0.5)
    p = expit(world.theta + world.train.labels[log.docs] - 2)

    surplus = (log.clicks - p).sum(axis=0)

    assert (np.abs(surplus) < 4.5 * np.sqrt((p * (1 - p)).sum(axis=0))).all()
    bins = np.digitize(p, np.quantile(p, [0.25, 0.5, 0.75]))
    for part in range(4):
        assert log.clicks[bins == part].mean() == pytest.approx(p[bins == part].mean(), abs=0.01)


def test_the_log_carries_the_features_of_its_pairs(world: World) -> None:
    log = world.simulate(300, np.random.default_rng(3), temperature=0.5)

    np.testing.assert_array_equal(log.features, world.train.visible[log.pairs.doc])


@pytest.mark.parametrize("temperature", [-0.1, 1.1, float("nan")])
def test_a_temperature_outside_the_unit_interval_is_refused(world: World, temperature: float) -> None:
    with pytest.raises(ArgumentError, match="temperature"):
        world.simulate(10, np.random.default_rng(0), temperature=temperature)


@pytest.mark.parametrize("sessions", [0, -5])
def test_no_sessions_are_refused(world: World, sessions: int) -> None:
    with pytest.raises(ArgumentError, match="n_sessions"):
        world.simulate(sessions, np.random.default_rng(0), temperature=0.5)


# -- measuring --------------------------------------------------------------------------------------------------------


def test_a_fitted_model_of_the_linear_world_ranks_held_out_documents_perfectly(world: World) -> None:
    model = TwoTowerClickModel("linear").fit(world.simulate(20_000, np.random.default_rng(4), temperature=0.5))

    assert world.ndcg(model) > 0.99
    assert world.ndcg(model, "train", "nDCG@3") > 0.99
    model.coef_ = -model.coef_
    assert world.ndcg(model) < 0.85


def test_the_error_of_theta_leaves_the_first_rank_out(world: World) -> None:
    model = TwoTowerClickModel("linear").fit(world.simulate(500, np.random.default_rng(5), temperature=0.5))

    model.position_bias_ = world.theta + np.array([9.0, 0.1, -0.1, 0.3, 0.1])

    assert world.theta_error(model) == pytest.approx(0.15)


# -- real documents ---------------------------------------------------------------------------------------------------


def write_letor(folder: Path, names: tuple[str, str]) -> None:
    """Five queries of 3 to 7 documents, of which one has no relevant document."""
    rng = np.random.default_rng(9)
    for name in names:
        lines = []
        for query in range(5):
            for doc in range(3 + query):
                label = 0 if query == 2 else int(rng.integers(0, 5)) + (doc == 0)
                values = " ".join(f"{j + 1}:{value:.3f}" for j, value in enumerate(rng.exponential(size=6)))
                lines.append(f"{min(label, 4)} qid:{query} {values}")
        (folder / name).write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("relevance", ["original", "linear", "deep"])
def test_a_fold_of_letor_files_becomes_a_world(tmp_path: Path, relevance: Any) -> None:
    write_letor(tmp_path, ("train.txt", "test.txt"))

    world = letor_world(tmp_path, np.random.default_rng(0), relevance=relevance, k=4, n_components=3, n_visible=2)

    assert world.name == f"letor-{relevance}"
    # Four of five queries have a relevant document, and at most the four best documents stay.
    assert world.train.n_queries == 4
    assert np.diff(world.train.offsets).tolist() == [3, 4, 4, 4]
    assert world.train.visible.shape == (15, 2)
    assert world.test.visible.shape == (len(world.test.labels), 2)
    assert world.theta.shape == (4,)
    if relevance == "original":
        assert set(world.train.labels) <= {0.0, 1.0, 2.0, 3.0, 4.0}
    log = world.simulate(100, np.random.default_rng(1), temperature=0.5)
    assert (log.shown.sum(axis=1) == np.diff(world.train.offsets)[log.query]).all()


def test_the_best_labelled_documents_are_the_candidates(tmp_path: Path) -> None:
    write_letor(tmp_path, ("train.txt", "test.txt"))

    four, all_of_them = (letor_world(tmp_path, k=k, n_components=None).train for k in (4, 50))

    for query in range(4):
        best = np.sort(all_of_them.labels[all_of_them.offsets[query] : all_of_them.offsets[query + 1]])[::-1][:4]
        assert four.labels[four.offsets[query] : four.offsets[query + 1]].tolist() == best.tolist()


def test_a_folder_without_letor_files_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.txt"):
        letor_world(tmp_path)


@pytest.mark.data
def test_the_real_letor_documents_make_a_world(letor_folder: Path) -> None:
    world = letor_world(letor_folder)

    for docs, name in ((world.train, "rank.train"), (world.test, "rank.test")):
        labels = np.array([int(line.split(maxsplit=1)[0]) for line in (letor_folder / name).open()])
        sizes = np.loadtxt(letor_folder / f"{name}.query", dtype=int)
        queries = [part for part in np.split(labels, np.cumsum(sizes)[:-1]) if part.max() > 0]
        assert docs.n_queries == len(queries)
        expected = np.concatenate([np.sort(part)[::-1][:10] for part in queries])
        assert docs.labels.tolist() == expected.tolist()
    assert world.train.visible.shape == (len(world.train.labels), 20)
    assert np.isfinite(world.train.visible).all()
    assert np.diff(world.train.offsets).max() == 10
    # Principal components of the training queries are uncorrelated over the documents they were learnt on.
    correlation = np.corrcoef(world.train.visible.astype(float).T)
    assert np.abs(correlation - np.eye(20)).max() < 1e-3
