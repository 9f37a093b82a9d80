"""The audit: areas and intervals against brute force, verdicts on models whose state is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from irworks.errors import ArgumentError
from rec_unlearn.audit import (
    Measured,
    auc,
    audit,
    canary_auc,
    likelihood_ratio,
    loss_attack,
    sequence_loss,
    user_losses,
)
from rec_unlearn.data import leave_last_out
from rec_unlearn.models.sequence import NextBasketGRU
from rec_unlearn.models.torch_base import TrainConfig
from rec_unlearn.requests import DeletionRequest, resolve
from rec_unlearn.scenarios import accounts, spam
from rec_unlearn.simulate import simulate_baskets

SCORES = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=12)


@given(SCORES, SCORES)
def test_the_area_counts_pairs(positive, negative):
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    found = auc(positive, negative)
    assert found.value == pytest.approx(np.mean(pairs))
    assert 0 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(shift):
    from math import erf

    rng, truth = np.random.default_rng(5), (1 + erf(shift / 2)) / 2
    found = [auc(rng.normal(shift, 1, 40), rng.normal(0, 1, 60)) for _ in range(400)]
    assert 0.92 <= np.mean([one.low <= truth <= one.high for one in found]) <= 0.98


def test_perfect_separation_has_an_interval_and_an_empty_group_none():
    found = auc([2.0, 3, 4], [0.0, 1])
    assert found.value == 1
    assert 0.1 < found.low < 1
    assert auc(np.ones(30), np.zeros(90)).low > 0.85
    with pytest.raises(ArgumentError, match=r"negative has shape \(0,\)"):
        auc([1.0], [])


@pytest.mark.parametrize(
    ("value", "untouched", "retrained", "verdict"),
    [
        (0.02, 0.5, (0.0, 0.03), "removed within noise"),
        (0.5, 0.5, (0.0, 0.03), "not removed"),
        (0.2, 0.5, (0.0, 0.03), "partly"),
        (-0.2, 0.5, (0.0, 0.03), "overshot"),
        (0.0, 0.04, (0.0, 0.03), "cannot tell"),
        (9.0, 2.0, (8.0, 9.5, 9.0), "removed within noise"),
        (15.0, 2.0, (8.0, 9.5, 9.0), "overshot"),
        (-np.inf, -3.0, (-8.0, -8.1), "overshot"),
    ],
)
def test_a_measure_is_judged_by_its_controls(value, untouched, retrained, verdict):
    assert Measured("share", value, untouched, retrained).verdict == verdict


def test_one_retrained_model_shows_no_noise():
    with pytest.raises(ArgumentError, match="at least two seeds"):
        Measured("share", 0, 0, (0.0,))


WORLD = simulate_baskets(np.random.default_rng(3), n_users=260, n_items=80, n_categories=4, n_baskets=(5, 9))
LOG, OTHERS = WORLD.log.of_users(np.arange(200)), WORLD.log.of_users(np.arange(200, 260))
CONFIG = TrainConfig(epochs=12, lr=1e-2, batch_size=32, device="cpu")


class Masked:
    """A model whose output hides items: what some call removal."""

    def __init__(self, model, items):
        self.model, self.items, self.losses = model, items, model.losses

    def scores(self, log, users):
        scores = self.model.scores(log, users).copy()
        scores[:, self.items] = -np.inf
        return scores


def fit(log, seed):
    return NextBasketGRU(16, train=CONFIG).fit(log, seed=seed)


def controls(scenario):
    removal = resolve(scenario.requests, scenario.log)
    return {
        "scenario": scenario,
        "removal": removal,
        "untouched": fit(scenario.log, 1),
        "retrained": [fit(removal.after, seed) for seed in (1, 2, 3)],
        "references": [fit(removal.after, seed) for seed in (11, 12)],
        "another": fit(removal.after, 21),
    }


@pytest.fixture(scope="module")
def spammed():
    return controls(spam(LOG, np.random.default_rng(4), n=12, rank=60))


@pytest.fixture(scope="module")
def closed():
    return controls(accounts(LOG, np.random.default_rng(4), n=40))


def run(state, model, **changes):
    given_ = {name: state[name] for name in ("untouched", "retrained", "references")}
    arguments = {**given_, "others": OTHERS, "targets": state["scenario"].targets, "users": state["scenario"].users}
    return audit(model, state["removal"], **{**arguments, "split": leave_last_out(LOG), **changes})


def verdicts(found):
    return {one.name: one.verdict for one in found.measures}


def test_a_placebo_is_not_removed_and_a_retrained_model_of_another_seed_is(spammed):
    assert run(spammed, spammed["untouched"]).verdict == "not removed"
    found = run(spammed, spammed["another"])
    assert found.verdict == "removed within noise"
    assert verdicts(found)["share shown a target"] == "removed within noise"
    assert found.utility.kept
    assert "share shown a target" in found.to_frame()["measure"].tolist()


def test_an_output_that_hides_the_items_is_found_out_by_the_loss(spammed):
    found = run(spammed, Masked(spammed["untouched"], spammed["scenario"].targets))
    assert verdicts(found)["share shown a target"] == "removed within noise"
    assert verdicts(found)["loss of the affected users"] == "not removed"
    assert found.verdict == "not removed"


def test_without_retrained_models_membership_decides(closed):
    assert run(closed, closed["untouched"], retrained=()).verdict == "not removed"
    found = run(closed, closed["another"], retrained=())
    assert found.verdict == "removed within noise"
    assert "told from users never seen" in str(found)


def test_there_must_be_something_to_compare_with(closed):
    with pytest.raises(ArgumentError, match="nothing to compare with"):
        run(closed, closed["untouched"], retrained=(), references=())
    with pytest.raises(ArgumentError, match="one retrained model"):
        run(closed, closed["untouched"], retrained=closed["retrained"][:1])


def test_the_attack_with_references_is_stronger_than_the_plain_one(closed):
    members = closed["removal"].before.of_users(closed["removal"].users)
    plain = loss_attack(closed["untouched"], members, OTHERS)
    informed = likelihood_ratio(closed["untouched"], members, OTHERS, closed["references"])
    assert informed.value > plain.value
    assert informed.low > 0.8


def test_losses_without_a_loss_come_from_scores(closed):
    class Scores:
        scores = closed["untouched"].scores

    log = OTHERS
    found = user_losses(Scores(), log, log.active_users)
    assert found.tolist() == sequence_loss(closed["untouched"], log, log.active_users).tolist()
    train, test = leave_last_out(log)
    user = log.active_users[3]
    logits = closed["untouched"].scores(train, np.array([user]))[0].astype(np.float64)
    log_softmax = logits - np.log(np.exp(logits).sum())
    assert found[3] == pytest.approx(-log_softmax[test.items_of(user)].mean(), rel=1e-5)


def test_what_has_left_the_catalogue_is_far_away_but_not_infinitely():
    from rec_unlearn.models.itemknn import ItemKNN

    item, asked = int(WORLD.log.item[0]), WORLD.log.active_users[:1]
    removal = resolve([DeletionRequest(items=[WORLD.log.item_ids[item]])], WORLD.log)
    before, after = ItemKNN(5).fit(WORLD.log), ItemKNN(5).fit(removal.after)
    found = audit(after, removal, untouched=before, retrained=[after, after], targets=[item], users=asked)
    measured = {one.name: one for one in found.measures}
    assert measured["log-probability of the targets"].verdict == "removed within noise"
    assert np.isfinite([one.gap for one in found.measures]).all()
    losses = sequence_loss(after, WORLD.log, WORLD.log.active_users)
    assert np.isfinite(losses).all()
    assert likelihood_ratio(after, WORLD.log, OTHERS, [after]).value == 0.5


def test_planted_pairs_score_above_others_in_a_model_that_knows_them():
    class Knows:
        def scores(self, log, users):
            ends = log.user_offsets[np.asarray(users) + 1] - 1
            scores = np.zeros((len(users), log.n_items))
            scores[np.arange(len(users)), (log.item[ends] + 1) % log.n_items] = 2.0
            return scores

    pairs = np.array([[0, 1], [4, 5], [8, 9]])
    found, nats = canary_auc(Knows(), WORLD.log, np.arange(20), pairs, pairs[:, ::-1])
    assert found.value == 1
    assert nats == pytest.approx(2.0)
