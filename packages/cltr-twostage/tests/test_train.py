import subprocess
import sys
import warnings
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from cltr_twostage import (
    ClickLog,
    DirectMethod,
    DoublyRobust,
    ExposureIPS,
    ItemPositionIPS,
    Pool,
    SlateIPS,
    TwoStagePolicy,
)
from cltr_twostage.learning.ascent import Ascent, Learned, LearningWarning, Progress
from cltr_twostage.learning.models import LinearScores, TableScores
from cltr_twostage.learning.safe import ExposureTracker, Safe, safe_share
from cltr_twostage.mixture import MixturePolicy
from cltr_twostage.simulate import natural_world, shift_world, tiny_world
from cltr_twostage.train import TwoStageLearner
from irworks.errors import ArgumentError, DataError

pytestmark = pytest.mark.filterwarnings("ignore::cltr_twostage.LearningWarning")

MODES = ["alternating", "joint", "independent", "ranker_only", "candidate_only"]


class Setting:
    """A world, its log, and what a learner is given of them."""

    def __init__(self, make, n_sessions, seed=0, **sizes):
        rng = np.random.default_rng(seed)
        self.world = make(rng, **sizes)
        self.log = self.world.simulate(n_sessions, rng)
        self.estimator = ExposureIPS(self.world.examination, self.world.rank_weights, n_samples=200)

    def fit(self, learner, **changes):
        world = self.world
        options = {"logging": world.logging, "estimator": self.estimator} | changes
        features = options.pop("features", (world.generator_features, world.ranker_features))
        return learner.fit(options.pop("log", self.log), *features, **options)

    def fit_relevance(self, learner, **changes):
        world = self.world
        options = {"rank_weights": world.rank_weights, "logging": world.logging} | changes
        features = options.pop("features", (world.generator_features, world.ranker_features))
        return learner.fit_relevance(options.pop("relevance", world.relevance), *features, **options)

    def value(self, policy):
        exposure = policy.exposure(self.world.rank_weights, "mc", n_samples=2000).value
        return float(self.world.query_weights[self.world.pool.owner()] * exposure @ self.world.relevance)


@pytest.fixture(scope="module")
def shift():
    return Setting(shift_world, 4000, n_queries=20)


@pytest.fixture(scope="module")
def natural():
    return Setting(natural_world, 6000, n_queries=30)


@pytest.fixture(scope="module")
def tiny():
    return Setting(tiny_world, 2000, n_queries=3)


SHORT = {"n_steps": 200, "eval_samples": 32}
QUICK = {"n_steps": 40, "eval_every": 10, "eval_samples": 32, "n_samples": 8}


def scores(policy):
    return policy.candidate_scores, policy.ranker_scores


def assert_same_history(first, second):
    looks = [[(look.step, look.objective, look.held_out) for look in one.history_] for one in (first, second)]
    np.testing.assert_array_equal(*looks)


def assert_same(first, second):
    for one, other in zip(scores(first.learned_policy_), scores(second.learned_policy_), strict=True):
        np.testing.assert_array_equal(one, other)


# -- what is learned --------------------------------------------------------------------------------------------------


def test_where_the_stages_disagree_learning_both_beats_learning_each_for_itself(shift):
    values = {mode: shift.value(shift.fit(TwoStageLearner(mode, **SHORT)).policy_) for mode in MODES}
    assert values["alternating"] > values["independent"] + 0.4
    assert values["joint"] > values["independent"] + 0.4
    assert values["alternating"] > 0.9 * shift.world.ideal()
    # One stage alone gets half the way.
    for alone in ("ranker_only", "candidate_only"):
        assert shift.value(shift.world.logging) < values[alone] < values["alternating"]


def test_where_the_stages_agree_learning_both_is_no_worse(natural):
    together, alone = (
        natural.value(natural.fit(TwoStageLearner(mode, **SHORT)).policy_) for mode in ("joint", "independent")
    )
    assert together > alone - 0.02
    assert together > natural.value(natural.world.logging) + 1


@pytest.mark.parametrize("gradients", [("credit", "plrank"), ("reinforce", "reinforce")])
def test_tables_with_known_relevance_find_the_best_documents(tiny, gradients):
    learner = TwoStageLearner(
        candidate="table", ranker="table", candidate_gradient=gradients[0], ranker_gradient=gradients[1]
    )
    learner = tiny.fit_relevance(replace(learner, n_steps=600, learning_rate=0.3), features=(None, None))
    assert tiny.value(learner.policy_) > 0.98 * tiny.world.ideal()
    assert learner.history_[-1].objective == pytest.approx(tiny.value(learner.policy_), rel=0.05)


