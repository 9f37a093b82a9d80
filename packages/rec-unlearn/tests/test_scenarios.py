"""Scenarios: what is planted is there, and what is asked for is what was planted."""

import numpy as np
import pytest

from irworks.errors import ArgumentError
from rec_unlearn.requests import resolve
from rec_unlearn.scenarios import (
    accounts,
    bandwagon,
    canaries,
    cluster_kind,
    interactions,
    popular_kind,
    sensitive,
    spam,
    with_step,
)
from rec_unlearn.simulate import simulate_baskets

WORLD = simulate_baskets(np.random.default_rng(1), n_users=150, n_items=200, n_categories=8)
LOG = WORLD.log


def rng(seed=0):
    return np.random.default_rng(seed)


def test_a_world_has_its_tastes_repeats_and_categories():
    assert sum(len(items) for items in WORLD.categories.values()) == LOG.n_items
    steps = np.unique(np.stack([LOG.user, LOG.step]), axis=1)
    assert 4 <= np.bincount(steps[0]).min() <= np.bincount(steps[0]).max() <= 12
    favourite = WORLD.tastes.max(axis=1) > 0.1
    shown = LOG.matrix().toarray()[favourite]
    assert np.corrcoef(shown.ravel(), WORLD.tastes[favourite].ravel())[0, 1] > 0.4
    quiet, loyal = (simulate_baskets(rng(2), repeat=share).log.matrix() for share in (0.0, 0.9))
    assert loyal.data.mean() > 1.3 * quiet.data.mean()
    with pytest.raises(ArgumentError, match="n_items=3"):
        simulate_baskets(rng(), n_items=3)


def test_spam_copies_real_users_and_pushes_one_item():
    scenario = spam(LOG, rng(), n=7, rank=50)
    [target] = scenario.targets
    assert scenario.log.n_users == LOG.n_users + 7
    for request in scenario.requests:
        rows = scenario.log.rows_of([scenario.log.user_code(request.user)])
        item, step = scenario.log.item[rows], scenario.log.step[rows]
        assert set(step[item == target]) == set(step)
        copied = {(s, i) for s, i in zip(step, item, strict=True) if i != target}
        assert any(
            copied <= set(zip(LOG.step[LOG.user == user], LOG.item[LOG.user == user], strict=True))
            for user in range(LOG.n_users)
        )
    removal = resolve(scenario.requests, scenario.log)
    assert np.array_equal(removal.after.item, LOG.item)
    assert np.array_equal(removal.after.step, LOG.step)
    assert scenario.users.max() < LOG.n_users


def test_bandwagon_accounts_take_popular_items_and_push_unpopular_ones():
    scenario = bandwagon(LOG, rng(), n=5, n_targets=2)
    counts = np.bincount(LOG.item, minlength=LOG.n_items)
    assert counts[scenario.targets].max() <= np.median(counts[counts > 0])
    fraud = scenario.log.item[scenario.log.user >= LOG.n_users]
    assert counts[fraud[~np.isin(fraud, scenario.targets)]].min() >= np.sort(counts)[-4]


def test_canaries_are_planted_in_turn_and_controls_never():
    scenario = canaries(LOG, rng(), n_pairs=5, taken=(1, 15))
    assert len(scenario.requests) == 10
    assert not set(scenario.pairs.ravel()) & set(scenario.controls.ravel())
    first = scenario.log.rows_of([LOG.n_users])
    steps = {item: set(scenario.log.step[first][scenario.log.item[first] == item]) for item in scenario.pairs[0]}
    assert all(step % 2 == 0 for step in steps[scenario.pairs[0][0]])
    assert {step % 2 for step in steps[scenario.pairs[0][1]]} >= {1}
    with pytest.raises(ArgumentError, match="expected at least 4000"):
        canaries(LOG, rng(), n_pairs=1000)


@pytest.mark.parametrize("items", [popular_kind(LOG, every=4, ranks=(2, 40)), cluster_kind(LOG, rank=5, n=8)])
def test_sensitive_requests_name_what_each_user_took(items):
    scenario = sensitive(LOG, rng(), items, n=10, least=2)
    for request in scenario.requests:
        user = LOG.user_code(request.user)
        assert {LOG.item_code(item) for item in request.items} == set(LOG.items_of(user)) & set(scenario.targets)
        assert np.isin(LOG.item[LOG.user == user], scenario.targets).sum() >= 2
    with pytest.raises(ArgumentError, match="can ask"):
        sensitive(LOG, rng(), items, n=10_000)


def test_a_cluster_is_taken_by_the_same_users():
    items = np.array([LOG.item_code(item) for item in cluster_kind(LOG, rank=5, n=8)])
    category = items % 8
    assert np.bincount(category).max() >= 5


@pytest.mark.parametrize("kind", ["random", "popular", "unpopular"])
def test_interactions_are_asked_for_until_the_fraction_is_reached(kind):
    scenario = interactions(LOG, rng(), kind=kind, fraction=0.01)
    pairs = sum(len(request.items) for request in scenario.requests)
    assert 0.5 * 0.01 * len(LOG) <= pairs <= 0.01 * len(LOG) + 1
    counts = np.bincount(LOG.item, minlength=LOG.n_items)
    if kind != "random":
        bound = np.sort(counts[counts > 0])[:: -1 if kind == "popular" else 1][LOG.n_items // 10]
        assert (counts[scenario.targets] >= bound if kind == "popular" else counts[scenario.targets] <= bound).all()
    with pytest.raises(ArgumentError, match="fraction=0"):
        interactions(LOG, rng(), fraction=0)


def test_accounts_are_real_users_who_ask_for_everything():
    scenario = accounts(LOG, rng(), n=6)
    removal = resolve(scenario.requests, scenario.log)
    assert len(removal.emptied_users) == 6
    assert not np.isin(removal.users, scenario.users).any()


def test_a_step_is_added_behind_every_history():
    longer = with_step(LOG, 3)
    assert len(longer) == len(LOG) + len(LOG.active_users)
    ends = longer.user_offsets[1:] - 1
    assert (longer.item[ends] == 3).all()
    assert (longer.step[ends] == LOG.step[LOG.user_offsets[1:] - 1] + 1).all()