def test_alone_each_stage_prefers_what_is_relevant_by_itself(shift):
    learner = shift.fit_relevance(TwoStageLearner("independent", candidate="table", ranker="table"), features=())
    relevance, pool = shift.world.relevance, shift.world.pool
    for table in scores(learner.policy_):
        correlations = [
            np.corrcoef(table[first:last], relevance[first:last])[0, 1]
            for first, last in zip(pool.offsets[:-1], pool.offsets[1:], strict=True)
        ]
        assert np.mean(correlations) > 0.6


@pytest.mark.parametrize(("mode", "kept"), [("ranker_only", 0), ("candidate_only", 1)])
def test_a_stage_that_is_not_learned_stays_that_of_the_logging_policy(tiny, mode, kept):
    learner = tiny.fit(TwoStageLearner(mode, **QUICK))
    before, after = scores(tiny.world.logging), scores(learner.policy_)
    np.testing.assert_array_equal(after[kept], before[kept])
    assert not np.array_equal(after[1 - kept], before[1 - kept])
    assert (learner.candidate_scorer_ is None) == (kept == 0)


def test_even_steps_train_the_generator_and_odd_ones_the_ranker(tiny):
    first, second = (tiny.fit_relevance(TwoStageLearner(n_steps=n)) for n in (1, 2))
    assert first.learned_policy_.candidate_scores.any()
    assert not first.learned_policy_.ranker_scores.any()
    np.testing.assert_array_equal(first.learned_policy_.candidate_scores, second.learned_policy_.candidate_scores)
    assert second.learned_policy_.ranker_scores.any()


def test_batches_of_queries_learn_what_all_of_them_do(shift):
    learner = shift.fit(TwoStageLearner(batch_queries=7))
    assert shift.value(learner.policy_) > 0.88 * shift.world.ideal()


@pytest.mark.parametrize("estimator", [DirectMethod, DoublyRobust])
def test_relevance_of_other_estimators_is_learned_from_as_well(shift, estimator):
    world = shift.world
    learner = shift.fit(
        TwoStageLearner(**QUICK), estimator=estimator(world.examination, world.rank_weights, n_samples=64)
    )
    assert shift.value(learner.policy_) > shift.value(world.logging)


def test_a_ridge_keeps_weights_small(tiny):
    free, held = (tiny.fit_relevance(TwoStageLearner(l2=l2)) for l2 in (0.0, 1.0))
    assert np.abs(held.candidate_scorer_.weights).max() < 0.5 * np.abs(free.candidate_scorer_.weights).max()


def test_several_logs_of_several_policies_are_learned_from_together(tiny):
    world, rng = tiny.world, np.random.default_rng(3)
    other = world.logging.replace(candidate=rng.normal(size=world.pool.n_rows))
    logs = [tiny.log, world.simulate(1000, rng, policy=other)]
    learner = tiny.fit(TwoStageLearner(**QUICK), log=logs, logging=[world.logging, other])
    assert learner.held_out_.collapsed_.n_parts == 2
    assert tiny.value(learner.policy_) > tiny.value(world.logging)


@pytest.mark.parametrize("given", [True, False])
def test_a_log_without_a_logging_policy_is_learned_from_over_all_its_documents(tiny, given):
    log = tiny.log.select(slice(0, 8))
    pool = tiny.world.pool if given else Pool.from_log(log)
    # No part of the log shows all of it.
    assert Pool.from_log(log.select(slice(0, 4))).n_rows < Pool.from_log(log).n_rows
    X = np.arange(pool.n_rows)[:, None]
    learner = TwoStageLearner(n_candidates=4, k=3, held_out=0.5, **QUICK)
    learner.fit(
        log,
        X,
        X,
        logging="counts",
        estimator=ExposureIPS(tiny.world.examination, support="drop"),
        pool=pool if given else None,
    )
    assert learner.policy_.pool.n_rows == learner.held_out_.pool_.n_rows == pool.n_rows


def test_documents_that_the_log_cannot_speak_of_keep_out():
    setting = Setting(tiny_world, 500, n_queries=3)
    hidden = setting.world.ranker_features[:, 0] > 1
    assert hidden.any()
    ranker = np.where(hidden, -np.inf, setting.world.logging.ranker_scores)
    world = replace(setting.world, logging=setting.world.logging.replace(ranker=ranker))
    setting.world, setting.log = world, world.simulate(2000, np.random.default_rng(0))
    learner = setting.fit(TwoStageLearner(**QUICK))
    assert (world.logging.exposure(world.examination).value[hidden] == 0).all()
    assert np.isneginf(learner.policy_.ranker_scores[hidden]).all()
    # So the log can tell what the policy is worth.
    assert setting.estimator.fit(setting.log, world.logging).value(learner.policy_).support_gap == 0


# -- the held-out part ------------------------------------------------------------------------------------------------


def test_the_step_that_looks_best_on_the_held_out_part_is_kept(tiny):
    learner = tiny.fit(TwoStageLearner(candidate="table", ranker="table", n_steps=200, eval_every=10, patience=100))
    looks = {look.step: look.held_out for look in learner.history_}
    assert list(looks) == list(range(0, 201, 10))
    assert looks[learner.best_step_] == max(looks.values())
    stopped = tiny.fit(
        TwoStageLearner(candidate="table", ranker="table", n_steps=learner.best_step_, eval_every=10, patience=100)
    )
    assert_same(stopped, learner)


def test_learning_ends_when_the_held_out_part_has_not_improved_for_a_while(tiny):
    noise = tiny.log.select(np.arange(60))
    learner = tiny.fit(
        TwoStageLearner(candidate="table", ranker="table", n_steps=2000, eval_every=5, patience=3), log=noise
    )
    last = learner.history_[-1].step
    assert last < 2000
    assert last == learner.best_step_ + 15


def numbered(n):
    """A log of `n` sessions, each with a query of its own."""
    return ClickLog(np.arange(n), np.zeros((n, 1), int), np.ones((n, 1)), query_ids=np.arange(n), doc_ids=[0])


def numbers(logs):
    return [int(query) for one in logs for query in one.query_vocabulary[one.query]]


def test_what_is_held_out_and_what_is_learned_from_are_the_log_and_share_no_session():
    log = numbered(40)
    learner = TwoStageLearner(held_out=0.25)
    for train, held_out in (
        [[part] for part in learner._split(log)],
        learner._split([log.select(slice(0, 25)), log.select(slice(25, 40))]),
    ):
        assert sorted(numbers(train) + numbers(held_out)) == list(range(40))
        assert len(numbers(held_out)) == pytest.approx(10, abs=1)


@pytest.mark.parametrize("of_held_out", [True, False])
def test_what_is_learned_depends_on_no_click_that_is_held_out(tiny, of_held_out):
    learner, log = TwoStageLearner(held_out=0.25, patience=100, **QUICK), tiny.log
    train, held_out = learner._split(numbered(len(log)))
    silent = np.isin(np.arange(len(log)), numbers([held_out if of_held_out else train]))
    silenced = replace(log, clicks=log.clicks & ~silent[:, None])
    before, after = (tiny.fit(replace(learner), log=one).history_ for one in (log, silenced))
    same = [[getattr(a, name) == getattr(b, name) for a, b in zip(before[1:], after[1:], strict=True)]
            for name in ("objective", "held_out")]  # fmt: skip
    assert all(same[0]) == of_held_out
    assert not any(same[1 if of_held_out else 0])


def test_the_held_out_part_is_as_large_as_asked_for_and_values_the_policy(tiny):
    learner = tiny.fit(TwoStageLearner(held_out=0.25, **QUICK))
    assert learner.held_out_.collapsed_.total == 500
    assert learner.history_[-1].held_out == pytest.approx(learner.held_out_.value(learner.policy_).value, abs=0.1)
    everything = tiny.fit(TwoStageLearner(held_out=0, **QUICK))
    assert everything.held_out_ is None
    assert everything.best_step_ == 40
    assert np.isnan(everything.history_[-1].held_out)


def test_learning_that_stops_while_it_still_improves_is_told_once_where_it_was_called(shift):
    learner = TwoStageLearner(n_steps=40, eval_samples=32)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        shift.fit(learner)
        # Where nothing is held out, nobody can say.
        shift.fit(replace(learner, held_out=0))
    (warning,) = (one for one in caught if one.category is LearningWarning)
    assert "stopped at n_steps=40 while still improving" in str(warning.message)
    assert warning.filename == __file__


@pytest.mark.parametrize("make", [shift_world, natural_world])
def test_the_usual_number_of_steps_is_enough_in_the_worlds_that_come_along(make):
    setting = Setting(make, 8000, n_queries=20)
    with warnings.catch_warnings():
        warnings.simplefilter("error", LearningWarning)
        setting.fit(TwoStageLearner(eval_samples=32))


@pytest.mark.parametrize(
    ("values", "improving"),
    [
        ([0.5, 0.6, 0.7, 0.8, 0.9], True),
        ([0.5, 0.9, 0.95, 0.96, 0.97], False),
        ([0.5, 0.9, 0.95, 0.96, 0.99], True),
        # The last step is not the best one.
        ([0.5, 0.6, 0.7, 0.91, 0.9], False),
        # All of it is within noise.
        ([0.900, 0.901, 0.899, 0.900, 0.905], False),
        ([-0.9, -0.7, -0.5, -0.3, -0.1], True),
        ([0.5], False),
        ([np.nan] * 5, False),
    ],
)
def test_what_counts_as_still_improving(values, improving):
    history = [Progress(10 * number, 0.0, value) for number, value in enumerate(values)]
    best = int(np.nanargmax(values)) if not np.isnan(values).any() else len(values) - 1
    learned = Learned(history[-1].step, history, history[best].step, values[best])
    assert learned.still_improving() == improving


# -- the same again ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_the_same_seed_gives_the_same_policy(tiny, mode):
    first, second, other = (tiny.fit(TwoStageLearner(mode, random_state=seed, **QUICK)) for seed in (1, 1, 2))
    assert_same(first, second)
    assert_same_history(first, second)
    assert any(
        not np.array_equal(*pair)
        for pair in zip(scores(first.learned_policy_), scores(other.learned_policy_), strict=True)
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"candidate": "table", "ranker": "table", "batch_queries": 2},
        {"mode": "joint", "safe": Safe(1.5)},
        {"mode": "independent"},
        {"patience": 1},
    ],
)
def test_an_interrupted_run_ends_as_if_nothing_had_happened(tiny, change, tmp_path, monkeypatch):
    learner = TwoStageLearner(**(QUICK | change))
    whole = tiny.fit(replace(learner), checkpoint=tmp_path / "whole")
    step = Ascent._step

    def dies(self, number):
        if number == 27:
            raise KeyboardInterrupt
        return step(self, number)

    monkeypatch.setattr(Ascent, "_step", dies)
    with suppress(KeyboardInterrupt):
        tiny.fit(replace(learner), checkpoint=tmp_path / "torn")
    monkeypatch.setattr(Ascent, "_step", step)
    resumed = tiny.fit(replace(learner), checkpoint=tmp_path / "torn")
    assert_same(resumed, whole)
    assert_same_history(resumed, whole)
    assert [path.name for path in (tmp_path / "torn").iterdir()] == ["checkpoint.npz"]


def test_a_finished_run_is_not_run_again_but_can_be_made_longer(tiny, tmp_path, monkeypatch):
    learner = TwoStageLearner(**(QUICK | {"patience": 100}))
    longer = replace(learner, n_steps=60)
    whole = tiny.fit(replace(longer))
    tiny.fit(learner, checkpoint=tmp_path)
    extended = tiny.fit(longer, checkpoint=tmp_path)
    assert_same(extended, whole)
    monkeypatch.setattr(Ascent, "_step", None)
    assert_same(tiny.fit(replace(longer), checkpoint=tmp_path), whole)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_run_that_ended_between_two_looks_is_made_longer_as_if_it_had_not_ended(tiny, tmp_path, seed):
    # On few sessions, so that a look between two would be the best of all.
    log = tiny.log.select(np.arange(60 * seed, 60 * seed + 60))
    learner = TwoStageLearner(
        candidate="table", ranker="table", patience=3, random_state=seed, **(QUICK | {"n_steps": 13})
    )
    longer = replace(learner, n_steps=60)
    whole = tiny.fit(replace(longer), log=log)
    tiny.fit(learner, log=log, checkpoint=tmp_path)
    extended = tiny.fit(longer, log=log, checkpoint=tmp_path)
    assert_same(extended, whole)
    assert_same_history(extended, whole)


def test_a_checkpoint_of_another_run_is_refused(tiny, tmp_path):
    tiny.fit(TwoStageLearner(**QUICK), checkpoint=tmp_path)
    for learner, changes in (
        (TwoStageLearner(learning_rate=0.2, **QUICK), {}),
        (TwoStageLearner(**QUICK), {"log": tiny.log.select(np.arange(1000))}),
    ):
        with pytest.raises(DataError, match="another run"):
            tiny.fit(learner, checkpoint=tmp_path, **changes)
    afresh = tiny.fit(TwoStageLearner(learning_rate=0.2, **QUICK), checkpoint=tmp_path, resume=False)
    assert_same(afresh, tiny.fit(TwoStageLearner(learning_rate=0.2, **QUICK)))


def test_a_damaged_checkpoint_is_named(tiny, tmp_path):
    (tmp_path / "checkpoint.npz").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(DataError, match=r"checkpoint\.npz.*cannot be read"):
        tiny.fit(TwoStageLearner(**QUICK), checkpoint=tmp_path)


# -- beginnings -------------------------------------------------------------------------------------------------------


def test_learning_can_begin_with_a_fitted_learner(tiny):
    first = tiny.fit_relevance(TwoStageLearner(n_steps=300))
    again = tiny.fit_relevance(TwoStageLearner(n_steps=1, learning_rate=1e-9), start=first)
    for one, other in zip(scores(again.policy_), scores(first.policy_), strict=True):
        centred = [table - table[0] for table in (one, other)]
        np.testing.assert_allclose(*centred, atol=1e-6)


def test_tables_and_fixed_stages_can_begin_with_a_policy(tiny):
    rng = np.random.default_rng(0)
    start = tiny.world.logging.replace(candidate=rng.normal(size=18), ranker=rng.normal(size=18))
    for mode in MODES:
        learner = TwoStageLearner(mode, candidate="table", ranker="table", n_steps=1, learning_rate=1e-9)
        learner = tiny.fit_relevance(learner, start=start, features=(None, None))
        for one, other in zip(scores(learner.policy_), scores(start), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_what_the_beginning_never_draws_stays_out(tiny):
    barred = np.zeros(18, dtype=bool)
    barred[[0, 7]] = True
    start = tiny.world.logging.replace(ranker=np.where(barred, -np.inf, 0.0))
    learner = TwoStageLearner(candidate="table", ranker="table", n_steps=20, l2=0.1)
    learner = tiny.fit_relevance(learner, start=start, features=(None, None))
    np.testing.assert_array_equal(np.isneginf(learner.policy_.ranker_scores), barred)


def test_the_learned_pair_ranks_new_documents_as_it_ranks_those_it_learned_on(tiny):
    world = tiny.world
    learner = tiny.fit(TwoStageLearner(**QUICK))
    features = (world.generator_features, world.ranker_features)
    again = learner.policy_for(world.pool, *features)
    for one, other in zip(scores(again), scores(learner.policy_), strict=True):
        within = np.repeat(world.pool.offsets[:-1], world.pool.sizes)
        np.testing.assert_allclose(one - one[within], other - other[within], atol=1e-9)
    new = learner.policy_for([0, 2, 9], *(X[:9] for X in features))
    assert (new.pool.n_queries, new.n_candidates, new.k) == (2, world.n_candidates, world.k)
    ranker_only = tiny.fit(TwoStageLearner("ranker_only", **QUICK))
    kept = ranker_only.policy_for(world.pool, world.logging.candidate_scores, features[1])
    np.testing.assert_array_equal(kept.candidate_scores, world.logging.candidate_scores)


# -- safety -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["alternating", "joint", "independent"])
def test_a_safe_policy_stays_within_its_bounds_and_still_gains(tiny, mode):
    learner = tiny.fit(TwoStageLearner(mode, candidate="table", ranker="table", safe=Safe(1.5), **QUICK))
    weights = tiny.world.rank_weights
    ratio = learner.policy_.exposure(weights, "exact").value / tiny.world.logging.exposure(weights, "exact").value
    assert isinstance(learner.policy_, MixturePolicy)
    assert ratio.max() <= 1.5 + 1e-9
    assert ratio.min() >= 1 / 1.5 - 1e-9
    # The bound binds: no query could have more of what was learned.
    extreme = np.maximum(ratio, 1 / ratio).reshape(3, 6).max(axis=1)
    assert ((extreme > 1.5 - 1e-6) | (learner.policy_.weights[1] == 1)).all()
    assert tiny.value(learner.policy_) > tiny.value(tiny.world.logging)


@pytest.mark.parametrize("mode", ["alternating", "joint"])
def test_the_step_that_is_kept_is_that_whose_bounded_policy_looks_best(tiny, mode):
    # Tables that overshoot: the longer they learn, the less of them the bounds leave.
    options = {"candidate": "table", "ranker": "table", "learning_rate": 0.5, "patience": 100}
    settings = QUICK | {"eval_samples": 2000, "n_steps": 60}
    learner = tiny.fit(TwoStageLearner(mode, safe=Safe(1.3), **options, **settings))
    looks = {look.step: look.held_out for look in learner.history_}
    assert looks[learner.best_step_] == max(looks.values())
    bounded, free = (learner.held_out_.value(pair).value for pair in (learner.policy_, learner.learned_policy_))
    assert looks[learner.best_step_] == pytest.approx(bounded, abs=0.01)
    assert free > bounded + 0.1
    # Of the steps that were looked at, no other would have given a better policy.
    for step in list(looks)[1:]:
        shorter = replace(learner, n_steps=step, held_out=0)
        other = tiny.fit(shorter, log=learner_log(learner, tiny.log))
        assert learner.held_out_.value(other.policy_).value < bounded + 0.01


def learner_log(learner, log):
    """What a learner learned from, without what it held out."""
    return learner._split(log)[0]


def test_safe_learning_knows_one_policy_in_production(tiny):
    other = tiny.world.logging.replace(candidate=np.zeros(18))
    learner = TwoStageLearner(candidate="table", ranker="table", safe=Safe(1.5), **QUICK)
    with pytest.raises(ArgumentError, match="against one policy and 2 made the logs; expected the logs of one policy"):
        tiny.fit(learner, log=[tiny.log, tiny.log], logging=[tiny.world.logging, other])
    halves = [tiny.log.select(slice(0, 1000)), tiny.log.select(slice(1000, 2000))]
    assert isinstance(tiny.fit(learner, log=halves, logging=[tiny.world.logging] * 2).policy_, MixturePolicy)


def test_safe_learning_by_itself_moves_exposure_less_than_free_learning(natural):
    weights = natural.world.rank_weights
    logged = natural.world.logging.exposure(weights, "mc", n_samples=2000).value

    def beyond(policy):
        return np.maximum(policy.exposure(weights, "mc", n_samples=2000).value - 1.5 * logged, 0).sum()

    learner = TwoStageLearner("joint", candidate="table", ranker="table", n_steps=150, learning_rate=0.03)
    free, masked = (
        natural.fit_relevance(replace(learner, safe=safe)).learned_policy_
        for safe in (None, Safe(1.5, method="mc", n_samples=500))
    )
    assert beyond(masked) < 0.5 * beyond(free)
    assert natural.value(masked) > natural.value(natural.world.logging)


def test_the_strictest_bound_keeps_the_logging_policy(tiny):
    learner = tiny.fit(TwoStageLearner(safe=Safe(1.0), **QUICK))
    np.testing.assert_array_equal(learner.policy_.weights, [[1, 1, 1], [0, 0, 0]])


@settings(max_examples=200, deadline=None)
@given(
    arrays(float, 5, elements=st.integers(0, 50).map(lambda value: value / 50)),
    arrays(float, 5, elements=st.integers(0, 50).map(lambda value: value / 50)),
    st.floats(1, 10),
)
def test_the_safe_share_is_the_largest_that_keeps_the_bounds(new, old, max_ratio):
    def within(share):
        mixed = old + share * (new - old)
        return (mixed <= max_ratio * old + 1e-12).all() and (mixed >= old / max_ratio - 1e-12).all()

    (share,) = safe_share(new, old, [0, 5], max_ratio)
    assert 0 <= share <= 1
    assert within(share)
    assert share == 1 or not within(share + 1e-6)


def test_each_query_has_its_own_safe_share():
    share = safe_share([0.2, 0.4, 0.3, 0.0, 0.1], [0.2, 0.1, 0.3, 0.1, 0.0], [0, 2, 3, 4, 5], 2.0)
    np.testing.assert_allclose(share, [1 / 3, 1, 0.5, 0])


def test_rewards_end_where_exposure_has_left_the_bounds():
    safe = Safe(2.0)
    relevance = np.array([1.0, 1.0, -1.0, -1.0, 1.0])
    exposure = np.array([0.3, 0.1, 0.04, 0.3, 0.01])
    masked = safe.masked(relevance, exposure, np.full(5, 0.1))
    np.testing.assert_array_equal(masked, [0, 1, 0, -1, 1])


def test_the_moving_exposure_has_no_bias_from_where_it_began():
    tracker = ExposureTracker(np.zeros(3), 0.9)
    rows = np.array([0, 2])
    for _ in range(3):
        tracker.update(rows, np.array([0.5, 0.25]))
    np.testing.assert_allclose(tracker.exposure(np.arange(3)), [0.5, 0, 0.25])
    tracker.update(rows, np.array([1.0, 0.25]))
    assert 0.5 < tracker.exposure(rows)[0] < 0.75


# -- parts ------------------------------------------------------------------------------------------------------------


def test_linear_scores_do_not_depend_on_the_units_of_the_features():
    rng = np.random.default_rng(0)
    X, gradients = rng.normal(size=(6, 3)), rng.normal(size=(10, 6))
    plain, scaled = LinearScores(X, 0.1, 0.1), LinearScores(X * [1e-3, 1.0, 1e6] + 5, 0.1, 0.1)
    for gradient in gradients:
        plain.ascend(np.arange(6), gradient)
        scaled.ascend(np.arange(6), gradient)
    np.testing.assert_allclose(scaled.scores(), plain.scores(), atol=1e-8)
    np.testing.assert_allclose(plain.weights * [1e3, 1, 1e-6], scaled.weights)


def test_every_query_has_its_turn_in_a_pass(tiny):
    ascent = Ascent.__new__(Ascent)
    ascent._asked, ascent._batch_size = np.arange(12), 4
    for mode, turns in (("joint", 1), ("alternating", 2)):
        learner_turns = [("candidate", "ranker")] if turns == 1 else [("candidate",), ("ranker",)]
        ascent.schedule = type("Schedule", (), {"turns": learner_turns, "seed": 0})()
        batches = [ascent._batch(step) for step in range(6 * turns)]
        for first in (0, 3 * turns):
            seen = np.concatenate(batches[first : first + 3 * turns])
            np.testing.assert_array_equal(np.bincount(seen), np.full(12, turns)), mode
        assert not np.array_equal(np.concatenate(batches[: 3 * turns]), np.concatenate(batches[3 * turns :]))


def test_the_gradients_of_a_pass_over_batches_are_that_of_all_queries_at_once(shift):
    world = shift.world
    gradients = {20: [], 5: []}
    for size, collected in gradients.items():
        learner = TwoStageLearner("candidate_only", candidate="table", n_steps=20 // size, batch_queries=size)
        record = {"total": np.zeros(world.pool.n_rows)}

        def ascend(model, rows, gradient, record=record):
            record["total"][rows] += gradient

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TableScores, "ascend", ascend)
            shift.fit_relevance(replace(learner, n_samples=256), features=(None, None))
        collected.append(record["total"])
    # A query of a batch stands for those that are not in it: each counts four times as much, once in four steps.
    whole, batched = gradients[20][0], gradients[5][0]
    assert whole @ batched / (whole @ whole) == pytest.approx(4, rel=0.15)


def test_learning_linear_policies_brings_no_torch():
    code = "import sys, cltr_twostage.train; assert not {'torch', 'accelerate', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mode": "both"}, "mode='both'; expected one of 'alternating', 'joint'"),
        ({"candidate": "deep"}, "candidate='deep'; expected 'linear', 'table' or a torch module"),
        ({"candidate_gradient": "plrank"}, "candidate_gradient='plrank'"),
        ({"ranker_gradient": "credit"}, "ranker_gradient='credit'"),
        ({"n_steps": 0}, "n_steps=0"),
        ({"n_samples": 2.5}, "n_samples=2.5"),
        ({"learning_rate": np.nan}, "learning_rate=nan"),
        ({"l2": -1}, "l2=-1"),
        ({"held_out": 1.0}, "held_out=1.0"),
        ({"random_state": None}, "random_state=None"),
        ({"precision": "int8"}, "precision='int8'"),
        ({"safe": 1.5}, r"safe=1.5; expected Safe\(max_ratio\), or None"),
        ({"learning_rate": "a"}, "learning_rate='a'"),
        ({"module_learning_rate": None}, "module_learning_rate=None"),
        ({"l2": "a"}, "l2='a'"),
        ({"held_out": "a"}, "held_out='a'"),
        ({"device": "foo"}, "device='foo'; expected 'auto', 'cpu'"),
    ],
)
def test_a_bad_setting_is_named(change, message):
    with pytest.raises(ArgumentError, match=message):
        TwoStageLearner(**change)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf, "a", None])
def test_a_bound_below_one_is_refused(value):
    with pytest.raises(ArgumentError, match="max_ratio"):
        Safe(value)
    with pytest.raises(ArgumentError, match="momentum"):
        Safe(2.0, momentum=1.0)
    with pytest.raises(ArgumentError, match="method='guess'"):
        Safe(2.0, method="guess")
    with pytest.raises(ArgumentError, match="n_samples=3"):
        Safe(2.0, n_samples=3)


@pytest.mark.parametrize(
    ("learner", "changes", "message"),
    [
        ({}, {"features": (None, np.zeros((18, 2)))}, "Xc is missing"),
        (
            {},
            {"features": (np.zeros((17, 2)), np.zeros((18, 2)))},
            r"Xc has shape \(17, 2\); expected \[18, n_features",
        ),
        ({}, {"features": (np.zeros((18, 2)), np.full((18, 2), np.nan))}, "Xr is nan at row 0, feature 0"),
        ({"k": 5, "n_candidates": 4}, {}, "k=5 is larger than n_candidates=4"),
        ({"n_samples": 1, "ranker_gradient": "reinforce"}, {}, "at least 2 for REINFORCE"),
        ({}, {"relevance": np.zeros(3)}, r"relevance has shape \(3,\)"),
        ({}, {"relevance": np.full(18, np.inf)}, "relevance holds inf"),
        ({}, {"query_weights": [1.0, -1.0, 1.0]}, "query_weights are negative"),
        ({}, {"rank_weights": [1.0]}, "rank_weights"),
        ({}, {"logging": None}, "pool is missing"),
        ({}, {"logging": None, "pool": [0, 6, 12, 18]}, "n_candidates=None, k=None"),
        ({"safe": Safe(), "n_candidates": 4, "k": 3}, {"logging": None, "pool": [0, 18]}, "stays close to the logging"),
        ({"mode": "ranker_only", "n_candidates": 4, "k": 3}, {"logging": None, "pool": [0, 18]}, "keeps the candidate"),
        ({}, {"start": TwoStageLearner()}, "not fitted"),
    ],
)
def test_arguments_that_do_not_fit_are_named(tiny, learner, changes, message):
    with pytest.raises(ArgumentError, match=message):
        tiny.fit_relevance(TwoStageLearner(**learner), **changes)


def test_a_policy_is_no_beginning_for_weights(tiny):
    with pytest.raises(ArgumentError, match="no weights, for the candidate stage"):
        tiny.fit_relevance(TwoStageLearner(), start=tiny.world.logging)


def test_a_beginning_on_other_documents_is_refused(tiny):
    other = TwoStagePolicy(np.zeros(18), np.zeros(18), 4, 3, pool=Pool([0, 9, 18]))
    with pytest.raises(ArgumentError, match="different pools"):
        tiny.fit_relevance(TwoStageLearner(candidate="table", ranker="table"), start=other)


def test_an_estimator_without_relevance_is_refused(tiny):
    with pytest.raises(ArgumentError, match="ItemPositionIPS, which estimates no relevance"):
        tiny.fit(TwoStageLearner(), estimator=ItemPositionIPS(tiny.world.examination))


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (SlateIPS([1, 0.5, 1 / 3]), "SlateIPS, which estimates no relevance"),
        (ExposureIPS, r"estimator is the class ExposureIPS; expected .* ExposureIPS\(examination\)"),
        ("exposure-ips", "estimator is a str"),
    ],
)
def test_an_estimator_that_is_none_is_refused_before_it_is_fitted(tiny, estimator, message, monkeypatch):
    monkeypatch.setattr(TwoStageLearner, "_split", lambda *_: pytest.fail("the log was read"))
    with pytest.raises(ArgumentError, match=message):
        tiny.fit(TwoStageLearner(), estimator=estimator)


def test_a_mixture_that_logged_says_how_long_its_lists_are(tiny):
    old = tiny.world.logging
    fit = {"estimator": ExposureIPS(tiny.world.examination, method="exact")}
    mixed = MixturePolicy([old, old.replace(ranker=-old.ranker_scores)], [0.5, 0.5])
    assert tiny.fit(TwoStageLearner(**QUICK), logging=mixed, **fit).policy_.n_candidates == old.n_candidates
    narrow = TwoStagePolicy(old.candidate_scores, old.ranker_scores, 3, old.k, pool=old.pool)
    several = MixturePolicy([old, narrow], [0.5, 0.5])
    with pytest.raises(ArgumentError, match="mixes pairs of 4 and 3 candidates; expected n_candidates"):
        tiny.fit(TwoStageLearner(**QUICK), logging=several, **fit)
    assert tiny.fit(TwoStageLearner(n_candidates=3, **QUICK), logging=several, **fit).policy_.n_candidates == 3


def test_new_documents_need_what_was_learned_on(tiny):
    with pytest.raises(ArgumentError, match="not fitted"):
        TwoStageLearner().policy_for([0, 2], np.zeros((2, 2)), np.zeros((2, 2)))
    learner = tiny.fit(TwoStageLearner("ranker_only", **QUICK))
    with pytest.raises(ArgumentError, match=r"Xc has shape \(2, 2\); expected scores"):
        learner.policy_for([0, 2], np.zeros((2, 2)), np.zeros((2, 2)))
    with pytest.raises(ArgumentError, match="X has 3 features; expected 2"):
        learner.policy_for([0, 2], np.zeros(2), np.zeros((2, 3)))
    with pytest.raises(ArgumentError, match="Xr is a list that holds no numbers; expected features"):
        learner.policy_for([0, 2], np.zeros(2), [["a", "b"], ["c", "d"]])
